# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Where a top-down detector looks, and whom it believes: networks of the test's own stand in for real ones."""

import numpy as np
import pytest

from geo_pose_ros.detection.matching import covered_share, distance, distinct, find_witnesses
from geo_pose_ros.detection.networks import FoundPeople, RegionKeypoints
from geo_pose_ros.detection.regions import Regions, tiles
from geo_pose_ros.detection.rtmpose.boxes import box_of
from geo_pose_ros.detection.settings import DetectorConfig
from geo_pose_ros.detection.top_down import TopDownDetector
from geo_pose_ros.skeleton import BODY17, mirror_of
from geo_pose_ros.types import Frame, PredictedPeople

TENTH = 100_000_000
SHAPE = np.random.default_rng(3).uniform(-1.0, 1.0, (17, 2)) * (20.0, 60.0)
SHAPE[0] = 0.0
IMAGE = np.zeros((480, 640, 3), np.uint8)


def person(x, y):
    """Return joints (17, 2) px of a person whose pelvis is at (x, y)."""
    return SHAPE + (x, y)


def around(xy):
    boxes = box_of(xy, 0.2)
    centre = xy[:, 0]
    side = (boxes[:, 2:] - boxes[:, :2]).max(-1, keepdims=True)
    return Regions(centre, np.repeat(side, 2, 1), np.zeros(len(xy)))


class World:
    """Both networks: they see ``people`` (P, 17, 2) exactly, each through a region whose centre is near the pelvis."""

    skeleton = BODY17
    on_gpu = False

    def __init__(self, *people):
        self.people = list(people)
        self.looks, self.reads, self.closed = [], [], 0
        self.presence, self.joints = 1.0, None

    def find_people(self, pictures):
        self.looks.append([len(squares) for _, squares in pictures])
        found = around(np.array(self.people)) if self.people else Regions.none()
        return [FoundPeople(found, self.joints) for _ in pictures]

    def estimate_keypoints(self, pictures):
        self.reads.append([len(regions) for _, regions in pictures])
        return [self._one(regions) for _, regions in pictures]

    def _one(self, regions):
        xy, presence = np.zeros((len(regions), 17, 2)), np.zeros(len(regions))
        for row, centre in enumerate(regions.centre):
            gaps = [np.linalg.norm(joints[0] - centre) for joints in self.people]
            if gaps and min(gaps) < 60.0:
                xy[row], presence[row] = self.people[int(np.argmin(gaps))], self.presence
        return RegionKeypoints(xy, np.full((len(regions), 17), 0.9), presence, around(xy))

    def propose_regions(self, body17_xy, sigma_px):
        return around(body17_xy)

    def close(self):
        self.closed += 1


def detector_of(world, **settings):
    return TopDownDetector([world], world, DetectorConfig(**settings))


def expect(people, ids, roll_rad=0.0):
    xy = np.array(people).reshape(-1, 17, 2)
    sigma_px = np.full(xy.shape[:2], 2.0)
    return {'cam0': PredictedPeople('cam0', 0, BODY17, xy, sigma_px, np.array(ids, np.int64), roll_rad)}


def look(detector, stamp_ns, expected=None, image=IMAGE):
    return detector.detect({'cam0': Frame('cam0', stamp_ns, image)}, expected or {})['cam0']


