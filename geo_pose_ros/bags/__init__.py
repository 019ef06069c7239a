# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Bags without ROS: read, write, import videos and calibrations, process offline."""
