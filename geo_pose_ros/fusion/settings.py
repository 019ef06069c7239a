# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Settings of the solver."""

from __future__ import annotations

from dataclasses import dataclass

from ..settings import setting


@dataclass(frozen=True, slots=True)
class DepthConfig:
    """Depth cameras: the distance of a body's surface at its keypoints, a further measurement."""

    enabled: bool = setting(
        False, 'Use depth images, registered to their camera\'s colour images, where there are some'
    )
    topic: str = setting(
        '{camera}/depth',
        'Topic of a camera\'s depth images (16UC1, mm; 32FC1, m); a camera without one goes on as it is'
    )
    noise_per_m: float = setting(
        0.004, 'Standard deviation of a measured depth z is this times z^2; 0.004 is a RealSense D435\'s', unit='1/m',
        low=0.0, high=1.0,
    )
    reach_m: float = setting(
        0.7, 'A depth that differs from the median of its person\'s by more is of something else', unit='m', low=0.1,
        high=2.0,
    )


@dataclass(frozen=True, slots=True)
class SolverConfig:
    """How reprojections and lifted poses are weighed; docs/fusion.md says how the values were found."""

    noise_px: float = setting(
        8.0, 'Standard deviation of a keypoint of confidence 1 of a body 600 px tall; proportional to the height',
        unit='px', low=0.1, high=100.0,
    )
    iterations: int = setting(4, 'Gauss-Newton steps of the solver', low=1, high=50)
    robust_sigmas: float = setting(
        2.5, 'Scale of the robust loss (Geman-McClure): residual, in standard deviations of the keypoint, at which the '
        'robust weight is a quarter; up to it a keypoint is an inlier', low=0.5, high=100.0,
    )
    lifter_across: float = setting(
        1.5, 'Standard deviation of a lifted joint across the view axis, in units of the lifter\'s sigma',
        low=0.01, high=100.0,
    )
    lifter_along: float = setting(
        2.2, 'Its standard deviation along the view axis, in the same units', low=0.01, high=100.0
    )
    lifter_rotation_rad: float = setting(
        0.12, 'Standard deviation of the rotation error of a whole lifted pose', unit='rad', low=0.0, high=1.0
    )
    lifter_scale: float = setting(
        0.05, 'Standard deviation of the relative scale error of a whole lifted pose', low=0.0, high=1.0
    )
    bone_spread: float = setting(
        0.06, 'Relative standard deviation of a tracked body\'s bone length from set to set, of a body in two views; '
        'with more views it grows as their number. 0: lengths are not used',
        low=0.0, high=1.0,
    )