RARELY = {'search_period_s': 10.0, 'search_again_s': 10.0}
P200, ROW = person(200, 240), [person(60 + 100 * i, 240) for i in range(5)]
# Settings; by image its tenth of a second, the people there, those predicted by their ids, and the hints found; squares
# searched and regions read, of all images.
WALKS = {
    # The first image is searched again, turned.
    'nobody predicted': ({}, [(0, [], {}, []), (1, [], {}, []), (2, [], {}, []), (3, [P200], {}, [-1])],
                         [1, 3, 2, 2, 2], [0, 0, 0, 0, 1]),
    # The first image is searched whole and in tiles, and none since.
    'predicted': (RARELY, [
        (0, [P200], {}, [-1]), *((k, [person(210, 240)], {7: person(205, 240)}, [7]) for k in (1, 2)),
    ], [1, 6, 0, 0], [1, 2, 1, 1]),
    'learned of': (RARELY, [(0, [P200], {}, [-1]), (1, [P200], {}, [-1]), (2, [P200], {0: P200}, [0])],
                   [1, 6, 0, 0], [1, 2, 1, 1]),
    # Too far from where the last keypoints were, so that both places are read: of each the person is where it was, or
    # where it is predicted.
    'prediction that is off': (RARELY, [
        (0, [P200], {7: P200}, [7]), (1, [person(215, 240)], {7: person(300, 240)}, [-1]),
        (2, [person(400, 240)], {7: person(402, 240)}, [7]),
    ], [1, 0, 0], [1, 2, 2]),
    # The nearer prediction gets the one person. Somebody, but not where that body must be, is kept without its name.
    'two predicted, one there': ({}, [
        (0, [P200], {3: person(240, 240), 4: person(204, 240)}, [4]),
        (1, [person(255, 240)], {4: person(204, 240)}, [-1]),
    ], [1, 0], [2, 1]),
    'behind the edge or the camera': (
        {}, [(0, [], {1: person(5000, 240), 2: np.full((17, 2), np.nan), 3: person(-400, 10)}, [])], [1, 3], [0, 0]
    ),
    'more than max_people': ({'max_people': 3}, [
        (0, ROW, {}, [-1, -1, -1]), (1, ROW, dict(enumerate(ROW[:4])), [0, 1, 2]),
    ], [1, 6, 0], [3, 3, 4]),
    'a gap, and a step back': (RARELY, [(k, [P200], {}, [-1]) for k in (0, 1, 20, 1)],
                               [1, 6, 0, 1, 6, 1, 6], [1, 2, 1, 1, 2, 1, 2]),
}


@pytest.mark.parametrize(('settings', 'images', 'searched', 'read'), WALKS.values(), ids=WALKS)
def test_people_are_searched_read_and_named(settings, images, searched, read):
    world = World()
    detector = detector_of(world, **settings)
    for tenth, world.people, predicted, hints in images:
        seen = look(detector, tenth * TENTH, expect([*predicted.values()], [*predicted]))
        assert seen.hints.tolist() == hints
        assert all(np.abs(world.people - joints).max((1, 2)).min() < 1e-9 for joints in seen.xy)
    assert ([sum(one) for one in world.looks], [sum(one) for one in world.reads]) == (searched, read)


def test_the_least_confidence_may_change():
    detector = detector_of(World(person(200, 240)))
    assert len(look(detector, 0).xy) == 1
    detector.use_min_confidence(0.95)
    assert len(look(detector, TENTH).xy) == 0
    detector.use_min_confidence(0.85)
    assert len(look(detector, 20 * TENTH).xy) == 1


def test_looks_come_now_and_then_and_find_who_is_new():
    world = World(person(200, 240))
    detector = detector_of(world, search_period_s=0.5)
    for tenth in range(11):
        look(detector, tenth * TENTH, expect([person(200, 240)], [7]))
    looks = sum(map(bool, world.looks))
    assert 2 <= looks <= 3
    world.people.append(person(450, 240))
    hints = [look(detector, tenth * TENTH, expect([person(200, 240)], [7])).hints.tolist() for tenth in range(11, 17)]
    first = hints.index([7, -1])
    # Followed from there, in every picture, whether it is looked at or not.
    assert hints[first:] == [[7, -1]] * (6 - first)


def test_a_mirrored_reading_is_of_the_same_person():
    flipped = person(0, 0)[mirror_of(BODY17)]
    assert distance(person(0, 0), flipped) == 0.0
    kept = distinct(np.stack([flipped, person(0, 0), person(300, 0)]), np.array([1, 0, 2]), 0.1)
    assert kept.tolist() == [1, 2]


