"""Restart is recovery. A crash is a copy of the run's directory, taken at any moment: what was stored by then is what a
killed process leaves. The exchange goes on; a new engine begins on the copy.
"""
import random
from dataclasses import replace
from decimal import Decimal

import pytest

from orderflow._core.journal import RecordKind, read
from orderflow._core.types import ExecType
from orderflow.carried import Carried, CarriedError, _rescaled, carried
from orderflow.engine import EngineError
from orderflow.research.replay import replay
from orderflow.research.simulation import INSTRUMENT
from tests.recovery_desk import Desk


@pytest.fixture
def desk(tmp_path):
    yield from Desk.opened(tmp_path)


def test_an_order_without_an_answer_is_in_doubt_after_a_restart_and_then_found(desk):
    engine = desk.start(desk.path / "run")
    desk.mute = True
    engine.submit(INSTRUMENT, "buy", "2", exchanges=["alpha"])
    engine.run(0.5, lambda: len(desk.placed) == 1)
    left = desk.crash()
    desk.mute = False
    engine = desk.start(left)
    assert any("the run before left order" in problem for problem in desk.problems)
    assert len(desk.placed) == 1
    desk.clear()
    assert desk.statuses() == {"FILLED": 1} and len(desk.placed) == 1
    desk.agrees()


def test_what_was_known_to_be_filled_is_not_filled_again(desk):
    """The order's fills arrived, its end did not: the exchange tells of the same trades once more."""
    engine = desk.start(desk.path / "run")
    engine.wait(engine.submit(INSTRUMENT, "buy", "3"))
    engine.wait(engine.submit(INSTRUMENT, "sell", "1"))
    records = [(record.kind, record) for record in read(engine.directory)]
    last = max(place for place, (kind, record) in enumerate(records)
               if kind == RecordKind.REPORT and record.decode()["exec_type"] == 4)
    left = desk.crash()
    _cut_after(left, records[last][1].sequence)
    engine = desk.start(left)
    desk.clear()
    desk.agrees()
    assert engine.orders.counts["fills"] == 0


def _cut_after(directory, sequence):
    """Leave no record behind that one: as if the process had been killed there."""
    from orderflow._core.journal_scan import SegmentScan
    for path in sorted(directory.glob("journal-*.segment")):
        scan = SegmentScan(path)
        while (record := scan.next_record()) is not None and record[0] < sequence:
            pass
        if record is not None:
            data = path.read_bytes()
            path.write_bytes(data[:scan.end] + bytes(len(data) - scan.end))
            return
    raise AssertionError(f"no record {sequence}")


@pytest.mark.parametrize("seed", range(6))
def test_scenario_27_engines_crash_at_any_moment_and_nothing_is_sent_again(desk, seed):
    """Engines that trade and are killed, one after the other, at moments from a seed."""
    moments = random.Random(seed)
    directory = desk.path / "run"
    for number in range(4):
        engine = desk.start(directory)
        for _ in range(moments.randint(1, 4)):
            engine.submit(INSTRUMENT, moments.choice(("buy", "sell")), str(moments.randint(1, 9)), seconds=5)
            engine.run(moments.random() * 0.4)
        desk.mute = moments.random() < 0.5
        engine.run(moments.random() * 0.3)
        directory = desk.crash()
        desk.mute = False
        assert number == 0 or engine.orders.audit() == []
    desk.start(directory)
    desk.clear()
    desk.agrees()
    assert len(desk.placed) > 4


def test_scenario_03_a_listing_takes_no_other_order_until_those_before_are_clear(desk):
    engine = desk.start(desk.path / "run")
    desk.mute = True
    engine.submit(INSTRUMENT, "buy", "2", exchanges=["alpha"])
    engine.run(0.5, lambda: len(desk.placed) == 1)
    left = desk.crash()
    desk.mute = False
    calls = desk.venues["alpha"].http
    desk.venues["alpha"].http = lambda method, path, *rest: (
        calls("GET", "/nowhere", *rest) if path.endswith(("/order", "/allOrders")) else calls(method, path, *rest))
    engine = desk.start(left)
    parent = engine.submit(INSTRUMENT, "buy", "1", exchanges=["alpha"])
    other = engine.submit(INSTRUMENT, "buy", "1", exchanges=["gamma"])
    assert engine.wait(other, 10).filled == 1
    engine.run(20)
    assert engine.parent(parent).filled == 0 and len(desk.placed) == 2
    desk.venues["alpha"].http = calls
    desk.clear()
    assert engine.wait(parent, 20).filled == 1
    desk.agrees()


