# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What a recording is like, camera by camera and body by body: the numbers behind `geo_pose report`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..arrays import NS_PER_S, FloatArray, IntArray
from ..findings import Finding
from ..skeleton import Skeleton

# A rate needs some frames to count.
_LEAST_BIN_S = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """A number over time.

    Attributes:
        time_s: (n,) middles of the bins, from the start of the recording.
        value: (n,), NaN where nothing was recorded.
    """

    time_s: FloatArray
    value: FloatArray


class TimeBins:
    """Time bins over a recording from ``start_ns`` to ``end_ns``."""

    def __init__(self, start_ns: int, end_ns: int, most: int) -> None:
        """Make at most ``most`` bins of half a second or longer."""
        self.start_ns, self.end_ns = start_ns, end_ns
        self._span_ns = max(end_ns - start_ns, 1)
        self._count = max(1, min(most, int(self._span_ns / (_LEAST_BIN_S * NS_PER_S))))
        edges = np.linspace(0.0, self._span_ns / NS_PER_S, self._count + 1)
        self._middle_s: FloatArray = (edges[1:] + edges[:-1]) / 2.0

    def _index(self, stamps_ns: IntArray) -> IntArray:
        index = (stamps_ns - self.start_ns) * self._count // self._span_ns
        return np.clip(index, 0, self._count - 1)

    def rates(self, stamps_ns: IntArray) -> Series:
        """Return how many stamps per second."""
        counts = np.bincount(self._index(stamps_ns), minlength=self._count)
        return Series(self._middle_s, counts * self._count / (self._span_ns / NS_PER_S))

    def means(self, stamps_ns: IntArray, values: FloatArray) -> Series:
        """Return the mean of the values of each bin."""
        index = self._index(stamps_ns)
        count = np.bincount(index, minlength=self._count)
        total = np.bincount(index, values, self._count)
        return Series(self._middle_s, np.where(count > 0, total / np.maximum(count, 1), np.nan))

    def medians(self, stamps_ns: IntArray, values: FloatArray) -> Series:
        """Return the median of the finite values of each bin."""
        known = np.isfinite(values)
        index, values = self._index(stamps_ns[known]), values[known]
        order = np.argsort(index, kind='stable')
        bounds = np.searchsorted(index[order], np.arange(self._count + 1))
        ordered = values[order]
        medians = [float(np.median(ordered[a:b])) if b > a else np.nan for a, b in pairwise(bounds.tolist())]
        return Series(self._middle_s, np.array(medians))


@dataclass(frozen=True, slots=True, eq=False)
class ResidualField:
    """Residuals over the image, on a grid of (H, W) cells.

    Attributes:
        mean_px: (H, W, 2) mean residual x y, NaN where too few joints were seen.
        size_px: (H, W) mean length of the residuals.
        count: (H, W) joints.
    """

    mean_px: FloatArray
    size_px: FloatArray
    count: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class CameraSummary:
    """One camera over a recording; NaN where nothing is known.

    A residual goes from the reprojected joint to the detected joint, raw px.

    Attributes:
        name: of the camera.
        frames: recorded images or keypoints.
        rate_hz: 1 / median distance of their stamps.
        missing: frames missing at that rate.
        gaps_ns: (start, end) stamps of each gap.
        rate: frames per second over time.
        residual: median residual over time, px.
        residual_px, p95_px: median and 95th percentile of all joints.
        residual_ratio: median of residual / size of the body in the image.
        residual_mm: median of residual at the body's depth.
        bias_px: (2,) mean residual x y.
        shared: share of the residuals that one shift, turn and scale of the whole image explains, as of a calibration.
        field: residuals over the image; None without a rig.
        clock_ms: how much later its stamps are than its rig says, against the median camera.
        clock_sigma_ms: standard error of ``clock_ms``.
        speed_px_s: standard deviation of the joints' velocity in the image: what a wrong clock makes residuals of.
        left_out_px: median distance to bodies from the other cameras alone.
        unmatched: share of people without a body among those detected while a body was in the image.
        exchanged: share of the matched bodies whose left and right the detector exchanged.
        in_view: sets in which it delivered and a body of the others was wholly in its image.
        blind_ns: first and last stamp of the longest time in which it found nobody of them.
        found, matched: those of them in which it found somebody, and a body.
    """

    name: str
    frames: int
    rate_hz: float
    missing: int
    gaps_ns: tuple[tuple[int, int], ...]
    rate: Series
    residual: Series
    residual_px: float
    p95_px: float
    residual_ratio: float
    residual_mm: float
    bias_px: FloatArray
    shared: float
    field: ResidualField | None
    clock_ms: float
    clock_sigma_ms: float
    speed_px_s: float
    left_out_px: float
    unmatched: float
    exchanged: float
    in_view: int
    found: int
    matched: int
    blind_ns: tuple[int, int]

    @property
    def silent_s(self) -> float:
        """Time within gaps."""
        return sum(end - begin for begin, end in self.gaps_ns) / NS_PER_S


@dataclass(frozen=True, slots=True, eq=False)
class BodySummary:
    """One body id.

    Attributes:
        body_id: of Bodies3D.
        sets: in which it was measured.
        spans_ns: (first, last) stamp of each time it was there without a gap.
        lengths: per bone of the skeleton, its length over time, m.
        length_m, length_cv: (bones,) mean and variation.
    """

    body_id: int
    sets: int
    spans_ns: tuple[tuple[int, int], ...]
    lengths: tuple[Series, ...]
    length_m: FloatArray
    length_cv: FloatArray

    @property
    def seen_s(self) -> float:
        """Time it was there."""
        return sum(last - first for first, last in self.spans_ns) / NS_PER_S


@dataclass(frozen=True, slots=True, eq=False)
class RecordingReport:
    """A whole recording.

    Attributes:
        start_ns, end_ns: stamps of the first and last set or frame.
        sets: number of bodies messages.
        with_bodies: sets with a measured body.
        most_people: at once, in at least 2 % of the sets with bodies.
        skeleton: of the bodies.
        people: bodies over time.
        cameras: by name.
        bodies: by id, the longest seen first.
        views: (J, N) share of measured joints with 0, 1, ... N-1 views.
        sigma_m: (J,) mean standard deviation.
        error_px: median residual, corrected by what each joint's number of views leaves of it; NaN below two views.
        left_out_sets: sets that left_out_px was measured on.
        worst_ns: stamps of the sets with the largest residuals.
        worst_px: their residuals.
        contributed: what contributions found, see ``evaluation.contributions``.
    """

    start_ns: int
    end_ns: int
    sets: int
    with_bodies: int
    most_people: int
    skeleton: Skeleton
    people: Series
    cameras: Mapping[str, CameraSummary]
    bodies: tuple[BodySummary, ...]
    views: FloatArray
    sigma_m: FloatArray
    error_px: float
    left_out_sets: int
    worst_ns: tuple[int, ...]
    worst_px: tuple[float, ...]
    contributed: tuple[Finding, ...] = ()

    @property
    def duration_s(self) -> float:
        """Time from the start to the end."""
        return self.offset_s(self.end_ns)

    def offset_s(self, stamp_ns: int) -> float:
        """Return the time from the start to a stamp."""
        return (stamp_ns - self.start_ns) / NS_PER_S

    def spans_s(self, spans_ns: Iterable[tuple[int, int]]) -> list[tuple[float, float]]:
        """Return stretches between stamps as times from the start."""
        return [(self.offset_s(begin), self.offset_s(end)) for begin, end in spans_ns]
