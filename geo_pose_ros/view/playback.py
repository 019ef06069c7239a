# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Any instant of a recording, read when it is wanted; memory does not grow with the bag.

The time line is that of receiving: messages are found by it through the bag's index. What belongs together (bodies,
their keypoints, the images) is found by stamps, so that a simulated clock or a slow node do not matter.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from threading import Lock

from ..arrays import NS_PER_S
from ..bags.recording import BODIES, DIAGNOSTICS, IMAGE, KEYPOINTS, Recorded, Recording, Source
from ..errors import GeoPoseError
from ..evaluation.findings import NO_BODIES
from ..findings import Finding, Severity
from ..messages.diagnostics import Status
from ..messages.stamps import nearest_indices
from ..types import Bodies3D, Keypoints2D
from .instant import Instant, LazyFrames

# What is read at once, and what is read around it because stamps are not in the order of receiving.
_BLOCK_NS, _BEFORE_NS, _AFTER_NS = NS_PER_S, NS_PER_S, NS_PER_S // 2
_BLOCKS_KEPT = 6
_MISSING = {
    BODIES: NO_BODIES,
    KEYPOINTS: Finding(Severity.WARNING, 'There are no keypoints, so that cameras cannot be judged.',
                       'Record .../keypoints/<camera> with the bodies, or run geo_pose process.'),
    IMAGE: Finding(Severity.WARNING, 'There are no images.', 'Name the bag that has them too.'),
}
# An image or keypoints belong to bodies whose stamp is this near.
_NEAR_NS = 60_000_000


@dataclass(slots=True)
class _Block:
    """The messages around one second, by source in the order of stamps; ``ticks``: the instants in it."""

    ticks: list[tuple[int, int, Recorded]]
    by_source: dict[Source, tuple[list[int], list[Recorded]]]
    statuses: list[tuple[int, list[Status]]]


