"""The exchange's own best bid and ask, merged with the book: the fresher is shown, and the book never hears of it."""
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow._core.signals import SignalBit
from orderflow._core.types import BookFault, BookState, EventKind, Side
from orderflow.exchanges.binance import BinanceSession
from orderflow.exchanges.facts import Facts
from tests.feed import SECOND_NS, Feed, depth, kraken, levels, rest

BIDS, ASKS = {1000: 5000, 999: 1000, 998: 7000}, {1001: 4000, 1002: 2000, 1003: 1000}
NEED = (EventKind.SNAPSHOT_NEEDED, 0)
A, B = 0, 1


def touch(number, bid, ask, symbol="AB"):
    """A bookTicker of Binance spot; `bid` and `ask` are (price, quantity)."""
    ([bid_price, bid_quantity],), ([ask_price, ask_quantity],) = levels(dict([bid])), levels(dict([ask]))
    return {"stream": "x", "data": {"u": number, "s": symbol, "b": bid_price, "B": bid_quantity, "a": ask_price,
                                    "A": ask_quantity}}


@pytest.fixture
def spot():
    """LIVE at update 12."""
    feed = Feed("binance_spot", ["AB", "CD"])
    feed.open()
    feed.frame(depth(11, 12, {}, {}))
    feed.snapshot(rest(12, BIDS, ASKS))
    assert feed.shown() == [list(BIDS.items()), list(ASKS.items())]
    return feed


def book(feed):
    return [[tuple(level) for level in feed.loop.book(0).levels(side).tolist()] for side in (Side.BUY, Side.SELL)]


def test_a_newer_quote_is_shown_until_the_depth_has_caught_up(spot):
    assert spot.frame(touch(13, (1000, 6000), (1001, 3000))) == []
    assert spot.shown() == [[(1000, 6000), (999, 1000), (998, 7000)], [(1001, 3000), (1002, 2000), (1003, 1000)]]
    spot.frame(depth(13, 13, {1000: 6000}, {1001: 3000}))
    assert spot.shown() == [[(1000, 6000), (999, 1000), (998, 7000)], [(1001, 3000), (1002, 2000), (1003, 1000)]]
    spot.frame(depth(14, 14, {1000: 0}, {}))        # the quote is older than this by now
    assert spot.shown()[0] == [(999, 1000), (998, 7000)]


def test_a_quote_as_old_as_the_book_changes_nothing(spot):
    for number in (12, 11, 1):
        spot.frame(touch(number, (1000, 1), (1001, 1)))
        assert spot.shown() == [list(BIDS.items()), list(ASKS.items())]


def test_levels_that_a_quote_contradicts_are_not_offered(spot):
    spot.frame(touch(13, (998, 500), (1003, 400)))              # the best two of both sides were taken
    assert spot.shown() == [[(998, 500)], [(1003, 400)]]
    spot.frame(touch(14, (1001, 100), (1002, 100)))             # the market went up, through an ask of the book
    assert spot.shown() == [[(1001, 100), *BIDS.items()], [(1002, 100), (1003, 1000)]]
    spot.frame(touch(15, (1500, 1), (1600, 1)))                 # beyond all that the book knows
    assert spot.shown() == [[(1500, 1), *BIDS.items()], [(1600, 1)]]
    assert book(spot) == [list(BIDS.items()), list(ASKS.items())]


def test_a_side_without_orders(spot):
    spot.frame(touch(13, (0, 0), (1001, 4000)))
    assert spot.shown() == [[], list(ASKS.items())]


def test_a_late_quote_does_not_replace_a_newer_one(spot):
    spot.frame(touch(20, (1000, 6000), (1001, 3000)))
    spot.frame(touch(19, (1000, 1), (1001, 1)))
    spot.frame(touch(20, (1000, 2), (1001, 2)))
    assert [side[0] for side in spot.shown()] == [(1000, 6000), (1001, 3000)]
    spot.frame(depth(13, 18, {999: 0}, {1002: 0}))              # the depth is on its way, and not there yet
    assert spot.shown() == [[(1000, 6000), (998, 7000)], [(1001, 3000), (1003, 1000)]]


def test_a_crossed_quote_is_ignored(spot):
    spot.frame(touch(13, (1002, 1), (1001, 1)))
    spot.frame(touch(14, (1001, 1), (1001, 1)))
    assert spot.shown() == [list(BIDS.items()), list(ASKS.items())]


def test_a_full_board_keeps_its_size():
    feed = Feed("binance_spot", ["AB"])
    feed.open()
    feed.frame(depth(11, 12, {}, {}))
    bids, asks = {1000 - step: 1000 for step in range(30)}, {1100 + step: 1000 for step in range(30)}
    feed.snapshot(rest(12, bids, asks))
    feed.frame(touch(13, (1050, 7), (1051, 8)))
    assert feed.shown() == [[(1050, 7), *list(bids.items())[:19]], [(1051, 8), *list(asks.items())[:19]]]


