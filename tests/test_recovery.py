"""Restart is recovery. A crash is a copy of the run's directory, taken at any moment: what was stored by then is what a
killed process leaves. The exchange goes on; a new engine begins on the copy.
"""
import json
import random
import shutil
from collections import Counter
from dataclasses import replace
from decimal import Decimal

import pytest

from orderflow._core.client_id import decode
from orderflow._core.journal import RecordKind, read
from orderflow._core.types import ExecType, OrderStatus
from orderflow.carried import Carried, CarriedError, _rescaled, carried
from orderflow.engine import Engine, EngineError
from orderflow.exchanges import session_for
from orderflow.exchanges.facts import UNLIMITED
from orderflow.research.replay import replay
from orderflow.research.simulation import DIRECT_START_NS, INSTRUMENT, LIMITS, VENUES, session_of, simulator_settings
from orderflow.servers.direct import DirectServer
from orderflow.simulator.launch import build

SECOND_NS = 1_000_000_000


class Desk:
    """Two exchanges that live on while engines come and go."""

    NAMES = ("alpha", "gamma")

    def __init__(self, tmp_path):
        self.path = tmp_path
        made = {venue.name: simulator_settings(venue, 11, DIRECT_START_NS) for venue in VENUES
                if venue.name in self.NAMES}
        self.venues = {name: build(replace(one, accounts=(replace(one.accounts[0], tier="unlimited"),)))
                       for name, one in made.items()}      # engines come and go faster than calls are allowed
        self.now_ns = DIRECT_START_NS
        self.mute = False               # nothing of what the order connections say arrives
        self.placed = []                # client ids of every order that an exchange was sent
        self.engine = None
        self.runs = 0
        self.problems = []
        for name, venue in self.venues.items():
            self._watch(name, venue)

    def _watch(self, name, venue):
        kind = type(venue)

        def drain():
            lines = self.engine.conversations[self.NAMES.index(name)].lines
            numbers = [self.engine.server._numbers.get((name, index)) for index, line in enumerate(lines)
                       if line.endpoint.name == "orders"]
            return [(connection, item) for connection, item in kind.drain(venue)
                    if not (self.mute and connection in numbers)]

        def message(number, text, now_ns):
            request = json.loads(text)
            if request.get("method") in ("order.place", "add_order"):
                self.placed.append(request["params"].get("newClientOrderId") or request["params"]["cl_ord_id"])
            kind.message(venue, number, text, now_ns)

        venue.drain, venue.message = drain, message

    def start(self, directory, **options):
        """An engine on a directory, at the time that it is now."""
        sessions = [session_of(venue, f"http://{venue.name}", f"ws://{venue.name}") for venue in VENUES
                    if venue.name in self.NAMES]
        sessions = [session_for(one.protocol, replace(one.settings, limits=UNLIMITED)) for one in sessions]
        server = DirectServer(self.venues, self.now_ns, self.problems.append)
        server._opened = 1000 * self.runs       # connections of before are others
        self.runs += 1
        fees = {venue.name: (venue.maker_fee, venue.taker_fee) for venue in VENUES}
        self.engine = Engine(sessions, server, limits=LIMITS, fees=fees, directory=directory,
                             report=self.problems.append, **options)
        return self.engine.start()

    def crash(self):
        """Everything stops at once. The directory that is left."""
        left = self.path / f"left-{self.runs}"
        shutil.copytree(self.engine.directory, left)
        self.now_ns = self.engine.server.now_ns + SECOND_NS
        for name, venue in self.venues.items():
            for (exchange, number) in list(self.engine.server._lines):
                if exchange == name:
                    venue.closed(number)
        self.engine.server.stop = lambda: None      # it says nothing more
        self.engine.close_files()
        return left

    def clear(self, seconds=90):
        """Let time pass until nothing is in doubt."""
        self.engine.run(seconds, lambda: not self.engine.orders.unfinished)
        assert self.engine.orders.unfinished == []

    def statuses(self):
        return Counter(OrderStatus(order.status).name for order in self.engine.orders.orders())

    def agrees(self):
        """Positions, cash and fees are the exchanges' own; no order was sent twice, none is unknown to the journal."""
        for index, listing in enumerate(self.engine.core.listings):
            desk, position = self.venues[listing.exchange].desk, self.engine.position(index)
            signed = [(1 if order.side == 1 else -1, order) for order in desk.orders.values()]
            held = sum((Decimal(sign * order.filled).scaleb(-order.instrument.quantity_decimals)
                        for sign, order in signed), Decimal(0))
            paid = sum((Decimal(sign * order.notional).scaleb(
                -order.instrument.price_decimals - order.instrument.quantity_decimals) for sign, order in signed),
                Decimal(0))
            assert Decimal(position.net).scaleb(-listing.quantity_decimals) == held
            assert Decimal(position.bought_notional - position.sold_notional).scaleb(
                -listing.quantity_decimals - listing.price_decimals) == paid
        assert len(set(self.placed)) == len(self.placed)
        intents = {int(record.decode()["client_order_id"]) for record in read(self.engine.directory)
                   if record.kind == RecordKind.INTENT}
        assert {decode(name) for name in self.placed} <= intents
        assert self.engine.orders.audit() == []


