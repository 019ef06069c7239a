# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""A model of what 2D detectors do wrong, whose errors are known one by one.

Applied to exact projections, in this order; lengths are fractions of the person's height in the image (its largest
extent), so that the model is the same near and far:

1. joint definition: a detector's hip is not the mocap's hip. A fixed linear map per joint (`DEFINITION`), applied to
   the 3D joints before projection, so the offset turns with the body and grows with it.
2. confidence: per joint and frame, 0.95 at best, lower for extremities, slow in time (AR(1) over the frames).
3. jitter: Gaussian with standard deviation `jitter` + `jitter_unsure` (1 - confidence), and `jitter_px`; AR(1) over
   the frames, as detectors err alike in successive frames.
4. outliers: `outlier_rate` of the joints lie somewhere else on the person for some frames; their confidence falls,
   but not always.
5. left-right swaps of both arms or both legs for `swap_rate` of the time, at unchanged confidence.
6. people hide each other: a joint behind another person is missing, or found on that person.
7. missing joints: `missing_rate` of the time, and whenever outside the image.
8. two people whose boxes overlap are at times one detection.

Bursts (4-8) last `burst_frames` on average, and views err independently. Settings are for 30 Hz; memory and bursts keep
their length in seconds at other rates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from ..arrays import BoolArray, FloatArray, IntArray
from ..settings import setting
from ..skeleton import BODY17
from .sight import Sight, is_inside


@dataclass(frozen=True, slots=True)
class NoiseSettings:
    """Parameters of the detector noise model; see the module's docstring."""

    jitter: float = setting(0.004, 'Jitter at confidence 1', unit='person heights', low=0.0, high=0.5)
    jitter_unsure: float = setting(
        0.025, 'Further jitter at confidence 0', unit='person heights', low=0.0, high=0.5, formerly='jitter_doubt'
    )
    jitter_px: float = setting(0.0, 'Jitter besides, however small a person appears', unit='px', low=0.0, high=50.0)
    outlier_rate: float = setting(0.03, 'Share of joints that are gross outliers', low=0.0, high=1.0)
    outlier_reach: float = setting(0.25, 'Largest displacement of an outlier', unit='person heights', low=0.0, high=1.0)
    swap_rate: float = setting(0.02, 'Share of time that the arms, and that the legs, are swapped', low=0.0, high=1.0)
    missing_rate: float = setting(0.02, 'Share of joints that are missing', low=0.0, high=1.0)
    burst_frames: float = setting(5.0, 'Mean length of an outlier, swap or gap', unit='frames', low=1.0, high=1e4)
    memory: float = setting(0.8, 'Correlation of jitter and confidence with the next frame', low=0.0, high=0.999)
    definition: float = setting(1.0, 'Strength of the joint-definition offsets', low=0.0, high=2.0)


