# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Calibration while somebody walks, with a page that says where to walk next."""
