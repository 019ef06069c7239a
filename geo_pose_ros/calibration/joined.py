# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Several recordings of one rig as one: one after the other, each put right by the clocks it had."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..arrays import NS_PER_S
from ..types import CameraRig, Keypoints2D
from .calibrate import Calibrated, calibrate
from .task import CalibrateTask, RefusalError

# Between two recordings, s: nobody is linked across.
_PAUSE_S = 10.0

# By camera, its detections in the order received.
Detections = Mapping[str, Sequence[Keypoints2D]]


def calibrate_together(
    recordings: Sequence[Detections], rig: CameraRig, task: CalibrateTask | None = None
) -> Calibrated:
    """Refine ``rig``, or find it from scratch, from several recordings between which no camera was touched.

    With ``task.sync`` each recording is calibrated alone first, for its clocks; the rig of all then keeps those given.
    See ``calibrate``.

    Raises:
        CalibrationError: as ``calibrate`` does, and if the clocks of a recording cannot be found; says of which.
    """
    task = task or CalibrateTask()
    if len(recordings) == 1:
        return calibrate(recordings[0], rig, task)
    joined: dict[str, list[Keypoints2D]] = {name: [] for name in rig.names}
    begin_ns = 0
    for number, recording in enumerate(recordings, 1):
        in_time = _by_clocks_alone(recording, rig, task, number) if task.sync else recording
        stamps = [k.stamp_ns for seen in in_time.values() for k in seen]
        if not stamps:
            raise RefusalError(f'Recording {number} holds no keypoints', 'Leave it out, or record people.')
        for name in joined:
            joined[name] += [
                replace(k, stamp_ns=k.stamp_ns - min(stamps) + begin_ns) for k in in_time.get(name, ())
            ]
        begin_ns += max(stamps) - min(stamps) + round(_PAUSE_S * NS_PER_S)
    return calibrate(joined, rig, replace(task, sync=False))


def _by_clocks_alone(recording: Detections, rig: CameraRig, task: CalibrateTask, number: int) -> Detections:
    """Return a recording whose stamps are late by no more than the clocks of ``rig`` say.

    Raises:
        CalibrationError: if they cannot be found.
    """
    try:
        found = calibrate(recording, rig, task)
    except RefusalError as error:
        raise RefusalError(f'Recording {number}: {error.finding.what}', error.finding.remedy) from error
    first_ns = min(k.stamp_ns for seen in recording.values() for k in seen)
    in_time = {}
    for c, camera in enumerate(rig.cameras):
        seen = recording.get(camera.name, ())
        late_s = np.array([k.stamp_ns - first_ns for k in seen]) / NS_PER_S - found.offset_s[c]
        time_s = late_s / (1.0 + found.drift[c])
        late_ns = first_ns + camera.clock.offset_ns
        in_time[camera.name] = [
            replace(k, stamp_ns=late_ns + round(t * NS_PER_S)) for k, t in zip(seen, time_s.tolist(), strict=True)
        ]
    return in_time
