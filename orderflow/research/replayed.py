"""A capture through the native loop in one thread, frame by frame, on the capture's own clock."""
from __future__ import annotations

from collections.abc import Iterator

from orderflow._core.types import CommandKind, Role
from orderflow.exchanges import session_for
from orderflow.exchanges.session import SessionSettings
from orderflow.research.captures import read_capture
from orderflow.servers.health import describe
from orderflow.simulator.capture import survey
from orderflow.simulator.dialects import dialect
from orderflow.wiring import build_core

NAME = "capture"
TAPE_RECORDS = 1 << 16


class Replayed:
    """Iterate to play: each step has taken one frame or snapshot; what it did is on the tape, `core.tapes[NAME]`.

    Parameters
    ----------
    path : path-like
        A capture (docs/captures.md).
    protocol : str

    Attributes
    ----------
    listings : list of Listing
        Scaled by the digits on the wire, in the order of their first appearance.
    problems : list of str
        What the loop had to say, so far.
    """

    def __init__(self, path, protocol: str):
        self.listings = survey(path, dialect(protocol)).listings(NAME)
        self.problems: list[str] = []
        self._path = path
        self._session = session_for(protocol, SessionSettings(
            NAME, symbols=tuple(item.symbol for item in self.listings)))
        self.core = build_core([self._session], self.listings, borrows=False, tape_records=TAPE_RECORDS)
        self._loop = self.core.loops[NAME]

    def __iter__(self) -> Iterator[None]:
        indices = {listing.symbol: i for i, listing in enumerate(self.listings)}
        self._loop.command(CommandKind.CONNECTION_OPENED, role=Role.MARKET_DATA, epoch=1, argument=1)
        for record in read_capture(self._path):
            if record.direction in ("rx", "rxb"):
                text = record.payload.encode() if isinstance(record.payload, str) else record.payload
                self._loop.push_frame(0, 1, text, record.local_ns)
            elif record.direction == "http" and (symbol := self._session.snapshot_symbol(record.channel)) in indices:
                assert isinstance(record.payload, str)
                self._loop.command(CommandKind.SNAPSHOT_BODY, listing=indices[symbol], payload=record.payload.encode(),
                                   value=self._session.snapshot_levels(record.channel))
            else:
                continue
            self._loop.run_once(record.local_ns)
            self._take_events()
            yield

    def _take_events(self) -> None:
        while (taken := self._loop.next_event()) is not None:
            text = describe(self._loop, *taken)
            if text:
                self.problems.append(text)
