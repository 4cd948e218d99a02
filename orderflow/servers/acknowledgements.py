"""Which subscriptions of one connection still wait for the exchange's answer, and for how long they may."""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from orderflow.exchanges.actions import Subscription

#: A subscription is asked for so often; then its connection is opened again.
MOST_TRIES = 3
#: Subscriptions that one message names; more are counted.
MOST_NAMED = 5


@dataclass(slots=True)
class Waiting:
    """For one answer."""

    tries: int
    due_ns: int | None      # None = to be asked for, and not sent yet


class Acknowledgements:
    """One connection's. Each time that a subscription is asked for, the answer may take twice as long."""

    def __init__(self, patience_ns: int):
        self.patience_ns = patience_ns
        self._waiting: dict[Subscription, Waiting] = {}

    def asking(self, subscriptions: Iterable[Subscription]) -> None:
        """These are to go out."""
        for subscription in subscriptions:
            self._waiting.setdefault(subscription, Waiting(0, None))

    def asked(self, subscriptions: Iterable[Subscription], now_ns: int) -> None:
        """These went out."""
        for subscription in subscriptions:
            waiting = self._waiting.setdefault(subscription, Waiting(0, None))
            waiting.due_ns = now_ns + (self.patience_ns << waiting.tries)
            waiting.tries += 1

    def answered(self, subscriptions: Iterable[Subscription]) -> None:
        """The exchange said something about these; it may say it twice."""
        for subscription in subscriptions:
            self._waiting.pop(subscription, None)

    def overdue(self, now_ns: int) -> list[Subscription]:
        """Those whose answer has not come in time: they are to be asked for again."""
        late = [subscription for subscription, waiting in self._waiting.items()
                if waiting.due_ns is not None and waiting.due_ns <= now_ns]
        for subscription in late:
            self._waiting[subscription].due_ns = None
        return late

    def waits_for(self, subscription: Subscription) -> bool:
        """Whether it is asked for, and its answer has not come."""
        return subscription in self._waiting

    def hopeless(self, subscriptions: Iterable[Subscription]) -> bool:
        """Whether one of these was asked for often enough."""
        return any(self._waiting[subscription].tries >= MOST_TRIES for subscription in subscriptions)

    def clear(self) -> None:
        """The connection is gone: nobody waits any longer."""
        self._waiting.clear()

    @property
    def due_ns(self) -> int | None:
        """When the next answer is overdue; None = nothing is waited for."""
        return min((waiting.due_ns for waiting in self._waiting.values() if waiting.due_ns is not None), default=None)


def named(subscriptions: list[Subscription]) -> str:
    """For a message: "book of BTC/USD, trade of BTC/USD and 7 more"."""
    shown = ", ".join(f"{channel} of {symbol}" for channel, symbol in subscriptions[:MOST_NAMED])
    more = len(subscriptions) - MOST_NAMED
    return f"{shown} and {more} more" if more > 0 else shown
