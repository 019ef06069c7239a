# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Bone lengths of tracked bodies: learned while several views see them, kept when they do not, or known from before."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..arrays import FloatArray, IntArray
from ..errors import ConfigError
from ..fusion.prior import BonePrior
from ..fusion.table import gather
from ..skeleton import BODY17, HAND21, Skeleton
from .kernels.bones import learn_lengths, write_lengths
from .tracks import rows_of

# Lengths, mm, of HAND21's bones, in their order: Buryanov and Kotiuk, "Proportions of hand segments", 2010, with a
# carpus of 30 mm and the tips' soft tissue; bases of fingers are 21 to 24 mm apart. By how much bones and hands vary.
_HAND_BONES = (
    30, 98, 95, 88, 84, 46, 32, 27, 40, 22, 20, 45, 26, 21, 41, 26, 21, 33, 18, 20, 24, 21, 21,
)
_BONE_SPREAD, _HAND_SPREAD = 0.08, 0.2
# Limbs as parts of the stature (Drillis and Contini 1966; Winter 2009, figure 4.1), by how much people's differ, and by
# how much lengths from one session to the next.
_OF_STATURE: Mapping[str, float] = {
    'hip-knee': 0.245, 'knee-ankle': 0.246, 'shoulder-elbow': 0.186, 'elbow-wrist': 0.146,
}
_STATURE_SPREAD, _SESSION_SPREAD = 0.05, 0.02
# A body is a known person if the mean square of what their lengths differ by, in standard deviations, is below the
# first, and that of every other known person is above its by the second; of so many bones.
_SAME_PERSON, _OTHERS_ABOVE, _LEAST_BONES = 2.0, 1.0, 4


def typical_hand_bones(skeleton: Skeleton, edges: Sequence[tuple[int, int]]) -> FloatArray:
    """Return the lengths (E,) m of the ``edges`` that are bones of hands, of a medium hand; 0 for others."""
    bones: dict[tuple[int, ...], int] = {}
    for side in ('left', 'right'):
        joints = [f'{side}_{joint}' for joint in HAND21.joint_names]
        if set(joints) <= set(skeleton.joint_names):
            ends = [tuple(skeleton.index(joints[end]) for end in edge) for edge in HAND21.edges]
            bones |= dict(zip(ends, _HAND_BONES, strict=True))
    return 1e-3 * np.array([bones.get(edge, 0.0) for edge in edges])


def read_people(path: str) -> FloatArray:
    """Return the bones of body17 (K, 2, E) of the people in a file: m, 0 = unknown, and their standard deviations, m.

    `geo_pose export --to people` writes it: {"people": {NAME: {"lengths_m": {"left_hip-left_knee": 0.42, ...}}}};
    {"stature_m": 1.62} of a person does too.

    Raises:
        ConfigError: if it cannot be read, has no person, or a bone or a length is impossible.
    """
    where, bones = f"pipeline.tracking.people: '{path}'", {name: bone for bone, name in enumerate(BODY17.bones)}
    try:
        people = json.loads(Path(path).expanduser().read_text(encoding='utf-8'))['people']
        found = np.zeros((len(people), 2, len(BODY17.edges)))
        for known, person in zip(found, people.values(), strict=True):
            given, spread = person.get('lengths_m'), _SESSION_SPREAD
            if given is None:
                stature_m, spread = float(person['stature_m']), _STATURE_SPREAD
                parts = {name: name.replace('left_', '').replace('right_', '') for name in bones}
                given = {name: _OF_STATURE[part] * stature_m for name, part in parts.items() if part in _OF_STATURE}
            for name, length_m in given.items():
                known[:, bones[name]] = float(length_m), spread * float(length_m)
    except OSError as error:
        raise ConfigError(f'{where} cannot be read: {error.strerror}.') from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f'{where} is not what geo_pose export --to people writes: {error!r}.') from error
    length = found[:, 0]
    if not len(found) or not (length > 0.0).any(1).all() or not ((length >= 0.0) & (length <= 1.0)).all():
        raise ConfigError(f'{where}: expected people, each with bones of up to 1 m, or with a stature_m.')
    return found


