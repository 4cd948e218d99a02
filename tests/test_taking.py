"""Algorithms that wait for their moment, and one that has a single one, over simulated exchanges."""
from decimal import Decimal

import numpy as np
import pytest

from orderflow._core.algos.reaction import cumulative
from orderflow._core.algos.usual import BookMemory
from orderflow._core.journal import RecordKind, read
from orderflow._core.types import PARENT_ORDER_DTYPE, Algorithm, ParentKind, Side, TimeInForce
from orderflow.research.replay import replay
from orderflow.research.simulation import INSTRUMENT
from tests import somebody
from tests.three_exchanges import engines, prints


@pytest.fixture
def make():
    yield from engines()


def book_of(engine, name):
    book, = engine.exchanges[name].source.books.values()
    return book


def best_ask(engine):
    """Of all exchanges, as they have it themselves."""
    books = [book_of(engine, name) for name in engine.exchanges]
    return min(Decimal(book.levels(Side.SELL, 1)[0][0]).scaleb(-book.instrument.price_decimals) for book in books)


def offer(engine, name, price, quantity, number):
    """Somebody offers at an exchange, and so much is left of it when all bids at that price and better are filled."""
    book = book_of(engine, name)
    instrument = book.instrument
    at = int(price.scaleb(instrument.price_decimals)) // instrument.tick * instrument.tick
    bids = sum(size for bid, size in book.levels(Side.BUY, 500) if bid >= at)
    left = int(Decimal(quantity).scaleb(instrument.quantity_decimals))
    somebody.offers(engine.exchanges[name], Side.SELL, at, bids + left, number, engine.now_ns)


def sent(engine):
    """Every order that was decided, as the journal has it."""
    return [record.decode() for record in read(engine.directory) if record.kind == RecordKind.INTENT]


def decisions(engine):
    """Base quantity that was sent, by the moment of the decision."""
    found = {}
    for order in sent(engine):
        listing = engine.core.listings[int(order["listing"])]
        quantity = Decimal(int(order["quantity"])).scaleb(-listing.quantity_decimals)
        found[int(order["decided_ns"])] = found.get(int(order["decided_ns"]), Decimal(0)) + quantity
    return found


# --- sniper ----------------------------------------------------------------------------------------------------------


def test_a_sniper_waits_until_all_of_it_is_there_and_is_never_seen(make):
    """Below the market nobody offers. Then somebody does, for a moment: on one exchange too little, on two, on three
    enough."""
    engine = make()
    limit = best_ask(engine) - 60
    parent_id = engine.submit(INSTRUMENT, "buy", "100", limit, algorithm="sniper", seconds=120)
    engine.run(2)
    for number, name in enumerate(engine.exchanges):
        engine.run(0.02)
        assert engine.parent(parent_id).children == 0
        offer(engine, name, limit, "45", number)
    parent = engine.wait(parent_id, 3)
    assert (parent.status, parent.reason, parent.filled) == ("PARENT_DONE", "OK", 100)
    assert len(parent.by_exchange) == 3 and list(decisions(engine).values()) == [100]
    assert {int(order["time_in_force"]) for order in sent(engine)} == {TimeInForce.IOC}
    assert engine.orders.audit() == []


def test_a_sniper_may_have_a_smaller_quantity_that_is_worth_a_shot(make):
    engine = make()
    limit = best_ask(engine) - 60
    parent_id = engine.submit(INSTRUMENT, "buy", "100", limit, algorithm="sniper", seconds=3, minimum_slice="30")
    engine.run(0.5)
    offer(engine, "gamma", limit, "25", 1)
    engine.run(0.02)
    assert engine.parent(parent_id).children == 0
    offer(engine, "alpha", limit, "20", 2)
    parent = engine.wait(parent_id, 12)
    assert (parent.reason, len(parent.by_exchange)) == ("END_TIME", 2) and 30 <= parent.filled <= 45
    assert all(quantity >= 30 for quantity in decisions(engine).values())


def test_a_sniper_ends_with_its_time(make):
    engine = make()
    parent = engine.wait(engine.submit(INSTRUMENT, "buy", "50", "10000", algorithm="sniper", seconds=3), 5)
    assert (parent.status, parent.reason, parent.children) == ("PARENT_DONE", "END_TIME", 0)


