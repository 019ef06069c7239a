"""pose_node: a lifecycle node from camera topics to 3D bodies."""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.impl.logging_severity import LoggingSeverity
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn
from rclpy.logging import set_logger_level
from rclpy.signals import SignalHandlerOptions

from ...errors import ConfigError, GeoPoseError
from ..io.middleware import large_data_environment
from ..io.parameter_files import shared_names
from ..io.parameters import NodeParameters
from .pose_session import PoseSession
from .settings import NodeConfig

_NAME = 'pose_node'
_LOOK_FOR_CHANGES_S = 0.25


class PoseNode(LifecycleNode):
    """Configure reads parameters, rig and models; activate subscribes; the others undo.

    Attributes:
        NAME, CONFIG: the node's default name and its settings; detector_node has others.
        fault: why the last transition failed; None if it did not.
        crashed: the worker has ended by an unexpected error; the process should.
    """

    NAME: str = _NAME
    CONFIG: type = NodeConfig

    def __init__(self, **options: Any) -> None:
        """Declare the parameters; ``options`` are LifecycleNode's.

        Raises:
            ConfigError: for an unknown parameter, a wrong type or a value out of bounds.
        """
        super().__init__(self.NAME, **options)
        self.fault: GeoPoseError | None = None
        self.crashed = False
        self._session: Any = None
        shared = shared_names(options.get('cli_args') or (), sys.argv)
        self._settings: NodeParameters[Any] = NodeParameters(
            self, self.CONFIG, self._why_read_only, shared, vet=self._prepare
        )
        # Humble has no callback for after a parameter was set.
        self.create_timer(_LOOK_FOR_CHANGES_S, self._apply_changes)

    @property
    def config(self) -> Any:
        """The settings as the parameters are now."""
        return self._settings.read()

    def autostart(self) -> None:
        """Configure and activate.

        Raises:
            GeoPoseError: why it cannot.
        """
        for trigger in (self.trigger_configure, self.trigger_activate):
            if trigger() != TransitionCallbackReturn.SUCCESS:
                raise self.fault or ConfigError(f'{self.NAME} did not start; the log says why.')

    def on_configure(self, state: Any) -> TransitionCallbackReturn:
        """Read parameters and rig, load models, create publishers."""
        return self._transition(self._configure)

    def on_activate(self, state: Any) -> TransitionCallbackReturn:
        """Subscribe and process."""
        done = super().on_activate(state)
        return self._transition(self._activate) if done == TransitionCallbackReturn.SUCCESS else done

    def on_deactivate(self, state: Any) -> TransitionCallbackReturn:
        """Stop processing and unsubscribe."""
        done = self._transition(self._deactivate)
        return super().on_deactivate(state) if done == TransitionCallbackReturn.SUCCESS else done

    def on_cleanup(self, state: Any) -> TransitionCallbackReturn:
        """Free rig, models and publishers."""
        return self._transition(self._close)

    def on_shutdown(self, state: Any) -> TransitionCallbackReturn:
        """Free everything, from any state."""
        return self._transition(self.close)

    def on_error(self, state: Any) -> TransitionCallbackReturn:
        """Free everything and be unconfigured again."""
        return self._transition(self.close)

    def close(self) -> None:
        """Free everything, whatever the state."""
        self._deactivate()
        self._close()

    def _configure(self) -> None:
        self._session = self._make_session()

    def _make_session(self) -> Any:
        """Return what the node holds between configure and cleanup."""
        return PoseSession(self, self._settings.read(), self._on_crash)

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

    def _on_crash(self) -> None:
        self.crashed = True

    def _apply_changes(self) -> None:
        # Another thread may be at a transition.
        session = self._session
        if self._settings.take_change() and session is not None:
            session.apply(self._settings.read())

    def _prepare(self, changed: Mapping[str, Any]) -> str:
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


def run(arguments: Sequence[str] | None, kind: type[PoseNode] = PoseNode) -> int:
    """Run a node of ``kind`` until Ctrl-C; return the exit status.

    Raises:
        GeoPoseError: if the parameters are wrong. What fails later is in the log already.
    """
    os.environ.update(large_data_environment(os.environ))
    # rcl would log a first half of what the exception says.
    set_logger_level('rcl', LoggingSeverity.FATAL)
    try:
        # The signals stay Python's, so that the end of the session is still logged and published.
        rclpy.init(
            args=None if arguments is None else list(arguments), signal_handler_options=SignalHandlerOptions.NO
        )
    except Exception as error:
        raise ConfigError(f'ROS arguments or parameter file: {_one_line(error)}') from error
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


def _spin(node: PoseNode) -> int:
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


def _one_line(error: BaseException) -> str:
    return ' '.join(str(error).split())


def main(arguments: Sequence[str] | None = None, kind: type[PoseNode] = PoseNode) -> int:
    """Entry point of ``pose_node``; a start-up fault is one line and a non-zero exit status."""
    try:
        return run(arguments, kind)
    except GeoPoseError as error:
        print(f'{kind.NAME}: {error}', file=sys.stderr)
        return 1


if __name__ == '__main__':
    sys.exit(main())
