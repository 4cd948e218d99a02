"""Kraken spot simulated: the rest of its order types and requests over both doors, its counters, tokens, channels."""
import hashlib
import hmac
import json
from base64 import b64encode
from decimal import Decimal
from urllib.parse import urlencode

import pytest

from orderflow.simulator.accounts import AccountSettings
from orderflow.simulator.dialects import dialect
from orderflow.simulator.exchange import SECOND_NS
from orderflow.simulator.market import Market
from tests.test_simulator_orders import KRAKEN, SECRET, START_NS, KrakenTrader
from tests.test_simulator_passage import QUIET

SYMBOL = "BTC/USD"


class QuietTrader(KrakenTrader):
    """Trades where nobody else does; "TWO" is the key of another account."""

    def __init__(self, tier="pro", **subscription):
        funds = {"USD": "1000000", "BTC": "50"}
        accounts = [AccountSettings("KEY", SECRET, balances=funds, name="one", tier=tier),
                    AccountSettings("TWO", SECRET, balances=funds, name="two")]
        self.exchange = dialect("kraken_v2")(Market("one", [KRAKEN], 7, START_NS, QUIET), "one", accounts)
        self.now_ns, self.nonce = START_NS + SECOND_NS, 0
        self.exchange.open(1, "/v2", self.now_ns)
        self.token = self.rest("GetWebSocketsToken")["result"]["token"]
        self.theirs = self.rest("GetWebSocketsToken", key="TWO")["result"]["token"]
        self.exchange.drain()
        self.call("subscribe", channel="executions", **subscription)

    def rest(self, name, key="KEY", **parameters):
        self.nonce += 1
        body = urlencode({"nonce": self.nonce} | parameters)
        path = f"/0/private/{name}"
        digest = path.encode() + hashlib.sha256(f"{self.nonce}{body}".encode()).digest()
        signed = b64encode(hmac.new(b"a secret of some length", digest, hashlib.sha512).digest()).decode()
        answer = self.exchange.http("POST", path, "", {"api-key": key, "api-sign": signed}, body.encode(), self.now_ns)
        return json.loads(answer.body, parse_float=Decimal)

    def other(self, side, price, quantity):
        """An order of the other account."""
        return self.order(side=side, limit_price=price, order_qty=quantity, cl_ord_id=None, token=self.theirs)

    def trade_at(self, price):
        """Let others trade at a price."""
        self.order(side="sell", limit_price=price, order_qty=0.001, cl_ord_id=None)
        self.other("buy", price, 0.001)

    def later(self, seconds):
        self.now_ns += int(seconds * SECOND_NS)
        self.exchange.advance(self.now_ns)
        self.exchange.drain()

    def items(self):
        return [item for message in self.executions for item in message["data"]]

    def resting(self):
        bids, asks = self.exchange.source.top(KRAKEN, 5)
        return bids + asks


# -- order types, over the websocket -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind, side, stop, limit, met", [
    ("stop-loss", "sell", 59000, None, 59000), ("stop-loss-limit", "sell", 59000, 58000, 58999),
    ("take-profit", "buy", 59000, None, 58000), ("take-profit-limit", "sell", 61000, 60500, 61000),
])
def test_a_conditional_order_waits_for_a_trade_and_then_works(kind, side, stop, limit, met):
    trader = QuietTrader()
    trader.trade_at(60000)
    trader.order(order_type=kind, side=side, limit_price=limit, order_qty=0.1, cl_ord_id="stop",
                 triggers={"reference": "last", "price": stop})
    first = trader.items()[0]
    assert (first["order_type"], first["stop_price"], first["triggers"]["status"]) == (kind, stop, "untriggered")
    assert trader.resting() == []
    trader.trade_at(met)
    told = [item for item in trader.items() if item.get("triggers")]
    assert told[0]["triggers"]["status"] == "triggered"
    events = [one["event"] for one in trader.exchange.desk.log if one["client_order_id"] == "stop"]
    assert events == ["accepted", "triggered"] + ([] if limit else ["expired"])
    assert (trader.resting() != []) == bool(limit)