class Playback:
    """Instants of an open recording.

    There is an instant wherever bodies were received; without bodies, wherever the busiest camera sent something.

    Attributes:
        start_ns, end_ns: the time line.
        period_ns: usual distance of two instants.
    """

    def __init__(self, recording: Recording, max_side_px: int, images_hz: float = 20.0) -> None:
        """Begin; images have ``max_side_px`` on their longer side.

        Of each camera ``images_hz`` images per second are kept; bodies are kept all.
        """
        self._recording, self._max_side_px = recording, max_side_px
        self._image_period_ns = 0.99 * NS_PER_S / images_hz
        self.start_ns, self.end_ns = recording.start_ns, recording.end_ns
        filled = {source: n for source, n in recording.counts.items() if n and source.kind != DIAGNOSTICS}
        bodies = {source: n for source, n in filled.items() if source.kind == BODIES}
        chosen = bodies or filled
        self._tick: Source | None = max(chosen, key=lambda source: chosen[source]) if chosen else None
        count = chosen[self._tick] if self._tick is not None else 0
        self.period_ns = (self.end_ns - self.start_ns) // max(1, count - 1) or NS_PER_S // 30
        self._blocks: OrderedDict[int, _Block] = OrderedDict()
        # Readers of bags are for one thread at a time.
        self._reading = Lock()

    def at(self, time_ns: int) -> Instant:
        """Return the last instant up to ``time_ns``, or an empty one if the last second had none."""
        block = self._block(self._number(time_ns))
        index = bisect_right(block.ticks, time_ns, key=lambda tick: tick[0]) - 1
        if index < 0:
            return Instant(time_ns, time_ns, statuses=_last_statuses(block, time_ns))
        received_ns, stamp_ns, tick = block.ticks[index]
        return self._instant(block, received_ns, stamp_ns, tick)

    def neighbour(self, time_ns: int, *, forward: bool) -> int | None:
        """Return the time of the first instant after ``time_ns``, or of the last one before; None if there is none."""
        last = self._number(self.end_ns) if forward else 0
        way = 1 if forward else -1
        for number in range(self._number(time_ns), last + way, way):
            for received_ns, _, _ in self._block(number).ticks[::way]:
                if (received_ns - time_ns) * way > 0:
                    return received_ns
        return None

    def prepare(self, time_ns: int) -> None:
        """Read what ``at`` needs for a time, so that it will be there; for another thread."""
        self._block(self._number(time_ns))

    def _number(self, time_ns: int) -> int:
        return int((min(max(time_ns, self.start_ns), self.end_ns) - self.start_ns) // _BLOCK_NS)

    def _block(self, number: int) -> _Block:
        known = self._blocks.get(number)
        if known is not None:
            return known
        with self._reading:
            if number not in self._blocks:
                self._blocks[number] = self._read(self.start_ns + number * _BLOCK_NS)
                while len(self._blocks) > _BLOCKS_KEPT:
                    self._blocks.popitem(last=False)
            return self._blocks[number]

    def _read(self, begin_ns: int) -> _Block:
        """Read the second from ``begin_ns`` and what surrounds it."""
        ticks: list[tuple[int, int, Recorded]] = []
        found: dict[Source, list[tuple[int, Recorded]]] = {}
        statuses: list[tuple[int, list[Status]]] = []
        kept_ns: dict[Source, int] = {}
        kinds = (BODIES, KEYPOINTS, IMAGE, DIAGNOSTICS)
        for one in self._recording.stream(kinds, begin_ns - _BEFORE_NS, begin_ns + _BLOCK_NS + _AFTER_NS):
            try:
                if one.source.kind == DIAGNOSTICS:
                    statuses.append((one.time_ns, one.statuses()))
                    continue
                stamp_ns = one.message.stamp_ns
            except GeoPoseError as error:
                self._recording.count_damaged(one, error)
                continue
            # The instant before the second counts too, for whoever asks at its beginning.
            if one.source == self._tick and one.time_ns < begin_ns + _BLOCK_NS:
                ticks.append((one.time_ns, stamp_ns, one))
            elif one.source.kind == IMAGE:
                if abs(stamp_ns - kept_ns.get(one.source, -NS_PER_S)) < self._image_period_ns:
                    continue
                kept_ns[one.source] = stamp_ns
            found.setdefault(one.source, []).append((stamp_ns, one))
        by_source = {}
        for source, entries in found.items():
            entries.sort(key=lambda entry: entry[0])
            by_source[source] = [stamp for stamp, _ in entries], [one for _, one in entries]
        return _Block(ticks, by_source, statuses)

    def _instant(self, block: _Block, received_ns: int, stamp_ns: int, tick: Recorded) -> Instant:
        bodies: Bodies3D | None = None
        keypoints: dict[str, Keypoints2D] = {}
        images: dict[str, Recorded] = {}
        for source, (stamps, messages) in block.by_source.items():
            [index] = nearest_indices(stamps, [stamp_ns], _NEAR_NS)
            if source != self._tick and index < 0:
                continue
            one = tick if source == self._tick else messages[index]
            try:
                if source.kind == BODIES:
                    bodies = one.bodies()
                elif source.kind == KEYPOINTS:
                    keypoints[source.camera] = one.keypoints()
                elif source.kind == IMAGE:
                    images[source.camera] = one
            except GeoPoseError as error:
                self._recording.count_damaged(one, error)
        frames = LazyFrames(
            {name: partial(one.frame, self._max_side_px) for name, one in images.items()},
            lambda name, error: self._recording.count_damaged(images[name], error),
        )
        return Instant(received_ns, stamp_ns, bodies, keypoints, frames, _last_statuses(block, received_ns))


def _last_statuses(block: _Block, time_ns: int) -> dict[str, Status]:
    """Return the last diagnostics up to ``time_ns``, by name."""
    return {
        status.name: status for received_ns, statuses in block.statuses if received_ns <= time_ns
        for status in statuses
    }


def find_missing(recording: Recording, *needed: str) -> list[Finding]:
    """Return what a recording lacks: a rig, all of its bags, bodies, and messages of the kinds ``needed``."""
    found = []
    if recording.damage:
        found.append(Finding(Severity.ERROR, recording.damage,
                             'If it is still being recorded, read it again later.'))
    if recording.rig is None:
        found.append(Finding(Severity.WARNING, 'There is no rig, so that cameras cannot be judged. '
                             f'{recording.rig_fault}', 'Give the calibration with --rig RIG.yaml.'))
    elif recording.not_in_rig:
        nothing = len(recording.not_in_rig) + len(recording.rig) == len(recording.cameras)
        found.append(Finding(
            Severity.ERROR if nothing else Severity.WARNING,
            f'The rig has no camera {", ".join(map(repr, recording.not_in_rig))}; it has: '
            f'{", ".join(recording.rig.names)}.', 'Name its cameras as the recording does.', 'rig', 'names',
        ))
    return found + [_MISSING[kind] for kind in needed if not recording.has(kind)]
