"""Order requests of Binance's Spot WebSocket API, written in one pass.

Everything constant is text prepared when the codec is made: the beginning with the API key once, what follows the
quantity once per listing, side and order type. An order adds its ids, two numbers, the time and the signature. The
signature is over the same values sorted by name and joined by "&" (Binance, "WebSocket API, request security"), so that
text is written beside the frame, and the key is prepared with its constant beginning. In the frame the order is free.

The request id says everything the answer must be matched with, so nothing is remembered: an action (`n`ew, `c`ancel or
`a`mend), then client order id, listing, router slot and side in base 32: 29 of the 36 characters allowed.

Answers are asked for as ACK, the fastest; fills come over the user stream.
"""
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from orderflow._core cimport client_id, fixed, iceberg, signing
from orderflow._core.codec cimport EncodeStatus
from orderflow._core.codecs cimport text
from orderflow._core.types cimport ChildOrder, Listing, OrderFlag, OrderType, Side, TimeInForce

cdef enum:
    KEY_LIMIT = 256             # longest API key
    PAYLOAD_SIZE = 768
    REQUEST_ID = 29
    ID_AT = 7                   # of the request id in a frame: {"id":"
    LISTING_DIGITS = 7          # base 32 digits of 32 bits

cdef enum:                      # variants: what a LIMIT or MARKET order becomes
    LIMIT_GTC = 0
    LIMIT_IOC = 1
    LIMIT_FOK = 2
    LIMIT_MAKER = 3
    MARKET = 4
    VARIANTS = 5


cdef struct Head:               # constant beginnings: of a frame, up to the first number; of what is signed
    char[512] frame
    char[512] payload
    uint32_t frame_size
    uint32_t payload_size
    uint32_t frame_id           # where in each the client order id goes
    uint32_t payload_id


cdef struct Tail:               # what follows the quantity (of a cancel: the order's id)
    text.Piece frame
    text.Piece payload          # up to the timestamp
    text.Piece payload_end


cdef struct Requests:
    const Listing *listings
    const int32_t *rows         # listing index -> row below, -1 = not on this connection
    const Tail *places          # row * 2 * VARIANTS + side * VARIANTS + variant
    const Tail *cancels         # row
    const Tail *sweeps          # row
    Head place
    Head iceberg                # up to its icebergQty, which is signed before our id
    Head cancel
    Head amend
    Head sweep
    const signing.Key *place_key    # NULL: the session is logged on, requests are not signed
    const signing.Key *iceberg_key
    const signing.Key *cancel_key
    const signing.Key *amend_key
    const signing.Key *sweep_key
    uint32_t listing_count
    char[PAYLOAD_SIZE] payload


