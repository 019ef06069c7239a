# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Whether a taught detector is better than the untaught one on images that were held out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from geo_pose_ros.arrays import FloatArray
from geo_pose_ros.skeleton import BLAZEPOSE33
from geo_pose_ros.view.drawing import draw_skeleton

from ..retraining.check import Numbers
from .crops import LANDMARKS, Crops
from .network import OnnxNetwork
from .teach import exchanged_limbs, predict

# Less of a change is no improvement; other footage may get worse by this factor.
_BETTER, _FORGOTTEN = 0.99, 1.02
# What the report calls each number.
CHECKED = {
    'crops': 'people in images', 'mean_px': 'limb joints, mean px', 'median_px': 'limb joints, median px',
    'exchanged': 'arms and legs with sides exchanged', 'elsewhere_mean_px': 'other footage, mean px',
    'elsewhere_exchanged': 'other footage, arms and legs exchanged',
}
_SHOWN = 6


@dataclass(frozen=True, slots=True)
class DetectorCheck(Numbers):
    """How a keypoint network does on held-out images, compared with the bodies that the other cameras give.

    Attributes:
        crops: people in images.
        mean_px, median_px: distance of limb joints, raw px of the cameras.
        exchanged: arms and legs whose sides are exchanged.
        elsewhere_mean_px, elsewhere_exchanged: the same of other footage; NaN without.
        joints: mean distance of each limb joint, px, by its name.
    """

    crops: int
    mean_px: float
    median_px: float
    exchanged: int
    elsewhere_mean_px: float = math.nan
    elsewhere_exchanged: float = math.nan
    joints: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return '; '.join(f'{CHECKED[name]}: {value:.4g}' for name, value in self.known().items())


def check_detector(network: OnnxNetwork, held_out: Crops, elsewhere: Crops | None = None) -> DetectorCheck:
    """Return how ``network`` does on the crops that were held out, and on those of other footage."""
    apart, exchanged = _errors(network, held_out)
    others, others_exchanged = _errors(network, elsewhere) if elsewhere is not None else (np.full(1, np.nan), math.nan)
    # A joint that nobody saw has no mean.
    each = {BLAZEPOSE33.joint_names[landmark]: float(np.nanmean(column))
            for landmark, column in zip(LANDMARKS, apart.T, strict=True) if np.isfinite(column).any()}
    return DetectorCheck(
        len(held_out), float(np.nanmean(apart)), float(np.nanmedian(apart)), int(exchanged),
        float(np.mean(others[np.isfinite(others)])) if elsewhere is not None else math.nan, others_exchanged, each,
    )


def _errors(network: OnnxNetwork, crops: Crops) -> tuple[FloatArray, float]:
    """Return the distances (N, J), raw px, of limb joints, NaN where unlabelled, and how many limbs are exchanged."""
    found = predict(network, crops)
    apart = np.linalg.norm(found[:, LANDMARKS] - crops.xy, axis=-1) * crops.px[:, None]
    return apart, float(sum(int(of_limb.sum()) for _, of_limb in exchanged_limbs(found, crops.xy)))


def detector_objections(before: DetectorCheck, after: DetectorCheck) -> list[str]:
    """Return what speaks against the taught network, in words; nothing if it is better and has not forgotten."""
    found = []
    if not after.mean_px <= _BETTER * before.mean_px:
        found.append(f'the mean error of limb joints went from {before.mean_px:.1f} to {after.mean_px:.1f} px')
    if after.exchanged > before.exchanged:
        found.append(f'exchanged arms and legs went from {before.exchanged} to {after.exchanged}')
    if after.elsewhere_mean_px > _FORGOTTEN * before.elsewhere_mean_px:
        found.append(
            f'the mean error on other footage went from {before.elsewhere_mean_px:.1f} to '
            f'{after.elsewhere_mean_px:.1f} px'
        )
    return found


def comparison_png(held_out: Crops, networks: Sequence[OnnxNetwork]) -> bytes:
    """Return a PNG of held-out crops: a row with their labels, and one with what each of the networks sees."""
    chosen = held_out.rows(np.linspace(0, len(held_out) - 1, min(_SHOWN, len(held_out))).round().astype(int))
    rows = []
    for limbs in (chosen.xy, *(predict(network, chosen)[:, LANDMARKS] for network in networks)):
        xy, images = np.full((len(chosen), 1, len(BLAZEPOSE33), 2), np.nan), chosen.images.copy()
        xy[:, 0, LANDMARKS] = limbs
        for image, person in zip(images, xy, strict=True):
            draw_skeleton(image, person, np.ones(person.shape[:2]), BLAZEPOSE33, [0])
        rows.append(np.concatenate(list(images), 1))
    return bytes(cv2.imencode('.png', np.concatenate(rows))[1])
