"""Kraken market data: a re-wrapped recording against the slow twin, and everything that may be wrong with a frame."""
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orderflow._core.checksum import kraken_checksum
from orderflow._core.codec import DecodeOutput, DecodeStatus
from orderflow._core.codecs.kraken import KrakenMarketData
from orderflow._core.types import MessageKind, Side
from tests.codec_frames import check_against_twin, check_refusal, judged_by, listing_table, recorded, spellings
from tests.reference.codecs import Kraken, Refused, events_of, rfc3339_ns

SYMBOLS, SCALES = {"BTC/USD": 0, "MATIC/USD": 1}, [(2, 8), (6, 10)]
SNAPSHOT = (b'{"channel":"book","type":"snapshot","data":[{"symbol":"BTC/USD",'
            b'"bids":[{"price":45283.5,"qty":0.10000000}],"asks":[{"price":45285.2,"qty":0.00100000}],"checksum":3310070434}]}')
UPDATE = (b'{"channel":"book","type":"update","data":[{"symbol":"MATIC/USD",'
          b'"bids":[{"price":0.5657,"qty":1098.3947558}],"asks":[],"checksum":2114181697,"timestamp":"2023-10-06T17:35:55.440295Z"}]}')
TRADE = (b'{"channel":"trade","type":"update","data":[{"symbol":"BTC/USD","side":"buy","price":105944.20,'
         b'"qty":0.00027625,"ord_type":"limit","trade_id":10218208,"timestamp":"2023-10-06T17:35:55.440295Z"},'
         b'{"symbol":"BTC/USD","side":"sell","price":105944.1,"qty":1,"trade_id":10218209,'
         b'"timestamp":"2023-10-06T17:35:55Z"}]}')
SAMPLES = [SNAPSHOT, UPDATE, TRADE]
ACK = (b'{"method":"subscribe","result":{"channel":"book","symbol":"BTC/USD","depth":25,"snapshot":true},'
       b'"success":true,"time_in":"2023-09-25T09:04:31.742599Z","time_out":"2023-09-25T09:04:31.742648Z","req_id":1}')


def decoder(symbols=SYMBOLS, scales=SCALES):
    return KrakenMarketData(listing_table(scales), symbols)


def twin(frame):
    return Kraken(SYMBOLS, SCALES).decode(frame)


def status_of(frame, out=None):
    out = out or DecodeOutput()
    status = decoder().decode_frame(frame, out)
    check_against_twin(status, out, twin, frame)
    return status


def test_the_capture_decodes_as_the_twin_says(feeds):
    symbols = {name: index for index, name in enumerate(("ADA/BTC", "OCEAN/BTC", "OMG/USD", "BTC/CHF", "XMR/USD"))}
    scales = [(8, 8), (8, 8), (6, 8), (5, 8), (8, 8)]
    codec, slow, out = decoder(symbols, scales), Kraken(symbols, scales), DecodeOutput()
    kinds = []
    for frame in recorded(feeds / "derived/kraken_v2_a.tsv.gz")[0]:
        assert codec.decode_frame(frame, out) == DecodeStatus.DECODED, frame
        found = events_of(out)
        assert found == slow.decode(frame), frame
        kinds += [event.kind for event in found]
    assert kinds.count(MessageKind.UPDATE) == 2203 and kinds.count(MessageKind.SNAPSHOT) == 5
    assert kinds.count(MessageKind.TRADE) > 0 and MessageKind.SESSION in kinds


