"""Runs one `orderflow` command with every library logging all it can; for tests/test_canary.py.

    python canary_run.py FOLDER ARGUMENT...

FOLDER/before.py, where there is one, runs first: it breaks something, or leaks on purpose. What was logged, and what
the process list shows of this process, goes into FOLDER/seen; of the processes that it starts as well.
"""
import logging
import os
import sys
from pathlib import Path

folder = Path(sys.argv[1])
(folder / "seen").mkdir(exist_ok=True)
logging.basicConfig(level=1, filename=folder / "seen/log", format="%(name)s %(levelname)s %(message)s %(args)s")
(folder / f"seen/cmdline.{os.getpid()}").write_bytes(Path("/proc/self/cmdline").read_bytes())
before = folder / "before.py"
if before.exists():
    exec(compile(before.read_text(), "before.py", "exec"), {"FOLDER": folder})

if __name__ == "__main__":
    from orderflow.cli import main  # after logging, as in a program that configures it first

    sys.exit(main(sys.argv[2:]))
