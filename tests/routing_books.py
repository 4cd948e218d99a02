"""Books over time that routing can be tried on: one recorded book dealt to three exchanges, and simulated exchanges.

Dealt: every level of the recorded book is shared out in whole lots, by largest remainder, so that the exchanges
together show exactly what was recorded. Simulated: the exchanges of `orderflow demo`, whose agents trade around one
hidden price. Prices and quantities are integers of one scale for all exchanges of a market. Fees are those of
`orderflow demo`.
"""
from bisect import bisect_right
from dataclasses import dataclass, replace

import numpy as np

from orderflow._core.types import LEVEL_DTYPE, LISTING_DTYPE, BookState, Side
from orderflow.research.replayed import NAME, Replayed
from orderflow.research.simulation import DIRECT_START_NS, VENUES, instrument_of, simulator_settings
from orderflow.simulator.launch import build

#: In this order of exchanges: parts of every level, taker fees in 1e-8 of the notional, one-way delays.
SHARES = (50, 30, 20)
FEES = tuple(instrument_of(one).taker_fee for one in VENUES)
DELAYS_NS = (10_000_000, 40_000_000, 120_000_000)
#: Levels that are kept of each side: more than anything that is tried here reaches.
KEPT = 128
#: How often the books of simulated exchanges are looked at.
LOOK_NS = 20_000_000


@dataclass(frozen=True)
class Exchange:
    """One exchange's books, each from its time on until the next one's.

    Attributes
    ----------
    taker_fee : int
        1e-8 of the notional.
    delay_ns : int
        One way: its books are seen, and orders arrive there, that much later.
    times_ns : list of int, rising
    bids, asks : list of numpy arrays of LEVEL_DTYPE, best first
    """

    taker_fee: int
    delay_ns: int
    times_ns: list
    bids: list
    asks: list

    def index(self, at_ns: int) -> int:
        """Which of its books holds then."""
        return bisect_right(self.times_ns, at_ns) - 1

    def offered(self, side: int, at_ns: int) -> np.ndarray:
        """What a taker of that side meets: asks for a buyer, bids for a seller."""
        return (self.asks if side == Side.BUY else self.bids)[self.index(at_ns)]


@dataclass(frozen=True)
class Market:
    """Exchanges that trade one instrument in one lot size.

    Attributes
    ----------
    begin_ns, end_ns : int
        Between them every exchange has a book.
    """

    exchanges: tuple
    lot: int
    begin_ns: int
    end_ns: int

    def listings(self) -> np.ndarray:
        """Of its exchanges, as the split takes them; without minimums, so that any number of lots can be sent."""
        table = np.zeros(len(self.exchanges), LISTING_DTYPE)
        table["tick"] = table["price_factor"] = table["quantity_factor"] = 1
        table["lot"] = table["minimum_quantity"] = self.lot
        table["taker_fee"] = [one.taker_fee for one in self.exchanges]
        return table

    def twice_mid(self, at_ns: int) -> int:
        """Best bid and best ask of all exchanges together, added."""
        return (max(int(one.offered(Side.SELL, at_ns)["price"][0]) for one in self.exchanges)
                + min(int(one.offered(Side.BUY, at_ns)["price"][0]) for one in self.exchanges))


def recorded(path, protocol: str, lot: int) -> Exchange:
    """The books of a capture of one instrument, one for every change while LIVE, in whole lots; no fee, no delay."""
    replayed = Replayed(path, protocol)
    loop, tape, board = replayed.core.loops[NAME], replayed.core.tapes[NAME], replayed.core.board
    found: tuple[list, list, list] = [], [], []
    version = -1
    for _ in replayed:
        while tape.pop() is not None:
            pass
        entry = board.read(0)
        if entry["book_state"] != BookState.LIVE or int(entry["version"]) == version:
            continue
        version = int(entry["version"])
        bids, asks = (_whole_lots(loop.book(0).levels(side, KEPT), lot) for side in (Side.BUY, Side.SELL))
        for kept, value in zip(found, (int(entry["receive_ns"]), bids, asks), strict=True):
            kept.append(value)
    return Exchange(0, 0, *found)


def _whole_lots(levels: np.ndarray, lot: int) -> np.ndarray:
    """What of it can be traded: resting sizes may be older than the lot size."""
    levels = levels.copy()
    levels["quantity"] -= levels["quantity"] % lot
    return levels[levels["quantity"] > 0]


def deal(levels: np.ndarray, lot: int, shares=SHARES) -> list[np.ndarray]:
    """Share out every level in whole lots by largest remainder, the first exchange first where remainders are equal.

    Parameters
    ----------
    levels : numpy array of LEVEL_DTYPE
        Quantities are whole lots.

    Returns
    -------
    list of numpy arrays of LEVEL_DTYPE
        One an exchange, without levels of nothing; at each price they add up to what was shared out.
    """
    weighted = (levels["quantity"] // lot)[:, None] * np.array(shares)
    lots, rest = np.divmod(weighted, sum(shares))
    missing = levels["quantity"] // lot - lots.sum(axis=1)
    place = np.argsort(np.argsort(-rest, axis=1, kind="stable"), axis=1)
    lots += place < missing[:, None]
    dealt = []
    for own in lots.T:
        part = np.zeros(len(levels), LEVEL_DTYPE)
        part["price"], part["quantity"] = levels["price"], own * lot
        dealt.append(part[own > 0])
    return dealt


def dealt_market(whole: Exchange, lot: int, fees=FEES, delays_ns=DELAYS_NS, shares=SHARES) -> Market:
    """One exchange's books dealt to as many as there are shares."""
    bids, asks = (list(zip(*(deal(levels, lot, shares) for levels in side), strict=True))
                  for side in (whole.bids, whole.asks))
    exchanges = tuple(Exchange(fee, delay_ns, whole.times_ns, list(own_bids), list(own_asks))
                      for fee, delay_ns, own_bids, own_asks in zip(fees, delays_ns, bids, asks, strict=True))
    return Market(exchanges, lot, whole.times_ns[0], whole.times_ns[-1])


def simulated_market(seed: int, seconds: float, delays_ns=DELAYS_NS) -> Market:
    """The exchanges of `orderflow demo` with another seed, left to their agents."""
    decimals, lot = 8, max(instrument_of(one).lot for one in VENUES)
    exchanges = []
    for venue, delay_ns in zip(VENUES, delays_ns, strict=True):
        settings = simulator_settings(venue, seed, DIRECT_START_NS)
        instrument = replace(settings.instruments[0], lot=lot, minimum_quantity=lot)
        running = build(replace(settings, instruments=(instrument,), accounts=()))
        factor = 10 ** (decimals - instrument.price_decimals)
        times_ns = [DIRECT_START_NS + i * LOOK_NS for i in range(int(seconds * 1e9) // LOOK_NS)]
        sides: dict[int, list] = {Side.BUY: [], Side.SELL: []}
        for at_ns in times_ns:
            running.source.catch_up(running, at_ns)
            for side, kept in sides.items():
                levels = running.source.books[instrument.symbol].levels(side, KEPT)
                kept.append(np.array([(price * factor, quantity) for price, quantity in levels], LEVEL_DTYPE))
        exchanges.append(Exchange(instrument.taker_fee, delay_ns, times_ns, sides[Side.BUY], sides[Side.SELL]))
    return Market(tuple(exchanges), lot, times_ns[0], times_ns[-1])
