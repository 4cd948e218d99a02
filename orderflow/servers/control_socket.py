"""Being reached: the two sockets in an engine's directory, and the threads that serve them.

                        kill.sock (datagram) ──> kill thread, native: no GIL ──> the kill line, every doorbell
    another process ──>                               │ told
                        control.sock (stream) ──> control thread, Python: status, rearm, what a kill means for the rest

A request has to arrive whole within a second and in 4 KiB, one client at a time: whoever is slow only delays others who
ask, never a kill. Text and JSON only. The files are made with mode 0600 from the start: on Linux a socket's mode before
it is bound becomes the mode of its file.
"""
from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from orderflow._core.kill import KillSwitch
from orderflow.servers.control_requests import CONTROL_SOCKET, KILL_SOCKET, Refused, socket_path

MOST_REQUEST_BYTES = 4096
REQUEST_S = 1.0
BACKLOG = 8


def listen(directory: Path, name: str, kind: socket.SocketKind) -> socket.socket:
    """A bound socket in a directory, for its user alone. Whoever calls holds the directory's lock, so a socket that
    lies there is of an engine that is gone."""
    found = socket.socket(socket.AF_UNIX, kind)
    try:
        os.fchmod(found.fileno(), 0o600)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(directory / name)
        with socket_path(directory, name) as path:
            found.bind(path)
        found.setblocking(False)
        if kind == socket.SOCK_STREAM:
            found.listen(BACKLOG)
    except BaseException:
        found.close()
        raise
    return found


class Control:
    """The sockets of one engine and the threads behind them.

    Parameters
    ----------
    directory : path
        Locked by this process.
    switch : KillSwitch
        With its bells and heartbeats added.
    respond : callable(dict) -> dict
        Answers a request; Refused or ValueError becomes an answer that says why. Control thread.
    killed : callable()
        Told when the switch was pulled, after everything that matters was done. Control thread.
    watchdog : int
        The pipe to the watchdog process, -1 = none.
    standstill_ns : int
        How long a native thread's heartbeat may stand still; 0 = for ever.
    """

    def __init__(self, directory: Path, switch: KillSwitch, respond: Callable[[dict], dict],
                 killed: Callable[[], None], watchdog: int = -1, standstill_ns: int = 0):
        self.directory = directory
        self._switch, self._respond, self._killed = switch, respond, killed
        self._watchdog, self._standstill_ns = watchdog, standstill_ns
        self._threads: list[threading.Thread] = []
        self._open = contextlib.ExitStack()
        self._stopping = False

    def start(self) -> None:
        """Bind the sockets and serve them; OSError if that cannot be."""
        with contextlib.ExitStack() as opened:
            datagrams = opened.enter_context(listen(self.directory, KILL_SOCKET, socket.SOCK_DGRAM))
            opened.callback(self._remove, KILL_SOCKET)
            self._listener = opened.enter_context(listen(self.directory, CONTROL_SOCKET, socket.SOCK_STREAM))
            opened.callback(self._remove, CONTROL_SOCKET)
            self._told = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            opened.callback(os.close, self._told)
            self._switch.serve(datagrams.fileno(), self._told, self._watchdog, self._standstill_ns)
            self._open = opened.pop_all()
        self._threads = [threading.Thread(target=self._switch.run, name="orderflow-kill", daemon=True),
                         threading.Thread(target=self._serve, name="orderflow-requests", daemon=True)]
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """End the threads and take the sockets away. Idempotent. A heartbeat that stands still means nothing any more.
        """
        if not self._threads:
            return
        self._stopping = True
        self._switch.stop()
        os.eventfd_write(self._told, 1)
        for thread in self._threads:
            thread.join(timeout)
        if not any(thread.is_alive() for thread in self._threads):
            self._open.close()              # else a thread uses them still
        self._threads = []

    def _remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.directory / name)

    # -- control thread -------------------------------------------------------------------------------------------

    def _serve(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._listener, selectors.EVENT_READ)
            selector.register(self._told, selectors.EVENT_READ)
            while not self._stopping:
                ready = {key.fd for key, _ in selector.select()}
                if self._told in ready:
                    with contextlib.suppress(BlockingIOError):
                        os.eventfd_read(self._told)
                    if not self._stopping:
                        self._killed()
                if self._listener.fileno() in ready:
                    with contextlib.suppress(OSError):          # it has left again, or does not read
                        client, _ = self._listener.accept()
                        with client:
                            self._answer(client)

    def _answer(self, client: socket.socket) -> None:
        deadline = time.monotonic() + REQUEST_S
        request = b""
        while b"\n" not in request and (left := deadline - time.monotonic()) > 0:
            client.settimeout(left)
            piece = client.recv(MOST_REQUEST_BYTES)
            request += piece
            if not piece or len(request) > MOST_REQUEST_BYTES:
                break
        client.settimeout(REQUEST_S)
        client.sendall(json.dumps(self._answer_to(request)).encode() + b"\n")

    def _answer_to(self, request: bytes) -> dict:
        if len(request) > MOST_REQUEST_BYTES or not request.endswith(b"\n"):
            return {"error": f"expected one line of JSON, at most {MOST_REQUEST_BYTES} bytes"}
        try:
            asked = json.loads(request)
        except (ValueError, RecursionError):
            return {"error": "expected one line of JSON"}
        if not isinstance(asked, dict) or not all(isinstance(value, str) for value in asked.values()):
            return {"error": "expected a JSON object of strings"}
        try:
            return self._respond(asked)
        except (Refused, ValueError) as error:
            return {"error": str(error)}
        except Exception as error:          # a defect of ours must not end the thread that the next one asks
            return {"error": f"{asked.get('command')} failed: {error!r}"}
