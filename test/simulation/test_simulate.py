# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The scene simulator: what it shows the pipeline, and how it judges what comes back."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.errors import ConfigError
from geo_pose_ros.geometry.projection import project_world
from geo_pose_ros.ros.settings import NodeConfig
from geo_pose_ros.settings import build as config_of
from geo_pose_ros.simulation.cameras import ring_rig
from geo_pose_ros.simulation.carried import base_from_odom, carry_rig
from geo_pose_ros.simulation.detector import CLEAN, NoiseSettings
from geo_pose_ros.simulation.metrics import (
    Metrics,
    association_ratio,
    gauge_s,
    match,
    mean_acceleration,
    measure,
    oracle_ratio,
)
from geo_pose_ros.simulation.scenario import EPOCH_NS, Hidden, Knock, Scenario, World, build
from geo_pose_ros.simulation.sight import find_occluders
from geo_pose_ros.simulation.simulate import SetRecord, SimulatedRun, arrivals, run
from geo_pose_ros.simulation.walks import STANDING, crossing_paths, walks
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Bodies3D

# Nothing here needs ../shared: the people are synthetic.
PLAIN = Scenario(cameras=3, people=1, duration_s=1.0, recorded=False, miss=0.0, noise=CLEAN)
NS = 1_000_000_000


def arrays(world: World) -> list[np.ndarray]:
    return [record.detections.xy for record in world.cameras]


@pytest.mark.parametrize('phase', ['trigger', 'random', 'half'])
def test_keypoints_are_the_projection_at_the_cameras_own_exposure(phase: str) -> None:
    world = build(replace(PLAIN, phase=phase, clock_offset_ms=30.0))
    for record, offset_s in zip(world.cameras, world.clock_offset_s, strict=True):
        taken = [seen for _, seen in arrivals(world) if seen.camera == record.camera.name]
        assert len(taken) == len(record.exposure_s) >= 29
        for k, exposure_s in zip(taken, record.exposure_s, strict=True):
            exact = project_world(record.camera, world.motion(exposure_s))
            seen = np.isfinite(k.xy[0, :, 0])
            assert np.abs(k.xy[0] - exact[0])[seen].max() < 1e-9
            assert k.stamp_ns == pytest.approx(EPOCH_NS + (exposure_s + offset_s) * NS, abs=1.0)
        # Half a period later is another picture.
        late = project_world(record.camera, world.motion(record.exposure_s + 1.0 / 60.0))
        assert np.nanmedian(np.abs(record.detections.xy - late)) > 0.5


def test_phases_and_mixed_rates_are_as_named() -> None:
    starts = {phase: [r.exposure_s[0] for r in build(replace(PLAIN, phase=phase)).cameras]
              for phase in ('trigger', 'half', 'random')}
    assert starts['trigger'] == [0.0, 0.0, 0.0]
    assert starts['half'] == [0.0, pytest.approx(1.0 / 60.0), 0.0]
    assert len(set(starts['random'])) == 3 and all(0.0 <= s < 1.0 / 30.0 for s in starts['random'])
    mixed = build(replace(PLAIN, cameras=4, rate_hz=0.0))
    assert [len(r.exposure_s) for r in mixed.cameras] == [15, 30, 60, 15] and mixed.period_s == 1.0 / 60.0


def test_loss_and_misses_have_the_asked_rates() -> None:
    world = build(replace(PLAIN, cameras=4, duration_s=20.0, loss=0.1, miss=0.05))
    arrived = sum(len(r.exposure_s) for r in world.cameras)
    found = sum(int(r.detections.found.sum()) for r in world.cameras)
    # 2400 frames: three standard deviations are 1.8 and 1.4 %.
    assert arrived / 2400 == pytest.approx(0.9, abs=0.018)
    assert found / arrived == pytest.approx(0.95, abs=0.014)
    assert sum(len(r.exposure_s) for r in build(replace(PLAIN, duration_s=20.0)).cameras) == 1800


def test_the_same_seed_gives_the_same_scene_and_another_another() -> None:
    scenario = replace(PLAIN, people=3, noise=NoiseSettings(), phase='random')
    first, again, other = build(scenario), build(scenario), build(replace(scenario, seed=1))
    for a, b in zip(arrays(first), arrays(again), strict=True):
        assert np.array_equal(a, b, equal_nan=True)
    assert not np.allclose(first.motion(np.array(0.5)), other.motion(np.array(0.5)), atol=0.05)
    assert [at for at, _ in arrivals(first)] == [at for at, _ in arrivals(again)]


