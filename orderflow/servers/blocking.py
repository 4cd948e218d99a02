"""Calls that block, in threads that nobody has to wait for.

A call may hang in what cannot be interrupted (the system's resolver, under httpx). So threads belong to a key, the
exchange or host that is talked to: whatever hangs takes nothing from the others, and does not keep a process from
ending.
"""
from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Hashable


class BlockingCalls:
    """Runs calls in the order in which they came, at most `most` of one key at once. Any thread."""

    def __init__(self, most: int):
        self._most = most
        self._waiting: dict[Hashable, deque[Callable[[], None]]] = {}
        self._running: Counter[Hashable] = Counter()
        self._stopped = False
        self._changed = threading.Condition()

    def submit(self, key: Hashable, call: Callable[[], None]) -> None:
        """Run `call` as soon as one of the threads of `key` is free; never, once stopped. It must not raise."""
        with self._changed:
            if self._stopped:
                return
            self._waiting.setdefault(key, deque()).append(call)
            if self._running[key] >= self._most:
                return
            self._running[key] += 1
        threading.Thread(target=self._run, args=(key,), name=f"orderflow-blocking-{key}", daemon=True).start()

    def _run(self, key: Hashable) -> None:
        while True:
            with self._changed:
                waiting = self._waiting.get(key)
                if not waiting:
                    self._waiting.pop(key, None)
                    self._running[key] -= 1
                    self._changed.notify_all()
                    return
                call = waiting.popleft()
            try:
                call()
            except BaseException:
                with self._changed:
                    self._running[key] -= 1
                raise

    def stop(self, timeout: float) -> bool:
        """Begin no other call, and wait so long for those that run; whether all have ended."""
        deadline = time.monotonic() + timeout
        with self._changed:
            self._stopped = True
            self._waiting.clear()
            while (left := deadline - time.monotonic()) > 0 and self._running.total():
                self._changed.wait(left)
            return not self._running.total()
