"""The private half of the faults: what clients are told, and what truly happened."""
import hashlib
import hmac
import json
from dataclasses import replace
from decimal import Decimal
from urllib.parse import urlencode

import ccxt
import pytest

from orderflow.simulator.accounts import AccountSettings
from orderflow.simulator.exchange import SECOND_NS
from orderflow.simulator.faults import ORDER_KINDS, REPORT_KINDS, Fault, FaultError, FaultPlan, load
from orderflow.simulator.faulty import FaultyExchange, _Link
from orderflow.simulator.launch import SimulatorSettings, start_thread
from tests.ccxt_clients import client_of, start_venue
from tests.test_simulator_orders import SECRET, BinanceTrader, KrakenTrader


class Client:
    """A trader of test_simulator_orders behind faults, that keeps every frame with the time it came."""

    def __init__(self, maker, *script, seed=1, **rates):
        self.trader = maker()
        self.true = self.trader.exchange
        plan = FaultPlan(tuple(script), rates, seed)
        self.faulty = self.trader.exchange = FaultyExchange(self.true, plan)
        for number, connection in list(self.true.connections.items()):
            self.faulty._links[number], self.faulty._paths[number] = _Link(), connection.path
        self.faulty.script.begin(self.trader.now_ns)
        self.frames = []

    def send(self, method, parameters):
        if isinstance(self.trader, BinanceTrader):
            request = {"id": len(self.frames), "method": method, "params": self.trader.signed(parameters)}
        else:
            request = {"method": method, "params": {"token": self.trader.token} | parameters, "req_id": 9}
        self.faulty.message(1, json.dumps(request), self.trader.now_ns)
        return self.taken()

    def taken(self):
        new = [json.loads(frame) for number, frame in self.faulty.drain() if number == 1 and isinstance(frame, str)]
        new = [frame for frame in new if frame.get("channel") != "heartbeat"]
        self.frames += new
        return new

    def wait(self, seconds):
        """Let time pass; returns what came."""
        end_ns, found = self.trader.now_ns + int(seconds * SECOND_NS), []
        while self.faulty.next_ns() <= end_ns:
            self.trader.now_ns = max(self.trader.now_ns, self.faulty.next_ns())
            self.faulty.advance(self.trader.now_ns)
            found += self.taken()
        self.trader.now_ns = end_ns
        self.faulty.advance(end_ns)
        return found + self.taken()

    def place(self, name="of-1", price=50000, quantity="0.1", side="buy"):
        if isinstance(self.trader, BinanceTrader):
            return self.send("order.place", {
                "symbol": "BTCUSDT", "side": side.upper(), "type": "LIMIT", "timeInForce": "GTC",
                "price": f"{price}.00", "quantity": quantity, "newClientOrderId": name})
        return self.send("add_order", {"order_type": "limit", "side": side, "order_qty": float(quantity),
                                       "symbol": "BTC/USD", "limit_price": price, "cl_ord_id": name})

    def cancel(self, name="of-1"):
        if isinstance(self.trader, BinanceTrader):
            return self.send("order.cancel", {"symbol": "BTCUSDT", "origClientOrderId": name})
        return self.send("cancel_order", {"cl_ord_id": [name]})

    def events(self):
        return [one["event"] for one in self.true.desk.log]


def answers(frames):
    return [frame for frame in frames if "status" in frame or "method" in frame]


def reports(frames):
    """Execution reports, as (what, order's status, sequence)."""
    found = []
    for frame in frames:
        event = frame.get("event", {})
        if event.get("e") == "executionReport":
            found.append((event["x"], event["X"], event["I"]))
        elif frame.get("channel") == "executions" and frame["type"] == "update":
            found.append((frame["data"][0]["exec_type"], frame["data"][0]["order_status"], frame["sequence"]))
    return found


BOTH = pytest.mark.parametrize("maker", [BinanceTrader, KrakenTrader])


@BOTH
def test_an_answer_is_lost_and_the_order_lives(maker):
    client = Client(maker, Fault("ack_lost"))
    frames = client.place()
    assert answers(frames) == [] and reports(frames), "the reports are sent"
    assert client.events() == ["accepted"] and client.faulty.counts == {"ack_lost": 1}
    assert answers(client.place("of-2")), "it was to happen once"


