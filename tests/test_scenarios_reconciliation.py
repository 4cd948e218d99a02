"""Scenario 29: the exchange's open orders, fills and balances against our books, at the start, after every connect and
between. Each against a simulated exchange on a virtual clock; the comparison itself: tests/test_reconciliation.py.
"""
import json
from dataclasses import replace
from decimal import Decimal

import pytest

from orderflow._core.client_id import encode
from orderflow._core.journal import RecordKind, read
from orderflow._core.types import BodyKind, ExecType, OrderStatus, Reason, Side
from orderflow.cli.status import lines
from orderflow.engine import EngineError
from orderflow.exchanges import session_for
from orderflow.exchanges.actions import Request, RoundStep
from orderflow.exchanges.facts import UNLIMITED
from orderflow.research import simulation
from orderflow.research.simulation import INSTRUMENT, Simulation
from orderflow.servers.rounds import PATIENCE_NS, Rounds
from orderflow.simulator.accounts import AMOUNT_DECIMALS
from orderflow.simulator.exchange import Close, Response
from orderflow.simulator.instruments import default_instruments
from orderflow.status import status_of
from orderflow.wiring import wait_until
from tests import somebody
from tests.doubtful import EXCHANGES, World

SECOND_NS = 1_000_000_000
UNIT = 10**AMOUNT_DECIMALS
#: Two instruments of one exchange, which have their money in common.
TWO = {name: tuple(one for one in default_instruments(protocol) if one.quote == "USDT" and one.base in ("BTC", "ETH"))
       for name, protocol in (("alpha", "binance_spot"), ("gamma", "kraken_v2"))}


@pytest.fixture
def make():
    worlds = []

    def made(name, instruments=(), **more):
        worlds.append(World(name, instruments, **{"reconcile_ns": 5 * SECOND_NS, "limits": UNLIMITED} | more))
        return worlds[-1]
    yield made
    for world in worlds:
        world.engine.stop()


def loop_of(world):
    return world.engine.core.loops[world.name]


def counts(world):
    return loop_of(world).account.counts


def rounds(world, more, seconds=200):
    """Let so many more rounds find that all is equal."""
    wanted = counts(world)["rounds"] + more
    world.run(seconds, lambda: counts(world)["rounds"] >= wanted)
    assert counts(world)["rounds"] >= wanted, world.problems


def rested(world, quantity="2"):
    """A parent whose order is in the book, far down where nobody comes by himself, and that order's price there."""
    price = deep(world)
    parent = world.engine.submit(INSTRUMENT, "buy", quantity, world.price(price), algorithm="resting",
                                 exchanges=(world.name,))
    world.run(2, lambda: world.statuses()["NEW"] == 1)
    assert world.statuses() == {"NEW": 1}
    return parent, price


def deep(world):
    """A price four tenths of a percent below the market."""
    best = world.book.levels(Side.BUY, 1)[0][0]
    return best * 996 // 1000 // world.tick * world.tick


def disconnect(world):
    """The order connection ends, and another is opened."""
    conversation = world.engine.conversations[0]
    epoch = conversation.lines[world.orders].epoch
    conversation.disconnected(world.orders, 1006, epoch)
    world.run(10, lambda: conversation.lines[world.orders].epoch > epoch and loop_of(world).can_trade)
    assert loop_of(world).can_trade


def by_hand(world, price, quantity=10**6, side=Side.BUY, name="by hand"):
    """An order of somebody else's on the same account, that rests."""
    return somebody.places(world.venue, world.book.instrument.symbol, side, price, quantity, name,
                           world.engine.now_ns, post_only=True)


