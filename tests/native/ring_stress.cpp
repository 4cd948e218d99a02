// Two threads, one ring, every word of every record checked. Exit 0 = all records came whole and in order.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>

#include "ring.hpp"

template <std::size_t SlotSize>
static int stress(std::uint64_t records) {
    using Ring = orderflow::Ring<SlotSize>;
    constexpr std::uint64_t capacity = 64;
    constexpr std::size_t words = SlotSize / 8 - 1;
    void *memory = std::aligned_alloc(orderflow::line_pair, Ring::bytes(capacity));
    Ring *ring = Ring::place(memory, capacity);
    std::thread producer([&] {
        for (std::uint64_t n = 0; n < records;) {
            auto *slot = static_cast<std::uint64_t *>(ring->claim());
            if (slot == nullptr) {
                std::this_thread::yield();
                continue;
            }
            for (std::size_t i = 0; i < words; ++i) slot[i] = n * words + i;
            ring->publish();
            ++n;
        }
    });
    int wrong = 0;
    for (std::uint64_t n = 0; n < records;) {
        const auto *slot = static_cast<const std::uint64_t *>(ring->peek());
        if (slot == nullptr) {
            std::this_thread::yield();
            continue;
        }
        for (std::size_t i = 0; i < words; ++i) wrong += slot[i] != n * words + i;
        ring->release();
        ++n;
    }
    producer.join();
    wrong += ring->size() != 0;
    std::free(memory);
    return wrong;
}

int main(int argc, char **argv) {
    const std::uint64_t records = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 20000;
    const int wrong = stress<64>(records) + stress<128>(records);
    std::printf("%d wrong\n", wrong);
    return wrong != 0;
}
