// Board: an array of entries under sequence locks. One writer thread per entry, any number of readers of any entry.
//
// The latest value wins. The writer never waits: it makes the entry's sequence odd, copies, makes it even. A reader
// copies and accepts its copy only if the sequence was even and the same before and after; it tries a bounded number of
// times, since a writer that lost its processor half-way would otherwise stop the reader too.
//
// Free of data races in the C++ memory model: the payload moves as relaxed atomic words between fences, after
// H.-J. Boehm, "Can seqlocks get along with programming language memory models?", MSPC 2012. If a reader's word came
// from a write, the two fences make the odd sequence before that write visible to the reader's second look.
//
// An entry is one sequence word and the payload, on cache lines of its own. The payload is copied span by span so that
// the unused part of its arrays need not move.
//
// Lives in memory handed to it, 64-byte aligned, and holds no pointers.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>

namespace orderflow {

class alignas(64) SequenceBoard {
#ifdef ORDERFLOW_WEAKEN_BOARD  // planted mistake: tests/test_sanitizers.py proves that ThreadSanitizer would notice
    static constexpr auto acquire = std::memory_order_relaxed;
    static constexpr auto release = std::memory_order_relaxed;
#else
    static constexpr auto acquire = std::memory_order_acquire;
    static constexpr auto release = std::memory_order_release;
#endif
    static constexpr auto relaxed = std::memory_order_relaxed;

public:
    // Bytes of memory that place() needs. `payload_bytes` is a multiple of 8.
    static constexpr std::size_t bytes(std::uint64_t entries, std::size_t payload_bytes) noexcept {
        return sizeof(SequenceBoard) + entries * stride_of(payload_bytes);
    }

    // Set-up, before any thread starts: all entries zero. nullptr if the memory is not 64-byte aligned or payload_bytes
    // not a positive multiple of 8.
    static SequenceBoard *place(void *memory, std::uint64_t entries, std::size_t payload_bytes) noexcept {
        if (reinterpret_cast<std::uintptr_t>(memory) % 64 != 0 || payload_bytes == 0 || payload_bytes % 8 != 0)
            return nullptr;
        std::memset(memory, 0, bytes(entries, payload_bytes));
        return new (memory) SequenceBoard(entries, payload_bytes);
    }

    // Writer of the entry: from here until end_write() readers retry.
    void begin_write(std::uint64_t index) noexcept {
        auto lock = sequence(index);
        lock.store(lock.load(relaxed) + 1, relaxed);
        std::atomic_thread_fence(release);
    }

    // Writer of the entry, inside a write: copies `count` bytes (a multiple of 8) to `offset` of the payload.
    void store(std::uint64_t index, std::size_t offset, const void *source, std::size_t count) noexcept {
        char *target = payload(index) + offset;
#ifdef ORDERFLOW_TEAR_BOARD  // planted mistake: plain words
        std::memcpy(target, source, count);
#else
        for (std::size_t i = 0; i < count; i += 8) {
            std::uint64_t word;
            std::memcpy(&word, static_cast<const char *>(source) + i, 8);
            std::atomic_ref<std::uint64_t>(*reinterpret_cast<std::uint64_t *>(target + i)).store(word, relaxed);
        }
#endif
    }

    // Writer of the entry: the new payload counts from here on.
    void end_write(std::uint64_t index) noexcept {
        auto lock = sequence(index);
        lock.store(lock.load(relaxed) + 1, release);
    }

    // Any thread: a ticket for end_read(). Odd: a write is going on, do not bother.
    std::uint64_t begin_read(std::uint64_t index) noexcept { return sequence(index).load(acquire); }

    // Any thread, inside a read: copies `count` bytes (a multiple of 8). They mean nothing before end_read() says so.
    void load(std::uint64_t index, std::size_t offset, void *target, std::size_t count) noexcept {
        char *source = payload(index) + offset;
#ifdef ORDERFLOW_TEAR_BOARD
        std::memcpy(target, source, count);
#else
        for (std::size_t i = 0; i < count; i += 8) {
            const std::uint64_t word =
                std::atomic_ref<std::uint64_t>(*reinterpret_cast<std::uint64_t *>(source + i)).load(relaxed);
            std::memcpy(static_cast<char *>(target) + i, &word, 8);
        }
#endif
    }

    // Any thread: true if everything loaded since begin_read() gave `ticket` belongs to one write.
    bool end_read(std::uint64_t index, std::uint64_t ticket) noexcept {
        std::atomic_thread_fence(acquire);
        return (ticket & 1) == 0 && sequence(index).load(relaxed) == ticket;
    }

    // Any thread.
    std::uint64_t entries() const noexcept { return entries_; }

private:
    SequenceBoard(std::uint64_t entries, std::size_t payload_bytes) noexcept
        : entries_(entries), stride_(stride_of(payload_bytes)) {}

    static constexpr std::size_t stride_of(std::size_t payload_bytes) noexcept {
        return (sizeof(std::uint64_t) + payload_bytes + 63) & ~std::size_t{63};
    }
    char *entry(std::uint64_t index) noexcept {
        return reinterpret_cast<char *>(this) + sizeof(SequenceBoard) + index * stride_;
    }
    char *payload(std::uint64_t index) noexcept { return entry(index) + sizeof(std::uint64_t); }
    std::atomic_ref<std::uint64_t> sequence(std::uint64_t index) noexcept {
        return std::atomic_ref<std::uint64_t>(*reinterpret_cast<std::uint64_t *>(entry(index)));
    }

    const std::uint64_t entries_;
    const std::uint64_t stride_;
};

static_assert(sizeof(SequenceBoard) == 64);

}  // namespace orderflow
