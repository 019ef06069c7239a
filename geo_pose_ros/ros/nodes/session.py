# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""What a node holds between configure and cleanup: cameras, a worker, and how it is."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from time import monotonic_ns
from typing import Generic, TypeVar

from rclpy.lifecycle import LifecycleNode

from ...arrays import NS_PER_S
from ...findings import Finding, Severity, Verdict
from ..health.diagnostics import blame_few, camera_part
from ..health.faults import HealthLog, Part
from ..health.statistics import NodeStatistics
from ..io.clocks import ClockWatch, steady_timer
from ..io.qos import profile
from ..io.topics import InputTopics
from ..settings import CameraNodeConfig
from .inputs import CameraInput, PolledInputs
from .worker import NewestWorker

Config = TypeVar('Config', bound=CameraNodeConfig)
Work = TypeVar('Work', covariant=True)


class CameraSession(Generic[Config, Work]):
    """What both nodes do alike: poll cameras, feed a worker, say how they are. Transitions may come from any thread.

    Attributes:
        STATUS: name of the status of an inactive node.
    """

    STATUS: str

    def __init__(self, node: LifecycleNode, config: Config, on_crash: Callable[[BaseException], None]) -> None:
        """Load the models and create the outputs; ``on_crash`` gets what ended a thread.

        Raises:
            GeoPoseError: if the set-up cannot work.
        """
        self._node, self._config, self._on_crash = node, config, on_crash
        self._logger = node.get_logger()
        # The timer comes from the executor's thread.
        self._lock = threading.RLock()
        self._closed = False
        # None while inactive.
        self._polled: PolledInputs | None = None
        self._inputs: dict[str, CameraInput] = {}
        self._statistics = NodeStatistics()
        self._clock = ClockWatch(node)
        self._qos = profile(config.queue_depth, reliable=config.reliability == 'reliable')
        self._worker: NewestWorker[Work]
        with ExitStack() as made:
            self._make(made)
            self._health = HealthLog(node, self.STATUS, config.hardware_id)
            made.callback(self._health.close)
            made.callback(node.destroy_timer, steady_timer(node, config.diagnostics_period_s, self._tick))
            self._made = made.pop_all()

    def _make(self, made: ExitStack) -> None:
        """Make the parts, the worker among them; ``made`` undoes them, the last one first."""
        raise NotImplementedError

    def _subscribe(self) -> None:
        """Subscribe to more than the cameras, before the worker starts."""
        raise NotImplementedError

    def _unsubscribe(self) -> None:
        """Undo ``_subscribe``, after the worker has stopped."""
        raise NotImplementedError

    def _parts(self, now_ns: int) -> Sequence[Part]:
        """Return how the node is (``now_ns``: a monotonic clock)."""
        raise NotImplementedError

    def _verdict(self, noted: Sequence[Finding]) -> Verdict:
        """Return the verdict of now; ``noted``: what is wrong with the parts."""
        return Verdict('ok', tuple(sorted(noted, key=lambda fault: -fault.severity)))

    def _describe(self) -> str:
        """Return what the log says of the settings when the node gets active."""
        raise NotImplementedError

    def _totals(self) -> str:
        """Return what the log says at the end of what was done."""
        raise NotImplementedError

    def prepare(self, config: Config) -> None:
        """Make ready what ``apply`` needs; raise GeoPoseError if ``config`` cannot be taken over."""

    def apply(self, config: Config) -> None:
        """Take over the settings that are live."""
        self._config = config

    def activate(self) -> None:
        """Subscribe and process."""
        with self._lock:
            self._polled = PolledInputs(self._node, self._on_crash)
            for camera in self._inputs.values():
                camera.subscribe(self._polled)
            self._subscribe()
            self._worker.start()
            self._health.activated()
            self._polled.start()
        self._logger.info(f'active: {len(self._inputs)} cameras ({", ".join(self._inputs)}), {self._describe()}')

    def deactivate(self) -> None:
        """Stop processing and unsubscribe; nothing if it is not active."""
        with self._lock:
            if self._polled is None:
                return
            self._polled.close()
            self._polled = None
            self._health.deactivated()
            self._worker.stop()
            self._unsubscribe()
        self._logger.info(self._totals())

    def close(self) -> None:
        """Free everything; it is not active."""
        with self._lock:
            self._closed = True
            self._made.close()

    def _add_input(self, name: str, topics: InputTopics) -> None:
        """Begin to count what camera ``name`` sends; subscribe to it if the node is active."""
        self._statistics.add(name)
        self._inputs[name] = CameraInput(self._node, name, topics, self._qos, self._statistics, self._worker.add)
        if self._polled is not None:
            self._inputs[name].subscribe(self._polled)

    def _camera_part(self, name: str, is_away: bool, now_ns: int, more_notes: Mapping[str, str] | None = None) -> Part:
        """Return how camera ``name`` is; ``more_notes``: what else is wrong with it, by kind."""
        camera = self._inputs[name]
        notes = camera.notes(is_away) | dict(more_notes or {})
        return camera_part(name, camera.topics.frames, notes, self._statistics, self._config.stale_after_s, now_ns)

    def _with_rivals(self, part: Part, topic: str, remedy: str) -> Part:
        """Return ``part``, at fault if others publish ``topic`` too, which is the node's alone; with the ``remedy``."""
        others = self._node.count_publishers(topic) - 1
        if others <= 0:
            return part
        rivals = Finding(Severity.ERROR, f"{others} more publish '{topic}'", remedy, part.name, 'twice')
        return replace(part, faults=(*part.faults, rivals))

    def _tick(self) -> None:
        with self._lock:
            if not self._closed:
                now_ns, stale_ns = monotonic_ns(), self._config.stale_after_s * NS_PER_S
                late_share = self._polled.late_share(now_ns) if self._polled is not None else 0.0
                parts = blame_few(self._parts(now_ns), late_share)
                # Before cameras are silent: what is simulated sends nothing while simulated time stands.
                fault = self._clock.fault(parts[0].name, now_ns, 0.75 * stale_ns)
                if self._clock.stood_ns is not None and now_ns - self._clock.stood_ns < stale_ns:
                    parts = [part.without('silent', 'busy') for part in parts]
                if fault is not None:
                    parts[0] = replace(parts[0], faults=(fault, *parts[0].faults))
                verdict = self._verdict([fault for part in parts for fault in part.faults])
                self._health.publish(parts, verdict, self._config.stale_after_s)
