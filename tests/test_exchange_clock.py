"""An exchange's clock: what readings of it prove, when it is asked for, and what follows."""
import json
import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as some

from orderflow._core.types import TradingState
from orderflow.credentials import Credentials
from orderflow.exchanges import session_for
from orderflow.exchanges.actions import (
    ClockRead,
    ClockRefused,
    Fetch,
    OrderQuestion,
    Problem,
    Reconnect,
    Request,
    Send,
)
from orderflow.exchanges.session import CLOCK, SessionSettings
from orderflow.servers.clock_offset import DRIFT, ClockOffset
from orderflow.servers.exchange_clock import EVERY_NS, PATIENCE_NS, SOONEST_NS, ExchangeClock

SECOND_NS, MILLISECOND_NS = 1_000_000_000, 1_000_000
START_NS = 1_800_000_000 * SECOND_NS


# -- what is known ---------------------------------------------------------------------------------------------------


class Clocks:
    """Ours shows nanoseconds since some moment; theirs runs as much faster or slower as is allowed, and may be set."""

    def __init__(self, ahead_ns):
        self.now_ns, self.ahead, self.rate = 0, Fraction(ahead_ns), Fraction(0)

    def drift(self, millionths):
        self.rate = Fraction(millionths, 1_000_000)

    def pass_time(self, nanoseconds):
        self.now_ns += nanoseconds
        self.ahead += self.rate * nanoseconds

    def shown(self, resolution_ns):
        return int((self.now_ns + self.ahead) // resolution_ns) * resolution_ns

    def reading(self, there_ns, within_ns, back_ns, resolution_ns):
        """(asked, heard, ClockRead) of a question that takes so long on its way, there, and on its way back."""
        asked_ns = self.now_ns
        self.pass_time(there_ns)
        received_ns = self.shown(resolution_ns)
        self.pass_time(within_ns)
        answered_ns = self.shown(resolution_ns)
        self.pass_time(back_ns)
        return asked_ns, self.now_ns, ClockRead(received_ns, answered_ns, resolution_ns)

    def is_within(self, offset):
        low, high = offset.bounds(self.now_ns)
        return low <= self.ahead <= high


way = some.integers(0, 3 * SECOND_NS)
readings = some.lists(some.tuples(
    some.integers(-500, 500), some.integers(0, 3600 * SECOND_NS), way, some.integers(0, SECOND_NS // 10), way,
    some.sampled_from((1, 1_000, MILLISECOND_NS, SECOND_NS))), min_size=1, max_size=12)
offsets = some.integers(-10 * SECOND_NS, 10 * SECOND_NS)


@given(offsets, readings)
def test_the_true_offset_is_always_within_what_is_said_of_it(ahead_ns, looks):
    """However long the round trips are, wherever in them the clock was read, how coarse it is and how it drifts."""
    clocks, offset = Clocks(ahead_ns), ClockOffset()
    for millionths, pause_ns, *trip in looks:
        clocks.drift(millionths)
        clocks.pass_time(pause_ns)
        assert not offset.known or clocks.is_within(offset)
        assert offset.read(*clocks.reading(*trip)) is False
        assert clocks.is_within(offset)
    assert offset.steps == 0


@given(offsets, readings, offsets, some.tuples(way, some.integers(0, SECOND_NS // 10), way, some.just(MILLISECOND_NS)))
def test_a_step_is_followed_with_the_first_reading_that_contradicts(ahead_ns, looks, step_ns, trip):
    clocks, offset = Clocks(ahead_ns), ClockOffset()
    for millionths, pause_ns, *before in looks:
        clocks.drift(millionths)
        clocks.pass_time(pause_ns)
        offset.read(*clocks.reading(*before))
    clocks.ahead += step_ns
    asked_ns, heard_ns, reading = clocks.reading(*trip)
    low, high = offset.bounds(heard_ns)
    stepped = offset.read(asked_ns, heard_ns, reading)
    if abs(step_ns) > high - low + (heard_ns - asked_ns) + 3 * MILLISECOND_NS:
        assert stepped
    if stepped:
        assert clocks.is_within(offset) and offset.steps == 1
    assert abs(clocks.ahead - offset.middle_ns) <= heard_ns - asked_ns + 3 * MILLISECOND_NS     # wrong by no more


@given(offsets, readings, offsets, some.tuples(way, some.integers(0, SECOND_NS // 10), way, some.just(MILLISECOND_NS)))
def test_after_a_refusal_the_next_reading_alone_counts(ahead_ns, looks, step_ns, trip):
    clocks, offset = Clocks(ahead_ns), ClockOffset()
    for millionths, pause_ns, *before in looks:
        clocks.drift(millionths)
        clocks.pass_time(pause_ns)
        offset.read(*clocks.reading(*before))
    clocks.ahead += step_ns
    offset.read(*clocks.reading(*trip), alone=True)
    assert clocks.is_within(offset)


def test_short_round_trips_count_and_old_ones_less_and_less():
    clocks, offset = Clocks(1_500 * MILLISECOND_NS), ClockOffset()

    def uncertainty_ns():
        low, high = offset.bounds(clocks.now_ns)
        return (high - low) // 2

    offset.read(*clocks.reading(5 * MILLISECOND_NS, 0, 5 * MILLISECOND_NS, 1))
    assert uncertainty_ns() == pytest.approx(5 * MILLISECOND_NS, rel=0.01)
    offset.read(*clocks.reading(SECOND_NS, 0, SECOND_NS, 1))           # adds nothing
    assert uncertainty_ns() == pytest.approx(6 * MILLISECOND_NS, rel=0.01)
    clocks.pass_time(100 * SECOND_NS)
    assert uncertainty_ns() == pytest.approx(6 * MILLISECOND_NS + 100 * SECOND_NS // DRIFT, rel=0.01)
    offset.read(*clocks.reading(MILLISECOND_NS, 0, MILLISECOND_NS, 1))
    assert uncertainty_ns() == pytest.approx(MILLISECOND_NS, rel=0.01)
    assert offset.middle_ns == pytest.approx(1_500 * MILLISECOND_NS, abs=MILLISECOND_NS)


def test_whole_seconds_become_finer_with_every_look():
    """Looks that fall into different parts of a second."""
    clocks, offset = Clocks(0), ClockOffset()
    for _ in range(10):
        offset.read(*clocks.reading(0, 0, 0, SECOND_NS))
        clocks.pass_time(1_100 * MILLISECOND_NS)
    low, high = offset.bounds(clocks.now_ns)
    assert high - low < SECOND_NS // 5 and low <= 0 <= high


def test_a_reading_that_contradicts_itself_is_left_out():
    offset = ClockOffset()
    assert offset.read(0, 10, ClockRead(100, 200, 1)) is False and not offset.known


# -- when it is asked, and what follows ------------------------------------------------------------------------------


class Desk:
    """An ExchangeClock of one session, and an exchange that is ahead of our clock by `ahead_ns`."""

    def __init__(self, protocol="binance_spot", **settings):
        secret = {"binance_spot": "s" * 64, "kraken_v2": "c2VjcmV0"}[protocol]
        self.session = session_for(protocol, SessionSettings(
            "alpha", **{"trade": True, "credentials": Credentials("k" * 64, secret)} | settings))
        self.told, self.signed_with, self.states = [], [], []
        self.heard = True
        self.clock = ExchangeClock(self.session, self.told.append, lambda ns: self.signed_with.append(ns) or self.heard)
        self.clock.restrict = lambda state: self.states.append(state) or self.heard
        self.now_ns, self.own_ns, self.ahead_ns = 5 * SECOND_NS, START_NS, 0

    def ask(self, connected=False):
        asked = self.clock.ask(connected, self.now_ns, self.own_ns)
        for each in asked:
            self.clock.leaves(each.request if isinstance(each, Fetch) else each, self.now_ns)
        return asked

    def answer(self, asked, trip_ns=2 * MILLISECOND_NS):
        """As the exchange would, half of a round trip later; read at its end."""
        self.now_ns += trip_ns // 2
        shown_ns = self.now_ns + START_NS + self.ahead_ns
        self.now_ns += trip_ns - trip_ns // 2
        [question] = asked
        if isinstance(question, Fetch):
            body = {"serverTime": shown_ns // MILLISECOND_NS, "result": {"unixtime": shown_ns // SECOND_NS}}
            readings = self.clock.answered(question.request, 200, json.dumps(body).encode())
        else:
            readings = self.session.frame("orders", self.frame(question, shown_ns), 0)
        for reading in readings:
            self.clock.read(reading, self.now_ns, self.own_ns)

    @staticmethod
    def frame(question, shown_ns):
        identity = json.loads(question.text)["id"]
        return json.dumps({"id": identity, "status": 200,
                           "result": {"serverTime": shown_ns // MILLISECOND_NS}}).encode()

    def look(self, connected=True):
        """Ask at the next time, and be answered."""
        self.now_ns = max(self.now_ns, self.clock.due_ns)
        self.answer(self.ask(connected))

    def told_roughly(self):
        """What was told, in tenths of a second: reading a clock of milliseconds takes one or two."""
        told = [re.sub(r"\d+\.\d{3}", lambda number: f"{float(number[0]):.1f}", each) for each in self.told]
        return [each.replace("; orders are signed with its time", " SIGNED") for each in told]

    def offset_s(self):
        return self.clock.status(self.now_ns)["offset_ns"] / 1e9


def test_nothing_is_signed_before_the_first_answer():
    desk = Desk()
    desk.ahead_ns = -1_500 * MILLISECOND_NS
    assert not desk.clock.may_sign(desk.now_ns)
    asked = desk.ask()
    assert [type(each) for each in asked] == [Fetch] and asked[0].request.url.endswith("/api/v3/time")
    assert not desk.clock.may_sign(desk.now_ns) and desk.ask() == []
    desk.answer(asked)
    assert desk.clock.may_sign(desk.now_ns) and desk.offset_s() == pytest.approx(-1.5, abs=0.002)
    assert desk.signed_with == [desk.clock.unix_offset_ns(desk.own_ns)]
    assert desk.signed_with[0] - START_NS == pytest.approx(desk.ahead_ns, abs=2 * MILLISECOND_NS)
    assert desk.told_roughly() == ["its clock is 1.5 s behind ours, give or take 0.0 s SIGNED"]


def test_an_exchange_that_does_not_say_holds_up_a_cancel_for_so_long_only():
    desk = Desk()
    assert not desk.clock.may_sign(desk.now_ns)
    desk.ask()
    desk.now_ns += PATIENCE_NS
    assert desk.clock.may_sign(desk.now_ns) and desk.clock.unix_offset_ns(desk.own_ns) == desk.own_ns
    desk.ask()
    assert desk.states == [TradingState.REDUCING]
    assert desk.told == [
        "its clock could not be read, and may be farther from ours than exchanges.alpha.maximum_clock_offset_seconds = "
        "2; orders there may only reduce until it is read again. Is https://api.binance.com reached?"]
    desk.look(connected=True)
    assert desk.states == [TradingState.REDUCING, TradingState.ACTIVE]


@pytest.mark.parametrize(("status", "body", "why"), [
    (0, b"GET https://api.binance.com/api/v3/time: refused", "refused (status 0)"),
    (503, b"busy", "busy (status 503)"),
    (200, b"<html>", "the answer was not understood (JSONDecodeError"),
    (200, b"{}", "the answer was not understood (KeyError('serverTime')"),
])
def test_answers_that_are_none_are_told_once(status, body, why):
    desk = Desk()
    for _ in range(3):
        desk.now_ns = max(desk.now_ns, desk.clock.due_ns)
        [fetch] = desk.ask()
        assert desk.clock.answered(fetch.request, status, body) == []
    assert [why in told for told in desk.told] == [True, False]     # and that orders may only reduce
    assert desk.clock.may_sign(desk.now_ns)


def test_over_the_order_connection_where_that_is_open_and_over_rest_where_it_does_not_answer():
    desk = Desk()
    desk.look(connected=False)
    desk.clock.ask_soon(desk.now_ns)
    asked = desk.ask(connected=True)
    assert isinstance(asked[0], Send) and json.loads(asked[0].text)["method"] == "time"
    desk.answer(asked)
    desk.now_ns += EVERY_NS - 3 * MILLISECOND_NS
    assert desk.ask(connected=True) == []
    desk.now_ns += 3 * MILLISECOND_NS
    late = desk.ask(connected=True)
    assert isinstance(late[0], Send)
    desk.now_ns += EVERY_NS
    assert isinstance(desk.ask(connected=True)[0], Fetch)
    desk.ahead_ns = 60 * SECOND_NS
    desk.answer(late)                       # to a question that was given up
    assert desk.offset_s() == pytest.approx(0, abs=0.01)


def test_a_call_that_is_held_back_is_not_made_again():
    """An exchange that wants to be left alone for days is asked once after them; the order connection goes on."""
    desk = Desk()
    [held_back] = desk.clock.ask(False, desk.now_ns, desk.own_ns)           # and does not leave
    for _ in range(1000):
        desk.now_ns = max(desk.now_ns, desk.clock.due_ns)
        assert desk.clock.ask(False, desk.now_ns, desk.own_ns) == []
    assert desk.clock.answered(held_back.request, 200, b'{"serverTime":1}') != []
    desk.clock.leaves(held_back.request, desk.now_ns)
    desk.clock.ask_soon(desk.now_ns)
    asked = desk.ask(connected=True)
    assert isinstance(asked[0], Send)
    desk.answer(asked)
    assert desk.offset_s() == pytest.approx(0, abs=0.002)
    desk.now_ns = desk.clock.due_ns
    assert [type(each) for each in desk.ask(connected=False)] == [Fetch]


def test_after_a_refusal_at_once_and_not_more_often_than_each_second():
    desk = Desk()
    desk.look()
    desk.now_ns += 4 * SECOND_NS
    desk.ahead_ns = -1_500 * MILLISECOND_NS
    desk.clock.refused(desk.now_ns)
    asked = desk.ask(connected=True)
    assert len(asked) == 1
    desk.clock.refused(desk.now_ns)
    assert desk.ask(connected=True) == [] and desk.clock.due_ns == desk.now_ns + SOONEST_NS
    desk.answer(asked, trip_ns=2 * SECOND_NS)           # so long that it would not contradict what was known
    assert desk.offset_s() == pytest.approx(-1.5, abs=1.1) and len(desk.ask(connected=True)) == 1


def test_a_clock_that_is_set_is_followed_and_told():
    desk = Desk()
    desk.look()
    desk.ahead_ns = 1_500 * MILLISECOND_NS
    desk.look()
    assert desk.offset_s() == pytest.approx(1.5, abs=0.002) and len(desk.signed_with) == 2
    assert desk.told_roughly() == [
        "its clock moved by +1.5 s against ours: it is 1.5 s ahead of ours, give or take 0.0 s SIGNED"]
    assert desk.states == []


@pytest.mark.parametrize("sign", [1, -1])
def test_beyond_the_bound_orders_only_reduce_and_within_half_of_it_they_pass(sign):
    desk = Desk(maximum_clock_offset_ns=3 * SECOND_NS)
    said = []
    for ahead_s in (2.9, 3.1, 2.9, 1.6, 1.4, 2.9, 3.1):
        desk.ahead_ns = int(sign * ahead_s * SECOND_NS)
        desk.look()
        said.append(desk.clock.status(desk.now_ns)["reducing"])
    assert said == [False, True, True, True, False, False, True]
    assert desk.states == [TradingState.REDUCING, TradingState.ACTIVE, TradingState.REDUCING]
    where = "ahead of" if sign > 0 else "behind"
    reduced = (f"its clock is 3.1 s {where} ours, give or take 0.0 s, more than exchanges.alpha."
               "maximum_clock_offset_seconds = 3; orders there may only reduce until it is within 1.5 s. Is the clock "
               "of this machine kept (`timedatectl`, `chronyc tracking`)? If it is, the exchange's is wrong")
    passes = f"its clock is 1.4 s {where} ours, give or take 0.0 s: orders there pass again"
    assert [told for told in desk.told_roughly() if "SIGNED" not in told] == [reduced, passes, reduced]


def test_a_clock_of_this_machine_that_is_set_changes_no_signature():
    """It is what the bound is about, though."""
    desk = Desk()
    desk.look()
    signed_with = list(desk.signed_with)
    desk.own_ns += 5 * SECOND_NS
    desk.look()
    assert desk.signed_with == pytest.approx(signed_with, abs=2 * MILLISECOND_NS)
    assert desk.states == [TradingState.REDUCING] and "5.0 s behind ours" in desk.told_roughly()[-1]
    desk.own_ns -= 5 * SECOND_NS
    desk.look()
    assert desk.states == [TradingState.REDUCING, TradingState.ACTIVE]


def test_a_clock_that_nobody_reads_for_long_may_be_anywhere():
    """Two clocks drift apart; for hours nobody knows by how much."""
    desk = Desk()
    desk.look()
    while not desk.states:
        desk.now_ns = max(desk.now_ns, desk.clock.due_ns)
        desk.ask(connected=True)
        assert desk.now_ns < 2 * 3600 * SECOND_NS
    assert desk.now_ns > 1800 * SECOND_NS and desk.states == [TradingState.REDUCING]
    assert "give or take 2.00" in desk.told[-1] and "until it is read again" in desk.told[-1]
    desk.look()
    assert desk.states == [TradingState.REDUCING, TradingState.ACTIVE]


def test_what_was_not_heard_is_said_again():
    desk = Desk()
    desk.ahead_ns, desk.heard = 5 * SECOND_NS, False
    desk.look()
    assert len(desk.signed_with) == len(desk.states) == 1
    desk.heard = True
    for _ in range(2):
        desk.ask()
        desk.look()
    assert desk.states == [TradingState.REDUCING] * 2 and len(desk.told) == 2


def test_no_bound_no_trade_no_question():
    unbounded = Desk(maximum_clock_offset_ns=0)
    unbounded.ahead_ns = 3600 * SECOND_NS
    unbounded.look()
    assert unbounded.states == [] and unbounded.offset_s() == pytest.approx(3600, abs=0.002)
    watching = Desk(trade=False, credentials=None)
    assert watching.clock.due_ns is None and watching.ask() == [] and watching.clock.may_sign(0)


# -- what the exchanges say ------------------------------------------------------------------------------------------


def test_binance_says_milliseconds_and_refuses_times():
    session = Desk().session
    assert session.clock_read(b'{"serverTime":1499827319559}') == ClockRead(
        1499827319559 * MILLISECOND_NS, 1499827319559 * MILLISECOND_NS, MILLISECOND_NS)
    assert json.loads(session.clock_frame(7).text) == {"id": "clock-7", "method": "time"}
    assert session.frame("orders", b'{"id":"clock-7","status":200,"result":{"serverTime":1499827319559}}', 0) == [
        ClockRead(1499827319559 * MILLISECOND_NS, 1499827319559 * MILLISECOND_NS, MILLISECOND_NS, 7)]
    refusal = {"code": -1021, "msg": "Timestamp for this request is outside of the recvWindow."}
    order = {"id": "n" + "0" * 28, "status": 400, "error": refusal}
    assert session.frame("orders", json.dumps(order).encode(), 0) == [ClockRefused()]
    assert session.frame("orders", json.dumps(order | {"error": refusal | {"code": -2010}}).encode(), 0) == []
    stream = session.frame("orders", json.dumps(order | {"id": "user-stream"}).encode(), 0)
    assert [type(action) for action in stream] == [ClockRefused, Problem, Reconnect]
    question = OrderQuestion(0, 1, "of0000000000001", 0)
    [refused, told] = session.order_answer(Request("order", "GET", "https://x", question=question), 400,
                                           json.dumps(refusal).encode(), 0)
    assert refused == ClockRefused() and "-1021" in told.message


def test_kraken_says_seconds_over_rest_and_microseconds_in_a_pong():
    session = Desk("kraken_v2").session
    assert session.clock_call() == Request(CLOCK, "GET", "https://api.kraken.com/0/public/Time")
    assert session.clock_read(b'{"error":[],"result":{"unixtime":1616336594,"rfc1123":"Sun, 21 Mar 21 14:23:14 +0000"}}'
                              ) == ClockRead(1616336594 * SECOND_NS, 1616336594 * SECOND_NS, SECOND_NS)
    assert json.loads(session.clock_frame(7).text) == {"method": "ping", "req_id": 7}
    pong = {"method": "pong", "req_id": 7, "time_in": "2023-09-24T14:10:23.799685Z",
            "time_out": "2023-09-24T14:10:23.799703Z"}
    seen = 1695564623 * SECOND_NS
    assert session.frame("orders", json.dumps(pong).encode(), 0) == [
        ClockRead(seen + 799_685_000, seen + 799_703_000, 1_000, 7)]
    coarse = pong | {"time_in": "2023-09-24T14:10:23.799Z", "time_out": "2023-09-24T14:10:23.8Z"}
    assert session.frame("orders", json.dumps(coarse).encode(), 0) == [
        ClockRead(seen + 799_000_000, seen + 800_000_000, 1_000_000, 7)]
    for nonsense in (pong | {"time_in": "now"}, pong | {"time_in": "2023-09-24T14:10:23"}, pong | {"time_out": 5}):
        with pytest.raises((ValueError, TypeError, AttributeError)):
            session.frame("orders", json.dumps(nonsense).encode(), 0)
