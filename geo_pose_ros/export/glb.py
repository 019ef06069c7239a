# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""GLB: all people as animated, skinned skeletons in one binary glTF 2.0 file, for Blender and browsers; m, y up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..arrays import FloatArray
from ..errors import needing
from ..geometry.rigid import to_quaternion
from .hierarchy import Hierarchy, fit_hierarchy
from .markers import people_of
from .sequence import BodySequence

if TYPE_CHECKING:
    import pygltflib

# Okabe and Ito's colours, which the colour-blind tell apart.
_COLOURS = ((0.90, 0.62, 0.0), (0.34, 0.71, 0.91), (0.0, 0.62, 0.45), (0.80, 0.47, 0.65), (0.0, 0.45, 0.70))
# Half the breadth of a bone, of its length, at a tenth of the length from its beginning.
_BREADTH = 0.08


def write_glb(bodies: BodySequence, out: Path) -> Iterator[Path]:
    """Write `OUT.glb`; yield its path. A person is there, at scale 1, from the first to the last set that knows them.

    Raises:
        ConfigError: if pygltflib is missing.
    """
    with needing('pygltflib', 'GLB'):
        import pygltflib
    gltf = pygltflib.GLTF2(
        asset=pygltflib.Asset(version='2.0', generator='geo_pose_ros'), scene=0, scenes=[pygltflib.Scene(nodes=[])],
        animations=[pygltflib.Animation(name='motion')],
    )
    build = _Builder(gltf)
    for number, (path, rate_hz, first, xyz) in enumerate(people_of(bodies.turned('y'), out, '')):
        build.add(path.name, fit_hierarchy(bodies.skeleton, xyz), (first + np.arange(len(xyz))) / rate_hz, number)
    path = out.with_name(f'{out.name}.glb')
    build.save(path)
    yield path


