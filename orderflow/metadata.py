"""What the exchanges of a run list: asked of each, with our fees and charges, and with what belongs together joined."""
from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from orderflow.exchanges.session import Session
from orderflow.instrument import Listing, OrderCharges, decimal
from orderflow.joining import Join, JoinError, joined
from orderflow.problems import EngineError


def reasons(failed: Mapping[str, str]) -> str:
    """One line on the exchanges that could not be reached, each with its reason."""
    return "; ".join(f"exchange {name}: {reason}" for name, reason in failed.items())


def fetch_listings(sessions: Sequence[Session], ask: Callable[[Session], dict[str, bytes]], *,
                   fees: Mapping[str, tuple[str, str]], charges: Mapping[str, OrderCharges],
                   joins: Mapping[str, Join], all_exchanges: bool,
                   report: Callable[[str], None]) -> tuple[list[Session], list[Listing]]:
    """The sessions whose exchange answered, and what these list.

    Parameters
    ----------
    ask : callable(Session) -> dict of str -> bytes
        Its metadata, by purpose; ConnectionError says why there is none.
    fees, charges : dict
        By exchange name; fees as (maker, taker).
    joins : dict of str -> Join
        By instrument name.
    all_exchanges : bool
        Whether every exchange must answer; else one is enough, and `report` is told of the others.

    Raises
    ------
    EngineError
        An exchange does not answer, or what is said of its listings does not fit them; the message names it.
    """
    reached: list[Session] = []
    listings: list[Listing] = []
    failed: dict[str, str] = {}
    for session in sessions:
        name = session.settings.name
        try:
            bodies = ask(session)
        except ConnectionError as error:
            failed[name] = str(error)
            if all_exchanges or len(failed) == len(sessions):
                raise EngineError(reasons(failed)) from None
            continue
        own, charged = session.listings(bodies), charges.get(name, OrderCharges())
        for listing in own:
            maker, taker = fees.get(name, (listing.maker_fee, listing.taker_fee))
            listing = listing.with_fees(decimal(maker, "maker_fee"), decimal(taker, "taker_fee"))
            listings.append(listing.with_charges(charged))
        _check(name, charged, own)
        reached.append(session)
    for name, reason in failed.items():
        report(f"{reasons({name: reason})}; it is left out of this run")
    try:
        return reached, joined(listings, joins, failed)
    except JoinError as error:
        raise EngineError(str(error)) from None


def _check(name: str, charges: OrderCharges, listings: Sequence[Listing]) -> None:
    """Charges of what the exchange does not list are a mistake in writing."""
    for what, given, known in (("tickets", charges.tickets, {listing.quote for listing in listings}),
                               ("fee_tiers", charges.fee_tiers, {listing.instrument for listing in listings})):
        for one in given:
            if one not in known:
                raise EngineError(f"{what} of {name}: {one!r} is not listed there; there are "
                                  f"{', '.join(sorted(known))}")
