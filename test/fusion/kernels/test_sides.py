# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Compiled suspicions of exchanged sides, and their repair, against slow ones in numpy."""

import numpy as np
import pytest

from geo_pose_ros.fusion.kernels.sides import find_suspects
from geo_pose_ros.fusion.left_right import LIMBS, Sides
from geo_pose_ros.fusion.settings import SolverConfig
from geo_pose_ros.fusion.solver import keypoints_table, model_table, solve
from geo_pose_ros.skeleton import BODY17, mirror_of

from ..people import crowd, ring

MIRROR = np.array(mirror_of(BODY17))
CAMERAS, FOCAL_PX, CONFIG = ring(5).cam_from_world, np.full(5, 900.0), SolverConfig()


def project(P: np.ndarray, points: np.ndarray) -> np.ndarray:
    local = points @ P[:, :3].T + P[:, 3]
    return local[..., :2] / local[..., 2:]


@pytest.fixture(params=range(4), ids='seed {}'.format)
def scene(request) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Keypoints (5, 3, 17, 2) with noise, gaps and exchanged sides, weights, truth, and the exchanges (2, 5, 3)."""
    rng, truth = np.random.default_rng(request.param), crowd(3)
    xn = np.stack([project(P, truth) for P in CAMERAS]) + rng.normal(0.0, 0.004, (5, 3, 17, 2))
    exchanged = rng.random((2, 5, 3)) < 0.12
    for g, c, b in np.argwhere(exchanged):
        xn[c, b, LIMBS[g]] = xn[c, b, MIRROR[LIMBS[g]]]
    xn[rng.random((5, 3, 17)) < 0.1] = np.nan
    return xn, np.where(np.isfinite(xn[..., 0]), rng.uniform(0.05, 0.12, (5, 3, 17)), 0.0), truth, exchanged


def lower_median(values: np.ndarray) -> float:
    known = np.sort(values[np.isfinite(values)])
    return known[(len(known) - 1) // 2] if len(known) else np.nan


def test_views_are_against_a_prediction_where_mirrored_labels_are_clearly_nearer(scene):
    xn, weights, truth, _ = scene
    predicted = truth + np.random.default_rng(9).normal(0.0, 0.05, truth.shape)
    found = Sides(keypoints_table(CAMERAS, FOCAL_PX, xn, weights, None), weights).against(predicted)
    expected = np.zeros(found.shape, bool)
    for g, b in np.ndindex(2, 3):
        ratio = np.array([
            lower_median(np.linalg.norm(xn[c, b, MIRROR[LIMBS[g]]] - seen, axis=-1))
            / lower_median(np.linalg.norm(xn[c, b, LIMBS[g]] - seen, axis=-1))
            for c, seen in enumerate(project(P, predicted[b, LIMBS[g]]) for P in CAMERAS)
        ])
        expected[g, :, b] = (ratio < 0.5) & ((ratio < 0.5).sum() <= (ratio > 2.0).sum())
    np.testing.assert_array_equal(found, expected)


def cost(squared: np.ndarray) -> float:
    """Return Geman and McClure's cost of squared residuals, in units of the scale."""
    squared = squared[np.isfinite(squared)]
    return float((squared / (1.0 + squared)).sum())


def test_a_body_is_suspect_where_half_a_limb_disagrees_and_fits_better_mirrored(scene):
    xn, weights, _, exchanged = scene
    solved, suspects = solve(CAMERAS, FOCAL_PX, xn, weights, CONFIG), np.empty(3, bool)
    given = keypoints_table(CAMERAS, FOCAL_PX, xn, weights, None)
    find_suspects(given, solved, CONFIG.robust_sigmas, suspects)
    expected = np.zeros(3, bool)
    for g, c, b in np.ndindex(2, 5, 3):
        limb, sharp = LIMBS[g], weights[c, b, LIMBS[g]] / CONFIG.robust_sigmas
        mirrored = np.linalg.norm(project(CAMERAS[c], solved.xyz[b, limb]) - xn[c, b, MIRROR[limb]], axis=-1)
        used = sharp > 0.0
        outliers = (used & ~solved.inlier[c, b, limb]).sum()
        own = cost((solved.residual_px[c, b, limb] * sharp)[used] ** 2)
        expected[b] |= outliers >= 3 and cost((mirrored * FOCAL_PX[c] * sharp)[used] ** 2) < 0.8 * own
    np.testing.assert_array_equal(suspects, expected)
    assert not suspects[~exchanged.any((0, 1))].any()


def test_a_repair_exchanges_back_what_was_exchanged_and_its_weights(scene):
    xn, weights, truth, exchanged = scene
    given = keypoints_table(CAMERAS, FOCAL_PX, xn, weights, None)
    sides = Sides(given, weights * 8.0)
    few = np.flatnonzero(exchanged.sum((0, 1)) <= 2)
    changed = sides.repair(few, model_table(CONFIG, None, 5))
    assert changed.tolist() == [b for b in few if exchanged[:, :, b].any()]
    np.testing.assert_array_equal(sides.exchanged[:, :, few], exchanged[:, :, few])
    mirrored = xn.copy(), weights.copy()
    for g, c, b in np.argwhere(sides.exchanged):
        for values, original in zip(mirrored, (xn, weights), strict=True):
            values[c, b, LIMBS[g]] = original[c, b, MIRROR[LIMBS[g]]]
    np.testing.assert_array_equal(sides.given.xn, mirrored[0])
    np.testing.assert_array_equal(sides.given.weights, mirrored[1])
    np.testing.assert_array_equal(sides.confidence, mirrored[1] * 8.0)
    assert np.nanmax(np.linalg.norm(solve(CAMERAS, FOCAL_PX, *mirrored, CONFIG).xyz[few] - truth[few], axis=-1)) < 0.1
