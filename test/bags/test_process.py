# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The pipeline over a bag: what is written, and what becomes of faults."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from geo_pose_ros.bags import process
from geo_pose_ros.bags.cameras import rig_from_bag
from geo_pose_ros.bags.message_factory import TYPESTORE, RosbagsFactory
from geo_pose_ros.bags.process import ProcessConfig, process_bag
from geo_pose_ros.bags.read import BagReader
from geo_pose_ros.bags.recording import Recording
from geo_pose_ros.bags.write import BagWriter
from geo_pose_ros.detection.settings import DetectorConfig
from geo_pose_ros.errors import BagError, CalibrationError, FrameError
from geo_pose_ros.evaluation.settings import ReportConfig
from geo_pose_ros.geometry.rigid import compose, from_rotation_vector, invert
from geo_pose_ros.lifting.settings import LifterConfig
from geo_pose_ros.messages.clouds.bodies import bodies_from_cloud
from geo_pose_ros.messages.clouds.details import with_details
from geo_pose_ros.messages.clouds.keypoints import keypoints_from_cloud
from geo_pose_ros.messages.transforms import rig_to_transforms_stamped, to_transform
from geo_pose_ros.pipeline import PosePipeline
from geo_pose_ros.scene.settings import PipelineConfig, SyncConfig
from geo_pose_ros.scene.sync import DropCause
from geo_pose_ros.skeleton import BODY17, BODY33, COCO17, anchors, map_to_body17, mirror_of
from geo_pose_ros.types import CameraRig, Frame, Keypoints2D, PredictedPeople
from geo_pose_ros.view.report import measure_recording

from ..evaluation.moving import copy_bag
from ..recorded import FRAMES, PERIOD_NS, START_NS, grey_image, write_scene
from ..scenes import keypoints, person, ring_rig

make = RosbagsFactory()
# Triangulation alone, so that exact keypoints give exact joints.
TRIANGULATED = PipelineConfig(lifter=LifterConfig(enabled=False))
IN_ODOM = ProcessConfig(pipeline=TRIANGULATED, tracking_frame='odom')
STAMPS = [START_NS + number * PERIOD_NS for number in range(FRAMES)]


class TruthDetector:
    """Sees the person of the scene at the instant that the image's grey level tells."""

    skeleton = BODY17
    is_batched = False

    def __init__(self, rig: CameraRig) -> None:
        self.rig = rig

    def detect(
        self, frames: Mapping[str, Frame], expected: Mapping[str, PredictedPeople]
    ) -> dict[str, Keypoints2D]:
        found = {}
        for name, frame in frames.items():
            number = round((frame.image.mean() - grey_image(0).mean()) / 15)
            found[name] = keypoints(self.rig, [person(0) + (0.01 * number, 0.0, 0.0)], frame.stamp_ns)[name]
        return found

    def close(self) -> None:
        pass


@pytest.fixture
def truth_detector(monkeypatch):
    monkeypatch.setattr(
        process, 'PosePipeline', lambda rig, config: PosePipeline(rig, config, detector=TruthDetector(rig))
    )


def messages(bag, topic):
    with BagReader(bag) as reader:
        return [message.decode() for message in reader.messages([topic])]


def bodies_of(bag):
    return [bodies_from_cloud(message) for message in messages(bag, '/pose_node/bodies')]


