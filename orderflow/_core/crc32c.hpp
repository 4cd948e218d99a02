// CRC32C (Castagnoli, RFC 3720 appendix B.4): the processor's instruction where it has one, a table where not.
// C++ because Cython can neither name a target for one function nor build a table at compile time.
// crc32c(crc32c(0, a), b) is the checksum of a followed by b, so a first part may serve as a seed.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace orderflow {

constexpr std::array<uint32_t, 256> crc32c_table = [] {
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < 256; ++i) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78u : 0u);
        table[i] = crc;
    }
    return table;
}();

inline uint32_t crc32c_by_table(uint32_t crc, const uint8_t *data, size_t size) noexcept {
    for (; size; --size) crc = crc >> 8 ^ crc32c_table[(crc ^ *data++) & 0xFF];
    return crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) inline uint32_t crc32c_by_instruction(
    uint32_t crc, const uint8_t *data, size_t size) noexcept {
    uint64_t wide = crc;
    for (; size >= 8; size -= 8, data += 8) {
        uint64_t word;
        std::memcpy(&word, data, 8);
        wide = _mm_crc32_u64(wide, word);
    }
    crc = static_cast<uint32_t>(wide);
    for (; size; --size) crc = _mm_crc32_u8(crc, *data++);
    return crc;
}
inline const bool crc32c_has_instruction = (__builtin_cpu_init(), __builtin_cpu_supports("sse4.2"));
#endif

inline uint32_t crc32c(uint32_t seed, const void *data, size_t size) noexcept {
    auto bytes = static_cast<const uint8_t *>(data);
#if defined(__x86_64__)
    if (crc32c_has_instruction) [[likely]] return ~crc32c_by_instruction(~seed, bytes, size);
#endif
    return ~crc32c_by_table(~seed, bytes, size);
}

inline uint32_t crc32c_portable(uint32_t seed, const void *data, size_t size) noexcept {
    return ~crc32c_by_table(~seed, static_cast<const uint8_t *>(data), size);
}

}  // namespace orderflow
