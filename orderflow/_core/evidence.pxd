"""What an exchange knows of an order whose fate is not clear: asked for, and told to the router.

    router ─ASK_ORDER─> exchange thread ─ORDER_QUESTION─> control: the session's REST calls
    router <─reports─── exchange thread <──ORDER_BODY──── their answers, each as it came
                                        <──ORDER_ASKED─── these were all

A body is decoded by the order codec, by the thread that decodes the private stream, into reports that are flagged as
reconciliation. REPORT_ASKED ends a question: nothing is concluded before it, and nothing from an answer that was not
whole: a call that failed, or a body that could not be read. Exchange thread only.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from orderflow._core cimport events, execution_reports, paper
from orderflow._core.codec cimport DecodeStatus, OrderCodec
from orderflow._core.events cimport EXCERPT
from orderflow._core.exchange_state cimport CONNECTIONS, ExchangeState
from orderflow._core.types cimport (
    ChildOrder, Command, EventKind, ExecType, Message, MessageKind, Reason)


cdef nogil:
    inline void ask(ExchangeState *self, const ChildOrder *order, int64_t now_ns) noexcept:
        """Let the session ask. What finds no room is asked for again by the router's timer."""
        if self.path.paper is not NULL:
            paper.send(self.path.paper, order, now_ns)
            return
        events.tell(self, EventKind.ORDER_QUESTION, CONNECTIONS, order.listing, <int64_t>order.client_order_id,
                    order.decided_ns + self.path.unix_offset_ns, NULL, 0, now_ns)

    inline ChildOrder subject(const Command *command) noexcept:
        """The order that a question is about, as far as a codec needs to know it."""
        cdef ChildOrder order
        memset(&order, 0, sizeof(ChildOrder))
        order.client_order_id = <uint64_t>command.value
        order.listing = command.listing
        order.slot = <uint32_t>-1
        return order

    inline void on_body(ExchangeState *self, const Command *command, const char *payload, size_t size,
                        int64_t now_ns) noexcept:
        """One answer of the exchange. `payload` has CODEC_PADDING readable bytes behind it."""
        cdef ChildOrder order = subject(command)
        cdef const Message *message
        cdef uint32_t i
        cdef int status
        if self.order_codec is NULL:
            return
        status = (<OrderCodec>self.order_codec).decode_order_body(<int>command.argument, &order, payload, size, now_ns,
                                                                  self.decoded)
        if status != DecodeStatus.DECODED:
            self.path.unread = order.client_order_id
            self.refused += 1
            events.tell(self, EventKind.FRAME_REFUSED, CONNECTIONS, command.listing, status, self.decoded.fault_offset,
                        payload, size if size < EXCERPT else <size_t>EXCERPT, now_ns)
            return
        for i in range(self.decoded.message_count):
            message = &self.decoded.messages[i]
            if message.kind == MessageKind.REPORT:
                self.decoded.reports[message.report].reconciliation = 1
                execution_reports.on_report(self, &self.decoded.reports[message.report], now_ns)

    inline void on_asked(ExchangeState *self, const Command *command, int64_t now_ns) noexcept:
        """All calls of a question were answered, or will not be."""
        cdef ChildOrder order = subject(command)
        cdef uint8_t reason = Reason.OK if command.argument else Reason.UNKNOWN_OUTCOME
        if self.path.unread == order.client_order_id:
            self.path.unread = 0
            reason = Reason.UNKNOWN_OUTCOME
        if self.path.reports is not NULL:
            execution_reports.answer(self, &order, ExecType.REPORT_ASKED, reason, now_ns)
