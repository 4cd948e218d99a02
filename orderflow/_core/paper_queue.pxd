"""Orders that rest on paper, and how much of what others have at their price is served before them.

An order joins the queue behind everything that is shown at its price. What happens then:

* A trade at the price is served from the front: it shortens what is ahead, and what it has left fills the order.
* What is added goes behind.
* An iceberg has in the queue what it shows. When that is gone, what it shows next joins at the end.
* A decrease that no trade explains is somebody's cancel, and nobody says whose. It is taken to be behind the order for
  as long as there is so much behind it, and ahead only where it must be: what is ahead is never more than is shown.
* A trade is told over another channel than the book, so a decrease may be seen before the trade that explains it. What
  a decrease took from ahead of the order is therefore kept for EXPLAIN_NS: a trade that comes so soon is taken to be
  the reason, and counts once.

At a price of which nothing is known (the exchange tells of its best levels only, known_depth.pxd) the queue is not
known either: no trade at that price fills the order until the price is known, and then it stands behind all that is
shown.

An exchange's orders lie in one pool of fixed size; those of a listing's side are a list, best price first, then as they
came. Cost: a step a resting order of the side to enter one or to look at all of them, O(1) to leave. All functions:
exchange thread only.
"""
from libc.stdint cimport INT64_MAX, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from orderflow._core cimport iceberg, index_map, paper_levels
from orderflow._core.gate cimport SENT_LIMIT
from orderflow._core.index_map cimport NOT_FOUND, IndexMap
from orderflow._core.integrity cimport BookSync
from orderflow._core.types cimport ChildOrder, OrderFlag, OrderType, TimeInForce

cdef enum:
    PAPER_ORDERS = SENT_LIMIT + 1   # what the gate lets out, and nobody
    NOT_KNOWN = -1
    EXPLAIN_NS = 1_000_000_000


cdef struct PaperOrder:
    uint64_t client_order_id    # 0 = free
    uint64_t number             # the paper exchange's own
    int64_t price               # 0 = at any
    int64_t quantity
    int64_t filled
    int64_t display             # what an iceberg shows at a time; 0 = it is none
    int64_t shown               # of that, what is left
    int64_t ahead               # of others, at its price; or NOT_KNOWN
    int64_t explained           # what a decrease took from ahead of it, for a trade to explain
    int64_t explained_ns        # when the last one did
    int64_t seen_exchange_ns    # of the book that it met: trades up to then were before it; 0 = not given
    int64_t expire_ns           # monotonic, INT64_MAX = never
    uint32_t listing
    uint32_t slot               # in the router's table
    uint32_t next               # in the list of its side, or of the free ones
    uint32_t previous
    uint8_t side
    uint8_t post_only
    uint8_t immediate           # nothing of it may rest
    uint8_t waits               # it came while the book was not LIVE, and has met nobody yet


cdef struct PaperQueues:
    PaperOrder *orders          # PAPER_ORDERS; the first is nobody
    uint32_t *first             # by listing and side
    IndexMap by_id
    int64_t next_expiry_ns      # of all; never later than it is
    uint32_t free
    uint32_t count


