# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""One camera over a recording: its frames, and how far its detections lie from the reprojected bodies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..arrays import NS_PER_S, BoolArray, Float32Array, FloatArray, IntArray
from ..geometry.stats import nan_lower_median, nan_percentile
from ..messages.stamps import nearest_indices
from ..types import Camera, Keypoints2D
from .report import CameraSummary, ResidualField, TimeBins
from .settings import ReportConfig
from .views import ComparedView

# Cells of a residual field along the longer side of the image.
_GRID_LONG_SIDE = 12
# A cell with fewer joints says nothing.
_LEAST_JOINTS = 10
# With fewer cells an affine map explains anything.
_AFFINE_CELLS = 8
_NAN = float('nan')


class CameraStatistics:
    """Takes the frames, keypoints and compared views of one camera, and says what they are like."""

    def __init__(self, name: str, camera: Camera | None) -> None:
        """Begin with nothing; without a calibrated ``camera`` there are no residuals."""
        self._name, self._camera = name, camera
        self._stamps_ns: list[int] = []
        self._waiting: list[Keypoints2D] = []
        self._residual_px: list[Float32Array] = []
        self._residual_ratio: list[Float32Array] = []
        self._of_set_px: list[Float32Array] = []
        self._speed_px_s: list[Float32Array] = []
        self._residual_mm: list[Float32Array] = []
        self._people = self._unmatched = self._matched = self._exchanged = 0
        # Sets with a body wholly in the image, those of them with a person found, and with a body found.
        self._sights = np.zeros(3, np.int64)
        # Per set: 1 with a body wholly in the image and nobody found, 0 with somebody found, -1 without such a body.
        self._blind: list[IntArray] = []
        # Per cell: sums of x, y, length and number of the residuals.
        self._grid: FloatArray | None = None

    def add_frame(self, stamp_ns: int) -> None:
        """Count an image, or keypoints."""
        self._stamps_ns.append(stamp_ns)

    def add_keypoints(self, keypoints: Keypoints2D) -> None:
        """Count keypoints, which wait for the bodies of their set."""
        self.add_frame(keypoints.stamp_ns)
        self._waiting.append(keypoints)

    def common_ns(self, keypoints: Keypoints2D) -> int:
        """Return when keypoints were seen, in the time of the bodies."""
        return keypoints.stamp_ns if self._camera is None else self._camera.clock.common_ns(keypoints.stamp_ns)

    def ends_ns(self) -> tuple[int, ...]:
        """Return the stamps of the first and last frame; none without a frame."""
        return (min(self._stamps_ns), max(self._stamps_ns)) if self._stamps_ns else ()

    def nearest(self, stamps_ns: IntArray, within_ns: float) -> list[Keypoints2D | None]:
        """Return the waiting keypoints nearest to each stamp (S,), None where there are none near."""
        self._waiting.sort(key=self.common_ns)
        there = np.array([self.common_ns(k) for k in self._waiting], np.int64)
        return [self._waiting[i] if i >= 0 else None for i in nearest_indices(there, stamps_ns, within_ns).tolist()]

    def forget_until(self, stamp_ns: int) -> None:
        """Drop the waiting keypoints up to a stamp."""
        self._waiting = [k for k in self._waiting if self.common_ns(k) > stamp_ns]

    def add_view(self, camera: Camera, view: ComparedView) -> Float32Array:
        """Take the view of S sets into account; return its median residual per set (S,) px."""
        length = np.linalg.norm(view.residual, axis=-1)
        known = np.isfinite(length)
        self._exchanged += int(view.exchanged.sum())
        self._matched += int(known.any(2).sum())
        self._residual_px.append(length[known].astype(np.float32))
        self._residual_ratio.append((length / view.size[..., None])[known].astype(np.float32))
        self._speed_px_s.append(view.speed[known].astype(np.float32))
        self._residual_mm.append((length * view.mm_per_px[..., None])[known].astype(np.float32))
        self._add_people(camera, view)
        self._add_to_grid(camera, view.projected[known], view.residual[known])
        of_set = np.asarray(nan_lower_median(length.reshape(len(length), -1)), np.float32)
        self._of_set_px.append(of_set)
        return of_set

    def _add_people(self, camera: Camera, view: ComparedView) -> None:
        """Count the people detected while a body is wholly in the image, and those of them without a body."""
        limits = np.array([camera.intrinsics.width, camera.intrinsics.height])
        with np.errstate(invalid='ignore'):
            wholly: BoolArray = np.asarray(((view.projected >= 0.0) & (view.projected < limits)).all((2, 3)))
        inside = wholly.any(1)
        found = np.isfinite(view.found).any((2, 3)).sum(1)
        matched = np.isfinite(view.residual).any((2, 3)).sum(1)
        self._people += int(found[inside].sum())
        self._unmatched += int((found - matched)[inside].sum())
        seen = inside & view.delivered
        self._blind.append(np.where(seen, found == 0, -1))
        self._sights += seen.sum(), (seen & (found > 0)).sum(), (seen & (matched > 0)).sum()

    def _add_to_grid(self, camera: Camera, at: FloatArray, residual: FloatArray) -> None:
        size = np.array([camera.intrinsics.height, camera.intrinsics.width])
        if self._grid is None:
            shape = np.maximum(1, np.round(size * _GRID_LONG_SIDE / size.max()).astype(int))
            self._grid = np.zeros((*shape.tolist(), 4))
        shape = np.array(self._grid.shape[:2])
        cell = (at[:, ::-1] * shape / size).astype(int)
        inside = ((cell >= 0) & (cell < shape)).all(1)
        values = np.column_stack([residual, np.linalg.norm(residual, axis=-1), np.ones(len(residual))])
        np.add.at(self._grid, tuple(cell[inside].T), values[inside])

    def summary(
        self, bins: TimeBins, sets_ns: IntArray, config: ReportConfig, left_out_px: float,
        clock_ms: tuple[float, float],
    ) -> CameraSummary:
        """Return what the camera is like; ``clock_ms``: how late its stamps are, and the standard error."""
        stamps_ns = np.sort(np.array(self._stamps_ns, np.int64))
        steps = np.diff(stamps_ns)
        period_ns = float(np.median(steps)) if len(steps) else 0.0
        of_set = _joined(self._of_set_px)
        # A camera that came later has no residual in the sets before.
        residual = bins.medians(sets_ns[len(sets_ns) - len(of_set) :], of_set.astype(float))
        bias_px, shared, field = self._over_the_image()
        in_view, found, matched = self._sights.tolist()
        return CameraSummary(
            name=self._name, frames=len(stamps_ns), rate_hz=NS_PER_S / period_ns if period_ns > 0.0 else 0.0,
            missing=int(np.maximum(np.round(steps / period_ns) - 1, 0).sum()) if period_ns > 0.0 else 0,
            gaps_ns=_gaps(stamps_ns, bins, config.gap_s * NS_PER_S, period_ns), rate=bins.rates(stamps_ns),
            residual=residual, residual_px=nan_percentile(_joined(self._residual_px), 50),
            p95_px=nan_percentile(_joined(self._residual_px), 95),
            residual_ratio=nan_percentile(_joined(self._residual_ratio), 50),
            residual_mm=nan_percentile(_joined(self._residual_mm), 50), bias_px=bias_px, shared=shared, field=field,
            clock_ms=clock_ms[0], clock_sigma_ms=clock_ms[1], speed_px_s=self._speed(), left_out_px=left_out_px,
            unmatched=self._unmatched / self._people if self._people else _NAN,
            exchanged=self._exchanged / self._matched if self._matched else _NAN,
            in_view=in_view, found=found, matched=matched,
            blind_ns=_longest_blind(np.concatenate([np.zeros(0, np.int64), *self._blind]), sets_ns),
        )

    def _speed(self) -> float:
        """Return the standard deviation of the joints' velocity in the image, px/s; NaN without one."""
        speed = np.concatenate([np.zeros((0, 2), np.float32), *self._speed_px_s])
        known = speed[np.isfinite(speed).all(1)].astype(float)
        return float(np.sqrt(known.var(0).sum())) if len(known) else _NAN

    def _over_the_image(self) -> tuple[FloatArray, float, ResidualField | None]:
        """Return the mean residual (2,) px, the share that all joints have in common, and the residuals on a grid."""
        if self._grid is None:
            return np.full(2, np.nan), _NAN, None
        sums, count = self._grid[..., :3], self._grid[..., 3]
        with np.errstate(invalid='ignore', divide='ignore'):
            bias_px = sums[..., :2].sum((0, 1)) / count.sum()
            means = np.where(count[..., None] >= _LEAST_JOINTS, sums / count[..., None], np.nan)
        return bias_px, _shared(self._grid), ResidualField(means[..., :2], means[..., 2], count.astype(np.int64))


