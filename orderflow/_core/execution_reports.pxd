"""What became of our orders, as the exchange says or as we know ourselves: to the router. Exchange thread only."""
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcpy, memset

from orderflow._core cimport account, events, gate, paper, paper_reports, pending, rates
from orderflow._core.exchange_state cimport CONNECTIONS, ExchangeState
from orderflow._core.gate cimport SENT_CAPACITY, SentOrder
from orderflow._core.types cimport ChildOrder, EventKind, ExecType, ExecutionReport, Reason


cdef nogil:
    inline void report(ExchangeState *self, const ExecutionReport *what) noexcept:
        """To the router. The ring has room for every open order; if it fills after all, trading halts."""
        if not self.path.reports.push(what):
            pending.set_flag(self.path.reports_full)
            events.tell(self, EventKind.REPORTS_FULL, CONNECTIONS, what.listing, 0, 0, NULL, 0, what.receive_ns)
            return
        self.router_bell.ring()

    inline void on_report(ExchangeState *self, ExecutionReport *what, int64_t now_ns) noexcept:
        """The exchange said something about an order."""
        if self.path.reports is NULL:
            return
        what.receive_ns = now_ns
        if self.path.account is NULL:
            gate.observe(&self.path.gate, what, what.cumulative_quantity < 0 and not what.reconciliation)
        else:
            account_for(self, what, now_ns)
        if what.reason == Reason.RATE_LIMITED:
            rates.on_refused(self.path.gate.rates, what.listing, now_ns)
        report(self, what)

    inline bint shows_life(const ExecutionReport *what) noexcept:
        """Whether a report proves that the exchange has the order."""
        return (what.exec_type == ExecType.REPORT_NEW or what.exec_type == ExecType.REPORT_FILL
                or what.exec_type == ExecType.REPORT_STATUS or what.exec_type == ExecType.REPORT_REPLACED)

    inline void account_for(ExchangeState *self, ExecutionReport *what, int64_t now_ns) noexcept:
        """The same where the account is compared with the exchange's books: each fill counts once, and an order that
        ends is remembered by the exchange's id."""
        cdef SentOrder *entry = NULL
        cdef SentOrder before
        cdef bint counts = False
        if account.counts(what):
            counts = account.take_fill(self.path.account, what)
        if what.client_order_id:
            entry = gate.find(&self.path.gate, what.client_order_id)
        if entry is NULL:
            return
        if entry.heard_ns == 0 and shows_life(what):
            entry.heard_ns = now_ns
        if entry.exchange_order_id[0] == 0:
            memcpy(entry.exchange_order_id, what.exchange_order_id, sizeof(entry.exchange_order_id))
        before = entry[0]
        gate.observe(&self.path.gate, what, counts)
        if gate.find(&self.path.gate, what.client_order_id) is NULL:
            account.remember_ended(self.path.account, &before, now_ns)

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
        if reason == Reason.RATE_LIMITED:
            what.last_price = self.path.gate.rates.allowed
            what.last_quantity = self.path.gate.rates.wanted
            what.exchange_ns = self.path.gate.rates.ready_ns
        report(self, &what)

    inline int take_paper(ExchangeState *self, int64_t now_ns) noexcept:
        """What the paper exchange says, as far as it has come back by now; how many reports."""
        cdef ExecutionReport *what
        cdef int count = 0
        paper.arrive(self.path.paper, now_ns + 1)
        what = paper_reports.due(&self.path.paper.reports, now_ns)
        while what is not NULL:
            on_report(self, what, now_ns)
            self.path.paper.reports.taken += 1
            count += 1
            what = paper_reports.due(&self.path.paper.reports, now_ns)
        if self.path.paper.reports.lost:
            self.path.paper.reports.lost = 0
            pending.set_flag(self.path.reports_full)
            events.tell(self, EventKind.REPORTS_FULL, CONNECTIONS, 0, 0, 0, NULL, 0, now_ns)
        return count

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
