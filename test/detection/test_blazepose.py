# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Our BlazePose against what mediapipe 0.10.14 finds in three pictures.

tools/record_blazepose.py of b43e2a5 recorded the results in test/detection/data; neither mediapipe nor what converted
its networks is needed.
"""

from pathlib import Path

import cv2
import numpy as np
import pytest

from geo_pose_ros.detection.blazepose.keypoints import BlazePoseKeypoints, refine
from geo_pose_ros.detection.blazepose.person import (
    BlazePosePersons,
    average_overlapping,
)
from geo_pose_ros.detection.regions import Regions, full_image_square, regions_around
from geo_pose_ros.inference.settings import EngineConfig
from geo_pose_ros.skeleton import BODY17

DATA = Path(__file__).parent / 'data'
PICTURES = ('single1_0', 'single3_50', 'multi4_20')


@pytest.fixture(scope='module')
def recorded():
    with np.load(DATA / 'mediapipe.npz') as stored:
        return dict(stored)


@pytest.fixture(scope='module')
def persons():
    network = BlazePosePersons(EngineConfig())
    yield network
    network.close()


@pytest.fixture(scope='module')
def keypoints():
    network = BlazePoseKeypoints(EngineConfig())
    yield network
    network.close()


def picture(name):
    return cv2.imread(str(DATA / f'{name}.jpg'))


def region_of(rect, image):
    """Return mediapipe's rectangle, in units of the image counted from its edge, as a region."""
    size = np.array(image.shape[1::-1], float)
    return Regions(rect[None, :2] * size - 0.5, rect[None, 2:4] * size, rect[4:])


def pixels(landmarks, image):
    xy = landmarks[:, :2]
    inside = ((xy >= 0.0) & (xy <= 1.0)).all(1)
    return np.where(inside[:, None], xy * image.shape[1::-1] - 0.5, np.nan)


@pytest.mark.parametrize('name', PICTURES)
def test_people_are_found_where_mediapipe_finds_them(name, recorded, persons):
    image = picture(name)
    ((found, _),) = persons.find_people([(image, full_image_square(image.shape[1], image.shape[0]))])
    theirs = recorded[f'{name}/people']
    np.testing.assert_allclose(found.centre, theirs[:, 1:3] * image.shape[1::-1] - 0.5, atol=0.1)
    first = region_of(recorded[f'{name}/found'], image)
    np.testing.assert_allclose(found.centre[:1], first.centre, atol=0.1)
    np.testing.assert_allclose(found.size[:1], first.size, rtol=2e-3)
    np.testing.assert_allclose(found.angle[:1], first.angle, atol=2e-3)


def test_keypoints_are_where_mediapipe_has_them(recorded, keypoints):
    distances = []
    for name in PICTURES:
        image = picture(name)
        for key, given in (('looked', 'found'), ('followed', 'next')):
            (read,) = keypoints.estimate_keypoints([(image, region_of(recorded[f'{name}/{given}'], image))])
            theirs = recorded[f'{name}/{key}']
            distances.append(np.linalg.norm(read.xy[0] - pixels(theirs, image), axis=1))
            np.testing.assert_allclose(read.confidence[0], theirs[:, 2], atol=5e-3)
            assert read.presence[0] > 0.9
            if key == 'looked':
                following = region_of(recorded[f'{name}/next'], image)
                np.testing.assert_allclose(read.next_regions.centre, following.centre, atol=0.3)
                np.testing.assert_allclose(read.next_regions.size, following.size, rtol=5e-3)
    # px of 640: a third of what they are at full height. A landmark on the edge of a cell of its heat map may fall on
    # either side of it, and then moves by more.
    assert np.nanmedian(distances) < 0.02
    assert np.nanpercentile(distances, 95) < 1.0


