# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""2D detectors: one protocol, plugins by name."""

from .base import Detector, create_detector

__all__ = ['Detector', 'create_detector']
