"""Bitfinex's checksum, from the texts of the numbers as they came: no number is ever made of them but to sort by."""
import json
import zlib
from decimal import Decimal

COVERED = 25


class TextBook:
    """One book of precision P0, kept as the texts that were received."""

    def __init__(self):
        self._sides = {}                # whether it is an ask -> price -> (price, amount) as written

    def take(self, payload):
        """The payload of a book frame, decoded with `as_written`."""
        whole = not payload or isinstance(payload[0], list)
        if whole:
            self._sides = {False: {}, True: {}}
        for price, count, amount, *_ in payload if whole else [payload]:
            side = self._sides[amount.startswith("-")]
            if count == "0":
                side.pop(Decimal(price), None)
            else:
                side[Decimal(price)] = price, amount

    def best(self, is_ask):
        """Texts of the covered levels of a side, best first."""
        side = self._sides[is_ask]
        return [side[price] for price in sorted(side, reverse=not is_ask)[:COVERED]]

    @property
    def summed(self):
        """The text under the checksum."""
        bids, asks = self.best(False), self.best(True)
        return ":".join(":".join(side[place]) for place in range(COVERED) for side in (bids, asks) if place < len(side))

    @property
    def checksum(self):
        """A signed 32-bit integer."""
        value = zlib.crc32(self.summed.encode())
        return value - 2**32 if value >= 2**31 else value


def as_written(text):
    """JSON with numbers as their texts."""
    return json.loads(text, parse_float=str, parse_int=str)
