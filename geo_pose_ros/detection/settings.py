"""Settings of the 2D detector."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..inference.settings import EngineConfig
from ..settings import setting


@dataclass(frozen=True, slots=True)
class DetectorConfig:
    """The 2D detector."""

    name: str = setting('blazepose', 'Detector plugin', choices=('blazepose', 'rtmpose', 'keypoints'))
    model: str = setting('', 'Model file or name; empty: the plugin\'s own')
    person_model: str = setting(
        '', 'Model file that finds people, before rtmpose a YOLOX; empty: the plugin\'s own, or for an rtmpose file '
        'none: the whole image is one person'
    )
    min_confidence: float = setting(0.3, 'Keypoints below this are not used', low=0.0, high=1.0, live=True)
    min_presence: float = setting(
        0.5, 'A region whose probability to show a person at all is below this shows nobody', low=0.0, high=1.0
    )
    max_people: int = setting(
        20, 'People per picture: the surest are kept, and a message with more is refused', low=1, high=200
    )
    look_period_s: float = setting(
        0.5, 'Where people are expected, only they are looked at; the whole picture once in this time, for others, '
        'but not more than every sixth picture', unit='s', low=0.0, high=60.0,
    )
    look_again_s: float = setting(
        0.1, 'Until the next look at the whole picture where somebody unknown was seen or somebody expected was not; '
        'doubles up to look_period_s while looking does not help', unit='s', low=0.0, high=60.0,
    )
    small_person: float = setting(
        0.35, 'People whose region is smaller than this, relative to the picture\'s longer side, may be too small to '
        'be found in the whole picture: looks take in a tile too', low=0.0, high=1.0,
    )
    astray: float = setting(
        0.2, 'Keypoints farther than this from where their person was expected, relative to the person\'s extent, are '
        'of somebody else', low=0.01, high=10.0,
    )
    same_person: float = setting(
        0.1, 'Two detections nearer than this, relative to the larger one\'s extent, are of one person',
        low=0.0, high=1.0,
    )
    max_side_px: int = setting(
        960, 'Images are decoded or halved to at most this longer side before detection; 0: as they are', unit='px',
        low=0, high=10_000,
    )
    workers: int = setting(0, 'Cameras detected at the same time on the CPU; 0: one per core', low=0, high=64)
    engine: EngineConfig = field(default_factory=EngineConfig)
