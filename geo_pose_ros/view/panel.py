# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The controls beside the scene: time line, cameras, a body's joints."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from ..arrays import NS_PER_S, UInt8Array
from ..findings import Verdict, worst
from ..messages.diagnostics import Level
from ..page import clock
from ..types import Bodies3D
from .instant import Instant
from .playback import Playback
from .poses import NONE
from .stage import Shown, Stage

if TYPE_CHECKING:
    import viser
    from viser._messages import HotkeyKey


_BACK, _ON = '\N{BLACK LEFT-POINTING TRIANGLE}', '\N{BLACK RIGHT-POINTING TRIANGLE}'
_SPEEDS = ('0.1x', '0.25x', '0.5x', '1x', '2x', '4x')
_MARKS = ('\N{CHECK MARK}', '\N{WARNING SIGN}', '\N{MULTIPLICATION X}')
_UNKNOWN = '\N{MIDDLE DOT}'
_STRIP_CAMERA_PX, _STRIP_WIDTH_PX = 125, 620
_DIGITS: tuple[HotkeyKey, ...] = ('1', '2', '3', '4', '5', '6', '7', '8', '9')


class Panel:
    """The controls beside the scene, and what is chosen with them."""

    def __init__(self, stage: Stage, names: Sequence[str], kinds: Sequence[str]) -> None:
        """Add the controls, for the cameras ``names`` and the ``kinds`` of poses to compare with."""
        self._names = tuple(names)
        gui = stage.gui
        self.selected: int | None = None
        self.changed = True
        with gui.add_folder('Show', expand_by_default=False):
            labels = {'images': 'images', 'covariance': 'uncertainty', 'trails': 'trails', 'names': 'ids'}
            self._boxes = {name: gui.add_checkbox(label, True) for name, label in labels.items()}
            self._kind = gui.add_dropdown('compare with', tuple(kinds), initial_value=NONE)
        # Of the whole recording; live it comes with each instant.
        self.verdict: Verdict | None = None
        self._verdict = gui.add_markdown('')
        with gui.add_folder('Cameras'):
            self._cameras = gui.add_markdown('')
            if self._names:
                self._from = gui.add_dropdown('look from', ('around', *self._names), initial_value='around')
                self._from.on_update(lambda _: self._look(stage))
        with gui.add_folder('Body'):
            self._body = gui.add_markdown(joint_table(None, None))
        for box in self._boxes.values():
            box.on_update(lambda _: self._touch())
        self._kind.on_update(lambda _: self._touch())
        stage.on_body = self._select
        self._gui = gui
        self.strip = Strip(gui, len(self._names))
        add_key(gui, 'Look around', 'R', stage.look_around)
        for key, name in zip(_DIGITS, self._names, strict=False):
            add_key(gui, f'Look from {name}', key, partial(stage.look_through, name))

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
        verdict = self.verdict or instant.verdict
        _set(self._verdict, 'content', verdict_words(verdict))
        said = camera_table(self._names, instant, verdict)
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


class Strip:
    """The cameras' images side by side below the scene."""

    def __init__(self, gui: viser.GuiApi, cameras: int) -> None:
        """Add nothing yet, for so many ``cameras``."""
        self._gui, self._cameras = gui, cameras
        self._image: viser.GuiImageHandle | None = None

    def show(self, images: UInt8Array | None) -> None:
        """Show images (H, W, 3) RGB; None: those before stay."""
        if images is None:
            return
        if self._image is None:
            panel = self._gui.add_panel()
            with panel.add_tab('Images'):
                self._image = self._gui.add_image(images, format='jpeg', jpeg_quality=80)
            panel.float(x=15, y=-15, width=min(max(_STRIP_CAMERA_PX * self._cameras, 240), _STRIP_WIDTH_PX))
        else:
            self._image.image = images


