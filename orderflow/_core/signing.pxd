"""HMAC-SHA256 and Ed25519 on the order path, computed by the interpreter's own libcrypto.

Nothing is linked at build time: libcrypto.pyx finds the libcrypto that Python's `_hashlib` has loaded, and signing.pyx
fills a table of function pointers from it.

HMAC keeps two SHA-256 states, after the inner and after the outer padded key (RFC 2104, section 4), so a signature
copies 112 bytes twice and hashes the message and one block more: no allocation, no key schedule. A key may also be
prepared with the constant beginning of all its messages, whose whole blocks are then never hashed again.
Ed25519 hashes the message twice, so it cannot start early; its context is prepared once and used again. What OpenSSL
allocates inside is its own affair, and little beside the tens of microseconds that the curve takes.

A Key is used by one thread at a time. Signer.prepare gives each connection its own.
"""
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy

cdef enum:
    SIGNATURE_ROOM = 96         # bytes that sign() may write: 64 hexadecimal digits, or 88 of base 64 and a zero
    HMAC_TEXT = 64
    ED25519_TEXT = 88
    DIGEST_SIZE = 32
    SHA256_WORDS = 28           # SHA256_CTX, the same in every OpenSSL since 0.9.8


cdef struct Sha256:
    uint32_t[SHA256_WORDS] words


cdef struct Libcrypto:          # what is used of it, found with dlsym
    int (*sha256_init)(Sha256 *) noexcept nogil
    int (*sha256_update)(Sha256 *, const void *, size_t) noexcept nogil
    int (*sha256_final)(uint8_t *, Sha256 *) noexcept nogil
    void *(*context_new)() noexcept nogil
    void (*context_free)(void *) noexcept nogil
    int (*sign_init)(void *, void **, const void *, void *, void *) noexcept nogil
    int (*sign)(void *, uint8_t *, size_t *, const uint8_t *, size_t) noexcept nogil
    void *(*key_from_raw)(int, void *, const uint8_t *, size_t) noexcept nogil
    void *(*key_from_der)(void **, const uint8_t **, long) noexcept nogil
    int (*key_public)(const void *, uint8_t *, size_t *) noexcept nogil
    int (*key_up_reference)(void *) noexcept nogil
    void (*key_free)(void *) noexcept nogil
    int (*encode_base64)(uint8_t *, const uint8_t *, int) noexcept nogil
    void (*clear_errors)() noexcept nogil


cdef struct Key:
    const Libcrypto *libcrypto
    void *context               # EVP_MD_CTX of an Ed25519 key; NULL = HMAC-SHA256
    void *private_key           # EVP_PKEY
    size_t prefix               # leading bytes of every message that `inner` has already taken in
    Sha256 inner
    Sha256 outer
    uint8_t context_is_spent    # this OpenSSL wants sign_init before every signature


cdef nogil:
    inline void write_hexadecimal(const uint8_t *data, uint32_t count, char *out) noexcept:
        cdef const char *digits = b"0123456789abcdef"
        cdef uint32_t i
        for i in range(count):
            out[2 * i] = digits[data[i] >> 4]
            out[2 * i + 1] = digits[data[i] & 15]

    inline void hmac(const Key *key, const char *message, size_t size, uint8_t *digest) noexcept:
        """HMAC-SHA256 of message[0:size], which begins with the key's prefix; writes DIGEST_SIZE bytes."""
        cdef Sha256 state
        memcpy(&state, &key.inner, sizeof(Sha256))
        key.libcrypto.sha256_update(&state, message + key.prefix, size - key.prefix)
        key.libcrypto.sha256_final(digest, &state)
        memcpy(&state, &key.outer, sizeof(Sha256))
        key.libcrypto.sha256_update(&state, digest, DIGEST_SIZE)
        key.libcrypto.sha256_final(digest, &state)

    inline int ed25519(const Key *key, const char *message, size_t size, char *out) noexcept:
        cdef uint8_t[64] signature
        cdef size_t length = 64
        if key.context_is_spent:
            if key.libcrypto.sign_init(key.context, NULL, NULL, NULL, key.private_key) != 1:
                return -1
        if key.libcrypto.sign(key.context, signature, &length, <const uint8_t *>message, size) != 1 or length != 64:
            return -1
        return key.libcrypto.encode_base64(<uint8_t *>out, signature, 64)

    inline int sign(const Key *key, const char *message, size_t size, char *out) noexcept:
        """Signature as exchanges want it: hexadecimal of HMAC, base 64 of Ed25519. Returns its length, -1 on failure.

        `out` has room for SIGNATURE_ROOM bytes. The message must begin with the prefix the key was prepared with.
        """
        cdef uint8_t[DIGEST_SIZE] digest
        if size < key.prefix:
            return -1
        if key.context is not NULL:
            return ed25519(key, message, size, out)
        hmac(key, message, size, digest)
        write_hexadecimal(digest, DIGEST_SIZE, out)
        return HMAC_TEXT


cdef class Signer:
    cdef Key *key               # alone in locked pages; valid as long as this object lives
    cdef size_t mapped
    cdef readonly str algorithm
    cdef readonly str fingerprint
    cdef int _map(self) except -1
    cdef int _arm(self) except -1
    cpdef Signer prepare(self, bytes prefix)
