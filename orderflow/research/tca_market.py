"""The market of a recorded run at the moments that costs are measured at: one pass over all exchanges' recordings.

A question is about one instrument at one time, or as the router saw it: its mid, the best prices of its books, and, of
a time, three sums since the beginning. A window's TWAP and VWAP are differences of such sums at its two ends, so
nothing is remembered of what lies between, however many windows overlap. The records of all exchanges are merged by
their time and stepped through the loops that took them when the run traded; memory is that of the books and of the
questions.

The mid is halfway between the best bid and the best ask over those books of the instrument that are LIVE, as the router
has it for its arrival price; without both there is none. Books in other quote currencies are converted with the rates
as they stand, trades there with the middle of both; while there is no rate, both are left out. Beyond the end of an
exchange's recording its books are not LIVE, and beyond the end of all of them nothing is known.
"""
from __future__ import annotations

import heapq
import struct
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import zstandard

from orderflow._core.board import BOARD_ENTRY_DTYPE
from orderflow._core.conversion import converted
from orderflow._core.types import TAPE_DTYPE, WAKE_DTYPE, BookState, Side, TapeKind
from orderflow.consolidated import rates_of
from orderflow.instrument import RATE_DECIMALS
from orderflow.research.replayed import TAPE_RECORDS
from orderflow.research.tca_records import HALVES, TEN, Run
from orderflow.research.tca_views import View
from orderflow.servers.recorder import path_of
from orderflow.servers.recorder import read as read_frames

#: The first word of types.Recorded: when it was taken.
NOW = struct.Struct("<q")
#: A board of which nothing is known.
UNREAD = np.zeros(1, BOARD_ENTRY_DTYPE)[0]
#: Bytes of types.Recorded before its payload: a record that is shorter was torn off.
HEADER_BYTES = 32


class Moment(NamedTuple):
    """A question: an instrument at a time.

    Attributes
    ----------
    time_ns : int
        Unix.
    settled : bool
        With what was received in that very nanosecond; False = as it was just before.
    instrument : int
        Index in the run.
    """

    time_ns: int
    settled: bool
    instrument: int


@dataclass(frozen=True, slots=True)
class Sample:
    """The answer; prices and quantities as in tca_records.

    Attributes
    ----------
    mid : int, optional
    quotes : dict of int -> (bid, ask)
        By listing index, where both sides of a LIVE book are there.
    area, known_ns : int
        Sum of mid * nanoseconds since the beginning, and for how long there was a mid.
    notional, volume : int
        Sums of the market's trades since the beginning; our own are not among them.
    """

    mid: int | None
    quotes: dict[int, tuple[int, int]]
    area: int
    known_ns: int
    notional: int
    volume: int


Question = Moment | View


class _Prices:
    """One instrument: the books' best prices, and the sums."""

    def __init__(self):
        self.bids: dict[int, int] = {}          # by listing
        self.asks: dict[int, int] = {}
        self.mid: int | None = None
        self.last: tuple[int, int] | None = None        # the newest mid that there was, and until when
        self.since_ns = self.area = self.known_ns = self.notional = self.volume = 0

    def advance(self, now_ns: int) -> None:
        """The mid has stood until now."""
        if self.mid is not None:
            passed = now_ns - self.since_ns
            self.area += self.mid * passed
            self.known_ns += passed
            self.last = self.mid, now_ns
        self.since_ns = now_ns

    def show(self, listing: int, bid: int | None, ask: int | None, now_ns: int) -> None:
        """What a book shows from now on."""
        self.advance(now_ns)
        for side, price in ((self.bids, bid), (self.asks, ask)):
            if price is None:
                side.pop(listing, None)
            else:
                side[listing] = price
        self.mid = _mid(self.bids, self.asks)

    def sample(self) -> Sample:
        return Sample(self.mid, _quotes(self.bids, self.asks), self.area, self.known_ns, self.notional, self.volume)


def _mid(bids: dict[int, int], asks: dict[int, int]) -> int | None:
    return (max(bids.values()) + min(asks.values())) // 2 if bids and asks else None


