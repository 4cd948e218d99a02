"""Makes signers of secrets; the arithmetic is in signing.pxd."""
import base64
import binascii

from cpython.bytearray cimport PyByteArray_AS_STRING
from cpython.bytes cimport PyBytes_AS_STRING
from libc.stdint cimport uint8_t
from libc.string cimport memcmp, memcpy, memset

cimport cython

from orderflow._core cimport libcrypto as interpreters
from orderflow._core.secret cimport Secret, explicit_bzero, give_back, locked_pages

cdef enum:
    BLOCK = 64                  # of SHA-256
    KEY_TYPE_ED25519 = 1087     # NID_ED25519

NOT_A_KEY = "not an Ed25519 private key: expected 32 raw bytes, or PKCS#8 as DER, PEM or base 64"

PEM = b"-----BEGIN "
KEY_BEGINS = b"MC4CAQAwBQYDK2Vw"     # how an Ed25519 key begins: its PKCS#8 frame is always the same

cdef Libcrypto libcrypto


cdef int _load() except -1:
    libcrypto.sha256_init = <int (*)(Sha256 *) noexcept nogil>interpreters.find("SHA256_Init")
    libcrypto.sha256_update = <int (*)(Sha256 *, const void *, size_t) noexcept nogil>interpreters.find("SHA256_Update")
    libcrypto.sha256_final = <int (*)(uint8_t *, Sha256 *) noexcept nogil>interpreters.find("SHA256_Final")
    libcrypto.context_new = <void *(*)() noexcept nogil>interpreters.find("EVP_MD_CTX_new")
    libcrypto.context_free = <void (*)(void *) noexcept nogil>interpreters.find("EVP_MD_CTX_free")
    libcrypto.sign_init = <int (*)(void *, void **, const void *, void *, void *) noexcept nogil>interpreters.find(
        "EVP_DigestSignInit")
    libcrypto.sign = <int (*)(void *, uint8_t *, size_t *, const uint8_t *, size_t) noexcept nogil>interpreters.find(
        "EVP_DigestSign")
    libcrypto.key_from_raw = <void *(*)(int, void *, const uint8_t *, size_t) noexcept nogil>interpreters.find(
        "EVP_PKEY_new_raw_private_key")
    libcrypto.key_from_der = <void *(*)(void **, const uint8_t **, long) noexcept nogil>interpreters.find(
        "d2i_AutoPrivateKey")
    libcrypto.key_public = <int (*)(const void *, uint8_t *, size_t *) noexcept nogil>interpreters.find(
        "EVP_PKEY_get_raw_public_key")
    libcrypto.key_up_reference = <int (*)(void *) noexcept nogil>interpreters.find("EVP_PKEY_up_ref")
    libcrypto.key_free = <void (*)(void *) noexcept nogil>interpreters.find("EVP_PKEY_free")
    libcrypto.encode_base64 = <int (*)(uint8_t *, const uint8_t *, int) noexcept nogil>interpreters.find(
        "EVP_EncodeBlock")
    libcrypto.clear_errors = <void (*)() noexcept nogil>interpreters.find("ERR_clear_error")
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
    explicit_bzero(block, BLOCK)
    explicit_bzero(&state, sizeof(Sha256))


cdef bytearray _decode_private_key(Secret secret):
    """32 raw bytes, or the DER inside PEM or base 64, as a bytearray that the caller overwrites."""
    cdef bytearray raw = bytearray((<const char *>secret.data)[:secret.size])
    if len(raw) == 32 or raw[:1] == b"\x30":
        return raw
    if b"ENCRYPTED" in raw:
        raise ValueError("the Ed25519 private key is encrypted: give it as unencrypted PKCS#8")
    text = b"".join(line for line in raw.split() if b"-" not in line and line not in (b"BEGIN", b"END", b"PRIVATE"))
    try:
        return bytearray(base64.b64decode(text, validate=True))
    except binascii.Error:
        raise ValueError(NOT_A_KEY) from None


