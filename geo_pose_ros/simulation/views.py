"""What cameras see of people: rigs, and detections with known errors.

A detector is modelled as in ``detector_noise`` (same settings, same order, same sizes), except that its
errors are known one by one, that their memory is in time rather than in frames (the settings are for 30 Hz), and that
people hide each other: a body is a set of capsules, and a joint behind another person's capsule is missing or is
found on that person.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.geometry.projection import project
from geo_pose_ros.geometry.rigid import transform_points
from geo_pose_ros.geometry.virtual_camera import look_at
from geo_pose_ros.simulation.detector_noise import NoiseSettings
from geo_pose_ros.skeleton import BODY17
from geo_pose_ros.types import Camera, CameraRig, Intrinsics

from ..arrays import BoolArray

FOCAL_PX = 900.0
_SETTINGS_HZ = 30.0
# Fewer visible joints make no detection.
LEAST_JOINTS = 5
# Share of the hidden joints that are found on the person who hides them, and their confidence.
_ON_OCCLUDER, _ON_OCCLUDER_CONFIDENCE = 0.3, 0.55
# Two people whose boxes overlap by more than this (of the smaller) are one detection for this share of the time.
_MERGE_OVERLAP, _MERGE_RATE = 0.75, 0.15
_J = BODY17.index
# (joint, joint, radius m): torso, shoulders, hips, legs, arms, and the head as a sphere.
CAPSULES: tuple[tuple[int, int, float], ...] = (
    (_J('pelvis'), _J('thorax'), 0.15), (_J('head'), _J('head'), 0.12), (_J('thorax'), _J('nose'), 0.07),
    (_J('left_shoulder'), _J('right_shoulder'), 0.1), (_J('left_hip'), _J('right_hip'), 0.12),
    *((_J(f'{side}_{a}'), _J(f'{side}_{b}'), r) for side in ('left', 'right') for a, b, r in (
        ('hip', 'knee', 0.09), ('knee', 'ankle', 0.07), ('shoulder', 'elbow', 0.06), ('elbow', 'wrist', 0.05),
    )),
)  # fmt: skip
_DOUBT = np.array([
    {'wrist': 0.12, 'ankle': 0.1, 'elbow': 0.07, 'knee': 0.05}.get(name.rsplit('_', 1)[-1], 0.0)
    for name in BODY17.joint_names
])
_ARMS = [_J(f'{side}_{name}') for name in ('shoulder', 'elbow', 'wrist') for side in ('left', 'right')]
_LEGS = [_J(f'{side}_{name}') for name in ('hip', 'knee', 'ankle') for side in ('left', 'right')]


def camera_name(index: int) -> str:
    """Return the name of a camera."""
    return f'cam{index:02d}'


def ring_rig(cameras: int, reach_m: float, rng: np.random.Generator) -> CameraRig:
    """Return cameras around people who stay within ``reach_m`` of the origin, 1.5 to 3 m high, all in sight of all."""
    intrinsics = Intrinsics(
        np.array([[FOCAL_PX, 0.0, 640.5], [0.0, FOCAL_PX, 478.0], [0.0, 0.0, 1.0]]),
        np.array([-0.12, 0.05, 0.0005, -0.0004, 0.0]), 'plumb_bob', 1280, 960,
    )
    # Two cameras see from 80 degrees apart, more from all sides.
    turn = np.deg2rad(80.0) if cameras == 2 else 2.0 * np.pi / cameras
    rig = []
    for k in range(cameras):
        angle = 0.3 + k * turn + rng.uniform(-0.15, 0.15)
        distance = 1.35 * reach_m + rng.uniform(2.6, 3.4)
        position = np.array([distance * np.cos(angle), distance * np.sin(angle), rng.uniform(1.5, 3.0)])
        pose = look_at(position, np.array([0.0, 0.0, 0.95]), np.array([0.0, 0.0, 1.0]))
        rig.append(Camera(camera_name(k), f'{camera_name(k)}_optical_frame', intrinsics, pose))
    return CameraRig(tuple(rig), 'world')


def rotation(axis: FloatArray, angle_rad: float) -> FloatArray:
    """Return the rotation (3, 3) by ``angle_rad`` about ``axis`` (3,) (Rodrigues)."""
    x, y, z = axis / np.linalg.norm(axis)
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    turned: FloatArray = np.eye(3) + np.sin(angle_rad) * cross + (1.0 - np.cos(angle_rad)) * cross @ cross
    return turned


def turned_camera(camera: Camera, axis: FloatArray, angle_rad: float) -> Camera:
    """Return the camera turned in its place about an axis (3,) of its own frame."""
    pose = rotation(axis, angle_rad) @ camera.cam_from_world
    return Camera(camera.name, camera.frame_id, camera.intrinsics, pose)


def disturbed(rig: CameraRig, angle_deg: float, rng: np.random.Generator) -> CameraRig:
    """Return the rig with every camera turned in its place by ``angle_deg`` about a random axis."""
    axes = rng.standard_normal((len(rig), 3))
    turned = (turned_camera(c, axis, np.deg2rad(angle_deg)) for c, axis in zip(rig.cameras, axes, strict=True))
    return CameraRig(tuple(turned), rig.world_frame_id)


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """What one camera can see of P people in F pictures.

    Attributes:
        xy: (F, P, 17, 2) exact raw px, NaN behind the camera.
        visible: (F, P, 17) inside the picture and not behind another person.
        hidden_by: (F, P, 17) who hides a joint, -1 nobody.
    """

    xy: FloatArray
    visible: BoolArray
    hidden_by: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """What a detector makes of F pictures of P people.

    Attributes:
        xy, confidence: (F, P, 17, 2) raw px, NaN = not seen, and (F, P, 17), with every error.
        found: (F, P) there is a detection of this person.
        clean_xy, clean_confidence, clean_found: the same without gross errors, exchanged sides and other people's
            joints: what an oracle would leave. Jitter and hidden joints are the same.
        gross, exchanged, foreign: (F, P, 17) which keypoints those were.
    """

    xy: FloatArray
    confidence: FloatArray
    found: BoolArray
    clean_xy: FloatArray
    clean_confidence: FloatArray
    clean_found: BoolArray
    gross: BoolArray
    exchanged: BoolArray
    foreign: BoolArray


def hiders(camera: Camera, joints: FloatArray) -> NDArray[np.int64]:
    """Return who hides each of ``joints`` (F, P, 17, 3) from the camera, (F, P, 17), -1 nobody.

    A joint is hidden if the ray to it passes another person's capsule nearer to the camera. In the ideal picture a
    capsule is about the band of radius r / z around its bone's projection; z is taken where the joint is closest.
    """
    people = joints.shape[1]
    hidden_by = np.full(joints.shape[:3], -1, np.int64)
    if people < 2:
        return hidden_by
    seen = transform_points(camera.cam_from_world, joints)
    depth = seen[..., 2]
    ahead = depth.min(-1) > 0.2
    flat = seen[..., :2] / np.maximum(depth, 0.2)[..., None]
    low, high, near = flat.min(2), flat.max(2), depth.min(-1)
    margin = (0.15 / np.maximum(near, 0.2))[..., None]
    a_low, a_high = low[:, :, None], high[:, :, None]
    b_low, b_high = (low - margin)[:, None], (high + margin)[:, None]
    meet = (a_low <= b_high).all(-1) & (b_low <= a_high).all(-1) & ahead[:, :, None] & ahead[:, None]
    # Person b may hide a.
    meet &= (near[:, None] < depth.max(-1)[:, :, None]) & ~np.eye(people, dtype=bool)
    index = np.argwhere(meet)
    if not len(index):
        return hidden_by
    # Pairs are sorted by picture and person a: of each, the nearest that blocks.
    z_block = np.concatenate([_blocked_at(flat, depth, part) for part in np.array_split(index, len(index) // 4000 + 1)])
    first = np.flatnonzero(np.r_[True, (np.diff(index[:, :2], axis=0) != 0).any(1)])
    nearest = np.minimum.reduceat(z_block, first)
    blocks = np.isfinite(z_block) & (z_block == np.repeat(nearest, np.diff(np.r_[first, len(index)]), 0))
    hidden_by[index[first, 0], index[first, 1]] = np.maximum.reduceat(np.where(blocks, index[:, 2:], -1), first)
    return hidden_by


def _blocked_at(flat: FloatArray, depth: FloatArray, pairs: NDArray[np.int64]) -> FloatArray:
    """Return how far from the camera b's capsules block the joints of a, (N, 17) m, inf where they do not.

    Args:
        flat, depth: joints in the ideal picture (F, P, 17, 2), and their distance (F, P, 17) m.
        pairs: (N, 3) picture, a, b.
    """
    starts, ends, radii = (np.array(column) for column in zip(*CAPSULES, strict=True))
    f, a, b = pairs.T
    point = flat[f, a][:, :, None]
    origin, tip = flat[f, b][:, None, starts], flat[f, b][:, None, ends]
    bone = tip - origin
    along = ((point - origin) * bone).sum(-1) / np.maximum((bone * bone).sum(-1), 1e-12)
    along = np.clip(along, 0.0, 1.0)
    off = point - origin - along[..., None] * bone
    z = (1.0 - along) * depth[f, b][:, None, starts] + along * depth[f, b][:, None, ends]
    # A tenth of a metre before the joint, so that bodies that touch do not hide their own outline.
    blocks = ((off * off).sum(-1) < (radii / z) ** 2) & (z < depth[f, a][:, :, None] - 0.1)
    blocked: FloatArray = np.where(blocks, z, np.inf).min(-1)
    return blocked


def sight(camera: Camera, joints: FloatArray) -> Sight:
    """Return what the camera can see of ``joints`` (F, P, 17, 3) m."""
    xy = project(camera.intrinsics, transform_points(camera.cam_from_world, joints))
    hidden_by = hiders(camera, joints)
    limit = camera.intrinsics.width - 1.0, camera.intrinsics.height - 1.0
    with np.errstate(invalid='ignore'):
        inside = ((xy >= 0.0) & (xy <= limit)).all(-1)
    return Sight(xy, inside & (hidden_by < 0), hidden_by)


def autoregressive(rng: np.random.Generator, shape: tuple[int, ...], memory: float) -> FloatArray:
    """Return unit-variance Gaussian noise (F, ...) whose successive frames correlate by ``memory``."""
    fresh = rng.standard_normal(shape)
    fresh[1:] *= np.sqrt(1.0 - memory**2)
    noise: FloatArray = lfilter((1.0,), (1.0, -memory), fresh, axis=0)
    return noise


def bursts(rng: np.random.Generator, shape: tuple[int, ...], rate: float, length: float) -> BoolArray:
    """Return a mask (F, ...), true for ``rate`` of the frames in bursts of mean ``length`` frames."""
    if rate <= 0.0:
        return np.zeros(shape, bool)
    start, end = rate / max(1e-9, 1.0 - rate) / length, 1.0 / length
    chances = rng.random(shape)
    mask = np.zeros(shape, bool)
    state = rng.random(shape[1:]) < rate
    for frame in range(shape[0]):
        state = np.where(state, chances[frame] >= end, chances[frame] < start)
        mask[frame] = state
    return mask


def detect(
    seen: Sight, camera: Camera, rate_hz: float, miss: float, noise: NoiseSettings, rng: np.random.Generator
) -> Detections:
    """Return a detector's results for pictures taken ``rate_hz`` times a second; ``miss``: share of lost detections."""
    frames, people = seen.xy.shape[:2]
    shape = (frames, people, len(BODY17))
    memory = noise.memory ** (_SETTINGS_HZ / rate_hz)
    length = max(1.0, noise.burst_frames * rate_hz / _SETTINGS_HZ)
    finite: BoolArray = np.asarray(np.isfinite(seen.xy).all(-1))
    safe = np.where(finite[..., None], seen.xy, 0.0)
    low = np.where(finite[..., None], seen.xy, np.inf).min(2)
    high = np.where(finite[..., None], seen.xy, -np.inf).max(2)
    extent = np.where(finite.any(-1), np.nan_to_num(high - low, posinf=0.0, neginf=0.0).max(-1), 1.0)[..., None]

    spread = autoregressive(rng, shape, memory)
    confidence = np.clip(0.92 - _DOUBT - 0.12 * np.abs(spread), 0.05, 0.95)
    sigma = (noise.jitter + noise.jitter_doubt * (1.0 - confidence)) * extent
    jittered = safe + sigma[..., None] * autoregressive(rng, (*shape, 2), memory)
    clean_confidence = confidence

    exchanged = np.zeros(shape, bool)
    order = np.broadcast_to(np.arange(shape[2]), shape).copy()
    for sides in (_ARMS, _LEGS):
        swapped = bursts(rng, shape[:2], noise.swap_rate, length)
        for left, right in zip(sides[::2], sides[1::2], strict=True):
            order[swapped, left], order[swapped, right] = right, left
            exchanged[swapped, left] = exchanged[swapped, right] = True
    noisy = np.take_along_axis(jittered, order[..., None], 2)
    visible = np.take_along_axis(seen.visible, order, 2)
    hidden_by = np.take_along_axis(seen.hidden_by, order, 2)
    gross = bursts(rng, shape, noise.outlier_rate, length)
    astray = noisy + noise.outlier_reach * extent[..., None] * rng.uniform(-1.0, 1.0, noisy.shape)
    noisy = np.where(gross[..., None], astray, noisy)
    confidence = np.where(gross, confidence * rng.uniform(0.2, 1.0, shape), confidence)

    # Joints behind another person: gone, or found on that person.
    hidden = hidden_by >= 0
    foreign = bursts(rng, shape, _ON_OCCLUDER, length) & hidden
    if foreign.any():
        f, p, j = np.nonzero(foreign)
        other = jittered[f, hidden_by[f, p, j]]
        gap = ((other - noisy[f, p, j][:, None]) ** 2).sum(-1)
        gap[~finite[f, hidden_by[f, p, j]]] = np.inf
        noisy[f, p, j] = other[np.arange(len(f)), gap.argmin(1)]
        confidence[f, p, j] *= _ON_OCCLUDER_CONFIDENCE

    missing = bursts(rng, shape, noise.missing_rate, length)
    limit = camera.intrinsics.width - 1.0, camera.intrinsics.height - 1.0
    inside = ((noisy >= 0.0) & (noisy <= limit)).all(-1)
    # A picture holds what a swap brings from the other side only if that is there itself.
    present = (visible | foreign) & inside & ~missing
    lost = rng.random(shape[:2]) < miss
    merged, into = _merged(low, high, seen, rng, length)
    found = (present.sum(-1) >= LEAST_JOINTS) & ~lost & ~merged
    for f, p in np.argwhere(merged):
        keeper = into[f, p]
        # One detection of two people: some of the keeper's joints are the other's.
        taken = (rng.random(shape[2]) < 0.25) & present[f, p]
        noisy[f, keeper, taken] = noisy[f, p, taken]
        present[f, keeper, taken] = True
        foreign[f, keeper, taken] = True

    inside = ((jittered >= 0.0) & (jittered <= limit)).all(-1)
    # What the oracle removes or repairs; exchanged sides come back where the other one was present.
    back = np.take_along_axis(~(gross | foreign | missing), order, 2)
    clean = seen.visible & inside & back
    clean_found = (clean.sum(-1) >= LEAST_JOINTS) & found
    return Detections(
        np.where(present[..., None], noisy, np.nan), np.where(present, confidence, 0.0), found,
        np.where(clean[..., None], jittered, np.nan), np.where(clean, clean_confidence, 0.0), clean_found,
        gross & present, exchanged & present, foreign & present,
    )


