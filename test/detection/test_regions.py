# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Regions, crops, boxes, batches and the times of searches."""

import cv2
import numpy as np
import pytest

from geo_pose_ros.detection.matching import prediction_errors
from geo_pose_ros.detection.networks import Batches
from geo_pose_ros.detection.regions import Crop, Regions, are_whole
from geo_pose_ros.detection.rtmpose.boxes import box_of, image_size, regions_of_boxes
from geo_pose_ros.detection.searches import Searches
from geo_pose_ros.errors import BackendError, ShapeError
from geo_pose_ros.inference.settings import EngineConfig

from ..inference import onnx_models

SECOND = 1_000_000_000


def region(x, y, width, height, angle=0.0):
    return Regions(np.array([[x, y]]), np.array([[width, height]]), np.array([angle]))


def test_a_crop_shows_the_region_and_points_come_back_to_where_they_were():
    image = np.zeros((100, 120, 3), np.uint8)
    image[40, 70] = 255
    for angle in (0.0, 0.5, -2.0):
        turned = region(60.0, 50.0, 80.0, 80.0, angle)
        (crop,) = Crop(160, 160, cv2.BORDER_CONSTANT, 1.0, 0.0).cut(image, turned)
        heat = crop[..., 0].astype(float)
        rows, columns = np.indices(heat.shape)
        centre = np.array([(heat * columns).sum(), (heat * rows).sum()]) / heat.sum()
        np.testing.assert_allclose(turned.to_image(centre[None, None] / 160.0)[0, 0], (70.0, 40.0), atol=0.3)


def test_what_lies_outside_is_black_or_the_edge():
    image = np.full((10, 10, 3), 200, np.uint8)
    outside = region(-20.0, 5.0, 10.0, 10.0)
    assert Crop(4, 4, cv2.BORDER_CONSTANT, 1.0, 0.0, from_edge=True).cut(image, outside).max() == 0
    assert Crop(4, 4, cv2.BORDER_REPLICATE, 1.0, 0.0, from_edge=True).cut(image, outside).min() == 200


def test_tensors_are_scaled_per_channel_in_either_order():
    image = np.array([[[[10, 20, 30]]]], np.uint8)
    crop = Crop(1, 1, cv2.BORDER_CONSTANT, 0.1, 0.0, is_rgb=True)
    np.testing.assert_allclose(crop.to_tensor(image).ravel(), [3.0, 2.0, 1.0], rtol=1e-6)
    crop = Crop(1, 1, cv2.BORDER_CONSTANT, np.array([1.0, 2.0, 3.0]), np.array([0.0, 1.0, 2.0]))
    scaled = crop.to_tensor(image)
    np.testing.assert_allclose(scaled.ravel(), [10.0, 41.0, 92.0])


def test_unusable_regions():
    good, none = region(5.0, 5.0, 10.0, 10.0), np.nan
    for bad in (
        region(none, 5.0, 10.0, 10.0), region(5.0, 5.0, 1.0, 10.0), region(5.0, 5.0, 1e9, 1e9),
        region(5.0, 5.0, 10.0, 10.0, none), region(500.0, 5.0, 10.0, 10.0),
    ):
        assert Regions.concatenate([good, bad]).usable(64, 48).tolist() == [True, False]
    assert not len(Regions.concatenate([]))
    with pytest.raises(ShapeError, match=r'Regions\.size'):
        Regions(np.zeros((2, 2)), np.zeros((1, 2)), np.zeros(2))


def test_boxes_are_widened_to_the_shape_with_a_margin():
    found = regions_of_boxes(np.array([[10.0, 10.0, 20.0, 50.0], [0.0, 0.0, 100.0, 10.0]]), 0.75)
    np.testing.assert_allclose(found.centre, [[15.0, 30.0], [50.0, 5.0]])
    np.testing.assert_allclose(found.size, [[37.5, 50.0], [125.0, 125.0 / 0.75]])
    xy = np.array([[[0.0, 0.0], [10.0, 20.0]], [[np.nan] * 2, [np.nan] * 2]])
    boxes = box_of(xy, 0.1)
    np.testing.assert_allclose(boxes[0], [-2.0, -2.0, 12.0, 22.0])
    assert np.isnan(boxes[1]).all()