def test_documented_samples_say_what_the_document_says():
    codec, out = decoder(), DecodeOutput()
    assert codec.decode_frame(SNAPSHOT, out) == DecodeStatus.DECODED
    (snapshot,) = events_of(out)
    assert (snapshot.kind, snapshot.listing, snapshot.bids, snapshot.asks) == (
        MessageKind.SNAPSHOT, 0, [(4528350, 10_000_000)], [(4528520, 100_000)])
    assert snapshot.has_checksum and snapshot.checksum == 3310070434 and not snapshot.has_chain
    assert snapshot.zeros == (-1, 0)            # one decimal on the wire where the scale has two
    assert codec.decode_frame(UPDATE, out) == DecodeStatus.DECODED
    (update,) = events_of(out)
    assert (update.kind, update.listing, update.bids, update.asks) == (
        MessageKind.UPDATE, 1, [(565700, 10983947558000)], [])
    assert update.checksum == 2114181697 and update.exchange_ns == 1696613755_440295000 and update.zeros == (-2, -3)
    assert codec.decode_frame(TRADE, out) == DecodeStatus.DECODED
    trades = events_of(out)
    assert [(trade.kind, trade.side, trade.price, trade.quantity, trade.last_id) for trade in trades] == [
        (MessageKind.TRADE, Side.BUY, 10594420, 27625, 10218208),
        (MessageKind.TRADE, Side.SELL, 10594410, 10**8, 10218209)]


@pytest.mark.parametrize("frame", SAMPLES)
def test_other_spellings_mean_the_same(frame):
    for seed in range(8):
        for what, text in spellings(frame, seed):
            out = DecodeOutput()
            assert decoder().decode_frame(text, out) == DecodeStatus.DECODED, (what, text)
            assert events_of(out) == twin(frame) == twin(text), (what, text)


def test_digits_of_other_keys_do_not_count():
    """The checksum is over prices and quantities; more decimals beside them must not shift its digits."""
    frame = SNAPSHOT.replace(b'{"price":45283.5', b'{"depth":0.123456,"q":"p.123456789","price":45283.5')
    out = DecodeOutput()
    assert status_of(frame, out) == DecodeStatus.DECODED
    assert events_of(out)[0].zeros == (-1, 0)


def test_digits_are_remembered_by_listing_but_not_those_of_refused_levels():
    codec, out = decoder(), DecodeOutput()
    update = SNAPSHOT.replace(b"snapshot", b"update")
    assert codec.decode_frame(SNAPSHOT.replace(b"45283.5,", b"45283.50,"), out) == DecodeStatus.DECODED
    assert events_of(out)[0].zeros == (0, 0)
    assert codec.decode_frame(update, out) == DecodeStatus.DECODED
    assert events_of(out)[0].zeros == (0, 0)
    assert codec.decode_frame(UPDATE, out) == DecodeStatus.DECODED
    assert events_of(out)[0].zeros == (-2, -3)
    refused = update.replace(b'[{"price":45283.5,', b'[{"price":45283.5000,"qty":1},{"price":x,')
    assert codec.decode_frame(refused, out) == DecodeStatus.BAD_JSON
    assert codec.decode_frame(update, out) == DecodeStatus.DECODED
    assert events_of(out)[0].zeros == (0, 0)


def test_a_snapshot_forgets_the_digits_before_it():
    """Or one number that was garbled on its way would spoil the checksums of a listing for ever."""
    codec, out = decoder(), DecodeOutput()
    garbled = SNAPSHOT.replace(b"snapshot", b"update").replace(b"0.00100000", b"0.0010000000")
    assert codec.decode_frame(garbled, out) == DecodeStatus.DECODED
    assert events_of(out)[0].zeros == (-1, 2)
    assert codec.decode_frame(SNAPSHOT, out) == DecodeStatus.DECODED
    assert events_of(out)[0].zeros == (-1, 0)


@pytest.mark.parametrize("frame", [*SAMPLES, ACK])
def test_every_truncation_is_refused(frame):
    codec, out = decoder(), DecodeOutput()
    for size in range(len(frame)):
        assert codec.decode_frame(frame[:size], out) == DecodeStatus.BAD_JSON, frame[:size]
        check_refusal(out, size)


