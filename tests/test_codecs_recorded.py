"""Every market data codec against recorded frames: the same book and trades as the plain JSON reader of captures finds
in them, however a frame is spelt; nothing of what is not JSON.

The reader (simulator/dialects/*_recorded.py) goes through Python's json and decimal text; the codec through neither.
"""
import json
import random
from decimal import Decimal

import orjson
import pytest

from orderflow._core.codec import DecodeOutput, DecodeStatus
from orderflow._core.json import Scanner
from orderflow._core.types import MessageKind, Side
from orderflow.exchanges import session_for
from orderflow.exchanges.session import SessionSettings
from orderflow.instrument import from_scaled, table
from orderflow.simulator.capture import RecordedLevels, survey
from orderflow.simulator.dialects import PROTOCOLS, dialect
from orderflow.simulator.recording import read_capture
from tests.codec_frames import check_refusal, mutate, spellings
from tests.conftest import captures_of

BOOK_KINDS = (MessageKind.SNAPSHOT, MessageKind.UPDATE, MessageKind.REFRESH)
RESPELT = 150           # frames of a capture that are spelt in other ways too
WOUNDED = 3000          # wounded frames a capture


class Recording:
    """A capture with a codec for its listings and the frames that reader and codec should agree about."""

    def __init__(self, path, protocol):
        self.dialect = dialect(protocol)
        contents = survey(path, self.dialect)
        self.listings = contents.listings("test")
        self.symbols = {listing.symbol: index for index, listing in enumerate(self.listings)}
        self.protocol, self.path = protocol, path

    def codec(self):
        settings = SessionSettings("test", symbols=tuple(self.symbols))
        return session_for(self.protocol, settings).market_codec(table(self.listings, ["test"]), self.symbols)

    def frames(self):
        """(frame, what the reader finds in it) for every frame received, in order; None where it says nothing."""
        reader = self.dialect.reader()
        for record in read_capture(self.path):
            stream = reader.stream(record)
            if record.direction == "rx":
                events = None if stream is None else [
                    said(event) for event in reader.events(stream, record.payload) if event.symbol in self.symbols]
                yield record.payload.encode(), events

    def decoded(self, out):
        """The messages of a DecodeOutput in the reader's words."""
        levels = out.levels
        for message in out.messages:
            listing = self.listings[message["listing"]]
            if message["kind"] in BOOK_KINDS:
                sides = [{from_scaled(level["price"], listing.price_decimals):
                          from_scaled(level["quantity"], listing.quantity_decimals)
                          for level in levels[message[f"{side}_begin"]:][:message[f"{side}_count"]]}
                         for side in ("bids", "asks")]
                yield listing.symbol, message["kind"] != MessageKind.UPDATE, *sides
            elif message["kind"] == MessageKind.TRADE:
                yield (listing.symbol, Side(message["side"]), from_scaled(message["price"], listing.price_decimals),
                       from_scaled(message["quantity"], listing.quantity_decimals))


def said(event):
    """A reader's event with numbers as Decimals, the last of one price counting."""
    if isinstance(event, RecordedLevels):
        return (event.symbol, event.is_snapshot, *({Decimal(price): Decimal(quantity) for price, quantity in side}
                                                   for side in (event.bids, event.asks)))
    return event.symbol, event.taker_side, Decimal(event.price), Decimal(event.quantity)


def pytest_generate_tests(metafunc):
    if "recording" in metafunc.fixturenames:
        metafunc.parametrize("protocol", PROTOCOLS)


@pytest.fixture
def recording(feeds, protocol):
    paths = captures_of(feeds, protocol)
    if not paths:
        pytest.skip(f"no capture of {protocol} is recorded")
    return Recording(min(paths, key=lambda path: path.stat().st_size), protocol)


def test_codec_and_reader_find_the_same(recording):
    codec, out = recording.codec(), DecodeOutput()
    told = 0
    for frame, events in recording.frames():
        assert codec.decode_frame(frame, out) == DecodeStatus.DECODED, frame
        if events is not None:
            assert list(recording.decoded(out)) == events, frame
            told += len(events)
    assert told


def test_a_frame_means_the_same_however_it_is_spelt(recording):
    """One codec hears the frames as they were, others as they could have been."""
    ways = ("spaces", "shuffled", "escaped", "new keys")
    plain, others, out = recording.codec(), {way: recording.codec() for way in ways}, DecodeOutput()
    for number, (frame, _) in enumerate(recording.frames()):
        status = plain.decode_frame(frame, out)
        events = list(recording.decoded(out))
        if number >= RESPELT or frame[:1] not in b"{[":
            if number >= RESPELT:
                return
            continue
        for way, text in spellings(frame, seed=number):
            assert others[way].decode_frame(text, out) == status, (way, text)
            assert list(recording.decoded(out)) == events, (way, text)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_scanner_agrees_with_orjson_on_every_recorded_frame(feeds, protocol):
    for path in captures_of(feeds, protocol):
        for record in read_capture(path):
            if record.direction == "rx":
                assert is_json(record.payload) == agreed(record.payload), record.payload


def agreed(text):
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def is_json(text):
    scanner = Scanner(text.encode())
    return scanner.skip() and scanner.finish()


def test_wounded_frames_do_no_harm(recording):
    """Whatever is decoded was JSON; of what was refused nothing is left."""
    rng = random.Random(recording.protocol)
    frames = [frame for frame, _ in recording.frames()]
    codec, out = recording.codec(), DecodeOutput()
    for _ in range(WOUNDED):
        frame = mutate(rng.choice(frames), rng)
        if codec.decode_frame(frame, out) != DecodeStatus.DECODED:
            check_refusal(out, len(frame))
        elif frame[:1] in b"{[":
            check_json(frame)


def check_json(frame):
    """That it is JSON. orjson also refuses numbers that no float holds, which the grammar allows."""
    try:
        orjson.loads(frame)
    except orjson.JSONDecodeError as error:
        if "infinity" not in str(error):
            raise
        json.loads(frame)
