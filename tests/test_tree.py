"""A parent order as one object, against what the engine and the exchanges have."""
import math
from dataclasses import replace
from decimal import Decimal

import pytest

from orderflow._core.client_id import decode
from orderflow.research.journal import rows
from orderflow.research.simulation import INSTRUMENT
from orderflow.research.tree import tree
from tests.three_exchanges import engines

SECOND_NS = 1_000_000_000


@pytest.fixture
def make():
    yield from engines()


def test_it_has_every_slice_order_and_fill(make):
    engine = make()
    parent_id = engine.submit(INSTRUMENT, "buy", "2", algorithm="twap", seconds=10, slices=5)
    engine.run(5)
    half = tree(engine.directory, parent_id)            # while it is under way
    assert [one.number for one in half.slices] == [1, 2, 3] and half.filled == Decimal("1.2")
    state = engine.wait(parent_id, 10)
    found = tree(engine.directory, parent_id)
    assert (found.id, found.instrument, found.side, found.algorithm, found.strategy, found.quantity) == (
        parent_id, INSTRUMENT, "BUY", "TWAP", "manual", 2)
    assert [(one.number, one.filled) for one in found.slices] == [(number, Decimal("0.4")) for number in range(1, 6)]
    assert found.filled == state.filled == 2 and len(found.orders) == state.children
    assert all(order.filled == order.quantity and order.end == "filled" for order in found.orders)
    # what the exchanges have of these orders, by their ids
    there = {order.client_id: order for exchange in engine.exchanges.values()
             for order in exchange.desk.orders.values()}
    for order in found.orders:
        known = there[order.client_order_id]
        assert Decimal(known.filled).scaleb(-known.instrument.quantity_decimals) == order.filled
    assert sum(fill.price * fill.quantity for fill in found.fills) / found.filled == pytest.approx(
        state.average_price, rel=Decimal("1e-20"))
    assert {asset: sum(fill.fees.get(asset, 0) for fill in found.fills) for asset in state.fees} == state.fees


def test_one_that_is_not_paced_has_one_part(make):
    engine = make()
    state = engine.wait(engine.submit(INSTRUMENT, "sell", "20", seconds=5))
    found = tree(engine.directory, state.id)
    assert [one.number for one in found.slices] == [0] and found.filled == 20
    assert {order.exchange for order in found.orders} == set(state.by_exchange)
    assert str(found).startswith("SELL 20 BTC-USDT immediate (parent order 1 of run 1): 20 filled\n├─ ")


def test_the_slice_stands_in_the_journal(make):
    engine = make()
    engine.wait(engine.submit(INSTRUMENT, "buy", "1", algorithm="twap", seconds=4, slices=2))
    shown = [(row.fields["slice"], decode(row.fields["client_order_id"])) for row in rows(engine.directory)
             if row.kind == "INTENT"]
    assert {number for number, _ in shown} == {1, 2} and len({one for _, one in shown}) == len(shown)


def test_one_that_is_not_there_is_named(make):
    engine = make()
    with pytest.raises(ValueError, match="no parent order 9"):
        tree(engine.directory, 9)
    with pytest.raises(ValueError, match="no parent order 9 in run 4"):
        tree(engine.directory, 9, run=4)


@pytest.mark.parametrize(("algorithm", "more", "share"), [
    ("twap", {}, lambda passed: passed),
    ("shortfall", {"half_life": 4}, lambda passed: 1 - math.sinh(2.5 * (1 - passed)) / math.sinh(2.5)),
    ("close", {"half_life": 4}, lambda passed: math.sinh(2.5 * passed) / math.sinh(2.5))])
def test_fills_are_less_than_a_slice_ahead_of_the_schedule(make, algorithm, more, share):
    engine = make()
    state = engine.wait(engine.submit(INSTRUMENT, "buy", "2", algorithm=algorithm, seconds=10, slices=10,
                                      start_seconds=3, **more), 20)
    found = tree(engine.directory, state.id)
    assert found.scheduled(found.taken_ns + 3 * SECOND_NS) == 0 and found.scheduled(found.ends_ns + 1) == 2
    for passed in (0.1, 0.35, 0.8):
        at_ns = found.starts_ns + int(passed * 10 * SECOND_NS)
        assert found.scheduled(at_ns) == pytest.approx(2 * share(passed), rel=1e-9)
    for number in range(10):                            # half a second into each slice
        at_ns = found.starts_ns + number * SECOND_NS + SECOND_NS // 2
        filled = float(sum(fill.quantity for fill in found.fills if fill.at_ns <= at_ns))
        assert found.scheduled(at_ns) < filled == pytest.approx(found.scheduled(at_ns + SECOND_NS // 2), abs=1e-4)


def test_what_follows_no_clock_has_no_schedule(make):
    engine = make()
    state = engine.wait(engine.submit(INSTRUMENT, "sell", "1", seconds=5))
    found = tree(engine.directory, state.id)
    assert found.scheduled(found.taken_ns) is None
    assert replace(found, algorithm="TWAP", ends_ns=0).scheduled(found.taken_ns) is None, "it was denied: no time"
