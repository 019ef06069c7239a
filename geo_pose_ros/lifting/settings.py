# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Settings of the lifter."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..inference.settings import EngineConfig
from ..settings import setting


@dataclass(frozen=True, slots=True)
class LifterConfig:
    """The lifter: 3D poses from single views."""

    enabled: bool = setting(True, 'Lift every view, so that bodies stay complete and one camera is enough')
    model: str = setting('', 'ONNX file of `geo_pose models export` with its card; empty: that which ships', live=True)
    up: str = setting(
        'z', 'Axis of the world that points upwards, for models that know gravity; none: not known',
        choices=('z', 'y', 'x', '-z', '-y', '-x', 'none'),
    )
    floor: bool = setting(
        False, 'People stand on the plane through the origin of the world, across that axis, also where the rig file '
        'does not say so (floor: true): then one camera is enough to estimate their height and their distance',
    )
    when: str = setting(
        'needed', 'How many views of a body are lifted where there are more cameras than lifter.views: needed: one '
        'where at least four views show each joint, one more for each view less; always: lifter.views',
        choices=('always', 'needed'),
    )
    views: int = setting(
        3, 'Views of a body that are lifted, those that show most of it; lifters err alike, so that more add little. A '
        'lifter of several frames lifts all', low=1, high=64,
    )
    engine: EngineConfig = field(default_factory=EngineConfig)
