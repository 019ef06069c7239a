"""From sequences to the bank: labels from geometry, virtual views, the lifter's canonical input."""

from __future__ import annotations

from collections.abc import Sequence as Items
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.errors import ConfigError
from geo_pose_ros.geometry.rigid import transform_points
from geo_pose_ros.geometry.virtual_camera import look_at
from geo_pose_ros.lifting.canonical import CanonicalPoses, canonical_poses
from geo_pose_ros.lifting.gravity import UP_AXES
from geo_pose_ros.rigs.rig_file import rig_hash
from geo_pose_ros.simulation.motion import ansur_proportions, random_proportions, rescale_bones
from geo_pose_ros.skeleton import BODY17

from ..labels.extrinsics import extrinsics_from_joints
from ..labels.sides import confused_sides, exchange_sides
from ..labels.triangulation import triangulated
from ..settings import DataSettings
from .augment import JointLimits, bend_joints, exchange_parts
from .bank import Bank
from .sequence import Sequence

# Frames per body when bodies are reshaped at random, and per limb when limbs are hidden.
_FRAMES_PER_BODY = 25
# Joints of a limb at most: an arm, a leg, neck and head.
_LIMB_JOINTS = 3
# A cut-off view keeps so many joints at least; the outward normals of the picture's edges, and how often each cuts.
_CUT_MIN = 5
_EDGES = np.array(((0.0, 1.0), (0.0, -1.0), (1.0, 0.0), (-1.0, 0.0)))
_EDGE_CHANCES = np.array((0.5, 0.1, 0.2, 0.2))
# Labels whose every joint has at least this weight may lend their limbs.
_SURE = 0.2


@dataclass(frozen=True, slots=True, eq=False)
class _Views:
    """What V views see over F frames: 2D poses, ``cam_from_world`` (V, 3, 4) and ``focal_px`` (V,)."""

    poses: CanonicalPoses
    cam_from_world: FloatArray
    focal_px: FloatArray

    def bank(self, labels: FloatArray, weight: FloatArray, min_joints: int) -> Bank:
        view_from_world = self.poses.view_from_cam @ self.cam_from_world[None]
        return Bank.of_views(self.poses, view_from_world, self.focal_px, labels, weight, min_joints)

    def beside(self, other: _Views) -> _Views:
        a, b = self.poses, other.poses
        poses = CanonicalPoses(
            np.concatenate((a.pose2d, b.pose2d), 1), np.concatenate((a.view_from_cam, b.view_from_cam), 1),
            np.concatenate((a.size, b.size), 1), np.concatenate((a.steepness, b.steepness), 1),
        )
        return _Views(
            poses, np.concatenate((self.cam_from_world, other.cam_from_world)),
            np.concatenate((self.focal_px, other.focal_px)),
        )


def prepare(
    sequences: Items[Sequence], settings: DataSettings, seed: int, *, gravity: bool = False,
    numbers: Items[int] | None = None,
) -> Bank:
    """Return the bank of all sequences; with ``gravity`` its views are turned upright.

    What is made up for a sequence follows from ``seed`` and its number, the one in ``numbers`` or its place.

    Raises:
        ConfigError: if there is no sequence, they differ in their number of cameras, or truth is asked for and absent.
    """
    if not sequences:
        raise ConfigError('There is no sequence to train on; check --data and its filters.')
    counts = {min(len(s.rig), settings.cameras or len(s.rig)) for s in sequences}
    if len(counts) > 1:
        raise ConfigError(
            f'The rigs have {sorted(counts)} cameras; set data.cameras to {min(counts)}, so that all have as many.'
        )
    if settings.cameras:
        sequences = [s.views(s.rig.names[: settings.cameras]) for s in sequences]
    if settings.extrinsics == 'joints':
        sequences = _with_estimated_extrinsics(sequences)
    up = np.array(UP_AXES[settings.up]) if gravity else None
    labelled = [_Labelled.of(sequence, settings.labels) for sequence in sequences]
    motion = _Motion.of(labelled, settings)
    banks: list[Bank] = []
    for number, one in zip(range(len(labelled)) if numbers is None else numbers, labelled, strict=True):
        banks += _prepare_sequence(one, motion, settings, up, np.random.default_rng((seed, number)))
    return Bank.join(banks)


def _with_estimated_extrinsics(sequences: Items[Sequence]) -> list[Sequence]:
    """Return the sequences with their rigs estimated from the joints, one estimate per rig."""
    hashes = [rig_hash(sequence.rig) for sequence in sequences]
    rigs = {
        key: extrinsics_from_joints([s for s, h in zip(sequences, hashes, strict=True) if h == key])
        for key in dict.fromkeys(hashes)
    }
    return [replace(s, rig=rigs[key], refined=None) for s, key in zip(sequences, hashes, strict=True)]


