"""Order requests of Kraken's Spot WebSocket v2, written in one pass.

All that is constant for a listing, side and order type is one piece of text prepared when the codec is made; an order
adds its numbers, its id, the session token and the request id. Nothing is signed: the token stands for the account.

The request id is an integer, and JSON numbers are safe up to 2**53 only: two bits for the action, and the lower 51 of
the client order id. Of one instance ids only grow (client_id.pxd), so the upper bits are those nearest at or below the
highest that was sent: an answer finds its order without a table.

Kraken takes FOK over REST only (its change log, May 2026, names no WebSocket field for it), so it is refused here.
"""
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from orderflow._core cimport client_id, fixed, iceberg
from orderflow._core.codec cimport EncodeStatus
from orderflow._core.codecs cimport text
from orderflow._core.types cimport ChildOrder, Listing, OrderFlag, OrderType, Side, TimeInForce

cdef extern from *:
    """
    static inline uint32_t orderflow_load_acquire(const uint32_t *word) {
        return __atomic_load_n(word, __ATOMIC_ACQUIRE);
    }
    static inline void orderflow_store_release(uint32_t *word, uint32_t value) {
        __atomic_store_n(word, value, __ATOMIC_RELEASE);
    }
    """
    uint32_t load_acquire "orderflow_load_acquire"(const uint32_t *word) noexcept nogil
    void store_release "orderflow_store_release"(uint32_t *word, uint32_t value) noexcept nogil

cdef enum Action:               # of a request
    PLACE = 0
    CANCEL = 1
    AMEND = 2

cdef enum:                      # variants: what a LIMIT or MARKET order becomes
    LIMIT_GTC = 0
    LIMIT_GTC_POST = 1
    LIMIT_IOC = 2
    LIMIT_GTD = 3
    LIMIT_GTD_POST = 4
    MARKET = 5
    ICEBERG = 6
    ICEBERG_POST = 7
    VARIANTS = 8

cdef enum:
    LOW_BITS = 40               # of a client order id, and
    NEXT_BITS = 11              # those above them: what a request id has of it
    TOKEN_LIMIT = 160
    LONGEST_DEAD_MAN_S = 86400


cdef struct Requests:
    const Listing *listings
    const int32_t *rows         # listing index -> row below, -1 = not on this connection
    const text.Piece *places    # row * 2 * VARIANTS + side * VARIANTS + variant: up to the quantity
    int64_t deadline_ns         # after sending; the engine matches nothing later; 0 = its own default (5 s)
    uint64_t highest            # of the upper bits of the orders sent
    uint32_t listing_count
    uint32_t token_generation   # 0 = none yet; the low bit says which of the two is valid
    text.Piece[2] tokens        # "token":"...","req_id": ; the control thread writes the one that nobody reads


