# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""pose_node over live topics: what it publishes, and what faults of one camera cost."""

from __future__ import annotations

import itertools
import json
import runpy
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from rclpy.parameter import Parameter
from rosgraph_msgs.msg import Clock
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, PointCloud2
from std_msgs.msg import String
from visualization_msgs.msg import MarkerArray

from geo_pose_ros.arrays import NS_PER_S
from geo_pose_ros.bags.process import ProcessConfig, process_bag
from geo_pose_ros.bags.read import BagReader
from geo_pose_ros.bags.write import BagWriter
from geo_pose_ros.fusion.settings import DepthConfig
from geo_pose_ros.lifting.settings import LifterConfig
from geo_pose_ros.messages.clouds.bodies import bodies_from_cloud
from geo_pose_ros.messages.clouds.details import with_details
from geo_pose_ros.messages.clouds.keypoints import keypoints_from_cloud, keypoints_to_cloud
from geo_pose_ros.messages.image import frame_from_message
from geo_pose_ros.rigs.rig_file import dump_rig
from geo_pose_ros.ros.io.message_factory import installed_class
from geo_pose_ros.ros.io.qos import profile
from geo_pose_ros.ros.nodes import outputs
from geo_pose_ros.ros.tools.record import Recorder
from geo_pose_ros.scene.settings import PipelineConfig
from geo_pose_ros.simulation.walks import GRID_HZ
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Bodies3D, CameraRig, ClockModel, Keypoints2D
from test.calibration.walking import walk
from test.ros.harness import (
    MAKE,
    PERSON,
    RIG,
    Cameras,
    Console,
    Walkers,
    changed,
    published_at,
    until,
    world,
)
from test.scenes import depth_image, surface_of


def check_bodies(bodies: list[Bodies3D], sent_ns: list[int], within_m: float = 0.005) -> None:
    for found in bodies:
        assert found.frame_id == 'world'
        assert found.stamp_ns in sent_ns
        assert found.xyz.shape == (1, 17, 3)
        np.testing.assert_allclose(found.xyz[0], PERSON, atol=within_m)


@pytest.mark.parametrize('transport', ['keypoints', 'compressed', 'raw'])
def test_bodies_are_right_in_value_stamp_and_frame(transport: str, rig_path: str) -> None:
    with world(transport, rig_path=rig_path) as w:
        bodies = w.new_bodies(5, views=4)
        check_bodies(bodies, w.cameras.sent_ns)
        stamps = [b.stamp_ns for b in bodies]
        assert stamps == sorted(set(stamps))
        assert len({int(b.body_ids[0]) for b in bodies}) == 1
        status = w.reported('pipeline', 'sets/s, latency')
        assert status.level == b'\x00'
        until(lambda: int(w.values('pipeline')['sets_published']) >= 5, 'the sets are counted')
        assert {'latency_ms p50', 'latency_ms p95', 'stage_ms associate', 'spread_ms p50'} <= set(w.values('pipeline'))


def test_people_who_walk_are_where_and_who_they_are(rig_path: str) -> None:
    """Whatever sets a busy machine makes of simulated people: each body is one of them, and stays that one."""
    motions = [walk(60.0, seed, 0.6, GRID_HZ) + (side, 0.0, 0.0) for seed, side in enumerate((-0.8, 0.8))]
    with world('keypoints', rig_path=rig_path) as w:
        people = Walkers(w.cameras, *motions, lost=0.05)
        until(lambda: len(w.bodies) > 150, '150 sets')
    sets = [bodies for bodies in w.bodies if len(bodies)]
    errors_m, who, last_ns = [], dict[int, int](), 0
    for bodies in sets:
        truth = people.joints(bodies.stamp_ns)
        away_m = np.linalg.norm(bodies.xyz[:, None, 0] - truth[:, 0], axis=-1)
        nearest = away_m.argmin(1).tolist()
        assert len(set(nearest)) == len(bodies)
        errors_m += away_m.min(1).tolist()
        if bodies.stamp_ns - last_ns > NS_PER_S // 2:
            # Nobody knows who comes back after a pause.
            who.clear()
        assert all(who.setdefault(body_id, nearest[k]) == nearest[k] for k, body_id in enumerate(bodies.body_ids))
        last_ns = bodies.stamp_ns
    assert np.median(errors_m) < 0.02 and max(errors_m) < 0.15
    # Two people, not more ids.
    assert np.mean([len(bodies) for bodies in sets]) > 1.9


