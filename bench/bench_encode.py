"""Orders to bytes: orderflow's codecs against json.dumps and hmac, the way a Python program would do it.

Each contestant encodes the same orders; before any number counts, their frames are read back and must say the same.
Both read the clock once a round, not once an order; times
are CPU time of the thread. Run alone: `python bench/bench_encode.py`.
"""
import hashlib
import hmac
import json
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench"), str(ROOT / "bench/native")]

import build  # noqa: E402
from bars import bar  # noqa: E402
from orderflow._core import client_id, fixed  # noqa: E402
from orderflow._core.codecs.binance_orders import BinanceOrders  # noqa: E402
from orderflow._core.codecs.kraken_orders import KrakenOrders  # noqa: E402
from orderflow._core.signing import Signer  # noqa: E402
from orderflow._core.types import CHILD_ORDER_DTYPE, LISTING_DTYPE, OrderType, Side, TimeInForce  # noqa: E402

COUNT, ROUNDS = 2000, 31
UNIX_NS = 1_770_000_000_123_000_000
KEY, SECRET, TOKEN = "k" * 64, "s" * 64, "t" * 48
CASES = [       # name; gate and aim against Python; gate and aim of ns per order
    ("Binance, HMAC", 3, 10, 2000, 600),
    ("Binance, logged on", 5, 20, 500, 100),
    ("Kraken", 5, 20, 500, 100),
]


def codec_of(name):
    listings = np.zeros(1, LISTING_DTYPE)
    listings["price_decimals"], listings["quantity_decimals"] = 2, 5
    if name == "Kraken":
        codec = KrakenOrders(listings, {"BTC/USD": 0})
        codec.set_token(TOKEN)
        return codec
    key = {"api_key": KEY, "signer": Signer.hmac_sha256(SECRET)} if "HMAC" in name else {}
    return BinanceOrders(listings, {"BTCUSDT": 0}, **key)


def orders():
    random = np.random.default_rng(3)
    records = np.zeros(COUNT, CHILD_ORDER_DTYPE)
    records["client_order_id"] = (7 << 40) + np.arange(1, COUNT + 1)
    records["price"] = random.integers(5_000_000, 7_000_000, COUNT)
    records["quantity"] = random.integers(1, 10**7, COUNT)
    records["side"] = random.integers(Side.BUY, Side.SELL + 1, COUNT)
    records["order_type"], records["time_in_force"] = OrderType.LIMIT, TimeInForce.IOC
    return records


def binance_frame(order, signed, unix_ns):
    """One order as a Python program writes it; the id of the request is what ours has of it, the order's own."""
    identity, price, quantity, side = order
    parameters = {"symbol": "BTCUSDT", "side": "BUY" if side == Side.BUY else "SELL", "type": "LIMIT",
                  "timeInForce": "IOC", "price": price, "quantity": quantity, "newClientOrderId": identity,
                  "newOrderRespType": "ACK", "timestamp": unix_ns // 1_000_000}
    if signed:
        parameters["apiKey"] = KEY
        payload = "&".join(f"{name}={parameters[name]}" for name in sorted(parameters))
        parameters["signature"] = hmac.new(SECRET.encode(), payload.encode(), hashlib.sha256).hexdigest()
    return json.dumps({"id": identity, "method": "order.place", "params": parameters})


def kraken_frame(order, number):
    """`price` and `quantity` go in as floats, since json knows no other number with a fraction."""
    identity, price, quantity, side = order
    return json.dumps({"method": "add_order", "req_id": number, "params": {
        "order_type": "limit", "side": "buy" if side == Side.BUY else "sell", "symbol": "BTC/USD",
        "fee_preference": "quote", "time_in_force": "ioc", "order_qty": float(quantity), "limit_price": float(price),
        "cl_ord_id": identity, "token": TOKEN}})


def python_frames(name, values):
    if name == "Kraken":
        return [kraken_frame(order, number) for number, order in enumerate(values)]
    return [binance_frame(order, "HMAC" in name, UNIX_NS) for order in values]


def same(ours, theirs):
    """Whether two frames are the same request, but for its number."""
    ours, theirs = json.loads(ours), json.loads(theirs)
    return ours["method"] == theirs["method"] and ours["params"] == theirs["params"]


@pytest.mark.parametrize(("name", "gate", "aim", "slow", "fast"), CASES, ids=[case[0] for case in CASES])
def test_encode(name, gate, aim, slow, fast):
    build.build("encode_orders")
    import encode_orders
    codec, records = codec_of(name), orders()
    values = [(client_id.encode(int(record["client_order_id"])), fixed.write_text(record["price"], 2, True),
               fixed.write_text(record["quantity"], 5, True), record["side"]) for record in records]
    frames = [codec.encode_new_order(record, UNIX_NS) for record in records]
    assert all(map(same, frames, python_frames(name, values)))
    ours, theirs = [], []
    for _ in range(ROUNDS):
        elapsed, written = encode_orders.time_new_orders(codec, records, UNIX_NS)
        assert written == sum(map(len, frames))
        ours.append(elapsed / COUNT)
        begin = time.thread_time_ns()
        python_frames(name, values)
        theirs.append((time.thread_time_ns() - begin) / COUNT)
    per_order = statistics.median(ours)
    print(f"{name}: {per_order:.0f} ns an order, json.dumps{' and hmac' if 'HMAC' in name else ''} "
          f"{statistics.median(theirs):.0f} ns")
    met = [bar(f"encode an order, {name}: Python / ours", statistics.median(theirs) / per_order, gate, aim, "higher"),
           bar(f"encode an order, {name}", per_order, slow, fast, "lower", "ns")]
    assert all(met)


if __name__ == "__main__":
    for case in CASES:
        test_encode(*case)
