"""Kraken orders: what is sent, read back with json, and what answers and executions say."""
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orderflow._core import client_id
from orderflow._core.codec import DecodeOutput, DecodeStatus
from orderflow._core.codecs.kraken_orders import KrakenOrders
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
from tests.reference.codecs import rfc3339_ns

SYMBOLS, SCALES = {"BTC/USD": 0, "ETH/USD": 1}, [(2, 8), (8, 8), (0, 0)]
NO_LISTING = 0xFFFFFFFF
OURS = (7 << 40) | 12345
OUR_TEXT = client_id.encode(OURS).encode()
TOKEN = "WW91ciBhdXRoZW50aWNhdGlvbiB0b2tlbiBnb2VzIGhlcmUu=+/"
GTC, IOC, FOK, GTD = TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTD
DISPLAYED = 1 << 8      # a flag of the test's own: it shows a part of itself
VARIANTS = {    # (order type, time in force, flags) -> what the frame must say
    (OrderType.LIMIT, GTC, 0): {"order_type": "limit", "time_in_force": "gtc"},
    (OrderType.LIMIT, GTC, OrderFlag.POST_ONLY): {"order_type": "limit", "time_in_force": "gtc", "post_only": True},
    (OrderType.LIMIT, GTC, DISPLAYED): {"order_type": "iceberg", "time_in_force": "gtc"},
    (OrderType.LIMIT, GTC, DISPLAYED | OrderFlag.POST_ONLY): {"order_type": "iceberg", "time_in_force": "gtc",
                                                              "post_only": True},
    (OrderType.LIMIT, IOC, 0): {"order_type": "limit", "time_in_force": "ioc"},
    (OrderType.LIMIT, GTD, 0): {"order_type": "limit", "time_in_force": "gtd"},
    (OrderType.LIMIT, GTD, OrderFlag.POST_ONLY): {"order_type": "limit", "time_in_force": "gtd", "post_only": True},
    (OrderType.MARKET, GTC, 0): {"order_type": "market"},
    (OrderType.MARKET, IOC, 0): {"order_type": "market"},
}


def codec(token=TOKEN, **options):
    made = KrakenOrders(listing_table(SCALES), SYMBOLS, **{"assets": ("USD", "BTC", "KFEE"), **options})
    if token:
        made.set_token(token)
    return made


def order(**values):
    record = np.zeros(1, CHILD_ORDER_DTYPE)
    plain = {"client_order_id": OURS, "side": Side.BUY, "order_type": OrderType.LIMIT, "price": 3000000,
             "time_in_force": GTC, "quantity": 10**6}
    for name, value in {**plain, **values}.items():
        record[name] = value
    return record


def stamp(unix_ns):
    """Milliseconds rounded down."""
    time = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=unix_ns // 10**6)
    return time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03}Z"


positive = st.integers(1, 2**63 - 1)
times = st.integers(10**9, 7 * 10**18)


@given(st.integers(1, 2**64 - 1), st.sampled_from([0, 1]), st.sampled_from([Side.BUY, Side.SELL]),
       st.sampled_from(list(VARIANTS)), positive, positive, times, times, positive, st.sampled_from([0, 500, 60000]))
@example(1, 0, Side.BUY, (OrderType.LIMIT, GTD, 0), 1, 1, 951782399_999999999, 951868800 * 10**9, 1, 500)
def test_what_is_sent(identity, listing, side, variant, price, quantity, unix_ns, expire_ns, display, deadline):
    type_, force, flags = variant
    record = order(client_order_id=identity, listing=listing, side=side, order_type=type_, time_in_force=force,
                   flags=flags & 0xFF, price=price, quantity=quantity,
                   terms=display if flags & DISPLAYED else 0 if force == GTC else expire_ns)
    frame = codec(deadline_ms=deadline).encode_new_order(record, unix_ns)
    sent = json.loads(frame, parse_float=Decimal)
    parameters = sent["params"]
    price_decimals, quantity_decimals = SCALES[listing]
    assert Decimal(parameters.pop("order_qty")).scaleb(quantity_decimals) == quantity
    if flags & DISPLAYED:
        assert Decimal(parameters.pop("display_qty")).scaleb(quantity_decimals) == display
    if type_ == OrderType.LIMIT:
        assert Decimal(parameters.pop("limit_price")).scaleb(price_decimals) == price
    expected = {**VARIANTS[variant], "side": Side(side).name.lower(), "symbol": ["BTC/USD", "ETH/USD"][listing],
                "fee_preference": "quote", "cl_ord_id": client_id.encode(identity), "token": TOKEN}
    if force == GTD:
        expected["expire_time"] = stamp(expire_ns)
        assert rfc3339_ns(expected["expire_time"]) == expire_ns // 10**6 * 10**6 or expire_ns > 7258118400 * 10**9
    if deadline:
        expected["deadline"] = stamp(unix_ns + deadline * 10**6)
    assert parameters == expected
    assert sent.keys() == {"method", "params", "req_id"} and sent["method"] == "add_order"
    assert 0 <= sent["req_id"] < 2**53 and len(frame) <= 1024 and len(parameters["cl_ord_id"]) <= 18


