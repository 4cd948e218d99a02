"""Binance spot, USD-M and COIN-M: what the session makes of their metadata, and ccxt against the simulated ones."""
import asyncio
import json
from decimal import Decimal
from urllib.parse import parse_qsl, urlsplit

import ccxt
import ccxt.pro
import pytest

from orderflow.credentials import Credentials
from orderflow.engine import Engine
from orderflow.exchanges import session_for
from orderflow.exchanges.session import SessionError, SessionSettings
from orderflow.limits import Limits
from orderflow.research.simulation import DIRECT_START_NS, limits_of
from orderflow.servers.direct import DirectServer
from orderflow.servers.token_bucket import TokenBucket
from orderflow.simulator.accounts import AccountSettings
from orderflow.simulator.dialects.binance_limits import weight_of
from orderflow.simulator.exchange import SECOND_NS
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.launch import SimulatorSettings, build
from tests.against_dialect import pointed, simulated, true_books, watched_until_true

DEPTH = 1 << 16
#: protocol -> (name at ccxt, its kind of market, its symbol, ours)
MARKETS = {
    "binance_spot": ("binance", "spot", "BTC/USDT", "BTCUSDT"),
    "binance_usdm": ("binanceusdm", "linear", "BTC/USDT:USDT", "BTCUSDT"),
    "binance_coinm": ("binancecoinm", "inverse", "BTC/USD:BTC", "BTCUSD_PERP"),
}
LIMITS = Limits(maximum_position="1", maximum_order_quantity="1", maximum_order_notional="100", collar="0.01")

every = pytest.mark.parametrize("protocol", MARKETS)


def client_of(module, protocol, port):
    """A client that loads the one market which is simulated: the others have hosts of their own."""
    name, kind, _, _ = MARKETS[protocol]
    client = getattr(module, name)({"timeout": 10_000, "options": {"fetchMarkets": {"types": [kind]}}})
    client.urls["api"] = pointed(client.urls["api"], port)
    return client


@every
def test_ccxt_reads_markets_and_books(protocol):
    _, kind, symbol, listed = MARKETS[protocol]
    with simulated(protocol) as (exchange, clock):
        client = client_of(ccxt, protocol, exchange.ports.plain)
        market = client.load_markets()[symbol]
        instrument = exchange.exchange.instrument(listed)
        assert market["precision"]["price"] == instrument.tick / 10**instrument.price_decimals
        assert market["precision"]["amount"] == instrument.lot / 10**instrument.quantity_decimals
        assert market["active"] and market["contractSize"] == {"spot": None, "linear": 1, "inverse": 100}[kind]
        clock.stop()
        book = client.fetch_order_book(symbol, limit=20)
        assert [[tuple(level[:2]) for level in book[side]] for side in ("bids", "asks")] == [
            [(float(price), float(quantity)) for price, quantity in side]
            for side in true_books(exchange, [listed], 20)[listed]]


@every
def test_ccxt_watches_books_trades_and_quotes(protocol):
    _, _, symbol, listed = MARKETS[protocol]

    async def watch(exchange, clock):
        client = client_of(ccxt.pro, protocol, exchange.ports.plain)
        try:
            trades = await asyncio.wait_for(client.watch_trades(symbol), 30)
            assert trades and all(trade["side"] in ("buy", "sell") and trade["amount"] > 0 for trade in trades)
            quote = (await asyncio.wait_for(client.watch_bids_asks([symbol]), 30))[symbol]
            assert 0 < quote["bid"] < quote["ask"] and quote["bidVolume"] > 0 and quote["askVolume"] > 0
            await watched_until_true(client, symbol, exchange, clock, listed, DEPTH)
        finally:
            await client.close()

    with simulated(protocol) as (exchange, clock):
        asyncio.run(watch(exchange, clock))


# -- metadata ----------------------------------------------------------------------------------------------------

SPOT = {"symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "baseAssetPrecision": 8, "quoteAsset": "USDT",
        "quotePrecision": 8, "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "0.01000000", "maxPrice": "1000000.00000000",
             "tickSize": "0.01000000"},
            {"filterType": "LOT_SIZE", "minQty": "0.00001000", "maxQty": "9000.00000000", "stepSize": "0.00001000"},
            {"filterType": "NOTIONAL", "minNotional": "5.00000000"}]}
