# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""People who move: recorded clips (or a synthetic walker) on paths through a room, as functions of time.

A clip is taken apart into a pose that faces +x around the vertical through the pelvis (what is left of the clip's own
path and turning above about 0.3 Hz stays in it), clips are joined by cross-fades, every bone is set to the person's
own length, and the pose is put on a path: a position of the person's own (`cell`), or a walk through the room on which
people keep their distance (`walk`). World frame, m, z up; joints are body17's.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d

from ..arrays import FloatArray
from ..skeleton import BODY17
from .motion import MotionClip, random_proportions, stature_m
from .motion_files import load_motion

MOCAP = Path(__file__).resolve().parents[3] / 'shared/data/mocap17.npz'
GRID_HZ = 60.0
_LEFT_HIP, _RIGHT_HIP = BODY17.index('left_hip'), BODY17.index('right_hip')
_PARENT, _CHILD = np.array(BODY17.edges).T
_SHORTEST_M, _TALLEST_M = 1.45, 1.95
_FADE_S = 0.5
# Paths begin before the first image and end after the last.
MARGIN_S = 1.0

# A standing body of 1.7 m, facing +x.
STANDING = np.array(
    [
        (0.00, 0.00, 0.95), (0.00, -0.12, 0.93), (0.03, -0.13, 0.50), (0.00, -0.13, 0.08), (0.00, 0.12, 0.93),
        (0.05, 0.13, 0.50), (0.02, 0.13, 0.08), (0.00, 0.00, 1.20), (0.00, 0.00, 1.45), (0.09, 0.00, 1.58),
        (0.02, 0.00, 1.68), (0.00, 0.17, 1.43), (0.03, 0.25, 1.15), (0.15, 0.28, 0.92), (0.00, -0.17, 1.43),
        (0.05, -0.24, 1.16), (0.22, -0.22, 1.00),
    ]
)  # fmt: skip


def turn(joints: FloatArray, angle_rad: FloatArray) -> FloatArray:
    """Return ``joints`` (F, J, 3) turned about the vertical through the origin by ``angle_rad`` (F,)."""
    c, s = np.cos(angle_rad)[:, None], np.sin(angle_rad)[:, None]
    x, y, z = joints[..., 0], joints[..., 1], joints[..., 2]
    return np.stack([c * x - s * y, s * x + c * y, z], -1)


def standing(
    seed: int = 0, position_m: tuple[float, float] = (0.0, 0.0), heading_rad: float = 0.0
) -> FloatArray:
    """Return somebody who stands (17, 3) m: STANDING with joints moved by a few cm, turned and placed."""
    joints = STANDING + np.random.default_rng(seed).normal(0.0, 0.03, STANDING.shape)
    return np.asarray(turn(joints[None], np.array([heading_rad]))[0] + (*position_m, 0.0))


def facing(joints: FloatArray) -> FloatArray:
    """Return the heading (F,) rad, continuous, of bodies (F, 17, 3): square to the line through the hips."""
    across = joints[:, _LEFT_HIP, :2] - joints[:, _RIGHT_HIP, :2]
    return np.asarray(np.unwrap(np.arctan2(-across[:, 0], across[:, 1])))


def _smooth(values: FloatArray, rate_hz: float, sigma_s: float) -> FloatArray:
    return np.asarray(gaussian_filter1d(values, sigma_s * rate_hz, axis=0, mode='nearest'))


def walk_on_spot(clip: MotionClip, sway_s: float) -> FloatArray:
    """Return the clip at GRID_HZ, (F, 17, 3), facing +x, without its turning and its path slower than ``sway_s``."""
    times = np.arange(len(clip.joints)) / clip.fps
    grid = np.arange(0.0, times[-1], 1.0 / GRID_HZ)
    joints = CubicSpline(times, clip.joints, axis=0)(grid)
    path = _smooth(joints[:, 0, :2], GRID_HZ, sway_s)
    joints[..., :2] -= path[:, None]
    return turn(joints, -_smooth(facing(joints), GRID_HZ, 0.5))


def walker(rng: np.random.Generator, duration_s: float) -> MotionClip:
    """Return a synthetic person walking on the spot: arms and legs swing about shoulders and hips."""
    times = np.arange(0.0, duration_s, 1.0 / 30.0)
    phase = 2.0 * np.pi * (rng.uniform(0.8, 1.1) * times + rng.uniform())
    joints = np.repeat(STANDING[None], len(times), 0)
    for side, sign in (('left', 1.0), ('right', -1.0)):
        for hub, moved, reach in (('hip', ('knee', 'ankle'), 0.4), ('shoulder', ('elbow', 'wrist'), -0.5)):
            centre = STANDING[BODY17.index(f'{side}_{hub}')]
            angle = sign * rng.uniform(0.7, 1.0) * reach * np.sin(phase)
            for name in moved:
                k = BODY17.index(f'{side}_{name}')
                x, z = STANDING[k, 0] - centre[0], STANDING[k, 2] - centre[2]
                joints[:, k, 0] = centre[0] + np.cos(angle) * x - np.sin(angle) * z
                joints[:, k, 2] = centre[2] + np.sin(angle) * x + np.cos(angle) * z
    joints[..., 2] += 0.02 * np.cos(2.0 * phase)[:, None]
    return MotionClip('walker', joints, 30.0)