@given(st.integers(1, 2**64 - 1))
def test_what_is_cancelled(identity):
    sent = json.loads(codec().encode_cancel_order(order(client_order_id=identity), b"OABCDE-12345-FGHIJ"))
    assert sent.pop("req_id") < 2**53
    assert sent == {"method": "cancel_order", "params": {"cl_ord_id": [client_id.encode(identity)], "token": TOKEN}}


@pytest.mark.parametrize(("values", "status"), [
    ({"listing": 2}, "ENCODE_UNKNOWN_LISTING"),
    ({"listing": 3}, "ENCODE_UNKNOWN_LISTING"),
    ({"time_in_force": FOK}, "ENCODE_UNSUPPORTED"),
    ({"time_in_force": GTD}, "ENCODE_UNSUPPORTED"),
    ({"time_in_force": GTD, "terms": -1}, "ENCODE_UNSUPPORTED"),
    ({"order_type": OrderType.MARKET, "terms": 1}, "ENCODE_UNSUPPORTED"),
    ({"terms": -1}, "ENCODE_NOT_POSITIVE"),
    ({"time_in_force": IOC, "flags": OrderFlag.POST_ONLY}, "ENCODE_UNSUPPORTED"),
    ({"order_type": OrderType.MARKET, "flags": OrderFlag.POST_ONLY}, "ENCODE_UNSUPPORTED"),
    ({"order_type": OrderType.MARKET, "time_in_force": GTD}, "ENCODE_UNSUPPORTED"),
    ({"order_type": 0}, "ENCODE_UNSUPPORTED"),
    ({"side": 0}, "ENCODE_UNSUPPORTED"),
    ({"quantity": 0}, "ENCODE_NOT_POSITIVE"),
    ({"quantity": -(2**63)}, "ENCODE_NOT_POSITIVE"),
    ({"price": 0}, "ENCODE_NOT_POSITIVE"),
])
def test_what_is_not_sent(values, status):
    with pytest.raises(ValueError, match=status):
        codec().encode_new_order(order(**values))


def test_nothing_is_sent_without_a_token_or_room():
    for sender, problem, capacity in ((codec(token=None), "ENCODE_NOT_SIGNED", 1024),
                                      (codec(), "ENCODE_NO_ROOM", 1023)):
        for encode in (sender.encode_new_order, sender.encode_cancel_order):
            with pytest.raises(ValueError, match=problem):
                encode(order(), capacity=capacity)


def test_a_new_token_replaces_the_old_one():
    sender = codec()
    for token in ("first", "second", "x" * 160):
        sender.set_token(token)
        assert json.loads(sender.encode_new_order(order()))["params"]["token"] == token


def test_the_largest_frame_fits():
    sender = KrakenOrders(listing_table([(18, 18)]), {"X" * 40: 0}, deadline_ms=60000)
    sender.set_token("t" * 160)
    record = order(client_order_id=2**64 - 1, price=2**63 - 1, quantity=2**63 - 1, side=Side.SELL, time_in_force=GTD,
                   flags=OrderFlag.POST_ONLY, terms=2**63 - 1)
    assert len(sender.encode_new_order(record, 9 * 10**18)) <= 1024
    record["time_in_force"] = GTC
    assert len(sender.encode_new_order(record, 9 * 10**18)) <= 1024


def test_the_documented_iceberg():
    """"Add Order": order_type iceberg, and display_qty beside order_qty."""
    sent = json.loads(codec().encode_new_order(order(quantity=125_000_000, terms=10_000_000), 0), parse_float=str)
    assert {name: sent["params"][name] for name in ("order_type", "order_qty", "display_qty", "limit_price")} == {
        "order_type": "iceberg", "order_qty": "1.25", "display_qty": "0.1", "limit_price": 30000}


@pytest.mark.parametrize(("options", "problem"), [
    ({"deadline_ms": 499}, "500 to 60000"), ({"deadline_ms": 60001}, "500 to 60000"),
    ({"open_orders": 0}, "open_orders=0"),
    ({"token": 'a"b'}, "quote"), ({"token": "t" * 161}, "1 to 160"), ({"assets": ("",)}, "1 to 24"),
])
def test_options(options, problem):
    with pytest.raises(ValueError, match=problem):
        codec(**options)


