"""The decisions of a parent order as a person would tell them."""
from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from fractions import Fraction

from orderflow._core.decision_log import DecisionPath, LeftOut
from orderflow._core.types import Algorithm, InputKind, Reason, Side
from orderflow.instrument import canonical
from orderflow.research.decisions import Decision, Offer
from orderflow.research.explain import Explanation, alone_bps
from orderflow.research.tca_fills import exact
from orderflow.research.tca_records import Parent

#: Decisions that are told; a longer story is in --json.
MOST_DECISIONS = 20
CAUSES = {InputKind.INPUT_WAKE: "when a book had changed", InputKind.INPUT_REPORT: "when an order was reported on",
          InputKind.INPUT_TIMER: "when a time was up", InputKind.INPUT_COMMAND: "at a command"}
#: Of an exchange that was left out; its book's state is told apart.
WHY = {
    LeftOut.NOT_ALLOWED: "the parent order may not go there",
    LeftOut.HALTED_LISTING: "the exchange has halted it",
    LeftOut.ORDER_UNDER_WAY: "an order of ours was out there, and until it ends its book shows what that takes",
    LeftOut.NO_ROOM: "it had no room for another order, by its limits on rates",
    LeftOut.ONE_AT_A_TIME: "it took no order a moment before, and another one was tried there first",
    LeftOut.BOOK_UNCHANGED: "its book had not changed since our last order there ended",
    LeftOut.TAKES_NO_ORDERS: "no orders are sent there",
    LeftOut.KILLED_EXCHANGE: "it was killed",
    LeftOut.ONLY_REDUCES: "only what reduces the position there passes, and there was nothing to reduce",
    LeftOut.NO_FUNDS: "the account had no funds for that there, as the exchange had said",
    LeftOut.NO_RATE: "nobody quoted what its currency costs",
    LeftOut.WAITS_FOR_BETTER: "the order has time, and does not pay so much yet",
    LeftOut.SENT_LATER: "its order is sent later, to arrive with those to slower exchanges",
    LeftOut.CONDITION_NOT_MET: "its spread or its depth was not what the order waits for",
    LeftOut.OTHER_CHOSEN: "the policy keeps to one exchange, and another one was better for the whole",
}


def story(told: Explanation) -> Iterator[str]:
    """Line by line."""
    parent = told.parent
    filled = sum(order.filled for order in parent.orders)
    ordered, done = (canonical(exact(value, parent.quantity_decimals)) for value in (parent.ordered, filled))
    verb = "Buy" if parent.side == Side.BUY else "Sell"
    price = canonical(exact(parent.limit_price, parent.price_decimals))
    limit = f", at {price} or better" if parent.limit_price else ""
    yield (f"{verb} {ordered} {parent.name}{limit}, {parent.algorithm.lower()}, for {parent.strategy}: parent order "
           f"{parent.id} of run {parent.run}, taken at {_time(parent.arrival_ns)}.")
    if not any(decision.sent for decision in told.decisions) and not parent.orders:
        yield "No order was sent for it."
    for number, decision in enumerate(told.decisions[:MOST_DECISIONS], 1):
        yield ""
        yield from _decision(number, decision, parent)
    if len(told.decisions) > MOST_DECISIONS:
        yield ""
        yield f"And {len(told.decisions) - MOST_DECISIONS} more decisions: --json has them."
    yield ""
    yield f"In the end {done} of {ordered} {parent.base} were filled, with {len(parent.orders)} orders."
    for note in told.notes:
        yield f"Note: {note}."


