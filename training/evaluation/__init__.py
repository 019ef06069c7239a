# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Evaluation of lifters, every view lifted on its own."""
