# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""diagnostic_msgs/DiagnosticArray <-> plain statuses."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import IntEnum

from ..findings import Finding, Severity, Verdict
from .factory import Message, MessageFactory
from .stamps import to_header

DIAGNOSTIC_ARRAY = 'diagnostic_msgs/msg/DiagnosticArray'
# Name of the status that holds the verdict, and of its values.
VERDICT = 'verdict'
_HEADLINE, _FINDING = 'headline', 'finding '


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


def diagnostics_to_message(
    make: MessageFactory, node_name: str, statuses: Sequence[Status], stamp_ns: int, hardware_id: str = ''
) -> Message:
    """Return diagnostic_msgs/DiagnosticArray; each status is named '<node>: <name>'.

    Args:
        node_name: the full name of the node, without the first slash.
        hardware_id: of what the statuses are; '': ``node_name``.
    """
    return make(
        DIAGNOSTIC_ARRAY, header=to_header(make, stamp_ns, ''),
        status=[
            make(
                'diagnostic_msgs/msg/DiagnosticStatus', level=bytes([status.level]), message=status.message,
                name=f'{node_name}: {status.name}', hardware_id=hardware_id or node_name,
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
        if node_name and not name.startswith(f'{node_name.lstrip("/")}: '):
            continue
        # rclpy gives a ROS byte as bytes, rosbags as int.
        level = status.level if isinstance(status.level, int) else status.level[0]
        values = {str(pair.key): str(pair.value) for pair in status.values}
        statuses.append(Status(name.split(': ', 1)[-1], Level(min(level, Level.STALE)), str(status.message), values))
    return statuses


def verdict_to_status(verdict: Verdict) -> Status:
    """Return a verdict as one status: the worst finding is its message, each finding a value in JSON."""
    findings = {
        f'{_FINDING}{number}': json.dumps(asdict(finding), ensure_ascii=False)
        for number, finding in enumerate(verdict.findings, start=1)
    }
    message = verdict.findings[0].in_words if verdict.severity else verdict.headline
    return Status(VERDICT, Level(verdict.severity), message, {_HEADLINE: verdict.headline, **findings})


def verdict_from_statuses(statuses: Iterable[Status]) -> Verdict | None:
    """Return the verdict among the statuses of one node; None where there is none. A damaged finding is left out."""
    for status in statuses:
        if status.name == VERDICT:
            said = (value for key, value in status.values.items() if key.startswith(_FINDING))
            findings = tuple(found for found in map(_finding_from_json, said) if found is not None)
            return Verdict(status.values.get(_HEADLINE, status.message), findings)
    return None


def _finding_from_json(text: str) -> Finding | None:
    try:
        fields = json.loads(text)
        severity = Severity(fields.pop('severity'))
        return Finding(severity, **{str(name): str(value) for name, value in fields.items()})
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
