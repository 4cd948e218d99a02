"""Refusals in words: both numbers by name, as decimals of their own scale."""
import re
from pathlib import Path

import pytest

import orderflow
from orderflow._core.types import BookState, Reason, TradingState
from orderflow.instrument import Instrument, Listing
from orderflow.refusals import MEANINGS, Scales, text

SCALES = Scales(Listing("alpha", "BTCUSDT", "BTC-USDT", "BTC", "USDT", 1, 4, tick="0.1", lot="0.0001"),
                Instrument("BTC-USDT", 0, 2, 8, (0,)), 10)


@pytest.mark.parametrize("code, limit, actual, told", [
    (Reason.QUANTITY_EXCEEDS_MAXIMUM, 100_000, 150_000, "quantity=15, maximum_quantity=10"),
    (Reason.PRICE_OFF_TICK, 5, 612_345, "price=61234.5, tick=0.5"),
    (Reason.NOTIONAL_BELOW_MINIMUM, 500_000, 123_456, "notional=1.23456, minimum_notional=5"),
    (Reason.PRICE_OUTSIDE_COLLAR, 10_200, 10_205, "price=102.05, collar_price=102"),
    (Reason.PRICE_DRIFTED, 10_500, 10_505, "price=105.05, collar_price=105"),
    (Reason.POSITION_EXCEEDS_MAXIMUM, 10**8, 150_000_001, "position=1.50000001, maximum_position=1"),
    (Reason.FEED_TOO_OLD, 10**10, 12_500_000_000, "feed_age=12.5 s, maximum_age=10 s"),
    (Reason.BOOK_NOT_LIVE, BookState.LIVE, BookState.STALE, "book_state=STALE, needed=LIVE"),
    (Reason.TRADING_HALTED, TradingState.ACTIVE, TradingState.HALTED, "trading_state=HALTED, needed=ACTIVE"),
    (Reason.CAPITAL_EXCEEDED, 5 * 10**14, 5 * 10**14 + 1, "capital=50000.0000000001, maximum_capital=50000"),
    (Reason.STRATEGY_LOSS_EXCEEDED, 10**12, 2 * 10**12, "loss=200, maximum_loss=100"),
    (Reason.MESSAGE_RATE_EXCEEDED, 8, 9, "messages=9, maximum_messages=8"),
    (Reason.RATE_LIMITED, 80, 81, "counted=81, allowed=80"),
    (Reason.SELF_TRADE, 600_000, 600_001, "price=60000.1, own_resting_price=60000"),
])
def test_both_numbers_are_told_as_decimals(code, limit, actual, told):
    assert text(code, limit, actual, SCALES) == f"{code.name}: {told}"


def test_a_code_without_numbers_is_its_name():
    assert text(Reason.LAGGED, 0, 0, SCALES) == "LAGGED"


def test_every_code_that_risk_can_give_has_a_meaning():
    core = Path(orderflow.__file__).parent / "_core"
    given = {Reason[name] for path in core.glob("risk*.pxd")
             for name in re.findall(r"Reason\.(\w+)", path.read_text())}
    # OK is no refusal, and post-only is read there, not given; the gate gives one with numbers
    assert given - {Reason.OK, Reason.POST_ONLY_WOULD_TAKE} | {Reason.RATE_LIMITED} == set(MEANINGS)
