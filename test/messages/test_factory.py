# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The two message factories."""

import numpy as np
import pytest

from geo_pose_ros.bags.message_factory import RosbagsFactory
from geo_pose_ros.errors import ConfigError


def test_rosbags_fills_what_is_not_named():
    info = RosbagsFactory()('sensor_msgs/msg/CameraInfo', width=3)
    assert (info.width, info.height, info.distortion_model, info.header.stamp.sec) == (3, 0, '', 0)
    assert info.k.tolist() == [0.0] * 9 and info.d.dtype == np.float64 and len(info.d) == 0
    assert info.roi.do_rectify is False
    with pytest.raises(TypeError, match='unexpected keyword'):
        RosbagsFactory()('sensor_msgs/msg/CameraInfo', breadth=3)


def test_rclpy_package_that_is_not_installed():
    pytest.importorskip('rclpy')
    from geo_pose_ros.ros.io.message_factory import RclpyFactory

    with pytest.raises(ConfigError, match=r"'no_such_msgs/msg/Thing' is not installed .*ros-\$ROS_DISTRO-no-such-msgs"):
        RclpyFactory()('no_such_msgs/msg/Thing')
    with pytest.raises(ConfigError, match="'sensor_msgs/msg/Thing' is not installed"):
        RclpyFactory()('sensor_msgs/msg/Thing')
