"""A peer that is gone without a word: the TCP connection looks open, nothing comes."""
import socket
import time

from orderflow._core.transport import BorrowedTransport
from orderflow._core.types import BookState, CommandKind, EventKind, LossReason, Role
from tests.feed import SECOND_NS, Feed

PING, MASKED = 0x89, 0x80


def opened(ago_ns=0):
    """A loop that owns one end of a connection, and the other end."""
    feed = Feed("kraken_v2", ["A/B"], depth=10, borrows=True)
    ours, theirs = socket.socketpair()
    transport = BorrowedTransport(ours)
    feed.now_ns = time.monotonic_ns() - ago_ns  # what is received is stamped with the real clock
    feed.loop.command(CommandKind.CONNECTION_OPENED, role=Role.MARKET_DATA, epoch=1, argument=1,
                      value=transport.address)
    feed.step()
    theirs.setblocking(False)
    return feed, transport, ours, theirs


def test_it_is_pinged_and_then_given_up():
    feed, transport, ours, theirs = opened()
    feed.step(14 * SECOND_NS)
    feed.events.clear()
    assert readable_bytes(theirs) == b""
    feed.step(2 * SECOND_NS)
    assert readable_bytes(theirs)[:2] == bytes((PING, MASKED))
    feed.step(13 * SECOND_NS)
    assert not any(event[0] == EventKind.CONNECTION_LOST for event in feed.events)
    feed.step(2 * SECOND_NS)
    assert (EventKind.CONNECTION_LOST, LossReason.NOTHING_HEARD) in feed.events
    assert feed.state()[0] == BookState.STALE
    assert (EventKind.TRANSPORT_RELEASED,) in feed.events
    transport.release()
    ours.close()
    theirs.close()


def test_an_answer_to_the_ping_is_enough():
    feed, transport, ours, theirs = opened(ago_ns=20 * SECOND_NS)
    feed.step(16 * SECOND_NS)
    theirs.sendall(b"\x8a\x00")                 # pong: heard now, twenty seconds after the connection was opened
    feed.step(SECOND_NS)
    feed.step(20 * SECOND_NS)
    assert not any(event[0] == EventKind.CONNECTION_LOST for event in feed.events)
    feed.loop.command(CommandKind.CLOSE_CONNECTION, epoch=1)
    feed.step()
    transport.release()
    ours.close()
    theirs.close()


def readable_bytes(sock):
    try:
        return sock.recv(4096)
    except BlockingIOError:
        return b""


