"""The pull scanner against orjson: it accepts, refuses and reads exactly the same texts."""
import json
import random

import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orderflow._core import codec
from orderflow._core.json import Scanner

DecodeStatus = codec.DecodeStatus
DEPTH = 64

scalars = st.none() | st.booleans() | st.integers(-2**53, 2**53) | st.floats(allow_nan=False, allow_infinity=False) \
    | st.text(max_size=20)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
    st.text(max_size=10), inner, max_size=4), max_leaves=12)


def accepted_by_orjson(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def accepted(text: bytes, padding: bytes = bytes(64)) -> bool:
    scanner = Scanner(text, padding)
    skipped = scanner.skip() and scanner.finish()
    assert skipped == (scanner.status == 0)
    return skipped


def read(scanner: Scanner):
    """The next value as Python objects, through the functions a decoder uses."""
    first = scanner.peek()
    if first == "{":
        result = {}
        scanner.enter_object()
        while (key := scanner.next_key()) is not None:
            result[key] = read(scanner)
        return result
    if first == "[":
        result = []
        scanner.enter_array()
        while scanner.next_element():
            result.append(read(scanner))
        return result
    if first == '"':
        return scanner.text_value()
    if first in ("t", "f"):
        return scanner.boolean()
    if first == "n":
        return None if scanner.null() else "not null"
    return scanner.int64()


@st.composite
def texts(draw, content=values):
    """A JSON text with any legal spelling: spaces anywhere, escapes or raw UTF-8."""
    value = draw(content)
    text = json.dumps(value, ensure_ascii=draw(st.booleans()), separators=draw(st.sampled_from([
        (",", ":"), (", ", ": "), (" ,\t", "\r:\n"), ("\n \n,", " :")])))
    return draw(st.sampled_from(["", " ", "\n\t"])) + text + draw(st.sampled_from(["", " ", "\r\n"]))


@given(texts())
def test_accepts_what_orjson_accepts(text):
    assert accepted(text.encode()) and accepted_by_orjson(text.encode())


integers = st.recursive(st.none() | st.booleans() | st.integers(-2**63 + 1, 2**63 - 1) | st.text(max_size=10),
                        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
                        max_leaves=12)


@given(texts(integers))
def test_reads_what_orjson_reads(text):
    scanner = Scanner(text.encode())
    assert read(scanner) == orjson.loads(text)
    assert scanner.finish()


@given(texts(), st.data())
def test_mutations_are_judged_as_orjson_judges_them(text, data):
    raw = bytearray(text.encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, max(len(raw) - 1, 0)))
        byte = data.draw(st.sampled_from(list(b'"\\{}[],:0123456789.eE+-tfn u\x00\x1f\x7f\x80\xc3\xed\xa0\xf4\xff')))
        what = data.draw(st.sampled_from(["insert", "replace", "delete", "cut"]))
        if what == "insert":
            raw.insert(at, byte)
        elif what == "replace" and raw:
            raw[at] = byte
        elif what == "delete" and raw:
            del raw[at]
        else:
            del raw[at:]
    assert accepted(bytes(raw)) == accepted_by_orjson(bytes(raw))


@pytest.mark.parametrize("text", [
    b"", b" ", b"{", b"[", b'"', b'"a', b"{}x", b"[1,]", b"[,1]", b'{"a":1,}', b'{"a"}', b'{"a":}', b'{a:1}', b"{1:2}",
    b"[1 2]", b"01", b"-", b"1.", b".5", b"1e", b"+1", b"nul", b"nulL", b"tru", b"True", b"NaN", b"Infinity",
    b"-Infinity",
    b'"\\x"', b'"\\u12"', b'"\\u12g4"', b'"\\ud800"', b'"\\udc00"', b'"\\ud800\\u0041"', b'"\\ud800x"',
    b'"\n"', b'"\x00"',
    b'"\x80"', b'"\xc0\x80"', b'"\xc1\xbf"', b'"\xe0\x80\x80"', b'"\xed\xa0\x80"', b'"\xf0\x80\x80\x80"',
    b'"\xf4\x90\x80\x80"', b'"\xf5\x80\x80\x80"', b'"\xc3"', b'"\xe2\x82"', b'"\xf0\x9f\x98"', b'{"\xff":1}',
    b"[1}", b'{"a":1]',
    b"\xef\xbb\xbf1", b"'a'", b"[1]]", b"1 2", b'{"a":1 "b":2}', b'{"a" 1}', b"/**/1", b'"\\', b'"\\u', b'"\\ud83d\\u',
])
def test_refused(text):
    assert not accepted_by_orjson(text)
    assert not accepted(text)


