# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Depth images: put beside the colour image of their instant, or refused."""

from __future__ import annotations

import threading
from functools import partial

import numpy as np
import pytest

from geo_pose_ros.bags.message_factory import RosbagsFactory
from geo_pose_ros.errors import ShapeError
from geo_pose_ros.scene.sync.depths import DepthImages
from geo_pose_ros.types import Frame

from ...scenes import depth_image

MAKE = RosbagsFactory()
MS = 1_000_000
DEPTHS = np.array(((1.5, 0.0, 2.25), (3.0, 4.0, 5.0)))


image = partial(depth_image, MAKE)


def frame(stamp_ns):
    return Frame('cam', stamp_ns, np.zeros((20, 30, 3), np.uint8))


def test_the_depth_image_of_a_frame_is_that_of_its_instant():
    depths, notes = DepthImages(lambda payload: image(np.full((2, 3), payload))), []
    assert depths.with_depth(frame(0), notes.append).depth_m is None
    for number in range(4):
        depths.add('cam', number * 33 * MS, 1.0 + number)
    for stamp_ns, expected in ((33 * MS, 2.0), (70 * MS, 3.0), (99 * MS, 4.0), (150 * MS, None)):
        found = depths.with_depth(frame(stamp_ns), notes.append).depth_m
        assert (None if found is None else round(float(found[0, 0]), 3)) == expected
    depths.add('other', 150 * MS, 9.0)
    assert depths.with_depth(frame(150 * MS), notes.append).depth_m is None and not notes


def test_a_depth_image_that_comes_later_is_waited_for():
    depths = DepthImages(lambda payload: image(np.full((2, 3), payload)), wait_s=30.0)
    depths.add('cam', 0, 1.0)
    later = threading.Thread(target=depths.add, args=('cam', 100 * MS, 2.0))
    later.start()
    found = depths.with_depth(frame(100 * MS), lambda text: None)
    later.join()
    assert found.depth_m[0, 0] == 2.0


@pytest.mark.parametrize(('made', 'words'), [
    (lambda _: image(DEPTHS.T), 'of 2x3 px beside colour images of 30x20 px'),
    (lambda _: image(DEPTHS, encoding='8UC1'), "encoding '8UC1'"),
], ids=['not registered', 'encoding'])
def test_a_depth_image_that_does_not_fit_is_noted_and_costs_nothing_else(made, words):
    depths, notes = DepthImages(made), []
    depths.add('cam', 0, None)
    assert depths.with_depth(frame(0), notes.append).depth_m is None
    assert words in notes[0]


def test_depths_of_a_frame_are_an_image():
    with pytest.raises(ShapeError, match=r'received depths of shape \(6,\), expected \(H, W\)'):
        Frame('cam', 0, np.zeros((2, 3, 3), np.uint8), depth_m=np.zeros(6, np.float32))
