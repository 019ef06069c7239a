"""A model of what 2D detectors do wrong, for synthetic keypoints.

Applied to exact projections, in this order; lengths are fractions of the person's height in the image (its largest
extent), so that the model is the same near and far:

1. joint definition: a detector's hip is not the mocap's hip. A fixed linear map per joint (`DEFINITION`), applied to
   the 3D joints before projection, so the offset turns with the body and grows with it.
2. confidence: per joint and frame, 0.95 at best, lower for extremities, slow in time (AR(1) over the frames).
3. jitter: Gaussian with standard deviation `jitter` + `jitter_doubt` (1 - confidence); AR(1) over the frames, as
   detectors err alike in successive frames.
4. outliers: `outlier_rate` of the joints lie somewhere else on the person for some frames; their confidence falls,
   but not always.
5. left-right swaps of both arms or both legs for `swap_rate` of the time, at unchanged confidence.
6. missing joints: `missing_rate` of the time, and whenever outside the image.

Bursts (4-6) last `burst_frames` on average, and views err independently.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.settings import setting
from geo_pose_ros.skeleton import BODY17


@dataclass(frozen=True, slots=True)
class NoiseSettings:
    """Parameters of the detector noise model; see the module's docstring."""

    jitter: float = setting(0.004, 'Jitter at confidence 1', unit='person heights', low=0.0, high=0.5)
    jitter_doubt: float = setting(0.025, 'Further jitter at confidence 0', unit='person heights', low=0.0, high=0.5)
    outlier_rate: float = setting(0.03, 'Share of joints that are gross outliers', low=0.0, high=1.0)
    outlier_reach: float = setting(0.25, 'Largest displacement of an outlier', unit='person heights', low=0.0, high=1.0)
    swap_rate: float = setting(0.02, 'Share of time that the arms, and that the legs, are swapped', low=0.0, high=1.0)
    missing_rate: float = setting(0.02, 'Share of joints that are missing', low=0.0, high=1.0)
    burst_frames: float = setting(5.0, 'Mean length of an outlier, swap or gap', unit='frames', low=1.0, high=1e4)
    memory: float = setting(0.8, 'Correlation of jitter and confidence with the next frame', low=0.0, high=0.999)
    definition: float = setting(1.0, 'Strength of the joint-definition offsets', low=0.0, high=2.0)


CLEAN = NoiseSettings(
    jitter=0.0, jitter_doubt=0.0, outlier_rate=0.0, swap_rate=0.0, missing_rate=0.0, definition=0.0
)

# Offset of the detector's joint from the mocap's, as a combination of body17 vectors (to - from).
DEFINITION: Mapping[str, tuple[tuple[str, str, float], ...]] = {
    'left_hip': (('pelvis', 'left_hip', 0.15), ('pelvis', 'spine', 0.05)),
    'right_hip': (('pelvis', 'right_hip', 0.15), ('pelvis', 'spine', 0.05)),
    'left_ankle': (('left_knee', 'left_ankle', 0.03),),
    'right_ankle': (('right_knee', 'right_ankle', 0.03),),
    'left_shoulder': (('left_shoulder', 'thorax', 0.08),),
    'right_shoulder': (('right_shoulder', 'thorax', 0.08),),
    'left_wrist': (('left_elbow', 'left_wrist', 0.05),),
    'right_wrist': (('right_elbow', 'right_wrist', 0.05),),
    'nose': (('thorax', 'nose', 0.08),),
    'head': (('head', 'nose', 0.1),),
}

# How much less sure a detector is of these joints.
_DOUBT: Mapping[str, float] = {
    'left_wrist': 0.12, 'right_wrist': 0.12, 'left_ankle': 0.1, 'right_ankle': 0.1, 'left_elbow': 0.07,
    'right_elbow': 0.07, 'left_knee': 0.05, 'right_knee': 0.05,
}
ARMS = ((11, 14), (12, 15), (13, 16))
LEGS = ((1, 4), (2, 5), (3, 6))


