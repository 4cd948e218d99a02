"""The router over simulated exchanges, on a virtual clock: parents end as they should, and nothing passes risk."""
import functools
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace

import numpy as np
import pytest

from orderflow._core.loop_router import RouterLoop
from orderflow._core.types import PARENT_ORDER_DTYPE, ParentKind, Side
from orderflow.engine import EngineError
from orderflow.exchanges.actions import Request
from orderflow.instrument import OrderCharges
from orderflow.limits import Limits
from orderflow.research.simulation import (
    INSTRUMENT,
    LIMITS,
    VENUES,
    limits_of,
)
from orderflow.status import splits_of, status_of
from tests.three_exchanges import engines


@pytest.fixture
def make():
    yield from engines()


def test_a_large_parent_is_spread_and_fills_exactly(make):
    engine = make()
    parent = engine.wait(engine.submit(INSTRUMENT, "buy", "20", seconds=10))
    assert (parent.status, parent.reason, parent.filled) == ("PARENT_DONE", "OK", Decimal(20))
    assert set(parent.by_exchange) == {"alpha", "beta", "gamma"}
    assert sum(fill["filled"] for fill in parent.by_exchange.values()) == 20
    assert engine.orders.audit() == []


def charged(tickets, **tiers):
    """Charges of the three exchanges, by name."""
    return {venue.name: OrderCharges({"USDT": Decimal(tickets)}, {INSTRUMENT: tiers[venue.name]} if venue.name in tiers
                                     else {}) for venue in VENUES}


def test_tickets_keep_together_what_fees_alone_would_spread(make):
    quantity = "6"
    spread, together = make(), make(charges=charged("1000"))
    parents = [engine.wait(engine.submit(INSTRUMENT, "buy", quantity, seconds=10)) for engine in (spread, together)]
    assert [parent.filled for parent in parents] == [Decimal(quantity)] * 2
    assert len(parents[0].by_exchange) > 1 == len(parents[1].by_exchange)
    counts = together.router.counts
    assert counts["searched"] <= counts["splits"] and counts["split_nodes"] >= counts["searched"]
    assert counts["inexact"] == 0 and together.router.inexact_split is None
    assert status_of(together)["splits"] == {name: counts[name] for name in ("splits", "searched", "split_nodes",
                                                                             "inexact")}


def test_a_split_that_was_cut_short_is_told_in_money(make):
    engine = make()
    stand_in = SimpleNamespace(counts=engine.router.counts, inexact_split=(7, 0, 150, 25 * 10**7))
    one = SimpleNamespace(core=engine.core, router=stand_in)
    decimals = engine.instruments[INSTRUMENT].price_decimals, engine.instruments[INSTRUMENT].quantity_decimals
    told = splits_of(one)["last_inexact"]
    assert (told["parent"], told["instrument"]) == (7, INSTRUMENT)
    assert Decimal(told["gap"]) == Decimal(25 * 10**7).scaleb(-8 - sum(decimals))
    assert Decimal(told["unfilled"]) == Decimal(150).scaleb(-decimals[1])


def test_a_fee_tier_draws_the_whole_order(make):
    """Gamma's taker fee is not the lowest, but with 1 BTC or more it is."""
    engine = make(charges=charged("0", gamma=((Decimal(1), Decimal("-0.01")),)))
    parents = [engine.wait(engine.submit(INSTRUMENT, "buy", quantity, seconds=10)) for quantity in ("0.01", "1")]
    assert set(parents[1].by_exchange) == {"gamma"} != set(parents[0].by_exchange)


@pytest.mark.parametrize(("charges", "told"), [
    (OrderCharges({"EUR": Decimal(1)}), "tickets of alpha: 'EUR' is not listed there; there are USDT"),
    (OrderCharges({}, {"BTC-EUR": ()}), "fee_tiers of alpha: 'BTC-EUR' is not listed there; there are BTC-USDT"),
    (OrderCharges({}, {INSTRUMENT: ((Decimal(1), Decimal("0.5")),)}), "tickets and fee tiers: .* falling fee"),
    (OrderCharges({"USDT": Decimal("1e-9")}), "tickets and fee tiers: ticket of BTCUSDT: .* more than 8 decimals"),
])
def test_charges_that_cannot_be_say_so(make, charges, told):
    with pytest.raises(EngineError, match=told):
        make(charges={"alpha": charges})