# Answers -------------------------------------------------------------------------------------------------------------

PLACED = (b'{"method":"add_order","req_id":42,"success":true,"time_in":"2026-05-05T10:00:00.123Z",'
          b'"time_out":"2026-05-05T10:00:00.125Z","result":{"order_id":"OABCDE-12345-FGHIJ",'
          b'"cl_ord_id":"arb-20240509-00010","order_userref":0}}')


def failed(error, method="add_order", request=42):
    return json.dumps({"method": method, "req_id": request, "success": False, "error": error,
                       "time_in": "2026-05-05T10:00:00.123Z", "time_out": "2026-05-05T10:00:00.125Z"}).encode()


def decoded(frame, decoder=None):
    out = DecodeOutput()
    assert (decoder or codec()).decode_frame(frame, out, 42) == DecodeStatus.DECODED, frame
    return out


def only_report(frame, decoder=None):
    (report,) = decoded(frame, decoder).reports
    return report


def identity_of(report):
    return report["exchange_order_id"].tobytes().rstrip(b"\0")


def test_an_order_that_was_placed():
    sender = codec()
    request = json.loads(sender.encode_new_order(order()))["req_id"]
    report = only_report(PLACED.replace(b"42", str(request).encode(), 1), sender)
    assert (report["exec_type"], report["client_order_id"], report["cumulative_quantity"]) == (
        ExecType.REPORT_NEW, OURS, -1)
    assert identity_of(report) == b"OABCDE-12345-FGHIJ" and report["receive_ns"] == 42
    assert report["exchange_ns"] == rfc3339_ns("2026-05-05T10:00:00.125Z")
    assert sender.open_order_count == 1


@given(st.integers(1, 2**64 - 1), positive, positive, st.booleans(), times, st.sampled_from([0, 500]))
def test_what_is_amended(identity, price, quantity, post_only, unix_ns, deadline):
    record = order(client_order_id=identity, price=price, quantity=quantity,
                   flags=OrderFlag.POST_ONLY if post_only else 0)
    frame = codec(deadline_ms=deadline).encode_replace_order(record, b"OABCDE-12345-FGHIJ", unix_ns)
    sent = json.loads(frame, parse_float=Decimal, parse_int=Decimal)
    parameters = sent["params"]
    assert Decimal(parameters.pop("order_qty")).scaleb(8) == quantity
    assert Decimal(parameters.pop("limit_price")).scaleb(2) == price
    expected = {"cl_ord_id": client_id.encode(identity), "token": TOKEN}
    if post_only:
        expected["post_only"] = True
    if deadline:
        expected["deadline"] = stamp(unix_ns + deadline * 10**6)
    assert parameters == expected and sent["method"] == "amend_order" and sent["req_id"] < 2**53


@given(st.lists(st.integers(1, 2**24 - 1), min_size=1, max_size=4), st.integers(1, 2**40 - 1), st.integers(0, 2047))
def test_an_answer_finds_its_order_by_its_number(epochs, counter, younger):
    """Ids only grow; an order may be up to 2047 times 2**40 behind the newest."""
    sender = codec()
    for epoch in epochs:
        sender.encode_new_order(order(client_order_id=epoch << 40 | 1))
    identity = max(max(epochs) - younger, 0) << 40 | counter
    for encode, exec_type in ((sender.encode_new_order, ExecType.REPORT_REJECTED),
                              (sender.encode_cancel_order, ExecType.REPORT_CANCEL_REJECTED),
                              (sender.encode_replace_order, ExecType.REPORT_REPLACE_REJECTED)):
        request = json.loads(encode(order(client_order_id=identity)))
        report = only_report(failed("EOrder:Unknown order", request["method"], request["req_id"]), sender)
        assert (report["client_order_id"], report["exec_type"]) == (identity, exec_type)


