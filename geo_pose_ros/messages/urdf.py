# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The URDF of a body: the human model of REP-155 (``geometry.joint_angles``) with the body's own segment lengths.

Links, joints, axes and parents are those of human_description (urdf/human-tpl.xacro).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple
from xml.etree import ElementTree

import numpy as np

from ..arrays import FloatArray
from ..geometry.joint_angles import JOINT_LIMITS, JOINT_NAMES, NECK_SHARE
from ..geometry.stats import nan_mean
from ..skeleton import BODY17

# The segments of the model, each measured between two joints of one side, or of both.
_SEGMENTS = (
    ('pelvis', 'thorax'), ('thorax', '*_shoulder'), ('*_shoulder', '*_elbow'), ('*_elbow', '*_wrist'),
    ('pelvis', '*_hip'), ('*_hip', '*_knee'), ('*_knee', '*_ankle'),
)
# What is drawn: radii of limbs and trunk, m.
_RADIUS_M = {'torso': 0.12, 'shoulder': 0.05, 'elbow': 0.04, 'hip': 0.08, 'knee': 0.055}
# The model's head is a sphere of this many necks' length.
_HEAD_PER_NECK = 2.0


class _Joint(NamedTuple):
    """A joint: its place in its parent's frame, m, its axis, None if fixed, and how far along z its link reaches."""

    name: str
    parent: str
    at: tuple[float, float, float]
    axis: tuple[float, float, float] | None
    reach: float = 0.0

    @property
    def link(self) -> str:
        """The link that the joint moves: it has the joint's name, but those of shoulders and hips lack their `r`."""
        side, _, of_limb = self.name.partition('_r_')
        return f'{side}_{of_limb}' if of_limb else self.name


def segment_lengths(xyz: FloatArray) -> FloatArray:
    """Return (..., 7) m, the lengths that ``urdf_of`` takes, of body17 joints (..., 17, 3) m; NaN where unknown.

    Trunk, thorax to shoulder, upper arm, forearm, pelvis to hip, thigh, shank: the mean of both sides.
    """
    sides = [
        [[BODY17.index(joint.replace('*', side)) for joint in ends] for side in ('left', 'right')]
        for ends in _SEGMENTS
    ]
    first, last = np.moveaxis(np.array(sides), -1, 0)
    return nan_mean(np.linalg.norm(xyz[..., last, :] - xyz[..., first, :], axis=-1), -1)


def urdf_of(lengths_m: FloatArray, body: str) -> str:
    """Return the URDF of a body of segments ``lengths_m`` (7,), whose links and joints end with its id ``body``."""
    robot = ElementTree.Element('robot', name=f'human_{body}')
    ElementTree.SubElement(robot, 'link', name=f'body_{body}')
    limits = dict(zip(JOINT_NAMES, JOINT_LIMITS.tolist(), strict=True))
    for joint in _joints(*lengths_m.tolist()):
        link = ElementTree.SubElement(robot, 'link', name=f'{joint.link}_{body}')
        if joint.reach:
            _draw(link, joint)
        kind = 'fixed' if joint.axis is None else 'revolute'
        moved = ElementTree.SubElement(robot, 'joint', name=f'{joint.name}_{body}', type=kind)
        ElementTree.SubElement(moved, 'parent', link=f'{joint.parent}_{body}')
        ElementTree.SubElement(moved, 'child', link=f'{joint.link}_{body}')
        ElementTree.SubElement(moved, 'origin', xyz=_words(joint.at))
        if joint.axis is not None:
            low, high = limits[joint.name]
            ElementTree.SubElement(moved, 'axis', xyz=_words(joint.axis))
            ElementTree.SubElement(moved, 'limit', lower=f'{low}', upper=f'{high}', effort='1000', velocity='0.5')
    return ElementTree.tostring(robot, 'unicode')


def _joints(
    trunk: float, shoulder: float, upper_arm: float, forearm: float, hip: float, thigh: float, shank: float
) -> Iterator[_Joint]:
    """Yield the joints of a body of such segments, m, each after its parent."""
    here, neck = (0.0, 0.0, 0.0), NECK_SHARE * trunk
    head = _HEAD_PER_NECK * neck
    yield _Joint('waist', 'body', here, (0.0, 1.0, 0.0))
    yield _Joint('torso', 'waist', (0.0, 0.0, trunk), None, -trunk)
    yield _Joint('r_head', 'torso', (0.0, 0.0, neck), (1.0, 0.0, 0.0))
    yield _Joint('y_head', 'r_head', here, (0.0, 0.0, 1.0))
    yield _Joint('p_head', 'y_head', here, (0.0, -1.0, 0.0))
    yield _Joint('head', 'p_head', (0.5 * head, 0.0, head), None, head)
    for side, s in (('l', 1.0), ('r', -1.0)):
        yield _Joint(f'{side}_y_shoulder', 'torso', (0.0, s * shoulder, 0.0), (0.0, 0.0, -s))
        yield _Joint(f'{side}_p_shoulder', f'{side}_y_shoulder', here, (s, 0.0, 0.0))
        yield _Joint(f'{side}_r_shoulder', f'{side}_p_shoulder', here, (0.0, 0.0, s), -upper_arm)
        at_elbow, at_knee = (0.0, 0.0, -upper_arm), (0.0, 0.0, -thigh)
        yield _Joint(f'{side}_elbow', f'{side}_shoulder', at_elbow, (0.0, -1.0, 0.0), -forearm)
        yield _Joint(f'{side}_wrist', f'{side}_elbow', (0.0, 0.0, -forearm), None)
        yield _Joint(f'{side}_y_hip', 'body', (0.0, s * hip, 0.0), (0.0, 0.0, -1.0))
        yield _Joint(f'{side}_p_hip', f'{side}_y_hip', here, (s, 0.0, 0.0))
        yield _Joint(f'{side}_r_hip', f'{side}_p_hip', here, (0.0, -1.0, 0.0), -thigh)
        yield _Joint(f'{side}_knee', f'{side}_hip', at_knee, (0.0, -1.0, 0.0), -shank)
        yield _Joint(f'{side}_ankle', f'{side}_knee', (0.0, 0.0, -shank), None)


def _draw(link: ElementTree.Element, joint: _Joint) -> None:
    """Draw the segment that ``joint`` moves: a head is a sphere, all else a cylinder."""
    visual = ElementTree.SubElement(link, 'visual')
    radius = _RADIUS_M.get(joint.link.rsplit('_', 1)[-1], 0.0)
    middle = (0.0, 0.0, 0.5 * joint.reach) if radius else (-0.5 * joint.reach, 0.0, 0.0)
    ElementTree.SubElement(visual, 'origin', xyz=_words(middle))
    shape = ElementTree.SubElement(visual, 'geometry')
    if radius:
        ElementTree.SubElement(shape, 'cylinder', radius=f'{radius}', length=f'{abs(joint.reach):.4f}')
    else:
        ElementTree.SubElement(shape, 'sphere', radius=f'{joint.reach:.4f}')


def _words(vector: tuple[float, float, float]) -> str:
    return ' '.join(f'{value:.4f}' for value in vector)