def test_only_where_it_may_go(make):
    engine = make()
    parent = engine.wait(engine.submit(INSTRUMENT, "sell", "1", seconds=5, exchanges=["gamma"]))
    assert set(parent.by_exchange) == {"gamma"}


def test_single_uses_one_exchange(make):
    engine = make(policy="single")
    parent = engine.wait(engine.submit(INSTRUMENT, "buy", "20", seconds=10))
    assert len(parent.by_exchange) == 1


def test_a_limit_is_never_passed_and_time_ends_it(make):
    engine = make()
    best = min(int(engine.core.board.read(index)["asks"][0]["price"]) * int(engine.table[index]["price_factor"])
               for index in range(3))
    limit = Decimal(best).scaleb(-engine.instruments[INSTRUMENT].price_decimals) - 500
    parent = engine.wait(engine.submit(INSTRUMENT, "buy", "5", limit, seconds=1))
    assert (parent.status, parent.reason, parent.children) == ("PARENT_DONE", "END_TIME", 0)


@pytest.mark.parametrize("side, quantity, limit, exchanges", [
    ("buy", "0.00000001", None, ()),            # below the minimum quantity
    ("buy", "0.00005", None, ["alpha"]),        # about 3 USDT of at least 5
    ("sell", "0.00005", None, ["alpha", "beta"]),
    ("buy", "0.00015", "20000", ["alpha"]),     # 9 at the market, 3 at its own limit
])
def test_what_no_exchange_takes_is_not_waited_for(make, side, quantity, limit, exchanges):
    engine = make()
    parent = engine.wait(engine.submit(INSTRUMENT, side, quantity, limit, exchanges=exchanges))
    assert (parent.status, parent.reason, parent.children) == ("PARENT_DONE", "BELOW_MINIMUM_REMAINS", 0)


@pytest.mark.parametrize("side, quantity, limit, exchanges, reason", [
    ("buy", "0.0001", None, ["alpha"], "OK"),           # about 6
    ("buy", "0.00005", None, (), "OK"),                 # gamma takes orders from 0.5 on
    ("sell", "0.00005", "120000", ["alpha"], "END_TIME"),   # 6 if the market ever gets there
])
def test_what_an_exchange_takes_is_worked(make, side, quantity, limit, exchanges, reason):
    engine = make()
    parent = engine.wait(engine.submit(INSTRUMENT, side, quantity, limit, seconds=1, exchanges=exchanges))
    assert (parent.status, parent.reason) == ("PARENT_DONE", reason)


@pytest.mark.parametrize("arguments, told", [
    ({"limit_price": "-5"}, "limit_price -5: a price is positive"), ({"limit_price": 0}, "limit_price 0: "),
    ({"seconds": 0}, "seconds 0: expected a positive number"), ({"seconds": -1}, "seconds -1: "),
])
def test_an_argument_that_means_nothing_is_not_taken_for_none(make, arguments, told):
    engine = make()
    with pytest.raises(ValueError, match=told):
        engine.submit(INSTRUMENT, "buy", "1", **arguments)
    assert engine.parents() == [] and engine.router.counts["parents"] == 0


def test_a_parent_that_there_is_not(make):
    engine = make()
    for asked in (engine.cancel, engine.wait):
        with pytest.raises(ValueError, match="parent order 7: there is none"):
            asked(7)


def test_nothing_is_submitted_to_an_engine_that_has_stopped(make):
    engine = make()
    engine.stop()
    with pytest.raises(EngineError, match="does not run"):
        engine.submit(INSTRUMENT, "buy", "1")


def test_cancel(make):
    engine = make()
    parent_id = engine.submit(INSTRUMENT, "buy", "5", "1000")
    engine.run(0.5)
    assert engine.parent(parent_id).status == "PARENT_WORKING"
    engine.cancel(parent_id)
    parent = engine.wait(parent_id, 1)
    assert (parent.status, parent.reason) == ("PARENT_DONE", "CANCELLED_BY_USER")


@pytest.fixture
def four_timers(monkeypatch):
    """Routers that have room for four timers."""
    monkeypatch.setattr("orderflow.routing.RouterLoop", functools.partial(RouterLoop, timer_capacity=4))


