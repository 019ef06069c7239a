# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Multi-view geometry as pure functions of numpy arrays."""
