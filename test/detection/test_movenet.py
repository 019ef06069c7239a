# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Our MoveNet against what Google's graphs find in three images, and the finders together.

The results were recorded with TensorFlow 2.15.1, post-processing included (tools/convert_movenet.py of b43e2a5).
"""

import json
from contextlib import closing

import numpy as np
import pytest

from geo_pose_ros.detection import create_detector
from geo_pose_ros.detection.blazepose.person import BlazePosePersons
from geo_pose_ros.detection.models.catalogue import packaged
from geo_pose_ros.detection.movenet.decoding import HEADS, peaks
from geo_pose_ros.detection.movenet.keypoints import SingleposeKeypoints
from geo_pose_ros.detection.movenet.persons import MultiposePersons
from geo_pose_ros.detection.regions import Regions, full_image_square, regions_around, turned
from geo_pose_ros.detection.settings import DetectorConfig
from geo_pose_ros.errors import BackendError
from geo_pose_ros.inference.model_card import sha256
from geo_pose_ros.inference.settings import EngineConfig
from geo_pose_ros.skeleton import COCO17, map_to_body17
from geo_pose_ros.types import Frame

from ..inference import onnx_models
from .test_blazepose import DATA, PICTURES, picture


@pytest.fixture(scope='module')
def recorded():
    with np.load(DATA / 'movenet.npz') as stored:
        return dict(stored)


class Joints:
    """Keeps the joints that regions are proposed for."""

    def __call__(self, body17_xy, sigma_px):
        self.xy = body17_xy
        return regions_around(body17_xy, sigma_px)


@pytest.fixture(scope='module')
def persons():
    joints = Joints()
    network = MultiposePersons(EngineConfig(), joints)
    network.joints = joints
    yield network
    network.close()


def letterboxed(values, image):
    """Return MoveNet's y x in units of the letterboxed image as px."""
    side = max(image.shape[:2])
    return values[..., ::-1] * side + 0.5 * (np.array(image.shape[1::-1]) - side) - 0.5


@pytest.mark.parametrize('name', PICTURES)
def test_multipose_finds_the_joints_that_googles_graph_finds(name, recorded, persons):
    image = picture(name)
    ((found, _),) = persons.find_people([(image, full_image_square(image.shape[1], image.shape[0]))])
    people = recorded[f'movenet_multipose/{name}']
    people = people[people[:, 55] > 0.2]
    assert len(found) == len(people) == (2 if name.startswith('multi') else 1)
    theirs = letterboxed(people[:, :51].reshape(-1, 17, 3)[..., :2], image)
    theirs, _ = map_to_body17(COCO17).apply(theirs, np.ones((len(people), 17)))
    # The order is by our score.
    order = [int(np.abs(persons.joints.xy - joints).max((1, 2)).argmin()) for joints in theirs]
    assert sorted(order) == list(range(len(people)))
    np.testing.assert_allclose(persons.joints.xy[order], theirs, atol=0.01)


def test_who_is_upside_down_is_found_in_a_turned_square(persons):
    image = picture('single1_0')
    height, width = image.shape[:2]
    square = full_image_square(width, height)
    ((upright, *_),) = persons.find_people([(image, square)])
    upside_down = np.ascontiguousarray(np.rot90(image, 2))
    ((found, *_),) = persons.find_people([(upside_down, turned(square, (2,)))])
    np.testing.assert_allclose(found.centre, np.array([width, height]) - 1.0 - upright.centre, atol=3.0)
    np.testing.assert_allclose(np.cos(found.angle - upright.angle), -1.0, atol=1e-3)


def test_nobody_is_found_in_an_image_of_one_colour(persons):
    image = np.full((48, 64, 3), 90, np.uint8)
    assert [len(found) for found, *_ in persons.find_people([(image, full_image_square(64, 48))])] == [0]
    assert [len(found) for found, *_ in persons.find_people([(image, Regions.none())])] == [0]
    assert persons.find_people([]) == []


def test_one_person_in_two_overlapping_squares_is_one(persons):
    image = picture('single1_0')
    whole = full_image_square(image.shape[1], image.shape[0])
    twice = Regions.concatenate([whole, Regions(whole.centre + 8.0, whole.size, whole.angle)])
    with closing(BlazePosePersons(EngineConfig())) as other:
        for network in (persons, other):
            ((found, *_),) = network.find_people([(image, twice)])
            assert len(found) == 1


def test_centres_are_local_maxima_best_first():
    heat = np.zeros((10, 12), np.float32)
    heat[2, 3], heat[2, 4], heat[8, 9], heat[0, 11] = 0.5, 0.4, 0.9, 0.05
    assert peaks(heat, 0.1).tolist() == [[8, 9], [2, 3]]


def test_both_finders_together_find_the_two_people_who_stand_there():
    image = picture('multi4_20')
    with closing(create_detector(DetectorConfig(profile='balanced'))) as detector:
        found = detector.detect({'cam0': Frame('cam0', 0, image)}, {})['cam0']
    nose_xy = found.xy[:, found.skeleton.index('nose')]
    assert sorted(np.round(nose_xy[:, 0] / 10.0).astype(int).tolist()) == [8, 23]


@pytest.mark.parametrize(('name', 'thanks'), [
    ('blazepose_person', 'MediaPipe'), ('blazepose_full', 'MediaPipe'), ('blazepose_heavy', 'MediaPipe'),
    ('movenet_multipose', 'Google'),
])
def test_cards_belong_to_their_models(name, thanks):
    card = json.loads(packaged(name).with_suffix('.json').read_text())
    assert card['sha256'] == sha256(packaged(name))
    assert card['licence'] == 'Apache-2.0' and thanks in card['acknowledgement']
    if name == 'movenet_multipose':
        assert max(card['largest_difference_to_tensorflow'].values()) < 1e-3


def single_pose(path, cell=(20, 30)):
    """Write a network whose every joint is in ``cell`` of 64 x 64, at half of it."""
    heads = {name: np.full((n, 64, 64), -10.0, np.float32) for name, n in HEADS.items()}
    heads['centre'][0, 30, 32], heads['heat'][:, cell[0], cell[1]] = 3.0, 2.0
    heads['regression'][:] = 0.0
    heads['offset'][:] = 0.5
    return onnx_models.constant(path, 'image', (256, 256), heads)


def test_single_pose_reads_the_joints_of_a_region(tmp_path):
    network = SingleposeKeypoints(EngineConfig(), single_pose(tmp_path / 'thunder.onnx'))
    region = Regions(np.array([[99.5, 199.5]]), np.array([[128.0, 128.0]]), np.zeros(1))
    (read,) = network.estimate_keypoints([(np.zeros((400, 200, 3), np.uint8), region)])
    np.testing.assert_allclose(read.xy[0], np.tile([35.5 + 2.0 * 30.5, 135.5 + 2.0 * 20.5], (17, 1)))
    np.testing.assert_allclose(read.confidence, 1.0 / (1.0 + np.exp(-2.0)), rtol=1e-6)
    assert read.presence.tolist() == [1.0]
    network.close()


def test_another_kind_of_model_is_refused():
    with pytest.raises(BackendError, match='another kind of model'):
        SingleposeKeypoints(EngineConfig(), packaged('blazepose_full'))
    with pytest.raises(BackendError, match='another kind of model'):
        MultiposePersons(EngineConfig(), regions_around, packaged('blazepose_full'))
