"""One instrument in three quote currencies: joined by configuration, converted with live rates, routed as one."""
import io
import math
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from rich.console import Console

from orderflow._core import journal
from orderflow._core.journal import RecordKind
from orderflow._core.types import CHILD_ORDER_DTYPE, EXECUTION_REPORT_DTYPE, ExecType, Side
from orderflow.cli import summary
from orderflow.cli.screen import HEIGHT, WIDTH, LiveScreen
from orderflow.cli.status import lines
from orderflow.engine import EngineError
from orderflow.joining import Join
from orderflow.research.explain import explain
from orderflow.research.replay import replay
from orderflow.research.tca import analyse
from orderflow.simulator.faults import Fault, FaultPlan
from orderflow.status import status_of
from tests.three_currencies import ITEM, JOINS, LIMITS, engines

UNIT = 10**12
#: Index of each listing.
DOLLAR, TETHER, CIRCLE, RATE, INVERSE = range(5)


@pytest.fixture
def make():
    yield from engines()


def top(engine, index):
    """(bid, ask) of a listing's board, in its own currency."""
    entry, scale = engine.core.board.read(index), 10 ** engine.core.listings[index].price_decimals
    return Fraction(int(entry["bids"][0]["price"]), scale), Fraction(int(entry["asks"][0]["price"]), scale)


def rates(engine):
    """By listing: (what a buyer pays in USD for a unit of its currency, what a seller gets), exactly."""
    bid, ask = top(engine, RATE)
    other_bid, other_ask = top(engine, INVERSE)
    return {DOLLAR: (Fraction(1), Fraction(1)), TETHER: (ask, bid), CIRCLE: (1 / other_bid, 1 / other_ask)}


def levels(engine, side):
    """(all-in price in USD, price in USD, quantity, exchange) of every level, best first, in exact fractions."""
    sign, name, place = (1, "asks", 0) if side == "buy" else (-1, "bids", 1)
    found = []
    for index, rate in rates(engine).items():
        entry, listing = engine.core.board.read(index), engine.core.listings[index]
        for level in entry[name][:entry[f"{name[:-1]}_count"]]:
            price = rate[place] * Fraction(int(level["price"]), 10**listing.price_decimals)
            found.append((price * (1 + sign * Fraction(listing.taker_fee)), price,
                          Fraction(int(level["quantity"]), 10**listing.quantity_decimals), listing.exchange))
    return sorted(found, key=lambda one: sign * one[0])


def children(engine):
    """ChildOrder records of every order that was sent, as the journal has them."""
    engine.journal.flush()
    return [np.frombuffer(record.payload, CHILD_ORDER_DTYPE)[0] for record in journal.read(engine.directory)
            if record.kind == RecordKind.INTENT]


def fills(engine):
    """ExecutionReports of fills."""
    found = [np.frombuffer(record.payload, EXECUTION_REPORT_DTYPE)[0] for record in journal.read(engine.directory)
             if record.kind == RecordKind.REPORT]
    return [one for one in found if one["exec_type"] == ExecType.REPORT_FILL]


def worth(engine, order, price):
    """A price of a child order's listing in USD, at the order's rate, exactly."""
    listing = engine.core.listings[int(order["listing"])]
    return Fraction(int(price), 10**listing.price_decimals) * Fraction(int(order["rate"]) or UNIT, UNIT)


