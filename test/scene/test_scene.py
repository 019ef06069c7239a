# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The scene as a whole: one step, every view at its own instant, and what survives what."""

from dataclasses import replace

import numpy as np
import pytest

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.errors import CalibrationError
from geo_pose_ros.fusion.left_right import LIMB_PAIRS
from geo_pose_ros.geometry import rigid
from geo_pose_ros.geometry.projection import project_world
from geo_pose_ros.lifting.lifter import PoseLifter
from geo_pose_ros.lifting.settings import LifterConfig
from geo_pose_ros.scene import measurement
from geo_pose_ros.scene.scene import Scene
from geo_pose_ros.scene.settings import PipelineConfig
from geo_pose_ros.simulation.cameras import turn_camera
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import CameraRig, ClockModel, Keypoints2D

from ..scenes import keypoints, person, ring_rig

# Triangulation alone, so that exact keypoints give exact joints.
CONFIG = PipelineConfig(lifter=LifterConfig(enabled=False))
DT_NS = 33_000_000
START_NS = 10**9
PEOPLE = [person(0, (-0.7, -0.4)), person(1, (0.8, 0.5), 2.0)]


def stepped(scene: Scene, people, stamp_ns: int = START_NS, rig: CameraRig | None = None, **changes):
    return scene.step(stamp_ns, keypoints(rig or scene.rig, people, stamp_ns, **changes)).bodies


def test_camera_order_is_irrelevant():
    rig = ring_rig(5)
    order = CameraRig(tuple(rig.cameras[i] for i in (3, 0, 4, 2, 1)), 'world')
    seen = keypoints(rig, PEOPLE, noise_px=2.0)
    a, b = (Scene(r, CONFIG).step(START_NS, seen).bodies for r in (rig, order))
    for xyz in a.xyz:
        assert np.abs(b.xyz - xyz).max((1, 2)).min() < 1e-6
    assert len(a) == len(b) == 2


def test_move_the_world_and_the_answer_moves():
    rig = ring_rig(4)
    moved_from_world = rigid.from_rotation_vector(np.array([0.0, 0.0, 0.8]), np.array([3.0, -2.0, 0.5]))
    seen = keypoints(rig, PEOPLE, noise_px=2.0)
    a = Scene(rig, CONFIG).step(START_NS, seen).bodies
    moved = rig.with_poses(lambda pose: rigid.compose(pose, rigid.invert(moved_from_world)))
    b = Scene(moved, CONFIG).step(START_NS, seen).bodies
    np.testing.assert_allclose(b.xyz, rigid.transform_points(moved_from_world, a.xyz), atol=1e-6)


def test_a_view_of_nan_equals_an_absent_view():
    rig = ring_rig(4)
    seen = keypoints(rig, PEOPLE, noise_px=2.0)
    blind = Keypoints2D('cam1', START_NS, BODY17, np.full((2, 17, 2), np.nan), np.zeros((2, 17)))
    a = Scene(rig, CONFIG).step(START_NS, seen | {'cam1': blind}).bodies
    b = Scene(rig, CONFIG).step(START_NS, {n: k for n, k in seen.items() if n != 'cam1'}).bodies
    np.testing.assert_allclose(a.xyz, b.xyz, atol=1e-12)
    np.testing.assert_array_equal(a.num_views, b.num_views)


def test_cameras_that_move_are_where_they_are_said_to_be():
    """Extrinsics given with a set equal those of a rig."""
    rig = ring_rig(4)
    turned = turn_camera(rig['cam2'], np.array([0.0, 1.0, 0.0]), 0.2)
    moved = CameraRig((*rig.cameras[:2], turned, rig.cameras[3]))
    seen = keypoints(moved, PEOPLE, START_NS)
    expected = Scene(moved, CONFIG).step(START_NS, seen).bodies
    given = Scene(rig, CONFIG).step(START_NS, seen, {'cam2': moved['cam2'].cam_from_world}).bodies
    np.testing.assert_array_equal(given.xyz, expected.xyz)
    assert (given.num_views == 4).all()


