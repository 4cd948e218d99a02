"""What the router saw: which publication of each board it had read when it took a parent order or decided an order.

Times cannot tell. A frame and what was decided on it may have one time, on a virtual clock all the way to the fill, and
the book that the fill has left behind is not the one that it was decided on. The router's input log names every board
that was read, in order with the inputs, so what was seen is exact on any clock. It is read whole, 32 bytes an input, as
for a replay.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from orderflow._core.types import InputKind
from orderflow.instrument import Instrument, Listing
from orderflow.research.tca_records import Order, Parent

PUBLICATION_MASK = (1 << 40) - 1


class View(NamedTuple):
    """A question: an instrument as its boards were seen.

    Attributes
    ----------
    instrument : int
        Index in the run.
    publications : tuple of (listing, publication)
        Of the boards that had been read: its own, and those that give its listings their rates.
    """

    instrument: int
    publications: tuple[tuple[int, int], ...]


class Views:
    """Of one run.

    Parameters
    ----------
    inputs : array of INPUT_RECORD_DTYPE
        The router's input log.
    offset_ns : int
        Unix clock - monotonic clock of the run.
    listings : sequence of Listing
        Of the run: which of them give others their rates.
    """

    def __init__(self, inputs: np.ndarray, offset_ns: int, listings: Sequence[Listing] = ()):
        self._offset_ns, self._listings = offset_ns, listings
        reads = inputs[inputs["kind"] == InputKind.BOARD_READ]
        self._reads = {int(listing): reads[reads["source"] == listing] for listing in np.unique(reads["source"])}
        self._parents = inputs[inputs["kind"] == InputKind.INPUT_PARENT]

    def arrival(self, parent: Parent) -> View | None:
        """When the router took a parent order; None where the log does not have it."""
        place = parent.number - 1
        if parent.instrument is None or not 0 <= place < len(self._parents):
            return None
        taken = self._parents[place]
        if int(taken["event_ns"]) + self._offset_ns != parent.arrival_ns:       # a journal that could not be written
            return None
        return self._at(int(taken["sequence"]), parent.instrument)

    def decided(self, parent: Parent, order: Order) -> View | None:
        """When it decided an order."""
        return self._at(order.sequence, parent.instrument) if order.sequence and parent.instrument else None

    def _at(self, sequence: int, item: Instrument) -> View:
        """The newest publications that were read up to an input."""
        found = []
        sources = {listing.convert for listing in self._listings if listing.instrument == item.name} - {""}
        givers = [index for index, listing in enumerate(self._listings) if listing.instrument in sources]
        for listing in (*item.listings, *givers):
            reads = self._reads.get(listing)
            if reads is not None and (place := int(np.searchsorted(reads["sequence"], sequence, "right"))):
                found.append((listing, int(reads["number"][place - 1]) & PUBLICATION_MASK))
        return View(item.index, tuple(found))
