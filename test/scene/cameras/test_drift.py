# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Which camera was moved: named, not the one opposite, and right again when it is."""

import numpy as np
import pytest

from geo_pose_ros.scene.cameras.drift import DriftDetector
from geo_pose_ros.scene.settings import CameraStateConfig

from ...fusion.people import FOCAL_PX, ring

DT_S = 0.1


class Rig:
    """Cameras that people walk before; ``shift`` (C, 2) px is what each is turned by."""

    def __init__(self, cameras: int, usual_px: float = 0.0) -> None:
        self.rng = np.random.default_rng(cameras)
        self.cameras = ring(cameras)
        self.usual = usual_px * self.rng.standard_normal((cameras, 2)) / FOCAL_PX
        self.drift = DriftDetector(np.full(cameras, FOCAL_PX), CameraStateConfig())

    def run(self, seconds: float, turned: int | None = None, pixels: float = 0.0) -> list[float]:
        """Return from when on, s, each camera was reported as moved (inf: never)."""
        count = len(self.cameras)
        shift = self.usual.copy()
        if turned is not None:
            shift[turned] += pixels / FOCAL_PX * np.array([0.8, 0.6])
        since = np.full(count, np.inf)
        self.ever = np.zeros(count, bool)
        for k in range(round(seconds / DT_S)):
            place = np.append(self.rng.uniform(-1.5, 1.5, 2), 1.0)[None]
            noisy = shift + self.rng.normal(0.0, 0.5 / FOCAL_PX, shift.shape)
            # The body goes where the views fit best, as the solver would put it.
            local = self.cameras.see(place[:, None])[:, 0, 0]
            R = self.cameras.cam_from_world[:, :, :3]
            depth = local[:, 2, None, None]
            jacobian = ((R[:, :2] - local[:, :2, None] / depth * R[:, 2:]) / depth).reshape(-1, 3)
            moved = np.linalg.lstsq(jacobian, noisy.ravel(), rcond=None)[0]
            residual = (noisy.ravel() - jacobian @ moved).reshape(count, 1, 2)
            self.drift.learn(self.cameras.cam_from_world, place, residual, np.full((count, 1), 1e5), DT_S)
            self.ever |= self.drift.moved
            since = np.where(self.drift.moved, np.minimum(since, k * DT_S), np.inf)
        return since.tolist()


@pytest.mark.parametrize('cameras', [3, 4, 6, 12])
@pytest.mark.parametrize('pixels', [5.0, 100.0, 400.0])
def test_a_camera_that_is_knocked_is_named_alone_and_comes_back(cameras, pixels):
    rig = Rig(cameras, usual_px=2.0)
    assert rig.run(20.0) == [np.inf] * cameras
    named = rig.run(6.0, turned=1, pixels=pixels)
    assert named[1] < 5.0
    assert np.isinf(np.delete(named, 1)).all()
    if cameras > 3:
        found_px = np.hypot(*rig.drift.error[1]) * FOCAL_PX
        assert found_px == pytest.approx(pixels, rel=0.3)
    # Nor is another while its shift comes or goes.
    assert rig.ever.tolist() == [camera == 1 for camera in range(cameras)]
    assert rig.run(10.0) == [np.inf] * cameras
    assert not np.delete(rig.ever, 1).any()


def test_a_camera_that_was_wrong_from_the_beginning_is_named_where_it_is_far_off():
    rig = Rig(6)
    assert np.isinf(rig.run(1.9, turned=2, pixels=15.0)).all()
    rig = Rig(6)
    named = rig.run(1.9, turned=2, pixels=40.0)
    assert named[2] < 1.9 and np.isinf(np.delete(named, 2)).all()


def test_of_two_cameras_nobody_can_say_which_was_turned():
    rig = Rig(2)
    rig.run(10.0)
    assert np.isinf(rig.run(10.0, turned=0, pixels=100.0)).all()
    assert not rig.drift.error.any()


def test_views_of_nobody_say_nothing():
    rig = Rig(4)
    rig.run(10.0)
    before, poses = rig.drift.error.copy(), rig.cameras.cam_from_world
    for _ in range(50):
        rig.drift.learn(poses, np.full((1, 3), np.nan), np.full((4, 1, 2), 0.1), np.full((4, 1), 1e5), DT_S)
        rig.drift.learn(poses, np.zeros((1, 3)), np.full((4, 1, 2), np.nan), np.full((4, 1), 1e5), DT_S)
    np.testing.assert_array_equal(rig.drift.error, before)
    assert not rig.drift.moved.any()
