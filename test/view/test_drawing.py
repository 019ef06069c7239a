# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Drawings show the body where it is."""

import cv2
import numpy as np
import pytest

from geo_pose_ros.colours import PALETTE, joint_colours, rgb_of
from geo_pose_ros.errors import ShapeError
from geo_pose_ros.geometry.projection import project_world
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Bodies3D, Frame
from geo_pose_ros.view.drawing import draw_skeleton, overlay, plot_bodies

from ..evaluation.moving import bodies_at
from ..scenes import HEIGHT, WIDTH, keypoints, person, ring_rig


def sides(body_id):
    """Return the BGR colours of a body's left, right and middle."""
    colours = joint_colours(BODY17, body_id)[:, ::-1].astype(int)
    return [tuple(colours[BODY17.index(name)].tolist()) for name in ('left_wrist', 'right_wrist', 'head')]


def test_bodies_have_colours_of_their_own_and_their_sides_shades():
    everybody = [shade for body_id in (*range(len(PALETTE)), None) for shade in sides(body_id)]
    apart = np.abs(np.array(everybody)[:, None] - np.array(everybody)).max(-1) + 999 * np.eye(len(everybody), dtype=int)
    assert apart.min() > 12
    for body_id in (0, 3, None):
        left, right, middle = (sum(shade) for shade in sides(body_id))
        assert left > middle + 60 and middle > right + 60
    assert rgb_of(0).tolist() == rgb_of(len(PALETTE)).tolist() == [15, 127, 209]


def test_joints_are_painted_at_their_pixels_the_fainter_the_less_confident_and_missing_ones_nowhere():
    image = np.zeros((200, 300, 3), np.uint8)
    xy, confidence = np.full((1, 17, 2), np.nan), np.ones((1, 17))
    at = {'left_wrist': (150.0, 80.0), 'right_wrist': (50.0, 80.0), 'head': (250.0, 80.0), 'left_ankle': (150.0, 20.0)}
    for name, point in at.items():
        xy[0, BODY17.index(name)] = point
    confidence[0, BODY17.index('left_ankle')] = 0.0
    # A joint far away does not overflow.
    xy[0, BODY17.index('left_elbow')] = 1e12, -1e12
    draw_skeleton(image, xy, confidence, BODY17, [1])
    left, right, middle = sides(1)
    painted = [tuple(image[round(y), round(x)]) for x, y in at.values()]
    assert painted == [left, right, middle, tuple(int(c * 0.35) for c in left)]
    offsets = np.argwhere(image.any(-1))[:, None, ::-1] - np.array(list(at.values()))
    assert np.abs(offsets).max(-1).min(1).max() <= 4


def test_shapes_are_refused():
    with pytest.raises(ShapeError, match=r'xy \(17, 2\).*expected \(P, 17, 2\)'):
        draw_skeleton(np.zeros((9, 9, 3), np.uint8), np.zeros((17, 2)), np.ones((1, 17)), BODY17)
    with pytest.raises(ShapeError, match='received no frame'):
        overlay(ring_rig(2), {}, {}, bodies_at(0, (person(),)))
    with pytest.raises(ShapeError, match='received no joint'):
        plot_bodies('never.png', [('empty', [Bodies3D.empty(0, 'world', BODY17)])])


@pytest.mark.parametrize('reduction', [1, 2])
def test_overlay_puts_the_reprojected_joints_into_every_view(reduction):
    rig, truth = ring_rig(3), person()
    image = np.zeros((HEIGHT // reduction, WIDTH // reduction, 3), np.uint8)
    frames = {name: Frame(name, 0, image, reduction) for name in rig.names[:2]}
    drawn = overlay(rig, frames, keypoints(rig, [truth]), bodies_at(0, (truth,)), height_px=HEIGHT // 2)
    assert drawn.shape == (HEIGHT // 2, WIDTH, 3)
    for panel, name in enumerate(rig.names[:2]):
        x, y = (project_world(rig[name], truth)[13] + 0.5) / 2.0 - 0.5
        column = round(x) + panel * WIDTH // 2
        assert tuple(drawn[round(y), column]) == sides(0)[0]


def test_plot_bodies_draws_both_sides(tmp_path):
    path = tmp_path / 'bodies.png'
    one, two, three = (bodies_at(0, (person(seed),)) for seed in range(3))
    plot_bodies(path, [('one', [one]), ('two', [two, three])], ring_rig(2))
    colours = {tuple(c) for c in cv2.imread(str(path)).reshape(-1, 3)}
    assert set(sides(0)[:2]) <= colours
