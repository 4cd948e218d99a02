"""Coinbase Exchange and Advanced Trade: our servers against their simulated other side, and ccxt against it too."""
import asyncio
import base64
import contextlib
import json
from decimal import Decimal

import ccxt
import ccxt.pro
import pytest

from orderflow._core.types import Side
from orderflow.credentials import Credentials
from orderflow.exchanges import session_for
from orderflow.exchanges.session import SessionSettings
from orderflow.research.books import books
from orderflow.simulator.exchange import SECOND_NS, Close
from orderflow.wiring import wait_until
from tests.loopback import HOST
from tests.serving import PATIENCE, Clock, Run, listing, start_exchange

SYMBOLS = ("BTC-USD", "ETH-USD")


@pytest.fixture(params=["coinbase", "coinbase_adv"])
def simulated(request):
    """(exchange, clock): one simulated exchange behind real sockets."""
    clock = Clock()
    exchange = start_exchange(request.param, clock)
    yield exchange, clock
    exchange.stop()


def served(exchange, symbols=SYMBOLS):
    base = f"{HOST}:{exchange.ports.plain}"
    return session_for(exchange.exchange.protocol, SessionSettings(
        exchange.exchange.protocol, rest=f"http://{base}", stream=f"ws://{base}", symbols=symbols))


def truth(exchange):
    """All levels of the matching engines by symbol: bids and asks as decimals, as `Run.books` has them."""
    def look():
        return {symbol: [[(Decimal(book.price_text(price)), Decimal(book.quantity_text(quantity)))
                          for price, quantity in book.levels(side, 1 << 16)] for side in (Side.BUY, Side.SELL)]
                for symbol, book in exchange.exchange.source.books.items()}
    return exchange.call(look)


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_books_equal_the_matching_engines(simulated, kind):
    exchange, clock = simulated
    name = exchange.exchange.protocol
    with Run(kind, [served(exchange)]) as run:
        run.wait_live(more=lambda: run.frames(name) > 60)
        clock.stop()
        wait_until(lambda: run.books(name) == truth(exchange), PATIENCE, "equality with the matching engines")
        assert run.conversations[0].ready and run.problems == []
        assert all(run.core.loops[name].counters(index)["updates_applied"] > 5 for index in (0, 1))


def test_one_book_is_resynced_alone(simulated):
    """A frame of one product goes wrong on the way; only its book is subscribed to anew."""
    exchange, clock = simulated
    name = exchange.exchange.protocol
    send = exchange.exchange.send
    spoilt = []

    def wrong(connection, frame):
        if not spoilt and '"ETH-USD"' in frame and ('"l2update"' in frame or '"type":"update","product_id"' in frame):
            spoilt.append(frame)
            frame = frame.replace('"ETH-USD"', '"ETH-USD","product_id":"ETH-USD"')
        send(connection, frame)

    with Run("sync", [served(exchange)]) as run:
        run.wait_live()
        exchange.call(lambda: setattr(exchange.exchange, "send", wrong))
        run.wait_told("book of ETH-USD is STALE (MALFORMED)")
        run.wait_told("book of ETH-USD is LIVE again")
        clock.stop()
        wait_until(lambda: run.books(name) == truth(exchange), PATIENCE, "equality with the matching engines")
        assert not any("BTC-USD" in problem for problem in run.problems)
        counters = [run.core.loops[name].counters(index) for index in (0, 1)]
        assert [one["resyncs"] for one in counters] == [0, 1]
        assert run.conversations[0].health.connects == 1


def test_a_lost_frame_of_advanced_trade_is_found_and_mended():
    clock = Clock()
    exchange = start_exchange("coinbase_adv", clock)
    send = exchange.exchange.send
    lost = []

    def lossy(connection, frame):
        if lost or '"ETH-USD"' not in frame:
            send(connection, frame)
        else:
            lost.append(frame)

    try:
        with Run("sync", [served(exchange)]) as run:
            run.wait_live()
            exchange.call(lambda: setattr(exchange.exchange, "send", lossy))
            for symbol in SYMBOLS:
                run.wait_told(f"book of {symbol} is STALE (GAP)")
            run.wait_live()
            clock.stop()
            wait_until(lambda: run.books("coinbase_adv") == truth(exchange), PATIENCE, "equality")
            assert [run.core.loops["coinbase_adv"].counters(index)["gaps"] for index in (0, 1)] == [1, 1]
    finally:
        exchange.stop()


def test_a_refused_subscription_is_told(simulated):
    exchange, _ = simulated
    one = served(exchange)
    found = [listing(one.settings.name, "XYZ-USD")]
    one.settings = SessionSettings(one.settings.name, stream=one.stream, symbols=("XYZ-USD",))
    with Run("sync", [one], listings=found) as run:
        run.wait_told("XYZ-USD is not a valid product")


def test_level2_of_the_exchange_needs_a_login():
    clock = Clock()
    exchange = start_exchange("coinbase", clock)
    try:
        one = served(exchange)
        one.channels = ("level2", *one.channels[1:])
        with Run("sync", [one]) as run:
            run.wait_told("Failed to subscribe", "require authentication")
        secret = base64.b64encode(b"secret").decode()
        two = session_for("coinbase", SessionSettings(
            "coinbase", rest=one.rest, stream=one.stream, symbols=SYMBOLS, credentials=Credentials("k", secret, "p")))
        with Run("sync", [two]) as run:
            run.wait_live()
    finally:
        exchange.stop()


