"""Python's face of wire.hpp: the exchange and the limit client of the loopback latency test, without the GIL."""
from libc.stdint cimport int64_t, uint8_t, uint64_t

import numpy as np

cdef extern from "wire.hpp" namespace "wire" nogil:
    size_t put_header(uint8_t *out, uint64_t size)
    int64_t c_serve "wire::serve"(int market, int orders, const char *data, const uint64_t *begins,
                                  const uint64_t *sizes, int64_t count, int64_t pause_ns, int64_t *latency_ns,
                                  char *ids)
    int64_t c_answer_blindly "wire::answer_blindly"(int market, int orders, const char *order, size_t order_size,
                                                    int64_t count)


def frame(bytes text):
    """An unmasked text frame, header and all, as servers send it."""
    cdef uint8_t[10] header
    cdef size_t size = put_header(header, len(text))
    return (<const char *>header)[:size] + text


def serve(int market, int orders, list frames, int64_t pause_ns):
    """Send each frame, wait for an order, fill it. Returns (nanoseconds of each, -1 where no order came; the client
    order ids in order of arrival, as bytes)."""
    sizes = np.array([len(each) for each in frames], np.uint64)
    begins = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.uint64)
    cdef bytes data = b"".join(frames)
    latency, ids = np.zeros(len(frames), np.int64), np.zeros((len(frames), 16), np.uint8)
    cdef uint64_t[::1] begin_view = begins
    cdef uint64_t[::1] size_view = sizes
    cdef int64_t[::1] latency_view = latency
    cdef uint8_t[:, ::1] id_view = ids
    cdef const char *start = data
    cdef int64_t count = len(frames)
    cdef int64_t done
    with nogil:
        done = c_serve(market, orders, start, &begin_view[0], &size_view[0], count, pause_ns, &latency_view[0],
                       <char *>&id_view[0, 0])
    if done < 0:
        raise ConnectionError("the client closed a connection, or sent two orders for one frame")
    return latency, [bytes(row).rstrip(b"\0") for row in ids[:done]]


def answer_blindly(int market, int orders, bytes order, int64_t count):
    """The limit client; `order` is a whole masked frame. Returns how many frames it answered."""
    cdef const char *data = order
    cdef size_t size = len(order)
    cdef int64_t done
    with nogil:
        done = c_answer_blindly(market, orders, data, size, count)
    return done