def test_a_factor_leaves_the_others_alone() -> None:
    plain, lossy = build(PLAIN), build(replace(PLAIN, loss=0.3, calibration_error_deg=1.0))
    assert np.array_equal(plain.motion(np.array([0.1, 0.7])), lossy.motion(np.array([0.1, 0.7])))
    assert plain.rig.cameras[1].cam_from_world == pytest.approx(lossy.rig.cameras[1].cam_from_world)
    kept = np.isin(plain.cameras[0].exposure_s, lossy.cameras[0].exposure_s)
    assert 0 < kept.sum() < len(kept)
    assert np.array_equal(plain.cameras[0].detections.xy[kept], lossy.cameras[0].detections.xy, equal_nan=True)


def test_the_given_rig_is_off_by_the_calibration_error() -> None:
    world = build(replace(PLAIN, calibration_error_deg=0.5))
    for true, given in zip(world.rig.cameras, world.given_rig.cameras, strict=True):
        between = true.cam_from_world[:, :3] @ given.cam_from_world[:, :3].T
        assert np.rad2deg(np.arccos((np.trace(between) - 1.0) / 2.0)) == pytest.approx(0.5, rel=1e-6)
        assert given.position_m == pytest.approx(true.position_m)


def test_a_person_behind_another_is_hidden_and_nobody_else() -> None:
    camera = ring_rig(1, 0.5, np.random.default_rng(0)).cameras[0]
    towards = -camera.position_m[:2] / np.linalg.norm(camera.position_m[:2])
    aside = np.array([-towards[1], towards[0]])
    people = np.stack([STANDING, STANDING, STANDING])
    people[1, :, :2] += 0.8 * towards
    people[2, :, :2] += 1.5 * aside
    hidden_by = find_occluders(camera, people[None])[0]
    torso = [BODY17.index(name) for name in ('pelvis', 'spine', 'thorax', 'left_hip', 'right_hip')]
    assert (hidden_by[1, torso] == 0).all()
    assert (hidden_by[0] == -1).all() and (hidden_by[2] == -1).all()


def test_hidden_joints_are_missing_or_on_the_person_who_hides_them() -> None:
    world = build(replace(PLAIN, cameras=2, people=6, motion='cell', duration_s=4.0, spacing_m=0.7))
    foreign = missing = 0
    for record in world.cameras:
        exact = project_world(record.camera, world.motion(record.exposure_s))
        behind = find_occluders(record.camera, world.motion(record.exposure_s))
        d = record.detections
        hidden = (behind >= 0) & d.found[..., None] & ~d.foreign
        missing += int(hidden.sum())
        assert np.isnan(d.xy[hidden]).all()
        for f, p, j in np.argwhere(d.foreign & d.found[..., None] & (behind >= 0))[:50]:
            gap = np.linalg.norm(exact[f] - d.xy[f, p, j], axis=-1)
            gap[p] = np.inf
            assert np.nanmin(gap) < 1e-6
            assert d.confidence[f, p, j] < 0.6
            assert np.isnan(d.clean_xy[f, p, j]).all()
            foreign += 1
    assert foreign > 20 and missing > foreign


def test_what_is_marked_is_wrong_and_what_is_not_is_right() -> None:
    noise = replace(CLEAN, outlier_rate=0.05, swap_rate=0.1, missing_rate=0.05)
    world = build(replace(PLAIN, duration_s=8.0, noise=noise))
    for record in world.cameras:
        d = record.detections
        exact = project_world(record.camera, world.motion(record.exposure_s))
        off = np.linalg.norm(d.xy - exact, axis=-1)
        seen = np.isfinite(off)
        assert off[seen & ~d.gross & ~d.exchanged].max() < 1e-9
        assert np.median(off[seen & d.gross]) > 10.0
        assert (off[seen & d.exchanged] > 1.0).mean() > 0.95
        # The oracle's are all right, and as many as are not gross.
        clean = np.linalg.norm(d.clean_xy - exact, axis=-1)
        assert np.nanmax(clean) < 1e-9
        assert (seen & ~d.gross & ~d.exchanged & np.isnan(clean)).mean() < 0.02
        assert d.gross.mean() == pytest.approx(0.05, abs=0.03)
        assert np.isfinite(clean[d.exchanged & ~d.gross]).mean() > 0.8


