"""The demo's own arithmetic and pictures, on a synthetic bag; the live part is `make demo`."""

import json
import re
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from geo_pose_ros.bags.message_factory import RosbagsFactory
from geo_pose_ros.bags.write import BagWriter
from geo_pose_ros.demo import run
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
    """Grey pictures that get brighter from set to set, so that a frame tells when it is from."""
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


def test_published_stamps_lead_back_into_the_bag():
    times = Played(PLAYED_NS, SETS * PERIOD_NS, START_NS)
    assert times.bag_stamp_ns(PLAYED_NS + 2 * PERIOD_NS) == START_NS + 2 * PERIOD_NS
    assert times.bag_stamp_ns(PLAYED_NS + (SETS + 2) * PERIOD_NS) == START_NS + 2 * PERIOD_NS


def test_diagnostics_become_numbers(recording):
    found = read_diagnostics(recording)
    assert drops(found) == {'sets': {'superseded': 7}, 'camera cam0': {'too late': 7, 'JPEG is truncated': 2}}
    assert stage_ms(found) == {'solve': 1.25}
    assert latency_ms(recording, '/pose_node/bodies') == {'p50': 30.0, 'p95': 30.0}


def test_summary_has_every_figure(recording):
    observations = read_observations(recording, '/pose_node/bodies')
    played = {'published': {'/cam0/image_raw/compressed': 2 * SETS, '/cam1/image_raw/compressed': 2 * SETS - 1}}
    summary = summarise(recording, RIG, observations, played)
    assert summary['frame_sets_in'] == 2 * SETS
    assert summary['frame_sets_published'] == 2 * SETS
    assert summary['rate_hz'] == 20.0
    assert summary['reprojection_px']['median'] < 2.0
    assert set(summary) >= {'drops', 'latency_ms', 'stage_ms', 'leave_one_out_px', 'bone_length_cv'}
    json.dumps(summary)


