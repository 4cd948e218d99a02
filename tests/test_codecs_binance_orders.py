"""Binance orders: what is sent, read back with json and hmac, and what the exchange answers."""
import hashlib
import hmac
import json
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow._core import client_id
from orderflow._core.codec import DecodeOutput, DecodeStatus
from orderflow._core.codecs.binance_orders import BinanceOrders
from orderflow._core.signing import Signer
from orderflow._core.types import (
    CHILD_ORDER_DTYPE,
    ExecType,
    Liquidity,
    MessageKind,
    OrderFlag,
    OrderType,
    RateNotice,
    Reason,
    Side,
    TimeInForce,
)
from tests.codec_frames import check_refusal, listing_table, spellings

API_KEY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"
SECRET = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j"
SYMBOLS, SCALES = {"BTCUSDT": 0, "ETHBTC": 1, "ETHUSDT": 3}, [(2, 5), (8, 8), (0, 0), (8, 8)]
NO_LISTING = NO_SLOT = 0xFFFFFFFF
OURS = (7 << 40) | 12345
DISPLAYED = 1 << 8      # a flag of the test's own: it shows a part of itself
VARIANTS = {    # (order type, time in force, flags) -> (type, timeInForce)
    (OrderType.LIMIT, TimeInForce.GTC, 0): ("LIMIT", "GTC"),
    (OrderType.LIMIT, TimeInForce.GTC, DISPLAYED): ("LIMIT", "GTC"),
    (OrderType.LIMIT, TimeInForce.GTC, DISPLAYED | OrderFlag.POST_ONLY): ("LIMIT_MAKER", None),
    (OrderType.LIMIT, TimeInForce.IOC, 0): ("LIMIT", "IOC"),
    (OrderType.LIMIT, TimeInForce.FOK, 0): ("LIMIT", "FOK"),
    (OrderType.LIMIT, TimeInForce.GTC, OrderFlag.POST_ONLY): ("LIMIT_MAKER", None),
    (OrderType.MARKET, TimeInForce.GTC, 0): ("MARKET", None),
    (OrderType.MARKET, TimeInForce.IOC, 0): ("MARKET", None),
}


def codec(signed=True, window=0, symbols=SYMBOLS):
    key = {"api_key": API_KEY, "signer": Signer.hmac_sha256(SECRET)} if signed else {}
    return BinanceOrders(listing_table(SCALES), symbols, receive_window_ms=window, assets=("USDT", "BTC", "ETH"), **key)


def order(**values):
    """A plain order to buy, unless told otherwise."""
    record = np.zeros(1, CHILD_ORDER_DTYPE)
    plain = {"client_order_id": OURS, "side": Side.BUY, "order_type": OrderType.LIMIT, "price": 2341610,
             "time_in_force": TimeInForce.GTC, "quantity": 847, "slot": 17}
    for name, value in {**plain, **values}.items():
        record[name] = value
    return record


def signature_of(parameters):
    """Binance: every parameter but the signature, sorted by name, joined; as the texts stand in the frame."""
    payload = "&".join(f"{name}={parameters[name]}" for name in sorted(parameters) if name != "signature")
    return hmac.new(SECRET.encode(), payload.encode(), hashlib.sha256).hexdigest()


positive = st.integers(1, 2**63 - 1)


@given(st.integers(1, 2**64 - 1), st.sampled_from([0, 1, 3]), st.sampled_from([Side.BUY, Side.SELL]),
       st.sampled_from(list(VARIANTS)), positive, positive, positive, st.integers(0, 4 * 10**18), st.booleans(),
       st.sampled_from([0, 100, 60000]))
