from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import Buffer

from orderflow._core.algos.volume_curve import VolumeCurve
from orderflow._core.allocation import Splitter
from orderflow._core.board import Board
from orderflow._core.doorbell import Doorbell
from orderflow._core.input_log import InputLogFiles
from orderflow._core.journal import JournalFiles
from orderflow._core.kill import KillSwitch
from orderflow._core.latency import LatencyHistogram
from orderflow._core.loops import Loop
from orderflow._core.order_table import OrderTable
from orderflow._core.residuals import ResidualLedger
from orderflow._core.ring import Ring
from orderflow._core.risk import RiskBook
from orderflow._core.strategy import Strategy
from orderflow._core.types import FaultCode

class RouterLoop(Loop):
    def __init__(
        self,
        table: NDArray[np.void],
        ports: Sequence[tuple[str, Ring, Ring | None, Ring | None, Doorbell]],
        board: Board,
        wake_pending: NDArray[np.uint8],
        strategy_pending: NDArray[np.uint8],
        orders: OrderTable,
        risk: RiskBook,
        residuals: ResidualLedger,
        journal: JournalFiles,
        log: InputLogFiles,
        splitter: Splitter,
        parents: Ring,
        parent_reports: Ring,
        wakes: Ring,
        bell: Doorbell,
        strategizer_bell: Doorbell,
        reports_full: NDArray[np.uint8],
        kill_switch: KillSwitch,
        policy: int = ...,
        child_deadline_ns: int = 250000000,
        timer_capacity: int = 0,
        day_begins_ns: int = -1,
        now_ns: int = 0,
        unix_offset_ns: int | None = None,
        curves: Sequence[VolumeCurve | None] = (),
    ) -> None: ...
    @property
    def orders(self) -> OrderTable: ...
    @property
    def risk(self) -> RiskBook: ...
    @property
    def residuals(self) -> ResidualLedger: ...
    @property
    def frame_to_decision(self) -> LatencyHistogram: ...
    @property
    def step_time(self) -> LatencyHistogram: ...
    def run_once(self, now_ns: int) -> int: ...
    def adopt(self, slot: int, now_ns: int) -> None: ...
    def set_state(self, state: int) -> bool: ...
    def set_strategy_state(self, strategy: int, state: int) -> bool: ...
    def set_exchange_state(self, exchange: int, state: int) -> bool: ...
    def rearm_instrument(self, instrument: int) -> bool: ...
    def rearm_total(self) -> bool: ...
    def replay_wake(self, port: int, listing: int, now_ns: int) -> None: ...
    def replay_report(self, port: int, payload: Buffer, now_ns: int) -> None: ...
    def replay_parent(self, payload: Buffer, now_ns: int) -> None: ...
    def replay_state(self, whose: int, state: int, now_ns: int) -> None: ...
    def replay_timer(self, key: int, now_ns: int) -> None: ...
    @property
    def fault(self) -> tuple[FaultCode, int]: ...
    @property
    def inexact_split(self) -> tuple[int, int, int, int] | None: ...
    @property
    def counts(self) -> dict[str, Any]: ...

class StrategizerLoop(Loop):
    def __init__(
        self,
        table: NDArray[np.void],
        strategies: Sequence[Strategy],
        board: Board,
        strategy_pending: NDArray[np.uint8],
        log: InputLogFiles,
        wakes: Ring,
        parent_reports: Ring,
        parents: Ring,
        bell: Doorbell,
        router_bell: Doorbell,
    ) -> None: ...
    @property
    def step_time(self) -> LatencyHistogram: ...
    def submit(self, record: Any) -> bool: ...
    def next_denial(self) -> Any: ...
    def pause(self, paused: bool = True) -> bool: ...
    @property
    def paused(self) -> bool: ...
    @property
    def counts(self) -> dict[str, int]: ...
    def run_once(self, now_ns: int) -> int: ...
