"""What a recording is like, camera by camera and over time: the numbers behind `geo_pose report`.

Bodies and keypoints are added as they are read; per set a few numbers are kept, so that an hour needs some hundred
megabytes at most. A camera's residual is from its reprojected joint to the joint it found, raw px.

The clock of a camera: if its stamps are too late by d, what it shows lies behind the reprojection by v d, with v the
joint's velocity in the picture; report_clocks.py has the details.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..arrays import Float32Array, FloatArray, IntArray
from ..messages.stamps import nearest_indices
from ..scene.settings import PipelineConfig
from ..settings import setting
from ..skeleton import Skeleton
from ..types import Bodies3D, Camera, CameraRig, Keypoints2D
from .quality import Observation, leave_one_out_px
from .report_clocks import ClockSums
from .report_views import ComparedView, compare_view, lower_median, stack_bodies, velocities

_NS_PER_S = 1_000_000_000
# Sets that are worked on at once.
_BATCH = 512
# Of each batch so many, in a row, are asked for the cameras' clocks.
_CLOCK_SETS = 160
# Consecutive sets that the left-out camera is measured on at once.
_WINDOW = 30
_NAN = float('nan')
# Keypoints of a set are awaited for so long, by stamp.
_REORDER_NS = _NS_PER_S
_GRID_LONG_SIDE = 12


@dataclass(frozen=True, slots=True)
class ReportConfig:
    """Settings of `geo_pose report`."""

    match_ms: float = setting(
        25.0, 'Keypoints belong to the bodies whose stamp differs by at most this', unit='ms', low=0.0, high=1000.0
    )
    min_confidence: float = setting(0.3, 'Keypoints below this are left out', low=0.0, high=1.0)
    bins: int = setting(240, 'Points in time of a chart', low=2, high=10_000)
    left_out_sets: int = setting(
        240, 'Sets that the left-out camera is measured on, spread over the recording; 0: it is not measured', low=0,
        high=1_000_000,
    )
    worst: int = setting(4, 'Worst moments shown with their pictures', low=0, high=100)
    worst_apart_s: float = setting(2.0, 'Least time between two of them', unit='s', low=0.0, high=3600.0)
    gap_s: float = setting(0.5, 'A camera silent for longer has a gap', unit='s', low=0.0, high=3600.0)
    missing_ratio: float = setting(0.05, 'Share of missing frames from which on it is reported', low=0.0, high=1.0)
    same_body_ratio: float = setting(
        0.25, 'A person whose joints lie farther from a body than this share of its size is somebody else', low=0.01,
        high=10.0,
    )
    stranger_ratio: float = setting(
        0.2, 'Share of such people among those a camera finds from which on it is reported', low=0.0, high=1.0
    )
    exchanged_ratio: float = setting(
        0.05, 'Share of bodies with left and right exchanged from which on it is reported', low=0.0, high=1.0
    )
    outlier_ratio: float = setting(
        1.8, 'A camera stands out whose residual is above the median of the others\' by this factor', low=1.0,
        high=100.0,
    )
    outlier_px: float = setting(3.0, 'and by so much', unit='px', low=0.0, high=1000.0)
    outlier_s: float = setting(3.0, 'and for so long', unit='s', low=0.0, high=3600.0)
    residual_ratio: float = setting(
        0.02, 'Residual, as share of a body\'s size in the picture, from which on it is reported', low=0.0, high=1.0
    )
    bias_ratio: float = setting(
        0.6, 'Mean over median residual from which on a camera errs to one side, as a moved one does', low=0.0, high=1.0
    )
    clock_ms: float = setting(8.0, 'Clock offset from which on it is reported', unit='ms', low=0.0, high=1000.0)
    bone_cv: float = setting(0.05, 'Variation of a bone\'s length from which on it is reported', low=0.0, high=1.0)
    short_life_s: float = setting(1.0, 'Bodies seen for less time count as brief', unit='s', low=0.0, high=60.0)


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """A number over time.

    Attributes:
        time_s: (n,) middles of the bins, from the start of the recording.
        value: (n,), NaN where nothing was recorded.
    """

    time_s: FloatArray
    value: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class PictureField:
    """Residuals over the picture, on a grid of (H, W) cells.

    Attributes:
        mean_px: (H, W, 2) mean residual x y, NaN where too few joints were seen.
        size_px: (H, W) mean length of the residuals.
        count: (H, W) joints.
    """

    mean_px: FloatArray
    size_px: FloatArray
    count: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class CameraReport:
    """One camera over a recording; NaN where there is nothing to say.

    Attributes:
        name: of the camera.
        frames: recorded pictures or keypoints; rate_hz from the median distance of their stamps.
        missing: frames missing at that rate.
        gaps_ns: (start, end) of each silence.
        rate: frames per second over time.
        residual: median residual over time, px.
        residual_px, p95_px: of all joints.
        residual_ratio: median share of the body's size in the picture.
        bias_px: (2,) mean residual x y.
        field: where in the picture.
        clock_ms: how much later its stamps are than its rig says, against the median camera.
        clock_sigma_ms: standard error of ``clock_ms``.
        left_out_px: median distance to bodies from the other cameras alone.
        strangers: share of the people it found, while a body was in its picture, who are none of the bodies.
        exchanged: share of the bodies it found whose left and right it exchanged.
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
    bias_px: FloatArray
    field: PictureField | None
    clock_ms: float
    clock_sigma_ms: float
    left_out_px: float
    strangers: float
    exchanged: float


