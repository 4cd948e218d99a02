"""Writes captures: what one exchange's market data connections sent and were sent, raw, as it arrives.

    native thread ──recording ring──> frames, book snapshots, where connections opened ┐
                                                                                       ├─ merged by time ─> FILE.tsv.zst
    control thread ──note──────────> URLs, text sent, metadata ────────────────────────┘

The format is that of docs/captures.md. Frames are copied by the exchange thread into a ring of 16 MiB, before they are
decoded, and nothing else happens there: formatting, compression and the file are this module's thread. Nothing is
dropped; a thread whose ring is full waits. Each second ends a zstandard frame of its own, so that a process that is
killed loses that second and not the file.
"""
from __future__ import annotations

import base64
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from operator import itemgetter
from pathlib import Path

import numpy as np
import zstandard

from orderflow._core.types import RECORDED_DTYPE, RecordedKind

PAUSE_S = 0.005
#: What is younger than this waits for what the control thread may still have to say about a time before it.
SETTLED_NS = 50_000_000
#: A zstandard frame is ended this often.
FRAME_NS = 1_000_000_000
LEVEL = 3


def line(local_ns: int, direction: str, channel: str, payload: bytes = b"") -> bytes:
    """One line of a capture. What a line cannot hold (a line break, a TAB, no UTF-8) goes as base64 of the bytes; in a
    REST body line breaks and TABs become spaces, which is the same JSON."""
    if direction == "http":
        payload = payload.translate(_SPACES)
    elif direction == "rx" and not _fits(payload):
        direction, payload = "rxb", base64.b64encode(payload)
    return b"%d\t%s\t%s\t%s\n" % (local_ns, direction.encode(), channel.encode(), payload)


_header = itemgetter("now_ns", "epoch", "listing", "kind", "connection")
_SPACES = bytes.maketrans(b"\n\r\t", b"   ")


def _fits(payload: bytes) -> bool:
    if b"\n" in payload or b"\t" in payload or b"\r" in payload:
        return False
    if payload.isascii():
        return True
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


class CaptureWriter:
    """One exchange's capture file, and the thread that writes it.

    Parameters
    ----------
    path : path
        Must not exist.
    loop : ExchangeLoop
        Made with `record=True`.
    names : sequence of str
        Of its connections, by their index.
    report : callable(str)
        Told in one line that the capture ended early (a full disk); whatever else runs goes on.

    Raises
    ------
    OSError
        The file exists or cannot be made.
    """

    def __init__(self, path, loop, names: Sequence[str], report: Callable[[str], None]):
        self.path = Path(path)
        self.frames = self.bytes = 0            # taken from the native thread
        self.failed = ""
        self._report = report
        self._loop = loop
        self._names = list(names)
        self._offset_ns = time.time_ns() - time.monotonic_ns()
        self._notes: deque[tuple[int, str, str, bytes]] = deque()
        self._urls: dict[int, str] = {}
        self._native: deque[tuple[int, str, str, bytes]] = deque()
        self._raw = open(self.path, "xb")
        self._file = zstandard.ZstdCompressor(level=LEVEL).stream_writer(self._raw, closefd=False)
        self._frame_began_ns = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"orderflow-capture-{loop.name}", daemon=True)

    # -- control thread -------------------------------------------------------------------------------------------

    def opened(self, connection: int, epoch: int, url: str) -> None:
        """A connection is about to be handed to the native thread."""
        self._note("open", f"{self._channel(connection, epoch)} {url}")

    def sent(self, connection: int, epoch: int, text: str) -> None:
        """The session sends this text."""
        self._note("tx", self._channel(connection, epoch), text.encode())

    def answered(self, url: str, body: bytes, listing: int = -1) -> None:
        """A REST call was answered. The book snapshot of a `listing` is written where the native thread took it."""
        if listing >= 0:
            self._urls[listing] = url
        else:
            self._note("http", url, body)

    def start(self) -> None:
        """Write from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Write what is left and close; the exchange thread must have ended. Idempotent."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        if not self.failed:
            self._attempt(self._finish)
        self._raw.close()

    # -- the writer's thread --------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stopping.is_set() and not self.failed:
            self._attempt(self._turn)

    def _turn(self) -> None:
        idle = not self._take()
        now_ns = time.monotonic_ns()
        self._write(now_ns - SETTLED_NS)
        if now_ns - self._frame_began_ns >= FRAME_NS:
            self._file.flush(zstandard.FLUSH_FRAME)
            self._raw.flush()
            self._frame_began_ns = now_ns
        if idle:
            self._stopping.wait(PAUSE_S)

    def _finish(self) -> None:
        self._take()
        self._write(2**63 - 1)
        self._file.close()

    def _attempt(self, work: Callable[[], object]) -> None:
        try:
            work()
        except OSError as error:
            self.failed = str(error)
            self._loop.close_recording()
            self._report(f"{self._loop.name}: the capture {self.path} ends here: {error}")

    def _note(self, direction: str, channel: str, payload: bytes = b"") -> None:
        self._notes.append((time.monotonic_ns(), direction, channel, payload))

    def _channel(self, connection: int, epoch: int) -> str:
        return f"{self._loop.name}.{self._names[connection]}.{epoch}"

    def _take(self) -> int:
        """What the native thread recorded, as fields of lines; returns how much it was."""
        count = 0
        while (taken := self._loop.recording.pop()) is not None:
            record = taken[1]
            now_ns, epoch, listing, kind, connection = _header(np.frombuffer(record, RECORDED_DTYPE, 1)[0])
            payload = record[RECORDED_DTYPE.itemsize:]
            count += 1
            if kind == RecordedKind.RECORDED_FRAME:
                self.frames += 1
                self.bytes += len(payload)
                self._settle_snapshots(now_ns)
                self._native.append((now_ns, "rx", self._channel(connection, epoch), payload))
            elif kind == RecordedKind.RECORDED_SNAPSHOT:
                self._native.append((now_ns, "http", self._urls.get(listing, ""), payload))
        return count

    def _settle_snapshots(self, now_ns: int) -> None:
        """A snapshot that the native thread took before a frame which had been read sooner: it stands before that, as
        it must for the books, and has its time."""
        place = len(self._native)
        while place and self._native[place - 1][1] == "http" and self._native[place - 1][0] > now_ns:
            place -= 1
            self._native[place] = (now_ns, *self._native[place][1:])

    def _write(self, until_ns: int) -> None:
        """Everything up to a time, in order."""
        lines = []
        while (source := self._next(until_ns)) is not None:
            now_ns, direction, channel, payload = source.popleft()
            lines.append(line(now_ns + self._offset_ns, direction, channel, payload))
        if lines:
            self._file.write(b"".join(lines))

    def _next(self, until_ns: int) -> deque | None:
        notes, native = self._notes, self._native
        if notes and (not native or notes[0][0] <= native[0][0]):
            return notes if notes[0][0] <= until_ns else None
        return native if native and native[0][0] <= until_ns else None
