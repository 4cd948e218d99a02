"""Orders out: through the gate, onto the wire, into the table of what was sent. Exchange thread only."""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

from orderflow._core cimport (
    connections, crash_point, evidence, exchange_state, execution_reports, gate, held_orders, masking, paper,
    transport, waiting_cancels, websocket)
from orderflow._core.byte_ring cimport ByteRingStatus
from orderflow._core.codec cimport ORDER_FRAME_LIMIT, OrderCodec
from orderflow._core.exchange_state cimport Connection, ConnectionState, ExchangeState
from orderflow._core.gate cimport SENT_LIMIT, SentOrder
from orderflow._core.integrity cimport BookSync
from orderflow._core.types cimport ChildKind, ChildOrder, ExecType, Reason
from orderflow._core.waiting_cancels cimport WaitingCancel
from orderflow._core.websocket cimport HEADER_ROOM, Opcode


cdef nogil:
    inline int encode(ExchangeState *self, const ChildOrder *order, char *out, size_t capacity,
                      int64_t now_ns) noexcept:
        """The order's text at `out`; its size, or negative."""
        cdef SentOrder *sent_order
        cdef const char *exchange_order_id = NULL
        cdef int64_t unix_ns = now_ns + self.path.unix_offset_ns
        if order.kind == ChildKind.NEW_ORDER:
            return (<OrderCodec>self.order_codec).encode_new(order, unix_ns, out, capacity)
        sent_order = gate.find(&self.path.gate, order.client_order_id)
        if sent_order is not NULL and sent_order.exchange_order_id[0]:
            exchange_order_id = sent_order.exchange_order_id
        if order.kind == ChildKind.REPLACE_ORDER:
            return (<OrderCodec>self.order_codec).encode_replace(order, exchange_order_id, unix_ns, out, capacity)
        return (<OrderCodec>self.order_codec).encode_cancel(order, exchange_order_id, unix_ns, out, capacity)

    inline bint transmit(ExchangeState *self, uint32_t index, const ChildOrder *order, int64_t now_ns) noexcept:
        """Encode where the frame is put together, mask in place, hand it over: one pass, no copy."""
        cdef Connection *connection = &self.connections[index]
        cdef char *payload
        cdef uint32_t size
        cdef int written
        if self.path.paper is not NULL:
            return paper.send(self.path.paper, order, now_ns)
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
        return connections.sent(
            self, index, transport.write(connection.transport, payload - size, <size_t>written + size), now_ns)

    inline void on_order(ExchangeState *self, const ChildOrder *order, int64_t now_ns) noexcept:
        """One order of the router, or what it wants to be known of one."""
        cdef SentOrder *entry
        if order.kind == ChildKind.ASK_ORDER:
            evidence.ask(self, order, now_ns)
            return
        if order.kind == ChildKind.ADOPT_ORDER:
            if gate.find(&self.path.gate, order.client_order_id) is NULL and self.path.gate.sent_count < SENT_LIMIT:
                gate.remember(&self.path.gate, order, now_ns).sent_ns = 0
            return
        if order.kind == ChildKind.FORGET_ORDER:
            entry = gate.find(&self.path.gate, order.client_order_id)
            if entry is not NULL:
                gate.forget(&self.path.gate, entry)
            return
        if (order.kind == ChildKind.CANCEL_ORDER and waiting_cancels.any_waits(&self.path.waiting)
                and keep_waiting(self, order, now_ns)):
            return                          # behind those that were asked for before
        if not send(self, order, now_ns) and not keep_waiting(self, order, now_ns):
            refuse(self, order, Reason.RATE_LIMITED, now_ns)

    inline bint keep_waiting(ExchangeState *self, const ChildOrder *order, int64_t now_ns) noexcept:
        return waiting_cancels.keep(&self.path.waiting, order,
                                    gate.find(&self.path.gate, order.client_order_id) is not NULL, now_ns)

    inline void refuse(ExchangeState *self, const ChildOrder *order, uint8_t reason, int64_t now_ns) noexcept:
        self.path.not_sent += 1
        self.path.gate.refused += 1
        execution_reports.answer(self, order, ExecType.REPORT_REPLACE_REJECTED
                                 if order.kind == ChildKind.REPLACE_ORDER else ExecType.REPORT_NOT_SENT, reason,
                                 now_ns)

    inline bint send(ExchangeState *self, const ChildOrder *order, int64_t now_ns) noexcept:
        """Through the gate, onto the wire, into the table; or back as NOT_SENT. False: a cancel for which there is
        no room, of which nothing was said."""
        cdef BookSync *sync = exchange_state.sync_of(self, <int32_t>order.listing)
        cdef int32_t index = self.path.connection
        cdef SentOrder *entry
        cdef uint8_t reason
        if sync is NULL:
            execution_reports.answer(self, order, ExecType.REPORT_NOT_SENT, Reason.UNKNOWN_LISTING, now_ns)
            return True
        if held_orders.in_vain(&self.path.held, order):
            reason = Reason.JOURNAL_FAILED
        else:
            reason = gate.check(&self.path.gate, order, index >= 0, sync.state, sync.epoch, now_ns)
        if reason == Reason.RATE_LIMITED and order.kind == ChildKind.CANCEL_ORDER:
            return False
        if reason == Reason.OK:
            entry = gate.find(&self.path.gate, order.client_order_id)
            if order.kind == ChildKind.NEW_ORDER:
                entry = gate.remember(&self.path.gate, order, now_ns)
            elif order.kind == ChildKind.REPLACE_ORDER and entry is not NULL:
                gate.expect_replaced(entry, order.quantity, now_ns)
            if transmit(self, <uint32_t>index, order, now_ns):
                crash_point.reached("after-send")
                self.path.sent += 1
                execution_reports.answer(self, order, ExecType.REPORT_SENT, Reason.OK, now_ns)
                return True
            reason = Reason.ENCODE_FAILED
            if self.connections[index].state != ConnectionState.OPEN:
                return True                 # it may have gone out: `lose` has said IN_DOUBT for everything in the table
            if order.kind == ChildKind.NEW_ORDER:
                gate.forget(&self.path.gate, entry)
            elif order.kind == ChildKind.REPLACE_ORDER and entry is not NULL:
                gate.settle_replaced(entry, entry.before)
        refuse(self, order, reason, now_ns)
        return True

    inline bint send_waiting(ExchangeState *self, int64_t now_ns) noexcept:
        """The cancel that has waited longest, if there is room for it now; False while it has to wait on. One whose
        order has ended, or is cancelled by a kill, waits for nothing."""
        cdef const WaitingCancel *waits = waiting_cancels.oldest(&self.path.waiting)
        if waits is NULL:
            return False
        if not ((waits.known and gate.find(&self.path.gate, waits.order.client_order_id) is NULL)
                or gate.is_stopped(&self.path.gate, waits.order.strategy)
                or send(self, &waits.order, now_ns)):
            return False
        waiting_cancels.release(&self.path.waiting, now_ns)
        return True
