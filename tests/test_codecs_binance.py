"""Binance market data: recorded frames against the slow twin, and everything that may be wrong with a frame."""
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow._core.codec import DecodeOutput, DecodeStatus
from orderflow._core.codecs.binance import BinanceMarketData
from orderflow._core.types import MessageKind, Side
from tests.codec_frames import (
    check_against_twin,
    check_refusal,
    judged_by,
    listing_table,
    recorded,
    spellings,
)
from tests.reference.codecs import decode_binance, decode_binance_snapshot, events_of

CAPTURES = [    # name, market, every n-th frame, symbols with their scales
    ("binance_spot_btcusdt_20240808", "spot", 7, {"BTCUSDT": (8, 8)}),
    ("binance_usdm_btcusdt_20240808", "usdm", 7, {"BTCUSDT": (2, 3)}),
    ("binance_coinm_btcusdperp_20240808", "coinm", 7, {"BTCUSD_PERP": (1, 0)}),
    ("cf_binance_a", "spot", 1, {"NKNUSDT": (8, 8), "RUNEEUR": (8, 8)}),
    ("cf_binance_futures_a", "usdm", 1, {"KEEPUSDT": (8, 3), "SUSHIUSDT": (8, 3)}),
    ("cf_binance_delivery_a", "coinm", 1, {
        "BCHUSD_PERP": (2, 0), "BTCUSD_211231": (1, 0), "ETHUSD_210924": (2, 0), "LINKUSD_211231": (3, 0),
        "TRXUSD_PERP": (5, 0)}),
]
SYMBOLS, SCALES = {"BNBBTC": 0, "BNBUSDT": 1}, [(8, 8), (4, 2)]
DEPTH = (b'{"e":"depthUpdate","E":1672515782136,"s":"BNBBTC","U":157,"u":160,"b":[["0.0024","10"]],'
         b'"a":[["0.0026","100"]]}')
TRADE = (b'{"e":"trade","E":1672515782137,"s":"BNBBTC","t":12345,"p":"0.001","q":"100","T":1672515782136,"m":true,'
         b'"M":true}')
AGGREGATE = (b'{"e":"aggTrade","E":1672515782137,"s":"BNBBTC","a":12345,"p":"0.001","q":"100","f":100,"l":105,'
             b'"T":1672515782136,"m":false,"M":true}')
TICKER = (b'{"u":400900217,"s":"BNBUSDT","b":"25.35190000","B":"31.21000000","a":"25.36520000","A":"40.66000000"}')
FUTURES_DEPTH = (b'{"e":"depthUpdate","E":123456789,"T":123456788,"s":"BNBUSDT","ps":"BNBUSDT","st":1,"U":157,"u":160,'
                 b'"pu":149,"b":[["0.0024","10"]],"a":[["0.0026","100"]]}')
SNAPSHOT = b'{"lastUpdateId":1027024,"bids":[["4.00000000","431.00000000"]],"asks":[["4.00000200","12.00000000"]]}'
SAMPLES = [DEPTH, TRADE, AGGREGATE, TICKER]


def decoder(market="spot", symbols=SYMBOLS, scales=SCALES):
    return BinanceMarketData(listing_table(scales), symbols, market=market)


def twin_of(market="spot", symbols=SYMBOLS, scales=SCALES):
    return lambda frame: decode_binance(frame, symbols, scales, market != "spot")


def status_of(frame, market="spot", out=None):
    out = out or DecodeOutput()
    status = decoder(market).decode_frame(frame, out)
    check_against_twin(status, out, twin_of(market), frame)
    return status


