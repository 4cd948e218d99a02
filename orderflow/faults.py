"""What the router found broken, in words: each stops everything, so each says what a person is to look at."""
from __future__ import annotations

from orderflow._core.client_id import encode
from orderflow._core.types import FaultCode

#: What is the matter, and what to do.
MEANINGS = {
    FaultCode.PARENT_EXCEEDED: (
        "parent order {subject}: an order for it would have made more of it than it asks for; the order was not sent. "
        "The router is wrong: keep the directory, it shows how"),
    FaultCode.PARENT_OVERFILLED: (
        "parent order {subject} was filled beyond what it asks for; compare its fills with the exchange's "
        "(`orderflow journal show`)"),
    FaultCode.ORDER_OVERFILLED: (
        "order {order} was filled beyond its quantity; compare its fills with the exchange's "
        "(`orderflow journal show`)"),
    FaultCode.FILL_NOT_REMEMBERED: (
        "a fill of order {order} found no room among those that are remembered, so the same one again would count "
        "twice; raise maximum_orders"),
    FaultCode.FILL_NOT_PLACED: (
        "a fill arrived for order {order}, which had left the order table: it is in the journal and in no position; "
        "compare positions with the exchange's, and raise maximum_orders"),
    FaultCode.JOURNAL_LOST: (
        "the journal could not be flushed, and nobody knows what of it is on the disk; look at the disk, then restart"),
}


def text(code: FaultCode, subject: int) -> str:
    """One sentence; `subject` is a parent id or a client order id, as the code has it."""
    return MEANINGS[code].format(subject=subject, order=encode(subject))
