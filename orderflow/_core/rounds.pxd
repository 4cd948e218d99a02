"""A round of reconciliation: the exchange's open orders, balances and trades against our books, in the thread that
hears of fills.

    control ──ROUND_BEGIN──> exchange thread ──ROUND_BEGUN──> control: the session's REST calls, one after the other
            ──ACCOUNT_BODY─> decoded by the order codec, in order with the private stream
            ──ROUND_END────> settles ──ROUND_DONE, ACCOUNT_DIFFERS──> control
                                     ──reports──> router: fills that the stream did not tell, doubt, REPORT_DIFFERS

Nothing is asked before the round has begun here, so whatever an answer knows of lies in what we have heard since, or
will hear. Balances are asked for before trades: a trade that made a balance what it was is then among them. What does
not agree at the end may be on its way, so the private stream gets GRACE_NS; then

* an order of ours that is not open there is in doubt, and the router asks for it (evidence.pxd): that finds its end;
* a fill that the stream did not tell has gone to the router already, like any other, with the answer that had it;
* a balance or an order that stays unexplained is looked at again in the next round, and after a few told as different.

New orders wait (`Gate.waits`) from the loss of the order connection to a round that leaves nothing unexplained but what
was told: that halts its instruments in risk, and the others go on. Nothing of anybody else's is ever touched: foreign
orders are counted. Exchange thread only.
"""
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcmp, memset

from orderflow._core cimport account, client_id, events, execution_reports, gate, reconciliation
from orderflow._core.account cimport MOST_STRANGE, Account, AssetBook, EndedOrder, RoundState, StrangeOrder
from orderflow._core.codec cimport NO_ASSET, NO_LISTING, NO_SLOT, DecodeStatus, OrderCodec
from orderflow._core.events cimport EXCERPT
from orderflow._core.exchange_state cimport CONNECTIONS, ExchangeState
from orderflow._core.fixed cimport int128
from orderflow._core.gate cimport SENT_CAPACITY, SentOrder
from orderflow._core.purses cimport AMOUNT_DECIMALS
from orderflow._core.types cimport (
    ChildOrder, Command, EventKind, ExecType, ExecutionReport, Message, MessageKind, Reason, Verdict)

cdef enum:
    GRACE_NS = 1_000_000_000    # of the private stream, behind the answers
    MISSES = 8                  # rounds that do not list an order of which the evidence says that it lives


