"""What paper trading needs to know of an exchange: how far away it is, and what its fees are charged in."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orderflow._core.paper import PaperExchange
from orderflow.instrument import Listing

if TYPE_CHECKING:
    from orderflow.exchanges.session import Session

#: Values of Facts.fees_in.
RECEIVED, QUOTE = "received", "quote"


@dataclass(frozen=True, slots=True)
class PaperSettings:
    """Orders go to a fill model of our own (docs/paper.md): no order connection, no keys.

    Attributes
    ----------
    order_ns : int
        From an order's leaving to the moment from which the market data that we receive tells of the book that it met:
        its own way, and that of the market data.
    report_ns : int
        From then to its report's arrival.
    """

    order_ns: int = 20_000_000
    report_ns: int = 20_000_000


def paper_exchange(session: Session, listings: Sequence[Listing]) -> PaperExchange:
    """The fill model of one exchange, and the assets of the session, which no order codec names then.

    Parameters
    ----------
    listings : sequence of Listing
        Of all exchanges, in index order.

    Raises
    ------
    SessionError
        What its fees are charged in, or what its quantities count, is not known here; the message says what to do.
    """
    settings, fees_in = session.settings, session.facts.fees_in
    assert settings.paper is not None
    if not fees_in:
        raise session.error(f"what {session.title} charges its fees in is not known here, so nothing can be traded on "
                            "paper there; set trade = false")
    own = [listing if listing.exchange == settings.name else None for listing in listings]
    for listing in filter(None, own):
        if listing.own_name != f"{listing.base}-{listing.quote}":
            raise session.error(f"{listing.symbol} is no spot listing: what its quantities count and what they cost "
                                "cannot be traded on paper; leave it out, or set trade = false")
    session.assets = sorted({asset for listing in filter(None, own) for asset in (listing.base, listing.quote)})
    number = session.assets.index
    return PaperExchange(
        [None if listing is None else (number(listing.base if fees_in == RECEIVED else listing.quote),
                                       number(listing.quote), fees_in == RECEIVED) for listing in own],
        settings.paper.order_ns, settings.paper.report_ns)
