"""Binance spot, USD-M and COIN-M, simulated: ccxt as a client that knows the real exchange."""
import asyncio

import ccxt
import ccxt.pro
import pytest

from tests.against_dialect import pointed, simulated, true_books, watched_until_true

DEPTH = 1 << 16
#: protocol -> (name at ccxt, its kind of market, its symbol, ours)
MARKETS = {
    "binance_spot": ("binance", "spot", "BTC/USDT", "BTCUSDT"),
    "binance_usdm": ("binanceusdm", "linear", "BTC/USDT:USDT", "BTCUSDT"),
    "binance_coinm": ("binancecoinm", "inverse", "BTC/USD:BTC", "BTCUSD_PERP"),
}

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