def test_a_stop_that_is_met_already_is_set_off_at_once():
    trader = QuietTrader()
    trader.trade_at(60000)
    trader.other("buy", 59000, 1)
    trader.order(order_type="stop-loss", side="sell", limit_price=None, order_qty=0.1,
                 triggers={"reference": "last", "price": 60500})
    assert trader.items()[-1]["exec_type"] == "filled"


def test_an_iceberg_shows_a_part_of_itself():
    trader = QuietTrader()
    assert trader.order(order_type="iceberg", side="sell", limit_price=60000, order_qty=1, display_qty=0.05)[
        "error"] == "EGeneral:Invalid arguments:display_qty", "at least a fifteenth"
    trader.order(order_type="iceberg", side="sell", limit_price=60000, order_qty=1, display_qty=0.2)
    assert trader.items()[0]["order_type"] == "iceberg" and trader.items()[0]["display_qty"] == Decimal("0.2")
    assert trader.resting() == [("60000.0", "0.20000000")]
    trader.other("buy", 60000, 0.3)
    assert trader.resting() == [("60000.0", "0.10000000")]
    mine = [item["exec_type"] for item in trader.items() if item["side"] == "sell"]
    assert mine == ["trade", "iceberg_refill", "trade"]


@pytest.mark.parametrize("kind, taker, maker", [
    ("cancel_newest", "canceled", "open"), ("cancel_oldest", "open", "canceled"),
    ("cancel_both", "canceled", "canceled"), (None, "canceled", "open")])
def test_self_trade_prevention(kind, taker, maker):
    trader = QuietTrader()
    trader.order(side="sell", limit_price=60000, cl_ord_id="maker")
    trader.order(side="buy", limit_price=60000, cl_ord_id="taker", stp_type=kind)
    ends = {item["cl_ord_id"]: item["reason"] for item in trader.items() if item["exec_type"] == "canceled"}
    assert ends == {name: "Self trade prevention" for name, fate in (("taker", taker), ("maker", maker))
                    if fate == "canceled"}
    states = {one["cl_ord_id"] for one in trader.rest("OpenOrders")["result"]["open"].values()}
    assert states == {name for name, fate in (("taker", taker), ("maker", maker)) if fate == "open"}


def test_a_purchase_may_be_given_in_the_quote_currency_and_its_fee_be_taken_in_the_base():
    trader = QuietTrader()
    trader.other("sell", 60000, 1)
    trader.order(order_type="market", limit_price=None, order_qty=None, cash_order_qty=600, fee_preference="base")
    trade, = (item for item in trader.items() if item["exec_type"] == "trade")
    assert (trade["last_qty"], trade["fees"]) == (Decimal("0.01"), [{"asset": "BTC", "qty": Decimal("0.00004")}])
    balances = trader.rest("BalanceEx")["result"]
    assert Decimal(balances["XXBT"]["balance"]) == Decimal("50.00996")
    assert Decimal(balances["ZUSD"]["balance"]) == 999_400 and Decimal(balances["ZUSD"]["hold_trade"]) == 0


@pytest.mark.parametrize("changed, name", [
    ({"order_type": "trailing-stop"}, "order_type"), ({"stp_type": "none"}, "stp_type"),
    ({"order_type": "stop-loss"}, "triggers"), ({"order_userref": "seven", "cl_ord_id": None}, "order_userref"),
    ({"order_userref": 7}, "cl_ord_id and order_userref are mutually exclusive"), ({"margin": True}, "margin"),
    ({"order_type": "stop-loss", "triggers": {"price": 1, "reference": "index"}}, "triggers"),
    ({"cash_order_qty": 100}, "cash_order_qty"), ({"conditional": {"order_type": "limit"}}, "conditional"),
    ({"time_in_force": "gtd", "expire_time": "2001-01-01T00:00:00Z"}, "expire_time")])
def test_arguments_that_are_not_right_are_named(changed, name):
    trader = QuietTrader()
    assert trader.order(limit_price=50000, **changed)["error"] == f"EGeneral:Invalid arguments:{name}"
    assert trader.exchange.desk.log == []


# -- changes -----------------------------------------------------------------------------------------------------------


