# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The life of a node: transitions, live parameters, start and end of its process. What it does is its session's."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, NoReturn, TypeVar

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.impl.logging_severity import LoggingSeverity
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.logging import set_logger_level
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions

from ...errors import ConfigError, GeoPoseError
from ..io.clocks import steady_timer
from ..io.middleware import large_data_environment
from ..io.parameters import NodeParameters, shared_names
from ..settings import CameraNodeConfig
from .session import CameraSession

# How often the node looks for a parameter that was set: Humble calls nobody after that.
_PARAMETER_PERIOD_S = 0.25

Config = TypeVar('Config', bound=CameraNodeConfig)


class LifecycleHost(LifecycleNode, Generic[Config]):
    """A lifecycle node that makes a session at configure, and frees it at cleanup.

    Attributes:
        NAME, CONFIG, SESSION: the node's default name, the class of its settings and that of what it holds.
        fault: why the last transition failed; None if it did not.
        crashed: a thread of the session has ended by an unexpected error; the process should end too.
    """

    NAME: str
    CONFIG: type[Config]
    SESSION: type[CameraSession[Config, object]]

    def __init__(
        self, *, cli_args: list[str] | None = None, parameter_overrides: list[Parameter[Any]] | None = None
    ) -> None:
        """Declare the parameters.

        Raises:
            ConfigError: for an unknown parameter, a wrong type or a value out of bounds.
        """
        super().__init__(self.NAME, cli_args=cli_args, parameter_overrides=parameter_overrides)
        self.fault: GeoPoseError | None = None
        self.crashed = False
        self._session: CameraSession[Config, object] | None = None
        self._settings: NodeParameters[Config] = NodeParameters(
            self, self.CONFIG, self._why_read_only, shared_names(cli_args or (), sys.argv), vet=self._prepare
        )
        steady_timer(self, _PARAMETER_PERIOD_S, self.apply_changes)

    @property
    def config(self) -> Config:
        """The settings as the parameters are now."""
        return self._settings.read()

    @classmethod
    def main(cls, arguments: Sequence[str] | None = None) -> int:
        """Run a node until Ctrl-C; return the exit status. A start-up fault is one line and a non-zero status.

        Args:
            arguments: of the command line; None: the process's own.
        """
        try:
            return _run(cls, arguments)
        except GeoPoseError as error:
            print(f'{cls.NAME}: {error}', file=sys.stderr)
            return 1

    def autostart(self) -> None:
        """Configure and activate.

        Raises:
            GeoPoseError: why it cannot.
        """
        for trigger in (self.trigger_configure, self.trigger_activate):
            if trigger() != TransitionCallbackReturn.SUCCESS:
                raise self.fault or ConfigError(f'{self.NAME} did not start; the log says why.')

    def on_configure(self, state: object) -> TransitionCallbackReturn:
        """Read parameters and rig, load models, create publishers."""
        return self._transition(self._configure)

    def on_activate(self, state: object) -> TransitionCallbackReturn:
        """Subscribe and process."""
        done = super().on_activate(state)  # type: ignore[arg-type]
        return self._transition(self._activate) if done == TransitionCallbackReturn.SUCCESS else done

    def on_deactivate(self, state: object) -> TransitionCallbackReturn:
        """Stop processing and unsubscribe."""
        done = self._transition(self._deactivate)
        if done == TransitionCallbackReturn.SUCCESS:
            return super().on_deactivate(state)  # type: ignore[arg-type]
        return done

    def on_cleanup(self, state: object) -> TransitionCallbackReturn:
        """Free rig, models and publishers."""
        return self._transition(self._close)

    def on_shutdown(self, state: object) -> TransitionCallbackReturn:
        """Free everything, from any state."""
        return self._transition(self.close)

    def on_error(self, state: object) -> TransitionCallbackReturn:
        """Free everything and be unconfigured again."""
        return self._transition(self.close)

    def close(self) -> None:
        """Free everything, whatever the state."""
        self._deactivate()
        self._close()

    def crash(self, error: BaseException) -> None:
        """Log what ended a thread of the session, and let the process end."""
        self.get_logger().fatal(''.join(traceback.format_exception(error)))
        self.crashed = True

    def _configure(self) -> None:
        self._session = self.SESSION(self, self._settings.read(), self.crash)

    def _activate(self) -> None:
        if self._session is None:
            raise ConfigError(f'{self.NAME} is not configured.')
        self._session.activate()

    def _deactivate(self) -> None:
        if self._session is not None:
            self._session.deactivate()

    def _close(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()

    def apply_changes(self) -> None:
        """Let the session take over the settings that were changed since it last did."""
        # Another thread may be at a transition.
        session = self._session
        if self._settings.take_change() and session is not None:
            session.apply(self._settings.read())

    def _prepare(self, changed: Mapping[str, object]) -> str:
        """Make ready what ``changed`` settings need; return why they cannot be taken over, '' if they can."""
        session = self._session
        if session is None or not changed:
            return ''
        try:
            session.prepare(self._settings.read(changed))
        except GeoPoseError as error:
            return str(error)
        return ''

    def _why_read_only(self) -> str:
        return 'this parameter is read at configure; deactivate and clean up first' if self._session is not None else ''

    def _transition(self, action: Callable[[], None]) -> TransitionCallbackReturn:
        """Run ``action``; rclpy would swallow what it raises."""
        self.fault = None
        try:
            action()
        except GeoPoseError as error:
            self.fault = error
            self.get_logger().error(str(error))
            return TransitionCallbackReturn.FAILURE
        except Exception:  # noqa: BLE001 - logged with its traceback
            self.get_logger().fatal(traceback.format_exc())
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS


def _run(kind: Callable[[], LifecycleHost[Config]], arguments: Sequence[str] | None) -> int:
    """Run a node; raise GeoPoseError if the parameters are wrong. What fails later is in the log already."""
    os.environ.update(large_data_environment(os.environ))
    # rcl would log a first half of what the exception says.
    set_logger_level('rcl', LoggingSeverity.FATAL)
    try:
        # The signals stay Python's, so that the end of the session is still logged and published.
        rclpy.init(
            args=None if arguments is None else list(arguments), signal_handler_options=SignalHandlerOptions.NO
        )
    except Exception as error:
        raise ConfigError(f'ROS arguments or parameter file: {" ".join(str(error).split())}') from error
    set_logger_level('rcl', LoggingSeverity.UNSET)
    # SIGINT too: it is ignored in what a shell starts in the background.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    try:
        node = kind()
        try:
            return _spin(node)
        finally:
            node.close()
            node.destroy_node()
    finally:
        rclpy.try_shutdown()


def _end(number: int, frame: object) -> NoReturn:
    """End in order at the first signal. Ctrl-C and `ros2 launch` may both send one: more of them change nothing.

    A SIGTERM after it ends at once, where the end in order takes too long.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    raise KeyboardInterrupt


def _spin(node: LifecycleHost[Config]) -> int:
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    try:
        if node.config.autostart:
            try:
                node.autostart()
            except GeoPoseError:
                # It is in the log.
                return 1
        while rclpy.ok() and not node.crashed:
            executor.spin_once(timeout_sec=0.5)
    except KeyboardInterrupt:
        pass
    return 1 if node.crashed else 0
