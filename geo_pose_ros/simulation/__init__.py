# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""People before cameras, detectors and networks, with exact truth."""