def test_exposure_counts_what_the_run_before_held(desk):
    """The position limit is that of the account, not of a run."""
    engine = desk.start(desk.path / "run")
    engine.wait(engine.submit(INSTRUMENT, "buy", "20", seconds=20))
    held = engine.risk.exposure(0).net
    left = desk.crash()
    engine = desk.start(left)
    assert engine.risk.exposure(0).net == held > 0
    engine.wait(engine.submit(INSTRUMENT, "sell", "4", seconds=20))
    assert engine.risk.exposure(0).net == held - engine.instruments[INSTRUMENT].quantity(4)
    desk.agrees()


def test_profit_counts_what_was_paid_once(desk):
    """Of a position, and of the fills of an order that is adopted: at its cost nothing is won or lost but fees."""
    engine = desk.start(desk.path / "run")
    engine.wait(engine.submit(INSTRUMENT, "buy", "3", seconds=20))
    engine.wait(engine.submit(INSTRUMENT, "sell", "1", seconds=20))
    last = max(record.sequence for record in read(engine.directory)
               if record.kind == RecordKind.REPORT and record.decode()["exec_type"] == ExecType.REPORT_FILL)
    left = desk.crash()
    _cut_after(left, last)
    engine = desk.start(left)
    desk.clear()
    desk.agrees()
    money, item = engine.risk.money("total", 0, 0), engine.instruments[INSTRUMENT]
    held = sum(engine.position(index).net * int(engine.table[index]["quantity_factor"])
               for index in range(len(engine.core.listings)))
    cost = sum((1 if engine.position(index).net > 0 else -1) * engine.position(index).open_cost
               * int(engine.table[index]["quantity_factor"]) * int(engine.table[index]["price_factor"])
               for index in range(len(engine.core.listings)))
    assert held > 0
    mark = engine.risk.exposure(0).reference_price
    scale = Decimal(10) ** (item.price_decimals + item.quantity_decimals)
    unrealised = (held * mark - cost) / scale
    profit = Decimal(money.profit).scaleb(-engine.risk.money_decimals_of(0))
    fees = 3 * Decimal("0.0003") * cost / scale                 # of fills that are adopted, at the highest taker fee
    assert unrealised - fees <= profit <= unrealised + Decimal("0.01")


def test_a_run_that_was_killed_before_it_began_is_passed_over(desk, monkeypatch):
    engine = desk.start(desk.path / "run")
    desk.mute = True
    engine.submit(INSTRUMENT, "buy", "2", exchanges=["alpha"])
    engine.run(0.5, lambda: len(desk.placed) == 1)
    left = desk.crash()
    desk.mute = False
    records = Carried.records
    with monkeypatch.context() as patched:              # the last of its records cannot be written
        patched.setattr(Carried, "records", lambda self: [*records(self), {"order": object()}])
        with pytest.raises(TypeError):
            desk.start(left)
    kinds = [record.kind for record in read(left)]
    begun = len(kinds) - kinds[::-1].index(RecordKind.RUN_START)
    assert set(kinds[begun:-1]) == {RecordKind.CARRIED}
    desk.start(left)
    desk.clear()
    desk.agrees()


def test_a_run_that_took_something_over_can_be_replayed(desk):
    engine = desk.start(desk.path / "run")
    engine.wait(engine.submit(INSTRUMENT, "buy", "3", seconds=5))
    desk.mute, before = True, len(desk.placed)
    engine.submit(INSTRUMENT, "buy", "2", exchanges=["alpha"])
    engine.run(0.5, lambda: len(desk.placed) > before)
    left = desk.crash()
    desk.mute = False
    engine = desk.start(left, record=True)
    engine.wait(engine.submit(INSTRUMENT, "sell", "4", seconds=20))
    desk.clear()
    desk.agrees()
    engine.stop()
    again = replay(left)
    assert again.equal and again.orders > 0, again.difference


@pytest.mark.parametrize("name", Desk.NAMES)
def test_scenario_27_an_order_that_rests_is_taken_over_left_alone_and_cancelled_when_asked(desk, name):
    desk.start(desk.path / "run")
    desk.rest(name)
    left = desk.crash()
    engine = desk.start(left)
    engine.run(30, lambda: desk.statuses()["NEW"] == 1)
    assert desk.statuses() == {"NEW": 1} and len(desk.open_orders(name)) == 1 and len(desk.placed) == 1
    assert engine.wait(engine.submit(INSTRUMENT, "sell", "1", exchanges=[name]), 10).filled == 1
    taken, = [parent for parent in engine.parents() if parent.working]
    engine.cancel(taken.id)
    engine.wait(taken.id, 10)
    assert desk.open_orders(name) == [] and desk.statuses()["CANCELED"] == 1
    desk.agrees()


