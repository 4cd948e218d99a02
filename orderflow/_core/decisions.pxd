"""Decisions of the router on their way into the decision log.

When its orders are in the rings of their exchange threads, a decision is copied into a queue (decision_queue.pxd), if
there is anything new to say of it (decision_log.pxd). It is written when a look at every inbox has found nothing: so
its costs (decision_costs.pxd) are computed neither between a signal and its orders nor, where all loops share one
thread, before these are sent. What was refused is written as it was decided, with the reason.

Router thread only.
"""
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from orderflow._core cimport conversion, decision_costs, decision_log, decision_queue, wide
from orderflow._core.allocation cimport Allocation, Split
from orderflow._core.consolidated cimport FEE_UNIT, MAXIMUM_OFFERS, Offer
from orderflow._core.converted_listings cimport rate_for
from orderflow._core.decision_log cimport MOST_WAITS, DecisionHead, DecisionPart, DecisionPath, LeftOut, Trail
from orderflow._core.decision_queue cimport Made
from orderflow._core.parents cimport Parent
from orderflow._core.placeable cimport Cap
from orderflow._core.router_state cimport RouterState
from orderflow._core.types cimport BoardEntry, Listing, Reason, Side
from orderflow._core.wide cimport Wide


cdef struct Notes:              # of a decision while it is made, by place among the listings of the instrument
    uint8_t left_out[MAXIMUM_OFFERS]    # LeftOut
    uint8_t results[MAXIMUM_OFFERS]     # Reason of what was sent
    int64_t surcharges[MAXIMUM_OFFERS]  # 1e-8: what fades there


cdef extern from *:
    """
    #define ORDERFLOW_FNV_BASIS UINT64_C(0xCBF29CE484222325)
    #define ORDERFLOW_FNV_PRIME UINT64_C(0x100000001B3)
    """
    const uint64_t FNV_BASIS "ORDERFLOW_FNV_BASIS"
    const uint64_t FNV_PRIME "ORDERFLOW_FNV_PRIME"


