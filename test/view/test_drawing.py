"""Drawings show the body where it is."""

import cv2
import numpy as np
import pytest

from geo_pose_ros.errors import ShapeError
from geo_pose_ros.geometry.projection import project_world
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Bodies3D, Frame
from geo_pose_ros.view.drawing import LEFT, RIGHT, draw_skeleton, joint_colours, overlay, plot_bodies

from ..evaluation.moving import bodies_at
from ..scenes import HEIGHT, WIDTH, keypoints, person, ring_rig


def test_colours_tell_left_from_right():
    colours = joint_colours(BODY17)
    assert colours[BODY17.index('left_wrist')] == LEFT
    assert colours[BODY17.index('right_wrist')] == RIGHT
    assert colours[BODY17.index('head')] not in (LEFT, RIGHT)


def test_joints_are_painted_at_their_pixels_and_missing_ones_nowhere():
    image = np.zeros((200, 300, 3), np.uint8)
    xy = np.full((1, 17, 2), np.nan)
    xy[0, BODY17.index('left_wrist')] = (150.0, 80.0)
    draw_skeleton(image, xy, np.ones((1, 17)), BODY17)
    assert tuple(image[80, 150]) == LEFT
    painted = np.argwhere(image.any(-1))
    assert np.abs(painted - (80, 150)).max() <= 3


def test_low_confidence_is_fainter_and_far_points_do_not_overflow():
    image = np.zeros((200, 300, 3), np.uint8)
    xy = np.full((1, 17, 2), np.nan)
    xy[0, 13], xy[0, 12] = (150.0, 80.0), (1e12, -1e12)
    draw_skeleton(image, xy, np.zeros((1, 17)), BODY17)
    assert tuple(image[80, 150]) == tuple(int(c * 0.35) for c in LEFT)
    assert np.abs(np.argwhere(image.any(-1)) - (80, 150)).max() <= 3


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
        assert tuple(drawn[round(y), column]) == LEFT


def test_plot_bodies_draws_both_sides(tmp_path):
    path = tmp_path / 'bodies.png'
    one, two, three = (bodies_at(0, (person(seed),)) for seed in range(3))
    plot_bodies(path, [('one', [one]), ('two', [two, three])], ring_rig(2))
    colours = {tuple(c) for c in cv2.imread(str(path)).reshape(-1, 3)}
    assert LEFT in colours
    assert RIGHT in colours
