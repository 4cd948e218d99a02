"""Kraken, simulated: ccxt as a client that knows the real exchange."""
import asyncio

import ccxt
import ccxt.pro

from tests.against_dialect import pointed, simulated, true_books, watched_until_true

SYMBOL = "BTC/USDT"
DEPTH = 10                      # that ccxt subscribes to where it is not told otherwise


def client_of(module, port):
    client = module.kraken({"timeout": 10_000})
    client.urls["api"] = pointed(client.urls["api"], port)
    return client


def test_ccxt_reads_markets_and_books():
    with simulated("kraken_v2") as (exchange, clock):
        client = client_of(ccxt, exchange.ports.plain)
        market = client.load_markets()[SYMBOL]
        assert market["active"] and market["precision"]["price"] == 0.1 and market["taker"] == 0.004
        clock.stop()
        book = client.fetch_order_book(SYMBOL, limit=20)
        assert [[tuple(level[:2]) for level in book[side]] for side in ("bids", "asks")] == [
            [(float(price), float(quantity)) for price, quantity in side]
            for side in true_books(exchange, [SYMBOL], 20)[SYMBOL]]


def test_ccxt_watches_books_and_trades():
    """It checks the checksum of every update."""
    async def watch(exchange, clock):
        client = client_of(ccxt.pro, exchange.ports.plain)
        try:
            trades = await asyncio.wait_for(client.watch_trades(SYMBOL), 30)
            assert trades and all(trade["side"] in ("buy", "sell") and trade["amount"] > 0 for trade in trades)
            await watched_until_true(client, SYMBOL, exchange, clock, SYMBOL, DEPTH)
        finally:
            await client.close()

    with simulated("kraken_v2") as (exchange, clock):
        asyncio.run(watch(exchange, clock))