def test_a_batch_gives_what_single_pictures_give_bit_for_bit(recorded, keypoints, persons):
    pictures = [(picture(name), region_of(recorded[f'{name}/found'], picture(name))) for name in PICTURES]
    image, first = pictures[0]
    # More regions than one call of the engine takes.
    many = Regions.concatenate([first] * 21)
    together = keypoints.estimate_keypoints([*pictures, (image, many)])
    alone = [keypoints.estimate_keypoints([one])[0] for one in pictures]
    for ours, single in zip(together, [*alone, alone[0]], strict=True):
        for name in ('xy', 'confidence', 'presence'):
            value = getattr(single, name)
            np.testing.assert_array_equal(getattr(ours, name), np.broadcast_to(value, getattr(ours, name).shape))
    whole = [(image, full_image_square(image.shape[1], image.shape[0])) for image, _ in pictures]
    for (ours, *_), one in zip(persons.find_people(whole), whole, strict=True):
        np.testing.assert_array_equal(ours.centre, persons.find_people([one])[0][0].centre)


def test_nothing_to_look_at(keypoints, persons):
    image = np.zeros((48, 64, 3), np.uint8)
    assert [len(read.xy) for read in keypoints.estimate_keypoints([(image, Regions.none())])] == [0]
    assert [len(found) for found, *_ in persons.find_people([(image, Regions.none())])] == [0]
    ((found, _),) = persons.find_people([(image, full_image_square(64, 48))])
    assert len(found) == 0
    (read,) = keypoints.estimate_keypoints([(image, full_image_square(64, 48))])
    assert read.presence[0] < 0.5


def test_overlapping_detections_are_averaged_by_their_scores():
    def detection(left, top, right, bottom):
        return [left, top, right, bottom, *([left, top] * 4)]

    boxes = np.array([detection(0, 0, 10, 10), detection(1, 0, 11, 10), detection(20, 20, 30, 30)], float)
    kept = average_overlapping(boxes, np.array([0.6, 0.9, 0.7]))
    np.testing.assert_allclose(kept[0, :4], [0.6, 0.0, 10.6, 10.0])
    np.testing.assert_allclose(kept[1], boxes[2])
    # Without area: overlaps nothing, and comes through.
    assert len(average_overlapping(np.zeros((1, 12)), np.ones(1))) == 1


def test_landmarks_move_to_the_centre_of_their_heat():
    heat = np.full((1, 64, 64, 3), -20.0, np.float32)
    heat[0, 20, 30, 0] = 20.0
    heat[0, 20, 32, 0] = 20.0
    heat[0, 20, 30, 1] = -0.1
    xy = np.array([[[30.5, 20.5], [30.5, 20.5], [70.0, 20.0]]]) / 64.0
    moved = refine(xy, heat)[0] * 64.0
    np.testing.assert_allclose(moved[0], [31.0, 20.0], atol=1e-3)
    # Nowhere warm enough, and outside of the map.
    np.testing.assert_allclose(moved[1:], xy[0, 1:] * 64.0)


def test_the_region_around_an_expected_person():
    xy = np.full((3, 17, 2), np.nan)
    xy[0, 0], xy[0, BODY17.index('thorax')], xy[0, 3] = (100.0, 200.0), (100.0, 150.0), (100.0, 300.0)
    # Lying: the head to the right.
    xy[1, 0], xy[1, BODY17.index('thorax')], xy[1, 3] = (100.0, 200.0), (150.0, 200.0), (0.0, 200.0)
    # Only two joints known: around their middle, upright.
    xy[2, 3], xy[2, 6] = (10.0, 10.0), (30.0, 10.0)
    sigma = np.where(np.isfinite(xy[..., 0]), 4.0, np.nan)
    found = regions_around(xy, sigma)
    np.testing.assert_allclose(found.centre, [[100.0, 200.0], [100.0, 200.0], [20.0, 10.0]])
    np.testing.assert_allclose(found.angle, [0.0, np.pi / 2.0, 0.0], atol=1e-9)
    np.testing.assert_allclose(found.size[:, 0], 2.5 * (1.1 * np.array([100.0, 100.0, 10.0]) + 4.0))
    unknown = regions_around(np.full((1, 17, 2), np.nan), np.full((1, 17), np.nan))
    assert not unknown.usable(640, 480).any()
    assert len(regions_around(xy[:0], sigma[:0])) == 0
