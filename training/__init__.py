# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Offline training of the lifter, self-supervised from calibrated multi-view 2D keypoints; needs torch."""