def test_the_least_confidence_may_change_while_people_stay():
    rig = ring_rig(4)
    scene = Scene(rig, CONFIG)
    assert len(stepped(scene, PEOPLE)) == 2
    doubtful = {
        name: Keypoints2D(name, START_NS + DT_NS, BODY17, seen.xy, np.full(seen.confidence.shape, 0.2))
        for name, seen in keypoints(rig, PEOPLE).items()
    }
    unseen = scene.step(START_NS + DT_NS, doubtful).bodies
    assert (unseen.num_views == 0).all()
    scene.use_min_confidence(0.1)
    again = scene.step(START_NS + 2 * DT_NS, doubtful).bodies
    assert (again.num_views == 4).all() and again.body_ids.tolist() == unseen.body_ids.tolist() == [0, 1]


def test_views_of_other_instants_give_the_joints_of_the_sets():
    """Two people walk at 1.2 m/s before cameras up to half a period late."""
    rig = ring_rig(4)
    late_ns = dict(zip(rig.names, (-16_000_000, 0, 8_000_000, 16_000_000), strict=True))
    scene = Scene(rig, CONFIG)

    def at(stamp_ns):
        return [p + (1.2e-9 * (stamp_ns - START_NS), 0.0, 0.0) for p in PEOPLE]

    for k in range(40):
        now = START_NS + k * DT_NS
        seen = {n: keypoints(rig, at(now + late), now + late)[n] for n, late in late_ns.items()}
        bodies = scene.step(now, seen).bodies
    assert bodies.body_ids.tolist() == [0, 1]
    for truth in at(now):
        assert np.linalg.norm(bodies.xyz - truth, axis=-1).max(1).min() < 0.005
    np.testing.assert_allclose(bodies.velocity, np.broadcast_to((1.2, 0.0, 0.0), (2, 17, 3)), atol=0.05)
    assert (bodies.views == 0b1111).all() and (bodies.age_s == 0.0).all()
    # Two cameras less: other bits. Nobody sees them: as old as that is long.
    seen = {n: k for n, k in seen.items() if n in ('cam1', 'cam3')}
    assert (scene.step(now + DT_NS, seen).bodies.views == 0b1010).all()
    unseen = scene.step(now + 3 * DT_NS, {}).bodies
    np.testing.assert_allclose(unseen.age_s, 2e-9 * DT_NS)
    assert (unseen.views == 0).all()


def test_clock_offsets_of_the_rig_are_taken_off():
    rig, velocity = ring_rig(3), np.array([1.0, 0.5, 0.0])
    late_s = dict(zip(rig.names, (0.0, 0.3, -0.2), strict=True))
    told = CameraRig(tuple(replace(c, clock=ClockModel(late_s[c.name])) for c in rig.cameras))
    scene = Scene(told, CONFIG)
    assert scene.clocks() == {'cam0': ClockModel(), 'cam1': ClockModel(0.3), 'cam2': ClockModel(-0.2)}
    for k in range(30):
        stamp_ns = START_NS + round(k * 1e9 / 30.0)
        joints = person(0) + velocity * k / 30.0
        seen = keypoints(rig, [joints])
        found = {n: replace(s, stamp_ns=stamp_ns + round(late_s[n] * 1e9)) for n, s in seen.items()}
        bodies = scene.step(stamp_ns, found).bodies
    assert np.abs(bodies.xyz[0] - joints).max() < 1e-3
    assert scene.clocks()['cam1'].offset_ns == pytest.approx(300_000_000, abs=1_000_000)
    expected = scene.predictions().in_image(told['cam1'], stamp_ns + 300_000_000).xy[0]
    assert np.abs(expected - project_world(rig['cam1'], joints)).max() < 2.0