def test_a_hidden_person_is_seen_by_nobody_while_hidden() -> None:
    world = build(replace(PLAIN, people=2, hidden=(Hidden(1, 0.3, 0.6),)))
    for record in world.cameras:
        away = (record.exposure_s >= 0.3) & (record.exposure_s < 0.6)
        assert not record.detections.found[away, 1].any() and not record.visible[away, 1].any()
        assert record.detections.found[~away, 1].mean() > 0.5


def test_a_knock_moves_the_image_while_it_lasts() -> None:
    plain, knocked = build(PLAIN), build(replace(PLAIN, knocks=(Knock(1, 20.0, 0.4, 0.7),)))
    time = plain.cameras[1].exposure_s
    moved = np.linalg.norm(plain.cameras[1].detections.xy - knocked.cameras[1].detections.xy, axis=-1)
    during = (time >= 0.4) & (time < 0.7)
    assert np.nanmedian(moved[during]) == pytest.approx(20.0, rel=0.2)
    assert np.nanmax(moved[~during]) == 0.0
    assert np.array_equal(plain.cameras[0].detections.xy, knocked.cameras[0].detections.xy, equal_nan=True)


def test_bones_are_rigid_and_statures_differ() -> None:
    world = build(replace(PLAIN, people=4, motion='cell', duration_s=3.0))
    joints = world.motion(np.arange(0.0, 3.0, 0.01))
    lengths = np.stack([np.linalg.norm(joints[..., b, :] - joints[..., a, :], axis=-1) for a, b in BODY17.edges], -1)
    assert (np.ptp(lengths, axis=0) < 0.002).all()
    assert np.ptp(lengths.mean(0).sum(-1)) > 0.2


def test_walkers_keep_their_distance() -> None:
    people = 8
    paths = walks(np.random.default_rng(0), people, 1.0, 0.6 + 0.75 * np.sqrt(people), 600)
    apart = np.linalg.norm(paths[:, :, None] - paths[:, None], axis=-1) + 10.0 * np.eye(people)
    assert apart.min() >= 1.0
    # They do walk.
    assert np.linalg.norm(np.ptp(paths, axis=0), axis=-1).min() > 0.3


def test_people_who_cross_pass_at_half_a_metre() -> None:
    paths = crossing_paths(600, 4.0, 0.5, 1.2)
    apart = np.linalg.norm(paths[:, 0] - paths[:, 1], axis=-1)
    assert apart.min() == pytest.approx(0.5, abs=0.01)
    assert apart[0] > 2.0 and apart[-1] > 2.0
    assert (paths[0, 0, 0] < 0.0) and (paths[-1, 0, 0] > 0.0)


def test_a_clean_scene_is_found_exactly() -> None:
    simulated = run(build(replace(PLAIN, cameras=4)), config_of(NodeConfig, {
        'pipeline.lifter.enabled': False, 'pipeline.tracking.enabled': False,
    }))
    found = measure(simulated)
    assert found.mpjpe_m < 1e-3
    assert found.ghosts == 0.0 and found.ids == 1.0
    assert all(s.now_ns >= s.stamp_ns for s in simulated.sets)


def bodies(stamp_ns: int, xyz: FloatArray, ids: list[int], views: int = 2, sigma_m: float = 0.01) -> Bodies3D:
    shape = xyz.shape[:2]
    return Bodies3D(
        stamp_ns, 'world', BODY17, xyz, np.broadcast_to(sigma_m**2 * np.eye(3), (*shape, 3, 3)).copy(),
        np.ones(shape), np.full(shape, views), np.zeros(shape), np.array(ids, np.int64),
    )


def by_hand(world: World, published: list[Bodies3D], cameras: list[dict[str, object]] | None = None) -> SimulatedRun:
    """Return a simulated of bodies that were published from every camera's frame of that stamp."""
    sets = tuple(
        SetRecord(
            b.stamp_ns, b.stamp_ns, {r.camera.name: b.stamp_ns for r in world.cameras if b.stamp_ns in r.stamp_ns}, b,
            1.0, cameras[i] if cameras else {},
        )
        for i, b in enumerate(published)
    )
    return SimulatedRun(world, sets, {})