def test_an_amendment_keeps_id_and_turn():
    trader = QuietTrader()
    name = trader.order(side="sell", limit_price=60000, order_qty=1)["result"]["order_id"]
    trader.other("sell", 60000, 1)
    answer = trader.call("amend_order", order_id=name, order_qty=0.4)
    assert answer["success"] and answer["result"]["order_id"] == name and answer["result"]["amend_id"].startswith("T")
    assert [(item["exec_type"], item["order_qty"]) for item in trader.items()] == [("amended", Decimal("0.4"))]
    trader.other("buy", 60000, 0.4)
    assert trader.items()[-1]["exec_type"] == "filled" and trader.items()[-1]["order_id"] == name
    assert trader.call("amend_order", order_id=name, order_qty=0.3)["error"] == "EOrder:Unknown order"


def test_an_amendment_may_move_an_order_and_is_refused_where_it_would_take():
    trader = QuietTrader()
    trader.other("sell", 60000, 1)
    trader.order(limit_price=50000, cl_ord_id="of-1", post_only=True)
    assert trader.call("amend_order", cl_ord_id="of-1", limit_price=60000)["error"] == "EOrder:Post only order"
    assert trader.call("amend_order", cl_ord_id="of-1", limit_price=60000, post_only=False)["success"]
    assert [item["exec_type"] for item in trader.items()] == ["amended", "trade", "filled"]
    assert trader.call("amend_order", cl_ord_id="of-1", limit_price=60000)["error"] == "EOrder:Unknown order"


def test_an_edit_is_a_new_order_with_what_is_left():
    trader = QuietTrader()
    old = trader.order(side="sell", limit_price=60000, order_qty=1)["result"]["order_id"]
    trader.other("buy", 60000, 0.25)
    answer = trader.call("edit_order", order_id=old, symbol=SYMBOL, order_qty=1, limit_price=61000)
    new = answer["result"]["order_id"]
    assert answer["result"]["original_order_id"] == old != new
    assert [(item["exec_type"], item["order_id"]) for item in trader.items()] == [
        ("canceled", old), ("pending_new", new), ("new", new)]
    assert trader.items()[0]["reason"] == "Order replaced"
    assert trader.resting() == [("61000.0", "0.75000000")]
    answer = trader.call("edit_order", order_id=new, symbol=SYMBOL, order_qty=1000)
    assert answer["error"] == "EOrder:Insufficient funds" and trader.resting() == [("61000.0", "0.75000000")]


def test_a_batch_is_looked_at_as_a_whole_and_placed_one_by_one():
    trader = QuietTrader()

    def wanted(name, price=50000, quantity=0.1):
        return {"order_type": "limit", "side": "buy", "order_qty": quantity, "limit_price": price, "cl_ord_id": name}

    answer = trader.call("batch_add", symbol=SYMBOL, orders=[wanted("a"), wanted("b", price=50000.5)])
    assert answer["error"] == "EOrder:Tick size check failed" and trader.exchange.desk.log == []
    answer = trader.call("batch_add", symbol=SYMBOL, orders=[wanted("a"), wanted("b", quantity=19.9), wanted("c", 1)])
    assert answer["error"] == "EOrder:Cost minimum not met" or not answer["success"]
    answer = trader.call("batch_add", symbol=SYMBOL, orders=[wanted("a"), wanted("b", quantity=30), wanted("c")])
    assert [one.get("cl_ord_id", one.get("error")) for one in answer["result"]] == [
        "a", "EOrder:Insufficient funds", "c"]
    assert trader.call("batch_add", symbol=SYMBOL, orders=[wanted("d")])["error"] == (
        "EGeneral:Invalid arguments:orders")
    assert trader.call("batch_cancel", orders=[], cl_ord_id=["a", "c"])["orders_cancelled"] == 2
    assert trader.rest("OpenOrders")["result"]["open"] == {}


def test_orders_are_cancelled_by_reference_and_all_together():
    trader = QuietTrader()
    for reference in (7, 7, 8):
        trader.order(limit_price=50000, cl_ord_id=None, order_userref=reference, order_qty=0.1)
    assert trader.call("cancel_order", order_userref=[8])["result"]["order_userref"] == 8
    assert trader.call("cancel_all")["result"]["count"] == 2
    assert [item["order_userref"] if "order_userref" in item else None for item in trader.items()] == [None, None]


