"""Evaluation with the field's conventions.

MPJPE: mean distance of joints after aligning the root. N-MPJPE: after the best scale as well. P-MPJPE: after the best
similarity transform (Procrustes). PCK@150: share of joints within 150 mm after aligning the root; AUC: mean PCK over
the 31 thresholds 0, 5, ..., 150 mm (MPI-INF-3DHP). Root: distance of the root itself in the camera frame. Without 3D
truth: the lifted pose in the world, projected into views that were not lifted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Sequence as Items
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.errors import ConfigError, ShapeError
from geo_pose_ros.geometry.alignment import align
from geo_pose_ros.geometry.rigid import invert, transform_points
from geo_pose_ros.geometry.triangulation import reprojection_residuals
from geo_pose_ros.lifting.canonical import canonical_poses
from geo_pose_ros.lifting.gravity import UP_AXES, up_in_cameras
from geo_pose_ros.lifting.root import place, solve_root
from geo_pose_ros.skeleton import BODY17

from .data.prepare import hidden_limbs
from .data.sequence import Sequence
from .labels.triangulation import bone_lengths, refined
from .model import Lifter
from .settings import Recipe

# pose2d (B, T, J, 3) float32, and view (B, 2) where gravity counts -> xyz (B, J, 3) m and sigma (B, J) m.
Predictor = Callable[..., tuple[NDArray[np.float32], NDArray[np.float32]]]

_PCK_MM = 150.0
_AUC_MM = np.linspace(0.0, 150.0, 31)
_CHUNK = 4096
# In three dimensions 95 % of a Gaussian are within so many standard deviations.
SHARE, INSIDE = 0.95, 2.7955
# Triangulated joints of less weight say nothing.
_SURE = 0.25
# Calibration hides a limb for half of the time, and lifts views that show all but two limbs.
_HIDDEN_SHARE = 0.5
_HIDDEN_MIN = 10


@dataclass(frozen=True, slots=True)
class SigmaScale:
    """Factors on the reported standard deviation of joints that the view sees, and of those that it does not."""

    seen: float = 1.0
    hidden: float = 1.0


_UNSCALED = SigmaScale()


def torch_predictor(lifter: Lifter, scale: SigmaScale = _UNSCALED) -> Predictor:
    """Return the predictor of a network, its sigma times ``scale``.

    It leaves the network's mode and torch's random state alone.
    """
    frame = lifter.receptive_field - 1 if lifter.settings.causal else lifter.receptive_field // 2

    def predict(
        pose2d: NDArray[np.float32], view: NDArray[np.float32] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        was_training = lifter.training
        lifter.eval()
        try:
            with torch.no_grad():
                lifted = lifter(torch.from_numpy(pose2d), None if view is None else torch.from_numpy(view))
        finally:
            lifter.train(was_training)
        factor = np.where(pose2d[:, frame, :, 2] > 0.0, scale.seen, scale.hidden).astype(np.float32)
        return lifted.xyz.numpy(), lifted.sigma.numpy() * factor

    return predict


@dataclass(frozen=True, slots=True, eq=False)
class LiftedSequence:
    """Every view of a sequence lifted on its own.

    Attributes:
        xyz: (F, C, J, 3) m in each camera's frame, root-relative; NaN where the view was not lifted.
        root: (F, C, 3) m in the camera's frame, solved from the pose.
        sigma: (F, C, J) m.
    """

    xyz: FloatArray
    root: FloatArray
    sigma: FloatArray


def window_rows(frames: int, receptive_field: int, causal: bool) -> NDArray[np.int64]:
    """Return the frames (F, T) of each frame's window; beyond the ends the last frame repeats."""
    offsets = np.arange(receptive_field) - (receptive_field - 1 if causal else receptive_field // 2)
    rows: NDArray[np.int64] = np.clip(np.arange(frames)[:, None] + offsets, 0, frames - 1)
    return rows


def input_options(recipe: Recipe) -> dict[str, Any]:
    """Return the options of ``lift_sequence`` and all that builds on it for lifters of this recipe."""
    return {
        'receptive_field': recipe.model.receptive_field, 'causal': recipe.model.causal,
        'up': recipe.data.up if recipe.model.gravity else '',
    }


def lift_sequence(
    predict: Predictor,
    sequence: Sequence,
    *,
    receptive_field: int = 1,
    causal: bool = False,
    up: str = '',
    min_joints: int = 14,
    stride: int = 1,
) -> LiftedSequence:
    """Lift all views of every ``stride``-th frame in which at least ``min_joints`` joints are seen.

    ``up`` names the world's upward axis for a predictor that has to know it; '' for one that does not.
    """
    rays = sequence.rays()
    frames, views, joints = sequence.confidence.shape
    poses = canonical_poses(rays, sequence.confidence, up_in_cameras(sequence.cam_from_world, up) if up else None)
    usable = ((poses.pose2d[..., 2] > 0.0).sum(-1) >= min_joints) & np.isfinite(poses.size)
    usable &= (np.arange(frames) % stride == 0)[:, None]
    rows = window_rows(frames, receptive_field, causal)
    xyz = np.full((frames, views, joints, 3), np.nan)
    sigma = np.full((frames, views, joints), np.nan)
    for view in range(views):
        wanted = np.flatnonzero(usable[:, view])
        for chunk in np.array_split(wanted, max(1, -(-len(wanted) // _CHUNK))):
            if len(chunk):
                given = (poses.view[chunk, view],) if up else ()
                xyz[chunk, view], sigma[chunk, view] = predict(poses.pose2d[rows[chunk], view], *given)
    seen = np.where(poses.pose2d[..., 2:] > 0.0, poses.rays, np.nan)
    root = solve_root(xyz, seen, poses.pose2d[..., 2].astype(np.float64))
    cam_from_view = np.swapaxes(poses.view_from_cam, -1, -2)
    return LiftedSequence(
        np.einsum('fcab,fcjb->fcja', cam_from_view, xyz), np.einsum('fcab,fcb->fca', cam_from_view, root), sigma
    )


def pose_errors_mm(predicted: FloatArray, truth: FloatArray, root: int = 0) -> dict[str, FloatArray]:
    """Return distances (N, J), mm, of poses (N, J, 3) m by alignment: 'mpjpe', 'n_mpjpe', 'p_mpjpe'.

    Raises:
        ShapeError: if the shapes differ.
    """
    if predicted.shape != truth.shape or predicted.ndim != 3 or predicted.shape[-1] != 3:
        raise ShapeError(f'pose_errors_mm: received {predicted.shape} and {truth.shape}, expected (N, J, 3) twice.')
    p = predicted - predicted[:, root : root + 1]
    t = truth - truth[:, root : root + 1]
    scale = (p * t).sum((1, 2)) / np.maximum((p * p).sum((1, 2)), 1e-12)

    def mm(moved: FloatArray) -> FloatArray:
        distances: FloatArray = 1e3 * np.linalg.norm(moved - t, axis=-1)
        return distances

    return {'mpjpe': mm(p), 'n_mpjpe': mm(scale[:, None, None] * p), 'p_mpjpe': mm(align(p, t))}


def pck(errors_mm: FloatArray) -> float:
    """Return the percentage of joints within 150 mm."""
    return float(100.0 * (errors_mm <= _PCK_MM).mean())


def auc(errors_mm: FloatArray) -> float:
    """Return the mean percentage of joints within 0, 5, ..., 150 mm."""
    return float(100.0 * np.mean([(errors_mm <= threshold).mean() for threshold in _AUC_MM]))


@dataclass(frozen=True, slots=True, eq=False)
class _Errors:
    """Errors of N lifted poses, mm: joints (N, J) by alignment, roots (N,)."""

    joints: Mapping[str, FloatArray]
    root: FloatArray
    action: NDArray[np.str_]


def _collect(
    predict: Predictor, sequences: Items[Sequence], cross_views: bool, **options: Any
) -> tuple[_Errors, list[FloatArray]]:
    by_alignment: dict[str, list[FloatArray]] = {'mpjpe': [], 'n_mpjpe': [], 'p_mpjpe': []}
    roots, actions, crossed = [], [], []
    for sequence in sequences:
        lifted = lift_sequence(predict, sequence, **options)
        done = np.isfinite(lifted.root).all(-1)
        if cross_views and len(sequence.rig) > 1:
            crossed.append(held_out_px(lifted, sequence))
        if sequence.truth is None:
            continue
        local = np.stack([transform_points(c, sequence.truth) for c in sequence.cam_from_world], 1)
        done &= np.isfinite(local).all((-1, -2))
        for name, errors in pose_errors_mm(lifted.xyz[done], local[done]).items():
            by_alignment[name].append(errors)
        roots.append(1e3 * np.linalg.norm(lifted.root[done] - local[done][:, 0], axis=-1))
        actions.append(np.full(int(done.sum()), sequence.action))
    if not roots:
        return _Errors({}, np.zeros(0), np.zeros(0, str)), crossed
    joined = {name: np.concatenate(errors) for name, errors in by_alignment.items()}
    return _Errors(joined, np.concatenate(roots), np.concatenate(actions)), crossed


def held_out_px(lifted: LiftedSequence, sequence: Sequence) -> FloatArray:
    """Return the distances (N,), px, of each view's lifted joints, projected into the other views, to what they saw."""
    rays = np.swapaxes(sequence.rays(), 0, 1)
    found = []
    for view, camera in enumerate(sequence.cam_from_world):
        world = transform_points(invert(camera), lifted.xyz[:, view] + lifted.root[:, view, None])
        others = [i for i in range(len(sequence.rig)) if i != view]
        residuals = reprojection_residuals(
            sequence.cam_from_world[others], sequence.focal_px[others], rays[others].reshape(len(others), -1, 2),
            world.reshape(-1, 3),
        )
        found.append(residuals[np.isfinite(residuals)])
    return np.concatenate(found)


def evaluate(
    predict: Predictor,
    sequences: Items[Sequence],
    *,
    receptive_field: int = 1,
    causal: bool = False,
    up: str = '',
    min_joints: int = 14,
    stride: int = 1,
    cross_views: bool = True,
    joint_names: tuple[str, ...] = BODY17.joint_names,
) -> dict[str, object]:
    """Return the metrics of a lifter on sequences, every view lifted on its own.

    ``stride`` lifts only every so many frames, ``cross_views=False`` leaves the held-out reprojection out.

    With truth: poses, mpjpe_mm, n_mpjpe_mm, p_mpjpe_mm, pck150, auc, root_mm, per_action_mm and per_joint_mm. With
    several views: held_out_px, mean and median.

    Raises:
        ConfigError: if no view of any sequence could be lifted.
    """
    errors, crossed = _collect(
        predict, sequences, cross_views, receptive_field=receptive_field, causal=causal, up=up,
        min_joints=min_joints, stride=stride,
    )
    report: dict[str, object] = {}
    if len(errors.root):
        mpjpe = errors.joints['mpjpe']
        report = {
            'poses': len(mpjpe),
            **{f'{name}_mm': float(values.mean()) for name, values in errors.joints.items()},
            'pck150': pck(mpjpe), 'auc': auc(mpjpe), 'root_mm': float(errors.root.mean()),
            'per_action_mm': {
                str(action): float(mpjpe[errors.action == action].mean()) for action in np.unique(errors.action)
            },
            'per_joint_mm': dict(zip(joint_names, mpjpe.mean(0).tolist(), strict=True)),
        }
    pixels = np.concatenate(crossed) if crossed else np.zeros(0)
    if len(pixels):
        report['held_out_px'] = {'mean': float(pixels.mean()), 'median': float(np.median(pixels))}
    if not report:
        raise ConfigError(
            f'No view shows {min_joints} joints of a person with truth or a second view; there is nothing to evaluate.'
        )
    return report


def calibrate_sigma(predict: Predictor, sequences: Items[Sequence], **windows: Any) -> SigmaScale:
    """Return the factors that make the reported sigma fit the errors on sequences that were not trained on.

    The errors are taken against the triangulation of all views, so no 3D label is needed; 1 if nothing can be
    triangulated. The normalised error that 95 % stay below is brought to that of a Gaussian: a sigma is to be believed
    where it matters, in the tail. For joints that are not seen, limbs are hidden: a network knows its training
    motions, and with them where their hidden limbs are, better than it knows others.
    """
    factors = []
    for values in _normalised_errors(predict, sequences, _triangulated, windows):
        factors.append(float(np.quantile(values, SHARE) / INSIDE) if len(values) else 1.0)
    return SigmaScale(*factors)


def sigma_coverage(predict: Predictor, sequences: Items[Sequence], **windows: Any) -> dict[str, float]:
    """Return which share of the joints is within 2.8 sigma of the truth, 0.95 for a Gaussian: 'seen' and 'hidden' ones.

    Limbs are hidden as for calibrate_sigma. NaN where there is none, or no truth.
    """
    seen, hidden = _normalised_errors(predict, sequences, _true, windows)
    return {
        name: float((values <= INSIDE).mean()) if len(values) else float('nan')
        for name, values in (('seen', seen), ('hidden', hidden))
    }


def _triangulated(sequence: Sequence) -> tuple[FloatArray, FloatArray]:
    return refined(
        sequence.cam_from_world, sequence.focal_px, sequence.rays(), sequence.confidence, sequence.fps
    )


def _true(sequence: Sequence) -> tuple[FloatArray, FloatArray]:
    if sequence.truth is None:
        return np.full((len(sequence), sequence.confidence.shape[2], 3), np.nan), np.zeros(1)
    return sequence.truth, np.ones(sequence.truth.shape[:2])


def _normalised_errors(
    predict: Predictor, sequences: Items[Sequence], reference: Callable[[Sequence], tuple[FloatArray, FloatArray]],
    windows: Mapping[str, Any],
) -> tuple[FloatArray, FloatArray]:
    """Return distances of joints from the reference in units of sigma: of those that the view sees, and of others.

    The reference gives joints (F, J, 3), m, and their weights (F, J); what weighs little is left out.
    """
    rng = np.random.default_rng(0)
    ratios: dict[bool, list[FloatArray]] = {True: [np.zeros(0)], False: [np.zeros(0)]}
    for sequence in sequences:
        if len(sequence.rig) < 2:
            continue
        world, weight = reference(sequence)
        local = np.stack([transform_points(c, world) for c in sequence.cam_from_world], 1)
        limbs = hidden_limbs(rng, _HIDDEN_SHARE, sequence.confidence.shape[:2])
        for confidence in (sequence.confidence, np.where(limbs, 0.0, sequence.confidence)):
            lifted = lift_sequence(predict, replace(sequence, confidence=confidence), min_joints=_HIDDEN_MIN, **windows)
            error = np.linalg.norm(lifted.xyz - (local - local[:, :, :1]), axis=-1)
            trusted = np.isfinite(error) & (weight[:, None] > _SURE) & (np.arange(error.shape[2]) > 0)
            for seen, found in ratios.items():
                found.append((error / lifted.sigma)[trusted & ((confidence > 0.0) == seen)])
    return np.concatenate(ratios[True]), np.concatenate(ratios[False])


def root_errors_mm(
    predict: Predictor, sequences: Items[Sequence], *, floor: str = '', bones: bool = False, **windows: Any
) -> FloatArray:
    """Return the distances (N,), mm, of every view's absolute root from the truth, each view lifted on its own.

    ``floor`` names the axis that points up from the floor through the world's origin, '' for no floor; with ``bones``
    the bone lengths are known, as two other cameras of the rig triangulated them over the sequence. Sequences without
    truth, or with fewer than three cameras where bones are asked for, are left out.
    """
    found = [np.zeros(0)]
    for sequence in sequences:
        if sequence.truth is None or (bones and len(sequence.rig) < 3):
            continue
        lifted = lift_sequence(predict, sequence, **windows)
        rays = sequence.rays()
        for view, camera in enumerate(sequence.rig.cameras):
            lengths = _lengths_from_others(sequence, view) if bones else None
            ground = {}
            if floor:
                local_up = up_in_cameras(camera.cam_from_world, floor)
                height = np.full(len(sequence), camera.position_m @ np.array(UP_AXES[floor]))
                ground = {'up': np.broadcast_to(local_up, (len(sequence), 3)), 'height_m': height}
            placed = place(
                lifted.xyz[:, view], lifted.sigma[:, view], rays[:, view], sequence.confidence[:, view],
                lengths=lengths, **ground,
            )
            true = transform_points(camera.cam_from_world, sequence.truth[:, 0])
            errors = 1e3 * np.linalg.norm(placed.root - true, axis=-1)
            found.append(errors[np.isfinite(errors)])
    return np.concatenate(found)


def _lengths_from_others(sequence: Sequence, view: int) -> FloatArray:
    """Return the bone lengths (E,), m, that the two cameras after ``view`` triangulate over the sequence."""
    others = [(view + step) % len(sequence.rig) for step in (1, 2)]
    pair = sequence.views([sequence.rig.names[other] for other in others])
    world, weight = _triangulated(pair)
    return bone_lengths(np.where(weight[..., None] > _SURE, world, np.nan))


def real_windows(
    sequences: Items[Sequence], *, receptive_field: int = 1, causal: bool = False, up: str = '', count: int = 256
) -> tuple[NDArray[np.float32], ...]:
    """Return up to ``count`` lifter inputs of the sequences' first views: (N, T, J, 3), with ``up`` also (N, 2)."""
    windows, views = [], []
    for sequence in sequences:
        local_up = up_in_cameras(sequence.cam_from_world[0], up) if up else None
        poses = canonical_poses(sequence.rays()[:, 0], sequence.confidence[:, 0], local_up)
        windows.append(poses.pose2d[window_rows(len(sequence), receptive_field, causal)])
        views.append(poses.view)
        if sum(map(len, windows)) >= count:
            break
    found = np.concatenate(windows)[:count]
    return (found, np.concatenate(views)[:count]) if up else (found,)


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
