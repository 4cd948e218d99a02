"""RFC 6455: what a server may send, what it may not, and what we send."""
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websocket._abnf import ABNF, frame_buffer

from orderflow._core.websocket import (
    FAULT_TEXT,
    CloseCode,
    FrameFault,
    FrameReader,
    FrameStatus,
    FrameWriter,
    Opcode,
    is_utf8,
)
from tests.reference.websocket import is_utf8 as reference_is_utf8
from tests.reference.websocket import read_frames, server_frame

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
LIMITS = {"frame_limit": 70_000, "message_limit": 100_000, "fragment_limit": 50}
CLOSE_CODE_OF = {"INVALID_UTF8": 1007, "FRAME_TOO_LARGE": 1009, "MESSAGE_TOO_LARGE": 1009, "TOO_MANY_FRAGMENTS": 1009}


def read_all(pieces, **limits):
    """What a reader fed piece by piece finds: ([(opcode, payload, close code)], fault name or None)."""
    reader = FrameReader(**(limits or LIMITS))
    frames = []
    for piece in pieces:
        while piece:
            taken = reader.feed(piece)
            assert taken > 0
            piece = piece[taken:]
            while (found := reader.next())[0] == FrameStatus.FRAME:
                frames.append((int(found[1]), found[2], found[3]))
            if found[0] != FrameStatus.NEED_MORE:
                assert reader.next()[0] == found[0], "a fault stays"
                assert reader.close_code == CLOSE_CODE_OF.get(reader.fault.name, 1002)
                assert found[0] == (FrameStatus.TOO_LARGE if reader.close_code == 1009 else FrameStatus.PROTOCOL_ERROR)
                return frames, reader.fault.name
    assert reader.close_code == 0
    return frames, None


# ---------------------------------------------------------------------- in: good

@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 69_999, 70_000])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_sizes(size, opcode):
    payload = b"x" * size
    assert read_all([server_frame(opcode, payload) * 2]) == ([(opcode, payload, 0)] * 2, None)


def test_examples_of_the_rfc():
    """Section 5.7."""
    assert read_all([bytes.fromhex("810548656c6c6f")]) == ([(TEXT, b"Hello", 0)], None)
    assert read_all([bytes.fromhex("010348656c 80026c6f")]) == ([(TEXT, b"Hello", 0)], None)
    assert read_all([bytes.fromhex("890548656c6c6f")]) == ([(PING, b"Hello", 0)], None)
    assert read_all([bytes.fromhex("827e0100") + bytes(256)]) == ([(BINARY, bytes(256), 0)], None)
    assert read_all([bytes.fromhex("827f0000000000010000") + bytes(65536)]) == ([(BINARY, bytes(65536), 0)], None)


def test_control_frames_between_fragments():
    stream = (server_frame(TEXT, b"one ", final=False) + server_frame(PING, b"p")
              + server_frame(0, b"two ", final=False) + server_frame(PONG)
              + server_frame(0, b"three") + server_frame(BINARY, b"after"))
    assert read_all([stream]) == (
        [(PING, b"p", 0), (PONG, b"", 0), (TEXT, b"one two three", 0), (BINARY, b"after", 0)], None)


def test_close_ends_a_stream_whose_message_is_open():
    stream = (server_frame(TEXT, b"half", final=False) + server_frame(CLOSE, b"\x03\xe8bye")
              + server_frame(TEXT, b"late"))
    assert read_all([stream]) == ([(CLOSE, b"bye", 1000)], None)


def test_utf8_split_inside_a_character():
    text = "a€b𝄞c".encode()
    for at in range(len(text) + 1):
        stream = server_frame(TEXT, text[:at], final=False) + server_frame(0, text[at:])
        assert read_all([stream]) == ([(TEXT, text, 0)], None)


def test_binary_is_any_bytes():
    payload = bytes(range(256))
    assert read_all([server_frame(BINARY, payload)]) == ([(BINARY, payload, 0)], None)


# ---------------------------------------------------------------------- in: bad

