"""Find the interpreter's OpenSSL, and the `SSL *` inside a connected ssl.SSLSocket.

CPython has no public way to either. What is relied on, for CPython 3.11 to 3.14, is the beginning of two structs in
Modules/_ssl.c, each proven on the very object before it is used:

    PySSLSocket   = object header, PyObject *Socket, SSL *ssl, ...
    PySSLContext  = object header, SSL_CTX *ctx, ...

The words are read with process_vm_readv on ourselves, which fails where a dereference would crash. The candidate must
hold the context's pointer in its first 8 KiB; only then is it given to OpenSSL, which must name the same context and
the socket's own descriptor. Anything else is a BorrowError that says what did not fit, and the caller falls back.
"""
import _ssl
import ssl as ssl_module
import sys

from libc.stdint cimport uintptr_t
from libc.string cimport memset
from posix.unistd cimport getpid


cdef extern from "<dlfcn.h>" nogil:
    void *dlopen(const char *path, int flags)
    void *dlsym(void *library, const char *name)
    int RTLD_LAZY
    int RTLD_NOLOAD

cdef extern from "<sys/uio.h>" nogil:
    struct iovec:
        void *iov_base
        size_t iov_len
    ssize_t process_vm_readv(int pid, const iovec *local, unsigned long local_count, const iovec *remote,
                             unsigned long remote_count, unsigned long flags)

cdef enum:
    SSL_CTRL_MODE = 33
    SSL_CTRL_CLEAR_MODE = 78
    SSL_MODE_ENABLE_PARTIAL_WRITE = 1
    SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER = 2
    SSL_MODE_RELEASE_BUFFERS = 16
    BIO_C_SET_BUFF_SIZE = 117
    READ_BUFFER = 65536
    SEARCHED_WORDS = 1024       # of the SSL struct; in OpenSSL 3.0 the context's pointer lies about 2 KiB in

ctypedef void *(*NewFunction)() noexcept
ctypedef void *(*PushFunction)(void *first, void *second) noexcept
ctypedef int (*CountFunction)(void *bio) noexcept
ctypedef long (*SizeFunction)(void *bio, int command, long size, int which) noexcept
ctypedef void (*SetReaderFunction)(void *ssl, void *bio) noexcept

cdef OpenSSL found
cdef void *library_handle = NULL
cdef bint is_loaded = False


class BorrowError(RuntimeError):
    """The SSL * could not be borrowed with certainty; the message says why."""


cdef void *symbol(void *handle, bytes name) except NULL:
    cdef void *address = dlsym(handle, name)
    if address is NULL:
        raise BorrowError(f"the interpreter's OpenSSL does not show {name.decode()}")
    return address


def path():
    """File of the _ssl module, through which its OpenSSL is found; None where it is built into the interpreter."""
    return getattr(_ssl, "__file__", None)


cdef const OpenSSL *library() except NULL:
    """Resolved once, from the file of _ssl itself (or the interpreter where _ssl is built in), so that it is the copy
    that made the connection even when another OpenSSL is in the process."""
    global is_loaded, library_handle
    cdef void *handle
    cdef bytes file
    if is_loaded:
        return &found
    if path() is None:
        handle = dlopen(NULL, RTLD_LAZY)
    else:
        file = path().encode()
        handle = dlopen(file, RTLD_LAZY | RTLD_NOLOAD)
    if handle is NULL:
        raise BorrowError("the _ssl module's own file is not loaded under its name")
    version = (<LastErrorFunction>symbol(handle, b"OpenSSL_version_num"))()
    if version != ssl_module.OPENSSL_VERSION_NUMBER:
        raise BorrowError(f"found OpenSSL {version:#x}, but ssl uses {ssl_module.OPENSSL_VERSION_NUMBER:#x}")
    found.read = <ReadFunction>symbol(handle, b"SSL_read_ex")
    found.write = <WriteFunction>symbol(handle, b"SSL_write_ex")
    found.shutdown = <ShutdownFunction>symbol(handle, b"SSL_shutdown")
    found.get_error = <GetErrorFunction>symbol(handle, b"SSL_get_error")
    found.get_fd = <NumberFunction>symbol(handle, b"SSL_get_fd")
    found.get_context = <PointerFunction>symbol(handle, b"SSL_get_SSL_CTX")
    found.control = <ControlFunction>symbol(handle, b"SSL_ctrl")
    found.clear_error = <ClearErrorFunction>symbol(handle, b"ERR_clear_error")
    found.last_error = <LastErrorFunction>symbol(handle, b"ERR_peek_last_error")
    found.error_text = <ErrorTextFunction>symbol(handle, b"ERR_error_string_n")
    library_handle = handle
    is_loaded = True
    return &found


