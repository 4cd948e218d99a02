"""How much goes where: the split of one quantity over the listings of an instrument.

The split is, among all feasible ones (placeable.pxd says what one listing can be sent), that which fills the most, not
more than asked for; among those the one with the lowest all-in cost (for a seller: the highest proceeds), fees
included; among those the one that gives more to the listing that stands first, then to the second, and so on.

Greedy: levels in order of all-in price, each as far as it goes. With equal lots and no minimums that is the optimum: a
unit moved from a dearer used level to a cheaper free one would be an improvement, and price priority inside a listing
holds because its all-in price never falls along the ladder (separable convex costs: Fox 1966; Ibaraki and Katoh 1988).

Unequal lots and minimums break the proof, so greedy is used as a relaxation, with a lower and an upper bound for each
listing, and branch and bound makes it exact: if greedy gives a listing a quantity that cannot be sent, the optimum has
either at most the next smaller or at least the next larger one that can. Two facts keep trees small. The total is
bounded by what lots can add up to (exactly so where each lot divides the next larger, as powers of ten do); and what
the total leaves modulo a lot can come from smaller lots only, so the relaxation takes that from those first. Usually
the first node is the answer: then greedy was optimal, and that is its certificate.

Worst case: exponential in the listings, so the nodes are limited; `exact` says whether the search ended by itself. A
node costs one pass over the levels for each distinct lot, plus two.
"""
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint32_t, uint64_t

from orderflow._core cimport consolidated, placeable, wide
from orderflow._core.consolidated cimport MAXIMUM_OFFERS, Entry, Offer
from orderflow._core.fixed cimport int128
from orderflow._core.placeable cimport Cap, Placeable
from orderflow._core.types cimport Side
from orderflow._core.wide cimport Wide

cdef enum:
    MAXIMUM_DEPTH = 1024        # branches above each other


cdef struct Split:              # one listing's part, listing scale
    int64_t quantity            # 0 = nothing
    int64_t price               # limit of the IOC: the worst price it needs, on the tick grid


cdef struct Allocation:         # instrument scale
    Wide all_in                 # sum of all-in price * quantity
    int128 notional             # sum of price * quantity
    int64_t quantity
    uint32_t nodes              # looked at; 1 = greedy was optimal
    uint8_t exact               # nothing better exists


cdef struct Branch:
    int64_t low                 # bounds of the listing before this branch
    int64_t high
    int64_t upper               # lower bound of the second branch, 0 = there is none
    uint32_t listing


cdef struct Allocator:          # scratch of one router; quantities in instrument scale
    Offer[MAXIMUM_OFFERS] offers
    Placeable[MAXIMUM_OFFERS] placeable
    Branch[MAXIMUM_DEPTH] branches
    Entry *entries
    int64_t *starts             # by entry: how much of the same listing comes before it
    int64_t[MAXIMUM_OFFERS] lots
    int64_t[MAXIMUM_OFFERS] low
    int64_t[MAXIMUM_OFFERS] high
    int64_t[MAXIMUM_OFFERS] taken
    int64_t[MAXIMUM_OFFERS] best
    int64_t[MAXIMUM_OFFERS] divisors    # by position in by_lot: largest divisor of the lots from here on
    uint32_t[MAXIMUM_OFFERS] by_lot     # listings that take part, smallest lot first
    Wide best_all_in
    int64_t best_quantity
    int64_t wanted
    uint32_t count
    uint32_t participants
    uint32_t entry_count
    uint32_t entry_capacity
    uint32_t node_limit
    uint8_t side
    uint8_t divisible           # each lot divides the next larger one


