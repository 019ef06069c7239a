# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Skeletons as data: joint names, edges, left-right pairs, and the maps from detectors' skeletons to those of bodies.

``body17`` has the joint order of Human3.6M as used by Martinez et al. 2017: pelvis, right leg, left leg, spine,
thorax, nose/neck-base, head, left arm, right arm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from numpy.typing import NDArray

from .arrays import FloatArray
from .errors import ConfigError, ShapeError


@dataclass(frozen=True, slots=True)
class Skeleton:
    """Names and topology of J joints.

    Attributes:
        name: identifier used in messages and model cards.
        joint_names: J unique names.
        edges: pairs (parent, child) of joint indices.
        flip_pairs: pairs (left, right) of joint indices that a mirror exchanges.

    Raises:
        ConfigError: if names repeat or an index is outside the skeleton.
    """

    name: str
    joint_names: tuple[str, ...]
    edges: tuple[tuple[int, int], ...] = field(repr=False)
    flip_pairs: tuple[tuple[int, int], ...] = field(repr=False)

    def __post_init__(self) -> None:
        joints = len(self.joint_names)
        if len(set(self.joint_names)) != joints:
            raise ConfigError(f"Skeleton '{self.name}': joint names repeat; every joint needs a name of its own.")
        for pair in (*self.edges, *self.flip_pairs):
            if not all(0 <= index < joints for index in pair):
                raise ConfigError(
                    f"Skeleton '{self.name}': the pair {pair} names a joint outside 0..{joints - 1}; correct it."
                )

    def __len__(self) -> int:
        return len(self.joint_names)

    def index(self, joint_name: str) -> int:
        """Return the index of ``joint_name``; raise ConfigError if there is none."""
        try:
            return self.joint_names.index(joint_name)
        except ValueError:
            raise ConfigError(
                f"Skeleton '{self.name}' has no joint '{joint_name}'; it has: {', '.join(self.joint_names)}."
            ) from None

    @property
    def bones(self) -> tuple[str, ...]:
        """Names of the edges, 'parent-child', in the order of ``edges``."""
        return tuple(f'{self.joint_names[a]}-{self.joint_names[b]}' for a, b in self.edges)


@cache
def mirror_of(skeleton: Skeleton) -> NDArray[np.int64]:
    """Return (J,) the index of each joint's mirror image, its own where it has none."""
    index = np.arange(len(skeleton))
    for left, right in skeleton.flip_pairs:
        index[[left, right]] = right, left
    return index


BODY17 = Skeleton(
    name='body17',
    joint_names=(
        'pelvis', 'right_hip', 'right_knee', 'right_ankle', 'left_hip', 'left_knee', 'left_ankle', 'spine', 'thorax',
        'nose', 'head', 'left_shoulder', 'left_elbow', 'left_wrist', 'right_shoulder', 'right_elbow', 'right_wrist',
    ),
    edges=(
        (0, 1), (1, 2), (2, 3), (0, 4), (4, 5), (5, 6), (0, 7), (7, 8), (8, 9), (9, 10),
        (8, 11), (11, 12), (12, 13), (8, 14), (14, 15), (15, 16),
    ),
    flip_pairs=((4, 1), (5, 2), (6, 3), (11, 14), (12, 15), (13, 16)),
)

COCO17 = Skeleton(
    name='coco17',
    joint_names=(
        'nose', 'left_eye', 'right_eye', 'left_ear', 'right_ear', 'left_shoulder', 'right_shoulder', 'left_elbow',
        'right_elbow', 'left_wrist', 'right_wrist', 'left_hip', 'right_hip', 'left_knee', 'right_knee', 'left_ankle',
        'right_ankle',
    ),
    edges=(
        (5, 6), (5, 7), (7, 9), (6, 8), (8, 10), (5, 11), (6, 12), (11, 12), (11, 13), (13, 15), (12, 14), (14, 16),
        (0, 1), (0, 2), (1, 3), (2, 4),
    ),
    flip_pairs=((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16)),
)

HALPE26 = Skeleton(
    name='halpe26',
    joint_names=(
        *COCO17.joint_names, 'head', 'neck', 'hip', 'left_big_toe', 'right_big_toe', 'left_small_toe',
        'right_small_toe', 'left_heel', 'right_heel',
    ),
    edges=(
        (15, 13), (13, 11), (11, 19), (16, 14), (14, 12), (12, 19), (17, 18), (18, 19), (18, 5), (5, 7), (7, 9),
        (18, 6), (6, 8), (8, 10), (15, 24), (16, 25), (15, 20), (16, 21), (15, 22), (16, 23),
    ),
    flip_pairs=(*COCO17.flip_pairs, (20, 21), (22, 23), (24, 25)),
)

