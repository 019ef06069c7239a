# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Windows of past poses at the lifter's own rate."""

import numpy as np

from geo_pose_ros.fusion.prior import BonePrior
from geo_pose_ros.lifting.lifter import PoseLifter
from geo_pose_ros.lifting.settings import LifterConfig
from geo_pose_ros.scene.body_lifter import BodyLifter, PoseHistory

from ..fusion.people import crowd, observe, ring

MS = 1_000_000


def pose(x: float, views: int = 2, confidence: float = 0.8) -> np.ndarray:
    """(C, 1, J, 3): all joints at x, x + 10 per view."""
    made = np.zeros((views, 1, 17, 3), np.float32)
    made[..., 0] = x + 10.0 * np.arange(views)[:, None, None]
    made[..., 2] = confidence
    return made


def remembered(history: PoseHistory, stamps_ms, xs, body: int = 5) -> PoseHistory:
    for stamp, x in zip(stamps_ms, xs, strict=True):
        history.remember(stamp * MS, np.array([body]), np.array([body]), pose(x))
    return history


def xs(windows: np.ndarray, view: int = 0, body: int = 0) -> list[float]:
    assert windows.dtype == np.float32
    return windows[view, body, :, 3, 0].tolist()


def test_a_new_body_repeats_its_first_pose():
    history = PoseHistory(5, 10.0)
    windows = history.windows(0, np.array([-1]), pose(3.0))
    assert windows.shape == (2, 1, 5, 17, 3)
    assert xs(windows) == [3.0] * 5 and xs(windows, view=1) == [13.0] * 5


def test_slower_and_uneven_sets_are_interpolated():
    history = remembered(PoseHistory(5, 10.0), (0, 250), (0.0, 5.0))
    found = xs(history.windows(400 * MS, np.array([5]), pose(8.0)))
    np.testing.assert_allclose(found, [0.0, 2.0, 4.0, 6.0, 8.0], atol=1e-5)


def test_a_joint_that_one_neighbour_did_not_see_is_taken_from_the_nearer():
    history = PoseHistory(4, 10.0)
    hidden = pose(0.0)
    hidden[:, :, 3] = 0.0
    history.remember(0, np.array([5]), np.array([5]), hidden)
    windows = history.windows(300 * MS, np.array([5]), pose(9.0))
    assert windows[0, 0, :, 3, 2].tolist() == np.float32([0.0, 0.0, 0.8, 0.8]).tolist()
    assert xs(windows) == [0.0, 0.0, 9.0, 9.0]
    np.testing.assert_allclose(windows[0, 0, :, 4, 0], [0.0, 3.0, 6.0, 9.0], atol=1e-5)


def test_bodies_do_not_mix_and_gone_ones_are_forgotten():
    history = PoseHistory(3, 10.0)
    both = np.concatenate((pose(1.0), pose(2.0)), 1)
    history.remember(0, np.array([5, 6]), np.array([5, 6]), both)
    windows = history.windows(200 * MS, np.array([6, 5]), np.concatenate((pose(4.0), pose(3.0)), 1))
    assert xs(windows, body=0) == [2.0, 3.0, 4.0] and xs(windows, body=1) == [1.0, 2.0, 3.0]
    history.remember(100 * MS, np.array([6]), np.array([6]), pose(3.0))
    assert xs(history.windows(200 * MS, np.array([5]), pose(9.0))) == [9.0] * 3
    assert xs(history.windows(200 * MS, np.array([6]), pose(9.0))) == [2.0, 3.0, 9.0]


def test_only_what_a_window_needs_is_kept_and_time_that_runs_back_starts_anew():
    history = remembered(PoseHistory(3, 10.0), range(0, 5000, 100), range(50))
    stamps, poses = history._past[5]
    assert [s // MS for s in stamps] == [4700, 4800, 4900] and len(poses) == 3
    history.remember(0, np.array([5]), np.array([5]), pose(7.0))
    assert xs(history.windows(100 * MS, np.array([5]), pose(8.0))) == [7.0, 7.0, 8.0]


def test_poses_are_as_large_as_the_bones_that_are_known_to_a_few_per_cent(monkeypatch):
    cameras = ring(2)
    seen = observe(cameras, crowd(1)).detections.gather(np.array([[0, 1]]))
    poses = cameras.cam_from_world
    centres = -(poses[:, :, :3].swapaxes(-1, -2) @ poses[:, :, 3:])[..., 0]
    lifter = PoseLifter(LifterConfig())

    def root_depth(bones: BonePrior | None, floor: bool = False) -> np.ndarray:
        lengths_m = None if bones is None else bones.sure_lengths()
        lifted = BodyLifter(lifter, LifterConfig(), floor).lift(0, cameras, seen, np.array([5]), lengths_m)
        return np.linalg.norm(lifted.root[:, 0] - centres, axis=-1)

    length = np.full((1, 16), 0.3)
    sure, unsure = (BonePrior(length, (part * length) ** 2) for part in (0.05, 0.2))
    larger = BonePrior(1.2 * length, (0.05 * length) ** 2)
    # The rest is the lifter's word.
    np.testing.assert_allclose(root_depth(larger), 1.2**0.719101 * root_depth(sure), rtol=1e-5)
    np.testing.assert_allclose(root_depth(unsure), root_depth(None))
    # What the rig says of its floor is used without a setting.
    lift, heights_m = lifter.lift, []
    monkeypatch.setattr(lifter, 'lift', lambda *x, height_m, **y: heights_m.append(height_m) or lift(*x, **y))
    root_depth(None)
    root_depth(None, floor=True)
    assert heights_m[0] is None
    np.testing.assert_allclose(heights_m[1][:, 0], centres[:, 2])
    lifter.close()
