# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""The node of a command in a terminal."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions

from ..io.middleware import large_data_environment


@contextmanager
def standalone_node(name: str, *, sends_images: bool = False) -> Iterator[Node]:
    """Give a node to a block of code, and end rclpy behind it; signals are the program's own.

    Args:
        name: of the node.
        sends_images: give this process the shared memory that images go through: it belongs to their sender.
    """
    if sends_images:
        os.environ.update(large_data_environment(os.environ))
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node(name)
    try:
        yield node
    finally:
        node.destroy_node()
        rclpy.try_shutdown()


def stop_at_signals() -> threading.Event:
    """Return an event that Ctrl-C and SIGTERM set from now on: they end a command in good order."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


@contextmanager
def spinning(node: Node) -> Iterator[None]:
    """Let a thread take what comes to ``node`` during a block of code; raise behind it what ended that thread."""
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    with ThreadPoolExecutor(1, 'executor') as threads:
        spun = threads.submit(executor.spin)
        try:
            yield
        finally:
            executor.shutdown()
    spun.result()
