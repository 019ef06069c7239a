# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""A node's numbers as /diagnostics shows them, and what is wrong by them."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ...arrays import NS_PER_S
from ...findings import Finding, Severity
from ...scene.cameras.states import CameraState
from ...scene.sync import DROP_CAUSES, DropCause, FrameCounts
from .faults import Part
from .statistics import NodeStatistics

# The middleware tells of losses now and then only.
_LOSSES_NS = 5 * NS_PER_S
# Whether frames of a camera are used is judged over so long, and over so many frames: fewer may be unused by chance.
_LOOK_BACK_NS = 2 * NS_PER_S
# A verdict is of so long.
_JUDGED_NS = 12 * NS_PER_S
_MIN_FRAMES = 5
# A node that waits for more of its time is on a machine that is too busy to tell what is late on its way.
_BUSY = 0.2
# Whoever comes late once by as much as a queue holds has lost frames by itself.
_LATE_ONCE = 0.02


def camera_part(
    name: str, topic: str, notes: Mapping[str, str], statistics: NodeStatistics, stale_after_s: float, now_ns: int
) -> Part:
    """Return what any node says of one camera; a camera without a frame for ``stale_after_s`` is at fault.

    Args:
        name, topic: the camera's, and its topic's full name.
        notes: standing troubles, by kind, in words: of its topics, or 'not calibrated': why it is not calibrated.
        statistics: the node's.
        stale_after_s: see above.
        now_ns: a monotonic clock.
    """
    where, camera = f'camera {name}', statistics.cameras[name]
    age_s = camera.age_s(now_ns)
    errors: dict[str, tuple[str, str]] = {}
    if age_s is None:
        errors['silent'] = f"no frame on '{topic}' yet", ''
    elif age_s > stale_after_s:
        errors['silent'] = f"silent for {age_s:.1f} s on '{topic}'", 'Check its driver.'
    errors |= {kind: (note, '') for kind, note in notes.items()}
    faults = [Finding(Severity.ERROR, *words, where, kind) for kind, words in errors.items()]
    if camera.lost_ns is not None and now_ns - camera.lost_ns < _LOSSES_NS:
        faults.append(Finding(
            Severity.WARNING, f'the middleware loses its frames, {camera.lost} so far',
            'Give its driver the large-data profile (docs/ros.md), or send smaller images.', where, 'lost',
        ))
    # The reason why it is not calibrated says more.
    faults += [
        event for event in statistics.recent(where, now_ns)
        if event.kind not in notes
    ]
    values = {
        'topic': topic,
        'rate_hz': f'{camera.rate_hz(now_ns):.1f}',
        'age_s': 'never' if age_s is None else f'{age_s:.3f}',
        **_state_values(camera.state),
        'frames_lost_by_middleware': str(camera.lost),
        **{key: str(count) for key, count in sorted(camera.counts.items())},
    }
    return Part(where, faults, values)


def synchronised_part(
    part: Part, camera: str, before: FrameCounts, counts: FrameCounts, clock_ns: int | None, clock_limit_ms: float
) -> Part:
    """Return ``part`` of ``camera`` with what the synchroniser knows of it.

    Args:
        part: what any node says of the camera.
        camera: its name.
        before, counts: the synchroniser's counters, some time ago and now.
        clock_ns: how far the camera's stamps are ahead of the others'; None if that is not known.
        clock_limit_ms: frames of a camera whose clock is off by more are not used.
    """
    faults = list(part.faults)
    # On a machine that is busy some cameras' frames arrive late for a moment: only a clock is wrong all the time.
    none_used = counts.used.get(camera, 0) == before.used.get(camera, 0)
    if none_used and clock_ns is not None and abs(clock_ns) > clock_limit_ms * 1e6:
        side = 'ahead of' if clock_ns > 0 else 'behind'
        faults.append(Finding(
            Severity.ERROR,
            f'its clock is {abs(clock_ns) / NS_PER_S:.3f} s {side} the others\'; its frames are not used',
            'Synchronise the clocks (PTP, chrony) or restart its driver.', part.name, 'clock',
        ))
    unused = '' if faults else _why_unused(camera, before, counts)
    if unused:
        # What is known to be wrong with it says more.
        faults.append(Finding(Severity.ERROR, unused, '', part.name, 'unused'))
    return Part(part.name, faults, {
        **part.values,
        'clock_error_ms': '' if clock_ns is None else f'{clock_ns / 1e6:.1f}',
        'frames_received': str(counts.received.get(camera, 0)),
        'frames_used': str(counts.used.get(camera, 0)),
        **{f'dropped: {DROP_CAUSES[cause]}': str(n) for cause, n in counts.drops.get(camera, {}).items()},
    })


