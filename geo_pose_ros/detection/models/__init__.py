# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The networks that the package knows: those that ship, those to be fetched, and which of them run when."""
