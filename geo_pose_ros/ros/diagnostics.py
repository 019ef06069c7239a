"""The node's numbers in words: diagnostic_msgs statuses, each with what is wrong and what to do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..config import NodeConfig
from ..messages.diagnostics import Level, Status
from ..scene.sync import DROP_CAUSES, DropCause, FrameSynchronizer
from .statistics import CameraStatistics, NodeStatistics, drifting

# A problem is reported for this long after it last happened.
_RECENT_NS = 5_000_000_000


@dataclass(frozen=True, slots=True)
class SyncCounts:
    """A copy of a synchroniser's counters."""

    received: Mapping[str, int]
    used: Mapping[str, int]
    drops: Mapping[str, Mapping[DropCause, int]]
    sets: Mapping[str, int]
    clock_error_ns: Mapping[str, int | None]

    @classmethod
    def of(cls, synchronizer: FrameSynchronizer[Any], cameras: Sequence[str]) -> SyncCounts:
        """Return the counters as they are now."""
        return cls(
            synchronizer.received, synchronizer.used, synchronizer.drops, synchronizer.sets,
            {name: synchronizer.clock_error_ns(name) for name in cameras},
        )


def camera_status(
    name: str, topic: str, camera: CameraStatistics, counts: SyncCounts, config: NodeConfig, now_ns: int
) -> Status:
    """Return the state of one camera; the worst thing comes first in its message."""
    age_s = camera.age_s(now_ns)
    drops = counts.drops.get(name, {})
    received, used = counts.received.get(name, 0), counts.used.get(name, 0)
    complaints: list[tuple[Level, str]] = []
    if age_s is None:
        complaints.append((Level.ERROR, f"no frame on '{topic}' yet"))
    elif age_s > config.stale_after_s:
        complaints.append((Level.ERROR, f"silent for {age_s:.1f} s on '{topic}'; check its driver"))
    complaints += [(Level.ERROR, note) for note in camera.notes.values()]
    clock_ns = counts.clock_error_ns.get(name)
    if clock_ns is not None and abs(clock_ns) > config.sync.deadline_ms * 1e6:
        side = 'ahead of' if clock_ns > 0 else 'behind'
        complaints.append((
            Level.ERROR,
            f'its clock is {abs(clock_ns) / 1e9:.3f} s {side} the others\'; its frames are not used. Synchronise the '
            'clocks (PTP, chrony) or restart its driver',
        ))
    if camera.last_problem is not None and now_ns - camera.last_problem[1] < _RECENT_NS:
        complaints.append((Level.WARN, camera.last_problem[0]))
    level = max((level for level, _ in complaints), default=Level.OK)
    ranked = [text for _, text in sorted(complaints, key=lambda c: -c[0])]
    values = {
        'topic': topic,
        'rate_hz': f'{camera.rate_hz(now_ns):.1f}',
        'age_s': 'never' if age_s is None else f'{age_s:.3f}',
        'clock_error_ms': '' if clock_ns is None else f'{clock_ns / 1e6:.1f}',
        'frames_received': str(received),
        'frames_used': str(used),
        'frames_lost_by_middleware': str(camera.lost),
        **{f'dropped: {DROP_CAUSES[cause]}': str(n) for cause, n in drops.items()},
        **{f'unusable: {kind}': str(n) for kind, n in camera.problems.items()},
    }
    return Status(f'camera {name}', level, '; '.join(ranked) or 'ok', values)


def pipeline_status(statistics: NodeStatistics, counts: SyncCounts, now_ns: int) -> Status:
    """Return rates, latencies, stage times and sets by fate."""
    latency, span = statistics.latency_ms(), statistics.span_ms()
    rate_hz = statistics.rate_hz(now_ns)
    failed = dict(statistics.failed)
    values = {
        'rate_hz': f'{rate_hz:.2f}',
        'sets_published': str(statistics.published),
        'bodies': str(statistics.bodies),
        **{f'latency_ms {name}': f'{value:.1f}' for name, value in latency.items()},
        **{f'spread_ms {name}': f'{value:.1f}' for name, value in span.items()},
        **{f'stage_ms {name}': f'{value:.2f}' for name, value in statistics.stages_ms().items()},
        **{f'sets {fate}': str(n) for fate, n in counts.sets.items()},
        **{f'sets failed: {kind}': str(n) for kind, n in failed.items()},
    }
    if not statistics.published:
        received = sum(counts.received.values())
        what = 'no set published yet' + ('' if received else '; no camera has sent a frame')
        return Status('pipeline', Level.WARN, what, values)
    silent_s = 1e9 if not rate_hz else 1.0 / rate_hz
    if failed and silent_s > 10.0:
        return Status('pipeline', Level.ERROR, f'sets fail: {", ".join(failed)}', values)
    return Status('pipeline', Level.OK, f'{rate_hz:.1f} sets/s, latency {latency["p50"]:.0f} ms', values)


def rig_status(statistics: NodeStatistics, config: NodeConfig, problems: Mapping[str, str]) -> Status:
    """Return the health of the calibration: who is not calibrated, whose reprojection stands out."""
    errors = statistics.reprojection_px()
    values = {f'reprojection_px {name}': f'{error:.1f}' for name, (error, _) in errors.items()}
    if problems:
        return Status('rig', Level.ERROR, '; '.join(problems.values()), values)
    outliers = drifting(errors, config.drift_ratio, config.drift_window // 2)
    if outliers:
        words = [
            f"calibration of camera '{name}' may have drifted: median reprojection error {errors[name][0]:.1f} px, "
            f"the others' {others:.1f} px. Calibrate it again"
            for name, others in outliers.items()
        ]
        return Status('rig', Level.WARN, '; '.join(words), values)
    return Status('rig', Level.OK, 'ok', values)
