# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Bodies over time: arrays, regular rates, axes, angles."""

from dataclasses import replace

import numpy as np
import pytest

from geo_pose_ros.errors import ShapeError
from geo_pose_ros.export.sequence import BodySequence
from geo_pose_ros.skeleton import COCO17

from .two_people import COUNT, LATE, UP, bodies_at, two_people


def test_sets_become_arrays():
    bodies = two_people()
    assert bodies.ids.tolist() == [4, 9] and repr(bodies) == 'BodySequence(2 people, 20 sets of body17, 0.63 s)'
    assert not bodies.known[: LATE, 1].any() and bodies.known[LATE:].all()
    for number in range(COUNT):
        given = bodies_at(number)
        there = np.isin(bodies.ids, given.body_ids)
        for name in ('xyz', 'covariance', 'confidence', 'num_views', 'reprojection_error'):
            np.testing.assert_array_equal(getattr(bodies, name)[number, there], getattr(given, name))


def test_sets_of_several_skeletons_are_refused():
    from geo_pose_ros.types import Bodies3D

    with pytest.raises(ShapeError, match=r"skeletons \['body17', 'coco17'\]"):
        BodySequence.from_sets([bodies_at(0), Bodies3D.empty(0, 'world', COCO17)], UP)


def test_a_regular_recording_keeps_its_values_and_a_missing_set_is_interpolated():
    rate_hz, xyz = two_people().regular()
    assert rate_hz == 30.0
    np.testing.assert_array_equal(xyz, two_people().xyz)
    kept = [n for n in range(COUNT) if n not in (3, 12, 13, 14)]
    rate_hz, xyz = two_people(kept).regular()
    assert rate_hz == 30.0 and len(xyz) == COUNT
    truth = two_people().xyz
    np.testing.assert_array_equal(xyz[[2, 4, 11, 15]], truth[[2, 4, 11, 15]])
    np.testing.assert_allclose(xyz[3, 0], (truth[2, 0] + truth[4, 0]) / 2.0, atol=1e-9)
    # Three sets are too many to guess.
    assert np.isnan(xyz[12:15]).all()


@pytest.mark.parametrize('up', [UP, np.array([0.0, -1.0, 0.0]), np.array([1.0, 0.0, 0.0])], ids=str)
def test_axes_turn_right_handed_and_keep_distances(up):
    bodies = two_people(up=up)
    for axis, number in (('y', 1), ('z', 2)):
        turned = bodies.turned(axis)
        np.testing.assert_allclose(turned.xyz[..., number], bodies.xyz @ up, atol=1e-12)
        np.testing.assert_allclose(turned.up, np.eye(3)[number], atol=1e-12)
        triad = bodies.xyz[0, 0, 1:4] - bodies.xyz[0, 0, 0], turned.xyz[0, 0, 1:4] - turned.xyz[0, 0, 0]
        np.testing.assert_allclose(*map(np.linalg.det, triad), atol=1e-12)
        np.testing.assert_allclose(np.trace(turned.covariance[0, 0, 0]), 6e-4)
    # Pose2Sim's: x y z become y z x.
    if up is UP:
        np.testing.assert_allclose(bodies.turned('y').xyz, bodies.xyz[..., [1, 2, 0]], atol=1e-12)


def test_a_figure_shows_each_person():
    figure = two_people().plot()
    above, height = figure.axes
    assert [line.get_label() for line in above.lines] == ['person 4', 'person 9'] and len(height.lines) == 34
    nobody = replace(two_people(), xyz=np.full((COUNT, 2, 17, 3), np.nan))
    assert nobody.plot().axes[1].get_ylim() == (0.0, 2.0)
