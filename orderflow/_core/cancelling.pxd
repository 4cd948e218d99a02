"""Cancelling what the kill switch stopped, from the table of what was sent: no router, no Python. Exchange thread only.

A round writes one cancel for every order concerned, many frames to a call of the kernel. It may take several steps:
what the connection does not take now goes when it takes more, and what the exchange would refuse for its limits when
there is room (rates.pxd). An order says itself in which round its cancel was written, because entries of the table move
when others leave it. What is still there after a round gets another one, after a second, then two, four, ... up to a
minute: a cancel may overtake its order on the way ("unknown order"), and an answer may be lost. Cancels are idempotent,
so repeating one costs a message and nothing else.

Only orders that are in our table are named, so foreign orders are never touched. Where the account is declared ours
alone, the first round is the exchange's own mass cancel instead, which is one frame for an account or a symbol; the
rounds after it name orders again. The same declaration allows the exchange's dead-man switch: it is set back at a third
of its time for as long as nothing is killed, and left to fire when something is.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.string cimport memmove, memset

from orderflow._core cimport connections, gate, kill, masking, order_entry, rates, transport, websocket
from orderflow._core.byte_ring cimport ByteRingStatus
from orderflow._core.codec cimport ORDER_FRAME_LIMIT, OrderCodec
from orderflow._core.exchange_state cimport Cancelling, Connection, ExchangeState
from orderflow._core.gate cimport SENT_CAPACITY, SentOrder
from orderflow._core.kill cimport ExchangeAnswer
from orderflow._core.types cimport ChildKind, ChildOrder
from orderflow._core.websocket cimport HEADER_ROOM, Opcode

cdef enum:
    FIRST_PAUSE_NS = 1_000_000_000
    LONGEST_PAUSE_NS = 64_000_000_000
    BATCH_BYTES = 1 << 14       # of frames that are handed over together: a record of TLS


cdef nogil:
    inline bint stops_all(const ExchangeState *self) noexcept:
        """Whether every order of this exchange is to go."""
        return (self.path.gate.stopped
                or kill.stops_exchange(self.path.gate.kill_line, self.path.gate.exchange_bit))

    inline bint has_room(ExchangeState *self, size_t size) noexcept:
        """Whether the order connection takes so many bytes more without being lost for it."""
        cdef Connection *connection
        cdef char *place
        if self.path.connection < 0:
            return False
        connection = &self.connections[self.path.connection]
        if connection.transport is NULL:
            return self.frames_out.reserve(ORDER_FRAME_LIMIT, &place) == ByteRingStatus.BYTE_RING_OK
        return connection.transport.output_capacity - transport.unsent(connection.transport) >= size

    inline bint transmit(ExchangeState *self, char *text, int size, int64_t now_ns) noexcept:
        """A frame of the codec's that is no order's, over the order connection."""
        return size > 0 and self.path.connection >= 0 and connections.send(
            self, <uint32_t>self.path.connection, Opcode.TEXT, text, <size_t>size, now_ns)

    # ------------------------------------------------------------------ rounds

    inline void begin(ExchangeState *self, bint sweep) noexcept:
        """A new round; `sweep`: with the exchange's mass cancel, if that may be used."""
        cdef Cancelling *cancelling = &self.path.cancelling
        cancelling.round += 1
        cancelling.under_way = True
        cancelling.left = 0
        cancelling.sweep_at = 0 if sweep and cancelling.is_exclusive and stops_all(self) else self.listing_count

    inline void on_kill(ExchangeState *self, int64_t now_ns) noexcept:
        """Something was stopped: begin with it. Also when the order connection is back."""
        cdef Cancelling *cancelling = &self.path.cancelling
        cancelling.seen = kill.load(&self.path.gate.kill_line.triggers)
        cancelling.cancels = 0
        cancelling.pause_ns = FIRST_PAUSE_NS
        begin(self, True)

    inline bint sweep(ExchangeState *self, int64_t now_ns) noexcept:
        """Mass cancels; False while some are to be written still."""
        cdef Cancelling *cancelling = &self.path.cancelling
        cdef char text[ORDER_FRAME_LIMIT]
        cdef SentOrder *sent = self.path.gate.sent
        cdef uint32_t i
        cdef int size
        cdef int64_t unix_ns = now_ns + self.path.unix_offset_ns
        cdef bint wrote = False
        if cancelling.sweep_at >= self.listing_count:
            return True
        while cancelling.sweep_at < self.listing_count:
            if self.books[cancelling.sweep_at] is NULL:
                cancelling.sweep_at += 1
                continue
            if not has_room(self, <size_t>ORDER_FRAME_LIMIT + HEADER_ROOM) or not rates.take_cancel(
                    self.path.gate.rates, rates.SWEEP, cancelling.sweep_at, 0, now_ns):
                return False
            size = (<OrderCodec>self.order_codec).encode_cancel_all(cancelling.sweep_at, unix_ns, text,
                                                                    ORDER_FRAME_LIMIT)
            if not transmit(self, text, size, now_ns):
                cancelling.sweep_at = self.listing_count
                return True                     # it has none, or it could not be written: orders are named
            cancelling.cancels += 1
            wrote = True
            cancelling.sweep_at += 1
            if (<OrderCodec>self.order_codec).cancels_account:
                cancelling.sweep_at = self.listing_count
        if wrote:
            for i in range(<uint32_t>SENT_CAPACITY):
                sent[i].cancel_round = cancelling.round
        return True

    inline bint put_cancel(ExchangeState *self, const SentOrder *entry, size_t *batch, int64_t now_ns) noexcept:
        """Its cancel as a frame behind the others of the batch; over a ring, at once. False: it cannot be written."""
        cdef Connection *connection = &self.connections[self.path.connection]
        cdef ChildOrder order
        cdef char *payload
        cdef uint32_t header
        cdef int size
        memset(&order, 0, sizeof(ChildOrder))
        order.kind = ChildKind.CANCEL_ORDER
        order.client_order_id = entry.client_order_id
        order.listing, order.slot, order.side = entry.listing, entry.slot, entry.side
        order.strategy, order.quantity = entry.strategy, entry.quantity
        if connection.transport is NULL:
            return order_entry.transmit(self, <uint32_t>self.path.connection, &order, now_ns)
        payload = connection.out + batch[0] + HEADER_ROOM
        size = order_entry.encode(self, &order, payload, ORDER_FRAME_LIMIT, now_ns)
        if size <= 0:
            return False
        header = <uint32_t>websocket.seal(payload, <size_t>size, Opcode.TEXT, masking.next_key(self.mask_keys))
        memmove(connection.out + batch[0], payload - header, <size_t>size + header)
        batch[0] += <size_t>size + header
        return True

    inline bint write_batch(ExchangeState *self, size_t *batch, int64_t now_ns) noexcept:
        """Hand it over with one call of the kernel; False when the connection is lost."""
        cdef Connection *connection
        cdef size_t size = batch[0]
        batch[0] = 0
        if size == 0:
            return self.path.connection >= 0
        connection = &self.connections[self.path.connection]
        return connections.sent(self, <uint32_t>self.path.connection,
                                transport.write(connection.transport, connection.out, size), now_ns)

    inline bint name_orders(ExchangeState *self, int64_t now_ns) noexcept:
        """Cancels by our ids; False while some are to be written still."""
        cdef Cancelling *cancelling = &self.path.cancelling
        cdef SentOrder *entry
        cdef size_t batch = 0
        cdef uint32_t i
        cdef bint complete = True
        for i in range(<uint32_t>SENT_CAPACITY):
            entry = &self.path.gate.sent[i]
            if (entry.client_order_id == 0 or entry.cancel_round == cancelling.round
                    or not gate.is_stopped(&self.path.gate, entry.strategy)):
                continue
            if (batch == 0 and not has_room(self, BATCH_BYTES)) or not rates.take_cancel(
                    self.path.gate.rates, rates.CANCEL, entry.listing, now_ns - entry.touched_ns, now_ns):
                complete = False
                break
            entry.cancel_round = cancelling.round
            if put_cancel(self, entry, &batch, now_ns):
                cancelling.cancels += 1
            else:
                cancelling.left += 1
            if self.path.connection < 0 or (batch + HEADER_ROOM + ORDER_FRAME_LIMIT > <size_t>BATCH_BYTES
                                            and not write_batch(self, &batch, now_ns)):
                return True
        write_batch(self, &batch, now_ns)
        return complete

    inline int go_on(ExchangeState *self, int64_t now_ns) noexcept:
        """Write what the connection takes; how many frames that was. Finished or not is in `under_way`."""
        cdef Cancelling *cancelling = &self.path.cancelling
        cdef uint64_t before = cancelling.cancels
        cdef bint complete = self.path.connection >= 0 and sweep(self, now_ns) and name_orders(self, now_ns)
        if self.path.connection < 0:            # there is none, or it was lost while we were writing
            finish(self, ExchangeAnswer.NO_CONNECTION, now_ns)
        elif complete:
            finish(self, ExchangeAnswer.CANCELS_WRITTEN, now_ns)
        return <int>(cancelling.cancels - before)

    inline void finish(ExchangeState *self, uint32_t answer, int64_t now_ns) noexcept:
        """The round is over; another one follows where something may be left. The kill thread may know now, or, where
        the time is to be exact, as soon as the loop has put it in (`tell`)."""
        cdef Cancelling *cancelling = &self.path.cancelling
        cancelling.under_way = False
        cancelling.repeat_ns = 0 if answer == ExchangeAnswer.NO_CONNECTION else now_ns + cancelling.pause_ns
        cancelling.pause_ns = min(2 * cancelling.pause_ns, <int64_t>LONGEST_PAUSE_NS)
        kill.store(&cancelling.progress.answer, answer)

    inline void tell(ExchangeState *self, int64_t now_ns) noexcept:
        """What was done, for the kill thread and whoever looks; `seen` is written last."""
        cdef Cancelling *cancelling = &self.path.cancelling
        kill.store(&cancelling.progress.cancels, cancelling.cancels)
        kill.store(&cancelling.progress.left, cancelling.left)
        kill.store(&cancelling.progress.open_orders, self.path.gate.sent_count)
        if cancelling.seen != kill.load(&cancelling.progress.seen):
            kill.store(<uint64_t *>&cancelling.progress.done_ns, <uint64_t>now_ns)
            kill.store(&cancelling.progress.seen, cancelling.seen)

    inline bint is_due(const ExchangeState *self, int64_t now_ns) noexcept:
        """Whether there is anything to begin or to go on with: asked at every step, so it reads one foreign word."""
        return (self.path.cancelling.under_way
                or kill.load(&self.path.gate.kill_line.triggers) != self.path.cancelling.seen
                or (self.path.cancelling.repeat_ns != 0 and now_ns >= self.path.cancelling.repeat_ns))

    inline int step(ExchangeState *self, int64_t now_ns) noexcept:
        """One look at the kill line, and what follows from it. How many frames were written."""
        cdef Cancelling *cancelling = &self.path.cancelling
        if kill.load(&self.path.gate.kill_line.triggers) != cancelling.seen:
            on_kill(self, now_ns)
        elif not cancelling.under_way:
            cancelling.repeat_ns = 0
            if not is_anything_stopped(self):
                return 0                        # it was set again meanwhile
            begin(self, False)
        return go_on(self, now_ns)

    inline bint is_anything_stopped(const ExchangeState *self) noexcept:
        """Whether an order in the table is to go."""
        cdef uint32_t i
        if self.path.gate.sent_count == 0:
            return False
        for i in range(<uint32_t>SENT_CAPACITY):
            if (self.path.gate.sent[i].client_order_id
                    and gate.is_stopped(&self.path.gate, self.path.gate.sent[i].strategy)):
                return True
        return False

    # ------------------------------------------------------------------ the exchange's dead-man switch

    inline void set_dead_man(ExchangeState *self, int64_t seconds, int64_t now_ns) noexcept:
        """Let the exchange cancel everything unless it hears from us within so long; 0 = never."""
        cdef char text[ORDER_FRAME_LIMIT]
        cdef int size
        if self.path.connection < 0 or not has_room(self, <size_t>ORDER_FRAME_LIMIT + HEADER_ROOM):
            return
        size = (<OrderCodec>self.order_codec).encode_dead_man(seconds, now_ns + self.path.unix_offset_ns, text,
                                                              ORDER_FRAME_LIMIT)
        if transmit(self, text, size, now_ns):
            self.path.cancelling.armed = seconds != 0
            self.path.cancelling.armed_ns = now_ns

    inline void keep_alive(ExchangeState *self, int64_t now_ns) noexcept:
        """Every POLL_NS: set it back at a third of its time, unless something is killed."""
        cdef Cancelling *cancelling = &self.path.cancelling
        if (cancelling.dead_man_ns and self.path.connection >= 0 and not stops_all(self)
                and (not cancelling.armed or now_ns - cancelling.armed_ns >= cancelling.dead_man_ns // 3)):
            set_dead_man(self, cancelling.dead_man_ns // 1_000_000_000, now_ns)

    inline void on_ready(ExchangeState *self, int64_t now_ns) noexcept:
        """The order connection takes orders: what was stopped while it was away is cancelled, the switch is set."""
        self.path.cancelling.armed = False
        keep_alive(self, now_ns)
        if is_anything_stopped(self):
            on_kill(self, now_ns)

    inline void on_leaving(ExchangeState *self, int64_t now_ns) noexcept:
        """We leave for good and in order: the exchange need not watch us any more, unless it was killed and has not
        done what it was told."""
        if self.path.cancelling.armed and not stops_all(self):
            set_dead_man(self, 0, now_ns)
