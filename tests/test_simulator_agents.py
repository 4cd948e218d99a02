"""Simulated exchanges whose agents trade: judged by a plain client, on a virtual clock and over real sockets."""
import json
import statistics
import time
import urllib.request

import pytest
import websocket

from orderflow._core.types import OrderType, Side, TimeInForce
from orderflow.simulator.accounts import AccountSettings
from orderflow.simulator.agents import FairPrice, Flow, Temper
from orderflow.simulator.dialects import dialect
from orderflow.simulator.exchange import SECOND_NS
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.market import Market
from orderflow.simulator.order import Order
from orderflow.simulator.server import SimulatedExchange
from tests.reference.exchange_client import BinanceClient, KrakenClient

START_NS = 1_700_000_000 * SECOND_NS
STEP_NS = 10_000_000
INSTRUMENTS = {
    "binance_spot": SimulatedInstrument("BTCUSDT", "BTC", "USDT", 2, 5, tick=100),
    "binance_usdm": SimulatedInstrument("BTCUSDT", "BTC", "USDT", 1, 3, tick=10),
    "binance_coinm": SimulatedInstrument("BTCUSD_PERP", "BTC", "USD", 1, 0, tick=10, contract_size=100),
    "kraken_v2": SimulatedInstrument("BTC/USD", "BTC", "USD", 1, 8, tick=10, rest_symbol="XXBTZUSD"),
}


def exchange_of(protocol, seed=7, name="one", origin_ns=START_NS, **options):
    return dialect(protocol)(Market(name, [INSTRUMENTS[protocol]], seed, origin_ns), name, **options)


def run(exchange, seconds, step_ns=STEP_NS, start_ns=START_NS):
    """Every frame up to a time; the clock stands at multiples of `step_ns`."""
    frames = []
    for now_ns in range(start_ns, start_ns + int(seconds * SECOND_NS) + 1, step_ns):
        exchange.advance(now_ns)
        while exchange.next_ns() <= now_ns:
            exchange.advance(now_ns)
        frames += [frame for _, frame in exchange.drain() if isinstance(frame, str)]
    return frames


def book_of(exchange):
    return next(iter(exchange.source.books.values()))


def own_levels(book, side, depth=10**6):
    return [(book.price_text(price), book.quantity_text(quantity)) for price, quantity in book.levels(side, depth)]


def levels_of(levels, best_first, book):
    to_text = {"price": book.instrument.price_decimals, "quantity": book.instrument.quantity_decimals}
    return [(f"{price:.{to_text['price']}f}", f"{levels[price]:.{to_text['quantity']}f}")
            for price in sorted(levels, reverse=best_first)]


@pytest.mark.parametrize("protocol, stream", [
    ("binance_spot", "btcusdt@depth@100ms"), ("binance_spot", "btcusdt@depth"),
    ("binance_usdm", "btcusdt@depth@0ms"), ("binance_usdm", "btcusdt@depth"),
    ("binance_coinm", "btcusd_perp@depth@100ms"),
])
def test_snapshot_and_diffs_give_the_engines_own_book(protocol, stream):
    exchange = exchange_of(protocol)
    symbol = exchange.instruments[0].symbol
    run(exchange, 1)
    exchange.open(1, f"/stream?streams={stream}/{symbol.lower()}@trade/{symbol.lower()}@bookTicker",
                  START_NS + SECOND_NS)
    judge = BinanceClient(protocol != "binance_spot")
    tickers = []

    def take(frames):
        for frame in frames:
            judge.frame(frame)
            data = json.loads(frame)["data"]
            if data.get("e", "bookTicker") == "bookTicker":
                tickers.append(data)
    take(run(exchange, 1.23, start_ns=START_NS + SECOND_NS))
    judge.snapshot(symbol, exchange.http("GET", f"{exchange.rest_root}/depth", f"symbol={symbol}&limit=1000", {}, b"",
                                         START_NS + int(2.23 * SECOND_NS)).body)
    take(run(exchange, 6.77, start_ns=START_NS + int(2.23 * SECOND_NS)))
    book = book_of(exchange)
    assert judge.last[symbol][0] == book.update_id
    assert levels_of(judge.books[symbol].bids, True, book) == own_levels(book, Side.BUY)
    assert levels_of(judge.books[symbol].asks, False, book) == own_levels(book, Side.SELL)
    assert (tickers[-1]["b"], tickers[-1]["B"]) == own_levels(book, Side.BUY)[0]
    assert (tickers[-1]["a"], tickers[-1]["A"]) == own_levels(book, Side.SELL)[0]
    assert judge.trades > 20


@pytest.mark.parametrize("depth", [10, 25, 1000])
def test_kraken_books_are_cut_to_the_depth_and_their_checksums_hold(depth):
    exchange = exchange_of("kraken_v2")
    exchange.open(1, "/v2", START_NS)
    run(exchange, 1)
    judge = KrakenClient()
    for request in (f'{{"channel":"book","symbol":["BTC/USD"],"depth":{depth}}}',
                    '{"channel":"trade","symbol":["BTC/USD"]}'):
        exchange.message(1, f'{{"method":"subscribe","params":{request}}}', START_NS + SECOND_NS)
    for frame in run(exchange, 8, start_ns=START_NS + SECOND_NS):
        judge.frame(frame)
    book, seen = book_of(exchange), judge.books["BTC/USD"]
    assert levels_of(seen.bids, True, book) == own_levels(book, Side.BUY, depth)
    assert levels_of(seen.asks, False, book) == own_levels(book, Side.SELL, depth)
    assert seen.checksums > 100 and judge.trades > 20