@pytest.mark.parametrize("name", Desk.NAMES)
def test_an_iceberg_is_taken_over_with_what_it_shows(desk, name):
    """By two runs after that which placed it, the second of which has it from the first."""
    desk.start(desk.path / "run")
    desk.rest(name, display="0.7")
    for _ in range(2):
        engine = desk.start(desk.crash())
        *_, taken = [record.decode()["order"] for record in read(engine.directory)
                     if record.kind == RecordKind.CARRIED and "order" in record.decode()]
        order, = desk.open_orders(name)
        assert (taken["quantity"], taken["display"]) == (order.quantity, order.display)
        engine.run(30, lambda: desk.statuses()["NEW"] == 1)
    parent, = [each for each in engine.parents() if each.working]
    engine.cancel(parent.id)
    engine.wait(parent.id, 10)
    assert desk.open_orders(name) == [] and len(desk.placed) == 1
    desk.agrees()


@pytest.mark.parametrize("name", Desk.NAMES)
def test_the_order_of_a_peg_is_taken_over_and_follows_no_more(desk, name):
    """Its parent has ended with its run: what rests is left where it is, like any other, until somebody cancels it."""
    engine = desk.start(desk.path / "run")
    engine.submit(INSTRUMENT, "buy", "2", algorithm="peg", peg="primary", offset=-40, exchanges=[name])
    engine.run(2, lambda: desk.statuses()["NEW"] == 1)
    left = desk.crash()
    engine = desk.start(left)
    engine.run(30, lambda: desk.statuses()["NEW"] == 1)
    order, = desk.open_orders(name)
    price, placed = order.price, len(desk.placed)
    engine.run(5)
    assert desk.statuses() == {"NEW": 1} and desk.open_orders(name) == [order]
    assert order.price == price and len(desk.placed) == placed
    taken, = [parent for parent in engine.parents() if parent.working]
    engine.cancel(taken.id)
    engine.wait(taken.id, 10)
    assert desk.open_orders(name) == []
    desk.agrees()


def test_an_amendment_that_was_under_way_ends_in_a_cancel_after_a_restart(desk):
    """Which of the two the exchange has, nobody knows; both count until the order is gone."""
    engine = desk.start(desk.path / "run")
    parent = desk.rest("gamma")
    desk.mute = True
    engine.replace(parent, quantity="3")
    engine.run(1, lambda: desk.open_orders("gamma")[0].leaves == 3 * 10**8)
    left = desk.crash()
    desk.mute = False
    engine = desk.start(left)
    taken, = [record.decode()["order"] for record in read(engine.directory)
              if record.kind == RecordKind.CARRIED and "order" in record.decode()]
    assert (taken["quantity"], taken["wanted_quantity"]) == (2 * 10**8, 3 * 10**8)
    desk.clear()
    assert desk.statuses() == {"CANCELED": 1}
    assert desk.open_orders("gamma") == [] and len(desk.placed) == 1
    desk.agrees()


def test_an_open_order_on_a_listing_that_is_gone_is_no_start(desk):
    engine = desk.start(desk.path / "run")
    desk.mute = True
    engine.submit(INSTRUMENT, "buy", "2", exchanges=["alpha"])
    engine.run(0.5, lambda: len(desk.placed) == 1)
    listings, assets = engine.core.listings, {name: ["BTC", "USDT"] for name in desk.NAMES}
    left = desk.crash()
    with pytest.raises(CarriedError, match="order open on alpha BTCUSDT, which this run does not have: configure it"):
        carried(left, 1 << 20, listings[1:], assets, ["manual"], 0)
    Desk.NAMES = ("gamma",)
    try:
        with pytest.raises(EngineError, match="until that order has ended"):
            desk.start(left)
    finally:
        Desk.NAMES = ("alpha", "gamma")
        desk.engine = None


def test_a_position_elsewhere_is_kept_and_comes_back(desk):
    """Its listing is not configured for a run; the run after that has it again, at another scale."""
    engine = desk.start(desk.path / "run")
    engine.wait(engine.submit(INSTRUMENT, "buy", "2", exchanges=["alpha"]))
    net, listings = engine.position(0).net, engine.core.listings
    assets = {name: ["BTC", "USDT"] for name in desk.NAMES}
    left = desk.crash()
    taken = carried(left, 1 << 20, listings[1:], assets, ["manual"], 0)
    assert [each["symbol"] for each in taken.elsewhere] == ["BTCUSDT"] and taken.positions == []
    finer = replace(listings[0], quantity_decimals=listings[0].quantity_decimals + 1)
    again = carried(left, 1 << 20, [finer, listings[1]], assets, ["manual"], 0)
    assert [each["net"] for each in again.positions] == [10 * net] and again.elsewhere == []


def test_a_number_that_does_not_fit_is_refused():
    listing = type("L", (), {"exchange": "alpha", "symbol": "A"})
    assert _rescaled(1200, -2, "the order", listing) == 12
    with pytest.raises(CarriedError, match="the order has more decimals than alpha A has now"):
        _rescaled(1234, -2, "the order", listing)
