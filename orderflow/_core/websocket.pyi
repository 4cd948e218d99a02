from enum import IntEnum

from typing_extensions import Buffer

FAULT_TEXT: dict[FrameFault, str]

class Opcode(IntEnum):
    CONTINUATION = 0
    TEXT = 1
    BINARY = 2
    CLOSE = 8
    PING = 9
    PONG = 10

class FrameStatus(IntEnum):
    FRAME = 0
    NEED_MORE = 1
    PROTOCOL_ERROR = 2
    TOO_LARGE = 3

class FrameFault(IntEnum):
    FAULTLESS = 0
    MASKED_BY_SERVER = 1
    RESERVED_BITS = 2
    RESERVED_OPCODE = 3
    LENGTH_NOT_MINIMAL = 4
    LENGTH_OVER_63_BITS = 5
    CONTROL_FRAGMENTED = 6
    CONTROL_TOO_LONG = 7
    CONTINUATION_OF_NOTHING = 8
    MESSAGE_INTERRUPTED = 9
    INVALID_UTF8 = 10
    CLOSE_PAYLOAD = 11
    CLOSE_CODE = 12
    FRAME_TOO_LARGE = 13
    MESSAGE_TOO_LARGE = 14
    TOO_MANY_FRAGMENTS = 15

class CloseCode(IntEnum):
    NORMAL_CLOSURE = 1000
    GOING_AWAY = 1001
    PROTOCOL_VIOLATION = 1002
    NO_CODE = 1005
    INVALID_DATA = 1007
    MESSAGE_TOO_BIG = 1009

class FrameReader:
    def __new__(
        cls, frame_limit: int = ..., message_limit: int | None = None, fragment_limit: int = 4096
    ) -> FrameReader: ...
    def feed(self, data: Buffer) -> int: ...
    def next(self) -> tuple[FrameStatus, Opcode | None, bytes | None, int]: ...
    @property
    def buffered(self) -> int: ...
    @property
    def position(self) -> tuple[int, int]: ...
    @property
    def memory(self) -> int: ...
    @property
    def fault(self) -> FrameFault: ...
    @property
    def close_code(self) -> int: ...

class FrameWriter:
    def __new__(cls, seed: bytes | None = None) -> FrameWriter: ...
    def frame(self, opcode: int, payload: Buffer) -> bytes: ...
    def close(self, code: int = 1000) -> bytes: ...
    def keystream(self, blocks: int) -> bytes: ...

def is_utf8(data: Buffer) -> bool: ...
