"""Binance spot simulated: the rest of its order types and requests, its limits, its streams."""
import hashlib
import hmac
import json
from decimal import Decimal
from urllib.parse import urlencode

import pytest

from orderflow.simulator.accounts import AccountSettings
from orderflow.simulator.dialects import dialect
from orderflow.simulator.dialects.binance_limits import FIRST_BAN_NS, MINUTE_NS
from orderflow.simulator.dialects.binance_user_stream import LISTEN_KEY_NS
from orderflow.simulator.exchange import SECOND_NS
from orderflow.simulator.market import Market
from tests.test_simulator_orders import SECRET, SPOT, START_NS, BinanceTrader
from tests.test_simulator_passage import QUIET


class QuietTrader(BinanceTrader):
    """Trades where nobody else does; "two" is another account that it can send orders of."""

    def __init__(self):
        funds = {"USDT": "1000000", "BTC": "50"}
        accounts = [AccountSettings("KEY", SECRET, balances=funds, name="one"),
                    AccountSettings("TWO", SECRET, balances=funds, name="two")]
        self.exchange = dialect("binance_spot")(Market("one", [SPOT], 7, START_NS, QUIET), "one", accounts)
        self.now_ns, self.events = START_NS + SECOND_NS, []
        self.exchange.open(1, "/ws-api/v3", self.now_ns)
        assert self.call("userDataStream.subscribe.signature")["result"] == {"subscriptionId": 0}

    def other(self, side, price, quantity, **more):
        """An order of the other account."""
        return self.order(side, price, quantity, apiKey="TWO", **more)

    def trade_at(self, price):
        """Let others trade at a price."""
        self.other("SELL", price, "0.00100")
        self.other("BUY", price, "0.00100", selfTradePreventionMode="NONE")

    def rest(self, method, path, signed=True, key="KEY", **parameters):
        query = urlencode(parameters | ({"timestamp": self.now_ns // 1_000_000} if signed else {}))
        if signed:
            query += "&signature=" + hmac.new(SECRET.encode(), query.encode(), hashlib.sha256).hexdigest()
        return self.exchange.http(method, f"/api/v3{path}", query, {"x-mbx-apikey": key}, b"", self.now_ns)


def body(response):
    return json.loads(response.body)


@pytest.mark.parametrize("kind, side, stop, limit, before, after", [
    ("STOP_LOSS_LIMIT", "SELL", "59000.00", "58900.00", "60000.00", "59000.00"),
    ("STOP_LOSS", "SELL", "59000.00", None, "60000.00", "58990.00"),
    ("STOP_LOSS_LIMIT", "BUY", "61000.00", "61100.00", "60000.00", "61000.00"),
    ("TAKE_PROFIT_LIMIT", "SELL", "61000.00", "60900.00", "60000.00", "61010.00"),
    ("TAKE_PROFIT", "BUY", "59000.00", None, "60000.00", "59000.00"),
])
def test_a_conditional_order_waits_for_a_trade_and_then_works(kind, side, stop, limit, before, after):
    trader = QuietTrader()
    trader.trade_at(before)
    force = "GTC" if limit else None
    placed = trader.order(side, limit, "0.10000", force, type=kind, stopPrice=stop, newClientOrderId="stop",
                          newOrderRespType="RESULT")
    assert (placed["result"]["isWorking"], placed["result"]["type"], placed["result"]["stopPrice"]) == (
        False, kind, stop)
    assert [(one["x"], one["w"], one["P"]) for one in trader.reports()] == [("NEW", False, stop)]
    assert trader.exchange.source.books["BTCUSDT"].look()[0::2] == (None, None), "it is not in the book"
    trader.trade_at(after)
    state = trader.call("order.status", {"symbol": "BTCUSDT", "origClientOrderId": "stop"})["result"]
    assert state["isWorking"] or state["status"] == "EXPIRED"
    events = [one["event"] for one in trader.exchange.desk.log if one["client_order_id"] == "stop"]
    assert events == ["accepted", "triggered"] + ([] if limit else ["expired"]), "nobody is there for the market order"
    for account in trader.exchange.desk.accounts:
        assert all(amount >= 0 for amount in account.locked.values())


def test_a_stop_that_is_met_already_is_refused():
    trader = QuietTrader()
    trader.trade_at("60000.00")
    error = trader.order("SELL", "60400.00", "0.1", type="STOP_LOSS_LIMIT", stopPrice="60500.00")["error"]
    assert error == {"code": -2010, "msg": "Order would trigger immediately."}


def test_a_triggered_purchase_that_cannot_be_paid_is_rejected():
    trader = QuietTrader()
    trader.trade_at("60000.00")
    trader.order("BUY", None, "16.00000", None, type="STOP_LOSS", stopPrice="60500.00", newClientOrderId="stop")
    trader.other("SELL", "70000.00", "40.00000")
    trader.other("BUY", "60500.00", "0.00100")
    trader.other("SELL", "60500.00", "0.00100")
    last = trader.reports()[-1]
    assert (last["x"], last["X"], last["r"], last["z"]) == ("REJECTED", "REJECTED", "INSUFFICIENT_BALANCES", "0.00000")
    assert trader.balances()["USDT"][1] == 0


def test_stops_set_each_other_off_in_the_order_of_their_coming():
    trader = QuietTrader()
    trader.trade_at("60000.00")
    for number, stop in enumerate(("59000.00", "58000.00")):
        trader.order("SELL", None, "0.10000", None, type="STOP_LOSS", stopPrice=stop, newClientOrderId=f"stop-{number}")
    trader.other("BUY", "58000.00", "0.15000")
    trader.other("BUY", "57000.00", "1.00000")
    trader.other("SELL", "59000.00", "0.00100")
    trader.other("BUY", "59000.00", "0.00100")
    filled = [(one["client_order_id"], one["price"], one["quantity"]) for one in trader.exchange.desk.log
              if one["event"] == "filled" and one["client_order_id"].startswith("stop")]
    assert filled == [("stop-0", "58000.00", "0.10000"), ("stop-1", "58000.00", "0.05000"),
                      ("stop-1", "57000.00", "0.05000")]


def test_a_market_order_may_be_given_in_the_quote_currency():
    trader = QuietTrader()
    trader.other("SELL", "60000.00", "0.01000")
    trader.other("SELL", "61000.00", "1.00000")
    result = trader.order(price=None, quantity=None, force=None, type="MARKET", quoteOrderQty="1000")["result"]
    assert (result["executedQty"], result["cummulativeQuoteQty"], result["status"]) == (
        "0.01650", "996.5000000", "FILLED"), "0.01 at 60000 and 0.0065 at 61000: whole lots of 0.0001"
    assert result["origQuoteOrderQty"] == "1000.0000000"
    error = trader.order(price=None, quantity="1", force=None, type="MARKET", quoteOrderQty="1000")["error"]
    assert error["code"] == -1106


@pytest.mark.parametrize("changed, code", [
    ({"icebergQty": "0.01000", "timeInForce": "IOC"}, -1115), ({"icebergQty": "0.00400"}, -1013),
    ({"stopPrice": "1.00"}, -1106), ({"trailingDelta": "10"}, -2010), ({"selfTradePreventionMode": "NO"}, -2010),
    ({"type": "STOP_LOSS_LIMIT"}, -1102), ({"type": "MARKET", "price": None, "timeInForce": None, "quantity": None},
                                           -1102),
])
def test_orders_are_refused_in_its_words(changed, code):
    trader = QuietTrader()
    assert trader.order("BUY", **{"price": "50000.00"} | changed)["error"]["code"] == code
    assert trader.exchange.desk.log == []


def test_an_iceberg_shows_a_part_of_itself():
    trader = QuietTrader()
    trader.order("SELL", "60000.00", "1.00000", icebergQty="0.20000", newClientOrderId="ice")
    assert trader.exchange.source.top(SPOT, 5) == ([], [("60000.00", "0.20000")])
    trader.other("BUY", "60000.00", "0.30000")
    assert trader.exchange.source.top(SPOT, 5) == ([], [("60000.00", "0.10000")])
    state = trader.call("order.status", {"symbol": "BTCUSDT", "origClientOrderId": "ice"})["result"]
    assert (state["executedQty"], state["icebergQty"], state["status"]) == ("0.30000", "0.20000", "PARTIALLY_FILLED")


@pytest.mark.parametrize("mode, taker, maker", [
    ("NONE", ("FILLED", "0.20000"), ("PARTIALLY_FILLED", "0.20000")),
    ("EXPIRE_TAKER", ("EXPIRED_IN_MATCH", "0.00000"), ("NEW", "0.00000")),
    ("EXPIRE_MAKER", ("NEW", "0.00000"), ("EXPIRED_IN_MATCH", "0.00000")),
    ("EXPIRE_BOTH", ("EXPIRED_IN_MATCH", "0.00000"), ("EXPIRED_IN_MATCH", "0.00000")),
    ("DECREMENT", ("EXPIRED_IN_MATCH", "0.00000"), ("NEW", "0.00000")),
])
def test_self_trade_prevention(mode, taker, maker):
    trader = QuietTrader()
    trader.order("SELL", "60000.00", "0.50000", newClientOrderId="maker")
    answer = trader.order("BUY", "60000.00", "0.20000", newClientOrderId="taker", selfTradePreventionMode=mode)
    told = {report["c"]: (report["X"], report["z"]) for report in trader.reports()}
    assert told["taker"] == taker and told.get("maker", ("NEW", "0.00000")) == maker
    assert (answer["result"]["status"], answer["result"]["selfTradePreventionMode"]) == (taker[0], mode)
    prevented = [report for report in trader.reports() if report["x"] == "TRADE_PREVENTION"]
    assert len(prevented) == {"NONE": 0, "EXPIRE_BOTH": 2, "DECREMENT": 2}.get(mode, 1)
    if mode == "DECREMENT":
        assert {report["c"]: report["A"] for report in prevented} == {"maker": "0.20000", "taker": "0.20000"}
        assert trader.exchange.source.top(SPOT, 5) == ([], [("60000.00", "0.30000")])


def test_cancel_replace_does_its_two_halves_one_by_one():
    trader = QuietTrader()

    def replace(mode, price="50000.00", old="of-1", new="of-2"):
        return trader.call("order.cancelReplace", {
            "symbol": "BTCUSDT", "cancelReplaceMode": mode, "cancelOrigClientOrderId": old, "side": "BUY",
            "type": "LIMIT", "timeInForce": "GTC", "price": price, "quantity": "1.00000", "newClientOrderId": new,
            "cancelNewClientOrderId": "why"})

    trader.order(price="50000.00", newClientOrderId="of-1")
    result = replace("STOP_ON_FAILURE")["result"]
    assert (result["cancelResult"], result["newOrderResult"]) == ("SUCCESS", "SUCCESS")
    assert result["cancelResponse"]["clientOrderId"] == "why" and result["newOrderResponse"]["clientOrderId"] == "of-2"
    assert [report["x"] for report in trader.reports()] == ["CANCELED", "NEW"]
    answer = replace("STOP_ON_FAILURE", new="of-3")
    assert (answer["status"], answer["error"]["code"]) == (400, -2022)
    assert answer["error"]["data"]["newOrderResult"] == "NOT_ATTEMPTED"
    answer = replace("ALLOW_FAILURE", new="of-3")
    assert (answer["status"], answer["error"]["code"], answer["error"]["data"]["newOrderResult"]) == (
        409, -2021, "SUCCESS")
    answer = replace("STOP_ON_FAILURE", price="60000.50", old="of-3", new="of-4")
    assert (answer["status"], answer["error"]["code"]) == (409, -2021)
    assert answer["error"]["data"]["newOrderResponse"]["code"] == -1013
    assert [one["clientOrderId"] for one in trader.call("openOrders.status")["result"]] == ["of-2"]


def test_an_amendment_keeps_the_turn_and_is_reported():
    trader = QuietTrader()
    trader.order("SELL", "60000.00", "1.00000", newClientOrderId="of-1")
    trader.other("SELL", "60000.00", "1.00000")

    def amend(quantity):
        return trader.call("order.amend.keepPriority", {"symbol": "BTCUSDT", "origClientOrderId": "of-1",
                                                        "newQty": quantity})

    amended = amend("0.40000")["result"]["amendedOrder"]
    assert (amended["qty"], amended["status"]) == ("0.40000", "NEW")
    assert [(one["x"], one["q"]) for one in trader.reports()] == [("REPLACED", "0.40000")]
    assert trader.balances()["BTC"] == (Decimal("49.6"), Decimal("0.4"))
    assert amend("0.50000")["error"]["code"] == -2038 and amend("0.40000")["error"]["code"] == -2038
    trader.other("BUY", "60000.00", "0.40000")
    assert trader.reports()[-1]["X"] == "FILLED", "it was still the first"
    assert amend("0.10000")["error"]["code"] == -2013


def test_a_cancel_may_be_restricted_and_has_its_own_id():
    trader = QuietTrader()
    trader.order(price="50000.00", newClientOrderId="of-1")
    wanted = {"symbol": "BTCUSDT", "origClientOrderId": "of-1", "newClientOrderId": "why"}
    error = trader.call("order.cancel", wanted | {"cancelRestrictions": "ONLY_PARTIALLY_FILLED"})["error"]
    assert error["code"] == -2011
    result = trader.call("order.cancel", wanted | {"cancelRestrictions": "ONLY_NEW"})["result"]
    assert (result["clientOrderId"], result["origClientOrderId"]) == ("why", "of-1")
    assert [(one["c"], one["C"]) for one in trader.reports()] == [("why", "of-1")]


def test_orders_and_trades_of_the_past_are_found():
    trader = QuietTrader()
    for number in range(5):
        trader.later(1)
        trader.other("SELL", "60000.00", "0.10000")
        trader.order("BUY", "60000.00", "0.10000", newClientOrderId=f"of-{number}")
    trades = trader.call("myTrades", {"symbol": "BTCUSDT"})["result"]
    times = [one["time"] for one in trades]
    assert len(trades) == 5 and times == sorted(set(times)) and not any(one["isMaker"] for one in trades)
    for chosen, count in (({"fromId": trades[3]["id"]}, 2), ({"limit": 2}, 2), ({"startTime": times[1]}, 4),
                          ({"orderId": trades[0]["orderId"]}, 1), ({"startTime": times[1], "endTime": times[2]}, 2)):
        found = trader.call("myTrades", {"symbol": "BTCUSDT"} | {name: str(one) for name, one in chosen.items()})
        assert len(found["result"]) == count, chosen
    assert trader.call("myTrades", {"symbol": "BTCUSDT", "startTime": 0, "endTime": times[0]})["error"]["code"] == -1127
    everything = trader.call("allOrders", {"symbol": "BTCUSDT"})["result"]
    assert [one["clientOrderId"] for one in everything] == [f"of-{number}" for number in range(5)]
    later = trader.call("allOrders", {"symbol": "BTCUSDT", "orderId": str(everything[3]["orderId"])})["result"]
    assert [one["clientOrderId"] for one in later] == ["of-3", "of-4"]
    assert trader.call("account.commission", {"symbol": "BTCUSDT"})["result"]["standardCommission"]["taker"] == (
        "0.00100000")


def test_an_order_may_be_tried_without_being_placed():
    trader = QuietTrader()
    wanted = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "50000.00",
              "quantity": "0.1"}
    assert trader.call("order.test", wanted)["result"] == {} and trader.exchange.desk.log == []
    assert trader.call("order.test", wanted | {"price": "50000.50"})["error"]["code"] == -1013


# -- limits ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method, path, parameters, weight", [
    ("GET", "/depth", {"symbol": "BTCUSDT", "limit": 100}, 5),
    ("GET", "/depth", {"symbol": "BTCUSDT", "limit": 500}, 25),
    ("GET", "/depth", {"symbol": "BTCUSDT", "limit": 1000}, 50),
    ("GET", "/depth", {"symbol": "BTCUSDT", "limit": 5000}, 250), ("GET", "/exchangeInfo", {}, 20),
    ("GET", "/time", {}, 1), ("GET", "/account", {}, 20), ("GET", "/openOrders", {}, 80),
    ("GET", "/openOrders", {"symbol": "BTCUSDT"}, 6), ("GET", "/myTrades", {"symbol": "BTCUSDT"}, 20),
    ("GET", "/myTrades", {"symbol": "BTCUSDT", "orderId": 1}, 5), ("GET", "/allOrders", {"symbol": "BTCUSDT"}, 20),
    ("GET", "/order", {"symbol": "BTCUSDT", "orderId": 1}, 4), ("DELETE", "/openOrders", {"symbol": "BTCUSDT"}, 1),
    ("GET", "/rateLimit/order", {}, 40), ("POST", "/userDataStream", {}, 2),
])
def test_requests_have_their_weights(method, path, parameters, weight):
    trader = QuietTrader()
    trader.later(60)
    public = path in ("/depth", "/exchangeInfo", "/time", "/userDataStream")
    answer = trader.rest(method, path, signed=not public, **parameters)
    assert answer.headers["X-MBX-USED-WEIGHT-1M"] == str(weight)


