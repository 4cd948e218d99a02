// Two threads, one byte ring, records of every length; contents and tags checked, padding read as decoders do.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "byte_ring.hpp"

static std::size_t length_of(std::uint64_t n) { return static_cast<std::size_t>((n * 2654435761u) % 700); }

int main(int argc, char **argv) {
    const std::uint64_t records = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 20000;
    constexpr std::uint64_t capacity = 4096;
    void *memory = std::aligned_alloc(64, orderflow::ByteRing::bytes(capacity));
    auto *ring = orderflow::ByteRing::place(memory, capacity);
    std::thread producer([&] {
        for (std::uint64_t n = 0; n < records;) {
            const std::size_t length = length_of(n);
            char *target;
            if (ring->reserve(length, &target) != orderflow::BYTE_RING_OK) {
                std::this_thread::yield();
                continue;
            }
            std::memset(target, static_cast<int>(n & 0xff), length);
            ring->commit(length, static_cast<std::uint32_t>(n));
            ++n;
        }
    });
    int wrong = 0;
    for (std::uint64_t n = 0; n < records;) {
        std::uint32_t length, tag;
        const char *data = ring->peek(&length, &tag);
        if (data == nullptr) {
            std::this_thread::yield();
            continue;
        }
        wrong += length != length_of(n) || tag != static_cast<std::uint32_t>(n);
        for (std::uint32_t i = 0; i < length; ++i)
            wrong += static_cast<unsigned char>(data[i]) != (n & 0xff);
        ring->release();
        ++n;
    }
    producer.join();
    std::free(memory);
    std::printf("%d wrong\n", wrong);
    return wrong != 0;
}
