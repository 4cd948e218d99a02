from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

from orderflow._core.board import Board
from orderflow._core.book import OrderBook
from orderflow._core.byte_ring import ByteRing
from orderflow._core.codec import Codec
from orderflow._core.doorbell import Doorbell
from orderflow._core.kill import KillSwitch
from orderflow._core.latency import LatencyHistogram
from orderflow._core.ring import Ring

class Loop:
    @property
    def bell(self) -> Doorbell: ...

class ExchangeLoop(Loop):
    def __init__(
        self,
        name: str,
        exchange_index: int,
        table: NDArray[np.void],
        symbols: Mapping[int, str],
        rule: int,
        market_codecs: Sequence[Codec],
        order_codec: Codec | None,
        board: Board,
        wake_pending: NDArray[np.uint8],
        wakes: Ring,
        bell: Doorbell,
        router_bell: Doorbell,
        control_bell: Doorbell,
        tape: Ring | None = None,
        lossy_tape: bool = False,
        borrows: bool = False,
        frame_limit: int = 12582912,
        book_options: dict[str, Any] | None = None,
        orders: Ring | None = None,
        reports: Ring | None = None,
        report_lost: NDArray[np.uint8] | None = None,
        kill_switch: KillSwitch | None = None,
        order_rate: tuple[int, int] = (0, 1),
        is_exclusive: bool = False,
        dead_man_ns: int = 0,
        unix_offset_ns: int | None = None,
        record: bool = False,
        silence_ns: int = 0,
        shared_book_ids: bool = False,
        growing_trade_ids: bool = False,
        kept_levels: int = 0,
    ) -> None: ...
    @property
    def name(self) -> str: ...
    @property
    def borrows(self) -> bool: ...
    @property
    def frame_to_board(self) -> LatencyHistogram: ...
    @property
    def decided_to_sent(self) -> LatencyHistogram: ...
    @property
    def frame_to_sent(self) -> LatencyHistogram: ...
    def command(
        self,
        kind: int,
        connection: int = 0,
        role: int = 0,
        epoch: int = 0,
        listing: int = 0,
        value: int = 0,
        argument: int = 0,
        payload: bytes = b"",
        line: int = 0,
    ) -> bool: ...
    def next_event(self) -> tuple[np.void, bytes] | None: ...
    def push_frame(self, connection: int, epoch: int, payload: Buffer, receive_ns: int = 0) -> bool: ...
    @property
    def has_events(self) -> bool: ...
    def next_frame_out(self) -> tuple[int, bytes] | None: ...
    def run_once(self, now_ns: int) -> int: ...
    def close_tape(self) -> None: ...
    def close_recording(self) -> None: ...
    @property
    def recording(self) -> ByteRing: ...
    def replay(self, recorded: Buffer) -> None: ...
    def publication(self, listing: int) -> int: ...
    def symbol(self, listing: int) -> str: ...
    def book(self, listing: int, line: int = -1) -> OrderBook: ...
    def known_to(self, listing: int) -> tuple[int | None, int | None]: ...
    def counters(self, listing: int) -> dict[str, Any]: ...
    def line_counters(self, listing: int) -> dict[str, int]: ...
    @property
    def sent_orders(self) -> tuple[int, int]: ...
    @property
    def open_orders(self) -> int: ...
    @property
    def can_trade(self) -> bool: ...
    @property
    def totals(self) -> dict[str, int]: ...

class NativeThread:
    def __init__(self, loops: Sequence[Loop], bell: Doorbell, policy: int = ..., cpu: int = -1) -> None: ...
    @property
    def policy(self) -> int: ...
    @property
    def cpu(self) -> int: ...
    def run(self) -> None: ...
    def stop(self) -> None: ...
    @property
    def heartbeat_ns(self) -> int: ...
    @property
    def heartbeat_address(self) -> int: ...
