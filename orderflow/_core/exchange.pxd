"""The exchange thread's stages, tied together: bytes -> frames -> messages -> book -> signals -> board and wake-up.

    transport.read ─> websocket.next_frame ┐                                      (arbitration, of two lines)
                                           ├─> on_frame ─> codec.decode ─> on_message ─> integrity ─> publish
    byte ring (async, direct) ─────────────┘                                   │
                                                                               └─> session events, reports

One frame is decoded whole before anything is published. A frame that cannot be read changes nothing: when it names a
listing of ours, that listing goes STALE; when it does not, the connection is dropped, because the bytes after it cannot
be trusted either. Other connections and other exchanges do not notice.

Every function: exchange thread only.
"""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from orderflow._core cimport (
    arbitration, board, book, gate, integrity, known_depth, masking, pending, quotes, signals, tape, transport,
    websocket)
from orderflow._core.arbitration cimport LINES, Feed
from orderflow._core.board cimport SequenceBoard
from orderflow._core.byte_ring cimport ByteRingStatus, NativeByteRing
from orderflow._core.codec cimport ORDER_FRAME_LIMIT, Codec, DecodeBuffer, DecodeStatus, OrderCodec
from orderflow._core.doorbell cimport NativeDoorbell, relax
from orderflow._core.gate cimport SENT_CAPACITY, Gate, SentOrder
from orderflow._core.integrity cimport BookSync, Verdict
from orderflow._core.latency cimport Histogram
from orderflow._core.masking cimport MaskKeys
from orderflow._core.ring cimport Ring64, Ring128
from orderflow._core.signals cimport SignalState
from orderflow._core.tape cimport Tape
from orderflow._core.transport cimport Transport, TransportStatus
from orderflow._core.types cimport (
    BOARD_DEPTH, BoardEntry, BookFault, BookState, ChildKind, ChildOrder, Command, CommandKind, Event, EventKind,
    ExecType, ExecutionReport, Level, Listing, LossReason, Message, MessageKind, Reason, Recorded, RecordedKind, Role,
    Side, Signals, TradingState, Wake)
from orderflow._core.websocket cimport HEADER_ROOM, CloseCode, Frame, Opcode, Reader

cdef enum:
    POLL_NS = 100_000_000       # how often timers are looked at
    PING_NS = 15_000_000_000    # a connection that says nothing for so long is pinged (RFC 6455: it must answer)
    HEARD_NS = 30_000_000_000   # and given up after this
    CONNECTIONS = 6             # per exchange
    EXCERPT = 256               # bytes of a refused frame shown to the user
    NO_LISTING = 0xFFFFFFFF


cdef enum ConnectionState:
    CLOSED = 0
    OPEN = 1
    LEAVING = 2                 # lost; waits until the event is out and the transport can be given back


cdef struct Connection:
    Transport *transport        # NULL: fed by, and sending through, the byte rings
    Reader *reader
    char *out                   # where one frame is put together
    size_t out_capacity
    int64_t received_ns
    int64_t sent_ns
    int64_t pinged_ns
    int64_t keep_alive_ns       # send `keep_alive` when nothing was sent for so long; 0 = never
    uint64_t frames
    uint64_t bytes
    int64_t loss_detail
    uint32_t epoch
    uint32_t keep_alive_size
    char keep_alive[128]
    uint8_t state
    uint8_t role
    uint8_t carries_books
    uint8_t line                # 0 or 1 of two that carry the same
    uint8_t loss                # LossReason


cdef struct OrderPath:          # what an exchange that takes orders has besides
    Ring128 *orders             # from the router
    Ring128 *reports            # to the router
    Gate gate
    int64_t unix_offset_ns      # unix clock - monotonic clock
    uint8_t *reports_full       # set when a report found no room: trading halts
    Histogram *decided_to_sent  # router's decision -> bytes handed to the transport
    Histogram *frame_to_sent    # frame that caused it -> the same
    int32_t connection          # index of the order connection, -1 = none is open
    uint64_t sent
    uint64_t not_sent


cdef struct ListingSignalState:     # both owned by a ListingSignals
    SignalState *state
    Signals *values


