# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Thirty simulated recordings: ten good ones, and twenty with one fault each, whose place and kind are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.simulation.cameras import turn_camera
from geo_pose_ros.simulation.scenario import EPOCH_NS, Knock, Scenario, build
from geo_pose_ros.simulation.simulate import arrivals
from geo_pose_ros.skeleton import BODY17, HALPE26, mirror_of
from geo_pose_ros.types import CameraRig, Keypoints2D

# One frame of one camera; None where it is lost.
Change = Callable[[Keypoints2D, float, np.random.Generator], Keypoints2D | None]
CAM = 'cam01'
PLACE = f'camera {CAM}'
BASE = Scenario(cameras=4, people=2, rate_hz=20.0, duration_s=9.0, miss=0.02, recorded=False)


def unchanged(seen: Keypoints2D, time_s: float, rng: np.random.Generator) -> Keypoints2D | None:
    return seen


@dataclass(frozen=True)
class Simulated:
    """One recording.

    Attributes:
        name: of its fault; 'good ...' without.
        causes: right answers, each (where, kind); none for a good one.
        scenario: what is simulated.
        change: what happens to the frames of CAM.
        rig: what is wrong with the rig that is given.
    """

    name: str
    causes: tuple[tuple[str, str], ...] = ()
    scenario: Scenario = BASE
    change: Change = unchanged
    rig: Callable[[CameraRig], CameraRig] = lambda rig: rig

    def made(self) -> tuple[CameraRig, dict[str, list[Keypoints2D]]]:
        """Return the rig that is given, and what each camera recorded."""
        world = build(self.scenario)
        rng = np.random.default_rng(self.scenario.seed)
        recorded: dict[str, list[Keypoints2D]] = {name: [] for name in world.given_rig.names}
        for _, seen in arrivals(world):
            time_s = (seen.stamp_ns - EPOCH_NS) / 1e9
            kept = self.change(seen, time_s, rng) if seen.camera == CAM else seen
            if kept is not None:
                recorded[seen.camera].append(kept)
        return self.rig(world.given_rig), {name: frames for name, frames in recorded.items() if frames}


def changed_camera(**changes: Callable[..., object]) -> Callable[[CameraRig], CameraRig]:
    """Return what changes fields of CAM, each by a function of the camera."""

    def change(rig: CameraRig) -> CameraRig:
        return CameraRig(tuple(
            replace(c, **{name: make(c) for name, make in changes.items()}) if c.name == CAM else c for c in rig.cameras
        ), rig.world_frame_id)

    return change


def turned(px: float) -> Callable[[CameraRig], CameraRig]:
    """Return what turns CAM by so many pixels."""
    return changed_camera(cam_from_world=lambda c: turn_camera(
        c, np.array([0.2, 1.0, 0.1]), px / c.intrinsics.K[0, 0]).cam_from_world)


def shifted(by_m: Sequence[float]) -> Callable[[CameraRig], CameraRig]:
    """Return what puts CAM elsewhere."""
    def pose(c):
        moved = c.cam_from_world.copy()
        moved[:, 3] += by_m
        return moved

    return changed_camera(cam_from_world=pose)


def lens(focal: float) -> Callable[[CameraRig], CameraRig]:
    """Return what scales the focal lengths of CAM."""
    return changed_camera(
        intrinsics=lambda c: replace(c.intrinsics, K=c.intrinsics.K * ((focal, 1, 1), (1, focal, 1), (1, 1, 1)))
    )


def exchanged_cameras(rig: CameraRig) -> CameraRig:
    """Return the rig with the poses of CAM and cam02 exchanged."""
    poses = {CAM: rig['cam02'].cam_from_world, 'cam02': rig[CAM].cam_from_world}
    return CameraRig(
        tuple(replace(c, cam_from_world=poses.get(c.name, c.cam_from_world)) for c in rig.cameras), rig.world_frame_id
    )


def late(ms: float) -> Change:
    return lambda seen, time_s, rng: replace(seen, stamp_ns=seen.stamp_ns + round(ms * 1e6))


def during(start_s: float, end_s: float, change: Change) -> Change:
    return lambda seen, time_s, rng: change(seen, time_s, rng) if start_s <= time_s < end_s else seen


def nobody(seen: Keypoints2D, time_s: float, rng: np.random.Generator) -> Keypoints2D:
    return replace(seen, xy=seen.xy[:0], confidence=seen.confidence[:0], hints=None)


