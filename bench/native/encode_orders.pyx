"""Orders through an order codec, timed inside native code: one virtual call per order, as the exchange loop makes it.

Times are CPU time of the thread: what others do on the machine counts as little as it can.
"""
from libc.stdint cimport int64_t, uint64_t
from posix.time cimport CLOCK_THREAD_CPUTIME_ID, clock_gettime, timespec

from orderflow._core.codec cimport ORDER_FRAME_LIMIT, OrderCodec
from orderflow._core.types cimport ChildOrder


cdef int64_t now() noexcept nogil:
    cdef timespec t
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t)
    return <int64_t>t.tv_sec * 1_000_000_000 + t.tv_nsec


def time_new_orders(OrderCodec codec, records, int64_t unix_ns):
    """(nanoseconds, bytes written) of encoding each of `records`, an array of CHILD_ORDER_DTYPE, once."""
    cdef bytes raw = records.tobytes()
    cdef const ChildOrder *orders = <const ChildOrder *><const char *>raw
    cdef char[ORDER_FRAME_LIMIT] frame
    cdef uint64_t count = len(records)
    cdef uint64_t written = 0
    cdef int size = 0
    cdef uint64_t i
    cdef int64_t begin, end
    with nogil:
        begin = now()
        for i in range(count):
            size = codec.encode_new(&orders[i], unix_ns, frame, ORDER_FRAME_LIMIT)
            if size < 0:
                break
            written += <uint64_t>size
        end = now()
    if size < 0:
        raise ValueError("an order was refused")
    return end - begin, written
