"""Fuzzed and fault-injected frames of every protocol: whenever a book says LIVE it is a true one (tests/faulted.py).

ORDERFLOW_FUZZ_FRAMES sets how many frames each protocol gets (20000); `make soak` gives a million.
"""
import os

import orjson
import pytest

from orderflow._core.codec import DecodeOutput, DecodeStatus
from orderflow.simulator.dialects import PROTOCOLS
from orderflow.simulator.faults import Fault, FaultPlan
from orderflow.simulator.recording import Record
from tests.faulted import RATES, Faulted

FRAMES = int(os.environ.get("ORDERFLOW_FUZZ_FRAMES", "20000"))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_live_book_is_a_true_one(protocol):
    faulted = Faulted(protocol, FaultPlan(rates=RATES, seed=1))
    faulted.run_frames(FRAMES)
    assert faulted.live > FRAMES // 4, "hardly a book was LIVE"
    assert faulted.oracle_was_compared
    frequent = [kind for kind, chance in RATES.items() if chance * FRAMES > 10
                and kind not in ("no_ack", "refusal", "late_snapshot", "old_snapshot")
                and not faulted.exchange.impossible(Fault(kind))]
    assert set(frequent) <= faulted.exchange.counts.keys()
    faulted.becomes_true()


def wounds(frame):
    """The frame with each of its bytes replaced, removed, alone or with those behind it, and with a byte put in."""
    for at in range(len(frame)):
        yield frame[:at] + b"\xff" + frame[at:]
        for wound in b'"\\{}[],:x\x00\x80':
            yield frame[:at] + bytes((wound,)) + frame[at + 1:]
        for size in (1, 2, 8, 40):
            yield frame[:at] + frame[at + size:]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_wounded_frame_of_a_book_is_ignored(protocol):
    """What is no JSON is refused, not taken for something else: where frames have no number its loss would not show."""
    faulted = Faulted(protocol)
    venue, frames = faulted.exchange.exchange, []
    drain = venue.drain
    venue.drain = lambda: [frames.append(item) or (number, item) for number, item in drain()]
    faulted.wait_live()
    before = len(frames)
    faulted.run(2)
    reader, out, refused = venue.reader(), DecodeOutput(), 0
    codec = faulted.session.market_codec(faulted.core.table, {
        symbol: index for index, symbol in enumerate(faulted.symbols)})
    for place, item in enumerate(frames):       # both hear from the beginning what channels are numbered
        if isinstance(item, str):
            frame = item.encode()
            codec.decode_frame(frame, out)
            of_book = any(is_book for _, _, is_book in reader.numbers(Record(0, 0, "rx", "1", item)))
            if of_book and place >= before:
                break
    for wounded in wounds(frame):
        try:
            orjson.loads(wounded)
        except orjson.JSONDecodeError:
            status = codec.decode_frame(wounded, out)
            assert status not in (DecodeStatus.DECODED, DecodeStatus.UNKNOWN_MESSAGE), wounded
            refused += 1
    assert refused > 10 * len(frame) // 2
