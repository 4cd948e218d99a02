// Price levels out of JSON text, at the speed of the machine.
//
// Nine tenths of a depth frame are levels of one shape: ["61837.63000000","3.78826000"] or {"price":0.5657,"qty":1.5}.
// The readers here take only that shape: no spaces, no signs, no exponents, no escapes, nothing in the wrong order. At
// the first level that is anything else they stop in front of it, and the scanner of json.pxd decides what it is. So
// they never have to explain a fault, and cannot disagree with the scanner: they read a subset, exactly.
//
// `pairs_avx2` looks for the quotes of 64 bytes at once and turns price and quantity into integers together, one in each
// half of a register. `pairs_words` works in any 64-bit word. One pointer is chosen when the module is loaded.
// Worst case: every level is unusual, and each costs one vain look (about 5 ns) before the scanner reads it.
//
// All readers: `at` stands on the character before the first level, which the caller has passed ('[' or ','); returned
// is the place after the last level taken. They load up to 64 bytes past `end` and use none of them. C++ because Cython
// has neither vector intrinsics nor functions compiled for another instruction set.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace orderflow::levels {

using Reader = const char *(*)(const char *begin, const char *at, const char *end, unsigned price_decimals,
                               unsigned quantity_decimals, int64_t *out, uint32_t capacity, uint32_t *count);

inline constexpr uint64_t powers[19] = {
    1ull, 10ull, 100ull, 1000ull, 10000ull, 100000ull, 1000000ull, 10000000ull, 100000000ull, 1000000000ull,
    10000000000ull, 100000000000ull, 1000000000000ull, 10000000000000ull, 100000000000000ull, 1000000000000000ull,
    10000000000000000ull, 100000000000000000ull, 1000000000000000000ull};

inline uint64_t load8(const char *p) { uint64_t word; std::memcpy(&word, p, 8); return word; }
inline uint32_t load4(const char *p) { uint32_t word; std::memcpy(&word, p, 4); return word; }
inline uint16_t load2(const char *p) { uint16_t word; std::memcpy(&word, p, 2); return word; }

// The characters of a literal as the machine loads them.
constexpr uint64_t word(const char *text) {
    uint64_t result = 0;
    for (int i = 0; text[i] && i < 8; ++i) result |= uint64_t(uint8_t(text[i])) << (8 * i);
    return result;
}

// How many of the first characters are digits, 0 to 8.
inline unsigned digit_run(uint64_t text) {
    uint64_t wrong = text ^ 0x3030303030303030ull;
    wrong = ((wrong + 0x7676767676767676ull) | wrong) & 0x8080808080808080ull;
    return wrong ? unsigned(__builtin_ctzll(wrong)) >> 3 : 8;
}

// The number that the first `count` (1 to 8) characters spell.
inline uint64_t digits_value(uint64_t text, unsigned count) {
    uint64_t value = (text ^ 0x3030303030303030ull) << (64 - 8 * count);
    value = value * 10 + (value >> 8);
    return ((value & 0x000000FF000000FFull) * 0x000F424000000064ull +
            ((value >> 16) & 0x000000FF000000FFull) * 0x0000271000000001ull) >> 32;
}

// value * 10**shift; false if that is not an integer of 63 bits.
inline bool rescale(uint64_t value, int shift, int64_t *out) {
    if (shift > 0) {
        if (shift > 18 || value > uint64_t(INT64_MAX) / powers[shift]) return false;
        value *= powers[shift];
    } else if (shift < 0) {
        if (shift < -18 || value % powers[-shift]) return false;
        value /= powers[-shift];
    }
    *out = int64_t(value);
    return true;
}

// A number of up to 7 digits before the point and 15 after it, 18 in all; nullptr if it is another, or not exact.
inline const char *number(const char *p, unsigned decimals, int64_t *out) {
    uint64_t text = load8(p);
    const unsigned whole = digit_run(text);
    if (whole == 0 || whole == 8 || (whole > 1 && *p == '0')) return nullptr;
    uint64_t value = digits_value(text, whole);
    unsigned fraction = 0;
    p += whole;
    if (*p == '.') {
        text = load8(++p);
        fraction = digit_run(text);
        if (fraction == 0) return nullptr;
        value = value * powers[fraction] + digits_value(text, fraction);
        p += fraction;
        if (fraction == 8) {
            text = load8(p);
            const unsigned more = digit_run(text);
            if (more == 8 || whole + 8 + more > 18) return nullptr;
            if (more) value = value * powers[more] + digits_value(text, more);
            fraction += more;
            p += more;
        }
    }
    if (fraction == decimals) {
        *out = int64_t(value);
        return p;
    }
    return rescale(value, int(decimals) - int(fraction), out) ? p : nullptr;
}

