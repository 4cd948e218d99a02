"""Reads and writes a borrowed descriptor or TLS connection without the GIL. Bytes only: frames are websocket.pxd.

A reader that needs the GIL per read waits for whoever computes in Python, milliseconds at a time; so the exchange
thread takes the descriptor of a plain socket, or the SSL * inside a connected ssl.SSLSocket, and owns it until it says
RELEASED. Where that cannot be proven safe the FALLBACK reads through the Python socket and takes the GIL for it.

Nothing here blocks. The thread that waits must first have read until WANT_READ: decrypted bytes may be waiting inside
OpenSSL while the descriptor is silent (see pending). TLS may want to write in order to read and the other way round:
wait for what the status says, not for what was asked.

Writing takes a whole frame or refuses it. What the kernel does not take at once is kept in a bounded buffer, and goes
out before anything else: OpenSSL demands that an unfinished write is repeated with the same bytes.
"""
from libc.errno cimport EAGAIN, EINTR, errno
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy, memmove

from orderflow._core cimport openssl as tls
from orderflow._core.openssl cimport OpenSSL


cdef extern from "<sys/socket.h>" nogil:
    enum:
        MSG_NOSIGNAL
        SHUT_WR
    ssize_t recv(int fd, void *out, size_t capacity, int flags)
    ssize_t send(int fd, const void *data, size_t size, int flags)
    int shutdown_socket "shutdown"(int fd, int how)

cdef extern from "<poll.h>" nogil:
    enum:
        POLLIN
        POLLOUT
    struct pollfd:
        int fd
        short events
        short revents
    int poll(pollfd *fds, unsigned long count, int timeout_ms)


cpdef enum TransportKind:
    PLAIN = 0
    TLS = 1
    FALLBACK = 2                # through the Python socket, with the GIL
    RELEASED = 3                # given back; every call is FAILED


cpdef enum TransportStatus:
    OK = 0
    WANT_READ = 1               # go on when the descriptor is readable
    WANT_WRITE = 2              # go on when it is writable; of write(): taken, flush() then
    CLOSED = 3                  # the peer ended the stream in order
    FAILED = 4                  # `error` and `tls_error` say why; nothing works any more
    FULL = 5                    # of write(): not taken, too much is waiting already


cdef struct Transport:
    const OpenSSL *openssl
    void *ssl
    void *owner                 # the BorrowedTransport, which outlives the thread's use; FALLBACK calls it
    const char *glued           # bytes that came with the upgrade answer, read before anything else
    size_t glued_size
    char *output                # what was taken and not yet written
    size_t output_begin
    size_t output_end
    size_t output_capacity
    uint64_t bytes_read
    uint64_t bytes_written
    unsigned long tls_error     # OpenSSL's code
    int error                   # errno
    int fd
    uint8_t kind                # TransportKind
    uint8_t drained             # the last read ended in WANT_READ


cdef int read_fallback(Transport *transport, char *out, size_t capacity, size_t *got) noexcept nogil
cdef int write_fallback(Transport *transport, const char *data, size_t size, size_t *sent) noexcept nogil


