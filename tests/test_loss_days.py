"""Losses count by the day; who was stopped stays so until somebody says otherwise."""
from dataclasses import replace

import pytest

from orderflow._core.types import Reason, TradingState
from orderflow.config import ConfigError, parse
from orderflow.engine import Engine, EngineError
from orderflow.instrument import time_of_day_ns
from orderflow.limits import StrategyLimits
from orderflow.research.replay import replay
from orderflow.research.simulation import (
    DIRECT_START_NS,
    INSTRUMENT,
    LIMITS,
    TOTAL,
    VENUES,
    session_of,
    simulator_settings,
)
from orderflow.servers.direct import DirectServer
from orderflow.simulator.launch import build
from tests.risk_desk import Desk, listings

SECOND_NS = 10**9
UNIT = 10**5                        # money of the desk's instrument: cents times thousandths
#: The virtual clock begins at 22:13:20.
BEGINS, UNTIL_THEN_S = "22:14", 41
assert DIRECT_START_NS == 1_700_000_000 * SECOND_NS

both = pytest.mark.parametrize("what, code", [("total", Reason.LOSS_EXCEEDS_MAXIMUM),
                                              ("strategy", Reason.STRATEGY_LOSS_EXCEEDED)])


def losing(what, **limits):
    """A desk that bought at 100 what is worth 97.90 now: 21 are lost."""
    desk = Desk(listings(exchange=[0, 1]), strategies=2)
    desk.money(what, 0, stand_ns=SECOND_NS, **limits)
    slot, _ = desk.send(now_ns=1)
    desk.fill(slot, 10_000, 1, receive_ns=1)
    desk.risk.set_reference(0, 9_790, 2)
    return desk


@both
def test_a_new_day_counts_from_nothing(what, code):
    desk = losing(what, maximum_loss=20)
    assert desk.send(now_ns=3, price=9_790, quantity=1_000)[1] == (code, 20 * UNIT, 21 * UNIT)
    desk.risk.begin_day()
    assert desk.risk.money(what).profit == 0
    assert desk.send(now_ns=4, price=9_790, quantity=1_000)[1].code == Reason.OK
    desk.risk.set_reference(0, 9_580, 5)                # 21 more: of this day
    assert desk.send(now_ns=5, price=9_580, quantity=1_000)[1] == (code, 20 * UNIT, 21 * UNIT)


@both
def test_who_was_stopped_stays_so_over_the_day(what, code):
    desk = losing(what, maximum_loss=20)
    desk.risk.set_reference(0, 9_790, 2 + SECOND_NS)
    assert desk.risk.money(what).tripped == Reason.LOSS_EXCEEDS_MAXIMUM
    for _ in range(3):
        desk.risk.begin_day()
        assert desk.send(now_ns=3 + SECOND_NS, price=9_790, quantity=1_000)[1] == (code, 20 * UNIT, 21 * UNIT)
    if what == "total":
        desk.risk.rearm_total()
    else:
        desk.risk.set_strategy_state(0, TradingState.ACTIVE)
    assert desk.send(now_ns=3 + SECOND_NS, price=9_790, quantity=1_000)[1].code == Reason.OK


def test_a_strategy_that_was_halted_by_hand_stays_so():
    desk = losing("total")
    desk.risk.set_strategy_state(0, TradingState.HALTED)
    desk.risk.begin_day()
    assert desk.send(now_ns=3, price=9_790, quantity=1_000)[1].code == Reason.STRATEGY_HALTED


def test_the_peak_is_that_of_the_day():
    desk = losing("strategy", maximum_drawdown=30)
    for now_ns, price in ((3, 10_100), (4 + SECOND_NS, 10_100), (5 + 2 * SECOND_NS, 10_100)):
        desk.risk.set_reference(0, price, now_ns)
    assert desk.risk.money("strategy", 0).peak == 10 * UNIT
    desk.risk.begin_day()
    assert desk.risk.money("strategy", 0).peak == 0
    desk.risk.set_reference(0, 9_810, 6 + 2 * SECOND_NS)            # 29 since the beginning of the day
    assert desk.send(now_ns=6 + 2 * SECOND_NS, price=9_810, quantity=1_000)[1].code == Reason.OK