cdef nogil:
    inline int64_t greatest_divisor(int64_t a, int64_t b) noexcept:
        cdef int64_t rest
        while b:
            rest = a % b
            a = b
            b = rest
        return a

    inline void sort_by_lot(Allocator *a) noexcept:
        cdef uint32_t i, at
        cdef int64_t divisor = 0
        a.participants = 0
        a.divisible = True
        for i in range(a.count):
            if a.high[i] == 0:
                continue
            at = a.participants
            while at > 0 and a.lots[a.by_lot[at - 1]] > a.lots[i]:
                a.by_lot[at] = a.by_lot[at - 1]
                at -= 1
            a.by_lot[at] = i
            a.participants += 1
        at = a.participants
        while at > 0:
            at -= 1
            divisor = greatest_divisor(a.lots[a.by_lot[at]], divisor)
            a.divisors[at] = divisor
            if divisor != a.lots[a.by_lot[at]]:
                a.divisible = False

    inline int64_t largest_total(const Allocator *a) noexcept:
        """No feasible split within the bounds fills more than this; -1 if the lower bounds alone are too much."""
        cdef int64_t total = 0
        cdef int64_t left = a.wanted
        cdef int64_t room, part
        cdef uint32_t k, i
        for k in range(a.participants):
            i = a.by_lot[k]
            if a.low[i] > left:
                return -1
            left -= a.low[i]
            total += a.low[i]
        k = a.participants
        while k > 0 and left > 0:
            k -= 1
            i = a.by_lot[k]
            room = a.high[i] - a.low[i]
            part = room if room < left else left
            if a.divisible:
                part -= part % a.lots[i]
            total += part
            left -= part
        return total if a.divisible else total - (total % a.divisors[0])

    inline int64_t take(Allocator *a, uint64_t listings, int64_t quantity) noexcept:
        """Add the cheapest free quantity of these listings to what is taken; returns what there was not enough of."""
        cdef const Entry *entry
        cdef int64_t end, part
        cdef uint32_t at, i
        for at in range(a.entry_count):
            if quantity == 0:
                break
            entry = &a.entries[at]
            i = entry.offer
            end = a.starts[at] + entry.quantity
            if end > a.high[i]:
                end = a.high[i]
            if not (listings >> i) & 1 or a.taken[i] >= end:
                continue
            part = end - a.taken[i]
            if part > quantity:
                part = quantity
            a.taken[i] += part
            quantity -= part
        return quantity

    inline int64_t relax(Allocator *a, int64_t total) noexcept:
        """Greedy within the bounds, up to `total`; 0, or by how much `total` has to fall before lots can add up."""
        cdef uint64_t smaller = 0
        cdef int64_t need = total
        cdef int64_t have = 0
        cdef int64_t rest, missing
        cdef uint32_t k, j
        for k in range(a.participants):
            a.taken[a.by_lot[k]] = a.low[a.by_lot[k]]
            need -= a.low[a.by_lot[k]]
        for k in range(1, a.participants):
            smaller |= <uint64_t>1 << a.by_lot[k - 1]
            if a.lots[a.by_lot[k]] == a.lots[a.by_lot[k - 1]]:
                continue
            rest = need % a.divisors[k]     # lots from here on cannot make it
            have = 0
            for j in range(k):
                have += a.taken[a.by_lot[j]] - a.low[a.by_lot[j]]
            if have < rest:
                missing = take(a, smaller, rest - have)
                if missing > 0:
                    return missing
        for k in range(a.participants):
            need -= a.taken[a.by_lot[k]] - a.low[a.by_lot[k]]
        return take(a, ~<uint64_t>0, need)

    inline void price_taken(const Allocator *a, const int64_t *taken, Wide *all_in, int128 *notional) noexcept:
        """What a split costs (brings)."""
        cdef const Entry *entry
        cdef int64_t part
        cdef uint32_t at
        wide.clear(all_in)
        notional[0] = 0
        for at in range(a.entry_count):
            entry = &a.entries[at]
            part = taken[entry.offer] - a.starts[at]
            if part > entry.quantity:
                part = entry.quantity
            if part > 0:
                wide.add_product(all_in, entry.all_in, part)
                notional[0] += <int128>entry.price * part

    inline bint beats_best(const Allocator *a, int64_t total, const Wide *all_in) noexcept:
        """Whether a split like `taken` would be better than the best so far."""
        cdef int order
        cdef uint32_t i
        if total != a.best_quantity:
            return total > a.best_quantity
        order = wide.compare(all_in, &a.best_all_in)
        if order != 0:
            return order < 0 if a.side == Side.BUY else order > 0
        for i in range(a.count):
            if a.taken[i] != a.best[i]:
                return a.taken[i] > a.best[i]
        return False

    inline bint find_branch(const Allocator *a, Branch *branch, int64_t *smaller) noexcept:
        """The listing whose taken quantity lies in the widest gap of what it can be sent; False if all can be."""
        cdef int64_t widest = -1
        cdef int64_t below, above, gap, factor
        cdef uint32_t k, i
        for k in range(a.participants):
            i = a.by_lot[k]
            factor = a.offers[i].listing.quantity_factor
            below = placeable.down(&a.placeable[i], a.taken[i] / factor) * factor
            if below == a.taken[i]:
                continue
            above = placeable.up(&a.placeable[i], (a.taken[i] - 1) / factor + 1) * factor
            gap = above - below if above else INT64_MAX
            if gap > widest:
                widest = gap
                smaller[0] = below
                branch.listing = i
                branch.low = a.low[i]
                branch.high = a.high[i]
                branch.upper = above if above <= a.high[i] else 0
        return widest >= 0

    inline bint examine(Allocator *a, Branch *branch, int64_t *smaller) noexcept:
        """One node: keep its solution if greedy gives one and it is better; True if it has to be branched on."""
        cdef int64_t total = largest_total(a)
        cdef int64_t missing = 1
        cdef Wide all_in
        cdef int128 notional
        cdef uint32_t i
        while missing > 0:
            if total <= 0 or total < a.best_quantity:
                return False
            missing = relax(a, total)
            total -= missing
        price_taken(a, a.taken, &all_in, &notional)
        if not beats_best(a, total, &all_in):
            return False
        if find_branch(a, branch, smaller):
            return True
        a.best_quantity = total
        a.best_all_in = all_in
        for i in range(a.count):
            a.best[i] = a.taken[i]
        return False

    inline bint search(Allocator *a, uint32_t *nodes) noexcept:
        """Branch and bound, depth first; True if it ended by itself."""
        cdef Branch branch
        cdef Branch *top
        cdef int64_t smaller = 0
        cdef uint32_t depth = 0
        cdef bint complete = True
        cdef bint open_node = True
        while open_node:
            if nodes[0] == a.node_limit:
                return False
            nodes[0] += 1
            if examine(a, &branch, &smaller):
                if depth < MAXIMUM_DEPTH:
                    a.branches[depth] = branch
                    depth += 1
                    a.high[branch.listing] = smaller
                    if smaller >= branch.low:
                        continue
                else:
                    complete = False
            open_node = False
            while depth > 0 and not open_node:
                top = &a.branches[depth - 1]
                a.high[top.listing] = top.high
                if top.upper > 0:
                    a.low[top.listing] = top.upper
                    top.upper = 0
                    open_node = True
                else:
                    a.low[top.listing] = top.low
                    depth -= 1
        return complete

    inline bint set_up(Allocator *a, const Offer *offers, const Cap *caps, uint32_t count, uint8_t side,
                       int64_t quantity, int64_t limit) noexcept:
        """Bounds, lots and merged levels; False if there was no room for all the levels that might be needed."""
        cdef int64_t[MAXIMUM_OFFERS] passed
        cdef uint32_t i, at
        cdef bint whole = True
        a.count = count
        a.side = side
        a.wanted = quantity
        a.best_quantity = 0
        wide.clear(&a.best_all_in)
        for i in range(count):
            whole &= placeable.prepare(&a.placeable[i], &offers[i], &caps[i], side, limit, quantity,
                                       a.entry_capacity / count)
            a.offers[i] = offers[i]
            a.offers[i].count = a.placeable[i].count if a.placeable[i].most > 0 else 0
            a.lots[i] = a.placeable[i].lot * offers[i].listing.quantity_factor
            a.high[i] = a.placeable[i].most * offers[i].listing.quantity_factor
            a.low[i] = a.taken[i] = a.best[i] = passed[i] = 0
        sort_by_lot(a)
        a.entry_count = consolidated.merge(a.offers, count, side, a.entries, a.entry_capacity)
        for at in range(a.entry_count):
            i = a.entries[at].offer
            a.starts[at] = passed[i]
            passed[i] += a.entries[at].quantity
        return whole

    inline void allocate(Allocator *a, const Offer *offers, const Cap *caps, uint32_t count, uint8_t side,
                         int64_t quantity, int64_t limit, Split *splits, Allocation *out) noexcept:
        """Split `quantity` (instrument scale) at prices no worse than `limit` (instrument scale, 0 = any).

        `offers`, `caps` and `splits` have `count` (1 to MAXIMUM_OFFERS) entries; an offer not usable gets nothing.
        """
        cdef bint whole = set_up(a, offers, caps, count, side, quantity, limit)
        cdef int64_t before
        cdef uint32_t i
        out.nodes = 0
        out.exact = search(a, &out.nodes) and whole
        out.quantity = a.best_quantity
        price_taken(a, a.best, &out.all_in, &out.notional)
        for i in range(count):
            splits[i].quantity = a.best[i] / offers[i].listing.quantity_factor
            splits[i].price = 0
            if splits[i].quantity > 0:
                splits[i].price = placeable.limit_price(
                    &a.placeable[i], placeable.level_of(&a.placeable[i], splits[i].quantity, &before))


cdef class Splitter:
    """Owns the memory of an Allocator."""
    cdef Allocator allocator
    cdef Offer[MAXIMUM_OFFERS] offers
    cdef Cap[MAXIMUM_OFFERS] caps
    cdef Split[MAXIMUM_OFFERS] splits
    cdef object listings
    cdef object levels          # (offers, depth) of LEVEL_DTYPE: where the offers point to
