"""Bitfinex: our servers against the simulated exchange and recordings, and ccxt as a client that knows the real one."""
import asyncio
import json

import ccxt
import ccxt.pro
import pytest

from orderflow.research.books import books
from orderflow.simulator.dialects.bitfinex_recorded import Subscription
from orderflow.simulator.exchange import SECOND_NS
from orderflow.simulator.launch import SimulatorSettings, build
from tests.against_dialect import becomes_true, connected, flows, simulated, true_books, watched_until_true
from tests.reference.bitfinex import as_written
from tests.serving import PATIENCE, Run
from tests.test_exchange_bitfinex import HELLO, conf, subscribed

SYMBOLS = ["tBTCUSD", "tETHUSD", "tBTCF0:USTF0"]


# -- against the dialect -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", ["sync", "async"])
def test_books_equal_the_matching_engines(kind):
    """And every checksum is right."""
    with simulated("bitfinex") as (exchange, clock), Run(
            kind, [connected("bitfinex", exchange.ports.plain, SYMBOLS)]) as run:
        run.wait_live()
        flows(run, "bitfinex", 300)
        becomes_true(run, exchange, clock, SYMBOLS, 100)
        assert all(conversation.ready for conversation in run.conversations) and run.problems == []
        counters = [run.core.loops["bitfinex"].counters(index) for index in range(len(SYMBOLS))]
        assert all(one["checksums_ok"] > 5 and one["checksums_failed"] == 0 for one in counters)
        assert all(one["gaps"] == 0 and one["snapshots"] == 1 for one in counters)


def spoil(exchange, wrong):
    """What the exchange sends passes through `wrong` (frame -> frame, None = nothing is sent) until that did something;
    returns a list of what was meant to be sent."""
    venue, met = exchange.exchange, []

    def sent(connection, frame):
        changed = wrong(frame) if not met and isinstance(frame, str) else frame
        if changed != frame:
            met.append(frame)
        if changed is not None:
            type(venue).send(venue, connection, changed)

    exchange.call(setattr, venue, "send", sent)
    return met


def number_of(exchange, symbol):
    """Of the channel of a book."""
    def look():
        [client] = exchange.exchange.clients.values()
        return next(number for key, number in client.numbers.items() if key[:2] == ("book", symbol))
    return exchange.call(look)


def test_one_book_is_resynced_alone_after_a_wrong_checksum():
    with simulated("bitfinex") as (exchange, clock), Run(
            "sync", [connected("bitfinex", exchange.ports.plain, SYMBOLS)]) as run:
        run.wait_live()
        begin = f'[{number_of(exchange, SYMBOLS[1])},"cs",'
        spoil(exchange, lambda frame: begin + "1," + frame.split(",", 3)[3] if frame.startswith(begin) else frame)
        run.wait_told(f"book of {SYMBOLS[1]} is STALE (CHECKSUM)")
        run.wait_told(f"book of {SYMBOLS[1]} is LIVE again")
        becomes_true(run, exchange, clock, SYMBOLS, 100)
        counters = [run.core.loops["bitfinex"].counters(index) for index in range(len(SYMBOLS))]
        assert [one["checksums_failed"] for one in counters] == [0, 1, 0]
        assert [one["snapshots"] for one in counters] == [1, 2, 1] and [one["gaps"] for one in counters] == [0, 0, 0]
        assert run.conversations[0].health.connects == 1


def test_a_hole_makes_all_books_stale_and_resyncs_them_on_the_same_connection():
    with simulated("bitfinex") as (exchange, clock), Run(
            "sync", [connected("bitfinex", exchange.ports.plain, SYMBOLS)]) as run:
        run.wait_live()
        begin, heard = f"[{number_of(exchange, SYMBOLS[0])},[", []
        received = exchange.exchange.received
        exchange.call(setattr, exchange.exchange, "received",
                      lambda connection, text: (heard.append(json.loads(text)), received(connection, text)))
        lost = spoil(exchange, lambda frame: None if frame.startswith(begin) else frame)
        for symbol in SYMBOLS:
            run.wait_told(f"book of {symbol} is STALE (GAP)")
        run.wait_live()
        becomes_true(run, exchange, clock, SYMBOLS, 100)
        counters = [run.core.loops["bitfinex"].counters(index) for index in range(len(SYMBOLS))]
        assert len(lost) == 1 and [one["gaps"] for one in counters] == [1, 1, 1]
        assert [one["snapshots"] for one in counters] == [2, 2, 2] and run.conversations[0].health.connects == 1
        assert sorted(request["event"] for request in heard) == ["subscribe"] * 3 + ["unsubscribe"] * 3


@pytest.mark.parametrize(("code", "reason"), [(20051, "restarts"), (20061, "maintenance ended")])
def test_a_notice_makes_the_connection_anew(code, reason):
    notice = json.dumps({"event": "info", "code": code, "msg": "notice"})

    def tell(venue):
        for connection in list(venue.connections.values()):
            venue.send(connection, notice)

    with simulated("bitfinex") as (exchange, clock), Run(
            "sync", [connected("bitfinex", exchange.ports.plain, SYMBOLS)]) as run:
        run.wait_live()
        exchange.call(tell, exchange.exchange)
        run.wait_told(reason)
        run.wait_told(f"book of {SYMBOLS[0]} is LIVE again")
        run.wait_live()
        becomes_true(run, exchange, clock, SYMBOLS, 100)
        assert run.conversations[0].health.connects == 2


