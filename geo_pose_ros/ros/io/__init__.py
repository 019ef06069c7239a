# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Middleware: quality of service, CDR, message classes, transforms, topics, parameters."""
