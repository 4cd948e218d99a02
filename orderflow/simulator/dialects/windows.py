"""What dialects share whose books are windows of a limited depth: one view for each subscription, kept while somebody
listens.
"""
import json
from collections.abc import Hashable
from typing import Generic, TypeVar

from orderflow.simulator.exchange import Connection, Exchange
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.market import MarketBook
from orderflow.simulator.views import Levels, View, Views

MILLISECOND_NS = 1_000_000
Key = TypeVar("Key", bound=Hashable)        # names a subscription


def compact(value) -> str:
    """JSON without spaces."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def trimmed(text: str) -> str:
    """A decimal without zeros at the end of its fraction."""
    return text.rstrip("0").rstrip(".") if "." in text else text


def pointed(text: str) -> str:
    """A decimal without zeros at its end, but for one that shows that it is a decimal."""
    short = trimmed(text)
    return short if "." in short else f"{short}.0"


class WindowExchange(Exchange, Generic[Key]):
    """Keeps the views and says when one has changed."""

    def __init__(self, source, name: str = ""):
        super().__init__(source, name)
        self.views = Views()
        self.sent_ns: dict[Key, int] = {}      # when something was last published of a view

    # what a dialect fills in

    def window(self, key: Key) -> tuple[str, int]:
        """Symbol and depth of a book's subscription."""
        raise NotImplementedError

    def publish_changes(self, book: MarketBook, key: Key, changed: tuple[View, Levels, Levels],
                        at_ns: int) -> None:
        """A view differs from what was published last."""
        raise NotImplementedError

    def publish_unchanged(self, book: MarketBook, key: Key, at_ns: int) -> None:
        """A view does not differ: the exchange may say so, by `repeat_interval_ns`."""

    def publish_interval_ns(self, depth: int) -> int:
        """How often a window of that depth is published."""
        return self.publish_every_ns

    def repeat_interval_ns(self, depth: int) -> int:
        """After how long an unchanged view is spoken of; 0 = never."""
        return 0

    # what is shared

    @property
    def instruments(self) -> tuple[SimulatedInstrument, ...]:
        """What is traded here."""
        return self.source.instruments

    def instrument(self, symbol) -> SimulatedInstrument | None:
        """The instrument of that symbol, if there is one."""
        return next((one for one in self.instruments if one.symbol == symbol), None)

    def play(self, stream: Key, text: str) -> None:
        """Send a recorded frame verbatim to whoever subscribed to what it is about."""
        for connection in self.listeners(stream):
            self.send(connection, text)

    def view(self, key: Key) -> tuple[MarketBook, View]:
        """The book of a subscription and what its subscribers hold of it."""
        symbol, depth = self.window(key)
        book = self.source.books[symbol]
        self.sent_ns.setdefault(key, self.now_ns)
        return book, self.views.get(key, book, depth)

    def publish(self, key: Key, text: str, at_ns: int) -> None:
        """Send a frame about a book to its subscribers."""
        self.sent_ns[key] = at_ns
        for connection in self.listeners(key):
            self.send(connection, text)

    def publish_book(self, book: MarketBook, at_ns: int) -> None:
        for key in self.views.keys():
            symbol, depth = self.window(key)
            if symbol != book.instrument.symbol:
                continue
            if key not in self.subscribers:
                self.views.forget(key)
                self.sent_ns.pop(key, None)
            elif (at_ns - self.source.origin_ns) % self.publish_interval_ns(depth) == 0:
                self._publish_window(book, key, depth, at_ns)

    def _publish_window(self, book: MarketBook, key: Key, depth: int, at_ns: int) -> None:
        changed = self.views.changes(key, book, depth)
        repeat_ns = self.repeat_interval_ns(depth)
        if changed is not None:
            self.publish_changes(book, key, changed, at_ns)
        elif repeat_ns and at_ns - self.sent_ns[key] >= repeat_ns:
            self.publish_unchanged(book, key, at_ns)

    def connection_name(self, connection: Connection) -> str:
        """The name by which the exchange calls a connection."""
        return f"{connection.id:08x}"
