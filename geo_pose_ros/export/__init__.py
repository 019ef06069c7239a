# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Bodies over time, and the files that other programs read them from: tables, marker files, animated skeletons."""
