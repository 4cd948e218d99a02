"""Pull scanner over a span of JSON text (RFC 8259): the caller asks for what it expects, nothing is built.

Every function returns True, or False after it has put a status and the place into the cursor; from then on the cursor
only says False. So a decoder reads a frame in straight lines and looks at `status` once, at the end:

    json.enter_object(&cursor)
    while json.next_key(&cursor, &key):
        if json.equal(&key, "price"):
            json.read_decimal(&cursor, 8, &price)
        else:
            json.skip_value(&cursor)
    json.finish(&cursor)

Whatever is passed over is checked as strictly as what is read: grammar, escapes, surrogates, UTF-8. Nothing at or
after `end` is interpreted; whole words are loaded, so CODEC_PADDING bytes after it must be readable. Values deeper than
MAXIMUM_DEPTH below the one that is skipped are refused. Time is linear in the bytes, memory is the cursor.
"""
from libc.stdint cimport INT64_MAX, UINT32_MAX, int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, strlen

from orderflow._core cimport fixed

cdef enum:                      # the values of codec.DecodeStatus; those of numbers are in fixed.pxd
    GOOD = 0
    BAD_JSON = 1
    BAD_FIELD = 5

cdef enum:
    MAXIMUM_DEPTH = 64
    SCRATCH_SIZE = 64


cdef struct Cursor:
    const char *begin
    const char *at
    const char *end
    int status                  # the first thing that was wrong
    bint first                  # just inside an object or array: no comma is due
    char[SCRATCH_SIZE] scratch


cdef struct Text:               # a string as the sender meant it, escapes resolved
    const char *data            # in the frame; with escapes in the cursor's scratch, until the next text is read
    uint32_t length             # an escaped text longer than SCRATCH_SIZE keeps its length, but is cut