def dialect():
    """A simulated Bitfinex without sockets, and a function that says something and hears the answers."""
    venue = build(SimulatorSettings("bitfinex", "bitfinex", seed=1, origin_ns=SECOND_NS))
    venue.open(1, "/ws/2", SECOND_NS)

    def say(request, now_ns=SECOND_NS):
        venue.message(1, json.dumps(request), now_ns)
        return [as_written(sent) for _, sent in venue.drain()]
    return venue, say


def test_the_dialect_answers_as_documented():
    venue, say = dialect()
    hello, pong = say({"event": "ping", "cid": 1234})
    assert hello["event"] == "info" and hello["version"] == "2" and hello["platform"] == {"status": "1"}
    assert pong["event"] == "pong" and pong["cid"] == "1234"
    [answer] = say({"event": "conf", "flags": 65536})
    assert answer == {"event": "conf", "status": "OK", "flags": "65536"}
    ack, whole = say({"event": "subscribe", "channel": "book", "symbol": "tBTCUSD"})
    assert (ack["prec"], ack["freq"], ack["len"], ack["pair"]) == ("P0", "F0", "25", "BTCUSD")
    assert whole[0] == ack["chanId"] and whole[2:] == ["1"] and 5 < len(whole[1]) <= 50
    assert all(float(amount) > 0 for _, _, amount in whole[1][:3])
    [again] = say({"event": "subscribe", "channel": "book", "symbol": "tBTCUSD"})
    assert (again["event"], again["code"]) == ("error", "10301")
    [gone] = say({"event": "unsubscribe", "chanId": int(ack["chanId"])})
    assert gone == {"event": "unsubscribed", "status": "OK", "chanId": ack["chanId"]} and venue.subscribers == {}


@pytest.mark.parametrize(("request_", "code"), [
    ([], 10000), ({"event": "nonsense"}, 10000), ({"event": "conf", "flags": "x"}, 10000),
    ({"event": "subscribe", "channel": "book", "symbol": "tBTCUSD", "len": "x"}, 10012),
    ({"event": "subscribe", "channel": "book", "symbol": "tNOSUCH"}, 10001),
    ({"event": "subscribe", "channel": "book", "symbol": "tBTCUSD", "prec": "P9"}, 10011),
    ({"event": "subscribe", "channel": "book", "symbol": "tBTCUSD", "len": "26"}, 10012),
    ({"event": "subscribe", "channel": "nonsense", "symbol": "tBTCUSD"}, 10302),
    ({"event": "unsubscribe", "chanId": 5}, 10400)])
def test_the_dialect_refuses_as_documented(request_, code):
    _, say = dialect()
    error = say(request_)[-1]
    assert (error["event"], error["code"]) == ("error", str(code)) and error["msg"]


def test_the_dialect_tells_every_trade_twice():
    venue, say = dialect()
    ack, history = say({"event": "subscribe", "channel": "trades", "symbol": "tBTCUSD"})[1:]
    assert history == [ack["chanId"], []]
    venue.advance(5 * SECOND_NS)
    told = [as_written(sent) for _, sent in venue.drain()]
    executed, updated = ([row for _, word, row in told if word == kind] for kind in ("te", "tu"))
    assert len(executed) > 3 and executed == updated and [word for _, word, _ in told] == ["te", "tu"] * len(executed)
    rows = say({"event": "unsubscribe", "chanId": int(ack["chanId"])}) and say(
        {"event": "subscribe", "channel": "trades", "symbol": "tBTCUSD"})[1][1]
    assert rows == executed[::-1][:30]


def test_the_dialect_beats_on_quiet_channels():
    venue, say = dialect()
    say({"event": "conf", "flags": 98304})
    number = say({"event": "subscribe", "channel": "trades", "symbol": "tBTCUSD"})[0]["chanId"]
    [connection] = venue.connections.values()
    beats = []
    for second in (14, 15, 16, 30):
        venue.now_ns = (1 + second) * SECOND_NS
        venue.housekeeping(connection, venue.now_ns)
        beats += [as_written(sent) for _, sent in venue.drain()]
    assert beats == [[number, "hb", "2", "16000"], [number, "hb", "3", "31000"]]


def test_a_connection_carries_25_channels():
    venue, say = dialect()
    venue.clients[1].numbers |= {Subscription("ticker", str(number)): number for number in range(24)}
    assert say({"event": "subscribe", "channel": "book", "symbol": "tBTCUSD"})[1]["event"] == "subscribed"
    [error] = say({"event": "subscribe", "channel": "trades", "symbol": "tBTCUSD"})
    assert (error["code"], error["msg"]) == ("10305", "subscribe: limit")


