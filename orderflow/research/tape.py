"""The tape of a capture: every update, snapshot and trade as one row, for numpy, polars and pandas."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from orderflow._core.types import TAPE_DTYPE, BookFault, BookState, Side, TapeKind
from orderflow.instrument import Listing
from orderflow.research.books import protocol_of
from orderflow.research.replayed import NAME, Replayed

if TYPE_CHECKING:
    import pandas
    import polars

#: Columns of a frame that are prices and quantities of the listing's scale.
PRICES = ("bid_price", "ask_price", "price")
QUANTITIES = ("bid_quantity", "ask_quantity", "quantity")


class Tape(np.ndarray):
    """A numpy structured array of TAPE_DTYPE, shape (events,), that knows its listings.

    Attributes
    ----------
    listings : list of Listing
        By the field `listing`. A price is `price / 10**listings[i].price_decimals`: the integers are exact.
    problems : list of str
        Gaps, wrong checksums and frames that could not be read.
    """

    listings: list[Listing]
    problems: list[str]

    def __array_finalize__(self, source: Any) -> None:
        self.listings = getattr(source, "listings", [])
        self.problems = getattr(source, "problems", [])

    def columns(self) -> dict[str, np.ndarray]:
        """One array a column: prices and quantities as floats (an empty side is NaN), kinds, sides and states by name,
        times in nanoseconds of the capture's clock (`receive_ns`) and of the exchange's (`exchange_ns`, 0 = not given).
        """
        places = {"price": np.array([10.0 ** item.price_decimals for item in self.listings]),
                  "quantity": np.array([10.0 ** item.quantity_decimals for item in self.listings])}
        symbols = np.array([item.symbol for item in self.listings], dtype=object)
        plain = self.view(np.ndarray)
        found: dict[str, np.ndarray] = {"receive_ns": plain["receive_ns"], "exchange_ns": plain["exchange_ns"],
                                        "symbol": symbols[plain["listing"]], "kind": _names(TapeKind, plain["kind"]),
                                        "id": plain["id"], "version": plain["version"]}
        for name in (*PRICES, *QUANTITIES):
            scale = places[name.rpartition("_")[2]][plain["listing"]]
            side = name.rpartition("_")[0]
            present = plain[f"{side}_quantity" if side else "quantity"] > 0
            found[name] = np.where(present, plain[name] / scale, np.nan)
        found["side"] = _names(Side, plain["side"])
        found["levels"] = plain["levels"]
        found["state"], found["fault"] = _names(BookState, plain["state"]), _names(BookFault, plain["fault"])
        return found

    def to_polars(self) -> polars.DataFrame:
        """`columns` as a polars frame; ImportError where polars is not installed."""
        import polars

        return polars.DataFrame(self.columns())

    def to_pandas(self) -> pandas.DataFrame:
        """`columns` as a pandas frame; ImportError where pandas is not installed."""
        import pandas

        return pandas.DataFrame(self.columns())


def _names(kinds, values: np.ndarray) -> np.ndarray:
    """The short lower-case name of each value: TAPE_TRADE is "trade"."""
    table = np.full(256, "", dtype=object)
    for kind in kinds:
        table[int(kind)] = kind.name.removeprefix("TAPE_").lower()
    return table[values]


def tape(path, protocol: str | None = None) -> Tape:
    """Normalised events of a capture, in the order in which they were applied.

    Parameters
    ----------
    path : path-like
        A capture (docs/captures.md).
    protocol : str, optional
        Needed where the capture's own URLs do not tell.

    Raises
    ------
    BooksError, CaptureError, ValueError
        The capture cannot be read, or its protocol is not known.
    """
    replayed = Replayed(path, protocol_of(path, protocol))
    ring, records = replayed.core.tapes[NAME], []
    for _ in replayed:
        while (record := ring.pop()) is not None:
            records.append(record)
    events = np.frombuffer(b"".join(records), TAPE_DTYPE).copy().view(Tape)
    events.listings, events.problems = replayed.listings, replayed.problems
    return events