# -- what is asked of it --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_the_consolidated_book_is_what_the_boards_and_the_rates_say(make, side):
    engine = make()
    engine.run(2)
    book, exact = engine.consolidated(ITEM), levels(engine, side)
    got = book.levels(side)
    assert {one.exchange for one in got} == {"dollar", "tether", "circle"} and book.left_out == {}
    assert [(one.exchange, one.quantity) for one in got] == [(one[3], one[2]) for one in exact]
    sign = 1 if side == "buy" else -1
    for one, (all_in, price, _, _) in zip(got, exact, strict=True):
        most = Fraction(one.own_price) / UNIT + Fraction(1, 10**8)          # the rate's last digit and the price's
        assert 0 <= sign * (Fraction(one.price) - price) < most
        assert 0 <= sign * (Fraction(one.all_in) - all_in) < most * Fraction("1.001")
        assert 0 <= one.age_seconds < 5


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_its_cost_its_depth_and_its_split_are_those_of_a_slow_walk(make, side):
    engine = make()
    engine.run(1)
    book, exact, wanted = engine.consolidated(ITEM), levels(engine, side), Fraction(7)
    left, paid, used = wanted, Fraction(0), set()
    for all_in, _, quantity, exchange in exact:
        part = min(left, quantity)
        left, paid = left - part, paid + part * all_in
        used |= {exchange} if part else set()
    cost, split = book.cost(side, "7"), book.best_split(side, "7")
    assert (cost.quantity, split.quantity) == (7, 7) and left == 0
    assert float(cost.all_in) == pytest.approx(float(paid), rel=1e-11) and cost.all_in_average == cost.all_in / 7
    sign = 1 if side == "buy" else -1
    assert split.exact and 0 <= sign * (split.all_in - cost.all_in) < Decimal("0.01")       # that is what lots cost
    assert {part.exchange for part in split.parts} == used and sum(part.quantity for part in split.parts) == 7
    assert {part.exchange: part.currency for part in split.parts}.items() <= {
        "dollar": "USD", "tether": "USDT", "circle": "USDC"}.items()
    price = book.levels(side)[10].price
    assert book.quantity_within(side, price) == sum(
        one.quantity for one in book.levels(side) if sign * one.price <= sign * price) > 0


def test_an_exchange_that_is_killed_or_halted_is_left_out_and_named(make):
    engine = make()
    engine.halt("tether")
    book = engine.consolidated(ITEM)
    assert book.left_out == {"tether": "killed"}
    assert {one.exchange for one in book.levels("buy")} == {"dollar", "circle"}
    engine.rearm("tether")
    assert engine.consolidated(ITEM).left_out == {}


def test_an_instrument_that_there_is_not(make):
    with pytest.raises(ValueError, match=r"instrument 'BTC-EUR': there are BTC-USD, USDT-USD, USD-USDC"):
        make().consolidated("BTC-EUR")


# -- what is routed -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_orders_go_where_they_cost_least_in_one_currency_and_are_told_in_it(make, side):
    engine = make(seed=3)
    book = engine.consolidated(ITEM)
    split = book.best_split(side, "30")
    exact = {index: math.ceil(buy * UNIT) if side == "buy" else math.floor(sell * UNIT)
             for index, (buy, sell) in rates(engine).items()} | {DOLLAR: 0}
    parent = engine.wait(engine.submit(ITEM, side, "30", seconds=10))
    assert parent.filled == 30 and len(parent.by_exchange) == 3 and engine.orders.audit() == []
    first = [order for order in children(engine) if order["sequence"] == children(engine)[0]["sequence"]]
    sent = {engine.core.listings[int(one["listing"])].exchange: one for one in first}
    assert {part.exchange: part.quantity for part in split.parts} == {
        name: Decimal(int(one["quantity"])).scaleb(-8) for name, one in sent.items()}
    assert all(one["rate"] == exact[int(one["listing"])] for one in first)
    orders = {int(one["client_order_id"]): one for one in children(engine)}
    up = math.ceil if side == "buy" else math.floor
    paid = sum(Fraction(up(worth(engine, orders[int(one["client_order_id"])], one["last_price"]) * 10**8), 10**8)
               * Fraction(int(one["last_quantity"]), 10**8) for one in fills(engine))
    assert Fraction(parent.average_price) == pytest.approx(paid / 30, rel=1e-20)
    told = sum(Fraction(part["average_price"]) * Fraction(part["filled"]) for part in parent.by_exchange.values())
    assert float(told) == pytest.approx(float(paid), rel=1e-15)
    charged = sum(Fraction(engine.core.listings[int(one["listing"])].taker_fee)
                  * worth(engine, orders[int(one["client_order_id"])], one["last_price"])
                  * Fraction(int(one["last_quantity"]), 10**8) for one in fills(engine))
    assert set(parent.fees) <= {"USD", "USDT", "USDC", "BTC"}
    assert float(parent.fees_quote) == pytest.approx(float(charged), rel=1e-4)     # in kind at the average price