@pytest.mark.parametrize(("frame", "status"), [
    (SNAPSHOT.replace(b'"type"', b'"channel":"book","type"'), DecodeStatus.BAD_JSON),
    (SNAPSHOT.replace(b'"data"', b'"type":"snapshot","data"'), DecodeStatus.BAD_JSON),
    (SNAPSHOT[:-1] + b',"data":[]}', DecodeStatus.BAD_JSON),
    (SNAPSHOT.replace(b'"bids"', b'"symbol":"BTC/USD","bids"'), DecodeStatus.BAD_JSON),
    (SNAPSHOT.replace(b'"checksum"', b'"asks":[],"checksum"'), DecodeStatus.BAD_JSON),
    (SNAPSHOT.replace(b'45283.5,', b'45283.5,"price":45283.5,'), DecodeStatus.BAD_JSON),
    (SNAPSHOT.replace(b'0.10000000', b'0.10000000,"qty":0.1'), DecodeStatus.BAD_JSON),
    (SNAPSHOT + b"]", DecodeStatus.BAD_JSON),
    (b"", DecodeStatus.BAD_JSON),
    (b"[]", DecodeStatus.BAD_FIELD),
    (SNAPSHOT.replace(b"45283.5", b"99999999999999999"), DecodeStatus.NUMBER_RANGE),
    (SNAPSHOT.replace(b"45283.5", b"-45283.5"), DecodeStatus.NUMBER_RANGE),
    (SNAPSHOT.replace(b"3310070434", b"4294967296"), DecodeStatus.NUMBER_RANGE),
    (SNAPSHOT.replace(b"3310070434", b"-1"), DecodeStatus.NUMBER_RANGE),
    (SNAPSHOT.replace(b"3310070434", b"1.5"), DecodeStatus.NUMBER_INEXACT),
    (SNAPSHOT.replace(b"45283.5", b"45283.512"), DecodeStatus.NUMBER_INEXACT),
    (SNAPSHOT.replace(b"45283.5", b"45283."), DecodeStatus.BAD_JSON),
    (SNAPSHOT.replace(b"45283.5", b'"45283.5x"'), DecodeStatus.BAD_NUMBER),
    (SNAPSHOT.replace(b"45283.5", b"null"), DecodeStatus.BAD_FIELD),
    (SNAPSHOT.replace(b'"price":45283.5,', b""), DecodeStatus.BAD_FIELD),
    (SNAPSHOT.replace(b'"symbol":"BTC/USD",', b""), DecodeStatus.BAD_FIELD),
    (SNAPSHOT.replace(b'"asks":[{"price":45285.2,"qty":0.00100000}],', b""), DecodeStatus.BAD_FIELD),
    (SNAPSHOT.replace(b'"type":"snapshot",', b""), DecodeStatus.BAD_FIELD),
    (b'{"channel":"book","type":"update"}', DecodeStatus.BAD_FIELD),
    (SNAPSHOT.replace(b'"snapshot"', b'"partial"'), DecodeStatus.UNKNOWN_MESSAGE),
    (SNAPSHOT.replace(b"BTC/USD", b"X" * 41), DecodeStatus.BAD_SYMBOL),
    (SNAPSHOT.replace(b'"BTC/USD"', b"7"), DecodeStatus.BAD_FIELD),
    (UPDATE.replace(b"2023-10-06T", b"2023-10-32T"), DecodeStatus.BAD_FIELD),
    (UPDATE.replace(b"2023-10-06T", b"yesterday, "), DecodeStatus.BAD_FIELD),
    (UPDATE.replace(b'"2023-10-06T17:35:55.440295Z"', b'"\\u0032023-10-06T17:35:55.' + b"4" * 60 + b'Z"'),
     DecodeStatus.BAD_FIELD),
    (TRADE.replace(b'"buy"', b'"bid"'), DecodeStatus.BAD_FIELD),
    (TRADE.replace(b"105944.20", b'"105944.20"'), DecodeStatus.BAD_FIELD),
    (TRADE.replace(b'"trade_id":10218208,', b""), DecodeStatus.BAD_FIELD),
    (b"{}", DecodeStatus.UNKNOWN_MESSAGE),
    (b'{"type":"update","data":[]}', DecodeStatus.UNKNOWN_MESSAGE),
    (b'{"channel":"level9","type":"update","data":[]}', DecodeStatus.UNKNOWN_MESSAGE),
])
def test_what_is_wrong_is_named(frame, status):
    assert status_of(frame) == status
    if status != DecodeStatus.BAD_SYMBOL and b"\\u0032023" not in frame:      # the twin has no limits of length
        assert judged_by(twin, frame) is None


