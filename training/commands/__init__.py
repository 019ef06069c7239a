# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The commands of training, one module per command, as geo_pose_ros.commands: the only place that knows argparse."""
