"""ccxt trades at the simulated Kraken, and everything it is told is what truly happened."""
import asyncio
from decimal import Decimal

import ccxt
import ccxt.pro
import pytest

from tests.ccxt_clients import (
    balances,
    check_balances,
    check_equal,
    check_trades,
    client_of,
    events,
    far_below,
    number,
    start_venue,
)

PATIENCE = 30
SYMBOL = "BTC/USDT"


@pytest.fixture
def venue():
    exchange, account = start_venue("kraken_v2", funds="100000")
    yield exchange, account
    exchange.stop()


@pytest.fixture
def client(venue):
    return client_of(ccxt, "kraken_v2", *venue)


def test_a_limit_order_rests_is_edited_in_place_and_is_cancelled(venue, client):
    exchange, _ = venue
    price = far_below(exchange, SYMBOL)
    order = client.create_order(SYMBOL, "limit", "buy", 0.01, price, {"clientOrderId": "ccxt-1"})
    assert (order["symbol"], order["side"], order["amount"], order["price"]) == (SYMBOL, "buy", 0.01, price)
    assert events(exchange, order["id"], "accepted")[0]["client_order_id"] == "ccxt-1"
    found, = client.fetch_open_orders(SYMBOL)
    assert (found["id"], found["clientOrderId"], found["status"], found["amount"]) == (
        order["id"], "ccxt-1", "open", 0.01)
    check_balances(client.fetch_balance(), exchange)
    client.edit_order(order["id"], SYMBOL, "limit", "buy", 0.02, price - 1)
    found = client.fetch_order(order["id"], SYMBOL)
    assert (found["amount"], found["price"], found["status"]) == (0.02, price - 1, "open")
    amended = events(exchange, order["id"], "amended")[0]
    assert (Decimal(amended["price"]), Decimal(amended["quantity"])) == (number(price - 1), number(0.02))
    assert balances(exchange)["USDT"][1] == number(price - 1) * number(0.02) * Decimal("1.004")
    client.cancel_order(order["id"], SYMBOL)
    assert client.fetch_open_orders(SYMBOL) == [] and balances(exchange)["USDT"][1] == 0
    assert client.fetch_order(order["id"], SYMBOL)["status"] == "canceled"
    with pytest.raises(ccxt.OrderNotFound):
        client.cancel_order(order["id"], SYMBOL)


@pytest.mark.parametrize("kind, price, more", [("market", None, {}), ("limit", 1.02, {"timeInForce": "IOC"})])
def test_what_was_taken_at_once_is_told_with_its_fees(venue, client, kind, price, more):
    exchange, _ = venue
    price = price and client.fetch_order_book(SYMBOL)["asks"][0][0] * price // 1
    order = client.create_order(SYMBOL, kind, "buy", 0.05, price, more)
    found = client.fetch_order(order["id"], SYMBOL)
    assert found["status"] == "closed" and found["filled"] == 0.05
    assert number(found["fee"]["cost"]) == sum(Decimal(one["fee"]) for one in events(exchange, order["id"], "filled"))
    check_trades(client.fetch_my_trades(SYMBOL), exchange, order["id"])
    assert order["id"] in [one["id"] for one in client.fetch_closed_orders(SYMBOL)]
    check_balances(client.fetch_balance(), exchange)


def test_a_market_order_may_be_given_in_the_quote_currency(venue, client):
    exchange, _ = venue
    order = client.create_market_buy_order_with_cost(SYMBOL, 1000)
    spent = sum(Decimal(one["price"]) * Decimal(one["quantity"]) for one in events(exchange, order["id"], "filled"))
    assert 999 < spent <= 1000


def test_an_immediate_order_that_finds_nothing_is_cancelled(venue, client):
    exchange, _ = venue
    order = client.create_order(SYMBOL, "limit", "buy", 0.05, far_below(exchange, SYMBOL), {"timeInForce": "IOC"})
    found = client.fetch_order(order["id"], SYMBOL)
    assert (found["status"], found["filled"]) == ("expired", 0)
    assert events(exchange, order["id"], "expired")[0]["reason"] == "no_liquidity"