def test_nothing_is_shown_of_a_book_that_is_not_live(spot):
    spot.frame(depth(20, 21, {}, {}))
    assert spot.state() == (BookState.STALE, BookFault.GAP)
    spot.frame(touch(22, (1000, 6000), (1001, 3000)))
    assert spot.shown() == [[], []] and spot.state()[0] == BookState.STALE
    spot.snapshot(rest(21, {990: 1}, {1010: 1}))                # the quote is newer than this snapshot
    assert spot.shown() == [[(1000, 6000), (990, 1)], [(1001, 3000), (1010, 1)]]


def test_a_new_connection_knows_no_quote(spot):
    spot.frame(touch(100, (1000, 6000), (1001, 3000)))
    spot.end()
    spot.open()
    spot.frame(depth(11, 12, {}, {}))
    spot.snapshot(rest(12, BIDS, ASKS))
    assert spot.shown() == [list(BIDS.items()), list(ASKS.items())]


def test_a_quote_of_one_listing_is_not_that_of_another(spot):
    spot.frame(touch(13, (1000, 1), (1001, 1), symbol="CD"))
    assert spot.shown() == [list(BIDS.items()), list(ASKS.items())] and spot.shown(1) == [[], []]


def test_the_router_is_woken_and_the_version_stays_that_of_the_depth(spot):
    before = spot.core.board.read(0)
    while spot.core.wakes["test"].pop() is not None:
        pass
    spot.core.wake_pending[0] = 0
    spot.frame(touch(13, (1000, 6000), (1001, 3000)))
    after = spot.core.board.read(0)
    assert after["version"] == before["version"] and after["publication"] == before["publication"] + 1
    assert after["receive_ns"] > before["receive_ns"]
    assert spot.core.wakes["test"].pop() is not None
    spot.core.wake_pending[0] = 0
    spot.frame(touch(12, (1000, 1), (1001, 1)))                 # nothing new: nobody is woken
    assert spot.core.wakes["test"].pop() is None
    assert spot.core.board.read(0)["publication"] == after["publication"]


def test_signals_are_those_of_what_is_shown(spot):
    spot.frame(touch(13, (998, 3000), (1002, 1000)))
    signals = spot.core.board.read(0)["signals"]
    assert signals["mid"] == 10.0 and signals["imbalance"] == 0.5
    assert signals["microprice"] == pytest.approx(10.01) and int(signals["valid"]) & SignalBit.MICROPRICE_VALID


def test_quotes_prove_nothing_about_the_depth():
    """A depth stream that freezes while quotes come is silent all the same."""
    feed = Feed("binance_spot", ["AB"], silence_ns=5 * SECOND_NS)
    feed.open()
    feed.frame(depth(11, 12, {}, {}))
    feed.snapshot(rest(12, BIDS, ASKS))
    for number in range(13, 19):
        feed.frame(touch(number, (1000, number), (1001, 1)))
        feed.step(SECOND_NS)
    assert feed.state() == (BookState.STALE, BookFault.SILENT) and feed.shown() == [[], []]


def test_futures_quotes_carry_the_same_ids():
    feed = Feed("binance_usdm", ["AB"])
    feed.open()
    feed.frame(depth(11, 12, {}, {}, previous=10))
    feed.snapshot(rest(12, BIDS, ASKS))
    ticker = {"e": "bookTicker", "u": 13, "s": "AB", "b": "10.00", "B": "6.000", "a": "10.01", "A": "3.000", "T": 5,
              "E": 6}
    feed.frame({"stream": "x", "data": ticker})
    assert [side[0] for side in feed.shown()] == [(1000, 6000), (1001, 3000)]
    feed.frame({"stream": "x", "data": ticker | {"u": 12, "b": "9.00"}})
    assert feed.shown()[0][0] == (1000, 6000)


def test_exchanges_without_quotes_show_their_book():
    feed = Feed("kraken_v2", ["A/B"], depth=10)
    feed.open()
    feed.frame(kraken("snapshot", "A/B", BIDS, ASKS, (BIDS, ASKS)))
    assert feed.shown() == [list(BIDS.items()), list(ASKS.items())]


# -- over two lines -----------------------------------------------------------------------------------------------

def doubled(protocol="binance_spot", **ids):
    """Two lines, both LIVE at update 12; line A is shown."""
    feed = Feed(protocol, ["AB"], lines=2)
    for line in (A, B):
        feed.open(line)
    for line in (A, B):
        feed.frame(depth(11, 12, {}, {}, **ids), line=line)
    feed.snapshot(rest(12, BIDS, ASKS))
    assert feed.loop.line_counters(0)["leading"] == A
    return feed