@pytest.mark.parametrize("side", ["buy", "sell"])
def test_no_child_is_worse_than_its_parents_limit_at_its_rate(make, side):
    """Though rates move all the time: each has the rate of the moment at which it was decided."""
    engine, sign, limits = make(seed=5), 1 if side == "buy" else -1, {}
    for _ in range(12):
        best = engine.consolidated(ITEM).levels(side)[0].price
        limit = (best * (1 + sign * Decimal("0.0006"))).quantize(Decimal("0.00000001"))
        limits[engine.submit(ITEM, side, "80", limit, seconds=1)] = limit
        engine.run(1.2)
    sent = children(engine)
    assert len(sent) >= 20 and len({int(one["rate"]) for one in sent if one["listing"] == TETHER}) >= 3
    assert {int(one["listing"]) for one in sent} >= {TETHER, CIRCLE}
    for one in sent:
        assert bool(one["rate"]) == (one["listing"] != DOLLAR)
        assert sign * worth(engine, one, one["price"]) <= sign * Fraction(limits[int(one["parent_id"])])
    for parent in engine.parents():
        assert parent.average_price is None or sign * parent.average_price <= sign * limits[parent.id]


def test_a_limit_between_two_ticks_buys_the_lower_one_and_nothing_above(make):
    """The highest price in USDT that is worth no more than the limit is taken; with a unit less of limit it is not."""
    engine = make()
    level = next(one for one in engine.consolidated(ITEM).levels("buy") if one.exchange == "tether")
    for limit, taken in ((level.price, True), (level.price - Decimal("0.00000001"), False)):
        split = engine.consolidated(ITEM).best_split("buy", "100", limit)
        assert any(part.exchange == "tether" for part in split.parts) == taken


def test_the_rates_of_the_router_are_those_of_the_boards(make):
    engine, seen = make(), set()
    for _ in range(20):
        engine.run(0.5)
        exact = rates(engine)
        for index in (TETHER, CIRCLE):
            got = engine.router.rates(index)
            assert got == (math.ceil(exact[index][0] * UNIT), math.floor(exact[index][1] * UNIT))
            seen.add((index, got))
    assert len(seen) > 10 and engine.router.rates(DOLLAR) == (0, 0)
    told = status_of(engine)["rates"]
    assert set(told) == {"tether BTCUSDT", "circle BTCUSDC"}
    assert Fraction(told["tether BTCUSDT"]["buy"]) == rates(engine)[TETHER][0]


def test_without_a_rate_a_listing_drops_out_and_comes_back_by_itself(make):
    """The exchange of the rates says nothing more, until its connection is given up and made anew."""
    silent = FaultPlan(script=(Fault("half_open", "rates", after_seconds=2.0),))
    engine = make(settings={"rates": {"faults": silent}}, silence=3.0)
    assert engine.consolidated(ITEM).left_out == {}
    engine.run(10, lambda: engine.book_state(RATE) == engine.book_state(INVERSE) == "STALE")
    assert engine.book_state(RATE) == "STALE" and engine.book_state(TETHER) == engine.book_state(CIRCLE) == "LIVE"
    assert engine.router.rates(TETHER) == engine.router.rates(CIRCLE) == (0, 0)
    assert engine.consolidated(ITEM).left_out == {"tether": "no rate from USDT-USD", "circle": "no rate from USD-USDC"}
    told = status_of(engine)
    assert told["rates"]["tether BTCUSDT"] == {"from": "USDT-USD", "buy": None, "sell": None}
    assert "Not used: tether BTCUSDT, USDT-USD gives no rate" in lines(told)
    parent = engine.wait(engine.submit(ITEM, "buy", "5", seconds=1))
    assert set(parent.by_exchange) == {"dollar"}
    alone = engine.submit(ITEM, "buy", "1", seconds=600, exchanges=["tether"])
    engine.run(0.2)
    assert engine.parent(alone).children == 0
    engine.run(300, lambda: engine.book_state(RATE) == engine.book_state(INVERSE) == "LIVE")
    done = engine.wait(alone, 5)
    assert done.filled == 1 and set(done.by_exchange) == {"tether"} and engine.consolidated(ITEM).left_out == {}


def test_a_resting_order_follows_its_limit_when_the_rate_turns_against_it(make):
    """It is in USDT, its limit in USD: cancelled and placed anew, each time at the highest price that is within."""
    engine = make(seed=7)
    limit = engine.consolidated(ITEM).levels("sell")[0].price - 600     # nobody comes there
    parent_id = engine.submit(ITEM, "buy", "0.5", limit, algorithm="resting", exchanges=["tether"])
    for _ in range(60):
        engine.run(0.5)
        exact = rates(engine)[TETHER][0]
        working = [one for one in engine.orders.orders() if one.listing == TETHER and one.working]
        for one in working:
            assert Fraction(one.price, 10**8) * exact <= Fraction(limit) or one.status.name == "PENDING_CANCEL"
    sent = [one for one in children(engine) if one["listing"] == TETHER]
    assert len(sent) >= 3 and len({int(one["price"]) for one in sent}) >= 2
    for one in sent:
        tick = 10**8
        assert worth(engine, one, one["price"]) <= Fraction(limit) < worth(engine, one, int(one["price"]) + tick)
    assert engine.parent(parent_id).status == "PARENT_WORKING" and engine.orders.audit() == []