def recorded_clips() -> list[MotionClip]:
    """Return the held-out `b/` clips of at least 2.5 s; none where the shared data are not."""
    if not MOCAP.is_file():
        return []
    return [clip for clip in load_motion(MOCAP) if clip.name.startswith('b/') and len(clip.joints) >= 2.5 * clip.fps]


def _directions(joints: FloatArray) -> FloatArray:
    """Return the unit vector of the bone to every joint, (..., 17, 3); zero for the pelvis."""
    directions = np.zeros(joints.shape)
    bones = joints[..., _CHILD, :] - joints[..., _PARENT, :]
    directions[..., _CHILD, :] = bones / np.maximum(np.linalg.norm(bones, axis=-1, keepdims=True), 1e-9)
    return directions


def _posed(pelvis: FloatArray, directions: FloatArray, lengths_m: FloatArray) -> FloatArray:
    """Return bodies (F, 17, 3): a pelvis (F, 3), bones along ``directions`` (F, 17, 3), ``lengths_m`` (17,) long."""
    joints = np.repeat(pelvis[:, None], len(BODY17), 1)
    for parent, child in BODY17.edges:
        joints[:, child] = joints[:, parent] + lengths_m[child] * directions[:, child]
    return joints


def _slerp(a: FloatArray, b: FloatArray, share: FloatArray) -> FloatArray:
    """Return unit vectors on the arc from ``a`` to ``b`` (..., 3) at ``share`` (..., 1)."""
    angle = np.arccos(np.clip((a * b).sum(-1, keepdims=True), -1.0, 1.0 - 1e-9))
    turned: FloatArray = (np.sin((1.0 - share) * angle) * a + np.sin(share * angle) * b) / np.sin(angle)
    length = np.maximum(np.linalg.norm(turned, axis=-1, keepdims=True), 1e-9)
    return np.asarray(turned / length)


