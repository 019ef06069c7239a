# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Reads bodies and keypoints of a recording into the numbers of its report.

Bodies and keypoints are added as they are read. Per set a few numbers are kept, so that an hour needs some hundred
megabytes at most.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..arrays import NS_PER_S, Float32Array, FloatArray, IntArray
from ..errors import ShapeError
from ..geometry.stats import nan_percentile
from ..scene.settings import PipelineConfig
from ..skeleton import Skeleton
from ..types import Bodies3D, CameraRig, Keypoints2D
from .bodies import BodyStatistics, BodyTracks
from .cameras import CameraStatistics
from .clocks import ClockSums
from .contributions import contributions_for
from .quality import ObservedSet, leave_one_out_px, measured
from .report import RecordingReport, TimeBins
from .settings import ReportConfig
from .views import ComparedView, compare_view

# Sets that are worked on at once.
_BATCH = 512
# The first so many sets of each batch are asked for the clocks of the cameras.
_CLOCK_SETS = 160
# Consecutive sets that the left-out camera is measured on at once.
_WINDOW = 30
# Keypoints of a set are awaited for so long, by stamp.
_REORDER_NS = NS_PER_S
_ALL_NS = 2**62
# A share of the sets with bodies.
_RARE = 0.02


class RecordingStatistics:
    """Takes bodies and keypoints in any order within a second, and says what they are like."""

    def __init__(self, skeleton: Skeleton, rig: CameraRig | None, config: ReportConfig, num_sets: int = 0) -> None:
        """Begin with nothing; without a rig there are no residuals.

        The sets for the left-out camera are chosen by ``num_sets``, how many will come.
        """
        self._skeleton, self._rig, self._config = skeleton, rig, config
        self._clocks = ClockSums(rig.cameras) if rig is not None else None
        self._contributions = contributions_for(rig, config) if rig is not None else ()
        self._waiting: list[Bodies3D] = []
        self._newest_ns = -_ALL_NS
        self._cameras: dict[str, CameraStatistics] = {}
        for name in rig.names if rig is not None else ():
            self._camera(name)
        self._error_px: list[Float32Array] = []
        self._bodies = BodyStatistics(skeleton)
        self._stamps_ns: list[IntArray] = []
        self._people: list[IntArray] = []
        self._worst_px: list[Float32Array] = []
        self._kept: list[ObservedSet] = []
        self._keep = _spread(num_sets, config.left_out_sets if rig is not None and len(rig) >= 3 else 0)
        self._number = 0

    def add_frame(self, camera: str, stamp_ns: int) -> None:
        """Count an image of a camera without keypoints."""
        self._camera(camera).add_frame(stamp_ns)

    def add_keypoints(self, keypoints: Keypoints2D) -> None:
        """Take the keypoints of one camera."""
        camera = self._camera(keypoints.camera)
        self._advance(camera.common_ns(keypoints))
        camera.add_keypoints(keypoints.as_output(self._skeleton))

    def add_bodies(self, bodies: Bodies3D) -> None:
        """Take the bodies of one set; raise ShapeError if their joints are others than those before."""
        if bodies.skeleton != self._skeleton:
            raise ShapeError(
                f"RecordingStatistics: received bodies of '{bodies.skeleton.name}', expected '{self._skeleton.name}'; "
                'a recording has one skeleton.'
            )
        self._advance(bodies.stamp_ns)
        self._waiting.append(measured(bodies))
        if len(self._waiting) >= _BATCH and self._waiting[_BATCH // 2].stamp_ns < self._newest_ns - _REORDER_NS:
            self._work(self._newest_ns - _REORDER_NS)

    def add_set(self, seen: ObservedSet) -> None:
        """Take the keypoints and bodies of one set."""
        for keypoints in seen.keypoints.values():
            self.add_keypoints(keypoints)
        self.add_bodies(seen.bodies)

    def report(self, pipeline: PipelineConfig | None = None) -> RecordingReport:
        """Return the report; nothing can be added after it. ``pipeline``: settings for the left-out camera."""
        self._work(_ALL_NS)
        nothing = np.zeros(0, np.int64)
        stamps_ns, people = (np.concatenate([nothing, *parts]) for parts in (self._stamps_ns, self._people))
        worst_px = np.concatenate([np.zeros(0, np.float32), *self._worst_px])
        ends_ns = [end for camera in self._cameras.values() for end in camera.ends_ns()]
        ends_ns += stamps_ns[[0, -1]].tolist() if len(stamps_ns) else []
        bins = TimeBins(min(ends_ns, default=0), max(ends_ns, default=0), self._config.bins)
        left_out_px, clocks_ms = self._left_out_px(pipeline or PipelineConfig()), self._clocks_ms()
        unknown = float('nan'), float('nan')
        chosen = _peaks(stamps_ns, worst_px, self._config.worst, round(self._config.worst_apart_s * NS_PER_S))
        return RecordingReport(
            start_ns=bins.start_ns, end_ns=bins.end_ns, sets=len(stamps_ns), with_bodies=int((people > 0).sum()),
            most_people=_most_at_once(people), skeleton=self._skeleton,
            people=bins.means(stamps_ns, people.astype(float)),
            cameras={
                name: camera.summary(bins, stamps_ns, self._config, left_out_px.get(name, unknown[0]),
                                     clocks_ms.get(name, unknown))
                for name, camera in sorted(self._cameras.items())
            },
            bodies=self._bodies.summaries(bins), views=self._bodies.view_shares(), sigma_m=self._bodies.sigma_m(),
            error_px=nan_percentile(np.concatenate([np.zeros(0, np.float32), *self._error_px]), 50),
            left_out_sets=len(self._kept), worst_ns=tuple(stamps_ns[chosen].tolist()),
            worst_px=tuple(np.round(worst_px[chosen].astype(float), 2).tolist()),
            contributed=tuple(found for one in self._contributions for found in one.findings()),
        )

    def _camera(self, name: str) -> CameraStatistics:
        if name not in self._cameras:
            rig = self._rig
            camera = rig[name] if rig is not None and name in rig.names else None
            self._cameras[name] = CameraStatistics(name, camera)
        return self._cameras[name]

    def _advance(self, stamp_ns: int) -> None:
        if stamp_ns < self._newest_ns - 2 * _REORDER_NS:
            # The clock was set back, or the recording was looped: what waits belongs together.
            self._work(_ALL_NS)
            self._newest_ns = stamp_ns
        self._newest_ns = max(self._newest_ns, stamp_ns)

    def _work(self, until_ns: int) -> None:
        """Take the waiting sets up to a stamp into account."""
        ready = sorted((b for b in self._waiting if b.stamp_ns <= until_ns), key=lambda bodies: bodies.stamp_ns)
        self._waiting = [b for b in self._waiting if b.stamp_ns > until_ns]
        for start in range(0, len(ready), _BATCH):
            self._batch(ready[start : start + _BATCH])
        for camera in self._cameras.values():
            camera.forget_until(until_ns - round(self._config.match_ms * 1e6))

    def _batch(self, sets: Sequence[Bodies3D]) -> None:
        tracks = BodyTracks.of(sets, self._skeleton)
        self._bodies.add(sets, tracks)
        self._stamps_ns.append(tracks.stamps_ns)
        self._people.append(np.isfinite(tracks.xyz).any((2, 3)).sum(1).astype(np.int64))
        within_ns = self._config.match_ms * 1e6
        found = {name: camera.nearest(tracks.stamps_ns, within_ns) for name, camera in self._cameras.items()}
        for offset, bodies in enumerate(sets, start=self._number):
            keypoints = {name: k for name, ks in found.items() if (k := ks[offset - self._number]) is not None}
            seen = ObservedSet(bodies.stamp_ns, keypoints, bodies)
            for contribution in self._contributions:
                contribution.add(seen)
            if offset in self._keep:
                self._kept.append(seen)
        self._number += len(sets)
        self._worst_px.append(self._compare(tracks, found))

    def _compare(self, tracks: BodyTracks, found: dict[str, list[Keypoints2D | None]]) -> Float32Array:
        """Compare the bodies with every camera's keypoints; return the largest residual (S,) of a camera per set."""
        worst_px = np.full(len(tracks.stamps_ns), -np.inf, np.float32)
        if self._rig is None or self._clocks is None:
            return worst_px
        views: list[ComparedView | None] = []
        for camera in self._rig.cameras:
            if camera.name not in found:
                views.append(None)
                continue
            view = compare_view(camera, tracks, found[camera.name], self._skeleton, self._config)
            views.append(view)
            worst_px = np.fmax(worst_px, self._cameras[camera.name].add_view(camera, view))
        self._clocks.add(tracks.xyz[:_CLOCK_SETS], views)
        self._error_px.append(_corrected([view.residual for view in views if view is not None]))
        return worst_px

    def _left_out_px(self, pipeline: PipelineConfig) -> dict[str, float]:
        """Return each camera's median residual to the bodies of the others; nothing with fewer than three."""
        names = [name for name in self._rig.names if name in self._cameras] if self._rig is not None else []
        if self._rig is None or not self._kept or len(names) < 3:
            return {}
        found = leave_one_out_px(self._rig.subset(names), self._kept, pipeline)
        return {name: nan_percentile(values, 50) for name, values in found.items()}

    def _clocks_ms(self) -> dict[str, tuple[float, float]]:
        """Return how late each camera's stamps are and the standard error, ms."""
        if self._rig is None or self._clocks is None:
            return {}
        late_ms, sigma_ms = self._clocks.offsets_ms()
        return dict(zip(self._rig.names, zip(late_ms.tolist(), sigma_ms.tolist(), strict=True), strict=True))


def _most_at_once(people: IntArray) -> int:
    """Return how many people there are at once at most, leaving out what is rare."""
    there = np.sort(people[people > 0])[::-1]
    return int(there[int(_RARE * len(there))]) if len(there) else 0


def _corrected(residuals: Sequence[FloatArray]) -> Float32Array:
    """Return the lengths (n,) px of residuals (S, U, J, 2) of all cameras, each as it would be without the fit.

    n views have 2 n numbers, of which the joint takes three.
    """
    if not residuals:
        return np.zeros(0, np.float32)
    length = np.linalg.norm(np.stack(residuals), axis=-1)
    views = np.isfinite(length).sum(0)
    with np.errstate(divide='ignore', invalid='ignore'):
        factor = np.where(views >= 2, 1.0 / np.sqrt(1.0 - 1.5 / np.maximum(views, 2)), np.nan)
    corrected = length * factor
    return np.asarray(corrected[np.isfinite(corrected)], np.float32)


def _spread(total: int, wanted: int) -> frozenset[int]:
    """Return the numbers of ``wanted`` of ``total`` sets, in windows of consecutive ones spread evenly."""
    if wanted >= total:
        return frozenset(range(total))
    windows = max(1, wanted // _WINDOW)
    length = wanted // windows
    starts = np.linspace(0, total - length, windows).astype(int)
    return frozenset(number for start in starts.tolist() for number in range(start, start + length))


def _peaks(stamps_ns: IntArray, values: Float32Array, most: int, apart_ns: int) -> IntArray:
    """Return the indices of the largest values, at most ``most``, no two nearer in time than ``apart_ns``."""
    chosen: list[int] = []
    for index in np.argsort(-values, kind='stable').tolist():
        if len(chosen) == most or not np.isfinite(values[index]):
            break
        if all(abs(int(stamps_ns[index] - stamps_ns[other])) >= apart_ns for other in chosen):
            chosen.append(index)
    return np.array(chosen, np.int64)