@BOTH
def test_an_answer_comes_late(maker):
    client = Client(maker, Fault("late_ack", seconds=20))
    assert answers(client.place()) == [] and client.events() == ["accepted"]
    assert answers(client.wait(19.9)) == [] and len(answers(client.wait(0.2))) == 1


@BOTH
@pytest.mark.parametrize("accepted", [True, False])
def test_an_answer_says_that_it_is_not_known(maker, accepted):
    client = Client(maker, Fault("unknown", accepted=accepted))
    frames = client.place()
    answer, = answers(frames)
    if maker is BinanceTrader:
        assert (answer["status"], answer["error"]["code"]) == (504, -1007)
    else:
        assert (answer["success"], answer["error"], answer["req_id"]) == (False, "EService:Unavailable", 9)
    assert client.events() == (["accepted"] if accepted else []) and bool(reports(frames)) == accepted


@BOTH
@pytest.mark.parametrize("kind", ["reject", "overload"])
def test_a_request_is_refused_and_nothing_has_happened(maker, kind):
    words = "-1006 An unexpected response was received" if maker is BinanceTrader else "EGeneral:Internal error"
    client = Client(maker, Fault(kind, error=words, status=418, request="cancel"))
    assert "error" not in client.place()[0]
    answer, = client.cancel()
    assert answer["error"] == ({"code": -1006, "msg": "An unexpected response was received"}
                               if maker is BinanceTrader else words)
    assert client.events() == ["accepted"]
    client.cancel()
    assert client.events() == ["accepted", "canceled"]


@BOTH
def test_a_cancel_is_taken_up_late_and_a_fill_crosses_it(maker):
    """FIX D/B.1.c: what the cancel meets is filled."""
    client = Client(maker, Fault("late_cancel", seconds=9))
    client.place()
    assert client.cancel() == []
    order = client.true.desk.orders[1]
    client.true.desk.maker_filled(1, order.price, order.leaves, 10**6, client.trader.now_ns)
    frames = client.wait(10)
    assert "error" in answers(frames)[-1] and client.events() == ["accepted", "filled"]


@BOTH
def test_a_cancel_that_is_taken_up_late_is_judged_by_when_it_arrived(maker):
    client = Client(maker, Fault("late_cancel", seconds=30))
    client.place()
    client.cancel()
    client.wait(29)
    assert client.events() == ["accepted"]
    client.wait(2)
    assert client.events() == ["accepted", "canceled"], "recvWindow is 5 s"


@BOTH
@pytest.mark.parametrize("kind, order", [
    ("report_drop", [1]), ("report_duplicate", [0, 0, 1]), ("report_reorder", [1, 0]), ("report_delay", [0, 1])])
def test_reports_are_lost_doubled_swapped_and_late(maker, kind, order):
    client = Client(maker)
    right = [one for one in reports(client.place()) if one[0] in ("NEW", "new", "pending_new")][:2]
    if maker is BinanceTrader:      # each of its reports is followed by balances
        right = [right[0]]
        order = {"report_drop": [], "report_duplicate": [0, 0]}.get(kind, [0])
    spoilt = Client(maker, Fault(kind, seconds=2))
    frames = spoilt.place()
    if kind == "report_delay":
        assert answers(frames) and reports(frames) == []
        frames += spoilt.wait(2.1)
    assert [one[:2] for one in reports(frames)] == [right[index][:2] for index in order]
    assert spoilt.events() == ["accepted"]


@BOTH
def test_a_swapped_report_is_not_kept_for_ever(maker):
    client = Client(maker, Fault("report_reorder", after_seconds=0))
    client.place()
    before = reports(client.frames)
    client.cancel()
    client.wait(1)
    assert sorted(one[2] for one in reports(client.frames)) == sorted({one[2] for one in reports(client.frames)})
    assert len(reports(client.frames)) > len(before)


@BOTH
def test_a_status_lies_and_the_quantities_do_not(maker):
    client = Client(maker, Fault("lying_status"))
    client.place()
    frames = client.cancel()
    what, status, _ = reports(frames)[-1]
    assert what.upper() == "CANCELED" and status.upper() == "FILLED"
    assert client.events()[-1] == "canceled"


