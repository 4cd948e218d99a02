"""Python face of orders.pxd: what tests and the control thread call, and the audit of all that it keeps."""
from collections import namedtuple

from libc.string cimport memcpy, memset

from orderflow._core cimport iceberg
from orderflow._core.types import CHILD_ORDER_DTYPE, EXECUTION_REPORT_DTYPE, PARENT_ORDER_DTYPE

OutcomeView = namedtuple("OutcomeView", "order parent filled flags status_before status parent_before parent_status")


class Refused(Exception):
    """An order was not taken; `reason` is a types.Reason."""

    def __init__(self, reason):
        super().__init__(f"not taken: {reason.name}")
        self.reason = reason


cdef int copy_record(void *target, record, dtype, size_t size) except -1:
    if record.dtype != dtype or record.size != 1:
        raise TypeError(f"expected one record of dtype {dtype.names[:3]}..., got {record.dtype}")
    cdef bytes raw = record.tobytes()
    memcpy(target, <const char *>raw, size)
    return 0


cdef _slot(int64_t result):
    if result < 0:
        raise Refused(<Reason>-result)
    return result


cdef _view(const Outcome *outcome):
    return OutcomeView(None if outcome.order == <uint32_t>NONE else outcome.order,
                       None if outcome.parent == <uint32_t>NONE else outcome.parent,
                       outcome.filled, <OutcomeFlag>outcome.flags, <OrderStatus>outcome.status_before,
                       <OrderStatus>outcome.status, <ParentStatus>outcome.parent_before,
                       <ParentStatus>outcome.parent_status)