ERRORS = [      # text, reason; None: in doubt
    ("EOrder:Rate limit exceeded", Reason.RATE_LIMITED),
    ("EOrder:Domain rate limit exceeded", Reason.RATE_LIMITED),
    ("EAPI:Rate limit exceeded", Reason.RATE_LIMITED),
    ("EGeneral:Too many requests", Reason.RATE_LIMITED),
    ("EOrder:Orders limit exceeded", Reason.EXCHANGE_RULE),
    ("EOrder:Insufficient funds", Reason.INSUFFICIENT_FUNDS),
    ("EOrder:Insufficient margin", Reason.INSUFFICIENT_FUNDS),
    ("EOrder:Order minimum not met", Reason.EXCHANGE_RULE),
    ("EOrder:Cost minimum not met", Reason.EXCHANGE_RULE),
    ("EOrder:Tick size check failed", Reason.EXCHANGE_RULE),
    ("EOrder:Invalid price", Reason.EXCHANGE_RULE),
    ("EGeneral:Invalid arguments:volume", Reason.EXCHANGE_RULE),
    ("EOrder:Post only order", Reason.POST_ONLY_WOULD_TAKE),
    ("EOrder:Unknown order", Reason.UNKNOWN_ORDER),
    ("EOrder:Invalid order", Reason.UNKNOWN_ORDER),
    ("EOrder:Reduce only:No position exists", Reason.EXCHANGE_OTHER),
    ("EService:Deadline elapsed", Reason.DEADLINE_PASSED),
    ("EService:Market in cancel_only mode", Reason.LISTING_HALTED),
    ("EService:Market in post_only mode", Reason.LISTING_HALTED),
    ("EAPI:Invalid key", Reason.PERMISSION),
    ("EAPI:Invalid signature", Reason.PERMISSION),
    ("EGeneral:Permission denied", Reason.PERMISSION),
    ("EGeneral:Temporary lockout", Reason.PERMISSION),
    ("EService:Unavailable", None),
    ("EService:Busy", None),
    ("EGeneral:Internal error", None),
    ("ESomething:New", None),
    ("", None),
]


@pytest.mark.parametrize("method", ["add_order", "cancel_order"])
@pytest.mark.parametrize(("text", "reason"), ERRORS)
def test_errors(text, reason, method):
    out = decoded(failed(text, method))
    (report,) = out.reports
    refused = ExecType.REPORT_REJECTED if method == "add_order" else ExecType.REPORT_CANCEL_REJECTED
    assert report["exec_type"] == (ExecType.REPORT_IN_DOUBT if reason is None else refused)
    assert report["reason"] == (Reason.UNKNOWN_OUTCOME if reason is None else reason)
    told = reason in (Reason.RATE_LIMITED, Reason.PERMISSION, Reason.LISTING_HALTED)
    assert out.messages["kind"].tolist() == [MessageKind.REPORT] + [MessageKind.SESSION] * told


@pytest.mark.parametrize(("frame", "kind"), [
    (b'{"method":"cancel_order","req_id":44,"success":true,"result":{"order_id":"O"}}', MessageKind.IGNORED),
    (b'{"method":"pong","req_id":42,"time_in":"2026-05-05T10:00:00.123Z"}', MessageKind.SESSION),
    (b'{"channel":"heartbeat"}', MessageKind.IGNORED),
    (b'{"method":"subscribe","success":true,"result":{"channel":"executions"}}', MessageKind.SESSION),
    (b'{"method":"cancel_all_orders_after","req_id":45,"success":true,"result":{}}', MessageKind.SESSION),
    (b'{"method":"add_order","success":false,"error":"EOrder:x"}', MessageKind.SESSION),
    (b'{"channel":"balances","type":"snapshot","data":[]}', MessageKind.SESSION),
    (b'{"channel":"status","type":"update","data":[{"system":"online"}]}', MessageKind.SESSION),
    (b'{"error":"EGeneral:x"}', MessageKind.SESSION),
])
def test_what_is_no_report(frame, kind):
    out = decoded(frame)
    assert out.messages["kind"].tolist() == [kind] and len(out.reports) == 0


# Executions ----------------------------------------------------------------------------------------------------------

PENDING = (b'{"channel":"executions","type":"update","data":[{"order_id":"OK4GJX-KSTLS-7DZZO5","order_userref":3,'
           b'"symbol":"BTC/USD","order_qty":0.005,"cum_cost":0.0,"time_in_force":"GTC","exec_type":"pending_new",'
           b'"side":"sell","order_type":"limit","limit_price":26500.0,"order_status":"pending_new",'
           b'"fee_ccy_pref":"fciq","timestamp":"2023-09-22T10:33:05.709950Z"}],"sequence":8}')
NEW = (b'{"channel":"executions","type":"update","data":[{"timestamp":"2023-09-22T10:33:05.709982Z",'
       b'"order_status":"new","exec_type":"new","order_userref":3,"order_id":"OK4GJX-KSTLS-7DZZO5"}],"sequence":9}')
FILL = (b'{"channel":"executions","type":"update","data":[{"order_id":"OK4GJX-KSTLS-7DZZO5",'
        b'"exec_id":"TGBB7L-HT5LX-J3BZ4A","exec_type":"trade","trade_id":62887576,"symbol":"BTC/USD","side":"sell",'
        b'"last_qty":0.005,"last_price":26599.9,"liquidity_ind":"t","cost":132.9995,"order_type":"limit",'
        b'"timestamp":"2023-09-22T10:33:05.709993Z","order_status":"partially_filled","cum_qty":0.005,'
        b'"cum_cost":132.9995,"avg_price":26599.9,"fee_usd_equiv":0.3458,"fees":[{"asset":"USD","qty":0.3458}]}],'
        b'"sequence":10}')
