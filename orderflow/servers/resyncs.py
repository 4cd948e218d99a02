"""When a fresh snapshot of each book may be asked for: an exchange bans who asks too often.

One is under way of a listing and line at a time. The first is asked for at once; the next one after a pause that
doubles each time, with jitter, until the book has stood for a while.

A subscription that was not acknowledged yet brings the snapshot too, and is asked for again by its own timer
(acknowledgements.py): until its answer has come no resync asks for it besides (Conversation.due).
"""
from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from orderflow._core.types import BookFault
from orderflow.exchanges.actions import Request

SECOND_NS = 1_000_000_000
FIRST_PAUSE_NS = SECOND_NS // 4
LONGEST_PAUSE_NS = 30 * SECOND_NS
#: Of a book that needed none for so long beyond its pause, nothing is held against it.
GOOD_NS = 10 * SECOND_NS


@dataclass(slots=True)
class Resync:
    """Of one listing."""

    fault: BookFault = BookFault.NO_FAULT   # why
    asked_ns: int | None = None
    pause_ns: int = 0                       # between the last one and the next
    due_ns: int | None = None               # of one that waits for its turn
    unsent: int = 0                         # messages of it that the exchange's limit holds back
    request: Request | None = None          # the REST call that is held back or under way

    @property
    def under_way(self) -> bool:
        return bool(self.unsent) or self.request is not None


class Resyncs:
    """Of all listings of one line of an exchange. Control thread only."""

    def __init__(self, jitter: random.Random):
        self._jitter = jitter
        self._resyncs: dict[int, Resync] = {}

    def needed(self, listing: int, fault: BookFault, now_ns: int) -> None:
        """Plan one; it is due at once unless the last one was a moment ago, and not at all while one is under way."""
        resync = self._resyncs.setdefault(listing, Resync())
        if resync.under_way:
            return
        resync.fault = fault
        if resync.asked_ns is None or now_ns - resync.asked_ns > GOOD_NS + resync.pause_ns:
            resync.pause_ns, resync.due_ns = 0, now_ns
        else:
            pause = int(resync.pause_ns * self._jitter.uniform(0.5, 1.0))
            resync.due_ns = max(now_ns, resync.asked_ns + pause)

    def due(self, now_ns: int) -> Iterator[tuple[int, BookFault]]:
        """Those to be asked for now, and why."""
        for listing, resync in list(self._resyncs.items()):
            if resync.due_ns is not None and now_ns >= resync.due_ns:
                resync.asked_ns, resync.due_ns = now_ns, None
                resync.pause_ns = min(LONGEST_PAUSE_NS, max(FIRST_PAUSE_NS, 2 * resync.pause_ns))
                yield listing, resync.fault

    @property
    def due_ns(self) -> int | None:
        """When the next one is due; None = none is planned."""
        return min((resync.due_ns for resync in self._resyncs.values() if resync.due_ns is not None), default=None)

    def sending(self, listing: int) -> None:
        """A message of it waits to be sent."""
        self._resyncs.setdefault(listing, Resync()).unsent += 1

    def sent(self, listing: int, now_ns: int) -> None:
        """It went out: the pause before the next resync counts from here."""
        self._resyncs[listing].unsent -= 1
        self._resyncs[listing].asked_ns = now_ns

    def fetching(self, request: Request) -> None:
        """A REST call of it waits to be made, or is."""
        self._resyncs.setdefault(request.listing, Resync()).request = request

    def fetched(self, request: Request) -> None:
        """It was answered."""
        self._resyncs[request.listing].request = None

    def is_waiting_for(self, request: Request) -> bool:
        """Whether its answer is of use: not where the connection that it was asked for is gone."""
        resync = self._resyncs.get(request.listing)
        return resync is not None and resync.request is request

    def forget(self) -> list[Request]:
        """The connection is gone: the next one asks anew. Returns the REST calls whose answers are of no use to it."""
        requests = [resync.request for resync in self._resyncs.values() if resync.request is not None]
        for resync in self._resyncs.values():
            resync.due_ns, resync.unsent, resync.request = None, 0, None
        return requests

    def adopt(self, request: Request) -> bool:
        """Wait for the answer to a call that the other line made. False if one of our own is under way."""
        if self._resyncs.setdefault(request.listing, Resync()).under_way:
            return False
        self.fetching(request)
        return True
