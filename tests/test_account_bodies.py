"""What REST answers say of a whole account, ours and foreign, for a round of reconciliation."""
import json
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orderflow._core.client_id import encode
from orderflow._core.codec import DecodeOutput, DecodeStatus
from orderflow._core.codecs.binance_orders import BinanceOrders
from orderflow._core.codecs.kraken_orders import KrakenOrders
from orderflow._core.types import LISTING_DTYPE, BodyKind, ExecType, Liquidity, Side

OURS = 5 << 40 | 77
ASSETS = ["BTC", "ETH", "USD"]
NOT_OURS = 0xFFFFFFFF


def codec(kind):
    table = np.zeros(3, LISTING_DTYPE)
    table["price_decimals"], table["quantity_decimals"] = 2, 8
    if kind is BinanceOrders:
        return kind(table, {"BTCUSD": 1, "ETHUSD": 2}, assets=ASSETS)
    return kind(table, {"BTC/USD": 1, "ETH/USD": 2}, assets=ASSETS, rest_assets=["XXBT", "XETH", "ZUSD"],
                rest_symbols={"XXBTZUSD": 1, "XBTUSD": 1, "ETHUSD": 2})


def decoded(kind, body, what):
    out = DecodeOutput()
    status = codec(what).decode_account(kind, body if isinstance(body, bytes) else json.dumps(body).encode(), out, 9)
    return status, out.reports


def read(kind, body, what):
    status, reports = decoded(kind, body, what)
    assert status == DecodeStatus.DECODED
    return reports


def name_of(report):
    return report["exchange_order_id"].tobytes().rstrip(b"\0")


def binance_order(symbol, number, name):
    return {"symbol": symbol, "orderId": number, "clientOrderId": name, "price": "1.50", "origQty": "9.0",
            "executedQty": "0.25", "status": "PARTIALLY_FILLED", "timeInForce": "GTC", "type": "LIMIT", "side": "SELL",
            "time": 1, "updateTime": 1_700_000_000_123}


def test_open_orders_of_binance_are_ours_or_nobodys():
    ours, foreign, elsewhere = read(BodyKind.ACCOUNT_ORDERS, [
        binance_order("BTCUSD", 11, encode(OURS)), binance_order("ETHUSD", 12, "web_abc"),
        binance_order("DOGEUSD", 13, "x")], BinanceOrders)
    assert (ours["client_order_id"], ours["listing"], name_of(ours), ours["exec_type"]) == (
        OURS, 1, b"11", ExecType.REPORT_STATUS)
    assert (ours["cumulative_quantity"], ours["last_quantity"], ours["last_price"], ours["side"]) == (
        25_000_000, 900_000_000, 150, Side.SELL)
    assert (foreign["client_order_id"], foreign["listing"]) == (0, 2)
    assert (elsewhere["client_order_id"], elsewhere["listing"], name_of(elsewhere)) == (0, NOT_OURS, b"13")


def test_trades_of_binance_name_the_exchanges_order():
    trade = {"symbol": "BTCUSD", "id": 28457, "orderId": 100234, "orderListId": -1, "price": "4.00", "qty": "12.0",
             "quoteQty": "48.0", "commission": "10.10000000", "commissionAsset": "USD", "time": 1499865549590,
             "isBuyer": True, "isMaker": False, "isBestMatch": True}
    report, = read(BodyKind.ACCOUNT_TRADES, [trade, trade | {"symbol": "DOGEUSD"}], BinanceOrders)
    assert (report["exec_type"], report["client_order_id"], report["trade_id"], name_of(report), report["listing"]) == (
        ExecType.REPORT_FILL, 0, 28457, b"100234", 1)
    assert (report["last_price"], report["last_quantity"], report["side"], report["liquidity"]) == (
        400, 1_200_000_000, Side.BUY, Liquidity.TAKER)
    assert (report["fee"], report["fee_decimals"], report["fee_asset"]) == (1_010_000_000, 8, 2)
    assert report["exchange_ns"] == 1499865549590_000_000


def held_by(reports):
    """Asset -> amount: what is told of it in parts is added up."""
    found = {}
    for each in reports:
        part = Fraction(int(each["fee"]), 10 ** int(each["fee_decimals"]))
        found[int(each["fee_asset"])] = found.get(int(each["fee_asset"]), 0) + part
    return found


