# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Two people of constant bone lengths who walk and turn; the second comes later. Exact truth for all formats."""

import numpy as np

from geo_pose_ros.session.bodies import SessionBodies
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Bodies3D

from ..scenes import person

PERIOD_NS = 33_333_333
COUNT, LATE = 20, 6
UP = np.array([0.0, 0.0, 1.0])


def bodies_at(number, start_ns=10**18):
    """Return set ``number``: person 4, and from LATE on person 9."""
    c, s = np.cos(0.05 * number), np.sin(0.05 * number)
    turn = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    xyz = np.stack([person(0) @ turn.T + (0.01 * number, 0.0, 0.0), person(1) @ turn + (1.0, 0.02 * number, 0.0)])
    people = 2 if number >= LATE else 1
    each = (people, len(BODY17))
    covariance = np.tile(np.diag([1e-4, 2e-4, 3e-4]), (*each, 1, 1))
    return Bodies3D(
        start_ns + number * PERIOD_NS, 'world', BODY17, xyz[:people], covariance, np.full(each, 0.9),
        np.full(each, 3), np.full(each, 1.5), np.array([4, 9])[:people],
    )


def two_people(numbers=range(COUNT), up=UP):
    """Return the bodies of the sets ``numbers``."""
    return SessionBodies.from_sets([bodies_at(number) for number in numbers], up)