@pytest.mark.parametrize(('up', 'roll_rad'), [('z', 0.5 * np.pi), ('y', 0.0)], ids=['one is rolled', 'another axis'])
def test_the_upright_of_images_is_known_unless_the_rig_contradicts_it(up, roll_rad):
    rig = ring_rig(4)
    rolled = turn_camera(rig['cam0'], np.array([0.0, 0.0, 1.0]), 0.5 * np.pi)
    rig = CameraRig((rolled, *rig.cameras[1:]))
    scene = Scene(rig, replace(CONFIG, lifter=LifterConfig(enabled=False, up=up)))
    assert scene.predictions().in_image(rig['cam0'], 0).roll_rad == pytest.approx(roll_rad)


def test_reset_forgets_everybody_and_uses_no_id_again():
    scene = Scene(ring_rig(4), CONFIG)
    stepped(scene, PEOPLE)
    scene.reset()
    assert len(scene.step(START_NS + DT_NS, {}).bodies) == 0
    assert stepped(scene, PEOPLE, START_NS + 2 * DT_NS).body_ids.tolist() == [2, 3]


def test_it_says_what_it_knows():
    scene = Scene(ring_rig(3), CONFIG)
    stepped(scene, [PEOPLE[0]])
    assert repr(scene) == (
        'Scene(cam0, cam1, cam2; Tracks(0 (3 views, 1.00)); CameraStates(clock offsets +0.0, +0.0, +0.0 ms, '
        'noise [1.0, 1.0, 1.0], moved []))'
    )
    assert scene.clocks() == dict.fromkeys(('cam0', 'cam1', 'cam2'), ClockModel())


def test_detections_that_belong_to_nobody_are_counted():
    rig = ring_rig(4)
    seen = keypoints(rig, [PEOPLE[0]])
    seen['cam2'] = keypoints(rig, PEOPLE)['cam2']
    found = Scene(rig, CONFIG).step(START_NS, {n: seen[n] for n in ('cam0', 'cam1', 'cam2')})
    assert found.unassigned == {'cam0': 0, 'cam1': 0, 'cam2': 1}
    assert {name: owners.tolist() for name, owners in found.owners.items()} == {
        'cam0': [0], 'cam1': [0], 'cam2': [0, -1]
    }
    assert set(found.cameras) == set(rig.names)
    for name in ('cam0', 'cam1', 'cam2'):
        np.testing.assert_allclose(found.residuals_px[name], 0.0, atol=1e-3)


def hinted(seen, body: int, cameras) -> dict[str, Keypoints2D]:
    """The keypoints of ``cameras``, made for ``body``; nobody in the others."""
    return {
        name: Keypoints2D(name, k.stamp_ns, BODY17, k.xy, k.confidence, np.full(len(k.xy), body))
        if name in cameras else Keypoints2D.empty(name, k.stamp_ns, BODY17)
        for name, k in seen.items()
    }


@pytest.mark.parametrize('hint', [0, -1])
def test_one_view_that_was_hoped_for_does_not_outweigh_three_that_see_nobody(hint):
    rig = ring_rig(4)
    scene = Scene(rig, PipelineConfig(), PoseLifter(LifterConfig()))
    for k in range(10):
        stepped(scene, [PEOPLE[0]], START_NS + k * DT_NS)
    seen = keypoints(rig, [PEOPLE[0]], START_NS + 10 * DT_NS)
    bodies = scene.step(START_NS + 10 * DT_NS, hinted(seen, hint, ['cam1'])).bodies
    assert bodies.body_ids.tolist() == [0]
    assert ('unseen' in repr(scene)) == (hint == 0)


@pytest.mark.parametrize('told', [True, False])
def test_second_readings_of_somebody_near_keep_no_ghost_alive(told):
    rig = ring_rig(4)
    scene = Scene(rig, PipelineConfig(), PoseLifter(LifterConfig()))
    here = PEOPLE[0]
    for k in range(10):
        bodies = stepped(scene, [here, here + np.array([0.6, 0.0, 0.0])], START_NS + k * DT_NS)
    stays, left = bodies.body_ids[bodies.xyz[:, 0, 0].argsort()].tolist()
    # One has left; a network that is told where to look reads the other once more there, smaller, in three cameras.
    again = here.mean(0) + 0.7 * (here - here.mean(0)) + np.array([0.05, 0.0, 0.0])
    for k in range(10, 30):
        stamp_ns = START_NS + k * DT_NS
        seen = {
            name: Keypoints2D(
                name, stamp_ns, BODY17, both.xy, both.confidence, np.array([stays, left]) if told else None
            )
            for name, both in keypoints(rig, [here, again], stamp_ns).items()
        }
        seen['cam3'] = hinted(keypoints(rig, [here], stamp_ns), stays if told else -1, ['cam3'])['cam3']
        bodies = scene.step(stamp_ns, seen).bodies
    assert sorted(bodies.body_ids.tolist()) == ([stays] if told else sorted([stays, left]))