@pytest.mark.parametrize("name", EXCHANGES)
def test_scenario_29_a_fill_that_the_stream_lost_is_found_and_booked_once(make, name):
    """The stream tells it after all, much later: nothing more comes of that."""
    world, held = make(name), []
    parent, price = rested(world)
    world.told = lambda said: held.extend(said) or []
    world.sell(price, "0.5")
    world.run(40, lambda: world.position() > 0)
    assert world.position() == world.held() == Decimal("0.5") == world.engine.parent(parent).filled
    assert counts(world)["found"] == 1 and any("were found by asking" in problem for problem in world.problems)
    late = held[:]
    world.told = lambda said: [late.pop(0) for _ in range(len(late))] + said
    rounds(world, 2)
    assert world.position() == world.held() == Decimal("0.5") and world.engine.orders.audit() == []
    world.told = list
    world.sell(price, "1.5")
    assert world.engine.wait(parent, 10).filled == 2
    rounds(world, 2)
    assert world.position() == world.held() == 2 and counts(world)["found"] == 1
    assert world.engine.differences == [] and world.cancels == 0 and world.placed == 1


@pytest.mark.parametrize("name", EXCHANGES)
def test_scenario_29_the_last_fill_of_an_order_is_lost(make, name):
    world = make(name)
    parent, price = rested(world)
    world.mute = True
    world.sell(price, "2")
    state = world.engine.wait(parent, 30)
    assert (state.status, state.filled, world.position()) == ("PARENT_DONE", 2, 2)
    rounds(world, 2)
    assert world.engine.differences == [] and loop_of(world).open_orders == 0


@pytest.mark.parametrize("name", EXCHANGES)
def test_scenario_29_an_order_that_is_gone_without_a_word_is_found_ended(make, name):
    """Nothing of it stays reserved, and nothing was sent: the exchange was asked."""
    world = make(name)
    parent, _ = rested(world)
    world.mute = True
    world.venue.desk.cancel(world.resting()[0], world.engine.now_ns)
    world.run(30, lambda: world.statuses()["CANCELED"] == 1)
    assert world.statuses() == {"CANCELED": 1} and world.cancels == 0 and counts(world)["doubted"] == 1
    state = world.engine.parent(parent)
    assert (state.done, state.working, state.in_doubt) == (True, 0, 0)
    rounds(world, 2)
    assert loop_of(world).open_orders == 0 and world.engine.differences == []


@pytest.mark.parametrize("name", EXCHANGES)
def test_scenario_29_a_balance_that_fills_do_not_explain_halts_its_instrument_alone(make, name):
    """Until a person says that the exchange is right."""
    world = make(name, TWO[name])
    world.engine.wait(world.submit(), 20)
    rounds(world, 1)
    account = world.venue.desk.accounts[0]
    before = Decimal(account.total("BTC")) / UNIT
    account.free["BTC"] += 3 * UNIT // 2
    world.run(100, lambda: world.engine.differences)
    (found,) = world.engine.differences
    assert (found.exchange, found.reason, found.instruments, found.what) == (
        name, "BALANCE_UNEXPLAINED", (INSTRUMENT,), "BTC")
    assert (Decimal(found.expected), Decimal(found.found)) == (before, before + Decimal("1.5"))
    told = [problem for problem in world.problems if "which no fill explains" in problem]
    assert len(told) == 1 and f"BTC on the account of {name}: expected {found.expected}, found {found.found}" in told[0]
    assert f"--instrument {INSTRUMENT}" in told[0]
    placed = world.placed
    parent = world.submit()
    other = world.submit(instrument="ETH-USDT")
    assert world.engine.wait(other, 20).filled == 2
    refusal = world.engine.parent(parent).refusal
    assert refusal.startswith(f"BALANCE_UNEXPLAINED: balance={found.found}, expected={found.expected} (BTC on the ")
    rounds(world, 2)                        # all the rest is equal
    assert world.engine.parent(parent).filled == 0 and len(world.engine.differences) == 1
    assert all(order.instrument.base == "ETH" for order in list(world.venue.desk.orders.values())[placed:])
    world.engine.rearm(instrument=INSTRUMENT)
    assert world.engine.wait(parent, 20).filled == 2
    rounds(world, 2)
    assert world.engine.differences == []
    noted = [record.decode() for record in read(world.engine.journal.directory)
             if record.kind == RecordKind.REPORT and record.decode()["exec_type"] == ExecType.REPORT_DIFFERS]
    assert [Reason(int(note["reason"])).name for note in noted] == ["BALANCE_UNEXPLAINED"]


