"""diagnostic_msgs/DiagnosticArray <-> plain statuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum

from .factory import Message, MessageFactory
from .stamps import to_header

DIAGNOSTIC_ARRAY = 'diagnostic_msgs/msg/DiagnosticArray'


class Level(IntEnum):
    """diagnostic_msgs/DiagnosticStatus levels."""

    OK = 0
    WARN = 1
    ERROR = 2
    STALE = 3


@dataclass(frozen=True, slots=True)
class Status:
    """One diagnostic_msgs/DiagnosticStatus; ``name`` is without the node's."""

    name: str
    level: Level
    message: str
    values: Mapping[str, str]


def diagnostics_to_message(make: MessageFactory, node_name: str, statuses: Sequence[Status], stamp_ns: int) -> Message:
    """Return diagnostic_msgs/DiagnosticArray; each status is named '<node>: <name>'."""
    return make(
        DIAGNOSTIC_ARRAY, header=to_header(make, stamp_ns, ''),
        status=[
            make(
                'diagnostic_msgs/msg/DiagnosticStatus', level=bytes([status.level]), hardware_id=node_name,
                name=f'{node_name}: {status.name}', message=status.message,
                values=[
                    make('diagnostic_msgs/msg/KeyValue', key=key, value=value) for key, value in status.values.items()
                ],
            )
            for status in statuses
        ],
    )


def diagnostics_from_message(message: Message, node_name: str = '') -> list[Status]:
    """Return the statuses of a DiagnosticArray: those of one node, or of all nodes ('')."""
    statuses = []
    for status in message.status:
        name = str(status.name)
        if node_name and not name.startswith(f'{node_name}: '):
            continue
        # rclpy gives a ROS byte as bytes, rosbags as int.
        level = status.level if isinstance(status.level, int) else status.level[0]
        values = {str(pair.key): str(pair.value) for pair in status.values}
        statuses.append(Status(name.split(': ', 1)[-1], Level(min(level, Level.STALE)), str(status.message), values))
    return statuses