cdef nogil:
    inline uint64_t mix(uint64_t hash, uint8_t value) noexcept:
        """FNV-1a."""
        return (hash ^ value) * FNV_PRIME

    inline bint is_news(RouterState *self, uint32_t slot, int64_t sent, uint64_t reasons) noexcept:
        """Whether a decision is written: it sends something, or nothing for other reasons than the last time. While an
        order of the parent is out its answer is waited for, and nothing is decided anew."""
        cdef const Parent *parent = &self.table.parents[slot]
        cdef Trail *trail = &self.trails[slot]
        if trail.parent_id != parent.order.parent_id:
            trail.parent_id = parent.order.parent_id
            trail.reasons = trail.waits = 0
        if sent > 0:
            return True
        if parent.working > 0 or reasons == trail.reasons or trail.waits == MOST_WAITS:
            return False
        trail.reasons = reasons
        trail.waits += 1
        return True

    inline Made *begin(RouterState *self, uint32_t slot, uint32_t count, int64_t now_ns, int64_t cause_ns) noexcept:
        """A decision of so many listings, with what is known of it whatever its kind; everything else is zero."""
        cdef const Parent *parent = &self.table.parents[slot]
        cdef Made *made
        if decision_queue.is_full(&self.made):
            write_all(self)
        made = decision_queue.next_free(&self.made)
        memset(&made.head, 0, sizeof(DecisionHead))
        memset(made.parts, 0, count * sizeof(DecisionPart))
        made.count = count
        made.head.input_sequence = self.log.sequence
        made.head.parent_id = parent.order.parent_id
        made.head.decided_ns = now_ns
        made.head.cause_receive_ns = cause_ns
        made.head.limit_price = parent.order.limit_price
        made.head.mid = self.risk.exposures[parent.order.instrument].reference_price
        made.head.instrument = parent.order.instrument
        made.head.waits = self.trails[slot].waits
        made.head.side = parent.order.side
        made.head.cause = self.log.kind
        return made

    inline void note_book(const RouterState *self, uint32_t listing, DecisionPart *part) noexcept:
        cdef const BoardEntry *view = &self.views[listing]
        part.version = view.version
        part.receive_ns = view.receive_ns
        part.listing = listing
        part.epoch = view.epoch
        part.publication = view.publication
        part.book_state = view.book_state
        part.fault = view.fault

    inline void record(RouterState *self, uint32_t slot, const Offer *offers, const Cap *caps, const Split *splits,
                       const Allocation *out, const Notes *notes, uint32_t count, int64_t wanted, int64_t now_ns,
                       int64_t cause_ns) noexcept:
        """A decision to take, `wanted` at most."""
        cdef uint64_t reasons = FNV_BASIS
        cdef int64_t split = 0              # without what is sent later
        cdef int64_t sent = 0
        cdef Made *made
        cdef DecisionPart *part
        cdef uint32_t k
        for k in range(count):
            reasons = mix(mix(reasons, notes.left_out[k]), notes.results[k] if splits[k].quantity else 0)
            split += splits[k].quantity * offers[k].listing.quantity_factor
            if splits[k].quantity and notes.results[k] == Reason.OK:
                sent += splits[k].quantity * offers[k].listing.quantity_factor
        if not is_news(self, slot, sent, reasons):
            return
        made = begin(self, slot, count, now_ns, cause_ns)
        made.head.wanted = wanted
        made.head.split = split
        made.head.sent = sent
        made.head.unfilled = out.unfilled
        made.head.nodes = out.nodes
        if out.quantity > 0:
            made.head.path = (DecisionPath.GREEDY if out.greedy else DecisionPath.SEARCHED if out.exact
                              else DecisionPath.CUT_SHORT)
        decision_log.keep(&out.gap, &made.head.gap)
        for k in range(count):
            decision_queue.copy_offer(made, k, &offers[k])
            made.caps[k] = caps[k]
            part = &made.parts[k]
            note_book(self, offers[k].listing.index, part)
            part.most = caps[k].quantity
            part.left_out = notes.left_out[k]
            part.surcharge = notes.surcharges[k]
            part.rate = offers[k].rate
            if not part.left_out and not offers[k].usable:
                part.left_out = LeftOut.OTHER_CHOSEN
            elif not part.left_out and caps[k].quantity == 0:
                part.left_out = LeftOut.ONLY_REDUCES
            if splits[k].quantity:
                part.quantity = splits[k].quantity
                part.price = splits[k].price
                part.result = notes.results[k]
        self.made.pushed += 1

    inline void record_rest(RouterState *self, uint32_t slot, uint32_t index, int64_t quantity, int64_t price,
                            uint8_t left_out, uint8_t result, int64_t now_ns, int64_t cause_ns) noexcept:
        """A decision to place `quantity` (listing scale) in the book of one listing, which pays the maker fee."""
        cdef const Listing *listing = &self.listings[index]
        cdef uint8_t side = self.table.parents[slot].order.side
        cdef int64_t whole = quantity * listing.quantity_factor
        cdef int64_t fee = listing.maker_fee if side == Side.BUY else -listing.maker_fee
        cdef bint is_sent = not left_out and result == Reason.OK
        cdef Made *made
        cdef DecisionPart *part
        cdef Offer offer
        cdef Wide cost
        if not is_news(self, slot, whole if is_sent else 0, mix(mix(FNV_BASIS, left_out), result)):
            return
        offer.listing = listing
        offer.rate = rate_for(self, index, side)
        offer.usable = False
        if side == Side.BUY:
            offer.levels, offer.count = self.views[index].asks, self.views[index].ask_count
        else:
            offer.levels, offer.count = self.views[index].bids, self.views[index].bid_count
        made = begin(self, slot, 1, now_ns, cause_ns)
        part = &made.parts[0]
        decision_queue.copy_offer(made, 0, &offer)
        note_book(self, index, part)
        made.head.wanted = whole
        made.head.path = DecisionPath.RESTED
        part.most = INT64_MAX
        part.rate = offer.rate
        part.left_out = left_out
        if not left_out:
            wide.clear(&cost)
            wide.add_product(&cost, wide.product(
                conversion.instrument_price(listing, price, offer.rate, side), <int64_t>FEE_UNIT + fee), whole)
            made.head.split = whole
            made.head.sent = whole if is_sent else 0
            part.quantity = quantity
            part.price = price
            part.result = result
            decision_log.keep(&cost, &part.all_in)
            made.head.all_in = part.all_in
        self.made.pushed += 1

    inline void compute(RouterState *self, const Made *made, DecisionHead *head, DecisionPart *parts) noexcept:
        """What was displayed, and what everything costs."""
        cdef bint takes = head.path != DecisionPath.RESTED
        cdef uint32_t k
        for k in range(made.count):
            decision_costs.write_offer(&made.offers[k], head.side, head.limit_price, &parts[k])
            if takes and parts[k].quantity:
                decision_costs.part_cost(self.allocator, &made.offers[k], head.side, parts[k].quantity,
                                         &parts[k].all_in)
                decision_log.add(&head.all_in, &parts[k].all_in)
        if not takes or head.split == 0:
            return
        decision_costs.sweep(self.allocator, made.offers, made.caps, made.count, head.side, head.split,
                             head.limit_price, &head.sweep)
        for k in range(made.count):
            if not parts[k].left_out or parts[k].left_out >= LeftOut.OTHER_CHOSEN:
                decision_costs.alone(self.allocator, &made.offers[k], &made.caps[k], head.side, head.wanted,
                                     head.limit_price, &parts[k])

    inline void write(RouterState *self, Made *made) noexcept:
        cdef DecisionHead *head = decision_log.reserve(self.decisions, made.count)
        if head is NULL:
            return
        made.head.sequence = head.sequence
        made.head.bytes = head.bytes
        made.head.listings = head.listings
        head[0] = made.head
        memcpy(decision_log.parts_of(head), made.parts, made.count * sizeof(DecisionPart))
        compute(self, made, head, decision_log.parts_of(head))
        decision_log.seal(self.decisions, head)

    inline void write_all(RouterState *self) noexcept:
        """Those that wait, in the order in which they were made."""
        cdef Made *made = decision_queue.oldest(&self.made)
        while made is not NULL:
            write(self, made)
            self.made.taken += 1
            made = decision_queue.oldest(&self.made)
