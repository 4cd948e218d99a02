"""What the codec tests share: listings, captures as frames, and ways to spoil or re-spell a frame."""
import gzip
import json
import random

import numpy as np

from orderflow._core.codec import DecodeStatus
from orderflow._core.types import LISTING_DTYPE
from tests.reference.codecs import Number, Refused, events_of, parse


def listing_table(scales):
    """A listing table with only decimals of price and quantity filled in."""
    table = np.zeros(len(scales), LISTING_DTYPE)
    for index, (price, quantity) in enumerate(scales):
        table[index]["index"] = index
        table[index]["price_decimals"], table[index]["quantity_decimals"] = price, quantity
    return table


def recorded(path, every=1):
    """Of a capture every n-th of the frames received, and all REST depth snapshots as (symbol, body)."""
    frames, snapshots, received = [], [], 0
    with gzip.open(path, "rb") as capture:
        for line in capture:
            _, direction, channel, payload = line.split(b"\t", 3)
            if direction == b"rx":
                if received % every == 0:
                    frames.append(payload.rstrip(b"\n"))
                received += 1
            elif direction == b"http" and b"/depth?" in channel:
                symbol = channel.partition(b"symbol=")[2].partition(b"&")[0]
                snapshots.append((symbol.decode(), payload.rstrip(b"\n")))
    return frames, snapshots


def render(parsed, shuffle=None, between="", escape_keys=False):
    """Text of what `parse` returned: numbers keep their digits; keys in another order, or escaped."""
    def text(value):
        if isinstance(value, Number):
            return str(value)
        if isinstance(value, list):
            return "[" + ("," + between).join(map(text, value)) + between + "]"
        if isinstance(value, tuple):
            pairs = list(value)
            if shuffle:
                shuffle.shuffle(pairs)
            return "{" + between + ("," + between).join(
                f"{name(key)}{between}:{between}{text(inner)}" for key, inner in pairs) + "}"
        return json.dumps(value, ensure_ascii=escape_keys)

    def name(key):
        return '"' + "".join(f"\\u{ord(c):04x}" for c in key) + '"' if escape_keys else json.dumps(key)

    return text(parsed).encode()


NEW_KEYS = ("zzz", "st", "depth_quantity", "q.p", "prices")
NEW_VALUES = (
    Number("0.1234567890123456"), "p\"q.123456789", None, True, (("price", Number("1e-9")), ("s", "X")), [[], ()])


def with_new_keys(value, rng):
    """The same with keys that no decoder knows in every object, the innermost too."""
    if isinstance(value, list):
        return [with_new_keys(inner, rng) for inner in value]
    if not isinstance(value, tuple):
        return value
    pairs = [(key, with_new_keys(inner, rng)) for key, inner in value]
    pairs.insert(rng.randrange(len(pairs) + 1), (rng.choice(NEW_KEYS), rng.choice(NEW_VALUES)))
    return tuple(pairs)


def spellings(frame, seed=1):
    """The frame in other words that mean the same: (what was done, text)."""
    rng = random.Random(seed)
    parsed = parse(frame)
    yield "spaces", render(parsed, between=" \t\r\n")
    yield "shuffled", render(parsed, shuffle=rng)
    yield "escaped", render(parsed, escape_keys=True)
    yield "new keys", render(with_new_keys(parsed, rng), shuffle=rng)


def check_refusal(out, size):
    """Nothing may be left of a frame that was refused."""
    assert len(out.messages) == 0 and len(out.reports) == 0
    listing, offset = out.fault
    assert -1 <= listing < 64 and 0 <= offset <= size


def check_against_twin(status, out, twin, frame):
    """A decoded frame says what the twin says; one that the twin refuses must not have been decoded."""
    if status == DecodeStatus.DECODED:
        assert events_of(out) == twin(frame), frame
    else:
        check_refusal(out, len(frame))


def judged_by(twin, frame):
    """The twin's events, or None where it refuses."""
    try:
        return twin(frame)
    except Refused:
        return None


def mutate(frame, rng):
    """One to three small wounds: bytes replaced, inserted, deleted, doubled, or the end cut off."""
    raw = bytearray(frame)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at = rng.randrange(len(raw)) if raw else 0
        what = rng.random()
        if what < 0.45 and raw:
            raw[at] = rng.choice(b'"\\{}[],:0123456789.eE+-tfn u\x00\x1f\x7f\x80\xc3\xff') if rng.random() < 0.8 \
                else rng.randrange(256)
        elif what < 0.65:
            raw.insert(at, rng.choice(b'"\\{}[],:0123456789.eE-'))
        elif what < 0.8:
            del raw[at:at + rng.choice((1, 1, 2, 8, 40))]
        elif what < 0.92:
            end = at + rng.choice((1, 4, 20, 100))
            raw[at:at] = raw[at:end]
        else:
            del raw[at:]
    return bytes(raw)
