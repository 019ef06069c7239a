# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Settings of what lasts from set to set, and of everything between a set and bodies."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..detection.settings import DetectorConfig
from ..fusion.settings import DepthConfig, SolverConfig
from ..lifting.settings import LifterConfig
from ..settings import setting
from ..skeleton import OUTPUTS


@dataclass(frozen=True, slots=True)
class SyncConfig:
    """When frames of several cameras make one set."""

    tolerance_ms: float = setting(
        0.0, 'Largest difference of two stamps in one set; 0: nine tenths of the fastest camera\'s measured period, '
        'which gives sets of all cameras for any mix of rates and phases', unit='ms', low=0.0, high=1000.0,
    )
    deadline_ms: float = setting(
        40.0, 'A set is closed this long after its first frame arrived, with the cameras that came', unit='ms', low=1.0,
        high=5000.0,
    )
    min_cameras: int = setting(1, 'Sets with fewer frames are dropped and counted', low=1, high=64)
    clock_limit_ms: float = setting(
        250.0, 'A camera whose clock differs from the others\' by more is refused until the clock is set; smaller '
        'differences are estimated from people\'s motion and corrected', unit='ms', low=1.0, high=10_000.0,
    )
    silent_ms: float = setting(
        1000.0, 'A set does not wait for a camera that has been silent for longer', unit='ms', low=1.0, high=60_000.0
    )


@dataclass(frozen=True, slots=True)
class TrackingConfig:
    """Bodies over time: assignment, tracks, re-identification, filter."""

    new_body_views: int = setting(
        2, 'Cameras that must detect a new body, or all that delivered within the last second if these are fewer; a '
        'known body goes on with one', low=1, high=64,
    )
    max_bodies: int = setting(
        64, 'Bodies that are followed at once; in a larger crowd new ones wait, which bounds the time of a set', low=1,
        high=1000,
    )
    gate_m: float = setting(
        0.25, 'Gate of the assignment: mean distance between a known body\'s predicted joints and the rays of a '
        'detection up to which the detection may be of that body. Larger than errors of predictions, smaller than the '
        'distance of people', unit='m', low=0.02, high=1.0,
    )
    new_gate_m: float = setting(
        0.12, 'Mean distance between the rays of two detections up to which they may be of one new body', unit='m',
        low=0.01, high=1.0,
    )
    confirm_sets: int = setting(
        2, 'Sets in which a new body must be detected before it is published; one is enough where three cameras, or '
        'all that should see it, agree', low=1, high=100,
    )
    tentative_s: float = setting(
        0.3, 'A new body that is not confirmed is dropped when no camera sees it for this long', unit='s', low=0.0,
        high=10.0,
    )
    confirm_s: float = setting(
        0.6, 'A new body that less than half of the cameras in view of it detect (furniture hides it) is published '
        'after this time', unit='s', low=0.0, high=10.0,
    )
    same_body_m: float = setting(
        0.2, 'Two bodies are duplicates if their joints are closer than this on average and no camera detects both',
        unit='m', low=0.0, high=1.0,
    )
    second_detection_m: float = setting(
        0.8, 'A detector that is prompted to search for one person may detect another one within this distance a '
        'second time; such a view does not keep a body alive', unit='m', low=0.0, high=3.0, formerly='arms_length_m',
    )
    person_breadth_m: float = setting(
        0.35, 'A person is occluded in a view by a nearer person who is less than this beside them', unit='m', low=0.0,
        high=2.0,
    )
    enabled: bool = setting(
        True, 'Smooth joints by a Kalman filter and predict joints that no camera sees; ids are kept in any case'
    )
    max_gap_s: float = setting(
        0.5, 'A joint or body is published for this long after its last measurement', unit='s', low=0.0, high=5.0
    )
    max_sigma_m: float = setting(
        0.16, 'A body without a measurement, or one that two views have placed before and a lone one sees now, is '
        'published while the standard deviation of its joints is below this',
        unit='m', low=0.0, high=5.0,
    )
    remember_s: float = setting(
        4.0, 'Re-identification: a person who comes back within this time keeps the id', unit='s', low=0.0, high=60.0
    )
    reidentify_m: float = setting(
        0.4, 'Re-identification: largest distance from the predicted place of a person who was just lost', unit='m',
        low=0.0, high=5.0, formerly='back_within_m',
    )
    hidden_speed_m_s: float = setting(
        1.5, 'Re-identification: that distance grows at this speed while nobody sees the person', unit='m/s', low=0.0,
        high=10.0,
    )
    recognise_s: float = setting(
        600.0, 'Re-identification: a person who comes back within this time gets the old id by the colours of clothes '
        'and by bone lengths, where images are at hand; both are kept in memory only. 0: off', unit='s', low=0.0,
        high=86_400.0,
    )
    people: str = setting(
        '', 'JSON file of `geo_pose export --to people`: people whose bone lengths are known when they come, of an '
        'earlier session or from their statures; empty: nobody is'
    )
    acceleration_noise: float = setting(
        3.0, 'Process noise of a joint at rest, the square root of the spectral density of its acceleration: larger '
        'follows faster and smooths less', unit='m/s^2/sqrt(Hz)', low=0.01, high=100.0,
    )
    acceleration_noise_fast: float = setting(
        20.0, 'Process noise of a joint whose measurements run away from its prediction', unit='m/s^2/sqrt(Hz)',
        low=0.01, high=500.0,
    )


