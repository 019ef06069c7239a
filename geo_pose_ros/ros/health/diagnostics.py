"""The node's numbers in words: what is wrong and what to do, and diagnostic_msgs statuses of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ...messages.diagnostics import Level, Status
from ...scene.cameras.states import CameraState
from ...scene.sync import DROP_CAUSES, DropCause, FrameSynchronizer
from ..nodes.settings import NodeConfig
from .faults import Fault
from .statistics import NodeStatistics

# The middleware tells of losses now and then only.
_LOSSES_NS = 5_000_000_000
# Fewer frames may be unused by chance.
_FEW = 5


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
        counts = synchronizer.counts
        return cls(
            counts.received, counts.used, counts.drops, counts.sets,
            {name: synchronizer.clock_error_ns(name) for name in cameras},
        )


@dataclass(frozen=True, slots=True)
class CameraInput:
    """What is known of one camera beyond its numbers.

    Attributes:
        topic: its full name.
        calibration: why the camera is not calibrated; '' if it is.
        notes: standing troubles of its topics, by kind, in words.
    """

    topic: str
    calibration: str = ''
    notes: Mapping[str, str] = field(default_factory=dict)


def camera_faults(
    name: str, known: CameraInput, statistics: NodeStatistics, counts: SyncCounts, config: NodeConfig, now_ns: int
) -> list[Fault]:
    """Return what is wrong with one camera."""
    subject, camera = f'camera {name}', statistics.cameras[name]
    faults: list[Fault] = []

    def blame(kind: str, level: Level, text: str) -> None:
        faults.append(Fault(subject, kind, level, text))

    age_s = camera.age_s(now_ns)
    if age_s is None:
        blame('silent', Level.ERROR, f"no frame on '{known.topic}' yet")
    elif age_s > config.stale_after_s:
        blame('silent', Level.ERROR, f"silent for {age_s:.1f} s on '{known.topic}'; check its driver")
    for kind, note in known.notes.items():
        blame(kind, Level.ERROR, note)
    if known.calibration:
        blame('calibration', Level.ERROR, known.calibration)
    clock_ns = counts.clock_error_ns.get(name)
    if clock_ns is not None and abs(clock_ns) > config.sync.clock_limit_ms * 1e6:
        side = 'ahead of' if clock_ns > 0 else 'behind'
        blame(
            'clock', Level.ERROR,
            f'its clock is {abs(clock_ns) / 1e9:.3f} s {side} the others\'; its frames are not used. Synchronise the '
            'clocks (PTP, chrony) or restart its driver',
        )
    if camera.lost_ns is not None and now_ns - camera.lost_ns < _LOSSES_NS:
        blame(
            'lost', Level.WARN,
            f'the middleware loses its frames, {camera.lost} so far; give its driver the large-data profile '
            '(docs/ros.md), or send smaller pictures',
        )
    for event in statistics.recent(subject, now_ns):
        # Not calibrated is said above, in more words.
        if not (event.kind == 'not calibrated' and known.calibration):
            blame(event.kind, Level.WARN, event.text)
    return faults


def camera_values(
    name: str, known: CameraInput, statistics: NodeStatistics, counts: SyncCounts, now_ns: int
) -> dict[str, str]:
    """Return the numbers of one camera."""
    camera = statistics.cameras[name]
    age_s, clock_ns = camera.age_s(now_ns), counts.clock_error_ns.get(name)
    return {
        'topic': known.topic,
        'rate_hz': f'{camera.rate_hz(now_ns):.1f}',
        'age_s': 'never' if age_s is None else f'{age_s:.3f}',
        'clock_error_ms': '' if clock_ns is None else f'{clock_ns / 1e6:.1f}',
        **_state_values(camera.state),
        'frames_received': str(counts.received.get(name, 0)),
        'frames_used': str(counts.used.get(name, 0)),
        'frames_lost_by_middleware': str(camera.lost),
        **{f'dropped: {DROP_CAUSES[cause]}': str(n) for cause, n in counts.drops.get(name, {}).items()},
        **{f'unusable: {kind}': str(n) for kind, n in camera.problems.items()},
    }


def _state_values(state: CameraState | None) -> dict[str, str]:
    """Return what people have shown of a camera."""
    if state is None:
        return {}
    return {
        'clock_offset_ms': f'{1e3 * state.clock_offset_s:.1f}',
        'clock_sigma_ms': f'{1e3 * state.clock_sigma_s:.1f}',
        'noise_scale': f'{state.noise_scale:.2f}',
        'shift_px': '{:.1f} {:.1f}'.format(*state.calibration_error_px),
        'shift_deg': f'{math.degrees(state.calibration_error_rad):.2f}',
    }


def unused_fault(name: str, before: SyncCounts, counts: SyncCounts) -> Fault | None:
    """Return why none of the frames that came since ``before`` was used; None if one was, or few came.

    Sets that a newer one superseded do not count: then the machine is slow, and no camera is to blame.
    """
    received = counts.received.get(name, 0) - before.received.get(name, 0)
    used = counts.used.get(name, 0) - before.used.get(name, 0)
    earlier = before.drops.get(name, {})
    drops = {cause: n - earlier.get(cause, 0) for cause, n in counts.drops.get(name, {}).items()}
    blamed = {c: n for c, n in drops.items() if n > 0 and c not in (DropCause.SUPERSEDED, DropCause.SHUTDOWN)}
    if received < _FEW or used or sum(blamed.values()) < received // 2:
        return None
    worst = max(blamed, key=lambda cause: blamed[cause])
    text = f'none of its last {received} frames was used: {DROP_CAUSES[worst]} ({blamed[worst]})'
    return Fault(f'camera {name}', 'unused', Level.ERROR, text)


def pipeline_faults(statistics: NodeStatistics, counts: SyncCounts, config: NodeConfig, now_ns: int) -> list[Fault]:
    """Return why nothing is published, or what failed lately."""
    events = statistics.recent('pipeline', now_ns)
    silent_s = statistics.silent_s(now_ns)
    if silent_s is not None and silent_s <= config.stale_after_s:
        return [Fault('pipeline', event.kind, Level.WARN, event.text) for event in events]
    what = 'no set published yet' if silent_s is None else f'no set published for {silent_s:.1f} s'
    ages_s = [camera.age_s(now_ns) for camera in statistics.cameras.values()]
    if all(age_s is None or age_s > config.stale_after_s for age_s in ages_s):
        why = 'no camera sends' if sum(counts.received.values()) else 'no camera has sent a frame'
    else:
        why = '; '.join(event.text for event in events) or 'frames come, but make no set; see the cameras'
    return [Fault('pipeline', 'silent', Level.WARN if silent_s is None else Level.ERROR, f'{what}: {why}')]


def pipeline_values(statistics: NodeStatistics, counts: SyncCounts, now_ns: int) -> dict[str, str]:
    """Return rates, latencies, stage times and sets by fate."""
    return {
        'rate_hz': f'{statistics.rate_hz(now_ns):.2f}',
        'sets_published': str(statistics.published),
        'bodies': str(statistics.bodies),
        **{f'latency_ms {name}': f'{value:.1f}' for name, value in statistics.latency_ms().items()},
        **{f'spread_ms {name}': f'{value:.1f}' for name, value in statistics.span_ms().items()},
        **{f'stage_ms {name}': f'{value:.2f}' for name, value in statistics.stages_ms().items()},
        **{f'sets {fate}': str(n) for fate, n in counts.sets.items()},
        **{f'sets failed: {kind}': str(n) for kind, n in dict(statistics.failed).items()},
    }


def rig_faults(statistics: NodeStatistics, problems: Mapping[str, str], now_ns: int) -> list[Fault]:
    """Return who was moved, who is not calibrated, and what was wrong with transforms."""
    faults = [Fault(f'camera {name}', 'calibration', Level.ERROR, text) for name, text in problems.items()]
    faults += [Fault('rig', event.kind, Level.WARN, event.text) for event in statistics.recent('rig', now_ns)]
    faults += [
        Fault(
            'rig', f'{name} moved', Level.WARN,
            f"camera '{name}' moved: its keypoints lie {math.hypot(*camera.state.calibration_error_px):.0f} px "
            f'({math.degrees(camera.state.calibration_error_rad):.1f} degrees) beside the bodies that the others see; '
            'calibrate again (the service ~/calibrate, or geo_pose calibrate)',
        )
        for name, camera in statistics.cameras.items() if camera.state is not None and camera.state.moved
    ]
    return faults


def rig_values(statistics: NodeStatistics) -> dict[str, str]:
    """Return the reprojection error of each camera."""
    return {f'reprojection_px {name}': f'{error:.1f}' for name, (error, _) in statistics.reprojection_px().items()}


def to_status(name: str, faults: Sequence[Fault], values: Mapping[str, str], fine: str = 'ok') -> Status:
    """Return the status ``name``; the worst fault comes first in its message, ``fine`` stands for none."""
    level = max((fault.level for fault in faults), default=Level.OK)
    ranked = [fault.text for fault in sorted(faults, key=lambda fault: -fault.level)]
    return Status(name, level, '; '.join(ranked) or fine, values)