// Levels ["price","quantity"], word by word.
inline const char *pairs_words(const char *, const char *at, const char *end, unsigned price_decimals,
                               unsigned quantity_decimals, int64_t *out, uint32_t capacity, uint32_t *count) {
    while (*count < capacity && end - at > 9) {
        if (load2(at + 1) != uint16_t(word("[\""))) break;
        const char *p = number(at + 3, price_decimals, out);
        if (!p || p >= end || (load4(p) & 0xFFFFFF) != uint32_t(word("\",\""))) break;
        p = number(p + 3, quantity_decimals, out + 1);
        if (!p || p + 2 > end || load2(p) != uint16_t(word("\"]"))) break;
        at = p + 2;
        out += 2;
        ++*count;
        if (at >= end || *at != ',') break;
    }
    return at;
}

// Levels {"price":1.5,"qty":2.5}, the shape of Kraken.
inline const char *objects_words(const char *, const char *at, const char *end, unsigned price_decimals,
                                 unsigned quantity_decimals, int64_t *out, uint32_t capacity, uint32_t *count) {
    while (*count < capacity && end - at > 19) {
        if (load8(at + 1) != word("{\"price\"") || at[9] != ':') break;
        const char *p = number(at + 10, price_decimals, out);
        if (!p || p + 7 > end || (load8(p) & 0xFFFFFFFFFFFFFFull) != word(",\"qty\":")) break;
        p = number(p + 7, quantity_decimals, out + 1);
        if (!p || p + 1 > end || *p != '}') break;
        at = p + 1;
        out += 2;
        ++*count;
        if (at >= end || *at != ',') break;
    }
    return at;
}

#if defined(__x86_64__)

// Vector constants of a number with so many decimals. A number is loaded so that its last character is in byte 15; the
// shuffle puts the point into byte 0 and closes the hole that it leaves; after the exclusive or, a right point is 0 and
// a right digit is its value.
struct alignas(16) Shuffle { uint8_t from[16]; };
struct alignas(16) Keep { uint8_t mask[16]; };

struct Tables {
    Shuffle shuffle[15];        // by decimals
    Keep keep[16];              // by number of digits: the point and the last so many bytes
};

constexpr Tables make_tables() {
    Tables tables{};
    for (int decimals = 0; decimals < 15; ++decimals)
        for (int i = 0; i < 16; ++i)
            tables.shuffle[decimals].from[i] = uint8_t(
                decimals == 0 ? (i ? i : 0x80) : i == 0 ? 15 - decimals : i < 16 - decimals ? i - 1 : i);
    for (int digits = 0; digits < 16; ++digits)
        for (int i = 0; i < 16; ++i) tables.keep[digits].mask[i] = i == 0 || i >= 16 - digits ? 0xFF : 0;
    return tables;
}

alignas(64) inline constexpr Tables tables = make_tables();

#define ORDERFLOW_AVX2 __attribute__((target("avx2,bmi,bmi2"))) inline

ORDERFLOW_AVX2 __m256i both(__m128i price, __m128i quantity) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(price), quantity, 1);
}

ORDERFLOW_AVX2 __m128i load16(const void *p) { return _mm_loadu_si128(static_cast<const __m128i *>(p)); }

ORDERFLOW_AVX2 uint64_t places_of(char c, const char *p) {
    const __m256i wanted = _mm256_set1_epi8(c);
    const __m256i low = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(p));
    const __m256i high = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(p + 32));
    const uint32_t low_places = uint32_t(_mm256_movemask_epi8(_mm256_cmpeq_epi8(low, wanted)));
    const uint32_t high_places = uint32_t(_mm256_movemask_epi8(_mm256_cmpeq_epi8(high, wanted)));
    return low_places | uint64_t(high_places) << 32;
}

// Decimals of the number of `length` characters that ends at the quote; 0 if it has no point, or a far one.
ORDERFLOW_AVX2 unsigned decimals_before(const char *quote, unsigned length) {
    const __m128i points = _mm_cmpeq_epi8(load16(quote - 16), _mm_set1_epi8('.'));
    const unsigned behind = unsigned(__builtin_clz(unsigned(_mm_movemask_epi8(points)) << 16 | 0x8000));
    return behind < length && behind < 16 ? behind : 0;
}

// What the levels of one array have in common: how many decimals their numbers are written with.
struct Wire {
    __m256i shuffle, zero;
    unsigned price_decimals, quantity_decimals, price_point, quantity_point;

    ORDERFLOW_AVX2 Wire(unsigned price, unsigned quantity)
        : price_decimals(price), quantity_decimals(quantity), price_point(price != 0), quantity_point(quantity != 0) {
        shuffle = both(load16(&tables.shuffle[price]), load16(&tables.shuffle[quantity]));
        const __m128i digits = _mm_set1_epi8('0');
        zero = both(_mm_insert_epi8(digits, price ? '.' : 0, 0), _mm_insert_epi8(digits, quantity ? '.' : 0, 0));
    }
};

