"""Finds libcrypto and owns secrets; the arithmetic is in signing.pxd."""
import base64
import binascii

from cpython.bytearray cimport PyByteArray_AS_STRING
from libc.stdint cimport uint8_t
from libc.string cimport memcpy, memset
from posix.dlfcn cimport RTLD_NOW, dlopen, dlsym
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

cimport cython

cdef extern from "<dlfcn.h>" nogil:
    int RTLD_NOLOAD             # not in POSIX: glibc, musl, the BSDs and macOS have it

cdef enum:
    BLOCK = 64                  # of SHA-256
    KEY_TYPE_ED25519 = 1087     # NID_ED25519
    PAGE = 4096

NOT_A_KEY = "not an Ed25519 private key: expected 32 raw bytes, or PKCS#8 as DER, PEM or base 64"

cdef Libcrypto libcrypto


cdef void *_find(void *library, str name, str where) except NULL:
    cdef bytes symbol = name.encode()
    cdef void *address = dlsym(library, symbol)
    if address is NULL:
        raise ImportError(f"orderflow signs with the libcrypto that Python itself uses ({where}), and that one has no "
                          f"{name}; use a Python linked against a shared OpenSSL 1.1.1 or newer")
    return address


cdef void *_open(str where) except? NULL:
    """The library already loaded from `where`: its dependencies, libcrypto among them, are searched with it."""
    cdef bytes path = where.encode()
    cdef void *library = dlopen(path, RTLD_NOLOAD | RTLD_NOW)
    return library if library is not NULL else dlopen(path, RTLD_NOW)


cdef int _load() except -1:
    import _hashlib
    cdef void *library = NULL
    where = getattr(_hashlib, "__file__", None)
    if where is None:           # built into the interpreter, and so is libcrypto's name table, if it is visible at all
        where = "the interpreter's own executable"
        library = dlopen(NULL, RTLD_NOW)
    else:
        library = _open(where)
    if library is NULL:
        raise ImportError(f"cannot open {where}, through which Python reaches libcrypto")
    libcrypto.sha256_init = <int (*)(Sha256 *) noexcept nogil>_find(library, "SHA256_Init", where)
    libcrypto.sha256_update = <int (*)(Sha256 *, const void *, size_t) noexcept nogil>_find(
        library, "SHA256_Update", where)
    libcrypto.sha256_final = <int (*)(uint8_t *, Sha256 *) noexcept nogil>_find(library, "SHA256_Final", where)
    libcrypto.context_new = <void *(*)() noexcept nogil>_find(library, "EVP_MD_CTX_new", where)
    libcrypto.context_free = <void (*)(void *) noexcept nogil>_find(library, "EVP_MD_CTX_free", where)
    libcrypto.sign_init = <int (*)(void *, void **, const void *, void *, void *) noexcept nogil>_find(
        library, "EVP_DigestSignInit", where)
    libcrypto.sign = <int (*)(void *, uint8_t *, size_t *, const uint8_t *, size_t) noexcept nogil>_find(
        library, "EVP_DigestSign", where)
    libcrypto.key_from_raw = <void *(*)(int, void *, const uint8_t *, size_t) noexcept nogil>_find(
        library, "EVP_PKEY_new_raw_private_key", where)
    libcrypto.key_from_der = <void *(*)(void **, const uint8_t **, long) noexcept nogil>_find(
        library, "d2i_AutoPrivateKey", where)
    libcrypto.key_public = <int (*)(const void *, uint8_t *, size_t *) noexcept nogil>_find(
        library, "EVP_PKEY_get_raw_public_key", where)
    libcrypto.key_up_reference = <int (*)(void *) noexcept nogil>_find(library, "EVP_PKEY_up_ref", where)
    libcrypto.key_free = <void (*)(void *) noexcept nogil>_find(library, "EVP_PKEY_free", where)
    libcrypto.encode_base64 = <int (*)(uint8_t *, const uint8_t *, int) noexcept nogil>_find(
        library, "EVP_EncodeBlock", where)
    libcrypto.cleanse = <void (*)(void *, size_t) noexcept nogil>_find(library, "OPENSSL_cleanse", where)
    libcrypto.clear_errors = <void (*)() noexcept nogil>_find(library, "ERR_clear_error", where)
    return 0