@pytest.fixture
def make(tmp_path):
    """An engine on the exchanges of the demonstration that may lose 100 a day: less than the fees of one order."""
    engines = []

    def made(loss_seconds, day_begins=BEGINS):
        exchanges = {venue.name: build(simulator_settings(venue, 11, DIRECT_START_NS)) for venue in VENUES}
        sessions = [session_of(venue, f"http://{venue.name}", f"ws://{venue.name}") for venue in VENUES]
        limits = replace(LIMITS, total=replace(TOTAL, maximum_loss={"USDT": "100"}, loss_seconds=loss_seconds,
                                               day_begins=day_begins),
                         strategies={"manual": StrategyLimits(repeat_seconds=0, maximum_fills=0)})
        engines.append(Engine(sessions, DirectServer(exchanges, DIRECT_START_NS, print), limits=limits, record=True,
                              directory=tmp_path, fees={one.name: (one.maker_fee, one.taker_fee) for one in VENUES}))
        engine = engines[-1].start()
        bought = engine.wait(engine.submit(INSTRUMENT, "buy", "15", seconds=2)).filled
        assert engine.wait(engine.submit(INSTRUMENT, "sell", bought)).filled == bought > 5
        assert refusal(engine).startswith("LOSS_EXCEEDS_MAXIMUM: loss=")
        return engine

    yield made
    for engine in engines:
        engine.stop()


def refusal(engine):
    """Why nothing of an order passes; "" if it is filled."""
    state = engine.wait(engine.submit(INSTRUMENT, "buy", "0.01", seconds=1))
    return "" if state.filled else state.refusal


def test_an_engine_may_lose_as_much_again_the_next_day(make, tmp_path):
    """By a timer that is an input like any other: a replay comes out the same."""
    engine = make(loss_seconds=3600)
    engine.run(UNTIL_THEN_S)
    assert refusal(engine) == ""
    engine.stop()
    replayed = replay(tmp_path)
    assert replayed.difference == "" and replayed.equal and replayed.orders >= 2


def test_an_engine_that_was_stopped_waits_for_somebody(make):
    engine = make(loss_seconds=0)
    engine.run(UNTIL_THEN_S)
    assert refusal(engine).startswith("LOSS_EXCEEDS_MAXIMUM: loss=")
    engine.rearm_total()
    engine.run(0.1)
    assert refusal(engine) == ""


def test_without_days_losses_count_from_the_start(make):
    engine = make(loss_seconds=3600, day_begins="")
    engine.run(UNTIL_THEN_S)
    assert refusal(engine).startswith("LOSS_EXCEEDS_MAXIMUM: loss=")


@pytest.mark.parametrize("text, hours", [("00:00", 0), ("17:30", 17.5), ("23:59", 24 - 1 / 60), ("", None)])
def test_a_time_of_day(text, hours):
    assert time_of_day_ns(text, "x") == (-1 if hours is None else round(hours * 3600) * SECOND_NS)


@pytest.mark.parametrize("text", ["24:00", "7:30", "12:60", "noon", "12:00:00", "12.00", " 12:00"])
def test_what_is_no_time_of_day(text):
    document = {"exchanges": {"alpha": {"protocol": "binance_spot", "symbols": ["BTCUSDT"]}},
                "total_limits": {"day_begins": text}}
    with pytest.raises(ConfigError, match=f"total_limits.day_begins: '{text}' is no time of day; write it like"):
        parse(document)
    with pytest.raises(EngineError, match="limits: total day_begins"):
        Engine([session_of(VENUES[0], "http://alpha", "ws://alpha")], DirectServer(
            {"alpha": build(simulator_settings(VENUES[0], 11, DIRECT_START_NS))}, DIRECT_START_NS, print),
            limits=replace(LIMITS, total=replace(TOTAL, day_begins=text))).start()
