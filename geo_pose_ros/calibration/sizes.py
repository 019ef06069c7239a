# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""How large people are under a rig, before and after: a calibration must not change them in silence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..arrays import FloatArray
from ..geometry.stats import nan_percentile
from ..skeleton import BODY17
from ..types import CameraRig
from .clocks import synchronous
from .people.views import PoseViews, triangulate_views
from .world import Similarity, Tape, WorldReport, reach_m, tape_of

# Parts of a body: joints of the left and of the right side.
_PARTS: Mapping[str, tuple[str, str]] = {
    'thigh': ('hip', 'knee'), 'shank': ('knee', 'ankle'), 'upper arm': ('shoulder', 'elbow'),
    'forearm': ('elbow', 'wrist'),
}
_TRUNK = 'trunk'


@dataclass(frozen=True, slots=True)
class PersonSize:
    """One person under a rig.

    Attributes:
        stature_m: NaN for who is not seen from ankle to head.
        lengths_m: by part of the body, medians over the poses and both sides, NaN = not seen.
    """

    stature_m: float
    lengths_m: Mapping[str, float]

    @property
    def by_name(self) -> dict[str, float]:
        """Stature and lengths, m."""
        return {'stature': self.stature_m, **self.lengths_m}


def people_sizes(rig: CameraRig, views: PoseViews, people: int) -> list[PersonSize]:
    """Return how large so many people in ``views`` are, sampled under the clocks of ``rig``."""
    xyz, tape = triangulate_views(synchronous(rig), views), tape_of(views.xy)
    return [_size(xyz[views.person == p], tape) for p in range(people)]


def _size(xyz: FloatArray, tape: Tape) -> PersonSize:
    def lengths(first: str, second: str) -> FloatArray:
        return np.asarray(np.linalg.norm(xyz[:, BODY17.index(first)] - xyz[:, BODY17.index(second)], axis=-1))

    found = {
        part: nan_percentile(np.concatenate([lengths(f'{s}_{a}', f'{s}_{b}') for s in ('left', 'right')]), 50)
        for part, (a, b) in _PARTS.items()
    }
    found[_TRUNK] = nan_percentile(lengths('pelvis', 'thorax'), 50)
    return PersonSize(reach_m(xyz, tape) + tape.beyond_m, found)


def size_ratios(before: Sequence[PersonSize], after: Sequence[PersonSize]) -> FloatArray:
    """Return (P,) how many times as large everybody is after: the median over the parts; NaN where none is seen."""
    return np.array([
        nan_percentile(np.array([new.lengths_m[part] / old.lengths_m[part] for part in old.lengths_m]), 50)
        for old, new in zip(before, after, strict=True)
    ])


def hold_sizes(
    before: Sequence[PersonSize], after: Sequence[PersonSize], change: Similarity, xyz: FloatArray, most: float
) -> tuple[Similarity, WorldReport | None]:
    """Return ``change`` with a scale under which people keep their size to ``most``; a report where it differs.

    The distances of the given cameras are the scale; but where these were turned, people had another size.

    Args:
        before, after: the people under the rig given, and under the one found after ``change``.
        change: into the world of the rig given.
        xyz: (M, J, 3) m, the people before ``change``, who stay where they are.
        most: relative change of their size.
    """
    ratio = nan_percentile(size_ratios(before, after), 50)
    if not abs(ratio - 1.0) > most:
        return change, None
    factor = float(np.clip(ratio, 1.0 - most, 1.0 + most)) / ratio
    middle = change.points(np.nanmedian(xyz.reshape(-1, 3), axis=0))
    held = Similarity(factor * change.scale, change.R, middle + factor * (change.t - middle))
    said = (
        f'the size of the people, held to {most:.1%}: by the distances of the given cameras they would be '
        f'{ratio - 1.0:+.1%} in size; --stature or --distance decides'
    )
    return held, WorldReport(said, 'the given rig', 0.0, 0.0)
