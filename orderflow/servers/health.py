"""What the user may ask about one exchange, and how what happens to it is told."""
from __future__ import annotations

from dataclasses import dataclass, field

from orderflow._core.codec import DecodeStatus
from orderflow._core.types import BookFault, BookState, EventKind, LossReason
from orderflow._core.websocket import FrameFault

NO_LISTING = 0xFFFFFFFF
#: The scale of a listing is chosen at the start, with room for finer steps, and stays.
OUTGROWN = (": a number was finer or larger than can be held. If it comes again, restart to take up the exchange's new "
            "steps")


@dataclass(slots=True)
class Health:
    """Of one exchange."""

    connects: int = 0
    losses: int = 0                 # not those that another connection was opened for beforehand
    refused_frames: int = 0
    refused_calls: int = 0          # REST: 429 and the like
    held_back: int = 0              # times that a message or REST call had to wait for a limit
    unanswered: int = 0             # subscriptions and logins that were not answered in time
    books: dict[int, str] = field(default_factory=dict)
    last_problem: str = ""

    def book_changed(self, loop, listing: int, state: BookState, fault: BookFault) -> str:
        """What is to be told when a listing's book changes its state; "" = nothing."""
        before = self.books.get(listing)
        self.books[listing] = state.name
        if state == BookState.STALE:
            return stale(loop, listing, fault)
        again = state == BookState.LIVE and before == BookState.STALE.name
        return f"book of {loop.symbol(listing)} is LIVE again" if again else ""

    def line_changed(self, loop, line: str, listing: int, state: BookState, fault: BookFault) -> str:
        """The same when it is the book of one line, and the listing's stays as it is."""
        if (state != BookState.STALE or fault == BookFault.DISCONNECTED
                or self.books.get(listing) != BookState.LIVE.name):
            return ""
        return (f"{line} connection: its book of {loop.symbol(listing)} is STALE ({fault.name}); the other line's is "
                "read")


def stale(loop, listing: int, fault: BookFault) -> str:
    """One line on a book that may not be believed any more."""
    advice = OUTGROWN if fault == BookFault.INEXACT else ""
    return f"book of {loop.symbol(listing)} is STALE ({fault.name}) and not read until it is in step again{advice}"


def lost(reason: LossReason, detail: int) -> str:
    """Why a connection was lost."""
    if reason == LossReason.PROTOCOL_BROKEN:
        return f"{reason.name} ({FrameFault(detail).name})"
    if reason == LossReason.FRAME_UNREADABLE:
        return f"{reason.name} ({DecodeStatus(detail).name})"
    return f"{reason.name} ({detail})" if detail else reason.name


def describe(loop, event, payload: bytes) -> str:
    """One line on an event that a user should hear of; "" for any other."""
    listing, value, detail = int(event["listing"]), int(event["value"]), int(event["detail"])
    if event["kind"] == EventKind.BOOK_CHANGED and value == BookState.STALE:
        return stale(loop, listing, BookFault(detail))
    if event["kind"] == EventKind.FRAME_REFUSED:
        name = f" of {loop.symbol(listing)}" if listing != NO_LISTING else ""
        shown = payload[:120].decode(errors="replace")
        return f"a frame{name} was refused: {DecodeStatus(value).name} at byte {detail}: {shown!r}"
    return ""
