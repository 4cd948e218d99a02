"""Kraken Futures: session, codec and dialect, and ccxt as a client that knows the real exchange."""
import asyncio
import gzip
import json
from decimal import Decimal

import ccxt
import ccxt.pro
import pytest

from orderflow._core.codec import DecodeOutput, DecodeStatus
from orderflow._core.types import BookFault, BookState, EventKind, MessageKind, Side
from orderflow.exchanges import session_for
from orderflow.exchanges.actions import Answered, KeepAlive, Problem, Ready, Send, Subscription
from orderflow.exchanges.session import SessionError, SessionSettings
from orderflow.simulator.exchange import SECOND_NS
from orderflow.simulator.launch import SimulatorSettings, build
from tests.against_dialect import books_equal, one_is_resynced, simulated, true_books, watched_until_true
from tests.codec_frames import listing_table
from tests.feed import Feed, levels

SYMBOLS = ["PF_XBTUSD", "PF_ETHUSD", "PI_XBTUSD"]
WHOLE = 100_000
BIDS, ASKS = {1000: 5000, 999: 1000}, {1001: 4000, 1002: 2000}
LIVE, STALE = BookState.LIVE, BookState.STALE
TRADE = ('{"feed":"trade","product_id":"A-B","uid":"a4cce96f-e061-46ef-9205-8cbe73bb4cdb","side":"buy","type":"fill",'
         '"seq":103832,"time":1626994936490,"qty":40.0,"price":2005.2}')


def snapshot(sequence, bids, asks, symbol="A-B"):
    """A snapshot of prices with two and quantities with three decimals."""
    sides = ",".join(
        f'"{name}":[{",".join(f"""{{"price":{price},"qty":{quantity}}}""" for price, quantity in levels(side))}]'
        for name, side in (("bids", bids), ("asks", asks)))
    return (f'{{"feed":"book_snapshot","product_id":"{symbol}","timestamp":1626994926802,"seq":{sequence},'
            f'"tickSize":null,{sides}}}')


def update(sequence, side, price, quantity, symbol="A-B"):
    """A level of a price with two and a quantity with three decimals."""
    [[price, quantity]] = levels({price: quantity})
    return (f'{{"feed":"book","product_id":"{symbol}","side":"{side}","seq":{sequence},"price":{price},'
            f'"qty":{quantity},"timestamp":1626994958135}}')


def changed(state, fault=BookFault.NO_FAULT, listing=0):
    return EventKind.BOOK_CHANGED, listing, state, fault


@pytest.fixture
def pair():
    """Two LIVE books, counted to 100."""
    feed = Feed("kraken_futures", ["A-B", "C-D"])
    feed.open()
    for listing, symbol in enumerate(("A-B", "C-D")):
        assert feed.frame(snapshot(100, BIDS, ASKS, symbol)) == [changed(LIVE, listing=listing)]
    return feed


@pytest.fixture
def decoded():
    """A function: frame -> (status, DecodeOutput)."""
    symbols = {"A-B": 0, "C-D": 1}
    session = session_for("kraken_futures", SessionSettings("test", symbols=tuple(symbols)))
    codec, out = session.market_codec(listing_table([(2, 3), (2, 3)]), symbols), DecodeOutput()

    def decode(text):
        return codec.decode_frame((text if isinstance(text, str) else json.dumps(text)).encode(), out), out
    return decode


# -- against the dialect -----------------------------------------------------------------------------------------

def test_books_equal_the_matching_engines():
    books_equal("kraken_futures", SYMBOLS, WHOLE)


def test_a_lost_frame_resyncs_one_listing_alone():
    one_is_resynced("kraken_futures", SYMBOLS, Subscription("book", "PF_XBTUSD"), WHOLE)


def dialect():
    """A simulated exchange without sockets, with one connection, and a function that says something and hears the
    answer."""
    venue = build(SimulatorSettings("kraken_futures", "kraken_futures", seed=1, origin_ns=SECOND_NS))
    venue.open(1, "/ws/v1", SECOND_NS)

    def say(text):
        venue.message(1, text if isinstance(text, str) else json.dumps(text), SECOND_NS)
        return [sent for _, sent in venue.drain()]
    return venue, say


def request(event, feed, *symbols):
    return {"event": event, "feed": feed, "product_ids": list(symbols)}


