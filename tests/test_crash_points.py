"""Engines that die at the worst of moments, one after the other on one journal, and what the next one makes of it."""
import pytest

from orderflow._core.segments import CRASH_POINTS
from tests.killed_engines import Killer

pytestmark = pytest.mark.skipif(not CRASH_POINTS, reason="the release build has no crash points")

#: At which time the process comes by. Segments of 64 KiB are full after some hundred records.
POINTS = ("after-intent:2", "mid-record:40", "after-send:2", "before-ack-journal:2", "after-fill-before-apply:2",
          "in-segment-roll:1")


@pytest.fixture
def killer(tmp_path):
    made = Killer(tmp_path / "run", 3)
    yield made
    made.stop()


@pytest.mark.parametrize("point", POINTS)
def test_what_is_left_at_a_crash_point_is_recovered_and_nothing_is_sent_again(killer, point):
    """An engine that dies there, twice; then one that dies at any moment; then one that has to put it all right."""
    for _ in range(2):
        said = killer.crash(point)
        assert said is None, said
    said = killer.kill()
    assert said is None, said
    wrong, orders = killer.judge(10, absent_are_clear=True)
    assert wrong == [] and orders > 0


def test_the_journal_has_every_order_that_left(killer):
    """Before the order was shown to anybody its intent was there: the exchange never saw it, and no other has its
    id."""
    assert killer.crash("after-intent:1") is None
    wrong, orders = killer.judge(10, absent_are_clear=True)
    assert (wrong, orders, len(killer.intents)) == ([], 0, 1)
    assert killer.crash("after-send:1") is None
    wrong, orders = killer.judge(10, absent_are_clear=True)
    assert (wrong, orders) == ([], 1) and len(killer.intents) == 2