@pytest.mark.parametrize(("name", "market", "every", "symbols"), CAPTURES, ids=[row[0] for row in CAPTURES])
def test_captures_decode_as_the_twin_says(feeds, name, market, every, symbols):
    frames, snapshots = recorded(feeds / f"captures/{name}.tsv.gz", every)
    scales, indices = list(symbols.values()), {symbol: index for index, symbol in enumerate(symbols)}
    codec, out, twin = decoder(market, indices, scales), DecodeOutput(), twin_of(market, indices, scales)
    kinds = set()
    for frame in frames:
        assert codec.decode_frame(frame, out) == DecodeStatus.DECODED, frame
        found = events_of(out)
        assert found == twin(frame), frame
        kinds |= {event.kind for event in found}
    assert {MessageKind.UPDATE, MessageKind.TRADE, MessageKind.QUOTE} <= kinds
    taken = 0
    for symbol, body in snapshots:
        index = indices[symbol]
        assert codec.decode_snapshot_body(index, body, out) == DecodeStatus.DECODED
        assert events_of(out) == decode_binance_snapshot(body, index, scales[index])
        taken += len(out.levels)
    assert taken > 100


def test_documented_samples_say_what_the_document_says():
    codec, out = decoder(), DecodeOutput()
    assert codec.decode_frame(DEPTH, out) == DecodeStatus.DECODED
    (update,) = events_of(out)
    assert (update.kind, update.listing, update.first_id, update.last_id) == (MessageKind.UPDATE, 0, 157, 160)
    assert update.has_chain and update.exchange_ns == 1672515782136_000_000
    assert (update.bids, update.asks) == ([(240000, 10 * 10**8)], [(260000, 100 * 10**8)])
    for frame, side in ((TRADE, Side.SELL), (AGGREGATE, Side.BUY)):     # m: the buyer made, so the aggressor sold
        assert codec.decode_frame(frame, out) == DecodeStatus.DECODED
        (trade,) = events_of(out)
        assert (trade.kind, trade.last_id, trade.price, trade.quantity, trade.side, trade.exchange_ns) == (
            MessageKind.TRADE, 12345, 100000, 100 * 10**8, side, 1672515782136_000_000)
    assert codec.decode_frame(TICKER, out) == DecodeStatus.DECODED
    (quote,) = events_of(out)
    assert (quote.kind, quote.listing, quote.last_id, quote.bids, quote.asks) == (
        MessageKind.QUOTE, 1, 400900217, [(253519, 3121)], [(253652, 4066)])
    assert codec.decode_snapshot_body(0, SNAPSHOT, out) == DecodeStatus.DECODED
    (snapshot,) = events_of(out)
    assert (snapshot.kind, snapshot.last_id, snapshot.bids, snapshot.asks) == (
        MessageKind.SNAPSHOT, 1027024, [(4 * 10**8, 431 * 10**8)], [(400000200, 12 * 10**8)])
    assert decoder("usdm").decode_frame(FUTURES_DEPTH.replace(b"BNBUSDT", b"BNBBTC"), out) == DecodeStatus.DECODED
    assert events_of(out)[0].previous_id == 149 and events_of(out)[0].exchange_ns == 123456788_000_000


def test_an_update_of_futures_needs_its_predecessor():
    assert status_of(DEPTH, "usdm") == DecodeStatus.BAD_FIELD


@pytest.mark.parametrize("frame", SAMPLES)
def test_other_spellings_mean_the_same(frame):
    for wrapped in (frame, b'{"stream":"x@y","data":' + frame + b"}"):
        meant = twin_of()(wrapped)
        for seed in range(8):
            for what, text in spellings(wrapped, seed):
                out = DecodeOutput()
                assert decoder().decode_frame(text, out) == DecodeStatus.DECODED, (what, text)
                assert events_of(out) == meant == twin_of()(text), (what, text)
    for what, text in spellings(SNAPSHOT):
        out = DecodeOutput()
        assert decoder().decode_snapshot_body(0, text, out) == DecodeStatus.DECODED, what
        assert events_of(out) == decode_binance_snapshot(SNAPSHOT, 0, SCALES[0]), what