@dataclass(frozen=True, slots=True, eq=False)
class _Labelled:
    """A sequence with its rays (F, C, J, 2), labels (F, J, 3) m and their weights (F, J)."""

    sequence: Sequence
    rays: FloatArray
    labels: FloatArray
    weight: FloatArray

    @classmethod
    def of(cls, sequence: Sequence, kind: str) -> _Labelled:
        rays = sequence.rays()
        return cls(sequence, rays, *_labels(sequence, rays, kind))


@dataclass(frozen=True, slots=True, eq=False)
class _Motion:
    """What all sequences together know of how people move: ``clips`` (F, J, 3) to take from, and joint limits."""

    clips: Items[FloatArray]
    limits: JointLimits | None

    @classmethod
    def of(cls, labelled: Items[_Labelled], settings: DataSettings) -> _Motion:
        if not settings.exchanged_parts and not settings.bent_joints_deg:
            return cls((), None)
        clips = []
        for one in labelled:
            whole = one.labels[np.isfinite(one.labels).all((1, 2)) & (one.weight > _SURE).all(1)]
            if len(whole):
                clips.append(whole)
        if not clips:
            raise ConfigError(
                'No sequence has enough surely known frames to take motion from; set data.exchanged_parts and '
                'data.bent_joints_deg to 0.'
            )
        if not settings.bent_joints_deg:
            return cls(clips, None)
        limits = JointLimits.none() if settings.joint_limits == 'none' else JointLimits.measured(np.concatenate(clips))
        return cls(clips, limits)


def _prepare_sequence(
    one: _Labelled, motion: _Motion, settings: DataSettings, up: FloatArray | None, rng: np.random.Generator
) -> list[Bank]:
    sequence, rays, labels, weight = one.sequence, one.rays, one.labels, one.weight
    confidence = sequence.confidence
    if settings.sides == 'repaired':
        rays, confidence = exchange_sides(rays, confidence, confused_sides(sequence.cam_from_world, rays, labels))
    local_up = None if up is None else sequence.cam_from_world[..., :3] @ up
    real = _Views(
        canonical_poses(rays, confidence, local_up), sequence.cam_from_world, sequence.focal_px
    )
    views = real
    if settings.virtual_views:
        seen, _ = (labels, weight) if settings.labels != 'none' else _labels(sequence, rays, 'triangulated')
        residuals = _Residuals.of(seen, real, rays, confidence)
        views = real.beside(_look(seen, residuals, sequence, settings, settings.virtual_views, rng, up))
    banks = [views.bank(labels, weight, settings.min_joints)]
    if not settings.reshaped_copies:
        return banks
    residuals = _Residuals.of(labels, real, rays, confidence)
    for _ in range(settings.reshaped_copies):
        reshaped = _reshaped(labels, motion, settings, _vertical(sequence) if up is None else up, rng)
        hidden = None
        if settings.hidden_limbs:
            hidden = hidden_limbs(rng, settings.hidden_limbs, (len(labels), len(views.focal_px)))
        for some in _pieces(len(labels), settings.virtual_frames):
            virtual = _look(
                reshaped[some], residuals.frames(some), sequence, settings, len(views.focal_px), rng, up,
                None if hidden is None else hidden[some],
            )
            banks.append(virtual.bank(reshaped[some], weight[some], settings.min_joints))
    return banks


def _pieces(frames: int, length: int) -> list[slice]:
    """Return slices of ``length`` frames that cover all ``frames``; one slice for length 0."""
    step = length or max(frames, 1)
    return [slice(start, min(start + step, frames)) for start in range(0, frames, step)]