class _Builder:
    """Adds people to a document."""

    def __init__(self, gltf: pygltflib.GLTF2) -> None:
        self._gltf = gltf
        self._data = bytearray()

    def add(self, name: str, person: Hierarchy, times_s: FloatArray, number: int) -> None:
        """Add a person: nodes, a skin, a mesh of bones, and the animation."""
        import pygltflib as g

        first = len(self._gltf.nodes)
        rest = Hierarchy(person.names, person.parents, person.offsets, np.zeros((1, 3)),
                         np.broadcast_to(np.eye(3), (1, len(person.names), 3, 3))).positions()[0]
        for node, label in enumerate(person.names):
            children = [first + child for child, parent in enumerate(person.parents) if parent == node]
            self._gltf.nodes.append(g.Node(name=label, translation=person.offsets[node].tolist(), children=children))
        joints = list(range(first, first + len(person.names)))
        inverse = np.tile(np.eye(4, dtype=np.float32), (len(rest), 1, 1))
        inverse[:, 3, :3] = -rest
        self._gltf.skins.append(g.Skin(joints=joints, skeleton=first, name=name,
                                       inverseBindMatrices=self._accessor(inverse.reshape(-1, 16), 'MAT4')))
        colour = [*_COLOURS[number % len(_COLOURS)], 1.0]
        self._gltf.materials.append(g.Material(
            name=name, pbrMetallicRoughness=g.PbrMetallicRoughness(baseColorFactor=colour, metallicFactor=0.0)))
        vertices, owners = _bones(person, rest)
        owned = np.zeros((len(owners), 4), np.uint16)
        owned[:, 0] = owners
        weights = np.zeros((len(owners), 4), np.float32)
        weights[:, 0] = 1.0
        attributes = g.Attributes(POSITION=self._accessor(vertices, 'VEC3'), JOINTS_0=self._accessor(owned, 'VEC4'),
                                  WEIGHTS_0=self._accessor(weights, 'VEC4'))
        self._gltf.meshes.append(g.Mesh(name=name, primitives=[g.Primitive(attributes=attributes, material=number)]))
        self._gltf.nodes.append(g.Node(name=name, mesh=number, skin=number))
        self._gltf.scenes[0].nodes += [first, len(self._gltf.nodes) - 1]
        self._animate(first, person, times_s)

    def _animate(self, first: int, person: Hierarchy, times_s: FloatArray) -> None:
        shown_s, scale = times_s[[0, -1]], np.ones((2, 3))
        at = self._accessor(times_s[:, None], 'SCALAR')
        self._channel(first, 'translation', at, self._accessor(person.root, 'VEC3'))
        for node in range(len(person.names)):
            turned = _quaternions(person.rotations[:, node])
            self._channel(first + node, 'rotation', at, self._accessor(turned, 'VEC4'))
        # Not there before and after: of no size.
        before = [] if shown_s[0] <= 0.0 else [0.0]
        keys = np.array([*before, *shown_s, shown_s[1] + 1e-3])
        scale = np.array([*([0.0] for _ in before), [1.0], [1.0], [0.0]]) @ np.ones((1, 3))
        self._channel(first, 'scale', self._accessor(keys[:, None], 'SCALAR'), self._accessor(scale, 'VEC3'), 'STEP')

    def _channel(self, node: int, path: str, at: int, values: int, interpolation: str = 'LINEAR') -> None:
        import pygltflib as g

        animation = self._gltf.animations[0]
        animation.samplers.append(g.AnimationSampler(input=at, output=values, interpolation=interpolation))
        target = g.AnimationChannelTarget(node=node, path=path)
        animation.channels.append(g.AnimationChannel(sampler=len(animation.samplers) - 1, target=target))

    def _accessor(self, values: NDArray[np.generic], kind: str) -> int:
        """Add numbers (n, k), and return their accessor."""
        import pygltflib as g

        is_index = values.dtype == np.uint16
        array = np.ascontiguousarray(values if is_index else values.astype(np.float32))
        data = array.tobytes()
        self._gltf.bufferViews.append(g.BufferView(buffer=0, byteOffset=len(self._data), byteLength=len(data)))
        self._data += data + bytes(-len(data) % 4)
        self._gltf.accessors.append(g.Accessor(
            bufferView=len(self._gltf.bufferViews) - 1, componentType=g.UNSIGNED_SHORT if is_index else g.FLOAT,
            count=len(array), type=kind, min=array.min(0).tolist(), max=array.max(0).tolist(),
        ))
        return len(self._gltf.accessors) - 1

    def save(self, path: Path) -> None:
        """Write the file."""
        import pygltflib as g

        self._gltf.buffers.append(g.Buffer(byteLength=len(self._data)))
        self._gltf.set_binary_blob(bytes(self._data))
        self._gltf.save_binary(str(path))


def _bones(person: Hierarchy, rest: FloatArray) -> tuple[FloatArray, NDArray[np.uint16]]:
    """Return triangles of the bones in the rest pose, by corner (n, 3) m, and the node (n,) that carries each."""
    vertices, owners = [], []
    for node, parent in enumerate(person.parents):
        along = person.offsets[node]
        length = float(np.linalg.norm(along))
        if parent < 0 or length < 1e-6:
            continue
        across = np.cross(along, np.eye(3)[np.abs(along).argmin()])
        across *= _BREADTH * length / np.linalg.norm(across)
        also = np.cross(along, across) / length
        start = rest[parent]
        ring = [start + 0.1 * along + side for side in (across, also, -across, -also)]
        for k in range(4):
            a, b = ring[k], ring[(k + 1) % 4]
            vertices += [start, b, a, start + along, a, b]
            owners += [parent] * 6
    return np.array(vertices), np.array(owners, np.uint16)


def _quaternions(rotation: FloatArray) -> FloatArray:
    """Return unit quaternions (F, 4), x y z w, of rotations (F, 3, 3), each on the side of the one before."""
    found = to_quaternion(rotation)
    signs = np.where((found[1:] * found[:-1]).sum(-1) < 0.0, -1.0, 1.0)
    found[1:] *= np.cumprod(signs)[:, None]
    return found
