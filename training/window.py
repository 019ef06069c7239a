"""What a lifter reads of a view: a window of canonical poses around the frame that it lifts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from geo_pose_ros.arrays import IntArray
from geo_pose_ros.lifting.canonical import CanonicalPoses, canonical_poses
from geo_pose_ros.lifting.gravity import up_in_cameras

from .data.recording import PersonRecording
from .settings import ModelSettings, Recipe


@dataclass(frozen=True, slots=True)
class InputWindow:
    """The input of a lifter.

    Attributes:
        receptive_field: T, the number of frames, odd.
        causal: the lifted frame is the last one of the window, not the middle one.
        up: the axis of the world that points upwards, '' for a lifter that does not know gravity.
    """

    receptive_field: int = 1
    causal: bool = False
    up: str = ''

    @classmethod
    def of(cls, recipe: Recipe) -> InputWindow:
        """Return the input of the lifters that a recipe trains."""
        return cls.of_model(recipe.model, recipe.data.up)

    @classmethod
    def of_model(cls, settings: ModelSettings, up: str = 'z') -> InputWindow:
        """Return the input of a network in a world with that upward axis."""
        return cls(settings.receptive_field, settings.causal, up if settings.gravity else '')

    @property
    def lifted_frame(self) -> int:
        """Index of the lifted frame in the window."""
        return self.receptive_field - 1 if self.causal else self.receptive_field // 2

    @property
    def offsets(self) -> IntArray:
        """(T,) frames of the window relative to the lifted one."""
        return np.arange(self.receptive_field) - self.lifted_frame

    def rows(self, frames: int) -> IntArray:
        """Return the frames (F, T) of each frame's window; beyond the ends the first or last frame repeats."""
        rows: IntArray = np.clip(np.arange(frames)[:, None] + self.offsets, 0, frames - 1)
        return rows

    def poses(self, recording: PersonRecording) -> CanonicalPoses:
        """Return the canonical poses (F, C, J) of a recording."""
        up = up_in_cameras(recording.cam_from_world, self.up) if self.up else None
        return canonical_poses(recording.rays(), recording.confidence, up)