def test_what_was_found_where_somebody_was_expected_is_news_only_if_that_one_is_lost():
    rig = ring_rig(4)
    # Who vanishes at once from all views is left behind.
    for lost, ids in ((True, [1]), (False, [0])):
        scene = Scene(rig, CONFIG)
        for k in range(10):
            stepped(scene, [PEOPLE[0]], START_NS + k * DT_NS)
        stamp_ns = START_NS + 10 * DT_NS
        # Three metres away, and found by detectors that were told to look for body 0.
        elsewhere = hinted(keypoints(rig, [person(1, (-1.5, 2.5))], stamp_ns), 0, rig.names)
        there = keypoints(rig, [PEOPLE[0]], stamp_ns)
        if not lost:
            elsewhere = {
                name: Keypoints2D(
                    name, stamp_ns, BODY17, np.concatenate([there[name].xy, k.xy]),
                    np.concatenate([there[name].confidence, k.confidence]), np.zeros(2, np.int64),
                )
                for name, k in elsewhere.items()
            }
        assert scene.step(stamp_ns, elsewhere).bodies.body_ids.tolist() == ids


@pytest.fixture
def lifted_bodies(monkeypatch):
    """How many bodies each call of the lifter was for."""
    calls, lift = [], PoseLifter.lift

    def counted(self, xn, *args, **kw):
        calls.append(xn.shape[1])
        return lift(self, xn, *args, **kw)

    monkeypatch.setattr(PoseLifter, 'lift', counted)
    return calls


def test_a_set_is_lifted_once_and_bodies_with_repaired_sides_once_more_if_nothing_predicts_them(lifted_bodies):
    rig = ring_rig(4)
    left, right = LIMB_PAIRS[0].T
    for swapped_sets, lifted in (((1,), [2, 2]), ((0,), [2, 1, 2])):
        scene = Scene(rig, PipelineConfig(), PoseLifter(LifterConfig()))
        lifted_bodies.clear()
        for k in range(2):
            seen = keypoints(rig, PEOPLE, START_NS + k * DT_NS)
            if k in swapped_sets:
                swapped = seen['cam1'].xy.copy()
                swapped[1, left], swapped[1, right] = seen['cam1'].xy[1, right], seen['cam1'].xy[1, left]
                seen['cam1'] = replace(seen['cam1'], xy=swapped)
            scene.step(START_NS + k * DT_NS, seen)
        assert lifted_bodies == lifted


def test_a_set_that_shows_another_velocity_is_solved_twice_and_lifted_once(lifted_bodies, monkeypatch):
    rig, solved = ring_rig(4), []
    estimate = measurement.estimate_bodies
    monkeypatch.setattr(measurement, 'estimate_bodies', lambda *args: solved.append(0) or estimate(*args))
    scene = Scene(rig, PipelineConfig(), PoseLifter(LifterConfig()))
    late_ns = dict(zip(rig.names, (-16_000_000, 0, 8_000_000, 16_000_000), strict=True))
    for k in range(12):
        now = START_NS + k * DT_NS
        # Somebody stands, and then walks.
        moved = {n: PEOPLE[0] + (3e-9 * max(now + late - START_NS - 8 * DT_NS, 0), 0, 0) for n, late in late_ns.items()}
        scene.step(now, {n: keypoints(rig, [moved[n]], now + late)[n] for n, late in late_ns.items()})
    assert lifted_bodies == [1] * 12
    assert 12 < len(solved) <= 16


