"""What an exchange is being asked about orders whose fate is not clear: one question after the other.

A question is answered by several REST calls, of which the answer to one may lead to the next. It is over when none of
them is out any more, and whole when each brought what it was made for. The native loop is told that too: it concludes
nothing from half an answer.
"""
from __future__ import annotations

from orderflow.exchanges.actions import OrderQuestion, Request

#: A question whose answer has not come by then is given up: the router asks again.
PATIENCE_NS = 90_000_000_000


class Questions:
    """Of one exchange. At most one for each order of the router's table. Control thread only."""

    def __init__(self) -> None:
        self._waiting: dict[int, OrderQuestion] = {}        # by client order id, in order
        self._open: OrderQuestion | None = None
        self._asked_ns = 0
        self._calls = 0                                     # of the open one, that are out
        self._whole = True

    def ask(self, question: OrderQuestion) -> None:
        """It is to be asked; once, however often the router wishes."""
        self._waiting.setdefault(question.client_order_id, question)

    def next(self, now_ns: int) -> OrderQuestion | None:
        """The question that is to be asked now, if none is open."""
        if self._open is not None and now_ns - self._asked_ns > PATIENCE_NS:
            self._open = None
        if self._open is not None:
            self._waiting.pop(self._open.client_order_id, None)     # it is being asked
        if self._open is not None or not self._waiting:
            return None
        self._open = self._waiting.pop(next(iter(self._waiting)))
        self._asked_ns, self._calls, self._whole = now_ns, 0, True
        return self._open

    @property
    def is_open(self) -> bool:
        """Whether a question waits for its answers."""
        return self._open is not None

    def calling(self) -> None:
        """A call of the open question goes out."""
        self._calls += 1

    def answered(self, request: Request, useful: bool) -> bool:
        """One of its calls was answered. Whether that concerns the open question at all."""
        if self._open is None or request.question is not self._open:
            return False
        self._calls -= 1
        self._whole &= useful
        return True

    def finished(self) -> tuple[OrderQuestion, bool] | None:
        """The open question and whether its answer is whole, when no call of it is out; then it is open no more."""
        if self._open is None or self._calls:
            return None
        question, self._open = self._open, None
        return question, self._whole
