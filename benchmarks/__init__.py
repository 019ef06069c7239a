# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Benchmarks: `make bench*`, or `python benchmarks/NAME.py` from the root of the repository."""
