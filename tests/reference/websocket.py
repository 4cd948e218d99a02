"""RFC 6455 as slow and obvious as possible: the whole stream at once, slices and bytes.decode."""
import struct

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def server_frame(opcode, payload=b"", *, final=True, reserved=0, masked=False):
    """A frame as a server writes it; the keywords make it a wrong one."""
    size = len(payload)
    first = bytes([final << 7 | reserved << 4 | opcode])
    mask_bit = masked << 7
    if size < 126:
        length = bytes([mask_bit | size])
    elif size < 65536:
        length = bytes([mask_bit | 126]) + struct.pack(">H", size)
    else:
        length = bytes([mask_bit | 127]) + struct.pack(">Q", size)
    return first + length + (b"\0\0\0\0" if masked else b"") + payload


def is_utf8(data):
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def read_frames(stream, frame_limit, message_limit, fragment_limit):
    """([(opcode, payload, close code)], name of the fault or None); stops at a fault, a close or half a frame."""
    frames = []
    message = None              # [opcode, payload, number of fragments]
    while len(stream) >= 2:
        opcode, size, final = stream[0] & 15, stream[1] & 127, stream[0] >= 128
        is_control = opcode >= 8
        if stream[1] >= 128:
            return frames, "MASKED_BY_SERVER"
        if stream[0] & 0x70:
            return frames, "RESERVED_BITS"
        if opcode not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG):
            return frames, "RESERVED_OPCODE"
        if is_control and not final:
            return frames, "CONTROL_FRAGMENTED"
        if is_control and size > 125:
            return frames, "CONTROL_TOO_LONG"
        if opcode == CLOSE and size == 1:
            return frames, "CLOSE_PAYLOAD"
        if opcode == CONTINUATION and message is None:
            return frames, "CONTINUATION_OF_NOTHING"
        if opcode in (TEXT, BINARY) and message is not None:
            return frames, "MESSAGE_INTERRUPTED"
        begin = {126: 4, 127: 10}.get(size, 2)
        if len(stream) < begin:
            break
        if size >= 126:
            shortest = 126 if size == 126 else 65536
            size = int.from_bytes(stream[2:begin], "big")
            if size >= 1 << 63:
                return frames, "LENGTH_OVER_63_BITS"
            if size < shortest:
                return frames, "LENGTH_NOT_MINIMAL"
        if size > frame_limit:
            return frames, "FRAME_TOO_LARGE"
        if len(stream) < begin + size:
            break
        payload, stream = stream[begin:begin + size], stream[begin + size:]
        if opcode == CLOSE:
            code = int.from_bytes(payload[:2], "big") if payload else 1005
            if payload and not (1000 <= code <= 1003 or 1007 <= code <= 1014 or 3000 <= code <= 4999):
                return frames, "CLOSE_CODE"
            if not is_utf8(payload[2:]):
                return frames, "INVALID_UTF8"
            return frames + [(CLOSE, payload[2:], code)], None
        if is_control:
            frames.append((opcode, payload, 0))
            continue
        if message is not None or not final:
            if message is None:
                message = [opcode, b"", 0]
            if message[2] == fragment_limit:
                return frames, "TOO_MANY_FRAGMENTS"
            if len(message[1]) + size > message_limit:
                return frames, "MESSAGE_TOO_LARGE"
            message = [message[0], message[1] + payload, message[2] + 1]
            if not final:
                continue
            opcode, payload, message = message[0], message[1], None
        if opcode == TEXT and not is_utf8(payload):
            return frames, "INVALID_UTF8"
        frames.append((opcode, payload, 0))
    return frames, None
