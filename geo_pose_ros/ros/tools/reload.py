# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose reload`: give a running node another lifter or detector; people keep their ids."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter

from ...errors import ConfigError
from ...inference.model_card import is_of_lifter, load_card, sha256

_LIFTER = ('pipeline.lifter.model',)
# Of pose_node, and of detector_node.
_DETECTOR = ('pipeline.detector.model', 'detector.model')
_UNKNOWN = 'undeclared parameter'


def reload_model(node: Node, target: str, model: Path, timeout_s: float) -> str:
    """Let the node ``target`` use ``model``, as its card says, from the next set on; return the model's sha256.

    Args:
        node: to ask with; it is spun here.
        target: name of the running node, '/pose_node'.
        model: an ONNX file with its card, as the node's machine sees it.
        timeout_s: to wait for the node and its answer.

    Raises:
        BackendError: if there is no such model, or a lifter has no card.
        ConfigError: if the node does not answer, or refuses the model.
    """
    names = _LIFTER if is_of_lifter(model) else _DETECTOR
    found = load_card(model).sha256 if names is _LIFTER else sha256(model)
    client: Any = node.create_client(SetParameters, f'{target}/set_parameters')
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    ends = time.monotonic() + timeout_s
    try:
        while not client.service_is_ready() and time.monotonic() < ends:
            executor.spin_once(timeout_sec=0.1)
        values = [Parameter(name, value=str(model.resolve())).to_parameter_msg() for name in names]
        answer: Any = client.call_async(SetParameters.Request(parameters=values))
        executor.spin_until_future_complete(answer, timeout_sec=max(ends - time.monotonic(), 0.0))
        if not answer.done():
            raise ConfigError(
                f"'{target}' did not answer within {timeout_s:g} s; is it running, in the same ROS_DOMAIN_ID, and is "
                'that its name (--node)?'
            )
        # Each node has one of them.
        result = min(answer.result().results, key=lambda one: _UNKNOWN in one.reason)
    finally:
        executor.remove_node(node)
        executor.shutdown()
        node.destroy_client(client)
    if not result.successful:
        raise ConfigError(f"'{target}' refuses '{model}' and goes on as before: {result.reason}")
    return found
