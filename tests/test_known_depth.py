"""How far down a book is known: a reader can tell "no level" from "not known"."""
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow.credentials import Credentials
from orderflow.exchanges import session_for
from orderflow.exchanges.actions import Request, SnapshotBody
from orderflow.exchanges.session import SessionSettings
from tests.feed import Feed, depth, kraken, rest
from tests.serving import SERVERS, Clock, Run, session_of, start_exchange
from tests.test_exchange_gate import snapshot as gate_snapshot
from tests.test_exchange_gate import update as gate_update


def side(best, count, step):
    """{price: quantity} of so many levels from the best one on."""
    return {best + step * place: 1000 + place for place in range(count)}


def marks(feed):
    """(bids, asks) known to, as the board says, with None for a whole side."""
    entry = feed.core.board.read(0)
    return tuple(int(entry[name]) or None for name in ("bids_known_to", "asks_known_to"))


def opened(limit, bids, asks):
    feed = Feed("binance_spot", ["AB"])
    feed.open()
    feed.frame(depth(11, 12, {}, {}))
    feed.snapshot(rest(12, side(5000, bids, -1), side(5001, asks, 1)), limit=limit)
    return feed


@pytest.mark.parametrize("protocol, limit", [("binance_spot", 5000), ("binance_usdm", 1000), ("binance_coinm", 1000),
                                             ("gate", 100), ("gate_futures", 100), ("bitstamp", 0), ("kucoin", 100)])
def test_a_session_says_how_its_snapshots_are_limited(protocol, limit):
    session = session_for(protocol, SessionSettings("test", symbols=("AB",)))
    session.start([0], [Feed(protocol, ["AB"]).core.listings[0]])
    [fetch] = session.need_snapshot(0, 0, 0)
    assert session.answer(fetch.request, 200, b"{}", 0) == [SnapshotBody(0, b"{}", limit)]
    assert session.snapshot_levels(fetch.request.url) == limit
    assert session.answer(Request("snapshot", "GET", "x", listing=0), 429, b"", 0)[0] != SnapshotBody(0, b"", limit)


def test_who_has_a_key_gets_the_whole_book_of_kucoin():
    session = session_for("kucoin", SessionSettings("test", symbols=("AB",), credentials=Credentials("k", "s", "p")))
    session.start([0], [Feed("kucoin", ["AB"]).core.listings[0]])
    [fetch] = session.need_snapshot(0, 0, 0)
    assert session.answer(fetch.request, 200, b"{}", 0) == [SnapshotBody(0, b"{}", 0)]


@pytest.mark.parametrize("depth, kept", [(0, 100), (20, 25), (101, 250)])
def test_of_bitfinex_what_was_subscribed_is_known(depth, kept):
    assert session_for("bitfinex", SessionSettings("test", depth=depth)).facts.kept_levels == kept


@pytest.mark.parametrize("limit", [5000, 1000])
def test_a_snapshot_that_was_cut_says_where(limit):
    feed = opened(limit, limit, limit - 1)
    assert marks(feed) == (5001 - limit, None) == feed.loop.known_to(0)
    assert opened(limit, limit - 1, limit).loop.known_to(0) == (None, 5000 + limit)
    assert opened(0, limit, limit).loop.known_to(0) == (None, None)


def test_the_mark_stands_until_the_next_snapshot_wherever_the_market_goes():
    feed = opened(5, 5, 5)
    assert marks(feed) == (4996, 5005)
    feed.frame(depth(13, 13, {4990: 7}, {5005: 0, 5009: 7}))        # beyond it, and at it
    assert marks(feed) == (4996, 5005)
    feed.frame(depth(14, 14, {price: 0 for price in range(4996, 5001)}, {}))
    assert marks(feed) == (4996, 5005) and feed.shown()[0] == [(4990, 7)]       # of what lies between nothing is known
    feed.frame(depth(20, 20, {}, {}))
    assert marks(feed) == (None, None)                              # STALE: nothing is shown
    feed.snapshot(rest(20, side(4000, 3, -1), side(4001, 5, 1)), limit=5)
    assert marks(feed) == (None, 4005)
    feed.open()
    feed.frame(depth(31, 31, {}, {}))
    feed.snapshot(rest(31, side(4000, 5, -1), side(4001, 5, 1)))
    assert marks(feed) == (None, None)


@pytest.mark.parametrize("protocol", ["gate", "gate_futures"])
def test_of_gate_the_best_hundred_levels_are_known(protocol):
    """Gate's updates tell of a hundred levels a side; what lies beyond stays in the book and is not known."""
    feed = Feed(protocol, ["A_B"])
    feed.open()
    feed.frame(gate_update(protocol, 11, 12, {}, {}))
    feed.snapshot(gate_snapshot(protocol, 12, side(5000, 100, -1), side(5001, 99, 1)), limit=100)
    assert feed.loop.known_to(0) == (4901, None)
    assert marks(feed) == (4981, None)              # the last level shown: true, if not the last one known
    feed.frame(gate_update(protocol, 13, 13, {5000 - place: 0 for place in range(40)}, {5100: 9, 5101: 9}))
    assert feed.loop.known_to(0) == (None, 5100)
    feed.frame(gate_update(protocol, 14, 14, side(4960, 60, -1) | side(4900, 40, -1), {}))
    assert feed.loop.known_to(0) == (4861, 5100)


def test_of_kraken_what_was_subscribed_is_known():
    feed = Feed("kraken_v2", ["A/B"], depth=10)
    feed.open()
    book = side(5000, 10, -1), side(5001, 9, 1)
    feed.frame(kraken("snapshot", "A/B", *book, book))
    assert feed.loop.known_to(0) == (4991, None) == marks(feed)


@given(limit=st.integers(0, 12), counts=st.tuples(st.integers(1, 12), st.integers(1, 12)))
def test_any_snapshot(limit, counts):
    """The oracle is the definition: a side that fills the limit may go on beyond its last level."""
    feed = opened(limit, *counts)
    full = [limit > 0 and count >= limit for count in counts]
    assert marks(feed) == (5001 - counts[0] if full[0] else None, 5000 + counts[1] if full[1] else None)


@pytest.mark.parametrize("kind", SERVERS)
def test_over_sockets(kind):
    """Five levels a side are asked for, of a book that has many more."""
    exchange = start_exchange("binance_spot", Clock())
    try:
        session = session_of("binance_spot", exchange.ports.plain)
        session.limit = 5
        with Run(kind, [session]) as run:
            run.wait_live()
            entry = run.core.board.read(0)
            assert 0 < entry["bids_known_to"] < entry["asks_known_to"]
            assert run.core.loops["binance_spot"].known_to(0) == (entry["bids_known_to"], entry["asks_known_to"])
    finally:
        exchange.stop()
