"""Orders and positions: parents and children are opened here, and every report is applied here. Router thread only.

Every report is O(1): at most two map operations, and one 128-bit division for a fill that reduces a position. What a
report means is order_states' business, where orders live order_table's; this file ties them to parents and positions.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from orderflow._core cimport client_id, conversion, index_map, order_states as states, order_table, positions, wide
from orderflow._core.fixed cimport int128
from orderflow._core.order_states cimport Order
from orderflow._core.order_table cimport (
    NONE, OUTSIDE, RETIREMENTS, RETIRING, Fill, Hold, Outcome, OutcomeFlag, Table,
)
from orderflow._core.parents cimport ListingFill, Parent
from orderflow._core.types cimport (
    Algorithm, ChildOrder, ExecType, ExecutionReport, Listing, ParentOrder, ParentStatus, OrderStatus, Reason, Side,
)

cdef nogil:
    # --- opening -------------------------------------------------------------------------------------------------

    inline int64_t open_parent(Table *table, const ParentOrder *order, int64_t arrival_price, int64_t now_ns) noexcept:
        """Take a parent order. Its slot, or minus the Reason why not."""
        cdef uint32_t slot
        cdef Parent *parent
        if order.parent_id == 0 or order_table.find_parent(table, order.parent_id) != <uint32_t>NONE:
            return -<int64_t>Reason.DUPLICATE_ORDER
        if order.quantity <= 0 or order.side == Side.NO_SIDE:
            return -<int64_t>Reason.QUANTITY_NOT_POSITIVE
        if table.free_parents * 4 < table.parent_capacity:
            order_table.retire_parents(table, now_ns, RETIREMENTS)
        order_table.recycle_parent(table)
        if table.free_parent == <uint32_t>NONE:
            return -<int64_t>Reason.TABLE_FULL
        slot = table.free_parent
        parent = &table.parents[slot]
        table.free_parent = parent.next
        table.free_parents -= 1
        memset(parent, 0, sizeof(Parent))
        memset(&table.listing_fills[<size_t>slot * table.listings_per_instrument], 0,
               table.listings_per_instrument * sizeof(ListingFill))
        parent.order = order[0]
        parent.arrival_price = arrival_price
        parent.status = ParentStatus.PARENT_WORKING
        index_map.insert(&table.by_parent_id, order.parent_id, 0, slot)
        return slot

    inline void close_parent(Table *table, uint32_t slot, uint8_t reason, int64_t now_ns) noexcept:
        """No more children for this parent: cancelled, out of time, or nothing left to do. Its children are the
        caller's to cancel."""
        if not table.parents[slot].closing:
            table.parents[slot].closing = 1
            table.parents[slot].reason = reason
        order_table.refresh_parent(table, slot, now_ns)

    inline int64_t open_child(Table *table, const ChildOrder *child) noexcept:
        """Enter a child order as CREATED, its quantity reserved of its parent. Its slot, or minus the Reason why not.

        Judging it is risk's business: a refused one is taken out again by `deny`.
        """
        cdef uint32_t parent_slot = order_table.find_parent(table, child.parent_id)
        cdef uint32_t slot, known
        cdef Order *order
        if child.listing >= table.listing_count:
            return -<int64_t>Reason.UNKNOWN_LISTING
        if parent_slot == <uint32_t>NONE or table.parents[parent_slot].closing:
            return -<int64_t>Reason.UNKNOWN_ORDER
        if table.parents[parent_slot].order.instrument != table.listings[child.listing].instrument:
            return -<int64_t>Reason.UNKNOWN_LISTING
        if child.quantity <= 0 or child.quantity > order_table.most(table, child.listing):
            return -<int64_t>Reason.QUANTITY_NOT_POSITIVE
        known = order_table.find(table, child.client_order_id, <uint32_t>NONE)
        if child.client_order_id == 0 or known != <uint32_t>NONE:
            return -<int64_t>Reason.DUPLICATE_ORDER
        if table.free_orders * 4 < table.order_capacity or table.free_fills * 4 < table.fill_capacity:
            order_table.retire(table, child.decided_ns, RETIREMENTS)
        # A quarter of an eighth of the fills is kept for the orders that are already out.
        if table.free_order == <uint32_t>NONE or table.free_fills * 32 < table.fill_capacity:
            return -<int64_t>Reason.TABLE_FULL
        slot = table.free_order
        order = &table.orders[slot]
        table.free_order = order.next
        table.free_orders -= 1
        order.child = child[0]
        order.child.slot = slot
        order.parent = parent_slot
        order.fills = <uint32_t>NONE
        table.parents[parent_slot].working += child.quantity * table.listings[child.listing].quantity_factor
        table.parents[parent_slot].children += 1
        index_map.insert(&table.by_client_order_id, child.client_order_id, 0, slot)
        return slot

    inline void deny(Table *table, uint32_t slot, uint8_t reason, int64_t now_ns, Outcome *outcome) noexcept:
        """Take out an order that never left the router: refused by risk, or not journalled. Its slot is free at
        once."""
        cdef Order *order = &table.orders[slot]
        cdef Hold before = order_table.hold_of(order)
        order_table.begin(outcome)
        outcome.order = slot
        order.queued = RETIRING         # not into the evidence queue: nobody else has heard of it
        states.end(order, OrderStatus.DENIED, reason)
        order_table.settle(table, slot, &before, now_ns, outcome)
        index_map.remove(&table.by_client_order_id, order.child.client_order_id, 0)
        order_table.free_order(table, slot)

    inline bint request_cancel(Table *table, uint32_t slot) noexcept:
        """Note that an order is to be cancelled (PENDING_CANCEL). False if it has ended or is being cancelled
        already."""
        cdef Order *order = &table.orders[slot]
        if states.is_terminal(order.status) or order.facts & states.Fact.CANCEL_WANTED:
            return False
        order.facts |= states.Fact.CANCEL_WANTED
        order.status = states.status(order)
        return True

    inline void request_replace(Table *table, uint32_t slot, int64_t price, int64_t quantity, int64_t now_ns,
                                Outcome *outcome) noexcept:
        """Note that an order is to have another price and another whole quantity (PENDING_REPLACE): the larger quantity
        is reserved of its parent from now on."""
        cdef Order *order = &table.orders[slot]
        cdef Hold before = order_table.hold_of(order)
        order_table.begin(outcome)
        outcome.order = slot
        outcome.status_before = order.status
        order.wanted_price = price
        order.wanted_quantity = quantity
        order.facts |= states.Fact.REPLACE_WANTED
        order_table.settle(table, slot, &before, now_ns, outcome)

    inline void change_parent(Table *table, uint32_t slot, int64_t quantity, int64_t limit_price,
                              int64_t now_ns) noexcept:
        """A parent asks for another quantity, or at another price."""
        table.parents[slot].order.quantity = quantity
        table.parents[slot].order.limit_price = limit_price
        order_table.refresh_parent(table, slot, now_ns)

    # --- orders of an earlier run --------------------------------------------------------------------------------

    inline int64_t adopt(Table *table, const Order *known, int64_t now_ns) noexcept:
        """Take over an order of the run before, as it was last known but for its fills (`adopt_fill`), under a parent
        of its own that takes no other child. Its slot, or minus the Reason why not.

        What had not ended then is in doubt now: nobody listened in between.
        """
        cdef ParentOrder order
        cdef int64_t parent, slot
        cdef Order *entered
        cdef Hold before
        cdef Outcome outcome
        if known.child.listing >= table.listing_count:
            return -<int64_t>Reason.UNKNOWN_LISTING
        memset(&order, 0, sizeof(ParentOrder))
        order.parent_id = known.child.parent_id
        order.instrument = table.listings[known.child.listing].instrument
        order.quantity = states.most(known) * table.listings[known.child.listing].quantity_factor
        order.side = known.child.side
        order.account = known.child.account
        order.algorithm = Algorithm.RESTING if states.rests(known) else Algorithm.IMMEDIATE
        order.limit_price = conversion.instrument_price(&table.listings[known.child.listing], known.child.price,
                                                        known.child.rate, known.child.side)
        parent = open_parent(table, &order, 0, now_ns)
        if parent < 0:
            return parent
        slot = open_child(table, &known.child)
        if slot < 0:
            return slot
        order_table.begin(&outcome)
        entered = &table.orders[slot]
        before = order_table.hold_of(entered)
        memcpy(entered.exchange_order_id, known.exchange_order_id, sizeof(entered.exchange_order_id))
        entered.stated = known.stated
        entered.facts = known.facts | states.Fact.SENT
        entered.wanted_price, entered.wanted_quantity = known.wanted_price, known.wanted_quantity
        if known.ended:
            states.end(entered, known.ended, known.reason)
        elif known.facts & states.Fact.ACKNOWLEDGED or known.stated > 0 or known.cumulative > 0:
            entered.facts |= states.Fact.END_IN_DOUBT
        else:
            entered.facts |= states.Fact.ACCEPTANCE_IN_DOUBT
        order_table.settle(table, <uint32_t>slot, &before, now_ns, &outcome)
        if states.rests(entered):
            table.parents[parent].resting = entered.child.client_order_id
            table.parents[parent].resting_slot = <uint32_t>slot
        close_parent(table, <uint32_t>parent, Reason.RESTARTED, now_ns)
        return slot

    inline int64_t paid(const Listing *listing, const Order *order, int64_t price) noexcept:
        """The price of a fill in the instrument's scale and currency, at the rate with which the order was priced."""
        return conversion.instrument_price(listing, price, order.child.rate, order.child.side)

    inline void adopt_fill(Table *table, uint32_t slot, const ExecutionReport *report) noexcept:
        """A fill that an adopted order had before: part of the positions already, and not to be applied again."""
        cdef Order *order = &table.orders[slot]
        cdef const Listing *listing = &table.listings[order.child.listing]
        cdef Parent *parent = order_table.parent_of(table, order)
        cdef Hold before = order_table.hold_of(order)
        cdef Outcome outcome
        cdef int128 worth
        order_table.begin(&outcome)
        remember_fill(table, order, report, &outcome)
        outcome.filled = report.last_quantity
        order.cumulative += report.last_quantity
        order.notional = order.notional + wide.product(report.last_price, report.last_quantity)
        if parent is not NULL:
            worth = wide.product(paid(listing, order, report.last_price),
                                 report.last_quantity * listing.quantity_factor)
            parent.notional = parent.notional + worth
            credit(order_table.listing_fill(table, order.parent, order.child.listing), report, worth)
        order_table.settle(table, slot, &before, report.receive_ns, &outcome)

    # --- reports -------------------------------------------------------------------------------------------------

    inline void apply(Table *table, const ExecutionReport *report, Outcome *outcome) noexcept:
        """Apply one report, whatever its order and however often it comes; `outcome` says what changed."""
        cdef uint32_t slot
        cdef Order *order
        cdef Hold before
        order_table.begin(outcome)
        table.counts.reports += 1
        slot = order_table.find(table, report.client_order_id, report.slot)
        if slot == <uint32_t>NONE:
            if report.client_order_id == 0 or client_id.prefix(report.client_order_id) != table.prefix:
                table.counts.foreign += 1
                outcome.flags = OutcomeFlag.FOREIGN
                return
            table.counts.retired += 1
            outcome.flags = OutcomeFlag.RETIRED | OutcomeFlag.ANOMALY
            return
        order = &table.orders[slot]
        outcome.order = slot
        outcome.status_before = order.status
        outcome.status = order.status
        before = order_table.hold_of(order)
        if report.exec_type == ExecType.REPORT_FILL:
            if report.reconciliation:
                order.facts |= states.Fact.FOUND
            apply_fill(table, order, report, outcome)
            if outcome.flags & (OutcomeFlag.MALFORMED | OutcomeFlag.MISMATCH | OutcomeFlag.CONFLICT):
                return
        elif states.is_terminal(order.status):
            table.counts.late_reports += 1
            outcome.flags |= OutcomeFlag.LATE_REPORT
            states.record(order, report)
        else:
            states.record(order, report)
        if order.exchange_order_id[0] == 0:
            memcpy(order.exchange_order_id, report.exchange_order_id, sizeof(order.exchange_order_id))
        if report.cumulative_quantity > order.stated:
            order.stated = report.cumulative_quantity
        order_table.settle(table, slot, &before, report.receive_ns, outcome)

    inline uint64_t trade_key(const ExecutionReport *report) noexcept:
        """The exchange's trade id; where it gives none, a number made of what the fill says, the same each time it is
        told."""
        cdef uint64_t key = report.trade_id
        if key == 0:
            key = <uint64_t>report.cumulative_quantity * 0x9E3779B97F4A7C15ULL ^ <uint64_t>report.last_price
            key = (key ^ key >> 31) * 0xBF58476D1CE4E5B9ULL ^ <uint64_t>report.last_quantity
            key = (key ^ key >> 29) * 0x94D049BB133111EBULL ^ <uint64_t>report.exchange_ns
            key |= 1ULL << 63
        return key

    inline bint refused_fill(Table *table, const Order *order, const ExecutionReport *report,
                             Outcome *outcome) noexcept:
        """Whether a fill cannot be true of this order, or was applied before."""
        cdef uint32_t known
        if report.last_quantity <= 0 or report.last_price <= 0 or \
                report.last_quantity > order_table.most(table, order.child.listing) - order.cumulative or \
                report.last_price > (<int64_t>1 << 62) / table.listings[order.child.listing].price_factor:
            table.counts.malformed += 1
            outcome.flags |= OutcomeFlag.MALFORMED | OutcomeFlag.ANOMALY
            return True
        if report.listing != order.child.listing or (report.side != Side.NO_SIDE and report.side != order.child.side):
            table.counts.mismatches += 1
            outcome.flags |= OutcomeFlag.MISMATCH | OutcomeFlag.ANOMALY
            return True
        known = index_map.find(&table.by_trade, order.child.client_order_id, trade_key(report))
        if known == <uint32_t>NONE:
            return False
        if table.fills[known].price == report.last_price and table.fills[known].quantity == report.last_quantity:
            table.counts.duplicates += 1
            outcome.flags |= OutcomeFlag.DUPLICATE
        else:
            table.counts.conflicts += 1
            outcome.flags |= OutcomeFlag.CONFLICT | OutcomeFlag.ANOMALY
        return True

    inline void remember_fill(Table *table, Order *order, const ExecutionReport *report, Outcome *outcome) noexcept:
        cdef uint32_t at
        cdef Fill *fill
        if table.free_fill == <uint32_t>NONE:
            order_table.retire(table, report.receive_ns, RETIREMENTS)
        at = table.free_fill
        if at == <uint32_t>NONE:
            table.counts.unremembered += 1
            outcome.flags |= OutcomeFlag.UNREMEMBERED | OutcomeFlag.ANOMALY
            return
        fill = &table.fills[at]
        table.free_fill = fill.next
        table.free_fills -= 1
        fill.trade_id = trade_key(report)
        fill.price = report.last_price
        fill.quantity = report.last_quantity
        fill.next = order.fills
        order.fills = at
        index_map.insert(&table.by_trade, order.child.client_order_id, fill.trade_id, at)

    inline void apply_fill(Table *table, Order *order, const ExecutionReport *report, Outcome *outcome) noexcept:
        """Apply a fill to order, parent's notional and position, unless it is refused."""
        cdef const Listing *listing = &table.listings[order.child.listing]
        cdef Parent *parent = order_table.parent_of(table, order)
        cdef int64_t quantity = report.last_quantity
        cdef int128 worth
        cdef int lost
        if refused_fill(table, order, report, outcome):
            return
        table.counts.fills += 1
        if states.is_terminal(order.status):
            table.counts.late_fills += 1
            outcome.flags |= OutcomeFlag.LATE_FILL
        remember_fill(table, order, report, outcome)
        outcome.filled = quantity
        order.cumulative += quantity
        order.notional = order.notional + wide.product(report.last_price, quantity)
        if order.cumulative > states.most(order):
            table.counts.overfills += 1
            outcome.flags |= OutcomeFlag.OVERFILL | OutcomeFlag.ANOMALY
        positions.apply(&table.positions[order.child.listing], order.child.side, report.last_price, quantity)
        lost = charge(table.positions[order.child.listing].fees, report)
        if parent is not NULL:
            worth = wide.product(paid(listing, order, report.last_price), quantity * listing.quantity_factor)
            parent.notional = parent.notional + worth
            lost |= credit(order_table.listing_fill(table, order.parent, order.child.listing), report, worth)
        if lost:
            table.counts.fees_lost += 1
            outcome.flags |= OutcomeFlag.FEE_LOST | OutcomeFlag.ANOMALY

    inline int charge(positions.FeeSum *sums, const ExecutionReport *report) noexcept:
        if report.fee == 0:
            return 0
        return positions.add_fee(sums, report.fee_asset, report.fee_decimals, report.fee)

    inline int credit(ListingFill *total, const ExecutionReport *report, int128 worth) noexcept:
        total.fills += 1
        total.worth = total.worth + worth
        total.filled += report.last_quantity
        total.notional = total.notional + wide.product(report.last_price, report.last_quantity)
        return charge(total.fees, report)


cdef class Orders(order_table.OrderTable):
    cdef _audit_order(self, uint32_t slot, list wrong, dict reserved)
    cdef _audit_parent(self, view, tuple children, list wrong)
    cdef _audit_lists(self, list wrong)