def test_who_goes_on_after_429_is_banned():
    trader = QuietTrader()
    statuses = [trader.rest("GET", "/depth", signed=False, symbol="BTCUSDT", limit=5000).status for _ in range(23)]
    assert statuses == [200] * 23
    refused = [trader.rest("GET", "/openOrders") for _ in range(14)]
    assert [answer.status for answer in refused] == [200] * 3 + [429] * 10 + [418], "246 are left of 6000: 80 each"
    left_ns = MINUTE_NS - trader.now_ns % MINUTE_NS
    assert refused[3].headers["Retry-After"] == str(-(-left_ns // SECOND_NS)) and body(refused[3])["code"] == -1003
    assert refused[-1].headers["Retry-After"] == str(FIRST_BAN_NS // SECOND_NS)
    answer = trader.order(price="50000.00")
    assert (answer["status"], answer["error"]["code"]) == (418, -1003), "the WebSocket API is of the same address"
    trader.later(60)
    assert trader.rest("GET", "/time", signed=False).status == 418
    trader.later(61)
    assert trader.rest("GET", "/time", signed=False).status == 200


def test_orders_are_counted_and_told():
    trader = QuietTrader()
    trader.other("SELL", "60000.00", "1.00000")
    assert trader.order(price="50000.00", quantity="0.10000")["rateLimits"][0]["count"] == 1
    assert trader.order(price="60000.00", quantity="0.10000")["rateLimits"][0]["count"] == 1, "a fill gives it back"
    answer = trader.rest("POST", "/order", symbol="BTCUSDT", side="BUY", type="LIMIT", timeInForce="GTC",
                         price="50000.00", quantity="0.1")
    assert (answer.headers["X-MBX-ORDER-COUNT-10S"], answer.headers["X-MBX-ORDER-COUNT-1D"]) == ("2", "2")
    limits = body(trader.rest("GET", "/exchangeInfo", signed=False))["rateLimits"]
    assert [(one["rateLimitType"], one["interval"], one["intervalNum"], one["limit"]) for one in limits] == [
        ("REQUEST_WEIGHT", "MINUTE", 1, 6000), ("ORDERS", "SECOND", 10, 100), ("ORDERS", "DAY", 1, 200_000)]


def test_no_more_orders_are_open_than_its_filter_says():
    trader = QuietTrader()
    for number in range(200):
        if number == 100:
            trader.later(10)
        assert trader.order(price="50000.00", quantity="0.00100", newClientOrderId=f"of-{number}")["status"] == 200
    trader.later(10)
    assert trader.order(price="50000.00", quantity="0.00100")["error"]["msg"] == "Filter failure: MAX_NUM_ORDERS"


# -- listen keys -------------------------------------------------------------------------------------------------------


def heard(trader, number=2):
    return [json.loads(frame) for one, frame in trader.exchange.drain() if one == number and isinstance(frame, str)]


def test_a_listen_key_names_a_stream_until_it_expires():
    trader = QuietTrader()
    key = body(trader.rest("POST", "/userDataStream", signed=False))["listenKey"]
    assert body(trader.rest("POST", "/userDataStream", signed=False))["listenKey"] == key
    trader.exchange.open(2, f"/ws/{key}", trader.now_ns)
    trader.exchange.open(3, f"/stream?streams={key}", trader.now_ns)
    trader.rest("POST", "/order", symbol="BTCUSDT", side="BUY", type="LIMIT", timeInForce="GTC", price="50000.00",
                quantity="0.1")
    frames = trader.exchange.drain()
    plain, wrapped = ([json.loads(frame) for one, frame in frames if one == number] for number in (2, 3))
    assert [one["e"] for one in plain] == ["executionReport", "outboundAccountPosition"]
    assert [one["data"] for one in wrapped] == plain and {one["stream"] for one in wrapped} == {key}
    trader.now_ns += LISTEN_KEY_NS - SECOND_NS
    assert trader.rest("PUT", "/userDataStream", signed=False, listenKey=key).status == 200
    trader.now_ns += LISTEN_KEY_NS
    trader.exchange.advance(trader.now_ns)
    assert {"e": "listenKeyExpired", "E": trader.now_ns // 10**6, "listenKey": key} in heard(trader)
    trader.rest("POST", "/order", symbol="BTCUSDT", side="BUY", type="LIMIT", timeInForce="GTC", price="50000.00",
                quantity="0.1")
    assert not any("executionReport" in json.dumps(one) for one in heard(trader))
    assert body(trader.rest("PUT", "/userDataStream", signed=False, listenKey=key))["code"] == -1125


def test_a_listen_key_is_nobody_elses():
    trader = QuietTrader()
    key = body(trader.rest("POST", "/userDataStream", signed=False))["listenKey"]
    assert body(trader.rest("DELETE", "/userDataStream", signed=False, key="TWO", listenKey=key))["code"] == -1125
    assert trader.rest("DELETE", "/userDataStream", signed=False, listenKey=key).status == 200
    assert trader.rest("POST", "/userDataStream", signed=False, key="NOBODY").status == 401
