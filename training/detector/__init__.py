# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Fine-tuning of BlazePose's keypoint network on the cameras of a robot: their fused bodies are its labels."""