@pytest.fixture(scope='module')
def pair() -> World:
    return build(replace(PLAIN, people=2))


def stamps(world: World) -> list[int]:
    return [int(s) for s in world.cameras[0].stamp_ns]


def test_perfect_results_are_perfect(pair: World) -> None:
    found = measure(by_hand(pair, [bodies(s, pair.truth(s), [4, 9]) for s in stamps(pair)]))
    assert (found.instants, found.recall, found.ghosts, found.ids) == (1.0, 1.0, 0.0, 1.0)
    assert found.bodies == 1.0 and found.mpjpe_m == 0.0 and found.inside_2 == 1.0 and found.views == 2.0
    assert found.latency_p95_ms == 0.0
    assert np.isnan(found.inside_1) and np.isnan(found.clock_error_ms)


def test_ghosts_missing_people_and_new_ids_are_counted(pair: World) -> None:
    published = []
    for i, s in enumerate(stamps(pair)):
        truth = pair.truth(s)
        ghost = truth[:1] + (0.0, 0.0, 0.5)
        # A ghost in every set, the second person in every other one, and a new id for the first halfway.
        kept = [truth[:1], ghost] + ([truth[1:]] if i % 2 else [])
        published.append(bodies(s, np.concatenate(kept), [4 if i < 15 else 5, 7] + ([9] if i % 2 else [])))
    found = measure(by_hand(pair, published))
    assert found.ghosts == 1.0
    assert found.recall == pytest.approx(0.75)
    assert found.ids == pytest.approx(1.5)
    assert found.bodies == pytest.approx(1.25)


def test_a_body_too_far_off_is_nobody(pair: World) -> None:
    truth = pair.truth(stamps(pair)[0])
    for off_m, found in ((0.34, [0, 1]), (0.36, [-1, -1])):
        assert match(truth + (0.0, 0.0, off_m), truth).body.tolist() == found


def test_instants_without_a_set_are_counted(pair: World) -> None:
    every_third = stamps(pair)[::3]
    found = measure(by_hand(pair, [bodies(s, pair.truth(s), [0, 1]) for s in every_third]))
    assert found.instants == pytest.approx(1 / 3, abs=0.01)
    assert found.sets_per_instant == pytest.approx(1 / 3, abs=0.01)


@pytest.mark.parametrize(('sigma_m', 'inside'), [(0.01, 0.0), (0.02, 1.0)])
def test_coverage_takes_the_claim_at_its_word(pair: World, sigma_m: float, inside: float) -> None:
    # 0.04 m off along one axis: 16 sigma^2 of 0.01, 4 of 0.02.
    for views, name in ((2, 'inside_2'), (1, 'inside_1'), (0, 'inside_0'), (7, 'inside_2')):
        published = [bodies(s, pair.truth(s) + (0.04, 0.0, 0.0), [0, 1], views, sigma_m) for s in stamps(pair)[:3]]
        assert np.isnan(getattr(measure(by_hand(pair, published[:2])), name))
        found = measure(by_hand(pair, published))
        assert getattr(found, name) == inside


def test_one_camera_is_judged_at_the_true_distance() -> None:
    world = build(replace(PLAIN, cameras=1))
    stamp = stamps(world)[0]
    centre, truth = world.rig.cameras[0].position_m, world.truth(stamp)
    far = centre + 1.4 * (truth - centre)
    assert match(far, truth).body.tolist() == [-1]
    assert measure(by_hand(world, [bodies(stamp, far, [0])])).mpjpe_m == pytest.approx(0.0, abs=1e-9)
    turned = truth + (0.0, 0.0, 0.5)
    assert match(turned, truth, centre).body.tolist() == [-1]


@pytest.mark.parametrize(('after', 'same'), [(1, 1.0), (3, 0.0)])
def test_whoever_was_hidden_must_come_back_with_the_same_id(after: int, same: float) -> None:
    world = build(replace(PLAIN, people=2, duration_s=4.0, hidden=(Hidden(1, 1.0, 2.0),)))
    published = []
    for s in stamps(world):
        time_s, truth = (s - EPOCH_NS) / NS, world.truth(s)
        away = 1.0 <= time_s < 2.0
        published.append(bodies(s, truth[:1] if away else truth, [0] if away else [0, 1 if time_s < 1.0 else after]))
    found = measure(by_hand(world, published))
    assert found.same_id == same
    assert found.recall == 1.0