@BOTH
def test_a_fill_of_nothing_comes_before_the_true_one(maker):
    client = Client(maker, Fault("zero_fill"))
    client.place(price=70000, quantity="0.001")
    name = "l" if maker is BinanceTrader else "last_qty"
    fills = [one for one in (frame.get("event") or frame.get("data", [{}])[0] for frame in client.frames)
             if isinstance(one, dict) and (one.get("x") == "TRADE" or one.get("exec_type") == "trade")]
    assert [Decimal(str(one[name])) for one in fills] == [0, Decimal("0.001")]
    assert len({one.get("t") or one.get("exec_id") for one in fills}) == 2


def test_the_clock_is_set_and_requests_are_judged_by_it():
    client = Client(BinanceTrader, Fault("clock", seconds=-1.5), Fault("clock", seconds=10, after_seconds=5))
    client.wait(0.1)
    code = client.place()[0]["error"]
    assert code["code"] == -1021 and "ahead" in code["msg"]
    assert client.send("time", {})[0]["result"]["serverTime"] == client.trader.now_ns // 10**6 - 1500
    client.wait(5)
    code = client.place()[0]["error"]
    assert code["code"] == -1021 and "recvWindow" in code["msg"]
    assert client.events() == []


@BOTH
def test_keys_expire_and_the_socket_stays_open(maker):
    client = Client(maker, Fault("expire_key", after_seconds=1))
    assert reports(client.place("of-1"))
    client.wait(2)
    if maker is KrakenTrader:
        assert answers(client.place("of-2"))[0]["error"] == "EAuth:Invalid token"
        assert 1 in client.true.connections
        return
    frames = client.place("of-2")
    assert answers(frames) and reports(frames) == [] and client.events() == ["accepted", "accepted"]
    assert client.send("userDataStream.subscribe.signature", {})[0]["status"] == 200
    assert reports(client.place("of-3"))


def test_new_orders_are_hidden_from_queries_for_a_while():
    client = Client(BinanceTrader, Fault("hide_orders", seconds=3))
    client.wait(0.1)
    client.place()
    asked = {"symbol": "BTCUSDT", "origClientOrderId": "of-1"}
    assert client.send("order.status", asked)[0]["error"]["code"] == -2013
    assert client.send("openOrders.status", {})[0]["result"] == []
    client.wait(3)
    assert client.send("order.status", asked)[0]["result"]["status"] == "NEW"


def test_new_orders_are_hidden_from_krakens_queries_and_snapshots_too():
    client = Client(KrakenTrader, Fault("hide_orders"))
    client.wait(0.1)
    name = client.place()[0]["result"]["order_id"]
    assert client.trader.rest("OpenOrders")["result"]["open"] == {}
    assert client.trader.rest("QueryOrders", txid=name)["result"] == {}
    client.send("unsubscribe", {"channel": "executions"})
    assert client.send("subscribe", {"channel": "executions"})[-1]["data"] == []
    client.wait(3)
    assert list(client.trader.rest("OpenOrders")["result"]["open"]) == [name]


@BOTH
def test_the_same_seed_gives_the_same_faults_and_the_truth_does_not_depend_on_reports(maker):
    def run(seed):
        client = Client(maker, seed=seed, **dict.fromkeys(ORDER_KINDS[:-1], 0.08), **dict.fromkeys(REPORT_KINDS, 0.1))
        for number in range(30):
            client.place(f"of-{number}", quantity="0.01")
            if number % 3 == 0:
                client.cancel(f"of-{number}")
            client.wait(0.1)
        return client
    one, two, other = run(1), run(1), run(2)
    assert (one.frames, one.faulty.counts, one.true.desk.log) == (two.frames, two.faulty.counts, two.true.desk.log)
    assert one.faulty.counts != other.faulty.counts and len(one.faulty.counts) > 5


def test_a_script_is_checked():
    trader = BinanceTrader()
    with pytest.raises(FaultError, match="request: 'buy' is none of place, cancel, change"):
        FaultPlan((Fault("reject", request="buy"),))
    trader.exchange.desk = None
    with pytest.raises(FaultError, match="no orders are taken"):
        FaultPlan((Fault("ack_lost", exchange="one"),)).check_exchange(trader.exchange)
    with pytest.raises(FaultError, match="clock"):
        FaultPlan((), {"clock": 0.5})


