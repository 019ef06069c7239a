# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What travels as PointCloud2: bodies, keypoints, predictions, details."""
