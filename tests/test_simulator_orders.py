"""Order entry of simulated exchanges: signatures, refusals, fills, fees and balances, as a plain client sees them."""
import hashlib
import hmac
import json
from base64 import b64encode
from decimal import Decimal
from urllib.parse import urlencode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from orderflow.simulator.accounts import AccountSettings
from orderflow.simulator.capture import Playback
from orderflow.simulator.dialects import dialect
from orderflow.simulator.exchange import SECOND_NS
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.market import Market

START_NS = 1_700_000_000 * SECOND_NS
NOW_NS = START_NS + SECOND_NS
SPOT = SimulatedInstrument("BTCUSDT", "BTC", "USDT", 2, 5, tick=100, lot=10, minimum_quantity=10, maker_fee=50_000,
                           taker_fee=100_000, minimum_notional=5 * 10**8)
KRAKEN = SimulatedInstrument("BTC/USD", "BTC", "USD", 1, 8, tick=10, minimum_quantity=5_000, maker_fee=250_000,
                             taker_fee=400_000, minimum_notional=5 * 10**7, rest_symbol="XXBTZUSD")
SECRET = b64encode(b"a secret of some length").decode()


class BinanceTrader:
    """Signs with an HMAC key, sends over the WebSocket API, keeps what comes back."""

    def __init__(self, balances=None, **options):
        settings = AccountSettings("KEY", SECRET, balances=balances or {"USDT": "1000000", "BTC": "5"}, **options)
        self.exchange = dialect("binance_spot")(Market("one", [SPOT], 7, START_NS), "one", [settings])
        self.now_ns = NOW_NS
        self.events = []
        self.later(0)
        self.exchange.open(1, "/ws-api/v3", self.now_ns)
        assert self.call("userDataStream.subscribe.signature")["result"] == {"subscriptionId": 0}

    def signed(self, parameters):
        parameters = {"apiKey": "KEY", "timestamp": self.now_ns // 1_000_000} | parameters
        payload = "&".join(f"{name}={parameters[name]}" for name in sorted(parameters))
        return parameters | {"signature": hmac.new(SECRET.encode(), payload.encode(), hashlib.sha256).hexdigest()}

    def call(self, method, parameters=None, **changed):
        request = {"id": "r1", "method": method, "params": self.signed(parameters or {}) | changed}
        self.exchange.message(1, json.dumps(request), self.now_ns)
        return self.taken()

    def taken(self):
        answer, events = None, []
        for _, frame in self.exchange.drain():
            if isinstance(frame, str):
                message = json.loads(frame)
                if "event" in message:
                    events.append(message["event"])
                else:
                    assert answer is None and not events, "the answer comes once, before the events it caused"
                    answer = message
        self.events = events
        return answer

    def order(self, side="BUY", price="60100.00", quantity="0.50000", force="GTC", **more):
        parameters = {"symbol": "BTCUSDT", "side": side, "type": "LIMIT", "timeInForce": force, "price": price,
                      "quantity": quantity} | more
        return self.call("order.place", {name: value for name, value in parameters.items() if value is not None})

    def reports(self):
        return [event for event in self.events if event["e"] == "executionReport"]

    def later(self, seconds):
        self.now_ns += int(seconds * SECOND_NS)
        self.exchange.advance(self.now_ns)
        while self.exchange.next_ns() <= self.now_ns:
            self.exchange.advance(self.now_ns)
        self.taken()

    def balances(self):
        return {one["asset"]: (Decimal(one["free"]), Decimal(one["locked"]))
                for one in self.call("account.status")["result"]["balances"]}


def test_a_taker_pays_the_levels_it_took_and_the_fee_is_taken_from_what_it_bought():
    trader = BinanceTrader()
    answer = trader.order(newClientOrderId="of-1")
    result = answer["result"]
    assert (answer["id"], answer["status"], result["status"], result["executedQty"]) == ("r1", 200, "FILLED", "0.50000")
    new, *trades = trader.reports()
    assert (new["x"], new["X"], new["c"], new["z"]) == ("NEW", "NEW", "of-1", "0.00000")
    assert {trade["x"] for trade in trades} == {"TRADE"} and trades[-1]["X"] == "FILLED" and not trades[-1]["w"]
    assert [trade["I"] for trade in trader.reports()] == list(range(new["I"], new["I"] + 1 + len(trades)))
    cost = sum(Decimal(trade["l"]) * Decimal(trade["L"]) for trade in trades)
    fee = sum(Decimal(trade["n"]) for trade in trades)
    assert fee == sum((Decimal(trade["l"]) * Decimal("0.001")).quantize(Decimal("1e-8"), "ROUND_FLOOR")
                      for trade in trades)
    assert trader.balances() == {"BTC": (5 + Decimal("0.5") - fee, 0), "USDT": (1_000_000 - cost, 0)}


def test_a_resting_order_locks_its_cost_and_a_cancel_gives_it_back():
    trader = BinanceTrader()
    assert trader.order(price="50000.00", newClientOrderId="of-1", newOrderRespType="ACK")["result"].keys() == {
        "symbol", "orderId", "orderListId", "clientOrderId", "transactTime"}
    assert trader.balances()["USDT"] == (975_000, 25_000)
    assert [order["clientOrderId"] for order in trader.call("openOrders.status")["result"]] == ["of-1"]
    canceled = trader.call("order.cancel", {"symbol": "BTCUSDT", "origClientOrderId": "of-1"})
    assert (canceled["result"]["status"], canceled["result"]["origClientOrderId"]) == ("CANCELED", "of-1")
    report, = trader.reports()
    assert (report["x"], report["X"], report["C"]) == ("CANCELED", "CANCELED", "of-1") and report["c"] != "of-1"
    assert trader.balances()["USDT"] == (1_000_000, 0)


def test_what_a_better_price_saved_is_free_at_once():
    trader = BinanceTrader()
    limit = trader.exchange.source.books["BTCUSDT"].touch[2] // 100 + 3
    result = trader.order(price=f"{limit}.00", quantity="15.00000")["result"]
    assert result["status"] == "PARTIALLY_FILLED" and Decimal(result["cummulativeQuoteQty"]) < Decimal(
        result["executedQty"]) * limit
    leaves = 15 - Decimal(result["executedQty"])
    assert trader.balances()["USDT"] == (
        1_000_000 - Decimal(result["cummulativeQuoteQty"]) - leaves * limit, leaves * limit)


def test_a_resting_order_is_filled_by_the_agents_at_its_price_and_the_makers_fee():
    trader = BinanceTrader()
    best = trader.exchange.source.books["BTCUSDT"].touch[0] // 100
    trader.order(price=f"{best}.00", quantity="0.20000", newClientOrderId="of-1", type="LIMIT_MAKER", timeInForce=None)
    for _ in range(600):
        trader.now_ns += 100_000_000
        trader.exchange.advance(trader.now_ns)
        trader.taken()
        if any(report["X"] == "FILLED" for report in trader.reports()):
            break
    assert trader.reports()[-1]["m"] and trader.reports()[-1]["L"] == f"{best}.00"
    free, locked = trader.balances()["USDT"]
    assert (free, locked) == (1_000_000 - best * Decimal("0.2"), 0)
    truth = trader.exchange.desk.truth()["events"]
    assert truth[0]["event"] == "accepted" and {event["liquidity"] for event in truth[1:]} == {"maker"}
    assert sum(Decimal(event["fee"]) for event in truth[1:]) <= Decimal("0.2") * Decimal("0.0005")


@pytest.mark.parametrize("changed, code, text", [
    ({"price": "60000.50"}, -1013, "PRICE_FILTER"),
    ({"price": "60000.005"}, -1111, "too much precision"),
    ({"quantity": "0.00001"}, -1013, "LOT_SIZE"),
    ({"quantity": "0.50005"}, -1013, "LOT_SIZE"),
    ({"quantity": "0.00010", "price": "40000.00"}, -1013, "NOTIONAL"),
    ({"quantity": "50"}, -2010, "insufficient balance"),
    ({"side": "SELL", "price": "70000.00", "quantity": "5.1"}, -2010, "insufficient balance"),
    ({"type": "LIMIT_MAKER", "timeInForce": None}, -2010, "immediately match"),
    ({"newClientOrderId": "open"}, -2010, "Duplicate"),
    ({"newClientOrderId": "no spaces"}, -1100, "newClientOrderId"),
    ({"symbol": "NONE"}, -1121, "Invalid symbol"),
    ({"side": "HOLD"}, -1117, "side"), ({"type": "ICEBERG"}, -1116, "orderType"),
    ({"timeInForce": "DAY"}, -1115, "timeInForce"), ({"timeInForce": None}, -1102, "timeInForce"),
    ({"price": None}, -1102, "price"), ({"quantity": "1e3"}, -1100, "quantity"),
])
def test_binance_refuses_orders_in_its_own_words_and_nothing_has_happened(changed, code, text):
    trader = BinanceTrader()
    trader.order(price="50000.00", quantity="0.10000", newClientOrderId="open")
    before = trader.balances(), len(trader.exchange.desk.log)
    answer = trader.order(**{"price": "60100.00"} | changed)
    assert (answer["status"], answer["error"]["code"]) == (400, code) and text in answer["error"]["msg"]
    assert trader.reports() == [] and (trader.balances(), len(trader.exchange.desk.log)) == before


@pytest.mark.parametrize("changed, status, code", [
    ({"signature": "0" * 64}, 400, -1022),
    ({"signature": None}, 400, -1102),
    ({"apiKey": "OTHER"}, 401, -2015),
    ({"quantity": "0.60000"}, 400, -1022),
])
def test_binance_checks_signatures(changed, status, code):
    trader = BinanceTrader()
    signed = trader.signed({"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC",
                            "price": "60100.00", "quantity": "0.50000"}) | changed
    signed = {name: value for name, value in signed.items() if value is not None}
    trader.exchange.message(1, json.dumps({"id": 1, "method": "order.place", "params": signed}), trader.now_ns)
    answer = trader.taken()
    assert (answer["status"], answer["error"]["code"]) == (status, code)


@pytest.mark.parametrize("late_ms, accepted", [(0, True), (5000, True), (5100, False), (-900, True), (-1100, False)])
def test_binance_checks_time(late_ms, accepted):
    trader = BinanceTrader()
    answer = trader.call("account.status", {"timestamp": trader.now_ns // 1_000_000 - late_ms})
    assert answer["status"] == 200 if accepted else answer["error"]["code"] == -1021


def test_the_documents_own_signature_is_accepted():
    key = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
    secret = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
    account = AccountSettings(key, secret, balances={"BTC": "1"})
    exchange = dialect("binance_spot")(Market("one", [SPOT], 7, START_NS), "one", [account])
    now_ns = 1660801715431 * 1_000_000
    exchange.source.origin_ns = now_ns
    exchange.open(1, "/ws-api/v3", now_ns)
    exchange.message(1, json.dumps({"id": "1", "method": "order.place", "params": {
        "symbol": "BTCUSDT", "side": "SELL", "type": "LIMIT", "timeInForce": "GTC", "price": "23416.10000000",
        "quantity": "0.00847000", "apiKey": key, "timestamp": 1660801715431,
        "signature": "15af09e41c36f3cc61378c2fbe2c33719a03dd5eba8d0f9206fbda44de717c88"}}), now_ns)
    answer = json.loads(exchange.drain()[-1][1])
    assert answer["error"]["code"] == -1013, "a filter's refusal: the signature was passed"


def test_a_session_is_logged_on_with_an_ed25519_key_and_then_needs_no_signature():
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    account = AccountSettings("KEY", public_key=public, balances={"USDT": "100000"})
    exchange = dialect("binance_spot")(Market("one", [SPOT], 7, START_NS), "one", [account])
    exchange.open(1, "/ws-api/v3", NOW_NS)
    stamp = NOW_NS // 1_000_000

    def call(method, **parameters):
        exchange.message(1, json.dumps({"id": 1, "method": method, "params": parameters}), NOW_NS)
        return json.loads(exchange.drain()[0][1])
    assert call("userDataStream.subscribe")["error"]["code"] == -2015
    assert call("session.logon", apiKey="KEY", timestamp=stamp, signature="AAAA")["error"]["code"] == -1022
    signature = b64encode(private.sign(f"apiKey=KEY&timestamp={stamp}".encode())).decode()
    assert call("session.logon", apiKey="KEY", timestamp=stamp, signature=signature)["result"]["apiKey"] == "KEY"
    assert call("userDataStream.subscribe")["result"] == {"subscriptionId": 0}
    assert call("order.place", symbol="BTCUSDT", side="BUY", type="MARKET", quantity="0.1",
                timestamp=stamp)["result"]["status"] == "FILLED"
    assert call("order.cancel", symbol="BTCUSDT", orderId=99, timestamp=stamp)["error"]["code"] == -2011


def test_immediate_orders_expire_what_they_cannot_fill():
    trader = BinanceTrader()
    cheap = f"{trader.exchange.source.books['BTCUSDT'].touch[2] // 100}.00"
    assert trader.order(price=cheap, quantity="15.00000", force="IOC")["result"]["status"] == "EXPIRED"
    assert trader.reports()[-1]["x"] == "EXPIRED" and Decimal(trader.reports()[-1]["z"]) > 0
    answer = trader.order(price=cheap, quantity="15.00000", force="FOK")
    assert (answer["result"]["status"], answer["result"]["executedQty"]) == ("EXPIRED", "0.00000")
    assert [report["x"] for report in trader.reports()] == ["NEW", "EXPIRED"]
    assert trader.balances()["USDT"][1] == 0


def test_too_many_orders_are_refused_until_the_window_ends():
    trader = BinanceTrader()
    codes = [trader.order(price="50000.00", quantity="0.00100", newClientOrderId=f"of-{i}").get("error", {}).get("code")
             for i in range(101)]
    assert codes == [None] * 100 + [-1015]
    trader.later(10)
    assert trader.order(price="50000.00", quantity="0.00100")["status"] == 200


def test_rest_takes_the_same_orders():
    trader = BinanceTrader()

    def rest(method, path, **parameters):
        query = urlencode(parameters | {"timestamp": trader.now_ns // 1_000_000})
        query += "&signature=" + hmac.new(SECRET.encode(), query.encode(), hashlib.sha256).hexdigest()
        answer = trader.exchange.http(method, f"/api/v3{path}", query, {"x-mbx-apikey": "KEY"}, b"", trader.now_ns)
        return answer.status, json.loads(answer.body)
    status, placed = rest("POST", "/order", symbol="BTCUSDT", side="BUY", type="LIMIT", timeInForce="GTC",
                          price="50000.00", quantity="0.1", newClientOrderId="of-1")
    assert (status, placed["clientOrderId"]) == (200, "of-1")
    assert rest("GET", "/openOrders")[1][0]["orderId"] == placed["orderId"]
    assert rest("GET", "/order", symbol="BTCUSDT", origClientOrderId="of-1")[1]["status"] == "NEW"
    assert rest("DELETE", "/order", symbol="BTCUSDT", origClientOrderId="of-1")[1]["status"] == "CANCELED"
    assert rest("GET", "/order", symbol="BTCUSDT", orderId=99)[1]["code"] == -2013
    rest("POST", "/order", symbol="BTCUSDT", side="SELL", type="MARKET", quantity="0.1")
    trades = rest("GET", "/myTrades", symbol="BTCUSDT")[1]
    assert sum(Decimal(trade["qty"]) for trade in trades) == Decimal("0.1")


class KrakenTrader:
    """Gets a token, sends over WebSocket v2, keeps what comes back."""

    def __init__(self, balances=None):
        account = AccountSettings("KEY", SECRET, balances=balances or {"USD": "1000000", "BTC": "5"})
        self.exchange = dialect("kraken_v2")(Market("one", [KRAKEN], 7, START_NS), "one", [account])
        self.now_ns, self.nonce = NOW_NS, 0
        self.exchange.open(1, "/v2", self.now_ns)
        self.token = self.rest("GetWebSocketsToken")["result"]["token"]
        self.exchange.drain()
        for channel in ("executions", "balances"):
            self.call("subscribe", channel=channel)

    def rest(self, name, signature=None, **parameters):
        self.nonce += 1
        body = urlencode({"nonce": self.nonce} | parameters)
        path = f"/0/private/{name}"
        digest = path.encode() + hashlib.sha256(f"{self.nonce}{body}".encode()).digest()
        signed = b64encode(hmac.new(b"a secret of some length", digest, hashlib.sha512).digest()).decode()
        answer = self.exchange.http("POST", path, "", {"api-key": "KEY", "api-sign": signature or signed},
                                    body.encode(), self.now_ns)
        return json.loads(answer.body, parse_float=Decimal)

    def call(self, method, **parameters):
        request = {"method": method, "params": {"token": self.token} | parameters, "req_id": 9}
        self.exchange.message(1, json.dumps(request), self.now_ns)
        messages = [json.loads(frame, parse_float=Decimal) for _, frame in self.exchange.drain()]
        self.executions = [message for message in messages if message.get("channel") == "executions"]
        self.answers = [message for message in messages if "method" in message]
        return self.answers[0]

    def order(self, **changed):
        parameters = {"order_type": "limit", "side": "buy", "order_qty": 0.5, "symbol": "BTC/USD",
                      "limit_price": 60100.0, "cl_ord_id": "of-1"} | changed
        return self.call("add_order", **{name: value for name, value in parameters.items() if value is not None})


def test_kraken_reports_each_trade_and_then_that_the_order_is_filled():
    trader = KrakenTrader()
    answer = trader.order()
    assert answer["success"] and answer["req_id"] == 9 and answer["result"]["cl_ord_id"] == "of-1"
    items = [message["data"][0] for message in trader.executions]
    assert [item["exec_type"] for item in items[:2]] == ["pending_new", "new"]
    trades = [item for item in items if item["exec_type"] == "trade"]
    assert {trade["order_status"] for trade in trades} == {"partially_filled"} and items[-1]["exec_type"] == "filled"
    assert {item["order_id"] for item in items} == {answer["result"]["order_id"]}
    assert [message["sequence"] for message in trader.executions] == list(range(2, 2 + len(items)))
    cost = sum(trade["last_qty"] * trade["last_price"] for trade in trades)
    fees = sum(trade["fees"][0]["qty"] for trade in trades)
    assert fees == sum((trade["last_qty"] * trade["last_price"] * Decimal("0.004")).quantize(
        Decimal("1e-8"), "ROUND_FLOOR") for trade in trades)
    balances = trader.rest("Balance")["result"]
    assert Decimal(balances["ZUSD"]) == 1_000_000 - cost - fees and Decimal(balances["XXBT"]) == Decimal("5.5")


@pytest.mark.parametrize("changed, error", [
    ({"limit_price": 60000.5}, "EOrder:Tick size check failed"),
    ({"order_qty": 0.00001}, "EOrder:Order minimum not met"),
    ({"order_qty": 0.0001, "limit_price": 1000}, "EOrder:Cost minimum not met"),
    ({"order_qty": 17}, "EOrder:Insufficient funds"),
    ({"post_only": True}, "EOrder:Post only order"),
    ({"cl_ord_id": "open"}, "EGeneral:Invalid arguments:cl_ord_id already in use"),
    ({"symbol": "NO/PE"}, "EQuery:Unknown asset pair"),
    ({"side": "hold"}, "EGeneral:Invalid arguments:side"),
    ({"order_qty": None}, "EGeneral:Invalid arguments:order_qty"),
    ({"deadline": "2023-11-14T22:13:20.000Z"}, "EService:Deadline elapsed"),
    ({"token": "stolen"}, "EAuth:Invalid token"),
])
def test_kraken_refuses_orders_in_its_own_words_and_nothing_has_happened(changed, error):
    trader = KrakenTrader()
    trader.order(limit_price=50000, order_qty=0.1, cl_ord_id="open")
    before = trader.rest("Balance"), len(trader.exchange.desk.log)
    answer = trader.order(**{"limit_price": 60100} | changed)
    assert not answer["success"] and answer["error"] == error and trader.executions == []
    assert (trader.rest("Balance"), len(trader.exchange.desk.log)) == before


def test_kraken_cancels_by_either_id_and_knows_no_other():
    trader = KrakenTrader()
    first = trader.order(limit_price=50000, cl_ord_id="of-1")["result"]["order_id"]
    trader.order(limit_price=50000, cl_ord_id="of-2")
    assert len(trader.rest("OpenOrders")["result"]["open"]) == 2
    trader.call("cancel_order", order_id=[first], cl_ord_id=["of-2", "of-3"])
    assert [answer["success"] for answer in trader.answers] == [True, True, False]
    assert trader.answers[2]["error"] == "EOrder:Unknown order"
    assert [message["data"][0]["exec_type"] for message in trader.executions] == ["canceled", "canceled"]
    assert trader.exchange.desk.accounts[0].locked["USD"] == 0


def test_kraken_orders_with_an_end_expire():
    trader = KrakenTrader()
    trader.order(limit_price=50000, time_in_force="gtd", expire_time="2023-11-14T22:13:31.000Z")
    expires_ns = NOW_NS + 10 * SECOND_NS
    while trader.exchange.next_ns() <= expires_ns:
        trader.exchange.advance(trader.exchange.next_ns())
    last = trader.exchange.desk.log[-1]
    assert (last["event"], last["time_ns"]) == ("expired", expires_ns)


def test_krakens_dead_mans_switch_cancels_once_unless_it_is_renewed():
    trader = KrakenTrader()
    trader.order(limit_price=50000)
    trader.call("cancel_all_orders_after", timeout=5)
    trader.now_ns += 4 * SECOND_NS
    assert trader.call("cancel_all_orders_after", timeout=5)["result"]["triggerTime"] == "2023-11-14T22:13:30.000000Z"
    while trader.exchange.next_ns() <= NOW_NS + 12 * SECOND_NS:
        trader.exchange.advance(trader.exchange.next_ns())
    last = trader.exchange.desk.log[-1]
    assert (last["event"], last["time_ns"]) == ("canceled", NOW_NS + 9 * SECOND_NS)


def test_kraken_checks_the_signature_and_the_nonce_of_rest():
    trader = KrakenTrader()
    assert trader.rest("Balance", signature="AAAA")["error"] == ["EAPI:Invalid signature"]
    trader.nonce -= 2
    assert trader.rest("Balance")["error"] == ["EAPI:Invalid nonce"]


@settings(max_examples=20)
@given(st.lists(st.tuples(st.sampled_from(["BUY", "SELL"]), st.integers(-30, 30), st.integers(1, 30000),
                          st.sampled_from(["GTC", "IOC", "FOK", "cancel", "wait"])), max_size=25))
def test_money_is_neither_made_nor_lost(steps):
    """Balances follow from the log alone, nothing is negative, and what is locked is what open orders need."""
    trader = BinanceTrader({"USDT": "200000", "BTC": "2"})
    names = []
    for number, (side, distance, lots, force) in enumerate(steps):
        if force == "wait":
            trader.later(0.5)
        elif force == "cancel":
            if names:
                trader.call("order.cancel", {"symbol": "BTCUSDT", "origClientOrderId": names[distance % len(names)]})
        else:
            bid, _, ask, _ = trader.exchange.source.books["BTCUSDT"].touch
            trader.order(side, f"{(bid + ask) // 200 + distance}.00", f"{Decimal(lots) / 10000:.5f}", force,
                         newClientOrderId=f"of-{number}")
            names.append(f"of-{number}")
        have = {"USDT": Decimal(200_000), "BTC": Decimal(2)}
        for event in trader.exchange.desk.truth()["events"]:
            if event["event"] == "filled":
                sign = 1 if event["side"] == "buy" else -1
                have["BTC"] += sign * Decimal(event["quantity"])
                have["USDT"] -= sign * Decimal(event["quantity"]) * Decimal(event["price"])
                have[event["fee_asset"]] -= Decimal(event["fee"])
        balances = trader.exchange.desk.truth()["balances"]["main"]
        needed = {"USDT": Decimal(0), "BTC": Decimal(0)}
        for order in trader.call("openOrders.status")["result"]:
            leaves = Decimal(order["origQty"]) - Decimal(order["executedQty"])
            needed["USDT" if order["side"] == "BUY" else "BTC"] += (
                leaves * Decimal(order["price"]) if order["side"] == "BUY" else leaves)
        for asset in have:
            free, locked = (Decimal(balances[asset].get(kind, "0")) for kind in ("free", "locked"))
            assert free >= 0 and locked == needed[asset] and free + locked == have[asset]


# against a recording

FRAMES = [
    ("depth", 1, '"U":5,"u":7,"b":[["10.50","1.00"]],"a":[]'),
    ("trade", 2, '"t":1,"p":"10.50","q":"0.60","m":true'),
    ("trade", 3, '"t":2,"p":"10.50","q":"0.60","m":true'),
    ("depth", 4, '"U":8,"u":9,"b":[["10.50","0.30"]],"a":[["10.60","2.00"]]'),
    ("trade", 5, '"t":3,"p":"10.40","q":"5.00","m":true'),
]


class RecordedTrader(BinanceTrader):
    """Trades against five recorded frames, a second apart; the snapshot has id 4."""

    def __init__(self, tmp_path):
        lines = ["1000000000\thttp\thttps://api.binance.com/api/v3/depth?symbol=BTCUSDT\t" + json.dumps(
            {"lastUpdateId": 4, "bids": [["10.40", "2.00"]], "asks": [["10.60", "1.00"], ["10.70", "3.00"]]})]
        for kind, second, fields in FRAMES:
            event, stream = ("depthUpdate", "depth@100ms") if kind == "depth" else (kind, kind)
            lines.append(f'{second}000000000\trx\tc\t{{"stream":"btcusdt@{stream}","data":{{"e":"{event}","E":1,'
                         f'"s":"BTCUSDT",{fields}}}}}')
        path = tmp_path / "c.tsv"
        path.write_text("\n".join(lines) + "\n")
        settings = AccountSettings("KEY", SECRET, balances={"USDT": "1000", "BTC": "10"})
        speaker = dialect("binance_spot")
        self.exchange = speaker(Playback(path, speaker, 1.0), "one", [settings])
        self.now_ns, self.events = START_NS, []
        self.exchange.open(1, "/ws-api/v3", self.now_ns)
        self.call("userDataStream.subscribe.signature")
        self.exchange.open(2, "/stream?streams=btcusdt@depth@100ms/btcusdt@trade", self.now_ns)

    def frames_until(self, second):
        """Play the frames up to a recorded second; afterwards `reports()` are what they caused."""
        events = []
        while self.exchange.next_ns() <= START_NS + (second - 1) * SECOND_NS:
            self.now_ns = self.exchange.next_ns()
            self.exchange.advance(self.now_ns)
            events += [json.loads(frame)["event"] for number, frame in self.exchange.drain()
                       if number == 1 and isinstance(frame, str)]
        self.events = events
        return [(report["x"], report["l"], report["L"], report["m"]) for report in self.reports()]

    def buy(self, price, quantity, force="IOC"):
        return self.order("BUY", price, quantity, force)["result"]


def test_what_was_taken_stays_gone_until_the_recording_changes_it(tmp_path):
    trader = RecordedTrader(tmp_path)
    trader.frames_until(1)
    assert [(fill["price"], fill["qty"]) for fill in trader.buy("10.70", "1.50")["fills"]] == [
        ("10.60", "1.00"), ("10.70", "0.50")]
    assert trader.buy("10.60", "1.00")["executedQty"] == "0.00"
    assert trader.buy("10.70", "9.00")["executedQty"] == "2.50"
    trader.frames_until(4)
    assert trader.buy("10.70", "9.00")["executedQty"] == "2.00", "10.60 was set again, 10.70 was not"


def test_a_resting_order_is_served_after_what_was_displayed_before_it(tmp_path):
    trader = RecordedTrader(tmp_path)
    trader.frames_until(1)
    assert trader.buy("10.50", "0.50", "GTC")["status"] == "NEW"
    assert trader.frames_until(2) == [], "0.60 of the 1.00 before it are served"
    assert trader.frames_until(3) == [("TRADE", "0.20", "10.50", True)], "0.40 before it, and 0.20 of it"
    assert trader.frames_until(5) == [("TRADE", "0.30", "10.50", True)], "a trade below would have met it first"
    assert trader.balances()["USDT"] == (1000 - Decimal("5.25"), 0)


def test_who_stood_before_and_left_makes_room(tmp_path):
    trader = RecordedTrader(tmp_path)
    trader.frames_until(3)
    trader.buy("10.50", "0.50", "GTC")
    trader.frames_until(4)                  # 0.30 are displayed now: of the 1.00 before it, 0.70 left
    book = trader.exchange.source._books["BTCUSDT"]
    assert [resting.ahead for resting in next(iter(book._resting.values()))] == [30]


def test_a_resting_order_can_be_withdrawn_and_post_only_does_not_take(tmp_path):
    trader = RecordedTrader(tmp_path)
    trader.frames_until(1)
    number = trader.buy("10.50", "0.50", "GTC")["orderId"]
    assert trader.call("order.cancel", {"symbol": "BTCUSDT", "orderId": number})["result"]["status"] == "CANCELED"
    assert trader.frames_until(9) == []
    assert trader.order("BUY", "10.60", "1.00", None, type="LIMIT_MAKER")["error"]["code"] == -2010
    assert trader.order("BUY", "10.60", "9.00", "FOK")["result"]["status"] == "EXPIRED"