def test_what_ended_early_leaves_no_timer_behind(make, four_timers):
    """Neither the end of a parent that was filled or cancelled long before it, nor the wait for an answered order."""
    engine = make()
    for _ in range(6):
        parent = engine.wait(engine.submit(INSTRUMENT, "buy", "0.01", seconds=3600, exchanges=["gamma"]))
        assert (parent.status, parent.filled) == ("PARENT_DONE", Decimal("0.01"))
        cancelled = engine.submit(INSTRUMENT, "buy", "1", "1000", seconds=3600)
        engine.cancel(cancelled)
        assert engine.wait(cancelled).reason == "CANCELLED_BY_USER"
    assert engine.router.counts["timers"] == 0
    parent = engine.wait(engine.submit(INSTRUMENT, "buy", "1", "1000", seconds=1))
    assert parent.reason == "END_TIME"


def test_a_parent_whose_end_cannot_be_timed_is_denied(make, four_timers):
    engine = make()
    ids = [engine.submit(INSTRUMENT, "buy", "1", "1000", seconds=1) for _ in range(5)]
    parents = [engine.wait(parent) for parent in ids]
    assert [(parent.status, parent.reason) for parent in parents] == (
        [("PARENT_DONE", "END_TIME")] * 4 + [("PARENT_DENIED", "TABLE_FULL")])


def test_an_order_whose_answer_cannot_be_timed_is_not_sent(make, four_timers):
    engine = make()
    for _ in range(4):
        engine.submit(INSTRUMENT, "buy", "1", "1000", seconds=2)
    parent = engine.submit(INSTRUMENT, "buy", "0.01")
    engine.run(1)
    assert engine.parent(parent).children == 0 and engine.router.counts["refusals"]["TABLE_FULL"]
    assert engine.wait(parent).filled == Decimal("0.01")


def test_without_limits_nothing_is_sent(make):
    engine = make(limits={})
    parent = engine.wait(engine.submit(INSTRUMENT, "buy", "1", seconds=1))
    assert (parent.filled, parent.reason) == (0, "END_TIME")
    assert engine.router.counts["refusals"]
    assert all(sum(loop.sent_orders) == 0 for loop in engine.core.loops.values())


def test_risk_stands_between_the_router_and_the_wire(make):
    engine = make(limits=limits_of({INSTRUMENT: Limits("3", "100", "10000000")}))
    parent = engine.wait(engine.submit(INSTRUMENT, "buy", "5", seconds=2))
    assert parent.filled <= 3
    assert engine.router.counts["refusals"]["POSITION_EXCEEDS_MAXIMUM"] > 0


def test_halt_stops_everything_at_once(make):
    engine = make()
    engine.halt()
    parent = engine.wait(engine.submit(INSTRUMENT, "buy", "1", seconds=1))
    assert parent.filled == 0
    assert all(loop.sent_orders[0] == 0 for loop in engine.core.loops.values())
    assert all(not exchange.desk.truth()["events"] for exchange in engine.exchanges.values())


def test_an_exchange_gets_no_more_orders_than_it_allows(make):
    """Five in ten minutes, one of them kept for a cancel."""
    engine = make(order_rate=(5, 600 * 10**9))
    ids = [engine.submit(INSTRUMENT, "buy", "0.01", seconds=5, exchanges=["gamma"]) for _ in range(8)]
    parents = [engine.wait(parent) for parent in ids]
    assert engine.core.loops["gamma"].sent_orders[0] == 4
    assert [parent.filled for parent in parents].count(Decimal("0.01")) == 4
    assert [parent.reason for parent in parents].count("END_TIME") == 4
    assert engine.orders.audit() == []


def test_a_denied_parent_says_why(make):
    engine = make(maximum_parents=1)
    engine.submit(INSTRUMENT, "buy", "1", "1000")
    parent = engine.wait(engine.submit(INSTRUMENT, "buy", "2", seconds=5), timeout=1)
    assert (parent.status, parent.reason, parent.quantity, parent.filled) == ("PARENT_DENIED", "TABLE_FULL", 2, 0)
    assert parent.done