def crowded(seen: Keypoints2D, kind: str) -> Keypoints2D:
    """Return 200 people in the image of one: all alike, anywhere, or without a keypoint."""
    rng = np.random.default_rng(0)
    xy = {
        'alike': np.repeat(seen.xy[:1], 200, 0), 'anywhere': rng.uniform(0.0, 900.0, (200, 17, 2)),
        'huge': rng.choice([-1e300, np.inf, 1e300], (200, 17, 2)), 'unseen': np.full((200, 17, 2), np.nan),
    }[kind]
    return Keypoints2D(seen.camera, seen.stamp_ns, BODY17, xy, np.ones((200, 17)))


@pytest.mark.parametrize('kind', ['alike', 'anywhere', 'huge', 'unseen'])
def test_two_hundred_people_in_every_image_take_nobodys_place(kind):
    """More pairs of detections than are tried in one set; who is known claims theirs before."""
    scene = Scene(ring_rig(6), CONFIG)
    before = stepped(scene, PEOPLE)
    for n in (1, 2):
        seen = keypoints(scene.rig, PEOPLE, START_NS + n * DT_NS)
        crowds = {name: crowded(own, kind) for name, own in seen.items()}
        bodies = scene.step(START_NS + n * DT_NS, {
            name: Keypoints2D(
                name, own.stamp_ns, BODY17, np.concatenate([crowds[name].xy, own.xy]), np.ones((202, 17))
            )
            for name, own in seen.items()
        }).bodies
        kept = bodies.select(np.isin(bodies.body_ids, before.body_ids))
        assert kept.body_ids.tolist() == before.body_ids.tolist()
        np.testing.assert_allclose(kept.xyz, before.xyz, atol=0.01)


@pytest.mark.parametrize(('most', 'followed', 'is_full'), [(1, 1, True), (2, 2, False)])
def test_new_people_wait_where_as_many_as_may_be_are_followed(most, followed, is_full):
    scene = Scene(ring_rig(4), replace(CONFIG, tracking=replace(CONFIG.tracking, max_bodies=most)))
    for n in range(3):
        found = scene.step(START_NS + n * DT_NS, keypoints(scene.rig, PEOPLE, START_NS + n * DT_NS))
        assert found.bodies.body_ids.tolist() == [*range(followed)] and found.is_full == is_full


def test_unknown_cameras_are_refused():
    scene = Scene(ring_rig(2), CONFIG)
    message = r"Keypoints of \['cam9'\]: the rig has only cam0, cam1"
    with pytest.raises(CalibrationError, match=message):
        scene.step(0, {'cam9': Keypoints2D.empty('cam9', 0, BODY17)})
    with pytest.raises(CalibrationError, match=message):
        scene.step(0, {}, {'cam9': np.eye(3, 4)})


def ids_after(rig: CameraRig, *sets, start=None, lasting: int = 10) -> list[list[int]]:
    """Return the ids of each of ``sets``, {camera: people} or people that all see, after people were there a while."""
    scene, ids = Scene(rig, CONFIG), []
    for number, people in enumerate([*[start or PEOPLE] * lasting, *sets]):
        stamp_ns = START_NS + number * DT_NS
        by_camera = people if isinstance(people, dict) else dict.fromkeys(rig.names, people)
        seen = {name: keypoints(rig, who, stamp_ns)[name] for name, who in by_camera.items()}
        ids.append(sorted(scene.step(stamp_ns, seen).bodies.body_ids.tolist()))
    return ids[lasting:]


JUMPED = [person(0, (1.5, 1.2)), person(1, (-1.3, 1.4), 2.0)]


@pytest.mark.parametrize('cameras', [2, 4])
def test_where_a_bag_begins_again_nobody_hangs_in_the_air(cameras):
    """Stamps go on, people are elsewhere at once; one who stays is the same."""
    rig = ring_rig(cameras)
    assert ids_after(rig, *[JUMPED] * 3)[-1] == [2, 3]
    [one, new] = ids_after(rig, *[[PEOPLE[0], JUMPED[1]]] * 3)[-1]
    assert one in (0, 1) and new == 2


