# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What is shown of a recording over time, and of what comes live."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager

import numpy as np

from ..arrays import NS_PER_S, FloatArray
from ..bags.recording import BODIES, IMAGE, Recorded, Recording
from ..findings import Verdict
from ..geometry.alignment import up_direction
from ..types import CameraRig
from .instant import Instant
from .panel import Panel, TimeLine
from .playback import Playback, find_missing
from .poses import OtherPoses
from .settings import ViewConfig
from .stage import Shown, Stage

# Longer side of the images that are decoded.
IMAGE_SIDE_PX = 720
# The words beside the scene are renewed this often; the scene at every instant.
_WORDS_S = 0.25
# While it plays, a camera's image is renewed this often, one camera after the other: coding images costs more than all
# the rest, and a browser that gets the next one before it has decoded the last shows none.
_IMAGE_S = 0.4
_FLOOR_SAMPLES = 5


class ImageTurns:
    """Says whose image is renewed next, so that each camera gets its turn and no instant carries them all."""

    def __init__(self, names: Sequence[str]) -> None:
        """Begin with the first of ``names``."""
        self._names, self._next, self._last_s = tuple(names), 0, -math.inf

    def due(self, now_s: float) -> tuple[str, ...]:
        """Return the camera whose turn it is; none where the last turn is too recent."""
        if not self._names or now_s - self._last_s < _IMAGE_S / len(self._names):
            return ()
        name = self._names[self._next]
        self._next, self._last_s = (self._next + 1) % len(self._names), now_s
        return (name,)


class Screen(AbstractContextManager['Screen']):
    """A stage with its panel, which draw one instant after the other; a context manager."""

    def __init__(self, stage: Stage, rig: CameraRig | None, cameras: Sequence[str]) -> None:
        """Add the panel; without a rig there are no poses to compare with."""
        self._stage = stage
        self._others = OtherPoses(rig)
        self.panel = Panel(stage, cameras, self._others.kinds)
        self._turns = ImageTurns(cameras)
        self._drawn_ns = -1
        self._described_s = self._strip_s = -math.inf

    def draw(self, instant: Instant, now_s: float, *, whole: bool = False) -> bool:
        """Draw an instant unless it is there already; return whether words are due too at ``now_s``, monotonic.

        ``whole``: with the images of all cameras, as always when the panel was changed; else of one in turn.
        """
        whole = whole or self.panel.changed
        if instant.time_ns != self._drawn_ns or self.panel.changed:
            self.panel.changed, self._drawn_ns = False, instant.time_ns
            self._stage.show(instant, self.panel.shown, None if whole else self._turns.due(now_s))
            self._stage.show_ghost(self._others.of(self.panel.kind, instant))
            if whole or now_s - self._strip_s > _IMAGE_S:
                self._strip_s = now_s
                self.panel.strip.show(self._stage.strip())
            if whole:
                self._described_s = -math.inf
        if now_s - self._described_s <= _WORDS_S:
            return False
        self._described_s = now_s
        self.panel.describe(instant)
        return True

    def __exit__(self, *_: object) -> None:
        self._others.close()


def play(
    stage: Stage, recording: Recording, config: ViewConfig, stop: Callable[[], bool], title: str = ''
) -> None:
    """Show an open recording, with ``title`` or its own above the controls, until ``stop``.

    Time stands while no browser looks, so that nobody misses the beginning.
    """
    stage.gui.set_panel_label(title or recording.title)
    playback = Playback(recording, IMAGE_SIDE_PX)
    stage.set_rig(recording.rig, *opening(recording))
    # The first bodies wait neither for images nor for the panel.
    stage.show(playback.at(playback.start_ns), Shown(), ())
    period_s = 1.0 / config.rate_hz
    line = TimeLine(stage, playback, config.play)
    with (
        Screen(stage, recording.rig, recording.cameras) as screen, ThreadPoolExecutor(1, 'read ahead') as reader,
        Judging(recording) as judging,
    ):
        for finding in find_missing(recording, BODIES, IMAGE):
            stage.gui.add_markdown(f'\N{WARNING SIGN} {finding.text}')
        ahead: Future[None] | None = None
        last_s, played = time.monotonic(), line.playing
        while not stop():
            now_s = time.monotonic()
            screen.panel.verdict = judging.verdict
            line.advance(now_s - last_s if stage.watched else 0.0)
            if line.jumped:
                stage.forget_trails()
            if line.playing != played:
                # What stands still is drawn whole.
                screen.panel.changed = True
            last_s, played = now_s, line.playing
            instant = playback.at(line.time_ns)
            if screen.draw(instant, now_s, whole=line.jumped or not line.playing):
                line.describe(instant)
            line.jumped = False
            if line.playing and (ahead is None or ahead.done()):
                ahead = reader.submit(playback.prepare, min(line.time_ns + NS_PER_S, playback.end_ns))
            time.sleep(max(0.0, period_s - (time.monotonic() - now_s)))


class Judging(AbstractContextManager['Judging']):
    """Judges a recording in a thread of its own, as `geo_pose report` does; a context manager."""

    def __init__(self, recording: Recording) -> None:
        """Begin; the bags are opened once more, as a reader is for one thread."""
        from .report import judge_recording

        self._closed = threading.Event()
        self._thread = ThreadPoolExecutor(1, 'judge')
        self._judged = self._thread.submit(judge_recording, recording.paths, recording.rig, self._closed.is_set)

    @property
    def verdict(self) -> Verdict | None:
        """The verdict; None before it is known, or where the bags cannot be read once more."""
        if not self._judged.done() or self._judged.exception() is not None:
            return None
        return self._judged.result()

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        self._thread.shutdown()


def opening(recording: Recording) -> tuple[float, FloatArray | None]:
    """Return the floor's height along up, and joints of people (N, 3) m, None where there are none."""
    up = up_direction(recording.rig)
    lows, joints = [], []
    for share in np.linspace(0.0, 0.9, _FLOOR_SAMPLES):
        from_ns = recording.start_ns + round(share * (recording.end_ns - recording.start_ns))
        bodies = next(recording.read(BODIES, Recorded.bodies, from_ns, from_ns + NS_PER_S), None)
        if bodies is not None and np.isfinite(bodies.xyz).all(-1).any():
            points = bodies.xyz[np.isfinite(bodies.xyz).all(-1)]
            lows.append(float((points @ up).min()))
            joints.append(points)
    if not lows:
        return 0.0, None
    low = float(np.median(lows))
    # Feet that are near the world's floor stand on it.
    return 0.0 if abs(low) < 0.3 else low, np.concatenate(joints)