def test_a_sniper_takes_the_largest_lot_that_fits(make):
    """A hundred-millionth is no exchange's minimum: what cannot be sent does not keep it from shooting."""
    engine = make()
    parent = engine.wait(engine.submit(INSTRUMENT, "buy", "1.00000001", "1000000", algorithm="sniper", seconds=5,
                                       exchanges=["alpha"]), 6)
    assert (parent.reason, parent.filled) == ("BELOW_MINIMUM_REMAINS", 1)


# --- sweep -----------------------------------------------------------------------------------------------------------


def test_a_sweep_takes_what_is_within_its_limit_once(make):
    engine = make()
    engine.run(1)
    limit = best_ask(engine) + 25
    parent = engine.wait(engine.submit(INSTRUMENT, "buy", "100", limit, algorithm="sweep"), 5)
    assert (parent.status, parent.reason, len(parent.by_exchange)) == ("PARENT_DONE", "NO_LIQUIDITY", 3)
    assert 5 < parent.filled < 100 and parent.children == 3
    engine.run(5)
    assert list(decisions(engine).values())[0] >= parent.filled and len(sent(engine)) == 3
    assert engine.router.counts["timers"] == 0 and engine.orders.audit() == []


def test_a_sweep_is_not_sent_again_while_one_of_its_orders_is_out(make):
    """Alpha's answer takes a while; meanwhile beta, that has answered, has more within the limit."""
    engine = make()
    engine.run(1)
    limit = best_ask(engine) + 25
    engine.exchanges["alpha"].drain = list                  # nothing is heard of it
    parent_id = engine.submit(INSTRUMENT, "buy", "100", limit, algorithm="sweep")
    engine.run(0.2)
    assert engine.parent(parent_id).working > 0 and len(sent(engine)) == 3
    filled = engine.parent(parent_id).filled
    offer(engine, "beta", limit, "50", 1)
    engine.run(0.5)
    assert engine.parent(parent_id).filled == filled
    del engine.exchanges["alpha"].drain
    parent = engine.wait(parent_id, 5)
    assert (parent.reason, len(sent(engine)), len(parent.by_exchange)) == ("NO_LIQUIDITY", 3, 3)


def test_a_sweep_that_finds_all_of_it_is_filled(make):
    engine = make()
    parent = engine.wait(engine.submit(INSTRUMENT, "sell", "5", algorithm="sweep"), 5)
    assert (parent.status, parent.reason, parent.filled) == ("PARENT_DONE", "OK", 5)


def test_a_sweep_that_finds_nothing_ends_at_once(make):
    engine = make()
    parent_id = engine.submit(INSTRUMENT, "buy", "5", "10000", algorithm="sweep")
    engine.run(0.001)
    parent = engine.parent(parent_id)
    assert (parent.status, parent.reason, parent.children) == ("PARENT_DONE", "NO_LIQUIDITY", 0)


def test_a_sweep_that_is_refused_does_not_come_back(make):
    engine = make()
    engine.halt()
    engine.run(0.1)
    parent_id = engine.submit(INSTRUMENT, "buy", "5", algorithm="sweep")
    engine.run(0.1)
    parent = engine.parent(parent_id)
    assert (parent.status, parent.reason, parent.filled) == ("PARENT_DONE", "TRADING_HALTED", 0)
    engine.rearm()
    engine.run(1)
    assert engine.parent(parent_id).filled == 0 and engine.wait(engine.submit(INSTRUMENT, "buy", "5"), 5).filled == 5


class Sweeper:
    """Sweeps after five seconds."""

    def __init__(self):
        self.parent_id = self.first_ns = 0

    def on_signal(self, market, listing, entry):
        self.first_ns = self.first_ns or market.now_ns
        if market.now_ns > self.first_ns + 5 * 10**9 and not self.parent_id:
            self.parent_id = market.submit(INSTRUMENT, "buy", "5", algorithm="sweep")


def test_a_sweep_of_a_strategy_that_is_halted_ends(make):
    strategy = Sweeper()
    engine = make(strategies=[strategy])
    engine.run(1)
    engine.halt(strategy="Sweeper")
    engine.run(6)
    parent = engine.parent(strategy.parent_id)
    assert (parent.status, parent.reason, parent.children) == ("PARENT_DONE", "STRATEGY_HALTED", 0)


# --- minimal impact, liquidity-seeking -------------------------------------------------------------------------------


