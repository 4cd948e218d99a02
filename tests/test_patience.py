"""Parents that are in no haste: what they pay by when, and that they end filled, cheaper than those that are."""
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow._core.algos.patience import looks, share_at
from orderflow._core.journal import RecordKind, read
from orderflow.research.explain import explain
from orderflow.research.explain_words import story
from orderflow.research.replay import replay
from orderflow.research.simulation import INSTRUMENT
from tests.three_exchanges import engines

SECOND_NS = 1_000_000_000
LEAST = Decimal("0.0001")       # that an exchange takes: what fades may leave less
times = st.integers(0, 2**61)
lengths = st.integers(100, 10**15)


@pytest.fixture
def make():
    yield from engines()


@given(st.integers(1, 100), times, lengths, st.integers(0, 10**6))
def test_the_share_rises_evenly_from_the_urgency_to_the_whole(urgency, start_ns, length, part):
    now_ns = start_ns + length * part // 10**6
    least = Fraction(urgency, 100)
    exact = least + (1 - least) * Fraction(now_ns - start_ns, length // 100 * 80)
    found = share_at(urgency, start_ns, start_ns + length, now_ns)
    assert found == min(10**6, int(exact * 10**6))


@given(times, lengths)
def test_it_looks_a_few_times_while_the_share_rises(start_ns, length):
    found = looks(start_ns, start_ns + length)
    assert found[-1] == start_ns + length // 100 * 80
    assert 10 < len(found) <= 16
    assert all(a < b for a, b in zip([start_ns, *found], found, strict=False))


@pytest.mark.parametrize(("urgency", "end_ns", "message"), [
    (0, 10, "urgency 0"), (101, 10, "urgency 101"), (50, 5, "end_ns 5")])
def test_wrong_arguments_are_named(urgency, end_ns, message):
    with pytest.raises(ValueError, match=message):
        share_at(urgency, 5, end_ns, 7)


def test_one_in_no_haste_takes_the_cheap_levels_first_and_is_filled_in_time(make):
    engine = make()
    parent_id = engine.submit(INSTRUMENT, "buy", "20", seconds=10, urgency=1)
    engine.run(0.5)
    early = engine.parent(parent_id)
    assert 0 < early.filled < 10            # the demonstration's books show more than twenty
    parent = engine.wait(parent_id, 11)
    assert (parent.status, parent.reason, parent.filled) == ("PARENT_DONE", "OK", 20)
    assert engine.orders.audit() == []


def test_patience_is_cheaper_than_haste(make):
    paid = {}
    for urgency in (1, 100):
        engine, costs = make(), []
        for side in ("buy", "sell", "buy", "sell"):
            parent = engine.wait(engine.submit(INSTRUMENT, side, "15", seconds=10, urgency=urgency), 12)
            assert parent.status == "PARENT_DONE" and 15 - parent.filled < LEAST
            costs.append((parent.all_in_price / parent.arrival_price - 1) * (1 if side == "buy" else -1))
            engine.run(5)
        paid[urgency] = sum(costs)
    assert paid[1] < paid[100]


def decisions(engine):
    """(monotonic time, quantity) of everything that was decided in one moment."""
    sent = {}
    for record in read(engine.directory):
        if record.kind == RecordKind.INTENT:
            child = record.decode()
            sent[child["decided_ns"]] = sent.get(child["decided_ns"], 0) + child["quantity"]
    return sorted(sent.items())


def test_it_decides_again_and_again_until_its_time_is_over(make):
    engine = make()
    start_ns = engine.now_ns
    engine.wait(engine.submit(INSTRUMENT, "buy", "20", seconds=8, urgency=20), 9)
    sent = decisions(engine)
    assert len(sent) > 3
    assert start_ns + SECOND_NS < sent[-1][0] < start_ns + 8 * SECOND_NS


def test_that_it_waited_is_explained(make, tmp_path):
    engine = make(directory=tmp_path / "run")
    parent_id = engine.submit(INSTRUMENT, "buy", "20", seconds=6, urgency=1)
    engine.wait(parent_id, 7)
    engine.stop()
    told = "\n".join(story(explain(tmp_path / "run", parent_id)))
    assert "was left out: the order has time, and does not pay so much yet" in told


def test_a_replay_waits_in_the_same_way(make, tmp_path):
    engine = make(directory=tmp_path / "run", record=True)
    engine.wait(engine.submit(INSTRUMENT, "sell", "20", seconds=6, urgency=10), 7)
    engine.stop()
    found = replay(tmp_path / "run")
    assert found.equal and found.orders > 3, found.difference


def test_what_makes_no_sense_is_refused(make):
    engine = make()
    for arguments, message in (({"urgency": 50}, "needs its time"), ({"urgency": 0, "seconds": 5}, "urgency 0"),
                               ({"urgency": 101, "seconds": 5}, "urgency 101"),
                               ({"urgency": 50, "seconds": 5, "algorithm": "twap"}, "urgency 50")):
        with pytest.raises(ValueError, match=message):
            engine.submit(INSTRUMENT, "buy", "1", **arguments)
