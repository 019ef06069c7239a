# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Human motion from files: an npz of body17 joints, or BVH (Biovision hierarchy), whose joints are known by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from ..arrays import FloatArray
from ..errors import ConfigError
from ..skeleton import BODY17
from .motion import BEYOND_JOINTS_M, MotionClip, stature_m

_STATURE_M = 1.75

# For each body17 joint, the names it has in common BVH files (CMU conversions, Mixamo, MotionBuilder).
_NAMES: Mapping[str, tuple[str, ...]] = {
    'pelvis': ('hips', 'hip', 'pelvis', 'root'),
    'right_hip': ('rightupleg', 'rhipjoint', 'righthip', 'rightthigh', 'rthigh'),
    'right_knee': ('rightleg', 'rightknee', 'rightshin', 'rshin'),
    'right_ankle': ('rightfoot', 'rightankle', 'rfoot'),
    'left_hip': ('leftupleg', 'lhipjoint', 'lefthip', 'leftthigh', 'lthigh'),
    'left_knee': ('leftleg', 'leftknee', 'leftshin', 'lshin'),
    'left_ankle': ('leftfoot', 'leftankle', 'lfoot'),
    'nose': ('neck1', 'head', 'neck'),
    'head': ('head_end', 'headend', 'head'),
    'left_shoulder': ('leftarm', 'lshldr', 'leftuparm'),
    'left_elbow': ('leftforearm', 'leftelbow', 'lforearm', 'leftlowarm'),
    'left_wrist': ('lefthand', 'leftwrist', 'lhand'),
    'right_shoulder': ('rightarm', 'rshldr', 'rightuparm'),
    'right_elbow': ('rightforearm', 'rightelbow', 'rforearm', 'rightlowarm'),
    'right_wrist': ('righthand', 'rightwrist', 'rhand'),
}


@dataclass(slots=True)
class _Joint:
    name: str
    parent: int
    offset: FloatArray = field(default_factory=lambda: np.zeros(3))
    channels: tuple[str, ...] = ()


def load_motion(path: Path) -> list[MotionClip]:
    """Load the clips of an npz (as ../shared/data/mocap17.npz) or of all BVH files in a folder.

    Raises:
        ConfigError: if there is nothing to load.
    """
    if path.is_dir():
        clips = [load_bvh(file) for file in sorted(path.rglob('*.bvh'))]
        if not clips:
            raise ConfigError(f"No .bvh file in '{path}'; give a folder of BVH files or an npz of body17 joints.")
        return clips
    if not path.is_file():
        raise ConfigError(f"Motion '{path}' does not exist; give a folder of BVH files or an npz of body17 joints.")
    with np.load(path) as stored:
        missing = {'joints', 'clip_start', 'clip_length', 'clip_name', 'validation', 'fps'} - set(stored)
        if missing:
            raise ConfigError(f"Motion '{path}' lacks the arrays {sorted(missing)}; see load_motion.")
        joints, fps = stored['joints'], float(stored['fps'])
        rows = zip(
            stored['clip_name'], stored['clip_start'], stored['clip_length'], stored['validation'], strict=True
        )
        return [
            MotionClip(str(name), joints[start : start + length].astype(np.float64), fps, bool(validation))
            for name, start, length, validation in rows
        ]


def load_bvh(path: Path) -> MotionClip:
    """Load a BVH file; its lengths, in no fixed unit, are scaled to a body of 1.75 m, and y up becomes z up.

    Raises:
        ConfigError: if the file is not BVH or lacks a joint of body17.
    """
    names, positions, frame_s = read_bvh(path)
    body = _body17(names, positions, path)
    upright = body[..., [0, 2, 1]] * (1.0, -1.0, 1.0)
    # The part beyond the joints is in metres; the bones are not yet.
    scale = (_STATURE_M - BEYOND_JOINTS_M) / (stature_m(upright) - BEYOND_JOINTS_M)
    return MotionClip(path.stem, scale * upright, 1.0 / frame_s)


