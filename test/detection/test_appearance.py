# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What people wear, from painted images."""

import cv2
import numpy as np
import pytest

from geo_pose_ros.detection.appearance import describe
from geo_pose_ros.skeleton import BODY17, COCO17, Skeleton
from geo_pose_ros.types import Frame, Keypoints2D

J = BODY17.index
# BGR of torso, thighs, shanks.
CLOTHES = ((40, 60, 200), (160, 90, 30), (90, 90, 90))


def painted(clothes=CLOTHES, gain=(1.0, 1.0, 1.0), reduction=1):
    """A frame of one person who stands before noise, as a camera of that white balance takes it; and the keypoints."""
    xy = np.full((17, 2), np.nan)
    for side, x in (('left', 260.0), ('right', 200.0)):
        for joint, y in (('shoulder', 100.0), ('hip', 220.0), ('knee', 320.0), ('ankle', 420.0)):
            xy[J(f'{side}_{joint}')] = x, y
    rng = np.random.default_rng(1)
    image = rng.integers(60, 180, (480, 480, 3)).astype(float)
    corners = xy[[J(f'{s}_{j}') for s, j in (
        ('left', 'shoulder'), ('right', 'shoulder'), ('right', 'hip'), ('left', 'hip'))]]
    cv2.fillPoly(image, [corners.astype(np.int32)], clothes[0])
    for part, (a, b) in enumerate((('hip', 'knee'), ('knee', 'ankle')), 1):
        for side in ('left', 'right'):
            ends = (tuple(xy[J(f'{side}_{j}')].astype(int).tolist()) for j in (a, b))
            cv2.line(image, *ends, clothes[part], 24)
    image = np.clip(image * gain, 0, 255).astype(np.uint8)
    frame = Frame('cam', 0, np.ascontiguousarray(image[::reduction, ::reduction]), reduction)
    seen = Keypoints2D('cam', 0, BODY17, xy[None], np.isfinite(xy[None, :, 0]).astype(float))
    return frame, seen


def test_colours_of_each_part_are_those_painted_whatever_the_white_balance_and_the_size():
    found = describe(*painted(), 0.3)
    assert found.shape == (1, 9)
    for part, bgr in enumerate(CLOTHES):
        logs = np.log(np.array(bgr) + 8.0)
        # The image itself is grey.
        assert found[0, 3 * part : 3 * part + 2] == pytest.approx((logs[0] - logs[1], logs[2] - logs[1]), abs=0.12)
    assert describe(*painted(gain=(0.8, 1.0, 1.15)), 0.3) == pytest.approx(found, abs=0.12)
    assert describe(*painted(reduction=2), 0.3) == pytest.approx(found, abs=0.12)
    other = describe(*painted(((200, 60, 40), *CLOTHES[1:])), 0.3)
    assert np.abs(other - found).max() > 1.0 and np.abs(other - found)[0, 3:] == pytest.approx(0.0, abs=0.1)


def test_what_is_not_seen_is_unknown():
    frame, seen = painted()
    confidence = seen.confidence.copy()
    confidence[:, [J('left_ankle'), J('right_ankle')]] = 0.2
    found = describe(frame, Keypoints2D('cam', 0, BODY17, seen.xy, confidence), 0.3)
    assert np.isfinite(found[0, :6]).all() and np.isnan(found[0, 6:]).all()
    assert describe(frame, Keypoints2D.empty('cam', 0, COCO17), 0.3).shape == (0, 9)
    hand = Skeleton('hand', ('wrist', 'thumb'), ((0, 1),), ())
    wrong = Keypoints2D('cam', 0, hand, np.full((1, 2, 2), 5.0), np.ones((1, 2)))
    assert np.isnan(describe(frame, wrong, 0.3)).all()
