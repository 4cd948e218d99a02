"""How much goes where: the split of one quantity over the listings of an instrument.

The split is, among all feasible ones (placeable.pxd says what one listing can be sent), that which fills the most, not
more than asked for; among those the one with the lowest all-in cost (for a seller: the highest proceeds), fees and
tickets included (charges.pxd); among those the one that gives more to the listing that stands first, then to the
second, and so on. Quantity comes first, so a ticket never keeps an order from being sent; it decides where it is sent.

The relaxation (relaxation.pxd) is a lower bound of the cost. Where the split that gives the bound can be sent, and
costs no more than the bound, it is the answer. Usually that is so at the first node: then greedy was optimal, that is
its certificate (`greedy`), and nothing is searched. Otherwise branch and bound makes it exact, depth first, with
the bounds of branching.pxd: a part that cannot be sent first, the one in the widest gap, then the dearest of tickets
and fees that were counted too low. Candidates are what is left of parts that cannot be sent when they are rounded, and
splits that can be sent at their real cost.

Worst case: exponential in the listings, so the nodes are limited. `exact` says whether the search ended by itself. If
not, the best split found is used, and the bounds of what was not looked at say how far it may be from the best: at most
`unfilled` more could be filled, and as much as was filled could cost less by at most `gap`. To say so takes as many
relaxations again as there are branches above each other. A node costs one pass over the levels for each distinct lot
(relaxation.pxd); no memory is taken and no clock is read, so whoever has a budget of time has it in nodes, and
bench/bench_allocation.py measures what one costs.
"""
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint32_t

from orderflow._core cimport branching, charges, conversion, listing_part, placeable, relaxation, wide
from orderflow._core.branching cimport Branch
from orderflow._core.charges cimport Charge
from orderflow._core.consolidated cimport MAXIMUM_OFFERS, Offer
from orderflow._core.fixed cimport int128
from orderflow._core.listing_part cimport Part
from orderflow._core.placeable cimport Cap
from orderflow._core.relaxation cimport Relaxation
from orderflow._core.types cimport Side
from orderflow._core.wide cimport Wide


cdef struct Split:              # one listing's part, listing scale
    int64_t quantity            # 0 = nothing
    int64_t price               # limit of the IOC: the worst price it needs, on the tick grid


cdef struct Allocation:         # instrument scale
    Wide all_in                 # sum of all-in price * quantity, tickets included; negative where they eat the proceeds
    Wide gap                    # the same quantity may be had for so much less (may bring so much more); 0 if exact
    int128 notional             # sum of price * quantity
    int64_t quantity
    int64_t unfilled            # so much more may be possible; 0 if exact
    uint32_t nodes              # looked at
    uint8_t exact               # nothing better exists
    uint8_t greedy              # and the first node proved it


cdef struct Allocator:          # scratch of one router; quantities in instrument scale
    Relaxation relaxation
    Branch *branches            # room for one a node
    int64_t[MAXIMUM_OFFERS] best
    Wide best_cost
    int64_t best_quantity
    const Charge *charges       # by listing index; NULL = no listing charges more than its taker fee
    uint32_t node_limit
    uint32_t depth              # branches that are open