@pytest.mark.parametrize("frame", [*SAMPLES, b'{"stream":"x","data":' + DEPTH + b"}", b'{"result":null,"id":1}'])
def test_every_truncation_is_refused(frame):
    codec, out = decoder(), DecodeOutput()
    for size in range(len(frame)):
        assert codec.decode_frame(frame[:size], out) == DecodeStatus.BAD_JSON, frame[:size]
        check_refusal(out, size)


def test_every_truncation_of_a_snapshot_is_refused():
    codec, out = decoder(), DecodeOutput()
    for size in range(len(SNAPSHOT)):
        assert codec.decode_snapshot_body(0, SNAPSHOT[:size], out) == DecodeStatus.BAD_JSON
        check_refusal(out, size)


@pytest.mark.parametrize(("frame", "status"), [
    (DEPTH.replace(b'"u":160', b'"u":160,"u":161'), DecodeStatus.BAD_JSON),
    (DEPTH.replace(b'"E"', b'"s":"BNBBTC","E"'), DecodeStatus.BAD_JSON),
    (DEPTH.replace(b'"E"', b'"e":"depthUpdate","E"'), DecodeStatus.BAD_JSON),
    (DEPTH[:-1] + b',"b":[]}', DecodeStatus.BAD_JSON),
    (b'{"data":' + DEPTH + b',"data":' + DEPTH + b"}", DecodeStatus.BAD_JSON),
    (b'{"data":' + DEPTH + b',"stream":"a","stream":"b"}', DecodeStatus.BAD_JSON),
    (b'{"data":' + DEPTH + b',"u":9}', DecodeStatus.BAD_JSON),
    (b'{"u":9,"data":' + DEPTH + b"}", DecodeStatus.BAD_JSON),
    (DEPTH + b"x", DecodeStatus.BAD_JSON),
    (DEPTH + b"{}", DecodeStatus.BAD_JSON),
    (b"", DecodeStatus.BAD_JSON),
    (b"1", DecodeStatus.BAD_FIELD),
    (DEPTH.replace(b'"0.0024"', b'"99999999999"'), DecodeStatus.NUMBER_RANGE),
    (DEPTH.replace(b'"0.0024"', b'"1e30"'), DecodeStatus.NUMBER_RANGE),
    (DEPTH.replace(b'"0.0024"', b'"-0.0024"'), DecodeStatus.NUMBER_RANGE),
    (DEPTH.replace(b'"10"', b'"-10"'), DecodeStatus.NUMBER_RANGE),
    (DEPTH.replace(b"160", b"9223372036854775808"), DecodeStatus.NUMBER_RANGE),
    (DEPTH.replace(b"1672515782136", b"-1"), DecodeStatus.NUMBER_RANGE),
    (DEPTH.replace(b"1672515782136", b"9000000000000000"), DecodeStatus.NUMBER_RANGE),
    (DEPTH.replace(b'"0.0024"', b'"0.000000001"'), DecodeStatus.NUMBER_INEXACT),
    (DEPTH.replace(b'"0.0024"', b'"1e-9"'), DecodeStatus.NUMBER_INEXACT),
    (DEPTH.replace(b'"0.0024"', b'"24x"'), DecodeStatus.BAD_NUMBER),
    (DEPTH.replace(b'"0.0024"', b'""'), DecodeStatus.BAD_NUMBER),
    (DEPTH.replace(b'"0.0024"', b"null"), DecodeStatus.BAD_FIELD),
    (DEPTH.replace(b'["0.0024","10"]', b'["0.0024"]'), DecodeStatus.BAD_FIELD),
    (DEPTH.replace(b'["0.0024","10"]', b"[]"), DecodeStatus.BAD_FIELD),
    (DEPTH.replace(b'"u":160', b'"u":"160"'), DecodeStatus.BAD_FIELD),
    (DEPTH.replace(b'"u":160,', b""), DecodeStatus.BAD_FIELD),
    (DEPTH.replace(b'"s":"BNBBTC",', b""), DecodeStatus.BAD_FIELD),
    (DEPTH.replace(b"BNBBTC", b"X" * 41), DecodeStatus.BAD_SYMBOL),
    (TRADE.replace(b'"m":true', b'"m":1'), DecodeStatus.BAD_FIELD),
    (TRADE.replace(b'"t":12345,', b""), DecodeStatus.BAD_FIELD),
    (TRADE.replace(b'"0.001"', b'"-0.001"'), DecodeStatus.NUMBER_RANGE),
    (TICKER.replace(b'"25.35190000"', b'"25.35191"'), DecodeStatus.NUMBER_INEXACT),
    (b"{}", DecodeStatus.UNKNOWN_MESSAGE),
    (b'{"id":7}', DecodeStatus.UNKNOWN_MESSAGE),
    (b'{"e":"somethingNew","s":"BNBBTC"}', DecodeStatus.UNKNOWN_MESSAGE),
    (b'{"stream":"a","data":{"lists":[]}}', DecodeStatus.UNKNOWN_MESSAGE),
])
def test_what_is_wrong_is_named(frame, status):
    out = DecodeOutput()
    assert status_of(frame, out=out) == status
    if status != DecodeStatus.BAD_SYMBOL:       # to the twin, a name longer than any is just not one of ours
        assert judged_by(twin_of(), frame) is None