@pytest.mark.parametrize("text", [
    b'"\\ud83d\\ude00"', b'"\\u0000"', b'"\xf0\x9f\x98\x80"', b'"\xed\x9f\xbf"', b'"\xee\x80\x80"', b'"\x7f"',
    b"-0", b"1E+5",
    b'"\\/\\b\\f\\n\\r\\t\\"\\\\"', b"[[],{},[{}]]", b' { "a" : [ 1 , 2 ] } ', b"0.1e-7",
    b"123456789012345678901234567890",
])
def test_accepted(text):
    assert accepted_by_orjson(text)
    assert accepted(text)


def test_the_end_is_the_end():
    """What lies after the text may complete it, and must not."""
    for text, rest in [(b'{"a":1', b"}"), (b'"ab', b'c"'), (b"[1,2", b"3]"), (b"tru", b"e"), (b'"\\u00', b'41"'),
                       (b'"\xe2\x82', b'\xac"')]:
        assert accepted(text + rest)
        assert not accepted(text, rest + bytes(64))
    scanner = Scanner(b"123456789", b"0123456789" * 10)
    assert scanner.int64() == 123456789 and scanner.finish()
    scanner = Scanner(b"1.25", b"5" * 64)
    assert scanner.decimal(2) == 125 and scanner.finish()


def test_depth_is_limited():
    assert accepted(b"[" * DEPTH + b"]" * DEPTH)
    assert not accepted(b"[" * (DEPTH + 1) + b"]" * (DEPTH + 1))
    assert not accepted(b'{"a":' * 10**5)


@pytest.mark.parametrize(("text", "decimals", "status", "value"), [
    (b'"61837.63000000"', 8, DecodeStatus.DECODED, 6183763000000),
    (b"0.5657", 4, DecodeStatus.DECODED, 5657),
    (b'"0.5657"', 3, DecodeStatus.NUMBER_INEXACT, None),
    (b'"1e40"', 3, DecodeStatus.NUMBER_RANGE, None),
    (b'"1x"', 3, DecodeStatus.BAD_NUMBER, None),
    (b'""', 3, DecodeStatus.BAD_NUMBER, None),
    (b'"1', 3, DecodeStatus.BAD_JSON, None),
    (b"null", 3, DecodeStatus.BAD_FIELD, None),
    (b"[1]", 3, DecodeStatus.BAD_FIELD, None),
    (b"?", 3, DecodeStatus.BAD_JSON, None),
    (b"1.", 3, DecodeStatus.BAD_JSON, None),
])
def test_decimals(text, decimals, status, value):
    scanner = Scanner(text)
    assert scanner.decimal(decimals) == value
    assert scanner.status == status


@given(st.integers(-2**64, 2**65), st.sampled_from([b",", b"}", b" ", b"]"]))
@example(2**63 - 1, b",")
@example(2**63, b",")
@example(9999999999999999, b",")
def test_integers(value, then):
    for rest in (then, then + b" " * 40):
        scanner = Scanner(str(value).encode() + rest)
        assert scanner.int64() == (value if abs(value) < 2**63 else None)
        assert scanner.status == (0 if abs(value) < 2**63 else DecodeStatus.NUMBER_RANGE)
    scanner = Scanner(str(value).encode())
    assert scanner.uint32() == (value if 0 <= value < 2**32 else None)


@pytest.mark.parametrize(("method", "text"), [
    ("enter_object", b"[]"), ("enter_array", b"{}"), ("text_value", b"1"), ("boolean", b'"true"'), ("null", b"0"),
    ("int64", b'"1"')])
def test_another_type_is_a_bad_field(method, text):
    scanner = Scanner(text)
    assert not getattr(scanner, method)()
    assert scanner.status == DecodeStatus.BAD_FIELD and scanner.offset == 0
    scanner = Scanner(b"")
    assert not getattr(scanner, method)()
    assert scanner.status == DecodeStatus.BAD_JSON


def test_a_fault_is_final():
    scanner = Scanner(b'{"a":x,"b":1}')
    assert scanner.enter_object() and scanner.next_key() == "a" and scanner.int64() is None
    assert (scanner.status, scanner.offset) == (DecodeStatus.BAD_JSON, 5)
    assert scanner.next_key() is None and not scanner.finish() and scanner.offset == 5


def test_long_escaped_text_keeps_its_length():
    """An escaped text that does not fit the scratch equals nothing, but is no error."""
    text = "é" * 20
    assert Scanner(json.dumps(text).encode()).text_value() == text
    assert Scanner(json.dumps("\\" + "x" * 100).encode()).text_value() == "\\" + "x" * 63


def test_random_bytes():
    rng = random.Random(1)
    for _ in range(3000):
        text = bytes(rng.choices(b'{}[]",:\\u0123e-.tfn \xc3\xa9', k=rng.randrange(12)))
        assert accepted(text) == accepted_by_orjson(text), text
