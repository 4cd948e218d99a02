// Byte ring: one producer thread, one consumer thread, records of any length up to the capacity, each in one piece.
//
// A record is a word of length and tag, the bytes, and 64 bytes that belong to the record but hold nothing: decoders
// load whole words past the end of their input, and because the padding is the record's own, those loads never meet
// the producer's next store. Everything is rounded up to 8 bytes.
//
//     | length tag | bytes .......... | 64 spare | length tag | bytes ... | 64 spare | WRAP |  (unused)  |
//
// A record that does not fit before the end of the area is preceded by a wrap mark, published at once even when the
// record itself must wait for room: so a record as large as the whole area gets through.
//
// The tail index is shared, unlike in ring.hpp: bytes of an earlier lap may look like any stamp, and for records of a
// kilobyte the one line more does not count. Both sides keep a copy of the other's index and refresh it only when they
// would otherwise give up (Lee, Bu, Chandranmenon, IPDPS 2010).
//
// Worst case: alternating small records and records just over half the capacity waste half the area on wrap marks. Size
// the ring for at least four of its largest records.
//
// Lives in memory handed to it, 64-byte aligned, and holds no pointers.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>

namespace orderflow {

enum ByteRingStatus : int {
    BYTE_RING_OK = 0,
    BYTE_RING_FULL = 1,       // try again when the consumer has moved on
    BYTE_RING_TOO_LARGE = 2,  // will never fit
};

class alignas(64) ByteRing {
#ifdef ORDERFLOW_WEAKEN_BYTE_RING  // planted mistake: tests/test_sanitizers.py proves that ThreadSanitizer would notice
    static constexpr auto acquire = std::memory_order_relaxed;
    static constexpr auto release_order = std::memory_order_relaxed;
#else
    static constexpr auto acquire = std::memory_order_acquire;
    static constexpr auto release_order = std::memory_order_release;
#endif
    static constexpr auto relaxed = std::memory_order_relaxed;

    struct Prefix {
        std::uint32_t length;
        std::uint32_t tag;
    };
    static constexpr std::uint32_t wrap_mark = 0xffffffffu;

public:
    static constexpr std::size_t padding = 64;
    static constexpr std::uint64_t smallest_capacity = 128;
    static constexpr std::uint64_t largest_capacity = std::uint64_t{1} << 31;  // so that a length stays below wrap_mark

    static constexpr std::size_t bytes(std::uint64_t capacity) noexcept { return sizeof(ByteRing) + capacity; }

    // Longest record that a ring of this capacity carries.
    static constexpr std::uint64_t largest_record(std::uint64_t capacity) noexcept {
        return capacity - sizeof(Prefix) - padding;
    }

    // Set-up, before either thread starts: an empty ring in `memory`. nullptr if the memory is not 64-byte aligned or
    // the capacity is not a power of two between smallest_capacity and largest_capacity.
    static ByteRing *place(void *memory, std::uint64_t capacity) noexcept {
        if (reinterpret_cast<std::uintptr_t>(memory) % 64 != 0 || capacity < smallest_capacity ||
            capacity > largest_capacity || (capacity & (capacity - 1)) != 0)
            return nullptr;
        std::memset(memory, 0, bytes(capacity));
        return new (memory) ByteRing(capacity);
    }

    // Producer: `length` writable bytes in one piece at *target. Nothing is seen before commit(); reserving again
    // replaces the reservation. Leaves *target alone unless BYTE_RING_OK.
    int reserve(std::size_t length, char **target) noexcept {
        if (length > largest_record(mask_ + 1))
            return BYTE_RING_TOO_LARGE;
        const std::uint64_t needed = footprint(length);
        std::uint64_t tail = tail_.load(relaxed);
        const std::uint64_t before_end = mask_ + 1 - (tail & mask_);
        if (needed > before_end) {
            if (!has_room(tail, before_end))
                return BYTE_RING_FULL;
            const Prefix mark{wrap_mark, 0};
            std::memcpy(at(tail), &mark, sizeof mark);
            tail += before_end;
            tail_.store(tail, release_order);
        }
        if (!has_room(tail, needed))
            return BYTE_RING_FULL;
        *target = at(tail) + sizeof(Prefix);
        return BYTE_RING_OK;
    }

    // Producer: shows the first `length` bytes of the reservation to the consumer; at most what was reserved. `tag` is
    // the caller's.
    void commit(std::size_t length, std::uint32_t tag) noexcept {
        const std::uint64_t tail = tail_.load(relaxed);
        const Prefix prefix{static_cast<std::uint32_t>(length), tag};
        std::memcpy(at(tail), &prefix, sizeof prefix);
        tail_.store(tail + footprint(length), release_order);
    }

    // Producer: reserve, copy, commit.
    int push(const void *data, std::size_t length, std::uint32_t tag) noexcept {
        char *target;
        const int status = reserve(length, &target);
        if (status == BYTE_RING_OK) {
            if (length != 0)
                std::memcpy(target, data, length);
            commit(length, tag);
        }
        return status;
    }

    // Consumer: the oldest record in place (8-byte aligned, 64 readable bytes behind it), or nullptr when empty. Stays
    // valid and the same until release(). Steps over a wrap mark.
    const char *peek(std::uint32_t *length, std::uint32_t *tag) noexcept {
        std::uint64_t head = head_.load(relaxed);
        for (;;) {
            if (head == cached_tail_) {
                cached_tail_ = tail_.load(acquire);
                if (head == cached_tail_)
                    return nullptr;
            }
            Prefix prefix;
            std::memcpy(&prefix, at(head), sizeof prefix);
            if (prefix.length != wrap_mark) {
                *length = prefix.length;
                *tag = prefix.tag;
                return at(head) + sizeof prefix;
            }
            head += mask_ + 1 - (head & mask_);
            head_.store(head, release_order);
        }
    }

    // Consumer: gives the record that peek() showed back to the producer.
    void release() noexcept {
        const std::uint64_t head = head_.load(relaxed);
        Prefix prefix;
        std::memcpy(&prefix, at(head), sizeof prefix);
        head_.store(head + footprint(prefix.length), release_order);
    }

    // Any thread: bytes in use (records, padding and wrap), as of some moment during the call.
    std::uint64_t used() const noexcept {
        const std::uint64_t head = head_.load(acquire);
        const std::uint64_t count = tail_.load(relaxed) - head;
        return count <= mask_ ? count : mask_ + 1;
    }

    // Any thread.
    std::uint64_t capacity() const noexcept { return mask_ + 1; }

private:
    explicit ByteRing(std::uint64_t capacity) noexcept : mask_(capacity - 1) {}

    static constexpr std::uint64_t footprint(std::uint64_t length) noexcept {
        return (sizeof(Prefix) + length + padding + 7) & ~std::uint64_t{7};
    }
    char *at(std::uint64_t position) noexcept {
        return reinterpret_cast<char *>(this) + sizeof(ByteRing) + (position & mask_);
    }
    bool has_room(std::uint64_t tail, std::uint64_t needed) noexcept {
        if (tail + needed - cached_head_ <= mask_ + 1)
            return true;
        cached_head_ = head_.load(acquire);
        return tail + needed - cached_head_ <= mask_ + 1;
    }

    const std::uint64_t mask_;  // first line: written once
    alignas(64) std::atomic<std::uint64_t> tail_{0};  // the producer's line
    std::uint64_t cached_head_ = 0;
    alignas(64) std::atomic<std::uint64_t> head_{0};  // the consumer's line
    std::uint64_t cached_tail_ = 0;
};

static_assert(sizeof(ByteRing) == 192);

}  // namespace orderflow