def detector_joints(joints: FloatArray, strength: float = 1.0) -> FloatArray:
    """Return where a detector would place body17 ``joints`` (..., 17, 3): moved by `DEFINITION` times ``strength``."""
    moved = np.array(joints, np.float64)
    for name, parts in DEFINITION.items():
        for start, end, fraction in parts:
            moved[..., BODY17.index(name), :] += (
                strength * fraction * (joints[..., BODY17.index(end), :] - joints[..., BODY17.index(start), :])
            )
    return moved


def _bursts(rng: np.random.Generator, shape: tuple[int, ...], rate: float, length: float) -> NDArray[np.bool_]:
    """Return a mask (F, ...), true for ``rate`` of the frames in bursts of mean ``length`` (two-state chain)."""
    if rate <= 0.0:
        return np.zeros(shape, bool)
    start = rate / length / max(1.0 - rate, 1e-9)
    state = rng.random(shape[1:]) < rate
    mask = np.empty(shape, bool)
    chances = rng.random(shape)
    for frame in range(shape[0]):
        state = np.where(state, chances[frame] >= 1.0 / length, chances[frame] < start)
        mask[frame] = state
    return mask


def _autoregressive(rng: np.random.Generator, shape: tuple[int, ...], memory: float) -> FloatArray:
    """Return unit-variance Gaussian noise (F, ...) whose successive frames correlate by ``memory``."""
    fresh = rng.standard_normal(shape)
    fresh[1:] *= np.sqrt(1.0 - memory**2)
    noise: FloatArray = lfilter((1.0,), (1.0, -memory), fresh, axis=0)
    return noise


def detect(
    xy: FloatArray, width: int, height: int, settings: NoiseSettings, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Return noisy keypoints (F, 17, 2) px and confidences (F, 17) for exact projections ``xy`` (F, 17, 2) px."""
    frames, joints = xy.shape[:2]
    finite: NDArray[np.bool_] = np.asarray(np.isfinite(xy).all(-1))
    safe = np.where(finite[..., None], xy, 0.0)
    low = np.where(finite[..., None], xy, np.inf).min(1)
    high = np.where(finite[..., None], xy, -np.inf).max(1)
    extent = np.where(finite.any(1), np.nan_to_num(high - low, posinf=0.0, neginf=0.0).max(-1), 1.0)[:, None]

    doubt = np.array([_DOUBT.get(name, 0.0) for name in BODY17.joint_names])
    spread = _autoregressive(rng, (frames, joints), settings.memory)
    confidence = np.clip(0.92 - doubt - 0.12 * np.abs(spread), 0.05, 0.95)
    sigma = (settings.jitter + settings.jitter_doubt * (1.0 - confidence)) * extent
    noisy = safe + sigma[..., None] * _autoregressive(rng, (frames, joints, 2), settings.memory)

    for pairs in (ARMS, LEGS):
        swapped = _bursts(rng, (frames,), settings.swap_rate, settings.burst_frames)
        order = np.arange(joints)
        for left, right in pairs:
            order[[left, right]] = right, left
        noisy[swapped] = noisy[swapped][:, order]
    outlier = _bursts(rng, (frames, joints), settings.outlier_rate, settings.burst_frames)
    reach = settings.outlier_reach * extent[..., None]
    noisy = np.where(outlier[..., None], noisy + reach * rng.uniform(-1.0, 1.0, noisy.shape), noisy)
    confidence = np.where(outlier, confidence * rng.uniform(0.2, 1.0, confidence.shape), confidence)

    inside = ((noisy >= 0.0) & (noisy <= (width - 1.0, height - 1.0))).all(-1)
    gone = ~finite | ~inside | _bursts(rng, (frames, joints), settings.missing_rate, settings.burst_frames)
    return np.where(gone[..., None], np.nan, noisy), np.where(gone, 0.0, confidence)
