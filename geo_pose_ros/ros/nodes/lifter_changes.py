# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Another lifter for a running node: loaded while the old one works, taken between two sets."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from rclpy.node import Node

from ...errors import ConfigError, GeoPoseError
from ...lifting.lifter import PoseLifter
from ...lifting.settings import LifterConfig
from ..io.message_factory import trigger_class

if TYPE_CHECKING:
    from rclpy.service import Service
    from std_srvs.srv import Trigger


class LifterChanges:
    """Hands a lifter from the executor's thread, which loads it, to the worker's, which uses it."""

    def __init__(self) -> None:
        """Start with nothing to hand on."""
        # Only the executor's thread knows this one, both threads the next.
        self._prepared: PoseLifter | None = None
        self._next: PoseLifter | None = None
        self._lock = threading.Lock()

    def prepare(self, config: LifterConfig) -> str:
        """Load the lifter that ``config`` names, for ``change``; return its sha256.

        Raises:
            BackendError: if it cannot be loaded or does not fit; what was prepared before is kept.
            ConfigError: if its card is wrong, or the node was configured without a lifter.
        """
        if not config.enabled:
            raise ConfigError('This node lifts nothing: lifter.enabled is false. Set it, and configure the node again.')
        lifter = PoseLifter(config)
        _close(self._prepared)
        self._prepared = lifter
        return lifter.card.sha256

    def change(self) -> None:
        """Let the next set be lifted by what was prepared, if anything was."""
        if self._prepared is not None:
            _close(self._exchange(self._prepared))
            self._prepared = None

    def take(self) -> PoseLifter | None:
        """Return the lifter to go on with, the caller's from now on; None if it is still the same."""
        return self._exchange(None)

    def close(self) -> None:
        """Free what nobody has taken."""
        _close(self._prepared)
        _close(self.take())

    def _exchange(self, lifter: PoseLifter | None) -> PoseLifter | None:
        with self._lock:
            before, self._next = self._next, lifter
        return before


def _close(lifter: PoseLifter | None) -> None:
    if lifter is not None:
        lifter.close()


def offer_reload(node: Node, reload: Callable[[], str]) -> Service[Trigger.Request, Trigger.Response] | None:
    """Return the service `~/reload_model`; None where ROS lacks std_srvs.

    Args:
        node: an rclpy node.
        reload: reads the model's file again and returns its sha256, or raises GeoPoseError: the answer says why.
    """
    trigger = trigger_class(node.get_logger(), '~/reload_model', 'set the parameter pipeline.lifter.model')
    if trigger is None:
        return None

    def answer(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            response.message, response.success = f'the next set is lifted by {reload()[:12]}', True
        except GeoPoseError as error:
            response.message, response.success = str(error), False
            node.get_logger().error(f'the lifter is not changed: {error}')
        return response

    return node.create_service(trigger, '~/reload_model', answer)
