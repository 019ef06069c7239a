# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""An animated hierarchy of a person: bones of constant length that turn, as BVH and GLB have it.

The joints are a tree from the pelvis outwards. The root moves; all else turns. Where several bones leave a joint, the
joint turns as they do on the whole (Wahba's problem, Markley 1988), and a node of length zero at the beginning of each
bone, `<child>_base`, turns by what remains. So every bone points where its joints are, and the hierarchy's joints
differ from the measured ones only by how much bone lengths vary. N nodes, F frames; y up.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from ..arrays import FloatArray
from ..geometry.stats import nan_mean
from ..skeleton import Skeleton

_ROOTS = ('pelvis', 'hip', 'left_hip')
_EPSILON = 1e-9


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """A person's hierarchy, and how it moves.

    Attributes:
        names: (N,) of the nodes, parents first: a joint's name, or `<joint>_base`.
        parents: (N,) indices, -1 of the root.
        offsets: (N, 3) m from the parent in the rest pose: standing, arms at the sides, facing z.
        root: (F, 3) m where the root is.
        rotations: (F, N, 3, 3) of each node in its parent.
    """

    names: tuple[str, ...]
    parents: tuple[int, ...]
    offsets: FloatArray
    root: FloatArray
    rotations: FloatArray

    def positions(self) -> FloatArray:
        """Return where the nodes are (F, N, 3) m: forward kinematics."""
        rotation, xyz = np.empty(self.rotations.shape), np.empty((len(self.root), len(self.names), 3))
        for node, parent in enumerate(self.parents):
            if parent < 0:
                rotation[:, node], xyz[:, node] = self.rotations[:, node], self.root
            else:
                rotation[:, node] = rotation[:, parent] @ self.rotations[:, node]
                xyz[:, node] = xyz[:, parent] + rotation[:, parent] @ self.offsets[node]
        return xyz


def fit_hierarchy(skeleton: Skeleton, xyz: FloatArray) -> Hierarchy:
    """Return the hierarchy of one person's joints (F, J, 3) m, y up; its bones have the mean lengths.

    Unknown joints are interpolated over time; one that is never known lies at its parent.
    """
    parent_of = spanning_tree(skeleton)
    xyz = _filled(xyz, parent_of)
    children: dict[int, list[int]] = {joint: [] for joint in parent_of}
    for joint, parent in parent_of.items():
        if parent >= 0:
            children[parent].append(joint)
    build = _Builder(skeleton, xyz)
    for joint, parent in parent_of.items():
        build.add(joint, parent, children[joint])
    return build.hierarchy()


def spanning_tree(skeleton: Skeleton) -> dict[int, int]:
    """Return the parent of each joint, -1 of the root, parents first; joints without an edge hang on the root."""
    root = next((skeleton.index(name) for name in _ROOTS if name in skeleton.joint_names), 0)
    beside: dict[int, list[int]] = {joint: [] for joint in range(len(skeleton))}
    for a, b in skeleton.edges:
        beside[a].append(b)
        beside[b].append(a)
    found, waiting = {root: -1}, deque([root])
    for start in (root, *range(len(skeleton))):
        if start not in found:
            found[start] = root
            waiting.append(start)
        while waiting:
            joint = waiting.popleft()
            for neighbour in beside[joint]:
                if neighbour not in found:
                    found[neighbour] = joint
                    waiting.append(neighbour)
    return found


class _Builder:
    """Takes joints, parents first, and makes the nodes."""

    def __init__(self, skeleton: Skeleton, xyz: FloatArray) -> None:
        self._skeleton, self._xyz = skeleton, xyz
        self._names: list[str] = []
        self._parents: list[int] = []
        self._offsets: list[FloatArray] = []
        self._local: list[FloatArray] = []
        # By node: how it is turned in the world; by joint: the node that its bone's direction turns, and its own.
        self._world: list[FloatArray] = []
        self._carrier: dict[int, int] = {}

    def add(self, joint: int, parent: int, children: list[int]) -> None:
        """Add a joint, and where several bones leave it a node for each."""
        name = self._skeleton.joint_names[joint]
        before = self._carrier.get(joint, -1)
        length = 0.0 if parent < 0 else float(nan_mean(np.linalg.norm(self._bone(parent, joint), axis=-1), 0, 1))
        came = self._world[before] if before >= 0 else np.broadcast_to(np.eye(3), (len(self._xyz), 3, 3))
        turned = came
        if children:
            rest = np.array([self._rest(child) for child in children])
            bones = zip(children, rest, strict=True)
            actual = np.stack([_unit(self._bone(joint, child), came @ d) for child, d in bones], 1)
            turned = _swing(came @ rest[0], actual[:, 0]) @ came if len(children) == 1 else _best(rest, actual)
        node = self._node(name, before, length * self._rest(joint), came, turned)
        for child in children:
            self._carrier[child] = node
            if len(children) > 1:
                d = self._rest(child)
                along = _unit(self._bone(joint, child), turned @ d)
                base = f'{self._skeleton.joint_names[child]}_base'
                self._carrier[child] = self._node(base, node, np.zeros(3), turned, _swing(turned @ d, along) @ turned)

    def hierarchy(self) -> Hierarchy:
        """Return what was added."""
        root = self._xyz[:, self._skeleton.index(self._names[0])]
        return Hierarchy(
            tuple(self._names), tuple(self._parents), np.array(self._offsets), root, np.stack(self._local, 1)
        )

    def _node(self, name: str, parent: int, offset: FloatArray, came: FloatArray, turned: FloatArray) -> int:
        self._names.append(name)
        self._parents.append(parent)
        self._offsets.append(offset)
        self._local.append(np.swapaxes(came, -1, -2) @ turned)
        self._world.append(turned)
        return len(self._names) - 1

    def _bone(self, parent: int, child: int) -> FloatArray:
        return np.asarray(self._xyz[:, child] - self._xyz[:, parent])

    def _rest(self, joint: int) -> FloatArray:
        """Return the direction (3,) of the bone that ends at a joint, in the rest pose: y up, x left, z forward."""
        name = self._skeleton.joint_names[joint]
        if any(word in name for word in ('knee', 'ankle', 'elbow', 'wrist', 'heel')):
            return np.array([0.0, -1.0, 0.0])
        if 'toe' in name or 'foot' in name:
            return np.array([0.0, 0.0, 1.0])
        side = float('left' in name) - float('right' in name)
        return np.array([side, 0.0, 0.0] if side else [0.0, 1.0, 0.0])


def _filled(xyz: FloatArray, parent_of: dict[int, int]) -> FloatArray:
    """Return joints (F, J, 3) m without NaN: interpolated, held at the ends, at the parent where never known."""
    filled, frames = xyz.copy(), np.arange(len(xyz))
    for joint, parent in parent_of.items():
        known = np.isfinite(xyz[:, joint]).all(-1)
        if known.any():
            for axis in range(3):
                filled[:, joint, axis] = np.interp(frames, frames[known], xyz[known, joint, axis])
        else:
            filled[:, joint] = filled[:, parent] if parent >= 0 else 0.0
    return filled


def _unit(vectors: FloatArray, otherwise: FloatArray) -> FloatArray:
    """Return vectors (F, 3) at length 1, ``otherwise`` where they have none."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.where(length > _EPSILON, vectors / np.maximum(length, _EPSILON), otherwise)


def _swing(start: FloatArray, end: FloatArray) -> FloatArray:
    """Return the shortest rotations (F, 3, 3) from unit vectors ``start`` (F, 3) to ``end`` (F, 3)."""
    # 1 + cosine, exact also where it is almost 0.
    axis, above = np.cross(start, end), 0.5 * ((start + end) ** 2).sum(-1)
    x, y, z = np.moveaxis(axis, -1, 0)
    zero = np.zeros(len(x))
    K = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], -1).reshape(-1, 3, 3)
    opposite = above < 1e-9
    rotation = np.eye(3) + K + K @ K / np.where(opposite, 1.0, above)[:, None, None]
    if opposite.any():
        # Half a turn about any axis across.
        across = np.cross(start, np.eye(3)[np.abs(start).argmin(-1)])
        across /= np.linalg.norm(across, axis=-1, keepdims=True)
        rotation[opposite] = (2.0 * across[:, :, None] * across[:, None] - np.eye(3))[opposite]
    return np.asarray(rotation)


def _best(rest: FloatArray, actual: FloatArray) -> FloatArray:
    """Return the rotations (F, 3, 3) that bring directions ``rest`` (K, 3) nearest to ``actual`` (F, K, 3)."""
    U, _, Vt = np.linalg.svd(np.einsum('fki,kj->fij', actual, rest))
    U[:, :, 2] *= np.linalg.det(U @ Vt)[:, None]
    return np.asarray(U @ Vt)
