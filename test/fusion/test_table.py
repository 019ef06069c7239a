# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Tables of bodies: rows are selected and gathered in all arrays at once."""

import numpy as np

from geo_pose_ros.fusion.prior import BodyPrior, BonePrior
from geo_pose_ros.fusion.table import gather


def prior(*values: float) -> BodyPrior:
    """Bodies of which all numbers are ``values``; nothing is lifted."""
    rows = np.array(values)[:, None]
    return BodyPrior(
        bones=BonePrior(rows, rows), centre=rows * np.ones(3),
        displacement=rows[None, ..., None] * np.ones(3),
    )


def values(found: BodyPrior) -> list[list[float]]:
    assert found.lifted is None
    return [a.tolist() for a in (found.bones.length[:, 0], found.centre[:, 2], found.displacement[0, :, 0, 1])]


def test_rows_are_gathered_with_a_fill_value():
    assert gather(np.array([5.0, 7.0]), np.array([1, -1, 0]), np.nan).tolist()[::2] == [7.0, 5.0]
    assert gather(np.array([[5, 6]]), np.array([-1, 0]), -1).tolist() == [[-1, -1], [5, 6]]
    assert gather(np.zeros((0, 2), bool), np.array([-1]), False).tolist() == [[False, False]]


def test_bodies_are_selected_in_all_arrays():
    three = prior(1.0, 2.0, 3.0)
    assert values(three.select(np.array([True, False, True]))) == [[1.0, 3.0]] * 3
    assert values(three.select(np.array([2, 0]))) == [[3.0, 1.0]] * 3
    assert three.select(np.ones(3, bool)) is three
    assert values(three) == [[1.0, 2.0, 3.0]] * 3