def test_images_become_bodies(tmp_path, truth_detector):
    rig = write_scene(tmp_path / 'bag')
    config = ProcessConfig(pipeline=TRIANGULATED)
    summary = process_bag(tmp_path / 'bag', tmp_path / 'out', config=config, storage='sqlite3')
    assert (summary.sets, summary.complete_sets, summary.sets_with_bodies, summary.bodies) == (5, 5, 5, 5)
    assert summary.incomplete_sets == summary.failed_sets == 0 and not summary.unusable_frames
    assert np.concatenate(summary.reprojection_px).max() < 1.0
    bodies = bodies_of(tmp_path / 'out')
    assert [b.stamp_ns for b in bodies] == STAMPS
    for number, b in enumerate(bodies):
        assert (b.frame_id, b.body_ids.tolist()) == ('world', bodies[0].body_ids.tolist())
        # The tracker smooths a person who starts to walk suddenly.
        np.testing.assert_allclose(b.xyz[0], person(0) + (0.01 * number, 0.0, 0.0), atol=0.02)
        assert (b.num_views == 3).all()
    for b, message in zip(bodies, messages(tmp_path / 'out', '/pose_node/details'), strict=True):
        detailed = with_details(b, message)
        assert (detailed.views == 0b111).all() and (detailed.age_s == 0.0).all()
        np.testing.assert_allclose(
            np.trace(detailed.covariance, axis1=2, axis2=3), np.trace(b.covariance, axis1=2, axis2=3), rtol=1e-5
        )
    with BagReader(tmp_path / 'out') as reader:
        assert {(t.name, t.message_type, t.count) for t in reader.topics.values()} == {
            ('/pose_node/bodies', 'sensor_msgs/msg/PointCloud2', FRAMES),
            ('/pose_node/details', 'sensor_msgs/msg/PointCloud2', FRAMES),
            ('/pose_node/markers', 'visualization_msgs/msg/MarkerArray', FRAMES),
            ('/pose_node/skeleton', 'std_msgs/msg/String', 1),
            ('/tf_static', 'tf2_msgs/msg/TFMessage', 1),
            ('/diagnostics', 'diagnostic_msgs/msg/DiagnosticArray', 1),
            *((f'/pose_node/keypoints/{name}', 'sensor_msgs/msg/PointCloud2', FRAMES) for name in rig.names),
            *((f'/{name}/camera_info', 'sensor_msgs/msg/CameraInfo', 1) for name in rig.names),
        }
        assert reader.offered_qos['/pose_node/skeleton'][0].durability.name == 'TRANSIENT_LOCAL'
        back = rig_from_bag(reader)
    for camera in rig.cameras:
        np.testing.assert_allclose(back[camera.name].cam_from_world, camera.cam_from_world, atol=1e-12)
    assert json.loads(messages(tmp_path / 'out', '/pose_node/skeleton')[0].data)['name'] == 'body17'
    clouds = messages(tmp_path / 'out', '/pose_node/keypoints/cam1')
    assert [keypoints_from_cloud(cloud, 'cam1').stamp_ns for cloud in clouds] == STAMPS
    assert clouds[0].header.frame_id == 'cam1_optical_frame'
    expected = keypoints(rig, [person(0)])['cam1'].xy
    np.testing.assert_allclose(keypoints_from_cloud(clouds[0], 'cam1').xy, expected, atol=1e-3)


def test_keypoints_on_request(tmp_path):
    write_scene(tmp_path / 'bag', clouds=True)
    config = ProcessConfig(pipeline=PipelineConfig(detector=DetectorConfig(name='keypoints')))
    summary = process_bag(tmp_path / 'bag', tmp_path / 'out', config=config)
    assert summary.bodies == FRAMES and 'decode' not in summary.stage_ms
    write_scene(tmp_path / 'images')
    with pytest.raises(BagError, match=r'has no keypoints; it has: /cam0/camera_info, '):
        process_bag(tmp_path / 'images', tmp_path / 'out2', config=config)


def test_keypoints_of_another_skeleton(tmp_path):
    """COCO keypoints have as many joints as body17; the setting says which they are."""
    write_scene(tmp_path / 'bag', images=False, clouds=True)
    summary = process_bag(tmp_path / 'bag', tmp_path / 'out', config=ProcessConfig(keypoints_skeleton='coco17'))
    assert summary.sets == FRAMES
    cloud = keypoints_from_cloud(messages(tmp_path / 'out', '/pose_node/keypoints/cam0')[0], 'cam0')
    taken_as_coco = keypoints(ring_rig(3), [person(0)])['cam0'].xy
    expected, _ = map_to_body17(COCO17).apply(taken_as_coco, np.ones((1, 17)))
    np.testing.assert_allclose(cloud.xy, expected, atol=1e-3)


def test_larger_skeletons_are_in_bags_and_reports(tmp_path, monkeypatch):
    """From a bag of keypoints with 37 joints come bodies with as many, and those again are read as such."""
    rig, whole = ring_rig(3), np.concatenate([person(0), person(0)[anchors(BODY33)[17:]] + 0.05])

    def detect(self, frames, expected):
        return {name: keypoints(rig, [whole], f.stamp_ns, skeleton=BODY33)[name] for name, f in frames.items()}

    monkeypatch.setattr(TruthDetector, 'detect', detect)
    monkeypatch.setattr(
        process, 'PosePipeline', lambda rig, config: PosePipeline(rig, config, detector=TruthDetector(rig))
    )
    write_scene(tmp_path / 'bag')
    config = ProcessConfig(pipeline=replace(TRIANGULATED, skeleton='body33'))
    process_bag(tmp_path / 'bag', tmp_path / 'out', config=config)
    process_bag(tmp_path / 'out', tmp_path / 'again', config=config)
    for bag in (tmp_path / 'out', tmp_path / 'again'):
        assert json.loads(messages(bag, '/pose_node/skeleton')[0].data)['name'] == 'body33'
        for bodies, details in zip(bodies_of(bag), messages(bag, '/pose_node/details'), strict=True):
            assert bodies.skeleton is BODY33
            np.testing.assert_allclose(bodies.xyz[0], whole, atol=0.01)
            assert np.isfinite(with_details(bodies, details).covariance).all()
        with Recording([bag]) as recording:
            report = measure_recording(recording, ReportConfig()).report
        assert report.skeleton is BODY33 and report.views.shape[0] == 37
    # A reader of body17 takes the first 17 columns: those of the same bag with the default.
    process_bag(tmp_path / 'bag', tmp_path / 'plain', config=ProcessConfig(pipeline=TRIANGULATED))
    for bodies, plain in zip(bodies_of(tmp_path / 'out'), bodies_of(tmp_path / 'plain'), strict=True):
        np.testing.assert_array_equal(bodies.xyz[:, :17], plain.xyz)