USDM = {"symbol": "BTCUSDT", "pair": "BTCUSDT", "contractType": "PERPETUAL", "deliveryDate": 4133404800000,
        "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT", "marginAsset": "USDT", "pricePrecision": 2,
        "quantityPrecision": 3, "filters": [
            {"filterType": "PRICE_FILTER", "minPrice": "556.80", "maxPrice": "4529764", "tickSize": "0.10"},
            {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
            {"filterType": "MIN_NOTIONAL", "notional": "100"}]}
COINM = USDM | {"symbol": "BTCUSD_PERP", "pair": "BTCUSD", "quoteAsset": "USD", "marginAsset": "BTC",
                "contractStatus": "TRADING", "contractSize": 100, "pricePrecision": 1, "quantityPrecision": 0}


def listed(market, entry):
    session = session_for(f"binance_{market}", SessionSettings("test", symbols=(entry["symbol"],)))
    [listing] = session.listings({"exchangeInfo": json.dumps({"symbols": [entry]}).encode()})
    return listing


def test_listings_of_documented_instruments():
    spot = listed("spot", SPOT)
    assert (spot.instrument, spot.base, spot.quote, spot.tick, spot.lot, spot.halted) == (
        "BTC-USDT", "BTC", "USDT", Decimal("0.01"), Decimal("0.00001"), False)
    assert (spot.minimum_quantity, spot.minimum_notional) == (Decimal("0.00001"), 5)
    assert listed("spot", SPOT | {"status": "BREAK"}).halted


@pytest.mark.parametrize(("market", "changes", "more", "parts"), [
    ("spot", {"icebergAllowed": True}, [], 10), ("spot", {"icebergAllowed": False}, [], 0), ("spot", {}, [], 0),
    ("spot", {"icebergAllowed": True}, [{"filterType": "MAX_NUM_ICEBERG_ORDERS", "maxNumIcebergOrders": 5}], 0),
    ("usdm", {"icebergAllowed": True}, [], 0), ("coinm", {"icebergAllowed": True}, [], 0)])
def test_how_many_parts_an_iceberg_may_have(market, changes, more, parts):
    """By the documented filter; the futures' order.place has no icebergQty."""
    entry = {"spot": SPOT, "usdm": USDM, "coinm": COINM}[market]
    filters = [*entry["filters"], {"filterType": "ICEBERG_PARTS", "limit": 10}, *more]
    assert listed(market, entry | changes | {"filters": filters}).most_parts == parts
    assert listed(market, entry | changes).most_parts == 0


@pytest.mark.parametrize("market, entry, named", [
    ("usdm", USDM, "BTC-USDT-PERPETUAL"),
    ("usdm", USDM | {"symbol": "BTCUSDT_260327", "contractType": "CURRENT_QUARTER"}, "BTC-USDT-260327"),
    ("coinm", COINM, "BTC-USD-PERPETUAL-100USD"),
    ("coinm", COINM | {"symbol": "ETHUSD_260327", "baseAsset": "ETH", "contractType": "CURRENT_QUARTER",
                       "contractSize": 10}, "ETH-USD-260327-10USD"),
])
def test_contracts_are_named_by_their_end_and_by_what_one_is(market, entry, named):
    assert listed(market, entry).instrument == named


def test_a_symbol_that_is_not_offered_is_named():
    session = session_for("binance_spot", SessionSettings("test", symbols=("NOSUCH",)))
    with pytest.raises(SessionError, match="'NOSUCH' is not offered; check `symbols`"):
        session.listings({"exchangeInfo": b'{"symbols":[]}'})


@pytest.mark.parametrize(("market", "levels"), [
    ("spot", {1: 5000, 4: 5000, 5: 1000, 20: 1000, 21: 500, 40: 500, 41: 100, 200: 100}),
    ("usdm", {1: 1000, 20: 1000, 21: 500, 40: 500, 41: 100, 80: 100, 81: 50, 200: 50})])
def test_snapshots_are_as_deep_as_a_start_can_afford(market, levels):
    """Two a symbol, the first before anything else: they go at once, with room for as much again."""
    for count, expected in levels.items():
        session = session_for(f"binance_{market}", SessionSettings("test", symbols=tuple(map(str, range(count)))))
        asked = [request for request in session.metadata() if "/depth" in request.url]
        assert len(asked) == count
        assert {dict(parse_qsl(urlsplit(request.url).query))["limit"] for request in asked} == {str(expected)}
        bucket = TokenBucket(session.limits.requests)
        assert all(bucket.take(0, request.weight) for request in 2 * asked)
        if market == "spot":
            assert {request.weight for request in asked} == {weight_of("/depth", "GET", {"limit": str(expected)})}
            assert sum(request.weight for request in 2 * asked) <= session.limits.requests.count // 3


def test_ten_symbols_are_ready_at_once():
    """No snapshot waits for the exchange's allowance, nor does what is asked about the account."""
    symbols = ["BTCUSDT", *(f"C{index}USDT" for index in range(9))]
    instruments = tuple(SimulatedInstrument(symbol, symbol[:-4], "USDT", 2, 8, tick=10, minimum_quantity=1000)
                        for symbol in symbols)
    exchange = build(SimulatorSettings("test", "binance_spot", seed=1, origin_ns=DIRECT_START_NS,
                                       instruments=instruments, prices={one.base: 100.0 for one in instruments},
                                       accounts=(AccountSettings("key", "secret"),), funds="1000"))
    session = session_for("binance_spot", SessionSettings("test", rest="http://test", stream="ws://test",
                                                          orders="ws://test/ws-api/v3", symbols=tuple(symbols),
                                                          trade=True, credentials=Credentials("key", "secret")))
    problems = []
    server = DirectServer({"test": exchange}, DIRECT_START_NS, problems.append)
    limits = limits_of(dict.fromkeys((f"{one.base}-USDT" for one in instruments), LIMITS))
    with Engine([session], server, limits=limits).start(timeout=5) as engine:
        assert server.now_ns - DIRECT_START_NS < 5 * SECOND_NS
        assert engine.conversations[0].health.held_back == 0
        assert [engine.book_state(index) for index in range(10)] == ["LIVE"] * 10 and problems == []
