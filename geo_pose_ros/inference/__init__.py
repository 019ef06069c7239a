# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Neural networks behind one protocol: ONNX Runtime and TensorRT, and the card each model carries."""
