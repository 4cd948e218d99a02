"""How Bitfinex writes numbers, levels, trades, acknowledgements and what is traded.

Source: docs.bitfinex.com, "Public channels", "WebSocket checksum", REST "Configs". Numbers are written as JavaScript
writes them, from whose text the checksum is made.
"""
import zlib

from orderflow._core.types import Side
from orderflow.simulator.dialects.bitfinex_recorded import KEYED, Subscription, pair_of
from orderflow.simulator.dialects.windows import MILLISECOND_NS, trimmed
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.market import MarketBook
from orderflow.simulator.numbers import to_text
from orderflow.simulator.views import View

CHECKED = 25                    # levels a side that a checksum covers
SPELLINGS = [["UST", "USDt"]]


class Refused(Exception):
    """A refusal in Bitfinex's terms."""

    def __init__(self, code: int, message: str):
        super().__init__(message)
        self.code, self.message = code, message


def spelt(text: str) -> str:
    """A decimal as JavaScript writes the number (ECMA-262, Number::toString): below 0.000001 with an exponent."""
    text = trimmed(text)
    if not text.startswith("0.000000"):
        return text
    fraction = text.partition(".")[2]
    digits = fraction.lstrip("0")
    mantissa = digits[0] + (f".{digits[1:]}" if len(digits) > 1 else "")
    return f"{mantissa}e-{len(fraction) - len(digits) + 1}"


def checksum(book: MarketBook, view: View) -> int:
    """CRC-32 of bid, ask, bid, ask ... as price:amount, asks negative, as a signed integer."""
    sides = [[f"{spelt(book.price_text(price))}:{'-' if side == Side.SELL else ''}{spelt(book.quantity_text(quantity))}"
              for price, quantity in list(levels)[:CHECKED]] for side, levels in sides_of(view)]
    parts = [side[place] for place in range(CHECKED) for side in sides if place < len(side)]
    value = zlib.crc32(":".join(parts).encode())
    return value - (1 << 32) if value >> 31 else value


def sides_of(view: View) -> tuple:
    """Each side with its levels, best first."""
    return (Side.BUY, view.bids.items()), (Side.SELL, view.asks.items())


def level_text(book: MarketBook, side: Side, price: int, quantity: int) -> str:
    """A level; one that is gone has no orders, and only the sign of its amount means something."""
    amount = spelt(book.quantity_text(quantity)) if quantity else "1"
    return f"[{spelt(book.price_text(price))},{1 if quantity else 0},{'-' if side == Side.SELL else ''}{amount}]"


def trade_text(book: MarketBook, number: int, taker: Side, quantity: int, price: int, at_ns: int) -> str:
    """A trade; sold by the taker where its amount is negative."""
    sign = "-" if taker == Side.SELL else ""
    return (f"[{number},{at_ns // MILLISECOND_NS},{sign}{spelt(book.quantity_text(quantity))},"
            f"{spelt(book.price_text(price))}]")


def acknowledged(subscription: Subscription) -> dict:
    """What an acknowledgement repeats of the request."""
    if subscription.channel in KEYED:
        return {"key": subscription.symbol}
    named = {"symbol": subscription.symbol, "pair": subscription.symbol[1:]}
    if subscription.channel != "book":
        return named
    return named | {"prec": subscription.precision, "freq": subscription.frequency, "len": str(subscription.length)}


def config(label: str, instruments: tuple[SimulatedInstrument, ...]) -> list:
    """One of the lists and maps that Configs offers; those of what is not simulated are empty."""
    futures = [one for one in instruments if "F0" in one.symbol]
    spot = [one for one in instruments if "F0" not in one.symbol]
    if label == "pub:info:pair":
        return [_entry(one) for one in spot]
    if label == "pub:info:pair:futures":
        return [_entry(one) for one in futures]
    if label == "pub:list:pair:exchange":
        return [one.symbol[1:] for one in spot]
    if label == "pub:list:pair:futures":
        return [one.symbol[1:] for one in futures]
    if label == "pub:list:currency":
        return sorted({code for one in instruments for code in pair_of(one.symbol)})
    if label == "pub:map:currency:sym":
        return SPELLINGS
    if not label.startswith("pub:"):
        raise Refused(10020, "config: invalid")
    return []


def _entry(instrument: SimulatedInstrument) -> list:
    """A pair and its smallest and largest order, among what is null."""
    smallest, largest = (trimmed(to_text(quantity, instrument.quantity_decimals)) for quantity in (
        instrument.minimum_quantity, min(instrument.maximum_quantity, 10**16)))
    return [instrument.symbol[1:], [None, None, None, smallest, largest, None, None, None, None, None]]
