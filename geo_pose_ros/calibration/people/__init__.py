# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Who a recording shows: detections linked over time, matched across cameras, and sampled at common instants."""