cdef nogil:
    inline bint beats_best(const Allocator *a, int64_t total, const Wide *cost) noexcept:
        """Whether a split like what is taken would be better than the best so far."""
        cdef const Relaxation *r = &a.relaxation
        cdef int order
        cdef uint32_t i
        if total != a.best_quantity:
            return total > a.best_quantity
        order = wide.compare(cost, &a.best_cost)
        if order != 0:
            return order < 0
        for i in range(r.count):
            if r.parts[i].taken != a.best[i]:
                return r.parts[i].taken > a.best[i]
        return False

    inline void keep(Allocator *a, int64_t total, const Wide *cost) noexcept:
        """What is taken is the best so far."""
        cdef uint32_t i
        a.best_quantity = total
        a.best_cost = cost[0]
        for i in range(a.relaxation.count):
            a.best[i] = a.relaxation.parts[i].taken

    inline void keep_rounded(Allocator *a, int64_t total) noexcept:
        """So that there is something to send when the nodes are used up."""
        cdef int64_t rounded = branching.round_down(&a.relaxation, total)
        cdef Wide cost
        relaxation.price_taken(&a.relaxation, &cost)
        if beats_best(a, rounded, &cost):
            keep(a, rounded, &cost)

    inline bint examine(Allocator *a, Branch *branch, int64_t *smaller) noexcept:
        """One node: keep its split if it can be sent and is better; True if it has to be branched on."""
        cdef Relaxation *r = &a.relaxation
        cdef int64_t total = relaxation.largest_total(r, r.wanted)
        cdef int64_t missing = 1
        cdef Wide bound, cost
        while missing > 0:
            if total <= 0 or total < a.best_quantity:
                return False
            missing = relaxation.relax(r, total)
            total -= missing
        relaxation.bound(r, &bound)
        if not beats_best(a, total, &bound):
            return False
        if branching.find_unsendable(r, branch, smaller):
            if total > a.best_quantity:
                keep_rounded(a, total)
            return True
        cost = bound
        if r.charged:
            relaxation.price_taken(r, &cost)
        if beats_best(a, total, &cost):
            keep(a, total, &cost)
        return r.charged and branching.find_mispriced(r, branch, smaller)

    inline bint next_open(Allocator *a) noexcept:
        """Bounds of the next node that is open, and False if there is none."""
        cdef Branch *top
        cdef Part *part
        while a.depth > 0:
            top = &a.branches[a.depth - 1]
            part = &a.relaxation.parts[top.listing]
            if top.upper > 0:
                listing_part.bind(part, top.upper, top.high)
                top.upper = 0
                return True
            listing_part.bind(part, top.low, top.high)
            a.depth -= 1
        return False

    inline bint search(Allocator *a, uint32_t *nodes) noexcept:
        """Branch and bound; True if it ended by itself, otherwise the bounds are those of a node that is open."""
        cdef Branch branch
        cdef int64_t smaller = 0
        cdef bint is_open = True
        a.depth = 0
        while is_open:
            if nodes[0] == a.node_limit:
                return False
            nodes[0] += 1
            if not examine(a, &branch, &smaller):
                is_open = next_open(a)
                continue
            a.branches[a.depth] = branch
            a.depth += 1
            if smaller >= branch.low:
                listing_part.bind(&a.relaxation.parts[branch.listing], branch.low, smaller)
            else:
                is_open = next_open(a)
        return True

    inline void widen_gap(Allocator *a, Allocation *out) noexcept:
        """An open node that was not looked at may hold something better than the best, by so much."""
        cdef Relaxation *r = &a.relaxation
        cdef int64_t more = relaxation.largest_total(r, r.wanted) - a.best_quantity
        cdef Wide bound, gap
        if more > out.unfilled:
            out.unfilled = more
        if more < 0 or relaxation.largest_total(r, a.best_quantity) != a.best_quantity:
            return
        if relaxation.relax(r, a.best_quantity) > 0:
            return
        relaxation.bound(r, &bound)
        gap = a.best_cost
        wide.subtract(&gap, &bound)
        if wide.compare(&gap, &out.gap) > 0:
            out.gap = gap

    inline void set_up(Allocator *a, const Offer *offers, const Cap *caps, uint32_t count, uint8_t side,
                       int64_t quantity, int64_t limit) noexcept:
        """What every listing can be sent and charges, and the bounds of the first node."""
        cdef Relaxation *r = &a.relaxation
        cdef Part *part
        cdef Cap cap
        cdef uint32_t i
        r.count = count
        r.side = side
        r.wanted = quantity
        a.best_quantity = 0
        wide.clear(&a.best_cost)
        for i in range(count):
            part = &r.parts[i]
            cap = caps[i]
            part.charge = NULL
            if a.charges is not NULL and not charges.is_none(&a.charges[offers[i].listing.index]):
                part.charge = &a.charges[offers[i].listing.index]
                part.ticket_all_in = conversion.amount(part.charge.ticket_all_in, offers[i].rate, Side.BUY)
                if cap.funds < INT64_MAX:
                    cap.funds = cap.funds - part.charge.ticket if cap.funds > part.charge.ticket else 0
            placeable.prepare(&part.placeable, &offers[i], &cap, side, limit, quantity)
            part.price_factor = offers[i].listing.price_factor
            part.quantity_factor = offers[i].listing.quantity_factor
            part.exchange_rate = offers[i].rate
            part.lot = part.placeable.lot * part.quantity_factor
            part.rate = listing_part.rate_of(part, 0)
            part.taken = a.best[i] = 0
            listing_part.bind(part, 0, part.placeable.most * part.quantity_factor)
        relaxation.sort_by_lot(r)

    inline void describe(Allocator *a, Split *splits, Allocation *out) noexcept:
        """The best split in the scale of each listing, and what it comes to."""
        cdef Part *part
        cdef uint32_t i
        out.quantity = a.best_quantity
        out.notional = 0
        for i in range(a.relaxation.count):
            splits[i].quantity = splits[i].price = 0
            if a.best[i] == 0:
                continue
            part = &a.relaxation.parts[i]
            if part.taken != a.best[i]:
                part.low = a.best[i]
                listing_part.start(part)
            splits[i].quantity = a.best[i] / part.quantity_factor
            splits[i].price = placeable.limit_price(&part.placeable, part.level)
            out.notional += part.notional
        wide.clear(&out.all_in)
        if a.relaxation.side == Side.SELL:
            wide.subtract(&out.all_in, &a.best_cost)
        else:
            out.all_in = a.best_cost

    inline void allocate(Allocator *a, const Offer *offers, const Cap *caps, uint32_t count, uint8_t side,
                         int64_t quantity, int64_t limit, Split *splits, Allocation *out) noexcept:
        """Split `quantity` (instrument scale) at prices no worse than `limit` (instrument scale, 0 = any).

        `offers`, `caps` and `splits` have `count` (1 to MAXIMUM_OFFERS) entries; an offer not usable gets nothing.
        """
        out.nodes = 0
        out.unfilled = 0
        wide.clear(&out.gap)
        set_up(a, offers, caps, count, side, quantity, limit)
        out.exact = search(a, &out.nodes)
        out.greedy = out.exact and out.nodes == 1
        if not out.exact:
            widen_gap(a, out)
            while next_open(a):
                widen_gap(a, out)
        describe(a, splits, out)


cdef class Splitter:
    """Owns the memory of an Allocator."""
    cdef Allocator allocator
    cdef Charge *charges
    cdef Offer[MAXIMUM_OFFERS] offers
    cdef Cap[MAXIMUM_OFFERS] caps
    cdef Split[MAXIMUM_OFFERS] splits
    cdef object listings
    cdef object levels          # (offers, depth) of LEVEL_DTYPE: where the offers point to

    cdef int set_charges(self, charges) except -1


cdef exact_wide(const Wide *value)
