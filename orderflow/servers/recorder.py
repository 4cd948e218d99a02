"""Writes what the exchange threads record of their market data, so that a run can be replayed.

One file an exchange, `DIR/frames-NAME.zst`: records as the threads made them (types.Recorded and its payload), each
behind its length as an unsigned 32-bit integer, little endian; the whole compressed with zstandard. Nothing is dropped:
a thread waits for its recorder.
"""
from __future__ import annotations

import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import zstandard

LENGTH = struct.Struct("<I")
PAUSE_S = 0.005


def path_of(directory, name: str) -> Path:
    """The file of one exchange."""
    return Path(directory) / f"frames-{name}.zst"


class Recorder:
    """One thread that empties every exchange loop's recording into its file.

    Parameters
    ----------
    directory : path
    loops : sequence of ExchangeLoop
        Made with `record=True`.
    report : callable(str)
        Told in one line that the recording ended early. Trading goes on without it: no thread waits for a full disk.
    """

    def __init__(self, directory, loops: Sequence, report: Callable[[str], None]):
        self._report = report
        self._failed = False
        self._loops = list(loops)
        self._raw = [open(path_of(directory, loop.name), "wb") for loop in self._loops]
        self._files = [zstandard.ZstdCompressor(level=3).stream_writer(raw) for raw in self._raw]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="orderflow-recorder", daemon=True)

    def start(self) -> None:
        """Record from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Write what is left and close; the exchange threads must have ended. Idempotent."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        try:
            if not self._failed:
                self.drain()
            for file in self._files:
                file.close()
        except OSError as error:
            self._give_up(error)
        for raw in self._raw:
            raw.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                idle = not self.drain()
            except OSError as error:
                self._give_up(error)
                return
            if idle:
                self._stopping.wait(PAUSE_S)

    def _give_up(self, error: OSError) -> None:
        self._failed = True
        for loop in self._loops:
            loop.close_recording()
        self._report(f"the recording ends here and this run cannot be replayed: {error}")

    def drain(self) -> int:
        """Everything that is there now; how many records it was. One thread at a time."""
        count = 0
        for loop, file in zip(self._loops, self._files, strict=True):
            while (taken := loop.recording.pop()) is not None:
                file.write(LENGTH.pack(len(taken[1])))
                file.write(taken[1])
                count += 1
        return count


def read(directory, name: str) -> Iterator[bytes]:
    """The records of one exchange, in order."""
    with open(path_of(directory, name), "rb") as raw, zstandard.ZstdDecompressor().stream_reader(raw) as file:
        while len(head := _exactly(file, LENGTH.size)) == LENGTH.size:
            yield _exactly(file, LENGTH.unpack(head)[0])


def _exactly(file, size: int) -> bytes:
    parts = []
    while size and (part := file.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
