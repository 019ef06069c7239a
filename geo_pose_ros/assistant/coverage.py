# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Where cameras saw people so far, and where somebody should walk next."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..arrays import FloatArray, IntArray
from ..findings import Finding, Severity
from ..types import CameraRig, Keypoints2D

# Cells of an image. One is covered by so many sets, and two cameras by so many in which both saw somebody.
ROWS, COLUMNS = 4, 6
ENOUGH_SETS, ENOUGH_SHARED = 8, 50
_SIDES = ('left', 'middle', 'right')
# Nearest and farthest, a person's heights in an image differ by this factor at least.
_DEPTH = 1.4


class Coverage:
    """Counts in which cells of their images cameras saw somebody, how large, and which cameras did at one time."""

    def __init__(self, rig: CameraRig) -> None:
        """Start with nothing seen by the cameras of ``rig``."""
        self._rig = rig
        self._cells: dict[str, IntArray] = {name: np.zeros((ROWS, COLUMNS), np.int64) for name in rig.names}
        # The heights of people in images, px.
        self._heights: dict[str, list[float]] = {name: [] for name in rig.names}
        self._shared = np.zeros((len(rig), len(rig)), np.int64)

    def add(self, keypoints: Mapping[str, Keypoints2D]) -> None:
        """Take in what the cameras saw at one time."""
        seen = np.zeros(len(self._rig), bool)
        for row, camera in enumerate(self._rig.cameras):
            found = keypoints.get(camera.name)
            xy = np.zeros((0, 2)) if found is None else found.xy[np.isfinite(found.xy).all(-1)]
            if not len(xy) or found is None:
                continue
            seen[row] = True
            size = camera.intrinsics.width, camera.intrinsics.height
            at = np.clip(xy / size * (COLUMNS, ROWS), 0, (COLUMNS - 1, ROWS - 1)).astype(np.int64)
            cells = np.zeros((ROWS, COLUMNS), bool)
            cells[at[:, 1], at[:, 0]] = True
            self._cells[camera.name] += cells
            for person in found.xy:
                y = person[np.isfinite(person).all(-1), 1]
                if len(y) > len(person) // 2:
                    self._heights[camera.name].append(float(np.ptp(y)))
        self._shared += np.outer(seen, seen)

    def of(self, name: str) -> FloatArray:
        """Return the share (ROWS, COLUMNS) in [0, 1] that each cell of a camera's image is covered."""
        return np.minimum(self._cells[name] / ENOUGH_SETS, 1.0)

    def findings(self) -> list[Finding]:
        """Return what is lacking, the worst first: where somebody should walk."""
        found = []
        for row, name in enumerate(self._rig.names):
            if self._cells[name].max() < ENOUGH_SETS:
                found.append(_lacking(name, 'saw nobody yet', 'Walk before it.'))
                continue
            shared = np.delete(self._shared[row], row)
            if len(shared) and shared.max() < ENOUGH_SHARED:
                found.append(_lacking(
                    name, f'saw somebody together with another camera in {shared.max()} sets of {ENOUGH_SHARED}',
                    'Walk where both look.'))
        for name in self._rig.names:
            covered = self.of(name).max(0).reshape(len(_SIDES), -1).max(1)
            without = [side for side, share in zip(_SIDES, covered, strict=True) if share < 1.0]
            if self._cells[name].max() >= ENOUGH_SETS and without:
                where = ' and '.join(without)
                found.append(_lacking(name, f'saw nobody on the {where} of its image', 'Walk there too.'))
        for name, heights in self._heights.items():
            near, far = np.percentile(heights, (95, 5)) if len(heights) >= ENOUGH_SETS else (np.inf, 1.0)
            if near < _DEPTH * far:
                found.append(_lacking(name, 'saw people at one distance', 'Walk towards it and away.'))
        return found


def _lacking(name: str, what: str, remedy: str) -> Finding:
    return Finding(Severity.WARNING, f'it {what}.', remedy, f'camera {name}', 'coverage')