cdef size_t read_memory(uintptr_t address, void *out, size_t size) noexcept:
    """Copy our own memory; returns the bytes that could be read, 0 where nothing is mapped."""
    cdef iovec local
    cdef iovec remote
    local.iov_base = out
    local.iov_len = size
    remote.iov_base = <void *>address
    remote.iov_len = size
    cdef ssize_t got = process_vm_readv(getpid(), &local, 1, &remote, 1, 0)
    return got if got > 0 else 0


cdef uintptr_t read_word(uintptr_t address, what) except 0:
    cdef uintptr_t word = 0
    if read_memory(address, &word, sizeof(word)) != sizeof(word) or word == 0 or word % sizeof(word):
        raise BorrowError(f"no pointer where the {what} should be (or process_vm_readv is not permitted)")
    return word


cdef bint holds(uintptr_t address, uintptr_t pointer) noexcept:
    """Whether `pointer` is among the first words at `address`; read page by page, as the next one may not be mapped."""
    cdef uintptr_t words[SEARCHED_WORDS]
    cdef size_t size = 0
    cdef size_t got = 0
    cdef size_t step
    cdef size_t i
    memset(words, 0, sizeof(words))
    while size < sizeof(words):
        step = min(sizeof(words) - size, 4096 - (address + size) % 4096)
        got = read_memory(address + size, <char *>words + size, step)
        size += got
        if got != step:
            break
    for i in range(size // sizeof(uintptr_t)):
        if words[i] == pointer:
            return True
    return False


def words_of(socket):
    """(context pointer, SSL pointer) as they stand in the objects of a connected ssl.SSLSocket, not yet proven."""
    inner = socket._sslobj
    if type(inner) is not _ssl._SSLSocket or not isinstance(inner.context, _ssl._SSLContext):
        raise BorrowError(f"expected the _ssl module's own socket, found {type(inner).__name__}")
    cdef size_t header = object.__basicsize__
    return (read_word(<uintptr_t><void *>inner.context + header, "SSL_CTX"),
            read_word(<uintptr_t><void *>inner + header + sizeof(void *), "SSL"))


cdef int buffer_reads(void *ssl) except -1:
    """Put a buffer between the connection and its socket, for reading: a filter BIO, as OpenSSL itself offers.

    Without it OpenSSL asks the kernel twice for each record, header and body. Its own read-ahead moves all that waits
    to the front of its buffer at each record: measured, a third slower when records are small.
    """
    cdef void *socket_bio = (<PointerFunction>symbol(library_handle, b"SSL_get_wbio"))(ssl)
    if (<PointerFunction>symbol(library_handle, b"SSL_get_rbio"))(ssl) != socket_bio:
        return 0            # borrowed before: it has its buffer
    cdef const void *kind = (<NewFunction>symbol(library_handle, b"BIO_f_buffer"))()
    cdef PushFunction push = <PushFunction>symbol(library_handle, b"BIO_push")
    cdef SetReaderFunction set_reader = <SetReaderFunction>symbol(library_handle, b"SSL_set0_rbio")
    cdef void *buffer = (<PointerFunction>symbol(library_handle, b"BIO_new"))(kind)
    if buffer is NULL or socket_bio is NULL:
        raise BorrowError("OpenSSL gave no buffer")
    if (<SizeFunction>symbol(library_handle, b"BIO_int_ctrl"))(buffer, BIO_C_SET_BUFF_SIZE, READ_BUFFER, 0) != 1:
        raise BorrowError("OpenSSL gave no buffer of that size")
    (<CountFunction>symbol(library_handle, b"BIO_up_ref"))(socket_bio)     # it stays the connection's writer
    set_reader(ssl, push(buffer, socket_bio))
    return 0


cdef void *borrow(object socket) except NULL:
    """The SSL * of a connected ssl.SSLSocket, proven; set up for non-blocking writes. Raises BorrowError."""
    if sys.implementation.name != "cpython" or not (3, 11) <= sys.version_info[:2] <= (3, 14):
        raise BorrowError(f"the layout is known for CPython 3.11 to 3.14, this is {sys.version.split()[0]}")
    cdef const OpenSSL *openssl = library()
    context_word, ssl_word = words_of(socket)
    cdef void *context = <void *><uintptr_t>context_word
    cdef void *ssl = <void *><uintptr_t>ssl_word
    if not holds(<uintptr_t>ssl, <uintptr_t>context):
        raise BorrowError("the SSL object does not hold its context's pointer: the layout is another one")
    if openssl.get_context(ssl) != context:
        raise BorrowError("SSL_get_SSL_CTX names another context: the layout is another one")
    if openssl.get_fd(ssl) != socket.fileno():
        raise BorrowError("SSL_get_fd names another descriptor: the layout is another one")
    # A write that was cut short may be repeated from another address, and takes what fits; buffers are kept.
    openssl.control(ssl, SSL_CTRL_MODE, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER, NULL)
    openssl.control(ssl, SSL_CTRL_CLEAR_MODE, SSL_MODE_RELEASE_BUFFERS, NULL)
    buffer_reads(ssl)
    return ssl