def test_what_is_sent(identity, listing, side, variant, price, quantity, display, unix_ns, signed, window):
    type_, force, flags = variant
    record = order(client_order_id=identity, listing=listing, side=side, order_type=type_, time_in_force=force,
                   flags=flags & 0xFF, price=price, quantity=quantity,
                   terms=display if flags & DISPLAYED else 0 if force == TimeInForce.GTC else 1)
    sender = codec(signed, window)
    frame = sender.encode_new_order(record, unix_ns)
    sent = json.loads(frame, parse_float=str)
    parameters = sent["params"]
    price_decimals, quantity_decimals = SCALES[listing]
    symbol = sender.symbols_by_listing()[listing]
    expected = {"symbol": symbol, "side": Side(side).name, "type": VARIANTS[variant][0],
                "newClientOrderId": client_id.encode(identity), "newOrderRespType": "ACK",
                "timestamp": unix_ns // 10**6}
    if VARIANTS[variant][1]:
        expected["timeInForce"] = VARIANTS[variant][1]
    if window:
        expected["recvWindow"] = window
    if signed:
        expected |= {"apiKey": API_KEY, "signature": signature_of(parameters)}
    assert Decimal(parameters.pop("quantity")).scaleb(quantity_decimals) == quantity
    if flags & DISPLAYED:
        assert Decimal(parameters.pop("icebergQty")).scaleb(quantity_decimals) == display
    if type_ == OrderType.LIMIT:
        assert Decimal(parameters.pop("price")).scaleb(price_decimals) == price
    assert parameters == expected
    assert sent.keys() == {"id", "method", "params"} and sent["method"] == "order.place"
    assert len(sent["id"]) <= 36 and sent["id"].isalnum() and len(frame) <= 1024


@given(st.integers(1, 2**64 - 1), st.sampled_from([b"", b"12569099453", b"9" * 20, b"OABCDE-1", b"1" * 31]),
       st.booleans(), st.sampled_from([0, 5000]))
def test_what_is_cancelled(identity, exchange_order_id, signed, window):
    """By the exchange's id where it is one of Binance's, else by ours."""
    record = order(client_order_id=identity)
    frame = codec(signed, window).encode_cancel_order(record, exchange_order_id, 1660801715830 * 10**6)
    sent = json.loads(frame)
    parameters = sent["params"]
    expected = {"symbol": "BTCUSDT", "timestamp": 1660801715830}
    if exchange_order_id.isdigit() and len(exchange_order_id) <= 20:
        expected["orderId"] = int(exchange_order_id)
    else:
        expected["origClientOrderId"] = client_id.encode(identity)
    if window:
        expected["recvWindow"] = window
    if signed:
        expected |= {"apiKey": API_KEY, "signature": signature_of(parameters)}
    assert parameters == expected and sent["method"] == "order.cancel"


def test_a_mode_of_self_trade_prevention_is_signed_with_the_rest():
    sender = BinanceOrders(listing_table(SCALES), SYMBOLS, api_key=API_KEY, signer=Signer.hmac_sha256(SECRET),
                           receive_window_ms=5000, self_trade="EXPIRE_TAKER")
    parameters = json.loads(sender.encode_new_order(order(), 10**18))["params"]
    assert parameters["selfTradePreventionMode"] == "EXPIRE_TAKER"
    assert parameters["signature"] == signature_of(parameters)


@given(st.integers(1, 2**64 - 1), positive, st.sampled_from([b"", b"12569099453"]), st.booleans(),
       st.sampled_from([0, 5000]))
def test_what_is_amended(identity, quantity, exchange_order_id, signed, window):
    """"Order Amend Keep Priority": the new whole quantity."""
    record = order(client_order_id=identity, quantity=quantity)
    frame = codec(signed, window).encode_replace_order(record, exchange_order_id, 1660801715830 * 10**6)
    sent = json.loads(frame)
    parameters = sent["params"]
    expected = {"symbol": "BTCUSDT", "timestamp": 1660801715830}
    if exchange_order_id:
        expected["orderId"] = int(exchange_order_id)
    else:
        expected["origClientOrderId"] = client_id.encode(identity)
    if window:
        expected["recvWindow"] = window
    if signed:
        expected |= {"apiKey": API_KEY, "signature": signature_of(parameters)}
    assert Decimal(parameters.pop("newQty")).scaleb(5) == quantity
    assert parameters == expected and sent["method"] == "order.amend.keepPriority" and len(frame) <= 1024


def test_documented_numbers():
    """The document's own order: 0.00847 at 23416.1, without zeros that would only be sent and signed."""
    parameters = json.loads(codec().encode_new_order(order(), 0))["params"]
    assert (parameters["price"], parameters["quantity"]) == ("23416.1", "0.00847")


def test_the_documented_iceberg():
    """"Any LIMIT or LIMIT_MAKER type order can be made an iceberg order by sending an icebergQty", which is GTC; signed
    with the rest."""
    for flags, type_ in ((0, "LIMIT"), (OrderFlag.POST_ONLY, "LIMIT_MAKER")):
        parameters = json.loads(codec().encode_new_order(order(terms=100, flags=flags), 0))["params"]
        assert (parameters["quantity"], parameters["icebergQty"], parameters["type"]) == ("0.00847", "0.001", type_)
        assert parameters["signature"] == signature_of(parameters)


@pytest.mark.parametrize(("values", "status"), [
    ({"listing": 2}, "ENCODE_UNKNOWN_LISTING"),
    ({"listing": 4}, "ENCODE_UNKNOWN_LISTING"),
    ({"listing": NO_LISTING}, "ENCODE_UNKNOWN_LISTING"),
    ({"time_in_force": TimeInForce.GTD}, "ENCODE_UNSUPPORTED"),
    ({"time_in_force": 0}, "ENCODE_UNSUPPORTED"),
    ({"time_in_force": TimeInForce.IOC, "flags": OrderFlag.POST_ONLY}, "ENCODE_UNSUPPORTED"),
    ({"order_type": OrderType.MARKET, "flags": OrderFlag.POST_ONLY}, "ENCODE_UNSUPPORTED"),
    ({"order_type": OrderType.MARKET, "time_in_force": TimeInForce.FOK}, "ENCODE_UNSUPPORTED"),
    ({"order_type": OrderType.MARKET, "terms": 1}, "ENCODE_UNSUPPORTED"),
    ({"terms": -1}, "ENCODE_NOT_POSITIVE"),
    ({"order_type": 9}, "ENCODE_UNSUPPORTED"),
    ({"side": 0}, "ENCODE_UNSUPPORTED"),
    ({"side": 3}, "ENCODE_UNSUPPORTED"),
    ({"quantity": 0}, "ENCODE_NOT_POSITIVE"),
    ({"quantity": -1}, "ENCODE_NOT_POSITIVE"),
    ({"price": 0}, "ENCODE_NOT_POSITIVE"),
    ({"price": -(2**63)}, "ENCODE_NOT_POSITIVE"),
])
def test_what_is_not_sent(values, status):
    with pytest.raises(ValueError, match=status):
        codec().encode_new_order(order(**values))


def test_no_room():
    for capacity in (0, 100, 1023):
        with pytest.raises(ValueError, match="ENCODE_NO_ROOM"):
            codec().encode_new_order(order(), capacity=capacity)
        with pytest.raises(ValueError, match="ENCODE_NO_ROOM"):
            codec().encode_cancel_order(order(), capacity=capacity)
    assert codec().encode_new_order(order(), capacity=1024) == codec().encode_new_order(order())


def test_the_largest_frame_fits():
    """The longest key, symbol and numbers, with every option, stay below what encoding asks for."""
    sender = BinanceOrders(listing_table([(18, 18)]), {"X" * 40: 0}, api_key="k" * 256, receive_window_ms=60000,
                           signer=Signer.hmac_sha256(SECRET))
    record = order(client_order_id=2**64 - 1, price=2**63 - 1, quantity=2**63 - 1, side=Side.SELL, terms=2**63 - 1)
    assert len(sender.encode_new_order(record, 2**63 - 1)) <= 1024
    assert len(sender.encode_cancel_order(record, b"9" * 20, 2**63 - 1)) <= 1024


@pytest.mark.parametrize(("options", "problem"), [
    ({"api_key": "x"}, "belong together"),
    ({"signer": Signer.hmac_sha256(SECRET)}, "belong together"),
    ({"receive_window_ms": 60001}, "60000"),
    ({"api_key": 'a"b', "signer": Signer.hmac_sha256(SECRET)}, "quote"),
    ({"api_key": "a&b", "signer": Signer.hmac_sha256(SECRET)}, "cannot be part"),
    ({"api_key": "k" * 257, "signer": Signer.hmac_sha256(SECRET)}, "1 to 256"),
    ({"assets": ("X" * 25,)}, "1 to 24"),
])
def test_options(options, problem):
    with pytest.raises(ValueError, match=problem):
        BinanceOrders(listing_table(SCALES), SYMBOLS, **options)


# Answers and events --------------------------------------------------------------------------------------------------

NEW_EVENT = (
    b'{"subscriptionId":0,"event":{"e":"executionReport","E":1499405658658,"s":"ETHBTC","c":"mUvoqJxFIILMdfAW5iGSOW",'
    b'"S":"BUY","o":"LIMIT","f":"GTC","q":"1.00000000","p":"0.10264410","P":"0.00000000","F":"0.00000000","g":-1,'
    b'"C":"","x":"NEW","X":"NEW","r":"NONE","i":4293153,"l":"0.00000000","z":"0.00000000","L":"0.00000000","n":"0",'
    b'"N":null,"T":1499405658657,"t":-1,"I":8641984,"w":true,"m":false,"O":1499405658657,"Z":"0.00000000",'
    b'"Y":"0.00000000","Q":"0.00000000","W":1499405658657,"V":"NONE"}}')
FILL_EVENT = (
    b'{"e":"executionReport","E":1709654401000,"s":"ETHUSDT","c":"x-..","S":"BUY","o":"LIMIT","f":"GTC",'
    b'"q":"1.00000000","p":"2500.00000000","x":"TRADE","X":"FILLED","i":12345678,"l":"1.00000000","z":"1.00000000",'
    b'"L":"2500.00000000","n":"0.00100000","N":"ETH","T":1709654401000,"t":98765432,"w":false,"m":true,'
    b'"Z":"2500.00000000","C":""}')
EXPIRED_EVENT = (
    b'{"e":"executionReport","s":"ETHUSDT","f":"IOC","q":"1.00000000","x":"EXPIRED","X":"EXPIRED","r":"NONE",'
    b'"i":12345678,"z":"0.00000000","eR":"INSUFFICIENT_LIQUIDITY"}')
OWN_FILL = FILL_EVENT.replace(b"x-..", client_id.encode(OURS).encode())


def request_id(action="new", **values):
    sender = codec(signed=False)
    encode = sender.encode_new_order if action == "new" else sender.encode_cancel_order
    return json.loads(encode(order(**values)))["id"]


def answer(rest, action="new"):
    return f'{{"id":"{request_id(action)}",{rest}}}'.encode()


PLACED = answer('"status":200,"result":{"symbol":"BTCUSDT","orderId":12569099453,"orderListId":-1,'
                f'"clientOrderId":"{client_id.encode(OURS)}","transactTime":1660801715639}},"rateLimits":[{{"limit":50}}]')


def decoded(frame, out=None):
    out = out or DecodeOutput()
    assert codec().decode_frame(frame, out, 42) == DecodeStatus.DECODED, frame
    return out


def only_report(frame):
    out = decoded(frame)
    (report,) = out.reports
    assert out.messages["kind"].tolist()[0] == MessageKind.REPORT and out.messages["report"].tolist()[0] == 0
    assert report["receive_ns"] == 42
    return report


def identity_of(report):
    return report["exchange_order_id"].tobytes().rstrip(b"\0")


def error(status, code, text, action="new"):
    return answer(f'"status":{status},"error":{{"code":{code},"msg":"{text}"}}', action)


def test_an_order_that_was_placed():
    report = only_report(PLACED)
    assert (report["exec_type"], report["client_order_id"], report["listing"], report["slot"], report["side"]) == (
        ExecType.REPORT_NEW, OURS, 0, 17, Side.BUY)
    assert identity_of(report) == b"12569099453" and report["exchange_ns"] == 1660801715639_000_000
    assert report["cumulative_quantity"] == -1


@given(st.integers(1, 2**64 - 1), st.sampled_from([0, 1, 3]), st.integers(0, 2**32 - 1),
       st.sampled_from([Side.BUY, Side.SELL]), st.booleans())
def test_an_answer_finds_its_order_by_its_id(identity, listing, slot, side, cancel):
    values = {"client_order_id": identity, "listing": listing, "slot": slot, "side": side}
    name = request_id("cancel" if cancel else "new", **values)
    refusal = f'{{"id":"{name}","status":400,"error":{{"code":-2011,"msg":"Unknown order sent."}}}}'
    report = only_report(refusal.encode())
    assert {key: report[key] for key in values} == values
    assert report["exec_type"] == (ExecType.REPORT_CANCEL_REJECTED if cancel else ExecType.REPORT_REJECTED)


def test_a_cancel_that_was_taken_says_nothing_yet():
    out = decoded(answer('"status":200,"result":{"orderId":1,"status":"CANCELED"}', "cancel"))
    assert out.messages["kind"].tolist() == [MessageKind.IGNORED] and len(out.reports) == 0


ERRORS = [      # HTTP status, code, text, reason; None: in doubt
    (400, -2010, "Account has insufficient balance for requested action.", Reason.INSUFFICIENT_FUNDS),
    (400, -2010, "Order would immediately match and take.", Reason.POST_ONLY_WOULD_TAKE),
    (400, -2010, "Market is closed.", Reason.LISTING_HALTED),
    (400, -2010, "Order would trigger immediately.", Reason.EXCHANGE_OTHER),
    (400, -2011, "Unknown order sent.", Reason.UNKNOWN_ORDER),
    (400, -2013, "Order does not exist.", Reason.UNKNOWN_ORDER),
    (400, -1013, "Filter failure: LOT_SIZE", Reason.EXCHANGE_RULE),
    (400, -1111, "Precision is over the maximum defined for this asset.", Reason.EXCHANGE_RULE),
    (400, -1121, "Invalid symbol.", Reason.UNKNOWN_LISTING),
    (400, -1021, "Timestamp for this request is outside of the recvWindow.", Reason.CLOCK_SKEW),
    (400, -1022, "Signature for this request is not valid.", Reason.PERMISSION),
    (401, -2015, "Invalid API-key, IP, or permissions for action.", Reason.PERMISSION),
    (400, -2014, "API-key format invalid.", Reason.PERMISSION),
    (403, -9999, "WAF", Reason.PERMISSION),
    (429, -1003, "Too much request weight used.", Reason.RATE_LIMITED),
    (418, -1003, "Way too much request weight used.", Reason.RATE_LIMITED),
    (429, -1015, "Too many new orders.", Reason.RATE_LIMITED),
    (503, -1008, "Server is currently overloaded with other requests.", Reason.RATE_LIMITED),
    (400, -9000, "Something new.", Reason.EXCHANGE_OTHER),
    (500, -1000, "An unknown error occurred while processing the request.", None),
    (504, -1006, "An unexpected response was received from the message bus.", None),
    (504, -1007, "Timeout waiting for response from backend server.", None),
    (400, -1007, "Timeout waiting for response from backend server.", None),
    (400, -1001, "Internal error; unable to process your request.", None),
    (502, -9000, "Bad gateway.", None),
]


@pytest.mark.parametrize("action", ["new", "cancel"])
@pytest.mark.parametrize(("status", "code", "text", "reason"), ERRORS)
def test_errors(status, code, text, reason, action):
    out = decoded(error(status, code, text, action))
    (report,) = out.reports
    refused = ExecType.REPORT_REJECTED if action == "new" else ExecType.REPORT_CANCEL_REJECTED
    assert report["exec_type"] == (ExecType.REPORT_IN_DOUBT if reason is None else refused)
    assert report["reason"] == (Reason.UNKNOWN_OUTCOME if reason is None else reason)
    told = reason in (Reason.RATE_LIMITED, Reason.CLOCK_SKEW, Reason.PERMISSION)
    too_much = reason == Reason.RATE_LIMITED
    assert out.messages["kind"].tolist() == ([MessageKind.REPORT] + [MessageKind.RATES] * too_much
                                             + [MessageKind.SESSION] * told)
    if too_much:
        only_orders = code in (-1015, -1008)
        assert out.messages[1]["side"] == (RateNotice.ORDERS_REFUSED if only_orders else RateNotice.EVERYTHING_REFUSED)
        assert out.messages[1]["exchange_ns"] == 0


def test_a_refusal_says_until_when():
    out = decoded(answer('"status":418,"error":{"code":-1003,"msg":"Way too much request weight used.","data":'
                         '{"serverTime":1655199900000,"retryAfter":1655199960000}}'))
    assert out.messages[1]["kind"] == MessageKind.RATES
    assert out.messages[1]["exchange_ns"] == 1_655_199_960_000_000_000


def test_an_answer_says_what_the_exchange_has_counted():
    rows = ('[{"rateLimitType":"ORDERS","interval":"SECOND","intervalNum":10,"limit":50,"count":12},'
            '{"rateLimitType":"REQUEST_WEIGHT","interval":"MINUTE","intervalNum":1,"limit":6000,"count":321},'
            '{"rateLimitType":"RAW_REQUESTS","interval":"MINUTE","intervalNum":5,"limit":61000,"count":9},'
            '{"limit":50},{"rateLimitType":"ORDERS","interval":"FORTNIGHT","intervalNum":1,"limit":1,"count":1}]')
    for rest in ('"status":200,"result":{}', '"status":400,"error":{"code":-2010,"msg":"Market is closed."}'):
        out = decoded(answer(f'{rest},"rateLimits":{rows}', "cancel"))
        told = out.messages[out.messages["kind"] == MessageKind.RATES]
        assert told[["side", "first_id", "last_id", "previous_id"]].tolist() == [
            (RateNotice.ORDERS_COUNTED, 12, 50, 10 * 10**9), (RateNotice.WEIGHT_COUNTED, 321, 6000, 60 * 10**9)]


def test_a_duplicate_is_an_earlier_send_of_ours():
    report = only_report(error(400, -2010, "Duplicate order sent."))
    assert (report["exec_type"], report["reason"]) == (ExecType.REPORT_IN_DOUBT, Reason.DUPLICATE_ORDER)


@pytest.mark.parametrize("rest", ['"status":200', '"status":500', '"status":400,"result":{"orderId":1}'])
def test_an_answer_that_proves_nothing_is_in_doubt(rest):
    report = only_report(answer(rest))
    assert (report["exec_type"], report["reason"]) == (ExecType.REPORT_IN_DOUBT, Reason.UNKNOWN_OUTCOME)


def test_documented_events():
    report = only_report(NEW_EVENT)
    assert (report["exec_type"], report["client_order_id"], report["listing"], report["side"]) == (
        ExecType.REPORT_NEW, 0, 1, Side.BUY)
    assert identity_of(report) == b"4293153" and report["cumulative_quantity"] == 0
    assert report["exchange_ns"] == 1499405658657_000_000
    report = only_report(FILL_EVENT)
    assert (report["exec_type"], report["client_order_id"], report["listing"], report["trade_id"]) == (
        ExecType.REPORT_FILL, 0, 3, 98765432)
    assert (report["last_price"], report["last_quantity"]) == (2500 * 10**8, 10**8)
    assert report["cumulative_quantity"] == 10**8
    assert Decimal(int(report["fee"])).scaleb(-int(report["fee_decimals"])) == Decimal("0.001")
    assert (report["fee_asset"], report["liquidity"]) == (2, Liquidity.MAKER)
    report = only_report(EXPIRED_EVENT)
    assert (report["exec_type"], report["reason"], report["cumulative_quantity"], report["side"]) == (
        ExecType.REPORT_EXPIRED, Reason.NO_LIQUIDITY, 0, Side.NO_SIDE)


def test_our_own_order_is_known_by_its_id():
    assert only_report(OWN_FILL)["client_order_id"] == OURS
    cancelled = OWN_FILL.replace(b'"C":""', b'"C":"' + client_id.encode(99).encode() + b'"').replace(
        b'"x":"TRADE","X":"FILLED"', b'"x":"CANCELED","X":"CANCELED"')
    report = only_report(cancelled)         # `c` is now the id of the cancel
    assert (report["client_order_id"], report["exec_type"]) == (99, ExecType.REPORT_CANCELED)
    assert report["last_quantity"] == 0


@pytest.mark.parametrize(("kinds", "exec_type", "reason"), [
    ('"x":"REJECTED","X":"REJECTED","r":"INSUFFICIENT_BALANCES"', ExecType.REPORT_REJECTED, Reason.INSUFFICIENT_FUNDS),
    ('"x":"REJECTED","X":"REJECTED","r":"NEW"', ExecType.REPORT_REJECTED, Reason.EXCHANGE_OTHER),
    ('"x":"EXPIRED","X":"EXPIRED","r":"NONE"', ExecType.REPORT_EXPIRED, Reason.OK),
    ('"x":"TRADE_PREVENTION","X":"NEW","r":"NONE"', ExecType.REPORT_STATUS, Reason.SELF_TRADE),
    ('"x":"TRADE_PREVENTION","X":"EXPIRED_IN_MATCH","r":"NONE"', ExecType.REPORT_EXPIRED, Reason.SELF_TRADE),
    ('"x":"REPLACED","X":"NEW","r":"NONE"', ExecType.REPORT_REPLACED, Reason.OK),
    ('"x":"SOMETHING_NEW","X":"NEW","r":"NONE"', ExecType.REPORT_STATUS, Reason.EXCHANGE_OTHER),
])
def test_execution_types(kinds, exec_type, reason):
    report = only_report(NEW_EVENT.replace(b'"x":"NEW","X":"NEW","r":"NONE"', kinds.encode()))
    assert (report["exec_type"], report["reason"]) == (exec_type, reason)


def test_a_symbol_that_is_not_ours_has_no_numbers():
    report = only_report(FILL_EVENT.replace(b"ETHUSDT", b"DOGEUSDT"))
    assert (report["listing"], report["last_quantity"], report["last_price"], report["cumulative_quantity"]) == (
        NO_LISTING, 0, 0, -1)
    assert decoded(FILL_EVENT.replace(b"ETHUSDT", b"DOGEUSDT")).messages["listing"].tolist() == [-1]


@pytest.mark.parametrize("frame", [
    b'{"e":"outboundAccountPosition","E":1564034571105,"u":1564034571073,"B":[{"a":"ETH","f":"1.0","l":"0.0"}]}',
    b'{"e":"balanceUpdate","E":1573200697110,"a":"BTC","d":"100.00000000","T":1573200697068}',
    b'{"subscriptionId":0,"event":{"e":"eventStreamTerminated","E":1}}',
    b'{"id":"x","status":200,"result":{"subscriptionId":0}}',
    b'{"id":null,"status":401,"error":{"code":-2015,"msg":"Invalid API-key."}}',
    b'{"id":7,"status":200,"result":{}}',
    b'{"error":{"code":-1,"msg":"x"}}',
])
def test_what_is_for_the_session(frame):
    out = decoded(frame)
    assert out.messages["kind"].tolist() == [MessageKind.SESSION] and len(out.reports) == 0


@pytest.mark.parametrize(("frame", "status"), [
    (b"{}", DecodeStatus.UNKNOWN_MESSAGE),
    (b"[]", DecodeStatus.BAD_FIELD),
    (b"", DecodeStatus.BAD_JSON),
    (OWN_FILL.replace(b'"t":98765432', b'"t":98765432,"t":1'), DecodeStatus.BAD_JSON),
    (NEW_EVENT[:-1] + b',"event":{}}', DecodeStatus.BAD_JSON),
    (PLACED[:-1] + b',"status":200}', DecodeStatus.BAD_JSON),
    (OWN_FILL.replace(b'"l":"1.00000000"', b'"l":"0"'), DecodeStatus.BAD_FIELD),
    (OWN_FILL.replace(b'"l":"1.00000000"', b'"l":"-1"'), DecodeStatus.BAD_FIELD),
    (OWN_FILL.replace(b'"l":"1.00000000",', b""), DecodeStatus.BAD_FIELD),
    (OWN_FILL.replace(b'"t":98765432', b'"t":-1'), DecodeStatus.BAD_FIELD),
    (OWN_FILL.replace(b'"i":12345678', b'"i":-1'), DecodeStatus.BAD_FIELD),
    (OWN_FILL.replace(b'"s":"ETHUSDT",', b""), DecodeStatus.BAD_FIELD),
    (OWN_FILL.replace(b'"L":"2500.00000000"', b'"L":"2500.000000001"'), DecodeStatus.NUMBER_INEXACT),
    (OWN_FILL.replace(b'"L":"2500.00000000"', b'"L":"1e20"'), DecodeStatus.NUMBER_RANGE),
    (OWN_FILL.replace(b'"L":"2500.00000000"', b'"L":"1x"'), DecodeStatus.BAD_NUMBER),
    (OWN_FILL.replace(b'"T":1709654401000', b'"T":-5'), DecodeStatus.NUMBER_RANGE),
    (OWN_FILL.replace(b'"T":1709654401000', b'"T":99999999999999999'), DecodeStatus.NUMBER_RANGE),
    (OWN_FILL.replace(b"ETHUSDT", b"X" * 41), DecodeStatus.BAD_SYMBOL),
    (OWN_FILL.replace(b"ETHUSDT", b"\\u0041" * 5000), DecodeStatus.BAD_SYMBOL),
    (PLACED.replace(b"12569099453", b"9223372036854775808"), DecodeStatus.NUMBER_RANGE),
    (PLACED.replace(b'"orderId":12569099453,', b""), DecodeStatus.BAD_FIELD),
    (PLACED.replace(b'"status":200', b'"status":"200"'), DecodeStatus.BAD_FIELD),
    (error(400, -2010, "x").replace(b"-2010", b'"-2010"'), DecodeStatus.BAD_FIELD),
])
def test_what_is_wrong_is_named(frame, status):
    out = DecodeOutput()
    assert codec().decode_frame(frame, out) == status
    check_refusal(out, len(frame))


def test_long_escaped_names_are_nobodys():
    """Only their beginning is kept, and nothing beyond it may be read."""
    long = b"\\u006f" * 5000
    assert only_report(FILL_EVENT.replace(b"x-..", long))["client_order_id"] == 0
    assert only_report(FILL_EVENT.replace(b'"N":"ETH"', b'"N":"' + long + b'"'))["fee_asset"] == 0xFFFF
    assert only_report(error(400, -2010, long.decode()))["reason"] == Reason.EXCHANGE_OTHER


def test_a_fault_names_its_listing():
    out = DecodeOutput()
    frame = OWN_FILL.replace(b'"2500.00000000","n"', b'"2500.000000001","n"')
    assert codec().decode_frame(frame, out) == DecodeStatus.NUMBER_INEXACT
    assert out.fault[0] == 3 and abs(out.fault[1] - frame.index(b'"2500.000000001"')) <= 16


@pytest.mark.parametrize("frame", [NEW_EVENT, OWN_FILL, EXPIRED_EVENT, PLACED, error(400, -2010, "x")])
def test_other_spellings_mean_the_same_and_truncations_nothing(frame):
    meant = decoded(frame)
    for seed in range(5):
        for what, text in spellings(frame, seed):
            out = decoded(text)
            assert out.reports.tobytes() == meant.reports.tobytes(), (what, text)
            assert out.messages.tobytes() == meant.messages.tobytes(), (what, text)
    out = DecodeOutput()
    for size in range(len(frame)):
        assert codec_once.decode_frame(frame[:size], out) == DecodeStatus.BAD_JSON
        check_refusal(out, size)


codec_once = codec()


def test_too_many():
    for out in (DecodeOutput(messages=0), DecodeOutput(reports=0)):
        assert codec().decode_frame(OWN_FILL, out) == DecodeStatus.TOO_MANY
        check_refusal(out, len(OWN_FILL))
    out = DecodeOutput(messages=1)          # the report fits, what the session must hear does not
    assert codec().decode_frame(error(429, -1003, "x"), out) == DecodeStatus.TOO_MANY
    check_refusal(out, 400)
