# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""MoveNet: finds people in an image (multipose), and reads the 17 joints of one person (thunder)."""
