"""Reaching a running engine from another process: the two sockets in its directory, from the side of whoever asks.

`kill.sock` takes one datagram of a fixed size, which the engine's kill thread answers natively. `control.sock` takes
one line of JSON and answers with one. Both files are mode 0600: only the engine's user gets through.

A socket's path may be 107 bytes long and directories are longer, so both ends go through a descriptor of the directory.
"""
from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from orderflow._core.kill import REPLY_ENTRY, REPLY_HEAD, REQUEST, ExchangeAnswer, KillAnswer, KillScope

KILL_SOCKET, CONTROL_SOCKET = "kill.sock", "control.sock"
#: The kill thread answers within a second, whatever happens.
KILL_TIMEOUT_S = 3.0
#: Python answers the rest, and may be busy.
CONTROL_TIMEOUT_S = 10.0
#: The longest answer that is read.
MOST_BYTES = 4 << 20
MAGIC = b"OFKILL1\0"


class NothingRuns(ConnectionError):
    """No engine can be reached in that directory; the message says why and what to do."""


class Refused(Exception):
    """The engine answered that it will not, and why."""


@dataclass(frozen=True, slots=True)
class Killed:
    """What became of a kill.

    Attributes
    ----------
    complete : bool
        Every exchange thread that it concerns has written its cancels or has no connection.
    took_ns : int
        From the request's arrival to the last cancel written; 0 = none was written.
    exchanges : dict of str -> (answer, cancels, left)
        Cancel requests written, and orders that could not be cancelled yet.
    """

    complete: bool
    took_ns: int
    exchanges: dict[str, tuple[ExchangeAnswer, int, int]]


@contextlib.contextmanager
def socket_path(directory: str | os.PathLike, name: str) -> Iterator[str]:
    """A short path of a socket in a directory; NothingRuns if there is no such directory."""
    try:
        descriptor = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise NothingRuns(f"{directory}: {error.strerror}; name the directory of a running engine") from None
    try:
        yield f"/proc/self/fd/{descriptor}/{name}"
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _connected(directory: str | os.PathLike, name: str, kind: socket.SocketKind, timeout: float
               ) -> Iterator[socket.socket]:
    with socket_path(directory, name) as path, socket.socket(socket.AF_UNIX, kind) as connection:
        connection.settimeout(timeout)
        if kind == socket.SOCK_DGRAM:
            connection.bind("")             # a name of the kernel's choice, for the answer
        try:
            connection.connect(path)
        except PermissionError:
            raise NothingRuns(f"{Path(directory) / name}: belongs to another user") from None
        except (FileNotFoundError, ConnectionRefusedError):
            raise NothingRuns(f"{directory}: no engine runs there (`orderflow run` prints its directory)") from None
        yield connection


def kill(directory: str | os.PathLike, exchange: str = "", strategy: str = "", timeout: float = KILL_TIMEOUT_S
         ) -> Killed:
    """Pull the kill switch of the engine that runs in a directory, and hear what became of it.

    Raises
    ------
    NothingRuns
        There is none.
    Refused
        It does not know the name, or is of another version.
    TimeoutError
        It does not answer: the request was delivered, its kill thread does not run.
    """
    scope = (KillScope.KILL_EXCHANGE if exchange else
             KillScope.KILL_STRATEGY if strategy else KillScope.KILL_EVERYTHING)
    name = (exchange or strategy).encode()
    if len(name) > 31:
        raise Refused(f"{exchange or strategy!r}: there is no such name")
    number = int.from_bytes(os.urandom(8), "little")
    with _connected(directory, KILL_SOCKET, socket.SOCK_DGRAM, timeout) as connection:
        connection.send(REQUEST.pack(MAGIC, scope, 0, name, number, 0))
        deadline = time.monotonic() + timeout
        while True:
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                reply = connection.recv(1 << 16)
            except TimeoutError:
                raise TimeoutError(f"{directory}: the kill was delivered and not answered within {timeout:g} s; the "
                                   "process may be stopped or dying: look at the exchanges") from None
            magic, answer, count, echoed, took_ns = REPLY_HEAD.unpack_from(reply)
            if magic == MAGIC and (echoed == number or answer == KillAnswer.KILL_NOT_UNDERSTOOD):
                break
    if answer == KillAnswer.KILL_UNKNOWN_NAME:
        raise Refused(f"{'exchange' if exchange else 'strategy'} {exchange or strategy!r}: the engine in {directory} "
                      "has none of that name (see `orderflow status`)")
    if answer == KillAnswer.KILL_NOT_UNDERSTOOD:
        raise Refused(f"the engine in {directory} is of another version; use the orderflow that started it")
    entries = [REPLY_ENTRY.unpack_from(reply, REPLY_HEAD.size + i * REPLY_ENTRY.size) for i in range(count)]
    return Killed(answer == KillAnswer.KILL_DONE, took_ns, {
        raw.rstrip(b"\0").decode(): (ExchangeAnswer(said), cancels, left)
        for raw, cancels, left, said, _ in entries if said != ExchangeAnswer.NOT_CONCERNED})


def ask(directory: str | os.PathLike, request: dict, timeout: float = CONTROL_TIMEOUT_S) -> dict:
    """One request to the engine that runs in a directory; its answer.

    Raises
    ------
    NothingRuns
        There is none.
    Refused
        It will not; the message is its own.
    TimeoutError
        It does not answer: its Python is busy or stuck. `orderflow kill` does not need it.
    """
    answer = b""
    with _connected(directory, CONTROL_SOCKET, socket.SOCK_STREAM, timeout) as connection:
        try:
            connection.sendall(json.dumps(request).encode() + b"\n")
            while not answer.endswith(b"\n") and len(answer) <= MOST_BYTES:
                piece = connection.recv(1 << 16)
                if not piece:
                    break
                answer += piece
        except TimeoutError:
            raise TimeoutError(f"{directory}: no answer within {timeout:g} s; the engine's Python is busy. `orderflow "
                               "kill` does not need it") from None
        except OSError as error:
            raise NothingRuns(f"{directory}: the engine ended while it was asked ({error.strerror})") from None
    try:
        found = json.loads(answer)
    except ValueError:
        raise NothingRuns(f"{directory}: the engine ended while it was asked") from None
    if "error" in found:
        raise Refused(found["error"])
    return found
