"""Routing: what can be sent of a parent now, and where.

Of its listings take those whose book is LIVE and which have nothing of ours under way, split what remains over them
by what it costs after fees, and send one IOC order to each that got a part, at the worst price that its part needs. A
listing is looked at again only when its book has changed since our last order there ended: the levels that we have just
taken are still displayed until then. What cannot be sent now waits for the next change, until the parent's time is up
or no listing takes so little.

Router thread only.
"""
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint32_t, uint64_t

from orderflow._core cimport (
    allocation, arrivals, consolidated, decisions, pacing, parents, passive, posting, purses, risk, risk_exposure,
    staggering, taking)
from orderflow._core.algos cimport patience
from orderflow._core.allocation cimport Allocation, Split
from orderflow._core.child_orders cimport send_child
from orderflow._core.consolidated cimport MAXIMUM_OFFERS, Offer
from orderflow._core.converted_listings cimport rate_for
from orderflow._core.decision_log cimport LeftOut
from orderflow._core.decisions cimport Notes
from orderflow._core.fixed cimport int128
from orderflow._core.minimums cimport too_little
from orderflow._core.order_table cimport NONE
from orderflow._core.parent_changes cimport end_parent
from orderflow._core.parents cimport Parent
from orderflow._core.placeable cimport Cap
from orderflow._core.resting_parents cimport crosses, rest, take_what_is_wanted
from orderflow._core.risk_state cimport Decision, refuse
from orderflow._core.router_state cimport RouterState
from orderflow._core.router_view cimport is_tradable, keep_to, why_left_out
from orderflow._core.types cimport Algorithm, Listing, ParentOrder, Reason, RoutePolicy, Side, TimeInForce


