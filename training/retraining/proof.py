"""What is kept aside when a lifter is fine-tuned, and whether the new lifter is better on it than the old."""

from __future__ import annotations

from collections.abc import Sequence as Items
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.errors import ConfigError, GeoPoseError
from geo_pose_ros.geometry.rigid import invert, transform_points
from geo_pose_ros.geometry.triangulation import reprojection_residuals

from ..data.sequence import Sequence
from ..evaluate import INSIDE, SHARE, Predictor, evaluate, lift_sequence, pose_errors_mm
from ..labels.triangulation import refined

# With fewer cameras each one is needed to make the labels.
_CAMERAS_TO_SPARE = 3
# A reference joint of less weight is not compared in sigmas.
_SURE = 0.25
# Less of a change is no improvement: the same network in another engine differs as well.
_BETTER = 0.99
# What was known before may get worse by this factor.
_FORGOTTEN = 1.03


class RetrainError(GeoPoseError):
    """The new lifter is not better than the old."""


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A recording of one person, and what of it is trained on.

    Attributes:
        whole: all cameras and frames.
        trained_on: names of the cameras that are trained on.
        camera: the camera that is kept aside, '' for none.
        train, test: frames that are trained on, and that are kept aside.
    """

    whole: Sequence
    trained_on: tuple[str, ...]
    camera: str
    train: slice
    test: slice

    @property
    def training(self) -> Sequence:
        """What may be trained on."""
        return self.whole.views(self.trained_on).frames(self.train)


def keep_aside(
    whole: Sequence, *, camera: str = '', cameras: tuple[str, ...] = (), train: slice | None = None,
    test: slice | None = None, share: float = 0.4,
) -> Recording:
    """Return the recording with its last frames, and of three cameras or more one camera, kept aside.

    Args:
        whole: the recording.
        camera: to keep aside; '' for the last one, if there are three.
        cameras: to train on; () for all but that one.
        train, test: frames; None for all but the last ``share`` of them, and these.
        share: of the frames from the first to the last in which the person was seen.

    Raises:
        ConfigError: if the camera is trained on, or nothing is left to train on or to test on.
    """
    names = whole.rig.names
    if not camera and len(names) >= _CAMERAS_TO_SPARE:
        camera = next((name for name in reversed(names) if name not in cameras), '')
    chosen = cameras or tuple(name for name in names if name != camera)
    if camera in chosen:
        raise ConfigError(f"Camera '{camera}' is trained on; hold out another one.")
    if len(chosen) < 2:
        received = ', '.join(chosen) or 'none'
        raise ConfigError(f"'{whole.name}': labels need two cameras to train on; received {received}.")
    there = np.flatnonzero((whole.confidence > 0.0).any((1, 2)))
    start, stop = (int(there[0]), int(there[-1]) + 1) if len(there) else (0, len(whole))
    seam = start + round((1.0 - share) * (stop - start))
    made = Recording(
        whole, chosen, whole.rig[camera].name if camera else '', slice(start, seam) if train is None else train,
        slice(seam, stop) if test is None else test,
    )
    for what, frames in (('train', made.train), ('test', made.test)):
        if not len(whole.xy[frames]):
            raise ConfigError(f"'{whole.name}' has {len(whole)} frames, none to {what} on; choose other frames.")
    return made


def unseen(whole: Sequence) -> Recording:
    """Return a recording of which nothing is trained on: of three cameras or more the others say what the last sees."""
    names = whole.rig.names
    spare = len(names) >= _CAMERAS_TO_SPARE
    return Recording(whole, names[:-1] if spare else names, names[-1] if spare else '', slice(0, 0), slice(None))


@dataclass(frozen=True, slots=True)
class Check:
    """How a lifter does on what was kept aside.

    Attributes:
        poses: lifted and compared with the triangulation of the cameras that are trained on.
        mpjpe_mm, p_mpjpe_mm: root-relative, and after the best similarity transform.
        reprojection_px: median distance of the lifted joints, in the other cameras, from what these saw.
        inside_percent: joints within 2.8 sigma; 95 for a Gaussian.
        elsewhere_mm: MPJPE of other people, replayed or made up, with truth; NaN without.
    """

    poses: int
    mpjpe_mm: float
    p_mpjpe_mm: float
    reprojection_px: float
    inside_percent: float
    elsewhere_mm: float = float('nan')


def check(
    predict: Predictor, recordings: Items[Recording], elsewhere: Items[Sequence] = (), **windows: Any
) -> Check:
    """Lift what was kept aside, each view alone, and compare.

    The reference is the triangulation that makes the training labels, over the whole recording, so that it has its
    neighbours in time.

    Raises:
        ConfigError: if no view that was kept aside could be lifted.
    """
    errors, aligned, pixels, ratios = [], [], [], []
    for recording in recordings:
        for poses, expected, sigma, weight, residuals in _compared(predict, recording, windows):
            found = pose_errors_mm(poses, expected)
            errors.append(found['mpjpe'])
            aligned.append(found['p_mpjpe'])
            pixels.append(residuals)
            distance = np.linalg.norm(poses - (expected - expected[:, :1]), axis=-1)
            ratios.append((distance / sigma)[:, 1:][weight[:, 1:] > _SURE])
    if not errors:
        raise ConfigError(
            'No camera that is kept aside shows a whole person on these frames; choose another camera or frames.'
        )
    joints, residuals, inside = np.concatenate(errors), np.concatenate(pixels), np.concatenate(ratios)
    known = float('nan')
    if elsewhere:
        report = evaluate(predict, elsewhere, cross_views=False, **windows)
        known = float(str(report['mpjpe_mm']))
    return Check(
        len(joints), float(joints.mean()), float(np.concatenate(aligned).mean()), float(np.median(residuals)),
        float(100.0 * (inside <= INSIDE).mean()) if len(inside) else float('nan'), known,
    )


def reference(recording: Recording, camera: str) -> tuple[FloatArray, FloatArray]:
    """Return what ``camera`` should see, (F, J, 3) m in its frame, and the weights (F, J).

    It is the triangulation of the cameras that are trained on.
    """
    known = recording.whole.views(recording.trained_on)
    world, weight = refined(known.cam_from_world, known.focal_px, known.rays(), known.confidence, known.fps)
    return transform_points(recording.whole.rig[camera].cam_from_world, world), weight


def sigma_factor(predict: Predictor, recordings: Items[Recording], **windows: Any) -> float:
    """Return the factor that makes sigma honest for cameras that were not trained on, on the frames that were.

    1 where no camera was kept aside: on what it was trained on a lifter is surer than it should be. Never less: these
    frames are known by heart, and what it says of other people, whom it has only rehearsed, would be too sure.
    """
    ratios = [np.zeros(0)]
    for recording in recordings:
        if recording.camera:
            same_frames = replace(recording, test=recording.train)
            for poses, expected, sigma, weight, _ in _compared(predict, same_frames, windows):
                distance = np.linalg.norm(poses - (expected - expected[:, :1]), axis=-1)
                ratios.append((distance / sigma)[:, 1:][weight[:, 1:] > _SURE])
    found = np.concatenate(ratios)
    return max(1.0, float(np.quantile(found, SHARE) / INSIDE)) if len(found) else 1.0


def _compared(
    predict: Predictor, recording: Recording, windows: dict[str, Any]
) -> list[tuple[FloatArray, FloatArray, FloatArray, FloatArray, FloatArray]]:
    """Return, of each camera to test with, its poses (N, J, 3) and all that they are compared with.

    That is: what they should be, sigma and the reference's weight (N, J), distances (M,), px, in the other cameras.
    """
    whole, frames = recording.whole, recording.test
    known = whole.views(recording.trained_on)
    made = []
    for name in (recording.camera,) if recording.camera else recording.trained_on:
        alone = whole.views((name,))
        lifted = lift_sequence(predict, alone, **windows)
        seen, weight = reference(recording, name)
        poses, expected = lifted.xyz[frames, 0], seen[frames]
        done = np.isfinite(poses).all((1, 2)) & np.isfinite(expected).all((1, 2))
        if done.any():
            others = known.views([other for other in known.rig.names if other != name]).frames(frames)
            placed = transform_points(
                invert(alone.cam_from_world[0]), poses[done] + lifted.root[frames, 0][done][:, None]
            )
            residuals = reprojection_residuals(
                others.cam_from_world, others.focal_px,
                np.swapaxes(others.rays(), 0, 1)[:, done].reshape(len(others.rig), -1, 2), placed.reshape(-1, 3),
            )
            made.append(
                (
                    poses[done], expected[done], lifted.sigma[frames, 0][done], weight[frames][done],
                    residuals[np.isfinite(residuals)],
                )
            )
    return made


def objections(before: Check, after: Check) -> list[str]:
    """Return what speaks against the new lifter, in words; nothing if it is better and has not forgotten."""
    found = []
    for what, old, new in (
        ('MPJPE', before.mpjpe_mm, after.mpjpe_mm), ('P-MPJPE', before.p_mpjpe_mm, after.p_mpjpe_mm),
    ):
        if not new <= _BETTER * old:
            found.append(f'{what} went from {old:.1f} to {new:.1f} mm')
    if after.elsewhere_mm > _FORGOTTEN * before.elsewhere_mm:
        found.append(f'MPJPE of other people went from {before.elsewhere_mm:.1f} to {after.elsewhere_mm:.1f} mm')
    return found
