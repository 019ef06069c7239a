# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The offset of a camera that was turned, against a slow way in numpy."""

import numpy as np
import pytest

from geo_pose_ros.fusion.merging import find_gross_errors
from geo_pose_ros.geometry.stats import nan_mean, nan_median

from ..people import crowd, observe, ring


def common_offset(local, xn, seen, gate_m, reach):
    """Return the offset that brings most bodies (M, J, 3) to detections (F, J, 2); NaN if none does."""
    depth = np.maximum(local[..., 2:], 1e-3)
    image = local[..., :2] / depth
    both = seen[None] & np.isfinite(image[..., 0])[:, None]
    off = np.where(both[..., None], xn[None] - image[:, None], np.nan)
    enough = both.sum(-1) >= 6
    best, best_match = np.full(2, np.nan), 0.5
    for body, detection in zip(*np.nonzero(enough), strict=True):
        candidate = nan_median(off[body, detection].T)
        apart = np.linalg.norm(off - candidate, axis=-1) * depth[:, None, :, 0]
        fit = nan_mean(np.where(enough[..., None], np.minimum(apart, 1.0), 1.0), -1)
        matched = np.clip(1.0 - fit.min(1) / gate_m, 0.0, 1.0).sum()
        if np.hypot(*candidate) <= reach and matched > best_match:
            best, best_match = candidate, matched
    return best


@pytest.mark.parametrize('offset', [(0.15, -0.05), (0.6, 0.0)], ids=['turned', 'out_of_reach'])
def test_the_common_offset_is_that_of_the_slow_way(offset):
    cameras, bodies, rng = ring(4), crowd(5), np.random.default_rng(0)
    bodies[rng.random((5, 17)) < 0.1] = np.nan
    d = observe(cameras, np.nan_to_num(bodies), noise=0.01).detections
    d.seen[rng.random(d.seen.shape) < 0.2] = False
    d.seen[1, 5:], first = False, slice(0, d.starts[1])
    d.xn[first] += offset
    local, views = cameras.see(bodies), np.arange(20).reshape(4, 5).T.copy()
    views[:, 0] = -1
    found = find_gross_errors(local, d, views, np.ones((5, 4), bool), 0.25, 0.35)
    expected = common_offset(local[0], d.xn[first], d.seen[first], 0.25, 0.35)
    np.testing.assert_allclose(found[0], expected, atol=1e-12)
    assert np.isnan(found[1:]).all() and (offset[0] > 0.35 or np.abs(found[0] - offset).max() < 0.02)
