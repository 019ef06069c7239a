"""`geo_pose monitor`: what a running pose_node says of itself, as one live table; for people on ssh."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TextIO

import rclpy
from rclpy.signals import SignalHandlerOptions

from ..io.message_factory import message_class
from ..io.qos import profile

_DIAGNOSTICS = 'diagnostic_msgs/msg/DiagnosticArray'
_LEVELS = ('ok', 'WARN', 'ERROR', 'stale')
# ANSI colours of the levels.
_COLOURS = ('\033[32m', '\033[33m', '\033[31m', '\033[31m')
_RESET, _HOME, _CLEAR_LINE, _CLEAR_BELOW = '\033[0m', '\033[H', '\033[K', '\033[J'
# A node that reported nothing for so long is said to be silent.
_SILENT_S = 5.0


@dataclass(frozen=True, slots=True)
class Reported:
    """One diagnostic status: level, message and values, and when it came (monotonic s)."""

    level: int
    message: str
    values: Mapping[str, str]
    at_s: float


@dataclass(slots=True)
class Board:
    """The last statuses of one node, by name without the node's."""

    node: str
    statuses: dict[str, Reported] = field(default_factory=dict)

    def take(self, message: Any, now_s: float) -> None:
        """Take a DiagnosticArray; statuses of other nodes are left out, those that the node no longer has are gone."""
        statuses: dict[str, Reported] = {}
        for status in message.status:
            node, _, name = status.name.partition(': ')
            if node == self.node:
                level = status.level if isinstance(status.level, int) else status.level[0]
                values = {pair.key: pair.value for pair in status.values}
                statuses[name] = Reported(int(level), status.message, values, now_s)
        self.statuses = statuses or self.statuses

    @property
    def worst(self) -> int:
        """The worst level: 0 ok, 1 warning, 2 error; 2 if nothing came."""
        return max((status.level for status in self.statuses.values()), default=2)

    def lines(self, now_s: float, width: int, *, colour: bool) -> list[str]:
        """Return the table as lines of at most ``width`` characters."""
        pipeline = self.statuses.get('pipeline')
        newest_s = max((status.at_s for status in self.statuses.values()), default=None)
        if pipeline is None or newest_s is None:
            return [f'{self.node}: nothing on /diagnostics yet. Does it run, with the same ROS_DOMAIN_ID?'[:width]]
        values = pipeline.values
        silent = now_s - newest_s > _SILENT_S
        head = f'{self.node}: {_value(values, "rate_hz")} sets/s   latency {_value(values, "latency_ms p50")} ms, ' \
               f'p95 {_value(values, "latency_ms p95")} ms   people {_value(values, "bodies")}   ' \
               f'sets {_value(values, "sets_published")}'
        if silent:
            head = f'{self.node}: silent for {now_s - newest_s:.0f} s. {head}'
        columns = f'{"camera":<16}{"state":<8}{"rate/s":>8}{"age s":>8}{"clock ms":>10}{"px":>7}  what'
        lines = [head[:width], '', columns[:width]]
        rig = self.statuses.get('rig')
        for name, status in sorted(self.statuses.items()):
            if not name.startswith('camera '):
                continue
            camera = name.removeprefix('camera ')
            px = rig.values.get(f'reprojection_px {camera}', '-') if rig is not None else '-'
            state = f'{_LEVELS[min(status.level, 3)]:<8}'
            row = f'{camera:<16}{state}{_value(status.values, "rate_hz"):>8}{_value(status.values, "age_s"):>8}' \
                  f'{_value(status.values, "clock_error_ms"):>10}{px:>7}  {status.message}'[:width]
            lines.append(row.replace(state, f'{_COLOURS[min(status.level, 3)]}{state}{_RESET}', 1) if colour else row)
        lines.append('')
        for name in ('pipeline', 'rig', *sorted(set(self.statuses) - {'pipeline', 'rig'})):
            one = self.statuses.get(name)
            if one is not None and one.level and not name.startswith('camera '):
                lines.append(f'{name}: {_LEVELS[min(one.level, 3)]}: {one.message}'[:width])
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


def register(subparsers: Any) -> None:
    """Add `geo_pose monitor` to the command line."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        'monitor', help='a live table of a running node', description=__doc__
    )
    parser.add_argument('--node', default='pose_node', help='its name [default: pose_node]')
    parser.add_argument('--period', type=float, default=1.0, metavar='S', help='time between two tables [default: 1]')
    parser.add_argument('--once', action='store_true',
                        help='one table, then end: status 0 if all is well, 1 after a warning, 2 after an error')
    parser.add_argument('--wait', type=float, default=10.0, metavar='S', help='with --once: wait up to so long')
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node('geo_pose_monitor')
    board = Board(arguments.node.strip('/'))
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    subscription = node.create_subscription(
        message_class(_DIAGNOSTICS), '/diagnostics', lambda message: board.take(message, time.monotonic()), profile(20)
    )
    ends_s = time.monotonic() + arguments.wait
    due_s = 0.0
    try:
        if sys.stdout.isatty() and not arguments.once:
            sys.stdout.write('\033[2J')
        while not stop.is_set():
            rclpy.spin_once(node, timeout_sec=0.1)
            now_s = time.monotonic()
            if arguments.once and ('pipeline' in board.statuses or now_s > ends_s):
                show(board, sys.stdout, now_s)
                return board.worst
            if not arguments.once and now_s >= due_s:
                due_s = now_s + arguments.period
                show(board, sys.stdout, now_s)
    finally:
        node.destroy_subscription(subscription)
        node.destroy_node()
        rclpy.try_shutdown()
    return 0