def _state_values(state: CameraState | None) -> dict[str, str]:
    """Return what people have shown of a camera."""
    if state is None:
        return {}
    return {
        'clock_offset_ms': f'{1e3 * state.clock_offset_s:.1f}',
        'clock_sigma_ms': f'{1e3 * state.clock_sigma_s:.1f}',
        'noise_scale': f'{state.noise_scale:.2f}',
        'calibration_error_px': '{:.1f} {:.1f}'.format(*state.calibration_error_px),
        'calibration_error_deg': f'{math.degrees(state.calibration_error_rad):.2f}',
    }


def _why_unused(camera: str, before: FrameCounts, counts: FrameCounts) -> str:
    """Return why none of the frames that came since ``before`` was used; '' if one was, or few came.

    Where sets of it were passed over for newer ones, the machine is slow, and no camera is to blame.
    """
    received = counts.received.get(camera, 0) - before.received.get(camera, 0)
    used = counts.used.get(camera, 0) - before.used.get(camera, 0)
    earlier: Mapping[DropCause, int] = before.drops.get(camera, {})
    drops = {cause: n - earlier.get(cause, 0) for cause, n in counts.drops.get(camera, {}).items()}
    blamed = {c: n for c, n in drops.items() if n > 0 and c not in (DropCause.SUPERSEDED, DropCause.SHUTDOWN)}
    if received < _MIN_FRAMES or used or drops.get(DropCause.SUPERSEDED, 0) > 0 or sum(blamed.values()) < received // 2:
        return ''
    worst = max(blamed, key=lambda cause: blamed[cause])
    return f'none of its last {received} frames was used: {DROP_CAUSES[worst]} ({blamed[worst]})'


def blame_few(parts: Sequence[Part], late_share: float) -> list[Part]:
    """Return a node's parts, its own first, without faults of cameras that are the machine's.

    That frames are not used blames no camera where it is so of most. Where the node itself waits for its turn, nobody
    is blamed for frames that come late or are lost on their way, nor for silence that is of most.

    Args:
        parts: of the node.
        late_share: for how much of the last seconds the node did not come to take what had arrived, in [0, 1].
    """
    own, is_busy = parts[0], late_share > _BUSY
    cameras = [part for part in parts if part.name.startswith('camera ')]
    most = {
        kind: 2 * sum(fault.kind == kind for part in cameras for fault in part.faults) > len(cameras)
        for kind in ('silent', 'unused')
    }
    excused = {
        'unused': is_busy or (most['unused'] and not own.faults), 'silent': is_busy and most['silent'],
        'lost': late_share > _LATE_ONCE, 'camera_info': is_busy,
    }
    found = [part.without(*(kind for kind, is_excused in excused.items() if is_excused)) for part in parts]
    if is_busy:
        busy = Finding(
            Severity.WARNING,
            f'this machine is busy: of the last seconds the node waited {late_share:.0%} for its turn; no camera is '
            'blamed for what comes late',
            'Give it more processors, or fewer or smaller images.', own.name, 'busy',
        )
        found[0] = replace(found[0], faults=[*found[0].faults, busy])
    return found


