# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The only place that sees rclpy."""

import os

# Our matrices are small: threads of BLAS would only take the cores from the detectors and spin. Read when numpy loads.
os.environ.setdefault('OPENBLAS_NUM_THREADS', '1')
