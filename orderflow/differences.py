"""What an exchange's books and ours differ in, as users read it.

    beta: BTC on the account: expected 9.5, found 10, which no fill explains; BTC-USDT is halted until ...
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from orderflow._core.client_id import encode
from orderflow._core.types import EXECUTION_REPORT_DTYPE, Reason
from orderflow.exchanges.session import Session
from orderflow.instrument import Listing, canonical, from_scaled

#: That stand and are remembered.
MOST_DIFFERENCES = 100


@dataclass(frozen=True, slots=True)
class Difference:
    """One that no fill explains.

    Attributes
    ----------
    exchange : str
    reason : str
        Name of the Reason for which new orders are refused: BALANCE_UNEXPLAINED or ORDER_UNEXPLAINED.
    instruments : tuple of str
        Those that are halted by it.
    what : str
        The asset, or our name of the order and its symbol.
    expected, found : str
        Amounts as decimals; of an order, "open" or "not open".
    """

    exchange: str
    reason: str
    instruments: tuple[str, ...]
    what: str
    expected: str
    found: str

    def __str__(self) -> str:
        if self.reason == Reason.BALANCE_UNEXPLAINED.name:
            return (f"{self.what} on the account of {self.exchange}: expected {self.expected}, found {self.found}, "
                    "which no fill explains")
        return f"order {self.what} is {self.found} at {self.exchange}, and {self.expected} by our books"


def difference_of(payload: bytes, session: Session, listings: Sequence[Listing]) -> Difference:
    """From the report that the router gets (REPORT_DIFFERS)."""
    report = np.frombuffer(payload, EXECUTION_REPORT_DTYPE, 1)[0]
    name, reason = session.settings.name, Reason(int(report["reason"]))
    own = [item for item in listings if item.exchange == name]
    if reason == Reason.BALANCE_UNEXPLAINED:
        asset = session.assets[int(report["fee_asset"])]
        decimals = int(report["fee_decimals"])
        expected, found = (canonical(from_scaled(int(report[field]), decimals))
                           for field in ("last_price", "last_quantity"))
        return Difference(name, reason.name, _named([item for item in own if asset in (item.base, item.quote)]), asset,
                          expected, found)
    index = int(report["listing"])
    known = [listings[index]] if index < len(listings) else []
    words = ["open" if int(report[field]) else "not open" for field in ("last_price", "last_quantity")]
    shown = encode(int(report["client_order_id"]))
    return Difference(name, reason.name, _named(known), " ".join([shown, *(item.symbol for item in known)]), *words)


class Differences:
    """Those that stand, the newest last; each is told.

    Parameters
    ----------
    listings : list of Listing
    directory : path
        By which the engine is reached.
    report : callable(str)
    """

    def __init__(self, listings: Sequence[Listing], directory: Path, report: Callable[[str], None]):
        self.standing: list[Difference] = []
        self._listings, self._directory, self._report = listings, directory, report

    def found(self, session: Session, payload: bytes, accepted: bool) -> None:
        """One more, of which the router knows already; `accepted`: what the exchange says is taken for right."""
        one = difference_of(payload, session, self._listings)
        if accepted:
            self._report(f"{one}; it is taken for right (exchanges.{one.exchange}.unexplained_balances = \"accept\")")
            return
        if not one.instruments and one.reason == Reason.BALANCE_UNEXPLAINED.name:
            self._report(f"{one}; nothing that is traded here is concerned, so it is taken for right")
            return
        self.standing.append(one)
        del self.standing[:-MOST_DIFFERENCES]
        for name in one.instruments:
            self._report(f"{one}: {name} takes no new order until `orderflow rearm {self._directory} --instrument "
                         f"{name}` says that the exchange is right")
        if not one.instruments:
            self._report(f"{one}; nothing that is traded here is concerned")

    def settled(self, instrument: str) -> None:
        """Somebody said that the exchange is right."""
        self.standing[:] = [one for one in self.standing if instrument not in one.instruments]


def _named(listings: Sequence[Listing]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(item.instrument for item in listings))
