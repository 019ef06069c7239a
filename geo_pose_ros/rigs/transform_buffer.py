# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""/tf and /tf_static over the last seconds: the pose of a frame in another at a stamp.

It answers as tf2_ros.Buffer does, for bags and for machines without tf2: it interpolates (straight line, slerp) between
the two transforms around the stamp, and does not extrapolate.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ..arrays import FloatArray
from ..errors import TransformError
from ..geometry.rigid import compose, from_quaternion, interpolate, invert
from ..messages.factory import Message
from ..messages.stamps import stamp_of

# Transforms older than the newest of their frame by this are forgotten: as tf2's default.
KEEP_S = 10.0
# So many are forgotten at a time.
_TRIM = 256
# Quaternions shorter than this are no rotations.
_LEAST_LENGTH = 0.5


class TransformSource(Protocol):
    """A source of transforms between frames."""

    def lookup(self, target: str, source: str, stamp_ns: int | None) -> FloatArray:
        """Return target_from_source (3, 4) m at ``stamp_ns``; None: at the newest stamp that the whole chain has.

        Raises:
            TransformError: if no chain joins the frames, or the stamp is outside of the known time.
        """
        ...


@dataclass(slots=True)
class _Edge:
    """One frame in its parent, over time: stamps rise; a static one has a pose and no stamp."""

    parent: str
    stamps: list[int] = field(default_factory=list)
    poses: list[FloatArray] = field(default_factory=list)

    @property
    def is_static(self) -> bool:
        return not self.stamps


class TransformBuffer:
    """A tree of frames over time. Not thread-safe."""

    def __init__(self, keep_s: float = KEEP_S) -> None:
        """Start empty; keep the last ``keep_s`` of what moves."""
        self._keep_ns = keep_s * 1e9
        self._edges: dict[str, _Edge] = {}
        # Chains between frames, until a frame gets another parent.
        self._known_chains: dict[tuple[str, str], tuple[list[str], list[str]]] = {}

    def __repr__(self) -> str:
        frames = ', '.join(f'{e.parent}->{child} ({len(e.stamps) or "static"})' for child, e in self._edges.items())
        return f'TransformBuffer({frames})'

    def add(self, transforms: Sequence[Message], *, static: bool) -> str:
        """Take geometry_msgs/TransformStamped; return what is wrong with those that were left out, '' if nothing."""
        wrong = ''
        for stamped in transforms:
            parent, child = stamped.header.frame_id.lstrip('/'), stamped.child_frame_id.lstrip('/')
            t, q = stamped.transform.translation, stamped.transform.rotation
            numbers = (q.x, q.y, q.z, q.w, t.x, t.y, t.z)
            if not all(map(math.isfinite, numbers)) or not math.hypot(*numbers[:4]) > _LEAST_LENGTH:
                wrong = (
                    f"Transform '{parent}' -> '{child}': rotation {list(numbers[:4])}, translation "
                    f'{list(numbers[4:])}; expected a unit quaternion and finite metres. Publish it again.'
                )
                continue
            pose = from_quaternion(np.array(numbers[:4]), np.array(numbers[4:]))
            self._put(parent, child, None if static else stamp_of(stamped), pose)
        return wrong

    def _put(self, parent: str, child: str, stamp_ns: int | None, pose: FloatArray) -> None:
        edge = self._edges.get(child)
        if edge is None or edge.parent != parent or edge.is_static != (stamp_ns is None):
            edge = self._edges[child] = _Edge(parent)
            self._known_chains.clear()
        if stamp_ns is None:
            edge.poses = [pose]
            return
        stamps, poses = edge.stamps, edge.poses
        if stamps and stamp_ns < stamps[-1] - self._keep_ns:
            # Time has begun anew.
            stamps.clear()
            poses.clear()
        at = bisect_left(stamps, stamp_ns)
        if stamps[at : at + 1] == [stamp_ns]:
            poses[at] = pose
        else:
            stamps.insert(at, stamp_ns)
            poses.insert(at, pose)
        past = bisect_left(stamps, stamps[-1] - self._keep_ns)
        if past >= _TRIM:
            del stamps[:past], poses[:past]

    def lookup(self, target: str, source: str, stamp_ns: int | None) -> FloatArray:
        """See TransformSource."""
        down, up = self._chains(target, source)
        if stamp_ns is None:
            stamp_ns = min((stamps[-1] for frame in (*down, *up) if (stamps := self._edges[frame].stamps)), default=0)
        return compose(invert(self._along(down, stamp_ns)), self._along(up, stamp_ns))

    def _chains(self, target: str, source: str) -> tuple[list[str], list[str]]:
        """Return the frames from ``target`` and from ``source`` up to, but without, their first common ancestor."""
        known = self._known_chains.get((target, source))
        if known is not None:
            return known
        up = self._to_root(source)
        down = self._to_root(target)
        common = set(up) & set(down)
        if not common:
            frames = sorted({*self._edges, *(edge.parent for edge in self._edges.values())})
            raise TransformError(
                'missing',
                f"No transform joins '{target}' and '{source}'; the frames are: {', '.join(frames) or 'none'}. "
                'Publish the transforms between them on /tf_static or /tf, or give a rig file.',
            )
        chains = [f for f in down if f not in common], [f for f in up if f not in common]
        self._known_chains[target, source] = chains
        return chains

    def root_of(self, frame: str) -> str:
        """Return the root above ``frame``; a frame without a transform is its own root."""
        return self._to_root(frame)[-1]

    def _to_root(self, frame: str) -> list[str]:
        seen = [frame]
        while seen[-1] in self._edges:
            parent = self._edges[seen[-1]].parent
            if parent in seen:
                circle = ' -> '.join([*seen, parent])
                raise TransformError('missing', f'The transforms go round in a circle: {circle}; break it.')
            seen.append(parent)
        return seen

    def _along(self, frames: Sequence[str], stamp_ns: int) -> FloatArray:
        """Return the pose of the first of ``frames`` in the parent of the last."""
        pose = np.eye(3, 4)
        for frame in frames:
            pose = compose(self._at(frame, stamp_ns), pose)
        return pose

    def _at(self, child: str, stamp_ns: int) -> FloatArray:
        edge = self._edges[child]
        stamps, poses = edge.stamps, edge.poses
        if edge.is_static:
            return poses[0]
        after = bisect_left(stamps, stamp_ns)
        if after < len(stamps) and stamps[after] == stamp_ns:
            return poses[after]
        if after == len(stamps):
            behind_s = (stamp_ns - stamps[-1]) / 1e9
            raise TransformError(
                'late', f"the newest transform '{edge.parent}' -> '{child}' is {behind_s:.3f} s older than the "
                'image. Publish it faster, or synchronise the clocks',
            )
        if after == 0:
            before_s = (stamps[0] - stamp_ns) / 1e9
            raise TransformError(
                'old', f"the oldest transform '{edge.parent}' -> '{child}' is {before_s:.3f} s newer than the image. "
                'Synchronise the clocks',
            )
        part = (stamp_ns - stamps[after - 1]) / (stamps[after] - stamps[after - 1])
        return interpolate(poses[after - 1], poses[after], part)
