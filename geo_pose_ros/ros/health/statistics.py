# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What happened lately, in numbers; fed from the worker and the executor, read by the diagnostics."""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from ...arrays import NS_PER_S
from ...findings import Finding, Severity
from ...pipeline import PipelineResult
from ...scene.cameras.states import CameraState

# Entries the rates, latencies and stage times look back over.
_WINDOW = 200
# A camera's count of images in which left and right of arms or legs were exchanged, and repaired.
SIDES_REPAIRED = 'sides repaired'
# What happens with single frames and sets counts as going on for so long after the last time.
_RECENT_NS = 5 * NS_PER_S
_CROWDED = 'more people are seen than tracking.max_bodies; new ones wait until others leave'


@dataclass(slots=True)
class CameraHistory:
    """What one camera sent lately, and what became of it.

    Attributes:
        arrivals_ns: when its last frames arrived, monotonic.
        lost: frames the middleware lost, as far as it noticed.
        lost_ns: when it last noticed some, monotonic.
        counts: of what happened, by key of /diagnostics.
        residuals_px: of its last sets with bodies, each one's median reprojection error.
        state: what the bodies it sees have shown of it; None before the first set.
    """

    arrivals_ns: deque[int] = field(default_factory=lambda: deque(maxlen=_WINDOW))
    lost: int = 0
    lost_ns: int | None = None
    counts: Counter[str] = field(default_factory=Counter)
    residuals_px: deque[float] = field(default_factory=lambda: deque(maxlen=_WINDOW))
    state: CameraState | None = None

    def age_s(self, now_ns: int) -> float | None:
        """Return the time since its last frame; None if there was none."""
        return (now_ns - self.arrivals_ns[-1]) / NS_PER_S if self.arrivals_ns else None

    def rate_hz(self, now_ns: int) -> float:
        """Return its frame rate over its last frames, counting the silence up to now."""
        if len(self.arrivals_ns) < 2:
            return 0.0
        # The next frame is not overdue before one period has passed.
        first, last, count = self.arrivals_ns[0], self.arrivals_ns[-1], len(self.arrivals_ns)
        period_ns = (last - first) / (count - 1)
        return count / ((max(now_ns, last + period_ns) - first) / NS_PER_S) if last > first else 0.0