cdef nogil:
    # ------------------------------------------------------------------ errors

    inline int fail(Transport *transport, int error) noexcept:
        transport.error = error
        return TransportStatus.FAILED

    inline int tls_status(Transport *transport) noexcept:
        """What a call of OpenSSL that returned 0 wants; errno is still that call's."""
        cdef int error = errno
        cdef int reason = transport.openssl.get_error(transport.ssl, 0)
        if reason == tls.SSL_ERROR_WANT_READ:
            return TransportStatus.WANT_READ
        if reason == tls.SSL_ERROR_WANT_WRITE:
            return TransportStatus.WANT_WRITE
        if reason == tls.SSL_ERROR_ZERO_RETURN:
            return TransportStatus.CLOSED
        transport.tls_error = transport.openssl.last_error()
        return fail(transport, error if reason == tls.SSL_ERROR_SYSCALL else 0)

    # ------------------------------------------------------------------ in

    inline int read_plain(Transport *transport, char *out, size_t capacity, size_t *got) noexcept:
        cdef ssize_t n
        while True:
            n = recv(transport.fd, out, capacity, 0)
            if n > 0:
                got[0] = n
                return TransportStatus.OK
            if n == 0:
                return TransportStatus.CLOSED
            if errno == EAGAIN:
                return TransportStatus.WANT_READ
            if errno != EINTR:
                return fail(transport, errno)

    inline int read_tls(Transport *transport, char *out, size_t capacity, size_t *got) noexcept:
        transport.openssl.clear_error()     # the queue is the thread's: an old entry would be taken for ours
        if transport.openssl.read(transport.ssl, out, capacity, got) == 1:
            return TransportStatus.OK
        return tls_status(transport)

    inline size_t take_glued(Transport *transport, char *out, size_t capacity) noexcept:
        cdef size_t n = transport.glued_size if transport.glued_size < capacity else capacity
        memcpy(out, transport.glued, n)
        transport.glued += n
        transport.glued_size -= n
        return n

    inline int read(Transport *transport, char *out, size_t capacity, size_t *got) noexcept:
        """Up to `capacity` (at least 1) bytes; `got` is set with OK only."""
        cdef int status
        if transport.glued_size:
            got[0] = take_glued(transport, out, capacity)
            return TransportStatus.OK
        if transport.kind == TransportKind.TLS:
            status = read_tls(transport, out, capacity, got)
        elif transport.kind == TransportKind.PLAIN:
            status = read_plain(transport, out, capacity, got)
        elif transport.kind == TransportKind.FALLBACK:
            status = read_fallback(transport, out, capacity, got)
        else:
            status = TransportStatus.FAILED
        transport.drained = status == TransportStatus.WANT_READ
        if status == TransportStatus.OK:
            transport.bytes_read += got[0]
        return status

    inline bint pending(const Transport *transport) noexcept:
        """Whether read() may have something although the descriptor is silent. Look before going to sleep.

        TLS keeps bytes in three places (decrypted, in its record buffer, in its read buffer), some of which may be half
        a record. All of them are used up exactly when a read has ended in WANT_READ, so that is what is asked.
        """
        if transport.kind == TransportKind.PLAIN or transport.kind == TransportKind.RELEASED:
            return transport.glued_size > 0
        return transport.glued_size > 0 or not transport.drained

    # ------------------------------------------------------------------ out

    inline int write_plain(Transport *transport, const char *data, size_t size, size_t *sent) noexcept:
        cdef ssize_t n
        while True:
            n = send(transport.fd, data, size, MSG_NOSIGNAL)
            if n >= 0:
                sent[0] = n
                return TransportStatus.OK
            if errno == EAGAIN:
                return TransportStatus.WANT_WRITE
            if errno != EINTR:
                return fail(transport, errno)

    inline int write_tls(Transport *transport, const char *data, size_t size, size_t *sent) noexcept:
        """SIGPIPE: the interpreter ignores it, so a broken pipe is an error here too."""
        transport.openssl.clear_error()
        if transport.openssl.write(transport.ssl, data, size, sent) == 1:
            return TransportStatus.OK
        return tls_status(transport)

    inline int write_some(Transport *transport, const char *data, size_t size, size_t *done) noexcept:
        """Write until all is gone or the kernel takes no more; `done` counts in every case."""
        cdef size_t sent
        cdef int status = TransportStatus.OK
        done[0] = 0
        while done[0] < size and status == TransportStatus.OK:
            sent = 0
            if transport.kind == TransportKind.TLS:
                status = write_tls(transport, data + done[0], size - done[0], &sent)
            elif transport.kind == TransportKind.PLAIN:
                status = write_plain(transport, data + done[0], size - done[0], &sent)
            elif transport.kind == TransportKind.FALLBACK:
                status = write_fallback(transport, data + done[0], size - done[0], &sent)
            else:
                status = TransportStatus.FAILED
            done[0] += sent
        transport.bytes_written += done[0]
        return status

    inline size_t unsent(const Transport *transport) noexcept:
        return transport.output_end - transport.output_begin

    inline int flush(Transport *transport) noexcept:
        """Write what was kept. OK: nothing is left."""
        cdef size_t done
        cdef int status
        if transport.output_begin == transport.output_end:
            return TransportStatus.OK
        status = write_some(transport, transport.output + transport.output_begin, unsent(transport), &done)
        transport.output_begin += done
        if transport.output_begin == transport.output_end:
            transport.output_begin = transport.output_end = 0
        return status

    inline int write(Transport *transport, const char *data, size_t size) noexcept:
        """All of `data` or, with FULL, nothing of it. OK: the kernel has it. WANT_*: kept; flush() when the descriptor
        is ready. CLOSED and FAILED: how much went out is not known."""
        cdef size_t done = 0
        cdef int status
        if size > transport.output_capacity - unsent(transport):
            return TransportStatus.FULL
        status = flush(transport)
        if status == TransportStatus.OK:
            status = write_some(transport, data, size, &done)
        if status != TransportStatus.WANT_READ and status != TransportStatus.WANT_WRITE:
            return status
        if transport.output_capacity - transport.output_end < size - done:
            memmove(transport.output, transport.output + transport.output_begin, unsent(transport))
            transport.output_end -= transport.output_begin
            transport.output_begin = 0
        memcpy(transport.output + transport.output_end, data + done, size - done)
        transport.output_end += size - done
        return status

    inline int end_output(Transport *transport) noexcept:
        """Tell the peer that nothing more comes: close_notify, or FIN. Reading goes on. One attempt, best effort."""
        if transport.kind == TransportKind.TLS:
            transport.openssl.clear_error()
            if transport.openssl.shutdown(transport.ssl) >= 0:
                return TransportStatus.OK
            return tls_status(transport)
        if transport.kind == TransportKind.PLAIN or transport.kind == TransportKind.FALLBACK:
            return TransportStatus.OK if shutdown_socket(transport.fd, SHUT_WR) == 0 else fail(transport, errno)
        return TransportStatus.FAILED

    # ------------------------------------------------------------------ waiting, for set-up code and tests

    inline int wait(const Transport *transport, int status, int timeout_ms) noexcept:
        """Sleep until the descriptor is ready for what `status` wants; 0 = time is up. Loops wait on many at once."""
        cdef pollfd one
        one.fd = transport.fd
        one.events = POLLOUT if status == TransportStatus.WANT_WRITE else POLLIN
        one.revents = 0
        if status == TransportStatus.WANT_READ and pending(transport):
            return 1
        while True:
            status = poll(&one, 1, timeout_ms)
            if status >= 0 or errno != EINTR:
                return status


cdef class BorrowedTransport:
    """Holds the Python socket while a native thread reads and writes its connection."""
    cdef Transport transport
    cdef object socket
    cdef object last_exception
    cdef bytes glued
    cdef readonly str fallback_reason