def test_a_fault_names_listing_and_place():
    out = DecodeOutput()
    bad = DEPTH.replace(b'"0.0026"', b'"0.000000001"')
    assert status_of(bad, out=out) == DecodeStatus.NUMBER_INEXACT
    assert out.fault[0] == 0 and 0 <= out.fault[1] - bad.index(b'"0.000000001"') <= 12
    assert status_of(DEPTH, out=out) == DecodeStatus.DECODED and out.fault == (-1, 0)


@pytest.mark.parametrize(("frame", "kind"), [
    (b'{"result":null,"id":1}', MessageKind.SESSION),
    (b'{"id":3,"result":["a@depth"]}', MessageKind.SESSION),
    (b'{"id":1,"result":null,"error":{"code":2,"msg":"Invalid request"}}', MessageKind.SESSION),
    (b'{"error":{"code":2,"msg":"Invalid request: unknown variant"},"id":1}', MessageKind.SESSION),
    (b'{"code":-1121,"msg":"Invalid symbol."}', MessageKind.SESSION),
    (b'{"e":"serverShutdown","E":1770123456789}', MessageKind.SESSION),
    (b'{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}', MessageKind.SESSION),
    (b'{"e":"kline","E":1,"s":"BNBBTC","k":{"t":1,"o":"0.1"}}', MessageKind.IGNORED),
    (b'{"e":"forceOrder","E":1,"o":{"s":"BNBBTC","p":"9910"}}', MessageKind.IGNORED),
    (b'{"stream":"!ticker@arr","data":[{"e":"24hrTicker"}]}', MessageKind.IGNORED),
    (b'[{"e":"24hrTicker"}]', MessageKind.IGNORED),
    (b'{"stream":"b@depth5","data":{"lastUpdateId":1,"bids":[],"asks":[]}}', MessageKind.IGNORED),
    (DEPTH.replace(b"BNBBTC", b"ETHBTC"), MessageKind.IGNORED),
    (TICKER.replace(b"BNBUSDT", b"ETHBTC").replace(b"25.35190000", b"no number"), MessageKind.IGNORED),
    (TRADE.replace(b'"m":true', b'"X":"INSURANCE_FUND","m":true'), MessageKind.IGNORED),
    (TRADE.replace(b'"m":true', b'"X":"MARKET","m":true'), MessageKind.TRADE),
])
def test_kinds(frame, kind):
    out = DecodeOutput()
    assert status_of(frame, out=out) == DecodeStatus.DECODED
    assert out.messages["kind"].tolist() == [kind]
    if kind != MessageKind.TRADE:
        assert len(out.levels) == 0


