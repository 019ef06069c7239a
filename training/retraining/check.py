# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Whether a new lifter is better than the old one on what was held out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace

import numpy as np

from geo_pose_ros.arrays import BoolArray, FloatArray
from geo_pose_ros.errors import ConfigError, GeoPoseError
from geo_pose_ros.geometry.rigid import invert, transform_points
from geo_pose_ros.skeleton import BODY17

from ..data.recording import PersonRecording
from ..evaluation.calibration import INSIDE, SURE, sigma_factor
from ..evaluation.metrics import evaluate, pose_errors_mm, reprojection_px
from ..evaluation.predictor import Predictor, lift_recording
from .hold_out import HoldOut

# Less of a change is no improvement: the same network in another engine differs as well.
_BETTER = 0.99
# What was known before may get worse by this factor.
_FORGOTTEN = 1.03


class RetrainError(GeoPoseError):
    """The new model is not better than the old."""


class Numbers:
    """What a check measured: a base for dataclasses of numbers."""

    __slots__ = ()

    def known(self) -> dict[str, float]:
        """Return the numbers that were measured, by name; JSON knows no NaN."""
        values = ((one.name, getattr(self, one.name)) for one in fields(self))  # type: ignore[arg-type]
        return {name: value for name, value in values if isinstance(value, (int, float)) and math.isfinite(value)}


@dataclass(frozen=True, slots=True)
class Check(Numbers):
    """How a lifter does on what was held out.

    Attributes:
        poses: lifted and compared with the triangulation of the cameras that are trained on.
        mpjpe_mm, p_mpjpe_mm: root-relative, and after the best similarity transform.
        reprojection_px: median distance of the lifted joints, in the other cameras, from what these saw.
        inside_percent: joints within 2.8 sigma; 95 for a Gaussian.
        elsewhere_mm: MPJPE of other people, replayed or synthetic, with truth; NaN without.
        joints: mean error of each joint, mm, by its name.
    """

    poses: int
    mpjpe_mm: float
    p_mpjpe_mm: float
    reprojection_px: float
    inside_percent: float
    elsewhere_mm: float = float('nan')
    joints: Mapping[str, float] = field(default_factory=dict)


def check(
    predictor: Predictor, hold_outs: Sequence[HoldOut], elsewhere: Sequence[PersonRecording] = ()
) -> Check:
    """Lift what was held out, each view alone, and compare.

    The reference is the triangulation that makes the training labels, over the whole recording, so that it has its
    neighbours in time.

    Raises:
        ConfigError: if no view that was held out could be lifted.
    """
    compared = [views for one in hold_outs for views in _compared(predictor, one)]
    if not compared:
        raise ConfigError(
            'No camera that is kept aside shows a whole person on these frames; choose another camera or frames.'
        )
    errors = [pose_errors_mm(views.poses, views.reference) for views in compared]
    mpjpe, aligned = (np.concatenate([one[name] for one in errors]) for name in ('mpjpe', 'p_mpjpe'))
    inside = np.concatenate([views.in_sigmas() for views in compared])
    return Check(
        len(mpjpe), float(mpjpe.mean()), float(aligned.mean()),
        float(np.median(np.concatenate([views.residuals_px for views in compared]))),
        float(100.0 * (inside <= INSIDE).mean()) if len(inside) else float('nan'),
        evaluate(predictor, elsewhere, cross_views=False)['mpjpe_mm'] if elsewhere else float('nan'),
        dict(zip(BODY17.joint_names, mpjpe.mean(0).tolist(), strict=True)),
    )


def held_out_sigma_factor(predictor: Predictor, hold_outs: Sequence[HoldOut]) -> float:
    """Return the factor that makes sigma true for cameras that were not trained on, on the frames that were.

    1 where no camera was held out: errors on the data of training are too small to calibrate sigma. Never less than 1:
    the lifter was trained on these frames, so a smaller sigma would be too small for other people.
    """
    known = (replace(one, test=one.train) for one in hold_outs if one.camera)
    found = [views.in_sigmas() for one in known for views in _compared(predictor, one)]
    return max(1.0, sigma_factor(np.concatenate([np.zeros(0), *found])))


@dataclass(frozen=True, slots=True, eq=False)
class _Compared:
    """N lifted poses of a camera beside what they should be.

    Attributes:
        poses, reference: (N, J, 3) m.
        sigma: (N, J) m.
        weight: (N, J) of the reference.
        residuals_px: (M,) distances in the other cameras.
    """

    poses: FloatArray
    reference: FloatArray
    sigma: FloatArray
    weight: FloatArray
    residuals_px: FloatArray

    def in_sigmas(self) -> FloatArray:
        """Return the distances (M,) of joints but the root, whose reference has enough weight, in units of sigma."""
        distance = np.linalg.norm(self.poses - (self.reference - self.reference[:, :1]), axis=-1)
        return np.asarray((distance / self.sigma)[:, 1:][self.weight[:, 1:] > SURE])


def _compared(predictor: Predictor, held: HoldOut) -> Iterator[_Compared]:
    """Yield, of each camera to test with, what could be lifted and compared."""
    whole, frames = held.whole, held.test
    for name in held.test_cameras:
        alone = whole.views((name,))
        lifted = lift_recording(predictor, alone)
        local, weight = held.reference(name)
        poses, reference = lifted.xyz[frames, 0], local[frames]
        done: BoolArray = np.asarray(np.isfinite(poses).all((1, 2)) & np.isfinite(reference).all((1, 2)))
        if not done.any():
            continue
        others = whole.views([other for other in held.trained_on if other != name]).frames(frames).frames(done)
        world = transform_points(
            invert(alone.cam_from_world[0]), poses[done] + lifted.root[frames, 0][done][:, None]
        )
        yield _Compared(
            poses[done], reference[done], lifted.sigma[frames, 0][done], weight[frames][done],
            reprojection_px(others, world),
        )


def objections(before: Check, after: Check) -> list[str]:
    """Return what speaks against the new lifter, in words; nothing if it is better and has not forgotten."""
    found = []
    for what, old, new in (
        ('MPJPE', before.mpjpe_mm, after.mpjpe_mm), ('P-MPJPE', before.p_mpjpe_mm, after.p_mpjpe_mm),
    ):
        if not new <= _BETTER * old:
            found.append(f'{what} went from {old:.1f} to {new:.1f} mm')
    if after.elsewhere_mm > _FORGOTTEN * before.elsewhere_mm:
        found.append(f'MPJPE of other people went from {before.elsewhere_mm:.1f} to {after.elsewhere_mm:.1f} mm')
    return found
