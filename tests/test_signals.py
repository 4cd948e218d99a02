"""Signals against published formulas, worked numbers and a batch recompute."""
import math

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from orderflow._core.signals import ListingSignals, sample_weight, weighted_mean
from orderflow._core.types import Side
from tests.reference import signals as reference

SECOND = 10**9


def close(value, tolerance=1e-12):
    return pytest.approx(value, rel=tolerance, abs=0)


def test_worked_quote():
    got = ListingSignals(2, 0).quote((10000, 9), (10002, 1), 0)
    assert got == {"mid": close(100.01), "microprice": close(100.018), "spread": close(0.02), "imbalance": close(0.8)}


def test_counter_example_of_the_imbalance_weighted_mid():
    got = ListingSignals(2, 0).quote((3217, 9), (3218, 1), 0)
    assert got["microprice"] == close(32.179)


def test_worked_weights_of_irregular_times():
    for seconds, weight in ((1, 0.095163), (5, 0.393469), (30, 0.950213)):
        assert sample_weight(seconds, 10) == pytest.approx(weight, abs=5e-7)


def test_worked_variance():
    variance = 1e-6
    for change in (0.001, -0.002, 0.0015, -0.0005, 0.003):
        variance = weighted_mean(variance, change**2, 1 - 0.94)
    assert variance == close(1.6534751e-6, 1e-7)
    assert math.sqrt(variance) == pytest.approx(0.00128588, abs=5e-9)


def test_variance_of_a_constant_pace_is_that_pace():
    signals = ListingSignals(4, 0, return_warm_up=3)
    mid = 1_000_000
    for step in range(200):
        got = signals.quote((mid - 1, 1), (mid + 1, 1), step * SECOND)
        mid = 1_000_000 if step % 2 else 1_001_000
    assert got["volatility"] == pytest.approx(0.001, rel=1e-3)      # 10 bps a second, whatever the horizon


QUOTES = st.lists(
    st.tuples(st.integers(1, 10 * SECOND), st.integers(9_000, 11_000), st.integers(0, 50), st.integers(1, 1000),
              st.integers(1, 1000)), min_size=2, max_size=60)


@settings(max_examples=100)
@given(QUOTES, st.floats(0.1, 100))
@example([(1, 9000, 0, 1, 1), (1, 9012, 0, 1, 1), (1_878_571_186, 9012, 0, 1, 1)], 0.1)   # nearly all is forgotten
def test_rolling_equals_batch(quotes, horizon):
    signals = ListingSignals(2, 3, flow_seconds=horizon, volatility_seconds=horizon, return_warm_up=1)
    now, mids, trades = 0, [], []
    for step, bid, width, bid_quantity, ask_quantity in quotes:
        now += step
        levels = (bid, bid_quantity), (bid + width, ask_quantity)
        got = signals.quote(*levels, now)
        expected = reference.quote_signals(*levels, 2)
        mids.append((now, expected["mid"]))
        assert {name: got[name] for name in expected} == pytest.approx(expected, rel=1e-12, abs=1e-15)
        if len(mids) > 1:
            assert got["volatility"] == pytest.approx(reference.volatility(mids, horizon), rel=1e-9, abs=1e-15)
        if bid_quantity % 3:
            side = Side.BUY if bid_quantity % 2 else Side.SELL
            trades.append((now, ask_quantity / 1000 if side == Side.BUY else -ask_quantity / 1000))
            got = signals.trade(side, ask_quantity, now)
        assert ("trade_flow" in got) == (now - quotes[0][0] >= int(horizon * 1e9))
        if "trade_flow" in got:
            assert got["trade_flow"] == pytest.approx(reference.trade_flow(trades, now, horizon), rel=1e-9, abs=1e-12)


def test_nothing_is_known_before_it_is():
    signals = ListingSignals(2, 0, flow_seconds=2, return_warm_up=2)
    assert set(signals.quote((100, 1), (102, 0), 0)) == set()
    assert set(signals.quote((100, 1), (102, 1), SECOND)) == {"mid", "microprice", "spread", "imbalance"}
    assert "volatility" not in signals.quote((101, 1), (102, 1), 2 * SECOND)
    assert "trade_flow" in signals.valid()
    got = signals.quote((100, 1), (102, 1), 3 * SECOND)
    assert set(got) == {"mid", "microprice", "spread", "imbalance", "trade_flow", "volatility"}


def test_an_empty_or_crossed_side_takes_the_quote_away_and_breaks_the_returns():
    signals = ListingSignals(2, 0, return_warm_up=1, flow_seconds=0.1)
    signals.quote((100, 1), (102, 1), 0)
    for bid, ask in (((100, 0), (102, 1)), ((100, 1), (102, 0)), ((103, 1), (102, 1))):
        assert set(signals.quote(bid, ask, SECOND)) == {"trade_flow"}
    assert "volatility" not in signals.quote((200, 1), (202, 1), 2 * SECOND)     # no return from 101 to 201
    assert "mid" in signals.valid()


def test_a_new_epoch_forgets():
    signals = ListingSignals(2, 0, return_warm_up=1, flow_seconds=1)
    for second in range(5):
        signals.quote((100 + second, 1), (102 + second, 1), second * SECOND, epoch=1)
        signals.trade(Side.BUY, 5, second * SECOND, epoch=1)
    assert set(signals.valid()) >= {"trade_flow", "volatility"}
    assert set(signals.quote((100, 1), (102, 1), 6 * SECOND, epoch=2)) == {"mid", "microprice", "spread", "imbalance"}
    signals.trade(Side.SELL, 1, 6 * SECOND, epoch=2)
    assert signals.quote((100, 1), (102, 1), 7 * SECOND, epoch=2)["trade_flow"] == close(-math.exp(-1))


def test_times_that_repeat_or_step_back_do_no_harm():
    signals = ListingSignals(2, 0, return_warm_up=1, volatility_seconds=10)
    signals.quote((100, 1), (102, 1), SECOND)
    signals.quote((100, 1), (102, 1), 2 * SECOND)
    for now in (2 * SECOND, SECOND):
        assert math.isfinite(signals.quote((101, 1), (103, 1), now)["volatility"])


def test_bad_settings_say_which():
    with pytest.raises(ValueError, match="flow_seconds"):
        ListingSignals(2, 2, flow_seconds=0)
    with pytest.raises(ValueError, match="volatility_seconds"):
        ListingSignals(2, 2, volatility_seconds=float("nan"))
    with pytest.raises(ValueError, match="decimals"):
        ListingSignals(19, 2)
