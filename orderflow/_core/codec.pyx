"""Memory and Python face of the codec interface: what the tests, the tools and the direct server call."""
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset

import numpy as np

from orderflow._core.types import CHILD_ORDER_DTYPE, EXECUTION_REPORT_DTYPE, LEVEL_DTYPE, LISTING_DTYPE, MESSAGE_DTYPE


cdef _copy(const void *source, uint32_t count, dtype):
    cdef size_t size = <size_t>count * <size_t>dtype.itemsize
    return np.frombuffer((<const char *>source)[:size], dtype=dtype).copy() if count else np.empty(0, dtype)


cdef class DecodeOutput:
    """Room for what one frame may hold.

    Parameters
    ----------
    messages, levels, reports : int
        Capacities. A frame with more ends in DecodeStatus.TOO_MANY and changes nothing.
    """

    def __cinit__(self, uint32_t messages=4096, uint32_t levels=262144, uint32_t reports=1024):
        self.buffer.messages = <Message *>calloc(messages, sizeof(Message))
        self.buffer.levels = <Level *>calloc(levels, sizeof(Level))
        self.buffer.reports = <ExecutionReport *>calloc(reports, sizeof(ExecutionReport))
        if self.buffer.messages is NULL or self.buffer.levels is NULL or self.buffer.reports is NULL:
            raise MemoryError()
        self.buffer.message_capacity = messages
        self.buffer.level_capacity = levels
        self.buffer.report_capacity = reports

    def __dealloc__(self):
        free(self.buffer.messages)
        free(self.buffer.levels)
        free(self.buffer.reports)

    @property
    def messages(self):
        """Messages of the last frame: a copy, numpy structured array of MESSAGE_DTYPE."""
        return _copy(self.buffer.messages, self.buffer.message_count, MESSAGE_DTYPE)

    @property
    def levels(self):
        """Levels of the last frame: a copy, numpy structured array of LEVEL_DTYPE."""
        return _copy(self.buffer.levels, self.buffer.level_count, LEVEL_DTYPE)

    @property
    def reports(self):
        """Execution reports of the last frame: a copy, numpy structured array of EXECUTION_REPORT_DTYPE."""
        return _copy(self.buffer.reports, self.buffer.report_count, EXECUTION_REPORT_DTYPE)

    @property
    def fault(self):
        """(listing, offset in the frame) of the last status other than DECODED; listing -1 = not known."""
        return self.buffer.fault_listing, self.buffer.fault_offset


cdef int make_symbols(SymbolTable *table, dict symbols, uint32_t listing_count) except -1:
    """A table of spellings and the indices of their listings; its slots are to be given back with free()."""
    cdef uint32_t size = 16
    while size < 4 * len(symbols):
        size *= 2
    table.slots = <Symbol *>calloc(size, sizeof(Symbol))
    if table.slots is NULL:
        raise MemoryError()
    table.mask = size - 1
    for name, index in symbols.items():
        _add_symbol(table, name.encode(), index, listing_count)
    return 0


cdef int _add_symbol(SymbolTable *table, bytes name, int32_t index, uint32_t listing_count) except -1:
    if not 0 < len(name) <= SYMBOL_SIZE:
        raise ValueError(f"symbol {name!r}: 1 to {SYMBOL_SIZE} bytes are possible")
    if not 0 <= index < <int32_t>listing_count:
        raise ValueError(f"symbol {name!r}: listing {index} is not in the table of {listing_count}")
    cdef const char *text = name
    cdef uint32_t length = len(name)
    cdef uint32_t at = <uint32_t>symbol_hash(text, length) & table.mask
    while table.slots[at].length:
        at = (at + 1) & table.mask
    memcpy(table.slots[at].name, text, length)
    table.slots[at].length = length
    table.slots[at].listing = index
    return 0


