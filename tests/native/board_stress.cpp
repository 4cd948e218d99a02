// One writer, two readers, one board entry: every accepted read must be one write, whole, and never older than the last.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "board.hpp"

int main(int argc, char **argv) {
    const std::uint64_t writes = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 20000;
    constexpr std::size_t words = 92;
    void *memory = std::aligned_alloc(64, orderflow::SequenceBoard::bytes(2, words * 8));
    auto *board = orderflow::SequenceBoard::place(memory, 2, words * 8);
    std::atomic<bool> done{false};
    std::atomic<int> wrong{0};
    std::atomic<std::uint64_t> reads[2] = {0, 0};   // writing goes on until both readers have seen enough of it
    auto reader = [&](int which) {
        std::uint64_t copy[words], last = 0;
        while (!done.load(std::memory_order_acquire)) {
            const std::uint64_t ticket = board->begin_read(1);
            if (ticket & 1) continue;
            board->load(1, 0, copy, sizeof copy);
            if (!board->end_read(1, ticket)) continue;
            for (std::size_t i = 1; i < words; ++i) wrong += copy[i] != copy[0] + i && copy[0] != 0;
            wrong += copy[0] < last;
            last = copy[0];
            reads[which].fetch_add(1, std::memory_order_relaxed);
        }
    };
    std::thread first(reader, 0), second(reader, 1);
    std::uint64_t payload[words];
    const std::uint64_t enough = writes / 20;
    auto behind = [&] { return reads[0].load(std::memory_order_relaxed) < enough || reads[1].load(std::memory_order_relaxed) < enough; };
    for (std::uint64_t n = 1; n <= writes || behind(); ++n) {
        if (n % 64 == 0) std::this_thread::yield();
        for (std::size_t i = 0; i < words; ++i) payload[i] = n * 1000 + i;
        board->begin_write(1);
        board->store(1, 0, payload, sizeof payload);
        board->end_write(1);
    }
    done.store(true, std::memory_order_release);
    first.join();
    second.join();
    std::free(memory);
    std::printf("%d wrong\n", wrong.load());
    return wrong != 0;
}