cdef nogil:
    inline void put_request_id(char *out, char action, const ChildOrder *order) noexcept:
        out[0] = action
        client_id.write_base32(order.client_order_id, client_id.DIGITS, out + 1)
        client_id.write_base32(order.listing, LISTING_DIGITS, out + 14)
        client_id.write_base32(order.slot, LISTING_DIGITS, out + 21)
        client_id.write_base32(order.side, 1, out + 28)

    inline bint read_request_id(const char *name, size_t size, ChildOrder *order, char *action) noexcept:
        """Fills in what put_request_id wrote; false if it is not one of ours."""
        cdef uint64_t listing, slot, side
        if size != REQUEST_ID or (name[0] != b"n" and name[0] != b"c" and name[0] != b"a"):
            return False
        if not (client_id.read_base32(name + 1, client_id.DIGITS, &order.client_order_id)
                and client_id.read_base32(name + 14, LISTING_DIGITS, &listing)
                and client_id.read_base32(name + 21, LISTING_DIGITS, &slot)
                and client_id.read_base32(name + 28, 1, &side)):
            return False
        action[0] = name[0]
        order.listing = <uint32_t>listing
        order.slot = <uint32_t>slot
        order.side = <unsigned char>side
        return True

    inline int variant_of(const ChildOrder *order) noexcept:
        """Variant, or ENCODE_UNSUPPORTED: no GTD, and post-only is an order type here, without a time in force."""
        cdef bint post_only = (order.flags & OrderFlag.POST_ONLY) != 0
        if order.order_type == OrderType.MARKET:
            if post_only or order.time_in_force == TimeInForce.FOK or order.time_in_force == TimeInForce.GTD:
                return EncodeStatus.ENCODE_UNSUPPORTED
            return MARKET
        if order.order_type != OrderType.LIMIT:
            return EncodeStatus.ENCODE_UNSUPPORTED
        if order.time_in_force == TimeInForce.GTC:
            return LIMIT_MAKER if post_only else LIMIT_GTC
        if post_only:
            return EncodeStatus.ENCODE_UNSUPPORTED
        if order.time_in_force == TimeInForce.IOC:
            return LIMIT_IOC
        if order.time_in_force == TimeInForce.FOK:
            return LIMIT_FOK
        return EncodeStatus.ENCODE_UNSUPPORTED

    inline int32_t row_of(const Requests *requests, const ChildOrder *order) noexcept:
        return requests.rows[order.listing] if order.listing < requests.listing_count else -1

    inline int finish(Requests *requests, const signing.Key *key, const Tail *tail, int64_t unix_ns, char *payload,
                      char *at, char *frame) noexcept:
        """Both texts from behind their last variable value to the end; returns the size of the frame."""
        cdef char[20] milliseconds
        cdef uint32_t digits = fixed.write_digits(<uint64_t>unix_ns / 1000000, milliseconds)
        cdef int length
        at = text.put(text.put_piece(at, &tail.frame), milliseconds, digits)
        if key is not NULL:
            payload = text.put(text.put_piece(payload, &tail.payload), milliseconds, digits)
            payload = text.put_piece(payload, &tail.payload_end)
            at = text.put(at, b',"signature":"', 14)
            length = signing.sign(key, requests.payload, payload - requests.payload, at)
            if length < 0:
                return EncodeStatus.ENCODE_NOT_SIGNED
            at = text.put(at + length, b'"', 1)
        return <int>(text.put(at, b"}}", 2) - frame)

    inline char *sign_display(char *payload, const ChildOrder *order, const char *display, uint32_t size) noexcept:
        """What is signed of an iceberg, from the value of icebergQty to what other orders begin with."""
        payload = text.put(text.put(payload, display, size), b"&newClientOrderId=", 18)
        client_id.write(order.client_order_id, payload)
        return text.put(payload + client_id.TEXT_LENGTH, b"&newOrderRespType=ACK", 21)

    inline int place(Requests *requests, const ChildOrder *order, int64_t unix_ns, char *frame) noexcept:
        """order.place into `frame`, which has room for ORDER_FRAME_LIMIT; its size or an EncodeStatus."""
        cdef int32_t row = row_of(requests, order)
        cdef int variant = variant_of(order)
        cdef int64_t display = iceberg.display_of(order)
        cdef const Head *head = &requests.place
        cdef const Listing *listing
        cdef char *at = frame
        cdef char *payload = requests.payload
        cdef char[fixed.TEXT_SIZE] number
        cdef uint32_t size
        if row < 0:
            return EncodeStatus.ENCODE_UNKNOWN_LISTING
        if variant < 0 or (order.side != Side.BUY and order.side != Side.SELL):
            return EncodeStatus.ENCODE_UNSUPPORTED
        if display and variant == MARKET:
            return EncodeStatus.ENCODE_UNSUPPORTED
        if order.quantity <= 0 or display < 0 or (variant != MARKET and order.price <= 0):
            return EncodeStatus.ENCODE_NOT_POSITIVE
        if display:
            head = &requests.iceberg
        listing = &requests.listings[order.listing]
        at = text.put(at, head.frame, head.frame_size)
        put_request_id(frame + ID_AT, b"n", order)
        client_id.write(order.client_order_id, frame + head.frame_id)
        payload = text.put(payload, head.payload, head.payload_size)
        if display:
            size = fixed.write_trimmed(display, listing.quantity_decimals, number)
            at = text.put(text.put(at, number, size), b'",', 2)
            payload = sign_display(payload, order, number, size)
        else:
            client_id.write(order.client_order_id, requests.payload + head.payload_id)
        if variant != MARKET:
            size = fixed.write_trimmed(order.price, listing.price_decimals, number)
            at = text.put(text.put(text.put(at, b'"price":"', 9), number, size), b'",', 2)
            payload = text.put(text.put(payload, b"&price=", 7), number, size)
        size = fixed.write_trimmed(order.quantity, listing.quantity_decimals, number)
        at = text.put(text.put(at, b'"quantity":"', 12), number, size)
        payload = text.put(text.put(payload, b"&quantity=", 10), number, size)
        return finish(requests, requests.iceberg_key if display else requests.place_key,
                      &requests.places[(row * 2 + order.side - 1) * VARIANTS + variant],
                      unix_ns, payload, at, frame)

    inline size_t digits_of(const char *exchange_order_id) noexcept:
        """Length of an id of this exchange, which is a number; 0 if it is none."""
        cdef size_t size = 0
        if exchange_order_id is NULL:
            return 0
        while size < 20 and fixed.is_digit(exchange_order_id[size]):
            size += 1
        return 0 if exchange_order_id[size] else size

    inline int finish_named(Requests *requests, const signing.Key *key, const ChildOrder *order,
                            const char *exchange_order_id, int64_t unix_ns, char *payload, char *at,
                            char *frame) noexcept:
        """From the order's id on, which both texts have up to "or": the exchange's where it is known, which Binance
        finds fastest, else ours."""
        cdef size_t size = digits_of(exchange_order_id)
        if size:
            at = text.put(text.put(at, b'"orderId":', 10), exchange_order_id, size)
            payload = text.put(text.put(payload, b"derId=", 6), exchange_order_id, size)
        else:
            at = text.put(at, b'"origClientOrderId":"', 21)
            client_id.write(order.client_order_id, at)
            at = text.put(at + client_id.TEXT_LENGTH, b'"', 1)
            payload = text.put(payload, b"igClientOrderId=", 16)
            client_id.write(order.client_order_id, payload)
            payload += client_id.TEXT_LENGTH
        return finish(requests, key, &requests.cancels[row_of(requests, order)], unix_ns, payload, at, frame)

    inline int cancel(Requests *requests, const ChildOrder *order, const char *exchange_order_id, int64_t unix_ns,
                      char *frame) noexcept:
        """order.cancel into `frame`; its size or an EncodeStatus."""
        cdef char *at
        if row_of(requests, order) < 0:
            return EncodeStatus.ENCODE_UNKNOWN_LISTING
        at = text.put(frame, requests.cancel.frame, requests.cancel.frame_size)
        put_request_id(frame + ID_AT, b"c", order)
        return finish_named(requests, requests.cancel_key, order, exchange_order_id, unix_ns,
                            text.put(requests.payload, requests.cancel.payload, requests.cancel.payload_size), at,
                            frame)

    inline int amend(Requests *requests, const ChildOrder *order, const char *exchange_order_id, int64_t unix_ns,
                     char *frame) noexcept:
        """order.amend.keepPriority: a smaller whole quantity; the price stays."""
        cdef char *at
        cdef char *payload
        cdef char[fixed.TEXT_SIZE] number
        cdef uint32_t size
        if row_of(requests, order) < 0:
            return EncodeStatus.ENCODE_UNKNOWN_LISTING
        if order.quantity <= 0:
            return EncodeStatus.ENCODE_NOT_POSITIVE
        size = fixed.write_trimmed(order.quantity, requests.listings[order.listing].quantity_decimals, number)
        at = text.put(frame, requests.amend.frame, requests.amend.frame_size)
        put_request_id(frame + ID_AT, b"a", order)
        at = text.put(text.put(at, number, size), b'",', 2)
        payload = text.put(requests.payload, requests.amend.payload, requests.amend.payload_size)
        payload = text.put(text.put(payload, number, size), b"&or", 3)
        return finish_named(requests, requests.amend_key, order, exchange_order_id, unix_ns, payload, at, frame)

    inline int sweep(Requests *requests, uint32_t listing, int64_t unix_ns, char *frame) noexcept:
        """openOrders.cancelAll of one symbol: all orders of the account, whoever sent them."""
        cdef int32_t row = requests.rows[listing] if listing < requests.listing_count else -1
        if row < 0:
            return EncodeStatus.ENCODE_UNKNOWN_LISTING
        return finish(requests, requests.sweep_key, &requests.sweeps[row], unix_ns,
                      text.put(requests.payload, requests.sweep.payload, requests.sweep.payload_size),
                      text.put(frame, requests.sweep.frame, requests.sweep.frame_size), frame)