cdef nogil:
    inline const Listing *priced(RouterState *self, uint32_t listing, int64_t now_ns) noexcept:
        """The listing with what fades there as a part of its fee."""
        cdef int64_t more
        if self.states[listing].arrivals.missing == 0:
            return &self.listings[listing]
        more = arrivals.surcharge(&self.states[listing].arrivals, self.chase[self.listings[listing].instrument], now_ns)
        self.priced[listing].taker_fee = self.listings[listing].taker_fee + more
        return &self.priced[listing]

    inline bint can_pay(const RouterState *self, uint32_t listing, uint8_t side, Cap *cap) noexcept:
        """Whether the account has anything for an order there, and what it has."""
        cdef int128 left = purses.free(&self.risk.purses, listing, side)
        if left < 0:
            return True
        if side == Side.SELL:
            cap.quantity = purses.most_to_sell(&self.listings[listing], left)
            return cap.quantity > 0
        cap.funds = purses.most_to_spend(left)
        return cap.funds > 0

    inline uint32_t gather(RouterState *self, const ParentOrder *order, Offer *offers, Cap *caps, Notes *notes,
                           int64_t now_ns) noexcept:
        """What each of the parent's listings offers now, and why it is left out if it is."""
        cdef uint32_t begin = self.first[order.instrument]
        cdef uint32_t count = self.first[order.instrument + 1] - begin
        cdef uint32_t k, i
        for k in range(count):
            i = self.members[begin + k]
            offers[k].listing = priced(self, i, now_ns)
            offers[k].rate = rate_for(self, i, order.side)
            if order.side == Side.BUY:
                offers[k].levels = self.views[i].asks
                offers[k].count = self.views[i].ask_count
            else:
                offers[k].levels = self.views[i].bids
                offers[k].count = self.views[i].bid_count
            if order.listings and not (order.listings >> k) & 1:
                notes.left_out[k] = LeftOut.NOT_ALLOWED
            else:
                notes.left_out[k] = why_left_out(self, i, order.side, now_ns)
            offers[k].usable = notes.left_out[k] == LeftOut.NOT_LEFT_OUT
            notes.surcharges[k] = offers[k].listing.taker_fee - self.listings[i].taker_fee
            caps[k].quantity = caps[k].funds = INT64_MAX
            if offers[k].usable and not can_pay(self, i, order.side, &caps[k]):
                offers[k].usable = False
                notes.left_out[k] = LeftOut.NO_FUNDS
        return count

    inline void restrain(RouterState *self, uint32_t slot, const Offer *offers, Cap *caps, uint32_t count,
                         int64_t remaining, int64_t now_ns) noexcept:
        """Where an exchange may only reduce, no more is sent than that, and the rest goes elsewhere. Risk would refuse
        it, again with every change of the book; so it is told as a refusal."""
        cdef uint8_t side = self.table.parents[slot].order.side
        cdef Decision decision
        cdef int128 most
        cdef uint32_t k
        if not self.risk.reducing:
            return
        for k in range(count):
            if not offers[k].usable or not risk_exposure.is_reducing(self.risk, offers[k].listing.index):
                continue
            most = risk_exposure.reducible(self.risk, offers[k].listing.index, side)
            if most < remaining:
                refuse(&decision, Reason.EXCHANGE_REDUCING, most, remaining)
                risk.explain(self.risk, slot, offers[k].listing.index, now_ns, &decision)
                caps[k].quantity = min(caps[k].quantity, <int64_t>(most / offers[k].listing.quantity_factor))

    inline uint64_t choose_single(RouterState *self, const Parent *parent, Offer *offers, Cap *caps, uint32_t count,
                                  int64_t quantity) noexcept:
        """Policy SINGLE: leave the one listing that fills most, and of those the cheapest; its bit, 0 = none. With its
        first order the parent keeps to it for its whole life."""
        cdef Split splits[MAXIMUM_OFFERS]
        cdef Allocation alone
        cdef Allocation best
        cdef uint8_t was[MAXIMUM_OFFERS]
        cdef uint32_t k, j
        cdef int chosen = -1
        best.quantity = 0
        for k in range(count):
            was[k] = offers[k].usable
        for k in range(count):
            if not was[k]:
                continue
            for j in range(count):
                offers[j].usable = j == k
            allocation.allocate(self.allocator, offers, caps, count, parent.order.side, quantity,
                                parent.order.limit_price, splits, &alone)
            if alone.quantity > best.quantity or (alone.quantity == best.quantity and alone.quantity and
                                                  cheaper(&alone, &best, parent.order.side)):
                best = alone
                chosen = <int>k
        for k in range(count):
            offers[k].usable = was[k] and <int>k == chosen
        return <uint64_t>1 << chosen if chosen >= 0 else 0

    inline bint is_bound(const Parent *parent) noexcept:
        """Whether only one listing is allowed."""
        return parent.order.listings and parent.order.listings & (parent.order.listings - 1) == 0

    inline bint cheaper(const Allocation *a, const Allocation *b, uint8_t side) noexcept:
        cdef int order = allocation.wide.compare(&a.all_in, &b.all_in)
        return order < 0 if side == Side.BUY else order > 0

    inline void learn_chase(RouterState *self, Parent *parent, const Offer *offers, const Split *splits,
                            uint32_t count) noexcept:
        """How much dearer that is which an order in haste did not get."""
        cdef uint8_t side = parent.order.side
        cdef int128 dearest = 0
        cdef int128 price
        cdef uint32_t k
        if parent.missed_at == 0 or parent.order.algorithm != Algorithm.IMMEDIATE or patience.is_patient(&parent.order):
            return
        for k in range(count):
            if splits[k].quantity > 0:
                price = consolidated.all_in(&self.listings[offers[k].listing.index], side, splits[k].price,
                                            offers[k].rate)
                if dearest == 0 or (price > dearest if side == Side.BUY else price < dearest):
                    dearest = price
        price = dearest - parent.missed_at if side == Side.BUY else parent.missed_at - dearest
        self.chase[parent.order.instrument] = arrivals.chased(
            self.chase[parent.order.instrument], <int64_t>(price * consolidated.FEE_UNIT / parent.missed_at))
        parent.missed_at = 0

    inline void record_search(RouterState *self, const Parent *parent, const Allocation *out) noexcept:
        self.searched_splits += 1
        self.split_nodes += out.nodes
        if not out.exact:
            self.inexact_splits += 1
            self.inexact_parent = parent.order.parent_id
            self.inexact_instrument = parent.order.instrument
            self.inexact = out[0]

    inline void wait_for_better(const RouterState *self, const ParentOrder *order, Offer *offers, Notes *notes,
                                const Split *splits, uint32_t count, int64_t now_ns) noexcept:
        """Leave out of the offers what a patient parent does not pay yet. The best is that of all books that it can
        trade on, even if what is there cannot be taken now."""
        cdef uint8_t side = order.side
        cdef uint32_t shown[MAXIMUM_OFFERS]
        cdef uint32_t k
        cdef int128 price
        cdef int128 best = 0
        cdef int128 dearest = 0
        for k in range(count):
            if splits[k].quantity > 0:
                price = consolidated.all_in(offers[k].listing, side, splits[k].price, offers[k].rate)
                if dearest == 0 or (price > dearest if side == Side.BUY else price < dearest):
                    dearest = price
            if (offers[k].count > 0 and (order.listings == 0 or (order.listings >> k) & 1)
                    and is_tradable(self, offers[k].listing.index, side, now_ns)):
                price = consolidated.all_in_price(&offers[k], side, 0)
                if best == 0 or (price < best if side == Side.BUY else price > best):
                    best = price
        for k in range(count):
            shown[k] = offers[k].count
        patience.hold_back(offers, count, side, patience.most_paid(best, dearest, patience.share(order, now_ns)))
        for k in range(count):
            if offers[k].usable and shown[k] and offers[k].count == 0:
                notes.left_out[k] = LeftOut.WAITS_FOR_BETTER

    inline int64_t leaves_enough(const RouterState *self, const Parent *parent, int64_t sent) noexcept:
        """As much as was to be sent, or less, so that what is left of the parent then is not too little for every
        exchange."""
        cdef int64_t whole = parents.remaining(parent)
        cdef int64_t left = whole - sent
        while 0 < left < whole and too_little(self, &parent.order, left):
            left = 2 * left if left < whole // 2 else whole
        return whole - left

    inline void route(RouterState *self, uint32_t slot, int64_t now_ns, int64_t cause_ns) noexcept:
        """Send what can be sent of a parent now."""
        cdef Parent *parent = &self.table.parents[slot]
        cdef Offer offers[MAXIMUM_OFFERS]
        cdef Cap caps[MAXIMUM_OFFERS]
        cdef Split splits[MAXIMUM_OFFERS]
        cdef Allocation out
        cdef Notes notes
        cdef int64_t remaining = parents.remaining(parent)
        cdef int64_t less
        cdef uint32_t shown[MAXIMUM_OFFERS]
        cdef uint32_t count, k
        cdef uint64_t single = 0
        cdef uint8_t code = Reason.OK
        cdef bint joins
        if passive.is_resting(parent.order.algorithm):
            rest(self, slot, now_ns, cause_ns)
            if not parent.crossing:
                return
            remaining = parents.remaining(parent)
        joins = passive.joins(&parent.order)
        if joins:
            joins = not crosses(self, slot, now_ns)     # it may have another quantity now
            remaining = posting.post(self, slot, now_ns, cause_ns) if joins else parents.remaining(parent)
        if parent.crossing and not joins:
            if not take_what_is_wanted(self, slot, now_ns):
                return
            remaining = parents.remaining(parent)
        if taking.is_swept(self, slot, now_ns):
            return
        if (parent.closing or parent.paused or remaining <= 0 or now_ns < parent.resumes_ns
                or self.killed >> (32 + parent.order.strategy) & 1):
            return
        if too_little(self, &parent.order, parents.remaining(parent)):
            if parent.working == 0 and parent.in_doubt == 0:
                end_parent(self, slot, Reason.BELOW_MINIMUM_REMAINS, now_ns)
            return
        if joins or pacing.is_paced(parent.order.algorithm):
            remaining = remaining if joins else pacing.due(parent)
            if remaining <= 0 or too_little(self, &parent.order, remaining):
                return
        count = gather(self, &parent.order, offers, caps, &notes, now_ns)
        for k in range(count):
            shown[k] = offers[k].count
        restrain(self, slot, offers, caps, count, remaining, now_ns)
        taking.select(self, parent, offers, caps, &notes.left_out[0], count)
        if self.policy == RoutePolicy.SINGLE and not is_bound(parent):
            single = choose_single(self, parent, offers, caps, count, remaining)
        allocation.allocate(self.allocator, offers, caps, count, parent.order.side, remaining,
                            parent.order.limit_price, splits, &out)
        if out.quantity and patience.is_patient(&parent.order):
            wait_for_better(self, &parent.order, offers, &notes, splits, count, now_ns)
            allocation.allocate(self.allocator, offers, caps, count, parent.order.side, remaining,
                                parent.order.limit_price, splits, &out)
        if out.quantity and not taking.is_once(parent.order.algorithm):
            less = leaves_enough(self, parent, out.quantity)
            if less < out.quantity:
                allocation.allocate(self.allocator, offers, caps, count, parent.order.side, less,
                                    parent.order.limit_price, splits, &out)
            if out.quantity == 0:           # it is this or nothing
                allocation.allocate(self.allocator, offers, caps, count, parent.order.side, remaining,
                                    parent.order.limit_price, splits, &out)
        if not taking.is_enough(self, parent, remaining, out.quantity):
            for k in range(count):
                splits[k].quantity = 0
            out.quantity = out.unfilled = 0
            out.nodes = 0
            allocation.wide.clear(&out.gap)
            code = Reason.NO_LIQUIDITY
        else:
            if single:
                keep_to(self, parent, single)
            learn_chase(self, parent, offers, splits, count)
            staggering.hold_back(self, slot, offers, splits, &notes.left_out[0], count, now_ns)
            self.splits += 1
            if not out.greedy:
                record_search(self, parent, &out)
            for k in range(count):
                if splits[k].quantity > 0:
                    code = notes.results[k] = send_child(self, slot, offers[k].listing.index, splits[k].quantity,
                                                         splits[k].price, TimeInForce.IOC, now_ns, cause_ns)
        for k in range(count):
            offers[k].listing = &self.listings[offers[k].listing.index]     # what is written is what it would cost,
            offers[k].count = shown[k]                                      # and all that was shown
        decisions.record(self, slot, offers, caps, splits, &out, &notes, count, remaining, now_ns, cause_ns)
        taking.end_swept(self, slot, code, now_ns)

    inline void route_instrument(RouterState *self, uint32_t instrument, int64_t now_ns, int64_t cause_ns) noexcept:
        cdef uint32_t slot = self.active.first[instrument]
        cdef uint32_t after
        while slot != <uint32_t>NONE:
            after = self.active.following[slot]
            route(self, slot, now_ns, cause_ns)     # it may end this one
            slot = after
