"""`orderflow consolidated`: one instrument over all exchanges, in the order of what it really costs."""
from __future__ import annotations

import time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from orderflow.cli import GOOD, output
from orderflow.cli.look import look

if TYPE_CHECKING:
    from orderflow.config import Settings
    from orderflow.consolidated import Consolidated
    from orderflow.research.market_data import MarketData

#: Digits of prices and averages that are shown to people.
SHOWN = Decimal("1e-8")


def command(
    configuration: Annotated[Path, typer.Argument(metavar="CONFIG.toml", help="The exchanges; nothing is traded.")],
    instrument: Annotated[str, typer.Argument(metavar="INSTRUMENT", help="As BTC-USD.")],
    quantity: Annotated[str | None, typer.Option("--quantity", metavar="BASE", help="Say what so much costs and "
                                                 "brings, and how it is split best.")] = None,
    price: Annotated[str | None, typer.Option("--price", metavar="PRICE", help="Say how much there is at this price "
                                              "and better.")] = None,
    levels: Annotated[int, typer.Option(min=1, help="Levels of each side.")] = 10,
    seconds: Annotated[float, typer.Option(min=0.0, help="How long to look at the books.")] = 2.0,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object with every number.")] = False,
) -> int:
    """Show the consolidated book of an instrument: price, quantity, exchange, price with fees, age.

    Fees are those of the configuration; what is quoted in another currency is converted (docs/joined-instruments.md).
    """
    def answer(data: MarketData, settings: Settings) -> dict[str, Any]:
        return _document(_book(data, settings, instrument), quantity, price, levels)

    found = look(configuration, instrument, seconds, answer)
    if as_json:
        output.result(found)
    else:
        for line in _lines(found):
            output.text(line)
    return GOOD


def _book(data: MarketData, settings: Settings, instrument: str) -> Consolidated:
    """With the fees and charges of the configuration."""
    from orderflow.cli.run import charges_of
    from orderflow.consolidated import Consolidated
    from orderflow.instrument import decimal, table

    listings = []
    for listing in data.core.listings:
        chosen = settings.exchanges[listing.exchange]
        listings.append(listing.with_fees(decimal(chosen.maker_fee, "maker_fee"), decimal(
            chosen.taker_fee, "taker_fee")).with_charges(charges_of(chosen)))
    rows = table(listings, [session.settings.name for session in data.sessions])
    return Consolidated(data.instruments[instrument], listings, rows, data.core.board.read, time.monotonic_ns())


def _document(book: Consolidated, quantity: str | None, price: str | None, most: int) -> dict[str, Any]:
    """Plain values; decimals as text. By side of the taker: "buy" is what is offered."""
    found: dict[str, Any] = {"instrument": book.item.name, "left_out": book.left_out,
                             "rates": {currency: [_text(one) for one in pair] for currency, pair in book.rates.items()}}
    for side in ("buy", "sell"):
        one: dict[str, Any] = {"levels": [_plain(level) for level in book.levels(side)[:most]]}
        if quantity is not None:
            split = book.best_split(side, quantity)
            one |= {"cost": _plain(book.cost(side, quantity)),
                    "best_split": _plain(split) | {"parts": [_plain(part) for part in split.parts]}}
        if price is not None:
            one["quantity_within"] = _text(book.quantity_within(side, price))
        found[side] = one
    return found


def _plain(one: Any) -> dict[str, Any]:
    fields = {name: getattr(one, name) for name in one.__dataclass_fields__}
    return {name: _text(value) if isinstance(value, Decimal) else value for name, value in fields.items()}


def _text(number: Decimal) -> str:
    from orderflow.instrument import canonical

    return canonical(number)


def _lines(found: dict[str, Any]) -> list[str]:
    written = [f"{place} is left out: {why}" for place, why in found["left_out"].items()]
    written += [f"1 {currency}: {buy} for who buys, {sell} for who sells"
                for currency, (buy, sell) in found["rates"].items()]
    for side, verb in (("buy", "To buy"), ("sell", "To sell")):
        one = found[side]
        rows = [("price", "quantity", "with fees", "age, s", "exchange", "its own price")]
        rows += [(_short(level["price"]), level["quantity"], _short(level["all_in"]), f"{level['age_seconds']:.1f}",
                  f"{level['exchange']} {level['symbol']}", f"{level['own_price']} {level['currency']}")
                 for level in one["levels"]]
        written += ["", f"{verb} {found['instrument']}:", *output.columns(rows)]
        if "cost" in one:
            written += _answer(one)
        if "quantity_within" in one:
            written.append(f"  at that price and better: {one['quantity_within']}")
    return written


def _answer(one: dict[str, Any]) -> list[str]:
    cost, split = one["cost"], one["best_split"]
    if cost["average"] is None:
        return ["  nothing is displayed"]
    sent = ", ".join(f"{part['quantity']} on {part['exchange']} {part['symbol']} at {part['limit_price']} "
                     f"{part['currency']}" for part in split["parts"])
    return [f"  {cost['quantity']}: {_short(cost['all_in'])} with fees, {_short(cost['all_in_average'])} each, down to "
            f"{_short(cost['worst_price'])}", f"  split best: {sent or 'nothing can be sent'}"]


def _short(number: str) -> str:
    return _text(Decimal(number).quantize(SHOWN))
