"""The best bids and asks of one listing out of a tape, cut where the book could not be trusted."""
from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from orderflow._core.types import BookState, TapeKind
from orderflow.instrument import Listing
from orderflow.research.tape import Tape


@dataclass(frozen=True, slots=True)
class Quotes:
    """Best bid and ask after each update that was applied, arrays of (n,) in the order of the tape.

    Attributes
    ----------
    listing : Listing
        Names tick and scales.
    receive_ns : int64 array
        Monotonic clock of the recorder.
    bid_price, bid_quantity, ask_price, ask_quantity : int64 arrays
        Integers of the listing's scales; where a quantity is 0 that side is empty, and its price means nothing.
    segment : int64 array
        Rises with each new epoch of the connection, and where the book was not LIVE between: nothing may be differenced
        from one segment to another.
    """

    listing: Listing
    receive_ns: np.ndarray
    bid_price: np.ndarray
    bid_quantity: np.ndarray
    ask_price: np.ndarray
    ask_quantity: np.ndarray
    segment: np.ndarray

    def __len__(self) -> int:
        return len(self.receive_ns)

    @property
    def tick(self) -> int:
        """In the integers of the prices."""
        return int(self.listing.tick.scaleb(self.listing.price_decimals))

    @property
    def two_sided(self) -> np.ndarray:
        """Whether there is a bid and an ask above it, bool array (n,)."""
        return (self.bid_quantity > 0) & (self.ask_quantity > 0) & (self.bid_price < self.ask_price)

    def standing(self, step_ns: int) -> tuple[np.ndarray, np.ndarray]:
        """Moments at equal distances from the first quote on, and the index of the quote that stands at each of them.

        Only moments from the first to the last quote of a segment: after that nobody knows for how long it stood.

        Raises
        ------
        ValueError
            `step_ns` is not positive.
        """
        if step_ns < 1:
            raise ValueError(f"step_ns {step_ns}: expected 1 or more")
        moments, found = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        starts = [0, *(np.flatnonzero(np.diff(self.segment)) + 1), len(self)]
        for begin, end in pairwise(starts if len(self) else []):
            # lines of one exchange may be stamped a little out of order
            times = np.maximum.accumulate(self.receive_ns[begin:end]) - self.receive_ns[0]
            inside = step_ns * np.arange(-(-times[0] // step_ns), times[-1] // step_ns + 1)
            moments.append(self.receive_ns[0] + inside)
            found.append(begin + np.searchsorted(times, inside, side="right") - 1)
        return np.concatenate(moments), np.concatenate(found)


def quotes(tape: Tape, symbol: str) -> Quotes:
    """The quotes of a listing.

    Parameters
    ----------
    symbol : str
        As the exchange names it.

    Raises
    ------
    ValueError
        The tape does not have the symbol.
    """
    index = next((at for at, listing in enumerate(tape.listings) if listing.symbol == symbol), None)
    if index is None:
        raise ValueError(f"symbol {symbol!r}: the tape has "
                         f"{', '.join(listing.symbol for listing in tape.listings) or 'none'}")
    plain = tape.view(np.ndarray)
    own = plain[plain["listing"] == index]
    untrusted = (own["kind"] == TapeKind.TAPE_STATE) & (own["state"] != BookState.LIVE)
    is_quote = np.isin(own["kind"], (TapeKind.TAPE_SNAPSHOT, TapeKind.TAPE_UPDATE))
    other_epoch = np.diff(own["epoch"].astype(np.int64), prepend=own["epoch"][:1]) != 0
    segment = np.cumsum(untrusted | other_epoch)[is_quote]
    rows = own[is_quote]
    return Quotes(tape.listings[index], *(np.ascontiguousarray(rows[name]) for name in (
        "receive_ns", "bid_price", "bid_quantity", "ask_price", "ask_quantity")), segment)
