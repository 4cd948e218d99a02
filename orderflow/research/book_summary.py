"""What a tape says about one listing: counts, the final book, and a digest of every best bid and ask on the way.

The digests make two implementations comparable in one string: `bbo_trace_sha256` is over the line
`bid price|bid quantity|ask price|ask quantity` after every update, `final_book_sha256` over the lines
`B price quantity` and `A price quantity`, best first. Numbers are canonical decimals; an empty side gives empty fields;
without an update there is no trace.
"""
from __future__ import annotations

import hashlib

import numpy as np

from orderflow._core.types import Side, TapeKind
from orderflow.instrument import Listing, canonical, from_scaled

TOP = 20


class BookSummary:
    """Collects the tape records of one listing.

    Parameters
    ----------
    listing : Listing
        Names the scales.
    """

    def __init__(self, listing: Listing):
        self.listing = listing
        self.updates = self.levels = self.checksums = self.trades = self.volume = self.changes = 0
        self._trace = hashlib.sha256()
        self._last: bytes | None = None
        self._texts: dict[tuple[int, int], str] = {}

    def add(self, record: np.void) -> None:
        """Take in one record of TAPE_DTYPE."""
        kind = record["kind"]
        if kind == TapeKind.TAPE_TRADE:
            self.trades += 1
            self.volume += int(record["quantity"])
            return
        if kind not in (TapeKind.TAPE_UPDATE, TapeKind.TAPE_SNAPSHOT, TapeKind.TAPE_CHECK):
            return
        self.checksums += int(record["has_checksum"])
        if kind == TapeKind.TAPE_CHECK:
            return
        if kind == TapeKind.TAPE_SNAPSHOT:
            self._last = None
            return
        self.updates += 1
        self.levels += int(record["levels"])
        line = "|".join((*self._level(record, "bid"), *self._level(record, "ask"))).encode()
        self._trace.update(line + b"\n")
        if self._last is not None and line != self._last:
            self.changes += 1
        self._last = line

    def _level(self, record: np.void, side: str) -> tuple[str, str]:
        quantity = int(record[f"{side}_quantity"])
        if quantity == 0:
            return "", ""
        return self._text(int(record[f"{side}_price"]), self.listing.price_decimals), self._text(
            quantity, self.listing.quantity_decimals)

    def _text(self, value: int, decimals: int) -> str:
        text = self._texts.get((value, decimals))
        if text is None:
            if len(self._texts) > 100_000:
                self._texts.clear()
            text = self._texts[value, decimals] = canonical(from_scaled(value, decimals))
        return text

    def result(self, bids: np.ndarray, asks: np.ndarray, counters: dict) -> dict:
        """The summary, given the final levels (LEVEL_DTYPE, best first) and the loop's counters."""
        listing = self.listing
        sides = [[(listing.price_text(level["price"]), listing.quantity_text(level["quantity"])) for level in levels]
                 for levels in (bids, asks)]
        book = "".join(f"{letter} {price} {quantity}\n" for letter, levels in zip("BA", sides, strict=True)
                       for price, quantity in levels)
        best = [text for levels in sides for text in (levels[0] if levels else (None, None))]
        return {
            "updates_applied": self.updates,
            "levels_changed": self.levels,
            "gaps": counters["gaps"],
            "checksums_ok": self.checksums,
            "checksums_failed": counters["checksums_failed"],
            "trades": self.trades,
            "trade_volume": listing.quantity_text(self.volume),
            "bbo_changes": self.changes,
            "bbo_trace_sha256": self._trace.hexdigest() if self.updates else None,
            "final_levels": [len(bids), len(asks)],
            "final_bbo": best,
            "final_top_bids": [list(level) for level in sides[0][:TOP]],
            "final_top_asks": [list(level) for level in sides[1][:TOP]],
            "final_book_sha256": hashlib.sha256(book.encode()).hexdigest(),
        }


def summary_of(summary: BookSummary, book, counters: dict) -> dict:
    """`BookSummary.result` with the levels of an OrderBook."""
    return summary.result(book.levels(Side.BUY), book.levels(Side.SELL), counters)
