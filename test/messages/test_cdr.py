# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Serialised messages, against rclpy's own serialisation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip('rclpy')
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage, Image

from geo_pose_ros.errors import FrameError
from geo_pose_ros.messages.cdr import header_stamp_ns, read_compressed_image, read_image, with_header_stamp
from geo_pose_ros.messages.stamps import stamp_of, to_header
from test.ros.harness import MAKE

STAMP_NS = 1_700_000_000_123_456_789
DATA = np.arange(24, dtype=np.uint8)


def compressed(frame_id: str = 'left', form: str = 'jpeg') -> bytes:
    message = MAKE(
        'sensor_msgs/msg/CompressedImage', header=to_header(MAKE, STAMP_NS, frame_id), format=form, data=DATA
    )
    return bytes(serialize_message(message))


def image() -> bytes:
    message = MAKE(
        'sensor_msgs/msg/Image', header=to_header(MAKE, STAMP_NS, 'left'), height=2, width=4, encoding='bgr8',
        is_bigendian=0, step=12, data=DATA,
    )
    return bytes(serialize_message(message))


@pytest.mark.parametrize(('frame_id', 'form'), [('', 'jpeg'), ('a', ''), ('ab', 'png'), ('abc', 'bgr8; jpeg')])
def test_compressed_image(frame_id: str, form: str) -> None:
    read = read_compressed_image(compressed(frame_id, form))
    assert (stamp_of(read), read.header.frame_id, read.format) == (STAMP_NS, frame_id, form)
    assert bytes(read.data) == DATA.tobytes()


def test_image() -> None:
    read = read_image(image())
    assert (read.height, read.width, read.encoding, read.is_bigendian, read.step) == (2, 4, 'bgr8', 0, 12)
    assert bytes(read.data) == DATA.tobytes()
    assert stamp_of(read) == STAMP_NS


@pytest.mark.parametrize(
    ('cdr', 'kind'), [(compressed(), CompressedImage), (image(), Image)], ids=['compressed', 'raw']
)
def test_the_stamp_is_read_and_replaced(cdr: bytes, kind: Any) -> None:
    assert header_stamp_ns(cdr) == STAMP_NS
    changed = deserialize_message(with_header_stamp(cdr, 42_000_000_007), kind)
    assert stamp_of(changed) == 42_000_000_007
    before = deserialize_message(cdr, kind)
    before.header.stamp = changed.header.stamp
    assert changed == before


def test_big_endian() -> None:
    cdr = b'\0\0\0\0' + (5).to_bytes(4, 'big') + (6).to_bytes(4, 'big') + b'rest'
    assert header_stamp_ns(cdr) == 5_000_000_006
    assert with_header_stamp(cdr, 7_000_000_008) == (
        b'\0\0\0\0' + (7).to_bytes(4, 'big') + (8).to_bytes(4, 'big') + b'rest'
    )


def test_garbage_is_refused() -> None:
    for cdr in (b'', compressed()[:11], b'\x09' + compressed()[1:]):
        with pytest.raises(FrameError, match='has no header'):
            header_stamp_ns(cdr)
        with pytest.raises(FrameError, match='has no header'):
            with_header_stamp(cdr, 0)
    for cdr, read in ((compressed(), read_compressed_image), (image(), read_image)):
        for end in range(12, len(cdr), 3):
            with pytest.raises(FrameError, match='middleware delivered garbage'):
                read(cdr[:end])