@pytest.mark.parametrize(("wanted", "reason"), [
    (request("subscribe", "book", "PF_NOSUCH"), "Invalid product id"),
    (request("subscribe", "levels", "PF_XBTUSD"), "Invalid feed"),
    (request("unsubscribe", "book", "PF_XBTUSD"), "Not subscribed"), ("{", "Json Error"),
    ({"event": "buy"}, "Bad request")])
def test_what_is_refused_is_a_clear_problem(wanted, reason):
    _, say = dialect()
    session = session_for("kraken_futures", SessionSettings("test"))
    [refusal] = say(wanted)
    [problem] = session.frame("market", refusal.encode(), 0)
    assert isinstance(problem, Problem) and reason in problem.message


def test_the_dialect_answers_as_documented():
    venue, say = dialect()
    assert say('{"event":"ping"}') == ['{"event":"pong"}']
    ack, whole, other, _ = map(json.loads, say(request("subscribe", "book", "pf_xbtusd", "PI_XBTUSD")))
    assert ack == {"event": "subscribed", "feed": "book", "product_ids": ["PF_XBTUSD"]}
    assert (whole["feed"], whole["product_id"]) == ("book_snapshot", "PF_XBTUSD") and whole["bids"] and whole["asks"]
    assert other["product_ids"] == ["PI_XBTUSD"]
    alert, _, again = map(json.loads, say(request("subscribe", "book", "PF_XBTUSD")))
    assert alert["event"] == "alert" and "re-requesting" in alert["message"] and again["seq"] == whole["seq"]
    _, best = map(json.loads, say(request("subscribe", "ticker_lite", "PF_XBTUSD")))
    assert (best["bid"], best["ask"]) == (whole["bids"][0]["price"], whole["asks"][0]["price"])
    assert best["pair"] == "XBT:USD"
    say(request("unsubscribe", "book", "PF_XBTUSD", "PI_XBTUSD"))
    assert list(venue.subscribers) == [Subscription("ticker_lite", "PF_XBTUSD")]


def test_the_dialect_counts_every_level():
    venue, say = dialect()
    whole = json.loads(say(request("subscribe", "book", "PF_XBTUSD"))[1])
    book = {side: {level["price"]: level["qty"] for level in whole[name]}
            for side, name in (("buy", "bids"), ("sell", "asks"))}
    venue.advance(3 * SECOND_NS)
    frames = [json.loads(text) for _, text in venue.drain()]
    assert len(frames) > 5
    assert [frame["seq"] for frame in frames] == [whole["seq"] + number for number in range(1, len(frames) + 1)]
    for frame in frames:
        book[frame["side"]][frame["price"]] = frame["qty"]
        bid, ask = (best(price for price, quantity in book[side].items() if quantity)
                    for side, best in (("buy", max), ("sell", min)))
        assert bid < ask
    market = venue.source.books["PF_XBTUSD"]
    for side, code in (("buy", Side.BUY), ("sell", Side.SELL)):
        assert {price: quantity for price, quantity in book[side].items() if quantity} == {
            float(market.price_text(price)): float(market.quantity_text(quantity))
            for price, quantity in market.levels(code, WHOLE)}


# -- books -------------------------------------------------------------------------------------------------------

def test_a_gap_is_stale_before_anyone_can_read(pair):
    said = pair.frame(update(102, "buy", 1000, 0))
    assert said == [changed(STALE, BookFault.GAP), (EventKind.SNAPSHOT_NEEDED, 0)]
    assert pair.shown() == [[], []] and pair.state(1) == (LIVE, BookFault.NO_FAULT)
    assert pair.frame(update(101, "sell", 1001, 7, "C-D")) == []
    assert pair.shown(1)[1][0] == (1001, 7)
    assert pair.frame(update(103, "buy", 1000, 7)) == []            # of the subscription that was left
    assert pair.frame(snapshot(110, {998: 1}, ASKS)) == [changed(LIVE)]
    assert pair.shown()[0] == [(998, 1)]
    assert pair.loop.counters(1)["snapshots"] == 1


def test_a_level_a_frame(pair):
    assert pair.frame(update(101, "buy", 1000, 0)) == []
    assert pair.frame(update(102, "sell", 1001, 1234)) == []
    assert pair.frame(update(103, "buy", 998, 5)) == []
    assert pair.shown() == [[(999, 1000), (998, 5)], [(1001, 1234), (1002, 2000)]]