def test_a_detection_on_somebodys_body_is_nobody_new():
    whole = person(200, 240)
    # The upper half of the same person, read as a small one.
    double = whole.copy()
    double[[2, 3, 5, 6]] = whole[[1, 1, 4, 4]]
    double[1], double[4] = whole[7], whole[0]
    beside = person(290, 240)
    people = np.stack([whole, double, beside])
    share = covered_share(double, people)
    assert share[0] >= 0.9 and share[2] < 0.5
    assert np.isnan(covered_share(np.full((17, 2), np.nan), people)).all()
    # Predicted people are kept; a new one must be beside the others.
    seen = people.copy()
    assert distinct(people, np.arange(3), 0.0, seen).tolist() == [0, 2]
    seen[1] = np.nan
    assert distinct(people, np.arange(3), 0.0, seen).tolist() == [0, 1, 2]


def test_somebody_new_must_be_seen_with_enough_joints():
    world = World(person(200, 240))
    detector = detector_of(world)
    confidence = np.full(17, 0.9)

    def unsure(regions, estimate=world.estimate_keypoints):
        return [
            RegionKeypoints(read.xy, np.tile(confidence, (len(read.xy), 1)), read.presence, read.next_regions)
            for read in estimate(regions)
        ]

    world.estimate_keypoints = unsure
    confidence[4:] = 0.4
    assert len(look(detector, 0).xy) == 0
    # Of somebody predicted fewer will do.
    assert look(detector, TENTH, expect([person(200, 240)], [7])).hints.tolist() == [7]
    confidence[4] = 0.6
    assert len(look(detector_of(world), 0).xy) == 1


def test_finders_search_together_while_nobody_is_known_and_else_in_turn():
    world, other = World(), World()
    finders = [world, other]
    detector = TopDownDetector(finders, world, DetectorConfig(search_period_s=0.1))
    look(detector, 0)
    # The first image is searched again, turned.
    assert world.looks == other.looks == [[1], [3]]
    world.people = other.people = [person(200, 240)]
    for tenth in range(1, 26):
        look(detector, tenth * TENTH, expect([person(200, 240)], [7]))
    searched = [sum(map(bool, one.looks)) for one in (world, other)]
    assert abs(searched[0] - searched[1]) <= 1 and min(searched) >= 3


@pytest.mark.parametrize(('roll', 'searched'), [
    (0.0, [[0], [1], [1] * 6]), (1.4, [[1], [1] * 6]), (np.pi, [[2], [1], [1] * 6]),
], ids=['roll not known', 'roll known', 'who lies before a rolled camera'])
def test_an_image_in_which_all_lie_is_searched_turned(roll, searched):
    world = World()
    world.people = [person(200, 240)]
    regions = around(np.array(world.people))
    lying = Regions(regions.centre, regions.size, np.array([0.5 * np.pi]))
    world.estimate_keypoints = lambda images: [
        RegionKeypoints(read.xy, read.confidence, read.presence, lying.select(np.zeros(len(read.xy), int)))
        for read in World.estimate_keypoints(world, images)
    ]
    angles = []
    finder = World()
    finder.find_people = lambda images: [
        angles.append(squares.angle.tolist()) or FoundPeople(regions) for _, squares in images
    ]
    detector = TopDownDetector([finder], world, DetectorConfig())
    look(detector, 0, expect([], [], roll))
    assert [np.mod(np.rint(np.array(one) / (0.5 * np.pi)), 4).tolist() for one in angles] == searched


def test_who_is_missing_is_looked_for_sooner_and_then_less_often():
    world = World()
    detector = detector_of(world, search_period_s=2.0, search_again_s=0.1)
    stamps = []
    for step in range(40):
        before = len(world.looks)
        look(detector, step * TENTH, expect([person(200, 240)], [1]))
        if len(world.looks) > before and world.looks[-1]:
            stamps.append(step)
    gaps = np.diff(stamps)
    assert gaps[0] <= 2
    assert gaps.max() >= 4
    assert len(stamps) < 20


