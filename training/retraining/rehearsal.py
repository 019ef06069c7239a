"""Rehearsal: what a lifter is trained on beside new data, so that it does not forget what it knew.

A robot's recordings show few people before one rig. Fine-tuned on these alone a lifter gets worse for all others. So
every other step it sees other people before cameras anywhere, labelled with what the lifter said before (Robins,
Catastrophic forgetting, rehearsal and pseudorehearsal, Connection Science 1995). No data but the recording is needed,
nor the motion that the lifter was trained on: the lifter itself knows which poses it was shown. The recording's
motion, bent far beyond it, is looked at from a random side and lifted, and what was lifted looked at from another side,
a few times over: each time the pose goes on to one that the lifter believes.
"""

from __future__ import annotations

from collections.abc import Sequence as Items
from dataclasses import replace

import numpy as np
import torch

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.geometry.rigid import transform_points
from geo_pose_ros.geometry.virtual_camera import look_at, rotation_to_axis
from geo_pose_ros.lifting.canonical import canonical_poses
from geo_pose_ros.lifting.gravity import UP_AXES
from geo_pose_ros.simulation.cameras import room_rig
from geo_pose_ros.simulation.motion import MotionClip

from ..data.bank import Bank
from ..data.prepare import prepare
from ..data.sequence import Sequence
from ..data.synthetic import SyntheticSettings, synthesise
from ..evaluate import Predictor
from ..settings import DataSettings, Recipe

# Of a short recording.
_MOST_COPIES = 64
# People and poses as widely as a body allows.
_BENT = DataSettings(
    min_joints=5, labels='refined', reshaped_copies=1, statures=0.06, ansur=1.5, exchanged_parts=0.5,
    bent_joints_deg=35.0, joint_limits='none',
)
# Views as widely as a rig may meet them.
_SEEN_ANYWHERE = DataSettings(
    min_joints=5, labels='truth', reshaped_copies=1, ansur=1.0, virtual_lowest_deg=-15.0, virtual_highest_deg=70.0,
    virtual_nearest_m=2.0, virtual_farthest_m=8.0, virtual_frames=10, residual_spread=0.3, up_error_deg=2.0,
    hidden_limbs=0.3, cut_off=0.1,
)
# A pose comes close to what the lifter believes in so many looks.
_LOOKS = 3
# Elevation, rad, and distance, m, of a look.
_ELEVATION, _DISTANCE_M = (-0.2, 1.1), (2.5, 6.0)
# Successive poses share a body, a room and bursts of noise.
_FRAMES_PER_CLIP = 200
_FPS = 30.0
# Of the lowest joint above the floor, m.
_STANDING_M = 0.05
_Z = np.array(UP_AXES['z'])


def believed_people(
    teacher: Predictor, sequences: Items[Sequence], recipe: Recipe, poses: int, seed: int
) -> list[Sequence]:
    """Return people in poses that ``teacher`` believes, seen by a noisy detector from four sides; with truth.

    Args:
        teacher: the lifter as it was.
        sequences: where the motion comes from.
        recipe: of the fine-tuning.
        poses: how many, about; a short recording gives fewer.
        seed: of the people, poses and cameras.
    """
    rng = np.random.default_rng(seed)
    frames = sum(map(len, sequences))
    copies = max(1, min(poses // max(frames, 1), _MOST_COPIES))
    bent = prepare(sequences, replace(_BENT, up=recipe.data.up, reshaped_copies=copies), seed, gravity=True)
    known = bent.label[(bent.label_weight > 0.0).all(1)].numpy().astype(np.float64)[-max(poses, 1) :]
    upright = known @ rotation_to_axis(np.array(UP_AXES[recipe.data.up])).T
    believed = _believed(teacher, upright, rng, gravity=recipe.model.gravity, frames=recipe.model.receptive_field)
    believed[..., 2] -= believed[..., 2].min(1, keepdims=True) - _STANDING_M
    return [
        synthesise(
            MotionClip(f'rehearsal/{start}', believed[start : start + _FRAMES_PER_CLIP], _FPS), 'room',
            room_rig(int(rng.integers(2**31))), SyntheticSettings(), seed,
        )
        for start in range(0, len(believed), _FRAMES_PER_CLIP)
    ]


def rehearsal_bank(teacher: Predictor, people: Items[Sequence], recipe: Recipe, seed: int) -> Bank:
    """Return single views of ``people``, of believed_people, labelled with what ``teacher`` says of them."""
    bank = prepare(people, _SEEN_ANYWHERE, seed, gravity=recipe.model.gravity)
    rows = bank.valid.flatten().nonzero()[:, 0]
    per_view = bank.pose2d, bank.view, bank.size, bank.view_from_world, bank.focal_px
    pose2d, view, size, view_from_world, focal_px = (values.flatten(0, 1)[rows] for values in per_view)
    # A window repeats its pose, in training as well: successive rows are no successive frames.
    windows = pose2d[:, None].expand(-1, recipe.model.receptive_field, -1, -1)
    given = (view.numpy(),) if recipe.model.gravity else ()
    said, _ = teacher(windows.numpy(), *given)
    label = torch.from_numpy(said) @ view_from_world[..., :3]
    alone = torch.arange(len(rows))
    return Bank(
        pose2d[:, None], view[:, None], size[:, None], view_from_world[:, None], focal_px[:, None],
        torch.ones(len(rows), 1, dtype=torch.bool), label, torch.ones(label.shape[:2]), alone, alone,
    )


def _believed(
    teacher: Predictor, poses: FloatArray, rng: np.random.Generator, *, gravity: bool, frames: int
) -> FloatArray:
    """Return the poses (N, J, 3), m, z up, after some looks at them, relative to the pelvis."""
    count = len(poses)
    for _ in range(_LOOKS):
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
        windows = np.repeat(seen.pose2d[:, None], frames, 1)
        said, _ = teacher(windows, *((seen.view,) if gravity else ()))
        poses = said @ (seen.view_from_cam @ cameras[..., :3])
    return poses
