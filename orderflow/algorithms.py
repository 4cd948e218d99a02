"""A parent order as a person asks for it, checked, and as the record that the router takes."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from orderflow._core.algos.schedule import MOST_RANDOMNESS
from orderflow._core.types import PARENT_ORDER_DTYPE, Algorithm, OrderFlag, ParentKind, Side, Tactic
from orderflow.instrument import Instrument, place_of, to_scaled
from orderflow.wiring import Core

#: Those that end with their whole quantity.
SCHEDULED = (Algorithm.TWAP, Algorithm.SHORTFALL, Algorithm.CLOSE, Algorithm.VWAP, Algorithm.ADAPTIVE_SHORTFALL)
MOST_PARTICIPATION = "0.999999"
#: Those that have a part of what is traded: what that is where nobody says, and what it is at most. One that answers to
#: the price may double it.
BY_VOLUME = {Algorithm.POV: (None, MOST_PARTICIPATION), Algorithm.PRICE_INLINE: (None, "0.499999"),
             Algorithm.MINIMAL_IMPACT: ("0.05", "0.1"), Algorithm.LIQUIDITY_SEEKING: ("0.2", MOST_PARTICIPATION)}
#: Those that are worked over their time.
PACED = (*SCHEDULED, *BY_VOLUME)
#: Those whose schedule bends.
BENT = (Algorithm.SHORTFALL, Algorithm.CLOSE, Algorithm.ADAPTIVE_SHORTFALL)
#: Those whose pace answers to the price.
REACTING = (Algorithm.ADAPTIVE_SHORTFALL, Algorithm.PRICE_INLINE)
USUAL_REACTION_BPS = 20
MOST_REACTION_BPS = 10_000
USUAL_TIMES = 2.0
#: By `peg`: what the order follows.
PEGS = {"primary": Algorithm.PRIMARY_PEG, "mid": Algorithm.MID_PEG, "market": Algorithm.MARKET_PEG}
MOST_OFFSET = 2**15 - 1
#: Those that are orders in a book.
RESTING = (Algorithm.RESTING, Algorithm.JOIN, *PEGS.values())
#: How what is due is traded.
TACTICS = {"take": Tactic.TACTIC_TAKE, "join": Tactic.TACTIC_JOIN}
#: Those whose slices may wait in books: of the others nothing is ever shown.
JOINING = (*SCHEDULED, Algorithm.POV, Algorithm.PRICE_INLINE)
#: Of those that weigh waiting against crossing; one whose schedule bends has no usual one.
USUAL_URGENCY = 50
MOST_URGENCY = 100
#: Curvature (time / half-life) of one unit of urgency.
URGENCY_CURVATURE = 0.1
MOST_SLICES = 10_000
#: Slices where nobody says how many: one a second, but not more than this.
USUAL_SLICES = 100


def parent_order(core: Core, item: Instrument, now_ns: int, side: str, quantity: object, limit_price: object = None, *,
                 unix_ns: int = 0, algorithm: str = "immediate", seconds: float | None = None, start_seconds: float = 0,
                 slices: int | None = None, randomness: int = 0, minimum_slice: object = None,
                 half_life: float | None = None, urgency: int | None = None, participation: object = None,
                 reaction_bps: object = None, times_usual: float | None = None, exchanges: Sequence[str] = (),
                 post_only: bool = False, display: object = None, peg: str | None = None, offset: int = 0,
                 must_complete: bool = False, with_residual: bool = False, tactic: str = "take") -> np.void:
    """One PARENT_ORDER_DTYPE record, without its id; the arguments are those of Engine.submit. `now_ns` is what the
    engine's monotonic clock shows, and `unix_ns` the unix clock.

    Raises
    ------
    ValueError
        An argument is wrong; the message names it.
    """
    kind = _algorithm(algorithm, peg)
    joins = kind == Algorithm.JOIN or _tactic(tactic, algorithm, kind) == Tactic.TACTIC_JOIN
    if side.lower() not in ("buy", "sell"):
        raise ValueError(f"side {side!r}: expected buy or sell")
    limit = item.price(limit_price) if limit_price is not None else 0
    if limit_price is not None and limit <= 0:
        raise ValueError(f"limit_price {limit_price}: a price is positive; None means that there is no limit")
    if seconds is not None and not seconds > 0:
        raise ValueError(f"seconds {seconds}: expected a positive number, or None for no end")
    record: np.void = np.zeros(1, PARENT_ORDER_DTYPE)[0]
    record["quantity"] = item.quantity(quantity)
    record["limit_price"] = limit
    record["instrument"] = item.index
    record["kind"] = ParentKind.SUBMIT_PARENT
    record["side"] = Side.BUY if side.lower() == "buy" else Side.SELL
    record["algorithm"] = kind
    record["flags"] = (OrderFlag.POST_ONLY if post_only else 0) | (OrderFlag.MUST_COMPLETE if must_complete else 0)
    record["created_ns"] = record["start_ns"] = now_ns
    record["end_ns"] = now_ns + int(seconds * 1e9) if seconds is not None else 0
    record["with_residual"] = with_residual
    record["listings"] = _listings(core, item, exchanges)
    allowed = int(record["listings"]).bit_count() if exchanges else len(item.listings)
    if kind == Algorithm.RESTING and (limit_price is None or allowed != 1):
        raise ValueError("algorithm resting: give a limit_price and the one exchange where it is to rest (exchanges)")
    record["tactic"] = TACTICS[tactic]
    if post_only and kind not in RESTING and not joins:
        raise ValueError('post_only: an order that does not rest takes; use algorithm="resting" or "peg"')
    _refuse(algorithm, kind in RESTING, "does not rest", display=display)
    _refuse(algorithm, kind in (*PACED, *RESTING), "is not worked over its time", must_complete=must_complete)
    if must_complete and seconds is None:
        raise ValueError("must_complete True: say by when (seconds)")
    _refuse(algorithm, kind in PEGS.values(), "is no peg", offset=offset)
    if abs(offset) > MOST_OFFSET:
        raise ValueError(f"offset {offset}: expected ticks, at most {MOST_OFFSET} either way")
    record["offset"] = offset
    record["display"] = item.quantity(display) if display is not None else 0
    if urgency is not None and not joins and kind not in (*BENT, Algorithm.IMMEDIATE):
        why = "has no schedule that bends" if kind in PACED else "does not weigh waiting against crossing"
        raise ValueError(f"urgency {urgency}: the algorithm {algorithm} {why}")
    if kind == Algorithm.JOIN and seconds is None:
        raise ValueError(f"seconds None: {algorithm} weighs its chance to be filled in time; say how long that is")
    if joins and kind not in BENT:
        record["urgency"] = _urgency(USUAL_URGENCY if urgency is None else urgency)
    if kind == Algorithm.IMMEDIATE and urgency is not None:
        if seconds is None and urgency < 100:
            raise ValueError(f"urgency {urgency}: an order that may wait needs its time, seconds")
        record["urgency"] = _urgency(urgency, least=1)
    if kind in PACED:
        looks = kind in BY_VOLUME or participation is not None      # at the volume, once a slice
        _set_pace(record, algorithm, seconds, start_seconds, slices, randomness, least=2 if looks else 1)
        record["start_unix_ns"] = unix_ns + int(record["start_ns"]) - now_ns
    _refuse(algorithm, kind in PACED, "is not worked over its time", start_seconds=start_seconds, slices=slices,
            randomness=randomness, participation=participation)
    _refuse(algorithm, kind in SCHEDULED or kind == Algorithm.SNIPER, "has no schedule", minimum_slice=minimum_slice)
    record["minimum_slice"] = item.quantity(minimum_slice) if minimum_slice is not None else 0
    if kind == Algorithm.SNIPER and limit_price is None:
        raise ValueError("algorithm sniper: give the limit_price within which it looks for its quantity")
    _refuse(algorithm, kind in BENT, "has no schedule that bends", half_life=half_life)
    if kind in BENT:
        record["curvature"] = _curvature(algorithm, float(seconds or 0), half_life, urgency)
        record["urgency"] = USUAL_URGENCY if joins and urgency is None else urgency or 0
    if kind in BY_VOLUME or participation is not None:
        record["participation"] = _rate(kind, participation)
    _refuse(algorithm, kind in REACTING, "does not answer to the price", reaction_bps=reaction_bps)
    if kind in REACTING:
        record["display"] = _reaction(reaction_bps)
    _refuse(algorithm, kind == Algorithm.LIQUIDITY_SEEKING, "does not wait for liquidity", times_usual=times_usual)
    if kind == Algorithm.LIQUIDITY_SEEKING:
        if times_usual is not None and not 0 < times_usual < float("inf"):
            raise ValueError(f"times_usual {times_usual}: expected how much more than usual is to be displayed")
        record["curvature"] = USUAL_TIMES if times_usual is None else times_usual
    return record


def _refuse(algorithm: str, takes: bool, why: str, **given: object) -> None:
    """An argument that would say nothing."""
    for name, value in given.items():
        if value and not takes:
            raise ValueError(f"{name} {value}: the algorithm {algorithm} {why}")


def _urgency(urgency: int, least: int = 0) -> int:
    if not least <= urgency <= MOST_URGENCY:
        raise ValueError(f"urgency {urgency}: expected {least} to {MOST_URGENCY}")
    return urgency


def _rate(kind: Algorithm, participation: object) -> int:
    """In 1e-6."""
    usual, most = BY_VOLUME.get(kind, (None, MOST_PARTICIPATION))
    given = usual if participation is None else participation
    rate = to_scaled(given, 6, "participation") if given is not None else 0
    if not 0 < rate <= to_scaled(most, 6, "participation"):
        raise ValueError(f"participation {participation}: {kind.name.lower()} needs its part of all that is traded, "
                         f"above 0 and at most {most}")
    return rate


def _curvature(algorithm: str, seconds: float, half_life: float | None, urgency: int | None) -> float:
    """Time / half-life."""
    if half_life is not None and urgency is not None:
        raise ValueError(f"urgency {urgency}: half_life {half_life} says the same; give one of them")
    if urgency is not None:
        return URGENCY_CURVATURE * _urgency(urgency)
    if half_life is None or not half_life > 0:
        raise ValueError(f"half_life {half_life}: {algorithm} needs the seconds, more than 0, in which what remains "
                         "falls by a factor e, or an urgency")
    return seconds / half_life


def _reaction(reaction_bps: object) -> int:
    """In 1e-6 of the price."""
    scale = to_scaled(USUAL_REACTION_BPS if reaction_bps is None else reaction_bps, 2, "reaction_bps")
    if not 0 < abs(scale) <= 100 * MOST_REACTION_BPS:
        raise ValueError(f"reaction_bps {reaction_bps}: expected the move that doubles its pace, at most "
                         f"{MOST_REACTION_BPS} either way and not 0")
    return scale


def _algorithm(name: str, peg: str | None) -> Algorithm:
    if name.lower() == "peg":
        if peg not in PEGS:
            raise ValueError(f"peg {peg!r}: a peg follows one of {', '.join(PEGS)}")
        return PEGS[peg]
    if peg is not None:
        raise ValueError(f'peg {peg!r}: the algorithm {name} is no peg; use algorithm="peg"')
    names = {one.name.lower(): one for one in Algorithm if one not in PEGS.values()}
    if name.lower() not in names:
        raise ValueError(f"algorithm {name!r}: expected one of {', '.join((*names, 'peg'))}")
    return names[name.lower()]


def _tactic(tactic: str, algorithm: str, kind: Algorithm) -> Tactic:
    if tactic not in TACTICS:
        raise ValueError(f"tactic {tactic!r}: expected one of {', '.join(TACTICS)}")
    if tactic == "join" and kind not in JOINING:
        raise ValueError(f"tactic 'join': the algorithm {algorithm} has no slices that could wait in a book")
    return TACTICS[tactic]


def _listings(core: Core, item: Instrument, exchanges: Sequence[str]) -> np.uint64:
    """A bit for each listing of the instrument that may be used; 0 = all."""
    found = sum(1 << place for place, index in enumerate(item.listings)
                if core.listings[index].exchange in exchanges or place_of(core.listings, index) in exchanges)
    if exchanges and not found:
        raise ValueError(f"exchanges {list(exchanges)}: none of them lists {item.name}")
    return np.uint64(found)


def _set_pace(record: np.void, algorithm: str, seconds: float | None, start_seconds: float, slices: int | None,
              randomness: int, least: int) -> None:
    if seconds is None:
        raise ValueError(f"seconds None: {algorithm} spreads an order over its time; say how long that is")
    if not start_seconds >= 0:
        raise ValueError(f"start_seconds {start_seconds}: expected 0 or more, from now on")
    if slices is None:
        slices = min(USUAL_SLICES, max(least, int(seconds)))
    if not least <= slices <= MOST_SLICES:
        raise ValueError(f"slices {slices}: expected {least} to {MOST_SLICES}")
    if not 0 <= randomness <= MOST_RANDOMNESS:
        raise ValueError(f"randomness {randomness}: expected a percentage of a slice, 0 to {MOST_RANDOMNESS}")
    record["start_ns"] += int(start_seconds * 1e9)
    record["end_ns"] = int(record["start_ns"]) + int(seconds * 1e9)
    record["slices"], record["randomness"] = slices, randomness