@pytest.mark.parametrize('exchanged', [False, True])
def test_ids_exchanged_while_crossing_are_noticed(exchanged: bool) -> None:
    world = build(Scenario(cameras=2, people=2, motion='cross', duration_s=6.0, recorded=False, noise=CLEAN))
    published = [
        bodies(s, world.truth(s), [1, 0] if exchanged and (s - EPOCH_NS) / NS > 3.0 else [0, 1]) for s in stamps(world)
    ]
    assert measure(by_hand(world, published)).crossed_id == float(not exchanged)


def test_reports_about_cameras_are_compared_with_the_truth() -> None:
    world = build(replace(PLAIN, clock_offset_ms=50.0, duration_s=2.0, knocks=(Knock(1, 30.0, 0.5),)))
    published = [bodies(s, world.truth(s), [0]) for s in stamps(world)]

    def camera(index: int, time_s: float, wrong_s: float) -> SimpleNamespace:
        # All ahead by 20 ms, which nobody can tell, and one of them wrong at first.
        known = world.clock_offset_s[index] + 0.02 + (wrong_s if index == 2 and time_s < 1.0 else 0.0)
        return SimpleNamespace(clock_offset_s=known, moved=index == 1 and time_s >= 0.8, noise_scale=1.0)

    for wrong_s, found_s in ((0.002, 0.0), (0.02, 1.0)):
        reported = [
            {name: camera(i, (b.stamp_ns - EPOCH_NS) / NS, wrong_s) for i, name in enumerate(world.rig.names)}
            for b in published
        ]
        simulated = by_hand(world, published, reported)
        found = measure(simulated)
        assert gauge_s(simulated) == pytest.approx(-0.02)
        assert found.clock_error_ms == pytest.approx(0.0, abs=1e-6)
        assert found.clock_found_s == pytest.approx(found_s, abs=0.1)
        assert found.knock_found_s == pytest.approx(0.3, abs=0.04)
        assert found.false_knocks == 0.0


def test_a_false_report_is_counted() -> None:
    world = build(PLAIN)
    published = [bodies(s, world.truth(s), [0]) for s in stamps(world)]
    fine = SimpleNamespace(clock_offset_s=0.0, moved=False)
    moved = SimpleNamespace(clock_offset_s=0.0, moved=True)
    reported = [{'cam00': fine, 'cam01': fine, 'cam02': moved if i < 6 else fine} for i in range(len(published))]
    found = measure(by_hand(world, published, reported))
    assert found.false_knocks == pytest.approx(6 / (3 * len(published)))
    assert np.isnan(found.knock_found_s)


def test_the_oracle_ratio_compares_what_both_have(pair: World) -> None:
    at = stamps(pair)[:4]
    ours = by_hand(pair, [bodies(s, pair.truth(s) + (0.03, 0.0, 0.0), [0, 1]) for s in at])

    def oracle(person: int) -> SimulatedRun:
        # One set fewer, and half our error.
        return by_hand(pair, [bodies(s, pair.truth(s)[[person]] + (0.0, 0.015, 0.0), [0]) for s in at[1:]])

    assert oracle_ratio(ours, oracle) == pytest.approx(2.0)


def test_the_association_ratio_counts_who_is_found(pair: World) -> None:
    at = stamps(pair)[:4]
    # The second person's body is 0.2 m off in half of the sets; alone it is right, as it is without a body once.
    ours = by_hand(pair, [
        bodies(s, pair.truth(s) + np.array([[[0.0]], [[0.2 * (k % 2)]]]), [0, 1]) for k, s in enumerate(at)
    ])

    def alone(person: int) -> SimulatedRun:
        return by_hand(pair, [bodies(s, pair.truth(s)[[person]], [0]) for s in at])

    assert association_ratio(ours, alone) == pytest.approx(6 / 8)
    assert measure(ours).found == pytest.approx(6 / 8)


def test_people_are_missed_for_as_long_as_asked_and_two_cameras_stand_as_far_apart() -> None:
    scenario = replace(PLAIN, cameras=2, miss=0.2, miss_s=0.5, pair_deg=140.0, duration_s=20.0)
    world = build(scenario)
    lost = ~world.cameras[0].detections.found[:, 0]
    begins = np.flatnonzero(np.diff(lost.astype(int), prepend=0) == 1)
    assert 0.1 < lost.mean() < 0.3 and lost.sum() / len(begins) / scenario.rate_hz == pytest.approx(0.5, rel=0.4)
    axes = np.stack([camera.cam_from_world[2, :2] for camera in world.rig.cameras])
    axes /= np.linalg.norm(axes, axis=1, keepdims=True)
    assert np.rad2deg(np.arccos(axes[0] @ axes[1])) == pytest.approx(140.0, abs=18.0)


