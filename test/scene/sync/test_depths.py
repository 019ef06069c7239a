# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Depth images: decoded, refused, and put beside the colour image of their instant."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from geo_pose_ros.bags.message_factory import RosbagsFactory
from geo_pose_ros.errors import FrameError, ShapeError
from geo_pose_ros.messages.stamps import to_header
from geo_pose_ros.scene.sync.depths import DepthImages, depth_from_message
from geo_pose_ros.types import Frame

MAKE = RosbagsFactory()
MS = 1_000_000
DEPTHS = np.array(((1.5, 0.0, 2.25), (3.0, 4.0, 5.0)))


def image(depth, encoding='16UC1', kind='<u2', unit=1000.0, pad=0, **fields):
    """A message of ``depth`` (H, W), ``pad`` bytes at the end of each row."""
    rows = np.ascontiguousarray((depth * unit).astype(kind))
    data = np.pad(rows.view(np.uint8).reshape(len(rows), -1), ((0, 0), (0, pad)))
    given = {
        'header': to_header(MAKE, 0, 'optical'), 'height': len(rows), 'width': rows.shape[1], 'encoding': encoding,
        'is_bigendian': int(kind[0] == '>'), 'step': data.shape[1], 'data': data.reshape(-1), **fields,
    }
    return MAKE('sensor_msgs/msg/Image', **given)


@pytest.mark.parametrize('given', [
    ('16UC1', '<u2', 1000.0), ('16UC1', '>u2', 1000.0), ('mono16', '<u2', 1000.0), ('32FC1', '<f4', 1.0),
    ('32FC1', '>f4', 1.0), ('32FC1', '<f4', 1.0, 8),
], ids=str)
def test_millimetres_and_metres(given):
    np.testing.assert_allclose(depth_from_message(image(DEPTHS, *given), 'cam'), DEPTHS, atol=1e-6)


@pytest.mark.parametrize(('fields', 'words'), [
    ({'encoding': 'bgr8'}, "received depth images of encoding 'bgr8', expected 16UC1"),
    ({'data': np.zeros(5, np.uint8)}, 'received 5 bytes with step 6 for 3x2 depths'),
    ({'step': 5}, 'step 5 for 3x2'),
])
def test_what_is_no_depth_image_is_refused(fields, words):
    with pytest.raises(FrameError, match=words):
        depth_from_message(image(DEPTHS, **fields), 'cam')


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
