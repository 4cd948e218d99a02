"""Client order ids: their text, and that nothing else reads as one."""
from hypothesis import example, given
from hypothesis import strategies as st

from orderflow._core import client_id

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"


def spell(value):
    """The slow, obvious way."""
    digits = ""
    for _ in range(13):
        value, digit = divmod(value, 32)
        digits = ALPHABET[digit] + digits
    return "of" + digits


@given(st.integers(0, 2**64 - 1))
@example(0)
@example(1)
@example(2**64 - 1)
@example((7 << 40) | 1)
def test_round_trip(value):
    text = client_id.encode(value)
    assert text == spell(value)
    assert len(text) == 15
    assert client_id.decode(text) == value


@given(st.one_of(st.text(max_size=20), st.text(ALPHABET + "iloABC", min_size=13, max_size=13).map("of".__add__)))
@example("")
@example("of")
@example("ofg000000000000")  # 65 bits
@example("ofz000000000001")
@example("of000000000000i")
@example("OF0000000000001")
@example("of000000000000A")
@example("of00000000000001")
@example("web_0123456789a")
@example("x-R4BD3S8200000")
def test_only_our_own_spelling_is_ours(text):
    value = client_id.decode(text)
    assert value == 0 or spell(value) == text
    if len(text) == 15 and text.startswith("of") and set(text[2:]) <= set(ALPHABET) and text[2] < "g":
        assert spell(value) == text


def test_ids_sort_as_their_texts():
    values = [1, 2, 31, 32, 1 << 40, (1 << 40) + 1, (9 << 40) | 5, 2**64 - 1]
    assert sorted(map(client_id.encode, values)) == [client_id.encode(value) for value in values]
