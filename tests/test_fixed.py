"""Decimal text <-> scaled integers against decimal.Decimal."""
import re
from decimal import Context, Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orderflow._core import codec, fixed

DecodeStatus = codec.DecodeStatus
LARGEST = 2**63 - 1
INT64 = st.integers(-LARGEST - 1, LARGEST)
NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
EXACT_CONTEXT = Context(prec=2000, Emax=10**6, Emin=-10**6)


def oracle(text: bytes, decimals: int):
    """(status, value) of a text that is one whole JSON number."""
    scaled = EXACT_CONTEXT.scaleb(Decimal(text.decode()), decimals)
    if scaled != scaled.to_integral_value(context=EXACT_CONTEXT):
        return DecodeStatus.NUMBER_INEXACT, 0
    return (DecodeStatus.NUMBER_RANGE, 0) if abs(scaled) > LARGEST else (DecodeStatus.DECODED, int(scaled))


numbers = st.from_regex(
    re.compile(rb"-?(?:0|[1-9][0-9]{0,30})(?:\.[0-9]{1,30})?(?:[eE][+-]?[0-9]{1,2})?"), fullmatch=True)
zeros = st.builds(lambda a, n, b, m: b"%d%s.%s%d%s" % (a, b"0" * n, b"0" * m, b, b"0" * n),
                  st.integers(1, 99), st.integers(0, 25), st.integers(0, 9), st.integers(0, 25))


@given(numbers | zeros, st.integers(0, 20))
@example(b"9223372036854775807", 0)
@example(b"9223372036854775808", 0)
@example(b"-9223372036854775807", 0)
@example(b"-9223372036854775808", 0)
@example(b"92233720368.54775807", 8)
@example(b"92233720368.54775808", 8)
@example(b"9223372036854775807.000", 0)
@example(b"99999999999999999999.5", 0)
@example(b"0.000000000000000000000001e24", 0)
@example(b"0." + b"0" * 300 + b"1e301", 0)
@example(b"-0", 8)
def test_parse_is_exact_or_refused(text, decimals):
    status, value, consumed = fixed.parse_text(text, decimals)
    assert (status, value) == oracle(text, decimals)
    assert consumed == len(text)


@pytest.mark.parametrize(("text", "status"), [
    (b"1e999999999999999999999999", DecodeStatus.NUMBER_RANGE),
    (b"1e-999999999999999999999999", DecodeStatus.NUMBER_INEXACT),
    (b"0e999999999999999999999999", DecodeStatus.DECODED),
    (b"99999999999999999999.5", DecodeStatus.NUMBER_INEXACT),
    (b"99999999999999999999", DecodeStatus.NUMBER_RANGE),
])
def test_extremes(text, status):
    assert fixed.parse_text(text, 0)[0] == status


@given(st.text("0123456789.-+eE x", max_size=12).map(str.encode))
@example(b"+1")
@example(b".5")
@example(b"1.")
@example(b"007")
@example(b"1e")
@example(b"1e+")
@example(b"-")
@example(b"1.5.5")
def test_grammar(text):
    status, _, consumed = fixed.parse_text(text, 8)
    found = NUMBER.match(text)
    begins_badly = found is None or re.match(
        rb"-?0[0-9]|-?[0-9]+\.(?![0-9])|-?[0-9]+(\.[0-9]+)?[eE](?![+-]?[0-9])", text)
    assert (status == DecodeStatus.BAD_NUMBER) == bool(begins_badly)
    if not begins_badly:
        assert consumed == found.end()


@given(INT64, st.integers(0, 255))
@example(-LARGEST - 1, 0)
@example(-LARGEST - 1, 18)
@example(0, 3)
def test_write(value, decimals):
    text = fixed.write_text(value, decimals)
    whole, _, fraction = text.partition(".")
    assert len(fraction) == decimals and Decimal(text) == EXACT_CONTEXT.scaleb(Decimal(value), -decimals)
    assert text.startswith("-") == (value < 0)
    trimmed = fixed.write_text(value, decimals, trimmed=True)
    assert Decimal(trimmed) == Decimal(text) and not trimmed.endswith(".")
    assert "." not in trimmed or not trimmed.endswith("0")
    if value > -LARGEST - 1:
        assert fixed.parse_text(text.encode(), decimals)[:2] == (0, value)


@given(st.integers(0, LARGEST), st.integers(0, 18))
@example(LARGEST, 0)
@example(LARGEST, 16)
@example(LARGEST, 18)
@example(0, 8)
@example(10**8, 16)
@example(10**16 - 1, 16)
@example(10**16, 8)
def test_write_loosely(value, decimals):
    assert fixed.write_text_loosely(value, decimals) == fixed.write_text(value, decimals, trimmed=True)


def test_status_codes_are_those_of_the_codec():
    """fixed.pxd stands above codec.pxd and repeats four of its values."""
    assert [fixed.parse_text(text, 2)[0] for text in (b"1", b"x", b"0.001", b"1e30")] == [
        DecodeStatus.DECODED, DecodeStatus.BAD_NUMBER, DecodeStatus.NUMBER_INEXACT, DecodeStatus.NUMBER_RANGE]
