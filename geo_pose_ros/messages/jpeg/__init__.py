# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""JPEGs before they are decoded."""

from __future__ import annotations
