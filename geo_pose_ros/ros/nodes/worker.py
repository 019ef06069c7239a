"""One thread that processes the newest frame set, so that the executor never waits for a detector."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic_ns
from typing import Generic, TypeVar

from ...scene.sync import FrameSynchronizer, StampedSet

T = TypeVar('T')
R = TypeVar('R')


class SetWorker(Generic[T]):
    """Feeds a synchroniser from any thread and calls ``process`` with its newest set from one thread."""

    def __init__(
        self,
        synchronizer: FrameSynchronizer[T],
        process: Callable[[StampedSet[T]], None],
        on_crash: Callable[[BaseException], None],
    ) -> None:
        """Prepare; ``start`` starts the thread.

        Args:
            synchronizer: owned by the worker from now on.
            process: may take as long as it needs; sets that get ready meanwhile supersede each other.
            on_crash: gets whatever ``process`` raises; the thread has ended then.
        """
        self._synchronizer = synchronizer
        self._process, self._on_crash = process, on_crash
        self._condition = threading.Condition()
        self._running = False
        self._waits_for_deadline = False
        self._thread: threading.Thread | None = None

    def add(self, camera: str, stamp_ns: int, payload: T) -> None:
        """Add a frame that has just arrived."""
        with self._condition:
            self._synchronizer.add(camera, stamp_ns, payload, monotonic_ns())
            if self._synchronizer.is_ready or not self._waits_for_deadline:
                self._condition.notify()

    def read(self, look: Callable[[FrameSynchronizer[T]], R]) -> R:
        """Return what ``look`` makes of the synchroniser, locked."""
        with self._condition:
            return look(self._synchronizer)

    def start(self) -> None:
        """Start the thread."""
        self._running = True
        self._thread = threading.Thread(target=self._run, name='pose worker', daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop after the set in work; what is pending is dropped and counted."""
        self._halt()
        with self._condition:
            self._synchronizer.clear()

    def between_sets(self, change: Callable[[], None]) -> None:
        """Call ``change`` after the set in work and before the next; frames are taken in meanwhile."""
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
        while (found := self._next()) is not None:
            try:
                self._process(found)
            except BaseException as error:  # noqa: BLE001 - handed on, the thread ends
                self._on_crash(error)
                return

    def _next(self) -> StampedSet[T] | None:
        with self._condition:
            while self._running:
                now_ns = monotonic_ns()
                found = self._synchronizer.take(now_ns)
                if found is not None:
                    return found
                deadline_ns = self._synchronizer.next_deadline_ns()
                self._waits_for_deadline = deadline_ns is not None
                self._condition.wait(None if deadline_ns is None else max(deadline_ns - now_ns, 0) / 1e9)
            return None