@dataclass(frozen=True, slots=True, eq=False)
class BodyReport:
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
        return sum(last - first for first, last in self.spans_ns) / _NS_PER_S


@dataclass(frozen=True, slots=True, eq=False)
class RecordingReport:
    """A whole recording.

    Attributes:
        start_ns, end_ns: stamps of the first and last set.
        sets: with a bodies message; with_bodies of them hold a measured body; most_people at once.
        skeleton: of the bodies.
        people: bodies over time.
        cameras: by name.
        bodies: by id, the longest seen first.
        views: (J, N) share of measured joints with so many views.
        sigma_m: (J,) mean standard deviation.
        left_out_sets: that left_out_px was measured on.
        worst_ns: stamps of the sets with the largest residuals; worst_px theirs.
    """

    start_ns: int
    end_ns: int
    sets: int
    with_bodies: int
    most_people: int
    skeleton: Skeleton
    people: Series
    cameras: Mapping[str, CameraReport]
    bodies: tuple[BodyReport, ...]
    views: FloatArray
    sigma_m: FloatArray
    left_out_sets: int
    worst_ns: tuple[int, ...]
    worst_px: tuple[float, ...]

    @property
    def duration_s(self) -> float:
        """Time from the first set to the last."""
        return (self.end_ns - self.start_ns) / _NS_PER_S


@dataclass(slots=True)
class _CameraSums:
    """What is kept of one camera while a recording is read."""

    stamps_ns: list[int] = field(default_factory=list)
    waiting: list[Keypoints2D] = field(default_factory=list)
    lengths_px: list[Float32Array] = field(default_factory=list)
    ratios: list[Float32Array] = field(default_factory=list)
    of_set_px: list[Float32Array] = field(default_factory=list)
    people: int = 0
    strangers: int = 0
    paired: int = 0
    exchanged: int = 0
    grid: FloatArray | None = None