def test_the_other_outputs(rig_path: str) -> None:
    boxes = installed_class('vision_msgs/msg/Detection3DArray')
    assert installed_class('no_such_msgs/msg/Some') is installed_class('std_msgs/msg/NoSuch') is None
    with world('compressed', rig_path=rig_path) as w:
        got: dict[str, list[Any]] = {name: [] for name in ('markers', 'keypoints', 'skeleton', 'details')}
        w.new_bodies(2)
        # Late subscribers: the skeleton was published before.
        w.listen(MarkerArray, '/pose_node/markers', got['markers'].append)
        w.listen(PointCloud2, '/pose_node/keypoints/cam1', got['keypoints'].append)
        w.listen(PointCloud2, '/pose_node/details', got['details'].append)
        w.listen(String, '/pose_node/skeleton', got['skeleton'].append, profile(1, latched=True))
        if boxes is not None:
            got['boxes'] = []
            w.listen(boxes, '/pose_node/detections3d', got['boxes'].append)
        until(lambda: all(got.values()), 'one message on each topic')
        assert {(m.ns, m.header.frame_id) for m in got['markers'][-1].markers} == {
            ('joints', 'world'), ('bones', 'world')
        }
        stamp_ns = published_at(got['details'][0])
        plain = until(lambda: next((b for b in w.bodies if b.stamp_ns == stamp_ns), None), 'its bodies')
        if boxes is not None:
            assert [found.id for found in got['boxes'][-1].detections] == [str(plain.body_ids[0])]
        detailed = with_details(plain, got['details'][0])
        assert (np.linalg.eigvalsh(detailed.covariance) > 0.0).all()
        np.testing.assert_allclose(detailed.velocity, 0.0, atol=0.05)
        assert (detailed.views == 0b1111).all() and (detailed.age_s == 0.0).all()
        seen = keypoints_from_cloud(got['keypoints'][0], 'cam1')
        np.testing.assert_allclose(seen.xy[0], w.cameras.xy['cam1'], atol=1e-3)
        assert got['keypoints'][0].header.frame_id == 'cam1_optical_frame'
        assert published_at(got['keypoints'][0]) in w.cameras.sent_ns
        assert json.loads(got['skeleton'][0].data)['joint_names'] == list(BODY17.joint_names)


@pytest.mark.parametrize(('encoding', 'kind', 'unit'), [('16UC1', '<u2', 1000.0), ('32FC1', '<f4', 1.0)], ids=str)
def test_one_depth_camera_gives_absolute_bodies_live_and_recorded(
    rig_path: str, tmp_path: Path, encoding: str, kind: str, unit: float
) -> None:
    surface = surface_of(RIG['cam1'], PERSON)

    def one_camera(cameras: Cameras) -> None:
        cameras.silence_all()
        publisher = cameras._node.create_publisher(Image, 'cam1/depth', profile(5))

        def both(stamp_ns: int) -> Any:
            publisher.publish(depth_image(MAKE, surface, encoding, kind, unit, stamp_ns=stamp_ns))
            return cameras.raw('cam1', stamp_ns)

        cameras.behaviour['cam1'] = both

    pipeline = PipelineConfig(lifter=LifterConfig(enabled=False), depth=DepthConfig(enabled=True))
    with (
        world('raw', rig_path=rig_path, before_start=one_camera, pipeline__depth__enabled=True) as w,
        BagWriter(tmp_path / 'bag') as writer,
    ):
        check_bodies(w.new_bodies(5, views=1), w.cameras.sent_ns)
        topics = ['/cam1/image_raw', '/cam1/depth']
        recorder = Recorder(w.tester, writer, topics)
        until(lambda: recorder.write(0.05) or min(recorder.recorded[topic] for topic in topics) > 9, 'ten images')
    # What was recorded says the same.
    process_bag(tmp_path / 'bag', tmp_path / 'out', rig=RIG, config=ProcessConfig(pipeline=pipeline))
    with BagReader(tmp_path / 'out') as reader:
        found = [bodies_from_cloud(message.decode()) for message in reader.messages(['/pose_node/bodies'])]
    check_bodies([bodies for bodies in found if len(bodies)][:5], w.cameras.sent_ns)