def test_a_post_only_order_is_refused_where_it_would_take(venue, client):
    exchange, _ = venue
    with pytest.raises(ccxt.ExchangeError, match="EOrder:Post only order"):
        client.create_order(SYMBOL, "limit", "buy", 0.01, 90_000, {"postOnly": True})
    order = client.create_order(SYMBOL, "limit", "buy", 0.01, far_below(exchange, SYMBOL), {"postOnly": True})
    assert client.fetch_open_orders(SYMBOL)[0]["postOnly"] is True
    client.cancel_order(order["id"], SYMBOL)


@pytest.mark.parametrize("kind", ["limit", "market"])
def test_a_stop_order_waits(venue, client, kind):
    exchange, _ = venue
    price = far_below(exchange, SYMBOL)
    order = client.create_order(SYMBOL, kind, "sell", 0.01, price - 10 if kind == "limit" else None,
                                {"stopLossPrice": price})
    found = client.fetch_open_orders(SYMBOL)[0]
    assert (found["id"], found["stopLossPrice"], found["type"]) == (order["id"], price, kind)
    assert found["info"]["descr"]["ordertype"] == ("stop-loss-limit" if kind == "limit" else "stop-loss")
    client.cancel_order(order["id"], SYMBOL)


def test_refusals_have_the_words_that_ccxt_knows(venue, client):
    exchange, _ = venue
    price = far_below(exchange, SYMBOL)
    with pytest.raises(ccxt.InsufficientFunds):
        client.create_order(SYMBOL, "limit", "buy", 1000, price)
    with pytest.raises(ccxt.InvalidOrder):
        client.create_order(SYMBOL, "limit", "buy", 0.00001, price)
    wrong = client_of(ccxt, "kraken_v2", *venue)
    wrong.apiKey = "another"
    with pytest.raises(ccxt.AuthenticationError):
        wrong.fetch_balance()


def test_the_streams_tell_of_orders_trades_and_balances(venue):
    exchange, account = venue

    async def trade():
        client = client_of(ccxt.pro, "kraken_v2", exchange, account)
        known = {}

        async def remember():
            while True:
                for one in await client.watch_my_trades(SYMBOL):
                    known[one["id"]] = one

        async def seen(order_id, status):
            while True:
                for one in await client.watch_orders(SYMBOL):
                    if (one["id"], one["status"]) == (order_id, status):
                        return one

        listening = None
        try:
            async with asyncio.timeout(PATIENCE):
                await client.load_markets()
                balance = await client.watch_balance()
                listening = asyncio.create_task(remember())
                price = far_below(exchange, SYMBOL)
                resting = await client.create_order_ws(SYMBOL, "limit", "buy", 0.01, price)
                assert (await seen(resting["id"], "open"))["price"] == price
                await client.edit_order_ws(resting["id"], SYMBOL, "limit", "buy", 0.02, price - 1)
                assert Decimal(events(exchange, resting["id"], "amended")[0]["quantity"]) == number(0.02)
                await client.cancel_order_ws(resting["id"])
                await seen(resting["id"], "canceled")
                taken = await client.create_order_ws(SYMBOL, "market", "sell", 0.05)
                check_equal(await seen(taken["id"], "closed") | {"filled": 0.05}, exchange)
                while len([one for one in known.values() if one["order"] == taken["id"]]) < len(
                        events(exchange, taken["id"], "filled")):
                    await asyncio.sleep(0)
                check_trades(known.values(), exchange, taken["id"])
                while number(balance["USDT"]["total"]).quantize(number("1e-8")) != sum(
                        balances(exchange)["USDT"]).quantize(number("1e-8")):
                    balance = await client.watch_balance()
                check_balances(balance, exchange, ("BTC", "USDT"))
        finally:
            if listening is not None:
                listening.cancel()
            await client.close()

    asyncio.run(trade())
