# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Sources of multi-view 2D keypoints, and their preparation for training."""