cdef nogil:
    inline void open(Cursor *c, const char *data, size_t size) noexcept:
        c.begin = data
        c.at = data
        c.end = data + size
        c.status = GOOD
        c.first = True

    inline bint fail(Cursor *c, int status) noexcept:
        if c.status == GOOD:
            c.status = status
            c.end = c.at        # nothing more will be found
        return False

    inline uint32_t offset(const Cursor *c) noexcept:
        """Where the cursor stands, or where it failed."""
        return <uint32_t>(c.at - c.begin)

    inline void skip_spaces(Cursor *c) noexcept:
        while c.at < c.end and (c.at[0] == b" " or c.at[0] == b"\n" or c.at[0] == b"\r" or c.at[0] == b"\t"):
            c.at += 1

    inline bint take(Cursor *c, char expected) noexcept:
        """Pass over one character that must come next."""
        if c.at < c.end and c.at[0] == expected:
            c.at += 1
            return True
        skip_spaces(c)
        if c.at < c.end and c.at[0] == expected:
            c.at += 1
            return True
        return fail(c, BAD_JSON)

    inline char peek(Cursor *c) noexcept:
        """The first character of the next value, 0 at the end; moves over spaces only."""
        skip_spaces(c)
        return c.at[0] if c.at < c.end else 0

    inline bint wrong_type(Cursor *c) noexcept:
        """Something else stands where the caller expected his value: another value, or none at all."""
        cdef char found = peek(c)
        if (found == b"{" or found == b"[" or found == b'"' or found == b"-" or fixed.is_digit(found)
                or found == b"t" or found == b"f" or found == b"n"):
            return fail(c, BAD_FIELD)
        return fail(c, BAD_JSON)

    inline bint equal(const Text *text, const char *literal) noexcept:
        """Whether a text is this one; literals longer than SCRATCH_SIZE are not supported."""
        cdef size_t length = strlen(literal)            # folded by the compiler
        return text.length == length and memcmp(text.data, literal, length) == 0

    # Strings ---------------------------------------------------------------------------------------------------------

    inline uint64_t special_characters(uint64_t word) noexcept:
        """Bit 7 of the first byte that is a quote, a backslash, a control or not ASCII; later bits are noise."""
        cdef uint64_t quote = word ^ 0x2222222222222222ULL
        cdef uint64_t backslash = word ^ 0x5C5C5C5C5C5C5C5CULL
        return ((quote - 0x0101010101010101ULL) | (backslash - 0x0101010101010101ULL)
                | (word - 0x2020202020202020ULL) | word) & 0x8080808080808080ULL

    inline bint is_continuation(char c) noexcept:
        return (<uint8_t>c & 0xC0) == 0x80

    inline const char *skip_utf8(const char *p, const char *end) noexcept:
        """After the character of two to four bytes at p; NULL if it is not well formed (Unicode, table 3-7)."""
        cdef uint8_t lead = <uint8_t>p[0]
        cdef uint8_t second
        if end - p < 2 or not is_continuation(p[1]):
            return NULL
        second = <uint8_t>p[1]
        if 0xC2 <= lead <= 0xDF:
            return p + 2
        if end - p < 3 or not is_continuation(p[2]):
            return NULL
        if 0xE0 <= lead <= 0xEF:
            if (lead == 0xE0 and second < 0xA0) or (lead == 0xED and second > 0x9F):
                return NULL
            return p + 3
        if end - p < 4 or not is_continuation(p[3]) or not 0xF0 <= lead <= 0xF4:
            return NULL
        if (lead == 0xF0 and second < 0x90) or (lead == 0xF4 and second > 0x8F):
            return NULL
        return p + 4

    inline int hexadecimal(const char *p, const char *end) noexcept:
        """The four digits at p; -1 if they are not."""
        cdef int value = 0
        cdef int i
        cdef uint8_t digit
        if end - p < 4:
            return -1
        for i in range(4):
            digit = <uint8_t>p[i]
            if fixed.is_digit(p[i]):
                value = value * 16 + digit - 48
            elif 97 <= (digit | 32) <= 102:
                value = value * 16 + (digit | 32) - 87
            else:
                return -1
        return value

    inline const char *read_escape(const char *p, const char *end, uint32_t *code) noexcept:
        """The character that the backslash at p begins; returns what follows it, NULL if it is not an escape."""
        cdef int unit, trail
        if end - p < 2:
            return NULL
        if p[1] == b"u":
            unit = hexadecimal(p + 2, end)
            if unit < 0 or 0xDC00 <= unit <= 0xDFFF:
                return NULL
            code[0] = <uint32_t>unit
            if unit < 0xD800 or unit > 0xDBFF:
                return p + 6
            if end - p < 12 or p[6] != b"\\" or p[7] != b"u":
                return NULL
            trail = hexadecimal(p + 8, end)
            if trail < 0xDC00 or trail > 0xDFFF:
                return NULL
            code[0] = 0x10000 + ((<uint32_t>unit - 0xD800) << 10) + (<uint32_t>trail - 0xDC00)
            return p + 12
        if p[1] == b'"' or p[1] == b"\\" or p[1] == b"/":
            code[0] = <uint8_t>p[1]
        elif p[1] == b"b":
            code[0] = 8
        elif p[1] == b"f":
            code[0] = 12
        elif p[1] == b"n":
            code[0] = 10
        elif p[1] == b"r":
            code[0] = 13
        elif p[1] == b"t":
            code[0] = 9
        else:
            return NULL
        return p + 2

    inline bint scan_string(Cursor *c, bint *escaped) noexcept:
        """From the opening quote to after the closing one."""
        cdef const char *p = c.at + 1
        cdef const char *stopped
        cdef uint64_t special
        cdef uint32_t code = 0
        escaped[0] = False
        while p < c.end:
            special = special_characters(fixed.load_word(p))
            if special == 0:
                p += 8
                continue
            p += fixed.count_trailing_zeros(special) >> 3
            if p >= c.end:
                break
            if p[0] == b'"':
                c.at = p + 1
                return True
            stopped = p
            if p[0] == b"\\":
                escaped[0] = True
                p = read_escape(p, c.end, &code)
            elif <uint8_t>p[0] >= 0x80:
                p = skip_utf8(p, c.end)
            else:
                p = NULL
            if p is NULL:
                c.at = stopped
                return fail(c, BAD_JSON)
        c.at = c.end
        return fail(c, BAD_JSON)

    inline uint32_t put(char *scratch, uint32_t length, uint8_t byte) noexcept:
        if length < SCRATCH_SIZE:
            scratch[length] = <char>byte
        return length + 1

    inline void unescape(Cursor *c, const char *p, const char *end, Text *text) noexcept:
        """[p, end), a checked string, into the scratch."""
        cdef uint32_t code = 0
        cdef uint32_t length = 0
        while p < end:
            if p[0] != b"\\":
                length = put(c.scratch, length, <uint8_t>p[0])
                p += 1
                continue
            p = read_escape(p, end, &code)
            if code < 0x80:
                length = put(c.scratch, length, <uint8_t>code)
            elif code < 0x800:
                length = put(c.scratch, length, <uint8_t>(0xC0 | code >> 6))
                length = put(c.scratch, length, <uint8_t>(0x80 | code & 63))
            elif code < 0x10000:
                length = put(c.scratch, length, <uint8_t>(0xE0 | code >> 12))
                length = put(c.scratch, length, <uint8_t>(0x80 | code >> 6 & 63))
                length = put(c.scratch, length, <uint8_t>(0x80 | code & 63))
            else:
                length = put(c.scratch, length, <uint8_t>(0xF0 | code >> 18))
                length = put(c.scratch, length, <uint8_t>(0x80 | code >> 12 & 63))
                length = put(c.scratch, length, <uint8_t>(0x80 | code >> 6 & 63))
                length = put(c.scratch, length, <uint8_t>(0x80 | code & 63))
        text.data = c.scratch
        text.length = length

    inline bint read_text(Cursor *c, Text *text) noexcept:
        """A string."""
        cdef const char *begin
        cdef bint escaped
        if peek(c) != b'"':
            return wrong_type(c)
        begin = c.at + 1
        if not scan_string(c, &escaped):
            return False
        text.data = begin
        text.length = <uint32_t>(c.at - 1 - begin)
        if escaped:
            unescape(c, begin, c.at - 1, text)
        return True

    # Containers ------------------------------------------------------------------------------------------------------

    inline bint enter_object(Cursor *c) noexcept:
        if peek(c) != b"{":
            return wrong_type(c)
        c.at += 1
        c.first = True
        return True

    inline bint enter_array(Cursor *c) noexcept:
        if peek(c) != b"[":
            return wrong_type(c)
        c.at += 1
        c.first = True
        return True

    inline bint next_item(Cursor *c, char closing) noexcept:
        """To the next item of what was entered last; False also at its end, with the closing character passed."""
        cdef char found = peek(c)
        if found == closing:
            c.at += 1
            c.first = False
            return False
        if c.first:
            c.first = False
            return True
        if found != b",":
            return fail(c, BAD_JSON)
        c.at += 1
        return True

    inline bint next_element(Cursor *c) noexcept:
        """To the next element of an array."""
        return next_item(c, b"]")

    inline bint next_key(Cursor *c, Text *key) noexcept:
        """The next key of an object; its value comes next. False at the end, and if something is wrong."""
        if not next_item(c, b"}"):
            return False
        if peek(c) != b'"':
            return fail(c, BAD_JSON)
        if not read_text(c, key):
            return False
        return take(c, b":")

    inline bint finish(Cursor *c) noexcept:
        """Nothing but spaces may follow."""
        skip_spaces(c)
        if c.at != c.end:
            return fail(c, BAD_JSON)
        return c.status == GOOD

    # Scalars ---------------------------------------------------------------------------------------------------------

    inline bint literal(Cursor *c, const char *word) noexcept:
        """Pass over true, false or null."""
        cdef size_t length = strlen(word)
        if <size_t>(c.end - c.at) < length or memcmp(c.at, word, length) != 0:
            return fail(c, BAD_JSON)
        c.at += length
        return True

    inline bint read_bool(Cursor *c, bint *out) noexcept:
        cdef char found = peek(c)
        if found != b"t" and found != b"f":
            return wrong_type(c)
        out[0] = found == b"t"
        return literal(c, "true") if found == b"t" else literal(c, "false")

    inline bint read_null(Cursor *c) noexcept:
        return literal(c, "null") if peek(c) == b"n" else wrong_type(c)

    inline bint read_number(Cursor *c, uint8_t decimals, int64_t *out) noexcept:
        """A bare number at a scale."""
        cdef const char *after
        cdef int status
        if peek(c) != b"-" and not fixed.is_digit(peek(c)):
            return wrong_type(c)
        status = fixed.parse(c.at, c.end, decimals, out, &after)
        if status == fixed.BAD_NUMBER:
            c.at = after
            return fail(c, BAD_JSON)
        if status != fixed.EXACT:
            return fail(c, status)
        c.at = after
        return True

    inline bint read_decimal(Cursor *c, uint8_t decimals, int64_t *out) noexcept:
        """A number at a scale, in quotes or bare."""
        cdef const char *after
        cdef int status
        if peek(c) != b'"':
            return read_number(c, decimals, out)
        status = fixed.parse(c.at + 1, c.end, decimals, out, &after)
        if after >= c.end:
            c.at = c.end
            return fail(c, BAD_JSON)
        if after[0] != b'"' or status == fixed.BAD_NUMBER:
            c.at = after
            return fail(c, fixed.BAD_NUMBER)
        if status != fixed.EXACT:
            return fail(c, status)
        c.at = after + 1
        return True

    inline bint read_int64(Cursor *c, int64_t *out) noexcept:
        """A bare integer. The usual id or time of 9 to 16 digits takes two words."""
        cdef uint64_t word, value
        cdef uint32_t count
        if c.end - c.at > 24 and fixed.is_digit(c.at[0]) and c.at[0] != b"0":
            word = fixed.load_word(c.at)
            count = fixed.digit_run(word)
            value = fixed.digits_value(word, count)
            if count == 8:
                word = fixed.load_word(c.at + 8)
                count = fixed.digit_run(word)
                if count:
                    value = value * fixed.POWERS[count] + fixed.digits_value(word, count)
                count += 8
            if count < 16 and (c.at[count] == b"," or c.at[count] == b"}"):
                out[0] = <int64_t>value
                c.at += count
                return True
        return read_number(c, 0, out)

    inline bint read_uint32(Cursor *c, uint32_t *out) noexcept:
        """A bare integer from 0 to 2**32 - 1."""
        cdef int64_t value = 0
        if not read_int64(c, &value):
            return False
        if not 0 <= value <= UINT32_MAX:
            return fail(c, fixed.NUMBER_RANGE)
        out[0] = <uint32_t>value
        return True

    # Passing over ----------------------------------------------------------------------------------------------------

    inline bint skip_scalar(Cursor *c) noexcept:
        """Pass over anything but an object or array."""
        cdef char found = peek(c)
        cdef const char *after
        cdef int64_t ignored
        cdef bint escaped
        if found == b'"':
            return scan_string(c, &escaped)
        if found == b"t":
            return literal(c, "true")
        if found == b"f":
            return literal(c, "false")
        if found == b"n":
            return literal(c, "null")
        if found != b"-" and not fixed.is_digit(found):
            return fail(c, BAD_JSON)
        if fixed.parse(c.at, c.end, 0, &ignored, &after) == fixed.BAD_NUMBER:
            c.at = after
            return fail(c, BAD_JSON)
        c.at = after
        return True

    inline bint skip_value(Cursor *c) noexcept:
        """Pass over one value, checking all of it."""
        cdef uint64_t objects = 0                       # one bit per open container: 1 = object
        cdef uint32_t depth = 0
        cdef Text key
        cdef char found
        cdef bint more
        while True:
            found = peek(c)
            if found == b"{" or found == b"[":
                if depth == MAXIMUM_DEPTH:
                    return fail(c, BAD_JSON)
                objects = objects << 1 | (found == b"{")
                depth += 1
                c.at += 1
                c.first = True
            elif not skip_scalar(c):
                return False
            while depth:
                more = next_key(c, &key) if objects & 1 else next_element(c)
                if more:
                    break
                if c.status != GOOD:
                    return False
                objects >>= 1
                depth -= 1
            if depth == 0:
                return True
