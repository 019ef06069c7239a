# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Evaluation with the field's conventions.

MPJPE: mean distance of joints after aligning the root. N-MPJPE: after the best scale as well. P-MPJPE: after the best
similarity transform (Procrustes). PCK@150: share of joints within 150 mm after aligning the root; AUC: mean PCK over
the 31 thresholds 0, 5, ..., 150 mm (MPI-INF-3DHP). Root: distance of the root itself in the camera frame. Without 3D
truth: the lifted pose in the world, projected into views that were not lifted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict

import numpy as np

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.errors import ConfigError, ShapeError
from geo_pose_ros.geometry.alignment import align
from geo_pose_ros.geometry.rigid import invert, transform_points
from geo_pose_ros.geometry.triangulation import reprojection_residuals
from geo_pose_ros.skeleton import BODY17

from ..data.recording import PersonRecording
from .predictor import LiftedRecording, Predictor, lift_recording

_PCK_MM = 150.0
_AUC_MM = np.linspace(0.0, 150.0, 31)


class Report(TypedDict, total=False):
    """Metrics of a lifter: those of poses with truth only, ``held_out_px`` with several views only."""

    poses: int
    mpjpe_mm: float
    n_mpjpe_mm: float
    p_mpjpe_mm: float
    pck150: float
    auc: float
    root_mm: float
    per_action_mm: dict[str, float]
    per_joint_mm: dict[str, float]
    held_out_px: dict[str, float]


def pose_errors_mm(predicted: FloatArray, truth: FloatArray) -> dict[str, FloatArray]:
    """Return distances (N, J), mm, of poses (N, J, 3) m by alignment: 'mpjpe', 'n_mpjpe', 'p_mpjpe'.

    Raises:
        ShapeError: if the shapes differ.
    """
    if predicted.shape != truth.shape or predicted.ndim != 3 or predicted.shape[-1] != 3:
        raise ShapeError(f'pose_errors_mm: received {predicted.shape} and {truth.shape}, expected (N, J, 3) twice.')
    p = predicted - predicted[:, :1]
    t = truth - truth[:, :1]
    scale = (p * t).sum((1, 2)) / np.maximum((p * p).sum((1, 2)), 1e-12)
    aligned = {'mpjpe': p, 'n_mpjpe': scale[:, None, None] * p, 'p_mpjpe': align(p, t)}
    return {name: 1e3 * np.linalg.norm(moved - t, axis=-1) for name, moved in aligned.items()}


def pck(errors_mm: FloatArray) -> float:
    """Return the percentage of joints within 150 mm."""
    return float(100.0 * (errors_mm <= _PCK_MM).mean())


def auc(errors_mm: FloatArray) -> float:
    """Return the mean percentage of joints within 0, 5, ..., 150 mm."""
    return float(100.0 * np.mean([(errors_mm <= threshold).mean() for threshold in _AUC_MM]))


def evaluate(
    predictor: Predictor, recordings: Sequence[PersonRecording], *, min_joints: int = 14, stride: int = 1,
    cross_views: bool = True,
) -> Report:
    """Return the metrics of a lifter on recordings, every view lifted on its own.

    Only every ``stride``-th frame is lifted; ``cross_views=False`` leaves the held-out reprojection out.

    Raises:
        ConfigError: if no view of any recording could be lifted.
    """
    by_alignment: dict[str, list[FloatArray]] = {'mpjpe': [], 'n_mpjpe': [], 'p_mpjpe': []}
    roots, actions, crossed = [], [], [np.zeros(0)]
    for recording in recordings:
        lifted = lift_recording(predictor, recording, min_joints=min_joints, stride=stride)
        if cross_views and len(recording.rig) > 1:
            crossed.append(held_out_px(lifted, recording))
        if recording.truth is None:
            continue
        local = recording.in_cameras(recording.truth)
        done = np.isfinite(lifted.root).all(-1) & np.isfinite(local).all((-1, -2))
        for name, errors in pose_errors_mm(lifted.xyz[done], local[done]).items():
            by_alignment[name].append(errors)
        roots.append(1e3 * np.linalg.norm(lifted.root[done] - local[done][:, 0], axis=-1))
        actions.append(np.full(int(done.sum()), recording.action))
    report: Report = {}
    if sum(map(len, roots)):
        joints = {name: np.concatenate(errors) for name, errors in by_alignment.items()}
        mpjpe, action = joints['mpjpe'], np.concatenate(actions)
        report = {
            'poses': len(mpjpe), 'mpjpe_mm': float(mpjpe.mean()), 'n_mpjpe_mm': float(joints['n_mpjpe'].mean()),
            'p_mpjpe_mm': float(joints['p_mpjpe'].mean()), 'pck150': pck(mpjpe), 'auc': auc(mpjpe),
            'root_mm': float(np.concatenate(roots).mean()),
            'per_action_mm': {str(name): float(mpjpe[action == name].mean()) for name in np.unique(action)},
            'per_joint_mm': dict(zip(BODY17.joint_names, mpjpe.mean(0).tolist(), strict=True)),
        }
    pixels = np.concatenate(crossed)
    if len(pixels):
        report['held_out_px'] = {'mean': float(pixels.mean()), 'median': float(np.median(pixels))}
    if not report:
        raise ConfigError(
            f'No view shows {min_joints} joints of a person with truth or a second view; there is nothing to evaluate.'
        )
    return report


def held_out_px(lifted: LiftedRecording, recording: PersonRecording) -> FloatArray:
    """Return the distances (N,), px, of each view's lifted joints, projected into the other views, to what they saw."""
    found = []
    for view, name in enumerate(recording.rig.names):
        others = recording.views([other for other in recording.rig.names if other != name])
        local = lifted.xyz[:, view] + lifted.root[:, view, None]
        found.append(reprojection_px(others, transform_points(invert(recording.cam_from_world[view]), local)))
    return np.concatenate(found)


def reprojection_px(recording: PersonRecording, xyz: FloatArray) -> FloatArray:
    """Return the known distances (N,), px, of joints (F, J, 3) m from what the views of ``recording`` saw."""
    rays = np.swapaxes(recording.rays(), 0, 1).reshape(len(recording.rig), -1, 2)
    residuals = reprojection_residuals(recording.cam_from_world, recording.focal_px, rays, xyz.reshape(-1, 3))
    return np.asarray(residuals[np.isfinite(residuals)])


def format_report(report: Mapping[str, object]) -> str:
    """Return the metrics as text, one per line, tables indented."""
    lines = []
    for name, value in report.items():
        if isinstance(value, Mapping):
            lines.append(f'{name}:')
            lines += [f'  {key:<20} {number:8.1f}' for key, number in value.items()]
        else:
            shown = f'{value:8.1f}' if isinstance(value, float) else f'{value!s:>8}'
            lines.append(f'{name:<22} {shown}')
    return '\n'.join(lines)