def test_a_replay_gives_the_same_orders_with_the_same_rates(make, tmp_path):
    engine = make(seed=9, directory=tmp_path, record=True)
    for side in ("buy", "sell", "buy"):
        engine.wait(engine.submit(ITEM, side, "8", seconds=5))
        engine.run(1)
    assert len({int(one["rate"]) for one in children(engine)}) > 3
    engine.stop()
    replayed = replay(tmp_path)
    assert replayed.difference == "" and replayed.equal and replayed.orders >= 3


# -- money ----------------------------------------------------------------------------------------------------------


def profit(engine):
    """What risk counts in USD, of everything."""
    return float(Fraction(engine.risk.money("total", 0, 0).profit, 10 ** engine.risk.money_decimals_of(0)))


def mid(engine):
    """Halfway between the best bid and the best ask of all books, in USD."""
    bids, asks = (levels(engine, side) for side in ("sell", "buy"))
    return (max(one[1] for one in bids) + min(one[1] for one in asks)) / 2


def test_profit_is_counted_in_the_instruments_currency(make):
    engine = make(seed=3)
    engine.wait(engine.submit(ITEM, "buy", "20", seconds=10))
    orders = {int(one["client_order_id"]): one for one in children(engine)}
    paid = sum(worth(engine, orders[int(one["client_order_id"])], one["last_price"])
               * Fraction(int(one["last_quantity"]), 10**8)
               * (1 + Fraction(engine.core.listings[int(one["listing"])].taker_fee)) for one in fills(engine))
    assert profit(engine) == pytest.approx(float(20 * mid(engine) - paid), abs=1e-3)


def test_an_order_is_judged_at_what_it_is_worth_in_that_currency(make):
    """60 030 USDT at 0.9995: within a limit of 60 015 USD, not within one of 59 980."""
    for most, passes in (("60015", True), ("59980", False)):
        engine = make(limits=replace(LIMITS, instruments={ITEM: replace(LIMITS.instruments[ITEM],
                                                                       maximum_order_notional=most)}))
        price = next(one.price for one in engine.consolidated(ITEM).levels("buy") if one.exchange == "tether")
        assert 59_980 < price < 60_015 < 60_020 < engine.consolidated(ITEM).levels("buy")[0].own_price + 20
        parent = engine.wait(engine.submit(ITEM, "buy", "1", seconds=1, exchanges=["tether"]))
        assert (parent.filled > 0) == passes
        assert passes or parent.refusal.startswith("NOTIONAL_EXCEEDS_MAXIMUM")


def test_what_was_held_counts_once_a_rate_is_known(make, tmp_path):
    engine = make(seed=3, directory=tmp_path)
    engine.wait(engine.submit(ITEM, "buy", "2", seconds=10, exchanges=["tether"]))
    index, held = TETHER, engine.position(TETHER)
    engine.stop()
    again = make(seed=3, directory=tmp_path, start_ns=engine.now_ns + 10**9)
    assert again.position(index).net == held.net > 0
    paid = Fraction(held.open_cost, 10**16) * Fraction(again.router.rates(TETHER)[0], UNIT)
    assert profit(again) == pytest.approx(float(2 * mid(again) - paid), abs=20)     # it was at the first rate


def test_an_order_of_the_run_before_keeps_its_rate(make, tmp_path):
    engine = make(seed=3, directory=tmp_path)
    limit = engine.consolidated(ITEM).levels("sell")[0].price - 600
    engine.submit(ITEM, "buy", "0.5", limit, algorithm="resting", exchanges=["tether"])
    engine.run(0.5)
    (order,) = children(engine)
    engine.stop()
    again = make(seed=3, directory=tmp_path, start_ns=engine.now_ns + 10**9)
    (parent,) = again.orders.parents()
    assert parent.limit_price == math.ceil(worth(engine, order, order["price"]) * 10**8)
    assert engine.instruments[ITEM].price(limit) - 10**8 < parent.limit_price <= engine.instruments[ITEM].price(limit)


