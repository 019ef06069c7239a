# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose calibrate --live`: a rig while somebody walks, and a page that says where to walk next."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import cv2
import numpy as np

from ..arrays import NS_PER_S, FloatArray, UInt8Array
from ..bags.calibrate import guess_intrinsics
from ..calibration.settings import WatchConfig
from ..calibration.task import CalibrateTask
from ..calibration.watch import CalibrationWatch, Proposal
from ..detection.base import Detector
from ..messages.transforms import optical_frame_id
from ..rigs.files import write_calibration
from ..settings import setting
from ..types import Camera, CameraRig, Frame, Intrinsics, Keypoints2D
from ..view.drawing import draw_rings, side_by_side
from ..view.instant import Instant
from ..view.panel import Strip
from ..view.stage import Shown, Stage
from .coverage import Coverage

if TYPE_CHECKING:
    from ..calibration.calibrate import Calibrated

_IMAGE_PX = 240
_UNCOVERED_BGR = (40, 150, 240)
# The page is renewed this often, s.
_PAGE_S = 0.3
# Squares of the floor that people stood on, m.
_FLOOR_CELL_M = 0.5
_MOST_FINDINGS = 4


@dataclass(frozen=True, slots=True)
class AssistConfig:
    """When the assistant looks for cameras, and when it is content."""

    every_s: float = setting(
        20.0, 'Cameras are looked for again after so much more footage', unit='s', low=1.0, high=600.0
    )
    enough_position_m: float = setting(
        0.01, 'It ends when the position of every camera is known to this standard deviation', unit='m', low=1e-4,
        high=1.0,
    )
    enough_rotation_deg: float = setting(
        0.2, 'And its rotation to this one', unit='deg', low=1e-3, high=10.0
    )


class FrameSource(Protocol):
    """Gives an image of each camera at a time."""

    def read(self) -> Mapping[str, Frame] | None:
        """Return the next images by camera, of about one time; None after the last."""


def guessed_rig(frames: Mapping[str, Frame], lenses: Mapping[str, Intrinsics], focal_guess: float) -> CameraRig:
    """Return cameras of the images' sizes that all stand in the origin.

    ``lenses`` are known; of the others the focal length is ``focal_guess`` longer sides of the image.
    """
    cameras = []
    for name, frame in frames.items():
        height, width = (frame.reduction * side for side in frame.image.shape[:2])
        lens = lenses.get(name) or guess_intrinsics(width, height, focal_guess)
        cameras.append(Camera(name, optical_frame_id(name), lens, np.eye(3, 4)))
    return CameraRig(tuple(cameras))


class Assistant:
    """Collects what cameras see, refines in the background, and says what is lacking."""

    def __init__(self, rig: CameraRig, task: CalibrateTask, config: AssistConfig, out: Path) -> None:
        """Start with nothing seen by the cameras of ``rig``; the result is written to ``out``, which is replaced."""
        self.rig, self.coverage = rig, Coverage(rig)
        self.found: Calibrated | None = None
        self.said = 'Walk through the volume, before all cameras, near and far.'
        self.ended = False
        self._config, self._out = config, out
        self._watch = CalibrationWatch(WatchConfig(window_s=3600.0, most_sets=20_000), task=task)
        self._running: Future[Proposal] | None = None
        self._first_ns = self._asked_ns = -1

    def add(self, stamp_ns: int, keypoints: Mapping[str, Keypoints2D]) -> None:
        """Take in what the cameras saw at a time, and look for them where enough is new."""
        self.coverage.add(keypoints)
        self._watch.add_keypoints(self.rig, stamp_ns, keypoints)
        if self._first_ns < 0:
            self._first_ns = self._asked_ns = stamp_ns
        self.check()
        if self._running is None and stamp_ns - self._asked_ns >= self._config.every_s * NS_PER_S:
            self._asked_ns = stamp_ns
            self.refine()

    def refine(self) -> None:
        """Look for the cameras with what was seen so far, in the background."""
        if self._running is None:
            self._running = self._watch.refine_in_background()

    def check(self, wait: bool = False) -> None:
        """Take what was found, if it is there or waited for; where it is good enough, write it and end."""
        if self._running is None or not (wait or self._running.done()):
            return
        proposal, self._running = self._running.result(), None
        if proposal.rig is None or proposal.found is None:
            before = '' if self.found is None else 'What was found before stays. '
            self.said = f'{before}Not {"better" if before else "yet"}: {proposal.refusal}'
            return
        self.found = proposal.found
        position_m, rotation_rad = self.found.sigma_position_m.max(), self.found.sigma_rotation_rad.max()
        known = f'{1e3 * position_m:.0f} mm and {np.degrees(rotation_rad):.2f} degrees'
        self.ended = bool(
            position_m <= self._config.enough_position_m
            and rotation_rad <= np.radians(self._config.enough_rotation_deg)
        )
        self.said = f'The cameras are known to {known}. ' + ('That is enough.' if self.ended else 'Go on walking.')
        if self.ended:
            self.save()

    def save(self) -> None:
        """Write the cameras as far as they are known, and end; without any, go on."""
        if self.found is None:
            self.said = 'There are no cameras to save yet. Go on walking.'
            return
        write_calibration(self._out, self.found.rig, overwrite=True)
        self.said += f' Saved to {self._out}.'
        self.ended = True

    def floor(self) -> FloatArray:
        """Return the middles (N, 2) m of the squares of the floor that people stood on, in the new world."""
        if self.found is None or not len(self.found.joints):
            return np.zeros((0, 2))
        pelvises = np.nanmean(self.found.joints[..., :2], axis=1)
        cells = np.unique(np.floor(pelvises[np.isfinite(pelvises).all(-1)] / _FLOOR_CELL_M), axis=0)
        return np.asarray((cells + 0.5) * _FLOOR_CELL_M)

    def close(self) -> None:
        """Stop what is running."""
        self._watch.close()