@pytest.mark.parametrize("stream, fault, code", [
    (server_frame(TEXT, b"x", masked=True), "MASKED_BY_SERVER", 1002),
    (server_frame(TEXT, b"x", reserved=4), "RESERVED_BITS", 1002),
    (server_frame(TEXT, b"x", reserved=2), "RESERVED_BITS", 1002),
    (server_frame(PING, b"x", reserved=1), "RESERVED_BITS", 1002),
    *[(server_frame(opcode, b"x"), "RESERVED_OPCODE", 1002) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)],
    (b"\x81\x7e\x00\x7d", "LENGTH_NOT_MINIMAL", 1002),
    (b"\x81\x7f" + struct.pack(">Q", 65535), "LENGTH_NOT_MINIMAL", 1002),
    (b"\x81\x7f" + struct.pack(">Q", 1 << 63), "LENGTH_OVER_63_BITS", 1002),
    (b"\x81\x7f" + struct.pack(">Q", (1 << 64) - 1), "LENGTH_OVER_63_BITS", 1002),
    (b"\x81\x7f" + struct.pack(">Q", (1 << 63) - 1), "FRAME_TOO_LARGE", 1009),
    (b"\x81\x7f" + struct.pack(">Q", 70_001), "FRAME_TOO_LARGE", 1009),
    (server_frame(PING, b"x", final=False), "CONTROL_FRAGMENTED", 1002),
    (b"\x89\x7e\x00\x7e" + b"x" * 126, "CONTROL_TOO_LONG", 1002),
    (server_frame(0, b"x"), "CONTINUATION_OF_NOTHING", 1002),
    (server_frame(TEXT, b"x", final=False) + server_frame(TEXT, b"y"), "MESSAGE_INTERRUPTED", 1002),
    (server_frame(TEXT, b"x", final=False) + server_frame(0) + server_frame(0), "CONTINUATION_OF_NOTHING", 1002),
    (server_frame(BINARY, b"x" * 60_000, final=False) + server_frame(0, b"y" * 60_000), "MESSAGE_TOO_LARGE", 1009),
    (server_frame(BINARY, final=False) + server_frame(0, final=False) * 60, "TOO_MANY_FRAGMENTS", 1009),
    (server_frame(TEXT, b"\xff"), "INVALID_UTF8", 1007),
    (server_frame(TEXT, b"ok\xe2\x82", final=False) + server_frame(0, b"x"), "INVALID_UTF8", 1007),
    (server_frame(TEXT, b"\xe2\x82"), "INVALID_UTF8", 1007),
    (server_frame(CLOSE, b"\x03"), "CLOSE_PAYLOAD", 1002),
    (server_frame(CLOSE, b"\x03\xe8\xff"), "INVALID_UTF8", 1007),
])
def test_faults(stream, fault, code):
    frames, found = read_all([server_frame(TEXT, b"before"), stream])
    assert found == fault
    assert frames[0] == (TEXT, b"before", 0)
    assert (frames, found) == read_frames(server_frame(TEXT, b"before") + stream, *LIMITS.values())
    assert CLOSE_CODE_OF.get(found, 1002) == code


@pytest.mark.parametrize("code", [0, 999, *range(1000, 1017), 1100, 1999, 2000, 2999, 3000, 4999, 5000, 65535])
def test_close_codes(code):
    allowed = code in (1000, 1001, 1002, 1003, *range(1007, 1015)) or 3000 <= code <= 4999
    frames, fault = read_all([server_frame(CLOSE, struct.pack(">H", code) + "grüße".encode())])
    assert (frames, fault) == (([(CLOSE, "grüße".encode(), code)], None) if allowed else ([], "CLOSE_CODE"))


def test_close_without_a_code():
    assert read_all([server_frame(CLOSE)]) == ([(CLOSE, b"", CloseCode.NO_CODE)], None)


def test_a_bad_header_is_found_before_its_payload():
    assert read_all([b"\x81\xfe"])[1] == "MASKED_BY_SERVER"
    assert read_all([b"\x81\x7f" + struct.pack(">Q", 1 << 40)])[1] == "FRAME_TOO_LARGE"


def test_every_fault_has_words():
    assert set(FAULT_TEXT) == set(FrameFault)


# ---------------------------------------------------------------------- in: the buffer

def test_memory_is_fixed_and_a_byte_moves_at_most_once():
    """A frame that fills the buffer, a byte a read: it lies at the front from the first compaction on."""
    reader = FrameReader(frame_limit=70_000, message_limit=10)
    memory = reader.memory
    small, large = server_frame(TEXT, b"small"), server_frame(TEXT, b"y" * 70_000)
    reader.feed(small + large[:3])
    assert reader.next()[2] == b"small"
    assert reader.position == (len(small), len(small) + 3)
    for i in range(3, len(large)):
        assert reader.next()[0] == FrameStatus.NEED_MORE
        reader.feed(large[i:i + 1])
        assert reader.position == (0, i + 1)
    assert reader.next()[2] == b"y" * 70_000
    assert (reader.memory, reader.buffered) == (memory, 0)


