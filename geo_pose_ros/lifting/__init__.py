# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""From one view to a pose: canonical input, the lifter, and where its root is."""
