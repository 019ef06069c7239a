# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""From videos to files: `geo_pose run` and `geo_pose export`."""
