"""Mask keys and masking of the frames that a websocket client sends (RFC 6455, 5.3).

A key must not be predictable by whoever chose the payload, so it has to come from a cryptographic generator; asking the
kernel for four bytes a frame would be a system call before each order. Here ChaCha20 (RFC 8439) runs as a generator,
seeded once per connection from the kernel: sixteen keys a block, no system call, about ten nanoseconds a key.
Little-endian machines only (x86-64, arm64).
"""
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memcpy

cdef enum:
    MASK_SEED_SIZE = 48         # 32 bytes of key, 16 of counter and nonce


cdef struct MaskKeys:
    uint32_t state[16]          # constants, key, counter, nonce: the ChaCha20 matrix
    uint32_t block[16]          # keys made and not handed out yet
    uint32_t used


cdef nogil:
    inline void seed(MaskKeys *keys, const char *entropy) noexcept:
        """Start from MASK_SEED_SIZE bytes of the kernel's generator."""
        memcpy(keys.state, "expand 32-byte k", 16)
        memcpy(keys.state + 4, entropy, MASK_SEED_SIZE)
        keys.used = 16

    inline uint32_t rotate_left(uint32_t value, int bits) noexcept:
        return (value << bits) | (value >> (32 - bits))

    inline void quarter_round(uint32_t *x, int a, int b, int c, int d) noexcept:
        x[a] += x[b]
        x[d] = rotate_left(x[d] ^ x[a], 16)
        x[c] += x[d]
        x[b] = rotate_left(x[b] ^ x[c], 12)
        x[a] += x[b]
        x[d] = rotate_left(x[d] ^ x[a], 8)
        x[c] += x[d]
        x[b] = rotate_left(x[b] ^ x[c], 7)

    inline void make_block(MaskKeys *keys) noexcept:
        """The next sixteen keys: one ChaCha20 block, counter advanced."""
        cdef uint32_t x[16]
        cdef int i, _
        memcpy(x, keys.state, sizeof(x))
        for _ in range(10):
            quarter_round(x, 0, 4, 8, 12)
            quarter_round(x, 1, 5, 9, 13)
            quarter_round(x, 2, 6, 10, 14)
            quarter_round(x, 3, 7, 11, 15)
            quarter_round(x, 0, 5, 10, 15)
            quarter_round(x, 1, 6, 11, 12)
            quarter_round(x, 2, 7, 8, 13)
            quarter_round(x, 3, 4, 9, 14)
        for i in range(16):
            keys.block[i] = x[i] + keys.state[i]
        keys.state[12] += 1
        if keys.state[12] == 0:     # 2**32 blocks, 64 thousand million frames: carry into the nonce rather than repeat
            keys.state[13] += 1
        keys.used = 0

    inline uint32_t next_key(MaskKeys *keys) noexcept:
        if keys.used == 16:
            make_block(keys)
        keys.used += 1
        return keys.block[keys.used - 1]

    inline void apply(char *data, size_t size, uint32_t key) noexcept:
        """XOR with the key's bytes in memory order, in place; applied twice it is undone."""
        cdef uint64_t wide = (<uint64_t>key << 32) | key
        cdef uint64_t words[4]
        cdef size_t at = 0
        cdef int i
        while at + 32 <= size:
            memcpy(words, data + at, 32)
            for i in range(4):
                words[i] ^= wide
            memcpy(data + at, words, 32)
            at += 32
        while at + 8 <= size:
            memcpy(words, data + at, 8)
            words[0] ^= wide
            memcpy(data + at, words, 8)
            at += 8
        while at < size:
            data[at] ^= <char>(key >> (8 * (at & 3)))
            at += 1
