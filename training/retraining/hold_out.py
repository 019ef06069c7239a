# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What of a recording is held out when a lifter is fine-tuned on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.errors import ConfigError
from geo_pose_ros.geometry.rigid import transform_points

from ..data.recording import PersonRecording
from ..labels.triangulation import refined_labels

# With fewer cameras each one is needed to make the labels.
_CAMERAS_TO_SPARE = 3


@dataclass(frozen=True, slots=True, eq=False)
class HoldOut:
    """A recording of one person, and what of it is trained on.

    Attributes:
        whole: all cameras and frames.
        trained_on: names of the cameras that are trained on.
        camera: the camera that is held out, '' for none.
        train, test: frames that are trained on, and that are held out.
    """

    whole: PersonRecording
    trained_on: tuple[str, ...]
    camera: str
    train: slice
    test: slice

    @property
    def training(self) -> PersonRecording:
        """What may be trained on."""
        return self.whole.views(self.trained_on).frames(self.train)

    @property
    def test_cameras(self) -> tuple[str, ...]:
        """Names of the cameras to test with."""
        return (self.camera,) if self.camera else self.trained_on

    def reference(self, camera: str) -> tuple[FloatArray, FloatArray]:
        """Return what ``camera`` should see, (F, J, 3) m in its frame, and the weights (F, J).

        It is the triangulation, over the whole recording, of the cameras that are trained on.
        """
        world, weight = refined_labels(self.whole.views(self.trained_on))
        return transform_points(self.whole.rig[camera].cam_from_world, world), weight


def hold_out(
    whole: PersonRecording, *, camera: str = '', cameras: tuple[str, ...] = (), train: slice | None = None,
    test: slice | None = None, share: float = 0.4,
) -> HoldOut:
    """Return the recording with its last frames, and of three cameras or more one camera, held out.

    Args:
        whole: the recording.
        camera: to hold out; '' for the last one, if there are three.
        cameras: to train on; () for all but that one.
        train, test: frames; None for all but the last ``share`` of them, and these.
        share: of the frames from the first to the last in which the person was seen.

    Raises:
        ConfigError: if the camera is trained on, or nothing is left to train on or to test on.
    """
    names = whole.rig.names
    if not camera and len(names) >= _CAMERAS_TO_SPARE:
        camera = next((name for name in reversed(names) if name not in cameras), '')
    chosen = cameras or tuple(name for name in names if name != camera)
    if camera in chosen:
        raise ConfigError(f"Camera '{camera}' is trained on; hold out another one.")
    if len(chosen) < 2:
        received = ', '.join(chosen) or 'none'
        raise ConfigError(f"'{whole.name}': labels need two cameras to train on; received {received}.")
    there = np.flatnonzero((whole.confidence > 0.0).any((1, 2)))
    start, stop = (int(there[0]), int(there[-1]) + 1) if len(there) else (0, len(whole))
    seam = start + round((1.0 - share) * (stop - start))
    made = HoldOut(
        whole, chosen, whole.rig[camera].name if camera else '', slice(start, seam) if train is None else train,
        slice(seam, stop) if test is None else test,
    )
    for what, frames in (('train', made.train), ('test', made.test)):
        if not len(whole.xy[frames]):
            raise ConfigError(f"'{whole.name}' has {len(whole)} frames, none to {what} on; choose other frames.")
    return made


def all_held_out(whole: PersonRecording) -> HoldOut:
    """Return a recording of which nothing is trained on; of three cameras or more, the last one is tested."""
    names = whole.rig.names
    spare = len(names) >= _CAMERAS_TO_SPARE
    return HoldOut(whole, names[:-1] if spare else names, names[-1] if spare else '', slice(0, 0), slice(None))
