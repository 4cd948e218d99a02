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


def rescale_value(int64_t value, uint8_t from_decimals, uint8_t to_decimals):
    """(status, value at `to_decimals`)."""
    cdef int64_t result = 0
    cdef int status = rescale(value, from_decimals, to_decimals, &result)
    return status, result


def product(int64_t a, int64_t b):
    """a * b through the 128-bit product, as (high, low) with low unsigned."""
    cdef int128 result = multiply(a, b)
    if compare(join(high(result), low(result)), result) != 0:
        raise ArithmeticError(f"{a} * {b} did not survive its halves")
    return high(result), <uint64_t>low(result)


def compare_product_values(int64_t a, int64_t b, int64_t c, int64_t d):
    """-1, 0 or 1 as a * b is below, at or above c * d."""
    return compare_products(a, b, c, d)


def compare_scaled_values(int64_t a, uint8_t a_decimals, int64_t b, uint8_t b_decimals):
    """-1, 0 or 1 as a / 10**a_decimals is below, at or above b / 10**b_decimals."""
    return compare_scaled(a, a_decimals, b, b_decimals)
