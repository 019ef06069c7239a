"""diagnostic_msgs/DiagnosticArray from plain statuses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from .factory import MessageFactory
from .stamps import to_header


class Level(IntEnum):
    """diagnostic_msgs/DiagnosticStatus levels."""

    OK = 0
    WARN = 1
    ERROR = 2


@dataclass(frozen=True, slots=True)
class Status:
    """One diagnostic_msgs/DiagnosticStatus."""

    name: str
    level: Level
    message: str
    values: Mapping[str, str]


def diagnostics_to_message(make: MessageFactory, node_name: str, statuses: Sequence[Status], stamp_ns: int) -> Any:
    """Return diagnostic_msgs/DiagnosticArray; each status is named '<node>: <name>'."""
    return make(
        'diagnostic_msgs/msg/DiagnosticArray', header=to_header(make, stamp_ns, ''),
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
