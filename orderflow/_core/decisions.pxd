"""What is written of a decision of the router, once its orders are in the rings of their exchange threads.

So it adds nothing to the time from a signal to its orders; parent orders further back in the same input wait for it,
about as long as for the split itself: what each listing alone could have filled is a split over one listing, and the
sweep of best prices a merge. Neither is computed when there is nothing new to say (see decision_log.pxd).

What was refused is written as it was decided, with the reason.

Router thread only.
"""
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint32_t, uint64_t

from orderflow._core cimport allocation, charges, consolidated, decision_log, listing_part, placeable, wide
from orderflow._core.allocation cimport Allocation, Split
from orderflow._core.charges cimport Charge
from orderflow._core.consolidated cimport FEE_UNIT, MAXIMUM_OFFERS, Offer
from orderflow._core.decision_log cimport (
    MOST_WAITS, DecisionHead, DecisionPart, DecisionPath, Exact, LeftOut, Trail)
from orderflow._core.fixed cimport int128
from orderflow._core.parents cimport Parent
from orderflow._core.placeable cimport Cap
from orderflow._core.router_state cimport RouterState
from orderflow._core.types cimport BoardEntry, Level, Listing, Reason, Side
from orderflow._core.wide cimport Wide


cdef struct Notes:              # of a decision while it is made, by place among the listings of the instrument
    uint8_t left_out[MAXIMUM_OFFERS]    # LeftOut
    uint8_t results[MAXIMUM_OFFERS]     # Reason of what was sent
    int64_t surcharges[MAXIMUM_OFFERS]  # 1e-8: what fades there


