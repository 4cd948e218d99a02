"""Who may trade: the kill switch and what pulls it, and states of the router, of strategies and of instruments.

Other processes say so through the sockets in the engine's directory (servers/control_socket.py); a process of its own
watches the engine (watchdog.py).
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from orderflow._core.kill import KillCause
from orderflow._core.types import CommandKind, Reason, TradingState
from orderflow.differences import Differences
from orderflow.exchanges.session import Session
from orderflow.faults import text as fault_text
from orderflow.problems import EngineError
from orderflow.routing import Routing
from orderflow.servers.control import Conversation
from orderflow.servers.control_requests import Refused
from orderflow.servers.control_socket import Control
from orderflow.servers.watchdog_process import WatchdogProcess
from orderflow.wiring import Core, Threads, wire_kill_switch


class Supervision:
    """Of one run; what lets trade, halts or arms again are methods of Engine.

    Parameters
    ----------
    core : Core
    routing : Routing
    conversations : sequence of Conversation
    differences : Differences
    directory : path
        Where the sockets are.
    report : callable(str)
    now_ns : callable() -> int
        The engine's clock.

    Attributes
    ----------
    watchdog : WatchdogProcess, optional
    """

    def __init__(self, core: Core, routing: Routing, conversations: Sequence[Conversation], differences: Differences,
                 directory: Path, report: Callable[[str], None], now_ns: Callable[[], int]):
        self._core, self._routing, self._conversations = core, routing, conversations
        self._differences, self._directory, self._report = differences, directory, report
        self._now_ns = now_ns
        self._trades = False                # not before everything was ready once
        self._told_triggers = 0             # of the kill switch
        self._control: Control | None = None
        self.watchdog: WatchdogProcess | None = None

    # -- other processes ------------------------------------------------------------------------------------------

    def start(self, threads: Threads, sessions: Sequence[Session], server: Any, silence_s: float, standstill_ns: int,
              status: Callable[[], dict[str, Any]]) -> None:
        """Run the kill thread, the sockets and, if `silence_s`, the watchdog."""
        core = self._core
        wire_kill_switch(core, threads)
        if silence_s and core.orders and not self._routing.plan.paper:      # on paper nothing is out when we are gone
            self.watchdog = WatchdogProcess(
                self._directory, sessions, core.listings, server.ca_file, server.timeouts, silence_s, self._report)
        self._control = Control(self._directory, core.kill, partial(self._respond, status), self.tell_kill,
                                self.watchdog.pipe if self.watchdog else -1, standstill_ns)
        try:
            self._control.start()
        except OSError as error:
            raise EngineError(f"{self._directory}: no control socket can be made there ({error.strerror}); name a "
                              "directory on a local disk") from None

    def close_control(self) -> None:
        """Before the native threads stop: their heartbeats end now."""
        if self._control is not None:
            self._control.stop()
            self._control = None            # through `status` it holds the engine
            if self.watchdog is not None:
                self.watchdog.say_goodbye()     # the beats have ended, and that is in order

    def close_watchdog(self) -> None:
        """After them: it was told that all is in order, so it does nothing."""
        if self.watchdog is not None:
            self.watchdog.stop()

    def _respond(self, status: Callable[[], dict[str, Any]], asked: dict[str, Any]) -> dict[str, Any]:
        """Answer a request of another process: status or rearm."""
        command, exchange, strategy, instrument = (
            asked.get(key) for key in ("command", "exchange", "strategy", "instrument"))
        if command == "status":
            return status()
        if command == "rearm":
            return {"killed": self.rearm(exchange or None, strategy or None, instrument or None)}
        raise Refused(f"{command!r}: expected status or rearm")

    # -- the kill switch ------------------------------------------------------------------------------------------

    @property
    def killed_untold(self) -> bool:
        """Whether the switch was pulled since it was last told."""
        return self._core.kill.triggers != self._told_triggers

    def tell_kill(self) -> None:
        """The switch was pulled: what had to be done is done already, natively."""
        switch = self._core.kill
        self._told_triggers = switch.triggers
        code, subject = self._routing.router.fault
        why = f": {fault_text(code, subject)}" if switch.cause == KillCause.KILLED_BY_FAULT and code else ""
        self._report(f"killed: {', '.join(switch.killed) or 'nothing'} ({switch.cause.name}{why}); `orderflow rearm "
                     f"{self._directory}` allows it again")

    def halt(self, exchange: str | None = None, strategy: str | None = None) -> None:
        """Kill everything, one exchange or one strategy: gates refuse from now on and exchange threads cancel what was
        sent, or will when their order connection is back. Until `rearm`. ValueError for a name that there is not."""
        self._core.kill.pull(exchange, strategy)

    def rearm(self, exchange: str | None = None, strategy: str | None = None,
              instrument: str | None = None) -> list[str]:
        """Allow again what was killed, or one exchange or strategy of it; or an instrument that was halted because an
        exchange's books and ours differ (`rearm_instrument`). By hand only. What is killed still."""
        if instrument is not None:
            self.rearm_instrument(instrument)
            return self._core.kill.killed
        self._core.kill.rearm(exchange, strategy)
        if exchange is None and strategy is None and self._trades and "everything" not in self._core.kill.killed:
            self._set_state(TradingState.ACTIVE)
        return self._core.kill.killed

    # -- states ---------------------------------------------------------------------------------------------------

    def trade(self) -> None:
        """Let orders pass: risk and every gate ACTIVE. The engine does so itself once it is ready."""
        self._trades = True
        self._set_state(TradingState.ACTIVE)

    def _set_state(self, state: TradingState) -> None:
        deaf = [] if self._routing.router.set_state(state) else ["router"]
        deaf += [name for name, loop in self._core.loops.items()
                 if not loop.command(CommandKind.SET_TRADING_STATE, value=state)]
        if deaf:
            raise EngineError(f"{', '.join(deaf)} did not take {state.name}: too many commands wait; ask again")

    def set_strategy_state(self, strategy: str, state: TradingState | str) -> None:
        """Let a strategy trade, let it only reduce what it holds, or halt it, by hand.

        ACTIVE arms it again after it was halted or stopped by a control: its profit, its fills and its rejects are
        counted anew. ValueError names what there is; EngineError: ask again.
        """
        number = self._number_of(strategy)
        wanted = TradingState[state] if isinstance(state, str) else state
        if not self._routing.router.set_strategy_state(number, wanted):
            raise EngineError(f"strategy {strategy} was not told {wanted.name}: too many commands wait; ask again")

    def strategy_state(self, strategy: str) -> tuple[str, str]:
        """(state, reason) of a strategy by the names of their TradingState and Reason; OK while it is ACTIVE."""
        view = self._routing.risk.strategy(self._number_of(strategy))
        return TradingState(view.state).name, Reason(view.reason).name

    def _number_of(self, strategy: str) -> int:
        names = list(self._routing.plan.strategy_names)
        if strategy not in names:
            raise ValueError(f"strategy {strategy!r}: there are {', '.join(names)}")
        return names.index(strategy)

    def rearm_total(self) -> None:
        """Count the profit of everything anew: after the loss limit in total has tripped, by hand. EngineError: ask
        again."""
        if not self._routing.router.rearm_total():
            raise EngineError("risk was not told: too many commands wait; ask again")

    def rearm_instrument(self, instrument: str) -> None:
        """What the exchanges have of an instrument is right, though fills do not explain it: it trades again, by hand.
        Its assets and orders are compared with what is found now. ValueError names what there is; EngineError: ask
        again."""
        item = self._core.instrument_named(instrument)
        deaf = [] if self._routing.router.rearm_instrument(item.index) else ["router"]
        for index in item.listings:
            loop = self._core.loops[self._core.listings[index].exchange]
            if loop.account is not None and not loop.command(CommandKind.ACCEPT_ACCOUNT, listing=index):
                deaf.append(loop.name)
        if deaf:
            raise EngineError(f"{', '.join(deaf)} was not told: too many commands wait; ask again")
        self._differences.settled(instrument)
        for conversation in self._conversations:
            if conversation.rounds is not None:
                conversation.rounds.soon(self._now_ns())