def assist(
    stage: Stage, source: FrameSource, detector: Detector, assistant: Assistant,
    first: Mapping[str, Frame] | None = None,
) -> None:
    """Show what cameras see and what is lacking, until the cameras are known, somebody ends it, or images end.

    Args:
        stage: where it is shown.
        source: of the images.
        detector: finds people in them.
        assistant: takes what is found.
        first: images that were read already.
    """
    page = _Page(stage, assistant)
    frames = first or source.read()
    while frames is not None and not assistant.ended:
        keypoints = detector.detect(frames, {})
        assistant.add(min(frame.stamp_ns for frame in frames.values()), keypoints)
        page.show(frames, keypoints)
        frames = source.read()
    if not assistant.ended:
        # The last word, with all that was seen.
        assistant.check(wait=True)
        if not assistant.ended:
            assistant.refine()
            assistant.check(wait=True)
    if not assistant.ended and assistant.found is not None:
        assistant.save()
    page.show({}, {}, whole=True)


class _Page:
    """The page: images with what is covered, words, buttons, and the cameras in 3D once they are known."""

    def __init__(self, stage: Stage, assistant: Assistant) -> None:
        self._stage, self._assistant = stage, assistant
        self._shown_s = -np.inf
        self._drawn: Calibrated | None = None
        gui = stage.gui
        gui.set_panel_label('Calibrate')
        self._said = gui.add_markdown('')
        gui.add_button('Look for the cameras now').on_click(lambda _: assistant.refine())
        gui.add_button('Save and end').on_click(lambda _: assistant.save())
        self._strip = Strip(gui, len(assistant.rig))
        stage.set_rig(None)

    def show(self, frames: Mapping[str, Frame], keypoints: Mapping[str, Keypoints2D], *, whole: bool = False) -> None:
        """Renew the page, unless that was just done."""
        now_s = time.monotonic()
        if not whole and now_s - self._shown_s < _PAGE_S:
            return
        self._shown_s = now_s
        found = self._assistant.found
        if found is not None and found is not self._drawn:
            self._drawn = found
            people = found.joints.reshape(-1, 3)
            self._stage.set_rig(found.rig, people=people[np.isfinite(people).all(-1)])
            self._stage.mark_floor(self._assistant.floor(), _FLOOR_CELL_M)
        rows = [f'**{self._assistant.said}**']
        if not self._assistant.ended:
            rows += [f'- {finding.in_words}' for finding in self._assistant.coverage.findings()[:_MOST_FINDINGS]]
        self._said.content = '\n'.join(['', *rows]).strip()
        if frames:
            images = [coverage_image(frame, keypoints.get(name), self._assistant.coverage.of(name))
                      for name, frame in frames.items()]
            self._strip.show(side_by_side(images, _IMAGE_PX))
            if self._drawn is not None:
                stamp_ns = min(frame.stamp_ns for frame in frames.values())
                self._stage.show(Instant(stamp_ns, stamp_ns, keypoints=keypoints, frames=frames), Shown())


def coverage_image(frame: Frame, found: Keypoints2D | None, covered: FloatArray) -> UInt8Array:
    """Return an image (h, w, 3) RGB with rings at keypoints; what is not covered yet is orange.

    ``covered`` (ROWS, COLUMNS) is ``Coverage.of``.
    """
    height, width = frame.image.shape[:2]
    size = max(1, round(width * _IMAGE_PX / height)), _IMAGE_PX
    small = cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA)
    tint = cv2.resize(0.45 * (1.0 - covered), size, interpolation=cv2.INTER_NEAREST)[..., None]
    image = ((1.0 - tint) * small + tint * np.array(_UNCOVERED_BGR)).astype(np.uint8)
    if found is not None:
        draw_rings(image, found.xy * (_IMAGE_PX / (height * frame.reduction)), found.skeleton)
    return np.ascontiguousarray(image[..., ::-1])
