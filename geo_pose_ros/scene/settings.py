"""Settings of what lasts from set to set, and of everything between a set and bodies."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..detection.settings import DetectorConfig
from ..fusion.settings import SolverConfig
from ..lifting.settings import LifterConfig
from ..settings import setting


@dataclass(frozen=True, slots=True)
class SyncConfig:
    """When frames of several cameras make one set."""

    tolerance_ms: float = setting(
        0.0, 'Largest difference of two stamps in one set; 0: nine tenths of the fastest camera\'s measured period, so '
        'that any mix of rates and phases gives sets of all cameras', unit='ms', low=0.0, high=1000.0,
    )
    deadline_ms: float = setting(
        40.0, 'A set is closed this long after its first frame arrived, with the cameras that came', unit='ms', low=1.0,
        high=5000.0,
    )
    min_cameras: int = setting(1, 'Sets with fewer frames are dropped and counted', low=1, high=64)
    clock_limit_ms: float = setting(
        250.0, 'A camera whose clock differs from the others\' by more is refused until it is put right; smaller '
        'differences are found from people\'s motion and taken off', unit='ms', low=1.0, high=10_000.0,
    )
    silent_ms: float = setting(
        1000.0, 'A camera silent for longer is not waited for', unit='ms', low=1.0, high=60_000.0
    )


@dataclass(frozen=True, slots=True)
class TrackingConfig:
    """Bodies over time: who is who, and when somebody is somebody."""

    new_body_views: int = setting(
        2, 'Cameras that must see a new body, if as many delivered within a second; a known one may go on with one',
        low=1, high=64,
    )
    gate_m: float = setting(
        0.25, 'Mean distance of a known body\'s joints from a detection\'s rays up to which the detection may be its: '
        'the error of a prediction and of a poor detection, and less than the distance of people',
        unit='m', low=0.02, high=1.0,
    )
    new_gate_m: float = setting(
        0.12, 'Mean distance between the rays of two detections up to which they may be one new person', unit='m',
        low=0.01, high=1.0,
    )
    confirm_sets: int = setting(
        2, 'Sets in which a new body must be seen before it is published, unless three cameras or all that should see '
        'it agree at once', low=1, high=100,
    )
    tentative_s: float = setting(
        0.3, 'A new body that is not confirmed is dropped when no camera sees it for this long', unit='s', low=0.0,
        high=10.0,
    )
    confirm_s: float = setting(
        0.6, 'A new body that only a few of the cameras that should see it do (furniture) is published after this',
        unit='s', low=0.0, high=10.0,
    )
    same_body_m: float = setting(
        0.2, 'Two bodies whose joints are nearer than this in the mean, and that no camera sees both of, are one',
        unit='m', low=0.0, high=1.0,
    )
    second_detection_m: float = setting(
        0.8, 'A detector that is prompted to search for one person may detect another one within this distance a '
        'second time; such a view does not keep a body alive', unit='m', low=0.0, high=3.0, formerly='arms_length_m',
    )
    person_breadth_m: float = setting(
        0.35, 'Whoever stands less than this beside a nearer person is hidden by that one', unit='m', low=0.0, high=2.0
    )
    enabled: bool = setting(True, 'Smooth joints by a Kalman filter and predict those not seen; ids are kept anyway')
    max_gap_s: float = setting(
        0.5, 'A joint or body not measured for longer than this is not published any more', unit='s', low=0.0, high=5.0
    )
    max_sigma_m: float = setting(
        0.2, 'A body that is predicted only is not published when its joints are less certain than this', unit='m',
        low=0.0, high=5.0,
    )
    remember_s: float = setting(
        4.0, 'Whoever comes back within this is the same body', unit='s', low=0.0, high=60.0
    )
    back_within_m: float = setting(
        0.4, 'Whoever was just lost comes back within this of where they were expected', unit='m', low=0.0, high=5.0
    )
    hidden_speed_m_s: float = setting(
        1.5, 'Speed at which somebody who is not seen may have moved away from where they were expected', unit='m/s',
        low=0.0, high=10.0,
    )
    acceleration_noise: float = setting(
        3.0, 'Square root of the spectral density of the joints\' acceleration at rest: larger follows faster, smooths '
        'less', unit='m/s^2/sqrt(Hz)', low=0.01, high=100.0,
    )
    acceleration_noise_fast: float = setting(
        20.0, 'The same for a joint that is found elsewhere than predicted', unit='m/s^2/sqrt(Hz)', low=0.01, high=500.0
    )


@dataclass(frozen=True, slots=True)
class CameraStateConfig:
    """What is learned of the cameras while people move before them."""

    clock_offsets: bool = setting(True, 'Estimate and take off constant clock offsets between cameras')
    moved_px: float = setting(
        2.0, 'Least change of a camera\'s shift against the bodies the others see that is reported; more where its '
        'shift usually scatters', unit='px', low=0.5, high=1000.0,
    )
    wrong_px: float = setting(
        25.0, 'Shift of a camera against the bodies the others see at which its calibration is reported as wrong',
        unit='px', low=1.0, high=1000.0,
    )
    moved_after_s: float = setting(
        1.0, 'A camera is reported when its shift has been unusual for so long', unit='s', low=0.0, high=60.0
    )


@dataclass(frozen=True, slots=True)
class SceneConfig:
    """Everything between keypoints and bodies."""

    lifter: LifterConfig = field(default_factory=LifterConfig)
    solver: SolverConfig = field(default_factory=SolverConfig)
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    cameras: CameraStateConfig = field(default_factory=CameraStateConfig)


@dataclass(frozen=True, slots=True)
class PipelineConfig(SceneConfig):
    """Everything between a set of images and bodies."""

    detector: DetectorConfig = field(default_factory=DetectorConfig)
