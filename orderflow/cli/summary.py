"""What a run can say of itself as plain values: for `--json`, for the end of `demo` and `run`, and for the screen."""
from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_HALF_EVEN, Decimal

from orderflow._core.conversion import converted
from orderflow._core.latency import LatencyHistogram
from orderflow._core.types import Side
from orderflow.consolidated import rates_of
from orderflow.engine import Engine
from orderflow.instrument import canonical, from_scaled, in_instrument, place_of
from orderflow.parents import ParentState
from orderflow.research.market_data import MarketData

#: Digits after the point of averages, which have no end of their own.
AVERAGE = Decimal("1e-8")
BASIS_POINTS = Decimal("1e-4")
#: How far a fee may be from the configured fraction: exchanges round it, and the prices of fills differ.
FEE_ROUNDING = Decimal("0.000005")
STAGES = ("frame_to_board", "frame_to_decision", "decided_to_sent", "frame_to_sent")


def text(number: Decimal | None, step: Decimal | None = None) -> str | None:
    """Decimal text of an exact number; one that is not exact is rounded to `step` (half even)."""
    if number is None:
        return None
    return canonical(number.quantize(step, ROUND_HALF_EVEN) if step is not None else number)


def exchanges(engine: Engine | MarketData) -> list[dict]:
    """Of each exchange: its name, protocol, frames, what became of its books, and what it did not answer or allow."""
    found = []
    healths = {conversation.name: conversation.health for conversation in engine.conversations}
    for session in engine.sessions:
        name = session.settings.name
        loop = engine.core.loops[name]
        own = {item.own_name: loop.counters(index) for index, item in enumerate(engine.core.listings)
               if item.exchange == name}
        found.append({
            "name": name, "protocol": session.protocol, "frames": loop.totals["frames"],
            "books": {instrument: counters["state"] for instrument, counters in own.items()},
            "gaps": sum(counters["gaps"] for counters in own.values()),
            "resyncs": sum(counters["resyncs"] for counters in own.values()),
            "unanswered": healths[name].unanswered, "refused_calls": healths[name].refused_calls,
            "held_back": healths[name].held_back})
    return found


def parent(state: ParentState) -> dict:
    """One parent order; money as decimal text."""
    return {
        "id": state.id, "instrument": state.instrument, "side": state.side, "quantity": text(state.quantity),
        "filled": text(state.filled), "average_price": text(state.average_price, AVERAGE),
        "arrival_price": text(state.arrival_price), "slippage_bps": text(state.slippage_bps, BASIS_POINTS),
        "fees": {asset: text(amount) for asset, amount in state.fees.items()},
        "by_exchange": {exchange: {
            "filled": text(part["filled"]), "average_price": text(part["average_price"], AVERAGE),
            "fees": {asset: text(amount) for asset, amount in part["fees"].items()}, "fills": part["fills"]}
            for exchange, part in state.by_exchange.items()},
        "status": state.status, "reason": state.reason, "refusal": state.refusal}


def mid(engine: Engine, instrument: str) -> Decimal | None:
    """Halfway between the best bid and the best ask of all LIVE books; None if there is no such thing."""
    item = engine.instruments[instrument]
    bids: list[Decimal] = []
    asks: list[Decimal] = []
    rates = rates_of(engine.core.table, engine.core.board.read)
    for index in item.listings:
        entry, listing, (buy, sell) = engine.core.board.read(index), engine.core.listings[index], rates[index]
        if engine.book_state(index) != "LIVE" or (listing.convert and not buy):
            continue
        for found, side, rate, taker in ((bids, "bid", sell, Side.SELL), (asks, "ask", buy, Side.BUY)):
            if entry[f"{side}_count"]:
                price = in_instrument(listing, item, int(entry[f"{side}s"][0]["price"]))
                found.append(from_scaled(converted(price, rate, taker), item.price_decimals))
    return (max(bids) + min(asks)) / 2 if bids and asks else None


def positions(engine: Engine) -> dict[str, dict[str, str]]:
    """Net position by instrument: of each exchange, and in total. Fees that were taken in kind are not in it."""
    found = {}
    for instrument in engine.core.instruments:
        parts = {place_of(engine.core.listings, index): from_scaled(
            engine.position(index).net, engine.core.listings[index].quantity_decimals)
            for index in instrument.listings}
        found[instrument.name] = {**{name: text(net) for name, net in parts.items()},
                                  "total": text(sum(parts.values(), Decimal(0)))}
    return found