def test_some_cameras_only(tmp_path, truth_detector):
    write_scene(tmp_path / 'bag')
    process_bag(tmp_path / 'bag', tmp_path / 'out', config=ProcessConfig(cameras=('cam2', 'cam0')))
    assert all((b.num_views == 2).all() for b in bodies_of(tmp_path / 'out'))
    with BagReader(tmp_path / 'out') as reader:
        assert rig_from_bag(reader).names == ('cam0', 'cam2')
    with pytest.raises(BagError, match='has no camera cam9; it has: cam0, cam1, cam2'):
        process_bag(tmp_path / 'bag', tmp_path / 'out2', config=ProcessConfig(cameras=('cam9',)))
    with pytest.raises(BagError, match='exists already'):
        process_bag(tmp_path / 'bag', tmp_path / 'out')
    assert process_bag(tmp_path / 'bag', tmp_path / 'out', overwrite=True).sets == FRAMES


def test_rig_given_instead_of_recorded(tmp_path, truth_detector, caplog):
    rig = write_scene(tmp_path / 'bag', infos=False, transforms=False)
    with pytest.raises(BagError, match='no camera_info of cam0, cam1, cam2'):
        process_bag(tmp_path / 'bag', tmp_path / 'out')
    assert not (tmp_path / 'out').exists()
    process_bag(tmp_path / 'bag', tmp_path / 'out', rig=rig)
    assert len(bodies_of(tmp_path / 'out')) == FRAMES
    with BagReader(tmp_path / 'out') as reader:
        assert rig_from_bag(reader).names == rig.names
    process_bag(tmp_path / 'bag', tmp_path / 'out2', rig=ring_rig(2))
    assert "The rig has no camera 'cam2'; it has: cam0, cam1. It is left out." in caplog.text
    with BagReader(tmp_path / 'out2') as reader:
        assert rig_from_bag(reader).names == ('cam0', 'cam1')
    stranger = CameraRig((replace(rig.cameras[0], name='other'),))
    with pytest.raises(CalibrationError, match=r"The rig has no camera 'cam0'; .* 'cam2'; it has: other\."):
        process_bag(tmp_path / 'bag', tmp_path / 'out3', rig=stranger)


def damaged(folder, change, **scene):
    """Write a scene with each image message as ``change(topic, number, message)``; None leaves it out."""
    numbers: Counter[str] = Counter()

    def changed(_, message):
        if 'image_raw' not in message.topic:
            return message.raw
        numbers[message.topic] += 1
        decoded = change(message.topic, numbers[message.topic] - 1, message.decode())
        return None if decoded is None else TYPESTORE.serialize_cdr(decoded, message.message_type)

    write_scene(folder / 'bag', **scene)
    copy_bag(folder / 'bag', folder / 'damaged', changed)
    return folder / 'damaged'


def diagnostics_of(bag):
    [diagnostics] = messages(bag, '/diagnostics')
    return {status.name: {pair.key: pair.value for pair in status.values} for status in diagnostics.status}


