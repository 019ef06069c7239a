# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Whether the rays of several cameras meet at people; if not, which mistake in the rig or the images explains it.

Two rays of one joint pass each other by some distance. Over depth and over the person's size in the image it is the
share of a person by which two cameras disagree; it does not depend on the unit. Its mean over pairs of cameras is
0.01 to 0.04 of a right rig, and above 0.06 of one with any of the mistakes that are tried: exchanged cameras,
transposed poses, other axes, mirrored or turned images. What explains it is the mistake that, undone, makes the rays
meet. A wrong unit lets rays meet, at people of another size.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations, permutations, product

import numpy as np

from ...arrays import FloatArray
from ...findings import Finding, Severity
from ...geometry.projection import normalize
from ...geometry.rays import bearings, closest_points
from ...geometry.rigid import invert
from ...geometry.stats import nan_mean, nan_median
from ...rigs.plausibility import CAMERA_AXES, OPTICAL
from ...skeleton import BODY17
from ...types import CameraRig, Intrinsics
from ..quality import ObservedSet
from ..views import confident
from .samples import SpreadSample

# Sets that are looked at, at least, and twice as many at most; and pairs of people in all of them, for the time in a
# crowd.
_SETS, _PEOPLE_PAIRS = 4, 128
# Fewer sets in which several cameras see somebody tell nothing.
_LEAST_SETS = 3
# Joints of one person that two cameras see, at least.
_LEAST_JOINTS = 5
# Disagreement counts up to this share of a person, which an accident has.
_CAP = 0.3
# Shares: above the first cameras may disagree, above the second the rig is wrong.
_DOUBTFUL, _WRONG = 0.025, 0.06
# A mistake explains it if undoing it leaves at most this part of the disagreement, and less than the share.
_EXPLAINED, _AGREED = 0.6, 0.07
# Least share of the sets without a body in which rays that do not meet are the reason.
_NOBODY = 0.8
# Up to so many cameras all permutations are tried, beyond exchanges among the worst; axes on so many pairs.
_ALL_PERMUTATIONS, _WORST, _MOST_PAIRS = 4, 4, 10
# Pelvis to thorax of an adult, m; people are beyond these factors only by a wrong unit.
_TRUNK_M, _SMALLEST, _LARGEST = 0.5, 0.35, 1.8
_UNITS: Mapping[str, float] = {'mm': 1000.0, 'cm': 100.0, 'dm': 10.0, 'feet': 3.28, 'inches': 39.4}
_PELVIS, _THORAX = BODY17.index('pelvis'), BODY17.index('thorax')

# Pixels (..., 2) of a camera's images -> those of the images as they should be.
_Undo = Callable[[Intrinsics, FloatArray], FloatArray]


@dataclass(frozen=True, slots=True, eq=False)
class _Bundle:
    """Rays from one camera to P people in S sets.

    Attributes:
        origin: (3,) m.
        rays: (S, P, J, 3) unit vectors, NaN = not seen.
        size: (S, P) extent of each person at focal length 1.
    """

    origin: FloatArray
    rays: FloatArray
    size: FloatArray

    @classmethod
    def of(cls, xn: FloatArray, cam_from_world: FloatArray) -> _Bundle:
        """Return the rays of normalised keypoints (S, P, J, 2) from a camera."""
        R = cam_from_world[:, :3]
        extent = np.fmax.reduce(xn, -2) - np.fmin.reduce(xn, -2)
        return cls(-R.T @ cam_from_world[:, 3], bearings(xn) @ R, np.fmax(extent.max(-1), 1e-3))


@dataclass(frozen=True, slots=True, eq=False)
class Meeting:
    """How the rays of two cameras meet in S sets, at the people that fit best.

    Attributes:
        share: (S,) disagreement as share of a person; NaN where one camera sees nobody.
        distance_m: (S,) by which the rays pass each other.
        trunk_m: (S,) length from pelvis to thorax where they meet.
    """

    share: FloatArray
    distance_m: FloatArray
    trunk_m: FloatArray


