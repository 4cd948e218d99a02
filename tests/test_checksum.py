"""Checksums against zlib, the exchange's documented example and vectors of a recording."""
import json
import zlib
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow._core.checksum import crc32_of, crc32_portable_of, interleaved_checksum, kraken_checksum
from orderflow._core.types import LEVEL_DTYPE

ASKS = [(452852, 100000), (452864, 154571953), (452866, 154571109), (452896, 154560911), (452902, 15890660),
        (452918, 154553491), (452947, 4454749), (452961, 35380000), (452975, 9945542), (452995, 18772827)]
BIDS = [(452835, 10000000), (452834, 154582015), (452821, 10000000), (452810, 10000000), (452803, 154592586),
        (452790, 7990000), (452776, 3310103), (452775, 30000000), (452773, 154602737), (452766, 15445238)]


def levels(pairs):
    return np.array(pairs, LEVEL_DTYPE)


def slow(asks, bids, price_zeros=0, quantity_zeros=0):
    """Digits with zeros added or taken off, then zlib."""
    def digits(value, zeros):
        text = str(value) + "0" * max(zeros, 0)
        return text[:zeros] if zeros < 0 and len(text) > -zeros else text

    return zlib.crc32("".join(digits(price, price_zeros) + digits(quantity, quantity_zeros)
                              for price, quantity in [*asks[:10], *bids[:10]]).encode())


@given(st.binary(max_size=300))
def test_crc32_is_that_of_zlib(data):
    assert crc32_of(data) == crc32_portable_of(data) == zlib.crc32(data)


def test_crc32_of_every_length():
    """Folded by 64 and by 16 bytes, the rest by tables."""
    data = np.random.default_rng(1).bytes(1500)
    for size in range(len(data)):
        assert crc32_of(data[-size:]) == crc32_portable_of(data[-size:]) == zlib.crc32(data[-size:])


def test_documented_example():
    """Kraken, "Book checksum (v2)": prices with one decimal, quantities with eight."""
    assert kraken_checksum(levels(ASKS), levels(BIDS)) == 3310070434


@pytest.mark.parametrize(("price_more", "quantity_more"), [(0, 0), (1, 0), (4, 2), (0, 3)])
def test_zeros_undo_a_finer_scale(price_more, quantity_more):
    finer = [[(price * 10**price_more, quantity * 10**quantity_more) for price, quantity in side]
             for side in (ASKS, BIDS)]
    assert kraken_checksum(*map(levels, finer), -price_more, -quantity_more) == 3310070434


