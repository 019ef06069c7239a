"""From sequences to the bank: labels from geometry, virtual views, the lifter's canonical input."""

from __future__ import annotations

from collections.abc import Sequence as Items
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geo_pose_ros.calibration.rig_file import rig_hash
from geo_pose_ros.errors import ConfigError
from geo_pose_ros.geometry.rigid import transform_points
from geo_pose_ros.geometry.virtual_camera import look_at
from geo_pose_ros.lifting.canonical import CanonicalPoses, canonical_poses
from geo_pose_ros.skeleton import BODY17, FloatArray

from ..settings import DataSettings
from .bank import Bank
from .calibrate import extrinsics_from_joints
from .labels import refined, triangulated
from .motion import random_proportions, rescale_bones
from .sequence import Sequence

# Frames per body when bodies are reshaped at random, and per limb when limbs are hidden.
_FRAMES_PER_BODY = 25
# Joints of a limb at most: an arm, a leg, neck and head.
_LIMB_JOINTS = 3


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
            np.concatenate((a.size, b.size), 1),
        )
        return _Views(
            poses, np.concatenate((self.cam_from_world, other.cam_from_world)),
            np.concatenate((self.focal_px, other.focal_px)),
        )


def prepare(sequences: Items[Sequence], settings: DataSettings, seed: int) -> Bank:
    """Return the bank of all sequences.

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
    banks: list[Bank] = []
    for index, sequence in enumerate(sequences):
        banks += _prepare_sequence(sequence, settings, np.random.default_rng((seed, index)))
    return Bank.join(banks)


def _with_estimated_extrinsics(sequences: Items[Sequence]) -> list[Sequence]:
    """Return the sequences with their rigs estimated from the joints, one estimate per rig."""
    hashes = [rig_hash(sequence.rig) for sequence in sequences]
    rigs = {
        key: extrinsics_from_joints([s for s, h in zip(sequences, hashes, strict=True) if h == key])
        for key in dict.fromkeys(hashes)
    }
    return [replace(s, rig=rigs[key]) for s, key in zip(sequences, hashes, strict=True)]


def _prepare_sequence(sequence: Sequence, settings: DataSettings, rng: np.random.Generator) -> list[Bank]:
    rays = sequence.rays()
    views = _Views(canonical_poses(rays, sequence.confidence), sequence.cam_from_world, sequence.focal_px)
    labels, weight = _labels(sequence, rays, settings.labels)
    real = views
    if settings.virtual_views:
        seen, _ = (labels, weight) if settings.labels != 'none' else _labels(sequence, rays, 'triangulated')
        residuals = _Residuals.of(seen, real, rays, sequence.confidence)
        views = real.beside(_look(seen, residuals, sequence, settings, settings.virtual_views, rng))
    banks = [views.bank(labels, weight, settings.min_joints)]
    for _ in range(settings.reshaped_copies):
        residuals = _Residuals.of(labels, real, rays, sequence.confidence)
        bodies = random_proportions(rng, settings.proportions, len(labels) // _FRAMES_PER_BODY + 1)
        bodies *= np.exp(settings.statures * rng.standard_normal((len(bodies), 1)))
        reshaped = rescale_bones(labels, bodies[np.arange(len(labels)) // _FRAMES_PER_BODY])
        hidden = None
        if settings.hidden_limbs:
            hidden = hidden_limbs(rng, settings.hidden_limbs, (len(labels), len(views.focal_px)))
        virtual = _look(reshaped, residuals, sequence, settings, len(views.focal_px), rng, hidden)
        banks.append(virtual.bank(reshaped, weight, settings.min_joints))
    return banks


def _labels(sequence: Sequence, rays: FloatArray, kind: str) -> tuple[FloatArray, FloatArray]:
    """Return 3D labels (F, J, 3) m and their weights (F, J)."""
    shape = sequence.confidence.shape[0], sequence.confidence.shape[2]
    if kind == 'none':
        return np.full((*shape, 3), np.nan), np.zeros(shape)
    if kind == 'triangulated':
        return triangulated(sequence.cam_from_world, rays, sequence.confidence), np.ones(shape)
    if kind == 'refined':
        return refined(sequence.cam_from_world, sequence.focal_px, rays, sequence.confidence, sequence.fps)
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
    rng: np.random.Generator, hidden: NDArray[np.bool_] | None = None,
) -> _Views:
    """Return what ``count`` virtual cameras see of the joints (F, J, 3), with the residuals of real views.

    The cameras stand around the person at the distances and heights of the real ones, more widely as the settings
    say, and look at it. Each takes the residuals and confidences of one real view: noise as detectors make it. Joints
    of ``hidden`` (F, V, J) are not seen.
    """
    known = np.isfinite(xyz).all(-1)
    if not known.any():
        known = np.ones_like(known)
        xyz = np.zeros_like(xyz)
    centre = np.median(xyz[known], axis=0)
    # Which way is up is not known from joints; the real cameras' mean image vertical is.
    up = -sequence.cam_from_world[:, 1, :3].mean(0)
    up /= np.linalg.norm(up)
    offset = np.stack([c.position_m for c in sequence.rig.cameras]) - centre
    reach = np.linalg.norm(offset, axis=-1)
    elevation = np.arcsin(np.clip(offset @ up / reach, -1.0, 1.0))
    margin = np.radians(settings.virtual_elevation_deg)
    tilt = rng.uniform(elevation.min() - margin, elevation.max() + margin, count).clip(-1.3, 1.3)
    azimuth = rng.uniform(0.0, 2.0 * np.pi) + 2.0 * np.pi * (np.arange(count) + rng.uniform(0.0, 1.0, count)) / count
    side = np.cross(up, np.eye(3)[np.abs(up).argmin()])
    side /= np.linalg.norm(side)
    front = np.cross(side, up)
    direction = (
        np.cos(tilt)[:, None] * (np.cos(azimuth)[:, None] * side + np.sin(azimuth)[:, None] * front)
        + np.sin(tilt)[:, None] * up
    )
    position = centre + rng.uniform(reach.min(), reach.max(), count)[:, None] * direction
    roll = np.radians(settings.virtual_roll_deg) * rng.standard_normal((count, 1))
    cameras = look_at(position, np.broadcast_to(centre, position.shape), _rolled(up, direction, roll))
    exact = _project(xyz, cameras)
    size = canonical_poses(exact, np.where(np.isfinite(exact).all(-1), 1.0, 0.0)).size
    donor = rng.integers(len(sequence.rig), size=count)
    rays = exact + residuals.offset[:, donor] * size[..., None, None]
    seen = np.isfinite(rays).all(-1)
    if hidden is not None:
        seen &= ~hidden
    poses = canonical_poses(rays, np.where(seen, residuals.confidence[:, donor], 0.0))
    return _Views(poses, cameras, np.full(count, sequence.focal_px.mean()))


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
