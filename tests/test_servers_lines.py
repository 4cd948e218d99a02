"""Two lines over real sockets, on both servers: cut, renewed, and never a moment without a LIVE book."""
import json
import socket

import pytest

from orderflow._core.types import BookState
from orderflow.simulator.exchange import Close
from orderflow.wiring import wait_until
from tests.serving import SERVERS, SYMBOLS, Clock, Run, check_equal, session_of, start_exchange

SECOND_NS = 1_000_000_000
PATIENCE = 30.0             # a renewal is several round trips, and a busy machine takes its time


class Watched:
    """A simulated exchange that knows how many connections were open at once, by their path."""

    def __init__(self, protocol, clock):
        self.exchange = start_exchange(protocol, clock)
        self.most, self.opened = {}, 0
        inner = self.exchange.exchange
        open_one = inner.open

        def counted(number, path, now_ns):
            open_one(number, path, now_ns)
            self.opened += 1
            there = sum(one.path == path for one in inner.connections.values())
            self.most[path] = max(self.most.get(path, 0), there)
        self.exchange.call(setattr, inner, "open", counted)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.exchange.stop()

    def numbers(self):
        """Of the connections that are open, oldest first."""
        return self.exchange.call(lambda: sorted(self.exchange.exchange.connections))

    def close(self, number):
        """End a connection as an exchange does."""
        inner = self.exchange.exchange
        self.exchange.call(lambda: inner.send(inner.connections[number], Close(1012, "restart")))

    def announce_end(self, number):
        """Binance's notice that a connection will be closed."""
        inner = self.exchange.exchange
        notice = json.dumps({"stream": "!serverShutdown", "data": {"e": "serverShutdown", "E": 1}})
        self.exchange.call(lambda: inner.send(inner.connections[number], notice))

    def cut(self, number):
        """End it without a word."""
        def abort():
            transport = self.exchange._clients[number]._transport
            transport.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
            transport.abort()
        self.exchange.call(abort)


def counted(run, protocol, name):
    loop = run.core.loops[protocol]
    return sum(loop.line_counters(index)[name] for index in range(len(SYMBOLS[protocol])))


def all_live(run):
    return all(run.core.board.read(index)["book_state"] == BookState.LIVE for index in range(len(run.core.listings)))


def both_live(run):
    """Every book of both lines."""
    return all(set(line.books.values()) == {"LIVE"} and len(line.books) == len(run.core.listings)
               for line in run.conversations[0].lines if line.carries_books)


@pytest.mark.parametrize("how", ["close", "cut"])
@pytest.mark.parametrize("protocol", ["binance_spot", "kraken_v2"])
@pytest.mark.parametrize("kind", SERVERS)
def test_either_line_is_lost_and_no_book_goes_stale(kind, protocol, how):
    clock = Clock()
    with Watched(protocol, clock) as world, \
            Run(kind, [session_of(protocol, world.exchange.ports.plain, lines=2)]) as run:
        wait_until(lambda: both_live(run), PATIENCE, f"both lines ({run.problems[-3:]})")
        for cuts in (1, 2, 3):
            getattr(world, how)(world.numbers()[0])
            wait_until(lambda cuts=cuts: run.conversations[0].health.losses == cuts, PATIENCE, "the loss")
            assert all_live(run)
            wait_until(lambda: both_live(run), PATIENCE, f"the line again ({run.problems[-3:]})")
        check_equal(run, [world.exchange], clock)
        assert counted(run, protocol, "outages") == 0 and counted(run, protocol, "takeovers") > 0
        assert counted(run, protocol, "duplicates") > 0
        assert not any("STALE" in problem for problem in run.problems)
        assert max(world.most.values()) == 2


