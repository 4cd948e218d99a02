"""A book that cannot be trusted takes no order, within its budget, and comes back by itself: seen from the parent
order."""
from decimal import Decimal

import pytest

from orderflow.research.simulation import INSTRUMENT
from tests.three_exchanges import engines

SECOND_NS = 1_000_000_000
#: After which nothing that was heard of a book makes it STALE.
BUDGET_S = 5
LOOK_S = 0.1


@pytest.fixture
def make():
    yield from engines()


def numbers(engine, name, role):
    """Connection numbers of an exchange's lines for market data, or for orders."""
    lines = engine.conversations[list(engine.exchanges).index(name)].lines
    return [engine.server._numbers.get((name, index)) for index, line in enumerate(lines)
            if (line.endpoint.name == "orders") == (role == "orders")]


def state(engine, name):
    index = next(i for i, listing in enumerate(engine.core.listings) if listing.exchange == name)
    return engine.book_state(index)


def freeze(engine, name):
    """Nothing of its market data arrives from now on; returns how to undo that. Orders go on."""
    exchange, kind = engine.exchanges[name], type(engine.exchanges[name])

    def drain():
        hidden = numbers(engine, name, "market data")
        return [(number, item) for number, item in kind.drain(exchange)
                if number not in hidden or not isinstance(item, str) or '"data"' not in item]

    exchange.drain = drain
    return lambda: exchange.__dict__.pop("drain")


def trades_there(engine, name):
    """Whether an order that may go nowhere else is filled."""
    parent = engine.wait(engine.submit(INSTRUMENT, "buy", "0.01", seconds=1, exchanges=[name]))
    assert parent.filled == (Decimal("0.01") if parent.children else 0)
    return parent.children > 0


def only_elsewhere(engine, name):
    """An order that may go anywhere goes anywhere but there."""
    parent = engine.wait(engine.submit(INSTRUMENT, "buy", "20", seconds=10))
    assert parent.filled == 20
    return name not in parent.by_exchange


@pytest.mark.parametrize("name", ("alpha", "gamma"))
def test_a_frozen_book_is_left_alone_and_comes_back_by_itself(make, name):
    engine = make(silence_s=BUDGET_S)
    assert not only_elsewhere(engine, name) and trades_there(engine, name)
    thaw = freeze(engine, name)
    began_ns = engine.now_ns
    engine.run(10, lambda: state(engine, name) == "STALE")
    assert engine.now_ns - began_ns <= (BUDGET_S + LOOK_S) * SECOND_NS
    assert not trades_there(engine, name) and only_elsewhere(engine, name)
    thaw()
    engine.run(60, lambda: state(engine, name) == "LIVE")
    assert trades_there(engine, name) and engine.orders.audit() == []


@pytest.mark.parametrize("name", ("alpha", "gamma"))
def test_an_exchange_whose_market_data_is_cut_is_left_alone_at_once_and_comes_back_by_itself(make, name):
    engine = make()
    conversation = engine.conversations[list(engine.exchanges).index(name)]
    line = next(index for index, one in enumerate(conversation.lines) if one.endpoint.name != "orders")
    sent = engine.core.loops[name].sent_orders[0]
    conversation.disconnected(line, 1006, conversation.lines[line].epoch)
    parent = engine.submit(INSTRUMENT, "buy", "0.01", exchanges=[name])
    engine.run(0)
    assert state(engine, name) == "STALE" and engine.core.loops[name].sent_orders[0] == sent
    assert engine.wait(parent, 60).filled == Decimal("0.01") and state(engine, name) == "LIVE"
