# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""Another lifter or detector for a running node: loaded while the old one works, taken between two sets."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

from rclpy.node import Node

from ...detection import Detector
from ...detection.models.catalogue import find_model
from ...detection.models.profiles import networks_of
from ...detection.settings import DetectorConfig
from ...detection.stage import load_detector
from ...errors import ConfigError, GeoPoseError
from ...inference.model_card import sha256
from ...lifting.lifter import PoseLifter
from ...lifting.settings import LifterConfig
from ..io.message_factory import trigger_class
from .lifecycle import LifecycleHost

if TYPE_CHECKING:
    from rclpy.service import Service
    from std_srvs.srv import Trigger


class _Model(Protocol):
    def close(self) -> None: ...


Model = TypeVar('Model', bound=_Model)


class ModelChanges(Generic[Model]):
    """Hands a model from the executor's thread, which loads it, to the worker's, which uses it."""

    def __init__(self) -> None:
        """Start with nothing to hand on."""
        # Only the executor's thread knows this one, both threads the next.
        self._prepared: Model | None = None
        self._next: Model | None = None
        self._lock = threading.Lock()

    def prepare(self, model: Model) -> Model:
        """Keep ``model`` for ``change`` instead of what was prepared before; return it."""
        _close(self._prepared)
        self._prepared = model
        return model

    def change(self) -> None:
        """Let the next set be made with what was prepared, if anything was."""
        if self._prepared is not None:
            _close(self._exchange(self._prepared))
            self._prepared = None

    def take(self) -> Model | None:
        """Return the model to go on with, the caller's from now on; None if it is still the same."""
        return self._exchange(None)

    def close(self) -> None:
        """Free what nobody has taken."""
        _close(self._prepared)
        _close(self.take())

    def _exchange(self, model: Model | None) -> Model | None:
        with self._lock:
            before, self._next = self._next, model
        return before


def _close(model: _Model | None) -> None:
    if model is not None:
        model.close()


def load_lifter(config: LifterConfig) -> PoseLifter:
    """Return the lifter that ``config`` names.

    Raises:
        BackendError: if it cannot be loaded or does not fit.
        ConfigError: if its card is wrong, or the node was configured without a lifter.
    """
    if not config.enabled:
        raise ConfigError('This node lifts nothing: lifter.enabled is false. Set it, and configure the node again.')
    return PoseLifter(config)


def reload_detector(changes: ModelChanges[Detector], config: DetectorConfig, cameras: int, skeleton: str) -> str:
    """Read the detector's files again for the next set; return the words for the answer.

    Raises:
        GeoPoseError: as ``load_detector``; the old one goes on.
    """
    changes.prepare(load_detector(config, cameras, skeleton))
    changes.change()
    name = networks_of(config)[0] if config.name in ('blazepose', 'movenet') else config.model
    return f'detected by {sha256(find_model(name))[:12] if name else config.name}'


def offer_reload(node: Node, reload: Callable[[], str]) -> Service[Trigger.Request, Trigger.Response] | None:
    """Return the service `~/reload_model`; None where ROS lacks std_srvs.

    Args:
        node: an rclpy node.
        reload: reads the models' files again and returns how the next set is made, or raises GeoPoseError: the answer
            says why.
    """
    trigger = trigger_class(node.get_logger(), '~/reload_model', 'set the parameter that names the model')
    if trigger is None:
        return None

    def answer(request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        # A model that was named just before is the one to read.
        if isinstance(node, LifecycleHost):
            node.apply_changes()
        try:
            response.message, response.success = f'the next set is {reload()}', True
        except GeoPoseError as error:
            response.message, response.success = str(error), False
            node.get_logger().error(f'the models are not changed: {error}')
        return response

    return node.create_service(trigger, '~/reload_model', answer)