@dataclass(frozen=True, slots=True)
class CameraStateConfig:
    """What is learned of the cameras while people move before them."""

    clock_offsets: bool = setting(True, 'Estimate constant clock offsets between cameras and correct them')
    moved_px: float = setting(
        2.0, 'Extrinsic drift: least change of a camera\'s calibration error that is reported; more where the error '
        'usually scatters', unit='px', low=0.5, high=1000.0,
    )
    wrong_px: float = setting(
        25.0, 'Calibration error of a camera (its keypoints against the bodies that the others see) from which the '
        'calibration is reported as wrong', unit='px', low=1.0, high=1000.0,
    )
    moved_after_s: float = setting(
        1.0, 'A camera is reported as moved when its calibration error has been unusual for this long', unit='s',
        low=0.0, high=60.0,
    )


@dataclass(frozen=True, slots=True)
class SmoothingConfig:
    """How a whole recording is smoothed; see ``smoother``."""

    enabled: bool = setting(False, 'Smooth with what comes later, offline: a Rauch-Tung-Striebel smoother')
    max_gap_s: float = setting(
        1.0, 'Gaps of a joint up to this long are bridged, with the covariance that they leave', unit='s', low=0.0,
        high=10.0,
    )
    extend_s: float = setting(
        0.1, 'A joint is there for so long before it was first measured, and after it was last measured', unit='s',
        low=0.0, high=1.0,
    )
    lowpass_hz: float = setting(
        0.0, 'Cut-off of a Butterworth filter, fourth order, both ways, on top; 0: none. 6 is usual for gait',
        unit='Hz', low=0.0, high=100.0,
    )
    alike_sets: float = setting(
        2.0, 'Errors of a detector in successive sets are alike: so many sets count as one', low=1.0, high=100.0
    )
    join_s: float = setting(
        2.0, 'Two people who are never there together are one if the second comes within this time of the end of the '
        'first, near to it', unit='s', low=0.0, high=60.0,
    )
    join_m: float = setting(
        0.4, 'How near, besides what somebody walks meanwhile', unit='m', low=0.0, high=5.0
    )


@dataclass(frozen=True, slots=True)
class SceneConfig:
    """Everything between keypoints and bodies."""

    lifter: LifterConfig = field(default_factory=LifterConfig)
    solver: SolverConfig = field(default_factory=SolverConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    cameras: CameraStateConfig = field(default_factory=CameraStateConfig)
    depth: DepthConfig = field(default_factory=DepthConfig)
    skeleton: str = setting(
        'body17', 'Joints of the bodies: body17; body33 adds what BlazePose gives (feet, the hands\' bases, the face), '
        'wholebody 21 joints of each hand too, halpe26 and coco_wholebody133 what such a detector gives',
        choices=tuple(OUTPUTS),
    )


@dataclass(frozen=True, slots=True)
class PipelineConfig(SceneConfig):
    """Everything between a set of images and bodies."""

    detector: DetectorConfig = field(default_factory=DetectorConfig)
