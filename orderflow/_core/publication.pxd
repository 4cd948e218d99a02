"""What the world sees of a book: board entry, signals, wake-up, tape; of two lines, those of the book that is shown.

A book is published only after integrity has judged a whole message: `settle` is where its verdict is acted on. Every
function: exchange thread only.
"""
from libc.stdint cimport int64_t, uint32_t
from libc.string cimport memset

from orderflow._core cimport arbitration, board, book, events, known_depth, paper, pending, quotes, signals, tape
from orderflow._core.arbitration cimport LINES, Feed
from orderflow._core.exchange_state cimport ExchangeState
from orderflow._core.integrity cimport BookSync, Verdict
from orderflow._core.tape cimport Tape
from orderflow._core.types cimport (
    BOARD_DEPTH, BoardEntry, BookState, EventKind, Level, Message, MessageKind, Side, Wake)


cdef nogil:
    inline void quote(ExchangeState *self, BookSync *sync, const BoardEntry *entry, int64_t now_ns) noexcept:
        """Signals of the best levels; an empty side has quantity 0."""
        cdef Level bid
        cdef Level ask
        bid.price = bid.quantity = ask.price = ask.quantity = 0
        if entry.bid_count:
            bid = entry.bids[0]
        if entry.ask_count:
            ask = entry.asks[0]
        signals.quote(self.signals[sync.listing].state, &bid, &ask, sync.epoch, now_ns,
                      self.signals[sync.listing].values)

    inline void publish(ExchangeState *self, BookSync *sync, int64_t now_ns) noexcept:
        """Show the listing's book as it is now. Levels are shown only of a LIVE book."""
        cdef BoardEntry entry
        cdef Wake wake
        cdef uint32_t listing = sync.listing
        entry.listing = listing
        entry.epoch = sync.epoch
        entry.version = sync.version
        self.publications[listing] += 1
        entry.publication = self.publications[listing]
        entry.traded = self.traded[listing]
        entry.sold = self.sold[listing]
        entry.book_state = sync.state
        entry.fault = sync.fault
        entry.receive_ns = sync.receive_ns
        entry.exchange_ns = sync.exchange_ns
        entry.bid_count = entry.ask_count = 0
        entry.bids_known_to = entry.asks_known_to = 0
        if sync.state == BookState.LIVE:
            entry.bid_count = book.top(sync.book, Side.BUY, entry.bids, BOARD_DEPTH)
            entry.ask_count = book.top(sync.book, Side.SELL, entry.asks, BOARD_DEPTH)
            entry.bids_known_to = known_depth.mark(&sync.known, sync.book, Side.BUY, entry.bids, entry.bid_count)
            entry.asks_known_to = known_depth.mark(&sync.known, sync.book, Side.SELL, entry.asks, entry.ask_count)
            if quotes.is_newer(&sync.quote, sync.last_id):
                quotes.merge(&sync.quote, &entry)
            quote(self, sync, &entry, now_ns)
        entry.signals = self.signals[listing].values[0]
        board.publish(self.board, listing, &entry)
        if self.path.paper is not NULL:
            paper.on_book(self.path.paper, sync, now_ns)
        if pending.raise_flag(&self.wake_pending[listing]):
            return                              # the router has not looked since the last one: it will see this too
        wake.version = sync.version
        wake.receive_ns = entry.receive_ns
        wake.exchange_ns = entry.exchange_ns
        wake.listing = listing
        wake.epoch = sync.epoch
        wake.book_state = sync.state
        self.wakes.push(&wake)                  # a slot a listing and one being served: cannot be full
        self.router_bell.ring()

    inline void settle(ExchangeState *self, BookSync *sync, const Message *message, uint32_t verdict,
                       int64_t now_ns) noexcept:
        """Act on what integrity said about a book after a message (NULL = after something else)."""
        cdef uint32_t connection = self.line_connections[sync.line]
        if self.feeds is not NULL:
            verdict = arbitrate(self, sync, message, verdict, now_ns)
        if verdict & (Verdict.APPLIED | Verdict.STATE_CHANGED):
            publish(self, self.books[sync.listing], now_ns)
        if verdict & Verdict.STATE_CHANGED:
            events.tell(self, EventKind.BOOK_CHANGED, connection, sync.listing, sync.state, sync.fault, NULL, 0, now_ns)
        if verdict & Verdict.NEED_SNAPSHOT:
            events.tell(self, EventKind.SNAPSHOT_NEEDED, connection, sync.listing, sync.fault, 0, NULL, 0, now_ns)

    inline uint32_t arbitrate(ExchangeState *self, BookSync *sync, const Message *message, uint32_t line_verdict,
                              int64_t now_ns) noexcept:
        """What is left of a line's verdict for the listing, whose shown book may have become the other one."""
        cdef Feed *feed = &self.feeds[sync.listing]
        cdef bint in_step = feed.shown is sync or feed.seen[sync.line] == feed.position
        cdef uint32_t verdict = arbitration.judge(feed, sync, line_verdict)
        self.books[sync.listing] = feed.shown
        if verdict & Verdict.NEED_SNAPSHOT and arbitration.is_asked_for(feed, sync, now_ns):
            verdict &= ~<uint32_t>Verdict.NEED_SNAPSHOT
        if line_verdict & Verdict.STATE_CHANGED and not verdict & Verdict.STATE_CHANGED:
            events.tell(self, EventKind.LINE_CHANGED, self.line_connections[sync.line], sync.listing, sync.state,
                        sync.fault, NULL, 0, now_ns)
        if self.tape is not NULL and sync.tape is NULL and verdict & (Verdict.APPLIED | Verdict.STATE_CHANGED):
            write_tape(self, feed.shown, message if feed.shown is sync and in_step else NULL, now_ns)
        return verdict

    inline void write_tape(ExchangeState *self, BookSync *shown, const Message *message, int64_t now_ns) noexcept:
        """While two lines are open their books write no tape, for it tells of what is shown. A book that goes on from
        elsewhere than where the other one was is a snapshot to whoever reads it."""
        cdef Message whole
        if shown.state != BookState.LIVE:
            tape.state(self.tape, shown.listing, shown.epoch, shown.version, shown.state, shown.fault, now_ns)
        elif message is not NULL and message.kind != MessageKind.SNAPSHOT:
            tape.update(self.tape, shown.book, message, shown.listing, shown.epoch, shown.version, shown.receive_ns)
        else:
            memset(&whole, 0, sizeof(Message))
            whole.last_id = shown.last_id
            whole.exchange_ns = shown.exchange_ns
            tape.snapshot(self.tape, shown.book, &whole, shown.listing, shown.epoch, shown.version, shown.receive_ns)

    inline void point_tapes(ExchangeState *self, uint32_t listing) noexcept:
        """While one line is open its book writes the tape itself, update by update."""
        cdef Feed *feed = &self.feeds[listing]
        cdef Tape *own = self.tape
        cdef uint32_t line
        if arbitration.both_open(feed):
            own = NULL
        for line in range(<uint32_t>LINES):
            feed.lines[line].tape = own