def add_key(gui: viser.GuiApi, label: str, key: HotkeyKey, done: Callable[[], None]) -> None:
    """Let a key of the keyboard do something; viser lists it under ``label``."""
    gui.add_command(label, hotkey=key).on_trigger(lambda _: done())


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
        length_s = max((playback.end_ns - playback.start_ns) / NS_PER_S, 1e-3)
        with gui.add_folder('Time'):
            self._clock = gui.add_markdown('')
            self._slider = gui.add_slider(
                's', min=0.0, max=length_s, step=max(min(playback.period_ns / NS_PER_S, length_s), 1e-3),
                initial_value=0.0,
            )
            self._slid_s = 0.0
            self._play = gui.add_button('Pause' if self.playing else 'Play')
            self._steps = gui.add_button_group('step', (_BACK, _ON))
            self._speeds = gui.add_dropdown('speed', _SPEEDS, initial_value='1x')
            self._loop = gui.add_checkbox('again and again', True)
            gui.add_markdown('Keys: space plays and pauses, arrows step, R looks around.')
        self._slider.on_update(self._on_slider)
        self._play.on_click(lambda _: self.toggle())
        self._steps.on_click(lambda _: self.step(self._steps.value == _ON))
        self._speeds.on_update(lambda _: self._set_speed(str(self._speeds.value)))
        add_key(gui, 'Play or pause', 'space', self.toggle)
        add_key(gui, 'Next instant', 'arrowright', partial(self.step, True))
        add_key(gui, 'Previous instant', 'arrowleft', partial(self.step, False))

    def advance(self, elapsed_s: float) -> None:
        """Let time pass, if it is playing; at the end it begins anew, or stops and offers a replay."""
        if not self.playing:
            return
        self.time_ns += round(elapsed_s * self._speed * NS_PER_S)
        if self.time_ns < self._playback.end_ns:
            return
        if self._loop.value:
            self.seek(self._playback.start_ns)
        else:
            self.time_ns = self._playback.end_ns
            self.toggle()
            self._play.label = 'Replay'

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
        at_ns = self._playback.neighbour(self.time_ns, forward=forward)
        if at_ns is not None:
            self.seek(at_ns)

    def seek(self, time_ns: int) -> None:
        """Go to a time."""
        self.time_ns, self.jumped = time_ns, True
        self._play.label = 'Pause' if self.playing else 'Play'

    def describe(self, instant: Instant) -> None:
        """Renew clock and slider."""
        offset_s = (self.time_ns - self._playback.start_ns) / NS_PER_S
        moment = datetime.fromtimestamp(instant.stamp_ns / NS_PER_S, timezone.utc)
        length = clock((self._playback.end_ns - self._playback.start_ns) / NS_PER_S)
        time_of_day = f'{moment:%H:%M:%S}.{moment.microsecond // 1000:03} UTC'
        _set(self._clock, 'content', f'**{clock(offset_s)}** of {length}, {time_of_day}')
        # What a browser just moved is not moved back before ``_on_slider`` reads it, in another thread.
        if self._slider.value == self._slid_s:
            self._slid_s = offset_s
            _set(self._slider, 'value', offset_s)

    def _on_slider(self, event: viser.GuiEvent[viser.GuiSliderHandle[float]]) -> None:
        # Only what a browser did; the slider is moved from here too.
        if event.client_id is not None:
            self._slid_s = float(self._slider.value)
            self.seek(self._playback.start_ns + round(self._slid_s * NS_PER_S))

    def _set_speed(self, words: str) -> None:
        self._speed = float(words.removesuffix('x'))


def _set(handle: object, name: str, value: object) -> None:
    """Set a control's property unless it has that value."""
    if getattr(handle, name) != value:
        setattr(handle, name, value)


def verdict_words(verdict: Verdict | None) -> str:
    """Return a verdict in Markdown: headline and findings with their remedies; '' without one."""
    if verdict is None:
        return ''
    rows = [f'{_MARKS[verdict.severity]} **{verdict.in_words}**']
    rows += [f'{_MARKS[found.severity]} {found.in_words}' for found in verdict.findings if found.severity]
    return '\n\n'.join(rows)


def camera_table(names: Sequence[str], instant: Instant, verdict: Verdict | None = None) -> str:
    """Return the state of cameras at an instant, in Markdown, each at least as bad as the verdict says.

    Of what a status says only the first sentence: the verdict has all of it, with the remedy.
    """
    rows = []
    for name in names:
        status = instant.camera(name)
        found = worst(verdict.about(f'camera {name}')) if verdict is not None else None
        levels = [int(level) for level in (found, None if status is None else status.level) if level is not None]
        mark = _MARKS[min(max(levels), Level.ERROR)] if levels else _UNKNOWN
        rows.append(f'{mark} **{name}** {status.message.split(". ")[0] if status is not None else ""}'.rstrip())
    return '\n\n'.join(rows)


def joint_table(bodies: Bodies3D | None, body_id: int | None) -> str:
    """Return the joints of one body as a table in Markdown: position, sigma, views, reprojection error."""
    if body_id is None:
        return 'Click a body.'
    if bodies is None or body_id not in bodies.body_ids.tolist():
        return f'Body {body_id} is not here now.'
    row = bodies.body_ids.tolist().index(body_id)
    lines = ['| joint | x y z cm | σ cm | views | px |', '|---|---|---|---|---|']
    for joint, name in enumerate(bodies.skeleton.joint_names):
        x, y, z = 100.0 * bodies.xyz[row, joint]
        sigma = 100.0 * float(np.sqrt(np.trace(bodies.covariance[row, joint]) / 3.0))
        error = bodies.reprojection_error[row, joint]
        px = f'{error:.1f}' if np.isfinite(error) else '-'
        lines.append(f'| {name} | {x:.0f} {y:.0f} {z:.0f} | {sigma:.1f} | {bodies.num_views[row, joint]} | {px} |')
    return f'**Body {body_id}**\n\n' + '\n'.join(lines)
