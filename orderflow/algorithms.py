"""A parent order as a person asks for it, checked, and as the record that the router takes."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from orderflow._core.types import PARENT_ORDER_DTYPE, Algorithm, OrderFlag, ParentKind, Side
from orderflow.instrument import Instrument
from orderflow.wiring import Core

#: Those that follow a schedule over their time.
SCHEDULED = (Algorithm.TWAP, Algorithm.SHORTFALL, Algorithm.CLOSE)
#: Those whose schedule bends.
BENT = (Algorithm.SHORTFALL, Algorithm.CLOSE)
MOST_SLICES = 10_000
#: Slices where nobody says how many: one a second, but not more than this.
USUAL_SLICES = 100
MOST_RANDOMNESS = 50


def parent_order(core: Core, item: Instrument, now_ns: int, side: str, quantity: object, limit_price: object = None, *,
                 algorithm: str = "immediate", seconds: float | None = None, start_seconds: float = 0,
                 slices: int | None = None, randomness: int = 0, minimum_slice: object = None,
                 half_life: float | None = None, exchanges: Sequence[str] = (), post_only: bool = False) -> np.void:
    """One PARENT_ORDER_DTYPE record, without its id; the arguments are those of Engine.submit.

    Raises
    ------
    ValueError
        An argument is wrong; the message names it.
    """
    kind = _algorithm(algorithm)
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
    record["flags"] = OrderFlag.POST_ONLY if post_only else 0
    record["created_ns"] = record["start_ns"] = now_ns
    record["end_ns"] = now_ns + int(seconds * 1e9) if seconds is not None else 0
    record["listings"] = _listings(core, item, exchanges)
    allowed = int(record["listings"]).bit_count() if exchanges else len(item.listings)
    if kind == Algorithm.RESTING and (limit_price is None or allowed != 1):
        raise ValueError("algorithm resting: give a limit_price and the one exchange where it is to rest (exchanges)")
    if post_only and kind != Algorithm.RESTING:
        raise ValueError('post_only: an order that does not rest takes; use algorithm="resting"')
    if kind in SCHEDULED:
        _set_schedule(record, item, algorithm, seconds, start_seconds, slices, randomness, minimum_slice, half_life)
    else:
        for name, value in (("start_seconds", start_seconds), ("slices", slices), ("randomness", randomness),
                            ("minimum_slice", minimum_slice), ("half_life", half_life)):
            if value:
                raise ValueError(f"{name} {value}: the algorithm {algorithm} has no schedule; use "
                                 f"{', '.join(one.name.lower() for one in SCHEDULED)}")
    return record


def _algorithm(name: str) -> Algorithm:
    try:
        return Algorithm[name.upper()]
    except KeyError:
        raise ValueError(f"algorithm {name!r}: expected one of "
                         f"{', '.join(one.name.lower() for one in Algorithm)}") from None


def _listings(core: Core, item: Instrument, exchanges: Sequence[str]) -> np.uint64:
    """A bit for each listing of the instrument that may be used; 0 = all."""
    found = sum(1 << place for place, index in enumerate(item.listings) if core.listings[index].exchange in exchanges)
    if exchanges and not found:
        raise ValueError(f"exchanges {list(exchanges)}: none of them lists {item.name}")
    return np.uint64(found)


def _set_schedule(record: np.void, item: Instrument, algorithm: str, seconds: float | None, start_seconds: float,
                  slices: int | None, randomness: int, minimum_slice: object, half_life: float | None) -> None:
    if seconds is None:
        raise ValueError(f"seconds None: {algorithm} spreads an order over its time; say how long that is")
    if not start_seconds >= 0:
        raise ValueError(f"start_seconds {start_seconds}: expected 0 or more, from now on")
    if slices is None:
        slices = min(USUAL_SLICES, max(1, int(seconds)))
    if not 1 <= slices <= MOST_SLICES:
        raise ValueError(f"slices {slices}: expected 1 to {MOST_SLICES}")
    if not 0 <= randomness <= MOST_RANDOMNESS:
        raise ValueError(f"randomness {randomness}: expected a percentage of a slice, 0 to {MOST_RANDOMNESS}")
    bent = Algorithm[algorithm.upper()] in BENT
    if bent != (half_life is not None):
        raise ValueError(f"half_life {half_life}: {algorithm} " + (
            "needs the seconds in which what remains falls by a factor e" if bent else "has slices of equal size"))
    if half_life is not None and not half_life > 0:
        raise ValueError(f"half_life {half_life}: expected a positive number of seconds")
    record["start_ns"] += int(start_seconds * 1e9)
    record["end_ns"] = int(record["start_ns"]) + int(seconds * 1e9)
    record["slices"], record["randomness"] = slices, randomness
    record["curvature"] = seconds / half_life if half_life is not None else 0.0
    record["minimum_slice"] = item.quantity(minimum_slice) if minimum_slice is not None else 0