@pytest.mark.parametrize('count', [1, 16, 17, 40])
def test_any_number_is_computed_in_calls_of_the_largest_batch(tmp_path, monkeypatch, count):
    network = Batches(onnx_models.double(tmp_path / 'double.onnx'), EngineConfig())
    sizes = []
    infer = network.engine.infer
    monkeypatch.setattr(network.engine, 'infer', lambda t: sizes.append(len(t['x'])) or infer(t))
    x = np.arange(3 * count, dtype=np.float32).reshape(count, 3)
    found = network.infer(x)
    np.testing.assert_array_equal(found['doubled'], 2.0 * x)
    np.testing.assert_array_equal(found['total'], x.sum(1))
    assert sum(sizes) == count and max(sizes) <= 16
    assert not network.on_gpu
    network.close()


def test_a_fixed_batch_is_filled_up(tmp_path):
    network = Batches(onnx_models.double(tmp_path / 'double.onnx', batch=4), EngineConfig())
    x = np.arange(18, dtype=np.float32).reshape(6, 3)
    np.testing.assert_array_equal(network.infer(x)['doubled'], 2.0 * x)
    with pytest.raises(BackendError, match=r'double.onnx.*another kind of model'):
        network.require((8, 8), {'doubled': (3,)})
    with pytest.raises(ShapeError, match='expected images'):
        image_size(network.engine, (1, 1))
    network.close()


def test_searches_are_periodic_staggered_alike_everywhere_and_sooner_with_a_reason():
    def times(camera, **arguments):
        searches, found = Searches(camera, 1.0, 0.1), []
        for tenth in range(31):
            stamp = tenth * SECOND // 10
            if searches.is_due(stamp):
                searches.note_search(stamp)
                found.append(tenth)
            searches.note_unassigned(**arguments)
        return found

    quiet = {name: times(name, unassigned=(0, 0)) for name in ('cam0', 'cam1', 'left', 'right')}
    assert all(3 <= len(found) <= 4 and found[0] == 0 for found in quiet.values())
    assert len({tuple(found) for found in quiet.values()}) >= 2
    assert times('cam0', unassigned=(0, 0)) == quiet['cam0']
    busy = times('cam0', unassigned=(1, 0))
    # The second picture, then every fourth and sixth: looking does not help.
    assert busy[:2] == [0, 2] and len(busy) <= 8
    assert np.diff(busy).min() >= 2 and np.diff(busy)[2:].min() >= 4


def test_searches_change_with_what_is_unassigned():
    searches = Searches('cam0', 100.0, 0.1)
    searches.note_search(0)
    searches.note_unassigned((1, 0))
    # Both the time and two images must have passed.
    assert not searches.is_due(SECOND // 5)
    assert searches.is_due(SECOND // 5)
    searches.note_unassigned((0, 0))
    assert not any(searches.is_due(SECOND) for _ in range(20))
    searches.note_unassigned((2, 0))
    assert searches.is_due(SECOND)


def test_a_slow_machine_does_not_search_every_image():
    searches, found = Searches('cam0', 0.5, 0.1), []
    for second in range(30):
        if searches.is_due(second * SECOND):
            searches.note_search(second * SECOND)
            found.append(second)
        searches.note_unassigned((0, 0))
    assert found == [0, 6, 12, 18, 24]


def test_what_cannot_be_compared_does_not_fit():
    nothing = np.full((1, 17, 2), np.nan)
    here = np.random.default_rng(0).uniform(0.0, 100.0, (1, 17, 2))
    sigma = np.full((1, 17), 2.0)
    assert prediction_errors(nothing, here, sigma, 0.2).tolist() == [np.inf]
    assert prediction_errors(here, nothing, sigma, 0.2).tolist() == [np.inf]
    assert prediction_errors(here, here, sigma, 0.2).tolist() == [0.0]
    # More uncertain, more is allowed.
    sharp, vague = (prediction_errors(here + 30.0, here, s, 0.2)[0] for s in (sigma, 10.0 * sigma))
    assert sharp > 1.0 > vague


@pytest.mark.parametrize(('low', 'high', 'whole'), [
    ((150.0, 10.0), (250.0, 90.0), True), ((102.0, 10.0), (250.0, 90.0), False), ((150.0, 0.0), (250.0, 99.0), True),
    ((150.0, 10.0), (299.0, 90.0), False), ((150.0, 10.0), (np.nan, np.nan), True),
], ids=['inside', 'cut at the left', 'at the edge of the image', 'cut at the right', 'partly unknown'])
def test_who_reaches_to_the_side_of_a_part_of_the_image_is_cut(low, high, whole):
    square = Regions(np.array([[199.5, 49.5]]), np.array([[200.0, 200.0]]), np.array([0.5 * np.pi]))
    image = np.zeros((100, 400, 3), np.uint8)
    assert are_whole(square, np.array([[low, high]]), image).tolist() == [whole]
