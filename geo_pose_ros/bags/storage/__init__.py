# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Files that hold bags: which there are, what they are if they are none, and what can be read of damaged ones."""
