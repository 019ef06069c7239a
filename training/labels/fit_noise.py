"""The noise model's parameters of a detector, from a recording's own multi-view residuals.

No truth is needed: several calibrated views of one person, triangulated robustly over views, time and bones, say where
each joint was; what each view saw differs from that by its detector's errors. What all views share, an offset between
the detector's joints and the mocap's (`definition`), does not show and is left as it is.
"""

from __future__ import annotations

from collections.abc import Sequence as Items
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from geo_pose_ros.arrays import BoolArray, FloatArray
from geo_pose_ros.errors import ConfigError
from geo_pose_ros.geometry.rigid import transform_points
from geo_pose_ros.simulation.detector import ARMS, LEGS, NoiseSettings

from ..data.sequence import Sequence
from .triangulation import refined

# A residual above this many person heights is no jitter; labels less certain than this say nothing.
_OUTLIER = 0.07
_SURE = 0.3
# Fewer residuals than this tell nothing.
_LEAST = 200
_BINS = 6
# Of a half-normal distribution the median is this part of the standard deviation.
_MEDIAN = 0.6745


@dataclass(frozen=True, slots=True, eq=False)
class _Residuals:
    """Residuals of one view's joints over F frames, in person heights.

    Attributes:
        offset: (F, J, 2); NaN where not seen or not known.
        inflate: (F, J) by how much jitter is larger than ``offset``: the label has been fitted to it.
        confidence: (F, J).
        present: (F,) whether the person was seen at all.
        swapped: (F, 2) whether arms, and legs, fit better when left and right are exchanged.
    """

    offset: FloatArray
    inflate: FloatArray
    confidence: FloatArray
    present: BoolArray
    swapped: BoolArray


def fit_noise(sequences: Items[Sequence], start: NoiseSettings | None = None) -> NoiseSettings:
    """Return the noise settings under which simulated keypoints would err as those of ``sequences`` do.

    Args:
        sequences: recordings with at least three views each; others are left out.
        start: what is kept where the recordings do not tell; None for the defaults.

    Raises:
        ConfigError: if too few joints are seen by three views.
    """
    views = [view for sequence in sequences if len(sequence.rig) > 2 for view in _residuals(sequence)]
    counted = sum(int(np.isfinite(view.offset[..., 0]).sum()) for view in views)
    if counted < _LEAST:
        raise ConfigError(
            f'{counted} joints were seen by three cameras or more, expected at least {_LEAST}; record longer, or with '
            'more cameras.'
        )
    begun = start or NoiseSettings()
    size = [np.abs(view.offset).max(-1) for view in views]
    outlier = [values > _OUTLIER for values in size]
    seen = [np.isfinite(values) for values in size]
    jitter, doubt = _jitter(views, outlier)
    missing = np.concatenate([(view.confidence[view.present] <= 0.0).ravel() for view in views]).mean()
    gross = np.concatenate([values[far] for values, far in zip(size, outlier, strict=True)])
    return replace(
        begun,
        jitter=jitter, jitter_unsure=doubt,
        outlier_rate=float(min(sum(far.sum() for far in outlier) / sum(known.sum() for known in seen), 1.0)),
        # Outliers are even up to their reach, each axis by itself; a few that are farther off do not count.
        outlier_reach=float(np.clip(np.quantile(gross, 0.9) / 0.95, _OUTLIER, 1.0)) if len(gross) else 0.0,
        swap_rate=float(np.concatenate([view.swapped for view in views]).mean()),
        missing_rate=float(missing), burst_frames=_burst(outlier, begun.burst_frames),
        memory=_memory(views, outlier, begun.memory),
    )


def _residuals(sequence: Sequence) -> list[_Residuals]:
    rays, confidence = sequence.rays(), sequence.confidence
    world, weight = refined(sequence.cam_from_world, sequence.focal_px, rays, confidence, sequence.fps)
    made = []
    # Of 2 C numbers 3 are used up. Not so for outliers, which the label does not follow.
    views = np.maximum((confidence > 0.0).sum(1), 2)
    inflate = np.sqrt(2.0 * views / (2.0 * views - 3.0))
    for view, camera in enumerate(sequence.cam_from_world):
        local = transform_points(camera, world)
        ahead = (local[..., 2] > 0.1) & (weight > _SURE)
        expected = np.where(ahead[..., None], local[..., :2] / np.where(ahead, local[..., 2], 1.0)[..., None], np.nan)
        whole = local[..., :2] / np.maximum(local[..., 2:], 0.1)
        extent = np.maximum((whole.max(1) - whole.min(1)).max(-1), 1e-3)[:, None, None]
        present = np.asarray((confidence[:, view] > 0.0).sum(-1) >= 4)
        seen = np.where((confidence[:, view] > 0.0)[..., None], rays[:, view], np.nan)
        swapped = np.stack([_swapped(seen, expected, pairs, extent) for pairs in (ARMS, LEGS)], -1)
        for part, pairs in enumerate((ARMS, LEGS)):
            for left, right in pairs:
                exchanged = swapped[:, part]
                seen[exchanged, left], seen[exchanged, right] = seen[exchanged, right], seen[exchanged, left].copy()
        offset = (seen - expected) / extent
        made.append(_Residuals(offset, inflate, confidence[:, view], present, swapped[present]))
    return made