@pytest.mark.parametrize("name", EXCHANGES)
def test_a_deposit_is_told_and_taken_for_right_where_that_is_configured(make, name):
    world = make(name, accept_unexplained=True)
    account = world.venue.desk.accounts[0]
    account.free["USDT"] += 5000 * UNIT
    world.run(100, lambda: any("taken for right" in problem for problem in world.problems))
    (told,) = [problem for problem in world.problems if "which no fill explains" in problem]
    assert "USDT on the account" in told and 'unexplained_balances = "accept"' in told
    assert world.engine.differences == []
    world.agrees(world.submit())
    rounds(world, 2)
    assert len([problem for problem in world.problems if "which no fill explains" in problem]) == 1


@pytest.mark.parametrize("name", EXCHANGES)
def test_scenario_29_trading_waits_after_a_reconnect_until_all_is_equal(make, name):
    """New orders are refused at the gate."""
    world = make(name)
    world.answer = lambda path: Response(500, {}, b"{}")
    disconnect(world)
    other = world.submit("1")
    world.run(5)
    assert not loop_of(world).reconciled and world.engine.not_ready() == [name]
    assert world.placed == 0 and world.engine.parent(other).filled == 0
    assert {Reason(order.reason) for order in world.engine.orders.orders() if order.status == OrderStatus.DENIED} == {
        Reason.NOT_RECONCILED}
    world.answer = None
    assert world.engine.wait(other, 100).filled == 1
    assert loop_of(world).reconciled and world.engine.not_ready() == []
    assert world.position() == world.held() == 1 and world.engine.differences == []


@pytest.mark.parametrize("name", EXCHANGES)
def test_scenario_29_cancels_pass_while_new_orders_wait(make, name):
    world = make(name)
    parent, _ = rested(world)
    world.answer = lambda path: Response(500, {}, b"{}")
    disconnect(world)
    world.engine.cancel(parent)
    world.run(5, lambda: world.resting() == [])
    assert world.cancels >= 1 and world.resting() == [] and not loop_of(world).reconciled
    world.answer = None
    rounds(world, 2)
    world.run(60, lambda: world.engine.parent(parent).done)
    assert world.engine.parent(parent).done and world.engine.differences == []


@pytest.mark.parametrize("name", EXCHANGES)
def test_scenario_29_fills_of_the_time_without_a_connection_are_booked(make, name):
    world = make(name)
    parent, price = rested(world)
    conversation = world.engine.conversations[0]
    conversation.disconnected(world.orders, 1006, conversation.lines[world.orders].epoch)
    world.sell(price, "0.5")
    assert world.held() == Decimal("0.5")
    world.run(20, lambda: world.position() > 0 and loop_of(world).reconciled)
    assert world.position() == Decimal("0.5") == world.engine.parent(parent).filled
    rounds(world, 2)
    assert world.engine.differences == []


def test_scenario_29_a_start_without_an_answer_about_the_account_is_none(make):
    """It says what it waits for."""
    with pytest.raises(EngineError, match=r"not ready within 30 s: alpha.*asked for the balances"):
        make("alpha", account_answer=lambda path: Response(500, {}, b"no") if path.endswith("account") else None)


MALFORMED = {
    "alpha": (b"", b"{}", b"[]", b'{"balances":null}', b'{"balances":[{"asset":"BTC","free":"1"}]}',
              b'{"balances":[{"asset":"BTC","free":"x","locked":"0"}]}', b'{"balances":[{"asset":"BTC"'),
    "gamma": (b"", b"{}", b"[]", b'{"error":[],"result":null}', b'{"error":[],"result":{"XXBT":"x"}}',
              b'{"error":["EService:Busy"]}', b'{"error":[],"result":{"XXBT":')}