cdef void _pad_key(Key *key, const uint8_t *secret, size_t size) noexcept:
    """RFC 2104: a secret longer than a block is hashed first, a shorter one is filled with zeros."""
    cdef uint8_t[BLOCK] block
    cdef Sha256 state
    cdef int i
    memset(block, 0, BLOCK)
    if size > BLOCK:
        key.libcrypto.sha256_init(&state)
        key.libcrypto.sha256_update(&state, secret, size)
        key.libcrypto.sha256_final(block, &state)
    else:
        memcpy(block, secret, size)
    for i in range(BLOCK):
        block[i] ^= 0x36
    key.libcrypto.sha256_init(&key.inner)
    key.libcrypto.sha256_update(&key.inner, block, BLOCK)
    for i in range(BLOCK):
        block[i] ^= 0x36 ^ 0x5c
    key.libcrypto.sha256_init(&key.outer)
    key.libcrypto.sha256_update(&key.outer, block, BLOCK)
    key.libcrypto.cleanse(block, BLOCK)
    key.libcrypto.cleanse(&state, sizeof(Sha256))


def _decode_private_key(private_key):
    """32 raw bytes, or the DER inside PEM or base 64, as a bytearray that the caller wipes."""
    if isinstance(private_key, str):
        private_key = private_key.encode()
    raw = bytearray(private_key)
    if len(raw) == 32 or raw[:1] == b"\x30":
        return raw
    if b"ENCRYPTED" in raw:
        raise ValueError("the Ed25519 private key is encrypted: give it as unencrypted PKCS#8")
    text = b"".join(line for line in raw.split() if b"-" not in line and line not in (b"BEGIN", b"END", b"PRIVATE"))
    try:
        return bytearray(base64.b64decode(text, validate=True))
    except binascii.Error:
        raise ValueError(NOT_A_KEY) from None


