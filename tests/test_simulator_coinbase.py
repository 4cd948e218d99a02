"""The Coinbase dialects, spoken to by hand: answers, refusals, first frames, heartbeats, numbers, REST."""
import json

import pytest

from orderflow._core.types import Side
from orderflow.simulator.exchange import SECOND_NS
from orderflow.simulator.launch import SimulatorSettings, build

START_NS = 1_700_000_000 * SECOND_NS


class Talk:
    """One connection to a simulated exchange whose clock stands where it was put."""

    def __init__(self, protocol):
        self.exchange = build(SimulatorSettings("one", protocol, seed=3, origin_ns=START_NS))
        self.now_ns = START_NS
        self.exchange.open(1, "/", START_NS)

    def say(self, request):
        """What comes back at once."""
        self.exchange.message(1, request if isinstance(request, str) else json.dumps(request), self.now_ns)
        return self.heard()

    def heard(self):
        return [json.loads(frame) for _, frame in self.exchange.drain()]

    def wait(self, seconds):
        """What came in so many seconds."""
        end_ns = self.now_ns + int(seconds * SECOND_NS)
        while self.exchange.next_ns() <= end_ns:
            self.now_ns = max(self.now_ns, self.exchange.next_ns())
            self.exchange.advance(self.now_ns)
        self.now_ns = end_ns
        return self.heard()

    def get(self, path, query=""):
        answer = self.exchange.http("GET", path, query, {}, b"", self.now_ns)
        return answer.status, json.loads(answer.body)


def exchange_request(kind, channels, products=("BTC-USD",)):
    return {"type": kind, "product_ids": list(products), "channels": channels}


def advanced_request(kind, channel, products=("BTC-USD",)):
    return {"type": kind, "product_ids": list(products), "channel": channel}


def test_the_exchange_answers_with_all_that_is_subscribed():
    talk = Talk("coinbase")
    answer, snapshot = talk.say(exchange_request("subscribe", ["level2_batch"]))
    assert answer == {"type": "subscriptions", "channels": [{"name": "level2_batch", "product_ids": ["BTC-USD"]}]}
    assert snapshot["type"] == "snapshot" and snapshot["asks"] and snapshot["bids"]
    answer, = talk.say(exchange_request("subscribe", [{"name": "heartbeat", "product_ids": ["ETH-USD"]}], ()))
    assert [channel["name"] for channel in answer["channels"]] == ["level2_batch", "heartbeat"]
    assert len(talk.say(exchange_request("subscribe", ["level2_batch"]))) == 1      # no second snapshot
    answer, = talk.say(exchange_request("unsubscribe", ["level2_batch"]))
    assert [channel["name"] for channel in answer["channels"]] == ["heartbeat"]
    assert {frame["type"] for frame in talk.wait(2.5)} == {"heartbeat"}


def test_updates_of_the_exchange_lead_to_its_book():
    talk = Talk("coinbase")
    _, snapshot = talk.say(exchange_request("subscribe", ["level2_batch"]))
    sides = {"buy": dict(snapshot["bids"]), "sell": dict(snapshot["asks"])}
    updates = talk.wait(3)
    assert len(updates) > 20
    for update in updates:
        assert (update["type"], update["product_id"]) == ("l2update", "BTC-USD")
        for side, price, quantity in update["changes"]:
            if float(quantity):
                sides[side][price] = quantity
            else:
                del sides[side][price]
    _, book = talk.get("/products/BTC-USD/book", "level=2")
    assert sides == {"buy": {price: quantity for price, quantity, _ in book["bids"]},
                     "sell": {price: quantity for price, quantity, _ in book["asks"]}}


def test_trades_tickers_and_heartbeats_of_the_exchange():
    talk = Talk("coinbase")
    talk.say(exchange_request("subscribe", ["matches", "ticker", "heartbeat"]))
    frames = talk.wait(5)
    by_type = {kind: [frame for frame in frames if frame["type"] == kind] for kind in ("match", "ticker", "heartbeat")}
    assert [len(by_type["heartbeat"]), sum(map(len, by_type.values()))] == [5, len(frames)]
    numbers = [match["trade_id"] for match in by_type["match"]]
    assert numbers == list(range(1, len(numbers) + 1)) and numbers
    assert by_type["ticker"][-1]["trade_id"] == numbers[-1]
    assert by_type["ticker"][-1]["side"] != by_type["match"][-1]["side"]    # the taker's and the maker's
    talk.say(exchange_request("unsubscribe", ["matches"]))
    _, last = talk.say(exchange_request("subscribe", ["matches"]))
    assert (last["type"], last["trade_id"]) == ("last_match", talk.exchange.last_trades["BTC-USD"][0])


