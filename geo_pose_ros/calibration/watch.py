# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What a running system remembers for its calibration, and a better rig from it on request.

The scene says which camera was moved. Here the detections of the last minute are kept, those of a moved camera from
then on only, and a refinement over them gives a rig that is judged before anybody uses it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..arrays import NS_PER_S
from ..errors import CalibrationError
from ..scene.cameras.states import CameraState
from ..scene.scene import SceneResult
from ..types import CameraRig, Keypoints2D
from .background import BackgroundCalibration
from .settings import WatchConfig
from .task import CalibrateTask

if TYPE_CHECKING:
    from .calibrate import Calibrated

# A moved camera whose calibration error changes by more than this part of it was moved again.
_AGAIN = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """What a refinement gives.

    Attributes:
        rig: the better rig; None if it is refused.
        refusal: why; '' if it may be used.
        moved: the cameras that had been moved when it was asked for.
        found: the whole result, for a report; None if nothing could be determined.
    """

    rig: CameraRig | None
    refusal: str
    moved: tuple[str, ...]
    found: Calibrated | None


class CalibrationWatch:
    """Collects what sets say about the rig, in bounded memory. Feed it from one thread; ask it from any."""

    def __init__(self, config: WatchConfig | None = None, task: CalibrateTask | None = None) -> None:
        """Start with nothing seen; ``task`` is what is asked of a refinement."""
        self._config, self._task = config or WatchConfig(), task or CalibrateTask()
        self._lock = threading.Lock()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix='calibrate')
        self._running: Future[Proposal] | None = None
        self._background = BackgroundCalibration()
        self._rig: CameraRig | None = None
        self._sets: deque[tuple[int, Mapping[str, Keypoints2D]]] = deque(maxlen=self._config.most_sets)
        # How late the cameras' stamps are beyond what the rig says.
        self._late_s: dict[str, float] = {}
        # From when on a camera's detections are of where it stands now.
        self._since_ns: dict[str, int] = {}
        # Calibration errors (2,) px at that time, of the cameras that are moved.
        self._moved: dict[str, tuple[float, float]] = {}

    def __repr__(self) -> str:
        cameras = 0 if self._rig is None else len(self._rig)
        moved = ', '.join(self._moved) or 'none'
        return f'CalibrationWatch({len(self._sets)} sets of {cameras} cameras; moved: {moved})'

    @property
    def busy(self) -> bool:
        """Whether a refinement is running."""
        return self._running is not None and not self._running.done()

    def add(self, rig: CameraRig, result: SceneResult) -> None:
        """Take in a set at its bodies' stamp, whose bodies were made with ``rig``; cheap."""
        self.add_keypoints(rig, result.bodies.stamp_ns, result.keypoints, result.cameras)

    def add_keypoints(
        self, rig: CameraRig, stamp_ns: int, keypoints: Mapping[str, Keypoints2D],
        cameras: Mapping[str, CameraState] | None = None,
    ) -> None:
        """Take in what the cameras of ``rig`` saw at a time, and where the scene judges them, their states; cheap."""
        states = cameras or {}
        with self._lock:
            if rig is not self._rig:
                # It may be the better one: what cameras saw before stays as good as it was.
                self._rig, self._moved = rig, {}
            while self._sets and not 0 <= stamp_ns - self._sets[0][0] <= self._config.window_s * NS_PER_S:
                self._sets.popleft()
            self._sets.append((stamp_ns, keypoints))
            self._late_s = {name: state.clock_offset_s for name, state in states.items()}
            for name, state in states.items():
                self._note(name, state, stamp_ns)

    def _note(self, name: str, state: CameraState, stamp_ns: int) -> None:
        """Where a camera was just moved, or put back, what it saw before is of another place."""
        before = self._moved.get(name)
        if state.moved:
            news = before is None or np.hypot(
                state.calibration_error_px[0] - before[0], state.calibration_error_px[1] - before[1]
            ) > _AGAIN * np.hypot(*before)
        else:
            news = before is not None
            self._moved.pop(name, None)
        if news:
            self._since_ns[name] = stamp_ns
            if state.moved:
                self._moved[name] = state.calibration_error_px

    def refine_in_background(self) -> Future[Proposal]:
        """Begin to make a better rig of what was seen; what is running already is returned instead.

        The future says why there is none. It takes seconds, in a process of its own; nobody who adds sets waits.
        """
        if not self.busy or self._running is None:
            self._running = self._worker.submit(self._refine)
        return self._running

    def _refine(self) -> Proposal:
        # Loaded when used: what calibration needs of SciPy doubles a node's memory.
        from .clocks import clock_offsets_s, with_clocks

        with self._lock:
            rig, sets, since_ns, moved = self._rig, list(self._sets), dict(self._since_ns), tuple(self._moved)
            late_s = self._late_s
        if rig is None:
            return Proposal(None, 'no set of calibrated cameras has come yet.', moved, None)
        rig = with_clocks(rig, clock_offsets_s(rig) + [late_s.get(name, 0.0) for name in rig.names])
        try:
            found = self._background.run(_usable(sets, rig, since_ns), rig, self._task)
        except CalibrationError as error:
            return Proposal(None, str(error), moved, None)
        if found.refusal:
            return Proposal(None, found.refusal.in_words, moved, found)
        return Proposal(found.rig, '', moved, found)

    def close(self) -> None:
        """Stop a refinement that is running, and end the thread."""
        self._background.stop()
        self._worker.shutdown()


def _usable(
    sets: Sequence[tuple[int, Mapping[str, Keypoints2D]]], rig: CameraRig, since_ns: Mapping[str, int]
) -> dict[str, list[Keypoints2D]]:
    """Return by camera what it saw from where it stands now, in the order received.

    Half of the time is from since the last camera was moved: instants are drawn evenly, and it shall have its share.
    """
    now_ns = sets[-1][0] if sets else 0
    begin_ns = min(2 * max(since_ns.values(), default=-now_ns) - now_ns, now_ns)
    keypoints: dict[str, list[Keypoints2D]] = {name: [] for name in rig.names}
    for stamp_ns, seen in sets:
        for name in keypoints.keys() & seen.keys():
            if stamp_ns >= max(begin_ns, since_ns.get(name, begin_ns)):
                keypoints[name].append(seen[name])
    return keypoints