def _joined(clips: list[FloatArray], rng: np.random.Generator, frames: int) -> tuple[FloatArray, FloatArray]:
    """Return pelvis (F, 3) and bone directions (F, 17, 3) of clips in random order from a random start.

    Each is cross-faded into the next; bones turn on the shortest arc.
    """
    fade = round(_FADE_S * GRID_HZ)
    # Smoothstep: no jump of velocity where a fade begins or ends.
    share = np.linspace(0.0, 1.0, fade)
    share = (share * share * (3.0 - 2.0 * share))[:, None]
    first = clips[int(rng.integers(len(clips)))]
    first = first[int(rng.integers(max(1, len(first) // 2))) :]
    pelvis, bones = first[:, 0], _directions(first)
    while len(pelvis) < frames:
        following = clips[int(rng.integers(len(clips)))]
        then = _directions(following)
        across = (1.0 - share) * pelvis[-fade:] + share * following[:fade, 0]
        turning = _slerp(bones[-fade:], then[:fade], share[..., None])
        pelvis = np.concatenate([pelvis[:-fade], across, following[fade:, 0]])
        bones = np.concatenate([bones[:-fade], turning, then[fade:]])
    return pelvis[:frames], bones[:frames]


def _lengths(joints: FloatArray) -> FloatArray:
    lengths = np.zeros(len(BODY17))
    lengths[_CHILD] = np.median(np.linalg.norm(joints[:, _CHILD] - joints[:, _PARENT], axis=-1), axis=0)
    return lengths


def acted(clips: list[FloatArray], rng: np.random.Generator, frames: int) -> FloatArray:
    """Return (frames, 17, 3): one person of random stature and proportions acting clips in place."""
    pelvis, bones = _joined(clips, rng, frames)
    own = _lengths(clips[0])
    lengths_m = own * random_proportions(rng, 0.04, 1)[0]
    lengths_m *= rng.uniform(_SHORTEST_M, _TALLEST_M) / stature_m(_posed(pelvis[:1], bones[:1], lengths_m))
    leg = [BODY17.index('right_knee'), BODY17.index('right_ankle')]
    # The pelvis is as high above the floor as the legs are long.
    return _posed(pelvis * lengths_m[leg].sum() / own[leg].sum(), bones, lengths_m)


def cells(people: int, spacing_m: float) -> FloatArray:
    """Return positions (people, 2) m of a square grid around the origin."""
    side = int(np.ceil(np.sqrt(people)))
    rows = int(np.ceil(people / side))
    grid = np.array([(x, y) for y in range(rows) for x in range(side)], float)[:people]
    return np.asarray((grid - grid.mean(0)) * spacing_m)


def walks(rng: np.random.Generator, people: int, spacing_m: float, room_m: float, frames: int) -> FloatArray:
    """Return paths (frames, people, 2) m of people who walk to points in a disc, give way and keep their distance."""
    step_s = 1.0 / GRID_HZ
    position = cells(people, spacing_m + 0.25)
    if people == 1:
        position = rng.uniform(-0.3, 0.3, (1, 2)) * room_m
    velocity = np.zeros((people, 2))
    pace = rng.uniform(0.5, 1.3, people)

    def goal() -> FloatArray:
        radius, angle = room_m * np.sqrt(rng.uniform()), rng.uniform(0.0, 2.0 * np.pi)
        return np.asarray(radius * np.array([np.cos(angle), np.sin(angle)]))

    goals = np.stack([goal() for _ in range(people)])
    paths = np.empty((frames, people, 2))
    keep_m = spacing_m + 0.15
    for frame in range(frames):
        paths[frame] = position
        away = goals - position
        left_m = np.linalg.norm(away, axis=1)
        for k in np.flatnonzero(left_m < 0.3):
            goals[k] = goal()
        wish = pace[:, None] * away / np.maximum(left_m, 0.3)[:, None]
        apart = position[:, None] - position[None]
        distance_m = np.linalg.norm(apart, axis=-1) + 1e3 * np.eye(people)
        push = 3.0 * np.exp(-(distance_m - keep_m) / 0.25)
        # A little to the right, so that people who meet head-on pass each other.
        aside = apart + 0.5 * np.stack([-apart[..., 1], apart[..., 0]], -1)
        wish = wish + ((np.minimum(push, 5.0) / distance_m)[..., None] * aside).sum(1)
        speed = np.linalg.norm(wish, axis=1, keepdims=True)
        wish *= np.minimum(1.0, 1.5 / np.maximum(speed, 1e-9))
        velocity += (wish - velocity) * min(1.0, step_s / 0.3)
        position = position + velocity * step_s
        for _ in range(4):
            apart = position[:, None] - position[None]
            distance_m = np.linalg.norm(apart, axis=-1) + 1e3 * np.eye(people)
            lack = np.maximum(0.0, keep_m - distance_m) / 2.0
            position = position + ((lack / distance_m)[..., None] * apart).sum(1)
    return np.asarray(_smooth(paths, GRID_HZ, 0.15))


def headings(paths: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return where people (F, P) look, rad: along their path, or about where they happen to look if they stand."""
    frames, people = paths.shape[:2]
    time = np.arange(frames) / GRID_HZ
    idle = rng.uniform(0.0, 2.0 * np.pi, people) + 0.6 * np.sin(
        2.0 * np.pi * (0.05 * time[:, None] + rng.uniform(0.0, 1.0, people))
    )
    velocity = _smooth(np.gradient(paths, 1.0 / GRID_HZ, axis=0), GRID_HZ, 0.3)
    speed = np.linalg.norm(velocity, axis=-1)
    if float(speed.max(initial=0.0)) < 0.05:
        return np.asarray(idle)
    along = np.arctan2(velocity[..., 1], velocity[..., 0])
    looked = np.empty((frames, people))
    looked[0] = along[0]
    for frame in range(1, frames):
        # Who stands does not turn, who walks turns by 2.5 rad a second at most.
        wish = (along[frame] - looked[frame - 1] + np.pi) % (2.0 * np.pi) - np.pi
        most = 2.5 / GRID_HZ * np.minimum(1.0, speed[frame] / 0.3)
        looked[frame] = looked[frame - 1] + np.clip(wish, -most, most)
    return _smooth(looked, GRID_HZ, 0.15)


def crossing_paths(frames: int, meet_s: float, apart_m: float, pace_m_s: float) -> FloatArray:
    """Return paths (F, 2, 2) m of two people who walk towards and past each other, ``apart_m`` at the closest."""
    time = np.arange(frames) / GRID_HZ - MARGIN_S - meet_s
    along = np.clip(pace_m_s * time, -2.5, 2.5)
    first = np.stack([along, np.full(frames, apart_m / 2.0)], -1)
    return _smooth(np.stack([first, -first], 1), GRID_HZ, 0.2)


def placed(bodies: FloatArray, paths: FloatArray, heading_rad: FloatArray) -> FloatArray:
    """Return bodies (F, P, 17, 3) that face +x at the origin, put on paths (F, P, 2) with headings (F, P)."""
    moved = np.stack([turn(bodies[:, p], heading_rad[:, p]) for p in range(bodies.shape[1])], 1)
    moved[..., :2] += paths[:, :, None]
    return moved


def as_motion(joints: FloatArray, speed: float, rate_hz: float = GRID_HZ) -> CubicSpline:
    """Return joints (F, P, 17, 3) sampled at ``rate_hz`` from -MARGIN_S on, played ``speed`` times as fast.

    The spline takes times (...), s, and gives joints (..., P, 17, 3), m.
    """
    times = (np.arange(len(joints)) / rate_hz - MARGIN_S) / speed
    return CubicSpline(times, joints, axis=0)
