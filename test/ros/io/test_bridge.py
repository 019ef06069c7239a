# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""cv_bridge where it exists: its pixels are ours. Where it does not, a stand-in for what is asked of it.

Upstream: ros-perception/vision_opencv, cv_bridge/python/cv_bridge/core.py.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest

from geo_pose_ros.errors import FrameError
from geo_pose_ros.messages.image import BRIDGED, frame_from_message
from geo_pose_ros.ros.io.bridge import raw_converter

HEIGHT, WIDTH = 6, 8
CHANNELS = {'bgr8': 3, 'rgb8': 3, 'bgra8': 4, 'rgba8': 4, 'yuv422': 2, 'yuv422_yuy2': 2}


class CvBridgeError(TypeError):
    """As core.py declares it."""


class CvBridge:
    """imgmsg_to_cv2 of core.py, for what needs no conversion: the message's own memory."""

    def imgmsg_to_cv2(self, message: Any, desired_encoding: str = 'passthrough') -> Any:
        assert desired_encoding == 'bgr8'
        if message.encoding != 'bgr8':
            raise CvBridgeError(f'[{message.encoding}] is not a color format. but [bgr8] is.')
        return np.ndarray(shape=(message.height, message.width, 3), dtype=np.uint8, buffer=message.data)


@pytest.fixture
def bridge(monkeypatch: pytest.MonkeyPatch) -> Any:
    if find_spec('cv_bridge') is None:
        module = ModuleType('cv_bridge')
        module.CvBridge, module.CvBridgeError = CvBridge, CvBridgeError  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, 'cv_bridge', module)
    return raw_converter()


def image_message(encoding: str) -> Any:
    step = WIDTH * CHANNELS.get(encoding, 1)
    data = np.random.default_rng(0).integers(0, 256, HEIGHT * step, np.uint8)
    stamp = SimpleNamespace(sec=0, nanosec=5)
    return SimpleNamespace(
        header=SimpleNamespace(stamp=stamp, frame_id='left'), height=HEIGHT, width=WIDTH, encoding=encoding, step=step,
        is_bigendian=0, data=memoryview(data.tobytes()),
    )


def test_both_give_the_same_pixels() -> None:
    pytest.importorskip('cv_bridge')
    bridge = raw_converter()
    for encoding in BRIDGED:
        own, bridged = (frame_from_message(image_message(encoding), 'left', bridge=b).image for b in (None, bridge))
        np.testing.assert_array_equal(own, bridged)


def test_it_is_asked_for_what_it_knows_only() -> None:
    convert = Mock(return_value=np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    deep = image_message('mono8')
    deep.encoding, deep.step, deep.data = 'mono16', 2 * WIDTH, bytes(2 * WIDTH * HEIGHT)
    for message in (image_message('rgb8'), deep, image_message('8UC1')):
        frame_from_message(message, 'left', bridge=convert)
    assert [call.args[0].encoding for call in convert.call_args_list] == ['rgb8']


def test_its_image_is_not_the_middleware_s_and_its_error_ours(bridge: Any) -> None:
    message = image_message('bgr8')
    assert not np.shares_memory(bridge(message), np.frombuffer(message.data, np.uint8))
    with pytest.raises(FrameError, match="cv_bridge cannot convert '32FC1'"):
        bridge(image_message('32FC1'))


def test_without_it_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'cv_bridge', None)
    assert raw_converter() is None