def _shared(grid: FloatArray) -> float:
    """Return the share of the residuals that an affine map of the image explains, from sums (H, W, 4) per cell.

    A camera that was turned, or has another focal length, moves all that it shows alike. A detector that errs does not.
    """
    rows, columns = np.nonzero(grid[..., 3] >= _LEAST_JOINTS)
    if not len(rows):
        return _NAN
    sums = grid[rows, columns]
    count = sums[:, 3]
    terms = np.column_stack([np.ones(len(rows)), rows, columns])[:, : 3 if len(rows) >= _AFFINE_CELLS else 1]
    root = np.sqrt(count)[:, None]
    solved, *_ = np.linalg.lstsq(terms * root, sums[:, :2] / count[:, None] * root, rcond=None)
    total = float(sums[:, 2].sum())
    return float((count * np.linalg.norm(terms @ solved, axis=1)).sum()) / total if total > 0.0 else 0.0


def _longest_blind(blind: IntArray, sets_ns: IntArray) -> tuple[int, int]:
    """Return first and last stamp of the longest time with bodies in the image of which none was found; (0, 0)."""
    judged = np.flatnonzero(blind >= 0)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], blind[judged], [0]])))
    stamps_ns = sets_ns[len(sets_ns) - len(blind) :][judged]
    runs = [(int(stamps_ns[a]), int(stamps_ns[b - 1])) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    return max(runs, key=lambda run: run[1] - run[0], default=(0, 0))


def _gaps(stamps_ns: IntArray, bins: TimeBins, least_ns: float, period_ns: float) -> tuple[tuple[int, int], ...]:
    """Return begin and end of each time without a frame, also before the first one and after the last."""
    if not len(stamps_ns):
        return ()
    long = np.flatnonzero(np.diff(stamps_ns) > max(least_ns, 1.5 * period_ns))
    gaps = list(zip(stamps_ns[long].tolist(), stamps_ns[long + 1].tolist(), strict=True))
    ends = (bins.start_ns, int(stamps_ns[0])), (int(stamps_ns[-1]), bins.end_ns)
    return tuple(sorted(gaps + [(begin, end) for begin, end in ends if end - begin > least_ns]))


def _joined(parts: Sequence[Float32Array]) -> Float32Array:
    return np.concatenate([np.zeros(0, np.float32), *parts])
