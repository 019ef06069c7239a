# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Compiled detections and weights, each against a slow one in numpy."""

import numpy as np
import pytest

from geo_pose_ros.fusion.views import BodyViews, Detections, Noise
from geo_pose_ros.geometry.projection import lenses_of, normalize

from ...scenes import intrinsics

MODELS = ('plumb_bob', 'rational_polynomial', 'equidistant')


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_detections_of_raw_pixels_are_those_of_each_camera_alone(rng):
    lenses = [intrinsics(model) for model in MODELS]
    xy = [rng.uniform(0.0, 900.0, (people, 17, 2)) for people in (2, 0, 3)]
    confidence = [rng.uniform(0.0, 1.0, x.shape[:2]) for x in xy]
    xy[0][0, 3, 1], xy[2][1, 5], confidence[2][2, 2], confidence[0][1, 1] = np.nan, 1e6, np.nan, 0.0
    found = Detections.of(xy, confidence, lenses_of(*lenses), 0.3)
    xn = np.concatenate([normalize(lens, x) for lens, x in zip(lenses, xy, strict=True)])
    given = np.concatenate(confidence)
    seen = np.isfinite(xn).all(-1) & (given >= 0.3)
    assert 0 < seen.sum() < seen.size
    np.testing.assert_array_equal(found.seen, seen)
    np.testing.assert_array_equal(found.xn, np.where(seen[..., None], xn, 0.0))
    np.testing.assert_array_equal(found.confidence, np.where(seen, given, 0.0))
    np.testing.assert_allclose(found.centre, found.xn.sum(1) / seen.sum(1)[:, None])
    assert found.camera.tolist() == [0, 0, 2, 2, 2] and found.starts.tolist() == [0, 2, 2, 5]


def test_weights_fall_with_the_size_in_the_image_and_with_the_noise(rng):
    xn, confidence = rng.uniform(-0.5, 0.5, (3, 2, 17, 2)), rng.uniform(0.0, 1.0, (3, 2, 17))
    xn[1, 0, 4:], confidence[1, 0, 4:] = np.nan, 0.0
    xn[2, 1], confidence[2, 1] = np.nan, 0.0
    xn[0, 1] *= 1e-3
    focal_px = np.array([800.0, 900.0, 1000.0])
    found = BodyViews(xn, confidence).weights(focal_px, 4.0)
    extent_px = np.zeros((3, 2))
    for c, b in ((0, 0), (0, 1), (1, 0), (1, 1), (2, 0)):
        extent_px[c, b] = np.nanmax(np.nanmax(xn[c, b], 0) - np.nanmin(xn[c, b], 0)) * focal_px[c]
    plain = confidence * (600.0 / 4.0 / np.maximum(extent_px, 60.0))[..., None]
    np.testing.assert_allclose(found, plain)
    noise = Noise(2.0, np.array([1.0, 2.0, 0.5]), np.array([0.0, 0.001, 0.003]), joints=rng.uniform(0.5, 2.0, 17))
    with np.errstate(divide='ignore'):
        variance = (noise.joints * noise.scale[:, None, None] / plain) ** 2
    variance += ((noise.shared * focal_px) ** 2)[:, None, None]
    np.testing.assert_allclose(noise.applied(found, focal_px), 1.0 / np.sqrt(variance))


def test_without_a_detection_nothing_is_gathered():
    nobody = Detections.of([np.zeros((0, 17, 2))] * 2, [np.zeros((0, 17))] * 2)
    found = nobody.gather(np.full((3, 2), -1))
    assert found.xn.shape == (2, 3, 17, 2) and np.isnan(found.xn).all() and not found.confidence.any()
    assert nobody.gather(np.zeros((0, 2), int)).xn.shape == (2, 0, 17, 2)
