# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The noise model's parameters of a detector, from a recording's own multi-view residuals.

No truth is needed: several calibrated views of one person, triangulated robustly over views, time and bones, say where
each joint was; what each view saw differs from that by its detector's errors. What all views share, an offset between
the detector's joints and the mocap's (`definition`), does not show and is left as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from geo_pose_ros.arrays import BoolArray, FloatArray, IntArray
from geo_pose_ros.errors import ConfigError
from geo_pose_ros.fusion.left_right import LIMBS
from geo_pose_ros.geometry.projection import project_rays
from geo_pose_ros.geometry.stats import nan_mean, nan_median
from geo_pose_ros.simulation.detector import NoiseSettings
from geo_pose_ros.skeleton import BODY17, mirror_of

from ..data.recording import PersonRecording
from .sides import exchange_sides
from .triangulation import refined_labels
from .views import SeenJoints

# A residual above this many person heights is no jitter; labels less certain than this say nothing.
_OUTLIER = 0.07
_SURE = 0.3
# Fewer residuals than this are too few for an estimate.
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
        swapped: (F, 2) whether legs, and arms, fit better when left and right are exchanged.
    """

    offset: FloatArray
    inflate: FloatArray
    confidence: FloatArray
    present: BoolArray
    swapped: BoolArray


def fit_noise(recordings: Sequence[PersonRecording]) -> NoiseSettings:
    """Return the noise settings under which simulated keypoints would err as those of ``recordings`` do.

    Recordings of fewer than three views are left out; what the others do not show keeps its default.

    Raises:
        ConfigError: if too few joints are seen by three views.
    """
    views = [view for recording in recordings if len(recording.rig) > 2 for view in _residuals(recording)]
    counted = sum(int(np.isfinite(view.offset[..., 0]).sum()) for view in views)
    if counted < _LEAST:
        raise ConfigError(
            f'{counted} joints were seen by three cameras or more, expected at least {_LEAST}; record longer, or with '
            'more cameras.'
        )
    before = NoiseSettings()
    size = [np.abs(view.offset).max(-1) for view in views]
    outlier = [values > _OUTLIER for values in size]
    seen = [np.isfinite(values) for values in size]
    jitter, growth = _jitter(views, outlier)
    missing = np.concatenate([(view.confidence[view.present] <= 0.0).ravel() for view in views]).mean()
    gross = np.concatenate([values[far] for values, far in zip(size, outlier, strict=True)])
    return replace(
        before,
        jitter=jitter, jitter_unsure=growth,
        outlier_rate=float(min(sum(far.sum() for far in outlier) / sum(known.sum() for known in seen), 1.0)),
        # Outliers are even up to their reach, each axis by itself; a few that are farther off do not count.
        outlier_reach=float(np.clip(np.quantile(gross, 0.9) / 0.95, _OUTLIER, 1.0)) if len(gross) else 0.0,
        swap_rate=float(np.concatenate([view.swapped for view in views]).mean()),
        missing_rate=float(missing), burst_frames=_burst(outlier, before.burst_frames),
        memory=_memory(views, outlier, before.memory),
    )


def _residuals(recording: PersonRecording) -> list[_Residuals]:
    """Return the residuals of each view, sides exchanged back where they are swapped."""
    views, (labels, weight) = SeenJoints.of(recording), refined_labels(recording)
    projected = project_rays(recording.cam_from_world, labels)
    size = np.maximum((projected.max(2) - projected.min(2)).max(-1), 1e-3)[..., None]
    labelled = np.where((weight > _SURE)[:, None, :, None], projected, np.nan)
    rays = np.where(views.seen[..., None], views.rays, np.nan)
    swapped = np.stack([_swapped(rays, labelled, size, joints) for joints in LIMBS], -1)
    rays, _ = exchange_sides(rays, views.confidence, swapped)
    offset = (rays - labelled) / size[..., None]
    known = views.confidence > 0.0
    # Of 2 C numbers 3 are used up. Not so for outliers, which the label does not follow.
    count = np.maximum(known.sum(1), 2)
    inflate = np.sqrt(2.0 * count / (2.0 * count - 3.0))
    made = []
    for view in range(len(recording.rig)):
        present: BoolArray = np.asarray(known[:, view].sum(-1) >= 4)
        made.append(
            _Residuals(offset[:, view], inflate, views.confidence[:, view], present, swapped[present, view])
        )
    return made


def _swapped(rays: FloatArray, labelled: FloatArray, size: FloatArray, joints: IntArray) -> BoolArray:
    """Return (F, C) where a limb group fits the labels with left and right exchanged, and does not as it is."""

    def misfit(order: IntArray) -> FloatArray:
        return nan_mean(np.linalg.norm(rays[:, :, order] - labelled[:, :, joints], axis=-1) / size, -1, least=4)

    straight, crossed = misfit(joints), misfit(mirror_of(BODY17)[joints])
    return np.asarray((crossed < 0.5 * straight) & (straight > 0.5 * _OUTLIER))


def _jitter(views: Sequence[_Residuals], outlier: Sequence[BoolArray]) -> tuple[float, float]:
    """Return the jitter at confidence 1, and how much it grows to 0: a line through the spread by confidence."""
    uncertainty, size = [], []
    for view, far in zip(views, outlier, strict=True):
        kept = np.isfinite(view.offset[..., 0]) & ~far
        uncertainty.append(np.repeat(1.0 - view.confidence[kept], 2))
        size.append(np.abs(view.offset[kept] * view.inflate[kept][:, None]).ravel())
    x, y = np.concatenate(uncertainty), np.concatenate(size)
    edges = np.quantile(x, np.linspace(0.0, 1.0, _BINS + 1))
    middle, spread, weight = [], [], []
    for low, high in pairwise(edges):
        inside = (x >= low) & (x <= high)
        if inside.sum() >= 20:
            middle.append(float(np.median(x[inside])))
            spread.append(float(np.median(y[inside]) / _MEDIAN))
            weight.append(float(np.sqrt(inside.sum())))
    if np.ptp(middle) < 0.02:
        # All have the same confidence: the growth is unknown.
        return float(np.clip(np.average(spread, weights=weight), 0.0, 0.5)), 0.0
    slope, start = np.polyfit(middle, spread, 1, w=weight)
    return float(np.clip(start, 0.0, 0.5)), float(np.clip(slope, 0.0, 0.5))


def _burst(outlier: Sequence[BoolArray], unknown: float) -> float:
    """Return the mean length of runs of outliers, frames."""
    starts, frames = 0, 0
    for far in outlier:
        starts += int(far[0].sum() + (far[1:] & ~far[:-1]).sum())
        frames += int(far.sum())
    return max(frames / starts, 1.0) if starts >= 5 else unknown


def _memory(views: Sequence[_Residuals], outlier: Sequence[BoolArray], unknown: float) -> float:
    """Return the correlation of the jitter in successive frames."""
    products, squares, count = 0.0, 0.0, 0
    for view, far in zip(views, outlier, strict=True):
        kept = np.where((np.isfinite(view.offset[..., :1])) & ~far[..., None], view.offset, np.nan)
        # What stays the same all the time is calibration, not jitter.
        if len(kept) < 10:
            continue
        kept = kept - nan_median(np.moveaxis(kept, 0, -1))
        first, second = kept[:-1], kept[1:]
        both = np.isfinite(first) & np.isfinite(second)
        products += float((first[both] * second[both]).sum())
        squares += float(0.5 * (first[both] ** 2 + second[both] ** 2).sum())
        count += int(both.sum())
    return float(np.clip(products / squares, 0.0, 0.999)) if count >= _LEAST and squares > 0.0 else unknown
