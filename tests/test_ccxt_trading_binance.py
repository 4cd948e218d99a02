"""ccxt trades at the simulated Binance spot, and everything it is told is what truly happened."""
import asyncio

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
    fills,
    number,
    start_venue,
)

PATIENCE = 20
SYMBOL = "BTC/USDT"


@pytest.fixture(scope="module")
def venue():
    exchange, account = start_venue("binance_spot", funds="100000")
    yield exchange, account
    exchange.stop()


@pytest.fixture
def client(venue):
    return client_of(ccxt, "binance_spot", *venue)


def test_a_limit_order_rests_is_found_and_is_cancelled(venue, client):
    exchange, _ = venue
    price = far_below(exchange, "BTCUSDT")
    order = client.create_order(SYMBOL, "limit", "buy", 0.01, price, {"newClientOrderId": "ccxt-1"})
    assert (order["status"], order["clientOrderId"], number(order["remaining"])) == ("open", "ccxt-1", number(0.01))
    assert events(exchange, order["id"], "accepted")[0]["client_order_id"] == "ccxt-1"
    assert balances(exchange)["USDT"][1] == number(price) * number(0.01)
    assert [one["id"] for one in client.fetch_open_orders(SYMBOL)] == [order["id"]]
    assert client.fetch_order(order["id"], SYMBOL)["price"] == price
    check_balances(client.fetch_balance(), exchange)
    assert client.cancel_order(order["id"], SYMBOL)["status"] == "canceled"
    assert client.fetch_open_orders(SYMBOL) == [] and balances(exchange)["USDT"][1] == 0
    assert client.fetch_order(order["id"], SYMBOL)["status"] == "canceled"
    with pytest.raises(ccxt.OrderNotFound):
        client.cancel_order(order["id"], SYMBOL)


@pytest.mark.parametrize("kind, price, more", [("market", None, {}), ("limit", 1.02, {"timeInForce": "IOC"})])
def test_what_was_taken_at_once_is_told_with_its_fees(venue, client, kind, price, more):
    exchange, _ = venue
    price = price and client.price_to_precision(SYMBOL, client.fetch_order_book(SYMBOL)["asks"][0][0] * price)
    order = client.create_order(SYMBOL, kind, "buy", 0.05, price, more)
    assert order["status"] == "closed" and order["filled"] == 0.05
    check_equal(order, exchange)
    assert sorted((number(one["price"]), number(one["amount"])) for one in order["trades"]) == sorted(
        (price, quantity) for price, quantity, *_ in fills(exchange, order["id"]))
    check_trades(client.fetch_my_trades(SYMBOL), exchange, order["id"])
    assert order["id"] in [one["id"] for one in client.fetch_closed_orders(SYMBOL)]
    check_balances(client.fetch_balance(), exchange)


def test_a_market_order_may_be_given_in_the_quote_currency(venue, client):
    exchange, _ = venue
    order = client.create_market_buy_order_with_cost(SYMBOL, 1000)
    check_equal(order, exchange)
    assert 990 < order["cost"] <= 1000


def test_an_immediate_order_that_finds_nothing_expires(venue, client):
    exchange, _ = venue
    order = client.create_order(SYMBOL, "limit", "buy", 0.05, far_below(exchange, "BTCUSDT"), {"timeInForce": "IOC"})
    assert (order["status"], order["filled"]) == ("expired", 0)
    assert events(exchange, order["id"], "expired")[0]["reason"] == "no_liquidity"