# -- REST --------------------------------------------------------------------------------------------------------------


def test_rest_places_changes_finds_and_cancels():
    trader = QuietTrader()
    placed = trader.rest("AddOrder", pair="XBTUSD", type="buy", ordertype="limit", volume="1.25", price="37500",
                         oflags="post", userref=7, timeinforce="GTD", expiretm="+60")["result"]
    name, = placed["txid"]
    assert placed["descr"]["order"] == "buy 1.25000000 XBTUSD @ limit 37500.0"
    info = trader.rest("OpenOrders", userref=7)["result"]["open"][name]
    assert (info["vol"], info["descr"]["price"], info["descr"]["pair"], info["oflags"], info["status"]) == (
        "1.25000000", "37500.0", "XBTUSD", "fciq,post", "open")
    assert info["expiretm"] == (trader.now_ns + 60 * SECOND_NS) / 10**9
    assert trader.rest("OpenOrders", userref=8)["result"]["open"] == {}
    assert trader.rest("AmendOrder", txid=name, order_qty="1.5", limit_price="37501")["result"]["amend_id"]
    edited = trader.rest("EditOrder", txid=name, pair="XXBTZUSD", volume="2", price="37000")["result"]
    assert (edited["originaltxid"], edited["volume"], edited["price"]) == (name, "2.00000000", "37000.0")
    assert trader.rest("QueryOrders", txid=name)["result"][name]["status"] == "canceled"
    assert trader.rest("CancelOrder", txid=edited["txid"])["result"] == {"count": 1}
    assert trader.rest("CancelOrder", txid=edited["txid"])["error"] == ["EOrder:Unknown order"]
    assert trader.rest("ClosedOrders")["result"]["count"] == 2


@pytest.mark.parametrize("fields, words", [
    ({"ordertype": "market"}, "@ market"), ({"ordertype": "stop-loss", "price": "50000"}, "@ stop loss 50000.0"),
    ({"ordertype": "take-profit-limit", "price": "70000", "price2": "69000"},
     "@ take profit 70000.0 -> limit 69000.0")])
def test_rest_takes_every_order_type(fields, words):
    trader = QuietTrader()
    answer = trader.rest("AddOrder", pair="XBTUSD", type="sell", volume="1", validate="true", **fields)
    assert answer["result"] == {"descr": {"order": f"sell 1.00000000 XBTUSD {words}"}}
    assert trader.exchange.desk.log == []
    answer = trader.rest("AddOrder", pair="XBTUSD", type="sell", volume="1", **fields)
    assert trader.rest("QueryOrders", txid=answer["result"]["txid"][0])["result"]


def test_rest_pages_through_trades():
    trader = QuietTrader()
    trader.other("sell", 60000, 10)
    for number in range(55):
        trader.later(4)
        trader.order(limit_price=60000, order_qty=0.001, cl_ord_id=f"of-{number}")
    first, second = (trader.rest("TradesHistory", ofs=offset)["result"] for offset in (0, 50))
    trades = list((first["trades"] | second["trades"]).items())
    assert (first["count"], len(first["trades"]), len(second["trades"])) == (55, 50, 5)
    times = [trade["time"] for _, trade in trades]
    assert times == sorted(times, reverse=True) and not any(trade["maker"] for _, trade in trades)
    since = trader.rest("TradesHistory", start=trades[9][0])["result"]
    assert list(since["trades"]) == [name for name, _ in trades[:9]], "newer than that one"
    until = trader.rest("TradesHistory", end=str(trades[-3][1]["time"]))["result"]
    assert until["count"] == 3
    name = trades[0][0]
    assert list(trader.rest("QueryTrades", txid=name)["result"]) == [name]


def test_rest_sets_the_dead_mans_switch():
    trader = QuietTrader()
    trader.order(limit_price=50000)
    answer = trader.rest("CancelAllOrdersAfter", timeout=60)["result"]
    assert answer == {"currentTime": "2023-11-14T22:13:21.000000Z", "triggerTime": "2023-11-14T22:14:21.000000Z"}
    trader.later(59)
    assert trader.rest("CancelAllOrdersAfter", timeout=0)["result"]["triggerTime"] == "0"
    trader.later(10)
    assert len(trader.rest("OpenOrders")["result"]["open"]) == 1
    assert trader.rest("CancelAllOrdersAfter", timeout=100_000)["error"] == ["EGeneral:Invalid arguments:timeout"]
    assert trader.rest("CancelAll")["result"] == {"count": 1}