cdef class Orders(order_table.OrderTable):
    """An OrderTable that can be driven from Python, one record at a time. See OrderTable for the parameters."""

    def open_parent(self, record, int64_t arrival_price=0, int64_t now_ns=0):
        """Slot of a new parent, given as one PARENT_ORDER_DTYPE record; Refused if it is not taken."""
        cdef ParentOrder order
        copy_record(&order, record, PARENT_ORDER_DTYPE, sizeof(order))
        return _slot(open_parent(&self.table, &order, arrival_price, now_ns))

    def close_parent(self, uint32_t slot, uint8_t reason, int64_t now_ns=0):
        """No more children for this parent."""
        self.parent(slot)
        close_parent(&self.table, slot, reason, now_ns)

    def open_child(self, record):
        """Slot of a new child, given as one CHILD_ORDER_DTYPE record; Refused if it is not taken."""
        cdef ChildOrder child
        copy_record(&child, record, CHILD_ORDER_DTYPE, sizeof(child))
        return _slot(open_child(&self.table, &child))

    def deny(self, uint32_t slot, uint8_t reason, int64_t now_ns=0):
        """Take out an order that never left the router; OutcomeView."""
        cdef Outcome outcome
        self.order(slot)
        deny(&self.table, slot, reason, now_ns, &outcome)
        return _view(&outcome)

    def request_cancel(self, uint32_t slot):
        """Whether the order is now to be cancelled and was not before."""
        self.order(slot)
        return request_cancel(&self.table, slot)

    def request_replace(self, uint32_t slot, int64_t price, int64_t quantity, int64_t now_ns=0):
        """Note that another price and whole quantity are asked for; OutcomeView."""
        cdef Outcome outcome
        self.order(slot)
        request_replace(&self.table, slot, price, quantity, now_ns, &outcome)
        return _view(&outcome)

    def apply(self, record):
        """Apply one EXECUTION_REPORT_DTYPE record; OutcomeView."""
        cdef ExecutionReport report
        cdef Outcome outcome
        copy_record(&report, record, EXECUTION_REPORT_DTYPE, sizeof(report))
        apply(&self.table, &report, &outcome)
        return _view(&outcome)

    def known(self, uint32_t slot):
        """What is known of the order in that slot, so that the next run can take it over: a dict that `adopt` takes,
        of numbers and texts only."""
        cdef const Order *order
        cdef uint32_t at
        self.order(slot)
        order = &self.table.orders[slot]
        fills, at = [], order.fills
        while at != <uint32_t>NONE:
            fills.append((self.table.fills[at].trade_id, self.table.fills[at].price, self.table.fills[at].quantity))
            at = self.table.fills[at].next
        return {
            "client_order_id": order.child.client_order_id, "listing": order.child.listing, "side": order.child.side,
            "order_type": order.child.order_type, "time_in_force": order.child.time_in_force,
            "flags": order.child.flags, "account": order.child.account, "strategy": order.child.strategy,
            "price": order.child.price, "quantity": order.child.quantity, "decided_ns": order.child.decided_ns,
            "rate": order.child.rate, "display": iceberg.display_of(&order.child),
            "wanted_price": order.wanted_price if order.facts & states.Fact.REPLACE_WANTED else 0,
            "wanted_quantity": order.wanted_quantity if order.facts & states.Fact.REPLACE_WANTED else 0,
            "stated": order.stated, "ended": order.ended, "reason": order.reason,
            "acknowledged": bool(order.facts & states.Fact.ACKNOWLEDGED),
            "cancel_wanted": bool(order.facts & states.Fact.CANCEL_WANTED),
            "exchange_order_id": (<const char *>order.exchange_order_id).decode(), "fills": fills[::-1]}

    @property
    def unfinished(self):
        """Slots of the orders that have not provably ended, or of which fills are missing."""
        return [view.slot for view in self.orders()
                if self.table.orders[<uint32_t>view.slot].queued != RETIRING
                and (not states.is_terminal(self.table.orders[<uint32_t>view.slot].status)
                     or states.lacks_fills(&self.table.orders[<uint32_t>view.slot]))]

    def adopt(self, uint64_t parent_id, int64_t now_ns, *, client_order_id, listing, side, order_type, time_in_force,
              flags, account, strategy, price, quantity, decided_ns, stated, ended, reason, acknowledged,
              cancel_wanted, str exchange_order_id, fills, wanted_price=0, wanted_quantity=0, rate=0, display=0):
        """Take over an order of the run before, as `known` describes it; the slot. Refused if it cannot be.

        Parameters
        ----------
        parent_id : int
            Of the parent that is made for it.
        decided_ns : int
            On this run's monotonic clock.
        fills : list of (trade id, price, quantity)
            That positions hold already; told again they are not applied again.
        wanted_price, wanted_quantity : int
            Of a replacement that was under way; 0 = none was.
        rate : int
            With which its price was converted.
        display : int
            What it shows of itself, where it is an iceberg.
        """
        cdef Order order
        cdef ExecutionReport report
        cdef bytes name = exchange_order_id.encode()
        memset(&order, 0, sizeof(Order))
        order.child.client_order_id, order.child.parent_id, order.child.listing = client_order_id, parent_id, listing
        order.child.side, order.child.order_type, order.child.time_in_force = side, order_type, time_in_force
        order.child.flags, order.child.account, order.child.strategy = flags, account, strategy
        order.child.price, order.child.quantity, order.child.decided_ns = price, quantity, decided_ns
        order.child.rate, order.child.terms = rate, display
        order.stated, order.ended, order.reason = stated, ended, reason
        order.cumulative = sum(fill[2] for fill in fills)
        if acknowledged:
            order.facts |= states.Fact.ACKNOWLEDGED
        if cancel_wanted:
            order.facts |= states.Fact.CANCEL_WANTED
        if wanted_quantity:
            order.facts |= states.Fact.REPLACE_WANTED
            order.wanted_price, order.wanted_quantity = wanted_price, wanted_quantity
        memcpy(order.exchange_order_id, <const char *>name, min(<size_t>len(name), sizeof(order.exchange_order_id) - 1))
        cdef uint32_t slot = _slot(adopt(&self.table, &order, now_ns))
        memset(&report, 0, sizeof(ExecutionReport))
        report.listing, report.receive_ns = listing, now_ns
        for trade_id, fill_price, fill_quantity in fills:
            report.trade_id, report.last_price, report.last_quantity = trade_id, fill_price, fill_quantity
            adopt_fill(&self.table, slot, &report)
        return slot

    def set_position(self, uint32_t listing, *, net, bought, sold, bought_notional, sold_notional, open_cost, realised,
                     fills, fees):
        """What a listing's position was at the end of the run before: the fields of PositionView, but for the listing.
        """
        self.position(listing)
        cdef positions.Position *position = &self.table.positions[listing]
        cdef int i
        position.net, position.fills = net, fills
        position.bought, position.sold = bought, sold
        position.bought_notional, position.sold_notional = bought_notional, sold_notional
        position.open_cost, position.realised = open_cost, realised
        for i, (asset, (amount, decimals)) in enumerate(fees.items()):
            position.fees[i].asset, position.fees[i].decimals, position.fees[i].used = asset, decimals, 1
            position.fees[i].amount = amount

    def retire(self, int64_t now_ns, uint32_t budget):
        """Retire ended orders beyond their window; the number of slots freed."""
        return order_table.retire(&self.table, now_ns, budget)

    def find(self, uint64_t client_order_id):
        """Slot of an order, None if it is not in the table."""
        slot = order_table.find(&self.table, client_order_id, <uint32_t>NONE)
        return None if slot == <uint32_t>NONE else slot

    def audit(self):
        """Recompute everything that is kept up incrementally. A list of what is wrong, empty when all holds.

        For tests and debug runs; reads the whole table, so call it only while the router thread stands still.
        """
        wrong = []
        reserved = {}
        for view in self.orders():
            self._audit_order(view.slot, wrong, reserved)
        for view in self.parents():
            self._audit_parent(view, reserved.get(view.slot, (0, 0, 0)), wrong)
        for listing in range(self.table.listing_count):
            _audit_position(self.position(listing), wrong)
        self._audit_lists(wrong)
        return wrong

    cdef _audit_order(self, uint32_t slot, list wrong, dict reserved):
        cdef const Order *order = &self.table.orders[slot]
        cdef Hold hold = order_table.hold_of(order)
        cdef int64_t factor = self.table.listings[order.child.listing].quantity_factor
        cdef uint32_t at = order.fills
        cdef int64_t cumulative = 0
        notional = 0
        if order.queued == RETIRING:        # its fills are being forgotten
            cumulative, notional, at = order.cumulative, order.notional, <uint32_t>NONE
        elif order_table.find(&self.table, order.child.client_order_id, <uint32_t>NONE) != slot:
            wrong.append(f"order {slot}: not found by its client order id")
        while at != <uint32_t>NONE:
            cumulative += self.table.fills[at].quantity
            notional += int(self.table.fills[at].price) * self.table.fills[at].quantity
            at = self.table.fills[at].next
        if (cumulative, notional) != (order.cumulative, order.notional) and not self.table.counts.unremembered:
            wrong.append(f"order {slot}: cumulative {order.cumulative}, but its fills sum to {cumulative}")
        if order.status != states.status(order):
            wrong.append(f"order {slot}: status {order.status}, but its facts say {states.status(order)}")
        if (order.status == OrderStatus.FILLED) != (order.cumulative >= states.most(order)):
            wrong.append(f"order {slot}: status {order.status}, {order.cumulative} of {order.child.quantity} filled")
        if order.cumulative < 0 or hold.working < 0 or hold.in_doubt < 0:
            wrong.append(f"order {slot}: a negative quantity")
        if order_table.parent_of(&self.table, order) is not NULL:
            filled, working, in_doubt = reserved.get(order.parent, (0, 0, 0))
            reserved[order.parent] = (filled + order.cumulative * factor, working + hold.working * factor,
                                      in_doubt + hold.in_doubt * factor)

    cdef _audit_parent(self, view, tuple children, list wrong):
        cdef const Parent *parent = &self.table.parents[view.slot]
        kept = (view.filled, view.working, view.in_doubt)
        found = (children[0] + parent.retired, children[1], children[2])
        if kept != found:
            wrong.append(f"parent {view.parent_id}: (filled, working, in doubt) {kept}, but its children say {found}")
        by_listing = sum(fill.filled * self.table.listings[fill.listing].quantity_factor for fill in view.by_listing)
        if by_listing != view.filled:
            wrong.append(f"parent {view.parent_id}: filled {view.filled}, but its listings sum to {by_listing}")

    cdef _audit_lists(self, list wrong):
        cdef uint32_t at
        used = len(self.orders())
        if used + self.table.free_orders != self.table.order_capacity:
            wrong.append(f"{used} orders and {self.table.free_orders} free slots of {self.table.order_capacity}")
        free_fills, at = 0, self.table.free_fill
        while at != <uint32_t>NONE:
            free_fills, at = free_fills + 1, self.table.fills[at].next
        if free_fills != self.table.free_fills:
            wrong.append(f"{free_fills} fills in the free list, counted {self.table.free_fills}")
        queued, at = 0, self.table.ended_first
        while at != <uint32_t>NONE:
            queued, at = queued + 1, self.table.orders[at].next
        flagged = sum(self.table.orders[slot].queued != OUTSIDE for slot in range(self.table.order_capacity))
        if queued != flagged:
            wrong.append(f"{queued} orders in the queue of ended ones, {flagged} say they are")


def _audit_position(view, list wrong):
    open_cost = view.open_cost if view.net >= 0 else -view.open_cost
    if view.bought - view.sold != view.net:
        wrong.append(f"listing {view.listing}: position {view.net}, but bought - sold is {view.bought - view.sold}")
    if view.sold_notional - view.bought_notional != view.realised - open_cost:
        wrong.append(f"listing {view.listing}: cash, realised profit and open cost do not agree")
    if view.open_cost < 0 or (view.net == 0 and view.open_cost):
        wrong.append(f"listing {view.listing}: open cost {view.open_cost} at position {view.net}")
