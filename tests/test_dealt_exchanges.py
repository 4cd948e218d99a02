"""The whole engine on one recorded book that was dealt to three simulated exchanges."""
import random
from decimal import Decimal
from fractions import Fraction

import pytest

from orderflow.routing import BOARD_DEPTH
from orderflow.simulator import capture
from orderflow.simulator.recorded_book import RecordedBook
from tests.dealt_captures import DECIMALS, scaled, trading, write

LOT = 1_000                     # 0.00001 BTC
UNIT = 10 ** (2 * DECIMALS)     # of price times quantity
ROUNDING = Fraction(1, 10**12)  # of average prices, in the quote currency
SECONDS_BETWEEN = 0.5


class Unmoved(RecordedBook):
    """Every order meets the book as recorded: the single book that it is compared with knows of none before it."""

    def submit(self, order):
        submission = super().submit(order)
        self._taken.clear()
        return submission


@pytest.fixture(scope="module")
def captures(feeds, tmp_path_factory):
    folder = tmp_path_factory.mktemp("dealt")
    write(feeds / "captures/binance_spot_btcusdt_20240808.tsv.gz", folder, LOT)
    return folder


def cheapest(books, side, quantity, fees):
    """All-in total of the best split there is: every level of every exchange by its price with fee.

    `books`: levels of each exchange, `fees`: of each, as fractions.
    """
    sign = 1 if side == "buy" else -1
    levels = sorted((sign * price * (1 + sign * fee), available)
                    for book, fee in zip(books, fees, strict=True) for price, available in book)
    total = Fraction(0)
    for cost, available in levels:
        taken = min(quantity, available)
        total, quantity = total + cost * taken, quantity - taken
    assert quantity == 0
    return total * sign


def exchange_side(exchange, side):
    """What the simulated exchange has for a taker, as integers, best first."""
    levels = exchange.source.top(exchange.source.instruments[0], 3 * BOARD_DEPTH)[side == "buy"]
    return [(scaled(price), scaled(quantity)) for price, quantity in levels]


@pytest.mark.parametrize(("fees", "instants"), [(("0", "0", "0"), 1_000), (("0.0003", "0.0002", "0.00025"), 200)],
                         ids=["equal fees", "different fees"])
def test_parent_orders_pay_what_the_undivided_book_would_have_cost(captures, monkeypatch, fees, instants):
    """Each of a thousand times. Within a lot would do; lots that are equal make it exact. With different fees: what the
    best split over the three costs."""
    monkeypatch.setattr(capture, "RecordedBook", Unmoved)
    draw, used = random.Random(7), set()
    with trading(captures, fees) as (engine, exchanges):
        engine.run(2)
        for i in range(instants):
            engine.run(SECONDS_BETWEEN)
            side = ("buy", "sell")[i % 2]
            books = [exchange_side(exchange, side) for exchange in exchanges.values()]
            shown = min(sum(quantity for _, quantity in book[:BOARD_DEPTH]) for book in books)
            quantity = draw.randint(1, shown // LOT) * LOT
            total = cheapest(books, side, quantity, [Fraction(fee) for fee in fees])
            parent = engine.wait(engine.submit("BTC-USDT", side, Decimal(quantity).scaleb(-DECIMALS), seconds=5))
            sign = 1 if side == "buy" else -1
            paid = sum(Fraction(part["filled"]) * Fraction(part["average_price"]) * (1 + sign * Fraction(fee))
                       for name, fee in zip(exchanges, fees, strict=True)
                       if (part := parent.by_exchange.get(name)))
            assert parent.filled == Decimal(quantity).scaleb(-DECIMALS)
            assert abs(paid - total / UNIT) < ROUNDING, f"instant {i}: {parent}"
            used.add(len(parent.by_exchange))
    assert used == {1, 2, 3}
