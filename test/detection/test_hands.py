# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Hands at the ends of arms: where they are looked for, whose they are, and what TFLite finds in the same crops."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from geo_pose_ros.detection.hands import HandNetwork, HandReader, regions_at_arms, regions_of_hands, with_hands
from geo_pose_ros.detection.models.catalogue import packaged
from geo_pose_ros.detection.networks import RegionKeypoints
from geo_pose_ros.detection.regions import Regions
from geo_pose_ros.detection.settings import DetectorConfig
from geo_pose_ros.errors import DetectorError
from geo_pose_ros.inference.model_card import sha256
from geo_pose_ros.inference.settings import EngineConfig
from geo_pose_ros.skeleton import BLAZEPOSE33, HAND21, WHOLEBODY
from geo_pose_ros.types import Frame, Keypoints2D

from ..scenes import Seer

DATA = Path(__file__).parent / 'data'
LEFT, RIGHT = (slice(WHOLEBODY.index(f'{side}_hand_wrist'), WHOLEBODY.index(f'{side}_pinky_finger_tip') + 1)
               for side in ('left', 'right'))
# A hand of 21 joints, fingers up, about its wrist, by its length.
HAND = np.array([(0.0, 0.0), *(
    (0.12 * (finger - 2), -0.25 * joint - 0.2) for finger in range(5) for joint in range(1, 5)
)])


def arms(left_px, right_px, length_px: float = 40.0) -> np.ndarray:
    """Return a person (33, 2) px whose fingers point upwards from wrists at two places."""
    xy = np.full((33, 2), np.nan)
    for side, wrist in (('left', left_px), ('right', right_px)):
        for joint, up in (('wrist', 0.0), ('index', 1.0), ('pinky', 1.0), ('elbow', -3.0)):
            xy[BLAZEPOSE33.index(f'{side}_{joint}')] = np.array(wrist) - (0.0, up * length_px)
    return xy


def seer(people):
    """Return a detector that finds given people."""
    found = np.array(people), np.isfinite(people).all(-1).astype(float), np.arange(len(people))
    return Seer(lambda frame: Keypoints2D(frame.camera, frame.stamp_ns, BLAZEPOSE33, *found), BLAZEPOSE33)


class Hands:
    """A network that sees hands at given wrists, each in every region that it lies in."""

    def __init__(self, wrists, presence: float = 0.9, length_px: float = 60.0) -> None:
        self.wrists, self.presence, self.length_px, self.read = np.array(wrists, float), presence, length_px, []

    def estimate_keypoints(self, images):
        found = []
        for _, regions in images:
            self.read.append(len(regions))
            gaps = np.linalg.norm(regions.centre[:, None] - self.wrists, axis=-1)
            xy = self.wrists[gaps.argmin(1)][:, None] + self.length_px * HAND if len(regions) else np.zeros((0, 21, 2))
            presence = np.full(len(regions), self.presence)
            found.append(RegionKeypoints(xy, presence[:, None].repeat(21, 1), presence, regions_of_hands(xy)))
        return found

    def close(self) -> None:
        pass


def detect(bodies: Seer, hands: Hands, times: int = 1, reader: HandReader | None = None):
    reader = reader or HandReader(bodies, hands, 40.0, 0.5)
    for k in range(times):
        frame = Frame('cam', k, np.zeros((480, 640, 3), np.uint8))
        seen = reader.detect({'cam': frame}, {})['cam']
    return seen


def test_tflite_reads_the_same_joints():
    """Recorded: what TFLite's hand_landmark_full of mediapipe 0.10.14 gives for crops of two pictures."""
    with np.load(DATA / 'hand.npz') as stored:
        recorded = dict(stored)
    network = HandNetwork(EngineConfig())
    for row, name in enumerate(recorded['pictures'].tolist()):
        centre, size, angle = np.split(recorded['regions'][row], [2, 3])
        regions = Regions(centre[None], np.array([[size[0], size[0]]]), angle)
        (found,) = network.estimate_keypoints([(cv2.imread(str(DATA / f'{name}.jpg')), regions)])
        theirs = regions.to_image(recorded['landmarks'][row].reshape(1, 21, 3)[..., :2] / 224.0)
        np.testing.assert_allclose(found.xy, theirs, atol=0.01)
        np.testing.assert_allclose(found.presence, recorded['presence'][row], atol=1e-3)
    network.close()
    card = json.loads(packaged('hand').with_suffix('.json').read_text())
    assert card['sha256'] == sha256(packaged('hand')) and card['licence'] == 'Apache-2.0'