class RecordingStatistics:
    """Takes bodies and keypoints in any order within a second, and says what they are like."""

    def __init__(
        self, skeleton: Skeleton, rig: CameraRig | None, config: ReportConfig, expected_sets: int = 0
    ) -> None:
        """Begin.

        Args:
            skeleton: of bodies and keypoints.
            rig: None: there are no residuals.
            config: settings.
            expected_sets: how many sets will come, so that the sets for the left-out camera can be chosen.
        """
        self._skeleton, self._rig, self._config = skeleton, rig, config
        self._parent, self._child = np.array(skeleton.edges).T
        self._clocks = ClockSums(rig.cameras) if rig is not None else None
        cameras = rig.cameras if rig is not None else ()
        self._late_ns = {camera.name: camera.clock.offset_ns for camera in cameras}
        self._waiting: list[Bodies3D] = []
        self._newest_ns = -(2**62)
        self._cameras: dict[str, _CameraSums] = {}
        self._stamps_ns: list[IntArray] = []
        self._people: list[IntArray] = []
        self._worst: list[Float32Array] = []
        self._rows: list[tuple[IntArray, IntArray, Float32Array]] = []
        self._views = np.zeros((len(skeleton), 2), np.int64)
        self._sigma = np.zeros((2, len(skeleton)))
        self._kept: list[Observation] = []
        self._keep = _spread(expected_sets, config.left_out_sets if rig is not None and len(rig) >= 3 else 0)
        self._number = 0

    def add_frame(self, camera: str, stamp_ns: int) -> None:
        """Count a picture, or keypoints, of ``camera``."""
        self._sums(camera).stamps_ns.append(stamp_ns)

    def add_keypoints(self, keypoints: Keypoints2D) -> None:
        """Take the keypoints of one camera."""
        self._advance(self._time_ns(keypoints))
        self._sums(keypoints.camera).waiting.append(keypoints)

    def add_bodies(self, bodies: Bodies3D) -> None:
        """Take the bodies of one set."""
        self._advance(bodies.stamp_ns)
        self._waiting.append(bodies)
        if len(self._waiting) >= _BATCH and self._waiting[_BATCH // 2].stamp_ns < self._newest_ns - _REORDER_NS:
            self._work(self._newest_ns - _REORDER_NS)

    def report(self, pipeline: PipelineConfig | None = None) -> RecordingReport:
        """Return the report; nothing can be added after it.

        Args:
            pipeline: settings for the left-out camera; None for the defaults.
        """
        self._work(2**62)
        stamps_ns = np.concatenate([np.zeros(0, np.int64), *self._stamps_ns])
        frames_ns = [
            end(sums.stamps_ns) for sums in self._cameras.values() if sums.stamps_ns for end in (min, max)
        ]
        ends = [*frames_ns, *(stamps_ns[[0, -1]].tolist() if len(stamps_ns) else [])]
        start_ns, end_ns = min(ends, default=0), max(ends, default=0)
        clock = _Binning(start_ns, end_ns, self._config.bins)
        left_out = self._left_out(pipeline)
        offsets = self._clock_offsets()
        cameras = {
            name: self._camera(name, clock, stamps_ns, left_out.get(name, _NAN), offsets.get(name, (_NAN, _NAN)))
            for name in sorted(self._cameras)
        }
        people = np.concatenate([np.zeros(0, np.int64), *self._people])
        worst = np.concatenate([np.zeros(0, np.float32), *self._worst])
        chosen = _peaks(stamps_ns, worst, self._config.worst, round(self._config.worst_apart_s * _NS_PER_S))
        seen = self._views.sum(1, keepdims=True)
        with np.errstate(invalid='ignore', divide='ignore'):
            sigma_m = self._sigma[0] / self._sigma[1]
            views = self._views / seen
        return RecordingReport(
            start_ns, end_ns, len(stamps_ns), int((people > 0).sum()), int(people.max(initial=0)), self._skeleton,
            clock.means(stamps_ns, people.astype(float)), cameras, self._bodies(clock), views, sigma_m,
            len(self._kept), tuple(stamps_ns[chosen].tolist()),
            tuple(np.round(worst[chosen].astype(float), 2).tolist()),
        )

    def _time_ns(self, keypoints: Keypoints2D) -> int:
        """Return when keypoints were seen, on the clock that the bodies are on."""
        return keypoints.stamp_ns - self._late_ns.get(keypoints.camera, 0)

    def _sums(self, camera: str) -> _CameraSums:
        return self._cameras.setdefault(camera, _CameraSums())

    def _advance(self, stamp_ns: int) -> None:
        if stamp_ns < self._newest_ns - 2 * _REORDER_NS:
            # The clock was set back, or the recording was looped: what waits belongs together.
            self._work(2**62)
            self._newest_ns = stamp_ns
        self._newest_ns = max(self._newest_ns, stamp_ns)

    def _work(self, until_ns: int) -> None:
        """Take the waiting sets up to a stamp into account."""
        ready = sorted((b for b in self._waiting if b.stamp_ns <= until_ns), key=lambda bodies: bodies.stamp_ns)
        self._waiting = [b for b in self._waiting if b.stamp_ns > until_ns]
        for start in range(0, len(ready), _BATCH):
            self._batch(ready[start : start + _BATCH])
        keep_ns = until_ns - round(self._config.match_ms * 1e6)
        for sums in self._cameras.values():
            sums.waiting = [k for k in sums.waiting if self._time_ns(k) > keep_ns]

    def _batch(self, sets: Sequence[Bodies3D]) -> None:
        stamps_ns = np.array([bodies.stamp_ns for bodies in sets], np.int64)
        ids, xyz = stack_bodies(sets, self._skeleton)
        for bodies in sets:
            self._count_joints(bodies)
        there = np.isfinite(xyz).any((2, 3))
        self._stamps_ns.append(stamps_ns)
        self._people.append(there.sum(1).astype(np.int64))
        lengths = np.linalg.norm(xyz[:, :, self._parent] - xyz[:, :, self._child], axis=-1)
        rows, columns = np.nonzero(there)
        self._rows.append((
            stamps_ns[rows], ids[columns], lengths[rows, columns].astype(np.float32),
        ))
        found = {name: self._matched(sums, stamps_ns) for name, sums in self._cameras.items()}
        self._retain(sets, found)
        self._number += len(sets)
        of_set = [np.full(len(sets), np.nan, np.float32)]
        if self._rig is not None:
            velocity = velocities(xyz, stamps_ns)
            views: list[ComparedView | None] = []
            for camera in self._rig.cameras:
                if camera.name not in self._cameras:
                    views.append(None)
                    continue
                view = self._compare(camera, xyz, velocity, stamps_ns, found[camera.name])
                views.append(view)
                of_set.append(self._take(camera, view))
            if self._clocks is not None:
                run = slice(0, _CLOCK_SETS)
                self._clocks.add(xyz[run], [None if view is None else view.part(run) for view in views])
        table = np.stack(of_set)
        self._worst.append(np.where(np.isnan(table), -np.inf, table).max(0).astype(np.float32))

    def _count_joints(self, bodies: Bodies3D) -> None:
        seen: NDArray[np.bool_] = np.asarray(bodies.num_views.any(1))
        known = np.isfinite(bodies.xyz[seen]).all(-1)
        views = bodies.num_views[seen]
        most = int(views.max(initial=0)) + 1
        if most > self._views.shape[1]:
            self._views = np.pad(self._views, ((0, 0), (0, most - self._views.shape[1])))
        joints = np.broadcast_to(np.arange(len(self._skeleton)), views.shape)
        np.add.at(self._views, (joints[known], views[known]), 1)
        sigma = np.sqrt(np.trace(bodies.covariance[seen], axis1=-2, axis2=-1) / 3.0)
        self._sigma += np.nansum(sigma, 0), np.isfinite(sigma).sum(0)

    def _matched(self, sums: _CameraSums, stamps_ns: IntArray) -> list[Keypoints2D | None]:
        """Return a camera's keypoints nearest to each stamp, None where there are none near."""
        sums.waiting.sort(key=self._time_ns)
        there = np.array([self._time_ns(k) for k in sums.waiting], np.int64)
        nearest = nearest_indices(there, stamps_ns, self._config.match_ms * 1e6)
        return [sums.waiting[i] if i >= 0 else None for i in nearest.tolist()]

    def _retain(self, sets: Sequence[Bodies3D], found: Mapping[str, Sequence[Keypoints2D | None]]) -> None:
        for offset in range(len(sets)):
            if self._number + offset in self._keep:
                seen = {name: k for name, matched in found.items() if (k := matched[offset]) is not None}
                self._kept.append(Observation(sets[offset].stamp_ns, seen, sets[offset]))

    def _take(self, camera: Camera, view: ComparedView) -> Float32Array:
        """Take a camera's view into account; return its median residual per set (S,)."""
        sums = self._cameras[camera.name]
        sums.exchanged += int(view.exchanged.sum())
        length = np.linalg.norm(view.residual, axis=-1)
        known = np.isfinite(length)
        sums.paired += int(known.any(2).sum())
        self._count_strangers(sums, camera, view)
        sums.lengths_px.append(length[known].astype(np.float32))
        sums.ratios.append((length / view.size[..., None])[known].astype(np.float32))
        self._to_grid(sums, camera, view.projected[known], view.residual[known])
        of_set = np.asarray(lower_median(length.reshape(len(length), -1)), np.float32)
        sums.of_set_px.append(of_set)
        return of_set

    def _compare(
        self, camera: Camera, xyz: FloatArray, velocity: FloatArray, stamps_ns: IntArray,
        found: Sequence[Keypoints2D | None],
    ) -> ComparedView:
        return compare_view(
            camera, xyz, velocity, stamps_ns, found, self._skeleton, min_confidence=self._config.min_confidence,
            same_body_ratio=self._config.same_body_ratio,
        )

    @staticmethod
    def _count_strangers(sums: _CameraSums, camera: Camera, view: ComparedView) -> None:
        """Count the people found while a body is wholly in the picture, and those of them who are no body."""
        limits = np.array([camera.intrinsics.width, camera.intrinsics.height])
        with np.errstate(invalid='ignore'):
            wholly: NDArray[np.bool_] = np.asarray(((view.projected >= 0.0) & (view.projected < limits)).all((2, 3)))
        inside = wholly.any(1)
        found = np.isfinite(view.found).any((2, 3)).sum(1)
        paired = np.isfinite(view.residual).any((2, 3)).sum(1)
        sums.people += int(found[inside].sum())
        sums.strangers += int((found - paired)[inside].sum())

    @staticmethod
    def _to_grid(sums: _CameraSums, camera: Camera, at: FloatArray, residual: FloatArray) -> None:
        width, height = camera.intrinsics.width, camera.intrinsics.height
        cell = max(width, height) / _GRID_LONG_SIDE
        shape = max(1, round(height / cell)), max(1, round(width / cell))
        if sums.grid is None:
            sums.grid = np.zeros((*shape, 4))
        rows = (at[:, 1] * shape[0] / height).astype(int)
        columns = (at[:, 0] * shape[1] / width).astype(int)
        inside = (rows >= 0) & (rows < shape[0]) & (columns >= 0) & (columns < shape[1])
        values = np.column_stack([residual, np.linalg.norm(residual, axis=-1), np.ones(len(residual))])
        np.add.at(sums.grid, (rows[inside], columns[inside]), values[inside])

    def _left_out(self, pipeline: PipelineConfig | None) -> dict[str, float]:
        """Return each camera's median residual to the bodies of the others; nothing with fewer than three."""
        if self._rig is None or not self._kept:
            return {}
        names = [name for name in self._rig.names if name in self._cameras]
        if len(names) < 3:
            return {}
        found = leave_one_out_px(self._rig.subset(names), self._kept, pipeline or PipelineConfig())
        return {name: _median(values) for name, values in found.items()}

    def _clock_offsets(self) -> dict[str, tuple[float, float]]:
        """Return how late each camera's stamps are and the standard error, ms."""
        if self._rig is None or self._clocks is None:
            return {}
        offsets, errors = self._clocks.offsets_ms()
        return dict(zip(self._rig.names, zip(offsets.tolist(), errors.tolist(), strict=True), strict=True))

    def _camera(
        self, name: str, clock: _Binning, sets_ns: IntArray, left_out_px: float, offset_ms: tuple[float, float]
    ) -> CameraReport:
        sums = self._cameras[name]
        stamps_ns = np.sort(np.array(sums.stamps_ns, np.int64))
        steps = np.diff(stamps_ns)
        period_ns = float(np.median(steps)) if len(steps) else 0.0
        missing = int(np.maximum(np.round(steps / period_ns) - 1, 0).sum()) if period_ns > 0.0 else 0
        long = np.flatnonzero(steps > max(self._config.gap_s * _NS_PER_S, 1.5 * period_ns))
        gaps = [(int(stamps_ns[i]), int(stamps_ns[i + 1])) for i in long]
        if len(stamps_ns):
            ends = (clock.start_ns, int(stamps_ns[0])), (int(stamps_ns[-1]), clock.end_ns)
            gaps += [(a, b) for a, b in ends if b - a > self._config.gap_s * _NS_PER_S]
        lengths = np.concatenate([np.zeros(0, np.float32), *sums.lengths_px])
        grid = sums.grid
        picture = None if grid is None else _field(grid)
        bias = np.full(2, np.nan)
        if grid is not None and grid[..., 3].sum() > 0:
            bias = grid[..., :2].sum((0, 1)) / grid[..., 3].sum()
        of_set = np.concatenate([np.zeros(0, np.float32), *sums.of_set_px])
        residual = clock.medians(sets_ns[len(sets_ns) - len(of_set) :], of_set.astype(float))
        return CameraReport(
            name, len(stamps_ns), _NS_PER_S / period_ns if period_ns > 0.0 else 0.0, missing, tuple(sorted(gaps)),
            clock.rates(stamps_ns), residual, _median(lengths), _percentile(lengths, 95),
            _median(np.concatenate([np.zeros(0, np.float32), *sums.ratios])), bias, picture,
            *offset_ms, left_out_px,
            sums.strangers / sums.people if sums.people else float('nan'),
            sums.exchanged / sums.paired if sums.paired else float('nan'),
        )

    def _bodies(self, clock: _Binning) -> tuple[BodyReport, ...]:
        if not self._rows:
            return ()
        stamps_ns, ids = (np.concatenate([row[i] for row in self._rows]) for i in (0, 1))
        lengths = np.concatenate([row[2] for row in self._rows])
        reports = []
        for body_id in np.unique(ids).tolist():
            own = ids == body_id
            at, table = stamps_ns[own], lengths[own].astype(float)
            breaks = np.flatnonzero(np.diff(at) > _NS_PER_S)
            firsts, lasts = np.append(0, breaks + 1), np.append(breaks, len(at) - 1)
            spans = tuple((int(at[a]), int(at[b])) for a, b in zip(firsts, lasts, strict=True))
            known = np.isfinite(table)
            count = np.maximum(known.sum(0), 1)
            mean = np.where(known, table, 0.0).sum(0) / count
            spread = np.sqrt((np.where(known, table - mean, 0.0) ** 2).sum(0) / count)
            enough = known.sum(0) >= 2
            with np.errstate(invalid='ignore', divide='ignore'):
                cv = np.where(enough, spread / mean, np.nan)
            series = tuple(clock.medians(at, table[:, bone]) for bone in range(table.shape[1]))
            reports.append(BodyReport(int(body_id), len(at), spans, series, np.where(enough, mean, np.nan), cv))
        return tuple(sorted(reports, key=lambda body: -body.sets))


class _Binning:
    """Time bins over a recording."""

    def __init__(self, start_ns: int, end_ns: int, most: int) -> None:
        self.start_ns, self.end_ns = start_ns, end_ns
        self._span_ns = max(end_ns - start_ns, 1)
        # Not finer than half a second: a rate needs some frames to count.
        self._count = max(1, min(most, int(self._span_ns / (_NS_PER_S / 2))))
        edges = np.linspace(0.0, self._span_ns / _NS_PER_S, self._count + 1)
        self._middle_s: FloatArray = (edges[1:] + edges[:-1]) / 2.0

    def _index(self, stamps_ns: IntArray) -> IntArray:
        index = (stamps_ns - self.start_ns) * self._count // self._span_ns
        return np.clip(index, 0, self._count - 1)

    def rates(self, stamps_ns: IntArray) -> Series:
        """Return how many stamps per second."""
        counts = np.bincount(self._index(stamps_ns), minlength=self._count)
        return Series(self._middle_s, counts * self._count / (self._span_ns / _NS_PER_S))

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
        medians = [
            float(np.median(ordered[a:b])) if b > a else np.nan for a, b in pairwise(bounds.tolist())
        ]
        return Series(self._middle_s, np.array(medians))


def _spread(total: int, wanted: int, window: int = _WINDOW) -> frozenset[int]:
    """Return the numbers of ``wanted`` of ``total`` sets, in windows of consecutive ones spread evenly."""
    if wanted <= 0 or total <= 0:
        return frozenset()
    if wanted >= total:
        return frozenset(range(total))
    windows = max(1, wanted // window)
    length = wanted // windows
    starts = np.linspace(0, total - length, windows).astype(int)
    return frozenset(number for start in starts.tolist() for number in range(start, start + length))


def _field(grid: FloatArray) -> PictureField:
    count = grid[..., 3]
    with np.errstate(invalid='ignore', divide='ignore'):
        mean = np.where(count[..., None] >= 10, grid[..., :2] / count[..., None], np.nan)
        size = np.where(count >= 10, grid[..., 2] / count, np.nan)
    return PictureField(mean, size, count.astype(np.int64))


def _peaks(stamps_ns: IntArray, values: Float32Array, most: int, apart_ns: int) -> IntArray:
    """Return the indices of the largest values, at most ``most``, no two nearer in time than ``apart_ns``."""
    chosen: list[int] = []
    for index in np.argsort(-values, kind='stable').tolist():
        if len(chosen) == most or not np.isfinite(values[index]):
            break
        if all(abs(int(stamps_ns[index] - stamps_ns[other])) >= apart_ns for other in chosen):
            chosen.append(index)
    return np.array(chosen, np.int64)


def _median(values: NDArray[np.floating]) -> float:
    return _percentile(values, 50)


def _percentile(values: NDArray[np.floating], percent: float) -> float:
    finite = values[np.isfinite(values)]
    return float(np.percentile(finite, percent)) if len(finite) else float('nan')
