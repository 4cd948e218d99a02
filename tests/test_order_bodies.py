"""What REST answers say of an order, against a slow reading of the same text; and bytes that were damaged."""
import json
import random
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow._core.client_id import encode
from orderflow._core.codec import DecodeOutput, DecodeStatus
from orderflow._core.codecs.binance_orders import BinanceOrders
from orderflow._core.codecs.kraken_orders import KrakenOrders
from orderflow._core.types import LISTING_DTYPE, BodyKind, ExecType, Liquidity, Reason, Side

OURS = 5 << 40 | 77
ASSETS = ["BTC", "USD"]
STATES = {"NEW": ExecType.REPORT_STATUS, "PARTIALLY_FILLED": ExecType.REPORT_STATUS, "FILLED": ExecType.REPORT_STATUS,
          "CANCELED": ExecType.REPORT_CANCELED, "REJECTED": ExecType.REPORT_REJECTED,
          "EXPIRED": ExecType.REPORT_EXPIRED, "EXPIRED_IN_MATCH": ExecType.REPORT_EXPIRED}
KRAKEN_STATES = {"pending": ExecType.REPORT_STATUS, "open": ExecType.REPORT_STATUS, "closed": ExecType.REPORT_STATUS,
                 "canceled": ExecType.REPORT_CANCELED, "expired": ExecType.REPORT_EXPIRED}


def codec(kind):
    table = np.zeros(2, LISTING_DTYPE)
    table["price_decimals"], table["quantity_decimals"] = 2, 8
    return kind(table, {"BTC/USD" if kind is KrakenOrders else "BTCUSD": 1}, assets=ASSETS)


def decoded(one, kind, body):
    out = DecodeOutput()
    return one.decode_body(kind, OURS, 1, body.encode(), out, receive_ns=9), out.reports


def read(kind, body):
    status, reports = decoded(codec(BinanceOrders), kind, json.dumps(body))
    assert status == DecodeStatus.DECODED
    return reports


def name_of(report):
    return report["exchange_order_id"].tobytes().rstrip(b"\0")


def text(amount, decimals):
    return format(Decimal(amount).scaleb(-decimals), "f")


amounts = st.integers(0, 10**15)
numbers = st.integers(1, 2**53)
sides = st.sampled_from(("BUY", "SELL"))


def binance_order(state, side, executed, number, name=OURS):
    return {"symbol": "BTCUSD", "orderId": number, "orderListId": -1, "clientOrderId": encode(name), "price": "1.00",
            "origQty": "9.0", "executedQty": text(executed, 8), "cummulativeQuoteQty": "1", "status": state,
            "timeInForce": "IOC", "type": "LIMIT", "side": side, "time": 1, "updateTime": 1_700_000_000_123,
            "isWorking": False}


@given(st.sampled_from(sorted(STATES)), sides, amounts, numbers)
def test_binance_says_how_an_order_stands(state, side, executed, number):
    report, = read(BodyKind.ORDER_STATE, binance_order(state, side, executed, number))
    assert (report["exec_type"], report["cumulative_quantity"], report["client_order_id"], report["listing"]) == (
        STATES[state], executed, OURS, 1)
    assert (report["side"], name_of(report), report["exchange_ns"]) == (
        Side[side], str(number).encode(), 1_700_000_000_123_000_000)
    assert (report["reason"] == Reason.SELF_TRADE) == (state == "EXPIRED_IN_MATCH")


@given(st.lists(st.tuples(st.sampled_from(sorted(STATES)), sides, amounts, numbers,
                          st.sampled_from((OURS, 5, 3 << 40))), max_size=8))
def test_of_a_list_only_the_order_that_was_asked_for_is_read(orders):
    reports = read(BodyKind.ORDER_LIST, [binance_order(*order) for order in orders])
    wanted = [order for order in orders if order[4] == OURS]
    assert [(report["exec_type"], report["cumulative_quantity"]) for report in reports] == [
        (STATES[order[0]], order[2]) for order in wanted]


@given(st.lists(st.tuples(st.integers(1, 10**12), st.integers(1, 10**15), st.integers(0, 10**12), numbers,
                          st.booleans(), st.booleans(), st.sampled_from(ASSETS)), max_size=8))
def test_binance_says_how_it_was_filled(trades):
    body = [{"symbol": "BTCUSD", "id": trade_id, "orderId": 4, "orderListId": -1, "price": text(price, 2),
             "qty": text(quantity, 8), "quoteQty": "1", "commission": text(fee, 8), "commissionAsset": asset,
             "time": 1_700_000_000_000, "isBuyer": buys, "isMaker": makes, "isBestMatch": True}
            for price, quantity, fee, trade_id, buys, makes, asset in trades]
    reports = read(BodyKind.ORDER_TRADES, body)
    assert [(report["last_price"], report["last_quantity"],
             Decimal(int(report["fee"])).scaleb(-int(report["fee_decimals"])), report["trade_id"], report["side"],
             report["liquidity"], ASSETS[report["fee_asset"]]) for report in reports] == [
        (price, quantity, Decimal(fee).scaleb(-8), trade_id, Side.BUY if buys else Side.SELL,
         Liquidity.MAKER if makes else Liquidity.TAKER, asset)
        for price, quantity, fee, trade_id, buys, makes, asset in trades]
    assert all(report["exec_type"] == ExecType.REPORT_FILL and report["client_order_id"] == OURS for report in reports)