def test_a_frame_that_cannot_be_read_stops_its_book_alone(pair):
    said = pair.frame(update(101, "buy", 1000, 7).replace('"qty":0.007', '"qty":0.0071'))
    assert [event[:3] for event in said if event[0] == EventKind.BOOK_CHANGED] == [(EventKind.BOOK_CHANGED, 0, STALE)]
    assert (EventKind.SNAPSHOT_NEEDED, 0) in said and pair.shown() == [[], []]
    assert pair.state(1) == (LIVE, BookFault.NO_FAULT)


# -- codec -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("price", "scaled"), [
    ("2005.2", 200520), ("1.0E7", 1_000_000_000), ("1.5e-1", 15), ("2005", 200500), ('"2005.20"', 200520)])
def test_numbers_of_any_spelling(decoded, price, scaled):
    """Doubles: from ten million up, and under a thousandth, with an exponent."""
    status, out = decoded(update(7, "buy", 100, 1).replace('"price":1.00', f'"price":{price}'))
    assert status == DecodeStatus.DECODED
    assert out.levels[:1].tolist() == [(scaled, 1)]
    status, out = decoded(snapshot(7, {100: 1}, {}).replace('"price":1.00', f'"price":{price}'))
    assert status == DecodeStatus.DECODED
    assert out.levels[:1].tolist() == [(scaled, 1)]


def test_chain_and_empty_sides(decoded):
    _, out = decoded(update(7, "sell", 100, 1))
    [message] = out.messages
    assert (message["kind"], message["has_chain"], message["previous_id"], message["last_id"]) == (
        MessageKind.UPDATE, 1, 6, 7)
    assert (message["bids_count"], message["asks_count"], message["exchange_ns"]) == (0, 1, 1626994958135 * 10**6)
    _, out = decoded(snapshot(7, {}, {}))
    [message] = out.messages
    assert (message["kind"], message["last_id"], message["bids_count"], message["asks_count"]) == (
        MessageKind.SNAPSHOT, 7, 0, 0)


@pytest.mark.parametrize("text", [update(7, "sell", 100, 1), snapshot(7, BIDS, ASKS), TRADE])
def test_keys_in_any_order(decoded, text):
    status, out = decoded(text)
    wanted = out.messages[0].tolist(), out.levels.tolist()
    pairs = list(json.loads(text.replace("A-B", "C-D")).items())
    for turned in (pairs[::-1], pairs[2:] + pairs[:2], pairs[1:] + pairs[:1]):
        assert decoded(dict(turned))[0] == status == DecodeStatus.DECODED
        [message] = out.messages
        assert message["listing"] == 1
        message["listing"] = 0
        counts = message["bids_count"], message["asks_count"]
        assert (message["kind"], message["last_id"], message["price"], message["exchange_ns"], message["side"]) == (
            tuple(wanted[0][out.messages.dtype.names.index(name)]
                  for name in ("kind", "last_id", "price", "exchange_ns", "side")))
        for side, count in zip(("bids", "asks"), counts, strict=True):
            begin = wanted[0][out.messages.dtype.names.index(f"{side}_begin")]
            assert out.levels[message[f"{side}_begin"]:][:count].tolist() == wanted[1][begin:begin + count]


@pytest.mark.parametrize(("text", "status", "listing"), [
    (update(7, "buy", 100, 1).replace('"seq":7,', ""), DecodeStatus.BAD_FIELD, 0),
    (update(7, "bid", 100, 1), DecodeStatus.BAD_FIELD, 0),
    (update(-7, "buy", 100, 1), DecodeStatus.NUMBER_RANGE, 0),
    (update(7, "buy", 100, 1, "C-D").replace('"qty":', '"qty":-'), DecodeStatus.NUMBER_RANGE, 1),
    (update(7, "buy", 100, 1).replace('"qty":0.001', '"qty":0.0011'), DecodeStatus.NUMBER_INEXACT, 0),
    (update(7, "buy", 100, 1).replace('"qty"', '"qty":1,"qty"'), DecodeStatus.BAD_JSON, 0),
    (update(7, "buy", 100, 1).replace('"product_id":"A-B",', ""), DecodeStatus.BAD_FIELD, -1),
    (update(7, "buy", 100, 1)[:-1], DecodeStatus.BAD_JSON, 0),
    (snapshot(7, BIDS, ASKS).replace('"asks"', '"offers"'), DecodeStatus.BAD_FIELD, 0),
    ('{"feed":"levels","product_id":"A-B"}', DecodeStatus.UNKNOWN_MESSAGE, 0),
    ('{"version":1}', DecodeStatus.UNKNOWN_MESSAGE, -1),
    (TRADE.replace('"side":"buy",', ""), DecodeStatus.BAD_FIELD, 0),
])
def test_what_is_refused_names_its_listing(decoded, text, status, listing):
    found, out = decoded(text)
    assert (found, out.fault[0], len(out.messages)) == (status, listing, 0)


