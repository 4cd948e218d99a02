"""A session and its books against a simulated exchange, for the tests of one exchange."""
import asyncio
import contextlib
from decimal import Decimal

from orderflow._core.types import Side
from orderflow.exchanges import session_for
from orderflow.exchanges.session import SessionSettings
from orderflow.wiring import wait_until
from tests.loopback import HOST
from tests.serving import GRID_NS, PATIENCE, Clock, Run, start_exchange


@contextlib.contextmanager
def simulated(protocol):
    """(simulated exchange, its clock)."""
    clock = Clock()
    exchange = start_exchange(protocol, clock)
    try:
        yield exchange, clock
    finally:
        exchange.stop()


def connected(protocol, port, symbols, path="", **settings):
    """A session that knows no other URL than those of the simulated exchange."""
    return session_for(protocol, SessionSettings(
        protocol, rest=f"http://{HOST}:{port}", stream=f"ws://{HOST}:{port}{path}", symbols=tuple(symbols), **settings))


def true_books(exchange, symbols, depth):
    """Bids and asks of the matching engines as (price, quantity) Decimals, best first, by symbol; all that is due by
    their clock has happened."""
    def look():
        exchange.exchange.advance(exchange.now_ns)
        books = exchange.exchange.source.books
        return {symbol: [[(Decimal(books[symbol].price_text(price)), Decimal(books[symbol].quantity_text(quantity)))
                          for price, quantity in books[symbol].levels(side, depth)] for side in (Side.BUY, Side.SELL)]
                for symbol in symbols}
    return exchange.call(look)


def lose_one(exchange, key):
    """The exchange does not send the next frame that it publishes under `key`, and goes on as if it had."""
    venue = exchange.exchange

    def swallow(published, text, at_ns):
        if published != key:
            type(venue).publish(venue, published, text, at_ns)
            return
        del venue.publish

    exchange.call(setattr, venue, "publish", swallow)


def flows(run, protocol, frames):
    """Wait for so many more frames."""
    seen = run.frames(protocol)
    wait_until(lambda: run.frames(protocol) >= seen + frames, PATIENCE, f"{frames} frames")


def becomes_true(run, exchange, clock, symbols, depth, grid_ns=GRID_NS):
    """Stop the market; every book must become that of its matching engine."""
    clock.stop(grid_ns)
    name = exchange.exchange.protocol
    wait_until(lambda: run.books(name) == true_books(exchange, symbols, depth), PATIENCE, "equality of all books")
    assert run.states() == ["LIVE"] * len(symbols)
    books = true_books(exchange, symbols, depth)
    assert all(len(side) > 5 for sides in books.values() for side in sides)


def books_equal(protocol, symbols, window, path="", **settings):
    """Flow, then equality of so many levels a side, and nothing to complain about."""
    with simulated(protocol) as (exchange, clock), Run(
            "sync", [connected(protocol, exchange.ports.plain, symbols, path, **settings)]) as run:
        run.wait_live()
        flows(run, protocol, 60)
        becomes_true(run, exchange, clock, symbols, window)
        assert all(conversation.ready for conversation in run.conversations)
        assert run.problems == []


def one_is_resynced(protocol, symbols, key, depth, **settings):
    """A lost frame of the first symbol makes its book STALE, then LIVE again; the other never notices."""
    with simulated(protocol) as (exchange, clock), Run(
            "sync", [connected(protocol, exchange.ports.plain, symbols, **settings)]) as run:
        run.wait_live()
        lose_one(exchange, key)
        run.wait_told(f"book of {symbols[0]} is STALE (GAP)")
        run.wait_told(f"book of {symbols[0]} is LIVE again")
        becomes_true(run, exchange, clock, symbols, depth)
        loop = run.core.loops[protocol]
        assert [loop.counters(index)["gaps"] for index in range(len(symbols))] == [1] + [0] * (len(symbols) - 1)
        assert [loop.counters(index)["snapshots"] for index in range(len(symbols))] == [2] + [1] * (len(symbols) - 1)
        assert not [problem for problem in run.problems for symbol in symbols[1:] if symbol in problem]


def pointed(urls, port):
    """ccxt's base URLs with another host, and nothing else."""
    if not isinstance(urls, str):
        return {name: pointed(url, port) for name, url in urls.items()}
    scheme, _, rest = urls.partition("://")
    return f"{scheme.removesuffix('s')}://{HOST}:{port}/{rest.partition('/')[2]}".rstrip("/")


async def watched_until_true(client, symbol, exchange, clock, listed, depth, updates=10, grid_ns=GRID_NS,
                             part=lambda sides: sides):
    """ccxt's book of a symbol, watched over some updates and then, the market stopped, until it is the true one; `part`
    picks the levels of both that are compared."""
    for _ in range(updates):
        await asyncio.wait_for(client.watch_order_book(symbol), PATIENCE)
    clock.stop(grid_ns)
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while True:
        truth = [[(float(price), float(quantity)) for price, quantity in side]
                 for side in true_books(exchange, [listed], depth)[listed]]
        book = client.orderbooks[symbol]
        if part([[tuple(level[:2]) for level in book[side]] for side in ("bids", "asks")]) == part(truth):
            return book
        assert asyncio.get_running_loop().time() < deadline, "the book did not become that of the matching engine"
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(client.watch_order_book(symbol), 0.5)
