"""What exchanges allow is not exceeded, by whatever storm; and what they refuse is not asked again before its time."""
import bisect
import copy
import json
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow._core.types import EVENT_DTYPE, BookFault, BookState, EventKind
from orderflow.exchanges import SESSIONS, session_for
from orderflow.exchanges.actions import Fetch
from orderflow.exchanges.facts import UNLIMITED, Limit, Limits
from orderflow.exchanges.session import SessionSettings
from orderflow.instrument import Listing
from orderflow.servers.control import Conversation
from orderflow.servers.effects import Connect
from orderflow.servers.hosts import LONGEST_PAUSE_NS, Hosts, retry_after_ns
from orderflow.servers.token_bucket import TokenBucket
from orderflow.simulator.exchange import Response
from tests.virtual import SECOND_NS, Virtual

URL, OTHER = "https://api.exchange.example/depth?symbol=A", "https://api.other.example/depth"


def most_in_a_window(times, period_ns):
    """The slow way: how many lie in the fullest half-open window of that length."""
    return max((bisect.bisect_left(times, at + period_ns) - number for number, at in enumerate(times)), default=0)


# -- the token bucket ------------------------------------------------------------------------------------------------

LIMITS = st.builds(Limit, st.integers(1, 50), st.integers(50, 10_000))


@given(LIMITS, st.lists(st.integers(0, 2_000), max_size=200))
def test_no_window_ever_sees_more_than_the_limit(limit, steps):
    bucket, now, passed = TokenBucket(limit), 0, []
    for step in steps:
        now += step
        if bucket.take(now):
            passed.append(now)
        else:
            assert bucket.ready_ns(now) > now
    assert most_in_a_window(passed, limit.period_ns) <= limit.count


