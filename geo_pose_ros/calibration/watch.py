"""The calibration of a running system: who is off by how much, and a better rig on request.

Bodies come from all cameras, and the solver leaves out a camera that contradicts the others; so a camera that was
moved shows its people all to one side of where the bodies are. That names it within seconds. The detections of the
last minute are kept, and a refinement over them gives a rig that is judged before anybody uses it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..errors import CalibrationError
from ..geometry.projection import project_world
from ..skeleton import FloatArray
from ..types import Bodies3D, CameraRig, Keypoints2D
from .refinement import Calibrated, calibrate
from .settings import WatchConfig
from .tracklets import extent_px

_NS_PER_S = 1e9
# A detection belongs to a body if it lies nearer than this share of its own extent.
_SAME_BODY = 0.6
_LEAST_JOINTS = 5
# Who is off among two cameras cannot be told.
_LEAST_VIEWS = 3
_LEAST_RECENT = 5


class SceneResult(Protocol):
    """What the watch takes of a set; the pipeline's result is one."""

    @property
    def bodies(self) -> Bodies3D:
        """Who is there."""

    @property
    def keypoints(self) -> Mapping[str, Keypoints2D]:
        """By camera."""


@dataclass(frozen=True, slots=True)
class CameraOff:
    """How far a camera is off by now.

    Attributes:
        offset_px: median distance by which all its people lie to one side of the bodies; NaN if nobody was seen.
        offset_rad: the same as an angle at the camera.
        residual_px: median distance of its keypoints from the bodies.
        off: whether the camera must be called off.
        sets: recent sets that this is from.
    """

    offset_px: float
    offset_rad: float
    residual_px: float
    off: bool
    sets: int


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """What a refinement gives.

    Attributes:
        rig: the better rig; None if it is refused.
        refusal: why; '' if it may be used.
        moved: the cameras that were called off when it was asked for.
        found: the whole result, for a report; None if nothing could be determined.
    """

    rig: CameraRig | None
    refusal: str
    moved: tuple[str, ...]
    found: Calibrated | None