cdef nogil:
    inline void begin(PaperQueues *self) noexcept:
        """Everything is free."""
        cdef uint32_t i
        for i in range(1, <uint32_t>PAPER_ORDERS):
            self.orders[i].next = i + 1 if i + 1 < PAPER_ORDERS else 0
        self.free = 1
        self.count = 0
        self.next_expiry_ns = INT64_MAX

    inline uint32_t *head(const PaperQueues *self, uint32_t listing, uint8_t side) noexcept:
        return &self.first[2 * listing + side - 1]

    inline uint32_t find(const PaperQueues *self, uint64_t client_order_id) noexcept:
        """0 = there is no such order."""
        cdef uint32_t at = index_map.find(&self.by_id, client_order_id, 0)
        return 0 if at == <uint32_t>NOT_FOUND else at

    inline uint32_t enter(PaperQueues *self, const ChildOrder *child, int64_t unix_offset_ns) noexcept:
        """A new order, at its place by price and time; 0 = there is no room."""
        cdef uint32_t at = self.free
        cdef PaperOrder *order = &self.orders[at]
        if at == 0:
            return 0
        self.free = order.next
        self.count += 1
        memset(order, 0, sizeof(PaperOrder))
        order.client_order_id = child.client_order_id
        order.price = child.price if child.order_type == OrderType.LIMIT else 0
        order.quantity = child.quantity
        order.listing, order.slot, order.side = child.listing, child.slot, child.side
        order.post_only = child.flags & OrderFlag.POST_ONLY
        order.immediate = (child.order_type == OrderType.MARKET or child.time_in_force == TimeInForce.IOC
                           or child.time_in_force == TimeInForce.FOK)
        order.display = order.shown = iceberg.display_of(child)
        order.ahead = NOT_KNOWN
        order.expire_ns = INT64_MAX
        if child.time_in_force == TimeInForce.GTD and not order.immediate:
            order.expire_ns = child.terms - unix_offset_ns
            self.next_expiry_ns = min(self.next_expiry_ns, order.expire_ns)
        index_map.insert(&self.by_id, order.client_order_id, 0, at)
        if not order.immediate:
            link(self, at)
        return at

    inline void link(PaperQueues *self, uint32_t at) noexcept:
        cdef PaperOrder *order = &self.orders[at]
        cdef uint32_t *first = head(self, order.listing, order.side)
        cdef uint32_t before = 0
        cdef uint32_t behind = first[0]
        while behind and not paper_levels.is_better(order.side, order.price, self.orders[behind].price):
            before = behind
            behind = self.orders[behind].next
        order.previous, order.next = before, behind
        if before:
            self.orders[before].next = at
        else:
            first[0] = at
        if behind:
            self.orders[behind].previous = at

    inline void leave(PaperQueues *self, uint32_t at) noexcept:
        """It has ended."""
        cdef PaperOrder *order = &self.orders[at]
        if not order.immediate:
            if order.previous:
                self.orders[order.previous].next = order.next
            else:
                head(self, order.listing, order.side)[0] = order.next
            if order.next:
                self.orders[order.next].previous = order.previous
        index_map.remove(&self.by_id, order.client_order_id, 0)
        order.client_order_id = 0
        order.next = self.free
        self.free = at
        self.count -= 1

    inline uint32_t first_to_expire(const PaperQueues *self) noexcept:
        """Of those that expire, the first; of several, the one that came first. 0 = none does. Rare, and then a look at
        all of them."""
        cdef const PaperOrder *order
        cdef uint32_t found = 0
        cdef uint32_t at
        for at in range(1, <uint32_t>PAPER_ORDERS):
            order = &self.orders[at]
            if order.client_order_id and order.expire_ns != INT64_MAX and (
                    found == 0 or order.expire_ns < self.orders[found].expire_ns
                    or (order.expire_ns == self.orders[found].expire_ns and order.number < self.orders[found].number)):
                found = at
        return found

    # ------------------------------------------------------------------ what is ahead

    inline void join(PaperOrder *order, const BookSync *sync) noexcept:
        """It begins to rest, at the end of the queue."""
        order.waits = 0
        order.explained = 0
        order.ahead = paper_levels.shown_at(sync, order.side, order.price)
        if order.ahead == 0 and not paper_levels.is_known(sync, order.side, order.price):
            order.ahead = NOT_KNOWN
        order.seen_exchange_ns = sync.exchange_ns
        if paper_levels.quoted(sync, order.side) is not NULL:
            order.seen_exchange_ns = max(order.seen_exchange_ns, sync.quote.exchange_ns)

    inline void observe(PaperOrder *order, const BookSync *sync, int64_t now_ns) noexcept:
        """The book has changed."""
        cdef int64_t shown = paper_levels.shown_at(sync, order.side, order.price)
        if order.ahead == NOT_KNOWN:
            if shown or paper_levels.is_known(sync, order.side, order.price):
                order.ahead = shown
        elif shown < order.ahead:
            if now_ns - order.explained_ns > EXPLAIN_NS:
                order.explained = 0
            order.explained += order.ahead - shown
            order.explained_ns = now_ns
            order.ahead = shown

    inline int64_t serve(PaperOrder *order, int64_t quantity, int64_t now_ns) noexcept:
        """So much was traded at its price; what of that reaches the order."""
        cdef int64_t part
        if order.ahead == NOT_KNOWN:
            return 0
        if order.explained and now_ns - order.explained_ns <= EXPLAIN_NS:
            part = min(order.explained, quantity)
            order.explained -= part
            quantity -= part
        part = min(order.ahead, quantity)
        order.ahead -= part
        return min(quantity - part, in_queue(order))

    inline int64_t in_queue(const PaperOrder *order) noexcept:
        """What of it has its turn now."""
        cdef int64_t left = order.quantity - order.filled
        return min(left, order.shown) if order.display else left

    inline void refill(PaperOrder *order, const BookSync *sync, int64_t quantity) noexcept:
        """So much of it was filled while it rested. Of an iceberg that may have taken what it showed."""
        if order.display == 0 or quantity == 0:
            return
        if quantity < order.shown:
            order.shown -= quantity
            return
        order.shown = order.display - (quantity - order.shown) % order.display
        join(order, sync)
