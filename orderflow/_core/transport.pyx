"""Borrowing: from a connected Python socket to a Transport, and back."""
import errno as errno_names
import os
import socket as socket_module
import ssl as ssl_module

from cpython.buffer cimport PyBUF_READ, PyBUF_WRITE
from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.errno cimport EBADF
from libc.stdint cimport uintptr_t
from libc.stdlib cimport free, malloc

from orderflow._core.openssl import BorrowError


cdef class BorrowedTransport:
    """A connected socket, borrowed.

    Lifetime: from the constructor to `release()` the socket belongs to whoever drives this object, one thread at a
    time. Nobody else may read, write, unwrap or close it. The thread's last act is its RELEASED event; only then does
    Python call `release()`, which hands the socket back, and close it. The object must outlive the thread's use of its
    struct.

    Parameters
    ----------
    socket : socket.socket or ssl.SSLSocket
        Connected, handshake done. Becomes non-blocking.
    glued : bytes
        What was read past the upgrade answer: handed out before anything else.
    native : bool
        False asks for the fallback (tests, comparison).
    output_capacity : int
        Most bytes kept when the kernel takes no more; a larger write is refused with FULL.
    """

    def __cinit__(self, socket, bytes glued=b"", *, bint native=True, size_t output_capacity=1 << 18):
        cdef Transport *transport = &self.transport
        if not isinstance(socket, socket_module.socket):
            raise TypeError(f"socket: expected socket.socket or ssl.SSLSocket, got {type(socket).__name__}")
        if socket.fileno() < 0:
            raise ValueError("socket: it is closed")
        socket.setblocking(False)
        self.socket = socket
        self.glued = glued
        transport.fd = socket.fileno()
        transport.owner = <void *>self
        transport.glued = <const char *>glued
        transport.glued_size = len(glued)
        transport.output = <char *>malloc(output_capacity)
        transport.output_capacity = output_capacity
        if transport.output is NULL:
            raise MemoryError()
        if not native:
            self.fall_back("asked for")
        elif isinstance(socket, ssl_module.SSLSocket):
            try:
                transport.ssl = tls.borrow(socket)
                transport.openssl = tls.library()
                transport.kind = TransportKind.TLS
            except (BorrowError, AttributeError) as error:
                self.fall_back(str(error))
        else:
            transport.kind = TransportKind.PLAIN

    def __dealloc__(self):
        free(self.transport.output)

    def fall_back(self, str reason):
        """Read and write through the Python socket from here on; `fallback_reason` says why."""
        self.transport.kind = TransportKind.FALLBACK
        self.fallback_reason = reason

    def release(self):
        """Give the socket back, still non-blocking. Call after the thread's RELEASED event; every later call fails."""
        socket, self.socket = self.socket, None
        self.transport.kind = TransportKind.RELEASED
        self.transport.ssl = NULL
        self.transport.fd = -1
        self.transport.glued_size = 0
        self.transport.error = EBADF
        self.transport.output_begin = self.transport.output_end = 0
        return socket

    def fileno(self):
        """The descriptor, for select and poll; -1 after release()."""
        return self.transport.fd

    # ------------------------------------------------------------------ one call each; none of them waits

    def read(self, size_t capacity=65536):
        """(TransportStatus, bytes)."""
        cdef bytearray out = bytearray(max(capacity, <size_t>1))
        cdef char *target = PyByteArray_AS_STRING(out)
        cdef size_t got = 0
        cdef int status
        with nogil:
            status = read(&self.transport, target, capacity, &got)
        return TransportStatus(status), bytes(out[:got])

    def write(self, const unsigned char[::1] data not None):
        """TransportStatus; WANT_WRITE: taken, call flush() when the descriptor is writable."""
        cdef size_t size = data.shape[0]
        cdef const char *source = <const char *>&data[0] if size else NULL
        cdef int status
        with nogil:
            status = write(&self.transport, source, size)
        return TransportStatus(status)

    def flush(self):
        """TransportStatus; OK: nothing is left to write."""
        cdef int status
        with nogil:
            status = flush(&self.transport)
        return TransportStatus(status)

    def end_output(self):
        """Send close_notify (TLS) or FIN."""
        cdef int status
        with nogil:
            status = end_output(&self.transport)
        return TransportStatus(status)

    # ------------------------------------------------------------------ whole transfers; they wait without the GIL

    def receive(self, size_t size, int timeout_ms=10_000):
        """Exactly `size` bytes; fewer when the stream ends. TimeoutError if nothing comes for `timeout_ms`."""
        cdef bytearray out = bytearray(size)
        cdef char *target = PyByteArray_AS_STRING(out)
        cdef size_t done = 0
        cdef size_t got = 0
        cdef int status = TransportStatus.OK
        with nogil:
            while done < size:
                status = read(&self.transport, target + done, size - done, &got)
                if status == TransportStatus.OK:
                    done += got
                elif status == TransportStatus.CLOSED or status == TransportStatus.FAILED:
                    break
                elif wait(&self.transport, status, timeout_ms) <= 0:
                    break
        if status == TransportStatus.FAILED:
            raise ConnectionError(self.error)
        if status != TransportStatus.CLOSED and done < size:
            raise TimeoutError(f"{done} of {size} bytes, then nothing for {timeout_ms} ms")
        return bytes(out[:done])

    def send_all(self, const unsigned char[::1] data not None, int timeout_ms=10_000):
        """Write everything, in pieces that fit the output buffer. TimeoutError if the peer takes nothing."""
        cdef size_t size = data.shape[0]
        cdef const char *source = <const char *>&data[0] if size else NULL
        cdef size_t at = 0
        cdef size_t piece
        cdef int status = TransportStatus.OK
        with nogil:
            while at < size and status == TransportStatus.OK:
                piece = min(size - at, self.transport.output_capacity)
                status = write(&self.transport, source + at, piece)
                at += piece
                while status == TransportStatus.WANT_READ or status == TransportStatus.WANT_WRITE:
                    if wait(&self.transport, status, timeout_ms) <= 0:
                        break
                    status = flush(&self.transport)
        if status == TransportStatus.FAILED or status == TransportStatus.CLOSED:
            raise ConnectionError(self.error)
        if status != TransportStatus.OK:
            raise TimeoutError(f"the peer took nothing for {timeout_ms} ms")

    # ------------------------------------------------------------------ what it is

    @property
    def address(self):
        """Of the Transport struct, for the native thread that will drive it."""
        return <uintptr_t>&self.transport

    @property
    def kind(self):
        return TransportKind(self.transport.kind)

    @property
    def pending(self):
        """Whether read() has something although the descriptor may be silent."""
        return bool(pending(&self.transport))

    @property
    def unsent(self):
        """Bytes taken and not yet written."""
        return unsent(&self.transport)

    @property
    def bytes_read(self):
        return self.transport.bytes_read

    @property
    def bytes_written(self):
        return self.transport.bytes_written

    @property
    def error(self):
        """Why the last status was FAILED, in words; "" without a failure."""
        cdef char text[256]
        if self.last_exception is not None:
            return f"{type(self.last_exception).__name__}: {self.last_exception}"
        if self.transport.tls_error:
            self.transport.openssl.error_text(self.transport.tls_error, text, sizeof(text))
            return (<bytes>text).decode("ascii", "replace")
        code = self.transport.error
        return f"{os.strerror(code)} ({errno_names.errorcode.get(code, code)})" if code else ""


