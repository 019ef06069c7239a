# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""`geo_pose monitor`: the state of a running pose_node as one live table."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TextIO

import rclpy

from ...findings import Severity, Verdict, as_lines
from ...messages.diagnostics import DIAGNOSTIC_ARRAY, Status, diagnostics_from_message, verdict_from_statuses
from ..io.message_factory import message_class
from ..io.qos import profile
from .standalone import standalone_node, stop_at_signals

_LEVELS = ('ok', 'WARN', 'ERROR', 'stale')
# ANSI colours of the levels.
_COLOURS = ('\033[32m', '\033[33m', '\033[31m', '\033[31m')
_RESET, _HOME, _CLEAR_LINE, _CLEAR_BELOW, _CLEAR_ALL = '\033[0m', '\033[H', '\033[K', '\033[J', '\033[2J'
# A node that reported nothing for so long is said to be silent.
_SILENT_S = 5.0


@dataclass(slots=True)
class Board:
    """The last statuses of one node, by name without the node's, and when they came (monotonic s)."""

    node: str
    statuses: Mapping[str, Status] = field(default_factory=dict)
    at_s: float = 0.0

    def take(self, message: Any, now_s: float) -> None:
        """Take a DiagnosticArray; statuses of other nodes are left out, those that the node no longer has are gone."""
        statuses = {status.name: status for status in diagnostics_from_message(message, self.node)}
        if statuses:
            self.statuses, self.at_s = statuses, now_s

    @property
    def verdict(self) -> Verdict | None:
        """What the node says of itself; None before it does."""
        return verdict_from_statuses(self.statuses.values())

    @property
    def worst(self) -> int:
        """The worst level: 0 ok, 1 warning, 2 error; 2 if nothing came."""
        return max((status.level for status in self.statuses.values()), default=2)

    def lines(self, now_s: float, width: int, *, colour: bool) -> list[str]:
        """Return the table as lines of at most ``width`` characters."""
        pipeline = self.statuses.get('pipeline')
        if pipeline is None:
            return [f'{self.node}: nothing on /diagnostics yet. Does it run, with the same ROS_DOMAIN_ID?'[:width]]
        values = pipeline.values
        head = f'{self.node}: {_value(values, "rate_hz")} sets/s   latency {_value(values, "latency_ms p50")} ms, ' \
               f'p95 {_value(values, "latency_ms p95")} ms   people {_value(values, "bodies")}   ' \
               f'sets {_value(values, "sets_published")}'
        if now_s - self.at_s > _SILENT_S:
            head = f'{self.node}: silent for {now_s - self.at_s:.0f} s. {head}'
        columns = f'{"camera":<16}{"state":<8}{"rate/s":>8}{"age s":>8}{"clock ms":>10}{"px":>7}  what'
        lines = [head[:width], '', columns[:width]]
        rig = self.statuses.get('rig')
        for name, status in sorted(self.statuses.items()):
            if not name.startswith('camera '):
                continue
            camera = name.removeprefix('camera ')
            px = rig.values.get(f'reprojection_px {camera}', '-') if rig is not None else '-'
            state = f'{_LEVELS[status.level]:<8}'
            row = f'{camera:<16}{state}{_value(status.values, "rate_hz"):>8}{_value(status.values, "age_s"):>8}' \
                  f'{_value(status.values, "clock_error_ms"):>10}{px:>7}  {status.message}'[:width]
            lines.append(row.replace(state, f'{_COLOURS[status.level]}{state}{_RESET}', 1) if colour else row)
        lines.append('')
        verdict = self.verdict
        if verdict is not None:
            lines += [line[:width] for line in (verdict.in_words, *as_lines(verdict.findings, least=Severity.WARNING))]
        stages = [f'{key.removeprefix("stage_ms ")} {value}' for key, value in values.items()
                  if key.startswith('stage_ms ')]
        if stages:
            lines.append(f'ms per stage: {", ".join(stages)}'[:width])
        return lines


def _value(values: Mapping[str, str], key: str) -> str:
    return values.get(key) or '-'


def show(board: Board, out: TextIO, now_s: float) -> None:
    """Write the table, on a terminal over the last one."""
    on_terminal = out.isatty()
    width = shutil.get_terminal_size((120, 40)).columns
    lines = board.lines(now_s, width, colour=on_terminal)
    if on_terminal:
        out.write(_HOME + ''.join(f'{line}{_CLEAR_LINE}\n' for line in lines) + _CLEAR_BELOW)
    else:
        out.write('\n'.join(lines) + '\n\n')
    out.flush()


def monitor(target: str, out: TextIO, *, period_s: float = 1.0, once_within_s: float | None = None) -> int:
    """Write the table of the node ``target`` again and again until Ctrl-C, and return 0.

    Args:
        target: name of the node, 'pose_node'.
        out: where to; on a terminal each table replaces the last one.
        period_s: time between two tables.
        once_within_s: write one table, as soon as the node reports or after so long, and return its worst level.
    """
    board = Board(target.strip('/'))
    stop = stop_at_signals()
    with standalone_node('geo_pose_monitor') as node:
        node.create_subscription(
            message_class(DIAGNOSTIC_ARRAY), '/diagnostics', lambda message: board.take(message, time.monotonic()),
            profile(20),
        )
        ends_s = time.monotonic() + (once_within_s or 0.0)
        due_s = 0.0
        if out.isatty() and once_within_s is None:
            out.write(_CLEAR_ALL)
        while not stop.is_set():
            rclpy.spin_once(node, timeout_sec=0.1)
            now_s = time.monotonic()
            if once_within_s is not None and ('pipeline' in board.statuses or now_s > ends_s):
                show(board, out, now_s)
                return board.worst
            if once_within_s is None and now_s >= due_s:
                due_s = now_s + period_s
                show(board, out, now_s)
    return 0