def test_a_file_may_name_what_is_accepted(tmp_path):
    path = tmp_path / "faults.toml"
    path.write_text('[[faults]]\nkind = "unknown"\naccepted = true\nafter_orders = 2\n')
    assert load(path).script == (Fault("unknown", accepted=True, after_orders=2),)
    path.write_text('[[faults]]\nkind = "unknown"\naccepted = 1\n')
    with pytest.raises(FaultError, match="accepted: expected bool"):
        load(path)


def test_a_request_counts_only_after_it_came():
    client = Client(BinanceTrader, replace(Fault("reject"), after_orders=2))
    assert ["error" in client.place(f"of-{number}")[0] for number in range(4)] == [False, False, True, False]


# -- over REST ---------------------------------------------------------------------------------------------------------


def rest(client, method, path, **parameters):
    """A signed REST request of Binance's; the Response."""
    query = urlencode(parameters | {"timestamp": client.trader.now_ns // 1_000_000})
    query += "&signature=" + hmac.new(SECRET.encode(), query.encode(), hashlib.sha256).hexdigest()
    return client.faulty.http(method, f"/api/v3{path}", query, {"x-mbx-apikey": "KEY"}, b"", client.trader.now_ns)


LIMIT = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "50000.00",
         "quantity": "0.1", "newClientOrderId": "of-1"}


@pytest.mark.parametrize("fault, status, happened", [
    (Fault("unknown", accepted=True), 504, True), (Fault("unknown", accepted=False, status=500), 500, False),
    (Fault("overload", status=429), 429, False), (Fault("overload", status=418), 418, False),
    (Fault("overload"), 503, False), (Fault("reject"), 400, False)])
def test_rest_refuses_whatever_has_happened(fault, status, happened):
    client = Client(BinanceTrader, fault)
    answer = rest(client, "POST", "/order", **LIMIT)
    assert (answer.status, client.events() == ["accepted"]) == (status, happened)
    assert json.loads(answer.body)["code"] in (-1007, -1003, -1008, -2010)
    assert ("Retry-After" in answer.headers) == (fault.kind == "overload")


def test_rest_takes_a_cancel_up_late():
    client = Client(BinanceTrader, Fault("late_cancel", seconds=20))
    rest(client, "POST", "/order", **LIMIT)
    answer = rest(client, "DELETE", "/order", symbol="BTCUSDT", origClientOrderId="of-1")
    assert client.events() == ["accepted"] and answer.after_ns == 20 * SECOND_NS
    later = answer.made(client.trader.now_ns + answer.after_ns)
    assert (later.status, client.events()) == (200, ["accepted", "canceled"])


@pytest.mark.parametrize("protocol", ["binance_spot", "kraken_v2"])
def test_ccxt_runs_into_a_time_out_and_the_order_lives(protocol):
    symbol = "BTC/USDT"
    plan = FaultPlan((Fault("ack_lost"), Fault("unknown", accepted=True)))
    exchange, account = start_venue(protocol, faults=plan)
    try:
        client = client_of(ccxt, protocol, exchange, account)
        client.load_markets()
        client.timeout = 500
        with pytest.raises(ccxt.RequestTimeout):
            client.create_order(symbol, "limit", "buy", 0.001, 50_000)
        client.timeout = 10_000
        with pytest.raises((ccxt.OperationFailed, ccxt.ExchangeNotAvailable)):
            client.create_order(symbol, "limit", "buy", 0.001, 50_001)
        assert sorted(one["price"] for one in client.fetch_open_orders(symbol)) == [50_000, 50_001]
        assert exchange.faults == {"ack_lost": 1, "unknown": 1}
    finally:
        exchange.stop()


def test_the_truth_is_written_as_json_lines(tmp_path):
    account = AccountSettings("KEY", SECRET)
    path = tmp_path / "truth.jsonl"
    settings = SimulatorSettings("one", "kraken_v2", accounts=(account,), funds="100", truth=str(path))
    running = start_thread(settings)
    try:
        order = client_of(ccxt, "kraken_v2", running, account).create_order("BTC/USDT", "limit", "buy", 0.001, 50_000)
    finally:
        running.stop()
    first, last = map(json.loads, path.read_text().splitlines())
    assert (first["event"], first["order_id"], first["price"]) == ("accepted", order["id"], "50000.0")
    assert Decimal(last["balances"]["main"]["USDT"]["locked"]) == Decimal("50.2")