def test_pictures_show_the_frame_of_the_stamp(recording, footage, tmp_path):
    observations = read_observations(recording, '/pose_node/bodies')
    draw(tmp_path, footage, RIG, observations, Played(PLAYED_NS, SETS * PERIOD_NS, START_NS))
    # The set half-way through a loop.
    expected = 40 * (SETS // 2)
    picture = cv2.imread(str(tmp_path / 'overlay.png'))
    assert picture.shape == (900, 2400, 3)
    assert abs(int(np.median(picture)) - expected) <= 2
    video = cv2.VideoCapture(str(tmp_path / 'overlay.mp4'))
    assert int(video.get(cv2.CAP_PROP_FRAME_COUNT)) == 2 * SETS
    assert (tmp_path / 'bodies.png').stat().st_size > 10_000


def test_nothing_to_draw_is_an_error(footage, tmp_path):
    with pytest.raises(BagError, match='published no body seen by all cameras'):
        draw(tmp_path, footage, RIG, [], Played(0, 1, 0))


def material(path):
    return run.Material(path, RIG, ('/cam0/image_raw/compressed',), START_NS)


def test_all_is_recorded_but_pictures():
    names = ('/pose_node/bodies', '/pose_node/keypoints/cam01', '/diagnostics', '/pose_node/annotated/cam01/compressed')
    assert [bool(re.fullmatch(run.RECORDED, name)) for name in names] == [True, True, True, False]


def test_a_part_that_ends_early_is_named_with_its_last_words(tmp_path, monkeypatch):
    def command(part):
        code = {'record': 'import signal; signal.pause()', 'node': 'raise SystemExit("rig is wrong")'}
        return [run.sys.executable, '-c', code.get(part, 'import time; time.sleep(60)')]

    monkeypatch.setattr(run, 'geo_pose', command)
    with pytest.raises(BagError, match=r'pose_node ended with status 1: rig is wrong \(all of it in .*pose_node.log'):
        run.run_live(tmp_path, material(tmp_path), 1)


def test_a_player_that_fails_is_named(tmp_path, monkeypatch):
    def command(part):
        code = 'raise SystemExit("no such bag")' if part == 'play' else 'import signal; signal.pause()'
        return [run.sys.executable, '-c', code]

    monkeypatch.setattr(run, 'geo_pose', command)
    with pytest.raises(BagError, match='play ended with status 1: no such bag'):
        run.run_live(tmp_path, material(tmp_path), 1)


def test_the_node_can_be_watched_while_the_bag_is_played(tmp_path, monkeypatch):
    def command(part):
        code = 'import signal; signal.pause()'
        if part == 'play':
            code = (
                'import sys, time; time.sleep(0.5); '
                'open(sys.argv[sys.argv.index("--report") + 1], "w").write(\'{"loop_ns": 7}\')'
            )
        return [run.sys.executable, '-c', code, part]

    monkeypatch.setattr(run, 'geo_pose', command)
    monkeypatch.setattr(run, '_LAST_DIAGNOSTICS_S', 0.0)
    commands = set()

    def watch(pid):
        commands.add(Path(f'/proc/{pid}/cmdline').read_bytes().split(b'\0')[3])

    assert run.run_live(tmp_path, material(tmp_path), 1, watch) == {'loop_ns': 7}
    assert commands == {b'node'}


def with_viewer(monkeypatch, viewer):
    """Let the parts of a run be programs that wait, the player half a second, and the viewer this one."""
    def command(part):
        play = 'import sys, time; time.sleep(0.5); open(sys.argv[sys.argv.index("--report") + 1], "w").write("{}")'
        code = {'play': play, 'view': viewer}.get(part, 'import signal; signal.pause()')
        return [run.sys.executable, '-c', code, part]

    monkeypatch.setattr(run, 'geo_pose', command)
    monkeypatch.setattr(run, '_LAST_DIAGNOSTICS_S', 0.0)


def test_the_viewer_says_where_it_is_and_ends_with_the_demo(tmp_path, monkeypatch, capsys):
    code = 'import os, sys, signal; print("Look at http://x:1", os.getpid(), sys.argv[2:], flush=True); signal.pause()'
    with_viewer(monkeypatch, code)
    run.run_live(tmp_path, material(tmp_path), 1, view=True)
    said = capsys.readouterr().out
    assert "--live" in said and f"{tmp_path / 'rig.yaml'}" in said
    pid = int(re.search(r'http://x:1 (\d+)', said)[1])
    with pytest.raises(ProcessLookupError):
        run.os.kill(pid, 0)


def test_a_viewer_that_does_not_start_is_named(tmp_path, monkeypatch):
    with_viewer(monkeypatch, 'raise SystemExit("viser is missing")')
    with pytest.raises(BagError, match=r'The viewer did not start: viser is missing \(all of it in .*view.log'):
        run.run_live(tmp_path, material(tmp_path), 1, view=True)


def test_a_picture_is_found_for_each_camera_and_loop(recording, footage):
    """Cameras with stamps of their own, and two loops that meet the same picture a little apart."""
    times = Played(PLAYED_NS, SETS * PERIOD_NS, START_NS)
    one = read_observations(recording, '/pose_node/bodies')[2]
    shown = [
        replace(one, stamp_ns=one.stamp_ns + loop * times.loop_ns + late, keypoints={
            name: replace(k, stamp_ns=k.stamp_ns + loop * times.loop_ns + late + (name == 'cam1') * PERIOD_NS)
            for name, k in one.keypoints.items()
        }) for loop, late in ((0, 0), (1, 2_000_000))
    ]
    frames = run._pictures(footage, RIG, shown, times)
    seen = {key: round(float(frame.image.mean()) / 40.0) for key, frame in frames.items()}
    assert seen == {(name, s.keypoints[name].stamp_ns): 2 + (name == 'cam1') for s in shown for name in RIG.names}
