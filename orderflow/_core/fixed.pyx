"""Python face of fixed.pxd: decimal text <-> scaled integers for tests, tools and set-up code."""


def parse_text(bytes text, uint8_t decimals):
    """Parse the JSON number at the start of `text`.

    Returns
    -------
    (status, value, consumed) : status 0 = exact, else the DecodeStatus; value 0 unless exact; bytes read.
    """
    cdef const char *begin = text
    cdef const char *after = begin
    cdef int64_t value = 0
    cdef int status = parse(begin, begin + len(text), decimals, &value, &after)
    return status, value if status == EXACT else 0, after - begin


def write_text(int64_t value, uint8_t decimals, bint trimmed=False):
    """Text of `value` / 10**decimals, with all decimals or without zeros at the end."""
    cdef char[TEXT_SIZE] text
    cdef uint32_t length = write_trimmed(value, decimals, text) if trimmed else write(value, decimals, text)
    return text[:length].decode("ascii")


def write_text_loosely(int64_t value, uint8_t decimals):
    """The same without zeros at the end, as checksums have it: not negative."""
    cdef char[TEXT_SIZE] text
    return text[:write_trimmed_loosely(value, decimals, text)].decode("ascii")
