"""Who comes back: new people are matched with those who were lost, by place and by bone lengths."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..arrays import FloatArray, IntArray
from ..fusion.bones import BonePrior
from .settings import TrackingConfig

# Two people differ by more than this in the mean of |log| of the ratio of their bone lengths, if not in size.
_SAME_LENGTHS = 0.15


def reunite(
    xyz: FloatArray, lost: FloatArray, unseen_s: FloatArray, lengths: BonePrior | None, config: TrackingConfig
) -> IntArray:
    """Return (N,) which of the lost bodies each new one is, -1 for none.

    Args:
        xyz: (N, J, 3) m, new bodies, NaN = unknown.
        lost: (L, J, 3) m, where the lost ones are expected.
        unseen_s: (L,) since they were seen.
        lengths: what is known of the bone lengths of the lost ones, or None.
        config: settings.
    """
    apart = np.linalg.norm(np.nanmean(xyz, 1)[:, None] - np.nanmean(lost, 1), axis=-1)
    reach = config.back_within_m + config.hidden_speed_m_s * unseen_s
    with np.errstate(divide='ignore', invalid='ignore'):
        price = apart / reach
    if lengths is not None:
        bone = np.linalg.norm(lengths.incidence @ np.nan_to_num(xyz), axis=-1)
        known = (lengths.length > 0.0) & (bone[:, None] > 0.0)
        with np.errstate(divide='ignore', invalid='ignore'):
            ratio = np.where(known, np.abs(np.log(bone[:, None] / lengths.length)), 0.0)
        price = price + (ratio.sum(-1) / np.maximum(known.sum(-1), 1)) / _SAME_LENGTHS
    found = np.full(len(xyz), -1)
    # A sum of two parts, each of which may be as large as 1.
    limit = 1.0 if lengths is None else 2.0
    priced = np.where(np.isfinite(price) & (apart <= reach), price, 1e3)
    row, column = linear_sum_assignment(priced)
    good = priced[row, column] < limit
    found[row[good]] = column[good]
    return found