@pytest.mark.parametrize("keyword", [{"frame_limit": 0}, {"frame_limit": 1 << 40}])
def test_limits_are_checked(keyword):
    with pytest.raises(ValueError, match="frame_limit"):
        FrameReader(**keyword)


payloads = st.one_of(st.binary(max_size=300), st.text(max_size=80).map(str.encode),
                     st.sampled_from([b"", b"x" * 125, b"x" * 126, b"y" * 65535, b"z" * 65536]))
any_frame = st.builds(server_frame, st.sampled_from([0, 1, 1, 1, 2, 8, 9, 10]), payloads, final=st.booleans(),
                      reserved=st.sampled_from([0] * 20 + [1]), masked=st.sampled_from([False] * 20 + [True]))


@given(st.lists(any_frame, max_size=12).map(b"".join), st.lists(st.integers(0, 400), max_size=60))
def test_any_split_gives_the_same_frames(stream, cuts):
    """Agreement with the slow reader, whatever the reads were."""
    expected = read_frames(stream, 70_000, 100_000, 50)
    pieces, at = [], 0
    for size in cuts:
        pieces.append(stream[at:at + size])
        at += size
    pieces.append(stream[at:])
    assert read_all(pieces) == expected
    assert read_all([stream]) == expected


# ---------------------------------------------------------------------- UTF-8

@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_utf8_agrees_with_python(data):
    assert is_utf8(data) == reference_is_utf8(data)


def test_utf8_every_short_sequence_at_every_offset():
    """All lead bytes with the second bytes at the borders, behind 0, 7, 31 and 40 bytes of ASCII (the fast paths)."""
    borders = [0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF]
    for lead in range(256):
        for second in borders:
            for tail in (b"", b"\x80", b"\x80\x80", b"\x80x"):
                for before in (0, 7, 31, 40):
                    data = b"a" * before + bytes([lead, second]) + tail
                    assert is_utf8(data) == reference_is_utf8(data), data


# ---------------------------------------------------------------------- out

def decode_with_websocket_client(data):
    """An independent reader of client frames: websocket-client's. Returns (opcode, final, masked, payload)."""
    position = 0

    def receive(size):
        nonlocal position
        piece = data[position:position + size]
        position += len(piece)
        return piece

    frame = frame_buffer(receive, True).recv_frame()
    assert position == len(data)
    return frame.opcode, frame.fin, data[1] >> 7, bytes(frame.data)


@pytest.mark.parametrize("size", [0, 1, 3, 4, 7, 8, 9, 31, 32, 33, 63, 125, 126, 127, 1000, 65535, 65536, 70_001])
def test_written_frames_are_read_by_websocket_client(size):
    payload = bytes(i * 7 & 255 for i in range(size))
    frame = FrameWriter().frame(BINARY, payload)
    assert decode_with_websocket_client(frame) == (BINARY, 1, 1, payload)
    assert len(frame) == size + (6 if size < 126 else 8 if size < 65536 else 14)


def test_written_frames_equal_those_of_websocket_client():
    """The same key gives the same bytes."""
    frame = FrameWriter(bytes(48)).frame(TEXT, b"subscribe")
    theirs = ABNF.create_frame(b"subscribe", ABNF.OPCODE_TEXT)
    theirs.get_mask_key = lambda size: frame[2:6]
    assert frame == theirs.format()


def test_control_frames():
    writer = FrameWriter()
    assert decode_with_websocket_client(writer.frame(Opcode.PONG, b"same")) == (PONG, 1, 1, b"same")
    assert decode_with_websocket_client(writer.close(1002)) == (CLOSE, 1, 1, struct.pack(">H", 1002))
    assert decode_with_websocket_client(writer.close(CloseCode.NO_CODE)) == (CLOSE, 1, 1, b"")
    with pytest.raises(ValueError, match="125 bytes"):
        writer.frame(PING, b"x" * 126)
    with pytest.raises(ValueError, match="1006"):
        writer.close(1006)


def test_mask_keys_are_chacha20():
    """RFC 8439, appendix A.1, test vectors 1 and 2: key and nonce zero, counters 0 and 1."""
    assert FrameWriter(bytes(48)).keystream(2).hex() == (
        "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7"
        "da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"
        "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed"
        "29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f")


def test_mask_keys_do_not_repeat_and_differ_between_connections():
    keys = {FrameWriter().frame(TEXT, b"")[2:6] for _ in range(100)}
    writer = FrameWriter()
    keys |= {writer.frame(TEXT, b"")[2:6] for _ in range(1000)}
    assert len(keys) >= 1098        # two equal ones among 1100 of 2**32 would be a rare chance
