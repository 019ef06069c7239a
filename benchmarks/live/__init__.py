# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Benchmarks of what runs: nodes, the viewer, the fleet, the whole way of a new user."""
