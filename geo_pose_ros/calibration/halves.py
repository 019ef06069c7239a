# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Two disjoint halves of a recording, adjusted apart: what they do not agree about is not known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from ..arrays import BoolArray, FloatArray
from ..errors import CalibrationError
from ..geometry.stats import INSIDE_95
from ..types import CameraRig
from .bundle.residuals import LOG_FOCAL
from .bundle.solver import Adjustment, adjust
from .clocks import synchronous
from .people.views import PoseViews
from .settings import AdjustConfig
from .world import align_rig, lever_m

_POSES, _STAGES, _LENS_POSES = 150, 6, 100
# Of a wrong focal length each half says at least this part of what both say.
_ALIKE = 0.5
# 95 % of the squares of a difference of three parts are below this many times their mean (chi-square of 3 over 3).
_SQUARE_95 = INSIDE_95 / 3.0


@dataclass(frozen=True, slots=True, eq=False)
class Halves:
    """The first and the second half of a recording.

    Attributes:
        views: the poses of each, sampled under the clocks of the rig that was found.
        fits: the adjustment of each, which begins where the whole recording's ended.
    """

    views: tuple[PoseViews, PoseViews]
    fits: tuple[Adjustment, Adjustment]


def is_early(views: PoseViews, of: PoseViews) -> BoolArray:
    """Return which poses (M,) of ``views`` are in the first half of the time of ``of``."""
    return np.asarray(views.time_s <= (np.median(of.time_s) if len(of) else 0.0))


def fit_halves(
    views: PoseViews, rig: CameraRig, config: AdjustConfig, given: CameraRig | None
) -> Halves | None:
    """Return the halves of ``views``; None where people are seen by two cameras in one half only.

    Args:
        views: all of the recording, sampled under the clocks found.
        rig: the cameras found.
        config: see AdjustConfig; offsets of clocks are always estimated, drift never.
        given: what is known beforehand; None: nothing.
    """
    early = is_early(views, views)
    if early.all():
        return None
    parts = views.select(early), views.select(~early)
    adjusting = replace(config, clocks=True, drift=False)
    known = None if given is None else synchronous(given)
    try:
        first, second = (
            adjust(part.thinned(_POSES), synchronous(rig), adjusting, given=known, stages=_STAGES) for part in parts
        )
    except CalibrationError:
        return None
    return Halves((parts[0], parts[1]), (first, second))


@dataclass(frozen=True, slots=True, eq=False)
class Growth:
    """By how much standard deviations grow, so that two halves of a recording agree within theirs: factors from 1 on.

    Attributes:
        pose: (C,) of rotations and positions.
        focal: (C,) of focal lengths.
    """

    pose: FloatArray
    focal: FloatArray


def deviation_growth(halves: Halves | None, cameras: int) -> Growth:
    """Return the factors for so many cameras.

    The mean square of all differences, in deviations, should be 1; a camera's own should be where 95 % are.
    """
    if halves is None:
        return Growth(np.ones(cameras), np.ones(cameras))
    first, second = halves.fits
    change = align_rig(second.rig, first.rig, lever_m(first.rig, first.xyz))
    turn, move, focal = np.zeros((3, cameras))
    for c, (here, there) in enumerate(zip(first.rig.cameras, change.rig(second.rig).cameras, strict=True)):
        turned = Rotation.from_matrix(there.cam_from_world[:, :3] @ here.cam_from_world[:, :3].T)
        turn[c] = turned.magnitude()
        move[c] = np.linalg.norm(there.position_m - here.position_m)
        focal[c] = np.log(there.intrinsics.K[0, 0] / here.intrinsics.K[0, 0])
    squares = np.stack([
        turn**2 / (first.sigma_rotation_rad**2 + second.sigma_rotation_rad**2),
        move**2 / (first.sigma_position_m**2 + (change.scale * second.sigma_position_m) ** 2),
    ])
    pose = np.maximum(squares.mean(), squares.max(0) / _SQUARE_95)
    variance = first.sigma[:, LOG_FOCAL] ** 2 + second.sigma[:, LOG_FOCAL] ** 2
    focal2 = focal**2 / np.maximum(variance, 1e-12)
    return Growth(np.sqrt(np.maximum(pose, 1.0)), np.sqrt(np.maximum(np.maximum(pose, focal2.mean()), 1.0)))


def wrong_focal_lengths(
    halves: Halves, found: Adjustment, config: AdjustConfig, least: float
) -> dict[str, tuple[float, float]]:
    """Return camera -> given and seen focal length (px) where both halves clearly ask for another one, the same way.

    Args:
        halves: of the recording.
        found: with the focal lengths given.
        config: of the adjustment.
        least: relative difference that counts.
    """
    freeing = replace(config, intrinsics='focal', clocks=False, drift=False)
    freed = [adjust(part.thinned(_LENS_POSES), found.rig, freeing) for part in halves.views]
    wrong = {}
    for c, camera in enumerate(found.rig.cameras):
        given_px = float(camera.intrinsics.K[0, 0])
        change = np.log([f.rig.cameras[c].intrinsics.K[0, 0] / given_px for f in freed])
        sigma = 0.5 * float(np.hypot(*(f.sigma[c, LOG_FOCAL] for f in freed)))
        mean = float(change.mean())
        if abs(mean) > max(least, 4.0 * sigma) and (change / mean > _ALIKE).all():
            wrong[camera.name] = given_px, given_px * float(np.exp(mean))
    return wrong
