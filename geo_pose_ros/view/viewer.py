"""What is shown of a recording, and the controls beside it: time line, cameras, a body's joints."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timezone
from typing import Any

import numpy as np

from ..arrays import FloatArray
from ..bags.recording import BODIES, Recording
from ..errors import GeoPoseError
from ..page import clock
from ..types import Bodies3D
from .instant import Instant
from .playback import Playback
from .poses import NONE, OtherPoses
from .settings import ViewConfig
from .stage import Shown, Stage, up_direction
from .tables import camera_table, joint_table

_NS_PER_S = 1_000_000_000
_BACK, _ON = '\N{BLACK LEFT-POINTING TRIANGLE}', '\N{BLACK RIGHT-POINTING TRIANGLE}'
_SPEEDS = ('0.1x', '0.25x', '0.5x', '1x', '2x', '4x')
_PICTURE_SIDE_PX = 720
# The panel's words are renewed this often; the scene at every instant.
_WORDS_S = 0.25
# While it plays, a camera's picture is renewed this often, one camera after the other: coding pictures costs more than
# all the rest, and a browser that gets the next one before it has decoded the last shows none.
_PICTURE_S = 0.4
_FLOOR_SAMPLES = 5


class PictureTurns:
    """Says whose picture is renewed next, so that each camera gets its turn and no instant carries them all."""

    def __init__(self, names: Sequence[str]) -> None:
        """Begin with the first of ``names``."""
        self._names, self._next, self._last_s = tuple(names), 0, -math.inf

    def due(self, now_s: float) -> tuple[str, ...]:
        """Return the camera whose turn it is; none where the last turn is too recent."""
        if not self._names or now_s - self._last_s < _PICTURE_S / len(self._names):
            return ()
        name = self._names[self._next]
        self._next, self._last_s = (self._next + 1) % len(self._names), now_s
        return (name,)


class Panel:
    """The controls beside the scene, and what is chosen with them."""

    def __init__(self, stage: Stage, names: Sequence[str], kinds: Sequence[str]) -> None:
        """Add the controls.

        Args:
            stage: the scene.
            names: of the cameras.
            kinds: of poses to compare with.
        """
        self._names = tuple(names)
        gui = stage.gui
        self.selected: int | None = None
        self.changed = True
        with gui.add_folder('Show', expand_by_default=False):
            self._boxes = {
                name: gui.add_checkbox(words, True)
                for name, words in (('pictures', 'pictures'), ('covariance', 'uncertainty'), ('trails', 'trails'),
                                    ('names', 'ids'))
            }
            self._kind = gui.add_dropdown('compare with', tuple(kinds), initial_value=NONE)
        with gui.add_folder('Cameras'):
            self._cameras = gui.add_markdown('')
            if self._names:
                self._from = gui.add_dropdown('look from', ('around', *self._names), initial_value='around')
                self._from.on_update(lambda _: self._look(stage))
        with gui.add_folder('Body'):
            self._body = gui.add_markdown(joint_table(None, None))
        for control in (*self._boxes.values(), self._kind):
            control.on_update(lambda _: self._touch())
        stage.on_body = self._select

    @property
    def shown(self) -> Shown:
        """What is to be drawn."""
        return Shown(**{name: bool(box.value) for name, box in self._boxes.items()})

    @property
    def kind(self) -> str:
        """The poses to compare with."""
        return str(self._kind.value)

    def describe(self, instant: Instant) -> None:
        """Renew what the panel says."""
        said = camera_table(self._names, instant.cameras)
        if instant.pipeline:
            said += f'\n\n{instant.pipeline}'
        _set(self._cameras, 'content', said)
        _set(self._body, 'content', joint_table(instant.bodies, self.selected))

    def _touch(self) -> None:
        self.changed = True

    def _select(self, body_id: int) -> None:
        self.selected, self.changed = body_id, True

    def _look(self, stage: Stage) -> None:
        if self._from.value == 'around':
            stage.look_around()
        else:
            stage.look_through(self._from.value)


class TimeLine:
    """Play, pause, step, speed and the slider, over a recording."""

    def __init__(self, stage: Stage, playback: Playback, playing: bool) -> None:
        """Add the controls."""
        self._playback = playback
        self.time_ns = playback.start_ns
        self.playing = playing and playback.end_ns > playback.start_ns
        self.jumped = False
        self._speed = 1.0
        gui = stage.gui
        length_s = max((playback.end_ns - playback.start_ns) / _NS_PER_S, 1e-3)
        with gui.add_folder('Time'):
            self._clock = gui.add_markdown('')
            self._slider = gui.add_slider(
                's', min=0.0, max=length_s, step=max(min(playback.period_ns / _NS_PER_S, length_s), 1e-3),
                initial_value=0.0,
            )
            self._play = gui.add_button('Pause' if self.playing else 'Play')
            self._steps = gui.add_button_group('step', (_BACK, _ON))
            self._speeds = gui.add_dropdown('speed', _SPEEDS, initial_value='1x')
        self._slider.on_update(self._on_slider)
        self._play.on_click(lambda _: self.toggle())
        self._steps.on_click(lambda _: self.step(self._steps.value == _ON))
        self._speeds.on_update(lambda _: self._set_speed(str(self._speeds.value)))

    def advance(self, elapsed_s: float) -> None:
        """Let time pass, if it is playing; at the end it stops."""
        if not self.playing:
            return
        self.time_ns += round(elapsed_s * self._speed * _NS_PER_S)
        if self.time_ns >= self._playback.end_ns:
            self.time_ns = self._playback.end_ns
            self.toggle()

    def toggle(self) -> None:
        """Play or pause; at the end, play from the beginning."""
        if not self.playing and self.time_ns >= self._playback.end_ns:
            self.seek(self._playback.start_ns)
        self.playing = not self.playing
        self._play.label = 'Pause' if self.playing else 'Play'

    def step(self, forward: bool) -> None:
        """Go to the next or the previous instant, and pause."""
        if self.playing:
            self.toggle()
        at_ns = self._playback.after(self.time_ns) if forward else self._playback.before(self.time_ns)
        if at_ns is not None:
            self.seek(at_ns)

    def seek(self, time_ns: int) -> None:
        """Go to a time."""
        self.time_ns, self.jumped = time_ns, True

    def describe(self, instant: Instant) -> None:
        """Renew clock and slider."""
        offset_s = (self.time_ns - self._playback.start_ns) / _NS_PER_S
        moment = datetime.fromtimestamp(instant.stamp_ns / _NS_PER_S, timezone.utc)
        length = clock((self._playback.end_ns - self._playback.start_ns) / _NS_PER_S)
        time_of_day = f'{moment:%H:%M:%S}.{moment.microsecond // 1000:03} UTC'
        _set(self._clock, 'content', f'**{clock(offset_s)}** of {length}, {time_of_day}')
        _set(self._slider, 'value', offset_s)

    def _on_slider(self, event: Any) -> None:
        # Only what a browser did; the slider is moved from here too.
        if event.client_id is not None:
            self.seek(self._playback.start_ns + round(float(self._slider.value) * _NS_PER_S))

    def _set_speed(self, words: str) -> None:
        self._speed = float(words.removesuffix('x'))


def _set(handle: Any, name: str, value: Any) -> None:
    """Set a control's property unless it has that value."""
    if getattr(handle, name) != value:
        setattr(handle, name, value)


