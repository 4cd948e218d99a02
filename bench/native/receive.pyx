"""The exchange thread's receive path alone: read a block, cut its frames, look at each; no GIL, no decoding."""
from libc.stdint cimport int64_t
from posix.time cimport CLOCK_MONOTONIC, CLOCK_THREAD_CPUTIME_ID, clock_gettime, timespec

from orderflow._core cimport transport, websocket
from orderflow._core.transport cimport BorrowedTransport, Transport, TransportStatus
from orderflow._core.websocket cimport Frame, FrameReader, FrameStatus, Reader


cdef nogil:
    inline int64_t clock_ns(int which) noexcept:
        cdef timespec now
        clock_gettime(which, &now)
        return now.tv_sec * 1_000_000_000 + now.tv_nsec

    inline int64_t stamp_of(const Frame *frame) noexcept:
        """The decimal number that a frame begins with."""
        cdef int64_t value = 0
        cdef size_t i = 0
        while i < frame.size and c'0' <= frame.data[i] <= c'9':
            value = 10 * value + (frame.data[i] - c'0')
            i += 1
        return value

    int receive(Transport *connection, Reader *reader, int64_t count, int64_t *latency_ns, int64_t *total) noexcept:
        """Take `count` frames, asleep when there is nothing. `latency_ns` (or NULL): arrival less the frame's stamp."""
        cdef char *room
        cdef size_t size, got
        cdef Frame frame
        cdef int status
        cdef int64_t taken = 0
        cdef int64_t now_ns
        while taken < count:
            size = websocket.make_room(reader, &room)
            status = transport.read(connection, room, size, &got)
            if status == TransportStatus.WANT_READ or status == TransportStatus.WANT_WRITE:
                if transport.wait(connection, status, 10_000) <= 0:
                    return TransportStatus.WANT_READ
                continue
            if status != TransportStatus.OK:
                return status
            now_ns = clock_ns(CLOCK_MONOTONIC)
            websocket.filled(reader, got)
            while True:
                status = websocket.next_frame(reader, &frame)
                if status == FrameStatus.NEED_MORE:
                    break
                if status != FrameStatus.FRAME:
                    return TransportStatus.FAILED
                if latency_ns is not NULL:
                    latency_ns[taken] = now_ns - stamp_of(&frame)
                total[0] += frame.size
                taken += 1
        return TransportStatus.OK


def receive_frames(BorrowedTransport borrowed, FrameReader frames, int64_t count, int64_t[::1] latency_ns=None):
    """Receive `count` frames; returns (payload bytes, CPU ns of this thread)."""
    cdef int64_t total = 0
    cdef int64_t *latencies = NULL
    cdef int64_t begin
    cdef int status
    if latency_ns is not None:
        if latency_ns.shape[0] < count:
            raise ValueError(f"latency_ns: room for {count} is needed")
        latencies = &latency_ns[0]
    with nogil:
        begin = clock_ns(CLOCK_THREAD_CPUTIME_ID)
        status = receive(&borrowed.transport, &frames.reader, count, latencies, &total)
        begin = clock_ns(CLOCK_THREAD_CPUTIME_ID) - begin
    if status != TransportStatus.OK:
        raise ConnectionError(f"status {status}: {borrowed.error}")
    return total, begin
