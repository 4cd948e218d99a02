"""One instrument over its listings: the ladders of several exchanges merged by what a taker really pays.

An entry's all-in price is price * (1e8 + taker fee) for a buyer and price * (1e8 - taker fee) for a seller, in the
instrument's scale, compared in 128 bits: listings of different scales and fees are ordered exactly. Ties go to the
listing that stands first. The price of a listing in another quote currency is converted before, and rounded against
the taker (conversion.pxd).

A merge of k sorted ladders: one cursor a ladder, kept in a sorted array of k. The cursor that gave the last entry is
moved on and sinks to its place, usually one or two further, because exchanges that trade the same thing interleave; a
heap would save comparisons only when it sinks far. Worst case: 63 moves an entry. Only `usable` offers (the book is
LIVE, the listing not halted) take part. Prices and quantities times their factors fit 62 bits: set-up sees to it.
"""
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint32_t

from orderflow._core cimport conversion, wide
from orderflow._core.fixed cimport int128
from orderflow._core.types cimport Level, Listing, Side
from orderflow._core.wide cimport Wide

cdef enum:
    MAXIMUM_OFFERS = 64
    FEE_UNIT = 100000000        # Listing.taker_fee is in 1e-8


cdef struct Offer:              # what one listing offers a taker: one side of its book
    const Listing *listing
    const Level *levels         # best first, listing scale; prices and quantities positive
    int64_t rate                # that its prices are converted with; 0 = they are not
    uint32_t count
    uint8_t usable


cdef struct Entry:              # one level of one listing; instrument scale
    int128 all_in
    int64_t price
    int64_t quantity
    uint32_t offer              # whose
    uint32_t level              # which of its levels


cdef struct Cost:               # of taking `quantity`, cheapest first; instrument scale
    Wide all_in                 # sum of all-in price * quantity
    int128 notional             # sum of price * quantity
    int64_t quantity            # less than asked for if there is not enough
    int64_t worst_price


cdef nogil:
    inline int64_t price_of(const Offer *offer, uint8_t side, uint32_t level) noexcept:
        """Fees apart, instrument scale."""
        return conversion.instrument_price(offer.listing, offer.levels[level].price, offer.rate, side)

    inline int128 all_in(const Listing *listing, uint8_t side, int64_t price, int64_t rate) noexcept:
        """Of a listing-scale price, for the side that takes: fees and conversion included."""
        cdef int64_t fee = listing.taker_fee if side == Side.BUY else -listing.taker_fee
        return <int128>conversion.instrument_price(listing, price, rate, side) * (FEE_UNIT + fee)

    inline int128 all_in_price(const Offer *offer, uint8_t side, uint32_t level) noexcept:
        """Of a level."""
        return all_in(offer.listing, side, offer.levels[level].price, offer.rate)

    inline bint cheaper(const int128 *keys, uint32_t a, uint32_t b) noexcept:
        return keys[a] < keys[b] or (keys[a] == keys[b] and a < b)

    inline void write_entry(const Offer *offer, uint32_t index, uint8_t side, uint32_t at, int128 all_in,
                            Entry *out) noexcept:
        out.all_in = all_in
        out.price = price_of(offer, side, at)
        out.quantity = offer.levels[at].quantity * offer.listing.quantity_factor
        out.offer = index
        out.level = at

    inline void sink(uint32_t *cursors, uint32_t begin, uint32_t count, const int128 *keys) noexcept:
        """Move the cursor at `begin` behind those that are cheaper."""
        cdef uint32_t moved = cursors[begin]
        cdef uint32_t i = begin
        while i + 1 < count and cheaper(keys, cursors[i + 1], moved):
            cursors[i] = cursors[i + 1]
            i += 1
        cursors[i] = moved

    inline uint32_t merge(const Offer *offers, uint32_t count, uint8_t side, Entry *out, uint32_t capacity) noexcept:
        """Entries for a taker on `side`, cheapest first; returns how many, `capacity` at most.

        `count` offers, MAXIMUM_OFFERS at most. BUY takes asks and SELL takes bids.
        """
        cdef int128[MAXIMUM_OFFERS] keys        # smaller is better: negative for a seller
        cdef uint32_t[MAXIMUM_OFFERS] cursors   # offers with levels left, cheapest first from `begin` on
        cdef uint32_t[MAXIMUM_OFFERS] at
        cdef int128 sign = 1 if side == Side.BUY else -1
        cdef uint32_t begin = MAXIMUM_OFFERS
        cdef uint32_t written = 0
        cdef uint32_t i
        for i in range(count):
            at[i] = 0
            if offers[i].usable and offers[i].count > 0:
                keys[i] = sign * all_in_price(&offers[i], side, 0)
                begin -= 1
                cursors[begin] = i
                sink(cursors, begin, MAXIMUM_OFFERS, keys)
        while begin < MAXIMUM_OFFERS and written < capacity:
            i = cursors[begin]
            write_entry(&offers[i], i, side, at[i], sign * keys[i], &out[written])
            written += 1
            at[i] += 1
            if at[i] == offers[i].count:
                begin += 1
            else:
                keys[i] = sign * all_in_price(&offers[i], side, at[i])
                sink(cursors, begin, MAXIMUM_OFFERS, keys)
        return written

    inline bint best(const Offer *offers, uint32_t count, uint8_t side, Entry *out) noexcept:
        """The cheapest entry alone, without a merge; False if nobody offers anything."""
        cdef int128 all_in
        cdef bint found = False
        cdef uint32_t i
        for i in range(count):
            if not offers[i].usable or offers[i].count == 0:
                continue
            all_in = all_in_price(&offers[i], side, 0)
            if not found or (all_in < out.all_in if side == Side.BUY else all_in > out.all_in):
                write_entry(&offers[i], i, side, 0, all_in, out)
                found = True
        return found

    inline void cost(const Entry *entries, uint32_t count, uint8_t side, int64_t quantity, Cost *out) noexcept:
        """What taking `quantity` costs (brings, for a seller) over merged entries."""
        cdef int64_t taken
        cdef uint32_t i
        wide.clear(&out.all_in)
        out.notional = 0
        out.quantity = 0
        out.worst_price = 0
        for i in range(count):
            if out.quantity == quantity:
                break
            taken = entries[i].quantity
            if taken > quantity - out.quantity:
                taken = quantity - out.quantity
            wide.add_product(&out.all_in, entries[i].all_in, taken)
            out.notional += <int128>entries[i].price * taken
            out.quantity += taken
            if out.worst_price == 0 or (entries[i].price > out.worst_price) == (side == Side.BUY):
                out.worst_price = entries[i].price

    inline int64_t quantity_within(const Entry *entries, uint32_t count, uint8_t side, int64_t limit) noexcept:
        """Quantity at prices (fees apart) no worse than `limit`; INT64_MAX if the sum is larger.

        Looks at every entry: by all-in price they are not in order of price.
        """
        cdef int64_t total = 0
        cdef uint32_t i
        for i in range(count):
            if entries[i].price <= limit if side == Side.BUY else entries[i].price >= limit:
                if entries[i].quantity > INT64_MAX - total:
                    return INT64_MAX
                total += entries[i].quantity
        return total


cdef class ConsolidatedBook:
    cdef Offer[MAXIMUM_OFFERS] offers
    cdef Entry *entries
    cdef uint32_t count
    cdef uint32_t capacity
    cdef uint32_t depth
    cdef object listings
    cdef object levels          # (offers, depth) of LEVEL_DTYPE: where the offers point to
    cdef uint8_t side

    cdef int set_offers(self, uint8_t side, ladders, usable, rates) except -1