def test_costs_are_analysed_in_the_instruments_currency(make, tmp_path):
    engine, parents = make(seed=3, directory=tmp_path, record=True), []
    for side in ("buy", "sell", "sell", "buy"):
        parents.append(engine.wait(engine.submit(ITEM, side, "20", seconds=10)))
        engine.run(1.5)
    engine.stop()
    found = analyse(tmp_path).parents
    assert any("USDT" in one.fees for one in parents) and any("USDC" in one.fees for one in parents)
    for told, parent in zip(found, parents, strict=True):
        assert (told.parent.quote, told.parent.base) == ("USD", "BTC")
        assert float(told.average_price) == pytest.approx(float(parent.average_price), rel=1e-12)
        assert float(told.arrival_price) == pytest.approx(float(parent.arrival_price), abs=0.02)
        fees = float(Fraction(told.fees.quote, 10**told.fees.decimals))
        assert not told.fees.apart and fees == pytest.approx(float(parent.fees_quote), rel=1e-4)


def test_what_is_estimated_is_what_the_consolidated_book_costs(make):
    engine = make()
    book, wanted = engine.consolidated(ITEM), "9"
    found = engine.estimate(ITEM, "sell", wanted, daily_volume=1e5, daily_volatility=0.03)
    assert float(found.mid) == pytest.approx(float(mid(engine)), abs=1e-6)
    assert found.now.cost_bps == pytest.approx(
        10_000 * float(1 - book.cost("sell", wanted).all_in_average / found.mid), rel=1e-6)
    assert summary.mid(engine, ITEM) == found.mid


def test_why_it_went_there_is_told_in_the_instruments_currency(make, tmp_path):
    engine = make(seed=3, directory=tmp_path, record=True)
    split = engine.consolidated(ITEM).best_split("buy", "30")
    parent = engine.submit(ITEM, "buy", "30", seconds=10)
    engine.wait(parent)
    engine.stop()
    told = explain(tmp_path, parent).decisions[0]
    assert {one.exchange for one in told.offers if one.asked} == {part.exchange for part in split.parts}
    assert float(told.average) == pytest.approx(float(split.all_in / 30), rel=1e-9)
    assert all(float(one.all_in) == pytest.approx(60_000, rel=2e-3) for one in told.offers if one.asked)


def test_the_screen_shows_one_ladder_in_one_currency(make):
    engine = make()
    console = Console(width=WIDTH, height=HEIGHT, record=True, file=io.StringIO())
    console.print(LiveScreen(engine, "joined", console=console).render(1.0, None))
    text = console.export_text()
    best = max(one.price for one in engine.consolidated(ITEM).levels("sell"))
    assert f"{best:,.2f}" in text and all(name in text for name in ("dollar", "tether", "circle"))


# -- how it is asked for --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("join, told", [
    (Join({"tether": ("BTCEUR",)}), r'instruments\."BTC-USD"\.symbols\.tether: \'BTCEUR\' is not traded there'),
    (Join({"tether": ("BTCUSDT",)}), r'convert: tether BTCUSDT is quoted in USDT; .* \{ USDT = "USDT-USD" \}'),
    (Join({"tether": ("BTCUSDT",)}, {"USDT": "USDT-EUR"}), r"convert\.USDT: nobody lists USDT-EUR; .* USDT-USD"),
    (Join({"tether": ("BTCUSDT",)}, {"USDT": "USD-USDC"}), "rates USD/USDC is USD in USDC, which says nothing of USDT"),
    (Join({"tether": ("BTCUSDT",)}, {"USDT": "BTC-USD"}), "BTC-USD is converted itself, so rates would go in circles"),
])
def test_what_cannot_be_joined_says_so(make, join, told):
    with pytest.raises(EngineError, match=told):
        make(joins={ITEM: join})


def test_a_symbol_belongs_to_one_instrument(make):
    with pytest.raises(EngineError, match=r"'BTCUSDT' is part of instruments\.\"BTC-USD\" already"):
        make(joins=JOINS | {"XBT-USD": Join({"tether": ("BTCUSDT",)}, {"USDT": "USDT-USD"})})


def test_without_joins_three_currencies_are_three_instruments(make):
    engine = make(joins={}, limits={})
    assert list(engine.instruments) == ["BTC-USD", "BTC-USDT", "BTC-USDC", "USDT-USD", "USD-USDC"]
    assert [int(row["conversion"]) for row in engine.table] == [0] * 5
    assert Side.BUY == 1
