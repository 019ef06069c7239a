# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""From several views of one instant, and over time, to bodies: sync, association, solver, tracking."""
