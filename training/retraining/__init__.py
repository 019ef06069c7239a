# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Fine-tuning of a lifter on recordings, and its check on what is held out."""