class CountsHistory:
    """The synchroniser's counters of the last two seconds."""

    def __init__(self) -> None:
        """Start empty."""
        self._counts: deque[tuple[int, FrameCounts]] = deque()
        # When sets were passed over last.
        self._passed_over_ns = -_JUDGED_NS

    def clear(self) -> None:
        """Forget all: the cameras have changed."""
        self._counts.clear()

    @property
    def is_complete(self) -> bool:
        """Whether there was time for all sets of the last seconds."""
        return not self._counts or self._counts[-1][0] - self._passed_over_ns >= _JUDGED_NS

    def add(self, counts: FrameCounts, now_ns: int) -> FrameCounts:
        """Remember ``counts`` and return those of about two seconds ago, or the oldest there are."""
        if self._counts and counts.sets['superseded'] > self._counts[-1][1].sets['superseded']:
            self._passed_over_ns = now_ns
        self._counts.append((now_ns, counts))
        while len(self._counts) > 1 and now_ns - self._counts[1][0] >= _LOOK_BACK_NS:
            self._counts.popleft()
        return self._counts[0][1]


def pipeline_part(statistics: NodeStatistics, counts: FrameCounts, stale_after_s: float, now_ns: int) -> Part:
    """Return rates, latencies, stage times and sets by fate, and why nothing is published."""
    times_ms = statistics.times_ms()
    values = {
        'rate_hz': f'{statistics.rate_hz(now_ns):.2f}',
        'sets_published': str(statistics.published),
        'bodies': str(statistics.bodies),
        **{name: f'{value:.2f}' if name.startswith('stage') else f'{value:.1f}' for name, value in times_ms.items()},
        **{f'sets {fate}': str(n) for fate, n in counts.sets.items()},
        **{f'sets failed: {kind}': str(n) for kind, n in dict(statistics.failed).items()},
    }
    summary = f'{statistics.rate_hz(now_ns):.1f} sets/s, latency {times_ms.get("latency_ms p50", 0.0):.0f} ms'
    return Part('pipeline', _pipeline_faults(statistics, counts, stale_after_s, now_ns), values, summary)


def _pipeline_faults(
    statistics: NodeStatistics, counts: FrameCounts, stale_after_s: float, now_ns: int
) -> Sequence[Finding]:
    """Return why nothing is published, or what failed lately; a machine that is too slow for any set is `busy`."""
    events = statistics.recent('pipeline', now_ns)
    silent_s = statistics.silent_s(now_ns)
    if silent_s is not None and silent_s <= stale_after_s:
        return events
    kind, what = 'silent', 'no set published yet' if silent_s is None else f'no set published for {silent_s:.1f} s'
    ages_s = [camera.age_s(now_ns) for camera in statistics.cameras.values()]
    if all(age_s is None or age_s > stale_after_s for age_s in ages_s):
        why = 'no camera sends' if sum(counts.received.values()) else 'no camera has sent a frame'
    else:
        passed_over, taken = counts.sets['superseded'], counts.sets['taken']
        slow = f'the machine is too slow: {passed_over} of {passed_over + taken} sets were passed over for newer ones'
        none = slow if passed_over > taken > 0 else 'frames come, but make no set; see the cameras'
        why = '; '.join(event.text for event in events) or none
        kind = 'busy' if why == slow else kind
    severity = Severity.WARNING if silent_s is None else Severity.ERROR
    return [Finding(severity, f'{what}: {why}', '', 'pipeline', kind)]


def rig_part(statistics: NodeStatistics, problems: Mapping[str, str], now_ns: int) -> Part:
    """Return the cameras' reprojection errors; who is not calibrated, and what is wrong with transforms.

    Args:
        statistics: the node's.
        problems: why cameras are not calibrated, by name.
        now_ns: a monotonic clock.
    """
    faults = [
        Finding(Severity.ERROR, text, '', f'camera {name}', 'not calibrated') for name, text in problems.items()
    ]
    faults += statistics.recent('rig', now_ns)
    errors_px = statistics.reprojection_px()
    return Part('rig', faults, {f'reprojection_px {name}': f'{error:.1f}' for name, error in errors_px.items()})
