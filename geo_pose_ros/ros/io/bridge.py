# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""cv_bridge, where it is installed (ROS's packages have it, PyPI has not): imported here only, when used.

Interface after vision_opencv, cv_bridge/python/cv_bridge/core.py: ``CvBridge().imgmsg_to_cv2(message,
desired_encoding)``, which raises ``CvBridgeError``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...arrays import UInt8Array
from ...errors import FrameError


def raw_converter() -> Callable[[Any], UInt8Array] | None:
    """Return what converts a sensor_msgs/Image to BGR (H, W, 3) of its own memory; None without cv_bridge.

    The converter raises FrameError for an image that cv_bridge refuses.
    """
    try:
        from cv_bridge import CvBridge, CvBridgeError
    except ImportError:
        return None
    bridge = CvBridge()

    def convert(message: Any) -> UInt8Array:
        try:
            image = bridge.imgmsg_to_cv2(message, 'bgr8')
        except CvBridgeError as error:
            raise FrameError(f"cv_bridge cannot convert '{message.encoding}': {error}.") from error
        # Where nothing is to be converted it may return the message's own buffer, which is the middleware's.
        return np.array(image, np.uint8)

    return convert