@pytest.mark.parametrize(("text", "kind"), [
    ('{"event":"pong"}', MessageKind.IGNORED), (update(7, "buy", 100, 1, "OTHER"), MessageKind.IGNORED),
    (f'{{"feed":"trade_snapshot","product_id":"A-B","trades":[{TRADE}]}}', MessageKind.IGNORED),
    ('{"feed":"heartbeat","time":1534262350627}', MessageKind.IGNORED),
    ('{"feed":"ticker_lite","product_id":"A-B","bid":1.0,"ask":2.0}', MessageKind.IGNORED),
    ('{"event":"subscribed","feed":"book","product_ids":["A-B"]}', MessageKind.SESSION),
    ('{"feed":"book","product_ids":["A-B"],"event":"subscribed"}', MessageKind.SESSION),
    ('{"event":"info","version":1}', MessageKind.SESSION)])
def test_what_is_not_market_data(decoded, text, kind):
    status, out = decoded(text)
    assert status == DecodeStatus.DECODED and [message["kind"] for message in out.messages] == [kind]


@pytest.mark.parametrize("side", [Side.BUY, Side.SELL])
def test_trades(decoded, side):
    status, out = decoded(TRADE.replace('"buy"', f'"{side.name.lower()}"'))
    assert status == DecodeStatus.DECODED
    [message] = out.messages
    assert [message[name] for name in ("kind", "side", "price", "quantity", "last_id", "exchange_ns", "has_chain")] == [
        MessageKind.TRADE, side, 200520, 40000, 103832, 1626994936490 * 10**6, 0]


# -- session -----------------------------------------------------------------------------------------------------

def listed(*entries, symbols=("PF_XBTUSD",), **answer):
    session = session_for("kraken_futures", SessionSettings("test", symbols=symbols))
    body = json.dumps({"result": "success", "instruments": entries} | answer)
    return session.listings({"instruments": body.encode()})


def instrument(**fields):
    return {"symbol": "PF_XBTUSD", "type": "flexible_futures", "pair": "XBT:USD", "tickSize": 1, "contractSize": 1,
            "contractValueTradePrecision": 4, "tradeable": True} | fields


def test_listings_of_recorded_instruments(feeds):
    with gzip.open(feeds / "captures/cf_kraken_futures_a.tsv.gz", "rt") as lines:
        body = next(line for line in lines if "\thttp\t" in line).rstrip("\n").split("\t")[3]
    session = session_for("kraken_futures", SessionSettings("test", symbols=("PI_ETHUSD", "FI_XBTUSD_210924")))
    assert [one.url for one in session.metadata()] == ["https://futures.kraken.com/derivatives/api/v3/instruments"]
    perpetual, dated = session.listings({session.metadata()[0].purpose: body.encode()})
    assert (perpetual.symbol, perpetual.instrument) == ("PI_ETHUSD", "ETH-USD-PERPETUAL-1USD")
    assert (perpetual.tick, perpetual.lot, perpetual.minimum_quantity) == (Decimal("0.05"), 1, 1)
    assert not perpetual.halted and (perpetual.base, perpetual.quote) == ("ETH", "USD")
    assert (dated.instrument, dated.base, dated.tick) == ("BTC-USD-210924-1USD", "BTC", Decimal("0.5"))


def test_listings_of_today():
    [listing] = listed(instrument())
    assert (listing.instrument, listing.tick, listing.lot) == ("BTC-USD-PERPETUAL", 1, Decimal("0.0001"))
    assert listing.quantity_decimals >= 4 and listing.minimum_quantity == listing.lot and not listing.halted
    [listing] = listed(instrument(tradeable=False, contractSize=10, tickSize=1e-9, contractValueTradePrecision=-3))
    assert listing.halted and listing.instrument == "BTC-USD-PERPETUAL-10BTC"
    assert (listing.tick, listing.lot, listing.minimum_quantity) == (Decimal("1e-9"), 1000, 1000)


