# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Who comes back: by place, and by bone lengths where they are known."""

import numpy as np

from geo_pose_ros.fusion.prior import BonePrior
from geo_pose_ros.scene.reidentification import match_lost
from geo_pose_ros.scene.settings import TrackingConfig
from geo_pose_ros.skeleton import BODY17

from ..scenes import person

CONFIG = TrackingConfig()
EDGES = np.array(BODY17.edges)


def at(x_m: float, scale: float = 1.0, seed: int = 0) -> np.ndarray:
    return scale * person(seed) + (x_m, 0.0, 0.0)


def lengths(*bodies: np.ndarray) -> BonePrior:
    xyz = np.stack(bodies)
    length = np.linalg.norm(xyz[:, EDGES[:, 1]] - xyz[:, EDGES[:, 0]], axis=-1)
    return BonePrior(length, np.full(length.shape, 1e-4))


def found(new, lost, unseen_s, known=None) -> list[int]:
    return match_lost(np.stack(new), np.stack(lost), np.array(unseen_s), known, CONFIG).tolist()


def test_everybody_is_the_nearest_who_was_lost():
    assert found([at(0.1), at(2.1)], [at(2.0), at(0.0)], [0.5, 0.5]) == [1, 0]
    # One has nobody left to be.
    assert found([at(0.1), at(0.4)], [at(0.0)], [0.5]) == [0, -1]


def test_how_far_somebody_may_have_gone_grows_with_the_time():
    """0.4 m at once, and 1.5 m a second."""
    assert found([at(0.39)], [at(0.0)], [0.0]) == [0]
    assert found([at(0.41)], [at(0.0)], [0.0]) == [-1]
    assert found([at(1.85)], [at(0.0)], [1.0]) == [0]
    assert found([at(1.95)], [at(0.0)], [1.0]) == [-1]


def test_bone_lengths_tell_people_apart():
    """Two were lost side by side and change places unseen."""
    tall, small = at(0.0, 1.08), at(0.3, 0.92)
    back = [small - (0.3, 0.0, 0.0), tall + (0.3, 0.0, 0.0)]
    assert found(back, [tall, small], [1.0, 1.0]) == [0, 1]
    assert found(back, [tall, small], [1.0, 1.0], lengths(tall, small)) == [1, 0]
    # Half as tall is nobody known.
    assert found([at(0.2, 0.75)], [at(0.0)], [0.0], lengths(at(0.0))) == [-1]
    assert found([at(0.2)], [at(0.0)], [0.0], lengths(at(0.0))) == [0]


def test_unknown_joints_and_lengths_do_not_decide():
    part = at(0.1)
    part[12:14] = np.nan
    assert found([part], [at(0.0)], [0.5], lengths(at(0.0))) == [0]
    nothing = BonePrior(np.zeros((1, len(EDGES))), np.full((1, len(EDGES)), np.inf))
    assert found([part], [at(0.0)], [0.5], nothing) == [0]
