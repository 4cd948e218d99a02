"""The codec interface: bytes of one exchange <-> messages, no I/O, no clock, no state beyond what decoding needs.

A connection owns one codec. Market data connections have a `Codec`; order connections an `OrderCodec`, which also
spells orders. One virtual call per frame. `data` must have CODEC_PADDING readable bytes after its end (their content is
free): number parsing loads whole words. Nothing outside [data, data + size) is ever interpreted.
"""
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t, uint64_t

from orderflow._core.types cimport ChildOrder, ExecutionReport, Level, Listing, Message

cdef enum:
    CODEC_PADDING = 64
    SYMBOL_SIZE = 40
    ORDER_FRAME_LIMIT = 1024    # a buffer of this size holds any order frame; encoding asks for it


cdef enum:                      # of an ExecutionReport, where a frame does not say
    NO_LISTING = 0xffffffff     # the symbol is not one of ours, or is not named; prices and quantities are then 0
    NO_SLOT = 0xffffffff
    NO_ASSET = 0xffff           # a fee in an asset that is not in the codec's table


cpdef enum DecodeStatus:
    DECODED = 0
    BAD_JSON = 1                # truncated, garbage, or a key given twice
    BAD_NUMBER = 2              # not a number
    NUMBER_INEXACT = 3          # finer than the listing's scale
    NUMBER_RANGE = 4            # does not fit 63 bits at the listing's scale
    BAD_FIELD = 5               # a needed key is missing or of the wrong type
    TOO_MANY = 6                # more levels, trades or reports than the buffer holds
    UNKNOWN_MESSAGE = 7         # JSON, but nothing that this protocol sends
    BAD_SYMBOL = 8              # longer than SYMBOL_SIZE


cpdef enum EncodeStatus:        # negative results of encode_new and encode_cancel
    ENCODE_NO_ROOM = -1         # less than ORDER_FRAME_LIMIT
    ENCODE_UNKNOWN_LISTING = -2  # not carried by this connection
    ENCODE_UNSUPPORTED = -3     # the exchange has no such order type, time in force or flag
    ENCODE_NOT_POSITIVE = -4    # price or quantity
    ENCODE_NOT_SIGNED = -5      # no signature or no session token


cdef struct DecodeBuffer:       # filled by decode; reused frame after frame
    Message *messages
    Level *levels
    ExecutionReport *reports
    uint32_t message_count
    uint32_t message_capacity
    uint32_t level_count
    uint32_t level_capacity
    uint32_t report_count
    uint32_t report_capacity
    int32_t fault_listing       # of a status other than DECODED: the listing concerned, -1 = not known
    uint32_t fault_offset       # where in the frame


cdef struct Symbol:
    char name[SYMBOL_SIZE]
    uint32_t length
    int32_t listing


cdef struct SymbolTable:        # open addressing, filled before the thread starts
    Symbol *slots
    uint32_t mask


cdef nogil:
    inline uint64_t symbol_hash(const char *name, uint32_t length) noexcept:
        cdef uint64_t h = 0xcbf29ce484222325ULL
        cdef uint32_t i
        for i in range(length):
            h = (h ^ <uint8_t>name[i]) * 0x100000001b3ULL
        return h ^ (h >> 32)

    inline int32_t find_symbol(const SymbolTable *table, const char *name, uint32_t length) noexcept:
        """Listing index of an exchange's spelling, -1 if it is not ours."""
        cdef uint32_t at = <uint32_t>symbol_hash(name, length) & table.mask
        cdef uint32_t i
        cdef const Symbol *slot
        while True:
            slot = &table.slots[at]
            if slot.length == 0:
                return -1
            if slot.length == length:
                i = 0
                while i < length and slot.name[i] == name[i]:
                    i += 1
                if i == length:
                    return slot.listing
            at = (at + 1) & table.mask


cdef int make_symbols(SymbolTable *table, dict symbols, uint32_t listing_count) except -1


cdef class DecodeOutput:
    """Owns a DecodeBuffer and shows what the last decode found."""
    cdef DecodeBuffer buffer


cdef class Codec:
    cdef const Listing *listings    # the engine's table, by listing index
    cdef uint32_t listing_count
    cdef SymbolTable symbols
    cdef object listings_owner

    cdef int decode(self, const char *data, size_t size, int64_t receive_ns, DecodeBuffer *out) noexcept nogil
    cdef int decode_snapshot(self, int32_t listing, const char *data, size_t size, int64_t receive_ns,
                             DecodeBuffer *out) noexcept nogil


cdef class OrderCodec(Codec):
    """encode_* write one frame into `out` and return its size, or an EncodeStatus; `unix_ns` is the exchange's idea of
    now.
    """
    cdef bint cancels_account       # encode_cancel_all is about the whole account, not about one listing
    cdef int encode_new(self, const ChildOrder *order, int64_t unix_ns, char *out, size_t capacity) noexcept nogil
    cdef int encode_cancel(self, const ChildOrder *order, const char *exchange_order_id, int64_t unix_ns,
                           char *out, size_t capacity) noexcept nogil
    cdef int encode_replace(self, const ChildOrder *order, const char *exchange_order_id, int64_t unix_ns,
                            char *out, size_t capacity) noexcept nogil
    cdef int decode_order_body(self, int kind, const ChildOrder *order, const char *data, size_t size,
                               int64_t receive_ns, DecodeBuffer *out) noexcept nogil
    cdef int decode_account_body(self, int kind, const char *data, size_t size, int64_t receive_ns,
                                 DecodeBuffer *out) noexcept nogil
    cdef int encode_cancel_all(self, uint32_t listing, int64_t unix_ns, char *out, size_t capacity) noexcept nogil
    cdef int encode_dead_man(self, int64_t seconds, int64_t unix_ns, char *out, size_t capacity) noexcept nogil