RICH = {"USDT": "10000000"}
@pytest.mark.parametrize("depth", [10, 25])
def test_kraken_deletes_no_level_that_merely_fell_out_of_the_depth(depth):
    exchange = exchange_of("kraken_v2")
    exchange.open(1, "/v2", START_NS)
    run(exchange, 0.1)
    exchange.message(1, f'{{"method":"subscribe","params":{{"channel":"book","symbol":["BTC/USD"],"depth":{depth}}}}}',
                     START_NS + SECOND_NS // 10)
    book, deleted = book_of(exchange), 0
    for step in range(1, 200):
        for frame in run(exchange, 0, start_ns=START_NS + SECOND_NS // 10 + step * 20_000_000):
            message = json.loads(frame)
            if message.get("channel") == "book" and message["type"] == "update":
                for side, levels in ((Side.BUY, message["data"][0]["bids"]), (Side.SELL, message["data"][0]["asks"])):
                    gone = [round(level["price"] * 10) for level in levels if not level["qty"]]
                    assert not any(book.engine.quantity_at(side, price) for price in gone)
                    deleted += len(gone)
    assert deleted > 20


STREAMS = "/stream?streams=btcusdt@depth@100ms/btcusdt@trade/btcusdt@aggTrade/btcusdt@bookTicker"


def frames_with(seed=7, step_ns=STEP_NS, name="one"):
    exchange = exchange_of("binance_spot", seed, name)
    exchange.open(1, STREAMS, START_NS)
    return run(exchange, 5, step_ns)


def test_the_same_seed_gives_the_same_bytes_however_it_is_asked():
    frames = frames_with()
    assert frames == frames_with() == frames_with(step_ns=5 * SECOND_NS) == frames_with(step_ns=SECOND_NS // 8)
    assert frames != frames_with(seed=8) and frames != frames_with(name="two")


def test_our_orders_change_what_agents_find_and_not_what_they_do(monkeypatch):
    done = []
    take = Flow.take
    monkeypatch.setattr(Flow, "take", lambda flow: done[-1].extend(actions := take(flow)) or actions)
    for taking in (False, True):
        done.append([])
        exchange = exchange_of("binance_spot", accounts=[AccountSettings("key", balances=RICH)])
        run(exchange, 2)
        if taking:
            order = Order(0, exchange.desk.accounts[0], exchange.instruments[0], Side.BUY, OrderType.MARKET,
                          TimeInForce.IOC, 0, 10 * 10**5, "large")
            exchange.desk.place(order, START_NS + 2 * SECOND_NS)
            assert order.filled == order.quantity
        run(exchange, 2, start_ns=START_NS + 2 * SECOND_NS)
    assert done[0] == done[1]


def test_the_flow_is_plausible():
    exchange = exchange_of("binance_spot")
    exchange.open(1, STREAMS, START_NS)
    book = book_of(exchange)
    spreads, depths, sides, adds, deletes = [], [], set(), 0, 0
    for second in range(200):
        frames = run(exchange, 0.1, start_ns=START_NS + second * SECOND_NS // 10)
        for data in (json.loads(frame)["data"] for frame in frames):
            if data.get("e") == "trade":
                sides.add(data["m"])
            elif data.get("e") == "depthUpdate":
                quantities = [float(quantity) for _, quantity in data["b"] + data["a"]]
                adds, deletes = adds + sum(map(bool, quantities)), deletes + quantities.count(0.0)
        bid, _, ask, _ = book.touch
        assert bid < ask
        spreads.append((ask - bid) // book.instrument.tick)
        depths += [len(book.levels(Side.BUY, 1000)), len(book.levels(Side.SELL, 1000))]
    assert statistics.median(spreads) <= 5 and statistics.median(depths) >= 50 and min(depths) >= 20
    assert sides == {True, False} and adds > 200 and deletes > 200


def test_exchanges_share_a_price_and_now_and_then_leave_it():
    temper = Temper()
    one, two = (FairPrice(7, "BTC", name, 60_000.0, temper) for name in ("one", "two"))
    apart = []
    for step in range(30_000):                      # ten minutes
        a, b = one.at(step * 20_000_000), two.at(step * 20_000_000)
        apart.append((a - b) / a * 1e4)
    assert abs(statistics.mean(apart)) < 0.5, "neither is dearer for long"
    assert 0.01 < sum(abs(gap) > 4 for gap in apart) / len(apart) < 0.25, "dislocations are there, and rare"
    assert abs(statistics.correlation(apart[:-500], apart[500:])) < 0.3, "and gone after ten seconds"


def test_rest_and_websocket_serve_agents_over_real_sockets():
    exchange = exchange_of("binance_spot", origin_ns=time.time_ns())
    with SimulatedExchange(exchange) as server:
        client = websocket.create_connection(f"ws://127.0.0.1:{server.ports.plain}{STREAMS}", timeout=10)
        judge = BinanceClient(futures=False)
        while not judge.waiting:
            judge.frame(client.recv())
        url = f"http://127.0.0.1:{server.ports.plain}/api/v3"
        with urllib.request.urlopen(f"{url}/depth?symbol=BTCUSDT&limit=5000") as answer:
            judge.snapshot("BTCUSDT", answer.read())
        while judge.books["BTCUSDT"].updates < 10:
            judge.frame(client.recv())
        with urllib.request.urlopen(f"{url}/exchangeInfo") as answer:
            filters = json.loads(answer.read())["symbols"][0]["filters"]
        assert filters[0]["tickSize"] == "1.00"
        client.close()


def test_an_instrument_without_a_first_price_is_refused():
    unknown = SimulatedInstrument("XYZUSDT", "XYZ", "USDT", 2, 5)
    with pytest.raises(ValueError, match="prices: no first price for XYZ"):
        Market("one", [unknown], 7, START_NS)
    with pytest.raises(ValueError, match="instruments: exchange one"):
        Market("one", [], 7, START_NS)
