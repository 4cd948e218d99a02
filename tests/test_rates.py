"""What exchanges allow of orders, against slow twins of their counters: never more, for any sequence of instants."""
from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow._core.rate_limit import SharedRateLimit
from orderflow._core.rates import OrderRates
from orderflow._core.types import ChildKind
from orderflow.exchanges import session_for
from orderflow.exchanges.facts import Limit
from orderflow.exchanges.session import SessionError, SessionSettings
from orderflow.servers.hosts import Hosts
from orderflow.simulator.dialects.kraken_limits import AMEND, CANCEL, TIERS, penalty
from orderflow.wiring import order_rates

SECOND_NS, MINUTE_NS, DAY_NS = 10**9, 60 * 10**9, 86_400 * 10**9
NEW, CANCEL_ONE, REPLACE = ChildKind.NEW_ORDER, ChildKind.CANCEL_ORDER, ChildKind.REPLACE_ORDER
URL = "https://api.exchange.example/depth"


class Windows:
    """An exchange that counts in windows of its own clock when a request arrives."""

    def __init__(self, period_ns, phase_ns):
        self.period_ns, self.phase_ns, self.counts = period_ns, phase_ns, Counter()

    def charge(self, cost, arrived_ns):
        self.counts[(arrived_ns + self.phase_ns) // self.period_ns] += cost

    @property
    def fullest(self):
        return max(self.counts.values(), default=0)


PERIODS = st.sampled_from([16, 100, 10 * SECOND_NS, MINUTE_NS])
#: Sixteenths of a slot between requests, their cost, and how many sixteenths of a slot they are longer on the way.
REQUESTS = st.lists(st.tuples(st.integers(0, 400), st.integers(1, 5), st.integers(0, 15)), max_size=120)


@given(st.integers(5, 60), PERIODS, st.fractions(0, 1), REQUESTS, st.integers(0, 2**60))
def test_no_window_of_the_exchange_sees_more_than_the_limit(limit, period_ns, phase, requests, start_ns):
    """Wherever its windows begin, and although later requests may have been on the way for less long."""
    rate, now = SharedRateLimit(limit, period_ns), start_ns
    exchange, slot_ns = Windows(period_ns, int(phase * period_ns)), -(-period_ns // 16)
    for step, cost, late in requests:
        now += step * slot_ns // 16
        if rate.take(cost, now):
            exchange.charge(cost, now + late * slot_ns // 16)
    assert exchange.fullest <= limit


@given(st.integers(1, 40), PERIODS, st.integers(0, 2**60), st.integers(20, 100))
def test_who_waits_until_it_is_ready_passes_and_not_before(limit, period_ns, now, percent):
    rate, allowed = SharedRateLimit(limit, period_ns), limit - limit * (100 - percent) // 100
    passed = 0
    for _ in range(3 * limit):
        ready = rate.ready_ns(1, now, percent)
        if ready > now:
            assert passed >= allowed and not rate.take(1, ready - 1, percent)
        now = max(now, ready)
        assert rate.take(1, now, percent)
        passed += 1


def test_nearly_all_of_the_limit_can_be_used_again_and_again():
    rate, passed = SharedRateLimit(100, 10 * SECOND_NS), 0
    for now in range(0, 1000 * SECOND_NS, SECOND_NS // 20):
        passed += rate.take(1, now)
    assert 100 * 100 * 0.88 < passed <= 100 * 100 + 100
    fresh = SharedRateLimit(100, 10 * SECOND_NS)
    assert all(fresh.take(1, 0) for _ in range(100)) and not fresh.take(1, 0)


def test_a_share_is_kept_for_others():
    rate = SharedRateLimit(10, MINUTE_NS)
    assert [rate.take(1, 0, 80) for _ in range(10)] == [True] * 8 + [False] * 2
    assert [rate.take(1, 0, 100) for _ in range(3)] == [True, True, False]
    assert SharedRateLimit(1, MINUTE_NS).take(1, 0, 80)             # of one nothing can be kept


def test_what_is_larger_than_its_share_goes_alone():
    rate = SharedRateLimit(300, MINUTE_NS)
    assert rate.take(250, 0, 50) and not rate.take(1, 0, 80)
    again = rate.ready_ns(250, 0, 50)
    assert again >= MINUTE_NS and rate.take(250, again, 50)


@given(st.integers(5, 60), st.lists(st.tuples(st.integers(0, 400), st.booleans(), st.integers(0, 4000)), max_size=120))
def test_what_filled_orders_give_back_can_be_used_and_no_more(limit, orders):
    """An order counts until it is filled, in the window that it was placed in; the twin takes off a first fill from
    whatever window is open, never below nothing, as the exchange does."""
    period_ns = 10 * SECOND_NS
    rate, now, fills = SharedRateLimit(limit, period_ns), 0, []
    counts = Counter()
    for step, fills_at_all, after in orders:
        now += step * period_ns // 256
        for due, placed in [one for one in fills if one[0] <= now]:
            fills.remove((due, placed))
            counts[due // period_ns] = max(0, counts[due // period_ns] - 1)
            rate.give_back(1, placed)
        if rate.take(1, now):
            counts[now // period_ns] += 1
            assert counts[now // period_ns] <= limit
            if fills_at_all:
                fills.append((now + after * period_ns // 256, now))


def test_what_the_exchange_has_counted_is_believed_where_it_is_more():
    rate = SharedRateLimit(100, MINUTE_NS)
    rate.spend(10, 0)
    rate.hear(4, 0)                     # its window has just begun
    assert rate.used(0) == 10
    rate.hear(97, 0)                    # somebody else asks from this address
    assert rate.used(0) == 97 and not rate.take(4, 0) and rate.take(3, 0)
    rate.set_limit(200)
    assert rate.limit == 200 and rate.take(100, 0)


def test_nothing_goes_while_it_is_closed():
    rate = SharedRateLimit(100, MINUTE_NS)
    rate.close(30 * SECOND_NS)
    rate.close(20 * SECOND_NS)          # never sooner
    assert not rate.take(1, 30 * SECOND_NS - 1) and rate.ready_ns(1, 0) == 30 * SECOND_NS
    assert rate.take(1, 30 * SECOND_NS)


# -- Kraken's counter ------------------------------------------------------------------------------------------------

class Account:
    """Kraken's counter of an account in a pair, in exact fractions; and orders by their age there."""

    def __init__(self, tier):
        self.most, self.decay = TIERS[tier].trading_most, Fraction(str(TIERS[tier].trading_decay))
        self.value, self.at_ns, self.placed = Fraction(0), 0, {}
        self.highest = Fraction(0)

    def add(self, points, arrived_ns, refuse=True):
        self.value = max(Fraction(0), self.value - (arrived_ns - self.at_ns) * self.decay / SECOND_NS) + points
        self.at_ns = arrived_ns
        assert not refuse or self.value <= self.most, "EOrder:Rate limit exceeded"


@pytest.mark.parametrize("tier", ["starter", "intermediate", "pro"])
@given(requests=st.lists(st.tuples(st.sampled_from([NEW, NEW, NEW, CANCEL_ONE, REPLACE]), st.integers(0, 40),
                                   st.integers(0, 9), st.integers(0, 3)), max_size=250))
def test_krakens_counter_is_never_exceeded_by_orders(tier, requests):
    """By times between requests in tenths of a second, on the way for up to a second longer or less."""
    session = session_for("kraken_v2", SessionSettings("test", tier=tier))
    rates, exchange = order_rates(session, 1), Account(tier)
    now, arrived, orders = 10**15, 10**15, []
    for kind, step, late, which in requests:
        now += step * SECOND_NS // 40
        reaches = max(arrived, now + late * SECOND_NS // 10)       # one connection: in order
        if kind == NEW:
            if rates.take(NEW, now):
                exchange.add(1, reaches)
                orders.append((now, reaches))
                arrived = reaches
            continue
        if not orders:
            continue
        sent, there = orders[which % len(orders)]
        if kind == CANCEL_ONE:
            assert rates.take(CANCEL_ONE, now, 0, now - sent)       # never refused
            orders.remove((sent, there))
            exchange.add(penalty(CANCEL, reaches - there), reaches, refuse=False)
        elif rates.take(REPLACE, now, 0, now - sent):
            exchange.add(1 + penalty(AMEND, reaches - there), reaches)
        else:
            continue
        arrived = reaches


def test_krakens_orders_stop_at_four_fifths_and_say_when():
    session = session_for("kraken_v2", SessionSettings("test"))
    rates = order_rates(session, 2)                                 # nothing is said of the tier: the lowest
    assert [rates.take(NEW, 0) for _ in range(50)] == [True] * 48 + [False] * 2
    assert rates.refusal == (48, 49, SECOND_NS) and rates.refused == (2, 0)
    assert rates.take(NEW, 0, 1)                                    # the other pair has a counter of its own
    assert rates.take(CANCEL_ONE, 0, 0, SECOND_NS) and rates.take(CANCEL_ONE, 0, 0, 400 * SECOND_NS)
    assert not rates.take(NEW, 8 * SECOND_NS) and rates.take(NEW, 9 * SECOND_NS)
    assert not rates.take(REPLACE, 10 * SECOND_NS, 0, 3 * SECOND_NS)    # one and three more: it is young
    assert rates.take(REPLACE, 10 * SECOND_NS, 0, 17 * SECOND_NS)


def test_a_tier_that_there_is_not():
    with pytest.raises(SessionError, match="tier 'gold': expected starter, intermediate, pro"):
        session_for("kraken_v2", SessionSettings("test", tier="gold"))


# -- Binance's limits --------------------------------------------------------------------------------------------------

def binance(order_rate=(0, 1), **limits):
    session = session_for("binance_spot", SessionSettings("test", order_rate=order_rate))
    rows = [{"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 100},
            {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 10},
            {"rateLimitType": "ORDERS", "interval": "DAY", "intervalNum": 1, "limit": 30},
            {"rateLimitType": "RAW_REQUESTS", "interval": "MINUTE", "intervalNum": 5, "limit": 61000}]
    session._learn_limits([row | {"limit": limits.get(row["rateLimitType"], row["limit"])} for row in rows])
    return session, order_rates(session, 1)


def test_binances_limits_are_learned_from_its_metadata():
    session, _ = binance()
    assert session.limits.requests == Limit(100, MINUTE_NS)
    assert session.order_limits.orders == (Limit(10, 10 * SECOND_NS), Limit(30, DAY_NS))
    assert binance(RAW_REQUESTS=400)[0].limits.requests == Limit(400, 5 * MINUTE_NS)    # fewer than weight allows


def test_new_orders_stop_at_four_fifths_of_each_of_binances_limits_and_cancels_go_on():
    _, rates = binance()
    assert [rates.take(NEW, 1) for _ in range(9)] == [True] * 8 + [False]
    assert rates.refusal[:2] == (8, 9)
    assert all(rates.take(CANCEL_ONE, 1) for _ in range(200))       # no address limit is shared here
    rates.on_first_fill(1)
    assert rates.take(NEW, 1) and not rates.take(NEW, 1)
    now = rates.refusal[2]
    assert 10 * SECOND_NS <= now <= 12 * SECOND_NS
    passed = 0
    for _ in range(20):
        now += 20 * SECOND_NS
        passed += sum(rates.take(NEW, now) for _ in range(8))
    assert passed == 24 - 9 + 1 and rates.refusal[0] == 24          # of the day; one was given back


def test_cancels_may_use_what_orders_leave_of_the_weight_and_then_wait():
    session, rates = binance(ORDERS=1000)
    hosts = Hosts()
    weight = hosts.share(URL, session.limits.requests)
    rates.share(weight)
    assert hosts.request(URL, None, 0, 20) == 0                     # a call of this process
    assert [rates.take(NEW, 0) for _ in range(70)] == [True] * 60 + [False] * 10
    assert not rates.take(REPLACE, 0) and hosts.request(URL, None, 0, 1) > 0
    assert [rates.take(CANCEL_ONE, 0) for _ in range(21)] == [True] * 20 + [False]
    assert weight.used(0) == 100


def test_calls_for_books_use_half_and_what_went_before_the_start_counts():
    session, rates = binance()
    hosts = Hosts()
    hosts.request(URL, None, 0, 30)
    weight = hosts.share(URL, session.limits.requests)
    assert weight.used(0) == 30
    assert hosts.request(URL, None, 0, 25, 50) > 0 and hosts.request(URL, None, 0, 20, 50) == 0


@pytest.mark.parametrize(("status", "closed"), [(418, True), (429, True), (503, False)])
def test_a_host_that_refuses_calls_for_its_limits_is_sent_no_order_either(status, closed):
    session, rates = binance()
    hosts = Hosts()
    rates.share(hosts.share(URL, session.limits.requests))
    hosts.answered(URL, status, "30", 0, 0)
    for kind in (NEW, REPLACE, CANCEL_ONE):
        assert rates.take(kind, 29 * SECOND_NS) is not closed
    assert rates.take(CANCEL_ONE, 30 * SECOND_NS)


def test_the_weight_that_a_call_is_answered_with_is_heard():
    session, _ = binance()
    hosts = Hosts()
    weight = hosts.share(URL, session.limits.requests)
    hosts.answered(URL, 200, "", 0, 0, "87")
    assert weight.used(0) == 87
    hosts.answered(URL, 200, "", 0, 0, "many")
    assert weight.used(0) == 87


def test_what_the_user_allows_holds_up_orders_and_no_cancel():
    _, rates = binance(order_rate=(5, 10 * SECOND_NS))
    assert [rates.take(NEW, 0) for _ in range(5)] == [True] * 4 + [False]
    assert all(rates.take(CANCEL_ONE, 0) for _ in range(20)) and rates.refusal[:2] == (4, 5)
    assert not rates.take(NEW, 9 * SECOND_NS)


def test_settings_that_are_no_rates():
    with pytest.raises(ValueError, match="period"):
        SharedRateLimit(1, 0)
    with pytest.raises(ValueError, match="limits: at most 6"):
        OrderRates(1, limits=[(1, 1, (1, 1, 1, 1), False)] * 7)
    with pytest.raises(ValueError, match="kind 99"):
        OrderRates(1).take(99, 0)