def test_images_are_drawn_only_while_somebody_looks(rig_path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []
    annotate = outputs.annotate
    monkeypatch.setattr(outputs, 'annotate', lambda frame, *rest: drawn.append(frame.camera) or annotate(frame, *rest))
    with world('compressed', rig_path=rig_path, annotated_max_side_px=200) as w:
        w.new_bodies(5)
        assert drawn == []
        got: list[Any] = []
        w.listen(CompressedImage, '/pose_node/annotated/cam2/compressed', got.append)
        until(lambda: len(got) >= 2, 'two images')
        assert set(drawn) == {'cam2'}
        frame = frame_from_message(got[0], 'cam2')
        assert frame.image.shape == (120, 160, 3)
        assert frame.stamp_ns in w.cameras.sent_ns
        # Joints are drawn where they are: half the size, so half the coordinates.
        x, y = (w.cameras.xy['cam2'][BODY17.index('left_wrist')] / 2.0).round().astype(int)
        assert frame.image[y, x].max() > 100


def test_clock_offsets_of_the_rig_file_make_sets(tmp_path: Path) -> None:
    rig = CameraRig(tuple(replace(c, clock=ClockModel(0.4 if c.name == 'cam1' else 0.0)) for c in RIG.cameras))
    (tmp_path / 'late.yaml').write_text(dump_rig(rig), encoding='utf-8')
    with world(
        'keypoints', rig_path=str(tmp_path / 'late.yaml'), before_start=lambda c: c.shift('cam1', 400_000_000)
    ) as w:
        w.new_bodies(10, views=4)
        until(lambda: w.values('pipeline').get('spread_ms p50') == '0.0', 'the stamps are corrected')
        assert w.statuses['camera cam1'].message == 'ok'


def test_qos_that_does_not_match_is_explained_while_it_lasts(rig_path: str) -> None:
    with world(
        'keypoints', rig_path=rig_path, camera_qos=profile(5, reliable=False), reliability='reliable'
    ) as w:
        w.reported('camera cam0', 'incompatible reliability', 'set reliability:=best_effort')
        assert w.bodies == []
        w.cameras.stop()
        for publisher in w.cameras._publishers.values():
            w.tester.destroy_publisher(publisher)
        until(lambda: 'reliability' not in w.statuses['camera cam0'].message, 'the fault is over')


def test_the_wrong_transport_is_explained(rig_path: str) -> None:
    with world('keypoints', rig_path=rig_path, keypoints_topic='{camera}/elsewhere') as w:
        w.reported('camera cam0', "no frame on '/cam0/elsewhere' yet", 'nobody publishes it')
    with world('raw', rig_path=rig_path, node_transport='compressed') as w:
        w.reported('camera cam0', "'/cam0/image_raw' is there: set transport:=raw")


def test_an_uncalibrated_camera_costs_only_itself(tell_transforms: Callable[[], None]) -> None:
    def mute(cameras: Cameras) -> None:
        cameras.info['cam1'] = lambda stamp_ns: None

    with world('compressed', cameras=list(RIG.names), before_start=mute) as w:
        console = Console(w)
        tell_transforms()
        check_bodies(w.new_bodies(3, views=3), w.cameras.sent_ns)
        console.says("Camera 'cam1': no camera_info came yet")
        assert w.reported('camera cam1', 'no camera_info came yet').level == b'\x02'
        right = partial(w.cameras.camera_info, 'cam1')
        for wrong, words in (
            ({'distortion_model': 'division'}, "camera_info: Unknown distortion model 'division'"),
            ({'k': np.zeros(9)}, 'camera_info has K = 0; the driver is uncalibrated. Calibrate it, give a '),
            ({'frame_id': 'cam0_optical_frame'}, "its camera_info names the same frame 'cam0_optical_frame' as that"),
        ):
            w.cameras.info['cam1'] = changed(right, **wrong)
            w.reported('rig', f"Camera 'cam1': {words}")
        check_bodies(w.new_bodies(3, views=3), w.cameras.sent_ns)
        # It gets calibrated while the node runs.
        w.cameras.info['cam1'] = right
        check_bodies(w.new_bodies(3, views=4), w.cameras.sent_ns)
        w.reported('rig', 'ok')


def test_drivers_that_leave_their_stamps_at_zero(rig_path: str) -> None:
    def stampless(cameras: Cameras) -> None:
        for name in RIG.names:
            cameras.behaviour[name] = lambda stamp_ns, name=name: cameras.compressed(name, 0)

    with world('compressed', rig_path=rig_path, before_start=stampless) as w:
        bodies = w.new_bodies(5, views=4)
        stamps = [b.stamp_ns for b in bodies]
        assert stamps == sorted(set(stamps))
        assert all(w.cameras.sent_ns[0] <= stamp <= time.time_ns() for stamp in stamps)
        status = w.reported('camera cam0', 'its stamps are 0; the time of arrival stands for them')
        assert status.level == b'\x01'


def test_single_topics_and_remapping(rig_path: str) -> None:
    """Cameras that publish elsewhere: one is named by itself, one remapped, under the compressed transport."""
    moved = {'cam0': '/front/rgb/image/compressed', 'cam1': '/side/picture/compressed'}

    def elsewhere(cameras: Cameras) -> None:
        for name, topic in moved.items():
            cameras._publishers[name] = cameras._node.create_publisher(CompressedImage, topic, profile(5))

    with world(
        'compressed', rig_path=rig_path, before_start=elsewhere, image_topics=['cam0=/front/rgb/image'],
        cli_args=['--ros-args', '-r', 'cam1/image_raw:=/side/picture'], hardware_id='left arm',
    ) as w:
        check_bodies(w.new_bodies(3, views=4), w.cameras.sent_ns)
        assert w.reported('camera cam0', 'ok').hardware_id == 'left arm'
        assert w.values('camera cam0')['topic'] == '/front/rgb/image/compressed'
        assert w.values('camera cam1')['topic'] == '/side/picture/compressed'
        assert w.values('camera cam2')['topic'] == '/cam2/image_raw/compressed'


def test_the_least_confidence_is_set_at_run_time(rig_path: str) -> None:
    with world('keypoints', rig_path=rig_path) as w:
        before = w.new_bodies(3, views=4)

        def doubtful(stamp_ns: int) -> Any:
            weak = Keypoints2D('cam3', stamp_ns, BODY17, w.cameras.xy['cam3'][None], np.full((1, 17), 0.5))
            return keypoints_to_cloud(MAKE, weak, RIG['cam3'].frame_id)

        w.cameras.behaviour['cam3'] = doubtful
        w.new_bodies(3, views=4)
        assert w.node.set_parameters([Parameter('pipeline.detector.min_confidence', value=0.6)])[0].successful
        after = w.new_bodies(3, views=3)
        assert {int(b.body_ids[0]) for b in before + after} == {0}


def test_another_node_shares_process_and_executor(rig_path: str) -> None:
    """examples/one_process.py's node beside pose_node, on its executor."""
    example = runpy.run_path(str(Path(__file__).parents[3] / 'examples' / 'one_process.py'))
    with world('keypoints', rig_path=rig_path) as w:
        nearest = example['Nearest']()
        w.executor.add_node(nearest)
        until(lambda: np.isfinite(nearest.distance_m), 'it hears of the person')
        assert nearest.distance_m == pytest.approx(np.linalg.norm(PERSON[0, :2]), abs=0.01)
        w.executor.remove_node(nearest)
        nearest.destroy_node()


def test_simulated_time_that_nobody_publishes_is_named(rig_path: str) -> None:
    """On the console and in /diagnostics, whose stamps and timers go on; bodies come at the images' own stamps."""
    with world('keypoints', rig_path=rig_path, use_sim_time=True) as w:
        console = Console(w)
        words = ('use_sim_time is set, and nobody publishes /clock', 'set use_sim_time:=false')
        assert w.reported('pipeline', *words).level == b'\x02'
        console.says(*words)
        assert w.new_bodies(2, views=4) and 'latency_ms p50' not in w.values('pipeline')
        clock = w.tester.create_publisher(Clock, '/clock', 1)
        w.reported('pipeline', 'use_sim_time is set, and /clock stands at 0')
        ticks = itertools.count(5)

        def run() -> str:
            clock.publish(Clock(clock=Time(sec=next(ticks))))
            return str(w.statuses['pipeline'].message)

        until(lambda: 'use_sim_time' not in run(), 'the clock runs')


def test_camera_info_that_was_sent_once_and_latched_is_received(tell_transforms: Callable[[], None]) -> None:
    """As a driver does that publishes it transient local at its start; then TF alone is missing."""
    kept = []

    def send_once(cameras: Cameras) -> None:
        cameras.info = dict.fromkeys(RIG.names, lambda stamp_ns: None)
        kept.append(cameras._node.create_publisher(CameraInfo, '/cam0/camera_info', profile(1, latched=True)))
        kept[0].publish(cameras.camera_info('cam0', 1))

    with world('keypoints', cameras=list(RIG.names), before_start=send_once) as w:
        w.reported('rig', "Camera 'cam0': No transform joins 'world'", "Camera 'cam1': no camera_info came yet")


def test_an_image_that_a_codec_cropped_is_used_and_said(rig_path: str) -> None:
    """The rule of bags and of the import: less than a block of the codec is a crop at the right."""
    with world('raw', rig_path=rig_path) as w:
        w.cameras.behaviour['cam2'] = lambda stamp_ns: w.cameras.raw('cam2', stamp_ns, width=312)
        status = w.reported('camera cam2', '312x240 px, its calibration is of 320x240; taken as a crop at the right')
        assert status.level == b'\x01'
        check_bodies(w.new_bodies(3, views=4), w.cameras.sent_ns)
