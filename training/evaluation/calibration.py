# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""How true a lifter's standard deviation is, and its root where floor or bone lengths are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.geometry.rigid import transform_points
from geo_pose_ros.geometry.stats import INSIDE_95
from geo_pose_ros.lifting.canonical import camera_heights, up_in_cameras
from geo_pose_ros.lifting.root import locate_root

from ..data.recording import PersonRecording
from ..data.virtual_cameras import hidden_limbs
from ..labels.triangulation import bone_lengths, refined_labels
from .predictor import Predictor, SigmaScale, lift_recording

# In three dimensions 95 % of a Gaussian are within so many standard deviations.
SHARE, INSIDE = 0.95, INSIDE_95**0.5
# Triangulated joints of less weight say nothing.
SURE = 0.25
# Calibration hides a limb for half of the time, and lifts views that show all but two limbs.
_HIDDEN_SHARE = 0.5
_HIDDEN_MIN = 10


def calibrate_sigma(predictor: Predictor, recordings: Sequence[PersonRecording]) -> SigmaScale:
    """Return the factors that make the reported sigma fit the errors on recordings that were not trained on.

    The errors are taken against the triangulation of all views, so no 3D label is needed; 1 if nothing can be
    triangulated. The normalised error that 95 % stay below is brought to that of a Gaussian: sigma counts where errors
    are large, in the tail. For joints that are not seen, limbs are hidden: a network knows its training motions, and
    with them where their hidden limbs are, better than it knows others.
    """
    return SigmaScale(*map(sigma_factor, _normalised_errors(predictor, recordings, against_truth=False)))


def sigma_factor(errors: FloatArray) -> float:
    """Return the factor on sigma that brings 95 % of errors (N,), in units of sigma, inside; 1 without errors."""
    return float(np.quantile(errors, SHARE) / INSIDE) if len(errors) else 1.0


def sigma_coverage(predictor: Predictor, recordings: Sequence[PersonRecording]) -> dict[str, float]:
    """Return which share of the joints is within 2.8 sigma of the truth, 0.95 for a Gaussian: 'seen' and 'hidden' ones.

    Limbs are hidden as for calibrate_sigma. NaN where there is none, or no truth.
    """
    seen, hidden = _normalised_errors(predictor, recordings, against_truth=True)
    return {
        name: float((values <= INSIDE).mean()) if len(values) else float('nan')
        for name, values in (('seen', seen), ('hidden', hidden))
    }


def _normalised_errors(
    predictor: Predictor, recordings: Sequence[PersonRecording], *, against_truth: bool
) -> tuple[FloatArray, FloatArray]:
    """Return distances of joints in units of sigma, of those that the view sees, and of others.

    They are distances from the truth, or from the refined labels with enough weight.
    """
    rng = np.random.default_rng(0)
    ratios: dict[bool, list[FloatArray]] = {True: [np.zeros(0)], False: [np.zeros(0)]}
    for recording in recordings:
        truth = recording.truth if against_truth else None
        if len(recording.rig) < 2 or (against_truth and truth is None):
            continue
        world, weight = refined_labels(recording) if truth is None else (truth, np.ones(truth.shape[:2]))
        local = recording.in_cameras(world)
        limbs = hidden_limbs(rng, _HIDDEN_SHARE, recording.confidence.shape[:2])
        for confidence in (recording.confidence, np.where(limbs, 0.0, recording.confidence)):
            lifted = lift_recording(predictor, replace(recording, confidence=confidence), min_joints=_HIDDEN_MIN)
            error = np.linalg.norm(lifted.xyz - (local - local[:, :, :1]), axis=-1)
            known = np.isfinite(error) & (weight[:, None] > SURE) & (np.arange(error.shape[2]) > 0)
            for seen, found in ratios.items():
                found.append((error / lifted.sigma)[known & ((confidence > 0.0) == seen)])
    return np.concatenate(ratios[True]), np.concatenate(ratios[False])


def mean_root_errors_mm(predictor: Predictor, recordings: Sequence[PersonRecording]) -> dict[str, float]:
    """Return means of ``root_errors_mm`` by what is known beside the view; what cannot be measured is left out."""
    known = {'perspective': ('', False), 'floor': ('z', False), 'bones': ('', True), 'floor and bones': ('z', True)}
    errors = {
        name: root_errors_mm(predictor, recordings, floor=floor, bones=bones) for name, (floor, bones) in known.items()
    }
    return {name: float(values.mean()) for name, values in errors.items() if len(values)}


def root_errors_mm(
    predictor: Predictor, recordings: Sequence[PersonRecording], *, floor: str = '', bones: bool = False
) -> FloatArray:
    """Return the distances (N,), mm, of every view's absolute root from the truth, each view lifted on its own.

    ``floor`` names the axis that points up from the floor through the world's origin, '' for no floor; with ``bones``
    the bone lengths are known, as two other cameras of the rig triangulated them over the recording. Recordings without
    truth, or with fewer than three cameras where bones are asked for, are left out.
    """
    found = [np.zeros(0)]
    for recording in recordings:
        if recording.truth is None or (bones and len(recording.rig) < 3):
            continue
        lifted = lift_recording(predictor, recording)
        rays = recording.rays()
        for view, camera in enumerate(recording.cam_from_world):
            lengths = _lengths_from_others(recording, view) if bones else None
            ground = {}
            if floor:
                local_up = np.broadcast_to(up_in_cameras(camera, floor), (len(recording), 3))
                ground = {'up': local_up, 'height_m': np.full(len(recording), camera_heights(camera, floor))}
            placed = locate_root(
                lifted.xyz[:, view], lifted.sigma[:, view], rays[:, view], recording.confidence[:, view],
                lengths=lengths, **ground,
            )
            true = transform_points(camera, recording.truth[:, 0])
            errors = 1e3 * np.linalg.norm(placed.root - true, axis=-1)
            found.append(errors[np.isfinite(errors)])
    return np.concatenate(found)


def _lengths_from_others(recording: PersonRecording, view: int) -> FloatArray:
    """Return the bone lengths (E,), m, that the two cameras after ``view`` triangulate over the recording."""
    others = [(view + step) % len(recording.rig) for step in (1, 2)]
    world, weight = refined_labels(recording.views([recording.rig.names[other] for other in others]))
    return bone_lengths(np.where(weight[..., None] > SURE, world, np.nan))