FILLED = (b'{"channel":"executions","type":"update","data":[{"timestamp":"2023-09-22T10:33:05.709993Z",'
          b'"order_status":"filled","exec_type":"filled","cum_qty":0.005,"order_id":"OK4GJX-KSTLS-7DZZO5"}],'
          b'"sequence":11}')
OWN_PENDING = PENDING.replace(b'"order_userref":3', b'"cl_ord_id":"' + OUR_TEXT + b'"')


def test_documented_life_of_an_order():
    """A foreign order here, so it is reported with client order id 0; its later lines name neither symbol nor side."""
    decoder = codec()
    pending = only_report(PENDING, decoder)
    assert (pending["exec_type"], pending["client_order_id"], pending["listing"], pending["side"]) == (
        ExecType.REPORT_STATUS, 0, 0, Side.SELL)
    assert pending["exchange_ns"] == rfc3339_ns("2023-09-22T10:33:05.709950Z")
    new = only_report(NEW, decoder)
    assert (new["exec_type"], new["listing"], new["side"]) == (ExecType.REPORT_NEW, 0, Side.SELL)
    fill = only_report(FILL, decoder)
    assert (fill["exec_type"], fill["last_price"], fill["last_quantity"], fill["cumulative_quantity"]) == (
        ExecType.REPORT_FILL, 2659990, 500000, 500000)
    assert (fill["trade_id"], fill["liquidity"], fill["fee_asset"]) == (62887576, Liquidity.TAKER, 0)
    assert Decimal(int(fill["fee"])).scaleb(-int(fill["fee_decimals"])) == Decimal("0.3458")
    assert identity_of(fill) == b"OK4GJX-KSTLS-7DZZO5"
    filled = only_report(FILLED, decoder)
    assert (filled["exec_type"], filled["listing"], filled["last_quantity"], filled["cumulative_quantity"]) == (
        ExecType.REPORT_STATUS, 0, 0, 500000)
    assert decoder.open_order_count == 0


def test_lines_without_a_client_id_are_matched_by_the_exchange_id():
    decoder = codec()
    for frame in (OWN_PENDING, NEW, FILL, FILLED):
        assert only_report(frame, decoder)["client_order_id"] == OURS
    late = only_report(FILL.replace(b":10}", b":12}"), decoder)         # it is over, and still ours
    assert late["client_order_id"] == OURS and decoder.open_order_count == 0


def test_the_answer_may_come_before_the_channel():
    decoder = codec()
    request = json.loads(decoder.encode_new_order(order()))["req_id"]
    only_report(PLACED.replace(b"42", str(request).encode(), 1).replace(b"OABCDE-12345-FGHIJ", b"OK4GJX-KSTLS-7DZZO5"),
                decoder)
    fill = only_report(FILL, decoder)
    assert (fill["client_order_id"], fill["listing"]) == (OURS, 0)


def test_an_answer_behind_the_end_brings_no_order_back():
    """The order lives and dies on the channel before its add_order is answered, far more often than there is room."""
    decoder, sequence = codec(open_orders=8), 0
    for number in range(1, 600):
        request = json.loads(decoder.encode_new_order(order(client_order_id=1 << 40 | number)))["req_id"]
        own = client_id.encode(1 << 40 | number).encode()
        for frame in (OWN_PENDING.replace(OUR_TEXT, own), NEW, FILL, FILLED):
            sequence += 1
            frame = frame[:frame.rindex(b":")] + b":%d}" % sequence
            report = only_report(frame.replace(b"OK4GJX-KSTLS-7DZZO5", b"O%d" % number), decoder)
            assert (report["client_order_id"], report["listing"]) == (1 << 40 | number, 0)
        answer = PLACED.replace(b"42", b"%d" % request, 1).replace(b"OABCDE-12345-FGHIJ", b"O%d" % number)
        assert only_report(answer, decoder)["client_order_id"] == 1 << 40 | number
        assert decoder.open_order_count == 0
    assert decoder.forgotten == 0