# -- counters, tokens, channels ----------------------------------------------------------------------------------------


def test_the_counter_of_a_key_refuses_and_decays():
    trader = QuietTrader()
    trader.later(60)
    assert [bool(trader.rest("Balance")["error"]) for _ in range(21)] == [False] * 20 + [True]
    assert trader.rest("Balance")["error"] == ["EAPI:Rate limit exceeded"]
    uncounted = trader.rest("AddOrder", pair="XBTUSD", type="buy", ordertype="limit", volume="1", price="1000")
    assert uncounted["error"] == []
    trader.later(2)
    assert trader.rest("TradesHistory")["error"] == [] and trader.rest("Balance")["error"] != []


def test_the_counter_of_a_pair_makes_quick_cancels_dear():
    trader = QuietTrader(tier="starter", ratecounter=True)
    for age, cost in ((0, 8), (6, 6), (12, 5), (30, 4), (60, 2), (200, 1), (400, 0)):
        trader.later(1000)
        trader.order(limit_price=50000, order_qty=0.1)
        assert trader.items()[0]["ratecount"] == 1
        trader.later(age)
        trader.call("cancel_order", cl_ord_id=["of-1"])
        counter = trader.exchange.trading_counter(trader.exchange.desk.accounts[0], SYMBOL)
        assert counter.value(trader.now_ns) == max(0, 1 - age) + cost, age
    trader.later(1000)
    errors = []
    for number in range(8):
        errors.append(trader.order(limit_price=50000, order_qty=0.1, cl_ord_id=f"of-{number}").get("error"))
        trader.call("cancel_order", cl_ord_id=[f"of-{number}"])
    assert errors == [None] * 7 + ["EOrder:Rate limit exceeded"], "9 each, of 60"
    trader.later(5)
    assert trader.order(limit_price=50000, order_qty=0.1)["success"], "1 a second is forgotten"


def test_no_more_orders_are_open_than_the_tier_allows():
    trader = QuietTrader(tier="starter")
    for number in range(60):
        trader.later(1)
        assert trader.order(limit_price=50000, order_qty=0.001, cl_ord_id=f"of-{number}")["success"]
    trader.later(1)
    assert trader.order(limit_price=50000, order_qty=0.001)["error"] == "EOrder:Orders limit exceeded"


def test_a_token_expires_unless_somebody_is_subscribed_with_it():
    trader = QuietTrader()
    trader.later(901)
    assert trader.order(limit_price=50000)["success"]
    trader.call("unsubscribe", channel="executions")
    assert trader.order(limit_price=50000, cl_ord_id="of-2")["error"] == "EAuth:Token expired"
    trader.token = trader.rest("GetWebSocketsToken")["result"]["token"]
    assert trader.order(limit_price=50000, cl_ord_id="of-2")["success"]


def test_a_snapshot_has_open_orders_and_the_last_fifty_trades():
    trader = QuietTrader()
    trader.order(limit_price=50000, cl_ord_id="open")
    trader.other("sell", 60000, 10)
    for number in range(52):
        trader.later(4)
        trader.order(limit_price=60000, order_qty=0.001, cl_ord_id=f"of-{number}")
    trader.exchange.open(2, "/v2", trader.now_ns)
    trader.exchange.drain()
    wanted = {"channel": "executions", "token": trader.token, "snap_orders": True, "snap_trades": True}
    trader.exchange.message(2, json.dumps({"method": "subscribe", "params": wanted}), trader.now_ns)
    snapshot = [json.loads(frame) for number, frame in trader.exchange.drain() if number == 2][-1]
    assert (snapshot["type"], snapshot["sequence"]) == ("snapshot", 1)
    kinds = [item["exec_type"] for item in snapshot["data"]]
    assert kinds == ["new"] + ["trade"] * 50 and snapshot["data"][0]["cl_ord_id"] == "open"
    assert snapshot["data"][-1]["cl_ord_id"] == "of-51"