BLAZEPOSE33 = Skeleton(
    name='blazepose33',
    joint_names=(
        'nose', 'left_eye_inner', 'left_eye', 'left_eye_outer', 'right_eye_inner', 'right_eye', 'right_eye_outer',
        'left_ear', 'right_ear', 'mouth_left', 'mouth_right', 'left_shoulder', 'right_shoulder', 'left_elbow',
        'right_elbow', 'left_wrist', 'right_wrist', 'left_pinky', 'right_pinky', 'left_index', 'right_index',
        'left_thumb', 'right_thumb', 'left_hip', 'right_hip', 'left_knee', 'right_knee', 'left_ankle', 'right_ankle',
        'left_heel', 'right_heel', 'left_foot_index', 'right_foot_index',
    ),
    edges=(
        (11, 12), (11, 13), (13, 15), (12, 14), (14, 16), (11, 23), (12, 24), (23, 24), (23, 25), (25, 27), (24, 26),
        (26, 28), (27, 29), (29, 31), (27, 31), (28, 30), (30, 32), (28, 32), (15, 17), (15, 19), (15, 21), (17, 19),
        (16, 18), (16, 20), (16, 22), (18, 20), (0, 2), (0, 5), (2, 1), (2, 3), (5, 4), (5, 6), (0, 7), (0, 8), (0, 9),
        (0, 10),
    ),
    flip_pairs=(
        (1, 4), (2, 5), (3, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16), (17, 18), (19, 20), (21, 22), (23, 24),
        (25, 26), (27, 28), (29, 30), (31, 32),
    ),
)

# The 21 joints of a hand, of MediaPipe and COCO-WholeBody alike: the wrist, and four joints of each finger.
_FINGERS = ('thumb', 'index_finger', 'middle_finger', 'ring_finger', 'pinky_finger')
HAND21 = Skeleton(
    name='hand21',
    joint_names=(
        'hand_wrist', *(f'thumb_{joint}' for joint in ('cmc', 'mcp', 'ip', 'tip')),
        *(f'{finger}_{joint}' for finger in _FINGERS[1:] for joint in ('mcp', 'pip', 'dip', 'tip')),
    ),
    edges=(
        *((0, finger) for finger in (1, 5, 9, 13, 17)),
        *((joint, joint + 1) for joint in range(1, 20) if joint % 4), (5, 9), (9, 13), (13, 17),
    ),
    flip_pairs=(),
)
_HANDS = tuple(f'{side}_{joint}' for side in ('left', 'right') for joint in HAND21.joint_names)
_FACE68 = tuple(f'face_{number}' for number in range(68))
# Outlines of dlib's 68 face points: jaw, brows, nose, eyes, mouth.
_FACE_LINES = ((0, 17), (17, 22), (22, 27), (27, 31), (31, 36), (36, 42), (42, 48), (48, 60), (60, 68))
# Mirror images in the face: ranges of the one half, and the last number of the other, which runs backwards.
_FACE_MIRROR = (
    (0, 8, 16), (17, 22, 26), (31, 33, 35), (36, 40, 45), (40, 42, 47), (48, 51, 54), (55, 57, 59), (60, 62, 64),
    (65, 66, 67),
)


def _hand_edges(first: int, wrist: int) -> tuple[tuple[int, int], ...]:
    """Return the edges of a hand whose joints begin at ``first``, and one from the body's ``wrist`` to its middle."""
    return ((wrist, first + 9), *((first + a, first + b) for a, b in HAND21.edges))


COCO_WHOLEBODY133 = Skeleton(
    name='coco_wholebody133',
    joint_names=(
        *COCO17.joint_names, 'left_big_toe', 'left_small_toe', 'left_heel', 'right_big_toe', 'right_small_toe',
        'right_heel', *_FACE68, *_HANDS,
    ),
    edges=(
        *COCO17.edges, (15, 17), (15, 18), (15, 19), (17, 19), (16, 20), (16, 21), (16, 22), (20, 22), (0, 53),
        *((23 + k, 24 + k) for start, end in _FACE_LINES for k in range(start, end - 1)),
        *_hand_edges(91, 9), *_hand_edges(112, 10),
    ),
    flip_pairs=(
        *COCO17.flip_pairs, (17, 20), (18, 21), (19, 22),
        *((23 + start + k, 23 + last - k) for start, end, last in _FACE_MIRROR for k in range(end - start)),
        *((91 + k, 112 + k) for k in range(21)),
    ),
)