cdef class Codec:
    """Base of all codecs.

    Parameters
    ----------
    listings : numpy structured array of LISTING_DTYPE, shape (n,)
        The engine's listing table; kept alive and read, never copied.
    symbols : dict of str -> int
        The exchange's spelling of each listing that this connection carries, to its index in `listings`.
    """

    def __init__(self, listings, symbols, **options):
        cdef const unsigned char[::1] raw
        if listings.dtype != LISTING_DTYPE:
            raise TypeError(f"listings: expected LISTING_DTYPE, got {listings.dtype}")
        self.listings_owner = listings
        self.listing_count = len(listings)
        if len(listings):
            raw = listings.view(np.uint8)
            self.listings = <const Listing *>&raw[0]
        make_symbols(&self.symbols, symbols, self.listing_count)
        self.configure(**options)

    def configure(self):
        """Codec-specific options; the base takes none."""

    def symbols_by_listing(self):
        """The exchange's spelling of each listing of this connection: dict of int -> str."""
        return {self.symbols.slots[i].listing: self.symbols.slots[i].name[:self.symbols.slots[i].length].decode()
                for i in range(self.symbols.mask + 1) if self.symbols.slots[i].length}

    def __dealloc__(self):
        free(self.symbols.slots)

    cdef int decode(self, const char *data, size_t size, int64_t receive_ns, DecodeBuffer *out) noexcept nogil:
        return DecodeStatus.UNKNOWN_MESSAGE

    cdef int decode_snapshot(self, int32_t listing, const char *data, size_t size, int64_t receive_ns,
                             DecodeBuffer *out) noexcept nogil:
        return DecodeStatus.UNKNOWN_MESSAGE

    def decode_frame(self, bytes frame, DecodeOutput out, int64_t receive_ns=0):
        """Decode one frame given as bytes; returns a DecodeStatus."""
        cdef bytes padded = frame + bytes(CODEC_PADDING)
        cdef const char *data = padded
        cdef size_t size = len(frame)
        cdef int status
        with nogil:
            status = self.decode(data, size, receive_ns, &out.buffer)
        return DecodeStatus(status)

    def decode_snapshot_body(self, int32_t listing, bytes body, DecodeOutput out, int64_t receive_ns=0):
        """Decode a REST depth snapshot; returns a DecodeStatus."""
        cdef bytes padded = body + bytes(CODEC_PADDING)
        cdef const char *data = padded
        cdef size_t size = len(body)
        cdef int status
        with nogil:
            status = self.decode_snapshot(listing, data, size, receive_ns, &out.buffer)
        return DecodeStatus(status)


cdef int _read_order(record, ChildOrder *order) except -1:
    element = np.asarray(record)
    if element.dtype != CHILD_ORDER_DTYPE or element.size != 1:
        raise TypeError(f"record: expected one element of CHILD_ORDER_DTYPE, got {element.size} of {element.dtype}")
    cdef bytes raw = element.tobytes()
    memcpy(order, <const char *>raw, sizeof(ChildOrder))
    return 0


cdef bytes _take_frame(const char *frame, int size):
    if size < 0:
        raise ValueError(f"the order cannot be encoded: {EncodeStatus(size).name}")
    return frame[:size]