def test_balances_of_binance_are_free_and_locked_of_the_assets_that_trade():
    reports = read(BodyKind.ACCOUNT_BALANCES, {"canTrade": True, "balances": [
        {"asset": "USD", "free": "4723846.89208129", "locked": "0.00000001"},
        {"asset": "SHIB", "free": "999999999999999999999.0", "locked": "0"},
        {"asset": "BTC", "free": "0.00000000", "locked": "1.50000000"}]}, BinanceOrders)
    assert all(each["exec_type"] == ExecType.REPORT_BALANCE for each in reports)
    assert held_by(reports) == {2: Fraction("4723846.89208130"), 0: Fraction("1.5")}


def kraken(result):
    return {"error": [], "result": result}


def test_open_orders_of_kraken_are_ours_or_nobodys():
    order = {"refid": None, "userref": 0, "cl_ord_id": encode(OURS), "status": "open", "opentm": 1.5, "descr": {
        "pair": "XBTUSD", "type": "buy", "ordertype": "limit", "price": "1.5", "price2": "0", "leverage": "none",
        "order": "buy 9 XBTUSD @ limit 1.5", "close": ""}, "vol": "9.0", "vol_exec": "0.25", "cost": "0", "fee": "0"}
    foreign = {name: value for name, value in order.items() if name != "cl_ord_id"}
    elsewhere = foreign | {"descr": order["descr"] | {"pair": "XDGUSD"}}
    ours, by_hand, other = read(BodyKind.ACCOUNT_ORDERS, kraken({"open": {
        "OAAAAA-BBBBB-CCCCCC": order, "OAAAAA-BBBBB-CCCCCD": foreign, "OAAAAA-BBBBB-CCCCCE": elsewhere}}), KrakenOrders)
    assert (ours["client_order_id"], ours["listing"], name_of(ours), ours["exec_type"]) == (
        OURS, 1, b"OAAAAA-BBBBB-CCCCCC", ExecType.REPORT_STATUS)
    assert (ours["cumulative_quantity"], ours["last_quantity"], ours["last_price"], ours["side"]) == (
        25_000_000, 900_000_000, 150, Side.BUY)
    assert (by_hand["client_order_id"], by_hand["listing"]) == (0, 1)
    assert (other["client_order_id"], other["listing"], name_of(other)) == (0, NOT_OURS, b"OAAAAA-BBBBB-CCCCCE")


def test_trades_of_kraken_name_the_exchanges_order():
    trade = {"ordertxid": "OQCLML-BW3P3-BUCMWZ", "postxid": "TKH2SE-M7IF5-CFI7LT", "pair": "XXBTZUSD",
             "time": 1616667796.8802, "type": "sell", "ordertype": "limit", "price": "300.10", "cost": "600.20",
             "fee": "0.50000", "vol": "2.00000000", "margin": "0", "leverage": "0", "misc": "", "trade_id": 40274859,
             "maker": True}
    report, = read(BodyKind.ACCOUNT_TRADES, kraken({"count": 2, "trades": {
        "THVRQM-33VKH-UCI7BS": trade, "TCWJEG-FL4SZ-3FKGH6": trade | {"pair": "XDGUSD"}}}), KrakenOrders)
    assert (report["exec_type"], report["client_order_id"], report["trade_id"], name_of(report), report["listing"]) == (
        ExecType.REPORT_FILL, 0, 40274859, b"OQCLML-BW3P3-BUCMWZ", 1)
    assert (report["last_price"], report["last_quantity"], report["side"], report["liquidity"]) == (
        30010, 200_000_000, Side.SELL, Liquidity.MAKER)
    assert (report["fee"], report["fee_decimals"], report["fee_asset"]) == (50000, 5, 2)
    assert report["exchange_ns"] == 1616667796_880_200_000


def test_balances_of_kraken_go_by_the_names_that_rest_gives():
    reports = read(BodyKind.ACCOUNT_BALANCES, kraken({"ZUSD": "171288.6158", "XXBT": "1011.1908877900", "XBT.F": "1",
                                                      "SHIB": "99999999999999999999.5"}), KrakenOrders)
    assert [(each["exec_type"], each["fee_asset"], each["fee"], each["fee_decimals"]) for each in reports] == [
        (ExecType.REPORT_BALANCE, 2, 1712886158, 4), (ExecType.REPORT_BALANCE, 0, 10111908877900, 10)]


LARGEST = 10**18 - 1            # whole units of one asset


