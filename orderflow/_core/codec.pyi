from collections.abc import Mapping
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

class DecodeStatus(IntEnum):
    DECODED = 0
    BAD_JSON = 1
    BAD_NUMBER = 2
    NUMBER_INEXACT = 3
    NUMBER_RANGE = 4
    BAD_FIELD = 5
    TOO_MANY = 6
    UNKNOWN_MESSAGE = 7
    BAD_SYMBOL = 8

class EncodeStatus(IntEnum):
    ENCODE_NO_ROOM = -1
    ENCODE_UNKNOWN_LISTING = -2
    ENCODE_UNSUPPORTED = -3
    ENCODE_NOT_POSITIVE = -4
    ENCODE_NOT_SIGNED = -5

class DecodeOutput:
    def __init__(self, messages: int = 4096, levels: int = 262144, reports: int = 1024) -> None: ...
    @property
    def messages(self) -> NDArray[np.void]: ...
    @property
    def levels(self) -> NDArray[np.void]: ...
    @property
    def reports(self) -> NDArray[np.void]: ...
    @property
    def fault(self) -> tuple[int, int]: ...

class Codec:
    def __init__(self, listings: NDArray[np.void], symbols: Mapping[str, int], **options: Any) -> None: ...
    def configure(self) -> None: ...
    def symbols_by_listing(self) -> dict[int, str]: ...
    def decode_frame(self, frame: bytes, out: DecodeOutput, receive_ns: int = 0) -> DecodeStatus: ...
    def decode_snapshot_body(
        self, listing: int, body: bytes, out: DecodeOutput, receive_ns: int = 0
    ) -> DecodeStatus: ...

class OrderCodec(Codec):
    def decode_body(
        self, kind: int, client_order_id: int, listing: int, body: bytes, out: DecodeOutput, receive_ns: int = 0
    ) -> DecodeStatus: ...
    def encode_new_order(self, record: Any, unix_ns: int = 0, capacity: int = ...) -> bytes: ...
    def encode_cancel_everything(self, listing: int, unix_ns: int = 0) -> bytes: ...
    def encode_dead_man_switch(self, seconds: int, unix_ns: int = 0) -> bytes: ...
    def encode_cancel_order(
        self, record: Any, exchange_order_id: bytes = b"", unix_ns: int = 0, capacity: int = ...
    ) -> bytes: ...