cdef nogil:
    inline void keep_cost(const Wide *cost, uint8_t side, Exact *out) noexcept:
        """A cost as what is paid, or for a seller what comes in."""
        cdef Wide proceeds
        if side == Side.BUY:
            decision_log.keep(cost, out)
            return
        wide.clear(&proceeds)
        wide.subtract(&proceeds, cost)
        decision_log.keep(&proceeds, out)

    inline uint64_t mix(uint64_t hash, uint8_t value) noexcept:
        """FNV-1a."""
        return (hash ^ value) * <uint64_t>0x100000001B3

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

    inline void sweep(RouterState *self, const Offer *offers, const Cap *caps, uint32_t count, uint8_t side,
                      int64_t quantity, int64_t limit, Exact *out) noexcept:
        """All-in cost of a quantity at the best prices of what is usable, whatever the fees."""
        cdef int128[MAXIMUM_OFFERS] keys        # smaller is better: negative for a seller
        cdef int128[MAXIMUM_OFFERS] notional
        cdef int64_t[MAXIMUM_OFFERS] taken
        cdef uint32_t[MAXIMUM_OFFERS] cursors, at
        cdef const Listing *listing
        cdef const Level *level
        cdef const Charge *charge
        cdef Wide cost
        cdef int64_t step, room, fee
        cdef int64_t sign = 1 if side == Side.BUY else -1
        cdef uint32_t begin = MAXIMUM_OFFERS
        cdef uint32_t i
        for i in range(count):
            at[i] = 0
            taken[i] = 0
            notional[i] = 0
            if offers[i].usable and offers[i].count:
                keys[i] = sign * offers[i].levels[0].price * offers[i].listing.price_factor
                begin -= 1
                cursors[begin] = i
                consolidated.sink(cursors, begin, MAXIMUM_OFFERS, keys)
        while quantity > 0 and begin < MAXIMUM_OFFERS:
            i = cursors[begin]
            listing = offers[i].listing
            level = &offers[i].levels[at[i]]
            room = placeable.worst_price(listing, side, limit)
            if level.price > room if side == Side.BUY else level.price < room:
                begin += 1
                continue
            step = level.quantity * listing.quantity_factor
            if caps[i].quantity < INT64_MAX and caps[i].quantity * listing.quantity_factor - taken[i] < step:
                step = caps[i].quantity * listing.quantity_factor - taken[i]
            if step > quantity:
                step = quantity
            notional[i] += wide.product(level.price * listing.price_factor, step)
            taken[i] += step
            quantity -= step
            at[i] += 1
            if at[i] == offers[i].count:
                begin += 1
            else:
                keys[i] = sign * offers[i].levels[at[i]].price * listing.price_factor
                consolidated.sink(cursors, begin, MAXIMUM_OFFERS, keys)
        wide.clear(&cost)
        for i in range(count):
            if taken[i] == 0:
                continue
            listing = offers[i].listing
            charge = NULL
            if self.allocator.charges is not NULL:
                charge = &self.allocator.charges[listing.index]
            fee = charges.taker_fee(listing, charge, taken[i] / listing.quantity_factor)
            listing_part.add_notional(&cost, notional[i], fee + sign * <int64_t>FEE_UNIT)
            if charge is not NULL:
                wide.add_product(&cost, charge.ticket_all_in, 1)
        keep_cost(&cost, side, out)

    inline void write_head(RouterState *self, uint32_t slot, DecisionHead *head, int64_t now_ns,
                           int64_t cause_ns) noexcept:
        cdef const Parent *parent = &self.table.parents[slot]
        head.input_sequence = self.log.sequence
        head.parent_id = parent.order.parent_id
        head.decided_ns = now_ns
        head.cause_receive_ns = cause_ns
        head.limit_price = parent.order.limit_price
        head.mid = self.risk.exposures[parent.order.instrument].reference_price
        head.instrument = parent.order.instrument
        head.waits = self.trails[slot].waits
        head.side = parent.order.side
        head.cause = self.log.kind

    inline void write_book(const RouterState *self, uint32_t listing, DecisionPart *part) noexcept:
        cdef const BoardEntry *view = &self.views[listing]
        part.version = view.version
        part.receive_ns = view.receive_ns
        part.listing = listing
        part.epoch = view.epoch
        part.publication = view.publication
        part.book_state = view.book_state
        part.fault = view.fault

    inline void write_offer(const Offer *offer, uint8_t side, int64_t limit, DecisionPart *part) noexcept:
        cdef int64_t worst = placeable.worst_price(offer.listing, side, limit)
        cdef uint32_t k
        if offer.count:
            part.best_price = offer.levels[0].price
            part.best_quantity = offer.levels[0].quantity
        for k in range(offer.count):
            if offer.levels[k].price > worst if side == Side.BUY else offer.levels[k].price < worst:
                break
            part.shown += offer.levels[k].quantity

    inline void write_parts(RouterState *self, const Offer *offers, const Cap *caps, const Split *splits,
                            const Notes *notes, uint32_t count, uint8_t side, int64_t limit,
                            DecisionPart *parts) noexcept:
        """What each listing showed and was given. Its cost is still in the allocator."""
        cdef Wide cost
        cdef uint32_t k
        for k in range(count):
            write_book(self, offers[k].listing.index, &parts[k])
            write_offer(&offers[k], side, limit, &parts[k])
            parts[k].most = caps[k].quantity
            parts[k].left_out = notes.left_out[k]
            parts[k].surcharge = notes.surcharges[k]
            if not parts[k].left_out and not offers[k].usable:
                parts[k].left_out = LeftOut.OTHER_CHOSEN
            elif not parts[k].left_out and caps[k].quantity == 0:
                parts[k].left_out = LeftOut.ONLY_REDUCES
            if splits[k].quantity == 0:
                continue
            parts[k].quantity = splits[k].quantity
            parts[k].price = splits[k].price
            parts[k].result = notes.results[k]
            wide.clear(&cost)
            listing_part.add_cost(&self.allocator.relaxation.parts[k], &cost)
            keep_cost(&cost, side, &parts[k].all_in)

    inline void write_alone(RouterState *self, const Offer *offers, const Cap *caps, uint32_t count, uint8_t side,
                            int64_t wanted, int64_t limit, DecisionPart *parts) noexcept:
        """What each listing could have filled without the others."""
        cdef Offer offer
        cdef Split split
        cdef Allocation alone
        cdef uint32_t k
        for k in range(count):
            if parts[k].left_out and parts[k].left_out < LeftOut.OTHER_CHOSEN:
                continue
            offer = offers[k]
            offer.usable = True
            allocation.allocate(self.allocator, &offer, &caps[k], 1, side, wanted, limit, &split, &alone)
            parts[k].alone_quantity = alone.quantity
            decision_log.keep(&alone.all_in, &parts[k].alone_all_in)

    inline void take_out_surcharges(RouterState *self, const Offer *offers, const Cap *caps, uint32_t count,
                                    uint8_t side, int64_t limit, DecisionPart *parts, DecisionHead *head) noexcept:
        """Where the split counted what fades, its parts are priced again without; what is sent later is not of them."""
        cdef Wide total
        cdef Split split
        cdef Allocation alone
        cdef bint any_surcharge = False
        cdef uint32_t k
        for k in range(count):
            any_surcharge = any_surcharge or parts[k].surcharge != 0
        if not any_surcharge:
            return
        wide.clear(&total)
        head.split = 0
        for k in range(count):
            if parts[k].quantity == 0:
                continue
            head.split += parts[k].quantity * offers[k].listing.quantity_factor
            allocation.allocate(self.allocator, &offers[k], &caps[k], 1, side,
                                parts[k].quantity * offers[k].listing.quantity_factor, limit, &split, &alone)
            decision_log.keep(&alone.all_in, &parts[k].all_in)
            wide.add(&total, &alone.all_in)
        decision_log.keep(&total, &head.all_in)

    inline void record(RouterState *self, uint32_t slot, const Offer *offers, const Cap *caps, const Split *splits,
                       const Allocation *out, const Notes *notes, uint32_t count, int64_t wanted, int64_t now_ns,
                       int64_t cause_ns) noexcept:
        """A decision to take, `wanted` at most; `out` is the allocator's last."""
        cdef uint8_t side = self.table.parents[slot].order.side
        cdef int64_t limit = self.table.parents[slot].order.limit_price
        cdef uint64_t reasons = <uint64_t>0xCBF29CE484222325
        cdef int64_t sent = 0
        cdef DecisionHead *head
        cdef DecisionPart *parts
        cdef uint32_t k
        for k in range(count):
            reasons = mix(mix(reasons, notes.left_out[k]), notes.results[k] if splits[k].quantity else 0)
            if splits[k].quantity and notes.results[k] == Reason.OK:
                sent += splits[k].quantity * offers[k].listing.quantity_factor
        if not is_news(self, slot, sent, reasons):
            return
        head = decision_log.reserve(self.decisions, count)
        if head is NULL:
            return
        parts = decision_log.parts_of(head)
        write_head(self, slot, head, now_ns, cause_ns)
        head.wanted = wanted
        head.split = out.quantity
        head.sent = sent
        head.unfilled = out.unfilled
        head.nodes = out.nodes
        head.path = DecisionPath.NOTHING_SENDABLE
        decision_log.keep(&out.gap, &head.gap)
        write_parts(self, offers, caps, splits, notes, count, side, limit, parts)
        if out.quantity > 0:
            head.path = (DecisionPath.GREEDY if out.greedy else DecisionPath.SEARCHED if out.exact
                         else DecisionPath.CUT_SHORT)
            decision_log.keep(&out.all_in, &head.all_in)
            take_out_surcharges(self, offers, caps, count, side, limit, parts, head)
            sweep(self, offers, caps, count, side, out.quantity, limit, &head.sweep)
            write_alone(self, offers, caps, count, side, wanted, limit, parts)
        decision_log.seal(self.decisions, head)

    inline void record_rest(RouterState *self, uint32_t slot, uint32_t index, int64_t quantity, int64_t price,
                            uint8_t left_out, uint8_t result, int64_t now_ns, int64_t cause_ns) noexcept:
        """A decision to place `quantity` (listing scale) in the book of one listing, which pays the maker fee."""
        cdef const Listing *listing = &self.listings[index]
        cdef uint8_t side = self.table.parents[slot].order.side
        cdef int64_t whole = quantity * listing.quantity_factor
        cdef int64_t fee = listing.maker_fee if side == Side.BUY else -listing.maker_fee
        cdef uint64_t reasons = mix(mix(<uint64_t>0xCBF29CE484222325, left_out), result)
        cdef bint is_sent = not left_out and result == Reason.OK
        cdef DecisionHead *head
        cdef DecisionPart *part
        cdef Offer offer
        cdef Wide cost
        if not is_news(self, slot, whole if is_sent else 0, reasons):
            return
        head = decision_log.reserve(self.decisions, 1)
        if head is NULL:
            return
        part = decision_log.parts_of(head)
        offer.listing = listing
        if side == Side.BUY:
            offer.levels, offer.count = self.views[index].asks, self.views[index].ask_count
        else:
            offer.levels, offer.count = self.views[index].bids, self.views[index].bid_count
        write_head(self, slot, head, now_ns, cause_ns)
        write_book(self, index, part)
        write_offer(&offer, side, head.limit_price, part)
        head.wanted = whole
        head.path = DecisionPath.RESTED
        part.most = INT64_MAX
        part.left_out = left_out
        if not left_out:
            wide.clear(&cost)
            wide.add_product(&cost, wide.product(price * listing.price_factor, <int64_t>FEE_UNIT + fee), whole)
            head.split = whole
            head.sent = whole if is_sent else 0
            part.quantity = quantity
            part.price = price
            part.result = result
            decision_log.keep(&cost, &part.all_in)
            head.all_in = part.all_in
        decision_log.seal(self.decisions, head)
