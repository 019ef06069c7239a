# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""A camera rig from anywhere: files in and out, topics, transforms, cameras that move."""
