# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""BVH, one file per person: a hierarchy that turns, for Blender, MotionBuilder and Maya; cm, y up."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from ..arrays import FloatArray
from ..geometry.stats import nan_percentile
from .hierarchy import Hierarchy, fit_hierarchy
from .markers import people_of
from .sequence import BodySequence

_LOG = logging.getLogger(__name__)

_CM, _MOST_M = 100.0, 0.005


def write_bvh(bodies: BodySequence, out: Path) -> Iterator[Path]:
    """Write `OUT_P<id>.bvh` for each person; yield the paths. Bones have their mean lengths.

    Where that moves joints by more than ``_MOST_M``, a warning says by how much.
    """
    for path, rate_hz, _, xyz in people_of(bodies.turned('y'), out, '.bvh'):
        person = fit_hierarchy(bodies.skeleton, xyz)
        joints = person.positions()[:, [person.names.index(name) for name in bodies.skeleton.joint_names]]
        away_m = nan_percentile(np.linalg.norm(joints - xyz, axis=-1), 95.0)
        if away_m > _MOST_M:
            _LOG.warning(
                "'%s': 5 %% of its joints lie more than %.0f mm from those found, because its bones keep their length; "
                'trc, c3d and csv have joints as found.', path, 1e3 * away_m)
        # The channels come in the order of the text.
        order: list[int] = []
        hierarchy = _node(person, 0, '', order)
        angles = np.degrees(np.unwrap(euler_zxy(person.rotations[:, order]), axis=0))
        motion = np.concatenate([_CM * person.root, angles.reshape(len(xyz), -1)], 1)
        lines = [
            'HIERARCHY', *hierarchy, 'MOTION', f'Frames: {len(xyz)}', f'Frame Time: {1.0 / rate_hz:.8f}',
            *(' '.join(f'{value:.5f}' for value in row) for row in motion.tolist()),
        ]
        path.write_text('\n'.join(lines) + '\n', encoding='utf-8')
        yield path


def euler_zxy(rotation: FloatArray) -> FloatArray:
    """Return z, x, y (..., 3) rad with rotation (..., 3, 3) = Rz Rx Ry, in the order of the channels."""
    x = np.arcsin(np.clip(rotation[..., 2, 1], -1.0, 1.0))
    z = np.arctan2(-rotation[..., 0, 1], rotation[..., 1, 1])
    y = np.arctan2(-rotation[..., 2, 0], rotation[..., 2, 2])
    return np.stack([z, x, y], -1)


def _node(person: Hierarchy, node: int, indent: str, order: list[int]) -> list[str]:
    """Return the lines of a node and what hangs on it; ``order`` gets the nodes."""
    order.append(node)
    offset = ' '.join(f'{value:.5f}' for value in (_CM * person.offsets[node]).tolist())
    position, count = ('Xposition Yposition Zposition ', 6) if person.parents[node] < 0 else ('', 3)
    inner = f'{indent}  '
    lines = [
        f'{indent}{"ROOT" if count == 6 else "JOINT"} {person.names[node]}', f'{indent}{{', f'{inner}OFFSET {offset}',
        f'{inner}CHANNELS {count} {position}Zrotation Xrotation Yrotation',
    ]
    children = [child for child, parent in enumerate(person.parents) if parent == node]
    for child in children:
        lines += _node(person, child, inner, order)
    if not children:
        lines += [f'{inner}End Site', f'{inner}{{', f'{inner}  OFFSET 0.0 0.0 0.0', f'{inner}}}']
    return [*lines, f'{indent}}}']
