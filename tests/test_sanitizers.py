"""The headers that threads share, under ThreadSanitizer and AddressSanitizer, as plain C++ programs.

Each is also built with its planted mistake: a sanitizer that stays silent then proves nothing, so it must report.
"""
import os
import shutil
import subprocess
from pathlib import Path

import pytest

import orderflow

HEADERS = Path(orderflow.__file__).parent / "_core"
PROGRAMS = Path(__file__).parent / "native"
COMPILER = os.environ.get("CXX", "g++").split()
THREAD = ["-fsanitize=thread", "-fno-builtin-memcpy"]      # a copy that is expanded in place is not looked at
ADDRESS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
#: program, what turns its ordering into a data race
PLANTED = [("ring_stress", "ORDERFLOW_WEAKEN_RING"), ("byte_ring_stress", "ORDERFLOW_WEAKEN_BYTE_RING"),
           ("board_stress", "ORDERFLOW_TEAR_BOARD")]
ROUNDS = os.environ.get("ORDERFLOW_STRESS_ROUNDS", "20000")


def run(program, flags, folder):
    binary = folder / program
    command = [*COMPILER, "-std=c++20", "-O1", "-g", "-Wno-tsan", f"-I{HEADERS}", *flags,
               str(PROGRAMS / f"{program}.cpp"), "-o", str(binary), "-pthread"]
    subprocess.run(command, check=True, capture_output=True)
    return subprocess.run([str(binary), ROUNDS], capture_output=True, text=True, timeout=300,
                          env={**os.environ, "TSAN_OPTIONS": "exitcode=66 halt_on_error=1"})


@pytest.fixture(scope="module", autouse=True)
def compiler():
    if shutil.which(COMPILER[-1]) is None:
        pytest.skip(f"no C++ compiler ({COMPILER[-1]}) to build the native programs with")


@pytest.mark.parametrize("program", [program for program, _ in PLANTED])
@pytest.mark.parametrize("flags", [THREAD, ADDRESS], ids=["thread", "address"])
def test_shared_memory_is_clean(program, flags, tmp_path):
    done = run(program, flags, tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == "0 wrong\n"


@pytest.mark.parametrize(("program", "mistake"), PLANTED)
def test_thread_sanitizer_reports_the_planted_mistake(program, mistake, tmp_path):
    done = run(program, [*THREAD, f"-D{mistake}"], tmp_path)
    assert done.returncode == 66
    assert "data race" in done.stderr