class BoneLengths:
    """The lengths of all tracked bodies."""

    def __init__(self, skeleton: Skeleton = BODY17, first: int = 0, people: str = '') -> None:
        """Start with no body; bones are the edges of ``skeleton`` that have an end at joint ``first`` or later.

        ``people``: file of those who are known from before; empty: nobody. The only one is everybody who is not seen
        to be somebody else; of several, whose lengths are a body's own.
        """
        edges = [edge for edge in skeleton.edges if max(edge) >= first]
        self.edges: IntArray = np.array(edges, np.int64).reshape(-1, 2)
        self._typical = typical_hand_bones(skeleton, edges)
        self._people = read_people(people) if people else np.zeros((0, 2, len(edges)))
        # Of the bodies ``_ids`` (N,): (N, 3, E), see ``kernels.bones.write_lengths``.
        self._ids: IntArray = np.zeros(0, np.int64)
        self._sums: FloatArray = np.zeros((0, 3, len(edges)))

    def prior(self, body_ids: IntArray, *, learned: bool = False) -> BonePrior | None:
        """Return what is known of ``body_ids`` (B,), -1 for a body without an id; None if nothing is of any.

        ``learned``: only what was seen of them, not who they may be of the people known from before.
        """
        length = np.empty((len(body_ids), len(self.edges)))
        variance = np.empty(length.shape)
        known = write_lengths(self._sums, self._typical, rows_of(self._ids, body_ids), length, variance)
        if known and self._typical.any():
            self._add_proportions(length, variance)
        if len(self._people) and not learned:
            known += self._add_people(length, variance)
        return BonePrior(length, variance) if known else None

    def _add_people(self, length: FloatArray, variance: FloatArray) -> int:
        """Take in what is known of the person that each body (B, E) is, in place; return of how many bodies."""
        theirs, spread = self._people[:, 0], self._people[:, 1]
        both = np.isfinite(variance)[:, None] & (theirs > 0.0)
        with np.errstate(divide='ignore', invalid='ignore'):
            off = np.where(both, (length[:, None] - theirs) ** 2 / (variance[:, None] + spread**2), 0.0)
        count = both.sum(-1)
        # Of a body whose lengths are not known yet nothing speaks against the only one.
        off = np.where(count >= _LEAST_BONES, off.sum(-1) / np.maximum(count, 1), 0.0 if len(theirs) == 1 else np.inf)
        order = np.sort(np.append(off, np.full((len(off), 1), np.inf), 1), 1)
        rows = np.flatnonzero((order[:, 0] < _SAME_PERSON) & (order[:, 1] > order[:, 0] + _OTHERS_ABOVE))
        who = off[rows].argmin(1)
        given = theirs[who] > 0.0
        more = np.where(given, 1.0 / np.where(given, spread[who], 1.0) ** 2, 0.0)
        total = 1.0 / variance[rows] + more
        sure = np.where(total > 0.0, total, np.inf)
        length[rows] = (length[rows] / variance[rows] + theirs[who] * more) / sure
        variance[rows] = np.where(total > 0.0, 1.0 / sure, np.inf)
        return len(rows)

    def _add_proportions(self, length: FloatArray, variance: FloatArray) -> None:
        """Take in what all bones of a body (B, E) that grow alike say of each of them, in place."""
        typical = self._typical
        weight = np.where(typical > 0.0, 1.0 / (variance + (_BONE_SPREAD * typical) ** 2), 0.0)
        sure = (weight * typical**2).sum(1) + 1.0 / _HAND_SPREAD**2
        size = ((weight * length * typical).sum(1) + 1.0 / _HAND_SPREAD**2) / sure
        medium = size[:, None] * typical
        spread = (_BONE_SPREAD * medium) ** 2 + typical**2 / sure[:, None]
        with np.errstate(divide='ignore', invalid='ignore'):
            own = 1.0 / variance
            # Of a hand of which no bone is known nothing is said.
            of_all = np.where((typical > 0.0) & (weight > 0.0).any(1, keepdims=True), 1.0 / spread, 0.0)
            length[:] = np.where(own + of_all > 0.0, (own * length + of_all * medium) / (own + of_all), 0.0)
            variance[:] = 1.0 / (own + of_all)

    def rename(self, body_id: int, known_id: int) -> None:
        """Take ``body_id`` for the body ``known_id``: what was learned of that goes on, or else of this."""
        if (self._ids == known_id).any():
            kept = self._ids != body_id
            self._ids, self._sums = self._ids[kept], self._sums[kept]
        else:
            self._ids = np.where(self._ids == body_id, known_id, self._ids)

    def learn(self, body_ids: IntArray, tracked: IntArray, xyz: FloatArray, covariance: FloatArray) -> None:
        """Take in bodies as measured, and forget those that are no longer tracked.

        Args:
            body_ids: (B,) of the measured bodies.
            tracked: (T,) ids of all bodies that are still known, those included.
            xyz: (B, J, 3) m, from the views alone, NaN = unknown: nothing that already depends on bone lengths.
            covariance: (B, J, 3, 3) m^2.
        """
        self._sums, self._ids = gather(self._sums, rows_of(self._ids, tracked), 0.0), tracked.copy()
        rows = rows_of(self._ids, body_ids)
        learn_lengths(self.edges, np.ascontiguousarray(xyz), np.ascontiguousarray(covariance), rows, self._sums)
