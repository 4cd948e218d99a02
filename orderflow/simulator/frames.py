"""What an exchange sends, as bytes on a socket (RFC 6455)."""
from orderflow.simulator.exchange import Close, Fragmented, Item, Ping, Pong, Raw

CONTINUATION, TEXT, CLOSE, PING, PONG = 0x0, 0x1, 0x8, 0x9, 0xA     # opcodes
FINAL = 0x80


def frame(opcode: int, payload: bytes, final: int = FINAL) -> bytes:
    """One unmasked websocket frame, as servers send them; `final` 0 for one that another continues."""
    size = len(payload)
    if size < 126:
        return bytes((final | opcode, size)) + payload
    if size < 65536:
        return bytes((final | opcode, 126)) + size.to_bytes(2) + payload
    return bytes((final | opcode, 127)) + size.to_bytes(8) + payload


def spelled(item: Item) -> bytes:
    """The bytes of an item; none of one that only ends the connection."""
    if isinstance(item, str):
        return frame(TEXT, item.encode())
    if isinstance(item, bytes):
        return frame(TEXT, item)
    if isinstance(item, Ping | Pong):
        return frame(PING if isinstance(item, Ping) else PONG, item.payload)
    if isinstance(item, Close):
        return frame(CLOSE, item.code.to_bytes(2) + item.reason.encode())
    if isinstance(item, Fragmented):
        first, *others = item.parts
        return b"".join((frame(TEXT, first, final=0), frame(PING, b""),
                         *(frame(CONTINUATION, part, final=0) for part in others), frame(CONTINUATION, b"")))
    return item.data if isinstance(item, Raw) else b""
