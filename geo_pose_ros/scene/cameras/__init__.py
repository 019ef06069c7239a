# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What is learned of the cameras while people move before them: noise, clocks, and extrinsic drift."""