cdef struct ExchangeState:
    const Listing *listings     # the engine's table
    BookSync **books            # by listing index: the one that the board shows; NULL = not of this exchange
    Feed *feeds                 # by listing index; NULL = this exchange never has a second line
    uint32_t line_connections[LINES]    # which connection carries the books of each line
    ListingSignalState *signals     # by listing index
    void *market_codecs[LINES]  # Codec of each line, kept alive by the loop's owner
    void *order_codec           # OrderCodec; NULL = market data only
    OrderPath path
    DecodeBuffer *decoded
    SequenceBoard *board
    uint8_t *wake_pending       # by listing index, shared with the router
    Ring64 *wakes
    NativeByteRing *commands          # from control
    NativeByteRing *events            # to control
    NativeByteRing *frames_in         # async and direct
    NativeByteRing *frames_out
    NativeDoorbell *router_bell
    NativeDoorbell *control_bell
    Tape *tape
    NativeByteRing *recording   # NULL = nobody records
    const uint8_t *recording_closed     # set when nobody takes the recording any more
    uint32_t *publications      # by listing
    MaskKeys *mask_keys
    Connection connections[CONNECTIONS]
    Histogram *frame_to_board
    uint64_t frames
    uint64_t messages
    uint64_t refused
    uint64_t foreign
    uint64_t quotes
    uint64_t events_lost
    int64_t polled_ns
    uint32_t listing_count
    uint16_t exchange


