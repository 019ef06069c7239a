# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""A session: a folder of videos with all that was made of it, from one command or one call."""