def test_who_does_not_subscribe_is_disconnected(simulated):
    exchange, _ = simulated

    def connect():
        simulator = exchange.exchange
        now_ns = simulator.now_ns
        simulator.open(10**6, "/", now_ns)
        simulator.housekeeping(simulator.connections[10**6], now_ns + 5 * SECOND_NS - 1)
        early = [frame for number, frame in simulator.drain() if number == 10**6]
        simulator.housekeeping(simulator.connections[10**6], now_ns + 5 * SECOND_NS)
        late = [frame for number, frame in simulator.drain() if number == 10**6]
        simulator.closed(10**6)
        return early, late

    early, late = exchange.call(connect)
    assert early == [] and [type(frame) for frame in late] == [Close]


def level(side, price, quantity):
    return {"side": side, "event_time": "2026-01-01T00:00:00Z", "price_level": price, "new_quantity": quantity}


def record(path, events):
    """A capture of Advanced Trade with these (channel, event)."""
    frames = [json.dumps({"channel": channel, "client_id": "", "timestamp": "2026-01-01T00:00:00Z",
                          "sequence_num": number, "events": [event]}) for number, (channel, event) in enumerate(events)]
    path.write_text("1\topen\tc wss://advanced-trade-ws.coinbase.com\t\n"
                    + "".join(f"{number}\trx\tc\t{frame}\n" for number, frame in enumerate(frames, 2)))
    return path


@pytest.mark.parametrize("server", ["direct", "sync"])
def test_a_recording_is_whole_only_with_its_answers_and_heartbeats(tmp_path, server):
    """They are part of the count: were they left out of the playback, every one of them would be a gap."""
    events = [
        ("l2_data", {"type": "snapshot", "product_id": "BTC-USD", "updates": [
            level("bid", "9.99", "1.5"), level("offer", "10.01", "2.25")]}),
        ("subscriptions", {"subscriptions": {"level2": ["BTC-USD"]}}),
        ("heartbeats", {"current_time": "2026-01-01", "heartbeat_counter": 1}),
        ("l2_data", {"type": "update", "product_id": "BTC-USD", "updates": [level("bid", "9.98", "3")]}),
        ("market_trades", {"type": "update", "trades": [
            {"trade_id": "5", "product_id": "BTC-USD", "price": "10.01", "size": "0.25", "side": "SELL",
             "time": "2026-01-01T00:00:00Z"}]}),
    ]
    played = books(record(tmp_path / "recorded.tsv", events), None, server, tls=False)
    summary = played.summaries["BTC-USD"]
    assert played.problems == []
    assert (summary["gaps"], summary["updates_applied"], summary["final_levels"]) == (0, 1, [2, 1])
    assert (summary["trades"], summary["trade_volume"]) == (1, "0.25")


@pytest.mark.parametrize("server", ["sync", "async"])
def test_the_whole_book_of_a_large_product_arrives(tmp_path, server):
    """BTC-USD's comes in one frame, of more than 4 MiB and of more than 65536 levels."""
    count = 40_000
    updates = [level(side, f"{60_000 + sign * number}.00", f"{number}.00000000")
               for side, sign in (("bid", -1), ("offer", 1)) for number in range(1, count + 1)]
    path = record(tmp_path / "large.tsv", [
        ("l2_data", {"type": "snapshot", "product_id": "BTC-USD", "updates": updates})])
    assert path.stat().st_size > 8 << 20
    played = books(path, None, server)
    assert played.problems == []
    assert played.summaries["BTC-USD"]["final_levels"] == [count, count]


# -- ccxt --------------------------------------------------------------------------------------------------------------

CLIENTS = {"coinbase": "coinbaseexchange", "coinbase_adv": "coinbase"}


def point(client, port):
    """Let a ccxt client talk to the simulated exchange; nothing else about it is changed."""
    client.has["fetchCurrencies"] = False
    api = client.urls["api"]
    for key in api:
        api[key] = f"{'ws' if key == 'ws' else 'http'}://{HOST}:{port}"
    return client


def client_of(module, protocol, port):
    secret = base64.b64encode(b"secret").decode()
    keys = {"apiKey": "k", "secret": secret, "password": "p"} if protocol == "coinbase" else {}
    return point(getattr(module, CLIENTS[protocol])({"timeout": 10_000} | keys), port)


def sides(book):
    return [[(Decimal(str(price)), Decimal(str(quantity))) for price, quantity, *_ in book[side]]
            for side in ("bids", "asks")]


def test_ccxt_reads_markets_and_books(simulated):
    exchange, clock = simulated
    client = client_of(ccxt, exchange.exchange.protocol, exchange.ports.plain)
    clock.stop()
    markets = client.load_markets()
    assert (markets["BTC/USD"]["precision"]["price"], markets["BTC/USD"]["active"]) == (1.0, True)
    wait_until(lambda: sides(client.fetch_order_book("BTC/USD")) == truth(exchange)["BTC-USD"], PATIENCE, "equality")


def test_ccxt_watches_books_and_trades(simulated):
    exchange, clock = simulated

    async def watch():
        client = client_of(ccxt.pro, exchange.exchange.protocol, exchange.ports.plain)
        try:
            async with asyncio.timeout(PATIENCE):
                for _ in range(10):
                    book = await client.watch_order_book("BTC/USD")
                trades = await client.watch_trades("BTC/USD")
                clock.stop()
                while sides(book) != truth(exchange)["BTC-USD"]:
                    with contextlib.suppress(asyncio.TimeoutError):
                        await asyncio.wait_for(client.watch_order_book("BTC/USD"), 0.2)
                return trades
        finally:
            await client.close()

    trades = asyncio.run(watch())
    assert trades and all(trade["symbol"] == "BTC/USD" and trade["amount"] > 0 for trade in trades)