class NodeStatistics:
    """All numbers of a node; thread-safe by one lock."""

    def __init__(self, cameras: Iterable[str] = ()) -> None:
        """Start empty."""
        self._lock = threading.Lock()
        self.cameras = {name: CameraHistory() for name in cameras}
        self._latency_ms: deque[float] = deque(maxlen=_WINDOW)
        self._spans_ms: deque[float] = deque(maxlen=_WINDOW)
        self._stages_ms: dict[str, deque[float]] = {}
        self._published_ns: deque[int] = deque(maxlen=_WINDOW)
        self.published = 0
        self.failed: Counter[str] = Counter()
        self.bodies = 0
        # With the time when it last happened, monotonic ns; by place and kind.
        self._events: dict[tuple[str, str], tuple[Finding, int]] = {}

    def add(self, camera: str) -> None:
        """Begin to count what ``camera`` does."""
        with self._lock:
            self.cameras = {**self.cameras, camera: CameraHistory()}

    def remove(self, camera: str) -> None:
        """Forget ``camera``."""
        with self._lock:
            self.cameras = {name: known for name, known in self.cameras.items() if name != camera}
            self._events = {key: event for key, event in self._events.items() if key[0] != f'camera {camera}'}

    def away(self, stale_after_s: float, now_ns: int) -> set[str]:
        """Return the cameras without a frame in the last ``stale_after_s``."""
        ages_s = {name: camera.age_s(now_ns) for name, camera in self.cameras.items()}
        return {name for name, age_s in ages_s.items() if age_s is None or age_s > stale_after_s}

    def arrived(self, camera: str, now_ns: int) -> None:
        """Count a frame of ``camera``."""
        self.cameras[camera].arrivals_ns.append(now_ns)

    def lost(self, camera: str, total: int, now_ns: int) -> None:
        """Take over how many frames of ``camera`` the middleware lost so far."""
        known = self.cameras[camera]
        if total > known.lost:
            known.lost, known.lost_ns = total, now_ns

    def problem(self, camera: str, kind: str, message: str, now_ns: int) -> None:
        """Count a frame of ``camera`` that could not be used, and note why."""
        self.count(camera, f'unusable: {kind}')
        self.happened(f'camera {camera}', kind, message, now_ns)

    def count(self, camera: str, key: str) -> None:
        """Count what happened to ``camera``, by the key that /diagnostics shows it by."""
        with self._lock:
            self.cameras[camera].counts[key] += 1

    def set_failed(self, kind: str, message: str, now_ns: int) -> None:
        """Count a set that gave nothing."""
        with self._lock:
            self.failed[kind] += 1
        self.happened('pipeline', kind, message, now_ns)

    def happened(self, where: str, kind: str, text: str, now_ns: int) -> None:
        """Note that something went wrong with ``where``."""
        with self._lock:
            self._events[where, kind] = Finding(Severity.WARNING, text, '', where, kind), now_ns

    def recent(self, where: str, now_ns: int) -> list[Finding]:
        """Return what went wrong with ``where`` in the last five seconds."""
        with self._lock:
            events = list(self._events.values())
        return [found for found, last_ns in events if found.where == where and now_ns - last_ns < _RECENT_NS]

    def processed(self, result: PipelineResult, span_ns: int, latency_ns: int | None, now_ns: int) -> None:
        """Count a published set; its latency is None where the clock does not run."""
        with self._lock:
            self.published += 1
            self.bodies = len(result.bodies)
            self._published_ns.append(now_ns)
            if latency_ns is not None:
                self._latency_ms.append(latency_ns / 1e6)
            self._spans_ms.append(span_ns / 1e6)
            for stage, value in result.stage_ms.items():
                self._stages_ms.setdefault(stage, deque(maxlen=_WINDOW)).append(value)
            for name, residuals in result.scene.residuals_px.items():
                if len(residuals):
                    self.cameras[name].residuals_px.append(float(np.median(residuals)))
            for name, state in result.scene.cameras.items():
                self.cameras[name].state = state
            for name, limbs in result.scene.exchanged.items():
                if limbs:
                    self.cameras[name].counts[SIDES_REPAIRED] += 1

        if result.scene.is_full:
            self.happened('pipeline', 'crowded', _CROWDED, now_ns)

    def silent_s(self, now_ns: int) -> float | None:
        """Return the time since the last published set; None if there was none."""
        with self._lock:
            return (now_ns - self._published_ns[-1]) / NS_PER_S if self._published_ns else None

    def rate_hz(self, now_ns: int) -> float:
        """Return the rate of published sets."""
        with self._lock:
            return CameraHistory(arrivals_ns=self._published_ns).rate_hz(now_ns)

    def times_ms(self) -> Mapping[str, float]:
        """Return stamp to publication and the stamps' spread over the last sets, and each stage's median, ms."""
        with self._lock:
            found = {f'latency_ms {name}': value for name, value in _percentiles(self._latency_ms).items()}
            found |= {f'spread_ms {name}': value for name, value in _percentiles(self._spans_ms).items()}
            return found | {f'stage_ms {name}': float(np.median(ms)) for name, ms in self._stages_ms.items()}

    def reprojection_px(self) -> Mapping[str, float]:
        """Return per camera the median reprojection error over its last sets."""
        with self._lock:
            return {
                name: float(np.median(camera.residuals_px))
                for name, camera in self.cameras.items() if camera.residuals_px
            }


def _percentiles(values: Iterable[float]) -> dict[str, float]:
    numbers = np.fromiter(values, float)
    if not len(numbers):
        return {}
    p50, p95, highest = np.percentile(numbers, (50, 95, 100))
    return {'p50': float(p50), 'p95': float(p95), 'max': float(highest)}
