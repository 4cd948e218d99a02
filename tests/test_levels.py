"""Arrays of levels: every reader that this machine has agrees with the scanner, and with Decimal."""
import random
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orderflow._core.codec import DecodeStatus
from orderflow._core.levels import read_levels

READERS = ("best", "words", "scanner")      # "best" is the one for AVX2 where the processor has it
LARGEST = 2**63 - 1


def agreed(text, price_decimals, quantity_decimals, objects=False, **options):
    """What all readers say: (status, levels, offset)."""
    results = [read_levels(text, price_decimals, quantity_decimals, reader, objects, **options) for reader in READERS]
    assert results[0] == results[1] == results[2], text
    return results[0]


def expected(levels, price_decimals, quantity_decimals):
    return [(int(Decimal(price).scaleb(price_decimals)), int(Decimal(quantity).scaleb(quantity_decimals)))
            for price, quantity in levels]


def spell(levels, objects, between=""):
    form = '{"price":%s,"qty":%s}' if objects else '["%s","%s"]'
    return ("[" + ("," + between).join(form % level for level in levels) + "]").encode()


def fixed_width(decimals):
    """Numbers with exactly so many decimals, of up to 16 digits."""
    return st.integers(0, 10**16).map(lambda value: f"{Decimal(value).scaleb(-decimals):f}")


@st.composite
def usual_arrays(draw):
    """Levels as an exchange writes them: the same decimals throughout."""
    price_decimals, quantity_decimals = draw(st.integers(0, 15)), draw(st.integers(0, 15))
    levels = draw(st.lists(st.tuples(fixed_width(price_decimals), fixed_width(quantity_decimals)), max_size=30))
    return price_decimals, quantity_decimals, levels


@given(usual_arrays(), st.booleans(), st.integers(0, 2), st.integers(0, 2))
@example((8, 8, [("61837.63000000", "3.78826000")] * 9), False, 0, 0)
@example((8, 8, [("9999999.99999999", "0.00000000"), ("0.00000001", "9999999.99999999")]), False, 0, 0)
@example((0, 0, [("0", "0"), ("9999999", "1"), ("12345678", "123456789012345")]), False, 0, 0)
def test_usual_levels(array, objects, more_price, more_quantity):
    """Of the scale's decimals or fewer; a scale that is finer than the digits multiplies."""
    price_decimals, quantity_decimals, levels = array
    price_decimals, quantity_decimals = price_decimals + more_price, quantity_decimals + more_quantity
    status, found, offset = agreed(spell(levels, objects), price_decimals, quantity_decimals, objects)
    assert status == DecodeStatus.DECODED
    assert found == expected(levels, price_decimals, quantity_decimals)
    assert offset == len(spell(levels, objects))


any_number = st.from_regex(r"-?(0|[1-9][0-9]{0,18})(\.[0-9]{1,18})?([eE][+-]?[0-9]{1,2})?", fullmatch=True)


@given(st.lists(st.tuples(any_number, any_number), max_size=6), st.booleans(), st.integers(0, 18), st.integers(0, 18),
       st.sampled_from(["", " ", "\n"]))
def test_any_numbers(levels, objects, price_decimals, quantity_decimals, between):
    status, found, _ = agreed(spell(levels, objects, between), price_decimals, quantity_decimals, objects)
    exact = []
    for price, quantity in levels:
        pair = Decimal(price).scaleb(price_decimals), Decimal(quantity).scaleb(quantity_decimals)
        if any(number != int(number) or not 0 <= number <= LARGEST for number in pair):
            assert status in (DecodeStatus.NUMBER_INEXACT, DecodeStatus.NUMBER_RANGE)
            break
        exact.append((int(pair[0]), int(pair[1])))
    else:
        assert status == DecodeStatus.DECODED
    assert found == exact


