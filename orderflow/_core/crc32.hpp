// CRC-32 of IEEE 802.3 (reflected polynomial 0xEDB88320), as zlib.crc32.
//
// With carry-less multiplication 64 bytes are folded at a time (Gopal and others, "Fast CRC computation for generic
// polynomials using PCLMULQDQ", Intel 2009; its constants for this polynomial). What is left, and all of it on other
// processors, goes eight bytes a step through eight tables ("slicing by 8": Kounavis and Berry, 2005), about a byte a
// cycle. A checksum of Kraken covers some 400 bytes, one of OKX a thousand.
// C++ because Cython can neither name a target for one function nor build a table at compile time.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace orderflow {

constexpr auto crc32_tables = [] {
    std::array<std::array<uint32_t, 256>, 8> tables{};
    for (uint32_t byte = 0; byte < 256; ++byte) {
        uint32_t crc = byte;
        for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0u);
        tables[0][byte] = crc;
    }
    for (uint32_t byte = 0; byte < 256; ++byte)
        for (int table = 1; table < 8; ++table)
            tables[table][byte] = tables[table - 1][byte] >> 8 ^ tables[0][tables[table - 1][byte] & 255];
    return tables;
}();

inline uint32_t crc32_by_tables(uint32_t crc, const uint8_t *data, size_t size) noexcept {
    for (; size >= 8; size -= 8, data += 8) {
        uint64_t word;
        std::memcpy(&word, data, 8);
        const uint32_t low = uint32_t(word) ^ crc, high = uint32_t(word >> 32);
        crc = crc32_tables[7][low & 255] ^ crc32_tables[6][low >> 8 & 255] ^ crc32_tables[5][low >> 16 & 255] ^
              crc32_tables[4][low >> 24] ^ crc32_tables[3][high & 255] ^ crc32_tables[2][high >> 8 & 255] ^
              crc32_tables[1][high >> 16 & 255] ^ crc32_tables[0][high >> 24];
    }
    for (; size; --size) crc = crc >> 8 ^ crc32_tables[0][(crc ^ *data++) & 255];
    return crc;
}

#if defined(__x86_64__)
#define ORDERFLOW_CLMUL __attribute__((target("pclmul,sse4.1")))

ORDERFLOW_CLMUL inline __m128i crc32_load(const uint8_t *data) noexcept {
    return _mm_loadu_si128(reinterpret_cast<const __m128i *>(data));
}

// `value` moved past as many bits as `by` says, with `next` added.
ORDERFLOW_CLMUL inline __m128i crc32_fold(__m128i value, __m128i by, __m128i next) noexcept {
    const __m128i low = _mm_clmulepi64_si128(value, by, 0x00), high = _mm_clmulepi64_si128(value, by, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

// `size` is a multiple of 16, and at least 64.
ORDERFLOW_CLMUL inline uint32_t crc32_by_folding(uint32_t crc, const uint8_t *data, size_t size) noexcept {
    const __m128i by_512 = _mm_set_epi64x(0x01c6e41596, 0x0154442bd4);
    const __m128i by_128 = _mm_set_epi64x(0x00ccaa009e, 0x01751997d0);
    const __m128i by_64 = _mm_set_epi64x(0, 0x0163cd6124);
    const __m128i polynomial = _mm_set_epi64x(0x01f7011641, 0x01db710641);     // and what divides by it
    const __m128i words = _mm_setr_epi32(~0, 0, ~0, 0);
    __m128i folded[4];
    for (int i = 0; i < 4; ++i) folded[i] = crc32_load(data + 16 * i);
    folded[0] = _mm_xor_si128(folded[0], _mm_cvtsi32_si128(int(crc)));
    for (data += 64, size -= 64; size >= 64; data += 64, size -= 64)
        for (int i = 0; i < 4; ++i) folded[i] = crc32_fold(folded[i], by_512, crc32_load(data + 16 * i));
    __m128i value = folded[0];
    for (int i = 1; i < 4; ++i) value = crc32_fold(value, by_128, folded[i]);
    for (; size; data += 16, size -= 16) value = crc32_fold(value, by_128, crc32_load(data));
    value = _mm_xor_si128(_mm_srli_si128(value, 8), _mm_clmulepi64_si128(value, by_128, 0x10));
    value = _mm_xor_si128(_mm_srli_si128(value, 4), _mm_clmulepi64_si128(_mm_and_si128(value, words), by_64, 0x00));
    __m128i quotient = _mm_clmulepi64_si128(_mm_and_si128(value, words), polynomial, 0x10);
    quotient = _mm_clmulepi64_si128(_mm_and_si128(quotient, words), polynomial, 0x00);
    return uint32_t(_mm_extract_epi32(_mm_xor_si128(value, quotient), 1));
}
#undef ORDERFLOW_CLMUL
inline const bool crc32_can_fold = (__builtin_cpu_init(), __builtin_cpu_supports("pclmul") &&
                                    __builtin_cpu_supports("sse4.1"));
#endif

inline uint32_t crc32(const char *data, size_t size) noexcept {
    auto bytes = reinterpret_cast<const uint8_t *>(data);
    uint32_t crc = ~0u;
#if defined(__x86_64__)
    if (size >= 64 && crc32_can_fold) [[likely]] {
        const size_t whole = size & ~size_t(15);
        crc = crc32_by_folding(crc, bytes, whole);
        bytes += whole;
        size -= whole;
    }
#endif
    return ~crc32_by_tables(crc, bytes, size);
}

inline uint32_t crc32_portable(const char *data, size_t size) noexcept {
    return ~crc32_by_tables(~0u, reinterpret_cast<const uint8_t *>(data), size);
}

}  // namespace orderflow