def test_ended_parents_give_way_to_new_ones(make):
    """More of them in a few seconds than the table holds, and a position that has every fill."""
    engine = make(maximum_parents=2)
    for _ in range(12):
        parent = engine.wait(engine.submit(INSTRUMENT, "buy", "0.01", seconds=60))
        assert (parent.status, parent.filled) == ("PARENT_DONE", Decimal("0.01"))
    assert [parent.id for parent in engine.parents()] in ([11, 12], [12, 11])
    bought = sum(engine.position(index).net * int(engine.table[index]["quantity_factor"]) for index in range(3))
    assert bought == engine.instruments[INSTRUMENT].quantity("0.12")
    assert engine.orders.audit() == []


def test_an_answer_that_no_document_describes_ends_nothing(make):
    engine = make()
    told = []
    gamma = engine.conversations[2]
    gamma.report = told.append
    gamma.answered(Request("token", "POST", "http://gamma"), 200, b"<html>down for maintenance</html>", 0, 0)
    assert "the answer to token was not understood" in told[0] and "<html>" in told[0]
    parent = engine.wait(engine.submit(INSTRUMENT, "buy", "5", seconds=3))
    assert parent.filled == 5


def test_kill_is_repeated_when_the_order_connection_is_back(make):
    """Whatever was sent before the connection went is cancelled as soon as there is one again."""
    engine = make()
    gamma = engine.conversations[2]
    line = next(index for index, line in enumerate(gamma.lines) if line.endpoint.name == "orders")
    gamma.disconnected(line, 1006, gamma.lines[line].epoch)
    engine.run(0.001)
    engine.halt()
    engine.run(5, lambda: gamma.ready)
    assert gamma.ready and engine.core.loops["gamma"].can_trade
    parent = engine.wait(engine.submit(INSTRUMENT, "buy", "1", seconds=1))
    assert parent.filled == 0


def test_a_lost_order_connection_leaves_the_others_trading(make):
    engine = make()
    gamma = engine.conversations[2]
    line = next(index for index, line in enumerate(gamma.lines) if line.endpoint.name == "orders")
    gamma.disconnected(line, 1006, gamma.lines[line].epoch)
    gamma._stopping = True                  # it stays away
    parent = engine.wait(engine.submit(INSTRUMENT, "buy", "5", seconds=3))
    assert parent.filled == 5
    assert set(parent.by_exchange) <= {"alpha", "beta"}
    assert engine.orders.audit() == []


def test_an_order_that_nobody_answers_is_in_doubt_and_stays_reserved(make):
    engine = make()
    engine.exchanges["beta"].message = lambda *_: None          # takes orders and says nothing
    parent_id = engine.submit(INSTRUMENT, "buy", "1", exchanges=["beta"])
    engine.run(7.0)
    parent = engine.parent(parent_id)
    assert (parent.filled, parent.in_doubt, parent.status) == (0, 1, "PARENT_WORKING")
    engine.cancel(parent_id)
    engine.run(0.5)
    assert engine.parent(parent_id).status == "PARENT_ENDED_IN_DOUBT"
    assert engine.orders.audit() == []


def test_an_instrument_that_is_not_there_is_denied(make):
    engine = make()
    record = np.zeros(1, PARENT_ORDER_DTYPE)[0]
    record["parent_id"], record["instrument"], record["kind"] = 99, 7, ParentKind.SUBMIT_PARENT
    record["side"], record["quantity"] = Side.BUY, 1
    engine.strategizer.submit(record)
    engine.run(0.2)
    assert (engine.parent(99).status, engine.parent(99).reason) == ("PARENT_DENIED", "UNKNOWN_LISTING")
    with pytest.raises(ValueError, match="there are BTC-USDT"):
        engine.submit("ETH-USDT", "buy", 1)


# -- what risk says to people -----------------------------------------------------------------------------------------


def test_a_refusal_says_code_limit_and_number(make):
    engine = make(limits=limits_of({INSTRUMENT: Limits("3", "100", "10000000")}))
    parent = engine.wait(engine.submit(INSTRUMENT, "buy", "5", seconds=2, exchanges=["alpha"]))
    code, _, numbers = parent.refusal.partition(": ")
    actual, limit = numbers.split(", ")
    assert (code, limit) == ("POSITION_EXCEEDS_MAXIMUM", "maximum_position=3")
    assert 3 < Decimal(actual.removeprefix("position=")) <= 5
    assert engine.wait(engine.submit(INSTRUMENT, "sell", "0.01", seconds=2)).refusal is None


