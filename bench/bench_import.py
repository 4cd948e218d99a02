"""What `import orderflow` costs in a fresh interpreter, above the start of the interpreter itself."""
import statistics
import subprocess
import sys
import tempfile
import time

from bars import bar

ROUNDS = 7
GATE, AIM = 0.3, 0.03           # seconds


def seconds(statement):
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True, cwd=tempfile.gettempdir())
    return time.perf_counter() - started


def measure():
    """Medians of alternating runs: (import orderflow, nothing), in seconds."""
    seconds("import orderflow")                 # the first writes byte code and warms the page cache
    pairs = [(seconds("import orderflow"), seconds("pass")) for _ in range(ROUNDS)]
    return tuple(statistics.median(column) for column in zip(*pairs, strict=True))


def test_import(benchmark):
    ours, bare = measure()
    benchmark.pedantic(seconds, ("import orderflow",), rounds=3)
    assert bar("import orderflow, above the bare interpreter", ours - bare, GATE, AIM, "lower", "s")