def test_the_end_of_an_order_that_nothing_was_heard_of():
    """Its answer comes behind, and does not open it either."""
    decoder = codec()
    request = json.loads(decoder.encode_new_order(order()))["req_id"]
    cancelled = (b'{"channel":"executions","type":"update","data":[{"order_id":"O1","exec_type":"canceled",'
                 b'"cl_ord_id":"' + OUR_TEXT + b'"}],"sequence":1}')
    assert only_report(cancelled, decoder)["client_order_id"] == OURS
    only_report(PLACED.replace(b"42", b"%d" % request, 1).replace(b"OABCDE-12345-FGHIJ", b"O1"), decoder)
    assert decoder.open_order_count == 0


def test_a_gap_is_surfaced_and_its_reports_are_good():
    decoder = codec()
    decoded(PENDING, decoder)
    out = decoded(FILL, decoder)            # 10 where 9 was due
    assert out.messages["kind"].tolist() == [MessageKind.REPORT, MessageKind.SESSION]
    assert out.messages[["has_chain", "first_id", "last_id"]].tolist()[1] == (1, 9, 10)
    assert out.reports["exec_type"].tolist() == [ExecType.REPORT_FILL]
    assert decoded(FILLED, decoder).messages["kind"].tolist() == [MessageKind.REPORT]


def test_a_refused_message_shows_as_a_gap():
    decoder, out = codec(), DecodeOutput()
    decoded(PENDING, decoder)
    assert decoder.decode_frame(NEW.replace(b"22T10:33:05.709982Z", b"22"), out) == DecodeStatus.BAD_FIELD
    assert decoded(FILL, decoder).messages["has_chain"].tolist() == [0, 1]


def snapshot(*lines, sequence=1):
    return ('{"channel":"executions","type":"snapshot","data":[' + ",".join(lines)
            + f'],"sequence":{sequence}}}').encode()


OPEN = ('{"order_id":"O1","cl_ord_id":"' + OUR_TEXT.decode() + '","symbol":"BTC/USD","side":"buy","exec_type":"new",'
        '"order_status":"partially_filled","cum_qty":0.25,"order_qty":1}')
OLD_TRADE = ('{"order_id":"O2","symbol":"BTC/USD","side":"buy","exec_type":"trade","trade_id":5,"last_qty":1,'
             '"last_price":7,"cum_qty":1}')


def test_a_snapshot_states_and_begins_anew():
    decoder = codec()
    decoded(PENDING, decoder)
    out = decoded(snapshot(OPEN, OLD_TRADE), decoder)
    assert out.messages["kind"].tolist() == [MessageKind.REPORT, MessageKind.REPORT, MessageKind.SESSION]
    assert out.messages["has_chain"].tolist() == [0, 0, 0]
    assert out.reports["exec_type"].tolist() == [ExecType.REPORT_STATUS, ExecType.REPORT_FILL]
    assert out.reports["reconciliation"].tolist() == [1, 1]
    assert out.reports["cumulative_quantity"].tolist() == [25 * 10**6, 10**8]
    assert decoder.open_order_count == 1    # what was open before is forgotten, what was traded is not open
    assert decoded(NEW.replace(b":9}", b":2}"), decoder).messages["kind"].tolist() == [MessageKind.REPORT]


@pytest.mark.parametrize(("points", "told"), [("12", [(RateNotice.POINTS_COUNTED, 0, 12)]), ("12.5", []), ("-1", [])])
def test_a_line_says_where_the_counter_of_its_pair_stands(points, told):
    line = OPEN.replace('"cum_qty":0.25', f'"cum_qty":0.25,"ratecount":{points}')
    out = decoded(snapshot(line).replace(b"snapshot", b"update"))
    rates = out.messages[out.messages["kind"] == MessageKind.RATES]
    assert rates[["side", "listing", "first_id"]].tolist() == told and len(out.reports) == 1
    assert MessageKind.RATES not in decoded(snapshot(line)).messages["kind"]       # of what was true a while ago


def test_an_old_trade_in_a_snapshot_leaves_its_open_order_alone():
    decoder = codec()
    decoded(snapshot(OPEN, OLD_TRADE.replace("O2", "O1")), decoder)
    assert decoder.open_order_count == 1
    line = b'{"channel":"executions","type":"update","data":[{"order_id":"O1","exec_type":"canceled"}],"sequence":2}'
    assert only_report(line, decoder)["client_order_id"] == OURS


def test_a_snapshot_in_parts_and_a_second_one():
    decoder = codec()
    decoded(snapshot(OPEN), decoder)
    decoded(snapshot(OPEN.replace("O1", "O3"), sequence=2), decoder)
    assert decoder.open_order_count == 2
    decoded(snapshot(OPEN.replace("O1", "O4")), decoder)
    assert decoder.open_order_count == 1