cdef nogil:
    inline uint64_t request_id(const ChildOrder *order, Action action) noexcept:
        return (<uint64_t>action << (LOW_BITS + NEXT_BITS)
                | (order.client_order_id & ((<uint64_t>1 << (LOW_BITS + NEXT_BITS)) - 1)))

    inline uint64_t read_request_id(const Requests *requests, uint64_t number) noexcept:
        """The client order id that request_id() was made from."""
        cdef uint64_t low = number >> LOW_BITS & ((1 << NEXT_BITS) - 1)
        cdef uint64_t upper = requests.highest - ((requests.highest - low) & ((1 << NEXT_BITS) - 1))
        return upper << LOW_BITS | (number & ((<uint64_t>1 << LOW_BITS) - 1))

    inline int variant_of(const ChildOrder *order) noexcept:
        cdef bint post_only = (order.flags & OrderFlag.POST_ONLY) != 0
        if order.order_type == OrderType.MARKET:
            if (post_only or order.time_in_force == TimeInForce.FOK or order.time_in_force == TimeInForce.GTD
                    or iceberg.display_of(order)):
                return EncodeStatus.ENCODE_UNSUPPORTED
            return MARKET
        if order.order_type != OrderType.LIMIT:
            return EncodeStatus.ENCODE_UNSUPPORTED
        if order.time_in_force == TimeInForce.GTC:
            if iceberg.display_of(order):
                return ICEBERG_POST if post_only else ICEBERG
            return LIMIT_GTC_POST if post_only else LIMIT_GTC
        if order.time_in_force == TimeInForce.IOC and not post_only:
            return LIMIT_IOC
        if order.time_in_force == TimeInForce.GTD and order.terms > 0:
            return LIMIT_GTD_POST if post_only else LIMIT_GTD
        return EncodeStatus.ENCODE_UNSUPPORTED

    inline int finish(Requests *requests, const ChildOrder *order, Action action, char *at, char *frame) noexcept:
        cdef uint32_t generation = load_acquire(&requests.token_generation)
        if generation == 0:
            return EncodeStatus.ENCODE_NOT_SIGNED
        if order.client_order_id >> LOW_BITS > requests.highest:
            requests.highest = order.client_order_id >> LOW_BITS
        at = text.put_piece(at, &requests.tokens[generation & 1])
        at += fixed.write_digits(request_id(order, action), at)
        return <int>(text.put(at, b"}", 1) - frame)

    inline int place(Requests *requests, const ChildOrder *order, int64_t unix_ns, char *frame) noexcept:
        """add_order into `frame`, which has room for ORDER_FRAME_LIMIT; its size or an EncodeStatus."""
        cdef int32_t row = requests.rows[order.listing] if order.listing < requests.listing_count else -1
        cdef int variant = variant_of(order)
        cdef int64_t display = iceberg.display_of(order)
        cdef const Listing *listing
        cdef char *at
        if row < 0:
            return EncodeStatus.ENCODE_UNKNOWN_LISTING
        if variant < 0 or (order.side != Side.BUY and order.side != Side.SELL):
            return EncodeStatus.ENCODE_UNSUPPORTED
        if order.quantity <= 0 or display < 0 or (variant != MARKET and order.price <= 0):
            return EncodeStatus.ENCODE_NOT_POSITIVE
        listing = &requests.listings[order.listing]
        at = text.put_piece(frame, &requests.places[(row * 2 + order.side - 1) * VARIANTS + variant])
        at += fixed.write_trimmed(order.quantity, listing.quantity_decimals, at)
        if display:
            at = text.put(at, b',"display_qty":', 15)
            at += fixed.write_trimmed(display, listing.quantity_decimals, at)
        if variant != MARKET:
            at = text.put(at, b',"limit_price":', 15)
            at += fixed.write_trimmed(order.price, listing.price_decimals, at)
        if variant == LIMIT_GTD or variant == LIMIT_GTD_POST:
            at = text.put_rfc3339(text.put(at, b',"expire_time":"', 16), order.terms)
            at = text.put(at, b'"', 1)
        if requests.deadline_ns:
            at = text.put_rfc3339(text.put(at, b',"deadline":"', 13), unix_ns + requests.deadline_ns)
            at = text.put(at, b'"', 1)
        at = text.put(at, b',"cl_ord_id":"', 14)
        client_id.write(order.client_order_id, at)
        at = text.put(at + client_id.TEXT_LENGTH, b'",', 2)
        return finish(requests, order, Action.PLACE, at, frame)

    inline int cancel(Requests *requests, const ChildOrder *order, char *frame) noexcept:
        """cancel_order by our own id."""
        cdef char *at = text.put(frame, b'{"method":"cancel_order","params":{"cl_ord_id":["', 49)
        client_id.write(order.client_order_id, at)
        at = text.put(at + client_id.TEXT_LENGTH, b'"],', 3)
        return finish(requests, order, Action.CANCEL, at, frame)

    inline int amend(Requests *requests, const ChildOrder *order, int64_t unix_ns, char *frame) noexcept:
        """amend_order by our own id: another whole quantity, another price, or both."""
        cdef int32_t row = requests.rows[order.listing] if order.listing < requests.listing_count else -1
        cdef const Listing *listing
        cdef char *at
        if row < 0:
            return EncodeStatus.ENCODE_UNKNOWN_LISTING
        if order.quantity <= 0 or order.price <= 0:
            return EncodeStatus.ENCODE_NOT_POSITIVE
        listing = &requests.listings[order.listing]
        at = text.put(frame, b'{"method":"amend_order","params":{"cl_ord_id":"', 47)
        client_id.write(order.client_order_id, at)
        at = text.put(at + client_id.TEXT_LENGTH, b'","order_qty":', 14)
        at += fixed.write_trimmed(order.quantity, listing.quantity_decimals, at)
        at = text.put(at, b',"limit_price":', 15)
        at += fixed.write_trimmed(order.price, listing.price_decimals, at)
        if order.flags & OrderFlag.POST_ONLY:
            at = text.put(at, b',"post_only":true', 17)
        if requests.deadline_ns:
            at = text.put_rfc3339(text.put(at, b',"deadline":"', 13), unix_ns + requests.deadline_ns)
            at = text.put(at, b'"', 1)
        at = text.put(at, b",", 1)
        return finish(requests, order, Action.AMEND, at, frame)

    inline int finish_account(const Requests *requests, char *at, char *frame) noexcept:
        """The token, and a request id that no order and no subscription has."""
        cdef uint32_t generation = load_acquire(&requests.token_generation)
        if generation == 0:
            return EncodeStatus.ENCODE_NOT_SIGNED
        at = text.put_piece(at, &requests.tokens[generation & 1])
        return <int>(text.put(at, b"0}", 2) - frame)

    inline int sweep(const Requests *requests, char *frame) noexcept:
        """cancel_all: every open order of the account, whoever sent it."""
        return finish_account(requests, text.put(frame, b'{"method":"cancel_all","params":{', 33), frame)

    inline int dead_man(const Requests *requests, int64_t seconds, char *frame) noexcept:
        """cancel_all_orders_after: the exchange cancels everything of the account unless it hears this again."""
        cdef char *at
        if not 0 <= seconds <= LONGEST_DEAD_MAN_S:
            return EncodeStatus.ENCODE_UNSUPPORTED
        at = text.put(frame, b'{"method":"cancel_all_orders_after","params":{"timeout":', 56)
        at += fixed.write_digits(<uint64_t>seconds, at)
        return finish_account(requests, text.put(at, b",", 1), frame)
