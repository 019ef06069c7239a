# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The command line, one module per command; the only place that knows argparse.

A module's docstring describes the command, ``add_arguments(parser)`` adds its flags, and ``run(arguments)`` returns the
exit status (None: 0).
"""
