"""journal_victims.py DIRECTORY COUNT: writers that are killed while they append; prints the last word of each.

A process of its own, because it forks: it has no threads when it does.
"""
import os
import random
import signal
import struct
import sys
import time

import numpy as np

from orderflow._core.journal import JournalFiles, RecordKind
from orderflow._core.types import EXECUTION_REPORT_DTYPE


def append_for_ever(directory, pipe):
    files = JournalFiles(directory, segment_bytes=1 << 18)
    record = np.zeros(1, EXECUTION_REPORT_DTYPE)
    while sequence := files.append(RecordKind.REPORT, record, 1):
        os.write(pipe, struct.pack("<Q", sequence))
        if sequence % 1024 == 0:
            files.wait_prepared()


def killed_after(directory, seconds):
    """Start a writer, kill it so long after its first word; its last word."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            append_for_ever(directory, writer)
        finally:
            os._exit(1)
    os.close(writer)
    told = os.read(reader, 8)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        told = os.read(reader, 1 << 16)[-8:]
    os.kill(child, signal.SIGKILL)
    while chunk := os.read(reader, 1 << 16):
        told = chunk[-8:]
    os.close(reader)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"the writer ended by itself: {status}"
    return told


if __name__ == "__main__":
    draw = random.Random(1)
    for i in range(int(sys.argv[2])):
        sys.stdout.buffer.write(killed_after(os.path.join(sys.argv[1], str(i)), draw.uniform(0, 0.03)))