def _meeting(a: _Bundle, b: _Bundle) -> Meeting:
    u, v = a.rays[:, :, None], b.rays[:, None]
    distance, s, t = closest_points(b.origin - a.origin, u, v)
    known = np.isfinite(distance)
    depth = np.minimum(s, t)
    # Behind a camera, rays meet nowhere.
    off = np.where(known, np.where(depth > 0.0, distance / np.where(depth > 0.0, depth, 1.0), np.inf), np.nan)
    share = nan_median(off) / np.minimum(a.size[:, :, None], b.size[:, None])
    share[(known.sum(-1) < _LEAST_JOINTS) & np.isfinite(share)] = np.nan
    pairs = np.where(np.isnan(share), np.inf, share).reshape(len(share), -1)
    best = pairs.argmin(1) if pairs.shape[1] else np.zeros(len(pairs), np.int64)
    row = np.arange(len(pairs)), best
    if not pairs.shape[1]:
        unknown = np.full(len(pairs), np.nan)
        return Meeting(unknown, unknown, unknown)
    ends = [
        a.origin + s[..., j, None] * u[..., j, :] + b.origin + t[..., j, None] * v[..., j, :]
        for j in (_PELVIS, _THORAX)
    ]
    trunk = np.linalg.norm(ends[1] - ends[0], axis=-1).reshape(pairs.shape) / 2.0
    seen = ~np.isnan(share).reshape(pairs.shape)[row]
    return Meeting(*(
        np.where(seen, values.reshape(pairs.shape)[row], np.nan) for values in (share, nan_median(distance), trunk)
    ))


def _same(lens: Intrinsics, xy: FloatArray) -> FloatArray:
    return xy


def _mirrored(lens: Intrinsics, xy: FloatArray) -> FloatArray:
    return xy * (-1.0, 1.0) + (lens.width - 1.0, 0.0)