def extended(name: str, *sources: Skeleton) -> Skeleton:
    """Return body17 and, after its joints, all joints of ``sources`` that it has no joint of the same name for.

    Edges and pairs of the sources are kept where a joint of theirs is added, and both ends are there.
    """
    names = list(BODY17.joint_names)
    edges, pairs = list(BODY17.edges), list(BODY17.flip_pairs)
    for source in sources:
        names += [joint for joint in source.joint_names if joint not in names]
    for source in sources:
        at = [names.index(joint) for joint in source.joint_names]
        for kept, given in ((edges, source.edges), (pairs, source.flip_pairs)):
            ends = ((at[a], at[b]) for a, b in given)
            kept += [(a, b) for a, b in ends if max(a, b) >= len(BODY17) and (a, b) not in kept]
    return Skeleton(name, tuple(names), tuple(edges), tuple(pairs))


_TWO_HANDS = Skeleton(
    name='two_hands',
    joint_names=('left_wrist', 'right_wrist', *_HANDS),
    edges=(*_hand_edges(2, 0), *_hand_edges(23, 1)),
    flip_pairs=tuple((2 + k, 23 + k) for k in range(21)),
)
BODY33 = extended('body33', BLAZEPOSE33)
WHOLEBODY = extended('wholebody', BLAZEPOSE33, _TWO_HANDS)

# Skeletons of bodies, by what the setting ``skeleton`` says: body17's joints come first in all of them.
OUTPUTS: Mapping[str, Skeleton] = {
    BODY17.name: BODY17, BODY33.name: BODY33, WHOLEBODY.name: WHOLEBODY,
    HALPE26.name: extended('body17+halpe26', HALPE26),
    COCO_WHOLEBODY133.name: extended('body17+coco_wholebody133', COCO_WHOLEBODY133),
}
# No two of them have as many joints, so that a cloud's width says which it is.
_OF_WIDTH = {len(skeleton): skeleton for skeleton in OUTPUTS.values()}

SKELETONS: Mapping[str, Skeleton] = {
    s.name: s for s in (BODY17, COCO17, HALPE26, BLAZEPOSE33, COCO_WHOLEBODY133, *list(OUTPUTS.values())[1:])
}


