# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The whole way from real footage to bodies, over live ROS 2 topics."""
