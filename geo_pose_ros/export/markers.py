# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Files of markers, one per person: TRC for OpenSim and Pose2Sim, C3D for Mokka, Visual3D, Vicon and Qualisys."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..arrays import FloatArray
from ..errors import needing
from ..skeleton import Skeleton
from .sequence import BodySequence

# What Pose2Sim calls a joint, where it is not our name in capitals (Pose2Sim/skeletons.py). `head` of body17 is the
# middle of the ears, where their Head is the top: OpenSim's scaling must not take one for the other.
_NAMES = {
    'pelvis': 'Hip', 'hip': 'Hip', 'thorax': 'Neck', 'neck': 'Neck', 'spine': 'Spine', 'mouth_left': 'LMouth',
    'mouth_right': 'RMouth',
}
# Joints of body17 that are the middle of others, and the detector's joint at that place.
_MIDDLES = {'pelvis': 'hip', 'thorax': 'neck'}


def marker_names(skeleton: Skeleton) -> list[str]:
    """Return Pose2Sim's names (J,) of the joints: RKnee for right_knee, LBigToe for left_big_toe."""
    def name_of(joint: str) -> str:
        if joint in _MIDDLES and _MIDDLES[joint] in skeleton.joint_names:
            # The detector's own has the name.
            return joint.capitalize()
        if joint in _NAMES:
            return _NAMES[joint]
        if joint == 'head':
            return 'Head' if 'neck' in skeleton.joint_names else 'MidEar'
        side, _, rest = joint.partition('_')
        words = rest if side in ('left', 'right') else joint
        return {'left': 'L', 'right': 'R'}.get(side, '') + ''.join(word.capitalize() for word in words.split('_'))

    return [name_of(joint) for joint in skeleton.joint_names]


def write_trc(bodies: BodySequence, out: Path) -> Iterator[Path]:
    """Write `OUT_P<id>.trc` for each person, as Pose2Sim does: m, y up; yield the paths. NaN is an empty field.

    OpenSim takes the unit from the header; Pose2Sim's kinematics takes metres whatever it says.
    """
    names = marker_names(bodies.skeleton)
    axes = '\t'.join(f'X{j}\tY{j}\tZ{j}' for j in range(1, len(names) + 1))
    for path, rate_hz, first, xyz in people_of(bodies.turned('y'), out, '.trc'):
        rate, count = f'{rate_hz:g}', len(xyz)
        lines = [
            f'PathFileType\t4\t(X/Y/Z)\t{path.name}',
            'DataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\tOrigNumFrames',
            f'{rate}\t{rate}\t{count}\t{len(names)}\tm\t{rate}\t{first}\t{count}',
            'Frame#\tTime\t' + '\t\t\t'.join(names) + '\t\t\t', f'\t\t{axes}\t',
        ]
        for frame, row in enumerate(xyz, first):
            values = '\t'.join('' if value != value else f'{value:.6f}' for value in row.ravel().tolist())
            lines.append(f'{frame}\t{frame / rate_hz:.6f}\t{values}')
        path.write_text('\n'.join(lines) + '\n', encoding='utf-8')
        yield path


def write_c3d(bodies: BodySequence, out: Path) -> Iterator[Path]:
    """Write `OUT_P<id>.c3d` for each person: mm, z up, labels as in TRC, events where a person comes and goes.

    Raises:
        ConfigError: if ezc3d is missing.
    """
    with needing('ezc3d', 'C3D'):
        import ezc3d
    names = marker_names(bodies.skeleton)
    for path, rate_hz, first, xyz in people_of(bodies.turned('z'), out, '.c3d'):
        c3d = ezc3d.c3d()
        c3d['parameters']['POINT']['RATE']['value'] = [rate_hz]
        c3d['parameters']['POINT']['LABELS']['value'] = tuple(names)
        c3d['parameters']['POINT']['UNITS']['value'] = ['mm']
        c3d.add_parameter('POINT', 'X_SCREEN', ['+X'])
        c3d.add_parameter('POINT', 'Y_SCREEN', ['+Z'])
        c3d.add_parameter('MANUFACTURER', 'SOFTWARE', ['geo_pose_ros'])
        ends_s = first / rate_hz, (first + len(xyz) - 1) / rate_hz
        c3d.add_parameter('EVENT', 'USED', [2])
        c3d.add_parameter('EVENT', 'CONTEXTS', ['General', 'General'])
        c3d.add_parameter('EVENT', 'LABELS', ['First seen', 'Last seen'])
        c3d.add_parameter('EVENT', 'TIMES', np.array([[0.0, 0.0], ends_s]))
        c3d['header']['points']['first_frame'] = first
        points = np.ones((4, len(names), len(xyz)))
        points[:3] = 1e3 * xyz.transpose(2, 1, 0)
        c3d['data']['points'] = points
        c3d.write(str(path))
        yield path


def people_of(bodies: BodySequence, out: Path, suffix: str) -> list[tuple[Path, float, int, FloatArray]]:
    """Return per person the path, the rate, Hz, the first frame's number, and the joints (F, J, 3) m."""
    rate_hz, xyz = bodies.regular()
    found = []
    for column, body_id in enumerate(bodies.ids.tolist()):
        rows = np.flatnonzero(np.isfinite(xyz[:, column]).any((1, 2)))
        if len(rows):
            first, last = int(rows[0]), int(rows[-1]) + 1
            found.append((out.with_name(f'{out.name}_P{body_id}{suffix}'), rate_hz, first, xyz[first:last, column]))
    return found