def test_unusable_frames_cost_only_themselves(tmp_path, truth_detector, caplog):
    def change(topic, number, message):
        if topic.startswith('/cam1') and number in (1, 2):
            message.data = message.data[: len(message.data) // 2]
        return message

    summary = process_bag(damaged(tmp_path, change), tmp_path / 'out')
    assert (summary.sets, summary.complete_sets, dict(summary.unusable_frames)) == (5, 3, {'cam1': 2})
    assert [b.num_views.max() for b in bodies_of(tmp_path / 'out')] == [3, 2, 2, 3, 3]
    assert caplog.text.count("Camera 'cam1': truncated JPEG") == 1
    assert 'unusable frames: cam1 2' in str(summary)
    values = diagnostics_of(tmp_path / 'out')
    assert values['pose_node: camera cam1'] == {'unusable: frame': '2', 'sides repaired': '0'}
    pipeline = values['pose_node: pipeline']
    assert (pipeline['sets_published'], pipeline['sets failed']) == ('5', '0')
    stages = {f'stage_ms {stage}': f'{np.mean(ms):.2f}' for stage, ms in summary.stage_ms.items()}
    assert stages and stages.items() <= pipeline.items()


def test_missing_frames_give_smaller_sets_or_none(tmp_path, truth_detector):
    def change(topic, number, message):
        gone = {'/cam1': (1, 3), '/cam2': (3,)}
        return None if number in gone.get(topic[:5], ()) else message

    bag = damaged(tmp_path, change)
    summary = process_bag(bag, tmp_path / 'out', config=ProcessConfig(sync=SyncConfig(min_cameras=2)))
    assert (summary.sets, summary.complete_sets, summary.incomplete_sets) == (4, 3, 1)
    assert [b.stamp_ns for b in bodies_of(tmp_path / 'out')] == [STAMPS[i] for i in (0, 1, 2, 4)]
    assert '1 sets left out with too few cameras' in str(summary)


def test_frames_that_are_not_used_are_counted_by_cause(tmp_path, truth_detector):
    def change(topic, _, message):
        message.header.stamp.sec -= 100 if topic.startswith('/cam1') else 0
        return message

    summary = process_bag(damaged(tmp_path, change), tmp_path / 'out')
    assert (summary.sets, summary.complete_sets) == (5, 0)
    assert summary.dropped_frames == {'cam1': {DropCause.CLOCK: 5}}
    words = "its camera's clock disagrees with the others', or jumped"
    assert f'5 frames of cam1 not used: {words}' in str(summary)
    assert diagnostics_of(tmp_path / 'out')['pose_node: camera cam1'][f'dropped: {words}'] == '5'


def test_camera_without_images_is_not_used(tmp_path, truth_detector, caplog):
    bag = damaged(tmp_path, lambda topic, _, m: None if topic[:5] == '/cam0' else m, clouds=True)
    assert process_bag(bag, tmp_path / 'out').complete_sets == 0
    assert 'No image of the cameras cam0; they are not used.' in caplog.text


def test_set_that_cannot_be_fused_is_counted(tmp_path, caplog, monkeypatch):
    write_scene(tmp_path / 'bag', images=False, clouds=True)
    finish = PosePipeline.finish

    def fails_once(self, stamp_ns, views, poses=None):
        if stamp_ns == STAMPS[2]:
            raise CalibrationError('no such camera')
        return finish(self, stamp_ns, views, poses)

    monkeypatch.setattr(PosePipeline, 'finish', fails_once)
    summary = process_bag(tmp_path / 'bag', tmp_path / 'out')
    assert (summary.sets, summary.failed_sets) == (4, 1) and '1 sets failed' in str(summary)
    assert f'Set at {STAMPS[2]} ns: no such camera' in caplog.text


# Cameras that move.


def base_at(stamp_ns: int):
    """odom_from_base of a robot that drives 1 m/s along x and turns about z by 1 rad/s."""
    t = 1e-9 * (stamp_ns - START_NS)
    return from_rotation_vector(np.array([0.0, 0.0, t]), np.array([t, 0.3, 0.0]))


def write_drive(path, rig, sets=40, *, until=1_000_000_000_000):
    """Keypoints of one who stands in odom, seen from a robot whose /tf ends ``until`` ns after the start."""
    transform = rig_to_transforms_stamped(make, rig, START_NS)
    with BagWriter(path) as writer:
        writer.write('/tf_static', make('tf2_msgs/msg/TFMessage', transforms=transform), START_NS)
        for camera in rig.cameras:
            writer.write_lens(camera, START_NS)
        for stamp in range(START_NS - 20_000_000, START_NS + sets * PERIOD_NS + 40_000_000, 20_000_000):
            if stamp <= START_NS + until:
                transform = [to_transform(make, 'odom', 'world', base_at(stamp), stamp)]
                writer.write('/tf', make('tf2_msgs/msg/TFMessage', transforms=transform), stamp)
        for number in range(sets):
            for late, camera in enumerate(rig.cameras):
                stamp = START_NS + number * PERIOD_NS + late * 4_000_000
                there = replace(camera, cam_from_world=compose(camera.cam_from_world, invert(base_at(stamp))))
                seen = keypoints(CameraRig((there,), 'odom'), [person(0)], stamp)[camera.name]
                writer.write_keypoints(seen, camera.frame_id)


@pytest.mark.parametrize('from_file', [False, True])
def test_a_robot_that_drives(tmp_path, from_file):
    rig = ring_rig(3)
    write_drive(tmp_path / 'bag', rig, sets=20)
    summary = process_bag(tmp_path / 'bag', tmp_path / 'out', config=IN_ODOM, rig=rig if from_file else None)
    assert summary.sets == summary.sets_with_bodies == 20 and not summary.unusable_frames
    for found in bodies_of(tmp_path / 'out'):
        assert (found.frame_id, found.body_ids.tolist()) == ('odom', [0])
        np.testing.assert_allclose(found.xyz[0], person(0), atol=2e-3)
    # The results carry the transforms, so that they can be processed again.
    again = process_bag(tmp_path / 'out', tmp_path / 'again', config=IN_ODOM)
    assert again.sets_with_bodies == 20


def test_pictures_that_no_transform_places_are_counted(tmp_path):
    write_drive(tmp_path / 'bag', ring_rig(3), until=10 * PERIOD_NS)
    summary = process_bag(tmp_path / 'bag', tmp_path / 'out', config=IN_ODOM)
    assert 25 <= summary.unusable_frames['cam0'] <= 30 and summary.sets_with_bodies >= 10


def test_an_impossible_transform_stops_a_moving_bag(tmp_path):
    write_drive(tmp_path / 'bag', ring_rig(2), sets=3)
    wrong = rig_to_transforms_stamped(make, ring_rig(1), START_NS)
    wrong[0].transform.rotation.w = float('nan')
    with BagReader(tmp_path / 'bag') as reader, BagWriter(tmp_path / 'wrong') as writer:
        for message in reader.messages(reader.topics):
            writer.write(message.topic, message.decode(), message.time_ns)
        writer.write('/tf', make('tf2_msgs/msg/TFMessage', transforms=wrong), START_NS)
    with pytest.raises(CalibrationError, match='expected a unit quaternion and finite metres'):
        process_bag(tmp_path / 'wrong', tmp_path / 'out', config=IN_ODOM)


def test_sides_that_a_detector_exchanges_are_written_repaired_and_told(tmp_path, monkeypatch):
    class CrossedDetector(TruthDetector):
        """Has the legs and arms of everybody in cam1 exchanged."""

        def detect(self, frames, expected):
            found = super().detect(frames, expected)
            mirror = mirror_of(BODY17)
            return found | {
                name: replace(seen, xy=seen.xy[:, mirror]) for name, seen in found.items() if name == 'cam1'
            }

    monkeypatch.setattr(
        process, 'PosePipeline', lambda rig, config: PosePipeline(rig, config, detector=CrossedDetector(rig))
    )
    rig = write_scene(tmp_path / 'bag', rig=ring_rig(4))
    summary = process_bag(tmp_path / 'bag', tmp_path / 'out', config=ProcessConfig(pipeline=TRIANGULATED))
    assert summary.repaired_sides == {'cam0': 0, 'cam1': 2 * FRAMES, 'cam2': 0, 'cam3': 0}
    assert f'left and right of arms or legs repaired: cam1 {2 * FRAMES}' in str(summary)
    (told,) = [one for one in summary.verdict.findings if one.kind == 'repaired']
    assert (told.where, told.what) == ('camera cam1', 'the detector exchanges left and right in 100% of the bodies.')
    for number, message in enumerate(messages(tmp_path / 'out', '/pose_node/keypoints/cam1')):
        truth = keypoints(rig, [person(0) + (0.01 * number, 0.0, 0.0)], STAMPS[number])['cam1']
        np.testing.assert_allclose(keypoints_from_cloud(message, 'cam1').xy, truth.xy, atol=1e-3)


def test_not_one_usable_frame(tmp_path, truth_detector):
    def change(topic, number, message):
        message.data = message.data[:50]
        return message

    with pytest.raises(FrameError, match=r"Not one frame of bag '.*damaged' is usable\. Camera 'cam.': truncated JPEG"):
        process_bag(damaged(tmp_path, change), tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def test_cut_bag_is_processed_up_to_the_cut(tmp_path, truth_detector, caplog):
    write_scene(tmp_path / 'bag', frames=30)
    file = tmp_path / 'bag' / 'bag.mcap'
    whole = file.read_bytes()
    file.write_bytes(whole[: int(len(whole) * 0.9)])
    summary = process_bag(tmp_path / 'bag', tmp_path / 'out')
    assert 10 < summary.sets < 30 and len(bodies_of(tmp_path / 'out')) == summary.sets
    assert 'is cut off' in caplog.text
