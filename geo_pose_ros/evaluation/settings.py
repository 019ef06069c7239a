# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Settings of the report of a recording."""

from __future__ import annotations

from dataclasses import dataclass

from ..geometry.alignment import UP_AXES
from ..settings import setting


@dataclass(frozen=True, slots=True)
class ReportConfig:
    """Settings of `geo_pose report`."""

    match_ms: float = setting(
        25.0, 'Keypoints belong to the bodies whose stamp differs by at most this', unit='ms', low=0.0, high=1000.0
    )
    min_confidence: float = setting(0.3, 'Keypoints below this confidence are left out', low=0.0, high=1.0)
    bins: int = setting(240, 'Points in time of a chart', low=2, high=10_000)
    left_out_sets: int = setting(
        240, 'Sets that the left-out camera is measured on, spread over the recording; 0: it is not measured', low=0,
        high=1_000_000,
    )
    up: str = setting(
        'z', 'Axis of the world that points upwards, as pipeline.lifter.up; none: not known', choices=(*UP_AXES, 'none')
    )
    lifter: str = setting('', 'Lifter whose range is judged by, as pipeline.lifter.model; empty: that which ships')
    range_ratio: float = setting(
        0.05, 'Least share of people in one camera alone, seen as nobody in the lifter\'s training, that is reported',
        low=0.0, high=1.0,
    )
    worst: int = setting(4, 'Worst moments shown with their images', low=0, high=100)
    worst_apart_s: float = setting(2.0, 'Least time between two of them', unit='s', low=0.0, high=3600.0)
    gap_s: float = setting(0.5, 'A camera that sends nothing for longer has a gap', unit='s', low=0.0, high=3600.0)
    missing_ratio: float = setting(
        0.05, 'Least share of frames missing of a camera, beyond what all miss, that is reported', low=0.0, high=1.0
    )
    busy_ratio: float = setting(
        0.2, 'Least share of frames missing of all cameras alike that is reported', low=0.0, high=1.0
    )
    same_body_ratio: float = setting(
        0.25, 'A person is matched to a body if the median joint lies nearer than this share of the body\'s size',
        low=0.01, high=10.0,
    )
    unmatched_ratio: float = setting(
        0.2, 'Least share of people in a camera without a body that is reported', low=0.0, high=1.0,
        formerly='stranger_ratio',
    )
    exchanged_ratio: float = setting(
        0.05, 'Least share of bodies with left and right exchanged that is reported', low=0.0, high=1.0
    )
    outlier_ratio: float = setting(
        1.8, 'A camera stands out whose residual is above the median of the others\' by this factor', low=1.0,
        high=100.0,
    )
    outlier_px: float = setting(3.0, 'and by so much', unit='px', low=0.0, high=1000.0)
    outlier_s: float = setting(3.0, 'and for so long', unit='s', low=0.0, high=3600.0)
    residual_ratio: float = setting(
        0.02, 'Least residual that is reported, as share of a body\'s size in the image', low=0.0, high=1.0
    )
    bias_ratio: float = setting(
        0.6, 'Least share of the residuals that one shift, turn and scale of the whole image explains at which a '
        'calibration is blamed; below it is the detector', low=0.0, high=1.0,
    )
    error_mm: float = setting(
        40.0, 'A calibration that is off by less at the bodies is a warning, not an error', unit='mm', low=0.0, high=1e4
    )
    sights: int = setting(
        10, 'Whether a camera contributes is judged from so many sets on with a body wholly in its image', low=1,
        high=1_000_000,
    )
    sights_ratio: float = setting(
        0.1, 'A camera that finds somebody in fewer of such sets is said to see nobody', low=0.0, high=1.0
    )
    clock_ms: float = setting(8.0, 'Least clock offset that is reported', unit='ms', low=0.0, high=1000.0)
    bone_cv: float = setting(0.07, 'Least variation of a bone\'s length that is reported', low=0.0, high=1.0)
    short_life_s: float = setting(1.0, 'Bodies seen for less time count as brief', unit='s', low=0.0, high=60.0)