# -- a recording of several connections --------------------------------------------------------------------------

@pytest.mark.parametrize("server", ["direct", "sync"])
def test_a_recording_of_two_connections(tmp_path, server):
    """The second one numbers its channels otherwise; its first heartbeat comes before the acknowledgement."""
    def connection(name, numbers, price):
        book, trades = numbers
        trade = [7, 1618677442819, -0.5, price]
        frames = [HELLO, conf(), subscribed("trades", trades, "tDUSK:USD"), [trades, [], 1], [book, "hb", 2],
                  subscribed("book", book, "tDUSK:USD"), [book, [[price, 1, 1.5], [price + 1, 1, -2]], 3],
                  [trades, "te", trade, 4], [trades, "tu", trade, 5], [book, [price, 1, 2.5], 6]]
        return [("open", f"{name} wss://api-pub.bitfinex.com/ws/2", "")] + [
            ("rx", name, json.dumps(frame)) for frame in frames]

    path = tmp_path / "two.tsv"
    lines = connection("a", (17, 18), 10) + connection("b", (18, 17), 20)
    path.write_text("".join(f"{stamp}\t{kind}\t{name}\t{text}\n" for stamp, (kind, name, text) in enumerate(lines, 1)))
    played = books(path, None, server, tls=False)
    summary = played.summaries["tDUSK:USD"]
    assert played.problems == []
    assert (summary["gaps"], summary["updates_applied"], summary["trades"]) == (0, 2, 2)
    assert summary["final_bbo"] == ["20", "2.5", "21", "2"]


# -- ccxt --------------------------------------------------------------------------------------------------------

def pointed(client, port):
    """The client with its base URLs replaced, and nothing else."""
    client.urls["api"]["public"] = f"http://127.0.0.1:{port}"
    if "ws" in client.urls["api"]:
        client.urls["api"]["ws"]["public"] = f"ws://127.0.0.1:{port}/ws/2"
    return client


CCXT_SYMBOLS = list(zip(("BTC/USD", "ETH/USD", "BTC/USDT:USDT"), SYMBOLS, strict=True))


def test_ccxt_reads_markets_and_books():
    with simulated("bitfinex") as (exchange, clock):
        client = pointed(ccxt.bitfinex({"timeout": 10_000}), exchange.ports.plain)
        markets = client.load_markets()
        assert markets["BTC/USDT:USDT"]["swap"] and markets["BTC/USD"]["spot"]
        assert markets["BTC/USD"]["limits"]["amount"]["min"] == 0.00004
        clock.stop()
        client.fetch_order_book("BTC/USD")      # the market catches up with the stopped clock
        for symbol, listed_as in CCXT_SYMBOLS:
            truth = [[[float(number) for number in level] for level in side]
                     for side in true_books(exchange, [listed_as], 25)[listed_as]]
            for precision in ("R0", "P0"):
                found = client.fetch_order_book(symbol, 25, {"precision": precision})
                assert [found["bids"], found["asks"]] == truth


@pytest.mark.parametrize(("symbol", "listed_as"), CCXT_SYMBOLS)
def test_ccxt_watches_books_and_trades(symbol, listed_as):
    """It checks checksums by itself, and complains of a wrong one."""
    async def watch(exchange, clock):
        client = pointed(ccxt.pro.bitfinex(), exchange.ports.plain)
        try:
            trades = await asyncio.wait_for(client.watch_trades(symbol), PATIENCE)
            while not trades:
                trades = await asyncio.wait_for(client.watch_trades(symbol), PATIENCE)
            assert all(trade["side"] in ("buy", "sell") and trade["amount"] > 0 for trade in trades)
            await asyncio.wait_for(client.watch_order_book(symbol), PATIENCE)
            checksums = count_checksums(exchange)
            await watched_until_true(client, symbol, exchange, clock, listed_as, 25)
            assert checksums
        finally:
            await client.close()

    with simulated("bitfinex") as (exchange, clock):
        asyncio.run(watch(exchange, clock))


def count_checksums(exchange):
    """The checksums that are sent from now on."""
    venue, found = exchange.exchange, []

    def sent(connection, frame):
        if isinstance(frame, str) and '"cs"' in frame:
            found.append(frame)
        type(venue).send(venue, connection, frame)

    exchange.call(setattr, venue, "send", sent)
    return found


def test_ccxt_complains_of_a_wrong_checksum():
    """So the ones that it did not complain of were right."""
    async def watch(exchange):
        client = pointed(ccxt.pro.bitfinex(), exchange.ports.plain)
        try:
            await asyncio.wait_for(client.watch_order_book("BTC/USD"), PATIENCE)
            spoil(exchange, lambda frame: frame.partition('"cs",')[0] + '"cs",5]' if '"cs",' in frame else frame)
            with pytest.raises(ccxt.ChecksumError):
                for _ in range(10_000):
                    await asyncio.wait_for(client.watch_order_book("BTC/USD"), PATIENCE)
        finally:
            await client.close()

    with simulated("bitfinex") as (exchange, _):
        asyncio.run(watch(exchange))
