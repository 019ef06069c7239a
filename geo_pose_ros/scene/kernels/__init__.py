# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Compiled core of the scene: plain loops over tracks, joints and cameras; docs/scene.md says what they do."""
