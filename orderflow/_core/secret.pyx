"""Keys, secrets, passphrases, tokens: text that must reach an exchange and nobody else.

A str cannot be overwritten: it lies about in freed memory, in core dumps, and in every repr, log line and traceback
that comes across it. A Secret holds one copy in pages of its own, locked in memory where the limits of the process
allow it, left out of core dumps, and overwritten when the object goes. Native code reads it there; Python sees a
fingerprint. Where an exchange wants to read the text itself (a key in a header), `reveal` gives it for that one call;
tests/test_architecture.py knows who may.
"""
import os
import stat

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING
from cpython.exc cimport PyErr_CheckSignals, PyErr_SetFromErrno
from cpython.unicode cimport PyUnicode_AsUTF8AndSize
from libc.errno cimport EINTR, errno
from libc.stdint cimport uint8_t, uint16_t
from libc.string cimport memchr, memcpy
from posix.mman cimport (
    MADV_DONTDUMP,
    MAP_ANONYMOUS,
    MAP_FAILED,
    MAP_PRIVATE,
    PROT_READ,
    PROT_WRITE,
    madvise,
    mlock,
    mmap,
    munmap,
)
from posix.unistd cimport read, write

cimport cython

from orderflow._core cimport libcrypto

cdef extern from "<string.h>" nogil:
    void *memmem(const void *, size_t, const void *, size_t)

ctypedef const void *(*HashFunction)() noexcept nogil
ctypedef uint8_t *(*HmacFunction)(
    const void *, const void *, int, const uint8_t *, size_t, uint8_t *, unsigned int *) noexcept nogil
ctypedef int (*DecodeFunction)(uint8_t *, const uint8_t *, int) noexcept nogil

cdef enum:
    PAGE = 4096
    LARGEST = 16384             # bytes; the largest keys in use are RSA keys of 3 KiB
    LARGEST_DIGEST = 64
    SHORTEST_REDACTED = 8       # what is shorter would also be found in words that have nothing to do with it

FINGERPRINT_TAG = b"orderflow key fingerprint"
SHOWN = "Secret(***)"

cdef HashFunction[3] hash_functions
cdef HmacFunction hmac_function = <HmacFunction>libcrypto.find("HMAC")
cdef DecodeFunction decode_base64 = <DecodeFunction>libcrypto.find("EVP_DecodeBlock")
cdef dict HASHES = {"sha256": 0, "sha384": 1, "sha512": 2}
hash_functions[0] = <HashFunction>libcrypto.find("EVP_sha256")
hash_functions[1] = <HashFunction>libcrypto.find("EVP_sha384")
hash_functions[2] = <HashFunction>libcrypto.find("EVP_sha512")


cdef void *locked_pages(size_t size, size_t *mapped) except NULL:
    """Zeroed pages of their own for `size` bytes; how much was mapped goes into `mapped`. For `give_back`."""
    cdef size_t whole = (size + PAGE - 1) // PAGE * PAGE
    cdef void *pages = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    if pages == MAP_FAILED:
        raise MemoryError("no memory for a secret")
    mlock(pages, whole)         # both are best effort: a small RLIMIT_MEMLOCK must not stop trading
    madvise(pages, whole, MADV_DONTDUMP)
    mapped[0] = whole
    return pages


cdef void give_back(void *pages, size_t mapped) noexcept:
    """Overwrite the pages and return them."""
    explicit_bzero(pages, mapped)
    munmap(pages, mapped)