def lost(share: float) -> Change:
    return lambda seen, time_s, rng: None if rng.random() < share else seen


def sides(share: float) -> Change:
    flip = mirror_of(BODY17)
    return lambda seen, time_s, rng: replace(
        seen, xy=seen.xy[:, flip], confidence=seen.confidence[:, flip]) if rng.random() < share else seen


def blurred(px: float) -> Change:
    return lambda seen, time_s, rng: replace(seen, xy=seen.xy + rng.normal(0.0, px, seen.xy.shape))


def another_skeleton(seen: Keypoints2D, time_s: float, rng: np.random.Generator) -> Keypoints2D:
    count = len(HALPE26)
    xy = np.resize(seen.xy, (len(seen.xy), count, 2))
    return Keypoints2D(seen.camera, seen.stamp_ns, HALPE26, xy, np.full((len(xy), count), 0.9))


def bystander(seen: Keypoints2D, time_s: float, rng: np.random.Generator) -> Keypoints2D:
    """Return the frame with a poster on the wall."""
    poster: FloatArray = np.linspace((60.0, 60.0), (110.0, 200.0), 17)[None]
    return replace(seen, xy=np.concatenate([seen.xy, poster]), hints=None,
                   confidence=np.concatenate([seen.confidence, np.full((1, 17), 0.9)]))


def scene(**changes: object) -> Scenario:
    return replace(BASE, **changes)


GOOD = tuple(
    Simulated(f'good {n}', scenario=scene(seed=n, **changes)) for n, changes in enumerate((
        {}, {'people': 1}, {'people': 3}, {'cameras': 3}, {'cameras': 5}, {'cameras': 6, 'people': 3},
        {'rate_hz': 30.0}, {'phase': 'random'}, {'phase': 'half'}, {'miss': 0.1},
    ))
)
CALIBRATION, CLOCK, SILENT = (PLACE, 'calibration'), (PLACE, 'clock'), (PLACE, 'silent')
FAULTY = (
    Simulated('knocked by 20 px', (CALIBRATION,), scene(knocks=(Knock(1, 20.0, 3.0),))),
    Simulated('knocked by 60 px', (CALIBRATION,), scene(seed=1, knocks=(Knock(1, 60.0, 3.0),))),
    Simulated('turned by 25 px', (CALIBRATION,), rig=turned(25.0)),
    Simulated('turned by 70 px', (CALIBRATION,), scene(seed=2), rig=turned(70.0)),
    Simulated('turned by 400 px', (CALIBRATION,), scene(seed=3), rig=turned(400.0)),
    Simulated('put 25 cm aside', (CALIBRATION,), scene(seed=4), rig=shifted((0.25, 0.0, 0.05))),
    Simulated('focal length 12 % too long', (CALIBRATION,), scene(seed=5), rig=lens(1.12)),
    Simulated('focal length 15 % too short', (CALIBRATION,), scene(seed=6), rig=lens(0.85)),
    Simulated('cameras exchanged', (CALIBRATION, ('rig', 'rays'), ('rig', 'exchanged')), rig=exchanged_cameras),
    Simulated('80 ms late', (CLOCK,), scene(seed=7), late(80.0)),
    Simulated('50 ms early', (CLOCK,), scene(seed=8), late(-50.0)),
    Simulated('poster on the wall', ((PLACE, 'unmatched'),), scene(seed=9), bystander),
    Simulated('cap on', ((PLACE, 'sees nobody'),), change=nobody),
    Simulated('cap on since 3 s', ((PLACE, 'sees nobody'),), scene(seed=1), during(3.0, 99.0, nobody)),
    Simulated('of another skeleton', ((PLACE, 'unreadable'),), change=another_skeleton),
    Simulated('dead since 4 s', (SILENT,), change=during(4.0, 99.0, lost(1.0))),
    Simulated('silent for 2 s', (SILENT,), scene(seed=1), during(3.0, 5.0, lost(1.0))),
    Simulated('loses 30 % of its frames', ((PLACE, 'missing'),), scene(seed=2), lost(0.3)),
    Simulated('exchanges left and right', ((PLACE, 'exchanged'), (PLACE, 'repaired')), scene(seed=3), sides(0.4)),
    Simulated('out of focus', ((PLACE, 'detector'),), scene(seed=4), blurred(25.0)),
)