def test_a_fault_names_listing_and_place():
    out = DecodeOutput()
    bad = UPDATE.replace(b"0.5657,", b"0.56571234,")
    assert status_of(bad, out) == DecodeStatus.NUMBER_INEXACT
    assert out.fault[0] == 1 and 0 <= out.fault[1] - bad.index(b"0.56571234") <= 10
    assert status_of(UPDATE, out) == DecodeStatus.DECODED and out.fault == (-1, 0)


@pytest.mark.parametrize(("frame", "kind"), [
    (ACK, MessageKind.SESSION),
    (b'{"error":"Currency pair not supported","method":"subscribe","success":false,"req_id":2}', MessageKind.SESSION),
    (b'{"error":"EGeneral:Invalid arguments"}', MessageKind.SESSION),
    (b'{"method":"pong","req_id":42}', MessageKind.SESSION),
    (b'{"channel":"status","type":"update","data":[{"system":"online"}]}', MessageKind.SESSION),
    (b'{"channel":"instrument","type":"snapshot","data":{"pairs":[]}}', MessageKind.SESSION),
    (b'{"channel":"heartbeat"}', MessageKind.IGNORED),
    (b'{"channel":"ticker","type":"update","data":[{"symbol":"BTC/USD","bid":"no number"}]}', MessageKind.IGNORED),
    (b'{"channel":"book","type":"update","data":[]}', MessageKind.IGNORED),
    (TRADE.replace(b'"update"', b'"snapshot"'), MessageKind.IGNORED),
    (SNAPSHOT.replace(b"BTC/USD", b"ETH/USD"), MessageKind.IGNORED),
    (SNAPSHOT.replace(b"BTC/USD", b"ETH/USD").replace(b"45283.5", b'"no number"'), MessageKind.IGNORED),
])
def test_kinds(frame, kind):
    out = DecodeOutput()
    assert status_of(frame, out) == DecodeStatus.DECODED
    assert out.messages["kind"].tolist() == [kind] and len(out.levels) == 0


def test_entries_of_several_symbols():
    entry = UPDATE[UPDATE.index(b"[{") + 1:-2]
    out = DecodeOutput()
    frame = UPDATE.replace(entry, entry + b"," + entry.replace(b"MATIC/USD", b"ETH/USD") + b"," + entry.replace(
        b"MATIC/USD", b"BTC/USD").replace(b"0.5657", b"9.5").replace(b"1098.3947558", b"1e-2"))
    assert status_of(frame, out) == DecodeStatus.DECODED
    assert [(event.kind, event.listing, event.bids) for event in events_of(out)] == [
        (MessageKind.UPDATE, 1, [(565700, 10983947558000)]), (MessageKind.IGNORED, -1, []),
        (MessageKind.UPDATE, 0, [(950, 10**6)])]
    assert status_of(frame, DecodeOutput(messages=2)) == DecodeStatus.TOO_MANY
    broken = frame.replace(b"9.5", b"9.555")
    assert status_of(broken, out) == DecodeStatus.NUMBER_INEXACT
    check_refusal(out, len(broken))
    assert out.fault[0] == -1               # the book of the first entry misses this frame as well
    assert status_of(TRADE.replace(b"105944.1,", b"105944.111,"), out) == DecodeStatus.NUMBER_INEXACT
    assert out.fault[0] == 0                # trades change no book


def test_no_room():
    levels = b",".join(b'{"price":%d.5,"qty":1.00000000}' % (45000 + i) for i in range(99))
    full = SNAPSHOT.replace(b'{"price":45283.5,"qty":0.10000000}', levels)
    for text in (full, full.replace(b',{"price"', b', {"price"')):
        assert status_of(text, DecodeOutput(levels=100)) == DecodeStatus.DECODED
        for room in (99, 98, 50, 1, 0):
            out = DecodeOutput(levels=room)
            assert status_of(text, out) == DecodeStatus.TOO_MANY
            check_refusal(out, len(text))
    assert status_of(SNAPSHOT, DecodeOutput(messages=0)) == DecodeStatus.TOO_MANY


