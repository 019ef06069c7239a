# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""From recordings to the bank: labels from geometry, virtual views, copies with other bodies and motion."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.errors import ConfigError
from geo_pose_ros.geometry.alignment import UP_AXES
from geo_pose_ros.lifting.canonical import canonical_poses
from geo_pose_ros.rigs.rig_file import rig_hash
from geo_pose_ros.simulation.motion import random_people, random_proportions, rescale_bones

from ..labels.extrinsics import extrinsics_from_joints
from ..labels.sides import confused_sides, exchange_sides
from ..labels.triangulation import bone_lengths, refined_labels
from ..labels.views import triangulated
from ..settings import CopySettings, DataSettings
from .augment import JointLimits, bend_joints, exchange_parts
from .bank import Bank, CanonicalViews
from .recording import PersonRecording
from .virtual_cameras import FRAMES_PER_BODY, Residuals, VirtualCameras, hidden_limbs

# Motion is taken from labels whose every joint has at least this weight.
_SURE = 0.2


def prepare(
    recordings: Sequence[PersonRecording], settings: DataSettings, seed: int, *, gravity: bool = False,
    numbers: Sequence[int] | None = None,
) -> Bank:
    """Return the bank of all recordings; with ``gravity`` its views are turned upright.

    Random data of a recording follow from ``seed`` and its number: the one in ``numbers``, or its index.

    Raises:
        ConfigError: if there is no recording, they differ in their number of cameras, or truth is asked for and absent.
    """
    if not recordings:
        raise ConfigError('There is no recording to train on; check --data and its filters.')
    check_cameras((len(recording.rig) for recording in recordings), settings)
    if settings.cameras:
        recordings = [r.views(r.rig.names[: settings.cameras]) for r in recordings]
    if settings.extrinsics == 'joints':
        recordings = _with_estimated_extrinsics(recordings)
    up = np.array(UP_AXES[settings.up]) if gravity else None
    labelled = [_Labelled.of(recording, settings.labels) for recording in recordings]
    motion = _KnownMotion.of(labelled, settings.copies)
    banks: list[Bank] = []
    for number, one in zip(range(len(labelled)) if numbers is None else numbers, labelled, strict=True):
        banks += _prepare_recording(one, motion, settings, up, np.random.default_rng((seed, number)))
    return Bank.join(banks)


def check_cameras(cameras: Iterable[int], settings: DataSettings) -> None:
    """Raise ConfigError unless all rigs, of ``cameras`` cameras each, have as many after the settings' choice."""
    counts = {min(count, settings.cameras or count) for count in cameras}
    if len(counts) > 1:
        raise ConfigError(
            f'The rigs have {sorted(counts)} cameras; set data.cameras to {min(counts)}, so that all have as many.'
        )


def _with_estimated_extrinsics(recordings: Sequence[PersonRecording]) -> list[PersonRecording]:
    """Return the recordings with their rigs estimated from the joints, one estimate per rig."""
    hashes = [rig_hash(recording.rig) for recording in recordings]
    rigs = {
        key: extrinsics_from_joints([r for r, h in zip(recordings, hashes, strict=True) if h == key])
        for key in dict.fromkeys(hashes)
    }
    return [replace(r, rig=rigs[key], refined=None) for r, key in zip(recordings, hashes, strict=True)]


@dataclass(frozen=True, slots=True, eq=False)
class _Labelled:
    """A recording with its rays (F, C, J, 2), labels (F, J, 3) m and their weights (F, J)."""

    recording: PersonRecording
    rays: FloatArray
    labels: FloatArray
    weight: FloatArray

    @classmethod
    def of(cls, recording: PersonRecording, kind: str) -> _Labelled:
        rays, shape = recording.rays(), (len(recording), recording.confidence.shape[2])
        if kind == 'none':
            return cls(recording, rays, np.full((*shape, 3), np.nan), np.zeros(shape))
        if kind == 'refined':
            return cls(recording, rays, *refined_labels(recording))
        labels = recording.truth
        if kind == 'triangulated':
            labels = triangulated(recording.cam_from_world, rays, recording.confidence)
        if labels is None:
            raise ConfigError(f"Recording '{recording.name}' has no 3D truth; choose other data.labels.")
        return cls(recording, rays, labels, np.ones(shape))


