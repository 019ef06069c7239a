# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Settings of what runs a neural network."""

from __future__ import annotations

from dataclasses import dataclass

from ..settings import setting


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """What runs a neural network."""

    engine: str = setting('onnxruntime', 'Inference engine', choices=('onnxruntime', 'tensorrt'))
    device: str = setting('cpu', 'Device of onnxruntime; tensorrt always runs on the GPU', choices=('cpu', 'cuda'))
    threads: int = setting(1, 'CPU threads per model', low=1, high=64)
    fp16: bool = setting(False, 'tensorrt computes in half precision')
    max_batch: int = setting(64, 'Largest batch that a tensorrt engine is built for', low=1, high=4096)
    cuda_graph: bool = setting(True, 'tensorrt replays a recorded CUDA graph per batch size')
    rebuild: bool = setting(True, 'Build a tensorrt engine that is missing or does not fit the machine; off: refuse')
