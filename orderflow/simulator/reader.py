"""How the records of a capture are read: which subscription a frame belongs to, what it says, what REST answered."""
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any

import msgspec

from orderflow.simulator.capture import Answer, Contents, RecordedLevels, RecordedTrade
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.recording import Record


class Reader:
    """Reads the records of one capture in order; a subclass per protocol says what they mean.

    A stream is whatever tells one subscription from another, a name as spelled or a `Subscription`; its symbol
    is empty where a channel has none.
    """

    def stream(self, record: Record) -> Any:
        """The stream that a received frame belongs to; None for answers, notices, heartbeats and what is no frame."""
        if record.direction != "rx":
            return None
        try:
            return self.stream_of(record.payload)
        except msgspec.MsgspecError:
            return None

    def stream_of(self, text: str) -> Hashable | None:
        """The stream of a frame. May raise msgspec.MsgspecError for what is not market data."""
        raise NotImplementedError

    def answer(self, record: Record) -> Answer | None:
        """The REST answer in an http record, if it is one that clients ask for and that tells of all that there is."""
        return None

    def events(self, stream: Any, text: str) -> Iterator[RecordedLevels | RecordedTrade]:
        """What a frame says about book and trades, newer than the snapshot of its symbol. History is left out."""
        raise NotImplementedError

    def snapshot_levels(self, symbol: str, body: bytes) -> RecordedLevels:
        """A recorded REST snapshot; from now on `events` leaves out what it contains."""
        raise NotImplementedError

    def book_of(self, body: bytes) -> tuple[list, list]:
        """Bids and asks of a recorded REST snapshot, (price, quantity) texts."""
        raise NotImplementedError

    def numbers(self, record: Record) -> Iterator[tuple[str, list, bool]]:
        """(symbol, (price, quantity) texts, whether they are of its book) of a record with books or trades."""
        if record.direction == "http":
            answer = self.answer(record)
            if answer is not None and answer.symbol:
                bids, asks = self.book_of(answer.body)
                yield answer.symbol, bids + asks, True
            return
        stream = self.stream(record)
        if stream is not None:
            for event in self.events(stream, record.payload):
                if isinstance(event, RecordedLevels):
                    yield event.symbol, event.bids + event.asks, True
                else:
                    yield event.symbol, [(event.price, event.quantity)], False


def instruments_of(contents: Contents, symbols: Iterable[str], pair: Callable[[str], tuple[str, str]],
                   decimals: tuple[int, int] = (8, 8)) -> tuple[SimulatedInstrument, ...]:
    """Instruments of which a capture holds nothing but frames: with the digits on the wire.

    Parameters
    ----------
    pair : function
        Base and quote of a symbol.
    decimals : (int, int)
        Of prices and quantities, where no number of a symbol was recorded.
    """
    return tuple(SimulatedInstrument(symbol, *pair(symbol), *contents.decimals(symbol, decimals))
                 for symbol in sorted(set(symbols)))
