"""Trades, quotes, REST snapshots, and silence: market data besides the updates of a book. Exchange thread only."""
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from orderflow._core cimport (
    arbitration, events, exchange_state, integrity, known_depth, paper, publication, quotes, recording, signals, tape)
from orderflow._core.arbitration cimport LINES, Feed
from orderflow._core.codec cimport Codec, DecodeStatus
from orderflow._core.events cimport EXCERPT
from orderflow._core.exchange_state cimport CONNECTIONS, ExchangeState
from orderflow._core.integrity cimport BookSync, Verdict
from orderflow._core.types cimport BookFault, BookState, EventKind, Message, RecordedKind, Side


cdef nogil:
    inline void on_trade(ExchangeState *self, uint32_t connection, const Message *message, int64_t now_ns) noexcept:
        cdef uint32_t epoch = self.books[message.listing].epoch
        if (self.feeds is not NULL
                and not arbitration.counts(&self.feeds[message.listing], self.connections[connection].line, message)):
            return
        signals.trade(self.signals[message.listing].state, message.side, message.quantity, epoch, now_ns,
                      self.signals[message.listing].values)
        self.traded[message.listing] += <uint64_t>message.quantity
        if message.side == Side.SELL:
            self.sold[message.listing] += <uint64_t>message.quantity
        tape.trade(self.tape, message, epoch, now_ns)
        if self.path.paper is not NULL:
            paper.on_trade(self.path.paper, self.books[message.listing], message, now_ns)

    inline void on_quote(ExchangeState *self, BookSync *sync, const Message *message, int64_t now_ns) noexcept:
        """The exchange's own best bid and ask: shown while it is ahead of the book, and kept in case it is."""
        cdef BookSync *shown = self.books[sync.listing]
        cdef bint counts
        self.quotes += 1
        if self.feeds is NULL:
            counts = quotes.take(&sync.quote, message, self.decoded.levels, now_ns)
        else:
            counts = arbitration.take_quote(&self.feeds[sync.listing], sync, message, self.decoded.levels, now_ns)
        if counts and shown.state == BookState.LIVE and quotes.is_newer(&shown.quote, shown.last_id):
            publication.publish(self, shown, now_ns)

    inline uint32_t waiting(ExchangeState *self, uint32_t listing, BookSync **found) noexcept:
        """The books of a listing that a REST snapshot is for, at `found`; returns how many."""
        cdef Feed *feed
        cdef uint32_t line
        cdef uint32_t n = 0
        if exchange_state.sync_of(self, <int32_t>listing) is NULL:
            return 0
        if self.feeds is NULL:
            found[0] = self.books[listing]
            return 1
        feed = &self.feeds[listing]
        for line in range(<uint32_t>LINES):
            if arbitration.takes_snapshot(feed, feed.lines[line]):
                found[n] = feed.lines[line]
                n += 1
        return n

    inline void take_snapshot(ExchangeState *self, BookSync *sync, int64_t limit, int64_t now_ns) noexcept:
        """A decoded REST snapshot, of at most `limit` levels a side, for one book."""
        cdef const Message *message = &self.decoded.messages[0]
        cdef uint32_t verdict = integrity.on_snapshot(sync, message, self.decoded.levels, now_ns)
        if verdict & Verdict.APPLIED:
            known_depth.observe(&sync.known, message, self.decoded.levels, limit)
        publication.settle(self, sync, message, verdict, now_ns)

    inline void on_snapshot_body(ExchangeState *self, uint32_t listing, int64_t limit, const char *data, size_t size,
                                 int64_t now_ns) noexcept:
        """A REST depth snapshot, decoded by the same codec into the same message."""
        cdef BookSync *books[LINES]
        cdef uint32_t n = waiting(self, listing, books)
        cdef uint32_t i
        cdef int status
        if n == 0:
            return
        recording.record(self, RecordedKind.RECORDED_SNAPSHOT, CONNECTIONS, listing, limit, data, size, now_ns)
        status = (<Codec>self.market_codecs[0]).decode_snapshot(<int32_t>listing, data, size, now_ns, self.decoded)
        if status == DecodeStatus.DECODED and self.decoded.message_count == 1:
            for i in range(n):
                books[i].asked_ns = 0           # answered, all of them: none counts on the other's answer now
            for i in range(n):
                take_snapshot(self, books[i], limit, now_ns)
            return
        self.refused += 1
        for i in range(n):
            books[i].asked_ns = now_ns          # the next attempt is the timer's
        events.tell(self, EventKind.FRAME_REFUSED, CONNECTIONS, listing, status, self.decoded.fault_offset, data,
                    size if size < EXCERPT else <size_t>EXCERPT, now_ns)

    inline void on_silence(ExchangeState *self, BookSync *sync, int64_t now_ns) noexcept:
        """The exchange has said nothing about a book for too long: what it shows may be old."""
        recording.record(self, RecordedKind.RECORDED_SILENCE, CONNECTIONS, sync.listing, sync.line, NULL, 0, now_ns)
        publication.settle(self, sync, NULL, integrity.fail(sync, BookFault.SILENT, now_ns), now_ns)

    inline void watch(ExchangeState *self, BookSync *sync, int64_t now_ns) noexcept:
        """A book of which nothing is heard, or whose snapshot does not come; and memory that a resync has left."""
        integrity.give_back(sync)
        if integrity.silent(sync, now_ns):
            on_silence(self, sync, now_ns)
        elif integrity.overdue(sync, now_ns):
            publication.settle(self, sync, NULL, integrity.ask(sync, now_ns), now_ns)