def _time(unix_ns: int) -> str:
    at = datetime.fromtimestamp(unix_ns // 10**9, UTC)
    return f"{at:%Y-%m-%d %H:%M:%S}.{unix_ns % 10**9 // 1000:06d} UTC"


def _price(value: Fraction) -> str:
    return f"{float(value):,.4f}"


def _milliseconds(ns: int) -> str:
    return f"{ns / 1e6:,.3f} ms"


def _distance(bps: float) -> str:
    """Of another way to trade the same."""
    if round(bps, 2) == 0:
        return "the same"
    return f"{abs(bps):.2f} bps {'worse' if bps > 0 else 'better'}"


def _cause(decision: Decision, parent: Parent) -> str:
    if decision.cause == InputKind.INPUT_PARENT:
        return "as it came" if decision.at_ns == parent.arrival_ns else "when it was changed"
    if decision.cause == InputKind.INPUT_TIMER and parent.algorithm not in (
            Algorithm.IMMEDIATE.name, Algorithm.RESTING.name):
        return "when a slice began"
    return CAUSES[decision.cause]


def _decision(number: int, decision: Decision, parent: Parent) -> Iterator[str]:
    base, wanted = parent.base, canonical(decision.wanted)
    later = _milliseconds(decision.at_ns - parent.arrival_ns)
    when = f"Decision {number}, {later} after that, {_cause(decision, parent)}: "
    if not decision.given:
        yield f"{when}of {wanted} {base} nothing could be sent."
    else:
        sent = f"{canonical(decision.sent)} of {wanted} {base} were sent"
        assert decision.average is not None
        distance = f", {decision.cost_bps:+.2f} bps from the mid" if decision.cost_bps is not None else ""
        yield f"{when}{sent}, at {_price(decision.average)} {parent.quote} a unit with fees{distance}."
    for offer in sorted(decision.offers, key=lambda one: not one.asked):
        yield f"  {_offer(offer, parent)}"
    yield from (f"  {line}" for line in _alternatives(decision, parent))
    if decision.path == DecisionPath.CUT_SHORT:
        yield (f"  The search for the best split was cut short after {decision.nodes} tries: as much may cost up to "
               f"{_price(decision.gap)} {parent.quote} less, and up to {canonical(decision.unfilled)} {base} more may "
               "be possible.")


def _book(offer: Offer) -> str:
    if offer.best is None or offer.all_in is None:
        return "nothing was displayed"
    age = f", {_milliseconds(offer.age_ns)} old" if offer.age_ns is not None else ""
    fades = f", counted {offer.surcharge_bps:.2f} bps dearer for what fades there" if offer.surcharge_bps else ""
    return (f"best {canonical(offer.best)}, {_price(offer.all_in)} with the fee; {canonical(offer.shown)} within the "
            f"limit (version {offer.version}{age}){fades}")


def _offer(offer: Offer, parent: Parent) -> str:
    if not offer.asked:
        return f"{offer.exchange} was left out: {_why(offer)}."
    assert offer.limit is not None and offer.average is not None
    most = f" It may only reduce, so no more than {canonical(offer.most)}." if offer.most is not None else ""
    display = f", showing {canonical(offer.display)} at a time" if offer.display is not None else ""
    return (f"{offer.exchange}: {canonical(offer.asked)} {parent.base}{display}, limit {canonical(offer.limit)}, "
            f"{_price(offer.average)} with fees: {_outcome(offer)}. It showed: {_book(offer)}.{most}")


def _outcome(offer: Offer) -> str:
    if offer.result not in (Reason.OK, Reason.TABLE_FULL):
        return f"risk refused it ({offer.result.name})"
    if offer.result == Reason.TABLE_FULL:
        return "it was not sent, too many were under way (TABLE_FULL)"
    if offer.filled == offer.asked:
        return "all of it was filled"
    rest = f"is {offer.end}" if offer.end in ("open", "in doubt") else f"was {offer.end.replace('_', ' ')}"
    return f"{canonical(offer.filled)} were filled, and the rest {rest}" if offer.filled else f"it {rest}"


def _why(offer: Offer) -> str:
    if offer.left_out == LeftOut.BOOK_NOT_TRADABLE:
        fault = f" ({offer.fault})" if offer.fault != "NO_FAULT" else ""
        heard = f", last heard of {_milliseconds(offer.age_ns)} before" if offer.age_ns is not None else ""
        return f"its book was {offer.state}{fault}{heard}"
    if offer.left_out != LeftOut.NOT_LEFT_OUT:
        return WHY[offer.left_out]
    if not offer.shown:
        return f"nothing was displayed within the limit; {_book(offer)}" if offer.best is not None else _book(offer)
    return f"{'the others were cheaper' if offer.alone else 'that is less than it takes as an order'}; {_book(offer)}"


def _alternatives(decision: Decision, parent: Parent) -> Iterator[str]:
    """What else the same books would have cost."""
    if not decision.given or decision.path == DecisionPath.RESTED:
        return
    for offer in decision.offers:
        if offer.alone is None or offer.asked == decision.given:
            continue
        yield f"All of it on {offer.exchange}: {_alone(decision, offer, parent)}."
    if (bps := decision.worse_bps(decision.sweep)) is not None and len(_used(decision)) > 1:
        yield f"The best prices first, without a look at fees: {_distance(bps)}."


def _used(decision: Decision) -> list[Offer]:
    """Exchanges that could be used."""
    return [offer for offer in decision.offers if offer.alone]


def _alone(decision: Decision, offer: Offer, parent: Parent) -> str:
    bps = alone_bps(decision, offer)
    if offer.alone_average is None:
        return "nothing could have been had"
    price = f"{_price(offer.alone_average)} {parent.quote} a unit"
    if bps is None:
        assert offer.alone is not None
        return f"only {canonical(offer.alone)} could have been had, at {price}"
    return f"{_distance(bps)}, {price}"
