"""Seeded wounds to frames of every decoder: no crash, no hang, and nothing believed that the text does not say.

ORDERFLOW_FUZZ_ROUNDS sets how many frames each decoder gets (20000), ORDERFLOW_FUZZ_SEED where they begin.
"""
import os
import random

import pytest

from orderflow._core.codec import DecodeOutput, DecodeStatus
from orderflow._core.codecs.binance import BinanceMarketData
from orderflow._core.codecs.kraken import KrakenMarketData
from orderflow._core.types import ExecType, MessageKind
from tests import test_codecs_binance as binance
from tests import test_codecs_binance_orders as binance_orders
from tests import test_codecs_kraken as kraken
from tests import test_codecs_kraken_orders as kraken_orders
from tests.codec_frames import check_against_twin, check_refusal, listing_table, mutate, render, with_new_keys
from tests.reference.codecs import Kraken, decode_binance, decode_binance_snapshot, parse

ROUNDS = int(os.environ.get("ORDERFLOW_FUZZ_ROUNDS", "20000"))
SEED = int(os.environ.get("ORDERFLOW_FUZZ_SEED", "1"))
SPOT = [*binance.SAMPLES, b'{"stream":"a","data":' + binance.DEPTH + b"}", b'{"result":null,"id":1}',
        binance.many_levels(30)]
FUTURES = [binance.FUTURES_DEPTH, binance.TICKER, binance.TRADE.replace(b"{", b'{"X":"MARKET",')]
BINANCE_ORDERS = [
    binance_orders.NEW_EVENT, binance_orders.FILL_EVENT, binance_orders.OWN_FILL, binance_orders.EXPIRED_EVENT,
    binance_orders.PLACED, *(binance_orders.error(*row[:3]) for row in binance_orders.ERRORS[::5])]
KRAKEN_ORDERS = [
    kraken_orders.OWN_PENDING, kraken_orders.NEW, kraken_orders.FILL, kraken_orders.FILLED, kraken_orders.PLACED,
    kraken_orders.snapshot(kraken_orders.OPEN, kraken_orders.OLD_TRADE), kraken_orders.failed("EOrder:Unknown order")]


def wounded(frames, seed):
    """ROUNDS frames, most of them wounded, some only respelt."""
    rng = random.Random(seed)
    respelt = [render(with_new_keys(parse(frame), rng), shuffle=rng, escape_keys=rng.random() < 0.3)
               for frame in frames for _ in range(8)]
    for _ in range(ROUNDS):
        frame = rng.choice(frames if rng.random() < 0.7 else respelt)
        yield mutate(frame, rng) if rng.random() < 0.97 else frame


def check_market_data(decode, frames, twin):
    """Whatever is decoded is what the slow decoder reads in the same text."""
    statuses = dict.fromkeys(DecodeStatus, 0)
    outs = [DecodeOutput(), DecodeOutput(messages=1, levels=3), DecodeOutput(messages=0, levels=0)]
    for turn, frame in enumerate(wounded(frames, SEED)):
        out = outs[turn % 16 - 13] if turn % 16 > 13 else outs[0]
        status = decode(frame, out)
        statuses[status] += 1
        check_against_twin(status, out, twin, frame)
    assert statuses[DecodeStatus.DECODED] > ROUNDS // 100 and statuses[DecodeStatus.BAD_JSON] > ROUNDS // 10


@pytest.mark.parametrize(("market", "frames"), [("spot", SPOT), ("usdm", FUTURES)])
def test_binance_market_data(market, frames):
    codec = BinanceMarketData(listing_table(binance.SCALES), binance.SYMBOLS, market=market)
    check_market_data(codec.decode_frame, frames,
                      lambda frame: decode_binance(frame, binance.SYMBOLS, binance.SCALES, market != "spot"))


def test_binance_snapshots():
    codec = binance.decoder()
    check_market_data(lambda frame, out: codec.decode_snapshot_body(0, frame, out), [binance.SNAPSHOT],
                      lambda frame: decode_binance_snapshot(frame, 0, binance.SCALES[0]))


def test_kraken_market_data():
    """A new decoder for each frame: what a refused one taught it of digits is its own business."""
    table = listing_table(kraken.SCALES)
    check_market_data(lambda frame, out: KrakenMarketData(table, kraken.SYMBOLS).decode_frame(frame, out),
                      [*kraken.SAMPLES, kraken.ACK], lambda frame: Kraken(kraken.SYMBOLS, kraken.SCALES).decode(frame))


def check_reports(out, listings):
    """Reports and messages belong together, and a fill says of what and how much."""
    messages, reports = out.messages, out.reports
    told = messages[messages["kind"] == MessageKind.REPORT]
    assert told["report"].tolist() == list(range(len(reports)))
    assert len(messages) > 0 and set(messages["kind"].tolist()) <= {
        MessageKind.IGNORED, MessageKind.REPORT, MessageKind.SESSION, MessageKind.RATES}
    for report in reports:
        known = report["listing"] < listings
        assert known or report["listing"] == 0xFFFFFFFF
        assert 0 < report["exec_type"] <= ExecType.REPORT_STATUS
        if report["exec_type"] == ExecType.REPORT_FILL:
            assert (report["last_quantity"] > 0) == known
        assert report["exchange_order_id"].tobytes().endswith(b"\0")


def check_orders(make, frames, listings):
    statuses = dict.fromkeys(DecodeStatus, 0)
    outs = [DecodeOutput(), DecodeOutput(messages=1, reports=1), DecodeOutput(messages=0, reports=0)]
    for turn, frame in enumerate(wounded(frames, SEED)):
        if turn % 1000 == 0:
            codec = make()              # a decoder that has seen much, and now and then a new one
        out = outs[turn % 16 - 13] if turn % 16 > 13 else outs[0]
        status = codec.decode_frame(frame, out)
        statuses[status] += 1
        if status == DecodeStatus.DECODED:
            parse(frame)                # it was JSON
            check_reports(out, listings)
        else:
            check_refusal(out, len(frame))
    assert statuses[DecodeStatus.DECODED] > ROUNDS // 100 and statuses[DecodeStatus.BAD_JSON] > ROUNDS // 10


def test_binance_orders():
    check_orders(binance_orders.codec, BINANCE_ORDERS, len(binance_orders.SCALES))


def test_kraken_orders():
    check_orders(lambda: kraken_orders.codec(open_orders=4), KRAKEN_ORDERS, len(kraken_orders.SCALES))