@given(whole=st.integers(0, LARGEST), rest=st.text("0123456789", max_size=18), zeros=st.integers(0, 9),
       negative=st.booleans())
@example(whole=922_337_203, rest="6854775807", zeros=0, negative=False)     # the last that fits with ten decimals
@example(whole=922_337_203, rest="6854775808", zeros=0, negative=False)
@example(whole=92_233_720_368, rest="54775808", zeros=0, negative=True)
@example(whole=LARGEST, rest="9" * 18, zeros=5, negative=False)
def test_a_balance_of_any_size_is_read_exactly(whole, rest, zeros, negative):
    """Large holdings of cheap assets do not fit 64 bits with the decimals that they are told with."""
    text = f"{'-' if negative else ''}{whole}" + ("." + rest + "0" * zeros if rest else "")
    for spelt in (json.dumps(text), text):
        body = f'{{"error":[],"result":{{"ZUSD":{spelt},"XXBT":"1.5"}}}}'.encode()
        assert held_by(read(BodyKind.ACCOUNT_BALANCES, body, KrakenOrders)) == {2: Fraction(text), 0: Fraction("1.5")}
        body = f'{{"balances":[{{"asset":"USD","free":{spelt},"locked":{spelt}}}]}}'.encode()
        assert held_by(read(BodyKind.ACCOUNT_BALANCES, body, BinanceOrders)) == {2: 2 * Fraction(text)}


@pytest.mark.parametrize("text", [
    "1000000000000000000", "10.0000000000000000001", "1e300", "1000000000.00e1", "1.", "x"])
def test_a_balance_that_cannot_be_is_refused_and_not_cut(text):
    for what, body in ((KrakenOrders, kraken({"ZUSD": text})),
                       (BinanceOrders, {"balances": [{"asset": "USD", "free": text, "locked": "0"}]})):
        status, reports = decoded(BodyKind.ACCOUNT_BALANCES, body, what)
        assert status in (DecodeStatus.NUMBER_RANGE, DecodeStatus.NUMBER_INEXACT, DecodeStatus.BAD_NUMBER)
        assert len(reports) == 0


@pytest.mark.parametrize(("what", "kind", "body"), [
    (BinanceOrders, BodyKind.ACCOUNT_BALANCES, b"{}"), (BinanceOrders, BodyKind.ACCOUNT_BALANCES, b"[]"),
    (BinanceOrders, BodyKind.ACCOUNT_BALANCES, b'{"balances":[{"asset":"BTC","free":"1"}]}'),
    (BinanceOrders, BodyKind.ACCOUNT_ORDERS, b"{}"), (BinanceOrders, BodyKind.ACCOUNT_TRADES, b'[{"symbol":"BTCUSD"}]'),
    (BinanceOrders, BodyKind.ACCOUNT_ORDERS, b'[{"symbol":"BTCUSD","orderId":1'),
    (KrakenOrders, BodyKind.ACCOUNT_BALANCES, b'{"error":[]}'), (KrakenOrders, BodyKind.ACCOUNT_BALANCES, b"[]"),
    (KrakenOrders, BodyKind.ACCOUNT_BALANCES, b'{"result":{"ZUSD":"x"}}'),
    (KrakenOrders, BodyKind.ACCOUNT_ORDERS, b'{"result":{}}'),
    (KrakenOrders, BodyKind.ACCOUNT_ORDERS, b'{"result":[]}'),
    (KrakenOrders, BodyKind.ACCOUNT_TRADES, b'{"result":{"open":{}}}'),
])
def test_an_answer_that_is_not_whole_is_not_understood(what, kind, body):
    status, reports = decoded(kind, body, what)
    assert status != DecodeStatus.DECODED and len(reports) == 0


@pytest.mark.parametrize(("what", "kind", "body"), [
    (BinanceOrders, BodyKind.ACCOUNT_BALANCES, {"balances": []}), (BinanceOrders, BodyKind.ACCOUNT_ORDERS, []),
    (BinanceOrders, BodyKind.ACCOUNT_TRADES, []), (KrakenOrders, BodyKind.ACCOUNT_BALANCES, kraken({})),
    (KrakenOrders, BodyKind.ACCOUNT_ORDERS, kraken({"open": {}})),
    (KrakenOrders, BodyKind.ACCOUNT_TRADES, kraken({"trades": {}, "count": 0})),
])
def test_an_account_that_says_it_is_empty_is(what, kind, body):
    assert len(read(kind, body, what)) == 0