def _merged(
    low: FloatArray, high: FloatArray, seen: Sight, rng: np.random.Generator, length: float
) -> tuple[BoolArray, NDArray[np.int64]]:
    """Return whose detection is swallowed (F, P), and by whom (F, P): the more visible of two who overlap."""
    frames, people = low.shape[:2]
    merged, into = np.zeros((frames, people), bool), np.full((frames, people), -1, np.int64)
    if people < 2:
        return merged, into
    chance = bursts(rng, (frames, people), _MERGE_RATE, length)
    area = np.prod(np.maximum(np.nan_to_num(high - low, posinf=0.0, neginf=0.0), 0.0), -1)
    count = seen.visible.sum(-1)
    for p in range(people):
        shared = np.minimum(high[:, p, None], high) - np.maximum(low[:, p, None], low)
        overlap = np.prod(np.maximum(np.nan_to_num(shared, posinf=0.0, neginf=0.0), 0.0), -1)
        overlap /= np.maximum(np.minimum(area[:, p, None], area), 1.0)
        overlap[:, p] = 0.0
        # Only the less visible of the two vanishes.
        overlap[(count > count[:, p, None]) == 0] = 0.0
        best = overlap.argmax(1)
        gone = (overlap[np.arange(frames), best] > _MERGE_OVERLAP) & chance[:, p] & (count[:, p] > 0)
        merged[:, p], into[gone, p] = gone, best[gone]
    # Nobody is swallowed by somebody swallowed.
    safe_into = np.maximum(into, 0)
    merged &= ~np.take_along_axis(merged, safe_into, 1)
    return merged, into