def test_regions_turn_and_move_with_arms_and_hands():
    person = np.full((1, 79, 2), np.nan)
    for joint, at in (('elbow', (100, 260)), ('wrist', (100, 200)), ('index', (100, 160)), ('pinky', (100, 160))):
        person[0, WHOLEBODY.index(f'left_{joint}')] = at
    regions = regions_at_arms(person)
    # Twice the way to the fingers' bases, 2.7 times as large, moved by a tenth.
    np.testing.assert_allclose(regions.centre[0], (100.0, 160.0 - 8.0))
    np.testing.assert_allclose(regions.size[0], 216.0)
    assert regions.angle[0] == 0.0 and np.isnan(regions.size[1]).all()
    person[0, [WHOLEBODY.index('left_index'), WHOLEBODY.index('left_pinky')]] = np.nan
    np.testing.assert_allclose(regions_at_arms(person).centre[0], (100.0, 200.0 - 0.35 * 60.0 * 1.2))
    hand = 50.0 * HAND[None] + (300.0, 200.0)
    upright = regions_of_hands(hand)
    turned = regions_of_hands(np.stack([-hand[..., 1], hand[..., 0]], -1))
    np.testing.assert_allclose(turned.centre, np.stack([-upright.centre[:, 1], upright.centre[:, 0]], -1))
    np.testing.assert_allclose(turned.size, upright.size)
    np.testing.assert_allclose(turned.angle - upright.angle, 0.5 * np.pi)


def test_the_arm_says_whose_hand_it_is_and_the_next_image_needs_one_look():
    hands = Hands([(200, 200), (400, 200)])
    bodies = seer([arms((400, 200), (200, 200))])
    reader = HandReader(bodies, hands, 40.0, 0.5)
    seen = detect(bodies, hands, 1, reader)
    np.testing.assert_allclose(seen.xy[0, LEFT][0], (400, 200))
    np.testing.assert_allclose(seen.xy[0, RIGHT], 60.0 * HAND + (200, 200))
    assert (seen.confidence[0, LEFT] == 0.9).all() and seen.skeleton is WHOLEBODY
    np.testing.assert_array_equal(seen.xy[0, WHOLEBODY.index('left_wrist')], (400, 200))
    # From the arm first and from the hand again; then from the hand before.
    assert hands.read == [2, 2]
    detect(bodies, hands, 1, reader)
    assert hands.read == [2, 2, 2, 0]


@pytest.mark.parametrize('people, hands, known', [
    pytest.param([arms((300, 200), (330, 200))], Hands([(305, 200)]), (True, False), id='hands that touch'),
    pytest.param([arms((300, 200), (400, 200))], Hands([(300, 200), (400, 200)], 0.1), (False, False), id='gloves'),
    pytest.param([arms((300, 200), (400, 200))], Hands([(300, 330), (400, 200)]), (False, True), id='not at its arm'),
    pytest.param([arms((-20, 200), (400, 200))], Hands([(-20, 200), (400, 200)]), (False, True), id='outside'),
    pytest.param([arms((300, 200), (400, 200), 4.0)], Hands([(300, 200), (400, 200)]), (False, False), id='too small'),
    pytest.param([np.full((33, 2), np.nan)], Hands([(0, 0)]), (False, False), id='no arms'),
    pytest.param([arms((np.nan, 200), (400, 200))], Hands([(400, 200)]), (False, True), id='one arm'),
])
def test_what_is_no_hand_of_that_arm_is_unknown(people, hands, known):
    seen = detect(seer(people), hands)
    for side, expected in zip((LEFT, RIGHT), known, strict=True):
        assert np.isfinite(seen.xy[0, side]).all() == expected
        assert (seen.confidence[0, side] > 0.0).all() == expected
        assert np.isfinite(seen.xy[0, side]).any() == expected


def test_nobody_and_hands_of_two_people():
    assert detect(seer(np.zeros((0, 33, 2))), Hands([(0, 0)])).xy.shape == (0, len(WHOLEBODY), 2)
    # The left hand of one holds the right one of the other; the network sees one hand.
    seen = detect(seer([arms((300, 200), (100, 200)), arms((500, 200), (310, 200))]), Hands([(309, 200), (100, 200)]))
    assert np.isnan(seen.xy[0, LEFT]).all() and np.isfinite(seen.xy[1, RIGHT]).all()


def test_detectors_that_estimate_keypoints_and_models_that_do_not():
    bodies = seer(np.zeros((0, 33, 2)))
    assert with_hands(bodies, DetectorConfig(name='keypoints')) is bodies
    reader = with_hands(bodies, DetectorConfig())
    assert reader.skeleton is WHOLEBODY and with_hands(reader, DetectorConfig()) is reader
    reader.close()
    with pytest.raises(DetectorError, match='network of hands cannot be loaded'):
        with_hands(bodies, DetectorConfig(engine=EngineConfig(engine='tensorrt')))
    assert len(HAND21) == 21