def test_the_checksum_of_what_was_decoded():
    """The documentation's example as frames: levels and digits of the decoder give the documented value."""
    def side(levels):
        return ",".join(f'{{"price":{price},"qty":{quantity}}}' for price, quantity in zip(*levels, strict=True))

    asks = ("45285.2 45286.4 45286.6 45289.6 45290.2 45291.8 45294.7 45296.1 45297.5 45299.5".split(),
            "0.00100000 1.54571953 1.54571109 1.54560911 0.15890660 1.54553491 0.04454749 0.35380000 0.09945542 "
            "0.18772827".split())
    bids = ("45283.5 45283.4 45282.1 45281.0 45280.3 45279.0 45277.6 45277.5 45277.3 45276.6".split(),
            "0.10000000 1.54582015 0.10000000 0.10000000 1.54592586 0.07990000 0.03310103 0.30000000 1.54602737 "
            "0.15445238".split())
    frame = (f'{{"channel":"book","type":"snapshot","data":[{{"symbol":"BTC/USD","bids":[{side(bids)}],'
             f'"asks":[{side(asks)}],"checksum":3310070434}}]}}')
    for price_decimals, quantity_decimals in ((1, 8), (2, 8), (5, 10)):
        out = DecodeOutput()
        codec = decoder(scales=[(price_decimals, quantity_decimals)] * 2)
        assert codec.decode_frame(frame.encode(), out) == DecodeStatus.DECODED
        message, levels = out.messages[0], out.levels
        assert kraken_checksum(levels[message["asks_begin"]:][:10], levels[message["bids_begin"]:][:10],
                               message["price_zeros"], message["quantity_zeros"]) == message["checksum"] == 3310070434


stamps = st.builds(
    "{:04}-{:02}-{:02}{}{:02}:{:02}:{:02}{}{}".format, st.integers(1965, 2205), st.integers(0, 13), st.integers(0, 32),
    st.sampled_from("TTt "), st.integers(0, 25), st.integers(0, 61), st.integers(0, 62),
    st.sampled_from(["", ".", ".5", ".123456789", ".000000000999"]),
    st.sampled_from(["Z", "z", "", "+05:30", "-24:00"]))


@given(stamps)
@example("2000-02-29T23:59:60.999999999Z")
@example("1900-02-28T00:00:00Z")
@example("2100-02-29T00:00:00Z")
@example("1970-01-01T00:00:00Z")
@example("2200-12-31T23:59:59.1234567899+23:59")
def test_times(stamp):
    out = DecodeOutput()
    frame = UPDATE.replace(b"2023-10-06T17:35:55.440295Z", stamp.encode())
    try:
        expected = rfc3339_ns(stamp)
    except Refused:
        assert status_of(frame, out) == DecodeStatus.BAD_FIELD
    else:
        assert status_of(frame, out) == DecodeStatus.DECODED
        assert out.messages["exchange_ns"].tolist() == [expected]


levels_text = st.lists(st.tuples(st.decimals(0, 10**6, places=5), st.decimals(0, 10**6, places=8)), max_size=40)


@given(levels_text, levels_text, st.data())
def test_generated_books(bids, asks, data):
    """Numbers as Kraken writes them and as JSON allows; the digits count."""
    def number(value):
        return data.draw(st.sampled_from(
            [f"{value:f}", f"{value.normalize():f}", f"{value.normalize()}", f"{value:f}0"]))

    def side(levels):
        return "[" + ",".join(f'{{"price":{number(price)},"qty":{number(quantity)}}}'
                              for price, quantity in levels) + "]"

    frame = (f'{{"channel":"book","type":"update","data":[{{"symbol":"MATIC/USD","bids":{side(bids[:8])},'
             f'"asks":{side(asks[:8])}}}]}}').encode()
    out = DecodeOutput()
    assert status_of(frame, out) == DecodeStatus.DECODED
    assert events_of(out) == twin(frame)
