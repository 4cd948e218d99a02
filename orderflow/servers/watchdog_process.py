"""The engine's end of the watchdog: the process is started, told everything it may need, and heard of should it end.

Its pipe is its lifeline. The kill thread writes a byte several times a second, natively; the kernel closes it when the
engine dies, whatever it dies of; and the engine says so when it stops in order. Keys go through the pipe as well: not
through arguments, which everybody can read, nor through a file.
"""
from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from orderflow._core.kill import CLEAN_STOP
from orderflow.exchanges.session import Session
from orderflow.instrument import Listing
from orderflow.servers.connect import Timeouts

#: Where the process writes what it did, in the engine's directory.
LOG_FILE = "watchdog.log"
#: How long it may take to end after a clean stop.
END_S = 5.0


class WatchdogProcess:
    """A process of orderflow.watchdog beside an engine.

    Parameters
    ----------
    directory : path
        Of the journal.
    sessions : sequence of Session
        Of all exchanges, in index order.
    listings : sequence of Listing
        In index order.
    ca_file, timeouts
        As of the engine's server.
    silence_s : float
        It acts when it hears nothing for so long.
    report : callable(str)
        Told if it ends by itself.
    """

    def __init__(self, directory: Path, sessions: Sequence[Session], listings: Sequence[Listing], ca_file: str | None,
                 timeouts: Timeouts, silence_s: float, report: Callable[[str], None]):
        self._report = report
        self._stopping = self._stopped = False
        log = os.open(directory / LOG_FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            # A session of its own: Ctrl-C on the terminal, and whatever else is meant for the engine, passes it by.
            self._process = subprocess.Popen([sys.executable, "-m", "orderflow.watchdog"], stdin=subprocess.PIPE,
                                             stdout=log, stderr=log, start_new_session=True)
        finally:
            os.close(log)
        pipe = self._process.stdin
        self.pipe = pipe.fileno()
        setup = {"pid": os.getpid(), "directory": str(directory.resolve()), "silence_s": silence_s,
                 "ca_file": ca_file, "timeouts": asdict(timeouts),
                 "sessions": [{"protocol": session.protocol, "settings": asdict(session.settings) | {
                     "limits": None, "credentials": session.settings.credentials is not None}}
                              for session in sessions],
                 "listings": [listing.document() for listing in listings]}
        try:
            pipe.write(json.dumps(setup, default=str).encode() + b"\n")
            pipe.flush()
            for session in sessions:
                if session.settings.credentials is not None:
                    session.settings.credentials.hand_over(self.pipe)
        except BrokenPipeError:
            pass                            # it has ended; the thread below says so
        os.set_blocking(self.pipe, False)   # the kill thread writes from here on, and waits for nobody
        self._thread = threading.Thread(target=self._wait, name="orderflow-watchdog", daemon=True)
        self._thread.start()

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it is there."""
        return self._process.poll() is None

    def say_goodbye(self) -> None:
        """The engine stops in order: nothing is to be done, whatever is heard or not heard from now on. Nobody else may
        write to the pipe any more. Idempotent."""
        if self._stopping:
            return
        self._stopping = True
        try:
            os.write(self.pipe, CLEAN_STOP)
        except OSError:
            pass                            # it has ended, or does not read: then it is killed by `stop`

    def stop(self) -> None:
        """The engine stops in order: nothing is to be done. Nobody else may write to the pipe any more. Idempotent."""
        if self._stopped:
            return
        self._stopped = True
        self.say_goodbye()
        self._thread.join(END_S)
        if self._thread.is_alive():
            self._process.kill()
            self._thread.join()
        self._process.stdin.close()

    def _wait(self) -> None:
        code = self._process.wait()
        if not self._stopping:
            self._report(f"the watchdog process ended with exit code {code} (see {LOG_FILE}); if this engine dies now, "
                         "nobody cancels its orders: stop it, or stay with it")