def test_a_quote_of_either_line_counts_where_their_ids_are_the_same():
    feed = doubled()
    feed.frame(touch(13, (1000, 6000), (1001, 3000)), line=B)
    assert [side[0] for side in feed.shown()] == [(1000, 6000), (1001, 3000)]
    before = feed.core.board.read(0)["publication"]
    feed.frame(touch(13, (1000, 6000), (1001, 3000)), line=A)       # its twin
    assert feed.core.board.read(0)["publication"] == before
    feed.frame(depth(13, 14, {1000: 0}, {}), line=B)                # the depth has caught up
    assert feed.shown()[0] == [(999, 1000), (998, 7000)]


def test_where_ids_belong_to_a_connection_a_quote_belongs_to_its_line(monkeypatch):
    monkeypatch.setattr(BinanceSession, "facts", Facts())
    feed = doubled()
    feed.frame(touch(20, (998, 1), (1001, 3000)), line=B)           # of which nobody knows whether it is newer
    assert feed.shown() == [list(BIDS.items()), list(ASKS.items())]
    feed.frame(touch(13, (1000, 6000), (1001, 3000)), line=A)
    assert [side[0] for side in feed.shown()] == [(1000, 6000), (1001, 3000)]
    feed.end(A)
    assert [side[0] for side in feed.shown()] == [(998, 1), (1001, 3000)]


def test_no_change_of_lines_takes_back_what_a_quote_said():
    feed = doubled()
    feed.frame(depth(13, 13, {999: 500}, {}), line=A)
    feed.frame(touch(20, (998, 6000), (1001, 3000)), line=A)
    assert feed.shown()[0] == [(998, 6000)]
    before = feed.core.board.read(0)
    feed.end(A)                                     # line B has update 12: the board stands until it has passed 13
    feed.frame(touch(21, (998, 5000), (1001, 3000)), line=B)
    assert feed.core.board.read(0) == before
    feed.frame(depth(13, 14, {999: 400}, {}), line=B)
    assert feed.shown()[0] == [(998, 5000)]


def test_a_line_that_opens_knows_the_quote():
    feed = Feed("binance_spot", ["AB"], lines=2)
    feed.open(A)
    feed.frame(depth(11, 12, {}, {}), line=A)
    feed.snapshot(rest(12, BIDS, ASKS))
    feed.frame(touch(20, (998, 6000), (1001, 3000)), line=A)
    feed.open(B)
    feed.frame(depth(14, 14, {}, {}), line=B)
    feed.snapshot(rest(14, BIDS, ASKS))
    assert feed.loop.line_counters(0)["leading"] == B and feed.shown()[0] == [(998, 6000)]


def test_a_quote_from_before_the_ids_began_anew_is_not_shown():
    feed = doubled("binance_usdm", previous=10)

    def quote(number, price, line):
        feed.frame({"stream": "x", "data": {"e": "bookTicker", "u": number, "s": "AB", "b": price, "B": "1.000",
                                            "a": "10.01", "A": "3.000", "T": 5, "E": 6}}, line=line)
    quote(20, "9.98", A)
    assert feed.shown()[0] == [(998, 1000)]
    feed.frame(depth(7, 7, {1000: 4000}, {}, previous=12), line=A)
    assert feed.shown()[0][0] == (1000, 4000)
    quote(21, "9.99", B)                            # late, of what was before
    assert feed.shown()[0][0] == (1000, 4000)
    quote(8, "9.99", A)
    assert feed.shown()[0] == [(999, 1000), (998, 7000)]


def usdm_quote(number, price):
    return {"stream": "x", "data": {"e": "bookTicker", "u": number, "s": "AB", "b": price, "B": "1.000", "a": "10.01",
                                    "A": "3.000", "T": 5, "E": 6}}


def test_ids_that_begin_anew_on_one_line_end_its_quotes():
    feed = Feed("binance_usdm", ["AB"])
    feed.open()
    feed.frame(depth(11, 12, {}, {}, previous=10))
    feed.snapshot(rest(12, BIDS, ASKS))
    feed.frame(usdm_quote(200, "9.98"))
    assert feed.shown()[0] == [(998, 1000)]
    feed.frame(depth(7, 7, {1000: 4000}, {}, previous=12))
    assert feed.shown()[0][0] == (1000, 4000)
    feed.frame(usdm_quote(8, "9.99"))
    assert feed.shown()[0] == [(999, 1000), (998, 7000)]