CLEAN = NoiseSettings(
    jitter=0.0, jitter_unsure=0.0, outlier_rate=0.0, swap_rate=0.0, missing_rate=0.0, definition=0.0
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

# How much less confident a detector is of a joint, left and right.
_LESS_CONFIDENT = np.array([
    {'wrist': 0.12, 'ankle': 0.1, 'elbow': 0.07, 'knee': 0.05}.get(name.rsplit('_', 1)[-1], 0.0)
    for name in BODY17.joint_names
])
# Pairs of joints that a swap exchanges together.
ARMS = ((11, 14), (12, 15), (13, 16))
LEGS = ((1, 4), (2, 5), (3, 6))
_SETTINGS_HZ = 30.0
# Fewer visible joints make no detection.
LEAST_JOINTS = 5
# Share of the hidden joints that are found on the person who hides them, and their confidence.
_ON_OCCLUDER, _ON_OCCLUDER_CONFIDENCE = 0.3, 0.55
# Two people whose boxes overlap by more than this (of the smaller) are one detection for this share of the time.
_MERGE_OVERLAP, _MERGE_RATE = 0.75, 0.15


def detector_joints(joints: FloatArray, strength: float = 1.0) -> FloatArray:
    """Return where a detector would place body17 ``joints`` (..., 17, 3): moved by `DEFINITION` times ``strength``."""
    moved = np.array(joints, np.float64)
    for name, parts in DEFINITION.items():
        for start, end, fraction in parts:
            moved[..., BODY17.index(name), :] += (
                strength * fraction * (joints[..., BODY17.index(end), :] - joints[..., BODY17.index(start), :])
            )
    return moved


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedDetections:
    """What a detector makes of F images of P people.

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


def autoregressive(rng: np.random.Generator, shape: tuple[int, ...], memory: float) -> FloatArray:
    """Return unit-variance Gaussian noise (F, ...) whose successive frames correlate by ``memory``."""
    fresh = rng.standard_normal(shape)
    fresh[1:] *= np.sqrt(1.0 - memory**2)
    return np.asarray(lfilter((1.0,), (1.0, -memory), fresh, axis=0))


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
    sight: Sight, size_px: tuple[int, int], rate_hz: float, miss: tuple[float, float], noise: NoiseSettings,
    rng: np.random.Generator,
) -> SimulatedDetections:
    """Return what a detector makes of ``sight``.

    Args:
        sight: of P people in F images.
        size_px: width and height of the images.
        rate_hz: images per second.
        miss: share of the detections that are lost, and for how long at a time, s; 0: one image.
        noise: the detector's errors.
        rng: where they are drawn from.
    """
    shape = sight.visible.shape
    length = max(1.0, noise.burst_frames * rate_hz / _SETTINGS_HZ)
    finite: BoolArray = np.asarray(np.isfinite(sight.xy).all(-1))
    low = np.where(finite[..., None], sight.xy, np.inf).min(2)
    high = np.where(finite[..., None], sight.xy, -np.inf).max(2)
    extent = np.where(finite.any(-1), np.nan_to_num(high - low, posinf=0.0, neginf=0.0).max(-1), 1.0)[..., None]
    jittered, clean_confidence = _jittered(sight, finite, extent, noise, noise.memory ** (_SETTINGS_HZ / rate_hz), rng)
    order, exchanged = _exchanged(shape, noise.swap_rate, length, rng)
    noisy = np.take_along_axis(jittered, order[..., None], 2)
    visible = np.take_along_axis(sight.visible, order, 2)
    gross = bursts(rng, shape, noise.outlier_rate, length)
    outlier = noisy + noise.outlier_reach * extent[..., None] * rng.uniform(-1.0, 1.0, noisy.shape)
    noisy = np.where(gross[..., None], outlier, noisy)
    confidence = np.where(gross, clean_confidence * rng.uniform(0.2, 1.0, shape), clean_confidence)

    hidden_by = np.take_along_axis(sight.hidden_by, order, 2)
    foreign = bursts(rng, shape, _ON_OCCLUDER, length) & (hidden_by >= 0)
    _move_to_occluder(noisy, confidence, foreign, hidden_by, np.where(finite[..., None], jittered, np.inf))
    missing = bursts(rng, shape, noise.missing_rate, length)
    # An image holds what a swap brings from the other side only if that is there itself.
    present = (visible | foreign) & is_inside(noisy, size_px) & ~missing
    lost = bursts(rng, shape[:2], miss[0], miss[1] * rate_hz) if miss[1] else rng.random(shape[:2]) < miss[0]
    merged, into = _merged(low, high, sight, rng, length)
    found = (present.sum(-1) >= LEAST_JOINTS) & ~lost & ~merged
    for f, p in np.argwhere(merged):
        keeper = into[f, p]
        # One detection of two people: some of the keeper's joints are the other's.
        taken = (rng.random(shape[2]) < 0.25) & present[f, p]
        noisy[f, keeper, taken] = noisy[f, p, taken]
        present[f, keeper, taken] = foreign[f, keeper, taken] = True

    # What the oracle removes or repairs; exchanged sides come back where the other one was present.
    back = np.take_along_axis(~(gross | foreign | missing), order, 2)
    clean = sight.visible & is_inside(jittered, size_px) & back
    clean_found = (clean.sum(-1) >= LEAST_JOINTS) & found
    return SimulatedDetections(
        np.where(present[..., None], noisy, np.nan), np.where(present, confidence, 0.0), found,
        np.where(clean[..., None], jittered, np.nan), np.where(clean, clean_confidence, 0.0), clean_found,
        gross & present, exchanged & present, foreign & present,
    )


def detect_person(
    xy: FloatArray, size_px: tuple[int, int], noise: NoiseSettings, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Return noisy keypoints (F, 17, 2) px and confidences (F, 17) of one person.

    Args:
        xy: (F, 17, 2) px exact projections, NaN behind the camera; 30 images per second.
        size_px: width and height of the images.
        noise: the detector's errors.
        rng: where they are drawn from.
    """
    alone = xy[:, None]
    visible = is_inside(alone, size_px)
    seen = detect(Sight(alone, visible, np.full(visible.shape, -1)), size_px, _SETTINGS_HZ, (0.0, 0.0), noise, rng)
    return seen.xy[:, 0], seen.confidence[:, 0]


def _jittered(
    sight: Sight, finite: BoolArray, extent: FloatArray, noise: NoiseSettings, memory: float, rng: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Return keypoints (F, P, 17, 2) px with jitter alone, and their confidence (F, P, 17)."""
    shape = finite.shape
    spread = autoregressive(rng, shape, memory)
    confidence = np.clip(0.92 - _LESS_CONFIDENT - 0.12 * np.abs(spread), 0.05, 0.95)
    sigma = np.hypot((noise.jitter + noise.jitter_unsure * (1.0 - confidence)) * extent, noise.jitter_px)
    exact = np.where(finite[..., None], sight.xy, 0.0)
    return exact + sigma[..., None] * autoregressive(rng, (*shape, 2), memory), confidence


def _exchanged(
    shape: tuple[int, ...], rate: float, length: float, rng: np.random.Generator
) -> tuple[IntArray, BoolArray]:
    """Return which joint is found as which (F, P, 17), and where sides are exchanged: both arms or both legs."""
    exchanged = np.zeros(shape, bool)
    order = np.broadcast_to(np.arange(shape[2]), shape).copy()
    for pairs in (ARMS, LEGS):
        swapped = bursts(rng, shape[:2], rate, length)
        for left, right in pairs:
            order[swapped, left], order[swapped, right] = right, left
            exchanged[swapped, left] = exchanged[swapped, right] = True
    return order, exchanged


def _move_to_occluder(
    noisy: FloatArray, confidence: FloatArray, foreign: BoolArray, hidden_by: IntArray, others: FloatArray
) -> None:
    """Move the ``foreign`` joints, in place, to the nearest joint of the person who hides them."""
    f, p, j = np.nonzero(foreign)
    candidates = others[f, hidden_by[f, p, j]]
    gap = ((candidates - noisy[f, p, j][:, None]) ** 2).sum(-1)
    noisy[f, p, j] = candidates[np.arange(len(f)), gap.argmin(1)]
    confidence[f, p, j] *= _ON_OCCLUDER_CONFIDENCE


def _merged(
    low: FloatArray, high: FloatArray, sight: Sight, rng: np.random.Generator, length: float
) -> tuple[BoolArray, IntArray]:
    """Return whose detection is swallowed (F, P), and which person (F, P) swallows it: the more visible of two."""
    frames, people = low.shape[:2]
    merged, into = np.zeros((frames, people), bool), np.full((frames, people), -1, np.int64)
    if people < 2:
        return merged, into
    chance = bursts(rng, (frames, people), _MERGE_RATE, length)
    area = np.prod(np.maximum(np.nan_to_num(high - low, posinf=0.0, neginf=0.0), 0.0), -1)
    count = sight.visible.sum(-1)
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