def test_nothing_published_is_not_good() -> None:
    found = measure(SimulatedRun(build(PLAIN), (), {}))
    assert found.instants == 0.0 and np.isnan(found.mpjpe_m)
    assert isinstance(found, Metrics)


@pytest.mark.parametrize(
    ('wrong', 'said'),
    [
        ({'phase': 'thirds'}, "phase 'thirds'"), ({'motion': 'fly'}, "motion 'fly'"), ({'cameras': 0}, '0 cameras'),
        ({'people': 3, 'motion': 'cross'}, "2 people for motion 'cross'"), ({'loss': 1.5}, 'loss 1.5'),
        ({'miss': -0.1}, 'miss -0.1'), ({'speed': 0.0}, 'speed 0.0'), ({'rate_hz': -1.0}, 'rate_hz -1.0'),
        ({'people': 2, 'hidden': (Hidden(2, 0.0, 1.0),)}, 'person 2'), ({'knocks': (Knock(7, 9.0, 0.0),)}, 'camera 7'),
    ],
)
def test_a_scenario_that_cannot_be_is_refused(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Scenario(**wrong)  # type: ignore[arg-type]


# Every value of every axis, and all pairs of rate and phase.
ROWS = [
    # rate Hz (0: 15, 30 and 60 mixed), phase, loss, people, cameras
    (30.0, 'trigger', 0.0, 1, 4),
    (30.0, 'half', 0.0, 1, 2),
    (30.0, 'random', 0.1, 2, 4),
    (60.0, 'trigger', 0.1, 2, 3),
    (0.0, 'random', 0.03, 2, 4),
    (0.0, 'trigger', 0.0, 1, 3),
]


@pytest.mark.parametrize(('rate_hz', 'phase', 'loss', 'people', 'cameras'), ROWS)
def test_everybody_is_one_body_with_one_id(rate_hz: float, phase: str, loss: float, people: int, cameras: int) -> None:
    scenario = Scenario(
        cameras=cameras, people=people, rate_hz=rate_hz, phase=phase, loss=loss, duration_s=2.0, seed=people,
        recorded=False,
    )
    found = measure(run(build(scenario)))
    assert found.recall >= 0.95
    assert found.ghosts <= 0.05
    assert found.ids <= 1.1
    assert found.mpjpe_m < 0.08


@pytest.mark.parametrize(('off_ms', 'most_wrong_ms'), [(0.0, 4.0), (100.0, 10.0)])
def test_clocks_of_a_rig_that_drives_and_turns(off_ms: float, most_wrong_ms: float) -> None:
    """1 m/s, 60 degrees/s. Clocks that are right are not blamed, those that are wrong are found."""
    scenario = Scenario(phase='random', duration_s=6.0, clock_offset_ms=off_ms, recorded=False)
    world = build(scenario, base_from_odom)
    cameras, mounts = carry_rig(world.rig, scenario.duration_s)
    played = run(world, camera_poses=lambda stamps_ns: cameras.poses_at(mounts, stamps_ns).cam_from_tracking)
    last = played.sets[-1].cameras
    found_ms = 1e3 * np.array([last[name].clock_offset_s for name in world.rig.names])
    true_ms = 1e3 * world.clock_offset_s
    assert (np.abs(true_ms).max() > 30.0) == (off_ms > 0.0)
    np.testing.assert_allclose(found_ms - found_ms.mean(), true_ms - true_ms.mean(), atol=most_wrong_ms)


def test_jitter_is_the_acceleration_over_even_sets() -> None:
    stamps_ns = [0, 100_000_000, 200_000_000, 300_000_000, 900_000_000]
    xyz = np.zeros((5, 2, 3))
    xyz[:, 0, 0] = 0.5 * 3.0 * (np.array(stamps_ns) / 1e9) ** 2
    xyz[:, 1] = np.nan
    assert mean_acceleration(stamps_ns, xyz) == pytest.approx(3.0)