def test_ids_that_begin_anew_with_a_snapshot_end_quotes():
    """Binance spot, whose new updates are all older than the book: it is silent, and then in step again."""
    feed = Feed("binance_spot", ["AB"], silence_ns=5 * SECOND_NS)
    feed.open()
    feed.frame(depth(1011, 1012, {}, {}))
    feed.snapshot(rest(1012, BIDS, ASKS))
    feed.frame(touch(1020, (998, 500), (1003, 400)))
    for number in range(3, 10):
        feed.step(SECOND_NS)
        feed.frame(depth(number, number, {1000: number}, {}))
    assert feed.state() == (BookState.STALE, BookFault.SILENT)
    feed.frame(depth(10, 10, {999: 10}, {}))
    feed.snapshot(rest(9, BIDS, ASKS))
    assert feed.state()[0] == BookState.LIVE
    assert feed.shown() == [[(1000, 5000), (999, 10), (998, 7000)], list(ASKS.items())]
    feed.frame(touch(11, (998, 500), (1003, 400)))
    assert feed.shown() == [[(998, 500)], [(1003, 400)]]


def test_a_line_whose_ids_began_anew_takes_no_quotes_of_the_other():
    feed = doubled("binance_usdm", previous=10)
    feed.frame(depth(7, 7, {}, {}, previous=12), line=B)
    feed.frame(usdm_quote(200, "9.98"), line=A)
    assert feed.shown()[0] == [(998, 1000)]
    feed.end(A)
    for number in range(8, 90):
        feed.frame(depth(number, number, {1000: number}, {}, previous=number - 1), line=B)
    assert feed.loop.line_counters(0)["leading"] == B and feed.shown()[0][0] == (1000, 89)


def test_how_far_a_side_is_known_is_said_of_the_depth():
    feed = Feed("binance_spot", ["AB"])
    feed.open()
    feed.frame(depth(11, 12, {}, {}))
    feed.snapshot(rest(12, BIDS, ASKS), limit=3)
    for quote in (touch(13, (998, 1), (1001, 1)), touch(14, (900, 1), (1001, 1)), touch(15, (1001, 1), (1100, 1))):
        feed.frame(quote)
        entry = feed.core.board.read(0)
        assert (entry["bids_known_to"], entry["asks_known_to"]) == (998, 1003) == feed.loop.known_to(0)


# -- against the slow way --------------------------------------------------------------------------------------

SIDE = st.dictionaries(st.integers(1, 6), st.integers(1, 9), min_size=1, max_size=4)
STATES = st.lists(st.tuples(st.integers(500, 520), SIDE, SIDE), min_size=2, max_size=12)
STEPS = st.lists(st.tuples(st.sampled_from(["depth", "quote", "late quote", "wait"]), st.integers(0, 100)), max_size=40)


def true_books(states):
    """After each update the whole book: bids below a price that moves, asks above it."""
    return [({middle - step: quantity for step, quantity in bids.items()},
             {middle + step: quantity for step, quantity in asks.items()}) for middle, bids, asks in states]


def best(true):
    return max(true[0].items()), min(true[1].items())


def changes(before, after):
    """Absolute quantities that make one book of the other."""
    return [{price: new.get(price, 0) for price in sorted(old.keys() | new.keys()) if old.get(price) != new.get(price)}
            for old, new in zip(before, after, strict=True)]


def merged(true, quote):
    """The slow way."""
    bid, ask = best(quote)
    return [[bid, *sorted(((price, quantity) for price, quantity in true[0].items() if price < bid[0]), reverse=True)],
            [ask, *sorted((price, quantity) for price, quantity in true[1].items() if price > ask[0])]]


@given(STATES, STEPS)
def test_what_is_shown_is_the_best_that_was_said_last(states, steps):
    """Any mixture of depth, quotes and late quotes of a market that moves through its own book."""
    truth = true_books(states)
    feed = Feed("binance_spot", ["AB"])
    feed.open()
    feed.frame(depth(0, 1, {}, {}))
    feed.snapshot(rest(1, *truth[0]))           # update number i + 1 leads to truth[i]
    now = known = quoted = 0
    for step, value in steps:
        if step == "wait":
            now = min(now + 1 + value % 3, len(truth) - 1)
        elif step == "depth" and now > known:
            known, before = known + 1 + value % (now - known), known
            feed.frame(depth(before + 2, known + 1, *changes(truth[before], truth[known])))
        elif step in ("quote", "late quote"):
            at = now if step == "quote" else value % (now + 1)
            feed.frame(touch(at + 1, *best(truth[at])))
            quoted = max(quoted, at)
        shown = feed.shown()
        newest = max(known, quoted)
        assert tuple(side[0] for side in shown) == best(truth[newest])
        assert shown == merged(truth[known], truth[newest])
        assert book(feed) == [sorted(truth[known][0].items(), reverse=True), sorted(truth[known][1].items())]