@dataclass(frozen=True, slots=True, eq=False)
class SkeletonMap:
    """Linear map of joints between skeletons: each target joint is a weighted mean of source joints.

    The weights may be negative (extrapolation) but sum to one per target joint, so that the map commutes with
    translation. A target joint is NaN, confidence 0, where one of its sources is missing; its confidence is the
    smallest of its sources'.

    Attributes:
        source, target: skeletons of Js and Jt joints.
        weights: by target joint, the weight of each source joint.
        matrix: (Jt, Js), the same as an array.
        used: (Jt, Js), where it is not zero.
    """

    source: Skeleton
    target: Skeleton
    weights: Mapping[str, Mapping[str, float]]
    matrix: FloatArray = field(init=False, repr=False)
    used: NDArray[np.bool_] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        missing = set(self.target.joint_names) - set(self.weights)
        if missing:
            raise ConfigError(
                f'Map {self.source.name} -> {self.target.name}: no source for {sorted(missing)}; '
                'every target joint needs one.'
            )
        for joint, sources in self.weights.items():
            self.target.index(joint)
            for name in sources:
                self.source.index(name)
            if not np.isclose(sum(sources.values()), 1.0):
                raise ConfigError(
                    f"Map {self.source.name} -> {self.target.name}: the weights of '{joint}' sum to "
                    f'{sum(sources.values()):g}, expected 1.'
                )
        matrix = np.zeros((len(self.target), len(self.source)))
        for joint, sources in self.weights.items():
            for name, weight in sources.items():
                matrix[self.target.index(joint), self.source.index(name)] = weight
        matrix.flags.writeable = False
        object.__setattr__(self, 'matrix', matrix)
        object.__setattr__(self, 'used', matrix != 0.0)

    def apply(self, xy: FloatArray, confidence: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Map ``xy`` (..., J, D) and ``confidence`` (..., J) of the source to those of the target.

        Raises:
            ShapeError: if the joint axis is not the source skeleton's.
        """
        joints = len(self.source)
        if xy.shape[-2] != joints or confidence.shape[-1] != joints:
            raise ShapeError(
                f'Map {self.source.name} -> {self.target.name}: received {xy.shape[-2]} joints with '
                f'{confidence.shape[-1]} confidences, expected {joints} of each.'
            )
        # A sum is finite only if all its terms are.
        seen: NDArray[np.bool_] = np.asarray(np.isfinite(xy.sum(-1)))
        least = np.where(self.used, confidence[..., None, :], np.inf).min(-1)
        least[np.isnan(least)] = 0.0
        if seen.all():
            return np.matmul(self.matrix, xy), least
        complete = np.asarray(~(~seen[..., None, :] & self.used).any(-1))
        mapped = np.matmul(self.matrix, np.where(seen[..., None], xy, 0.0))
        return np.where(complete[..., None], mapped, np.nan), np.where(complete, least, 0.0)


def _body17_from_coco_names(head: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Return the body17 weights for any skeleton that has COCO's names of shoulders, hips, limbs and nose."""
    weights: dict[str, dict[str, float]] = {
        'pelvis': {'left_hip': 0.5, 'right_hip': 0.5},
        'thorax': {'left_shoulder': 0.5, 'right_shoulder': 0.5},
        'spine': {'left_hip': 0.25, 'right_hip': 0.25, 'left_shoulder': 0.25, 'right_shoulder': 0.25},
        'head': dict(head),
        'nose': {'nose': 1.0},
    }
    for side in ('left', 'right'):
        for joint in ('hip', 'knee', 'ankle', 'shoulder', 'elbow', 'wrist'):
            weights[f'{side}_{joint}'] = {f'{side}_{joint}': 1.0}
    return weights


_EARS = {'left_ear': 0.5, 'right_ear': 0.5}

_TO_BODY17: Mapping[str, SkeletonMap] = {
    COCO17.name: SkeletonMap(COCO17, BODY17, _body17_from_coco_names(_EARS)),
    HALPE26.name: SkeletonMap(HALPE26, BODY17, _body17_from_coco_names({'head': 1.0})),
    BLAZEPOSE33.name: SkeletonMap(BLAZEPOSE33, BODY17, _body17_from_coco_names(_EARS)),
    COCO_WHOLEBODY133.name: SkeletonMap(COCO_WHOLEBODY133, BODY17, _body17_from_coco_names(_EARS)),
    **{
        output.name: SkeletonMap(output, BODY17, {name: {name: 1.0} for name in BODY17.joint_names})
        for output in OUTPUTS.values()
    },
}


def get_skeleton(name: str) -> Skeleton:
    """Return the skeleton called ``name``; raise ConfigError listing the known ones if there is none."""
    try:
        return SKELETONS[name]
    except KeyError:
        raise ConfigError(f"Unknown skeleton '{name}'; known: {', '.join(SKELETONS)}.") from None


def map_to_body17(source: Skeleton) -> SkeletonMap:
    """Return the map from ``source`` to body17; raise ConfigError if the package has none."""
    try:
        return _TO_BODY17[source.name]
    except KeyError:
        raise ConfigError(
            f"No map from skeleton '{source.name}' to body17; known: {', '.join(_TO_BODY17)}. "
            'Add one in geo_pose_ros/skeleton.py.'
        ) from None


def output_of_width(joints: int) -> Skeleton:
    """Return the skeleton of bodies that has so many joints; body17 if there is none."""
    return _OF_WIDTH.get(joints, BODY17)


def map_to_output(
    source: Skeleton, output: Skeleton, xy: FloatArray, confidence: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Map ``xy`` (..., J, D) and ``confidence`` (..., J) of ``source`` to one of ``OUTPUTS``, body17's joints first.

    The joints after body17's are those of the same names; NaN, confidence 0, where ``source`` has none.

    Raises:
        ConfigError: if the package has no map from ``source`` to body17.
        ShapeError: if the joint axis is not the source skeleton's.
    """
    body_xy, body_confidence = map_to_body17(source).apply(xy, confidence)
    if output is BODY17:
        return body_xy, body_confidence
    columns = _further_joints(source, output)
    further, least = xy[..., columns, :], confidence[..., columns]
    further[..., columns < 0, :], least[..., columns < 0] = np.nan, 0.0
    return np.concatenate([body_xy, further], -2), np.concatenate([body_confidence, least], -1)


@cache
def _further_joints(source: Skeleton, output: Skeleton) -> NDArray[np.int64]:
    """Return (K,) where ``source`` has the joints of ``output`` after body17's, by name; -1 where it has not."""
    names = {joint: index for index, joint in enumerate(source.joint_names)}
    return np.array([names.get(joint, -1) for joint in output.joint_names[len(BODY17):]], np.int64)


@cache
def anchors(output: Skeleton) -> NDArray[np.int64]:
    """Return (J,) the joint of body17 from which each joint of ``output`` hangs, by its edges; its own for body17's."""
    anchor = np.full(len(output), -1)
    anchor[: len(BODY17)] = range(len(BODY17))
    while (anchor < 0).any():
        reached = anchor >= 0
        for a, b in (*output.edges, *((b, a) for a, b in output.edges)):
            if reached[a] and anchor[b] < 0:
                anchor[b] = anchor[a]
        if (reached == (anchor >= 0)).all():
            # What no edge reaches moves with the pelvis.
            anchor[anchor < 0] = 0
    return anchor
