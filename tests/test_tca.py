"""Transaction cost analysis: the formulas to the digits of published examples, sums that are exact, and what is not
known missing. Whole runs are in test_tca_runs.py."""
import math
from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow._core.types import INPUT_RECORD_DTYPE, InputKind, Liquidity, Side, TimeInForce
from orderflow.instrument import Instrument, Listing
from orderflow.research import tca_formulas as formulas
from orderflow.research.tca import Analysis, Frame, frame
from orderflow.research.tca_costs import costs_of
from orderflow.research.tca_fills import HORIZONS_S, SECOND_NS, fees_of, moments_of
from orderflow.research.tca_market import Moment, Sample
from orderflow.research.tca_records import Fill, Order, Parent
from orderflow.research.tca_rollups import rollups
from orderflow.research.tca_views import View, Views

BUY, SELL = Side.BUY, Side.SELL


# -- formulas: prices in cents, quantities in units

#: 300 @ 100.02, 500 @ 100.04 and 200 @ 100.05, bought; the arrival was at 100.00.
FILLS = [(10002, 300), (10004, 500), (10005, 200)]
FILLED, NOTIONAL = 1000, sum(price * quantity for price, quantity in FILLS)
#: Mids 1, 5 and 30 s after each fill.
MIDS = {1: (10002, 10004, 10005), 5: (10005, 10005, 10004), 30: (10003, 10003, 10003)}


def test_shortfall_is_split_as_published():
    found = formulas.shortfall(BUY, 10_000, 8_000, 8_000 * 10035, 80_00, 10000, 10010, 10090)
    assert (found.delay, found.trading, found.opportunity, found.fees) == (800_00, 2000_00, 1800_00, 80_00)
    assert found.total == 4680_00 and found.benchmark == "decision"
    assert formulas.bps(found.total, found.denominator) == 46.8


def test_shortfall_of_a_sale_has_the_opposite_sign():
    found = formulas.shortfall(SELL, 10_000, 8_000, 8_000 * 10035, 80_00, 10000, 10010, 10090)
    assert (found.delay, found.trading, found.opportunity) == (-800_00, -2000_00, -1800_00)
    assert found.total == -4600_00 + 80_00


def test_effective_spread_is_realised_spread_and_impact():
    """Bought at 100.03; the mid was 100.01 and is 100.02 later."""
    parts = [formulas.effective_spread(BUY, 10003, 10001), formulas.realised_spread(BUY, 10003, 10002),
             formulas.price_impact(BUY, 10001, 10002)]
    assert [round(formulas.bps(part, 10001), 4) for part in parts] == [3.9996, 1.9998, 1.9998]
    assert parts[0] == parts[1] + parts[2]


