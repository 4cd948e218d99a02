"""Short runs of what `make soak` runs for long."""
import subprocess
import sys
from pathlib import Path

import pytest

from tests.process import ENVIRONMENT

ROOT = Path(__file__).parents[1]
SECONDS = 20


@pytest.mark.release
def test_six_exchanges_at_ten_times_recorded_speed_with_faults():
    """Memory, file descriptors, faults; agents instead of captures where there are none."""
    finished = subprocess.run([sys.executable, "bench/soak_feeds.py", str(SECONDS)], capture_output=True, text=True,
                              timeout=180, cwd=ROOT, env=ENVIRONMENT)
    assert (finished.returncode, finished.stderr) == (0, ""), finished.stdout
    assert finished.stdout.endswith("PASS\n") and finished.stdout.count(" PASS\n") == 6
