# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Rehearsal: other people that a lifter is trained on beside new data, so that it stays accurate on them.

A robot's recordings show few people before one rig. Fine-tuned on these alone a lifter gets worse for all others. So
every other step it sees other people before cameras anywhere, labelled with the output of the lifter before (Robins,
Catastrophic forgetting, rehearsal and pseudorehearsal, Connection Science 1995). No data but the recording is needed,
nor the motion that the lifter was trained on: the lifter itself knows which poses it was shown. The recording's
motion, bent far beyond it, is projected from a random side and lifted, and the result is projected from another side,
a few times over: each time the pose comes closer to one that the lifter was trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.geometry.alignment import UP_AXES
from geo_pose_ros.geometry.rigid import transform_points
from geo_pose_ros.geometry.virtual_camera import look_at, rotation_to_axis
from geo_pose_ros.lifting.canonical import canonical_poses
from geo_pose_ros.simulation.cameras import room_rig
from geo_pose_ros.simulation.detector import NoiseSettings
from geo_pose_ros.simulation.motion import MotionClip

from ..data.bank import Bank
from ..data.prepare import prepare
from ..data.recording import PersonRecording
from ..data.synthetic import synthesise
from ..evaluation.predictor import Predictor
from ..settings import (
    BodySettings,
    CopySettings,
    DataSettings,
    MotionSettings,
    OcclusionSettings,
    Recipe,
    VirtualCameraSettings,
)

# Of a short recording.
_MOST_COPIES = 64
# People and poses as widely as a body allows.
_BENT = CopySettings(
    1, BodySettings(statures=0.06, ansur=1.5),
    MotionSettings(exchanged_parts=0.5, bent_joints_deg=35.0, joint_limits='none'),
)
# Views as widely as a rig may meet them.
_SEEN_ANYWHERE = DataSettings(
    min_joints=5, labels='truth',
    virtual_cameras=VirtualCameraSettings(
        frames=10, lowest_deg=-15.0, highest_deg=70.0, nearest_m=2.0, farthest_m=8.0, far_share=0.35, far_m=40.0,
        up_error_deg=2.0, residual_spread=0.3,
    ),
    copies=CopySettings(1, BodySettings(ansur=1.0), occlusion=OcclusionSettings(limbs=0.3, cut_off=0.1)),
)
# Rounds after which a pose is close to one that the lifter knows.
_ROUNDS = 3
# Elevation, rad, and distance, m, of the camera of a round.
_ELEVATION, _DISTANCE_M = (-0.2, 1.1), (2.5, 6.0)
# Successive poses share a body, a room and bursts of noise.
_FRAMES_PER_CLIP = 200
_FPS = 30.0
# Of the lowest joint above the floor, m.
_STANDING_M = 0.05
_Z = np.array(UP_AXES['z'])


def rehearsal_people(
    teacher: Predictor, recordings: Sequence[PersonRecording], recipe: Recipe, poses: int, seed: int
) -> list[PersonRecording]:
    """Return people in poses that ``teacher`` knows, seen by a noisy detector from four sides; with truth.

    Args:
        teacher: the lifter as it was.
        recordings: where the motion comes from.
        recipe: of the fine-tuning.
        poses: how many, about; a short recording gives fewer.
        seed: of the people, poses and cameras.
    """
    rng = np.random.default_rng(seed)
    frames = sum(map(len, recordings))
    copies = max(1, min(poses // max(frames, 1), _MOST_COPIES))
    bent = DataSettings(min_joints=5, labels='refined', up=recipe.data.up, copies=replace(_BENT, count=copies))
    bank = prepare(recordings, bent, seed, gravity=True)
    known = bank.label[(bank.label_weight > 0.0).all(1)].numpy().astype(np.float64)[-max(poses, 1) :]
    upright = known @ rotation_to_axis(np.array(UP_AXES[recipe.data.up])).T
    posed = _relifted(teacher, upright, rng)
    posed[..., 2] -= posed[..., 2].min(1, keepdims=True) - _STANDING_M
    return [
        synthesise(
            MotionClip(f'rehearsal/{start}', posed[start : start + _FRAMES_PER_CLIP], _FPS), 'room',
            room_rig(int(rng.integers(2**31))), NoiseSettings(), seed,
        )
        for start in range(0, len(posed), _FRAMES_PER_CLIP)
    ]


def rehearsal_bank(teacher: Predictor, people: Sequence[PersonRecording], recipe: Recipe, seed: int) -> Bank:
    """Return single views of ``people``, of rehearsal_people, labelled with the output of ``teacher``."""
    bank = prepare(people, _SEEN_ANYWHERE, seed, gravity=recipe.model.gravity)
    rows = bank.valid.flatten().nonzero()[:, 0]
    per_view = bank.pose2d, bank.view, bank.size, bank.view_from_world, bank.focal_px
    pose2d, view, size, view_from_world, focal_px = (values.flatten(0, 1)[rows] for values in per_view)
    # A window repeats its pose, in training as well: successive rows are no successive frames.
    windows = pose2d[:, None].expand(-1, recipe.model.receptive_field, -1, -1)
    lifted, _ = teacher(windows.numpy(), view.numpy())
    label = torch.from_numpy(lifted) @ view_from_world[..., :3]
    alone = torch.arange(len(rows))
    return Bank(
        pose2d[:, None], view[:, None], size[:, None], view_from_world[:, None], focal_px[:, None],
        torch.ones(len(rows), 1, dtype=torch.bool), label, torch.ones(label.shape[:2]), alone, alone,
    )


def _relifted(teacher: Predictor, poses: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return the poses (N, J, 3), m, z up, relative to the pelvis, after some rounds of projection and lifting."""
    count = len(poses)
    gravity = bool(teacher.window.up)
    for _ in range(_ROUNDS):
        poses = poses - poses[:, :1]
        elevation, azimuth = rng.uniform(*_ELEVATION, count), rng.uniform(0.0, 2.0 * np.pi, count)
        direction = np.stack(
            (np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)), -1
        )
        cameras = look_at(rng.uniform(*_DISTANCE_M, count)[:, None] * direction, np.zeros((count, 3)), _Z)
        local = transform_points(cameras, poses)
        seen = canonical_poses(
            local[..., :2] / local[..., 2:], np.ones(local.shape[:2]), cameras[..., :3] @ _Z if gravity else None
        )
        lifted, _ = teacher(np.repeat(seen.pose2d[:, None], teacher.window.receptive_field, 1), seen.view)
        poses = lifted @ (seen.view_from_cam @ cameras[..., :3])
    return poses
