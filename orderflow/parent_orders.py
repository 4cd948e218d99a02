"""Parent orders from Python: submitted, changed, ended, looked at, and what one would cost.

Everything that changes one is a record in the strategizer's inbox, as if a strategy had asked for it.
"""
from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from orderflow._core.order_table import ParentView
from orderflow._core.types import PARENT_ORDER_DTYPE, ParentKind, Reason
from orderflow.algorithms import parent_order
from orderflow.consolidated import rates_of
from orderflow.differences import Differences
from orderflow.estimate import Estimate, EstimateError, Market, estimate, seen_volatility
from orderflow.exchanges.session import Session
from orderflow.parents import ParentState, denied, state_of
from orderflow.problems import EngineError
from orderflow.refusals import Scales
from orderflow.refusals import text as refusal_text
from orderflow.residuals import Residual, named
from orderflow.routing import Routing
from orderflow.wiring import Core

#: Denied parent orders that are remembered.
MOST_DENIALS = 1024


class ParentOrders:
    """Those of one run; the public methods are methods of Engine.

    Parameters
    ----------
    core : Core
    sessions : sequence of Session
    routing : Routing
    differences : Differences
        Why an order was refused may be one of them.
    now_ns : callable() -> int
        The engine's clock.

    Attributes
    ----------
    open : bool
        Whether new ones are taken.
    """

    def __init__(self, core: Core, sessions: Sequence[Session], routing: Routing, differences: Differences,
                 now_ns: Callable[[], int]):
        self._core, self._sessions, self._routing = core, sessions, routing
        self._differences, self._now_ns = differences, now_ns
        self.open = False
        self._counter = 0
        self._denied: dict[int, ParentState] = {}   # by parent id, oldest first

    def record(self, instrument: str, now_ns: int, side: str, quantity: object, limit_price: object, *,
               algorithm: str = "immediate", **how: Any) -> np.void:
        """A parent order, checked: of `submit`, and of strategies in Python."""
        item, plan = self._core.instrument_named(instrument), self._routing.plan
        if algorithm.lower() == "vwap" and instrument not in plan.volume_curves:
            raise ValueError(f"algorithm vwap: the engine has no volume curve of {instrument}; give it volume_curves")
        unix_ns = time.time_ns() if plan.unix_offset_ns is None else now_ns + plan.unix_offset_ns
        return parent_order(self._core, item, now_ns, side, quantity, limit_price, unix_ns=unix_ns,
                            algorithm=algorithm, **how)

    def submit(self, instrument: str, side: str, quantity: object, limit_price: object = None, *,
               algorithm: str = "immediate", seconds: float | None = None, start_seconds: float = 0,
               slices: int | None = None, randomness: int = 0, minimum_slice: object = None,
               half_life: float | None = None, urgency: int | None = None, participation: object = None,
               reaction_bps: object = None, times_usual: float | None = None, exchanges: Sequence[str] = (),
               post_only: bool = False, display: object = None, peg: str | None = None, offset: int = 0,
               must_complete: bool = False, with_residual: bool = False, tactic: str = "take") -> int:
        """Submit a parent order; returns its id.

        One that is below the minimum quantity or the minimum notional of every exchange ends at once, for the reason
        BELOW_MINIMUM_REMAINS, and is kept (`residuals`). docs/algorithms.md says what each algorithm does.

        Parameters
        ----------
        instrument : str
            As in `engine.instruments`.
        side : "buy" or "sell"
        quantity, limit_price : Decimal, str or int
            Base and quote currency; no limit = the collar's.
        algorithm : str
            "immediate": it crosses what it finds within its limit, again and again, until it is filled. "resting": it
            is one order at its limit price on one exchange until it is filled or cancelled, or until the exchange ends
            it. "peg": the same, at a price that follows the market's. "join": what is worth waiting for joins the
            queues at the best prices of its side, on several exchanges at once, and the rest crosses. "twap",
            "shortfall", "close": in slices over its time, equal ones, larger ones first, or larger ones last; what a
            slice does not find is caught up by the next. "adaptive_shortfall": faster where the price is better than at
            arrival. "vwap": in slices as the volume curve expects it and as it is traded. "pov": a part of what is
            traded; "price_inline": of more where the price is better than at arrival; "minimal_impact": where the
            spread is not wider than usual; "liquidity_seeking": where unusually much is displayed. "sniper": all of it
            at once where so much is displayed within its limit, or nothing. "sweep": what is found now, and never
            again.
        seconds : float, optional
            When it ends at the latest, from its start.
        start_seconds : float
            When one that is worked over its time begins, from now.
        slices : int, optional
            Of its time, at most; fewer where they would be too small to be sent. By default one a second, at most 100.
        randomness : int
            By how many percent of a slice its beginning and, of a schedule, its size may be off, at most 50.
        minimum_slice : Decimal, str or int, optional
            Of a schedule, and of a "sniper", by default all that remains of it; base currency.
        half_life : float, optional
            Of "shortfall", "close" and "adaptive_shortfall": seconds in which what remains falls by a factor e (1 /
            kappa of Almgren and Chriss), or grows by it.
        urgency : int, optional
            Of those: the same as a number from 0 (even slices) to 100 (the half-life is a tenth of its time). Of
            "immediate": from 100, at once (the same as nothing), down to 1; one that is less urgent pays at first
            little more than the best price after fees, and what it needs when four fifths of its `seconds` are over. Of
            "join", and of what has that tactic: at the usual spread a unit waits in a queue while its chance to be
            filled in time is that many per cent, and crosses else; 0 = none crosses, 100 = all do; 50 by default.
        participation : Decimal, str or float, optional
            Which part of all that is traded on its exchanges, ours included; above 0 and below 1. "pov" is to have it,
            a schedule never more than it: what that holds back is due later. By default 0.05 of "minimal_impact", whose
            most is 0.1, and 0.2 of "liquidity_seeking".
        reaction_bps : Decimal, str or int, optional
            Of "adaptive_shortfall" and "price_inline": by how many basis points the price is to be better than at
            arrival for twice the pace; worse by as much, it is half; 20 by default. Negative: the other way round.
        times_usual : float, optional
            Of "liquidity_seeking": how much more than usual is to be displayed; 2 by default.
        exchanges : sequence of str
            Where it may go; empty = everywhere. "resting" goes to one exchange; a peg chooses one. Where an exchange
            has several symbols of the instrument, "exchange SYMBOL" is one of them.
        post_only : bool
            Of one that rests: it is refused by the exchange where it would take. A peg stays a tick away from that.
        display : Decimal, str or int, optional
            Of one that rests: its order never shows more (an iceberg). Where the exchange refills one itself it is one
            order; elsewhere the next one follows when the one before has been filled. Base currency.
        peg : "primary", "mid" or "market"
            What a peg follows: the best price of its own side, halfway between both, or the best of the other side. It
            is never worse than `limit_price`.
        offset : int
            Of a peg: ticks that are added to that price; -1 is a tick lower, for buyers and sellers.
        must_complete : bool
            Of one that is worked over its time: with its last slice all that is left crosses within the limit price,
            whatever the volume. Of one that rests: what is left crosses in the last quarter of its `seconds`, at most
            five of them; a peg within its `limit_price`, a resting order at any price within the collar. Without it
            what is left at the end is not sent, for the reason END_TIME.
        with_residual : bool
            Whether it takes what is kept of its strategy and instrument (`residuals`): of its own side that is added to
            its quantity, of the other side taken off it. Where nothing is left of it then it ends at once, NETTED.
        tactic : "take" or "join"
            Of one that is worked in slices: what is due crosses at once, or is placed as "join" places it until the
            next slice begins; what was due before that crosses then.

        Raises
        ------
        ValueError
            An argument is wrong; the message names it.
        EngineError
            The engine does not run, or has no room for it.
        """
        if not self.open:
            raise EngineError("the engine does not run; nothing can be submitted")
        record = self.record(
            instrument, self._now_ns(), side, quantity, limit_price, algorithm=algorithm, seconds=seconds,
            start_seconds=start_seconds, slices=slices, randomness=randomness, minimum_slice=minimum_slice,
            half_life=half_life, urgency=urgency, participation=participation, reaction_bps=reaction_bps,
            times_usual=times_usual, exchanges=exchanges, post_only=post_only, display=display, peg=peg, offset=offset,
            must_complete=must_complete, with_residual=with_residual, tactic=tactic)
        self._counter += 1
        record["parent_id"] = self._counter
        self._send(record, "too many parent orders wait to be taken")
        return self._counter

    def cancel(self, parent_id: int) -> None:
        """Ask for the end of a parent order; EngineError if that could not even be asked, ValueError if there is none.
        """
        self._ask(parent_id, ParentKind.CANCEL_PARENT, "cancelled")

    def pause_parent(self, parent_id: int) -> None:
        """Ask that nothing new goes out for a parent order; what is out stays, and its time goes on. Errors as of
        `cancel`."""
        self._ask(parent_id, ParentKind.PAUSE_PARENT, "paused")

    def resume_parent(self, parent_id: int) -> None:
        """Ask that a paused parent order goes on; what its schedule missed is due at once. Errors as of `cancel`."""
        self._ask(parent_id, ParentKind.RESUME_PARENT, "resumed")

    def _ask(self, parent_id: int, kind: ParentKind, what: str) -> None:
        self.check_known(parent_id)
        record = np.zeros(1, PARENT_ORDER_DTYPE)[0]
        record["parent_id"], record["kind"] = parent_id, kind
        self._send(record, f"too many parent orders wait to be taken; {parent_id} is not {what}: ask again")

    def replace(self, parent_id: int, *, quantity: object = None, limit_price: object = None) -> None:
        """Ask for another whole quantity (what is filled included) or limit price of a parent order.

        What is not named stays as it was last asked for. One that rests is changed in place where the exchange can do
        that, and otherwise cancelled and ordered anew. It stays as it is where risk or the exchange refuses:
        `parent(...)` shows what holds. A quantity that is filled
        already ends it. Errors as of `submit` and `cancel`.
        """
        state = self.parent(parent_id)
        self.check_known(parent_id)
        if state is None or state.done:
            raise ValueError(f"parent order {parent_id} has ended: nothing of it can be replaced")
        item = self._core.instrument_named(state.instrument)
        record = np.zeros(1, PARENT_ORDER_DTYPE)[0]
        record["parent_id"], record["kind"] = parent_id, ParentKind.REPLACE_PARENT
        for name, value, scale in (("quantity", quantity, item.quantity), ("limit_price", limit_price, item.price)):
            if value is not None:
                record[name] = scale(value)
                if record[name] <= 0:
                    raise ValueError(f"{name} {value}: expected a positive number, or None to leave it as it is")
        if not record["quantity"] and not record["limit_price"]:
            raise ValueError("replace: give a quantity, a limit_price, or both")
        self._send(record, f"too many parent orders wait to be taken; {parent_id} is as it was: ask again")

    def _send(self, record: np.void, full: str) -> None:
        if not self._routing.strategizer.submit(record):
            raise EngineError(full)

    def parent(self, parent_id: int) -> ParentState | None:
        """How a parent order stands now; None = not taken yet, or ended and its place given to another."""
        for view in self._routing.orders.parents():
            if view.parent_id == parent_id:
                return self._shown(view)
        while (report := self._routing.strategizer.next_denial()) is not None:
            self._denied[int(report["parent_id"])] = denied(self._core, report)
            if len(self._denied) > MOST_DENIALS:
                del self._denied[next(iter(self._denied))]
        return self._denied.get(parent_id)

    def parents(self) -> list[ParentState]:
        """Every parent order that is still in the table."""
        return [self._shown(view) for view in self._routing.orders.parents()]

    def check_known(self, parent_id: int) -> None:
        """ValueError if there never was such a parent order."""
        if not 0 < parent_id <= self._counter and self.parent(parent_id) is None:
            raise ValueError(f"parent order {parent_id}: there is none")

    def _shown(self, view: ParentView) -> ParentState:
        """As users see it, with why the last order for it was refused."""
        return replace(state_of(self._core, self._sessions, view), refusal=self._refusal(view))

    def _refusal(self, view: ParentView) -> str | None:
        risk = self._routing.risk
        last = risk.refusal(view.slot)
        if last.code == Reason.OK:
            return None
        instrument = self._core.instruments[view.instrument]
        told = refusal_text(last.code, last.limit, last.actual, Scales(
            self._core.listings[last.listing], instrument, risk.money_decimals_of(view.instrument)))
        if last.code not in (Reason.BALANCE_UNEXPLAINED, Reason.ORDER_UNEXPLAINED):
            return told
        why = [str(one) for one in self._differences.standing if instrument.name in one.instruments]
        return f"{told} ({why[0]})" if why else told

    def residuals(self) -> list[Residual]:
        """Rests below every exchange's minimum that are kept until a parent order takes them (`submit` with
        `with_residual`): what is not zero, by strategy and instrument. Survives a restart."""
        return named(self._routing.residuals, self._routing.plan.strategy_names, self._core.instruments)

    def estimate(self, instrument: str, side: str, quantity: object, *, daily_volume: float | None = None,
                 daily_volatility: float | None = None, risk_aversion: float = 0.3,
                 exchanges: Sequence[str] = ()) -> Estimate:
        """What a parent order would cost, at once and over time, and which algorithm it would choose; see
        orderflow.estimate.

        Parameters
        ----------
        daily_volume : float, optional
            Base currency that is traded in a day; by default that of the volume curve.
        daily_volatility : float, optional
            Standard deviation of a day's return; by default the mean of what the exchanges' signals say now.
        risk_aversion : float
            Basis points of expected cost that one basis point of deviation is worth.
        exchanges : sequence of str
            Where it may go; empty = everywhere.

        Raises
        ------
        EstimateError
            The books, the volume or the volatility are not known.
        ValueError
            An argument is wrong; the message names it.
        """
        core, item = self._core, self._core.instrument_named(instrument)
        curve = self._routing.plan.volume_curves.get(instrument)
        if daily_volume is None and curve is None:
            raise EstimateError(f"daily_volume: the engine has no volume curve of {instrument}; give one of the two")
        places = [index for index in item.listings if not exchanges or core.listings[index].exchange in exchanges]
        if not places:
            raise ValueError(f"exchanges {list(exchanges)}: none of them lists {instrument}")
        entries = [core.board.read(index) for index in places]
        rates = rates_of(core.table, core.board.read)
        if daily_volatility is None:
            daily_volatility = seen_volatility(entries)
        return estimate(item, Market(core.table[places], entries, [rates[index] for index in places]), side, quantity,
                        daily_volume=float(sum(curve or ())) if daily_volume is None else daily_volume,
                        daily_volatility=daily_volatility, risk_aversion=risk_aversion, has_curve=curve is not None)