// Price and quantity that end before these places; false unless both are digits with the point where it belongs.
ORDERFLOW_AVX2 bool convert(const Wire &wire, const char *price_end, const char *quantity_end, unsigned price_digits,
                            unsigned quantity_digits, int64_t *out) {
    __m256i v = both(load16(price_end - 16), load16(quantity_end - 16));
    v = _mm256_xor_si256(_mm256_shuffle_epi8(v, wire.shuffle), wire.zero);
    v = _mm256_and_si256(v, both(load16(&tables.keep[price_digits]), load16(&tables.keep[quantity_digits])));
    const __m256i limit = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9));
    const __m256i wrong = _mm256_subs_epu8(v, limit);
    v = _mm256_maddubs_epi16(v, _mm256_set1_epi16(0x010A));             // pairs
    v = _mm256_madd_epi16(v, _mm256_set1_epi32(0x00010064));            // fours
    v = _mm256_madd_epi16(_mm256_packus_epi32(v, v), _mm256_set1_epi32(0x00012710));    // eights
    v = _mm256_add_epi64(_mm256_mul_epu32(v, _mm256_set1_epi64x(100000000)), _mm256_srli_epi64(v, 32));
    _mm_storeu_si128(reinterpret_cast<__m128i *>(out),
                     _mm_unpacklo_epi64(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1)));
    return _mm256_testz_si256(wrong, wrong);
}

// Levels ["price","quantity"], 64 bytes at a time.
ORDERFLOW_AVX2 const char *pairs_avx2(const char *begin, const char *at, const char *end, unsigned price_decimals,
                                      unsigned quantity_decimals, int64_t *out, uint32_t capacity, uint32_t *count) {
    if (at - begin < 12 || end - at < 10 || load2(at + 1) != uint16_t(word("[\""))) return at;
    uint64_t quotes = places_of('"', at + 3);
    const unsigned first = unsigned(_tzcnt_u64(quotes));
    const unsigned third = unsigned(_tzcnt_u64(_blsr_u64(_blsr_u64(quotes))));
    if (third >= 64) return at;
    if (first == 0 || third - first < 4) return at;
    const unsigned price_wire = decimals_before(at + 3 + first, first);
    const unsigned quantity_wire = decimals_before(at + 3 + third, third - first - 3);
    if (price_wire > 14 || quantity_wire > 14) return at;
    const Wire wire(price_wire, quantity_wire);
    const int price_shift = int(price_decimals) - int(price_wire);
    const int quantity_shift = int(quantity_decimals) - int(quantity_wire);
    uint32_t taken = *count;

    while (taken < capacity) {
        const char *base = at + 3;
        quotes = places_of('"', base);
        if (end - base < 64) quotes = end > base ? _bzhi_u64(quotes, unsigned(end - base)) : 0;
        uint64_t rest = _blsr_u64(_blsr_u64(quotes));
        if (rest == 0) break;                           // longer than the window, or cut off
        unsigned begins = 0;
        do {
            const unsigned price_ends = unsigned(_tzcnt_u64(quotes));
            const unsigned quantity_begins = unsigned(_tzcnt_u64(_blsr_u64(quotes))) + 1;
            const unsigned quantity_ends = unsigned(_tzcnt_u64(rest));
            const char *after = base + quantity_ends + 2;
            const unsigned price_digits = price_ends - begins - wire.price_point;
            const unsigned quantity_digits = quantity_ends - quantity_begins - wire.quantity_point;
            const bool wrong =
                (after > end) | (taken >= capacity) | (quantity_begins != price_ends + 3) | (base[price_ends + 1] != ',') |
                (after[-1] != ']') |
                (price_digits - wire.price_decimals - 1 > 14 - wire.price_decimals) |       // unsigned: none, or over 15
                (quantity_digits - wire.quantity_decimals - 1 > 14 - wire.quantity_decimals) |
                ((base[begins] == '0') & (price_digits > wire.price_decimals + 1)) |
                ((base[quantity_begins] == '0') & (quantity_digits > wire.quantity_decimals + 1));
            if (wrong || !convert(wire, base + price_ends, base + quantity_ends, price_digits, quantity_digits, out)) {
                *count = taken;
                return at;
            }
            if ((price_shift | quantity_shift) != 0 && (!rescale(uint64_t(out[0]), price_shift, out) ||
                                                        !rescale(uint64_t(out[1]), quantity_shift, out + 1))) {
                *count = taken;
                return at;
            }
            at = after;
            out += 2;
            ++taken;
            if ((load4(at) & 0xFFFFFF) != uint32_t(word(",[\""))) {
                *count = taken;
                return at;
            }
            begins = quantity_ends + 5;
            quotes = _blsr_u64(_blsr_u64(rest));
            rest = _blsr_u64(_blsr_u64(quotes));
        } while (rest != 0);
    }
    *count = taken;
    return at;
}

#undef ORDERFLOW_AVX2

inline Reader choose_pairs() {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") ? pairs_avx2 : pairs_words;
}

#else

inline Reader choose_pairs() { return pairs_words; }

#endif

inline const Reader read_pairs = choose_pairs();
inline constexpr Reader read_objects = objects_words;

}  // namespace orderflow::levels