cdef class Signer:
    """A secret, and signatures with it. Made by `Signer.hmac_sha256` or `Signer.ed25519`.

    The secret lives in pages that are locked in memory (where the limits of the process allow it), left out of core
    dumps, and overwritten when the object goes. No method returns it; it cannot be copied or pickled.

    Attributes
    ----------
    algorithm : str
        "hmac-sha256" or "ed25519".
    fingerprint : str
        Eight hexadecimal digits that tell keys apart in a log without saying anything about them.
    """

    def __init__(self):
        raise TypeError("use Signer.hmac_sha256(secret) or Signer.ed25519(private_key)")

    cdef int _map(self) except -1:
        cdef size_t size = (sizeof(Key) + PAGE - 1) // PAGE * PAGE
        cdef void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        if memory == MAP_FAILED:
            raise MemoryError("no memory for a signing key")
        mlock(memory, size)     # both are best effort: a small RLIMIT_MEMLOCK must not stop trading
        madvise(memory, size, MADV_DONTDUMP)
        self.key = <Key *>memory
        self.mapped = size
        self.key.libcrypto = &libcrypto
        return 0

    cdef int _arm(self) except -1:
        """Prepares the Ed25519 context, and finds out whether this OpenSSL lets it sign more than once."""
        cdef char[SIGNATURE_ROOM] text
        cdef Key *key = self.key
        key.context = libcrypto.context_new()
        if key.context is NULL:
            raise MemoryError("no memory for an Ed25519 context")
        if libcrypto.sign_init(key.context, NULL, NULL, NULL, key.private_key) != 1:
            libcrypto.clear_errors()
            raise ValueError("this libcrypto cannot sign with Ed25519")
        if ed25519(key, b"", 0, text) < 0 or ed25519(key, b"", 0, text) < 0:
            libcrypto.clear_errors()
            key.context_is_spent = True
            if ed25519(key, b"", 0, text) < 0:
                libcrypto.clear_errors()
                raise ValueError("this libcrypto cannot sign with Ed25519")
        return 0

    @staticmethod
    def hmac_sha256(secret):
        """Signer for keys whose signature is hexadecimal HMAC-SHA256.

        Parameters
        ----------
        secret : str or bytes-like
            As the exchange gave it; text is taken as UTF-8.
        """
        cdef bytearray raw = bytearray(secret.encode() if isinstance(secret, str) else secret)
        cdef Signer signer = Signer.__new__(Signer)
        cdef uint8_t[DIGEST_SIZE] digest
        if not raw:
            raise ValueError("the secret is empty")
        signer._map()
        _pad_key(signer.key, <const uint8_t *>PyByteArray_AS_STRING(raw), len(raw))
        libcrypto.cleanse(PyByteArray_AS_STRING(raw), len(raw))
        hmac(signer.key, b"orderflow key fingerprint", 25, digest)
        signer.algorithm = "hmac-sha256"
        signer.fingerprint = (<const char *>digest)[:4].hex()
        return signer

    @staticmethod
    def ed25519(private_key):
        """Signer for keys whose signature is base 64 of Ed25519 (RFC 8032).

        Parameters
        ----------
        private_key : str or bytes-like
            32 raw bytes, or an unencrypted PKCS#8 key as DER, PEM or base 64 of the DER.
        """
        cdef bytearray raw = _decode_private_key(private_key)
        cdef Signer signer = Signer.__new__(Signer)
        cdef const uint8_t *at = <const uint8_t *>PyByteArray_AS_STRING(raw)
        cdef uint8_t[32] public_key
        cdef size_t public_size = 32
        signer._map()
        if len(raw) == 32:
            signer.key.private_key = libcrypto.key_from_raw(KEY_TYPE_ED25519, NULL, at, 32)
        else:
            signer.key.private_key = libcrypto.key_from_der(NULL, &at, len(raw))
        libcrypto.cleanse(PyByteArray_AS_STRING(raw), len(raw))
        if signer.key.private_key is NULL:
            libcrypto.clear_errors()
            raise ValueError(NOT_A_KEY)
        if libcrypto.key_public(signer.key.private_key, public_key, &public_size) != 1 or public_size != 32:
            libcrypto.clear_errors()
            raise ValueError("the private key is not an Ed25519 key")
        signer._arm()
        signer.algorithm = "ed25519"
        signer.fingerprint = _fingerprint(public_key, 32)
        return signer

    cpdef Signer prepare(self, bytes prefix):
        """The same secret, ready for messages that all begin with `prefix`; for the use of one thread."""
        cdef Signer other = Signer.__new__(Signer)
        other._map()
        memcpy(other.key, self.key, sizeof(Key))
        other.key.context = NULL
        other.algorithm = self.algorithm
        other.fingerprint = self.fingerprint
        if self.key.private_key is NULL:
            libcrypto.sha256_update(&other.key.inner, <const char *>prefix, len(prefix))
            other.key.prefix += len(prefix)
        else:
            libcrypto.key_up_reference(other.key.private_key)
            other._arm()
        return other

    def sign(self, message):
        """Signature of a message: 64 hexadecimal digits of HMAC-SHA256, or 88 characters of base 64 of Ed25519.

        Parameters
        ----------
        message : str or bytes
            Text is signed as UTF-8. It must begin with the prefix that the signer was prepared with.
        """
        cdef bytes raw = message.encode() if isinstance(message, str) else bytes(message)
        cdef char[SIGNATURE_ROOM] text
        cdef int length
        with cython.critical_section(self):
            length = sign(self.key, raw, len(raw), text)
        if length < 0:
            raise ValueError("the message does not begin with the prefix of this signer, or libcrypto refused to sign")
        return text[:length].decode("ascii")

    def __repr__(self):
        return f"Signer({self.algorithm}, fingerprint={self.fingerprint})"

    def __reduce_ex__(self, protocol):
        raise TypeError("a Signer holds a secret: it is neither pickled nor copied")

    def __dealloc__(self):
        if self.key is NULL:
            return
        if self.key.context is not NULL:
            libcrypto.context_free(self.key.context)
        if self.key.private_key is not NULL:
            libcrypto.key_free(self.key.private_key)        # OpenSSL overwrites a private key when it frees it
        libcrypto.cleanse(self.key, self.mapped)
        munmap(self.key, self.mapped)


cdef str _fingerprint(const uint8_t *public_key, size_t size):
    cdef Sha256 state
    cdef uint8_t[DIGEST_SIZE] digest
    libcrypto.sha256_init(&state)
    libcrypto.sha256_update(&state, public_key, size)
    libcrypto.sha256_final(digest, &state)
    return (<const char *>digest)[:4].hex()


def _self_test():
    """RFC 4231, case 2: a libcrypto whose SHA-256 state is laid out otherwise must never sign an order."""
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    if Signer.hmac_sha256(b"Jefe").sign(b"what do ya want for nothing?") != expected:
        raise ImportError("the interpreter's libcrypto does not compute HMAC-SHA256 as RFC 4231 says")


_load()
_self_test()
