"""Decisions that were made and are not written yet: all that their records are made of, copied.

What else a decision could have been takes longer to compute than the decision itself. So the router only copies what
it looked at, sixteen bytes a level, and goes on; the record is made when there is nothing else to do, or no more room
here.
"""
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

from orderflow._core.consolidated cimport MAXIMUM_OFFERS, Offer
from orderflow._core.decision_log cimport DecisionHead, DecisionPart
from orderflow._core.placeable cimport Cap
from orderflow._core.types cimport BOARD_DEPTH, Level

cdef enum:
    MOST_MADE = 16              # that wait to be written


cdef struct Made:
    DecisionHead head
    DecisionPart parts[MAXIMUM_OFFERS]
    Offer offers[MAXIMUM_OFFERS]
    Cap caps[MAXIMUM_OFFERS]
    Level levels[MAXIMUM_OFFERS][BOARD_DEPTH]       # where the offers point to
    uint32_t count


cdef struct MadeQueue:
    Made *made                  # room for MOST_MADE
    uint64_t pushed
    uint64_t taken


cdef nogil:
    inline bint is_full(const MadeQueue *queue) noexcept:
        return queue.pushed - queue.taken == MOST_MADE

    inline Made *next_free(MadeQueue *queue) noexcept:
        """There is one unless the queue is full; pushed by the caller when it is filled in."""
        return &queue.made[queue.pushed % MOST_MADE]

    inline Made *oldest(MadeQueue *queue) noexcept:
        """NULL = none."""
        if queue.taken == queue.pushed:
            return NULL
        return &queue.made[queue.taken % MOST_MADE]

    inline void copy_offer(Made *made, uint32_t place, const Offer *offer) noexcept:
        cdef Level *levels = made.levels[place]
        made.offers[place] = offer[0]
        if made.offers[place].count > BOARD_DEPTH:
            made.offers[place].count = BOARD_DEPTH
        made.offers[place].levels = levels
        memcpy(levels, offer.levels, made.offers[place].count * sizeof(Level))
