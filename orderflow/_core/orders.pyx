"""Python face of orders.pxd: what tests and the control thread call, and the audit of all that it keeps."""
from collections import namedtuple

from libc.string cimport memcpy

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

    def apply(self, record):
        """Apply one EXECUTION_REPORT_DTYPE record; OutcomeView."""
        cdef ExecutionReport report
        cdef Outcome outcome
        copy_record(&report, record, EXECUTION_REPORT_DTYPE, sizeof(report))
        apply(&self.table, &report, &outcome)
        return _view(&outcome)

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
        if (order.status == OrderStatus.FILLED) != (order.cumulative >= order.child.quantity):
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
