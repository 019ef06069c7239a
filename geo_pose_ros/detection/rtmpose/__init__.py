# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""RTMPose, RTMO and YOLO-pose."""