def _reshaped(
    labels: FloatArray, motion: _Motion, settings: DataSettings, up: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Return the labels (F, J, 3) moved and shaped as other people, as the settings say."""
    bodies = random_proportions(rng, settings.proportions, len(labels) // _FRAMES_PER_BODY + 1)
    bodies *= np.exp(settings.statures * rng.standard_normal((len(bodies), 1)))
    if settings.ansur:
        bodies *= ansur_proportions(rng, settings.ansur, len(bodies))
    if settings.exchanged_parts:
        labels = exchange_parts(labels, motion.clips, settings.exchanged_parts, up, _FRAMES_PER_BODY, rng)
    if motion.limits is not None:
        labels = bend_joints(labels, motion.limits, np.radians(settings.bent_joints_deg), _FRAMES_PER_BODY, rng)
    return rescale_bones(labels, bodies[np.arange(len(labels)) // _FRAMES_PER_BODY])


def _vertical(sequence: Sequence) -> FloatArray:
    """Return up (3,) where it is not known: the real cameras' mean image vertical."""
    up: FloatArray = -sequence.cam_from_world[:, 1, :3].mean(0)
    return up / np.linalg.norm(up)


def _labels(sequence: Sequence, rays: FloatArray, kind: str) -> tuple[FloatArray, FloatArray]:
    """Return 3D labels (F, J, 3) m and their weights (F, J)."""
    shape = sequence.confidence.shape[0], sequence.confidence.shape[2]
    if kind == 'none':
        return np.full((*shape, 3), np.nan), np.zeros(shape)
    if kind == 'triangulated':
        return triangulated(sequence.cam_from_world, rays, sequence.confidence), np.ones(shape)
    if kind == 'refined':
        return sequence.refined_labels()
    if sequence.truth is None:
        raise ConfigError(f"Sequence '{sequence.name}' has no 3D truth; choose other data.labels.")
    return sequence.truth, np.ones(shape)


@dataclass(frozen=True, slots=True, eq=False)
class _Residuals:
    """How detections differ from the projected labels, as samples to put on virtual views.

    Attributes:
        offset: (F, C, J, 2) in units of the pose's size; NaN where not seen.
        confidence: (F, C, J).
    """

    offset: FloatArray
    confidence: FloatArray

    def frames(self, chosen: slice) -> _Residuals:
        return _Residuals(self.offset[chosen], self.confidence[chosen])

    @classmethod
    def of(cls, labels: FloatArray, views: _Views, rays: FloatArray, confidence: FloatArray) -> _Residuals:
        projected = _project(labels, views.cam_from_world)
        return cls((rays - projected) / views.poses.size[..., None, None], confidence)


def _project(xyz: FloatArray, cam_from_world: FloatArray) -> FloatArray:
    """Return rays (F, V, J, 2) of joints (F, J, 3) in cameras (V, 3, 4); NaN behind or nearly beside them."""
    local = np.moveaxis(transform_points(cam_from_world[:, None], xyz[None]), 0, 1)
    depth = local[..., 2:]
    ahead = depth > 0.1
    return np.where(ahead, local[..., :2] / np.where(ahead, depth, 1.0), np.nan)


def _look(
    xyz: FloatArray, residuals: _Residuals, sequence: Sequence, settings: DataSettings, count: int,
    rng: np.random.Generator, up: FloatArray | None = None, hidden: NDArray[np.bool_] | None = None,
) -> _Views:
    """Return what ``count`` virtual cameras see of the joints (F, J, 3), with the residuals of real views.

    The cameras stand around the person at the distances and heights of the real ones, more widely as the settings
    say, or where these say, and look at it. Each takes the residuals and confidences of one real view: noise as
    detectors make it. Joints of ``hidden`` (F, V, J) are not seen. Where ``up`` (3,) is known the views are upright.
    """
    known = np.isfinite(xyz).all(-1)
    if not known.any():
        known = np.ones_like(known)
        xyz = np.zeros_like(xyz)
    centre = np.median(xyz[known], axis=0)
    vertical = _vertical(sequence) if up is None else up
    reach, elevation = _stands(centre, vertical, sequence, settings)
    tilt = rng.uniform(*elevation, count).clip(-1.3, 1.3)
    azimuth = rng.uniform(0.0, 2.0 * np.pi) + 2.0 * np.pi * (np.arange(count) + rng.uniform(0.0, 1.0, count)) / count
    side = np.cross(vertical, np.eye(3)[np.abs(vertical).argmin()])
    side /= np.linalg.norm(side)
    front = np.cross(side, vertical)
    direction = (
        np.cos(tilt)[:, None] * (np.cos(azimuth)[:, None] * side + np.sin(azimuth)[:, None] * front)
        + np.sin(tilt)[:, None] * vertical
    )
    position = centre + rng.uniform(*reach, count)[:, None] * direction
    roll = np.radians(settings.virtual_roll_deg) * rng.standard_normal((count, 1))
    cameras = look_at(position, np.broadcast_to(centre, position.shape), _rolled(vertical, direction, roll))
    exact = _project(xyz, cameras)
    size = canonical_poses(exact, np.where(np.isfinite(exact).all(-1), 1.0, 0.0)).size
    donor = rng.integers(len(sequence.rig), size=count)
    factor = np.ones((1, 1, 1))
    if settings.residual_spread:
        factor = np.exp(settings.residual_spread * rng.standard_normal((count, 1, 1)))
    rays = exact + factor * residuals.offset[:, donor] * size[..., None, None]
    seen = np.isfinite(rays).all(-1)
    if hidden is not None:
        seen &= ~hidden
    if settings.cut_off:
        seen &= ~cut_off(rng, settings.cut_off, exact)
    local_up = None
    if up is not None:
        error = np.radians(settings.up_error_deg) * rng.standard_normal((count, 3))
        local_up = cameras[..., :3] @ up + error
        local_up /= np.linalg.norm(local_up, axis=-1, keepdims=True)
    poses = canonical_poses(rays, np.where(seen, residuals.confidence[:, donor], 0.0), local_up)
    return _Views(poses, cameras, np.full(count, sequence.focal_px.mean()))


def _stands(
    centre: FloatArray, vertical: FloatArray, sequence: Sequence, settings: DataSettings
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the least and largest distance, m, and elevation, rad, of virtual cameras around ``centre`` (3,)."""
    offset = np.stack([c.position_m for c in sequence.rig.cameras]) - centre
    away = np.linalg.norm(offset, axis=-1)
    reach = away.min(), away.max()
    if settings.virtual_farthest_m:
        reach = settings.virtual_nearest_m, settings.virtual_farthest_m
    if settings.virtual_lowest_deg or settings.virtual_highest_deg:
        return reach, (np.radians(settings.virtual_lowest_deg), np.radians(settings.virtual_highest_deg))
    elevation = np.arcsin(np.clip(offset @ vertical / away, -1.0, 1.0))
    margin = np.radians(settings.virtual_elevation_deg)
    return reach, (elevation.min() - margin, elevation.max() + margin)


def cut_off(rng: np.random.Generator, share: float, projected: FloatArray) -> NDArray[np.bool_]:
    """Return (F, V, J) for ``projected`` (F, V, J, 2): joints beyond an edge of the picture, for ``share`` of the time.

    The edge is straight, mostly the lower one, and leaves 5 to all but one of the joints.
    """
    frames, views, joints = projected.shape[:3]
    runs = -(-frames // _FRAMES_PER_BODY), views
    row = np.arange(frames) // _FRAMES_PER_BODY
    outward = _EDGES[rng.choice(len(_EDGES), runs, p=_EDGE_CHANCES)][row]
    left = rng.integers(_CUT_MIN, joints, runs)[row]
    beyond = (np.nan_to_num(projected) * outward[..., None, :]).sum(-1)
    rank = beyond.argsort(-1).argsort(-1)
    gone: NDArray[np.bool_] = (rank >= left[..., None]) & (rng.random(runs) < share)[row][..., None]
    return gone


def hidden_limbs(rng: np.random.Generator, share: float, shape: tuple[int, int]) -> NDArray[np.bool_]:
    """Return (F, V, J) for F frames of V views: a random limb, or the end of one, for ``share`` of the time.

    Furniture and bodies hide limbs as a whole; what a lifter never missed in training it places anywhere. Branches are
    drawn in proportion to their joints: the end of a limb is easily told from its beginning, a whole limb hardly.
    """
    frames, views = shape
    limbs = _limbs()
    joints = limbs.sum(1)
    runs = -(-frames // _FRAMES_PER_BODY), views
    chosen = rng.choice(len(limbs), size=runs, p=joints / joints.sum())
    hidden: NDArray[np.bool_] = limbs[chosen] & (rng.random(runs) < share)[..., None]
    return hidden[np.arange(frames) // _FRAMES_PER_BODY]


def _limbs() -> NDArray[np.bool_]:
    """Return (L, J): every branch of body17 of at most _LIMB_JOINTS joints, from one of its joints to its end."""
    branch = np.eye(len(BODY17), dtype=bool)
    # Edges run from the pelvis outwards, so that backwards a child's branch is complete before its parent's.
    for parent, child in reversed(BODY17.edges):
        branch[parent] |= branch[child]
    limbs: NDArray[np.bool_] = branch[branch.sum(1) <= _LIMB_JOINTS]
    return limbs


def _rolled(up: FloatArray, axis: FloatArray, angle_rad: FloatArray) -> FloatArray:
    """Return ``up`` (3,) turned about each unit ``axis`` (V, 3) by ``angle_rad`` (V, 1): Rodrigues' formula."""
    along = (axis @ up)[:, None] * axis
    turned: FloatArray = along + np.cos(angle_rad) * (up - along) + np.sin(angle_rad) * np.cross(axis, up)
    return turned
