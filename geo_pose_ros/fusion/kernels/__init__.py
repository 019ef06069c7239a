# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Compiled core of the fusion: plain loops over one body after the other; docs/fusion.md derives them."""
