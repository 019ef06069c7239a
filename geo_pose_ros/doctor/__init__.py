# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Whether this machine, its ROS set-up and a rig are fit, and what to do where they are not."""
