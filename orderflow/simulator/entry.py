"""What faults have to know of a protocol's private side: what a request wants, which frames answer it or tell of
orders, and how refusals are spelled. One subclass a protocol, in its dialect."""
from typing import Any, NamedTuple

from orderflow.simulator.exchange import Response


class Request(NamedTuple):
    """A private request."""
    kind: str               # place, cancel, change or query
    symbol: str             # "" where it names none
    identity: Any = None    # under which the answer comes


class OrderEntry:
    """The private side of one protocol, by the bytes alone."""

    def request(self, path: str, text: str) -> Request | None:
        """What a frame to the websocket at `path` wants; None where it is none of those."""
        raise NotImplementedError

    def call(self, method: str, path: str, query: str, body: bytes) -> Request | None:
        """The same of a REST request."""
        raise NotImplementedError

    def is_answer(self, text: str) -> bool:
        """Whether a frame answers a private request."""
        raise NotImplementedError

    def is_report(self, text: str) -> bool:
        """Whether a frame tells of orders or balances unasked."""
        raise NotImplementedError

    def words(self, kind: str, status: int) -> str:
        """The error that stands for a kind of fault where the script names none."""
        raise NotImplementedError

    def refusal(self, text: str, request: Request, error: str, status: int) -> str:
        """The frame that refuses the request `text`."""
        raise NotImplementedError

    def refused_call(self, error: str, status: int) -> Response:
        """The REST answer that refuses."""
        raise NotImplementedError

    def lie(self, text: str) -> str | None:
        """A report whose status word is not true, its quantities are; None where it has none to lie about."""
        raise NotImplementedError

    def zero_fill(self, text: str) -> str | None:
        """A fill of quantity 0 beside that of a report; None where it reports none."""
        raise NotImplementedError