def _turned(lens: Intrinsics, xy: FloatArray) -> FloatArray:
    return (lens.width - 1.0, lens.height - 1.0) - xy


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake, which explains that rays do not meet.

    Attributes:
        what: what the case looks like.
        remedy: what to do.
    """

    what: str
    remedy: str


class _Trial:
    """The keypoints of some sets, and how the rays meet as they are and with a mistake undone."""

    def __init__(self, rig: CameraRig, sets: Sequence[Mapping[str, FloatArray]]) -> None:
        """Take keypoints (P, J, 2) px per camera of each set."""
        self._rig = rig
        most = max((len(xy) for seen in sets for xy in seen.values()), default=0)
        self._xy = np.full((len(rig), len(sets), most, len(BODY17), 2), np.nan)
        for number, seen in enumerate(sets):
            for name, xy in seen.items():
                self._xy[rig.names.index(name), number, : len(xy)] = xy
        # Bundles by the arguments of ``_bundle``.
        self._bundles: dict[tuple[int, int, _Undo], _Bundle] = {}
        self._meetings: dict[tuple[tuple[int, int, _Undo], tuple[int, int, _Undo]], float] = {}
        self.pairs = list(combinations(range(len(rig)), 2))

    def _bundle(self, images: int, camera: int, undo: _Undo) -> _Bundle:
        """Return the rays if the ``images`` of one camera are of another ``camera``, and have to be undone."""
        key = images, camera, undo
        if key not in self._bundles:
            of = self._rig.cameras[camera]
            xn = normalize(of.intrinsics, undo(of.intrinsics, self._xy[images]))
            self._bundles[key] = _Bundle.of(xn, of.cam_from_world)
        return self._bundles[key]

    def meeting(self, i: int, j: int) -> Meeting:
        """Return how the rays of two cameras meet as they are."""
        return _meeting(self._bundle(i, i, _same), self._bundle(j, j, _same))

    def disagreement(self, images: Sequence[int], undone: Mapping[int, _Undo] | None = None) -> float:
        """Return the mean share if camera c has the images of ``images[c]``, some of them ``undone``."""
        undone = undone or {}
        keys = [(image, c, undone.get(c, _same)) for c, image in enumerate(images)]
        values = []
        for i, j in self.pairs:
            pair = keys[i], keys[j]
            if pair not in self._meetings:
                self._meetings[pair] = _mean_share([_meeting(self._bundle(*pair[0]), self._bundle(*pair[1]))])
            values.append(self._meetings[pair])
        return float(nan_mean(np.array(values), 0))

    def posed(self, pose: Callable[[FloatArray], FloatArray], pairs: Sequence[tuple[int, int]]) -> float:
        """Return the mean share over ``pairs`` if ``pose`` makes cam_from_world of what the rig has."""
        bundles = [
            _Bundle.of(normalize(camera.intrinsics, self._xy[c]), pose(camera.cam_from_world))
            for c, camera in enumerate(self._rig.cameras)
        ]
        return _mean_share([_meeting(bundles[i], bundles[j]) for i, j in pairs])


def _mean_share(meetings: Sequence[Meeting]) -> float:
    share = np.concatenate([np.minimum(meeting.share, _CAP) for meeting in meetings])
    return float(nan_mean(share, 0))


class RayMeeting:
    """Judges whether several cameras see the same people; a contribution to a verdict."""

    def __init__(self, rig: CameraRig, min_confidence: float = 0.3) -> None:
        """Begin without a set; keypoints of less confidence are left out."""
        self._rig, self._min_confidence = rig, min_confidence
        self._sample: SpreadSample[ObservedSet] = SpreadSample(_SETS)
        self._num_sets = self._num_shared = self._num_without = self._most_cameras = 0

    def add(self, seen: ObservedSet) -> None:
        """Take one set into account."""
        seeing = sum(bool(len(found.xy)) for name, found in seen.keypoints.items() if name in self._rig.names)
        self._num_sets += 1
        if seeing < 2:
            return
        self._num_shared += 1
        self._most_cameras = max(self._most_cameras, seeing)
        self._num_without += not len(seen.bodies)
        self._sample.add(seen)

    def findings(self) -> Iterator[Finding]:
        """Return that rays do not meet, or meet at people of another size, and why."""
        if self._num_shared < _LEAST_SETS:
            return
        trial = _Trial(self._rig, self._chosen())
        meetings = {pair: trial.meeting(*pair) for pair in trial.pairs}
        share = _mean_share(list(meetings.values()))
        if not np.isfinite(share):
            return
        nobody = self._num_without >= _NOBODY * self._num_shared
        if share < _WRONG and (size := self._size(list(meetings.values()))):
            yield size
        elif share > _DOUBTFUL:
            mistake = find_mistake(trial, self._rig, meetings, share)
            if mistake is not None or (nobody and share > _WRONG):
                yield self._apart(list(meetings.values()), share, mistake)

    def _chosen(self) -> list[dict[str, FloatArray]]:
        """Return the keypoints (P, J, 2) px by camera of the sample, the sets with fewest people first."""
        sets = [
            {name: confident(found, self._min_confidence) for name, found in seen.keypoints.items()
             if name in self._rig.names and found.skeleton is BODY17}
            for seen in self._sample.items
        ]
        chosen: list[dict[str, FloatArray]] = []
        cost = 0
        for keypoints in sorted(sets, key=lambda one: max(map(len, one.values()), default=0)):
            cost += max(map(len, keypoints.values()), default=0) ** 2
            if chosen and cost > _PEOPLE_PAIRS:
                break
            chosen.append(keypoints)
        return chosen

    def _size(self, meetings: Sequence[Meeting]) -> Finding | None:
        """Return that the people are of another size, as by a wrong unit."""
        known = np.concatenate([np.where(m.share < 2.0 * _WRONG, m.trunk_m, np.nan) for m in meetings])
        factor = float(nan_median(known)) / _TRUNK_M
        if np.isnan(factor) or _SMALLEST < factor < _LARGEST:
            return None
        units = {**_UNITS, **{f'm read as {name}': 1.0 / value for name, value in _UNITS.items()}}
        unit = min(units, key=lambda name: abs(float(np.log(units[name] / factor))))
        times = f'{factor:.3g} times too large' if factor > 1.0 else f'{1.0 / factor:.3g} times too small'
        return Finding(
            Severity.ERROR,
            f'People are {times}: the calibration looks like {unit}' if abs(np.log(units[unit] / factor)) < 0.5
            else f'People are {times}',
            'Lengths are metres: geo_pose rig convert IN OUT.yaml --unit UNIT, or geo_pose calibrate --distance.',
            'rig', 'rays',
        )

    def _apart(self, meetings: Sequence[Meeting], share: float, mistake: Mistake | None) -> Finding:
        # Of those that disagree, where some do.
        off_m = np.concatenate([np.where(m.share > _WRONG, m.distance_m, np.nan) for m in meetings])
        all_m = np.concatenate([m.distance_m for m in meetings])
        apart = float(nan_median(off_m if np.isfinite(off_m).any() else all_m))
        length = f'{apart:.1f} m' if apart > 1.0 else f'{100.0 * apart:.0f} cm'
        what = (
            f'{self._most_cameras} cameras see people in {self._num_shared} of {self._num_sets} sets, but their rays '
            f'pass by {length} ({share:.0%} of a person)'
        )
        if mistake is None:
            return Finding(Severity.ERROR, f'{what}: unit, axes or cameras exchanged?',
                           'Do the cameras see the same people? Then calibrate again, from half a minute of somebody '
                           'who walks: geo_pose calibrate --from-scratch.', 'rig', 'rays')
        return Finding(Severity.ERROR, f'{what}: {mistake.what}', mistake.remedy, 'rig', 'rays')


def find_mistake(
    trial: _Trial, rig: CameraRig, meetings: Mapping[tuple[int, int], Meeting], share: float
) -> Mistake | None:
    """Return the mistake that explains the disagreement ``share`` best; None if none does."""
    own = tuple(range(len(rig)))
    tried: list[tuple[float, Mistake]] = [
        (trial.disagreement(images), _exchange(rig, images)) for images in _orders(rig, meetings)
    ]
    for undo, words in ((_mirrored, 'mirrored left to right'), (_turned, 'turned by 180 degrees')):
        remedy = f'Give the images as the camera took them, not {words}; or calibrate with these images.'
        everywhere = Mistake(f'the images of all cameras look {words}, or the calibration is', remedy)
        tried.append((trial.disagreement(own, dict.fromkeys(own, undo)), everywhere))
        tried += [
            (trial.disagreement(own, {c: undo}), Mistake(f'the images of {rig.names[c]} look {words}', remedy))
            for c in own
        ]
    if share > _WRONG:
        pairs = trial.pairs[:: -(-len(trial.pairs) // _MOST_PAIRS)]
        tried += [(trial.posed(pose, pairs), mistake) for pose, mistake in _POSES]
    left, mistake = min(tried, key=lambda one: one[0] if np.isfinite(one[0]) else np.inf)
    return mistake if left < min(_EXPLAINED * share, _AGREED) else None


def _orders(rig: CameraRig, meetings: Mapping[tuple[int, int], Meeting]) -> Iterator[tuple[int, ...]]:
    """Yield whose images each camera may have instead of its own."""
    own = tuple(range(len(rig)))
    if len(rig) <= _ALL_PERMUTATIONS:
        yield from (images for images in permutations(own) if images != own)
        return
    by_camera = [_mean_share([m for pair, m in meetings.items() if c in pair]) for c in own]
    worst = sorted(own, key=lambda c: -np.nan_to_num(by_camera[c]))[:_WORST]
    yield from (tuple({i: j, j: i}.get(c, c) for c in own) for i, j in combinations(worst, 2))


def _exchange(rig: CameraRig, images: Sequence[int]) -> Mistake:
    names = [rig.names[c] for c, image in enumerate(images) if image != c]
    listed = f'{", ".join(names[:-1])} and {names[-1]}'
    whose = ', '.join(f'{name} has those of {rig.names[images.index(rig.names.index(name))]}' for name in names)
    detail = '' if len(names) == 2 else f' ({whose})'
    return Mistake(f'{listed} look exchanged{detail}', 'Exchange their videos or topics, or their names in the '
                   'calibration.')


def _axes() -> Iterator[tuple[Callable[[FloatArray], FloatArray], Mistake]]:
    """Yield what makes the right pose of one in other axes, for all 23 turns of the camera's axes."""
    for order, signs in product(permutations(range(3)), product((1, -1), repeat=3)):
        turn = np.zeros((3, 3))
        turn[range(3), order] = signs
        if np.linalg.det(turn) > 0.0 and not np.array_equal(turn, np.eye(3)):
            known = (f'the poses look like {words}' for axes, words in CAMERA_AXES if np.array_equal(axes, turn))
            words = next(known, 'the axes of the camera frames look turned')
            yield partial(np.matmul, turn), Mistake(words, OPTICAL)


_INVERSE = 'Give the inverse: x_cam = R x_world + t.'
_POSES: tuple[tuple[Callable[[FloatArray], FloatArray], Mistake], ...] = (
    (invert, Mistake('the poses look like those of cameras in the world, not of the world in cameras', _INVERSE)),
    (lambda pose: np.column_stack([pose[:, :3].T, pose[:, 3]]), Mistake('the rotations look transposed', _INVERSE)),
    (lambda pose: np.column_stack([pose[:, :3], -pose[:, :3] @ pose[:, 3]]),
     Mistake("the translations look like the cameras' positions", 'Give t = -R c of each position c.')),
    *_axes(),
)
