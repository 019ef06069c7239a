# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What lasts from set to set: synchronisation, tracks and identities, bone lengths, pose history, lost views."""
