"""Any split of the byte stream into reads gives the same events: every protocol, from the bytes of its connection to
the board, through a borrowed transport.
"""
import socket

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderflow._core.transport import BorrowedTransport
from orderflow._core.types import TAPE_DTYPE, BookState, CommandKind, Role, Side
from orderflow.simulator.dialects import PROTOCOLS
from orderflow.wiring import build_core
from tests.reference.websocket import server_frame
from tests.virtual import START_NS, Virtual

FRAMES = 60
SECONDS = 3


class Stream:
    """The bytes of one connection that carries books, and what a loop makes of them."""

    def __init__(self, protocol):
        world = Virtual(protocol)
        heard = world.conversation.loop = _Heard(world.core.loops["test"])
        world.run(SECONDS)
        carries = next(index for index, line in enumerate(world.conversation.lines) if line.carries_books)
        self.frames = [payload for index, payload in heard.frames if index == carries][:FRAMES]
        self.snapshots = heard.snapshots
        self.session, self.listings = world.session, world.core.listings
        self.whole = b"".join(self._framed(number, payload) for number, payload in enumerate(self.frames))

    @staticmethod
    def _framed(number, payload):
        """Whole, in fragments, and with a ping between them."""
        if number % 5:
            return server_frame(1, payload)
        half = len(payload) // 2
        return (server_frame(1, payload[:half], final=False) + server_frame(9, b"p")
                + server_frame(0, payload[half:]))

    def events(self, sizes):
        """Everything that comes out when the reads are of these sizes, over and over."""
        core = build_core([self.session], self.listings, borrows=True, tape_records=1 << 14)
        loop, tape = core.loops["test"], core.tapes["test"]
        ours, theirs = socket.socketpair()
        transport = BorrowedTransport(ours)
        loop.command(CommandKind.CONNECTION_OPENED, role=Role.MARKET_DATA, epoch=1, argument=1, value=transport.address)
        loop.run_once(START_NS)
        events, at, turn = [], 0, 0
        while at < len(self.whole):
            size = sizes[turn % len(sizes)]
            theirs.sendall(self.whole[at:at + size])
            loop.run_once(START_NS)
            at, turn = at + size, turn + 1
        for snapshot in self.snapshots:
            loop.command(CommandKind.SNAPSHOT_BODY, **snapshot)
        loop.run_once(START_NS)
        while (taken := loop.next_event()) is not None:
            events.append((*(int(taken[0][name]) for name in ("kind", "listing", "value", "detail")), taken[1]))
        while (record := tape.pop(TAPE_DTYPE)) is not None:
            events.append(tuple(record[name].tolist() for name in TAPE_DTYPE.names if name != "receive_ns"))
        events.append(loop.totals["frames"])
        for index in range(len(self.listings)):
            events.append((loop.counters(index)["version"], self.state(core, index), *(
                loop.book(index).levels(side).tolist() for side in (Side.BUY, Side.SELL))))
        loop.command(CommandKind.CLOSE_CONNECTION, epoch=1)
        loop.run_once(START_NS)
        transport.release()
        ours.close()
        theirs.close()
        return events


    @staticmethod
    def state(core, index):
        return BookState(core.board.read(index)["book_state"])


class _Heard:
    """A loop whose frames and first snapshots are written down."""

    def __init__(self, loop):
        self._loop, self.frames, self.snapshots = loop, [], []

    def push_frame(self, connection, epoch, payload, now_ns):
        self.frames.append((connection, bytes(payload)))
        return self._loop.push_frame(connection, epoch, payload, now_ns)

    def command(self, kind, **fields):
        if kind == CommandKind.SNAPSHOT_BODY:
            self.snapshots.append(fields)
        return self._loop.command(kind, **fields)

    def __getattr__(self, name):
        return getattr(self._loop, name)


@pytest.fixture(scope="module", params=PROTOCOLS)
def stream(request):
    return Stream(request.param)


def test_any_split_gives_the_same_events(stream):
    """The reference is one read a frame: what is heard of is in it, and every book is LIVE."""
    whole = stream.events([1 << 15])
    assert whole[-len(stream.listings) - 1] == len(stream.frames) > 10
    assert all(state == BookState.LIVE and bids and asks for _, state, bids, asks in whole[-len(stream.listings):])

    @settings(max_examples=12)
    @given(st.lists(st.integers(1, 3) | st.integers(1, 4000), min_size=1, max_size=20))
    def check(sizes):
        assert stream.events([*sizes, 3000]) == whole
    check()