# ---------------------------------------------------------------------- the fallback: one of two places with the GIL

cdef int python_status(BorrowedTransport owner, error) noexcept:
    """What an exception of a Python socket means."""
    if isinstance(error, (BlockingIOError, ssl_module.SSLWantReadError)):
        return TransportStatus.WANT_READ
    if isinstance(error, ssl_module.SSLWantWriteError):
        return TransportStatus.WANT_WRITE
    owner.last_exception = error
    if isinstance(error, OSError) and error.errno and not isinstance(error, ssl_module.SSLError):
        owner.transport.error = error.errno
    return TransportStatus.FAILED


cdef int read_fallback(Transport *transport, char *out, size_t capacity, size_t *got) noexcept nogil:
    with gil:
        owner = <BorrowedTransport>transport.owner
        try:
            got[0] = owner.socket.recv_into(PyMemoryView_FromMemory(out, <Py_ssize_t>capacity, PyBUF_WRITE))
        except BaseException as error:
            return python_status(owner, error)
        return TransportStatus.OK if got[0] else TransportStatus.CLOSED


cdef int write_fallback(Transport *transport, const char *data, size_t size, size_t *sent) noexcept nogil:
    cdef int status
    with gil:
        owner = <BorrowedTransport>transport.owner
        try:
            sent[0] = owner.socket.send(PyMemoryView_FromMemory(<char *>data, <Py_ssize_t>size, PyBUF_READ))
        except BaseException as error:
            status = python_status(owner, error)
            blocked = isinstance(error, BlockingIOError)
            return TransportStatus.WANT_WRITE if blocked else status
        return TransportStatus.OK
