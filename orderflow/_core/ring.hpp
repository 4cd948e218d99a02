// Ring: one producer thread, one consumer thread, fixed slots of 64 or 128 bytes.
//
// Why this shape. The classic ring (Lamport 1983) publishes through a shared tail index, so a hop moves two cache lines
// one after the other: the consumer sees the index, then fetches the slot. Here the last word of every slot is a stamp
// that says which position the slot holds (the idea of FastForward: Giacomoni, Moseley, Vachharajani, PPoPP 2008), so
// data and news of the data travel in one line, at twice the records per second. The consumer's index is read by the
// producer only when its cached copy says "full", which is once a lap; both live on lines of their own.
//
// What a hop costs. A polled line lies with the consumer, so the producer fetches it to write (one transfer), and the
// consumer fetches it again (half of that is hidden behind the first): two lines polled in turn, with nothing else, take
// 1.4 times half a ping-pong of one line on near cores and 1.6 times on far ones. That is the floor of any ring. Slots
// lie 128 bytes apart even when they hold 64: processors fetch lines in aligned pairs, and the slot beside would be
// taken back and forth with the one in use (a tenth of the hop and more).
//
// Worst case: a full ring. claim() returns nullptr and what that means is the caller's business (nothing is dropped or
// overwritten here). A consumer that keeps up with the producer line by line shares the line being written; that is one
// transfer more, not a fault. Fill a record beforehand and push() it, rather than computing while holding claim().
//
// Lives in memory handed to it, 128-byte aligned, and holds no pointers.
//
// DANGER: the last 8 bytes of a slot are the ring's; the structs of types.pxd name them `ring_stamp`. In a claimed slot
// write the fields, never the stamp. A stamp is salted with the ring's address, so that a record copied whole from
// another ring is still not taken for published, but such a copy is a data race. push() copies all but the stamp.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>

namespace orderflow {

inline constexpr std::size_t line_pair = 128;  // what memory for a ring is aligned to, and how far apart slots lie

template <std::size_t SlotSize>
class alignas(line_pair) Ring {
    static_assert(SlotSize == 64 || SlotSize == 128, "a slot is one or two cache lines");
    static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

#ifdef ORDERFLOW_WEAKEN_RING  // planted mistake: tests/test_sanitizers.py proves that ThreadSanitizer would notice
    static constexpr auto acquire = std::memory_order_relaxed;
    static constexpr auto release_order = std::memory_order_relaxed;
#else
    static constexpr auto acquire = std::memory_order_acquire;
    static constexpr auto release_order = std::memory_order_release;
#endif
    static constexpr auto relaxed = std::memory_order_relaxed;

public:
    static constexpr std::size_t payload_size = SlotSize - sizeof(std::uint64_t);

    // Bytes of memory that place() needs for a capacity.
    static constexpr std::size_t bytes(std::uint64_t capacity) noexcept {
        return sizeof(Ring) + capacity * line_pair;
    }

    // Set-up, before either thread starts: an empty ring in `memory`. nullptr if the memory is not aligned or the
    // capacity is not a power of two.
    static Ring *place(void *memory, std::uint64_t capacity) noexcept {
        if (reinterpret_cast<std::uintptr_t>(memory) % line_pair != 0) return nullptr;
        if (capacity == 0 || (capacity & (capacity - 1)) != 0) return nullptr;
        std::memset(memory, 0, bytes(capacity));
        return new (memory) Ring(capacity);
    }

    // Producer: the next free slot to write in place, or nullptr when full. The same slot again until publish().
    void *claim() noexcept {
        const std::uint64_t position = tail_.load(relaxed);
        if (position - cached_head_ > mask_) {
            cached_head_ = head_.load(acquire);
            if (position - cached_head_ > mask_)
                return nullptr;
        }
        return slot(position);
    }

    // Producer: shows the slot that claim() gave to the consumer.
    void publish() noexcept {
        const std::uint64_t position = tail_.load(relaxed);
        tail_.store(position + 1, relaxed);  // before the stamp, so that size() never sees the head beyond the tail
        stamp(position).store(stamp_of(position), release_order);
    }

    // Producer: copies a record of SlotSize bytes, all but its stamp; false when full.
    bool push(const void *record) noexcept {
        void *target = claim();
        if (target == nullptr)
            return false;
        std::memcpy(target, record, payload_size);
        publish();
        return true;
    }

    // Consumer: the oldest record, in place, or nullptr when empty. Stays valid and the same until release().
    const void *peek() noexcept {
        const std::uint64_t position = head_.load(relaxed);
        return stamp(position).load(acquire) == stamp_of(position) ? slot(position) : nullptr;
    }

    // Consumer: gives the record that peek() showed back to the producer.
    void release() noexcept { head_.store(head_.load(relaxed) + 1, release_order); }

    // Consumer: copies the oldest record out, with a stamp of zero; false when empty.
    bool pop(void *record) noexcept {
        const void *source = peek();
        if (source == nullptr)
            return false;
        std::memcpy(record, source, payload_size);
        std::memset(static_cast<char *>(record) + payload_size, 0, SlotSize - payload_size);
        release();
        return true;
    }

    // Any thread: records inside, as of some moment during the call.
    std::uint64_t size() const noexcept {
        const std::uint64_t head = head_.load(acquire);  // first: it is never beyond a tail that is read after it
        const std::uint64_t count = tail_.load(relaxed) - head;
        return count <= mask_ ? count : mask_ + 1;
    }

    // Any thread.
    std::uint64_t capacity() const noexcept { return mask_ + 1; }

private:
    explicit Ring(std::uint64_t capacity) noexcept
        : mask_(capacity - 1), salt_((reinterpret_cast<std::uintptr_t>(this) << 16) + 1) {}

    void *slot(std::uint64_t position) noexcept {
        return reinterpret_cast<char *>(this) + sizeof(Ring) + (position & mask_) * line_pair;
    }
    std::atomic_ref<std::uint64_t> stamp(std::uint64_t position) noexcept {
        return std::atomic_ref<std::uint64_t>(
            *reinterpret_cast<std::uint64_t *>(static_cast<char *>(slot(position)) + payload_size));
    }
    std::uint64_t stamp_of(std::uint64_t position) const noexcept { return salt_ + position; }

    const std::uint64_t mask_;  // first line: written once
    const std::uint64_t salt_;
    alignas(line_pair) std::atomic<std::uint64_t> tail_{0};  // the producer's line; others only look at it for size()
    std::uint64_t cached_head_ = 0;
    alignas(line_pair) std::atomic<std::uint64_t> head_{0};  // the consumer's line; the producer reads it once a lap
};

static_assert(sizeof(Ring<64>) == 384 && sizeof(Ring<128>) == 384);

}  // namespace orderflow