@cython.final
cdef class Secret:
    """Text that is never shown. It cannot be copied or pickled, and does not tell its length.

    Parameters
    ----------
    text : str or bytes-like
        As the exchange gave it, 1 to 16384 bytes; text is taken as UTF-8. The caller's own copy is the caller's to
        forget; one in a bytearray can be overwritten.

    Raises
    ------
    ValueError
        It is empty or too long.
    """

    def __cinit__(self, text):
        cdef Py_buffer view
        cdef const char *raw
        cdef Py_ssize_t size = 0
        if isinstance(text, str):
            raw = PyUnicode_AsUTF8AndSize(text, &size)
            self._take(raw, size)
            return
        PyObject_GetBuffer(text, &view, PyBUF_SIMPLE)
        try:
            self._take(<const char *>view.buf, view.len)
        finally:
            PyBuffer_Release(&view)

    cdef int _take(self, const char *raw, Py_ssize_t size) except -1:
        if size == 0:
            raise ValueError("the secret is empty")
        if size > LARGEST:
            raise ValueError(f"the secret is longer than {LARGEST} bytes")
        self.data = <uint8_t *>locked_pages(size, &self.mapped)
        self.size = size
        memcpy(self.data, raw, size)
        return 0

    def fingerprint(self):
        """Eight hexadecimal digits that tell secrets apart in a log and say nothing about them: the beginning of
        HMAC-SHA256, keyed with the secret, of a text that nothing else signs."""
        return self.hmac("sha256", FINGERPRINT_TAG)[:4].hex()

    def hmac(self, str algorithm, bytes message):
        """Digest of a message, keyed with this secret (RFC 2104). For logins; orders are signed by a Signer.

        Parameters
        ----------
        algorithm : "sha256", "sha384" or "sha512"
        message : bytes
        """
        cdef uint8_t[LARGEST_DIGEST] digest
        cdef unsigned int length = 0
        if algorithm not in HASHES:
            raise ValueError(f"algorithm {algorithm!r}: expected one of {', '.join(HASHES)}")
        if hmac_function(hash_functions[<int>HASHES[algorithm]](), self.data, <int>self.size,
                         <const uint8_t *>PyBytes_AS_STRING(message), len(message), digest, &length) is NULL:
            raise ValueError(f"libcrypto refused HMAC with {algorithm}")
        return (<const char *>digest)[:length]

    def decoded(self):
        """The secret whose base 64 this one is. ValueError where it is none, which does not show it."""
        cdef size_t mapped = 0
        cdef uint8_t *raw = <uint8_t *>locked_pages(self.size, &mapped)
        cdef Secret found = Secret.__new__(Secret, b"-")
        cdef int padding = 0
        cdef int size = -1
        while padding < 2 and self.size > 2 and self.data[self.size - 1 - padding] == b"=":
            padding += 1
        # libcrypto takes a padding anywhere for a zero, and blanks around the text for nothing.
        if self.size % 4 == 0 and memchr(self.data, b"=", self.size - padding) is NULL and not (
                self.data[0] <= b" " or self.data[self.size - 1] <= b" "):
            size = decode_base64(raw, self.data, <int>self.size) - padding
        if size <= 0:
            give_back(raw, mapped)
            raise ValueError("the secret is not base 64, as this exchange gives its secrets")
        give_back(found.data, found.mapped)
        found.data, found.size, found.mapped = raw, size, mapped
        return found

    def redact(self, str text):
        """The text with *** wherever this secret stood in it, for what strangers say: an exchange may quote a request
        in its complaint. A secret of fewer than 8 bytes is left: it would be found in words too."""
        cdef bytes raw = text.encode(errors="surrogatepass")
        cdef const char *at = PyBytes_AS_STRING(raw)
        cdef const char *end = at + len(raw)
        cdef const char *found
        cdef list parts = []
        if self.size < SHORTEST_REDACTED:
            return text
        while True:
            found = <const char *>memmem(at, end - at, self.data, self.size)
            if found is NULL:
                break
            parts.append(at[:found - at])
            at = found + self.size
        if not parts:
            return text
        return b"***".join([*parts, at[:end - at]]).decode(errors="surrogatepass")

    def __repr__(self):
        return SHOWN

    def __reduce_ex__(self, protocol):
        raise TypeError("a Secret is neither pickled nor copied")

    def __dealloc__(self):
        if self.data is not NULL:
            give_back(self.data, self.mapped)


cdef int _check_pipe(int descriptor) except -1:
    mode = os.fstat(descriptor).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)):
        raise ValueError("a secret is handed over through a pipe or a socket, never through a file")
    return 0


def hand_over(Secret secret, int descriptor):
    """Write a secret, or that there is none, into a pipe to another process of ours, from its own pages.

    `take_over` reads it there. OSError as of writing; ValueError where the descriptor is of a file.
    """
    cdef uint16_t size = 0 if secret is None else <uint16_t>secret.size
    _check_pipe(descriptor)
    _write_all(descriptor, <const uint8_t *>&size, sizeof(size))
    if size:
        _write_all(descriptor, secret.data, size)


def take_over(int descriptor):
    """The secret that `hand_over` wrote at the other end; None where there was none. EOFError where it ends before."""
    cdef uint16_t size = 0
    cdef Secret found
    _check_pipe(descriptor)
    _read_all(descriptor, <uint8_t *>&size, sizeof(size))
    if size == 0:
        return None
    if size > LARGEST:
        raise ValueError("this is not what hand_over writes")
    found = Secret.__new__(Secret, bytes(size))     # zeroes, written over in place
    _read_all(descriptor, found.data, size)
    return found


cdef int _write_all(int descriptor, const uint8_t *data, size_t size) except -1:
    cdef ssize_t count
    while size:
        with nogil:
            count = write(descriptor, data, size)
        if count < 0:
            if errno == EINTR:
                PyErr_CheckSignals()
                continue
            PyErr_SetFromErrno(OSError)
        data += count
        size -= count
    return 0


cdef int _read_all(int descriptor, uint8_t *data, size_t size) except -1:
    cdef ssize_t count
    while size:
        with nogil:
            count = read(descriptor, data, size)
        if count < 0:
            if errno == EINTR:
                PyErr_CheckSignals()
                continue
            PyErr_SetFromErrno(OSError)
        if count == 0:
            raise EOFError("the pipe ended before the secret did")
        data += count
        size -= count
    return 0


def reveal(Secret secret not None):
    """The text itself, for the one call that hands it to the exchange. What holds it is for the caller to forget."""
    return (<const char *>secret.data)[:secret.size].decode()
