"""What codecs share whose books are arrays of ["price", "quantity", ...] and whose times are unix milliseconds.

One frame of these exchanges is about one listing, named before its levels, so that a fault can always name it.
"""
from libc.stdint cimport INT64_MAX, int32_t, int64_t, uint8_t, uint32_t
from libc.string cimport memset

from orderflow._core cimport fixed, json, levels
from orderflow._core.codec cimport SYMBOL_SIZE, DecodeBuffer, DecodeStatus, SymbolTable, find_symbol
from orderflow._core.types cimport Message, Side

cdef enum:
    MILLISECOND_NS = 1_000_000

cdef enum:
    FOREIGN = -1                # a symbol that this connection does not carry
    UNNAMED = -2                # no symbol seen yet


cdef nogil:
    inline void begin(json.Cursor *c, levels.Target *target, const char *data, size_t size,
                      DecodeBuffer *out) noexcept:
        json.open(c, data, size)
        out.message_count = 0
        out.level_count = 0
        out.report_count = 0
        target.levels = out.levels
        target.count = 0
        target.capacity = out.level_capacity

    inline int end(const json.Cursor *c, const levels.Target *target, DecodeBuffer *out, int32_t listing) noexcept:
        """The status of the whole frame; nothing is left of one that was refused."""
        if c.status == json.GOOD:
            out.level_count = target.count
            out.fault_listing = -1
            out.fault_offset = 0
            return DecodeStatus.DECODED
        out.message_count = 0
        out.fault_listing = listing if listing >= 0 else -1
        out.fault_offset = json.offset(c)
        return c.status

    inline Message *add(json.Cursor *c, DecodeBuffer *out) noexcept:
        """A new message, IGNORED so far; NULL if there is no room."""
        cdef Message *message
        if out.message_count == out.message_capacity:
            json.fail(c, DecodeStatus.TOO_MANY)
            return NULL
        message = &out.messages[out.message_count]
        out.message_count += 1
        memset(message, 0, sizeof(Message))
        message.listing = -1
        return message

    inline bint find(json.Cursor *c, const SymbolTable *symbols, const char *name, uint32_t length,
                     int32_t *symbol) noexcept:
        """The listing of a symbol, or FOREIGN."""
        if length > SYMBOL_SIZE:
            return json.fail(c, DecodeStatus.BAD_SYMBOL)
        symbol[0] = find_symbol(symbols, name, length)
        return True

    inline bint once(json.Cursor *c, uint32_t *seen, uint32_t bit) noexcept:
        """Whether a key comes for the first time: two programs would read two different books out of a second one."""
        if seen[0] & bit:
            return json.fail(c, json.BAD_JSON)
        seen[0] |= bit
        return True

    inline bint read_side(json.Cursor *c, levels.Target *target, levels.Reader reader, uint32_t *first,
                          uint32_t *count) noexcept:
        """One side of a book; `reader` takes the usual levels."""
        first[0] = target.count
        if not levels.read(c, target, reader, False):
            return False
        count[0] = target.count - first[0]
        return True

    inline bint read_positive(json.Cursor *c, uint8_t decimals, int64_t *out) noexcept:
        if not json.read_decimal(c, decimals, out):
            return False
        return json.fail(c, fixed.NUMBER_RANGE) if out[0] < 0 else True

    inline bint read_integer(json.Cursor *c, int64_t *out) noexcept:
        """In quotes or bare."""
        return json.read_decimal(c, 0, out) if json.peek(c) == b'"' else json.read_int64(c, out)

    inline bint read_time(json.Cursor *c, int64_t *out) noexcept:
        """Unix milliseconds, in quotes or bare, as nanoseconds."""
        cdef int64_t milliseconds = 0
        if not read_integer(c, &milliseconds):
            return False
        if not 0 <= milliseconds <= INT64_MAX // MILLISECOND_NS:
            return json.fail(c, fixed.NUMBER_RANGE)
        out[0] = milliseconds * MILLISECOND_NS
        return True

    inline bint read_taker(json.Cursor *c, const char *buy, const char *sell, uint8_t *out) noexcept:
        """The side of a trade, in the exchange's words."""
        cdef json.Text text
        if not json.read_text(c, &text):
            return False
        if json.equal(&text, buy):
            out[0] = Side.BUY
        elif json.equal(&text, sell):
            out[0] = Side.SELL
        else:
            return json.fail(c, json.BAD_FIELD)
        return True
