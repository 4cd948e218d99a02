"""A lower bound of what a split costs: the cheapest one within bounds for each listing, where less is forbidden.

Greedy: the cheapest level by all-in price, as far as it goes, then the next. With equal lots, no minimums and nothing
charged but the taker fee that is the optimum: a unit moved from a dearer used level to a cheaper free one would be an
improvement, and price priority inside a listing holds because its all-in price never falls along the ladder (separable
convex costs: Fox 1966; Ibaraki and Katoh 1988). What breaks the proof is relaxed until it holds again:

* Lots and minimums: any quantity within the bounds may be taken. But the total is no more than lots can add up to
  (exactly so where each lot divides the next larger, as powers of ten do), and what it leaves modulo a lot comes from
  smaller lots only, so that is taken from those first. And in the end these have together what the total leaves, or so
  much and whole larger lots: they are given no more than the largest such quantity (`rooms`), or the larger lots would
  have to make up for an odd rest of theirs, a lot at a time, on one branch after the other. (Caps on sets within sets:
  greedy stays optimal, as the sets make a polymatroid; Edmonds 1970.)
* Fee tiers: all that a listing is given pays the fee of the most that it may be given.
* A ticket, where the listing need not be used: its cost is replaced by the largest convex one below it. That is the
  line from nothing to where the average price, ticket included, is least (`block`), and the ladder from there on. Only
  what ends on that line is priced too low, which of all listings is one at most. Where the listing must be used the
  ticket is paid, and nothing is spread.

The slope of the line is rounded down, and what that leaves over would keep a split from ever costing what its bound
says. But with any price m the sum of m * total and of the least of cost - m * quantity over each listing is a bound too
(Everett 1963). With m what the next unit costs (`margin`), that least is the real cost of all that is taken, wherever
the slope is below m; so there the real cost counts. Where lots make greedy take some from the smaller ones first, these
have a price of their own, which is m or more.

Costs are all-in totals of the instrument's scale, smaller is better: those of a seller are negative proceeds.

Worst case: every level of every listing once, for each distinct lot; a sorted queue of the next level of each listing
says which comes next, with 63 moves a level where the listings least interleave.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from orderflow._core cimport consolidated, listing_part, wide
from orderflow._core.consolidated cimport MAXIMUM_OFFERS
from orderflow._core.fixed cimport int128
from orderflow._core.listing_part cimport Part
from orderflow._core.wide cimport Wide


cdef struct Relaxation:
    Part[MAXIMUM_OFFERS] parts
    int128 margin               # what the next unit would cost, unless all is used up
    int64_t[MAXIMUM_OFFERS] divisors    # by position in by_lot: largest divisor of the lots from here on
    int64_t[MAXIMUM_OFFERS] rooms       # by position where a larger lot begins: what those before may still be given
    uint32_t[MAXIMUM_OFFERS] position   # in by_lot, by listing
    uint32_t[MAXIMUM_OFFERS] by_lot     # listings that take part, smallest lot first
    int64_t wanted
    uint32_t count
    uint32_t participants
    uint8_t side
    uint8_t divisible           # each lot divides the next larger one
    uint8_t charged             # some listing that takes part charges more than its taker fee
    uint8_t used_up             # nothing is left to take


cdef nogil:
    inline bint is_spread(const Relaxation *r, const Part *part) noexcept:
        """Whether the ticket of a listing counts only in part."""
        if part.block == 0 or part.taken < part.block:
            return part.block > 0
        return not r.used_up and part.unit >= r.margin

    inline void add_bound(const Relaxation *r, const Part *part, Wide *cost) noexcept:
        """At least so much does what is taken of a listing cost, or whatever else its bounds allow in its place."""
        cdef int128 beyond = part.notional
        if part.taken == 0:
            return
        if is_spread(r, part):
            wide.add_product(cost, part.unit, part.taken if part.taken < part.block else part.block)
            if part.taken <= part.block:
                return
            beyond -= part.block_notional
        elif part.charge is not NULL:
            wide.add_product(cost, part.ticket_all_in, 1)
        listing_part.add_notional(cost, beyond, part.rate)

    inline int64_t greatest_divisor(int64_t a, int64_t b) noexcept:
        cdef int64_t rest
        while b:
            rest = a % b
            a = b
            b = rest
        return a

    inline void sort_by_lot(Relaxation *r) noexcept:
        cdef uint32_t i, at
        cdef int64_t divisor = 0
        r.participants = 0
        r.divisible = True
        r.charged = False
        for i in range(r.count):
            if r.parts[i].high == 0:
                continue
            r.charged |= r.parts[i].charge is not NULL
            at = r.participants
            while at > 0 and r.parts[r.by_lot[at - 1]].lot > r.parts[i].lot:
                r.by_lot[at] = r.by_lot[at - 1]
                at -= 1
            r.by_lot[at] = i
            r.participants += 1
        for at in range(r.participants):
            r.position[r.by_lot[at]] = at
        at = r.participants
        while at > 0:
            at -= 1
            divisor = greatest_divisor(r.parts[r.by_lot[at]].lot, divisor)
            r.divisors[at] = divisor
            if divisor != r.parts[r.by_lot[at]].lot:
                r.divisible = False

    inline int64_t largest_total(const Relaxation *r, int64_t wanted) noexcept:
        """No feasible split within the bounds fills more of `wanted` than this; -1 if the lower bounds alone are too
        much."""
        cdef const Part *part
        cdef int64_t total = 0
        cdef int64_t left = wanted
        cdef int64_t room
        cdef uint32_t k
        for k in range(r.participants):
            part = &r.parts[r.by_lot[k]]
            if part.low > left:
                return -1
            left -= part.low
            total += part.low
        k = r.participants
        while k > 0 and left > 0:
            k -= 1
            part = &r.parts[r.by_lot[k]]
            room = part.high - part.low
            if room > left:
                room = left
            if r.divisible:
                room -= room % part.lot
            total += room
            left -= room
        return total if r.divisible or r.participants == 0 else total - (total % r.divisors[0])

    inline bint begins_lot(const Relaxation *r, uint32_t position) noexcept:
        """Whether a larger lot begins at a position."""
        return r.parts[r.by_lot[position]].lot != r.parts[r.by_lot[position - 1]].lot

    inline void find_rooms(Relaxation *r, int64_t total) noexcept:
        """What smaller lots may still be given so that larger ones can make up the rest of `total`."""
        cdef int64_t high = 0
        cdef int64_t taken = 0
        cdef int64_t over
        cdef uint32_t k
        for k in range(1, r.participants):
            high += r.parts[r.by_lot[k - 1]].high
            taken += r.parts[r.by_lot[k - 1]].taken
            over = (high - total) % r.divisors[k]
            r.rooms[k] = high - (over + r.divisors[k] if over < 0 else over) - taken

    inline int64_t room_of(const Relaxation *r, uint32_t i, int64_t quantity) noexcept:
        """How much of `quantity` a listing may be given."""
        cdef uint32_t k
        for k in range(r.position[i] + 1, r.participants):
            if begins_lot(r, k) and r.rooms[k] < quantity:
                quantity = r.rooms[k]
        return quantity if quantity > 0 else 0

    inline void use_room(Relaxation *r, uint32_t i, int64_t quantity) noexcept:
        cdef uint32_t k
        for k in range(r.position[i] + 1, r.participants):
            r.rooms[k] -= quantity

    inline int64_t take(Relaxation *r, uint64_t listings, int64_t quantity, bint within_rooms) noexcept:
        """Add the cheapest free quantity of these listings to what is taken; returns what there was not enough of."""
        cdef int128[MAXIMUM_OFFERS] keys
        cdef uint32_t[MAXIMUM_OFFERS] queue     # listings with something left, cheapest first from `begin` on
        cdef uint32_t begin = MAXIMUM_OFFERS
        cdef Part *part
        cdef int64_t step
        cdef uint32_t k, i
        for k in range(r.participants):
            i = r.by_lot[k]
            if (listings >> i) & 1 and r.parts[i].taken < r.parts[i].high:
                keys[i] = listing_part.next_price(&r.parts[i])
                begin -= 1
                queue[begin] = i
                consolidated.sink(queue, begin, MAXIMUM_OFFERS, keys)
        while quantity > 0 and begin < MAXIMUM_OFFERS:
            i = queue[begin]
            part = &r.parts[i]
            step = listing_part.run(part)
            if step > quantity:
                step = quantity
            if within_rooms:
                step = room_of(r, i, step)
                use_room(r, i, step)
            listing_part.walk(part, step)
            quantity -= step
            if part.taken == part.high or step == 0:
                begin += 1
            else:
                keys[i] = listing_part.next_price(part)
                consolidated.sink(queue, begin, MAXIMUM_OFFERS, keys)
        r.used_up = begin == MAXIMUM_OFFERS
        if begin < MAXIMUM_OFFERS:
            r.margin = keys[queue[begin]]
        return quantity

    inline int64_t relax(Relaxation *r, int64_t total) noexcept:
        """Greedy within the bounds, up to `total`; 0, or by how much `total` has to fall before lots can add up."""
        cdef uint64_t smaller = 0
        cdef int64_t need = total
        cdef int64_t have = 0
        cdef int64_t rest, missing
        cdef uint32_t k, j
        for k in range(r.participants):
            listing_part.start(&r.parts[r.by_lot[k]])
            need -= r.parts[r.by_lot[k]].low
        for k in range(1, r.participants):
            smaller |= <uint64_t>1 << r.by_lot[k - 1]
            if r.parts[r.by_lot[k]].lot == r.parts[r.by_lot[k - 1]].lot:
                continue
            rest = need % r.divisors[k]     # lots from here on cannot make it
            have = 0
            for j in range(k):
                have += r.parts[r.by_lot[j]].taken - r.parts[r.by_lot[j]].low
            if have < rest:
                missing = take(r, smaller, rest - have, False)
                if missing > 0:
                    return missing
        for k in range(r.participants):
            need -= r.parts[r.by_lot[k]].taken - r.parts[r.by_lot[k]].low
        if smaller == 0 or r.charged or r.parts[r.by_lot[0]].lot == r.parts[r.by_lot[r.participants - 1]].lot:
            return take(r, ~<uint64_t>0, need, False)
        find_rooms(r, total)                # with charges a bound would need what rooms leave out at its price
        need = take(r, ~<uint64_t>0, need, True)
        return take(r, ~<uint64_t>0, need, False) if need > 0 else 0

    inline void bound(const Relaxation *r, Wide *cost) noexcept:
        """What no split within the bounds costs less than, of the total that was relaxed."""
        cdef uint32_t k
        wide.clear(cost)
        for k in range(r.participants):
            add_bound(r, &r.parts[r.by_lot[k]], cost)

    inline void price_taken(const Relaxation *r, Wide *cost) noexcept:
        """What the split that is taken really costs, if every part of it can be sent."""
        cdef uint32_t k
        wide.clear(cost)
        for k in range(r.participants):
            listing_part.add_cost(&r.parts[r.by_lot[k]], cost)