def test_microseconds_and_exponents():
    out = DecodeOutput()
    frame = DEPTH.replace(b"1672515782136", b"1672515782136789").replace(b'["0.0024","10"]', b'["2.4e-3",1E1]')
    assert status_of(frame, out=out) == DecodeStatus.DECODED
    (update,) = events_of(out)
    assert (update.exchange_ns, update.bids) == (1672515782136789_000, [(240000, 10 * 10**8)])


def test_a_side_without_quantity_is_empty():
    out = DecodeOutput()
    assert status_of(TICKER.replace(b"31.21000000", b"0.00"), out=out) == DecodeStatus.DECODED
    assert (events_of(out)[0].bids, events_of(out)[0].asks) == ([], [(253652, 4066)])


def many_levels(count):
    return DEPTH.replace(b'[["0.0024","10"]]', b"[" + b",".join(b'["0.%04d","1"]' % i for i in range(count)) + b"]")


def test_no_room():
    """Levels fit exactly, or nothing is decoded; a frame of spaces takes the other reader."""
    for text in (many_levels(99), many_levels(99).replace(b",[", b", [")):
        assert status_of(text, out=DecodeOutput(levels=100)) == DecodeStatus.DECODED
        for room in (99, 98, 50, 1, 0):
            out = DecodeOutput(levels=room)
            assert status_of(text, out=out) == DecodeStatus.TOO_MANY
            assert out.fault[0] == 0
    assert status_of(DEPTH, out=DecodeOutput(messages=0)) == DecodeStatus.TOO_MANY
    assert status_of(TICKER, out=DecodeOutput(levels=1)) == DecodeStatus.TOO_MANY


def test_a_snapshot_needs_a_listing_of_ours():
    out = DecodeOutput()
    for index in (-1, 2):
        assert decoder().decode_snapshot_body(index, SNAPSHOT, out) == DecodeStatus.BAD_SYMBOL
        check_refusal(out, len(SNAPSHOT))
    assert decoder().decode_snapshot_body(0, b'{"code":-1121,"msg":"x"}', out) == DecodeStatus.BAD_FIELD
    assert decoder().decode_snapshot_body(0, SNAPSHOT[:-1] + b',"bids":[]}', out) == DecodeStatus.BAD_JSON


def test_options():
    with pytest.raises(ValueError, match="market='option'"):
        decoder("option")
    with pytest.raises(ValueError, match="1 to 40 bytes"):
        decoder(symbols={"X" * 41: 0})
    with pytest.raises(ValueError, match="listing 2 is not in the table"):
        decoder(symbols={"X": 2})


levels_text = st.lists(st.tuples(st.decimals(0, 10**6, places=4), st.decimals(0, 10**6, places=2)), max_size=40)


@given(levels_text, levels_text, st.integers(0, 2**31))
def test_generated_books(bids, asks, seed):
    """Numbers as exchanges write them and as they could: padded, short, with exponents, bare."""
    rng = random.Random(seed)

    def number(value):
        written = rng.choice([f"{value:f}", f"{value.normalize():f}", f"{value.normalize()}", f"{value:f}00"])
        return f'"{written}"' if rng.random() < 0.9 else written

    def side(levels):
        return "[" + ",".join(f"[{number(price)},{number(quantity)}{rng.choice(['', '', ',[]'])}]"
                              for price, quantity in levels) + "]"

    frame = f'{{"e":"depthUpdate","E":1,"s":"BNBUSDT","U":1,"u":2,"b":{side(bids)},"a":{side(asks)}}}'
    out = DecodeOutput()
    assert status_of(frame.encode(), out=out) == DecodeStatus.DECODED
    (update,) = events_of(out)
    assert update.bids == [(int(price.scaleb(4)), int(quantity.scaleb(2))) for price, quantity in bids]
    assert update.asks == [(int(price.scaleb(4)), int(quantity.scaleb(2))) for price, quantity in asks]