cdef nogil:
    inline bint concerns(const Account *self, const Command *command) noexcept:
        return (self is not NULL and self.round.state == RoundState.ASKING
                and self.round.number == <uint64_t>command.value)

    inline void on_begin(ExchangeState *self, const Command *command, int64_t now_ns) noexcept:
        """What the exchange is asked after this is of this round."""
        if self.path.account is NULL:
            return
        if self.path.connection < 0:
            done(self, <uint64_t>command.value, Verdict.INCOMPLETE, now_ns)
            return
        reconciliation.begin(self.path.account, <uint64_t>command.value, now_ns)
        events.tell(self, EventKind.ROUND_BEGUN, CONNECTIONS, NO_LISTING, command.value, 0, NULL, 0, now_ns)

    inline void done(ExchangeState *self, uint64_t number, uint8_t verdict, int64_t now_ns) noexcept:
        """When nobody hears it the control thread begins another round after a while."""
        self.path.account.round.state = RoundState.NO_ROUND
        if verdict == Verdict.EQUAL:
            self.path.account.rounds += 1
            self.path.account.foreign_orders = self.path.account.foreign_listed
            self.path.gate.waits = 0
        events.tell(self, EventKind.ROUND_DONE, CONNECTIONS, NO_LISTING, <int64_t>number, verdict, NULL, 0, now_ns)

    # --- what the exchange answers -------------------------------------------------------------------------------

    inline void on_body(ExchangeState *self, const Command *command, const char *payload, size_t size,
                        int64_t now_ns) noexcept:
        """One answer. `payload` has CODEC_PADDING readable bytes behind it."""
        cdef ExecutionReport *report
        cdef uint32_t i
        cdef int status
        if not concerns(self.path.account, command) or self.order_codec is NULL:
            return
        status = (<OrderCodec>self.order_codec).decode_account_body(<int>command.argument, payload, size, now_ns,
                                                                    self.decoded)
        if status != DecodeStatus.DECODED:
            self.path.account.round.unread = 1
            self.refused += 1
            events.tell(self, EventKind.FRAME_REFUSED, CONNECTIONS, NO_LISTING, status, self.decoded.fault_offset,
                        payload, size if size < EXCERPT else <size_t>EXCERPT, now_ns)
            return
        for i in range(self.decoded.message_count):
            if self.decoded.messages[i].kind != MessageKind.REPORT:
                continue
            report = &self.decoded.reports[self.decoded.messages[i].report]
            report.reconciliation = 1
            if report.exec_type == ExecType.REPORT_BALANCE:
                reconciliation.hear(self.path.account, report.fee_asset, report.fee, report.fee_decimals)
            elif report.exec_type == ExecType.REPORT_FILL:
                on_trade(self, report, now_ns)
            else:
                on_open_order(self, report, now_ns)

    inline void on_open_order(ExchangeState *self, ExecutionReport *report, int64_t now_ns) noexcept:
        """One that is open there."""
        cdef Account *books = self.path.account
        cdef SentOrder *entry
        if (report.client_order_id == 0
                or client_id.prefix(report.client_order_id) >> client_id.RUN_BITS != books.instance):
            books.foreign_listed += 1
            return
        entry = gate.find(&self.path.gate, report.client_order_id)
        if entry is not NULL:
            entry.listed_round = books.round.number
            entry.misses = 0
            if entry.heard_ns == 0:
                entry.heard_ns = now_ns
            if report.cumulative_quantity > entry.filled:
                execution_reports.on_report(self, report, now_ns)   # the router asks for what is missing
        elif not account.has_ended_since(books, report.client_order_id, books.round.begun_ns):
            # Not one that has ended since the round began, which may have been open when they looked.
            reconciliation.note_strange(books, report.client_order_id, report.listing)

    inline void on_trade(ExchangeState *self, ExecutionReport *report, int64_t now_ns) noexcept:
        """One trade of the account. If it is of an order of ours and the stream has not told it, the router hears of it
        as if it had: so it is booked once, whichever comes first."""
        cdef const EndedOrder *ended
        cdef uint32_t i
        if account.is_seen(self.path.account, report):
            return
        for i in range(<uint32_t>SENT_CAPACITY):
            if (self.path.gate.sent[i].client_order_id and memcmp(
                    self.path.gate.sent[i].exchange_order_id, report.exchange_order_id, 32) == 0):
                report.client_order_id = self.path.gate.sent[i].client_order_id
                break
        if report.client_order_id == 0:
            ended = account.find_ended(self.path.account, report.exchange_order_id)
            if ended is NULL:
                account.take_fill(self.path.account, report)        # somebody else's, or a question will say whose
                return
            report.client_order_id = ended.client_order_id
            report.slot = ended.slot
        self.path.account.found += 1
        execution_reports.on_report(self, report, now_ns)

    # --- what follows --------------------------------------------------------------------------------------------

    inline void on_end(ExchangeState *self, const Command *command, int64_t now_ns) noexcept:
        """All calls were answered, or will not be."""
        if not concerns(self.path.account, command):
            return
        if self.path.account.round.unread or not command.argument:
            done(self, self.path.account.round.number, Verdict.INCOMPLETE, now_ns)
            return
        self.path.account.round.state = RoundState.SETTLING
        self.path.account.round.ended_ns = now_ns
        look(self, now_ns)

    inline bint is_missing(const Account *self, const SentOrder *entry) noexcept:
        """Whether an order that the exchange had before the round began was not open there."""
        return (entry.client_order_id != 0 and entry.heard_ns != 0 and entry.heard_ns < self.round.begun_ns
                and entry.listed_round != self.round.number and not entry.differs)

    inline uint32_t count_missing(const ExchangeState *self) noexcept:
        cdef uint32_t count = 0
        cdef uint32_t i
        if self.path.gate.sent_count == 0:
            return 0
        for i in range(<uint32_t>SENT_CAPACITY):
            count += is_missing(self.path.account, &self.path.gate.sent[i])
        return count

    inline void look(ExchangeState *self, int64_t now_ns) noexcept:
        """Is what was answered what we know? Asked when the answers are here, and until the private stream has had its
        time."""
        cdef Account *books = self.path.account
        cdef bint is_final
        cdef uint32_t left
        if books.round.state != RoundState.SETTLING:
            return
        is_final = now_ns - books.round.ended_ns >= GRACE_NS
        left = reconciliation.settle(books, is_final)
        left += reconciliation.settle_strange(books)
        left += count_missing(self)
        if left and not is_final:
            return
        if left:
            left = conclude(self, now_ns)
        if books.is_news and not left:      # of what is not explained yet nobody knows which side is right
            tell_held(self, now_ns)
        done(self, books.round.number, Verdict.DIFFERS if left or books.round.learning else Verdict.EQUAL, now_ns)

    inline uint32_t conclude(ExchangeState *self, int64_t now_ns) noexcept:
        """Doubt orders that were not listed, tell what stays different; how much is to be looked at again."""
        cdef Account *books = self.path.account
        cdef uint32_t left = doubt_missing(self, now_ns)
        cdef StrangeOrder *order
        cdef uint32_t i
        for i in range(books.asset_count):
            if reconciliation.is_concluded(&books.assets[i]):
                tell_balance(self, i, now_ns)
            left += reconciliation.is_unexplained(&books.assets[i])
        for i in range(<uint32_t>MOST_STRANGE):
            order = &books.strange[i]
            if order.client_order_id == 0 or order.differs:
                continue
            if order.misses >= reconciliation.CONFIRMATIONS:
                order.differs = 1
                tell_order(self, order.client_order_id, order.listing, 0, 1, now_ns)
            else:
                left += 1
        return left

    inline uint32_t doubt_missing(ExchangeState *self, int64_t now_ns) noexcept:
        """What ended without a word is found by asking for it. One that lives by every answer to that, and is never
        listed, nobody can explain."""
        cdef SentOrder *entry
        cdef ChildOrder order
        cdef uint32_t left = 0
        cdef uint32_t i
        if self.path.gate.sent_count == 0:
            return 0
        for i in range(<uint32_t>SENT_CAPACITY):
            entry = &self.path.gate.sent[i]
            if not is_missing(self.path.account, entry):
                continue
            entry.misses += entry.misses < 255
            if entry.misses >= MISSES:
                entry.differs = 1
                tell_order(self, entry.client_order_id, entry.listing, 1, 0, now_ns)
                continue
            left += 1
            self.path.account.doubted += entry.misses == 1
            memset(&order, 0, sizeof(ChildOrder))
            order.client_order_id = entry.client_order_id
            order.listing, order.slot, order.side = entry.listing, entry.slot, entry.side
            execution_reports.answer(self, &order, ExecType.REPORT_IN_DOUBT, Reason.UNKNOWN_OUTCOME, now_ns)
        return left

    inline void begin_report(ExecutionReport *report, uint8_t exec_type, uint8_t reason, uint32_t listing,
                             int64_t now_ns) noexcept:
        memset(report, 0, sizeof(ExecutionReport))
        report.exec_type = exec_type
        report.reason = reason
        report.listing = listing
        report.slot = NO_SLOT
        report.fee_asset = NO_ASSET
        report.cumulative_quantity = -1
        report.receive_ns = now_ns
        report.reconciliation = 1

    inline void tell_order(ExchangeState *self, uint64_t client_order_id, uint32_t listing, int64_t expected,
                           int64_t found, int64_t now_ns) noexcept:
        """An order is open here and not there, or there and not here."""
        cdef ExecutionReport report
        begin_report(&report, ExecType.REPORT_DIFFERS, Reason.ORDER_UNEXPLAINED, listing, now_ns)
        report.client_order_id = client_order_id
        report.last_price, report.last_quantity = expected, found
        if listing != NO_LISTING:
            execution_reports.report(self, &report)
        events.tell(self, EventKind.ACCOUNT_DIFFERS, CONNECTIONS, listing, 0, 0, <const char *>&report,
                    sizeof(ExecutionReport), now_ns)

    inline void tell_balance(ExchangeState *self, uint32_t asset, int64_t now_ns) noexcept:
        """A balance is not what fills made of it: every instrument of that asset is told, unless it is to be taken as
        it is. So is one of which nothing is traded, like the asset that fees are paid in: nobody could accept it."""
        cdef Account *books = self.path.account
        cdef AssetBook *book = &books.assets[asset]
        cdef ExecutionReport report
        cdef int128 expected = reconciliation.expected(book)
        cdef bint concerns_nobody = True
        cdef uint32_t i
        begin_report(&report, ExecType.REPORT_DIFFERS, Reason.BALANCE_UNEXPLAINED, NO_LISTING, now_ns)
        report.fee_asset = <uint16_t>asset
        set_amounts(&report, expected, book.told, book.told_decimals)
        book.differs = 1
        for i in range(books.listing_count):
            if books.bases[i] != asset and books.quotes[i] != asset:
                continue
            report.listing = i
            concerns_nobody = False
            if not books.accepts:
                execution_reports.report(self, &report)
        if books.accepts or concerns_nobody:
            reconciliation.accept(book)
        events.tell(self, EventKind.ACCOUNT_DIFFERS, CONNECTIONS, NO_LISTING, books.accepts, 0,
                    <const char *>&report, sizeof(ExecutionReport), now_ns)

    inline uint32_t any_listing(const Account *self) noexcept:
        """One of the exchange's, by which a report of the account finds it; NO_LISTING = it has none."""
        cdef uint32_t i
        for i in range(self.listing_count):
            if self.bases[i] != NO_ASSET:
                return i
        return NO_LISTING

    inline void tell_held(ExchangeState *self, int64_t now_ns) noexcept:
        """What every asset of the account should hold, the one whose difference stands included: for the next run."""
        cdef Account *books = self.path.account
        cdef ExecutionReport report
        cdef uint32_t i
        for i in range(books.asset_count):
            if not books.assets[i].is_known:
                continue
            begin_report(&report, ExecType.REPORT_HELD, Reason.OK, any_listing(books), now_ns)
            report.fee_asset = <uint16_t>i
            account.set_held(&report, reconciliation.expected(&books.assets[i]))
            report.last_quantity = <int64_t>books.assets[i].fills
            report.exchange_ns = books.newest_ns
            execution_reports.report(self, &report)
        books.is_news = 0

    inline void forget_held(ExchangeState *self, uint32_t asset, int64_t now_ns) noexcept:
        """What an asset should hold is not known any more: a run that ends before it is learned leaves nothing of
        it."""
        cdef ExecutionReport report
        begin_report(&report, ExecType.REPORT_HELD, Reason.OK, any_listing(self.path.account), now_ns)
        report.fee_asset = <uint16_t>asset
        report.last_quantity = -1
        execution_reports.report(self, &report)

    inline void set_amounts(ExecutionReport *report, int128 expected, int128 found, uint8_t decimals) noexcept:
        """Expected and found, with the decimals that the exchange shows, or fewer where they would not fit."""
        cdef int128 most = <int128>1 << 62
        cdef int128 left = expected
        cdef int128 right = found
        cdef int places = AMOUNT_DECIMALS
        while places > decimals or left > most or left < -most or right > most or right < -most:
            left = left / 10
            right = right / 10
            places -= 1
        report.last_price = <int64_t>left
        report.last_quantity = <int64_t>right
        report.fee_decimals = <uint8_t>places

    inline void on_accept(ExchangeState *self, uint32_t listing, int64_t now_ns) noexcept:
        """By hand: what the exchange has of an instrument is right, whatever we expected."""
        cdef Account *books = self.path.account
        cdef uint32_t i
        if books is NULL or listing >= books.listing_count or books.bases[listing] == NO_ASSET:
            return
        for i in range(books.asset_count):
            if (i == books.bases[listing] or i == books.quotes[listing]) and books.assets[i].differs:
                reconciliation.accept(&books.assets[i])
                forget_held(self, i, now_ns)
        for i in range(<uint32_t>MOST_STRANGE):
            if books.strange[i].listing == listing:
                books.strange[i].client_order_id = 0
        for i in range(<uint32_t>SENT_CAPACITY):
            if self.path.gate.sent[i].listing == listing:
                self.path.gate.sent[i].misses = self.path.gate.sent[i].differs = 0