def flows(engine: Engine, exchange: str = "") -> dict[str, Decimal]:
    """What trading changed of each asset, fees included; on one exchange or on all. Exact."""
    changed: dict[str, Decimal] = {}

    def add(asset: str, amount: Decimal) -> None:
        changed[asset] = changed.get(asset, Decimal(0)) + amount

    for index, listing in enumerate(engine.core.listings):
        if exchange not in ("", listing.exchange):
            continue
        view = engine.position(index)
        add(listing.base, from_scaled(view.net, listing.quantity_decimals))
        add(listing.quote, from_scaled(view.sold_notional - view.bought_notional,
                                       listing.price_decimals + listing.quantity_decimals))
        assets = engine.sessions[int(engine.table[index]["exchange"])].assets
        for asset, (amount, decimals) in view.fees.items():
            if asset < len(assets):
                add(assets[asset], -from_scaled(amount, decimals))
    return changed


def unexpected_fees(engine: Engine) -> list[str]:
    """One line for each listing whose fees were not those that routing counts with, as fractions of the notional."""
    found = []
    for index, listing in enumerate(engine.core.listings):
        view = engine.position(index)
        notional = from_scaled(view.bought_notional + view.sold_notional,
                               listing.price_decimals + listing.quantity_decimals)
        if not notional:
            continue
        average = notional / from_scaled(view.bought + view.sold, listing.quantity_decimals)
        assets = engine.sessions[int(engine.table[index]["exchange"])].assets
        charged = {assets[asset]: from_scaled(amount, decimals) for asset, (amount, decimals) in view.fees.items()
                   if asset < len(assets)}
        where = f"exchange {listing.exchange} {listing.symbol}"
        if others := sorted(asset for asset in charged if asset not in (listing.base, listing.quote)):
            found.append(f"{where}: charged fees in {', '.join(others)}, which routing does not know the worth of")
            continue
        rate = (charged.get(listing.quote, Decimal(0)) + charged.get(listing.base, Decimal(0)) * average) / notional
        low, *_, high = sorted((listing.maker_fee, listing.taker_fee, *(fee for _, fee in listing.fee_tiers)))
        if rate < low - FEE_ROUNDING or (rate > high + FEE_ROUNDING and not listing.ticket):    # it may be in the rate
            found.append(f"{where}: charged {rate * 10_000:.2f} bps, but routing counts with "
                         f"{low * 10_000:.2f} to {high * 10_000:.2f}; set maker_fee and taker_fee of "
                         f"exchanges.{listing.exchange}")
    return found


def profit(flows: dict[str, Decimal], prices: dict[str, Decimal], quote: str) -> dict[str, str | None]:
    """What trading changed of each asset after fees, and what that is worth in `quote` at these prices.

    The total is None where an asset has no price.
    """
    worth = [amount * (Decimal(1) if asset == quote else prices[asset]) for asset, amount in flows.items()
             if asset == quote or asset in prices]
    complete = len(worth) == len(flows)
    return {**{asset: text(amount) for asset, amount in sorted(flows.items())},
            "total": text(sum(worth, Decimal(0)), AVERAGE) if complete else None, "currency": quote}


def latency(engine: Engine | MarketData) -> dict[str, dict[str, int]]:
    """count, p50, p99, p99_9 and max in nanoseconds, by stage, over all exchanges; stages that never ran are left out.

    On the virtual clock of the direct server only the work on a frame takes time that means something.
    """
    found = {}
    for stage in STAGES:
        merged = LatencyHistogram()
        if stage == "frame_to_decision":
            if isinstance(engine, Engine):
                merged.merge(engine.router.frame_to_decision)
        else:
            for loop in engine.core.loops.values():
                merged.merge(getattr(loop, stage))
        if merged.count and (stage == "frame_to_board" or engine.server.name != "direct"):
            found[stage] = merged.summary()
    return found


def table(rows: list[tuple[str, ...]], left: int = 1, write: Callable[[str], None] = print) -> None:
    """Aligned columns: the first `left` to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        write("  " + "  ".join(cell.ljust(width) if column < left else cell.rjust(width)
                               for column, (cell, width) in enumerate(zip(row, widths, strict=True))).rstrip())