def test_zeros_make_up_for_a_coarser_scale():
    """Quantities without their trailing zeros, at a scale that leaves those out."""
    asks = [(price, quantity // 1000) for price, quantity in ASKS]
    bids = [(price // 10, quantity // 1000) for price, quantity in BIDS]
    assert kraken_checksum(levels(asks), levels(bids), 1, 3) == slow(asks, bids, 1, 3)


def test_recorded_vectors(feeds):
    """Levels as text, the string that was summed and the value that Kraken sent with them."""
    vectors = json.loads((feeds / "golden/checksum_vectors.json").read_text())["kraken_v1"]
    assert len(vectors) > 3
    for vector in vectors:
        assert crc32_of(vector["string"].encode()) == vector["checksum"]
        price_decimals, quantity_decimals = (len(text.partition(".")[2]) for text in vector["asks"][0])
        for more in (0, 1, -1):         # at the digits of the wire, at a finer scale, at a coarser one where exact
            scale = price_decimals + more, quantity_decimals + more
            sides = [[tuple(Decimal(text).scaleb(places) for text, places in zip(level, scale, strict=True))
                      for level in vector[side]] for side in ("asks", "bids")]
            if any(number % 1 for side in sides for level in side for number in level):
                assert more < 0
                continue
            assert kraken_checksum(*(levels([tuple(map(int, level)) for level in side]) for side in sides),
                                   -more, -more) == vector["checksum"]


book_side = st.lists(st.tuples(st.integers(1, 2**63 - 1), st.integers(1, 2**63 - 1)), max_size=14)


@given(book_side, book_side, st.integers(-3, 18), st.integers(-3, 18))
def test_any_book(asks, bids, price_zeros, quantity_zeros):
    """Sides shorter than ten take part with what they have, levels beyond the tenth do not."""
    assert kraken_checksum(levels(asks), levels(bids), price_zeros, quantity_zeros) == slow(
        asks, bids, price_zeros, quantity_zeros)


def plain(number):
    """A decimal without exponent and without zeros at the end of its fraction, as OKX writes it."""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def javascript(number):
    """A decimal as JavaScript writes a number of its size (ECMA-262, Number::toString), as Bitfinex sums it."""
    if number == 0 or abs(number) >= Decimal("0.000001"):
        return plain(number)
    sign, digits, exponent = number.normalize().as_tuple()
    first, rest = str(digits[0]), "".join(map(str, digits[1:]))
    return f"{'-' if sign else ''}{first}{'.' + rest if rest else ''}e{exponent + len(digits) - 1}"


def slow_interleaved(asks, bids, bitfinex, price_decimals, quantity_decimals):
    """The best bid, the best ask, the second bid ... as text, then zlib."""
    spell = javascript if bitfinex else plain
    parts = []
    for i in range(25):
        for side, sign in ((bids, 1), (asks, -1 if bitfinex else 1)):
            if i < len(side):
                price, quantity = side[i]
                parts += [spell(Decimal(price).scaleb(-price_decimals)),
                          spell(sign * Decimal(quantity).scaleb(-quantity_decimals))]
    return zlib.crc32(":".join(parts).encode())


def test_recorded_interleaved_vectors(feeds):
    """At the digits of the wire and at a finer scale; OKX sends the sum as a signed integer."""
    vectors = json.loads((feeds / "golden/checksum_vectors.json").read_text())["okx"]
    assert len(vectors) >= 3
    for vector in vectors:
        sent = vector["checksum"] % 2**32
        assert crc32_of(vector["string"].encode()) == sent
        wire = [max(len(level[place].partition(".")[2]) for side in ("asks", "bids") for level in vector[side])
                for place in (0, 1)]
        for more in (0, 2):
            scale = [decimals + more for decimals in wire]
            asks, bids = ([tuple(int(Decimal(text).scaleb(places)) for text, places in zip(level, scale, strict=True))
                           for level in vector[side]] for side in ("asks", "bids"))
            assert interleaved_checksum(levels(asks), levels(bids), False, *scale) == sent
            assert slow_interleaved(asks, bids, False, *scale) == sent


@pytest.mark.parametrize(("asks", "bids", "text"), [
    ([(33668, 9), (33680, 8)], [(33661, 7), (33660, 6)], b"3366.1:7:3366.8:9:3366:6:3368:8"),
    ([(33668, 9), (33680, 8), (33720, 8)], [(33661, 7)], b"3366.1:7:3366.8:9:3368:8:3372:8"),
])
def test_documented_interleaved_texts(asks, bids, text):
    """OKX, "Checksum": bid, ask, bid, ask ...; when one side ends, the other goes on."""
    assert interleaved_checksum(levels(asks), levels(bids), False, 1, 0) == zlib.crc32(text)


@pytest.mark.parametrize(("quantity", "decimals", "text"), [
    (15, 8, b"1.5e-7"), (1, 8, b"1e-8"), (100, 8, b"0.000001"), (99, 8, b"9.9e-7"), (120, 8, b"0.0000012"),
    (5 * 10**8, 8, b"5"), (1, 18, b"1e-18"), (10, 8, b"1e-7")])
def test_small_numbers_as_javascript_writes_them(quantity, decimals, text):
    """Bitfinex: an ask counts negative."""
    side = levels([(7, quantity)])
    assert interleaved_checksum(side, levels([]), True, 0, decimals) == zlib.crc32(b"7:-" + text)
    assert interleaved_checksum(levels([]), side, True, 0, decimals) == zlib.crc32(b"7:" + text)


long_side = st.lists(st.tuples(st.integers(1, 2**62), st.integers(1, 2**62)), max_size=28)


@given(long_side, long_side, st.booleans(), st.integers(0, 18), st.integers(0, 18))
def test_any_interleaved_book(asks, bids, bitfinex, price_decimals, quantity_decimals):
    """Sides of any length, levels beyond the twenty-fifth left out."""
    assert interleaved_checksum(levels(asks), levels(bids), bitfinex, price_decimals, quantity_decimals) == (
        slow_interleaved(asks, bids, bitfinex, price_decimals, quantity_decimals))


def test_other_arrays_are_refused():
    with pytest.raises(TypeError, match="LEVEL_DTYPE"):
        kraken_checksum(np.zeros(3), levels(BIDS))