def test_several_cameras_are_read_in_one_call_and_remembered_apart():
    world = World(person(200, 240))
    detector = detector_of(world)
    frames = {f'cam{i}': Frame(f'cam{i}', 0, IMAGE) for i in range(3)}
    found = detector.detect(frames, {})
    assert set(found) == set(frames)
    assert world.looks == [[1, 1, 1], [6, 6, 6]] and world.reads == [[1, 1, 1], [2, 2, 2]]
    detector.detect({'cam1': Frame('cam1', TENTH, IMAGE)}, {})
    assert world.reads[-1] == [1]


def test_tiles_overlap_and_cover_the_image():
    covering = tiles(640, 480)
    np.testing.assert_allclose(covering.size, 320.0)
    low, high = covering.centre - 160.0 + 0.5, covering.centre + 160.0 + 0.5
    np.testing.assert_allclose(low.min(0), 0.0, atol=1e-9)
    np.testing.assert_allclose(high.max(0), (640.0, 480.0))
    assert len(tiles(640, 100)) == 3


def test_a_reduced_picture_is_asked_in_its_own_px_and_answers_in_raw_ones():
    world = World(person(200, 240))
    detector = detector_of(world)
    raw = 2.0 * (person(200, 240) + 0.5) - 0.5
    frame = Frame('cam0', 0, IMAGE, 2)
    seen = detector.detect({'cam0': frame}, expect([raw], [5]))['cam0']
    assert seen.hints.tolist() == [5]
    np.testing.assert_allclose(seen.xy[0], raw)


def test_both_networks_are_closed_and_a_gpu_wants_pictures_together():
    world = World()
    detector = detector_of(world)
    assert not detector.is_batched
    detector.close()
    assert world.closed == 2
    world.on_gpu = True
    assert detector_of(world).is_batched


@pytest.mark.parametrize('bad', [np.nan, np.inf, 1e12])
def test_silly_expectations_cost_nothing(bad):
    world = World(person(200, 240))
    detector = detector_of(world)
    xy = person(200, 240)
    xy[3] = bad
    sigma = np.full((1, 17), np.nan if np.isnan(bad) else 2.0)
    people = {'cam0': PredictedPeople('cam0', 0, BODY17, xy[None], sigma, np.array([1]))}
    seen = detector.detect({'cam0': Frame('cam0', 0, IMAGE)}, people)['cam0']
    assert len(seen.xy) == 1


@pytest.mark.parametrize(('presence', 'read', 'people'), [
    (0.2, False, 0), (0.2, True, 1), (1.0, False, 1), (1.0, True, 1),
], ids=['unsure', 'unsure, read by the finder', 'sure', 'sure, read by the finder'])
def test_who_is_read_alike_by_two_networks_is_there(presence, read, people):
    world = World(person(200, 240))
    world.presence, world.joints = presence, np.array(world.people) + 2.0 if read else None
    detector = detector_of(world, search_period_s=10.0, search_again_s=10.0)
    assert len(look(detector, 0).xy) == people
    # And in the images after that one.
    assert len(look(detector, TENTH).xy) == people


def test_two_networks_tell_people_who_overlap_from_doubles():
    whole = person(200, 240)
    # Another pose on the same body; part of it lies on a third one.
    behind = whole[np.roll(np.arange(17), 1)]
    people = np.stack([whole, behind, person(900, 240)])
    order = np.arange(3)
    assert find_witnesses(people, people[[1, 0]] + 1.0).tolist() == [1, 0, -1]
    assert find_witnesses(people, people[:0]).tolist() == [-1, -1, -1]
    seen = people.copy()
    for witness, kept in (([-1, -1, -1], [0, 2]), ([0, 1, -1], [0, 1, 2]), ([0, -1, -1], [0, 2]), ([0, 0, -1], [0, 2])):
        assert distinct(people, order, 0.0, seen, np.array(witness)).tolist() == kept
    # Half of its joints on each of two bodies.
    seen[2, :8], seen[2, 8:] = whole[:8], person(500, 240)[8:]
    two = np.stack([whole, person(500, 240), people[2]])
    assert distinct(two, order, 0.0, seen, np.array([0, 1, -1])).tolist() == [0, 1]