@pytest.mark.parametrize("objects", [False, True])
def test_wounded_arrays(objects):
    """Whatever is wrong, all readers stop at the same place with the same levels; and the padding does not matter."""
    rng = random.Random(5)
    for _ in range(4000):
        decimals = rng.choice([(8, 8), (2, 3), (1, 0), (5, 8)])
        levels = [tuple(f"{Decimal(rng.randrange(10**rng.choice([3, 7, 12]))).scaleb(-places):f}"
                        for places in decimals) for _ in range(rng.randrange(1, 7))]
        raw = bytearray(spell(levels, objects))
        for _ in range(rng.choice((0, 1, 1, 2))):
            at = rng.randrange(len(raw))
            raw[at:at + rng.randrange(2)] = bytes([rng.choice(b'"[]{},:.0123456789eE+- \\x')]) * rng.randrange(3)
        text = bytes(raw[:rng.randrange(len(raw) + 1)]) if rng.random() < 0.3 else bytes(raw)
        plain = agreed(text, *decimals, objects=objects)
        for padding in (b'"]' * 32, b"0" * 64, b',["1.00000000","1.00000000"]' * 3, b"}" * 64, b"\xff" * 64):
            assert agreed(text, *decimals, objects=objects, padding=padding) == plain, (text, padding)


@pytest.mark.parametrize("objects", [False, True])
def test_every_cut_and_what_would_complete_it(objects):
    """The rest of the array may lie behind the end, where it must not be read."""
    levels = [("61837.63000000", "3.78826000"), ("5.00000000", "0.00000000"), ("61837.64", "12")]
    text = spell(levels, objects)
    for size in range(len(text)):
        rest = text[size:] + bytes(64)
        status, found, offset = agreed(text[:size], 8, 8, objects, padding=rest)
        assert status == DecodeStatus.BAD_JSON and offset <= size
        assert found == expected(levels, 8, 8)[:len(found)]


@pytest.mark.parametrize("objects", [False, True])
def test_capacity_is_never_exceeded(objects):
    levels = [("61837.63000000", "3.78826000")] * 20
    for text in (spell(levels, objects), spell(levels, objects, " ")):
        for capacity in range(1, 22):
            status, found, _ = agreed(text, 8, 8, objects, capacity=capacity)
            assert status == (DecodeStatus.TOO_MANY if capacity < 20 else DecodeStatus.DECODED)
            assert len(found) == min(capacity, 20)


@pytest.mark.parametrize(("text", "status"), [
    (b"[]", DecodeStatus.DECODED),
    (b" [ ] ", DecodeStatus.DECODED),
    (b'[["1","2","3",{}]]', DecodeStatus.DECODED),
    (b"[[1,2]]", DecodeStatus.DECODED),
    (b'[["1","2"],]', DecodeStatus.BAD_JSON),
    (b'[["1","2"]["1","2"]]', DecodeStatus.BAD_JSON),
    (b'[["1","2"}]', DecodeStatus.BAD_JSON),
    (b'[["01","2"]]', DecodeStatus.BAD_NUMBER),
    (b'[["1.","2"]]', DecodeStatus.BAD_NUMBER),
    (b'[["","2"]]', DecodeStatus.BAD_NUMBER),
    (b'[[" 1","2"]]', DecodeStatus.BAD_NUMBER),
    (b'[["1","-2"]]', DecodeStatus.NUMBER_RANGE),
    (b'[["1"]]', DecodeStatus.BAD_FIELD),
    (b'[{"price":1,"qty":2}]', DecodeStatus.BAD_FIELD),
    (b'{"1":"2"}', DecodeStatus.BAD_FIELD),
])
def test_named_cases(text, status):
    assert agreed(text, 8, 8)[0] == status


def test_options():
    with pytest.raises(ValueError, match="reader='fast'"):
        read_levels(b"[]", 1, 1, "fast")
    with pytest.raises(ValueError, match="64 may be read"):
        read_levels(b"[]", 1, 1, padding=b"")