def test_a_set_of_images_from_before_and_after_a_jump_leaves_no_ghost():
    rig = ring_rig(4)
    mixed = {'cam0': PEOPLE, 'cam1': PEOPLE, 'cam2': JUMPED, 'cam3': JUMPED}
    assert ids_after(rig, mixed, *[JUMPED] * 3)[-1] == [2, 3]


def test_who_is_occluded_or_leaves_while_somebody_comes_is_still_predicted():
    rig = ring_rig(4)
    # Nobody new.
    assert ids_after(rig, PEOPLE[:1], PEOPLE[:1]) == [[0, 1], [0, 1]]
    # Somebody new, while views go one by one.
    rest = [dict(zip(rig.names, [PEOPLE[:1]] * n + [PEOPLE] * (4 - n), strict=True)) for n in (1, 2, 3)]
    assert ids_after(rig, *rest, [PEOPLE[0], JUMPED[1]])[-1] == [0, 1, 2]
    # More are gone than came.
    assert ids_after(rig, JUMPED[:1])[-1] == [0, 1, 2]


def test_published_keypoints_have_the_sides_that_the_other_views_know():
    rig = ring_rig(4)
    scene, clean = Scene(rig, CONFIG), keypoints(rig, PEOPLE, noise_px=1.0)
    scene.step(START_NS, clean)
    arms, seen = LIMB_PAIRS[1], clean['cam1']
    xy, confidence = seen.xy.copy(), seen.confidence.copy()
    confidence[1, arms[2, 0]] = 0.6
    known = replace(seen, confidence=confidence.copy())
    for values in (xy, confidence):
        values[1, arms] = values[1, arms[:, ::-1]]
    told = clean | {'cam1': replace(seen, xy=xy, confidence=confidence)}
    result = scene.step(START_NS + DT_NS, told)
    assert result.exchanged == {'cam0': 0, 'cam1': 1, 'cam2': 0, 'cam3': 0}
    np.testing.assert_array_equal(result.keypoints['cam1'].xy, known.xy)
    np.testing.assert_array_equal(result.keypoints['cam1'].confidence, known.confidence)
    assert all(result.keypoints[name] is told[name] for name in ('cam0', 'cam2', 'cam3'))
    # What was given stays as it was.
    np.testing.assert_array_equal(told['cam1'].xy[1, arms], seen.xy[1, arms[:, ::-1]])


def flat(x_m: float, y_m: float = 1.5) -> FloatArray:
    """Return a life-size picture (17, 3) of a person on a wall across y."""
    joints = person(3, (x_m, 0.0))
    joints[:, 1] = y_m
    return joints


@pytest.mark.parametrize(('shown', 'bodies'), [
    ({'cam0': flat(0.0)}, 1), ({'cam0': flat(-1.5), 'cam1': flat(0.0), 'cam2': flat(1.5)}, 1),
    ({f'cam{i}': flat(0.6) for i in range(4)}, 2),
    ({f'cam{i}': person(0) * (1.0, -1.0, 1.0) + (0.0, 3.0, 0.0) for i in range(4)}, 2),
], ids=['a screen for one camera', 'another picture for each camera', 'a picture on a wall', 'a mirror'])
def test_pictures_of_people_become_bodies_only_where_their_rays_meet(shown, bodies):
    scene, real = Scene(ring_rig(4), CONFIG), person(0)
    for step in range(40):
        stamp_ns = START_NS + step * DT_NS
        found = {
            name: keypoints(scene.rig, [real, shown[name]] if name in shown else [real], stamp_ns)[name]
            for name in scene.rig.names
        }
        result = scene.step(stamp_ns, found).bodies
    assert len(result) == bodies
    np.testing.assert_allclose(result.xyz[0], real, atol=1e-3)
    # What all cameras see at one place is a body, where it seems to be: on the wall, or behind the mirror.
    for xyz in result.xyz[1:]:
        np.testing.assert_allclose(xyz, shown['cam0'], atol=0.02)