class CalibrationWatch:
    """Collects what sets say about the rig in bounded memory. Feed it from one thread; ask it from any."""

    def __init__(self, rig: CameraRig, config: WatchConfig | None = None) -> None:
        """Start with nothing seen."""
        self._config = config or WatchConfig()
        self._lock = threading.Lock()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix='calibrate')
        self._running: Future[Proposal] | None = None
        self._rig = rig
        self._sets: deque[tuple[int, Mapping[str, Keypoints2D]]] = deque(maxlen=self._config.most_sets)
        self._recent: dict[str, deque[tuple[int, FloatArray, float]]] = {}
        # From when on a camera's detections are of where it stands now.
        self._since_ns: dict[str, int] = {}
        self._was_off: set[str] = set()
        self._forget()

    def _forget(self) -> None:
        self._recent = {name: deque(maxlen=self._config.most_sets) for name in self._rig.names}
        self._was_off = set()

    def __repr__(self) -> str:
        off = ', '.join(self.off()) or 'none'
        return f'CalibrationWatch({len(self._sets)} sets of {len(self._rig)} cameras; off: {off})'

    @property
    def rig(self) -> CameraRig:
        """The rig that bodies are made with."""
        return self._rig

    def with_rig(self, rig: CameraRig) -> None:
        """Go on with another calibration of the same cameras; what they saw is kept."""
        with self._lock:
            self._rig = rig
            self._forget()

    def add(self, result: SceneResult) -> None:
        """Take in a set, at its bodies' stamp; cheap: a projection per camera and body."""
        stamp_ns = result.bodies.stamp_ns
        with self._lock:
            while self._sets and not 0 <= stamp_ns - self._sets[0][0] <= self._config.window_s * _NS_PER_S:
                self._sets.popleft()
            self._sets.append((stamp_ns, dict(result.keypoints)))
            supported = result.bodies.select(np.asarray(np.median(result.bodies.num_views, axis=1) >= _LEAST_VIEWS - 1))
            if len(self._rig) >= _LEAST_VIEWS and len(supported):
                for name, found in result.keypoints.items():
                    self._compare(name, stamp_ns, found, supported)
            self._note_changes(stamp_ns)

    def _compare(self, name: str, stamp_ns: int, found: Keypoints2D, bodies: Bodies3D) -> None:
        """Remember how far one camera's people lie from the bodies."""
        if name not in self._recent or not len(found.xy):
            return
        projected = project_world(self._rig[name], bodies.xyz)
        difference = found.xy[:, None] - projected[None]
        known = np.asarray(np.isfinite(difference).all(-1))
        distance = np.where(known, np.linalg.norm(np.nan_to_num(difference), axis=-1), np.nan)
        for person, extent in enumerate(extent_px(found.xy)):
            counts = np.asarray(known[person].sum(-1))
            enough = np.flatnonzero(counts >= _LEAST_JOINTS)
            if not len(enough) or not np.isfinite(extent):
                continue
            medians = np.nanmedian(distance[person, enough], axis=-1)
            best = int(enough[int(medians.argmin())])
            if medians.min() <= _SAME_BODY * extent:
                offset = np.nanmedian(difference[person, best], axis=0)
                self._recent[name].append((stamp_ns, offset, float(medians.min())))

    def _note_changes(self, stamp_ns: int) -> None:
        """Where a camera has just gone off, what it saw before is of another place."""
        off = set(self._off(stamp_ns))
        for name in off - self._was_off:
            # The median of the recent sets turns when half of them are new.
            self._since_ns[name] = stamp_ns - round(0.5 * self._config.recent_s * _NS_PER_S)
        self._was_off = off

    def state(self) -> dict[str, CameraOff]:
        """Return how far each camera is off by now."""
        with self._lock:
            return self._state(self._sets[-1][0] if self._sets else 0)

    def _state(self, now_ns: int) -> dict[str, CameraOff]:
        rows: dict[str, tuple[float, float, float, int]] = {}
        for name in self._rig.names:
            recent = self._recent[name]
            while recent and not 0 <= now_ns - recent[0][0] <= self._config.recent_s * _NS_PER_S:
                recent.popleft()
            if len(recent) < _LEAST_RECENT:
                rows[name] = float('nan'), float('nan'), float('nan'), len(recent)
                continue
            offset_px = float(np.linalg.norm(np.median([offset for _, offset, _ in recent], axis=0)))
            residual_px = float(np.median([residual for _, _, residual in recent]))
            focal = self._rig[name].intrinsics.K[0, 0]
            rows[name] = offset_px, float(np.arctan(offset_px / focal)), residual_px, len(recent)
        angles = [row[1] for row in rows.values() if np.isfinite(row[1])]
        typical = float(np.median(angles)) if angles else 0.0
        least = max(self._config.off_rad, self._config.off_ratio * typical)
        return {
            name: CameraOff(offset_px, offset_rad, residual_px, bool(offset_rad > least), sets)
            for name, (offset_px, offset_rad, residual_px, sets) in rows.items()
        }

    def off(self) -> tuple[str, ...]:
        """Return the cameras that must be called off."""
        return tuple(name for name, camera in self.state().items() if camera.off)

    def _off(self, now_ns: int) -> tuple[str, ...]:
        return tuple(name for name, camera in self._state(now_ns).items() if camera.off)

    def refine(self) -> Proposal:
        """Return a better rig from what was seen, or why there is none; takes seconds."""
        with self._lock:
            rig, since = self._rig, dict(self._since_ns)
            pictures = {
                name: [
                    found[name] for stamp_ns, found in self._sets if name in found and stamp_ns >= since.get(name, 0)
                ]
                for name in rig.names
            }
            moved = self._off(self._sets[-1][0] if self._sets else 0)
        try:
            found = calibrate(pictures, rig, self._config.calibrate)
        except CalibrationError as error:
            return Proposal(None, str(error), moved, None)
        return Proposal(None if found.refusal else found.rig, found.refusal, moved, found)

    def refine_in_background(self) -> Future[Proposal]:
        """Begin ``refine`` in a thread of its own; one that is running already is returned instead."""
        if self._running is None or self._running.done():
            self._running = self._worker.submit(self.refine)
        return self._running

    def close(self) -> None:
        """Wait for a refinement that is running and end the thread."""
        self._worker.shutdown()