def _swapped(
    seen: FloatArray, expected: FloatArray, pairs: tuple[tuple[int, int], ...], extent: FloatArray
) -> BoolArray:
    """Return (F,) where a limb pair fits with left and right exchanged, and does not as it is."""
    left, right = (list(side) for side in zip(*pairs, strict=True))
    both, other = left + right, right + left

    def misfit(order: list[int]) -> FloatArray:
        distance = np.linalg.norm(seen[:, order] - expected[:, both], axis=-1) / extent[..., 0]
        known = np.isfinite(distance)
        total = np.where(known, distance, 0.0).sum(-1) / np.maximum(known.sum(-1), 1)
        return np.where(known.sum(-1) >= 4, total, np.nan)

    straight, crossed = misfit(both), misfit(other)
    swapped: BoolArray = np.asarray((crossed < 0.5 * straight) & (straight > 0.5 * _OUTLIER))
    return swapped


def _jitter(views: Items[_Residuals], outlier: Items[BoolArray]) -> tuple[float, float]:
    """Return the jitter at confidence 1, and how much it grows to 0: a line through the spread by confidence."""
    doubt, size = [], []
    for view, far in zip(views, outlier, strict=True):
        kept = np.isfinite(view.offset[..., 0]) & ~far
        doubt.append(np.repeat(1.0 - view.confidence[kept], 2))
        size.append(np.abs(view.offset[kept] * view.inflate[kept][:, None]).ravel())
    x, y = np.concatenate(doubt), np.concatenate(size)
    edges = np.quantile(x, np.linspace(0.0, 1.0, _BINS + 1))
    middle, spread, weight = [], [], []
    for low, high in pairwise(edges):
        inside = (x >= low) & (x <= high)
        if inside.sum() >= 20:
            middle.append(float(np.median(x[inside])))
            spread.append(float(np.median(y[inside]) / _MEDIAN))
            weight.append(float(np.sqrt(inside.sum())))
    if np.ptp(middle) < 0.02:
        # All are equally sure: nothing is known about others.
        return float(np.clip(np.average(spread, weights=weight), 0.0, 0.5)), 0.0
    slope, start = np.polyfit(middle, spread, 1, w=weight)
    return float(np.clip(start, 0.0, 0.5)), float(np.clip(slope, 0.0, 0.5))


def _burst(outlier: Items[BoolArray], unknown: float) -> float:
    """Return the mean length of runs of outliers, frames."""
    starts, frames = 0, 0
    for far in outlier:
        starts += int(far[0].sum() + (far[1:] & ~far[:-1]).sum())
        frames += int(far.sum())
    return max(frames / starts, 1.0) if starts >= 5 else unknown


def _memory(views: Items[_Residuals], outlier: Items[BoolArray], unknown: float) -> float:
    """Return the correlation of the jitter in successive frames."""
    products, squares, count = 0.0, 0.0, 0
    for view, far in zip(views, outlier, strict=True):
        kept = np.where((np.isfinite(view.offset[..., :1])) & ~far[..., None], view.offset, np.nan)
        # What stays the same all the time is calibration, not jitter.
        if len(kept) < 10 or not np.isfinite(kept).any():
            continue
        kept = kept - np.nanmedian(np.where(np.isfinite(kept).any(0), kept, 0.0), axis=0)
        first, second = kept[:-1], kept[1:]
        both = np.isfinite(first) & np.isfinite(second)
        products += float((first[both] * second[both]).sum())
        squares += float(0.5 * (first[both] ** 2 + second[both] ** 2).sum())
        count += int(both.sum())
    return float(np.clip(products / squares, 0.0, 0.999)) if count >= _LEAST and squares > 0.0 else unknown
