"""The demo's own arithmetic and figures, on a synthetic bag; the live part is `make demo`."""

import json
import re
from dataclasses import replace

import cv2
import numpy as np
import pytest

from geo_pose_ros.bags.message_factory import RosbagsFactory
from geo_pose_ros.bags.write import BagWriter
from geo_pose_ros.demo import run
from geo_pose_ros.demo.live import Material
from geo_pose_ros.demo.run import Played, draw, summarise
from geo_pose_ros.demo.summary import drops, latency_ms, read_diagnostics, read_observations, stage_ms
from geo_pose_ros.errors import BagError
from geo_pose_ros.messages.camera_info import camera_info_from_intrinsics
from geo_pose_ros.messages.clouds.bodies import bodies_to_cloud
from geo_pose_ros.messages.clouds.keypoints import keypoints_to_cloud
from geo_pose_ros.messages.image import compressed_from_frame
from geo_pose_ros.messages.stamps import to_header
from geo_pose_ros.messages.transforms import rig_to_transforms
from geo_pose_ros.pipeline import PosePipeline
from geo_pose_ros.types import Frame

from ..scenes import HEIGHT, WIDTH, keypoints, person, ring_rig

MAKE = RosbagsFactory()
RIG = ring_rig(2)
START_NS, PERIOD_NS, LATENCY_NS = 1_000_000_000, 50_000_000, 30_000_000
PLAYED_NS = 77_000_000_000
SETS = 6


def status(name, values):
    pairs = [MAKE('diagnostic_msgs/msg/KeyValue', key=k, value=v) for k, v in values.items()]
    return MAKE('diagnostic_msgs/msg/DiagnosticStatus', name=f'pose_node: {name}', values=pairs)


@pytest.fixture
def footage(tmp_path):
    """Grey images that get brighter from set to set, so that a frame tells when it is from."""
    path = tmp_path / 'footage'
    with BagWriter(path) as writer:
        writer.write('/tf_static', rig_to_transforms(MAKE, RIG, START_NS), START_NS)
        for i in range(SETS):
            stamp = START_NS + i * PERIOD_NS
            for camera in RIG.cameras:
                info = camera_info_from_intrinsics(MAKE, camera.intrinsics, stamp, camera.frame_id)
                writer.write(f'/{camera.name}/camera_info', info, stamp)
                image = np.full((HEIGHT, WIDTH, 3), 40 * i, np.uint8)
                message = compressed_from_frame(MAKE, Frame(camera.name, stamp, image), camera.frame_id)
                writer.write(f'/{camera.name}/image_raw/compressed', message, stamp)
    return path


@pytest.fixture
def recording(tmp_path):
    """What a node would have published of the footage played twice from PLAYED_NS on."""
    path = tmp_path / 'recording'
    with BagWriter(path) as writer, PosePipeline(RIG) as pipeline:
        for i in range(2 * SETS):
            stamp = PLAYED_NS + i * PERIOD_NS
            seen = keypoints(RIG, [person()], stamp)
            bodies = bodies_to_cloud(MAKE, pipeline.fuse(stamp, seen).bodies)
            writer.write('/pose_node/bodies', bodies, stamp + LATENCY_NS)
            for name, k in seen.items():
                writer.write(f'/pose_node/keypoints/{name}', keypoints_to_cloud(MAKE, k, name), stamp + LATENCY_NS)
        for n in ('1', '7'):
            statuses = [
                status('pipeline', {'sets superseded': n, 'stage_ms solve': '1.25', 'rate_hz': '9'}),
                status('camera cam0', {'dropped: too late': n, 'unusable: JPEG is truncated': '2', 'age_s': '0'}),
            ]
            header = to_header(MAKE, 0, '')
            message = MAKE('diagnostic_msgs/msg/DiagnosticArray', header=header, status=statuses)
            writer.write('/diagnostics', message, PLAYED_NS + 10**9 * int(n))
    return path


def material(path):
    return Material(path, RIG, ('/cam0/image_raw/compressed',), START_NS)


def test_published_stamps_lead_back_into_the_bag():
    times = Played(PLAYED_NS, SETS * PERIOD_NS, START_NS)
    assert times.bag_stamp_ns(PLAYED_NS + 2 * PERIOD_NS) == START_NS + 2 * PERIOD_NS
    assert times.bag_stamp_ns(PLAYED_NS + (SETS + 2) * PERIOD_NS) == START_NS + 2 * PERIOD_NS


def test_diagnostics_become_numbers(recording):
    found = read_diagnostics(recording)
    assert drops(found) == {'sets': {'superseded': 7}, 'camera cam0': {'too late': 7, 'JPEG is truncated': 2}}
    assert stage_ms(found) == {'solve': 1.25}
    assert latency_ms(recording) == {'p50': 30.0, 'p95': 30.0}


def test_summary_has_every_figure(recording):
    observations = read_observations(recording)
    played = {'published': {'/cam0/image_raw/compressed': 2 * SETS, '/cam1/image_raw/compressed': 2 * SETS - 1}}
    summary = summarise(recording, RIG, observations, played)
    assert summary['sets_in'] == 2 * SETS
    assert summary['sets_published'] == 2 * SETS
    assert summary['rate_hz'] == 20.0
    assert summary['reprojection_px']['median'] < 2.0
    assert set(summary) >= {'drops', 'latency_ms', 'stage_ms', 'leave_one_out_px', 'bone_length_cv'}
    json.dumps(summary)


def test_figures_show_the_frame_of_the_stamp(recording, footage, tmp_path):
    observations = read_observations(recording)
    draw(tmp_path, material(footage), observations, Played(PLAYED_NS, SETS * PERIOD_NS, START_NS))
    # The set half-way through a loop.
    expected = 40 * (SETS // 2)
    overlay = cv2.imread(str(tmp_path / 'overlay.png'))
    assert overlay.shape == (900, 2400, 3)
    assert abs(int(np.median(overlay)) - expected) <= 2
    video = cv2.VideoCapture(str(tmp_path / 'overlay.mp4'))
    assert int(video.get(cv2.CAP_PROP_FRAME_COUNT)) == 2 * SETS
    assert (tmp_path / 'bodies.png').stat().st_size > 10_000


def test_nothing_to_draw_is_an_error(footage, tmp_path):
    with pytest.raises(BagError, match='published no body seen by all cameras'):
        draw(tmp_path, material(footage), [], Played(0, 1, 0))


def test_all_is_recorded_but_images():
    names = ('/pose_node/bodies', '/pose_node/keypoints/cam01', '/diagnostics', '/pose_node/annotated/cam01/compressed')
    assert [bool(re.fullmatch(run.RECORDED, name)) for name in names] == [True, True, True, False]


def test_a_frame_is_found_for_each_camera_and_loop(recording, footage):
    """Cameras with stamps of their own, and two loops that meet the same image a little apart."""
    times = Played(PLAYED_NS, SETS * PERIOD_NS, START_NS)
    one = read_observations(recording)[2]
    shown = [
        replace(one, stamp_ns=one.stamp_ns + loop * times.loop_ns + late, keypoints={
            name: replace(k, stamp_ns=k.stamp_ns + loop * times.loop_ns + late + (name == 'cam1') * PERIOD_NS)
            for name, k in one.keypoints.items()
        }) for loop, late in ((0, 0), (1, 2_000_000))
    ]
    frames = run.frames_of(material(footage), shown, times)
    seen = {key: round(float(frame.image.mean()) / 40.0) for key, frame in frames.items()}
    assert seen == {(name, s.keypoints[name].stamp_ns): 2 + (name == 'cam1') for s in shown for name in RIG.names}