@given(LIMITS, st.integers(1, 100))
def test_who_waits_until_it_is_ready_passes(limit, count):
    bucket, now, passed = TokenBucket(limit), 0, []
    for _ in range(count):
        now = max(now, bucket.ready_ns(now))
        assert bucket.take(now)
        passed.append(now)
    assert most_in_a_window(passed, limit.period_ns) <= limit.count
    assert passed[:max(1, limit.count // 2)] == [0] * len(passed[:max(1, limit.count // 2)])
    assert now <= -(-limit.period_ns // max(1, (limit.count + 1) // 2)) * count     # at half the limit's pace, at least


def test_without_a_limit_everything_passes():
    bucket = TokenBucket(None)
    assert all(bucket.take(0) for _ in range(1000)) and bucket.ready_ns(5) == 5


@pytest.mark.parametrize("protocol", SESSIONS)
def test_every_exchange_has_its_limits(protocol):
    limits = session_for(protocol, SessionSettings("test")).limits
    assert isinstance(limits, Limits) and limits.connects.count > 0 and limits.requests.count > 0


# -- hosts that refuse -------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("text", "seconds"), [
    ("30", 30), (" 7 ", 7), ("Thu, 15 Jan 2026 08:00:20 GMT", 20), ("Thu, 15 Jan 2026 07:59:00 GMT", 0), ("", 0),
    ("soon", 0), ("-5", 0), ("1.5", 0), ("9" * 40, 7 * 24 * 3600), ("Thu, 15 Jan 2126 08:00:20 GMT", 7 * 24 * 3600)])
def test_retry_after(text, seconds):
    assert retry_after_ns(text, 1_768_464_000 * SECOND_NS) == seconds * SECOND_NS


def test_a_host_is_left_alone_for_as_long_as_it_says():
    hosts = Hosts(seed=1)
    assert hosts.request(URL, None, 0) == 0
    assert hosts.answered(URL, 429, "30", 0, 0) == 30 * SECOND_NS
    assert hosts.request(URL, None, 30 * SECOND_NS - 1) == 30 * SECOND_NS
    assert hosts.request(OTHER, None, 0) == 0                       # others are asked as before
    assert hosts.request(URL, None, 30 * SECOND_NS) == 0            # one goes alone ...
    assert hosts.request(URL, None, 30 * SECOND_NS + 1) > 31 * SECOND_NS
    assert hosts.answered(URL, 200, "", 31 * SECOND_NS, 0) == 0     # ... and when it was answered all may follow
    assert hosts.request(URL, None, 31 * SECOND_NS) == 0


def test_answers_that_were_under_way_count_once():
    hosts = Hosts(seed=1)
    first = hosts.answered(URL, 429, "", 0, 0)
    assert 0 < first <= 2 * SECOND_NS
    assert all(hosts.answered(URL, 429, "", 1, 0) <= 2 * SECOND_NS + 1 for _ in range(50))
    assert hosts.answered(URL, 200, "", 2, 0) == 0                  # a late good one proves nothing
    assert hosts.request(URL, None, 3) > 3


def test_without_retry_after_pauses_double_with_jitter_up_to_a_bound():
    pauses = {}
    for seed in range(20):
        hosts, now = Hosts(seed), 0
        for refusal in range(10):
            assert hosts.request(URL, None, now) == 0
            until = hosts.answered(URL, 503, "", now, 0)
            pauses.setdefault(refusal, set()).add(until - now)
            now = until
    for refusal, seen in pauses.items():
        longest = min(LONGEST_PAUSE_NS, SECOND_NS << (refusal + 1))
        assert longest / 2 <= min(seen) and max(seen) <= longest and len(seen) == 20


def test_a_ban_without_retry_after_is_left_alone_for_minutes():
    assert Hosts().answered(URL, 418, "", 0, 0) >= 120 * SECOND_NS


def test_a_probe_that_is_never_answered_does_not_stop_everything_for_ever():
    hosts = Hosts()
    hosts.answered(URL, 429, "1", 0, 0)
    assert hosts.request(URL, None, SECOND_NS) == 0
    again = hosts.request(URL, None, SECOND_NS)
    assert again > SECOND_NS and hosts.request(URL, None, again) == 0


# -- a refusal, seen from the exchange -------------------------------------------------------------------------

def refusing(world, status, headers, refused):
    """Depth snapshots are refused while `refused(calls so far)`; returns when they were asked for."""
    real, asked = world.answer, []

    def answer(method, path, query, sent, body, now_ns):
        if not path.endswith("/depth"):
            return real(method, path, query, sent, body, now_ns)
        asked.append(now_ns)
        if refused(len(asked)):
            return Response(status, headers, b'{"code":-1003,"msg":"Too many requests."}')
        return real(method, path, query, sent, body, now_ns)

    world.answer = answer
    return asked


@pytest.mark.parametrize("status", [418, 429, 503])
def test_scenario_20_retry_after_is_honoured_by_all_listings(status):
    """Whichever listing hears it first: the other one asks nothing either until the host may be asked again."""
    world = Virtual("binance_spot")
    asked = refusing(world, status, {"Retry-After": "40"}, lambda calls: calls <= 1)
    world.run(39)
    assert len(asked) == 1 and not world.live
    assert any(f"refused the call for snapshot with {status}; it is asked for nothing for 40.0 s" in problem
               for problem in world.problems)
    world.run(10)
    assert asked[1] - asked[0] >= 40 * SECOND_NS
    assert world.live and len(asked) == 3
    assert world.conversation.health.refused_calls == 1


def test_a_host_that_goes_on_refusing_sees_no_storm():
    world = Virtual("binance_spot")
    asked = refusing(world, 429, {}, lambda calls: True)
    world.run(600)
    assert not world.live and len(asked) < 25
    gaps = [later - earlier for earlier, later in zip(asked, asked[1:], strict=False)]
    assert min(gaps[5:]) > 16 * SECOND_NS                           # the pauses have grown
    assert len(world.opened) == 1                                   # and nothing else was given up for it


def test_metadata_waits_for_a_host_that_refuses():
    """Already while starting, before anything runs."""
    asked = []

    class Refusing(Virtual):
        def _watch(self, hide):
            super()._watch(hide)
            asked.extend(refusing(self, 429, {"Retry-After": "20"}, lambda calls: calls <= 2) or [])

    world = Refusing("binance_spot")
    depth = [at for at, path in world.calls if path.endswith("/depth")]
    assert [(later - depth[0]) // SECOND_NS for later in depth] == [0, 20, 40, 40]
    world.run(2)
    assert world.live


# -- storms ----------------------------------------------------------------------------------------------------

class Strict:
    """An exchange that counts what it is sent, as one does that refuses beyond its limits. It answers nothing."""

    def __init__(self):
        self.messages, self.calls, self.connects = [], [], []


class Heard:
    """Stands for the native loop: tells what it is told to tell, and notes what is sent through it."""

    borrows = False
    account = None          # takes no orders

    def __init__(self, strict, symbols):
        self.strict, self.symbols, self.now_ns, self.events = strict, symbols, 0, []

    def command(self, kind, **fields):
        if kind.name == "SEND_FRAME":
            self.strict.messages.append((self.now_ns, fields["payload"].decode()))

    def next_event(self):
        return self.events.pop(0) if self.events else None

    def symbol(self, listing):
        return self.symbols[listing]

    def say(self, kind, **fields):
        event = self.event(kind, **fields)
        self.events.append((event, b""))

    @staticmethod
    def event(kind, **fields):
        event = np.zeros((), EVENT_DTYPE)
        event["kind"] = kind
        for name, value in fields.items():
            event[name] = value
        return event


class Storm:
    """A conversation of many listings with a strict exchange, on a clock of its own."""

    def __init__(self, protocol, count, **settings):
        self.symbols = [f"S{number}-USD" for number in range(count)]
        self.session = session_for(protocol, SessionSettings(
            "test", symbols=tuple(self.symbols), subscribe_ns=3600 * SECOND_NS, silence_ns=0, **settings))
        if protocol == "binance_spot":      # snapshots as of a few symbols: the dearest there are
            self.session.limit, self.session.snapshot_weight = 5000, 250
        self.session.start(range(count), [Listing("test", symbol, symbol, "A", "B", 2, 2, 1, 1)
                                          for symbol in self.symbols])
        self.strict, self.problems = Strict(), []
        self.loop = Heard(self.strict, self.symbols)
        self.hosts = Hosts(seed=1)
        self.conversation = Conversation(self.session, self.loop, self.problems.append, hosts=self.hosts,
                                         twin=copy.deepcopy(self.session) if self.session.settings.lines > 1 else None)
        self.refuse_connects = False

    def turn(self, now_ns):
        """What a driver does."""
        self.loop.now_ns = now_ns
        waiting = list(self.conversation.events(now_ns, now_ns))
        waiting += self.conversation.due(now_ns)
        while waiting:
            effect = waiting.pop(0)
            if isinstance(effect, Connect):
                self.strict.connects.append(now_ns)
                if self.refuse_connects:
                    self.conversation.connect_failed(effect.line, "refused", now_ns)
                else:
                    waiting += self.conversation.connected(effect.line, 0, now_ns, now_ns)
            elif isinstance(effect, Fetch):
                self.strict.calls.append((now_ns, effect.request))
                waiting += self.conversation.answered(effect.request, 200, b"{}", now_ns, now_ns)

    def run(self, seconds):
        until, now = self.loop.now_ns + int(seconds * SECOND_NS), self.loop.now_ns
        while now <= until:
            self.turn(now)
            due = self.conversation.next_due_ns()
            now = until + 1 if due is None else max(now + 1_000_000, due)
        self.loop.now_ns = until

    def all_need_a_snapshot(self, fault=BookFault.GAP, connection=0):
        """Of books whose subscriptions were acknowledged."""
        for line in self.conversation.lines:
            line.unanswered.clear()
        for listing in range(len(self.symbols)):
            self.loop.say(EventKind.SNAPSHOT_NEEDED, listing=listing, value=fault, connection=connection)


@pytest.mark.parametrize("protocol", [name for name in SESSIONS
                                      if session_for(name, SessionSettings("test")).limits.messages])
def test_a_storm_of_resyncs_stays_inside_the_limit_of_messages(protocol):
    """Two hundred listings want a snapshot at once: all get one, in the order in which they asked."""
    storm = Storm(protocol, 200)
    storm.run(10)
    storm.all_need_a_snapshot(BookFault.SILENT)
    limit = storm.session.limits.messages
    storm.run(3 * 400 * limit.period_ns / limit.count / SECOND_NS + 10)
    assert most_in_a_window([at for at, _ in storm.strict.messages], limit.period_ns) <= limit.count
    asked = Counter(symbol.lower() for _, text in storm.strict.messages[-400:] if "unsub" not in text.lower()
                    for symbol in storm.symbols if f'{symbol.lower()}"' in text.lower() or f"{symbol.lower()}@" in
                    text.lower() or f"{symbol.lower()}." in text.lower())
    assert len(asked) == 200


def test_a_storm_of_resyncs_stays_inside_the_limit_of_calls():
    storm = Storm("binance_spot", 200)
    storm.run(10)
    storm.all_need_a_snapshot()
    storm.run(1000)
    limit = storm.session.limits.requests
    assert most_in_a_window([at for at, _ in storm.strict.calls], limit.period_ns) <= limit.count
    assert [request.listing for _, request in storm.strict.calls] == list(range(200))
    assert storm.conversation.health.held_back > 0


def test_one_resync_a_listing_is_under_way():
    """However often the exchange thread asks while the limit holds the first one back."""
    storm = Storm("binance_spot", 60)
    storm.run(10)
    for _ in range(20):
        storm.all_need_a_snapshot()
        storm.run(1)
    waiting = 60 - len(storm.strict.calls)
    assert waiting > 0
    storm.run(1000)
    counts = Counter(request.listing for _, request in storm.strict.calls)
    assert all(counts[listing] == 1 for listing in range(60 - waiting, 60))


@pytest.mark.parametrize("protocol", ["okx", "coinbase_adv"])
def test_two_lines_stay_inside_the_limit_of_messages(protocol):
    """Where messages count by connection each line has a budget of its own, where by address they share one."""
    storm = Storm(protocol, 200, lines=2)
    storm.run(10)
    limit, sent = storm.session.limits.messages, {0: [], 1: []}
    storm.loop.command = lambda kind, **fields: kind.name == "SEND_FRAME" and sent[fields["connection"]].append(
        storm.loop.now_ns)
    for connection in (0, 1):
        storm.all_need_a_snapshot(BookFault.CROSSED, connection)
    storm.run(3 * 800 * limit.period_ns / limit.count / SECOND_NS + 10)
    counted = [sent[0], sent[1]] if protocol == "okx" else [sorted(sent[0] + sent[1])]
    assert all(most_in_a_window(times, limit.period_ns) <= limit.count for times in counted)
    assert min(len(times) for times in sent.values()) >= 400        # each has left and joined every book


def test_one_resync_a_listing_and_line_is_under_way():
    storm = Storm("binance_spot", 60, lines=2)
    storm.run(10)
    for _ in range(20):
        for connection in (0, 1):
            storm.all_need_a_snapshot(connection=connection)
        storm.run(1)
    made = Counter(request.listing for _, request in storm.strict.calls)
    storm.run(2000)
    counts = Counter(request.listing for _, request in storm.strict.calls)
    waited = [listing for listing in range(60) if made[listing] == 0]
    assert waited and all(counts[listing] == 2 for listing in waited)


@pytest.mark.parametrize("in_step", [False, True])
def test_what_a_lost_line_asked_for_serves_the_other_if_that_waits(in_step):
    """The exchange thread asks once for both lines. When the one that asked is lost, the other still needs it."""
    storm = Storm("binance_spot", 60, lines=2)
    storm.run(10)
    storm.all_need_a_snapshot()
    storm.turn(storm.loop.now_ns)
    made = len(storm.strict.calls)
    assert 0 < made < 60
    for listing in range(60 if in_step else 0):
        storm.loop.say(EventKind.LINE_CHANGED, connection=1, listing=listing, value=BookState.LIVE)
    storm.loop.say(EventKind.CONNECTION_LOST, connection=0, value=1)
    storm.run(1000)
    assert [request.listing for _, request in storm.strict.calls] == list(range(made if in_step else 60))


def test_the_next_resync_of_a_listing_waits_longer_each_time_and_never_as_long_as_another():
    storm = Storm("binance_spot", 2, limits=UNLIMITED)
    storm.run(1)
    for _ in range(600):
        storm.all_need_a_snapshot()
        storm.run(0.1)
    times = [[at for at, request in storm.strict.calls if request.listing == listing] for listing in (0, 1)]
    gaps = [[later - earlier for earlier, later in zip(one, one[1:], strict=False)] for one in times]
    assert all(6 <= len(one) <= 12 for one in times)
    for one in gaps:
        for number, gap in enumerate(one):
            pause = min(30 * SECOND_NS, (SECOND_NS // 4) << number)
            assert pause / 2 <= gap <= pause + 2 * SECOND_NS // 10
    assert gaps[0] != gaps[1]


def test_attempts_to_connect_stay_inside_the_limit():
    """An exchange that refuses every connection at once, and a backoff that was no backoff."""
    storm = Storm("okx", 1)
    storm.refuse_connects = True
    storm.conversation._random.uniform = lambda *_: 0.0
    storm.run(30)
    assert 30 < len(storm.strict.connects)
    assert most_in_a_window(storm.strict.connects, SECOND_NS) <= 3


def test_connections_of_one_host_share_its_limit():
    """Two exchanges of a configuration that are one host: what counts is the address."""
    hosts, limit = Hosts(), Limit(10, SECOND_NS)
    times = []
    for now in range(0, 5 * SECOND_NS, 10_000_000):
        for url in ("wss://stream.example:9443/a", "wss://stream.example:9443/b"):
            if hosts.connect(url, limit, now) == 0:
                times.append(now)
    assert most_in_a_window(times, SECOND_NS) <= 10 and len(times) > 25


@pytest.mark.parametrize("protocol", ["okx", "coinbase_adv"])
def test_a_new_connection_has_a_new_budget_only_where_connections_are_counted(protocol):
    """OKX counts by connection, Coinbase by address."""
    storm = Storm(protocol, 200)
    storm.run(10)
    storm.all_need_a_snapshot(BookFault.CROSSED)
    storm.turn(storm.loop.now_ns)
    spent = len(storm.strict.messages)
    storm.loop.say(EventKind.CONNECTION_LOST, connection=0, value=1)
    storm.turn(storm.loop.now_ns)
    storm.turn(due := storm.conversation.next_due_ns())
    assert [at for at, _ in storm.strict.messages[spent:]] == ([due] if protocol == "okx" else [])
    storm.run(5)
    assert len(storm.strict.messages) == spent + (1 if protocol == "okx" else 3)


def test_what_waits_is_not_sent_over_another_connection():
    """The resyncs of a connection that is gone mean nothing to the next one."""
    storm = Storm("coinbase_adv", 200)
    storm.run(10)
    storm.all_need_a_snapshot(BookFault.CROSSED)
    storm.turn(storm.loop.now_ns)
    storm.loop.say(EventKind.CONNECTION_LOST, connection=0, value=1)
    seen = len(storm.strict.messages)
    storm.run(60)
    texts = [json.loads(text) for _, text in storm.strict.messages[seen:]]
    assert [text["channel"] for text in texts] == ["level2", "market_trades", "heartbeats"]