@pytest.mark.parametrize("request_, words", [
    ("{", "Malformed JSON"), ("[]", "Malformed JSON"), ({"type": "hello"}, "Type has to be"),
    (exchange_request("subscribe", ["matches"], ["XYZ-USD"]), "XYZ-USD is not a valid product"),
    (exchange_request("subscribe", ["nothing"]), "nothing is not a valid channel"),
    (exchange_request("subscribe", ["matches"], ()), "product_ids"), (exchange_request("subscribe", []), "channels"),
    (exchange_request("subscribe", ["level2"]), "require authentication"),
    (exchange_request("subscribe", ["level2"]) | dict.fromkeys(("key", "signature", "passphrase"), "x")
     | {"timestamp": f"{START_NS // SECOND_NS - 31}"}, "timestamp expired"),
    (exchange_request("subscribe", ["level2"]) | dict.fromkeys(("key", "signature", "passphrase", "timestamp"), "x"),
     "invalid timestamp"),
])
def test_what_the_exchange_refuses(request_, words):
    error, = Talk("coinbase").say(request_)
    assert error["type"] == "error" and words in f"{error['message']}: {error.get('reason')}"


def test_advanced_trade_numbers_whatever_it_sends():
    talk = Talk("coinbase_adv")
    frames = []
    for channel in ("level2", "market_trades", "heartbeats"):
        frames += talk.say(advanced_request("subscribe", channel, () if channel == "heartbeats" else ("BTC-USD",)))
    assert frames[-1]["events"] == [{"subscriptions": {
        "level2": ["BTC-USD"], "market_trades": ["BTC-USD"], "heartbeats": ["heartbeats"]}}]
    frames += talk.wait(3)
    assert [frame["sequence_num"] for frame in frames] == list(range(len(frames)))
    assert {frame["channel"] for frame in frames} == {"subscriptions", "l2_data", "market_trades", "heartbeats"}
    counters = [frame["events"][0]["heartbeat_counter"] for frame in frames if frame["channel"] == "heartbeats"]
    assert counters == [1, 2, 3]


def test_trades_of_advanced_trade_tell_the_makers_side():
    talk = Talk("coinbase_adv")
    talk.say(advanced_request("subscribe", "market_trades"))
    trades = [trade for frame in talk.wait(3) for event in frame["events"] for trade in event["trades"]]
    number, _, _, side = talk.exchange.last_trades["BTC-USD"]
    last = max(trades, key=lambda trade: int(trade["trade_id"]))
    assert (last["trade_id"], last["side"]) == (f"{number}", "SELL" if side == Side.BUY else "BUY")
    talk.say(advanced_request("unsubscribe", "market_trades"))
    _, history = talk.say(advanced_request("subscribe", "market_trades"))
    assert history["events"][0]["type"] == "snapshot"


def test_a_product_in_usdc_gets_the_data_of_the_one_in_usd():
    talk = Talk("coinbase_adv")
    _, snapshot = talk.say(advanced_request("subscribe", "level2", ["BTC-USDC"]))
    assert snapshot["events"][0]["product_id"] == "BTC-USD"
    products = {entry["product_id"]: entry for entry in talk.get("/api/v3/brokerage/market/products")[1]["products"]}
    assert (products["BTC-USDC"]["alias"], products["BTC-USD"]["alias_to"]) == ("BTC-USD", ["BTC-USDC"])


@pytest.mark.parametrize("request_, words", [
    ("nonsense", "Malformed JSON"), (advanced_request("subscribe", "level2", ["XYZ-USD"]), "XYZ-USD"),
    (advanced_request("subscribe", "l3"), "channel"),
    (advanced_request("subscribe", "ticker"), "channel"), ({"type": "subscribe"}, "channel"),
    (advanced_request("subscribe", "level2", ()), "product_ids"),
])
def test_what_advanced_trade_refuses(request_, words):
    error, = Talk("coinbase_adv").say(request_)
    assert error["type"] == "error" and words in error["message"]


def test_rest():
    exchange, advanced = Talk("coinbase"), Talk("coinbase_adv")
    base = "/api/v3/brokerage/market"
    assert exchange.get("/products/ETH-USD")[1]["quote_increment"] == "0.05"
    assert exchange.get("/products/ETH-USD/book", "level=9") == (400, {"message": "Invalid level"})
    assert exchange.get("/products/XYZ-USD")[0] == advanced.get(f"{base}/products/XYZ-USD")[0] == 404
    assert advanced.get(f"{base}/products/ETH-USD")[1]["price_increment"] == "0.05"
    assert advanced.get(f"{base}/products", "product_type=FUTURE")[1]["products"] == []
    book = advanced.get(f"{base}/product_book", "product_id=ETH-USD&limit=3")[1]["pricebook"]
    assert len(book["bids"]) == len(book["asks"]) == 3
    assert advanced.get(f"{base}/product_book", "product_id=ETH-USD&limit=many")[0] == 400
    assert exchange.get("/time")[1]["epoch"] == int(advanced.get("/api/v3/brokerage/time")[1]["epochSeconds"])