def test_the_same_order_twice_is_denied_and_its_remainder_is_not(make):
    """A parent of 20 needs many children, some of them alike; a second parent like it is a mistake."""
    engine = make(limits=replace(LIMITS, every_strategy=replace(LIMITS.every_strategy, repeat_seconds=5)))
    ids = [engine.submit(INSTRUMENT, "buy", "20", seconds=10) for _ in range(2)]
    first, second = (engine.wait(parent) for parent in ids)
    assert (first.status, first.filled, first.refusal) == ("PARENT_DONE", 20, None)
    assert (second.status, second.reason) == ("PARENT_DENIED", "REPEATED_ORDER")
    engine.run(5.0)
    assert engine.wait(engine.submit(INSTRUMENT, "buy", "20", seconds=10)).filled == 20


def test_capital_is_kept_to_over_all_exchanges(make):
    total = replace(LIMITS.total, maximum_capital={"USDT": "100000"})
    engine = make(limits=replace(LIMITS, total=total))
    parent = engine.wait(engine.submit(INSTRUMENT, "buy", "5", seconds=2))
    assert parent.refusal.startswith("CAPITAL_EXCEEDED: capital=") and parent.refusal.endswith("maximum_capital=100000")
    price = parent.average_price or Decimal(60_000)
    assert parent.filled * price < 101_000


def test_who_loses_too_much_only_reduces_until_armed_again(make):
    """Crossing three spreads and paying the fees is a loss of some hundred."""
    every = replace(LIMITS.every_strategy, maximum_loss={"USDT": "1"}, loss_seconds=0.2)
    engine = make(limits=replace(LIMITS, every_strategy=every))
    engine.wait(engine.submit(INSTRUMENT, "buy", "5", seconds=2))
    engine.run(1.0)
    more = engine.wait(engine.submit(INSTRUMENT, "buy", "0.5", seconds=1))
    assert more.filled == 0 and more.refusal.startswith("STRATEGY_LOSS_EXCEEDED: loss=")
    assert engine.wait(engine.submit(INSTRUMENT, "sell", "1", seconds=5)).filled == 1
    engine.set_strategy_state("manual", "ACTIVE")
    engine.run(0.1)
    assert engine.wait(engine.submit(INSTRUMENT, "buy", "0.001", seconds=1)).filled == Decimal("0.001")


def test_a_strategy_is_halted_and_armed_by_hand(make):
    every = replace(LIMITS.every_strategy, maximum_fills=1, fill_seconds=60)
    engine = make(limits=replace(LIMITS, every_strategy=every))
    engine.wait(engine.submit(INSTRUMENT, "buy", "0.01", seconds=2, exchanges=["alpha"]))
    engine.wait(engine.submit(INSTRUMENT, "buy", "0.01", seconds=2, exchanges=["beta"]))
    assert engine.strategy_state("manual") == ("HALTED", "FILLS_TOO_FREQUENT")
    parent = engine.wait(engine.submit(INSTRUMENT, "buy", "0.01", seconds=1))
    assert (parent.filled, parent.refusal) == (0, "FILLS_TOO_FREQUENT: fills=2, maximum_fills=1")
    engine.set_strategy_state("manual", "ACTIVE")
    engine.run(0.1)
    assert engine.wait(engine.submit(INSTRUMENT, "buy", "0.01", seconds=1)).filled == Decimal("0.01")
    with pytest.raises(ValueError, match="strategy 'mine': there are manual"):
        engine.set_strategy_state("mine", "ACTIVE")


def test_nothing_may_be_used_of_a_currency_that_nobody_named(make):
    engine = make(limits=dict(LIMITS.instruments))
    parent = engine.wait(engine.submit(INSTRUMENT, "buy", "1", seconds=1))
    assert parent.filled == 0 and parent.refusal.endswith("maximum_capital=0")


def test_limits_of_what_there_is_not_are_named(make):
    with pytest.raises(EngineError, match="limits of strategy 'mine': there are manual"):
        make(limits=replace(LIMITS, strategies={"mine": LIMITS.every_strategy}))