cdef bint _begins(Secret secret, bytes with_this) noexcept:
    return secret.size > <size_t>len(with_this) and not memcmp(
        secret.data, PyBytes_AS_STRING(with_this), len(with_this))


cdef Secret _secret(text):
    return text if isinstance(text, Secret) else Secret(text)


cdef class Signer:
    """What signs with a secret. Made by `Signer.hmac_sha256`, `Signer.ed25519` or `Signer.of`.

    What it makes of the secret lives in memory like that of a Secret. No method returns it; it cannot be copied or
    pickled.

    Attributes
    ----------
    algorithm : str
        "hmac-sha256" or "ed25519".
    fingerprint : str
        That of the secret.
    """

    def __init__(self):
        raise TypeError("use Signer.hmac_sha256(secret), Signer.ed25519(private_key) or Signer.of(either)")

    cdef int _map(self) except -1:
        self.key = <Key *>locked_pages(sizeof(Key), &self.mapped)
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
    def of(secret):
        """Signer for what an exchange of both kinds of key gave out: Ed25519 for a private key as PEM or as base 64 of
        its DER, else HMAC-SHA256.

        Parameters
        ----------
        secret : Secret, str or bytes-like
        """
        cdef Secret taken = _secret(secret)
        cdef bint is_key = _begins(taken, PEM) or _begins(taken, KEY_BEGINS)
        return Signer.ed25519(taken) if is_key else Signer.hmac_sha256(taken)

    @staticmethod
    def hmac_sha256(secret):
        """Signer for keys whose signature is hexadecimal HMAC-SHA256.

        Parameters
        ----------
        secret : Secret, str or bytes-like
            As the exchange gave it; text is taken as UTF-8.
        """
        cdef Secret taken = _secret(secret)
        cdef Signer signer = Signer.__new__(Signer)
        signer._map()
        _pad_key(signer.key, taken.data, taken.size)
        signer.algorithm = "hmac-sha256"
        signer.fingerprint = taken.fingerprint()
        return signer

    @staticmethod
    def ed25519(private_key):
        """Signer for keys whose signature is base 64 of Ed25519 (RFC 8032).

        Parameters
        ----------
        private_key : Secret, str or bytes-like
            32 raw bytes, or an unencrypted PKCS#8 key as DER, PEM or base 64 of the DER.
        """
        cdef Secret taken
        try:
            taken = _secret(private_key)
        except ValueError:
            raise ValueError(NOT_A_KEY) from None
        cdef bytearray raw = _decode_private_key(taken)
        cdef Signer signer = Signer.__new__(Signer)
        cdef const uint8_t *at = <const uint8_t *>PyByteArray_AS_STRING(raw)
        cdef uint8_t[32] public_key
        cdef size_t public_size = 32
        signer._map()
        if len(raw) == 32:
            signer.key.private_key = libcrypto.key_from_raw(KEY_TYPE_ED25519, NULL, at, 32)
        else:
            signer.key.private_key = libcrypto.key_from_der(NULL, &at, len(raw))
        explicit_bzero(PyByteArray_AS_STRING(raw), len(raw))
        if signer.key.private_key is NULL:
            libcrypto.clear_errors()
            raise ValueError(NOT_A_KEY)
        if libcrypto.key_public(signer.key.private_key, public_key, &public_size) != 1 or public_size != 32:
            libcrypto.clear_errors()
            raise ValueError("the private key is not an Ed25519 key")
        signer._arm()
        signer.algorithm = "ed25519"
        signer.fingerprint = taken.fingerprint()
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
        give_back(self.key, self.mapped)


def _self_test():
    """RFC 4231, case 2: a libcrypto whose SHA-256 state is laid out otherwise must never sign an order."""
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    if Signer.hmac_sha256(b"Jefe").sign(b"what do ya want for nothing?") != expected:
        raise ImportError("the interpreter's libcrypto does not compute HMAC-SHA256 as RFC 4231 says")


_load()
_self_test()
