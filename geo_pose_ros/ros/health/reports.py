"""What the node says of itself: /diagnostics, and faults on the console."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from time import monotonic_ns
from typing import Any

from ...messages.diagnostics import DIAGNOSTIC_ARRAY, Level, Status, diagnostics_to_message
from ..io.message_factory import RclpyFactory, message_class
from ..io.qos import profile
from ..nodes.settings import NodeConfig
from .diagnostics import (
    CameraInput,
    SyncCounts,
    camera_faults,
    camera_values,
    pipeline_faults,
    pipeline_values,
    rig_faults,
    rig_values,
    to_status,
    unused_fault,
)
from .faults import Fault, FaultLog
from .statistics import NodeStatistics

# Whether frames of a camera are used is judged over so long.
_LOOK_BACK_NS = 2_000_000_000


class Reports:
    """Publishes /diagnostics and keeps the console's faults."""

    def __init__(self, node: Any, config: NodeConfig, statistics: NodeStatistics) -> None:
        """Create the publisher."""
        self._node, self._config, self._statistics = node, config, statistics
        self._make = RclpyFactory()
        self._faults = FaultLog(node.get_logger())
        self._active_ns: int | None = None
        self._counts: deque[tuple[int, SyncCounts]] = deque()
        self._publisher = node.create_publisher(
            message_class(DIAGNOSTIC_ARRAY), '/diagnostics', profile(10)
        )

    def apply(self, config: NodeConfig) -> None:
        """Judge by other settings from now on."""
        self._config = config

    def activated(self) -> None:
        """Begin to judge; what has not come within ``stale_after_s`` from now is a fault."""
        self._active_ns = monotonic_ns()
        self._counts.clear()

    def deactivated(self) -> None:
        """Stop to judge."""
        self._active_ns = None
        self._faults = FaultLog(self._node.get_logger())

    def publish(
        self, read_counts: Callable[[], SyncCounts], cameras: Mapping[str, CameraInput], problems: Mapping[str, str]
    ) -> None:
        """Publish how things are, and log what began or is over.

        Args:
            read_counts: returns the synchroniser's counters.
            cameras: by name.
            problems: why cameras are not calibrated, by name.
        """
        if self._active_ns is None:
            self._send([Status('pipeline', Level.OK, 'not active', {})])
            return
        now_ns, counts = monotonic_ns(), read_counts()
        statistics, config = self._statistics, self._config
        pipeline = pipeline_faults(statistics, counts, config, now_ns)
        rig = rig_faults(statistics, problems, now_ns)
        of_cameras = {
            name: camera_faults(name, known, statistics, counts, config, now_ns) for name, known in cameras.items()
        }
        before = self._look_back(counts, now_ns)
        for name, faults in of_cameras.items():
            unused = unused_fault(name, before, counts)
            # What is known to be wrong with it says more.
            if unused is not None and not faults:
                faults.append(unused)
        fine = f'{statistics.rate_hz(now_ns):.1f} sets/s, latency {statistics.latency_ms().get("p50", 0.0):.0f} ms'
        self._send([
            to_status('pipeline', pipeline, pipeline_values(statistics, counts, now_ns), fine),
            to_status('rig', rig, rig_values(statistics)),
            *(
                to_status(f'camera {name}', of_cameras[name], camera_values(name, known, statistics, counts, now_ns))
                for name, known in cameras.items()
            ),
        ])
        everything: list[Fault] = [*rig, *(fault for faults in of_cameras.values() for fault in faults), *pipeline]
        if now_ns - self._active_ns > config.stale_after_s * 1e9:
            self._faults.update(everything, now_ns)

    def _look_back(self, counts: SyncCounts, now_ns: int) -> SyncCounts:
        """Remember ``counts`` and return those of about two seconds ago, or the oldest there are."""
        self._counts.append((now_ns, counts))
        while len(self._counts) > 1 and now_ns - self._counts[1][0] >= _LOOK_BACK_NS:
            self._counts.popleft()
        return self._counts[0][1]

    def _send(self, statuses: list[Status]) -> None:
        stamp_ns = self._node.get_clock().now().nanoseconds
        self._publisher.publish(diagnostics_to_message(self._make, self._node.get_name(), statuses, stamp_ns))

    def close(self) -> None:
        """Destroy the publisher."""
        self._node.destroy_publisher(self._publisher)