def test_metadata_that_cannot_be_used_is_said():
    with pytest.raises(SessionError, match="'PF_XBTUSD' is not offered"):
        listed()
    with pytest.raises(SessionError, match="'IN_XBTUSD' is not offered"):
        listed({"symbol": "in_xbtusd", "type": "spot index", "tradeable": False}, symbols=("IN_XBTUSD",))
    with pytest.raises(SessionError, match="instruments were refused: apiLimitExceeded"):
        listed(result="error", error="apiLimitExceeded")
    with pytest.raises(SessionError, match="set trade = false"):
        session_for("kraken_futures", SessionSettings("test", trade=True)).order_codec(None, {})


def test_what_the_session_says():
    session = session_for("kraken_futures", SessionSettings("test", symbols=("PF_XBTUSD", "PI_XBTUSD")))
    assert [endpoint.url for endpoint in session.endpoints()] == ["wss://futures.kraken.com/ws/v1"]
    alive, *subscribe = session.opened("market", 0)
    assert isinstance(alive, KeepAlive) and json.loads(alive.text) == {"event": "ping"}
    assert alive.interval_ns < 60 * SECOND_NS
    assert [json.loads(action.text) for action in subscribe] == [
        request("subscribe", feed, "PF_XBTUSD", "PI_XBTUSD") for feed in ("book", "trade")]
    session.start([4], [type("Listing", (), {"symbol": "PF_XBTUSD"})])
    resync = session.need_snapshot(4, BookFault.GAP, 0)
    assert all(isinstance(action, Send) and action.connection == "market" for action in resync)
    assert [json.loads(action.text) for action in resync] == [
        request(event, "book", "PF_XBTUSD") for event in ("unsubscribe", "subscribe")]


def test_what_the_session_hears():
    session = session_for("kraken_futures", SessionSettings("test"))
    assert session.frame("market", b'{"event":"info","version":1}', 0) == []
    assert session.frame("market", json.dumps(request("subscribed", "book", "PF_XBTUSD")).encode(), 0) == [
        Ready("market"), Answered("market", (Subscription("book", "PF_XBTUSD"),))]
    assert session.frame("market", json.dumps(request("unsubscribed", "book", "PF_XBTUSD")).encode(), 0) == []
    failed = request("subscribed_failed", "book", "PF_NOSUCH")
    problem, refused = session.frame("market", json.dumps(failed).encode(), 0)
    assert refused == Answered("market", (Subscription("book", "PF_NOSUCH"),))
    assert isinstance(problem, Problem) and "subscribed_failed" in problem.message and "PF_NOSUCH" in problem.message


# -- ccxt --------------------------------------------------------------------------------------------------------

def pointed(client, port):
    """The client with its base URLs replaced, and nothing else."""
    client.urls["api"]["public"] = f"http://127.0.0.1:{port}/derivatives/api/"
    client.urls["api"]["ws"] = f"ws://127.0.0.1:{port}/ws/v1"
    return client


def test_ccxt_reads_markets_and_books():
    with simulated("kraken_futures") as (exchange, clock):
        client = pointed(ccxt.krakenfutures({"timeout": 10_000}), exchange.ports.plain)
        markets = client.load_markets()
        assert markets["BTC/USD:BTC"]["inverse"] and markets["BTC/USD:USD"]["linear"]
        assert markets["BTC/USD:USD"]["precision"] == {"amount": 0.0001, "price": 1}
        clock.stop()
        client.fetch_order_book("BTC/USD:USD")              # the market catches up with the stopped clock
        book = client.fetch_order_book("BTC/USD:USD")
        for side, levels_of_side in zip(("bids", "asks"), true_books(exchange, SYMBOLS, WHOLE)["PF_XBTUSD"],
                                        strict=True):
            assert levels_of_side and [level[:2] for level in book[side]] == [
                [float(number) for number in level] for level in levels_of_side]
        with pytest.raises(ccxt.ExchangeError, match="notFound"):
            client.fetch_tickers()


def test_ccxt_watches_books_and_trades():
    async def watch(exchange, clock):
        client = pointed(ccxt.pro.krakenfutures(), exchange.ports.plain)
        try:
            trades = []
            while not trades:
                trades = await asyncio.wait_for(client.watch_trades("BTC/USD:USD"), 30)
            assert all(trade["side"] in ("buy", "sell") and trade["amount"] > 0 for trade in trades)
            await watched_until_true(client, "BTC/USD:USD", exchange, clock, "PF_XBTUSD", WHOLE)
        finally:
            await client.close()

    with simulated("kraken_futures") as (exchange, clock):
        asyncio.run(watch(exchange, clock))