@pytest.mark.parametrize("name", EXCHANGES)
def test_scenario_29_a_malformed_answer_says_nothing_and_is_asked_for_ever_less_often(make, name):
    """An account that cannot be read is not an empty one. What trades goes on; nothing is concluded."""
    world, asked = make(name), []
    world.agrees(world.submit())

    def answer(path):
        if path.rpartition("/")[2] not in ("account", "Balance"):
            return None
        asked.append(world.engine.now_ns)
        return Response(200, {}, MALFORMED[name][len(asked) % len(MALFORMED[name])])

    world.account_answer = answer
    before = counts(world)["rounds"]
    world.run(100)
    assert counts(world)["rounds"] == before and world.engine.differences == []
    assert len(MALFORMED[name]) <= len(asked) < 10
    gaps = [later - earlier for earlier, later in zip(asked, asked[1:], strict=False)]
    assert gaps == sorted(gaps) or max(gaps) <= 65 * SECOND_NS
    other = world.submit("1")
    assert world.engine.wait(other, 20).filled == 1
    world.account_answer = None
    rounds(world, 2, 200)
    assert world.engine.differences == [] and world.position() == world.held() == 3


@pytest.mark.parametrize("name", EXCHANGES)
def test_scenario_29_an_order_of_ours_that_had_ended_here_and_is_open_there(make, name):
    """It is told by its name, halts its instrument, and is not cancelled: nobody knows whose it is in truth."""
    world = make(name)
    world.agrees(world.submit())
    (order,) = world.engine.orders.orders()
    price = deep(world)
    name_of_it = encode(order.client_order_id + (1 << 30))      # of another run of the same journal
    strange = by_hand(world, price, name=name_of_it)
    world.run(100, lambda: world.engine.differences)
    (found,) = world.engine.differences
    assert (found.reason, found.instruments) == ("ORDER_UNEXPLAINED", (INSTRUMENT,))
    symbol = world.engine.core.listings[0].symbol
    assert str(found) == f"order {name_of_it} {symbol} is open at {name}, and not open by our books"
    parent = world.submit("1")
    world.run(5)
    assert world.engine.parent(parent).refusal.startswith("ORDER_UNEXPLAINED: open=1, expected=0")
    assert strange.is_open and world.cancels == 0
    world.venue.desk.cancel(strange, world.engine.now_ns)
    world.engine.rearm(instrument=INSTRUMENT)
    assert world.engine.wait(parent, 20).filled == 1
    rounds(world, 3)
    assert world.engine.differences == []


@pytest.mark.parametrize("name", EXCHANGES)
def test_scenario_29_foreign_orders_survive_rounds_disconnect_kill_and_stop(make, name):
    """They are counted, what is filled of them explains the balances though the stream did not tell it, and no cancel
    names them."""
    world = make(name)
    parent, price = rested(world)
    foreign = by_hand(world, price - 5 * world.tick)
    filled = by_hand(world, price + 5 * world.tick, name="too")
    rounds(world, 2)
    assert counts(world)["foreign_orders"] == 2 and foreign.is_open and filled.is_open
    world.mute = True
    world.sell(filled.price, "0.005")
    assert 0 < filled.filled < filled.quantity
    rounds(world, 2)
    world.mute = False
    disconnect(world)
    rounds(world, 2)
    assert world.engine.differences == [] and world.position() == 0 and foreign.is_open
    world.engine.halt()
    world.run(5, lambda: len(world.resting()) == 2)
    assert world.resting() == [foreign, filled]
    world.engine.stop()
    assert foreign.is_open and filled.is_open and world.cancels == 1 and world.engine.parent(parent).filled == 0


def test_a_round_that_reads_page_after_page_is_not_given_up():
    """One that is not answered is."""
    class Session:
        round_steps = staticmethod(lambda since_ns: [RoundStep(BodyKind.ACCOUNT_TRADES)])
        round_call = staticmethod(lambda step, unix_ns: Request("trades", "GET", "https://x", step=step))

    asked, now_ns = Rounds(Session()), 0
    asked.connected(now_ns)
    first = asked.begin(now_ns)
    asked.begun(first, 1)
    for page in range(1, 20):
        assert asked.is_waiting_for(asked.call(1))
        now_ns += PATIENCE_NS - 1
        assert asked.begin(now_ns) is None
        asked.answered([RoundStep(BodyKind.ACCOUNT_TRADES, page=page)], now_ns)
    assert asked.begin(now_ns + PATIENCE_NS) == first + 1