def test_slippage_against_arrival_vwap_and_twap():
    assert NOTIONAL == 10003_6 * 100
    assert formulas.slippage_bps(BUY, NOTIONAL, FILLED, 10000) == 3.6
    # 4000 traded at 100.03 on average; the mid was 100.025 on average for 8 seconds.
    assert round(formulas.slippage_bps(BUY, NOTIONAL, FILLED, 10003 * 4000, 4000), 3) == .600
    assert round(formulas.slippage_bps(BUY, NOTIONAL, FILLED, 100025 * 8 // 10 * SECOND_NS, 8 * SECOND_NS), 3) == 1.100
    assert formulas.slippage_bps(SELL, NOTIONAL, FILLED, 10000) == -3.6


@pytest.mark.parametrize("horizon, expected", [(1, 0.0), (5, 1.1997), (30, -.5997)])
def test_markouts(horizon, expected):
    later = [(price, quantity, mid) for (price, quantity), mid in zip(FILLS, MIDS[horizon], strict=True)]
    assert round(formulas.markout_bps(BUY, later), 4) == expected
    assert formulas.markout_bps(SELL, later) == -formulas.markout_bps(BUY, later)
    assert formulas.markout_bps(BUY, [*later, (10005, 200, None)]) is None, "a part of it is not known"


def test_reversion_permanent_and_temporary():
    assert round(formulas.reversion_bps(BUY, 10005, 10003), 3) == -1.999
    permanent = formulas.permanent_bps(BUY, 10000, 10003)
    temporary = formulas.temporary_bps(BUY, NOTIONAL, FILLED, 10000, 10003)
    assert (permanent, temporary) == (3.0, .6)
    assert math.isclose(permanent + temporary, formulas.slippage_bps(BUY, NOTIONAL, FILLED, 10000), rel_tol=1e-15)


@pytest.mark.parametrize("side, price, capture", [
    (BUY, 10000, 1.0), (BUY, 10001, 0.0), (BUY, 10002, -1.0), (SELL, 10000, -1.0), (SELL, 10002, 1.0)])
def test_spread_capture(side, price, capture):
    """The bid is 100.00 and the ask 100.02."""
    assert formulas.spread_capture(side, [(price, 7, (10000, 10002))]) == capture


def test_spread_capture_of_a_locked_book_is_not_known():
    assert formulas.spread_capture(BUY, [(10000, 7, (10000, 10000))]) is None


def test_what_is_not_known_is_missing_and_never_zero():
    split = formulas.shortfall(BUY, 10, 5, 50, 1, None, None, 12)
    assert (split.delay, split.trading, split.opportunity, split.total, split.benchmark) == (None,) * 5
    assert split.fees == 1, "fees are known without any price"
    assert formulas.shortfall(BUY, 10, 5, 50, 1, 9, 10, None).total is None, "the end price is not known"
    assert formulas.shortfall(BUY, 10, 10, 100, 1, 9, 10, None).opportunity == 0, "nothing was left, whatever the price"
    assert formulas.slippage_bps(BUY, 100, 10, None) is formulas.slippage_bps(BUY, 0, 0, 10) is None
    assert formulas.permanent_bps(BUY, 10, None) is formulas.reversion_bps(BUY, None, 10) is None
    assert formulas.temporary_bps(BUY, 100, 10, None, 10) is None
    assert formulas.weighted([]) is formulas.percentile([], 50) is formulas.mean([None]) is None
    assert formulas.fade_rate([]) is None


def test_where_only_the_arrival_is_known_it_is_the_benchmark():
    found = formulas.shortfall(BUY, 10_000, 8_000, 8_000 * 10035, 80_00, None, 10010, 10090)
    assert found.benchmark == "arrival" and found.delay is None
    assert found.total == 8_000 * 25 + 2_000 * 80 + 80_00 == found.trading + found.opportunity + found.fees
    assert found.denominator == 10_000 * 10010


PRICES = st.integers(1, 10**12)
QUANTITIES = st.integers(1, 10**12)
SIDES = st.sampled_from((BUY, SELL))


@given(SIDES, st.lists(st.tuples(PRICES, QUANTITIES), max_size=8), st.integers(0, 10**12), st.integers(-10**15, 10**15),
       PRICES, PRICES, PRICES)
def test_the_parts_are_paper_profit_less_real_profit_to_the_unit(side, fills, left, fees, decision, arrival, end):
    filled, notional = sum(quantity for _, quantity in fills), sum(price * quantity for price, quantity in fills)
    ordered = filled + left
    found = formulas.shortfall(side, ordered, filled, notional, fees, decision, arrival, end)
    held, cash = ordered, -ordered * decision
    if side == SELL:
        held, cash = -held, -cash
    paper = cash + held * end
    held = cash = 0
    for price, quantity in fills:
        held += quantity if side == BUY else -quantity
        cash -= price * quantity if side == BUY else -price * quantity
    real = cash + held * end - fees
    assert found.total == paper - real
    assert found.total == found.delay + found.trading + found.opportunity + found.fees


@given(SIDES, PRICES, PRICES, PRICES)
def test_effective_spread_is_the_sum_of_its_parts_exactly(side, price, before, later):
    assert formulas.effective_spread(side, price, before) == (
        formulas.realised_spread(side, price, later) + formulas.price_impact(side, before, later))


@given(SIDES, st.lists(st.tuples(PRICES, QUANTITIES, PRICES), min_size=1, max_size=30))
def test_a_weighted_mean_is_the_exact_one_but_for_the_last_digits(side, fills):
    sign = 1 if side == BUY else -1
    wanted = sum(Fraction(quantity * sign * (mid - price) * 10_000, price) for price, quantity, mid in fills) / sum(
        quantity for _, quantity, _ in fills)
    size = sum(abs(Fraction(quantity * (mid - price) * 10_000, price)) for price, quantity, mid in fills) / sum(
        quantity for _, quantity, _ in fills)
    assert abs(Fraction(formulas.markout_bps(side, fills)) - wanted) <= size * Fraction(1, 10**15)


def test_percentiles_are_values_that_were_there():
    values = [40, 10, 30, 20]
    assert [formulas.percentile(values, each) for each in (1, 25, 26, 50, 75, 76, 99, 100)] == [
        10, 10, 20, 20, 30, 40, 40, 40]


def test_an_interval_is_of_those_that_are_known():
    found = formulas.mean([1.0, None, 2.0, 3.0, 6.0])
    assert (found.value, found.n) == (3.0, 4)
    assert math.isclose(found.half_width, 1.96 * math.sqrt(14 / 3) / 2)
    assert formulas.mean([5.0]) == formulas.Mean(5.0, None, 1)


def test_fade_is_what_was_asked_for_and_not_there():
    assert formulas.fade_rate([(10, 10), (10, 5), (20, 0)]) == 1 - 15 / 40
    assert formulas.ratio(1, 0) is None


# -- one parent order

START_NS = 1_700_000_000 * SECOND_NS
END_NS = START_NS + 60 * SECOND_NS
ITEM = Instrument("BTC-USDT", 0, 2, 3, (0, 1))
LISTINGS = [Listing(exchange, "BTCUSDT", "BTC-USDT", "BTC", "USDT", 2, 3, Decimal("0.01"), Decimal("0.001"))
            for exchange in ("alpha", "beta")]


def parent_of(side=BUY, ordered=1000, fills=(), asked=0, decided_ns=START_NS, time_in_force=TimeInForce.IOC):
    """A parent order with one order on each exchange that filled something.

    `fills` are (exchange index, seconds after the arrival, price, quantity, liquidity, fees), prices in 1e-3.
    """
    made = Parent(1, 7, "BTC-USDT", ITEM, "BTC", "USDT", side, ordered, "IMMEDIATE", "manual", decided_ns,
                  START_NS + SECOND_NS, START_NS + 50 * SECOND_NS)
    for index in sorted({fill[0] for fill in fills}):
        own = [fill for fill in fills if fill[0] == index]
        order = Order(index + 1, LISTINGS[index], index, asked or sum(fill[3] for fill in own), time_in_force,
                      made.arrival_ns, START_NS, sent_ns=made.arrival_ns + 1000, acknowledged_ns=made.arrival_ns + 4000,
                      end="cancelled" if asked else "")
        for trade_id, (_, seconds, price, quantity, liquidity, fees) in enumerate(own):
            at_ns = made.arrival_ns + int(seconds * SECOND_NS)
            order.fills.append(Fill(order, at_ns, price, quantity, liquidity, trade_id, 1, index, fees))
        made.orders.append(order)
    return made


def samples_of(moments, mid_at, quotes=None):
    """An answer to every moment but those for which `mid_at(seconds after START_NS)` is None."""
    found = {}
    for moment in moments:
        passed_ns = moment.time_ns - START_NS
        mid = mid_at(passed_ns / SECOND_NS)
        if mid is not None:
            found[moment] = Sample(mid, quotes or {}, mid * passed_ns, passed_ns, 0, 0)
    return found


#: A router that saw what there was when a parent order came, and when an order was sent.
BY_TIME = SimpleNamespace(arrival=lambda parent: Moment(parent.arrival_ns, True, 0),
                          decided=lambda parent, order: Moment(order.sent_ns, True, 0))


def costs(parent, mid_at=lambda seconds: 100_000, quotes=None, last_mid=None):
    moments = moments_of(parent, END_NS, BY_TIME)
    return costs_of(parent, moments, samples_of(moments, mid_at, quotes), last_mid, END_NS)


TAKEN = [(0, 0, 100_100, 400, Liquidity.TAKER, {"USDT": (4004, 5)}), (1, 2, 100_200, 200, Liquidity.TAKER, {})]


def test_a_parent_order_that_was_filled_in_part():
    """Decided at 100.0, arrived at 100.1, ended at 101.0: of 1.000 there were 0.4 at 100.1 and 0.2 at 100.2."""
    found = costs(parent_of(fills=TAKEN), lambda seconds: {0: 100_000, 1: 100_100, 50: 101_000}.get(seconds, 100_000))
    split = found.shortfall
    assert found.status == "partial" and found.fill_rate == .6
    assert [found.money(part) for part in (split.delay, split.trading, split.opportunity, split.fees, split.total)] == [
        Decimal("0.06"), Decimal("0.02"), Decimal("0.4"), Decimal("0.04004"), Decimal("0.52004")]
    assert found.bps(split.total) == float(Decimal("52.004"))
    assert math.isclose(found.realised_bps, (.02 + .4 * .9 + .04004) / 100.1 * 1e4), "from the arrival on"
    assert found.average_price == Decimal("60.08") / Decimal("0.6")
    assert found.end_ns == START_NS + 50 * SECOND_NS and found.last_fill_ns == START_NS + 3 * SECOND_NS


FEES = st.dictionaries(st.sampled_from(("USDT", "BTC", "BNB")),
                       st.tuples(st.integers(-10**9, 10**9), st.integers(0, 18)))


@given(SIDES, st.lists(st.tuples(st.integers(0, 1), st.integers(0, 40), PRICES, st.integers(1, 10**9),
                                 st.sampled_from((Liquidity.MAKER, Liquidity.TAKER)), FEES), max_size=6),
       st.integers(0, 10**9), PRICES, PRICES, PRICES)
def test_fees_of_any_scale_keep_the_sum_exact(side, fills, left, decision, arrival, end):
    ordered = sum(fill[3] for fill in fills) + left
    parent = parent_of(side, ordered, fills)
    found = costs(parent, lambda seconds: {0: decision, 1: arrival, 50: end}.get(seconds, 1))
    split, sign = found.shortfall, 1 if side == BUY else -1

    def price(value):
        return Fraction(value, 1000)

    paid = Fraction(0)
    cash = held = Fraction(0)
    for _, _, at, quantity, _, fees in fills:
        held += sign * Fraction(quantity, 1000)
        cash -= sign * Fraction(quantity, 1000) * price(at)
        paid += sum(Fraction(amount, 10**decimals) * (1 if asset == "USDT" else price(at))
                    for asset, (amount, decimals) in fees.items() if asset != "BNB")
    paper = sign * Fraction(ordered, 1000) * (price(end) - price(decision))
    assert Fraction(found.money(split.total)) == paper - (cash + held * price(end) - paid)
    assert Fraction(found.money(split.fees)) == paid
    parts = (split.delay, split.trading, split.opportunity, split.fees)
    assert sum(Fraction(found.money(part)) for part in parts) == Fraction(found.money(split.total))
    assert set(found.fees.apart) <= {"BNB"}


def test_fees_by_asset_and_those_that_are_in_no_total():
    fees = fees_of(parent := parent_of(fills=[
        (0, 0, 100_000, 500, Liquidity.TAKER, {"USDT": (-25, 3), "BNB": (7, 4)}),
        (0, 1, 200_000, 500, Liquidity.TAKER, {"BTC": (1, 3), "BNB": (1, 5)})]), parent.fills)
    assert fees.by_asset == {"USDT": Decimal("-0.025"), "BTC": Decimal("0.001"), "BNB": Decimal("0.00071")}
    assert fees.apart == {"BNB": Decimal("0.00071")}
    assert Fraction(fees.quote, 10**fees.decimals) == Fraction("-0.025") + Fraction("0.001") * 200


def test_a_horizon_beyond_the_data_is_missing():
    parent = parent_of(fills=TAKEN)
    whole = costs(parent, lambda seconds: 100_000)
    short = costs(parent, lambda seconds: 100_000 if seconds < 7.5 else None)
    assert None not in whole.costs.markout_bps.values() and whole.reversion_bps == 0
    assert short.costs.markout_bps[1] is not None and short.costs.markout_bps[5] is None
    assert short.costs.price_impact_bps[5] is short.costs.realised_spread_bps[30] is short.reversion_bps is None
    assert short.permanent_bps is short.temporary_bps is None and short.arrival_bps is not None
    assert short.legs[0].costs.markout_bps[5] is not None, "of what was filled at first it is known"


def test_a_book_that_is_not_live_is_missing():
    """Known is that the market was looked at, and that there was no mid."""
    parent = parent_of(fills=TAKEN)
    moments = moments_of(parent, END_NS, BY_TIME)
    samples = samples_of(moments, lambda seconds: 100_000)
    samples[moments.arrival] = Sample(None, {}, 0, 0, 0, 0)
    found = costs_of(parent, moments, samples, None, END_NS)
    assert found.arrival_price is found.arrival_bps is found.twap_bps is found.shortfall.total is None
    assert found.decision_price is not None and found.costs.markout_bps[1] is not None


def test_the_average_mid_is_missing_where_there_was_none_for_a_while():
    parent = parent_of(fills=TAKEN)
    moments = moments_of(parent, END_NS, BY_TIME)
    samples = samples_of(moments, lambda seconds: 100_000)
    assert costs_of(parent, moments, samples, None, END_NS).twap == 100
    last = samples[moments.last]
    samples[moments.last] = Sample(last.mid, {}, last.area, last.known_ns - 1, 0, 0)
    assert costs_of(parent, moments, samples, None, END_NS).twap is None


def test_the_market_is_measured_over_the_window():
    parent = parent_of(fills=TAKEN)
    moments = moments_of(parent, END_NS, BY_TIME)
    samples = samples_of(moments, lambda seconds: 100_000)
    for moment, notional, volume in ((moments.arrival, 900_000, 9), (moments.last, 900_000 + 100_050 * 1400, 1409)):
        one = samples[moment]
        samples[moment] = Sample(one.mid, {}, one.area, one.known_ns, notional, volume)
    found = costs_of(parent, moments, samples, None, END_NS)
    assert found.vwap == Decimal("100.05") and found.participation == 600 / 2000
    assert math.isclose(found.vwap_bps, (60.08 / .6 - 100.05) / 100.05 * 1e4)


def test_before_a_fill_is_when_its_order_was_decided_or_just_before_it_was_taken():
    def mid_at(seconds):
        return 100_000 if seconds < 2 else 100_500

    taken, made = ((0, 2, 100_400, 10, liquidity, {}) for liquidity in (Liquidity.TAKER, Liquidity.MAKER))
    assert math.isclose(costs(parent_of(fills=[taken]), mid_at).costs.effective_spread_bps, 2 * 400 / 100_000 * 1e4)
    assert math.isclose(costs(parent_of(fills=[made]), mid_at).costs.effective_spread_bps, -2 * 100 / 100_500 * 1e4)


def test_a_decision_at_the_time_of_the_arrival_saw_what_the_router_saw():
    view = View(0, ((0, 5),))
    seen = SimpleNamespace(arrival=lambda parent: view, decided=BY_TIME.decided)
    parent = parent_of(fills=TAKEN)
    assert moments_of(parent, END_NS, seen).decision == Moment(START_NS, True, 0)
    parent.decided_ns = parent.arrival_ns
    assert moments_of(parent, END_NS, seen).decision is moments_of(parent, END_NS, seen).arrival is view
    parent.decided_ns = 0
    assert moments_of(parent, END_NS, seen).decision is None


def test_views_are_what_had_been_read_up_to_an_input():
    """Two boards, three inputs: a wake-up of the second, a parent order, a wake-up of the first."""
    log = [(1, InputKind.INPUT_WAKE, 1, 0), (1, InputKind.BOARD_READ, 1, 3 << 40 | 7),
           (2, InputKind.INPUT_PARENT, 0, 1),
           (3, InputKind.INPUT_WAKE, 0, 0), (3, InputKind.BOARD_READ, 0, 2 << 40 | 9),
           (4, InputKind.INPUT_WAKE, 1, 1), (4, InputKind.BOARD_READ, 1, 3 << 40 | 8)]
    inputs = np.zeros(len(log), INPUT_RECORD_DTYPE)
    for place, (sequence, kind, source, number) in enumerate(log):
        inputs[place] = (sequence, 100 + sequence, number, 0, source, kind, 0)
    parent = parent_of()
    views = Views(inputs, parent.arrival_ns - 102)
    parent.number = 1
    assert views.arrival(parent) == View(0, ((1, 7),))
    order = SimpleNamespace(sequence=3)
    assert views.decided(parent, order) == View(0, ((0, 9), (1, 7)))
    order.sequence = 0
    assert views.decided(parent, order) is None
    parent.number = 2
    assert views.arrival(parent) is None, "the log does not have it"
    parent.number, parent.arrival_ns = 1, parent.arrival_ns + 1
    assert views.arrival(parent) is None, "what the log has there is another one"


def test_what_still_worked_at_the_end_of_its_run_ends_at_the_last_mid():
    parent = parent_of(fills=TAKEN)
    parent.until_ns = 0
    found = costs(parent, last_mid=(102_000, END_NS - 5))
    assert found.end_price == 102 and found.end_ns == END_NS - 5
    assert found.money(found.shortfall.opportunity) == Decimal("0.8")
    assert costs(parent).shortfall.opportunity is None, "no such mid"


def test_a_cancelled_parent_order_ends_with_what_was_heard_after():
    parent = parent_of(fills=TAKEN)
    parent.cancelled_ns = START_NS + 10 * SECOND_NS
    assert parent.end_ns(END_NS) == START_NS + 10 * SECOND_NS
    parent.orders[0].last_ns = START_NS + 11 * SECOND_NS
    assert parent.end_ns(END_NS) == START_NS + 11 * SECOND_NS


def test_latencies_and_shares():
    taken, made = TAKEN[0], (1, 2, 99_900, 200, Liquidity.MAKER, {})
    found = costs(parent_of(fills=[taken, made]), quotes={0: (99_900, 100_100), 1: (99_900, 100_100)})
    assert found.latencies.percentiles()["signal_to_send_p50_ns"] == SECOND_NS + 1000
    assert found.latencies.percentiles()["send_to_ack_p99_ns"] == 3000
    assert found.latencies.ack_to_fill == [2 * SECOND_NS - 4000], "the other was filled before it was acknowledged"
    assert found.costs.maker_share == 200 / 600
    assert math.isclose(found.costs.spread_capture, (400 * -1 + 200 * 1) / 600)
    said_nothing = costs(parent_of(fills=[(0, 0, 100_100, 400, Liquidity.UNKNOWN_LIQUIDITY, {}), made]))
    assert said_nothing.costs.maker_share is None


def test_a_leg_that_found_less_than_it_asked_for_has_faded():
    parent = parent_of(fills=TAKEN[:1], asked=1000)
    assert costs(parent).legs[0].fade_rate == .6
    parent.orders[0].end = "rejected"
    assert costs(parent).legs[0].fade_rate is None, "refused is not gone"
    assert costs(parent_of(fills=TAKEN[:1], asked=1000, time_in_force=TimeInForce.GTC)).legs[0].fade_rate is None


# -- many

def test_rollups_count_each_parent_order_once():
    """One parent order of many fills must not outweigh, or narrow, what others say."""
    many = [(0, 0, 100_100, 1, Liquidity.TAKER, {})] * 50
    one = [(0, 0, 100_300, 50, Liquidity.TAKER, {})]
    found = rollups([costs(parent_of(fills=fills)) for fills in (many, one)])
    group = found["exchange"][0]
    assert (group.name, group.parents, group.orders, group.fills) == ("alpha", 2, 2, 51)
    cost = group.means["effective_spread_bps"]
    assert math.isclose(cost.value, (20 + 60) / 2) and cost.n == 2
    assert math.isclose(cost.half_width, 1.96 * 20)
    assert [each.name for each in found["hour"]] == ["22:00"] and found["strategy"][0].name == "manual"
    assert set(found) == {"exchange", "algorithm", "strategy", "instrument", "hour"}


def test_rows_keep_what_is_missing_apart_from_zero():
    missing, known = costs(parent_of(fills=TAKEN), lambda seconds: None), costs(parent_of(fills=TAKEN))
    rows = frame(Analysis(None, [missing, known], {}, None, []))
    assert rows[0]["arrival_bps"] is None and rows[1]["twap_bps"] is not None
    columns = rows.columns()
    assert math.isnan(columns["arrival_bps"][0]) and columns["benchmark"].tolist() == ["", "decision"]
    assert rows.array().dtype["arrival_ns"] == "int64" and rows.array().shape == (2,)
    assert rows.to_polars()["fees_by_asset"].to_list() == ["USDT 0.04004"] * 2
    assert rows.to_pandas()["filled"].tolist() == [.6, .6]
    assert Frame().columns() == {}
    assert frame(Analysis(None, [missing], {}, None, []), Analysis(None, [known], {}, None, [])) == rows


def test_columns_are_chosen_and_a_notebook_shows_them():
    rows = frame(Analysis(None, [costs(parent_of(fills=TAKEN))], {}, None, [])).select("side", "vwap", "filled")
    assert [*rows[0].items()] == [("side", "BUY"), ("vwap", None), ("filled", Decimal("0.6"))]
    rows[0]["side"] = "<b>"
    assert rows._repr_html_() == ("<table><tr><th>side</th><th>vwap</th><th>filled</th></tr>"
                                  "<tr><td>&lt;b&gt;</td><td>–</td><td>0.60</td></tr></table>")
    with pytest.raises(KeyError, match="nothing"):
        rows.select("nothing")


def test_moments_that_are_asked_for_are_those_that_are_used():
    """A moment that nobody asked the market for would be missing for ever."""
    parent = parent_of(fills=TAKEN)
    asked = list(moments_of(parent, END_NS, BY_TIME))
    assert len(asked) == 6 + 2 + 2 * len(HORIZONS_S)
    assert all(isinstance(moment, Moment) for moment in asked)
