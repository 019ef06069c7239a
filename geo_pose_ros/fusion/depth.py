# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Depths of joints from a depth image: a camera with a ruler.

A depth image shows the skin, or clothes, and a joint lies below. How deep depends on the limb, on the direction from
which it is seen, and on what is before it: from the side an arm hides the hip. So the body is filled with spheres at
its lifted pose, and rays through the keypoints say which surface each one shows (docs/fusion.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ..arrays import BoolArray, FloatArray, IntArray
from ..geometry.stats import nan_mean, nan_median
from ..skeleton import BODY17
from .kernels.equations import NEAR_M
from .prior import LiftedViews
from .settings import DepthConfig

# Half the thickness of the body at the joint, m: half the depth of trunk and head, the radius of limbs from their
# circumference; about the means of women and men in ANSUR II (Gordon et al. 2014: chest, waist, buttock depth; head
# length; thigh, calf, ankle, biceps, forearm, wrist circumference). The nose is skin itself.
_HALF_M: Mapping[str, float] = {
    'pelvis': 0.12, 'hip': 0.10, 'knee': 0.06, 'ankle': 0.036, 'spine': 0.115, 'thorax': 0.12, 'nose': 0.01,
    'head': 0.09, 'shoulder': 0.057, 'elbow': 0.043, 'wrist': 0.028,
}
# Clothes and hair, m; and a wearer's girth, its standard deviation as a share of the depth below the surface.
_CLOTHES_M, _GIRTH = 0.01, 0.1
BONE_DEPTH_M: FloatArray = np.array([_HALF_M[name.rsplit('_', 1)[-1]] + _CLOTHES_M for name in BODY17.joint_names])
# The same joint's standard deviation where no pose says from which side it is seen, and what hides it.
_UNPOSED_M = 0.06
# The trunk is broader than deep (hip, waist, chest breadth, the same source): two columns of spheres, at these shares
# of the way from the middle to a hip, a hip and a shoulder.
_TRUNK = {'pelvis': 0.45, 'spine': 0.3, 'thorax': 0.25}
_NECK_M = 0.06
_LIMBS = (('hip', 'knee'), ('knee', 'ankle'), ('shoulder', 'elbow'), ('elbow', 'wrist'))
_SPHERES_PER_BONE = 8
# Keypoints deviate by so much from their joint, m; rays pass it at as much (the points and weights of cubature).
_KEYPOINT_M = 0.02
_BESIDE: FloatArray = np.sqrt(3.0) * _KEYPOINT_M * np.array(((0, 0, 0), (1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0)))
_RAY_WEIGHT: FloatArray = np.array((2.0, 1.0, 1.0, 1.0, 1.0)) / 6.0
# Share and depth, m, of keypoints before which something unknown stands, and of those that miss the body.
_NEARER, _FARTHER = (0.25, 0.5), (0.05, 2.0)
# Standard deviation of the root's distance by perspective, relative.
_PERSPECTIVE = 0.15
# Fewer measured joints tell nothing from what stands before or behind a person.
_LEAST_JOINTS = 3
# At most so many keypoints miss a person, in units of those that show the person.
_MOST_BEHIND = 0.34
_STEPS = 5


def sample_depths(depth_m: NDArray[np.float32], xy: FloatArray, size_px: tuple[int, int]) -> FloatArray:
    """Return (P, J) m, the median depth of 3 x 3 pixels at each keypoint, NaN where the image has none.

    Args:
        depth_m: (H, W) m, registered to the colour image; 0 or not finite where not measured.
        xy: (P, J, 2) px of the colour image, NaN = not seen.
        size_px: width and height of the colour image.
    """
    height, width = depth_m.shape
    scale = np.array((width, height)) / size_px
    at = np.floor((xy + 0.5) * scale)
    inside = np.asarray(((at >= 0.0) & (at < (width, height))).all(-1))
    column, row = np.where(inside[..., None], at, 0.0).astype(np.int64).transpose(2, 0, 1)
    near = np.arange(-1, 2)
    window = depth_m[
        np.clip(row[..., None, None] + near[:, None], 0, height - 1),
        np.clip(column[..., None, None] + near, 0, width - 1),
    ].reshape(*row.shape, 9).astype(np.float64)
    window[~(np.isfinite(window) & (window > 0.0))] = np.nan
    found = nan_median(window)
    found[~inside] = np.nan
    return found


def beside_body(surface_m: FloatArray, seen: BoolArray, config: DepthConfig) -> BoolArray:
    """Return (D, J) which keypoints miss their person: the image shows there what stands behind, as it does a wall.

    They are few beside those on the person. Where they are not, something stands before the person instead.

    Args:
        surface_m: (D, J) m, depths of the surface at the keypoints of D detections, NaN = not measured.
        seen: (D, J) keypoints that are no guesses.
        config: how far a person reaches.
    """
    middle = nan_median(np.where(seen, surface_m, np.nan))[:, None]
    on_body = _on_body(surface_m, middle, config).sum(1, keepdims=True)
    behind = surface_m > middle + config.reach_m
    return np.asarray(behind & (behind.sum(1, keepdims=True) <= _MOST_BEHIND * on_body))


def _on_body(surface_m: FloatArray, middle_m: FloatArray, config: DepthConfig) -> BoolArray:
    """Return (D, J) which surfaces are within a person's reach of ``middle_m`` (D, 1); none where these are too few."""
    near = np.abs(surface_m - middle_m) <= config.reach_m
    return np.asarray(near & (near.sum(1, keepdims=True) >= _LEAST_JOINTS))


def joint_depths(surface_m: FloatArray, config: DepthConfig) -> FloatArray:
    """Return (D, 17, 2) m and 1/m, each joint's depth and 1 / its standard deviation, 0 where not measured.

    What hides a joint is not known yet: ``pose_depths`` says it.

    Args:
        surface_m: (D, 17) m, depths of the surface at the keypoints of D detections, NaN = not measured.
        config: noise, and how far a person reaches.
    """
    measured = _on_body(surface_m, nan_median(surface_m)[:, None], config)
    depth = np.where(measured, surface_m, 0.0)
    sigma = np.hypot(_UNPOSED_M, config.noise_per_m * depth * depth)
    return np.stack([np.where(measured, depth + BONE_DEPTH_M, 0.0), np.where(measured, 1.0 / sigma, 0.0)], -1)


def pose_depths(depth: FloatArray, xn: FloatArray, cam_from_world: FloatArray, lifted: LiftedViews) -> FloatArray:
    """Return ``joint_depths`` (C, B, 17, 2) given lifted poses of B bodies: what is below which surface, and how sure.

    The root's depth is where most depths put it: of each joint by the surface that its keypoint shows, by a surface
    beside that, or by something unknown, which is rather nearer than the body (a mixture, by expectation and
    maximisation). What is unlikely to be the body loses weight. Girth errs alike at all joints: they count as one.

    Args:
        depth: of ``joint_depths``; bodies without a lifted pose before the camera keep theirs.
        xn: (C, B, 17, 2) undistorted normalised keypoints, NaN = not seen.
        cam_from_world: (C, 3, 4).
        lifted: of the bodies.
    """
    mean_pose, mean_root = nan_mean(lifted.pose, 0), nan_mean(lifted.root, 0)
    ahead = cam_from_world[:, 2, :3] @ mean_root.T + cam_from_world[:, 2, 3:] > NEAR_M
    camera, body = np.nonzero((depth[..., 1] > 0.0).any(-1) & ahead & np.isfinite(mean_pose).all((1, 2)))
    if not len(camera):
        return depth
    P, given = cam_from_world[camera], depth[camera, body]
    pose = mean_pose[body] @ np.swapaxes(P[:, :, :3], 1, 2)
    root = (P[:, :, :3] @ mean_root[body][..., None])[..., 0] + P[:, :, 3]
    measured = given[..., 1] > 0.0
    below, sphere = _meet_surface(pose + root[:, None], xn[camera, body])
    at = (given[..., 0] - BONE_DEPTH_M)[..., None] + below
    possible = np.isfinite(at) & measured[..., None]
    at, below = np.where(possible, at, 0.0), np.where(possible, below, 0.0)
    from_root2, from_joint2 = _lifted_variances(nan_mean(lifted.sigma, 0)[body], sphere)
    noise2 = np.where(measured, 1.0 / np.maximum(given[..., 1], 1e-6) ** 2 - _UNPOSED_M**2, 1.0)[..., None]
    own2 = np.maximum(noise2, 0.0) + _CLOTHES_M**2
    root2, weight = own2 + (_GIRTH * below) ** 2 + from_root2, np.where(possible, _RAY_WEIGHT, 0.0)
    likely, root_m, root_m2 = _weigh_surfaces(at - pose[..., None, 2], root2, weight, root[:, 2])
    total = likely.sum(-1)
    share = likely / np.maximum(total, 1e-9)[..., None]
    joint, girth = (share * at).sum(-1), _GIRTH * (share * below).sum(-1)
    variance = (share * (own2 + from_joint2 + (at - joint[..., None]) ** 2)).sum(-1)
    variance += np.where(total > 0.0, total.sum(-1)[:, None] * girth**2, 1.0)
    # The pelvis is where all joints put it; they err alike, so that n of them count as sqrt(n).
    joint[:, 0], variance[:, 0] = root_m, root_m2 * np.sqrt(total.sum(-1)) + (_GIRTH * BONE_DEPTH_M[0]) ** 2
    total[:, 0] = 1.0
    posed = depth.copy()
    posed[camera, body] = np.stack([joint, np.sqrt(total / variance)], -1) * (total > 1e-6)[..., None]
    return posed


def _lifted_variances(sigma_m: FloatArray, sphere: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return (N, J, R) m^2 of the lifted depth between the root, and between the joint, and the ``sphere`` it shows.

    Args:
        sigma_m: (N, J) m of lifted joints, which are relative to the pelvis.
        sphere: (N, J, R) index.
    """
    weights, body = _fill_body()[0], np.arange(len(sphere))[:, None, None]
    joint2 = np.where(np.arange(len(BODY17)) > 0, sigma_m * sigma_m, 0.0)
    from_root2 = (joint2 @ (weights * weights).T)[body, sphere]
    shared = weights[sphere, np.arange(len(BODY17))[:, None]]
    return from_root2, from_root2 + (1.0 - 2.0 * shared) * joint2[..., None]


def _weigh_surfaces(
    at: FloatArray, variance: FloatArray, weight: FloatArray, distance: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return how likely each joint's depth is that of each of R surfaces, and the root's depth and variance.

    (N, J, R), what remains is something else's; (N,) m; (N,) m^2.

    Args:
        at: (N, J, R) m, the root's depth by each surface.
        variance: (N, J, R) m^2 of ``at``.
        weight: (N, J, R) of surfaces before anything is measured, 0 where there is none.
        distance: (N,) m, the root's depth by perspective.
    """
    body = (1.0 - _NEARER[0] - _FARTHER[0]) * weight / np.sqrt(2.0 * np.pi * variance)
    first, spread = at[..., 0], 1.0 / (_PERSPECTIVE * distance) ** 2

    def densities(root: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return those of surfaces (K, N, J, R), and with something else's (K, N, J), of K roots (K, N) m."""
        away = first - root[..., None]
        other = np.where((away < 0.0) & (away > -_NEARER[1]), _NEARER[0] / _NEARER[1], _FARTHER[0] / _FARTHER[1])
        surface = body * np.exp(-0.5 * (at - root[..., None, None]) ** 2 / variance)
        return surface, surface.sum(-1) + other

    # Each joint by the surface at its keypoint, and the distance itself, are where the search may begin.
    begin = np.concatenate([np.where(weight[..., 0] > 0.0, first, distance[:, None]).T, distance[None]])
    score = np.log(densities(begin)[1]).sum(-1) - 0.5 * spread * (begin - distance) ** 2
    root = begin[score.argmax(0), np.arange(len(at))]
    for _ in range(_STEPS):
        surface, every = densities(root[None])
        likely = surface[0] / every[0, ..., None]
        pull = likely / variance
        information = pull.sum((1, 2)) + spread
        root = ((pull * at).sum((1, 2)) + spread * distance) / information
    return likely, root, 1.0 / information


def _meet_surface(joints: FloatArray, xn: FloatArray) -> tuple[FloatArray, IntArray]:
    """Return what rays through, and beside, the keypoints meet first: how much deeper the joint lies, and the sphere.

    (N, J, R) m, NaN where they meet nothing, and the index.

    Args:
        joints: (N, J, 3) m in the camera's frame; where the keypoint is seen, only the depth is used.
        xn: (N, J, 2) normalised keypoints, NaN = not seen.
    """
    ray = np.where(np.isfinite(xn), xn, joints[..., :2] / joints[..., 2:])
    ray = np.concatenate([ray, np.ones((*ray.shape[:-1], 1))], -1)
    joints = ray * joints[..., 2:]
    ray /= np.linalg.norm(ray, axis=-1, keepdims=True)
    centres, radii = _fill_body()
    # |t ray - away| = radius, the nearer solution.
    away = (centres @ joints)[:, None, None] - (joints[:, :, None] + _BESIDE)[..., None, :]
    along = (away @ ray[:, :, None, :, None])[..., 0]
    room = radii * radii - ((away * away).sum(-1) - along * along)
    met = np.where(room >= 0.0, along - np.sqrt(np.maximum(room, 0.0)), np.inf)
    nearest = met.min(-1)
    return np.where(np.isfinite(nearest), -nearest * ray[..., None, 2], np.nan), met.argmin(-1)


@cache
def _fill_body() -> tuple[FloatArray, FloatArray]:
    """Return (S, 17) weights of the joints whose sum is the centre of each sphere in a body, and (S,) radii m."""
    spheres = [row for a, b, first, last in _bones() for row in np.linspace((*a, first), (*b, last), _SPHERES_PER_BONE)]
    return np.array(spheres)[:, :-1], np.array(spheres)[:, -1] + _CLOTHES_M


def _bones() -> Iterator[tuple[FloatArray, FloatArray, float, float]]:
    """Yield both ends of each bone, as weights (17,) of joints, and the body's radius there, m."""
    at = dict(zip(BODY17.joint_names, np.eye(len(BODY17)), strict=True))
    yield at['thorax'], at['head'], _NECK_M, _HALF_M['head']
    for side in ('left', 'right'):
        hip, shoulder = at[f'{side}_hip'] - at['pelvis'], at[f'{side}_shoulder'] - at['thorax']
        low, waist, chest = (
            at[joint] + _TRUNK[joint] * out for joint, out in zip(_TRUNK, (hip, hip, shoulder), strict=True)
        )
        yield low, waist, _HALF_M['pelvis'], _HALF_M['spine']
        yield waist, chest, _HALF_M['spine'], _HALF_M['thorax']
        yield chest, at[f'{side}_shoulder'], _HALF_M['thorax'], _HALF_M['shoulder']
        for first, last in _LIMBS:
            yield at[f'{side}_{first}'], at[f'{side}_{last}'], _HALF_M[first], _HALF_M[last]
