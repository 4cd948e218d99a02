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
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from libc.string cimport memcpy

from orderflow._core cimport (
    cancelling, connections, events, evidence, exchange_state, execution_reports, integrity, market_data, paper,
    publication, rates, recording, rounds)
from orderflow._core.arbitration cimport LINES
from orderflow._core.codec cimport Codec, DecodeStatus
from orderflow._core.events cimport EXCERPT
from orderflow._core.exchange_state cimport CONNECTIONS, NO_LISTING, Connection, ConnectionState, ExchangeState
from orderflow._core.integrity cimport BookSync
from orderflow._core.types cimport (
    BookFault, Command, CommandKind, EventKind, LossReason, Message, MessageKind, RecordedKind, Role, TradingState)
from orderflow._core.websocket cimport CloseCode, Opcode


cdef enum:
    POLL_NS = 100_000_000       # how often timers are looked at


cdef nogil:
    inline void on_message(ExchangeState *self, uint32_t connection, const Message *message, const char *data,
                           size_t size, int64_t now_ns) noexcept:
        cdef BookSync *sync
        cdef uint32_t i
        if message.kind == MessageKind.IGNORED:
            return
        if message.kind == MessageKind.REPORT:
            execution_reports.on_report(self, &self.decoded.reports[message.report], now_ns)
            return
        if (message.kind == MessageKind.SESSION and message.has_chain
                and self.connections[connection].role == Role.ORDERS):
            # Reports were missed. What they said is asked for as after any other loss: doubt, a new connection.
            connections.lose(self, connection, LossReason.FRAME_UNREADABLE, DecodeStatus.UNKNOWN_MESSAGE, now_ns)
            return
        if message.kind == MessageKind.RATES:
            if self.path.orders is not NULL:
                rates.on_notice(self.path.gate.rates, message, now_ns, self.path.unix_offset_ns)
            return
        if message.kind == MessageKind.SESSION:
            events.tell(self, EventKind.SESSION_FRAME, connection, NO_LISTING, 0, 0, data, size, now_ns)
            return
        if message.kind == MessageKind.MISSED:
            for i in range(self.listing_count):
                sync = exchange_state.line_of(self, connection, <int32_t>i)
                if sync is not NULL:
                    publication.settle(self, sync, NULL, integrity.on_missed(sync, now_ns), now_ns)
            return
        sync = exchange_state.line_of(self, connection, message.listing)
        if sync is NULL:
            self.foreign += 1
        elif message.kind == MessageKind.UPDATE:
            publication.settle(
                self, sync, message, integrity.on_update(sync, message, self.decoded.levels, now_ns), now_ns)
        elif message.kind == MessageKind.SNAPSHOT:
            publication.settle(
                self, sync, message, integrity.on_snapshot(sync, message, self.decoded.levels, now_ns), now_ns)
        elif message.kind == MessageKind.REFRESH:
            publication.settle(
                self, sync, message, integrity.on_refresh(sync, message, self.decoded.levels, now_ns), now_ns)
        elif message.kind == MessageKind.CHECK:
            publication.settle(self, sync, NULL, integrity.on_check(sync, message, now_ns), now_ns)
        elif message.kind == MessageKind.ALIVE:
            publication.settle(self, sync, NULL, integrity.on_alive(sync, message, now_ns), now_ns)
        elif message.kind == MessageKind.TRADE:
            market_data.on_trade(self, connection, message, now_ns)
        elif message.kind == MessageKind.QUOTE:
            market_data.on_quote(self, sync, message, now_ns)

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
            sync = exchange_state.line_of(self, connection, self.decoded.fault_listing)
        self.refused += 1
        events.tell(self, EventKind.FRAME_REFUSED, connection, sync.listing if sync is not NULL else NO_LISTING, status,
                    self.decoded.fault_offset, data, size if size < EXCERPT else <size_t>EXCERPT, now_ns)
        if sync is not NULL:
            publication.settle(self, sync, NULL, integrity.fail(sync, fault_of(status), now_ns), now_ns)
        elif status != DecodeStatus.UNKNOWN_MESSAGE:
            connections.lose(self, connection, LossReason.FRAME_UNREADABLE, status, now_ns)

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
        if self.path.paper is not NULL:
            paper.arrive(self.path.paper, now_ns)       # with the book as it was until now
        if not orders:
            recording.record(self, RecordedKind.RECORDED_FRAME, connection, NO_LISTING, 0, data, size, now_ns)
        codec = self.order_codec if orders else self.market_codecs[self.connections[connection].line]
        status = (<Codec>codec).decode(data, size, now_ns, self.decoded)
        if status != DecodeStatus.DECODED:
            refuse(self, connection, status, data, size, now_ns)
            return
        self.messages += self.decoded.message_count
        for i in range(self.decoded.message_count):
            on_message(self, connection, &self.decoded.messages[i], data, size, now_ns)

    inline void on_command(ExchangeState *self, const Command *command, const char *payload, size_t size,
                           int64_t now_ns) noexcept:
        cdef uint32_t index = command.connection
        cdef BookSync *books[LINES]
        cdef uint32_t i
        if index >= CONNECTIONS:
            return
        if command.kind == CommandKind.CONNECTION_OPENED:
            connections.opened(self, index, command, now_ns)
        elif command.kind == CommandKind.CONNECTION_ENDED:
            if command.epoch == self.connections[index].epoch:      # not the late end of the one before
                connections.lose(self, index, LossReason.PEER_CLOSED, command.value, now_ns)
        elif command.kind == CommandKind.SEND_FRAME:
            if command.epoch == self.connections[index].epoch:
                connections.send(self, index, Opcode.TEXT, payload, size, now_ns)
        elif command.kind == CommandKind.SNAPSHOT_BODY:
            market_data.on_snapshot_body(self, command.listing, command.value, payload, size, now_ns)
        elif command.kind == CommandKind.SNAPSHOT_FAILED:
            for i in range(market_data.waiting(self, command.listing, books)):
                books[i].asked_ns = now_ns
        elif command.kind == CommandKind.KEEP_ALIVE:
            if size <= sizeof(self.connections[index].keep_alive):
                memcpy(self.connections[index].keep_alive, payload, size)
                self.connections[index].keep_alive_size = <uint32_t>size
                self.connections[index].keep_alive_ns = command.value
        elif command.kind == CommandKind.TRADING_READY:
            if command.epoch == self.connections[index].epoch and self.connections[index].state == ConnectionState.OPEN:
                self.path.connection = <int32_t>index
                cancelling.on_ready(self, now_ns)
        elif command.kind == CommandKind.SET_TRADING_STATE:
            self.path.gate.trading_state = <uint8_t>command.value
            self.path.gate.stopped = command.value == TradingState.HALTED
            if command.value == TradingState.HALTED and self.path.orders is not NULL:
                cancelling.on_kill(self, now_ns)
        elif command.kind == CommandKind.SET_CLOCK:
            self.path.unix_offset_ns = command.value
        elif command.kind == CommandKind.ORDER_BODY:
            evidence.on_body(self, command, payload, size, now_ns)
        elif command.kind == CommandKind.ORDER_ASKED:
            evidence.on_asked(self, command, now_ns)
        elif command.kind == CommandKind.ROUND_BEGIN:
            rounds.on_begin(self, command, now_ns)
        elif command.kind == CommandKind.ACCOUNT_BODY:
            rounds.on_body(self, command, payload, size, now_ns)
        elif command.kind == CommandKind.ROUND_END:
            rounds.on_end(self, command, now_ns)
        elif command.kind == CommandKind.ACCEPT_ACCOUNT:
            rounds.on_accept(self, command.listing, now_ns)
        elif command.kind == CommandKind.CLOSE_CONNECTION:
            if command.epoch == self.connections[index].epoch:
                if command.value and self.path.connection == <int32_t>index:
                    cancelling.on_leaving(self, now_ns)
                connections.say_goodbye(self, index, CloseCode.NORMAL_CLOSURE)
                connections.lose(self, index, LossReason.ASKED_TO_CLOSE, 0, now_ns)

    inline void on_timer(ExchangeState *self, int64_t now_ns) noexcept:
        """Every POLL_NS: keep-alives, a round that settles, connections and books of which nothing is heard, snapshots
        that never came, events that found no room."""
        cdef Connection *connection
        cdef uint32_t i
        if self.path.orders is not NULL:
            cancelling.keep_alive(self, now_ns)
        if self.path.account is not NULL:
            rounds.look(self, now_ns)
        for i in range(<uint32_t>CONNECTIONS):
            connection = &self.connections[i]
            if connection.state == ConnectionState.LEAVING:
                connections.leave(self, i, now_ns)
            elif connection.state == ConnectionState.OPEN and connection.transport is not NULL:
                connections.listen(self, i, now_ns)         # of one fed by a ring the event loop takes care
            if (connection.state == ConnectionState.OPEN and connection.keep_alive_ns
                    and now_ns - connection.sent_ns >= connection.keep_alive_ns):
                connections.send(self, i, Opcode.TEXT, connection.keep_alive, connection.keep_alive_size, now_ns)
        for i in range(self.listing_count):
            if self.feeds is not NULL and self.books[i] is not NULL:
                market_data.watch(self, self.feeds[i].lines[0], now_ns)
                market_data.watch(self, self.feeds[i].lines[1], now_ns)
            elif self.books[i] is not NULL:
                market_data.watch(self, self.books[i], now_ns)
