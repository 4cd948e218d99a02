"""kill -9 of a trading engine, at any moment, again and again on one journal. A thousand of them: `make soak`."""
import pytest

from tests.killed_engines import Killer

RUNS = 8


@pytest.mark.parametrize("seed", (1,))
def test_nothing_is_lost_resent_or_used_twice(tmp_path, seed):
    killer = Killer(tmp_path / "run", seed)
    try:
        for _ in range(RUNS):
            said = killer.kill()
            assert said is None, said
        wrong, orders = killer.judge()
        assert wrong == [] and orders > RUNS
    finally:
        killer.stop()
