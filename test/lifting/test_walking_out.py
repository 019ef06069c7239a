# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Somebody walks out of the picture of the only camera that sees them: where they are said to be, to the last joint."""

from __future__ import annotations

import numpy as np
import pytest

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.geometry.projection import project_world
from geo_pose_ros.geometry.stats import INSIDE_95, distance2
from geo_pose_ros.lifting.settings import LifterConfig
from geo_pose_ros.pipeline import PosePipeline
from geo_pose_ros.scene.settings import PipelineConfig
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Keypoints2D
from test.scenes import ring_rig
from test.training.people import moving_person

_SETS, _PERIOD_NS, _ALONE_FROM = 55, 66_666_667, 15
_SPEED_M_S = 1.5
# Sizes about the lifter's guess, as people differ.
_SIZES = (0.94, 0.97, 1.0, 1.03, 1.06)


def _walk(seed: int, size: float) -> FloatArray:
    """Return a person (F, 17, 3) who stays for a second and then goes to the first camera's left or right."""
    truth = size * moving_person(2 * _SETS, seed)[::2]
    truth -= truth[:, :1] * (1.0, 1.0, 0.0)
    aside = ring_rig(3).cameras[0].cam_from_world[0, :3] * (1.0, 1.0, 0.0)
    aside *= (-1.0) ** seed / np.linalg.norm(aside)
    later_s = np.maximum(np.arange(_SETS) * _PERIOD_NS * 1e-9 - 1.0, 0.0)
    return truth + _SPEED_M_S * later_s[:, None, None] * aside


def _followed(seed: int, size: float, *, floor: bool, together: bool) -> FloatArray:
    """Return, per set that one camera sees alone: joints left, error (3), variance per axis, and distance2."""
    rig, rng, truth = ring_rig(3), np.random.default_rng(seed), _walk(seed, size)
    rows = []
    with PosePipeline(rig, PipelineConfig(lifter=LifterConfig(floor=floor))) as pipeline:
        for number, joints in enumerate(truth):
            stamp_ns = 1_000_000_000 + number * _PERIOD_NS
            keypoints = {}
            for camera in rig.cameras[: 2 if together and number < _ALONE_FROM else 1]:
                xy = project_world(camera, joints) + 2.0 * rng.standard_normal((17, 2))
                width, height = camera.intrinsics.width, camera.intrinsics.height
                xy[~((xy >= 0.0) & (xy <= (width - 1.0, height - 1.0))).all(-1)] = np.nan
                left = np.isfinite(xy[:, 0])
                keypoints[camera.name] = Keypoints2D(camera.name, stamp_ns, BODY17, xy[None], 0.9 * left[None])
            found = pipeline.fuse(stamp_ns, keypoints).bodies
            if number >= _ALONE_FROM and left.any() and len(found):
                error, covariance = found.xyz[0, 0] - joints[0], found.covariance[0, 0]
                off = distance2(error, covariance)
                rows.append((left.sum(), *error, np.trace(covariance) / 3.0, off))
    return np.array(rows)


@pytest.mark.parametrize(('floor', 'together'), [(False, True), (True, True), (True, False)])
def test_the_claim_holds_and_nobody_jumps_all_the_way_out(floor: bool, together: bool) -> None:
    walks = [_followed(seed, size, floor=floor, together=together) for seed, size in enumerate(_SIZES)]
    for rows in walks:
        # Followed from the whole body to its last joints.
        assert rows[0, 0] == 17
        assert rows[-1, 0] <= 3
        jump = np.linalg.norm(np.diff(rows[:, 1:4], axis=0), axis=-1)
        assert (jump**2 <= INSIDE_95 * (rows[1:, 4] + rows[:-1, 4])).all()
    assert (np.concatenate([rows[:, 5] for rows in walks]) <= INSIDE_95).mean() >= 0.95
