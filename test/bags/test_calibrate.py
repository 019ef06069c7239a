# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose calibrate`: a bag in, a rig file and a report out."""

import json

import numpy as np
import pytest

from geo_pose_ros.bags.calibrate import rig_with_intrinsics
from geo_pose_ros.bags.cameras import choose_cameras
from geo_pose_ros.bags.message_factory import RosbagsFactory
from geo_pose_ros.bags.read import BagReader
from geo_pose_ros.bags.write import BagWriter
from geo_pose_ros.cli import main
from geo_pose_ros.errors import BagError, CalibrationError
from geo_pose_ros.messages.camera_info import camera_info_from_intrinsics
from geo_pose_ros.rigs.files import read_calibration
from geo_pose_ros.rigs.rig_file import dump_rig

from ..calibration.walking import START_NS, images, perturbed, pose_errors, walk
from ..scenes import ring_rig

TRUTH = ring_rig(3)
START = perturbed(TRUTH, 1.5, 0.04)


def write_bag(path, motion=None, *, seen=None, rig=START, transforms=True, infos=True, calibrated=True):
    make = RosbagsFactory()
    seen = images(TRUTH, [motion], noise_px=1.5) if seen is None else seen
    with BagWriter(path) as writer:
        if transforms:
            writer.write_transforms(rig, START_NS)
        for camera in rig.cameras:
            if infos:
                info = camera_info_from_intrinsics(make, camera.intrinsics, START_NS, camera.frame_id)
                if not calibrated:
                    info.k = np.zeros(9)
                writer.write(f'/{camera.name}/camera_info', info, START_NS)
            for found in seen[camera.name]:
                writer.write_keypoints(found, camera.frame_id)
    return path


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    return write_bag(tmp_path_factory.mktemp('calibrate') / 'bag', walk(8.0))


def test_refine(bag, tmp_path, capsys):
    out, report = tmp_path / 'rig.yaml', tmp_path / 'report'
    assert main(['calibrate', str(bag), '--out', str(out), '--report', str(report), '--set', 'instants=40']) == 0
    turns, moves, _ = pose_errors(read_calibration(out), TRUTH)
    assert turns.max() < 0.15
    assert moves.max() < 10.0
    tree = json.loads((report / 'report.json').read_text())
    assert tree['score_px']['after'] < tree['score_px']['before']
    assert {path.name for path in report.iterdir()} == {'report.json', 'residuals.png', 'above.png', 'index.html'}
    said = capsys.readouterr().out
    assert 'cam2: ' in said
    assert 'rig.yaml: 3 cameras' in said
    assert main(['calibrate', str(bag), '--out', str(out)]) == 2
    assert 'exists already' in capsys.readouterr().err


def test_two_bags_of_one_rig(tmp_path, capsys):
    """Each alone is too short."""
    bags = [str(write_bag(tmp_path / f'bag{seed}', walk(4.0, seed=seed))) for seed in (1, 2)]
    out = tmp_path / 'rig.yaml'
    assert main(['calibrate', bags[0], '--out', str(out), '--set', 'instants=40']) == 2
    assert 's of people seen by two cameras, expected 5 or more' in capsys.readouterr().err
    assert main(['calibrate', *bags, '--out', str(out), '--set', 'instants=40']) == 0
    turns, moves, _ = pose_errors(read_calibration(out), TRUTH)
    assert turns.max() < 0.25
    assert moves.max() < 15.0


def test_from_scratch_uses_no_transforms(tmp_path):
    bag = write_bag(tmp_path / 'bag', walk(8.0), transforms=False)
    words = ['calibrate', str(bag), '--out', str(tmp_path / 'rig.toml'), '--from-scratch', '--set', 'instants=40']
    assert main([*words, '--distance', 'cam0', 'cam1', '7.0']) == 0
    found = read_calibration(tmp_path / 'rig.toml')
    assert np.linalg.norm(found['cam0'].position_m - found['cam1'].position_m) == pytest.approx(7.0)
    assert pose_errors(found, TRUTH)[0].max() < 0.25


def test_a_refusal_has_a_report(bag, tmp_path, capsys):
    """The true rig cannot be bettered by much; one that is worse on what was kept aside is not written."""
    K = TRUTH.cameras[0].intrinsics.K * ((1.25,), (1.25,), (1.0,))
    text = dump_rig(START).replace(str(TRUTH.cameras[0].intrinsics.K[0, 0]), str(K[0, 0]), 1)
    (tmp_path / 'start.yaml').write_text(text)
    words = ['calibrate', str(bag), '--out', str(tmp_path / 'rig.yaml'), '--rig', str(tmp_path / 'start.yaml')]
    assert main([*words, '--report', str(tmp_path / 'report'), '--set', 'instants=40']) == 2
    streams = capsys.readouterr()
    assert 'No rig is written' in streams.err
    assert 'index.html says what was found' in streams.out
    assert 'Refused' in (tmp_path / 'report' / 'index.html').read_text()
    assert not (tmp_path / 'rig.yaml').exists()


@pytest.mark.parametrize(
    ('flags', 'message'),
    [
        (['--stature', '9'], '--stature: received 9.0, expected 0.5 to 2.5 m'),
        (['--distance', 'cam0', 'cam1', 'far'], '--distance: received cam0 cam1 far'),
        (['--distance', 'cam0', 'cam0', '2'], 'expected two cameras and metres'),
        (['--focal-guess', '0'], '--focal-guess: received 0.0'),
        (['--keep-world', 'cam0'], '--keep-world needs --from-scratch, and --rig'),
        (['--max-offset', '0'], '--max-offset: received 0.0'),
        (['--cameras', 'cam0'], r'one camera (cam0)'),
        (['--cameras', 'cam9'], 'no camera cam9'),
        (['--set', 'instants=3'], "Parameter 'instants': received 3"),
    ],
)
def test_wrong_flags(bag, tmp_path, capsys, flags, message):
    assert main(['calibrate', str(bag), '--out', str(tmp_path / 'rig.yaml'), *flags]) == 2
    assert message in capsys.readouterr().err


def test_focal_guess_for_uncalibrated_cameras(tmp_path):
    bag = write_bag(tmp_path / 'bag', walk(2.0), transforms=False, calibrated=False)
    with BagReader(bag) as reader:
        rig = rig_with_intrinsics(reader, choose_cameras(reader), 0.7)
        lens = rig.cameras[0].intrinsics
        assert (lens.K[0, 0], lens.K[0, 2], lens.K[1, 2]) == (0.7 * 1280, 639.5, 479.5)
        with pytest.raises(CalibrationError, match=r'K = 0.*--focal-guess'):
            rig_with_intrinsics(reader, choose_cameras(reader), None)
    bare = write_bag(tmp_path / 'bare', walk(2.0), transforms=False, infos=False)
    with BagReader(bare) as reader, pytest.raises(BagError, match='no camera_info of cam0'):
        rig_with_intrinsics(reader, choose_cameras(reader), 0.7)
