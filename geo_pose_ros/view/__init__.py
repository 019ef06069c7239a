# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What the pipeline sees and finds, for people: the viewer, drawings and the report."""