cdef class OrderCodec(Codec):
    """Base of the codecs of order connections."""

    cdef int encode_new(self, const ChildOrder *order, int64_t unix_ns, char *out, size_t capacity) noexcept nogil:
        return EncodeStatus.ENCODE_UNSUPPORTED

    cdef int encode_cancel(self, const ChildOrder *order, const char *exchange_order_id, int64_t unix_ns,
                           char *out, size_t capacity) noexcept nogil:
        return EncodeStatus.ENCODE_UNSUPPORTED

    cdef int encode_replace(self, const ChildOrder *order, const char *exchange_order_id, int64_t unix_ns,
                            char *out, size_t capacity) noexcept nogil:
        """Change an open order in place; price and quantity of `order` are what it is to have, its filled part
        included."""
        return EncodeStatus.ENCODE_UNSUPPORTED

    cdef int decode_order_body(self, int kind, const ChildOrder *order, const char *data, size_t size,
                               int64_t receive_ns, DecodeBuffer *out) noexcept nogil:
        """A REST body (BodyKind) that may tell of an order of ours; only its client id and listing are given."""
        return DecodeStatus.UNKNOWN_MESSAGE

    def decode_body(self, int kind, uint64_t client_order_id, uint32_t listing, bytes body, DecodeOutput out,
                    int64_t receive_ns=0):
        """Decode a REST body about an order; returns a DecodeStatus.

        Parameters
        ----------
        kind : BodyKind
        client_order_id, listing : int
            Of the order that was asked for.
        """
        cdef bytes padded = body + bytes(CODEC_PADDING)
        cdef const char *data = padded
        cdef size_t size = len(body)
        cdef int status
        cdef ChildOrder order
        memset(&order, 0, sizeof(ChildOrder))
        order.client_order_id, order.listing, order.slot = client_order_id, listing, <uint32_t>-1
        with nogil:
            status = self.decode_order_body(kind, &order, data, size, receive_ns, &out.buffer)
        return DecodeStatus(status)

    cdef int decode_account_body(self, int kind, const char *data, size_t size, int64_t receive_ns,
                                 DecodeBuffer *out) noexcept nogil:
        """A REST body (BodyKind) on the whole account, whoever's orders and trades it tells of."""
        return DecodeStatus.UNKNOWN_MESSAGE

    def decode_account(self, int kind, bytes body, DecodeOutput out, int64_t receive_ns=0):
        """Decode a REST body on the account (BodyKind); returns a DecodeStatus."""
        cdef bytes padded = body + bytes(CODEC_PADDING)
        cdef const char *data = padded
        cdef size_t size = len(body)
        cdef int status
        with nogil:
            status = self.decode_account_body(kind, data, size, receive_ns, &out.buffer)
        return DecodeStatus(status)

    cdef int encode_cancel_all(self, uint32_t listing, int64_t unix_ns, char *out, size_t capacity) noexcept nogil:
        """Cancel everything that is open of a listing, or of the account, whoever's it is."""
        return EncodeStatus.ENCODE_UNSUPPORTED

    cdef int encode_dead_man(self, int64_t seconds, int64_t unix_ns, char *out, size_t capacity) noexcept nogil:
        """Let the exchange cancel everything of the account after so long without another of these; 0 = never."""
        return EncodeStatus.ENCODE_UNSUPPORTED

    def encode_cancel_everything(self, uint32_t listing, int64_t unix_ns=0):
        """The frame that cancels whatever is open of a listing, or of the account, as bytes; errors as of
        `encode_new_order`."""
        cdef char[ORDER_FRAME_LIMIT] frame
        cdef int size
        with nogil:
            size = self.encode_cancel_all(listing, unix_ns, frame, ORDER_FRAME_LIMIT)
        return _take_frame(frame, size)

    def encode_dead_man_switch(self, int64_t seconds, int64_t unix_ns=0):
        """The frame that sets the exchange's dead-man switch, or with 0 takes it away, as bytes; errors as of
        `encode_new_order`."""
        cdef char[ORDER_FRAME_LIMIT] frame
        cdef int size
        with nogil:
            size = self.encode_dead_man(seconds, unix_ns, frame, ORDER_FRAME_LIMIT)
        return _take_frame(frame, size)

    def encode_new_order(self, record, int64_t unix_ns=0, size_t capacity=ORDER_FRAME_LIMIT):
        """The frame that places an order, as bytes: what the exchange thread would send.

        Parameters
        ----------
        record : one element of CHILD_ORDER_DTYPE
        unix_ns : int
            Time of sending, nanoseconds since 1970, as the exchange's clock has it.
        capacity : int
            Room that the codec is told of, at most ORDER_FRAME_LIMIT; less of it refuses every order.

        Raises
        ------
        ValueError
            With the name of the EncodeStatus.
        """
        cdef ChildOrder order
        cdef char[ORDER_FRAME_LIMIT] frame
        cdef int size
        _read_order(record, &order)
        with nogil:
            size = self.encode_new(&order, unix_ns, frame, min(capacity, <size_t>ORDER_FRAME_LIMIT))
        return _take_frame(frame, size)

    def encode_cancel_order(self, record, bytes exchange_order_id=b"", int64_t unix_ns=0,
                            size_t capacity=ORDER_FRAME_LIMIT):
        """The frame that cancels an order, as bytes; arguments and errors as of `encode_new_order`.

        `exchange_order_id` is the exchange's id of the order where it is known.
        """
        cdef ChildOrder order
        cdef char[ORDER_FRAME_LIMIT] frame
        cdef const char *identity = exchange_order_id
        cdef int size
        _read_order(record, &order)
        with nogil:
            size = self.encode_cancel(&order, identity, unix_ns, frame, min(capacity, <size_t>ORDER_FRAME_LIMIT))
        return _take_frame(frame, size)

    def encode_replace_order(self, record, bytes exchange_order_id=b"", int64_t unix_ns=0,
                             size_t capacity=ORDER_FRAME_LIMIT):
        """The frame that changes an open order in place, as bytes; arguments and errors as of `encode_cancel_order`."""
        cdef ChildOrder order
        cdef char[ORDER_FRAME_LIMIT] frame
        cdef const char *identity = exchange_order_id
        cdef int size
        _read_order(record, &order)
        with nogil:
            size = self.encode_replace(&order, identity, unix_ns, frame, min(capacity, <size_t>ORDER_FRAME_LIMIT))
        return _take_frame(frame, size)
