# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Settings of the 2D detector."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..inference.settings import EngineConfig
from ..settings import setting


@dataclass(frozen=True, slots=True)
class DetectorConfig:
    """The 2D detector."""

    name: str = setting('blazepose', 'Detector plugin', choices=('blazepose', 'movenet', 'rtmpose', 'keypoints'))
    profile: str = setting(
        'auto', 'Networks of blazepose and movenet where model and person_model leave it open: fast: the full network, '
        'one finder of people; balanced: full, both finders; accurate: heavy, both finders; auto: accurate for bags '
        'and on a GPU, else balanced, or fast at a high rate', choices=('auto', 'fast', 'balanced', 'accurate'),
    )
    rate_hz: float = setting(
        0.0, 'Live images of each camera per second that are to be detected, by which profile auto chooses; 0: not '
        'said, 30 are assumed', unit='Hz', low=0.0, high=1000.0,
    )
    model: str = setting('', 'Model file or name (geo_pose models list); empty: the plugin\'s own', live=True)
    person_model: str = setting(
        '', 'Model file or name that finds people; empty: the plugin\'s own, before rtmpose movenet_multipose'
    )
    min_confidence: float = setting(0.3, 'Keypoints below this are not used', low=0.0, high=1.0, live=True)
    min_presence: float = setting(
        0.5, 'A region whose probability to show a person at all is below this shows nobody', low=0.0, high=1.0
    )
    max_people: int = setting(
        20, 'People per image: the surest are kept, and a message with more is refused', low=1, high=200
    )
    search_period_s: float = setting(
        0.5, 'Time between two searches of the full image, while people are predicted in it; but at least six images '
        'apart. In between the detector looks only where people are predicted', unit='s', low=0.0, high=60.0,
        formerly='look_period_s',
    )
    search_again_s: float = setting(
        0.1, 'Time to the next search of the full image after a detection without a prediction, or a prediction '
        'without a detection; doubles up to search_period_s while searches do not help', unit='s', low=0.0, high=60.0,
        formerly='look_again_s',
    )
    tile_below: float = setting(
        0.35, 'People whose region is smaller than this, relative to the image\'s longer side, may be too small to be '
        'found in the full image: a search takes in a tile too', low=0.0, high=1.0, formerly='small_person',
    )
    max_prediction_error: float = setting(
        0.2, 'A detection farther than this from the predicted person, relative to the person\'s extent, is of '
        'somebody else', low=0.01, high=10.0, formerly='astray',
    )
    same_person: float = setting(
        0.1, 'Two detections nearer than this, relative to the larger one\'s extent, are of one person',
        low=0.0, high=1.0,
    )
    hand_min_px: float = setting(
        40.0, 'Hands whose region, about three hands wide, is smaller are not read; for skeleton wholebody. Hands are '
        'small: a larger max_side_px shows more of them', unit='px', low=8.0, high=1000.0,
    )
    max_side_px: int = setting(
        960, 'Images are decoded or halved to at most this longer side before detection; 0: as they are', unit='px',
        low=0, high=10_000,
    )
    workers: int = setting(0, 'Cameras detected at the same time on the CPU; 0: one per core', low=0, high=64)
    engine: EngineConfig = field(default_factory=EngineConfig)
