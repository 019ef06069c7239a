# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Labels from geometry alone: triangulation, sides, extrinsics, detector noise."""