class Looker:
    """Looks at every board as the router does: whether its spread was narrow in any state of a version (a best price of
    its own changes it), and what was unusually much of its asks."""

    def __init__(self, times=2.0):
        self.times, self.memories, self.narrow, self.much = times, {}, {}, {}

    def on_signal(self, market, listing, entry):
        memory = self.memories.setdefault(listing, BookMemory())
        memory.observe(entry)
        key = (listing, int(entry["version"]))
        rules = market.listings[listing]
        tick = int(rules.tick.scaleb(rules.price_decimals))
        self.narrow[key] = memory.is_narrow(entry, tick) or self.narrow.get(key, False)
        self.much[key] = max(memory.unusual(entry, Side.BUY, 0, self.times), self.much.get(key, 0))


def books_of(engine):
    return [(int(order["listing"]), int(order["board_version"])) for order in sent(engine)]


def test_minimal_impact_takes_where_the_spread_is_not_wider_than_usual(make):
    looker = Looker()
    engine = make(strategies=[looker])
    engine.run(11)
    traded = prints(engine)
    parent_id = engine.submit(INSTRUMENT, "buy", "100", algorithm="minimal_impact", seconds=30, slices=30)
    engine.run(29.9)
    assert engine.failures == []
    assert all(looker.narrow[key] for key in books_of(engine)) and len(books_of(engine)) > 10
    assert 0.2 < sum(looker.narrow.values()) / len(looker.narrow) < 0.9
    filled, everybody = engine.parent(parent_id).filled, sum(one for _, one in traded)
    assert Decimal("0.02") * everybody < filled <= Decimal("0.05") * everybody
    assert engine.wait(parent_id, 3).reason == "END_TIME"


def test_liquidity_is_taken_where_unusually_much_is_displayed(make):
    looker = Looker(times=4.0)
    engine = make(strategies=[looker])
    engine.run(11)
    traded = prints(engine)
    parent_id = engine.submit(INSTRUMENT, "buy", "50", algorithm="liquidity_seeking", seconds=40, slices=40,
                              times_usual=4)
    engine.run(15)
    assert engine.parent(parent_id).children == 0
    offer(engine, "gamma", best_ask(engine), "600", 1)
    engine.run(5)
    state = engine.parent(parent_id)
    assert state.filled > 2 and set(state.by_exchange) == {"gamma"}
    assert state.filled <= Decimal("0.2") * sum(one for _, one in traded)
    for key, order in zip(books_of(engine), sent(engine), strict=True):
        assert looker.much[key] >= int(order["quantity"]) > 0
    assert engine.failures == []


@pytest.mark.parametrize("algorithm", ["minimal_impact", "liquidity_seeking"])
def test_what_must_complete_asks_for_no_condition_in_the_end(make, algorithm):
    """Nothing is known of the books yet, so nothing is taken before the last slice."""
    engine = make()
    more = {"times_usual": 1000} if algorithm == "liquidity_seeking" else {}
    parent_id = engine.submit(INSTRUMENT, "sell", "5", algorithm=algorithm, seconds=8, slices=8, must_complete=True,
                              **more)
    engine.run(6.9)
    assert engine.parent(parent_id).children == 0
    parent = engine.wait(parent_id, 3)
    assert (parent.reason, parent.filled) == ("OK", 5)


# --- answers to the price --------------------------------------------------------------------------------------------


def fallen(engine):
    """The price falls by 30 basis points after the orders have arrived, on all exchanges, and stays there."""
    engine.run(0.1)
    price = best_ask(engine) * Decimal("0.997")
    for number, name in enumerate(engine.exchanges):
        offer(engine, name, price, "50000", 100 + number)
    engine.run(0.9)


@pytest.mark.parametrize(("side", "reaction_bps", "times"), [
    ("buy", 20, 2), ("buy", -20, Decimal("0.5")), ("buy", 10_000, 1)])
def test_price_inline_has_more_of_the_volume_where_the_price_is_better(make, side, reaction_bps, times):
    """Twice its part where the price is better by more than its scale, half of it where it is worse."""
    engine = make()
    parent_id = engine.submit(INSTRUMENT, side, "400", algorithm="price_inline", participation="0.01", seconds=30,
                              slices=30, start_seconds=1, reaction_bps=reaction_bps)
    fallen(engine)
    traded = prints(engine)
    engine.run(29.9)
    part = engine.parent(parent_id).filled / sum(one for _, one in traded)
    assert times * Decimal("0.0095") < part <= times * Decimal("0.01003")