def test_the_table_of_open_orders_is_bounded():
    """Foreign orders take half of it at most; what finds no room is counted and still reported."""
    decoder = codec(open_orders=8)
    lines = [OPEN.replace("O1", f"F{i}").replace(OUR_TEXT.decode(), "theirs") for i in range(100)]
    assert len(decoded(snapshot(*lines), decoder).reports) == 100
    assert decoder.open_order_count == 4 and decoder.forgotten == 96
    decoded(snapshot(*[OPEN.replace("O1", f"W{i}") for i in range(3)], sequence=2), decoder)
    assert decoder.open_order_count == 7 and decoder.forgotten == 96


def life(steps):
    """Feeds lines about numbered orders and holds every report against a dictionary; an order is named once only.

    A step is a number and whether its order ends. An id is never used again, so what ended stays ended.
    """
    decoder, told, is_open, ended, sequence = codec(open_orders=64), {}, set(), [], 0
    for number, ends in steps:
        sequence += 1
        named = "" if ends or number in told else f',"cl_ord_id":"{client_id.encode(number + 1)}","symbol":"ETH/USD"'
        told.setdefault(number, number + 1 if named else 0)
        line = f'{{"order_id":"O{number}"{named},"exec_type":"{"canceled" if ends else "new"}"}}'
        frame = f'{{"channel":"executions","type":"update","data":[{line}],"sequence":{sequence}}}'
        report = only_report(frame.encode(), decoder)
        assert report["client_order_id"] == told[number]
        assert report["listing"] == (1 if told[number] else NO_LISTING)
        if not ends and number not in ended:
            is_open.add(number)
        elif ends and number not in ended:
            is_open.discard(number)
            ended.append(number)
        assert decoder.open_order_count == len(is_open)


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=60))
def test_orders_are_found_after_they_end(steps):
    life(steps)


@pytest.mark.parametrize("seed", range(3))
def test_open_orders_are_found_while_many_others_end(seed):
    """Far more ends than the table keeps, with a changing set of up to 60 open orders in between."""
    random, steps, working = Random(seed), [], []
    for number in range(1500):
        working.append(number)
        steps.append((number, False))
        while len(working) > random.randint(0, 59):
            steps.append((random.choice(working), False))
            steps.append((working.pop(random.randrange(len(working))), True))
    life(steps)


@pytest.mark.parametrize(("line", "exec_type", "reason"), [
    ('"exec_type":"canceled","reason":"User requested"', ExecType.REPORT_CANCELED, Reason.OK),
    ('"exec_type":"canceled"', ExecType.REPORT_CANCELED, Reason.OK),
    ('"exec_type":"canceled","reason":"Post only order"', ExecType.REPORT_CANCELED, Reason.POST_ONLY_WOULD_TAKE),
    ('"exec_type":"canceled","reason":"Self trade"', ExecType.REPORT_CANCELED, Reason.EXCHANGE_OTHER),
    ('"exec_type":"expired"', ExecType.REPORT_EXPIRED, Reason.OK),
    ('"exec_type":"restated","order_status":"canceled"', ExecType.REPORT_CANCELED, Reason.OK),
    ('"exec_type":"amended","order_status":"new"', ExecType.REPORT_REPLACED, Reason.OK),
    ('"exec_type":"iceberg_refill"', ExecType.REPORT_STATUS, Reason.OK),
    ('"order_status":"new"', ExecType.REPORT_STATUS, Reason.OK),
])
def test_execution_types(line, exec_type, reason):
    report = only_report(f'{{"channel":"executions","type":"update","data":[{{"order_id":"O1",{line}}}],"sequence":1}}'
                         .encode())
    assert (report["exec_type"], report["reason"]) == (exec_type, reason)


def test_a_trade_charged_in_two_assets():
    out = decoded(FILL.replace(b'"qty":0.3458}', b'"qty":0.3458},{"asset":"KFEE","qty":12}'))
    assert out.reports["exec_type"].tolist() == [ExecType.REPORT_FILL, ExecType.REPORT_STATUS]
    assert out.reports["last_quantity"].tolist() == [500000, 0]
    assert out.reports[["fee", "fee_decimals", "fee_asset"]].tolist() == [(3458, 4, 0), (12, 0, 2)]
    assert out.reports["trade_id"].tolist() == [62887576] * 2


def test_a_trade_of_a_foreign_symbol_has_no_numbers():
    report = only_report(FILL.replace(b"BTC/USD", b"DOGE/USD"))
    assert (report["listing"], report["last_quantity"], report["client_order_id"]) == (NO_LISTING, 0, 0)


