# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Whether a detection is of a predicted person, and whether two detections are of one person."""

from __future__ import annotations

import numpy as np

from ..arrays import BoolArray, FloatArray, IntArray
from ..geometry.stats import nan_median
from ..skeleton import BODY17, map_to_body17, mirror_of
from ..types import Frame, PredictedPeople
from .checks import inside_image

# A predicted person is used where at least so many joints project into the image.
LEAST_JOINTS = 3
# A detection without a prediction is somebody if it sees at least so many joints with this confidence.
LEAST_SEEN, SEEN = 5, 0.5
# A joint nearer to a bone than this, by the body's extent, is on the body. Two detections of which each has this share
# of its joints on the other's body are of one person.
_ON_BODY, MOST_COVERED = 0.1, 0.5
# Two detections nearer than this, by the larger one's extent, see the same.
_AGREED = 0.15
_SIDES = tuple((BODY17.index(f'{side}_shoulder'), BODY17.index(f'{side}_hip')) for side in ('left', 'right'))
_BONES = np.array([*BODY17.edges, *_SIDES]).T


def predictions_in_image(frame: Frame, predicted: PredictedPeople | None) -> tuple[FloatArray, FloatArray, IntArray]:
    """Return the E predicted people that project into the image of ``frame``.

    Returns:
        body17 joints (E, 17, 2) px of the image, NaN = unknown; their standard deviations (E, 17) px; ids (E,).
    """
    if predicted is None or not len(predicted):
        return np.zeros((0, len(BODY17), 2)), np.zeros((0, len(BODY17))), np.zeros(0, np.int64)
    known = np.isfinite(predicted.xy).all(-1) & np.isfinite(predicted.sigma_px)
    skeleton_map = map_to_body17(predicted.skeleton)
    xy, _ = skeleton_map.apply(np.where(known[..., None], predicted.xy, np.nan), known.astype(float))
    sigma_px, _ = skeleton_map.apply(
        np.where(known, predicted.sigma_px, np.nan)[..., None].repeat(2, -1), known.astype(float)
    )
    xy = frame.from_raw(xy)
    height, width = frame.image.shape[:2]
    visible = inside_image(xy, width, height).sum(1) >= LEAST_JOINTS
    return xy[visible], np.abs(sigma_px[visible, :, 0]) / frame.reduction, predicted.body_ids[visible]


def extent(xy: FloatArray) -> FloatArray:
    """Return (...) the longer side px of the box around each of ``xy`` (..., J, 2); NaN where nothing is known."""
    return np.asarray((np.fmax.reduce(xy, -2) - np.fmin.reduce(xy, -2)).max(-1))


def distance(a: FloatArray, b: FloatArray) -> FloatArray:
    """Return the median distance px of joints known in both of ``a`` and ``b`` (..., 17, 2), NaN where there is none.

    Of a body and its mirror image the nearer: a detection with left and right exchanged is of the same person.
    """
    gaps = np.stack([a, a[..., mirror_of(BODY17), :]]) - b
    return np.asarray(np.fmin.reduce(nan_median(np.hypot(gaps[..., 0], gaps[..., 1]))))


def prediction_errors(found: FloatArray, predicted: FloatArray, sigma_px: FloatArray, largest: float) -> FloatArray:
    """Return (...) the distances of ``found`` from ``predicted``, 1 at the limit; inf where they cannot be compared.

    Args:
        found, predicted: (..., 17, 2) px, NaN = unknown; they broadcast.
        sigma_px: (..., 17) of ``predicted``.
        largest: distance at the limit, in units of the predicted body's extent; three standard deviations are added.
    """
    limit = largest * extent(predicted) + 3.0 * nan_median(sigma_px)
    relative = distance(found, predicted) / limit
    return np.where(np.isfinite(relative), relative, np.inf)


def covered_share(xy: FloatArray, by: FloatArray) -> FloatArray:
    """Return (K,) the share of the known joints of ``xy`` (17, 2) that lie on the body of each of ``by`` (K, 17, 2).

    NaN if no joint or no bone is known.
    """
    known = np.isfinite(by[..., 0]).any(-1) & np.isfinite(xy).any()
    return np.where(known, on_bodies(xy, by).sum(1) / max(np.isfinite(xy).all(-1).sum(), 1), np.nan)


def on_bodies(xy: FloatArray, by: FloatArray) -> BoolArray:
    """Return (K, 17) whether the joints of ``xy`` (17, 2) lie on the body of each of ``by`` (K, 17, 2).

    A joint is on a body if it is near one of its bones, by the body's extent.
    """
    start, end = by[:, _BONES[0]], by[:, _BONES[1]]
    along = end - start
    with np.errstate(invalid='ignore', divide='ignore'):
        share = ((xy[:, None] - start[:, None]) * along[:, None]).sum(-1) / (along**2).sum(-1)[:, None]
        gaps = xy[:, None] - (start[:, None] + np.clip(share, 0.0, 1.0)[..., None] * along[:, None])
        nearest = np.fmin.reduce(np.hypot(gaps[..., 0], gaps[..., 1]), -1) / extent(by)[:, None]
        return np.asarray(nearest < _ON_BODY)


def find_witnesses(xy: FloatArray, witnesses: FloatArray) -> IntArray:
    """Return which of ``witnesses`` (F, 17, 2), what another network saw, each of ``xy`` (P, 17, 2) agrees with, or -1.

    Two networks that read the same joints are of somebody, however unsure one of them is whether anybody is there.
    """
    if not len(xy) or not len(witnesses):
        return np.full(len(xy), -1)
    gaps = distance(xy[:, None], witnesses[None]) / np.maximum(extent(xy)[:, None], extent(witnesses))
    gaps = np.where(np.isfinite(gaps), gaps, np.inf)
    return np.asarray(np.where(gaps.min(1) < _AGREED, gaps.argmin(1), -1))


def distinct(
    xy: FloatArray, order: IntArray, nearest: float, seen: FloatArray | None = None, witness: IntArray | None = None
) -> IntArray:
    """Return which of the detections ``xy`` (P, 17, 2) are different people: of several of one, the first in ``order``.

    Args:
        xy: px, NaN = unknown.
        order: (P,) indices, best first.
        nearest: two detections nearer than this, in units of the larger one's extent, are of one person.
        seen: (P, 17, 2) the joints that a detection without a prediction sees for sure; all NaN for one with a
            prediction. It is of another person only if most of them lie beside the others' bodies, or most of theirs
            beside its own: a double that a wrong region gives has its joints on the body of the same person.
        witness: (P,) as of ``find_witnesses``. Two detections with one are of one person, with two of two people; one
            without any is a double already if most of its joints are on bodies with witnesses.
    """
    size = extent(xy)
    witness = np.full(len(xy), -1) if witness is None else witness
    sure = witness >= 0
    kept: list[int] = []
    for index in order.tolist():
        gaps = distance(xy[kept], xy[index]) / np.maximum(size[kept], size[index]) if kept else np.zeros(0)
        if (gaps < nearest).any() or (sure[index] and witness[index] in witness[kept]):
            continue
        if seen is not None and kept and not sure[index] and np.isfinite(seen[index]).any():
            covering = np.concatenate([covered_share(xy[other], xy[index, None]) for other in kept])
            covered = covered_share(seen[index], xy[kept])
            of_sure = on_bodies(seen[index], xy[kept][sure[kept]]).any(0).sum() / np.isfinite(seen[index]).all(-1).sum()
            if (np.minimum(covered, covering) >= MOST_COVERED).any() or of_sure >= MOST_COVERED:
                continue
        kept.append(index)
    return np.array(kept, np.int64)