def test_a_post_only_order_is_refused_where_it_would_take(venue, client):
    exchange, _ = venue
    ask = client.fetch_order_book(SYMBOL)["asks"][0][0]
    with pytest.raises(ccxt.OrderImmediatelyFillable):
        client.create_order(SYMBOL, "limit", "buy", 0.01, ask * 1.05 // 1, {"postOnly": True})
    order = client.create_order(SYMBOL, "limit", "buy", 0.01, far_below(exchange, "BTCUSDT"), {"postOnly": True})
    assert client.fetch_order(order["id"], SYMBOL)["postOnly"] is True
    client.cancel_all_orders(SYMBOL)


def test_an_edit_replaces_an_order(venue, client):
    exchange, _ = venue
    price = far_below(exchange, "BTCUSDT")
    first = client.create_order(SYMBOL, "limit", "buy", 0.01, price)
    second = client.edit_order(first["id"], SYMBOL, "limit", "buy", 0.02, price - 1)
    assert second["id"] != first["id"] and (second["amount"], second["price"]) == (0.02, price - 1)
    assert events(exchange, first["id"], "canceled") and events(exchange, second["id"], "accepted")
    assert [one["id"] for one in client.fetch_open_orders(SYMBOL)] == [second["id"]]
    assert balances(exchange)["USDT"][1] == number(price - 1) * number(0.02)
    client.cancel_order(second["id"], SYMBOL)


@pytest.mark.parametrize("kind, name", [("limit", "STOP_LOSS_LIMIT"), ("market", "STOP_LOSS")])
def test_a_stop_order_waits(venue, client, kind, name):
    exchange, _ = venue
    price = far_below(exchange, "BTCUSDT")
    limit = price - 10 if kind == "limit" else None
    order = client.create_order(SYMBOL, kind, "sell", 0.01, limit, {"stopLossPrice": price})
    found = client.fetch_open_orders(SYMBOL)[0]
    assert (found["id"], found["triggerPrice"], found["info"]["type"]) == (order["id"], price, name)
    client.cancel_order(order["id"], SYMBOL)
    with pytest.raises(ccxt.OrderImmediatelyFillable):
        client.create_order(SYMBOL, kind, "sell", 0.01, limit, {"takeProfitPrice": price})


def test_refusals_have_the_words_that_ccxt_knows(venue, client):
    exchange, _ = venue
    price = far_below(exchange, "BTCUSDT")
    with pytest.raises(ccxt.InsufficientFunds):
        client.create_order(SYMBOL, "limit", "buy", 1000, price)
    with pytest.raises(ccxt.OrderNotFound):
        client.fetch_order("123456789", SYMBOL)
    client.create_order(SYMBOL, "limit", "buy", 0.01, price, {"newClientOrderId": "twice"})
    with pytest.raises(ccxt.InvalidOrder, match="Duplicate order sent"):
        client.create_order(SYMBOL, "limit", "buy", 0.01, price, {"newClientOrderId": "twice"})
    client.cancel_all_orders(SYMBOL)
    wrong = client_of(ccxt, "binance_spot", *venue)
    wrong.secret = "another"
    with pytest.raises(ccxt.AuthenticationError):
        wrong.fetch_balance()


def test_the_streams_tell_of_orders_trades_and_balances(venue):
    exchange, account = venue

    async def trade():
        client = client_of(ccxt.pro, "binance_spot", exchange, account)
        known, told = {}, asyncio.Queue()

        async def remember_trades():
            while True:
                for one in await client.watch_my_trades(SYMBOL):
                    known[one["id"]] = one

        async def remember_orders():
            while True:
                for one in await client.watch_orders(SYMBOL):
                    told.put_nowait(dict(one))

        async def seen(order_id, status):
            while True:
                one = await told.get()
                if (one["id"], one["status"]) == (order_id, status):
                    return one

        listening = []
        try:
            async with asyncio.timeout(PATIENCE):
                await client.load_markets()
                await client.authenticate()
                listening = [asyncio.create_task(remember_trades()), asyncio.create_task(remember_orders())]
                held = asyncio.create_task(client.watch_balance())
                price = far_below(exchange, "BTCUSDT")
                resting = await client.create_order_ws(SYMBOL, "limit", "buy", 0.01, price)
                assert resting["status"] == "open"
                assert (await seen(resting["id"], "open"))["price"] == price
                found = await client.fetch_open_orders_ws(SYMBOL)
                assert [one["id"] for one in found] == [resting["id"]]
                edited = await client.edit_order_ws(resting["id"], SYMBOL, "limit", "buy", 0.02, price - 1)
                assert edited["amount"] == 0.02
                await seen(resting["id"], "canceled")
                assert (await client.cancel_order_ws(edited["id"], SYMBOL))["status"] == "canceled"
                taken = await client.create_order_ws(SYMBOL, "market", "sell", 0.05)
                check_equal(taken, exchange)
                check_equal(await seen(taken["id"], "closed"), exchange)
                while len([one for one in known.values() if one["order"] == taken["id"]]) < len(
                        events(exchange, taken["id"], "filled")):
                    await asyncio.sleep(0)
                check_trades(known.values(), exchange, taken["id"])
                balance = await held
                while number(balance["USDT"]["total"]).quantize(number("1e-8")) != sum(
                        balances(exchange)["USDT"]).quantize(number("1e-8")):
                    balance = await client.watch_balance()
                check_balances(balance, exchange, ("BTC", "USDT"))
        finally:
            for task in listening:
                task.cancel()
            await client.close()

    asyncio.run(trade())
