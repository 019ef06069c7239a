# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""A lifter as a function of arrays, and what it makes of the views of a recording, each on its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from geo_pose_ros.arrays import Float32Array, FloatArray
from geo_pose_ros.inference.model_card import INPUT_NAME, OUTPUT_NAMES, VIEW_NAME, InputRange, load_card
from geo_pose_ros.lifting.canonical import CanonicalPoses, canonical_poses, up_in_cameras, within_range
from geo_pose_ros.lifting.root import solve_root

from ..data.recording import PersonRecording
from ..fit import load_run
from ..model import InputWindow, Lifter

_CHUNK = 4096


@dataclass(frozen=True, slots=True)
class SigmaScale:
    """Factors on the reported standard deviation of joints that the view sees, and of those that it does not."""

    seen: float = 1.0
    hidden: float = 1.0


UNSCALED = SigmaScale()


class ScaledLifter(nn.Module):
    """A lifter whose standard deviation is multiplied by ``scale``: poses (B, T, J, 3) to xyz and sigma (B, J)."""

    def __init__(self, lifter: Lifter, scale: SigmaScale) -> None:
        super().__init__()
        self.lifter, self.scale = lifter, scale
        self.lifted_frame = InputWindow.of(lifter.settings).lifted_frame

    def forward(self, pose2d: Tensor, view: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Lift ``pose2d``; ``view`` (B, 2) where gravity counts."""
        lifted = self.lifter(pose2d, view)
        seen = (pose2d[:, self.lifted_frame, :, 2] > 0.0).to(pose2d)
        return lifted.xyz, lifted.sigma * (self.scale.hidden + (self.scale.seen - self.scale.hidden) * seen)


@dataclass(frozen=True, slots=True)
class Predictor:
    """A lifter as a function.

    Attributes:
        lift: pose2d (B, T, J, 3), and where gravity counts view (B, 2), to xyz (B, J, 3) m and sigma (B, J) m; float32.
        window: what ``lift`` reads.
        input_range: what ``lift`` was trained on, as its card says; beyond it views are clamped as at run time.
    """

    lift: Callable[..., tuple[Float32Array, Float32Array]]
    window: InputWindow = field(default_factory=InputWindow)
    input_range: InputRange = field(default_factory=dict)

    def __call__(
        self, pose2d: Float32Array, view: Float32Array | None = None
    ) -> tuple[Float32Array, Float32Array]:
        """Lift ``pose2d``; ``view`` (B, 2) counts only for a lifter that knows gravity."""
        if not self.window.up or view is None:
            return self.lift(pose2d)
        clamped, growth = within_range(view, self.input_range)
        xyz, sigma = self.lift(pose2d, clamped)
        return xyz, (growth[:, None] * sigma).astype(np.float32)

    @classmethod
    def of_lifter(
        cls, lifter: Lifter, scale: SigmaScale = UNSCALED, up: str = 'z', input_range: InputRange | None = None
    ) -> Predictor:
        """Return the predictor of a network, its sigma times ``scale``, in a world with that upward axis.

        ``input_range``: what it was trained on; None: not known. The network's mode and torch's random state stay.
        """
        scaled = ScaledLifter(lifter, scale)

        def lift(*given: Float32Array) -> tuple[Float32Array, Float32Array]:
            was_training = lifter.training
            lifter.eval()
            try:
                with torch.no_grad():
                    xyz, sigma = scaled(*map(torch.from_numpy, given))
            finally:
                lifter.train(was_training)
            return xyz.numpy(), sigma.numpy()

        return cls(lift, InputWindow.of(lifter.settings, up), input_range or {})

    @classmethod
    def of_onnx(cls, model: Path, window: InputWindow, input_range: InputRange | None = None) -> Predictor:
        """Return the predictor of an ONNX file, on the CPU."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(model), options, providers=['CPUExecutionProvider'])

        def lift(*given: Float32Array) -> tuple[Float32Array, Float32Array]:
            # A lifter that does not know gravity has no second input.
            xyz, sigma = session.run(list(OUTPUT_NAMES), dict(zip((INPUT_NAME, VIEW_NAME), given, strict=False)))
            return xyz, sigma

        return cls(lift, window, input_range or {})

    @classmethod
    def load(cls, model: Path) -> Predictor:
        """Return the predictor of a run folder, or of an exported model with its card."""
        if model.is_dir():
            recipe, lifter, data = load_run(model)
            return cls.of_lifter(lifter, up=recipe.data.up, input_range=data.get('input_range'))
        card = load_card(model)
        up = str(card.training['recipe']['data'].get('up', 'z')) if card.gravity else ''
        return cls.of_onnx(model, InputWindow(card.receptive_field, card.causal, up), card.input_range)


@dataclass(frozen=True, slots=True, eq=False)
class LiftedRecording:
    """Every view of a recording lifted on its own.

    Attributes:
        xyz: (F, C, J, 3) m in each camera's frame, root-relative; NaN where the view was not lifted.
        root: (F, C, 3) m in the camera's frame, solved from the pose.
        sigma: (F, C, J) m.
    """

    xyz: FloatArray
    root: FloatArray
    sigma: FloatArray


def canonical_input(recording: PersonRecording, up: str) -> CanonicalPoses:
    """Return the canonical poses (F, C, J) of a recording, upright if ``up`` names an axis of the world."""
    ups = up_in_cameras(recording.cam_from_world, up) if up else None
    return canonical_poses(recording.rays(), recording.confidence, ups)


def lift_recording(
    predictor: Predictor, recording: PersonRecording, *, min_joints: int = 14, stride: int = 1
) -> LiftedRecording:
    """Lift all views of every ``stride``-th frame in which at least ``min_joints`` joints are seen."""
    poses = canonical_input(recording, predictor.window.up)
    frames, views, joints = recording.confidence.shape
    usable = ((poses.pose2d[..., 2] > 0.0).sum(-1) >= min_joints) & np.isfinite(poses.size)
    usable &= (np.arange(frames) % stride == 0)[:, None]
    rows = predictor.window.rows(frames)
    xyz = np.full((frames, views, joints, 3), np.nan)
    sigma = np.full((frames, views, joints), np.nan)
    for view in range(views):
        wanted = np.flatnonzero(usable[:, view])
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            xyz[chunk, view], sigma[chunk, view] = predictor(poses.pose2d[rows[chunk], view], poses.view[chunk, view])
    seen = np.where(poses.pose2d[..., 2:] > 0.0, poses.rays, np.nan)
    root = solve_root(xyz, seen, poses.pose2d[..., 2].astype(np.float64))
    cam_from_view = np.swapaxes(poses.view_from_cam, -1, -2)
    return LiftedRecording(
        np.einsum('fcab,fcjb->fcja', cam_from_view, xyz), np.einsum('fcab,fcb->fca', cam_from_view, root), sigma
    )


def lifter_inputs(
    recordings: Sequence[PersonRecording], window: InputWindow, count: int = 256
) -> tuple[Float32Array, ...]:
    """Return up to ``count`` inputs of the recordings' first views: (N, T, J, 3), and where gravity counts (N, 2)."""
    windows, views, total = [], [], 0
    for recording in recordings:
        poses = canonical_input(recording.views(recording.rig.names[:1]), window.up)
        windows.append(poses.pose2d[window.rows(len(recording)), 0])
        views.append(poses.view[:, 0])
        total += len(recording)
        if total >= count:
            break
    found = np.concatenate(windows)[:count]
    return (found, np.concatenate(views)[:count]) if window.up else (found,)