def kraken_order(state, side, executed, volume, name=OURS):
    return {"refid": None, "userref": 0, "cl_ord_id": None if name is None else encode(name), "status": state,
            "opentm": 1700000000.1234, "descr": {"pair": "XBTUSD", "type": side.lower(), "ordertype": "limit",
                                                  "price": "30010.0"},
            "vol": text(volume, 8), "vol_exec": text(executed, 8), "cost": "1.0", "fee": "0.0", "trades": ["T-1"]}


@given(st.sampled_from(sorted(KRAKEN_STATES)), sides, st.integers(0, 10**9), st.integers(0, 10**9),
       st.sampled_from(("open", "closed")))
def test_kraken_says_how_an_order_stands(state, side, executed, left, kind):
    body = {"error": [], "result": {kind: {
        "O-OTHER": kraken_order("open", "BUY", 1, 2, None),
        "O-OURS-1": kraken_order(state, side, executed, executed + left)}, "count": 2}}
    status, (report,) = decoded(codec(KrakenOrders), BodyKind.ORDER_LIST, json.dumps(body))
    ended = state == "closed" and left
    assert status == DecodeStatus.DECODED
    assert (report["exec_type"], report["cumulative_quantity"], report["side"], name_of(report)) == (
        ExecType.REPORT_CANCELED if ended else KRAKEN_STATES[state], executed, Side[side], b"O-OURS-1")


def test_kraken_says_how_it_was_filled():
    body = {"error": [], "result": {"TA-1": {
        "ordertxid": "O-OURS-1", "pair": "XXBTZUSD", "time": 1688667796.88, "type": "sell", "ordertype": "limit",
        "price": "30010.00", "cost": "600.20000", "fee": "0.60020", "vol": "0.02000000", "margin": "0.00000",
        "misc": "", "trade_id": 74145212, "maker": True}}}
    status, (report,) = decoded(codec(KrakenOrders), BodyKind.ORDER_TRADES, json.dumps(body))
    assert status == DecodeStatus.DECODED
    assert (report["last_price"], report["last_quantity"], report["trade_id"]) == (3_001_000, 2_000_000, 74145212)
    assert (report["fee"], report["fee_decimals"]) == (60_020, 5)
    assert (report["side"], report["liquidity"], ASSETS[report["fee_asset"]]) == (Side.SELL, Liquidity.MAKER, "USD")


@pytest.mark.parametrize("kind, body, one", [
    (BodyKind.ORDER_STATE, binance_order("LOST", "BUY", 0, 1), BinanceOrders),      # a word that is not known
    (BodyKind.ORDER_STATE, {"code": -1003, "msg": "Too many requests"}, BinanceOrders),
    (BodyKind.ORDER_LIST, {"code": -1003, "msg": "Too many requests"}, BinanceOrders),
    (BodyKind.ORDER_STATE, binance_order("NEW", "BUY", 0, 1) | {"executedQty": "0.000000001"}, BinanceOrders),
    (BodyKind.ORDER_LIST, {"error": ["EService:Busy"]}, KrakenOrders),
    (BodyKind.ORDER_LIST, {"result": {"open": {"O-1": kraken_order("lost", "BUY", 0, 1)}}}, KrakenOrders),
])
def test_what_is_not_understood_proves_nothing(kind, body, one):
    status, reports = decoded(codec(one), kind, json.dumps(body))
    assert status != DecodeStatus.DECODED and not len(reports)


@pytest.mark.parametrize("one, kind, body", [
    (BinanceOrders, BodyKind.ORDER_STATE, binance_order("FILLED", "BUY", 9 * 10**8, 12)),
    (BinanceOrders, BodyKind.ORDER_LIST, [binance_order("NEW", "SELL", 0, 1), binance_order("FILLED", "BUY", 5, 2, 9)]),
    (KrakenOrders, BodyKind.ORDER_LIST, {"error": [], "result": {"open": {"O-1": kraken_order("open", "BUY", 0, 1)}}}),
])
def test_damaged_bytes_are_read_as_json_has_them_or_refused(one, kind, body):
    """The scanner refuses what Python's refuses, and never reads beyond the end."""
    random_bytes, whole, decoder = random.Random(3), json.dumps(body).encode(), codec(one)
    for _ in range(20_000):
        raw = bytearray(whole)
        for _ in range(random_bytes.randint(1, 3)):
            raw[random_bytes.randrange(len(raw))] = random_bytes.randrange(256)
        if random_bytes.random() < 0.3:
            del raw[random_bytes.randrange(len(raw)):]
        out = DecodeOutput()
        if decoder.decode_body(kind, OURS, 1, bytes(raw), out) == DecodeStatus.DECODED:
            json.loads(raw)