def play(stage: Stage, recording: Recording, config: ViewConfig, stop: Callable[[], bool]) -> None:
    """Show an open recording until ``stop``."""
    playback = Playback(recording, _PICTURE_SIDE_PX)
    stage.set_rig(recording.rig, *opening(recording))
    # The first bodies wait neither for pictures nor for the panel.
    stage.show(playback.at(playback.start_ns), Shown(), ())
    period_s = 1.0 / config.rate_hz
    with OtherPoses(recording.rig) as others, ThreadPoolExecutor(1, thread_name_prefix='read ahead') as reader:
        line = TimeLine(stage, playback, config.play)
        panel = Panel(stage, recording.cameras, others.kinds)
        for words in problems(recording):
            stage.gui.add_markdown(f'\N{WARNING SIGN} {words}')
        ahead: Future[None] | None = None
        turns = PictureTurns(recording.cameras)
        drawn_ns, said_s, last_s, played = -1, 0.0, time.monotonic(), line.playing
        while not stop():
            now_s = time.monotonic()
            line.advance(now_s - last_s)
            last_s = now_s
            if line.jumped:
                stage.forget_trails()
            if line.playing != played:
                # What stands still is drawn whole.
                played, panel.changed = line.playing, True
            instant = playback.at(line.time_ns)
            if instant.time_ns != drawn_ns or panel.changed:
                whole = not line.playing or line.jumped or panel.changed
                panel.changed, drawn_ns = False, instant.time_ns
                stage.show(instant, panel.shown, None if whole else turns.due(now_s))
                stage.show_ghost(others.of(panel.kind, instant))
                said_s = said_s if not line.jumped else 0.0
            if now_s - said_s > _WORDS_S:
                said_s = now_s
                line.describe(instant)
                panel.describe(instant)
            line.jumped = False
            if line.playing and (ahead is None or ahead.done()):
                ahead = reader.submit(playback.prepare, min(line.time_ns + _NS_PER_S, playback.end_ns))
            time.sleep(max(0.0, period_s - (time.monotonic() - now_s)))


def opening(recording: Recording) -> tuple[float, FloatArray | None]:
    """Return the floor's height along up, and where people are (3,), None where there are none."""
    up = up_direction(recording.rig)
    lows, middles = [], []
    for share in np.linspace(0.0, 0.9, _FLOOR_SAMPLES):
        bodies = _bodies_from(recording, recording.start_ns + round(share * (recording.end_ns - recording.start_ns)))
        if bodies is not None and np.isfinite(bodies.xyz).all(-1).any():
            points = bodies.xyz[np.isfinite(bodies.xyz).all(-1)]
            lows.append(float((points @ up).min()))
            middles.append(points.mean(0))
    if not lows:
        return 0.0, None
    low = float(np.median(lows))
    # Feet that are near the world's floor stand on it.
    return 0.0 if abs(low) < 0.3 else low, np.median(middles, axis=0)


def _bodies_from(recording: Recording, time_ns: int) -> Bodies3D | None:
    """Return the first bodies of the second from a time; None without any. No picture is read for them."""
    for one in recording.stream((BODIES,), time_ns, time_ns + _NS_PER_S):
        try:
            return one.bodies()
        except GeoPoseError as error:
            recording.count_damaged(one, error)
    return None


def problems(recording: Recording) -> list[str]:
    """Return what a recording lacks, in words."""
    found = [recording.damage] if recording.damage else []
    if not recording.has('bodies'):
        found.append('No bodies: make them with geo_pose process BAG --out RESULT, then geo_pose view RESULT BAG.')
    if recording.rig is None:
        found.append(f'No cameras: {recording.rig_fault} Give the calibration with --rig.')
    if not recording.has('image'):
        found.append('No pictures: name the bag that has them too.')
    return found