@pytest.mark.parametrize("protocol", SYMBOLS)
@pytest.mark.parametrize("kind", SERVERS)
def test_connections_are_renewed_and_no_book_goes_stale(kind, protocol):
    """Of an exchange whose connections live for a second and a half."""
    clock = Clock()
    with Watched(protocol, clock) as world, Run(kind, [session_of(
            protocol, world.exchange.ports.plain, renew_after_ns=3 * SECOND_NS // 2)]) as run:
        run.wait_live()
        pairs = run.conversations[0].lines.pairs
        wait_until(lambda: all(pair.renewals >= 3 for pair in pairs), PATIENCE, "renewals")
        assert all_live(run)
        check_equal(run, [world.exchange], clock)
        assert counted(run, protocol, "outages") == 0
        assert all(most == 2 for most in world.most.values())
        assert run.conversations[0].health.losses == 0 and run.problems == []
        assert run.core.board.read(0)["epoch"] == 1         # the listing goes on, over one connection after the other
        wait_until(lambda: len(world.numbers()) <= 2 * len(pairs), PATIENCE, "the end of the old connections")


@pytest.mark.parametrize("kind", SERVERS)
def test_the_old_connection_is_closed_after_its_successor_has_taken_over(kind):
    clock = Clock()
    with Watched("binance_spot", clock) as world, Run(kind, [session_of(
            "binance_spot", world.exchange.ports.plain, renew_after_ns=2 * SECOND_NS)]) as run:
        run.wait_live()
        [pair] = run.conversations[0].lines.pairs
        [first] = world.numbers()
        wait_until(lambda: pair.renewals == 1, PATIENCE, "the renewal")
        wait_until(lambda: first not in world.numbers() and len(world.numbers()) == 1, PATIENCE, "its end")
        assert world.opened == 2 and run.conversations[0].ready


@pytest.mark.parametrize("kind", SERVERS)
def test_an_end_that_the_exchange_announces_finds_a_successor_in_place(kind):
    clock = Clock()
    with Watched("binance_spot", clock) as world, \
            Run(kind, [session_of("binance_spot", world.exchange.ports.plain)]) as run:
        run.wait_live(more=lambda: run.conversations[0].ready)
        [first] = world.numbers()
        world.announce_end(first)
        wait_until(lambda: run.conversations[0].lines.pairs[0].renewals == 1, PATIENCE, "the renewal")
        wait_until(lambda: first not in world.numbers(), PATIENCE, "the end of the old connection")
        check_equal(run, [world.exchange], clock)
        assert counted(run, "binance_spot", "outages") == 0 and run.conversations[0].health.losses == 0
        assert run.problems == ["binance_spot: market connection is opened again: the exchange announced its shutdown"]


@pytest.mark.parametrize("kind", SERVERS)
def test_two_lines_are_renewed_one_at_a_time(kind):
    clock = Clock()
    with Watched("binance_spot", clock) as world, Run(kind, [session_of(
            "binance_spot", world.exchange.ports.plain, lines=2, renew_after_ns=2 * SECOND_NS)]) as run:
        run.wait_live()
        wait_until(lambda: run.conversations[0].lines.pairs[0].renewals >= 3, PATIENCE, "renewals")
        check_equal(run, [world.exchange], clock)
        assert counted(run, "binance_spot", "outages") == 0 and world.most == {"/stream": 2}
        assert run.problems == []


@pytest.mark.parametrize("kind", SERVERS)
def test_a_successor_that_cannot_connect_leaves_the_old_connection_alone(kind):
    clock = Clock()
    with Watched("binance_spot", clock) as world, Run(kind, [session_of(
            "binance_spot", world.exchange.ports.plain, renew_after_ns=SECOND_NS)]) as run:
        world.exchange.call(setattr, world.exchange.exchange, "accepts", lambda path: world.opened == 0)
        run.wait_live()
        run.wait_told("binance_spot: market B connection", "404")
        wait_until(lambda: run.conversations[0].lines[1].failures >= 2, PATIENCE, "another attempt")
        assert all_live(run) and world.opened == 1
        world.exchange.call(setattr, world.exchange.exchange, "accepts", lambda path: True)
        wait_until(lambda: run.conversations[0].lines.pairs[0].renewals == 1, PATIENCE, "the renewal")
        assert counted(run, "binance_spot", "outages") == 0
