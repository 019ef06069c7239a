# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The service ~/calibrate: a better rig from what the cameras saw of people lately, while the node goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node

from ...calibration.settings import WatchConfig
from ...calibration.watch import CalibrationWatch, Proposal
from ...errors import CalibrationError
from ...pipeline import PipelineResult
from ...rigs.files import write_calibration
from ...types import CameraRig
from ..io.message_factory import trigger_class

if TYPE_CHECKING:
    from rclpy.service import Service
    from std_srvs.srv import Trigger

# Whoever waits seconds for a rig does not notice.
_POLL_S = 0.05


class _NotByExecutor(CallbackGroup):
    """Keeps a service out of the executor's wait set."""

    def can_execute(self, entity: object) -> bool:
        return False

    def beginning_execution(self, entity: object) -> bool:
        return False

    def ending_execution(self, entity: object) -> None:
        return


class LateService:
    """A std_srvs/Trigger service that may answer long after it was asked, and others meanwhile.

    A callback of rclpy must answer before it returns; a coroutine may wait, but keeps the executor of today's releases
    spinning until then.
    """

    def __init__(
        self, node: Node, name: str, trigger: type[Trigger], ask: Callable[[Callable[[bool, str], None]], None]
    ) -> None:
        """Offer the service.

        Args:
            node: an rclpy node.
            name: of the service.
            trigger: the class of std_srvs, which a robot may lack.
            ask: called in a thread of its own with what sends success and message; any thread may call that, once.
        """
        self._node, self._trigger, self._ask = node, trigger, ask
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._service: Service[Any, Any] = node.create_service(trigger, name, lambda request, response: response,
                                            callback_group=_NotByExecutor())
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.wait(_POLL_S) and self._node.context.ok():
            with self._service.handle:
                request, header = self._service.handle.service_take_request(self._trigger.Request)
            if request is not None and header is not None:
                self._ask(partial(self._answer, header))

    def _answer(self, header: Any, success: bool, message: str) -> None:
        with self._lock:
            if self._node.context.ok():
                self._service.send_response(self._trigger.Response(success=success, message=message), header)

    def stop(self) -> None:
        """Take no further request; those taken can still be answered."""
        self._stop.set()
        self._thread.join()

    def close(self) -> None:
        """Offer it no longer; to be called when everybody has been answered."""
        self.stop()
        self._node.destroy_service(self._service)


def _beside(out: Path, rig_file: Path | None) -> Path:
    """Return ``out``, or a name beside it where that is the rig file in use."""
    if rig_file is None or out.resolve() != rig_file.resolve():
        return out
    return out.with_name(f'proposed_{out.name}')


class Calibrating:
    """Feeds a watch, and refines the rig when ~/calibrate is called."""

    def __init__(
        self, node: Node, config: WatchConfig, use_rig: Callable[[CameraRig], None], rig_file: Path | None
    ) -> None:
        """Offer the service, where std_srvs is installed.

        Args:
            node: an rclpy node.
            config: what to keep, and what to do with a better rig.
            use_rig: takes a better rig, in any thread.
            rig_file: what the node was started with, which is never replaced; None: camera_info and TF.
        """
        self._config, self._use_rig, self._logger = config, use_rig, node.get_logger()
        self._out = _beside(Path(config.out).expanduser(), rig_file)
        self._watch = CalibrationWatch(config)
        self._service: LateService | None = None
        trigger = trigger_class(self._logger, '~/calibrate', 'record a bag for geo_pose calibrate')
        if trigger is not None:
            self._service = LateService(node, '~/calibrate', trigger, self._begin)

    def add(self, result: PipelineResult, rig: CameraRig) -> None:
        """Take in a set, whose bodies were made with ``rig``; cheap."""
        self._watch.add(rig, result.scene)

    def _begin(self, answer: Callable[[bool, str], None]) -> None:
        """Refine, and say later what was found."""
        if self._watch.busy:
            answer(False, 'a calibration is running already; its caller gets the result. Ask again when it is done.')
            return
        self._logger.info('calibrating from what the cameras saw of people lately ...')
        self._watch.refine_in_background().add_done_callback(partial(self._end, answer))

    def _end(self, answer: Callable[[bool, str], None], done: Future[Proposal]) -> None:
        success, message = self._result_of(done)
        if success:
            self._logger.info(message)
        else:
            self._logger.warning(message)
        answer(success, message)

    def _result_of(self, done: Future[Proposal]) -> tuple[bool, str]:
        """Return whether there is a better rig, which is written and perhaps used, and what was found in words."""
        error = done.exception()
        if error is not None:
            return False, f'calibration failed: {type(error).__name__}: {error}'
        # Loaded when used: what calibration needs of SciPy doubles a node's memory.
        from ...calibration.report import summary_lines

        proposal = done.result()
        found = [] if proposal.found is None else summary_lines(proposal.found)
        if proposal.rig is None:
            return False, '\n'.join([f'no better rig: {proposal.refusal}', *found])
        out = self._out
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            write_calibration(out, proposal.rig, overwrite=True)
        except OSError as problem:
            return False, f"'{out.parent}' cannot be made: {problem}. Set calibration.out to another place."
        except CalibrationError as problem:
            return False, f'{problem} Set calibration.out to another place.'
        if self._config.apply == 'apply':
            self._use_rig(proposal.rig)
        what = 'in use, and written to' if self._config.apply == 'apply' else 'written to'
        return True, '\n'.join([f'a better rig is {what} {out}', *found])

    def close(self) -> None:
        """Stop what is running, which is answered, and offer the service no longer."""
        if self._service is not None:
            self._service.stop()
        self._watch.close()
        if self._service is not None:
            self._service.close()
