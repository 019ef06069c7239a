# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What people show of a rig: whether rays meet at them, and whether they stand in its world as people do."""
