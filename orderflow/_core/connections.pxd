"""A connection's life, and bytes out: opened, sent on, pinged, lost, and its transport given back.

A connection that is lost takes its books and its orders' certainty with it in the same step: books go STALE, orders in
doubt, before anyone can read them again. Every function: exchange thread only.
"""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t

from orderflow._core cimport (
    arbitration, events, exchange_state, execution_reports, integrity, publication, reconciliation, recording,
    transport, websocket)
from orderflow._core.byte_ring cimport ByteRingStatus
from orderflow._core.exchange_state cimport NO_LISTING, Connection, ConnectionState, ExchangeState
from orderflow._core.integrity cimport BookSync
from orderflow._core.transport cimport Transport, TransportStatus
from orderflow._core.types cimport Command, EventKind, LossReason, RecordedKind, Role
from orderflow._core.websocket cimport Frame, Opcode


cdef enum:
    PING_NS = 15_000_000_000    # a connection that says nothing for so long is pinged (RFC 6455: it must answer)
    HEARD_NS = 30_000_000_000   # and given up after this


cdef nogil:
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
            forget_account(self)
        connection.received_ns = connection.sent_ns = connection.pinged_ns = now_ns
        connection.loss = 0
        if connection.transport is not NULL:
            websocket.restart(connection.reader)
        if connection.role != Role.ORDERS:
            recording.record(self, RecordedKind.RECORDED_OPENED, index, NO_LISTING,
                             connection.line | (0 if connection.carries_books else 2), NULL, 0, now_ns)
        if connection.carries_books:
            self.line_connections[connection.line] = index
            for i in range(self.listing_count):
                if self.books[i] is not NULL:
                    open_book(self, index, i, command.epoch, now_ns)

    inline void open_book(ExchangeState *self, uint32_t connection, uint32_t listing, uint32_t epoch,
                          int64_t now_ns) noexcept:
        """A connection that carries it has opened."""
        cdef BookSync *sync = exchange_state.line_of(self, connection, <int32_t>listing)
        cdef bint anew = True
        if self.feeds is NULL:
            integrity.connection_opened(sync, epoch, now_ns)
        else:
            if integrity.connected(sync):       # nobody said that the one before was lost
                publication.settle(self, sync, NULL, integrity.connection_lost(sync, now_ns), now_ns)
            anew = arbitration.opened(&self.feeds[listing], sync.line, epoch, now_ns)
            self.books[listing] = self.feeds[listing].shown
            publication.point_tapes(self, listing)
        if anew:
            publication.publish(self, sync, now_ns)

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
            forget_account(self)
            execution_reports.doubt_all(self, now_ns)
        if connection.carries_books:
            recording.record(self, RecordedKind.RECORDED_LOST, index, NO_LISTING, reason, NULL, 0, now_ns)
            for i in range(self.listing_count):
                sync = exchange_state.line_of(self, index, <int32_t>i)
                if sync is not NULL:
                    publication.settle(self, sync, NULL, integrity.connection_lost(sync, now_ns), now_ns)
                    if self.feeds is not NULL:
                        publication.point_tapes(self, i)
        leave(self, index, now_ns)

    inline void forget_account(ExchangeState *self) noexcept:
        """Nobody listens to what happens on the account: nothing new leaves until it was compared again."""
        if self.path.account is not NULL:
            reconciliation.abandon(self.path.account)
            self.path.gate.waits = 1

    inline void leave(ExchangeState *self, uint32_t index, int64_t now_ns) noexcept:
        """Give the transport back, then say what happened; tried again while the control thread is too far behind. In
        this order: LOST makes the control thread connect anew, and what is released after that may be the new one."""
        cdef Connection *connection = &self.connections[index]
        if connection.transport is not NULL:
            if not events.tell(self, EventKind.TRANSPORT_RELEASED, index, NO_LISTING, 0, 0, NULL, 0, now_ns):
                return
            connection.transport = NULL
        if connection.loss:
            if not events.tell(self, EventKind.CONNECTION_LOST, index, NO_LISTING, connection.loss,
                               connection.loss_detail, NULL, 0, now_ns):
                return
            connection.loss = 0
        connection.state = ConnectionState.CLOSED

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

    inline void listen(ExchangeState *self, uint32_t index, int64_t now_ns) noexcept:
        """A peer that is gone without a word (half-open TCP) answers no ping."""
        cdef Connection *connection = &self.connections[index]
        cdef int64_t quiet_ns = now_ns - connection.received_ns
        if quiet_ns >= HEARD_NS:
            lose(self, index, LossReason.NOTHING_HEARD, quiet_ns, now_ns)
        elif quiet_ns >= PING_NS and now_ns - connection.pinged_ns >= PING_NS:
            connection.pinged_ns = now_ns
            send(self, index, Opcode.PING, NULL, 0, now_ns)
