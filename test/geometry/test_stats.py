# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Geman and McClure's loss, medians and means of known values, and rays that pass each other."""

import numpy as np
import pytest

from geo_pose_ros.geometry.rays import bearings, closest_points
from geo_pose_ros.geometry.stats import (
    distance2,
    geman_mcclure_cost,
    geman_mcclure_weight,
    median_spread,
    nan_lower_median,
    nan_mean,
    nan_median,
    nan_percentile,
)


def test_weights_and_costs_go_from_no_residual_to_an_infinite_one():
    squared = np.array([0.0, 1.0, np.inf, np.nan])
    np.testing.assert_allclose(geman_mcclure_weight(squared), (1.0, 0.25, 0.0, np.nan))
    np.testing.assert_allclose(geman_mcclure_cost(squared), (0.0, 0.5, 1.0, np.nan))
    slope = (geman_mcclure_cost(np.array(0.7 + 1e-6)) - geman_mcclure_cost(np.array(0.7 - 1e-6))) / 2e-6
    assert slope == pytest.approx(float(geman_mcclure_weight(np.array(0.7))), rel=1e-6)


def test_spread_of_normal_residuals_is_their_deviation_in_spite_of_outliers():
    residual = np.random.default_rng(0).normal(0.0, 2.0, 20_000)
    residual[:200] = 1e6
    assert median_spread(residual) == pytest.approx(2.0, rel=0.03)


def test_medians_and_means_are_those_of_the_known_values():
    values = np.random.default_rng(1).normal(size=(40, 7))
    for row in range(40):
        values[row, : row % 7] = np.nan
    np.testing.assert_array_equal(nan_median(values), np.nanmedian(values, -1))
    np.testing.assert_allclose(nan_mean(values, -1), np.nanmean(values, -1))
    assert nan_lower_median(np.array([4.0, 1.0, np.nan, 3.0, 2.0])) == 2.0


@pytest.mark.parametrize('values', [np.full((2, 3), np.nan), np.zeros((2, 0))], ids=['unknown', 'empty'])
def test_nothing_known_gives_nan(values):
    for found in (nan_median(values), nan_lower_median(values), nan_mean(values, -1)):
        np.testing.assert_array_equal(found, (np.nan, np.nan))
    assert np.isnan(nan_mean(np.array([[1.0], [np.nan]]), 0, least=2)).all()


def test_errors_are_measured_in_units_of_their_covariance():
    error = np.array([[3.0, 4.0, 0.0], [1.0, np.nan, 0.0], [1.0, 0.0, 0.0]])
    covariance = np.diag([9.0, 1.0, 1.0]) + np.array([0.0, 0.0, np.nan])[:, None, None]
    np.testing.assert_allclose(distance2(error, covariance), (17.0, np.nan, np.nan))


def test_rays_pass_each_other_at_their_common_normal():
    u, v = np.eye(3)[0], np.eye(3)[1]
    # From (0, 0, 0) along x and from (2, -3, 0.5) along y: nearest at (2, 0, 0) and (2, 0, 0.5).
    np.testing.assert_allclose(closest_points(np.array([2.0, -3.0, 0.5]), u, v), (0.5, 2.0, 3.0))
    # Behind the first ray's origin the depth is negative.
    assert closest_points(np.array([-2.0, -3.0, 0.0]), u, v)[1] == -2.0
    assert np.isnan(closest_points(v, u, u)).all()


def test_bearings_are_unit_vectors_through_the_image_points():
    found = bearings(np.array([[0.0, 0.0], [3.0, 4.0], [np.nan, np.nan]]))
    np.testing.assert_allclose(found[0], (0.0, 0.0, 1.0))
    np.testing.assert_allclose(found[1] * np.sqrt(26.0), (3.0, 4.0, 1.0))
    assert np.isnan(found[2]).all()


def test_percentiles_are_those_of_the_finite_values():
    assert nan_percentile([[4.0, np.nan], [2.0, np.inf]], 50) == 3.0
    assert np.isnan(nan_percentile([np.nan], 50))
