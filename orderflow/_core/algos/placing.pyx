"""Shows placing to Python."""
from libc.stdint cimport int64_t, uint32_t
from libc.stdlib cimport calloc, free


def placed(int64_t quantity, queues, bint crosses=True):
    """(at market, in each queue) of a quantity.

    Parameters
    ----------
    quantity : int
    queues : sequence of (ahead, mean, worth)
        Ahead of an order that comes now; mean of what leaves in time, None = nobody knows; natural logarithm of
        (P + S) / P in 2^-20.
    crosses : bool
        Whether anything may go to the market.

    Raises
    ------
    ValueError
        The quantity, or something ahead, is negative.
    """
    cdef uint32_t count = len(queues)
    cdef Queue *made = <Queue *>calloc(count + 1, sizeof(Queue))
    cdef int64_t market
    if made is NULL:
        raise MemoryError()
    try:
        for k, (ahead, mean, worth) in enumerate(queues):
            if quantity < 0 or ahead < 0:
                raise ValueError(f"quantity {quantity}, ahead {ahead}: expected 0 or more")
            made[<uint32_t>k].ahead, made[<uint32_t>k].worth = ahead, worth
            made[<uint32_t>k].mean = <int64_t>UNKNOWN if mean is None else <int64_t>mean
        with nogil:
            market = place(made, count, quantity, crosses)
        return market, [made[k].quantity for k in range(count)]
    finally:
        free(made)