@pytest.fixture
def desk(tmp_path):
    made = Desk(tmp_path)
    yield made
    if made.engine is not None:
        made.engine.stop()


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
    assert [record.kind for record in read(left)][-3:-1] == [RecordKind.RUN_START, RecordKind.CARRIED]
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


def rest(desk, name, quantity="2"):
    """A buy order far behind the best bid; the parent order."""
    listing = next(one for one in desk.engine.core.listings if one.exchange == name)
    price = Decimal(int(desk.engine.book(name, listing.symbol)["bids"][15]["price"])).scaleb(-listing.price_decimals)
    parent = desk.engine.submit(INSTRUMENT, "buy", quantity, price, exchanges=[name], resting=True)
    desk.engine.run(2, lambda: desk.statuses()["NEW"] == 1)
    return parent


def open_orders(desk, name):
    return [order for order in desk.venues[name].desk.orders.values() if order.is_open]


@pytest.mark.parametrize("name", Desk.NAMES)
def test_scenario_27_an_order_that_rests_is_taken_over_left_alone_and_cancelled_when_asked(desk, name):
    desk.start(desk.path / "run")
    rest(desk, name)
    left = desk.crash()
    engine = desk.start(left)
    engine.run(30, lambda: desk.statuses()["NEW"] == 1)
    assert desk.statuses() == {"NEW": 1} and len(open_orders(desk, name)) == 1 and len(desk.placed) == 1
    assert engine.wait(engine.submit(INSTRUMENT, "sell", "1", exchanges=[name]), 10).filled == 1
    taken, = [parent for parent in engine.parents() if parent.working]
    engine.cancel(taken.id)
    engine.wait(taken.id, 10)
    assert open_orders(desk, name) == [] and desk.statuses()["CANCELED"] == 1
    desk.agrees()


def test_an_amendment_that_was_under_way_ends_in_a_cancel_after_a_restart(desk):
    """Which of the two the exchange has, nobody knows; both count until the order is gone."""
    engine = desk.start(desk.path / "run")
    parent = rest(desk, "gamma")
    desk.mute = True
    engine.replace(parent, quantity="3")
    engine.run(1, lambda: open_orders(desk, "gamma")[0].leaves == 3 * 10**8)
    left = desk.crash()
    desk.mute = False
    engine = desk.start(left)
    taken, = [record.decode()["order"] for record in read(engine.directory)
              if record.kind == RecordKind.CARRIED and "order" in record.decode()]
    assert (taken["quantity"], taken["wanted_quantity"]) == (2 * 10**8, 3 * 10**8)
    desk.clear()
    assert desk.statuses() == {"CANCELED": 1}
    assert open_orders(desk, "gamma") == [] and len(desk.placed) == 1
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
