"""Mutated streams: whatever the bytes and however they are cut, the native reader and the slow one say the same.

ORDERFLOW_FUZZ_ROUNDS sets the number of rounds, ORDERFLOW_FUZZ_SEED where they begin; a failure names its seed, which
alone reproduces it.
"""
import os
import random

from orderflow._core.websocket import FrameReader, FrameStatus
from tests.reference.websocket import read_frames, server_frame

ROUNDS = int(os.environ.get("ORDERFLOW_FUZZ_ROUNDS", "3000"))
SEED = int(os.environ.get("ORDERFLOW_FUZZ_SEED", "0"))
LIMITS = (2500, 2000, 3)          # frame, message, fragments: small, so that all are reached
TOKENS = [b"\x81\x7e", b"\x82\x7f", b"\x80\x00", b"\x01\x00", b"\x89\x00", b"\x88\x00", b"\x88\x01x",
          b"\x88\x02\x03\xe8", b"\x89\x7e\x00\x7e", b"\x00\x7d", b"\x7f\xff\xff\xff\xff\xff\xff\xff",
          b"\x80" + bytes(7), b"\xe2\x82\xac", b"\xed\xa0\x80", b"\xf0\x9f", b"\xff"]
WORDS = ['{"e":"depthUpdate","b":[["61837.63","0.1"]]}', "€", "𝄞", "x" * 130, "y" * 1500, ""]


def valid_stream(dice):
    """A conversation that a strict server could have: whole, fragmented and control frames, ended by a close or not."""
    stream = b""
    for _ in range(dice.randrange(1, 8)):
        text = "".join(dice.choices(WORDS, k=dice.randrange(3))).encode()
        opcode = dice.choice([1, 2])
        if dice.random() < 0.5:
            cuts = sorted(dice.randrange(len(text) + 1) for _ in range(dice.randrange(1, 5)))
            pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
            for number, piece in enumerate(pieces):
                stream += server_frame(0 if number else opcode, piece, final=number == len(pieces) - 1)
                if dice.random() < 0.3:
                    stream += server_frame(dice.choice([9, 10]), dice.randbytes(dice.randrange(126)))
        else:
            stream += server_frame(opcode, text)
    return stream + (server_frame(8, b"\x03\xe8bye") if dice.random() < 0.3 else b"")


def mutate(dice, stream):
    data = bytearray(stream)
    for _ in range(dice.choice([0, 1, 1, 2, 5])):
        at = dice.randrange(len(data) + 1)
        what = dice.randrange(5)
        if what == 0 and at < len(data):
            data[at] ^= 1 << dice.randrange(8)
        elif what == 1:
            data[at:at] = dice.choice(TOKENS)
        elif what == 2:
            del data[at:at + dice.randrange(1, 9)]
        elif what == 3:
            data[at:at + 2] = dice.choice(TOKENS)
        else:
            data[at:at] = data[dice.randrange(len(data) + 1):][:dice.randrange(40)]
    return bytes(data)


def read_in_pieces(dice, stream):
    reader = FrameReader(*LIMITS)
    memory, frames, at = reader.memory, [], 0
    longest = dice.choice([1, 3, 50, 10_000])
    while True:
        status, opcode, payload, close_code = reader.next()
        if status == FrameStatus.FRAME:
            frames.append((int(opcode), payload, close_code))
            continue
        if status != FrameStatus.NEED_MORE or at == len(stream):
            assert reader.memory == memory
            return frames, reader.fault.name if reader.fault else None
        taken = reader.feed(stream[at:at + dice.randrange(1, longest + 1)])
        assert taken > 0
        at += taken


def test_mutated_streams():
    faults = set()
    for seed in range(SEED, SEED + ROUNDS):
        dice = random.Random(seed)
        stream = mutate(dice, valid_stream(dice))
        expected = read_frames(stream, *LIMITS)
        assert read_in_pieces(dice, stream) == expected, f"ORDERFLOW_FUZZ_SEED={seed} ORDERFLOW_FUZZ_ROUNDS=1"
        faults.add(expected[1])
    if ROUNDS >= 3000 and SEED == 0:
        assert len(faults) == 16, f"a fault that the mutations never reached: only {sorted(map(str, faults))}"


def test_valid_streams_are_valid():
    """The generator's own check: before mutation nothing is refused but by the small limits set here."""
    for seed in range(200):
        assert read_frames(valid_stream(random.Random(seed)), 1 << 20, 1 << 20, 100)[1] is None
