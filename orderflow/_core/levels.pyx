"""Python face of levels.pxd, for its tests: one array of levels through a chosen reader."""
from libc.stdlib cimport calloc, free


def read_levels(bytes text, uint8_t price_decimals, uint8_t quantity_decimals, str reader="best", bint objects=False,
                uint32_t capacity=4096, bytes padding=bytes(64)):
    """Read the array of levels that `text` is.

    Parameters
    ----------
    reader : "best" (what this machine uses), "words" (any machine) or "scanner" (no fast reader at all)
    objects : levels are {"price":..., "qty":...} instead of ["price","quantity"]

    Returns
    -------
    (status, levels, offset) : DecodeStatus, list of (price, quantity), where the cursor stands.
    """
    cdef bytes padded = text + padding
    cdef json.Cursor cursor
    cdef Target target
    cdef Reader chosen = NULL
    cdef const char *data = padded
    if len(padding) < 64:
        raise ValueError(f"padding: {len(padding)} bytes given, 64 may be read")
    if reader == "best":
        chosen = read_objects if objects else read_pairs
    elif reader == "words":
        chosen = read_objects if objects else pairs_words
    elif reader != "scanner":
        raise ValueError(f"reader={reader!r}: expected 'best', 'words' or 'scanner'")
    json.open(&cursor, data, len(text))
    target.levels = <Level *>calloc(capacity, sizeof(Level))
    if target.levels is NULL:
        raise MemoryError()
    target.count = 0
    target.capacity = capacity
    target.price_decimals = price_decimals
    target.quantity_decimals = quantity_decimals
    target.digits = Digits(0, 0)
    try:
        with nogil:
            read(&cursor, &target, chosen, objects)
            json.finish(&cursor)
        found = [(target.levels[i].price, target.levels[i].quantity) for i in range(target.count)]
        return cursor.status, found, json.offset(&cursor)
    finally:
        free(target.levels)