@pytest.mark.parametrize(("frame", "status"), [
    (b"{}", DecodeStatus.UNKNOWN_MESSAGE),
    (b'{"req_id":1}', DecodeStatus.UNKNOWN_MESSAGE),
    (b"", DecodeStatus.BAD_JSON),
    (b"[]", DecodeStatus.BAD_FIELD),
    (FILL.replace(b'"trade_id"', b'"trade_id":1,"trade_id"'), DecodeStatus.BAD_JSON),
    (FILL[:-1] + b',"sequence":10}', DecodeStatus.BAD_JSON),
    (FILL.replace(b'"asset":"USD"', b'"asset":"USD","asset":"USD"'), DecodeStatus.BAD_JSON),
    (FILL.replace(b'"last_qty":0.005', b'"last_qty":0'), DecodeStatus.BAD_FIELD),
    (FILL.replace(b'"last_qty":0.005', b'"last_qty":-1'), DecodeStatus.BAD_FIELD),
    (FILL.replace(b'"last_qty":0.005,', b""), DecodeStatus.BAD_FIELD),
    (FILL.replace(b"62887576", b"0"), DecodeStatus.BAD_FIELD),
    (FILL.replace(b'"trade_id":62887576,', b""), DecodeStatus.BAD_FIELD),
    (FILL.replace(b'"symbol":"BTC/USD",', b""), DecodeStatus.BAD_FIELD),
    (FILL.replace(b'"order_id":"OK4GJX-KSTLS-7DZZO5",', b""), DecodeStatus.BAD_FIELD),
    (FILL.replace(b"OK4GJX-KSTLS-7DZZO5", b""), DecodeStatus.BAD_FIELD),
    (FILL.replace(b"OK4GJX-KSTLS-7DZZO5", b"O" * 32), DecodeStatus.BAD_FIELD),
    (FILL.replace(b"OK4GJX-KSTLS-7DZZO5", b"\\u004f" * 5000), DecodeStatus.BAD_FIELD),
    (FILL.replace(b"BTC/USD", b"X" * 41), DecodeStatus.BAD_SYMBOL),
    (FILL.replace(b"BTC/USD", b"\\u0058" * 5000), DecodeStatus.BAD_SYMBOL),
    (FILL.replace(b"2023-09-22T10:33:05.709993Z", b"\\u0032" * 5000), DecodeStatus.BAD_FIELD),
    (FILL.replace(b"2023-09-22T10:33:05.709993Z", b"2023-02-29T10:33:05Z"), DecodeStatus.BAD_FIELD),
    (FILL.replace(b"26599.9,", b"26599.999,"), DecodeStatus.NUMBER_INEXACT),
    (FILL.replace(b"26599.9,", b"1e30,"), DecodeStatus.NUMBER_RANGE),
    (FILL.replace(b',"sequence":10', b""), DecodeStatus.BAD_FIELD),
    (FILL.replace(b'"type":"update",', b""), DecodeStatus.BAD_FIELD),
    (FILL.replace(b'"data":[', b'"data":[7,'), DecodeStatus.BAD_FIELD),
    (PLACED.replace(b'"order_id":"OABCDE-12345-FGHIJ",', b""), DecodeStatus.BAD_FIELD),
    (PLACED.replace(b'"success":true', b'"success":1'), DecodeStatus.BAD_FIELD),
    (PLACED.replace(b"42", b'"42"', 1), DecodeStatus.BAD_FIELD),
])
def test_what_is_wrong_is_named(frame, status):
    out = DecodeOutput()
    assert codec().decode_frame(frame, out) == status
    check_refusal(out, len(frame))


@pytest.mark.parametrize("frame", [OWN_PENDING, FILL, FILLED, PLACED, failed("EOrder:x"), snapshot(OPEN, OLD_TRADE)])
def test_other_spellings_mean_the_same_and_truncations_nothing(frame):
    meant = decoded(frame)
    for seed in range(5):
        for what, text in spellings(frame, seed):
            out = decoded(text)
            assert out.reports.tobytes() == meant.reports.tobytes(), (what, text)
            assert out.messages.tobytes() == meant.messages.tobytes(), (what, text)
    decoder, out = codec(), DecodeOutput()
    for size in range(len(frame)):
        assert decoder.decode_frame(frame[:size], out) == DecodeStatus.BAD_JSON
        check_refusal(out, size)
    assert decoder.open_order_count == 0


def test_too_many():
    for out in (DecodeOutput(messages=0), DecodeOutput(reports=0)):
        assert codec().decode_frame(FILL, out) == DecodeStatus.TOO_MANY
        check_refusal(out, len(FILL))
    two = snapshot(OPEN, OPEN)
    for out in (DecodeOutput(messages=2), DecodeOutput(reports=1)):
        assert codec().decode_frame(two, out) == DecodeStatus.TOO_MANY
        check_refusal(out, len(two))
