"""`geo_pose calibrate` over bags that cannot give a rig, or not the easy way: a reason and no file, or a right rig."""

from dataclasses import replace

import numpy as np
import pytest

from geo_pose_ros.cli import main
from geo_pose_ros.rigs.files import read_calibration
from geo_pose_ros.skeleton import BODY17, COCO17
from geo_pose_ros.types import CameraRig, Keypoints2D

from ..calibration.walking import pictures, pose_errors, walk
from ..scenes import STANDING
from .test_calibrate import START, TRUTH, write_bag

NAMES = TRUTH.names


def walked(**changes):
    return pictures(TRUTH, [walk(10.0)], noise_px=1.0, **changes)


def calibrated(tmp_path, seen, rig=START):
    """Return the exit status and the rig written, None without one."""
    bag, out = write_bag(tmp_path / 'bag', seen=seen, rig=rig), tmp_path / 'rig.yaml'
    status = main(['calibrate', str(bag), '--out', str(out), '--instants', '80'])
    return status, read_calibration(out) if out.exists() else None


def nobody():
    return {
        name: [Keypoints2D.empty(name, k.stamp_ns, BODY17) for k in seen] for name, seen in walked().items()
    }


def one_frame():
    return {name: seen[:1] for name, seen in walked().items()}


def never_together():
    early = np.arange(200)[None] < 95
    return walked(seen_by={'cam0': early, 'cam1': early, 'cam2': ~early})


def jumping_stamps():
    seen = walked()
    jumped = [k if i < 100 else replace(k, stamp_ns=k.stamp_ns + 400_000_000) for i, k in enumerate(seen['cam1'])]
    return {**seen, 'cam1': jumped}


def standing():
    return pictures(TRUTH, [np.repeat(STANDING[None], 150, 0)], noise_px=3.0)


def another_walk_in_one_camera():
    """A recording of other people under one camera's name."""
    return {**walked(), 'cam1': pictures(TRUTH, [walk(10.0, seed=7)], noise_px=1.0)['cam1']}


def shuffled_joints_in_one_camera():
    """Keypoints of a skeleton that is not the one they are called by."""
    seen, order = walked(), np.random.default_rng(5).permutation(len(BODY17))
    shuffled = [replace(k, xy=k.xy[:, order], confidence=k.confidence[:, order]) for k in seen['cam1']]
    return {**seen, 'cam1': shuffled}


def with_focal(factor):
    camera = START['cam1']
    K = camera.intrinsics.K * ((factor,), (factor,), (1.0,))
    K[:2, 2] = camera.intrinsics.K[:2, 2]
    wrong = replace(camera, intrinsics=replace(camera.intrinsics, K=K))
    return CameraRig(tuple(wrong if c.name == 'cam1' else c for c in START.cameras))


def mirrored():
    """The guess of somebody who took the file's y for the other one; rotations are right-handed all the same."""
    cameras = []
    for camera in TRUTH.cameras:
        R = camera.cam_from_world[:, :3] @ np.diag((-1.0, -1.0, 1.0)) @ np.diag((1.0, -1.0, -1.0))
        place = camera.position_m * (1.0, -1.0, 1.0)
        cameras.append(replace(camera, cam_from_world=np.column_stack([R, -R @ place])))
    return CameraRig(tuple(cameras))


@pytest.mark.parametrize(
    ('make', 'rig', 'reason'),
    [
        (nobody, START, 'No person is seen for a few pictures on end by cam0, cam1, cam2'),
        (one_frame, START, 'No person is seen for a few pictures on end by cam0, cam1, cam2'),
        (never_together, START, "Camera 'cam2' shares 0 instants of a person with other cameras"),
        (standing, START, "Camera 'cam0' saw 1 clearly different poses"),
        (jumping_stamps, START, "the clock of camera 'cam1' jumps"),
        (walked, with_focal(1.2), "the focal length of 'cam1'"),
        (walked, START.subset(('cam0',)), 'one camera (cam0)'),
        (another_walk_in_one_camera, START, ''),
        (shuffled_joints_in_one_camera, START, ''),
        (walked, mirrored(), ''),
    ],
    ids=['nobody', 'one frame', 'no overlap', 'standing', 'stamps that jump', 'focal + 20 %', 'one camera',
         'another recording', 'another skeleton under this name', 'mirrored'],
)
def test_a_reason_and_no_file(tmp_path, capsys, make, rig, reason):
    status, written = calibrated(tmp_path, make(), rig)
    said = capsys.readouterr().err
    assert status == 1
    assert written is None
    assert said.strip()
    assert reason in said


def of_coco():
    where = [BODY17.index(name if name in BODY17.joint_names else 'head') for name in COCO17.joint_names]
    return {
        name: [Keypoints2D(name, k.stamp_ns, COCO17, k.xy[:, where], k.confidence[:, where]) for k in seen]
        for name, seen in walked().items()
    }


def exchanged():
    """Two people whose places in one camera's list are exchanged halfway: order is not identity."""
    seen = pictures(TRUTH, [walk(10.0, seed=3), walk(10.0, seed=4)], noise_px=1.0)
    half = len(seen['cam2']) // 2
    seen['cam2'][half:] = [replace(k, xy=k.xy[::-1], confidence=k.confidence[::-1]) for k in seen['cam2'][half:]]
    return seen


@pytest.mark.parametrize('make', [of_coco, exchanged], ids=['COCO', 'exchanged people'])
def test_a_right_rig(tmp_path, make):
    status, rig = calibrated(tmp_path, make())
    assert status == 0
    turns, shifts, _ = pose_errors(rig, TRUTH)
    assert turns.max() < 0.2
    assert shifts.max() < 15.0