def read_bvh(path: Path) -> tuple[list[str], FloatArray, float]:
    """Return the joints' names, where they are (F, B, 3) in the file's unit and axes, and the seconds of a frame.

    The end of a chain is called `<joint>_end`.

    Raises:
        ConfigError: if the file is not BVH.
    """
    try:
        head, tail = path.read_text(encoding='utf-8').split('MOTION', 1)
        joints = _hierarchy(head.split())
        rows = tail.split('\n')
        frame_s = float(next(row for row in rows if 'Frame Time' in row).split(':')[1])
        values = np.array([row.split() for row in rows if row.strip() and row.strip()[0] in '-+.0123456789'], float)
        return [joint.name for joint in joints], _forward(joints, values), frame_s
    except (ValueError, StopIteration, IndexError, OSError) as error:
        raise ConfigError(f"'{path}' is not a BVH file this reader understands: {error!r}.") from error


def _hierarchy(words: list[str]) -> list[_Joint]:
    joints: list[_Joint] = []
    stack: list[int] = []
    index = 0
    while index < len(words):
        word = words[index]
        if word in ('ROOT', 'JOINT', 'End'):
            parent = stack[-1] if stack else -1
            name = words[index + 1] if word != 'End' else f'{joints[parent].name}_end'
            joints.append(_Joint(name, parent))
        elif word == '{':
            stack.append(len(joints) - 1)
        elif word == '}':
            stack.pop()
        elif word == 'OFFSET':
            joints[-1].offset = np.array(words[index + 1 : index + 4], float)
        elif word == 'CHANNELS':
            count = int(words[index + 1])
            joints[-1].channels = tuple(words[index + 2 : index + 2 + count])
        index += 1
    return joints


def _forward(joints: list[_Joint], values: FloatArray) -> FloatArray:
    """Return joint positions (F, B, 3): each channel's elementary transform in the order given (BVH convention)."""
    channels = sum(len(joint.channels) for joint in joints)
    if values.ndim != 2 or values.shape[1] != channels:
        raise ValueError(f'{values.shape} motion values, expected (F, {channels})')
    frames, column = len(values), 0
    rotation: list[FloatArray] = []
    position = np.zeros((frames, len(joints), 3))
    for index, joint in enumerate(joints):
        moved = np.broadcast_to(joint.offset, (frames, 3)).copy()
        turned: FloatArray = np.broadcast_to(np.eye(3), (frames, 3, 3))
        for channel in joint.channels:
            axis, channel_values = 'XYZ'.index(channel[0].upper()), values[:, column]
            if channel.endswith('position'):
                moved[:, axis] = channel_values + (0.0 if joint.parent < 0 else joint.offset[axis])
            else:
                about = Rotation.from_euler(channel[0].lower(), channel_values[:, None], degrees=True)
                turned = turned @ about.as_matrix()
            column += 1
        if joint.parent < 0:
            position[:, index], world = moved, turned
        else:
            parent = rotation[joint.parent]
            position[:, index] = position[:, joint.parent] + (parent @ moved[..., None])[..., 0]
            world = parent @ turned
        rotation.append(world)
    return position


def _body17(found_names: list[str], positions: FloatArray, path: Path) -> FloatArray:
    names = [name.split(':')[-1].replace('.', '').lower() for name in found_names]
    body = np.zeros((len(positions), len(BODY17), 3))
    for joint, known in _NAMES.items():
        found = next((name for name in known if name in names), None)
        if found is None:
            raise ConfigError(f"'{path}' has no joint for '{joint}'; looked for {known} among {names}.")
        body[:, BODY17.index(joint)] = positions[:, names.index(found)]
    body[:, BODY17.index('thorax')] = 0.5 * (
        body[:, BODY17.index('left_shoulder')] + body[:, BODY17.index('right_shoulder')]
    )
    body[:, 0] = 0.5 * (body[:, BODY17.index('left_hip')] + body[:, BODY17.index('right_hip')])
    body[:, BODY17.index('spine')] = 0.5 * (body[:, 0] + body[:, BODY17.index('thorax')])
    return body