@dataclass(frozen=True, slots=True, eq=False)
class _KnownMotion:
    """What all recordings together know of how people move: ``clips`` (F, J, 3) to take from, and joint limits."""

    clips: Sequence[FloatArray]
    limits: JointLimits | None

    @classmethod
    def of(cls, labelled: Sequence[_Labelled], settings: CopySettings) -> _KnownMotion:
        motion = settings.motion
        if not motion.exchanged_parts and not motion.bent_joints_deg:
            return cls((), None)
        clips = [one.labels[np.isfinite(one.labels).all((1, 2)) & (one.weight > _SURE).all(1)] for one in labelled]
        clips = [clip for clip in clips if len(clip)]
        if not clips:
            raise ConfigError(
                'No recording has frames whose joints all have enough weight to take motion from; set '
                'data.copies.motion.exchanged_parts and data.copies.motion.bent_joints_deg to 0.'
            )
        if not motion.bent_joints_deg:
            return cls(clips, None)
        limits = JointLimits.none() if motion.joint_limits == 'none' else JointLimits.measured(np.concatenate(clips))
        return cls(clips, limits)


def _prepare_recording(
    one: _Labelled, motion: _KnownMotion, settings: DataSettings, up: FloatArray | None, rng: np.random.Generator
) -> list[Bank]:
    """Return the bank of the real and virtual views, and those of the copies."""
    recording, rays, labels, weight = one.recording, one.rays, one.labels, one.weight
    confidence, cam_from_world = recording.confidence, recording.cam_from_world
    if settings.sides == 'repaired':
        rays, confidence = exchange_sides(rays, confidence, confused_sides(cam_from_world, rays, labels))
    local_up = None if up is None else cam_from_world[..., :3] @ up
    real = CanonicalViews(canonical_poses(rays, confidence, local_up), cam_from_world, recording.focal_px)
    cameras = VirtualCameras(recording, settings.virtual_cameras, up)
    views, added = real, settings.virtual_cameras.count
    if added:
        seen = labels if settings.labels != 'none' else triangulated(cam_from_world, rays, recording.confidence)
        views = real.beside(cameras.see(seen, Residuals.of(seen, real, rays, confidence), added, rng))
    banks = [Bank.of_views(views, labels, weight, settings.min_joints)]
    if not settings.copies.count:
        return banks
    residuals, count = Residuals.of(labels, real, rays, confidence), len(views.focal_px)
    occlusion = settings.copies.occlusion
    for _ in range(settings.copies.count):
        copied = _reshaped(labels, motion, settings.copies, cameras.vertical, rng)
        hidden = hidden_limbs(rng, occlusion.limbs, (len(labels), count)) if occlusion.limbs else None
        step = settings.virtual_cameras.frames or max(len(labels), 1)
        for start in range(0, len(labels), step):
            some = slice(start, start + step)
            virtual = cameras.see(
                copied[some], residuals.frames(some), count, rng, hidden=None if hidden is None else hidden[some],
                cut_off_share=occlusion.cut_off,
            )
            banks.append(Bank.of_views(virtual, copied[some], weight[some], settings.min_joints))
    return banks


def _reshaped(
    labels: FloatArray, motion: _KnownMotion, settings: CopySettings, up: FloatArray, rng: np.random.Generator
) -> FloatArray:
    """Return the labels (F, J, 3) moved and shaped as other people, as the settings say."""
    body = settings.body
    bodies = random_proportions(rng, body.proportions, len(labels) // FRAMES_PER_BODY + 1)
    bodies *= np.exp(body.statures * rng.standard_normal((len(bodies), 1)))
    lengths_m = bone_lengths(labels)
    if body.ansur and np.isfinite(lengths_m).all():
        bodies *= random_people(
            rng, lengths_m, len(bodies), spread=body.ansur, children=body.children,
            hips=(body.narrowest_hips, body.widest_hips),
        )
    if settings.motion.exchanged_parts:
        labels = exchange_parts(labels, motion.clips, settings.motion.exchanged_parts, up, FRAMES_PER_BODY, rng)
    if motion.limits is not None:
        bent_rad = np.radians(settings.motion.bent_joints_deg)
        labels = bend_joints(labels, motion.limits, bent_rad, FRAMES_PER_BODY, rng)
    return rescale_bones(labels, bodies[np.arange(len(labels)) // FRAMES_PER_BODY])
