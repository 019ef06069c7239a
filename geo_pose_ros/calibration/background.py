# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""``calibrate`` in a process of its own, with low priority.

It computes for seconds, and in a thread it would keep the interpreter from whoever makes bodies meanwhile.

    python -m geo_pose_ros.calibration.background   reads the task from stdin and writes the answer to stdout
"""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import IO, TYPE_CHECKING

from ..errors import CalibrationError
from ..types import CameraRig, Keypoints2D
from .task import CalibrateTask

if TYPE_CHECKING:
    from .calibrate import Calibrated

# Two processes that each take all cores are slower than two that take one.
_ONE_THREAD = {'OMP_NUM_THREADS': '1', 'OPENBLAS_NUM_THREADS': '1'}
_NICE = 5


class BackgroundCalibration:
    """Refinements, one after the other; ``stop`` from another thread ends the one that runs, and no other begins."""

    def __init__(self) -> None:
        """Prepare."""
        self._lock = threading.Lock()
        self._stopped = False
        self._process: subprocess.Popen[bytes] | None = None

    def run(
        self, keypoints: Mapping[str, Sequence[Keypoints2D]], rig: CameraRig, task: CalibrateTask
    ) -> Calibrated:
        """Return what ``calibrate`` finds; see there. The process is started and waited for.

        Raises:
            CalibrationError: as ``calibrate`` does, and if the process was stopped or died.
        """
        process = self._start()
        reply, _ = process.communicate(pack_task(keypoints, rig, task))
        if self._stopped:
            raise CalibrationError('the refinement was stopped.')
        try:
            found: Calibrated | CalibrationError = pickle.loads(reply)
        except (EOFError, pickle.UnpicklingError) as error:
            raise CalibrationError(
                f'the process that refines ended with status {process.returncode}; what it wrote on the console says '
                'more. Most likely the machine lacks memory: lower calibration.most_sets.'
            ) from error
        if isinstance(found, CalibrationError):
            raise found
        # Arrays lose on the way that they are read-only.
        fresh = [replace(camera, intrinsics=replace(camera.intrinsics)) for camera in found.rig.cameras]
        return replace(found, rig=replace(found.rig, cameras=tuple(fresh)), given=rig)

    def _start(self) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._stopped:
                raise CalibrationError('the refinement was stopped.')
            # A session of its own: Ctrl-C is for whoever started it, who then stops it.
            self._process = subprocess.Popen(
                [sys.executable, '-m', __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True,
                env={**os.environ, **_ONE_THREAD, 'PYTHONPATH': os.pathsep.join(sys.path)},
            )
            return self._process

    def stop(self) -> None:
        """End the refinement that runs, if one does, and let no other begin."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                self._process.kill()


def pack_task(keypoints: Mapping[str, Sequence[Keypoints2D]], rig: CameraRig, task: CalibrateTask) -> bytes:
    """Return what ``answer`` reads. It is made image by image: each is too short for other threads to notice."""
    packed = io.BytesIO()
    # One pickler writes what images share, their skeleton, once.
    pickler = pickle.Pickler(packed)
    pickler.dump((rig, task, {name: len(keypoints.get(name, ())) for name in rig.names}))
    for name in rig.names:
        for seen in keypoints.get(name, ()):
            pickler.dump(seen)
    return packed.getvalue()


def answer(task: IO[bytes], reply: IO[bytes]) -> None:
    """Read a task, and write its Calibrated or its CalibrationError."""
    from .calibrate import calibrate

    packed = pickle.Unpickler(task)
    rig, asked, counts = packed.load()
    keypoints = {name: [packed.load() for _ in range(count)] for name, count in counts.items()}
    found: Calibrated | CalibrationError
    try:
        found = calibrate(keypoints, rig, asked)
    except CalibrationError as error:
        found = error
    pickle.dump(found, reply)


def main() -> None:
    """Answer one task, with less priority than who asked."""
    if hasattr(os, 'nice'):
        os.nice(_NICE)
    answer(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == '__main__':
    main()