cdef nogil:
    # ------------------------------------------------------------------ up: events to the control thread

    inline bint tell(ExchangeState *self, uint8_t kind, uint32_t connection, uint32_t listing, int64_t value,
                     int64_t detail, const char *payload, size_t size, int64_t now_ns) noexcept:
        """False when the control thread is too far behind; the event is counted as lost."""
        cdef char *out
        cdef Event *event
        if self.events.reserve(sizeof(Event) + size, &out) != ByteRingStatus.BYTE_RING_OK:
            self.events_lost += 1
            return False
        event = <Event *>out
        memset(event, 0, sizeof(Event))
        event.now_ns = now_ns
        event.value = value
        event.detail = detail
        event.listing = listing
        event.epoch = self.connections[connection].epoch if connection < CONNECTIONS else 0
        event.exchange = self.exchange
        event.kind = kind
        event.connection = <uint8_t>connection
        if size:
            memcpy(out + sizeof(Event), payload, size)
        self.events.commit(sizeof(Event) + size, kind)
        self.control_bell.ring()
        return True

    inline void record(ExchangeState *self, uint8_t kind, uint32_t connection, uint32_t listing, int64_t value,
                       const char *payload, size_t size, int64_t now_ns) noexcept:
        """Keep what decides this exchange's boards, in the order in which it was taken. Nothing is dropped: when the
        recorder is behind the thread waits for it, as it does for the tape."""
        cdef char *out
        cdef Recorded *header
        if self.recording is NULL or pending.is_set(self.recording_closed):
            return
        while self.recording.reserve(sizeof(Recorded) + size, &out) != ByteRingStatus.BYTE_RING_OK:
            if pending.is_set(self.recording_closed):
                return
            relax()
        header = <Recorded *>out
        memset(header, 0, sizeof(Recorded))
        header.now_ns = now_ns
        header.value = value
        header.epoch = self.connections[connection].epoch if connection < CONNECTIONS else 0
        header.listing = listing
        header.kind = kind
        header.connection = <uint8_t>connection
        if size:
            memcpy(out + sizeof(Recorded), payload, size)
        self.recording.commit(sizeof(Recorded) + size, kind)

    # ------------------------------------------------------------------ sideways: board, wake-up

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
            tell(self, EventKind.BOOK_CHANGED, connection, sync.listing, sync.state, sync.fault, NULL, 0, now_ns)
        if verdict & Verdict.NEED_SNAPSHOT:
            tell(self, EventKind.SNAPSHOT_NEEDED, connection, sync.listing, sync.fault, 0, NULL, 0, now_ns)

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
            tell(self, EventKind.LINE_CHANGED, self.line_connections[sync.line], sync.listing, sync.state, sync.fault,
                 NULL, 0, now_ns)
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

    # ------------------------------------------------------------------ down: one frame, one message

    inline BookSync *sync_of(ExchangeState *self, int32_t listing) noexcept:
        if listing < 0 or <uint32_t>listing >= self.listing_count:
            return NULL
        return self.books[listing]

    inline BookSync *line_of(ExchangeState *self, uint32_t connection, int32_t listing) noexcept:
        """The book that a connection writes: with two lines not always the one that is shown."""
        cdef BookSync *sync = sync_of(self, listing)
        if self.feeds is NULL or sync is NULL:
            return sync
        return self.feeds[listing].lines[self.connections[connection].line]

    inline void on_trade(ExchangeState *self, uint32_t connection, const Message *message, int64_t now_ns) noexcept:
        cdef uint32_t epoch = self.books[message.listing].epoch
        if (self.feeds is not NULL
                and not arbitration.counts(&self.feeds[message.listing], self.connections[connection].line, message)):
            return
        signals.trade(self.signals[message.listing].state, message.side, message.quantity, epoch, now_ns,
                      self.signals[message.listing].values)
        tape.trade(self.tape, message, epoch, now_ns)

    inline void on_message(ExchangeState *self, uint32_t connection, const Message *message, const char *data,
                           size_t size, int64_t now_ns) noexcept:
        cdef BookSync *sync
        cdef uint32_t i
        if message.kind == MessageKind.IGNORED:
            return
        if message.kind == MessageKind.REPORT:
            on_report(self, &self.decoded.reports[message.report], now_ns)
            return
        if (message.kind == MessageKind.SESSION and message.has_chain
                and self.connections[connection].role == Role.ORDERS):
            # Reports were missed. What they said is asked for as after any other loss: doubt, a new connection.
            lose(self, connection, LossReason.FRAME_UNREADABLE, DecodeStatus.UNKNOWN_MESSAGE, now_ns)
            return
        if message.kind == MessageKind.SESSION:
            tell(self, EventKind.SESSION_FRAME, connection, NO_LISTING, 0, 0, data, size, now_ns)
            return
        if message.kind == MessageKind.MISSED:
            for i in range(self.listing_count):
                sync = line_of(self, connection, <int32_t>i)
                if sync is not NULL:
                    settle(self, sync, NULL, integrity.on_missed(sync, now_ns), now_ns)
            return
        sync = line_of(self, connection, message.listing)
        if sync is NULL:
            self.foreign += 1
        elif message.kind == MessageKind.UPDATE:
            settle(self, sync, message, integrity.on_update(sync, message, self.decoded.levels, now_ns), now_ns)
        elif message.kind == MessageKind.SNAPSHOT:
            settle(self, sync, message, integrity.on_snapshot(sync, message, self.decoded.levels, now_ns), now_ns)
        elif message.kind == MessageKind.REFRESH:
            settle(self, sync, message, integrity.on_refresh(sync, message, self.decoded.levels, now_ns), now_ns)
        elif message.kind == MessageKind.CHECK:
            settle(self, sync, NULL, integrity.on_check(sync, message, now_ns), now_ns)
        elif message.kind == MessageKind.ALIVE:
            settle(self, sync, NULL, integrity.on_alive(sync, message, now_ns), now_ns)
        elif message.kind == MessageKind.TRADE:
            on_trade(self, connection, message, now_ns)
        elif message.kind == MessageKind.QUOTE:
            on_quote(self, sync, message, now_ns)

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
            publish(self, shown, now_ns)

    # ------------------------------------------------------------------ orders and what became of them

    inline void report(ExchangeState *self, const ExecutionReport *what) noexcept:
        """To the router. The ring has room for every open order; if it fills after all, trading halts."""
        if not self.path.reports.push(what):
            pending.set_flag(self.path.reports_full)
            tell(self, EventKind.REPORTS_FULL, CONNECTIONS, what.listing, 0, 0, NULL, 0, what.receive_ns)
            return
        self.router_bell.ring()

    inline void on_report(ExchangeState *self, ExecutionReport *what, int64_t now_ns) noexcept:
        """The exchange said something about an order."""
        if self.path.reports is NULL:
            return
        what.receive_ns = now_ns
        gate.observe(&self.path.gate, what)
        report(self, what)

    inline void answer(ExchangeState *self, const ChildOrder *order, uint8_t exec_type, uint8_t reason,
                       int64_t now_ns) noexcept:
        """We say something about an order ourselves: SENT, NOT_SENT, IN_DOUBT."""
        cdef ExecutionReport what
        memset(&what, 0, sizeof(ExecutionReport))
        what.client_order_id = order.client_order_id
        what.cumulative_quantity = -1
        what.receive_ns = now_ns
        what.listing = order.listing
        what.slot = order.slot
        what.side = order.side
        what.exec_type = exec_type
        what.reason = reason
        report(self, &what)

    inline int encode(ExchangeState *self, const ChildOrder *order, char *out, size_t capacity,
                      int64_t now_ns) noexcept:
        """The order's text at `out`; its size, or negative."""
        cdef SentOrder *sent_order
        cdef const char *exchange_order_id = NULL
        cdef int64_t unix_ns = now_ns + self.path.unix_offset_ns
        if order.kind == ChildKind.CANCEL_ORDER:
            sent_order = gate.find(&self.path.gate, order.client_order_id)
            if sent_order is not NULL and sent_order.exchange_order_id[0]:
                exchange_order_id = sent_order.exchange_order_id
            return (<OrderCodec>self.order_codec).encode_cancel(order, exchange_order_id, unix_ns, out, capacity)
        return (<OrderCodec>self.order_codec).encode_new(order, unix_ns, out, capacity)

    inline bint transmit(ExchangeState *self, uint32_t index, const ChildOrder *order, int64_t now_ns) noexcept:
        """Encode where the frame is put together, mask in place, hand it over: one pass, no copy."""
        cdef Connection *connection = &self.connections[index]
        cdef char *payload
        cdef uint32_t size
        cdef int written
        if connection.transport is NULL:
            if self.frames_out.reserve(ORDER_FRAME_LIMIT, &payload) != ByteRingStatus.BYTE_RING_OK:
                return False
            written = encode(self, order, payload, ORDER_FRAME_LIMIT, now_ns)
            if written <= 0:
                return False
            self.frames_out.commit(<size_t>written, index)
            self.control_bell.ring()
            connection.sent_ns = now_ns
            return True
        payload = connection.out + HEADER_ROOM
        written = encode(self, order, payload, connection.out_capacity - HEADER_ROOM, now_ns)
        if written <= 0:
            return False
        size = <uint32_t>websocket.seal(payload, <size_t>written, Opcode.TEXT, masking.next_key(self.mask_keys))
        return sent(self, index, transport.write(connection.transport, payload - size, <size_t>written + size), now_ns)

    inline void on_order(ExchangeState *self, const ChildOrder *order, int64_t now_ns) noexcept:
        """One order of the router: through the gate, onto the wire, into the table; or back as NOT_SENT."""
        cdef BookSync *sync = sync_of(self, <int32_t>order.listing)
        cdef int32_t index = self.path.connection
        cdef SentOrder *entry = NULL
        cdef uint8_t reason
        if sync is NULL:
            answer(self, order, ExecType.REPORT_NOT_SENT, Reason.UNKNOWN_LISTING, now_ns)
            return
        reason = gate.check(&self.path.gate, order, index >= 0, sync.state, sync.epoch, now_ns)
        if reason == Reason.OK:
            if order.kind == ChildKind.NEW_ORDER:
                entry = gate.remember(&self.path.gate, order)
            if transmit(self, <uint32_t>index, order, now_ns):
                self.path.sent += 1
                answer(self, order, ExecType.REPORT_SENT, Reason.OK, now_ns)
                return
            reason = Reason.ENCODE_FAILED
            if self.connections[index].state != ConnectionState.OPEN:
                return                      # it may have gone out: `lose` has said IN_DOUBT for everything in the table
            if entry is not NULL:
                gate.forget(&self.path.gate, entry)
        self.path.not_sent += 1
        self.path.gate.refused += 1
        answer(self, order, ExecType.REPORT_NOT_SENT, reason, now_ns)

    inline void doubt_all(ExchangeState *self, int64_t now_ns) noexcept:
        """The order connection is gone: nobody knows what became of what was sent."""
        cdef ChildOrder order
        cdef uint32_t i
        for i in range(<uint32_t>SENT_CAPACITY):
            if self.path.gate.sent[i].client_order_id:
                order.client_order_id = self.path.gate.sent[i].client_order_id
                order.listing = self.path.gate.sent[i].listing
                order.slot = self.path.gate.sent[i].slot
                order.side = self.path.gate.sent[i].side
                answer(self, &order, ExecType.REPORT_IN_DOUBT, Reason.NOT_CONNECTED, now_ns)

    inline void cancel_all(ExchangeState *self, int64_t now_ns) noexcept:
        """Kill: cancel everything in the table, without the router, without Python."""
        cdef ChildOrder order
        cdef uint32_t i
        if self.path.connection < 0:
            return
        memset(&order, 0, sizeof(ChildOrder))
        order.kind = ChildKind.CANCEL_ORDER
        for i in range(<uint32_t>SENT_CAPACITY):
            if self.path.connection < 0:
                return                      # it went while we were writing; TRADING_READY comes here again
            if self.path.gate.sent[i].client_order_id:
                order.client_order_id = self.path.gate.sent[i].client_order_id
                order.listing = self.path.gate.sent[i].listing
                order.slot = self.path.gate.sent[i].slot
                order.side = self.path.gate.sent[i].side
                order.quantity = self.path.gate.sent[i].quantity
                transmit(self, <uint32_t>self.path.connection, &order, now_ns)

    # ------------------------------------------------------------------ frames that cannot be read

    inline uint8_t fault_of(int status) noexcept:
        if status == DecodeStatus.NUMBER_INEXACT or status == DecodeStatus.NUMBER_RANGE:
            return BookFault.INEXACT
        return BookFault.FULL if status == DecodeStatus.TOO_MANY else BookFault.MALFORMED

    inline void refuse(ExchangeState *self, uint32_t connection, int status, const char *data, size_t size,
                       int64_t now_ns) noexcept:
        """A frame that cannot be read. One about orders is never the book's fault: nobody knows what it said, so its
        connection goes, what is out is in doubt, and the next connection asks."""
        cdef BookSync *sync = NULL
        if self.connections[connection].role != Role.ORDERS:
            sync = line_of(self, connection, self.decoded.fault_listing)
        self.refused += 1
        tell(self, EventKind.FRAME_REFUSED, connection, sync.listing if sync is not NULL else NO_LISTING, status,
             self.decoded.fault_offset, data, size if size < EXCERPT else <size_t>EXCERPT, now_ns)
        if sync is not NULL:
            settle(self, sync, NULL, integrity.fail(sync, fault_of(status), now_ns), now_ns)
        elif status != DecodeStatus.UNKNOWN_MESSAGE:
            lose(self, connection, LossReason.FRAME_UNREADABLE, status, now_ns)

    inline void on_frame(ExchangeState *self, uint32_t connection, const char *data, size_t size,
                         int64_t now_ns) noexcept:
        """One whole text frame. `data` has CODEC_PADDING readable bytes behind it."""
        cdef uint32_t i
        cdef int status
        cdef void *codec
        cdef bint orders = self.connections[connection].role == Role.ORDERS
        self.frames += 1
        self.connections[connection].frames += 1
        self.connections[connection].bytes += size
        self.connections[connection].received_ns = now_ns
        if not orders:
            record(self, RecordedKind.RECORDED_FRAME, connection, NO_LISTING, 0, data, size, now_ns)
        codec = self.order_codec if orders else self.market_codecs[self.connections[connection].line]
        status = (<Codec>codec).decode(data, size, now_ns, self.decoded)
        if status != DecodeStatus.DECODED:
            refuse(self, connection, status, data, size, now_ns)
            return
        self.messages += self.decoded.message_count
        for i in range(self.decoded.message_count):
            on_message(self, connection, &self.decoded.messages[i], data, size, now_ns)

    inline uint32_t waiting(ExchangeState *self, uint32_t listing, BookSync **found) noexcept:
        """The books of a listing that a REST snapshot is for, at `found`; returns how many."""
        cdef Feed *feed
        cdef uint32_t line
        cdef uint32_t n = 0
        if sync_of(self, <int32_t>listing) is NULL:
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
        settle(self, sync, message, verdict, now_ns)

    inline void on_snapshot_body(ExchangeState *self, uint32_t listing, int64_t limit, const char *data, size_t size,
                                 int64_t now_ns) noexcept:
        """A REST depth snapshot, decoded by the same codec into the same message."""
        cdef BookSync *books[LINES]
        cdef uint32_t n = waiting(self, listing, books)
        cdef uint32_t i
        cdef int status
        if n == 0:
            return
        record(self, RecordedKind.RECORDED_SNAPSHOT, CONNECTIONS, listing, limit, data, size, now_ns)
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
        tell(self, EventKind.FRAME_REFUSED, CONNECTIONS, listing, status, self.decoded.fault_offset, data,
             size if size < EXCERPT else <size_t>EXCERPT, now_ns)

    # ------------------------------------------------------------------ connections

    inline void opened(ExchangeState *self, uint32_t index, const Command *command, int64_t now_ns) noexcept:
        cdef Connection *connection = &self.connections[index]
        cdef uint32_t i
        connection.transport = <Transport *>command.value
        connection.role = command.role
        connection.epoch = command.epoch
        connection.carries_books = command.argument != 0
        connection.line = command.line & 1
        connection.state = ConnectionState.OPEN
        if command.role == Role.ORDERS:
            self.path.connection = -1       # until the session says that it is logged in: TRADING_READY
        connection.received_ns = connection.sent_ns = connection.pinged_ns = now_ns
        connection.loss = 0
        if connection.transport is not NULL:
            websocket.restart(connection.reader)
        if connection.role != Role.ORDERS:
            record(self, RecordedKind.RECORDED_OPENED, index, NO_LISTING,
                   connection.line | (0 if connection.carries_books else 2), NULL, 0, now_ns)
        if connection.carries_books:
            self.line_connections[connection.line] = index
            for i in range(self.listing_count):
                if self.books[i] is not NULL:
                    open_book(self, index, i, command.epoch, now_ns)

    inline void open_book(ExchangeState *self, uint32_t connection, uint32_t listing, uint32_t epoch,
                          int64_t now_ns) noexcept:
        """A connection that carries it has opened."""
        cdef BookSync *sync = line_of(self, connection, <int32_t>listing)
        cdef bint anew = True
        if self.feeds is NULL:
            integrity.connection_opened(sync, epoch, now_ns)
        else:
            if integrity.connected(sync):       # nobody said that the one before was lost
                settle(self, sync, NULL, integrity.connection_lost(sync, now_ns), now_ns)
            anew = arbitration.opened(&self.feeds[listing], sync.line, epoch, now_ns)
            self.books[listing] = self.feeds[listing].shown
            point_tapes(self, listing)
        if anew:
            publish(self, sync, now_ns)

    inline void lose(ExchangeState *self, uint32_t index, uint8_t reason, int64_t detail, int64_t now_ns) noexcept:
        """The connection is gone, or not to be trusted: its books go STALE before anyone can read them again."""
        cdef Connection *connection = &self.connections[index]
        cdef BookSync *sync
        cdef uint32_t i
        if connection.state != ConnectionState.OPEN:
            return
        connection.state = ConnectionState.LEAVING
        connection.loss = reason
        connection.loss_detail = detail
        if connection.role == Role.ORDERS and self.path.reports is not NULL:
            self.path.connection = -1
            doubt_all(self, now_ns)
        if connection.carries_books:
            record(self, RecordedKind.RECORDED_LOST, index, NO_LISTING, reason, NULL, 0, now_ns)
            for i in range(self.listing_count):
                sync = line_of(self, index, <int32_t>i)
                if sync is not NULL:
                    settle(self, sync, NULL, integrity.connection_lost(sync, now_ns), now_ns)
                    if self.feeds is not NULL:
                        point_tapes(self, i)
        leave(self, index, now_ns)

    inline void leave(ExchangeState *self, uint32_t index, int64_t now_ns) noexcept:
        """Give the transport back, then say what happened; tried again while the control thread is too far behind. In
        this order: LOST makes the control thread connect anew, and what is released after that may be the new one."""
        cdef Connection *connection = &self.connections[index]
        if connection.transport is not NULL:
            if not tell(self, EventKind.TRANSPORT_RELEASED, index, NO_LISTING, 0, 0, NULL, 0, now_ns):
                return
            connection.transport = NULL
        if connection.loss:
            if not tell(self, EventKind.CONNECTION_LOST, index, NO_LISTING, connection.loss, connection.loss_detail,
                        NULL, 0, now_ns):
                return
            connection.loss = 0
        connection.state = ConnectionState.CLOSED

    # ------------------------------------------------------------------ bytes out

    inline bint sent(ExchangeState *self, uint32_t index, int status, int64_t now_ns) noexcept:
        """Judge the answer of transport.write; False when the frame did not go."""
        if status == TransportStatus.FULL:
            lose(self, index, LossReason.OUTPUT_FULL, 0, now_ns)
            return False
        if status == TransportStatus.FAILED or status == TransportStatus.CLOSED:
            lose(self, index, LossReason.TRANSPORT_FAILED, self.connections[index].transport.error, now_ns)
            return False
        self.connections[index].sent_ns = now_ns
        return True

    inline bint send(ExchangeState *self, uint32_t index, uint8_t opcode, const char *payload, size_t size,
                     int64_t now_ns) noexcept:
        """One websocket frame; False when the connection did not take it."""
        cdef Connection *connection = &self.connections[index]
        cdef size_t n
        if connection.state != ConnectionState.OPEN:
            return False
        if connection.transport is NULL:
            if self.frames_out.push(payload, size, index) != ByteRingStatus.BYTE_RING_OK:
                lose(self, index, LossReason.OUTPUT_FULL, 0, now_ns)
                return False
            connection.sent_ns = now_ns
            self.control_bell.ring()
            return True
        n = websocket.write_frame(connection.out, connection.out_capacity, opcode, payload, size, self.mask_keys)
        if n == 0:
            lose(self, index, LossReason.OUTPUT_FULL, 0, now_ns)
            return False
        return sent(self, index, transport.write(connection.transport, connection.out, n), now_ns)

    inline void on_control_frame(ExchangeState *self, uint32_t index, const Frame *frame, int64_t now_ns) noexcept:
        """Ping is answered here, whatever Python does."""
        self.connections[index].received_ns = now_ns
        if frame.opcode == Opcode.PING:
            send(self, index, Opcode.PONG, frame.data, frame.size, now_ns)
        elif frame.opcode == Opcode.CLOSE:
            send(self, index, Opcode.CLOSE, NULL, 0, now_ns)
            lose(self, index, LossReason.PEER_CLOSED, frame.close_code, now_ns)

    inline void say_goodbye(ExchangeState *self, uint32_t index, uint16_t code) noexcept:
        """A close frame, if it can be sent at once; the async server sends its own."""
        cdef Connection *connection = &self.connections[index]
        cdef size_t n
        if connection.state == ConnectionState.OPEN and connection.transport is not NULL:
            n = websocket.write_close(connection.out, connection.out_capacity, code, self.mask_keys)
            transport.write(connection.transport, connection.out, n)

    inline void break_off(ExchangeState *self, uint32_t index, int64_t now_ns) noexcept:
        """The peer broke RFC 6455 or a limit: say with which code we leave, and leave."""
        cdef Connection *connection = &self.connections[index]
        say_goodbye(self, index, websocket.close_code(connection.reader.fault))
        lose(self, index, LossReason.PROTOCOL_BROKEN, connection.reader.fault, now_ns)

    # ------------------------------------------------------------------ commands and timers

    inline void on_command(ExchangeState *self, const Command *command, const char *payload, size_t size,
                           int64_t now_ns) noexcept:
        cdef uint32_t index = command.connection
        cdef BookSync *books[LINES]
        cdef uint32_t i
        if index >= CONNECTIONS:
            return
        if command.kind == CommandKind.CONNECTION_OPENED:
            opened(self, index, command, now_ns)
        elif command.kind == CommandKind.CONNECTION_ENDED:
            if command.epoch == self.connections[index].epoch:      # not the late end of the one before
                lose(self, index, LossReason.PEER_CLOSED, command.value, now_ns)
        elif command.kind == CommandKind.SEND_FRAME:
            if command.epoch == self.connections[index].epoch:
                send(self, index, Opcode.TEXT, payload, size, now_ns)
        elif command.kind == CommandKind.SNAPSHOT_BODY:
            on_snapshot_body(self, command.listing, command.value, payload, size, now_ns)
        elif command.kind == CommandKind.SNAPSHOT_FAILED:
            for i in range(waiting(self, command.listing, books)):
                books[i].asked_ns = now_ns
        elif command.kind == CommandKind.KEEP_ALIVE:
            if size <= sizeof(self.connections[index].keep_alive):
                memcpy(self.connections[index].keep_alive, payload, size)
                self.connections[index].keep_alive_size = <uint32_t>size
                self.connections[index].keep_alive_ns = command.value
        elif command.kind == CommandKind.TRADING_READY:
            if command.epoch == self.connections[index].epoch and self.connections[index].state == ConnectionState.OPEN:
                self.path.connection = <int32_t>index
                if pending.is_set(self.path.gate.halted) or self.path.gate.trading_state == TradingState.HALTED:
                    cancel_all(self, now_ns)
        elif command.kind == CommandKind.SET_TRADING_STATE:
            self.path.gate.trading_state = <uint8_t>command.value
            if command.value == TradingState.HALTED and self.order_codec is not NULL:
                cancel_all(self, now_ns)
        elif command.kind == CommandKind.CLOSE_CONNECTION:
            if command.epoch == self.connections[index].epoch:
                say_goodbye(self, index, CloseCode.NORMAL_CLOSURE)
                lose(self, index, LossReason.ASKED_TO_CLOSE, 0, now_ns)

    inline void listen(ExchangeState *self, uint32_t index, int64_t now_ns) noexcept:
        """A peer that is gone without a word (half-open TCP) answers no ping."""
        cdef Connection *connection = &self.connections[index]
        cdef int64_t quiet_ns = now_ns - connection.received_ns
        if quiet_ns >= HEARD_NS:
            lose(self, index, LossReason.NOTHING_HEARD, quiet_ns, now_ns)
        elif quiet_ns >= PING_NS and now_ns - connection.pinged_ns >= PING_NS:
            connection.pinged_ns = now_ns
            send(self, index, Opcode.PING, NULL, 0, now_ns)

    inline void on_silence(ExchangeState *self, BookSync *sync, int64_t now_ns) noexcept:
        """The exchange has said nothing about a book for too long: what it shows may be old."""
        record(self, RecordedKind.RECORDED_SILENCE, CONNECTIONS, sync.listing, sync.line, NULL, 0, now_ns)
        settle(self, sync, NULL, integrity.fail(sync, BookFault.SILENT, now_ns), now_ns)

    inline void watch(ExchangeState *self, BookSync *sync, int64_t now_ns) noexcept:
        """A book of which nothing is heard, or whose snapshot does not come; and memory that a resync has left."""
        integrity.give_back(sync)
        if integrity.silent(sync, now_ns):
            on_silence(self, sync, now_ns)
        elif integrity.overdue(sync, now_ns):
            settle(self, sync, NULL, integrity.ask(sync, now_ns), now_ns)

    inline void on_timer(ExchangeState *self, int64_t now_ns) noexcept:
        """Every POLL_NS: keep-alives, connections and books of which nothing is heard, snapshots that never came,
        events that found no room."""
        cdef Connection *connection
        cdef uint32_t i
        for i in range(<uint32_t>CONNECTIONS):
            connection = &self.connections[i]
            if connection.state == ConnectionState.LEAVING:
                leave(self, i, now_ns)
            elif connection.state == ConnectionState.OPEN and connection.transport is not NULL:
                listen(self, i, now_ns)         # of one fed by a ring the event loop takes care
            if (connection.state == ConnectionState.OPEN and connection.keep_alive_ns
                    and now_ns - connection.sent_ns >= connection.keep_alive_ns):
                send(self, i, Opcode.TEXT, connection.keep_alive, connection.keep_alive_size, now_ns)
        for i in range(self.listing_count):
            if self.feeds is not NULL and self.books[i] is not NULL:
                watch(self, self.feeds[i].lines[0], now_ns)
                watch(self, self.feeds[i].lines[1], now_ns)
            elif self.books[i] is not NULL:
                watch(self, self.books[i], now_ns)
