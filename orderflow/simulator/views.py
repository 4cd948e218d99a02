"""Books as their subscribers have them: what was sent last, so that the next frame says what differs from it.

A subscription to a limited depth sees a window: a level that falls out of it is deleted there although it still rests
in the book, and one that comes back is sent again. Dialects whose clients cut their books themselves (Kraken) do not
use this.
"""
from collections.abc import Hashable
from dataclasses import dataclass

from orderflow._core.types import Side
from orderflow.simulator.market import CAPACITY, MarketBook

Levels = list[tuple[int, int]]


@dataclass
class View:
    """What the subscribers of one channel hold: price -> quantity, and the number of the last frame."""
    bids: dict[int, int]
    asks: dict[int, int]
    update_id: int              # of the MarketBook
    number: int = 0             # of frames sent


class Views:
    """The views of one exchange, by whatever names a channel."""

    def __init__(self):
        self._views: dict[Hashable, View] = {}

    def get(self, key: Hashable, book: MarketBook, depth: int = 0) -> View:
        """The view under `key`, made from the book as it is now if there is none; depth 0 = the whole book."""
        view = self._views.get(key)
        if view is None:
            view = self._views[key] = View(*_sides(book, depth), book.update_id)
        return view

    def forget(self, key: Hashable) -> None:
        """Nobody is subscribed any more."""
        self._views.pop(key, None)

    def keys(self) -> list[Hashable]:
        """Channels with a view."""
        return list(self._views)

    def changes(self, key: Hashable, book: MarketBook, depth: int = 0) -> tuple[View, Levels, Levels] | None:
        """Bring a view up to date: (the view, changed bids, changed asks), quantity 0 for what is gone; None if nothing
        changed. Deletions come first, then the rest best first."""
        view = self.get(key, book, depth)
        if view.update_id == book.update_id:
            return None
        bids, asks = _sides(book, depth)
        changed = _differences(view.bids, bids), _differences(view.asks, asks)
        view.bids, view.asks, view.update_id = bids, asks, book.update_id
        if not changed[0] and not changed[1]:
            return None
        view.number += 1
        return view, *changed


def _sides(book: MarketBook, depth: int) -> tuple[dict[int, int], dict[int, int]]:
    return dict(book.levels(Side.BUY, depth or CAPACITY)), dict(book.levels(Side.SELL, depth or CAPACITY))


def _differences(old: dict[int, int], new: dict[int, int]) -> Levels:
    return [(price, 0) for price in old if price not in new] + [
        (price, quantity) for price, quantity in new.items() if old.get(price) != quantity]