@pytest.mark.parametrize("name", EXCHANGES)
def test_a_round_is_as_frequent_as_what_the_exchange_allows_permits(make, name):
    """By default; what is asked of it per minute is at most a third of what it allows."""
    world = make(name, reconcile_ns=None, limits=None)
    session = world.engine.sessions[0]
    expected = {"alpha": 10, "gamma": 36}[name]
    assert session.round_period_ns() == expected * SECOND_NS
    hurried = session_for(session.protocol, replace(session.settings, reconcile_ns=SECOND_NS))
    hurried.indices = session.indices
    assert hurried.round_period_ns() == {"alpha": 1, "gamma": 24}[name] * SECOND_NS
    weight = sum(session.round_weight(step) for step in session.round_steps(0))
    limit = session.limits.requests
    assert 3 * weight / expected <= limit.count * SECOND_NS / limit.period_ns
    before = counts(world)["rounds"]
    world.run(2 * expected + 3)
    assert counts(world)["rounds"] - before == 2


def test_status_says_what_differs_and_what_was_compared(make):
    world = make("alpha")
    found = status_of(world.engine)
    assert found["differences"] == [] and found["exchanges"][0]["reconciliation"]["reconciled"] is True
    world.venue.desk.accounts[0].free["BTC"] -= UNIT
    world.run(100, lambda: world.engine.differences)
    found = json.loads(json.dumps(status_of(world.engine)))
    assert found["differences"][0]["what"] == "BTC" and found["differences"][0]["instruments"] == [INSTRUMENT]
    assert any(line.startswith(f"Halted {INSTRUMENT}: BTC on the account of alpha") for line in lines(found))


def test_an_instrument_that_there_is_not_cannot_be_armed_again(make):
    with pytest.raises(ValueError, match=f"instrument 'X-Y': there are {INSTRUMENT}"):
        make("alpha").engine.rearm(instrument="X-Y")


@pytest.mark.parametrize("server", ["sync", "async"])
def test_scenario_29_over_sockets(monkeypatch, server):
    """Rounds every second beside orders that trade on three exchanges: nothing differs, and after a connection that the
    exchange ends all is compared again before the next order."""
    settings = simulation.SessionSettings
    monkeypatch.setattr(simulation, "SessionSettings", lambda *a, **k: settings(
        *a, **k, reconcile_ns=SECOND_NS, limits=UNLIMITED))
    with Simulation(seed=5, server=server, in_process=True, tls=False) as running:
        engine = running.engine
        loops = engine.core.loops
        assert engine.not_ready() == [] and all(loop.account.counts["rounds"] >= 1 for loop in loops.values())
        for _ in range(3):
            assert engine.wait(engine.submit(INSTRUMENT, "buy", "3", seconds=10), 15).done
        before = {name: loop.account.counts["rounds"] for name, loop in loops.items()}
        wait_until(lambda: all(loop.account.counts["rounds"] > before[name] + 1 for name, loop in loops.items()), 15,
                   "another round")
        assert engine.differences == [], running.problems
        line = next(line for line in engine.conversations[0].lines if line.endpoint.name == "orders")
        epoch = line.epoch
        exchange = running._running["alpha"]
        exchange.call(lambda: [exchange.exchange.send(each, Close(1001, "")) for each in
                               list(exchange.exchange.connections.values()) if each.path.startswith("/ws-api")])
        wait_until(lambda: line.epoch > epoch and loops["alpha"].reconciled and engine.not_ready() == [], 15,
                   "reconciled again")
        assert engine.wait(engine.submit(INSTRUMENT, "sell", "3", exchanges=["alpha"], seconds=10), 15).filled == 3
        assert engine.differences == [], running.problems