def _quotes(bids: dict[int, int], asks: dict[int, int]) -> dict[int, tuple[int, int]]:
    return {listing: (bid, asks[listing]) for listing, bid in bids.items() if listing in asks}


class Market:
    """The recording of a run, to be asked once.

    Parameters
    ----------
    directory : path
    run : Run
        The last one that was recorded there; `has_frames` says whether its files are there.

    Raises
    ------
    RunStartError
        This orderflow makes another table of its listings.

    Attributes
    ----------
    last_mids : dict of int -> (mid, time)
        By instrument, after `sample`: the newest mid in the recording, and until when it stood (unix ns).
    problems : list of str
        Recordings that end in the middle.
    """

    #: What boards showed at the publications that were wanted, by (listing, publication): BOARD_ENTRY_DTYPE.
    boards: dict[tuple[int, int], np.void]
    #: The run's listings: array of LISTING_DTYPE.
    table: np.ndarray

    def __init__(self, directory, run: Run):
        self._directory, self._run = Path(directory), run
        _, self._core = run.start.build(TAPE_RECORDS)
        self.table = self._core.table
        self._prices = [_Prices() for _ in self._core.instruments]
        self._rates = [(0, 0)] * len(self._core.listings)
        self._gives_rates = {int(row["rate_instrument"]) for row in self._core.table if row["conversion"]}
        self._ended: set[str] = set()       # exchanges whose recording has ended
        self._wanted: set[tuple[int, int]] = set()
        self.boards = {}
        self.last_mids: dict[int, tuple[int, int]] = {}
        self.problems: list[str] = []

    def sample(self, questions: Iterable[Question], own: Collection[tuple[int, int]]) -> dict[Question, Sample]:
        """Answers to those of the questions that lie within the recording; of a View, without sums.

        Parameters
        ----------
        own : collection of (listing, trade id)
            Trades of ours, which are not the market's.
        """
        asked = set(questions)
        waiting = sorted((one for one in asked if isinstance(one, Moment)), reverse=True)       # the earliest last
        views = [one for one in asked if isinstance(one, View)]
        self._wanted = {published for view in views for published in view.publications}
        found: dict[Question, Sample] = {}
        began_ns = None
        for now_ns, name, record in heapq.merge(*(self._records(name) for name in self._core.loops)):
            if began_ns is None and record:
                began_ns = now_ns
            while waiting and (waiting[-1].time_ns < now_ns
                               or waiting[-1].time_ns == now_ns and not waiting[-1].settled):
                moment = waiting.pop()
                if began_ns is not None and moment.time_ns >= began_ns:
                    found[moment] = self._sample(moment)
            if record:
                self._take(name, record, now_ns, own)
            else:
                self._end(name, now_ns)
        found |= {view: self._seen(view) for view in views if all(one in self.boards for one in view.publications)}
        self.last_mids = {index: prices.last for index, prices in enumerate(self._prices) if prices.last is not None}
        return found

    def span(self) -> tuple[int, int]:
        """From when to when something is recorded, of any exchange, unix nanoseconds; ValueError where nothing is."""
        times = [now_ns for name in self._core.loops for now_ns, _, record in self._records(name) if record]
        if not times:
            raise ValueError(f"{self._directory}: the recording of run {self._run.epoch} is empty")
        return min(times), max(times)

    def _records(self, name: str) -> Iterator[tuple[int, str, bytes]]:
        """(unix time, exchange, record) in order; the last record is empty: nothing is known of its books any more."""
        now_ns = 0
        try:
            for record in read_frames(self._directory, name):
                if len(record) < HEADER_BYTES:
                    break
                now_ns = max(now_ns, NOW.unpack_from(record)[0] + self._run.offset_ns)
                yield now_ns, name, record
        except zstandard.ZstdError as error:
            self.problems.append(f"{path_of(self._directory, name)}: the recording ends in the middle: {error}")
        yield now_ns + 1, name, b""

    def _take(self, name: str, record: bytes, now_ns: int, own: Collection[tuple[int, int]]) -> None:
        self._core.loops[name].replay(record)
        wakes, pending = self._core.wakes[name], self._core.wake_pending
        while (wake := wakes.pop(WAKE_DTYPE)) is not None:
            listing = int(wake["listing"])
            pending[listing] = 0
            self._show(listing, now_ns)
        tape = self._core.tapes[name]
        while (event := tape.pop(TAPE_DTYPE)) is not None:
            if event["kind"] == TapeKind.TAPE_TRADE and (int(event["listing"]), int(event["id"])) not in own:
                self._trade(event)

    def _show(self, listing: int, now_ns: int) -> None:
        entry, instrument = self._core.board.read(listing), int(self._core.table[listing]["instrument"])
        bid, ask = self._tops(listing, entry, self._rates[listing])
        self._prices[instrument].show(listing, bid, ask, now_ns)
        if (published := (listing, int(entry["publication"]))) in self._wanted:
            self.boards[published] = entry
        if instrument in self._gives_rates:
            self._convert_anew(now_ns)

    def _tops(self, listing: int, entry: np.void, rates: tuple[int, int]) -> tuple[int | None, int | None]:
        """Best bid and best ask as prices are here; there are none unless the book is LIVE."""
        row, (buy, sell) = self._core.table[listing], rates
        if row["conversion"] and not buy:
            return None, None
        bid, ask = (converted(int(entry[side][0]["price"]) * int(row["price_factor"]), rate, taker) * TEN ** HALVES
                    if entry[count] else None for side, count, rate, taker in (
                        ("bids", "bid_count", sell, Side.SELL), ("asks", "ask_count", buy, Side.BUY)))
        return bid, ask

    def _convert_anew(self, now_ns: int) -> None:
        """Show the books again whose rate is another one now."""
        before, self._rates = self._rates, rates_of(self._core.table, self._entry)
        for listing, rate in enumerate(self._rates):
            if rate != before[listing] and self._core.listings[listing].exchange not in self._ended:
                self._prices[int(self._core.table[listing]["instrument"])].show(
                    listing, *self._tops(listing, self._core.board.read(listing), rate), now_ns)

    def _entry(self, listing: int) -> np.void:
        """What is known of a board; nothing where the recording has ended."""
        entry = self._core.board.read(listing).copy()
        if self._core.listings[listing].exchange in self._ended:
            entry["book_state"] = BookState.STALE
        return entry

    def _trade(self, event) -> None:
        row = self._core.table[int(event["listing"])]
        prices = self._prices[int(row["instrument"])]
        quantity = int(event["quantity"]) * int(row["quantity_factor"])
        price = int(event["price"]) * int(row["price_factor"]) * TEN ** HALVES
        if row["conversion"]:
            rate = sum(self._rates[int(event["listing"])])
            if not rate:
                return
            price = price * rate // (2 * TEN ** RATE_DECIMALS)
        prices.volume += quantity
        prices.notional += quantity * price

    def _end(self, name: str, now_ns: int) -> None:
        self._ended.add(name)
        self._convert_anew(now_ns)
        for listing, item in enumerate(self._core.listings):
            if item.exchange == name:
                self._prices[int(self._core.table[listing]["instrument"])].show(listing, None, None, now_ns)

    def _sample(self, moment: Moment) -> Sample:
        prices = self._prices[moment.instrument]
        prices.advance(moment.time_ns)
        return prices.sample()

    def _seen(self, view: View) -> Sample:
        """With the rates that the router had read by then."""
        seen = {listing: self.boards[listing, publication] for listing, publication in view.publications}
        rates = rates_of(self._core.table, lambda listing: seen.get(listing, UNREAD))
        tops = {listing: self._tops(listing, entry, rates[listing]) for listing, entry in seen.items()
                if self._core.table[listing]["instrument"] == view.instrument}
        bids = {listing: bid for listing, (bid, _) in tops.items() if bid is not None}
        asks = {listing: ask for listing, (_, ask) in tops.items() if ask is not None}
        return Sample(_mid(bids, asks), _quotes(bids, asks), 0, 0, 0, 0)


def has_frames(directory, run: Run) -> bool:
    """Whether the frames of every exchange are there, of the last run that was recorded: a recording takes the place
    of the one before."""
    return all(path_of(directory, exchange.name).is_file() for exchange in run.start.exchanges)
