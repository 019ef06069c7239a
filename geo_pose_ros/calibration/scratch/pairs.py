# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Two cameras from the people that both see, whoever is who."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...arrays import BoolArray, FloatArray
from ...geometry.projection import normalize
from ...geometry.triangulation import triangulate_dlt
from ...types import Camera
from ..epipolar import PairGeometry, essential_of, finite_pairs, pair_geometry, sampson
from ..people.tracklets import Tracklet, extent_px, sample
from ..settings import ScratchConfig
from ..task import RefusalError
from ..world import usual_size

# Tracklets of a camera that are looked at, the longest.
_LONGEST = 6
_PAIR_ITERATIONS = 400
# From this angle between two cameras' rays on, a wider one makes them no better a beginning.
_GOOD_PARALLAX_RAD = 0.5
# Joints that two cameras must share for bones to say how far apart they are.
_LEAST_SHARED = 60


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """What a camera sees of one person at T common instants.

    Attributes:
        xn: (T, J, 2) normalised, NaN = not seen.
        bound: within this distance, normalised, a keypoint fits: a share of the person's median size.
    """

    xn: FloatArray
    bound: float


@dataclass(frozen=True, slots=True, eq=False)
class CameraPair:
    """Two cameras and their geometry."""

    first: str
    second: str
    geometry: PairGeometry

    @property
    def score(self) -> float:
        """How good a beginning it is: many joints that fit, under a wide angle."""
        return self.geometry.score * min(self.geometry.angle_rad / _GOOD_PARALLAX_RAD, 1.0)


def tracks_of(
    tracklets: Sequence[Tracklet], camera: Camera, time_s: FloatArray, config: ScratchConfig
) -> list[Track]:
    """Return a camera's longest tracks at common instants (T,)."""
    found = []
    for tracklet in sorted(tracklets, key=len)[-_LONGEST:]:
        xy, _, _ = sample(tracklet, camera.clock.stamp_s(time_s))
        if np.isfinite(xy).any():
            found.append(Track(normalize(camera.intrinsics, xy), inlier_bound(xy, camera, config)))
    return found


def inlier_bound(xy: FloatArray, camera: Camera, config: ScratchConfig) -> float:
    """Return the normalised distance within which a keypoint fits people seen at ``xy`` (..., J, 2) px."""
    return config.inlier_error * float(np.nanmedian(extent_px(xy))) / float(camera.intrinsics.K[0, 0])


def camera_pairs(tracks: Mapping[str, Sequence[Track]], config: ScratchConfig) -> list[CameraPair]:
    """Return the pairs of cameras that agree, best first.

    Raises:
        CalibrationError: if there is none.
    """
    names, found = tuple(tracks), []
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            geometry = _best_geometry(tracks[first], tracks[second], config)
            if (
                geometry is not None and geometry.inlier_share >= config.least_inliers
                and geometry.angle_rad >= config.least_parallax_rad
            ):
                found.append(CameraPair(first, second, geometry))
    if not found:
        raise RefusalError(
            'No two cameras see joints that fit one pose of the two: they do not overlap, their intrinsics are wrong, '
            'or they had no common clock (then --sync).',
            'Record one person who walks where two cameras see them.',
        )
    return sorted(found, key=lambda pair: -pair.score)


def _best_geometry(
    first: Sequence[Track], second: Sequence[Track], config: ScratchConfig
) -> PairGeometry | None:
    """Return the geometry of two cameras over all people that they share."""
    best: PairGeometry | None = None
    for a, b, both, bound in _candidates(first, second):
        found = pair_geometry(a.xn[both], b.xn[both], bound, _PAIR_ITERATIONS)
        if found is not None and (best is None or found.score > best.score):
            best = found
    if best is None or best.inlier_share < config.least_inliers or len(first) * len(second) == 1:
        return best
    fitting = [(a.xn[both], b.xn[both], bound) for a, b, both, bound in _fitting(first, second, best)]
    if not fitting:
        return best
    x, y, bounds = zip(*fitting, strict=True)
    return pair_geometry(np.concatenate(x), np.concatenate(y), float(np.median(bounds))) or best


def pair_baseline(pair: CameraPair, tracks: Mapping[str, Sequence[Track]]) -> float:
    """Return the distance of the two cameras, m, that gives people usual bones; 1 if nobody is seen whole."""
    cams = np.stack([np.eye(3, 4), pair.geometry.second_from_first])
    factors = []
    for a, b, both, _ in _fitting(tracks[pair.first], tracks[pair.second], pair.geometry):
        if both.sum() >= _LEAST_SHARED:
            xn = np.stack([a.xn, b.xn]).reshape(2, -1, 2)
            weight = np.broadcast_to(both.ravel().astype(float), (2, both.size))
            factors.append(usual_size(triangulate_dlt(cams, xn, weight).reshape(*both.shape, 3)))
    known = [factor for factor in factors if np.isfinite(factor)]
    return float(np.median(known)) if known else 1.0


def _candidates(
    first: Sequence[Track], second: Sequence[Track]
) -> Iterator[tuple[Track, Track, BoolArray, float]]:
    """Yield every track of one camera with every one of the other: the joints (T, J) of both, and what fits."""
    for a in first:
        for b in second:
            yield a, b, finite_pairs(a.xn, b.xn), 0.5 * (a.bound + b.bound)


def _fitting(
    first: Sequence[Track], second: Sequence[Track], geometry: PairGeometry
) -> Iterator[tuple[Track, Track, BoolArray, float]]:
    """Yield the candidates of which most joints fit the geometry."""
    E = essential_of(geometry.second_from_first)
    for a, b, both, bound in _candidates(first, second):
        if both.any() and np.median(sampson(E, a.xn[both], b.xn[both])) < bound:
            yield a, b, both, bound
