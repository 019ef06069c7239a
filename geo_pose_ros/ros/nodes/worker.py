# Copyright 2026 geo_pose_ros maintainers. SPDX-License-Identifier: Apache-2.0
"""One thread that takes the newest frames, so that neither the executor nor the topics wait for a detector."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from time import monotonic_ns
from typing import Generic, Protocol, TypeVar

Work = TypeVar('Work')
WorkOut = TypeVar('WorkOut', covariant=True)
R = TypeVar('R')


class FrameQueue(Protocol[WorkOut]):
    """Takes in frames, and hands out what is worth working on now: FrameSynchronizer's sets, or NewestFrames."""

    @property
    def is_ready(self) -> bool:
        """Whether there is work."""

    def add(self, camera: str, stamp_ns: int, payload: bytes, now_ns: int, lag_ns: int = 0) -> None:
        """Add a frame at ``now_ns``, monotonic, ``lag_ns`` after it arrived."""

    def take(self, now_ns: int) -> WorkOut | None:
        """Return the next work; None if there is none."""

    def next_deadline_ns(self) -> int | None:
        """Return when there will be work without further frames; None: never."""

    def clear(self) -> None:
        """Drop what is pending."""


class NewestFrames:
    """The newest frame of each camera that has not been taken yet.

    Args:
        on_drop: gets the name of a camera whose frame was not taken before the next one came.
    """

    def __init__(self, on_drop: Callable[[str], None]) -> None:
        """Start empty."""
        self._on_drop = on_drop
        self._waiting: dict[str, bytes] = {}

    @property
    def is_ready(self) -> bool:
        """Whether there is a frame."""
        return bool(self._waiting)

    def add(self, camera: str, stamp_ns: int, payload: bytes, now_ns: int, lag_ns: int = 0) -> None:
        """Replace the frame of ``camera``."""
        if camera in self._waiting:
            self._on_drop(camera)
        self._waiting[camera] = payload

    def take(self, now_ns: int) -> Mapping[str, bytes] | None:
        """Return the frames by camera; None if there is none."""
        taken, self._waiting = self._waiting, {}
        return taken or None

    def next_deadline_ns(self) -> int | None:
        """Return None: only a frame makes work."""
        return None

    def clear(self) -> None:
        """Drop what is pending."""
        self._waiting.clear()


class NewestWorker(Generic[Work]):
    """Feeds a queue from any thread, and calls ``process`` with its work from one thread."""

    def __init__(
        self, queue: FrameQueue[Work], process: Callable[[Work], None], on_crash: Callable[[BaseException], None]
    ) -> None:
        """Prepare; ``start`` starts the thread.

        Args:
            queue: owned by the worker from now on; it decides what is passed over while ``process`` is at work.
            process: may take as long as it needs.
            on_crash: gets whatever ``process`` raises; the thread has ended then.
        """
        self._queue, self._process, self._on_crash = queue, process, on_crash
        self._condition = threading.Condition()
        self._running = False
        self._waits_for_deadline = False
        self._thread: threading.Thread | None = None

    def add(self, camera: str, stamp_ns: int, payload: bytes, lag_ns: int = 0) -> None:
        """Add a frame that arrived ``lag_ns`` ago."""
        with self._condition:
            self._queue.add(camera, stamp_ns, payload, monotonic_ns(), lag_ns)
            if self._queue.is_ready or not self._waits_for_deadline:
                self._condition.notify()

    def locked(self, action: Callable[[], R]) -> R:
        """Return what ``action`` returns, while no other thread touches the queue."""
        with self._condition:
            return action()

    def start(self) -> None:
        """Start the thread."""
        self._running = True
        self._thread = threading.Thread(target=self._run, name='worker', daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop after the work in progress; what is pending is dropped."""
        self._halt()
        with self._condition:
            self._queue.clear()

    def between_works(self, change: Callable[[], None]) -> None:
        """Call ``change`` after the work in progress and before the next; frames are taken in meanwhile."""
        runs = self._running
        self._halt()
        try:
            change()
        finally:
            if runs:
                self.start()

    def _halt(self) -> None:
        with self._condition:
            self._running = False
            self._condition.notify()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        while (work := self._next()) is not None:
            try:
                self._process(work)
            except BaseException as error:  # noqa: BLE001 - handed on, the thread ends
                self._on_crash(error)
                return

    def _next(self) -> Work | None:
        with self._condition:
            while self._running:
                now_ns = monotonic_ns()
                work = self._queue.take(now_ns)
                if work is not None:
                    return work
                deadline_ns = self._queue.next_deadline_ns()
                self._waits_for_deadline = deadline_ns is not None
                self._condition.wait(None if deadline_ns is None else max(deadline_ns - now_ns, 0) / 1e9)
            return None
