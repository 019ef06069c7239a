"""New people: detections that are assigned to no known body, grouped across the cameras.

Every pair of detections of two cameras whose rays nearly meet, at depths at which both look equally large, is a
hypothesis: a body at the midpoints of its rays (Hartley & Zisserman 12.1). Hypotheses of one person lie together
and accidents are scattered, so the hypothesis with most others around it collects its detections from all cameras
first, and these are no longer free. The groups are then triangulated, and their detections assigned once more.
Candidates are limited before joints are compared: a camera is paired with those that look at the same place from
another side, and pairs of detections are compared by their centres first.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.spatial import cKDTree

from ..arrays import BoolArray, FloatArray, IntArray
from ..geometry.rays import bearings, closest_points
from ..geometry.stats import nan_mean
from ..geometry.triangulation import triangulate_dlt
from .association import assign_detections
from .views import CAP_M, Cameras, Detections, lateral_distance, mean_capped, nearby

# Up to so many detections every pair of cameras is tried; beyond, each camera is paired with _PARTNERS others.
_FEW_DETECTIONS = 80
_PARTNERS = 5
# Distance of the point that a camera is assumed to be aimed at, m.
_TARGET_M = 4.0
# Axes of partners differ by at least this, rad: rays that are nearly parallel meet anywhere.
_LEAST_ANGLE_RAD = 0.25
# Central rays of two detections of one person pass each other within this, m: each may see other joints.
_CENTRES_M = 0.35
# Spread of a person's joints, m, and how much it may differ between two views that see other joints.
_SPREAD_M = (0.12, 1.0)
_SPREAD_RATIO = 2.5
# Hypotheses of one person lie within this of each other, m.
_SAME_HYPOTHESIS_M = 0.25
# Pairs of detections whose joints are compared together: bounds memory.
_PAIRS_AT_ONCE = 4096
# Hypotheses that collect their detections together.
_HYPOTHESES_AT_ONCE = 64


@dataclass(frozen=True, slots=True, eq=False)
class Rays:
    """Rays of D detections in the world.

    Attributes:
        origin: (D, 3) m, the camera's centre.
        direction: (D, J, 3) unit vectors.
        centre: (D, 3) unit vector to the middle of the detection.
        spread: (D,) root mean square distance of the joints from their middle, at focal length 1.
        seen: (D, J).
    """

    origin: FloatArray
    direction: FloatArray
    centre: FloatArray
    spread: FloatArray
    seen: BoolArray

    @classmethod
    def of(cls, cam_from_world: FloatArray, detections: Detections, index: IntArray) -> Rays:
        """Return the rays of the detections ``index`` (D,) of cameras (C, 3, 4)."""
        pose = cam_from_world[detections.camera[index]]
        R, t = pose[:, :, :3], pose[:, :, 3:]
        origin = -(np.swapaxes(R, -1, -2) @ t)[..., 0]
        seen, xn, middle = detections.seen[index], detections.xn[index], detections.centre[index]
        off = np.where(seen[..., None], xn - middle[:, None], 0.0)
        spread = np.sqrt((off * off).sum((1, 2)) / np.maximum(seen.sum(1), 1))
        return cls(origin, bearings(xn) @ R, (bearings(middle)[:, None] @ R)[:, 0], spread, seen)


def ray_distance(rays: Rays, first: IntArray, second: IntArray) -> FloatArray:
    """Return (K,) m, how far the rays of pairs of detections pass each other, on average."""
    apart = np.zeros(len(first))
    for start in range(0, len(first), _PAIRS_AT_ONCE):
        some = slice(start, start + _PAIRS_AT_ONCE)
        a, b = first[some], second[some]
        base = (rays.origin[b] - rays.origin[a])[:, None]
        distance, s, t = closest_points(base, rays.direction[a], rays.direction[b])
        ahead = (s > 0.0) & (t > 0.0)
        apart[some] = mean_capped(np.where(ahead, distance, CAP_M), rays.seen[a] & rays.seen[b])
    return apart


def midpoints(rays: Rays, first: IntArray, second: IntArray) -> FloatArray:
    """Return (K, J, 3) m, where the rays of pairs of detections are closest to each other, NaN where not seen."""
    base = (rays.origin[second] - rays.origin[first])[:, None]
    u, v = rays.direction[first], rays.direction[second]
    _, s, t = closest_points(base, u, v)
    both = (rays.seen[first] & rays.seen[second])[..., None]
    return np.where(both, rays.origin[first][:, None] + 0.5 * (s[..., None] * u + base + t[..., None] * v), np.nan)


def partners(cam_from_world: FloatArray) -> BoolArray:
    """Return (C, C) symmetric: cameras that look at one place from different sides, about _PARTNERS of each."""
    cameras = len(cam_from_world)
    axis = cam_from_world[:, 2, :3]
    origin = -(np.swapaxes(cam_from_world[:, :, :3], -1, -2) @ cam_from_world[:, :, 3:])[..., 0]
    target = origin + _TARGET_M * axis
    apart = np.linalg.norm(target[:, None] - target[None], axis=-1)
    angle = np.arccos(np.clip(axis @ axis.T, -1.0, 1.0))
    # Opposite cameras see the same two sides of everything: as bad as parallel ones.
    useful = (angle > _LEAST_ANGLE_RAD) & (angle < np.pi - _LEAST_ANGLE_RAD)
    price = np.where(useful, apart, apart + 100.0)
    np.fill_diagonal(price, np.inf)
    chosen = np.zeros((cameras, cameras), bool)
    best = np.argsort(price, 1)[:, : min(_PARTNERS, cameras - 1)]
    chosen[np.arange(cameras)[:, None], best] = True
    return chosen | chosen.T


def group(
    cameras: Cameras, detections: Detections, free: IntArray, gate_m: float, new_gate_m: float, needed: int
) -> IntArray:
    """Group detections into new people.

    Args:
        cameras: C cameras.
        detections: D detections.
        free: (F,) indices of those that are assigned to no known body.
        gate_m: largest distance of a body from its detection.
        new_gate_m: largest mean distance between the rays of two detections of one person.
        needed: views that a new person must have.

    Returns:
        (G, C) the detection of each new person in each camera, -1 for none; those with most views first.
    """
    count = len(cameras)
    nobody = np.full((0, count), -1)
    if not len(free):
        return nobody
    if needed <= 1:
        alone = np.full((len(free), count), -1)
        alone[np.arange(len(free)), detections.camera[free]] = free
        if count == 1 or len(np.unique(detections.camera[free])) == 1:
            return alone
    views = _collect(cameras, detections, free, _hypotheses(cameras, detections, free, new_gate_m), gate_m)
    if len(views):
        views = _refine(cameras, detections, free, views, gate_m)
    if needed <= 1:
        left = np.setdiff1d(free, views[views >= 0])
        alone = np.full((len(left), count), -1)
        alone[np.arange(len(left)), detections.camera[left]] = left
        views = np.concatenate([views, alone])
    return np.asarray(views[(views >= 0).sum(1) >= needed])


def _hypotheses(
    cameras: Cameras, detections: Detections, free: IntArray, new_gate_m: float
) -> FloatArray:
    """Return the hypotheses, bodies of joints (H, J, 3) m, the strongest first."""
    camera = detections.camera[free]
    rays = Rays.of(cameras.cam_from_world, detections, free)
    if len(free) <= _FEW_DETECTIONS:
        paired = ~np.eye(len(cameras), dtype=bool)
    else:
        paired = partners(cameras.cam_from_world)
    first, second = np.nonzero(np.triu(paired[camera[:, None], camera], 1))
    distance, s, t = closest_points(
        rays.origin[second] - rays.origin[first], rays.centre[first], rays.centre[second]
    )
    larger, smaller = rays.spread[first] * s, rays.spread[second] * t
    larger, smaller = np.maximum(larger, smaller), np.minimum(larger, smaller)
    plausible = (s > 0.0) & (t > 0.0) & (distance < _CENTRES_M) & (larger < _SPREAD_RATIO * smaller)
    plausible &= (smaller > _SPREAD_M[0]) & (larger < _SPREAD_M[1])
    first, second = first[plausible], second[plausible]
    apart = ray_distance(rays, first, second)
    good = apart < new_gate_m
    apart, middle = apart[good], midpoints(rays, first[good], second[good])
    if not len(apart):
        return middle
    torso = nan_mean(middle, 1)
    # Near hypotheses count fully, and good ones more than poor ones.
    quality = 1.0 - apart / new_gate_m
    around = cKDTree(torso).query_ball_point(torso, _SAME_HYPOTHESIS_M)
    strength = np.array([quality[list(near)].sum() for near in around])
    taken = np.zeros(len(apart), bool)
    hypotheses = []
    for best in np.argsort(-strength, kind='stable').tolist():
        if taken[best]:
            continue
        near = [n for n in around[best] if not taken[n]]
        taken[near] = True
        hypotheses.append(nan_mean(middle[near], 0))
    return np.array(hypotheses)


def _collect(
    cameras: Cameras, detections: Detections, free: IntArray, hypotheses: FloatArray, gate_m: float
) -> IntArray:
    """Give each hypothesis in turn the free detections near it; return (G, C) of those with two or more."""
    is_free = np.zeros(len(detections), bool)
    is_free[free] = True
    found: list[IntArray] = []
    # The first hypotheses collect almost all, so that the many accidents behind them meet few detections.
    for start in range(0, len(hypotheses), _HYPOTHESES_AT_ONCE):
        left = np.flatnonzero(is_free)
        if len(left) < 2:
            break
        local = cameras.see(hypotheses[start : start + _HYPOTHESES_AT_ONCE])
        found += _explained(local, detections.select(left), left, is_free, gate_m)
    return np.array(found) if found else np.full((0, len(cameras)), -1)


def _explained(
    local: FloatArray, detections: Detections, names: IntArray, is_free: BoolArray, gate_m: float
) -> list[IntArray]:
    """Return a row (C,) of ``names`` for each hypothesis (C, K, J, 3) with two or more detections near it.

    These detections are not free any more.
    """
    body, detection = nearby(local, detections, 2.0 * CAP_M)
    distance = lateral_distance(local, detections, body, detection)
    near = distance < gate_m
    body, detection, distance = body[near], detection[near], distance[near]
    order = np.lexsort((distance, body))
    name, camera = names[detection[order]].tolist(), detections.camera[detection[order]].tolist()
    cuts = np.searchsorted(body[order], np.arange(local.shape[1] + 1)).tolist()
    rows = []
    for first, end in pairwise(cuts):
        row = np.full(local.shape[0], -1)
        for n, c in zip(name[first:end], camera[first:end], strict=True):
            if is_free[n] and row[c] < 0:
                row[c] = n
        members = row[row >= 0]
        if len(members) >= 2:
            is_free[members] = False
            rows.append(row)
    return rows


def _refine(
    cameras: Cameras, detections: Detections, free: IntArray, views: IntArray, gate_m: float
) -> IntArray:
    """Triangulate the groups and assign the free detections to them anew; (G, C), those with most views first."""
    found = detections.gather(views)
    xyz = triangulate_dlt(
        cameras.cam_from_world, found.xn.reshape(len(cameras), -1, 2), found.confidence.reshape(len(cameras), -1)
    ).reshape(len(views), -1, 3)
    seen_by = (views >= 0).sum(1)
    again, _ = assign_detections(
        cameras.see(xyz), detections.select(free), np.full(len(xyz), gate_m), seen_by / seen_by.max()
    )
    again = np.where(again >= 0, free[again], -1)
    count = (again >= 0).sum(1)
    order = np.argsort(-count, kind='stable')
    return np.asarray(again[order[count[order] >= 2]])
