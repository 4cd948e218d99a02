"""Names to addresses in bounded time.

The system's resolver cannot be interrupted, so it is asked in a thread that nobody waits for: whoever asks waits as
long as he likes. One thread a name: while it hangs, everybody who asks for that name waits for the same answer.
"""
from __future__ import annotations

import asyncio
import socket
import threading
from concurrent.futures import Future
from typing import Any

Addresses = list[tuple[Any, ...]]

_lock = threading.Lock()
_under_way: dict[tuple[Any, ...], Future[Addresses]] = {}


def look_up(host: Any, port: Any, *, family: int = 0, type: int = socket.SOCK_STREAM, proto: int = 0,
            flags: int = 0) -> Future[Addresses]:
    """`socket.getaddrinfo` that does not block."""
    key = (host, port, family, type, proto, flags)
    with _lock:
        if key in _under_way:
            return _under_way[key]
        answer = _under_way[key] = Future()
    answer.set_running_or_notify_cancel()       # who does not want to wait any more cancels nobody else's
    threading.Thread(target=_ask, args=(key, answer), name="orderflow-resolver", daemon=True).start()
    return answer


def _ask(key: tuple[Any, ...], answer: Future[Addresses]) -> None:
    try:
        found = socket.getaddrinfo(*key)
    except Exception as error:                  # carried to whoever asked
        found, failure = [], error
    else:
        failure = None
    with _lock:
        del _under_way[key]
    if failure is None:
        answer.set_result(found)
    else:
        answer.set_exception(failure)


class EventLoop(asyncio.SelectorEventLoop):
    """An event loop whose resolver neither fills up the default executor nor keeps it from ending."""

    async def getaddrinfo(self, host: Any, port: Any, *, family: int = 0, type: int = 0, proto: int = 0,
                          flags: int = 0) -> Addresses:
        """As asyncio's; may be cancelled at any time."""
        return await asyncio.wrap_future(look_up(host, port, family=family, type=type, proto=proto, flags=flags))
