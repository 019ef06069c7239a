"""One body from its views: sides and outliers."""

import numpy as np
import pytest

from geo_pose_ros.config import TriangulationConfig
from geo_pose_ros.errors import ShapeError
from geo_pose_ros.fusion.body import extent_scale, triangulate_body
from geo_pose_ros.fusion.left_right import limb_groups, suspected_swap
from geo_pose_ros.geometry.projection import normalize
from geo_pose_ros.skeleton import BLAZEPOSE33, BODY17

from ..scenes import keypoints, person, ring_rig

CONFIG = TriangulationConfig()
LEGS, ARMS = limb_groups(BODY17)


def scene(cameras=4, noise_px=2.0):
    rig, truth = ring_rig(cameras), person(2)
    seen = keypoints(rig, [truth], noise_px=noise_px)
    xn = np.stack([normalize(c.intrinsics, seen[c.name].xy[0]) for c in rig.cameras])
    P = np.stack([c.cam_from_world for c in rig.cameras])
    return P, np.full(cameras, 902.5), xn, np.ones((cameras, 17)), truth


def swap(xn, view, group):
    pairs = np.array(group)
    xn[view, np.concatenate([pairs[:, 0], pairs[:, 1]])] = xn[view, np.concatenate([pairs[:, 1], pairs[:, 0]])]


def test_limb_groups():
    assert LEGS == ((4, 1), (5, 2), (6, 3))
    assert ARMS == ((11, 14), (12, 15), (13, 16))
    assert [len(g) for g in limb_groups(BLAZEPOSE33)] == [3, 3]


@pytest.mark.parametrize('groups', [(LEGS,), (ARMS,), (LEGS, ARMS)])
@pytest.mark.parametrize('view', range(4))
def test_swapped_sides_of_one_view_are_exchanged_back(groups, view):
    P, focal, xn, confidence, truth = scene()
    clean = triangulate_body(P, focal, xn, confidence, BODY17, CONFIG)[0]
    for group in groups:
        swap(xn, view, group)
    found, used = triangulate_body(P, focal, xn, confidence, BODY17, CONFIG)
    assert used.swaps == len(groups)
    np.testing.assert_allclose(found.xyz, clean.xyz, atol=1e-9)
    assert np.linalg.norm(found.xyz - truth, axis=1).max() < 0.03


def test_nothing_is_exchanged_in_a_clean_body_nor_with_two_views():
    P, focal, xn, confidence, _ = scene()
    assert triangulate_body(P, focal, xn, confidence, BODY17, CONFIG)[1].swaps == 0
    P, focal, xn, confidence, _ = scene(2)
    swap(xn, 0, LEGS)
    assert triangulate_body(P, focal, xn, confidence, BODY17, CONFIG)[1].swaps == 0


def test_inputs_are_left_alone():
    P, focal, xn, confidence, _ = scene()
    swap(xn, 1, ARMS)
    before = xn.copy(), confidence.copy()
    triangulate_body(P, focal, xn, confidence, BODY17, CONFIG)
    np.testing.assert_array_equal(xn, before[0])
    np.testing.assert_array_equal(confidence, before[1])


def test_residuals_are_raw_pixels():
    P, focal, xn, confidence, _ = scene(noise_px=0.0)
    xn[2, 9, 0] += 200.0 / 902.5
    found, _ = triangulate_body(P, focal, xn, confidence, BODY17, CONFIG)
    assert found.residual_px[2, 9] == pytest.approx(200.0, rel=1e-3)
    assert not found.inliers[2, 9]


def test_extent_scale_follows_the_size_in_the_image():
    xn = np.zeros((3, 2, 2))
    xn[0, 1] = (0.0, 0.5)
    xn[1, 1] = (0.25, 0.1)
    xn[2] = np.nan
    np.testing.assert_allclose(extent_scale(np.full(3, 1200.0), xn), [1.0, 2.0, 1.0])


def test_suspected_swap_refuses_another_skeleton():
    P, focal, xn, _, truth = scene()
    with pytest.raises(ShapeError, match=r'expected \(C, 17, 2\)'):
        suspected_swap(P, focal, xn[:, :5], truth[:5], BODY17, 60.0)