@pytest.mark.parametrize(("side", "reaction_bps", "factor"), [
    ("buy", 20, 2_000_000), ("sell", None, 500_000), ("sell", -20, 2_000_000)])
def test_adaptive_shortfall_is_faster_where_the_price_is_better(make, side, reaction_bps, factor):
    engine = make()
    parent_id = engine.submit(INSTRUMENT, side, "3", algorithm="adaptive_shortfall", seconds=10, slices=5,
                              start_seconds=1, urgency=20, reaction_bps=reaction_bps)
    fallen(engine)
    item = engine.instruments[INSTRUMENT]
    lot = min(int(row["lot"]) * int(row["quantity_factor"]) for row in engine.table)
    expected = cumulative(item.quantity("3"), [factor] * 5, lot, 2.0)
    for quantity in expected:
        engine.run(1)
        assert engine.parent(parent_id).filled == Decimal(int(quantity)).scaleb(-item.quantity_decimals)
        engine.run(1)
    assert engine.wait(parent_id, 3).reason == "OK"


def test_urgency_is_a_half_life_and_more_of_it_is_earlier(make):
    done = []
    for how in ({"urgency": 0}, {"urgency": 30}, {"half_life": 10 / 3}, {"urgency": 100}):
        engine = make()
        parent_id = engine.submit(INSTRUMENT, "buy", "3", algorithm="shortfall", seconds=10, slices=10, **how)
        engine.run(3.5)
        done.append(engine.parent(parent_id).filled)
    assert done[0] == Decimal("1.2") and done[1] == done[2] and done[0] < done[1] < done[3]


# --- all of them -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("algorithm", "fields", "reason"), [
    (Algorithm.SNIPER, {}, "PRICE_NOT_POSITIVE"), (Algorithm.PRICE_INLINE, {"participation": 10**5}, "NO_SCHEDULE"),
    (Algorithm.PRICE_INLINE, {"participation": 5 * 10**5, "display": 9}, "NO_SCHEDULE"),
    (Algorithm.ADAPTIVE_SHORTFALL, {"display": 10**7}, "NO_SCHEDULE"),
    (Algorithm.LIQUIDITY_SEEKING, {"participation": 10**5}, "NO_SCHEDULE"),
    (Algorithm.MINIMAL_IMPACT, {}, "NO_SCHEDULE"), (Algorithm.TWAP, {"participation": 10**6}, "NO_SCHEDULE"),
    (Algorithm.TWAP, {"participation": 10**5, "slices": 1}, "NO_SCHEDULE")])
def test_a_strategys_record_that_makes_no_sense_is_denied(make, algorithm, fields, reason):
    engine = make()
    record = np.zeros(1, PARENT_ORDER_DTYPE)[0]
    for name, value in {"parent_id": 7, "quantity": 10**8, "side": 1, "kind": ParentKind.SUBMIT_PARENT, "slices": 5,
                        "algorithm": algorithm, "end_ns": engine.now_ns + 10**9, **fields}.items():
        record[name] = value
    engine.strategizer.submit(record)
    engine.run(0.1)
    assert (engine.parent(7).status, engine.parent(7).reason) == ("PARENT_DENIED", reason)


def test_all_of_them_are_replayed_to_the_same_orders(make, tmp_path):
    engine = make(directory=tmp_path / "run", record=True)
    engine.run(11)
    limit = best_ask(engine) - 60
    parents = [engine.submit(INSTRUMENT, "buy", "50", limit, algorithm="sniper", seconds=12),
               engine.submit(INSTRUMENT, "sell", "4", algorithm="sweep"),
               engine.submit(INSTRUMENT, "buy", "20", algorithm="minimal_impact", seconds=10, must_complete=True),
               engine.submit(INSTRUMENT, "buy", "20", algorithm="liquidity_seeking", seconds=10, times_usual=1.2),
               engine.submit(INSTRUMENT, "sell", "30", algorithm="price_inline", seconds=10, participation="0.1",
                             reaction_bps=1),
               engine.submit(INSTRUMENT, "buy", "3", algorithm="adaptive_shortfall", seconds=10, urgency=30)]
    engine.run(4)
    for number, name in enumerate(engine.exchanges):
        offer(engine, name, limit, "45", number)
    for parent in parents:
        assert engine.wait(parent, 20).done
    assert all(engine.parent(parent).filled > 0 for parent in parents)
    engine.stop()
    found = replay(tmp_path / "run")
    assert found.equal and found.orders > 30, found.difference
