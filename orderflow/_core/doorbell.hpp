// Doorbell: how a thread sleeps without missing work. One per thread: an eventfd and a word that says "parked".
//
//     owner                                          others
//     parked = 1          (prepare_park)             publish into the owner's inbox
//     full fence                                     full fence
//     look at every inbox once more                  if parked: parked = 0, one write to the eventfd   (ring)
//     nothing: wait(); something: cancel_park()
//
// Either the owner's second look sees the record, or the other thread sees the parked word: with both fences there is
// no third outcome (the store-load pattern of Dekker). While the owner is awake a ring costs a fence and a load of a
// line that nobody writes. Of several threads that find it parked, one pays the write.
//
// Worst case: a ring that was started just before the owner woke for another reason leaves a token in the eventfd, and
// the next wait() returns at once, for nothing. Owners must therefore treat every return as "look again".
#pragma once
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <ctime>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace orderflow {

// Any thread: tells the processor that this is a spin loop.
inline void relax() noexcept {
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("isb" ::: "memory");  // `yield` is a no-op on cores without SMT; isb waits some tens of cycles
#endif
}

class alignas(64) Doorbell {
    static constexpr auto relaxed = std::memory_order_relaxed;

    static void full_fence() noexcept {
#ifndef ORDERFLOW_WEAKEN_DOORBELL  // planted mistake: tests/test_sanitizers.py proves that the test would notice
        std::atomic_thread_fence(std::memory_order_seq_cst);
#endif
    }

public:
    // Set-up: 0, or the errno that says why there is no descriptor.
    int open() noexcept {
        descriptor_ = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
        return descriptor_ < 0 ? errno : 0;
    }

    // Tear-down, when no thread can ring any more.
    void close() noexcept {
        if (descriptor_ >= 0)
            ::close(descriptor_);
        descriptor_ = -1;
    }

    // Owner: from here on others ring. Look at every inbox after this, before wait().
    void prepare_park() noexcept {
        parked_.store(1, relaxed);
        full_fence();
    }

    // Owner: the second look found something.
    void cancel_park() noexcept { parked_.store(0, relaxed); }

    // Owner, after prepare_park(): sleeps until the bell, until one of fds[1 .. count) is ready, or for timeout_ns
    // nanoseconds (negative: without end). fds[0] is the bell's and is filled in here. Returns how many of the caller's
    // descriptors are ready (0 also for the bell, the time-out and a signal), or -errno. No longer parked afterwards.
    int wait(pollfd *fds, unsigned count, std::int64_t timeout_ns) noexcept {
        fds[0] = pollfd{descriptor_, POLLIN, 0};
        constexpr std::int64_t second = 1000000000;
        const timespec limit{static_cast<std::time_t>(timeout_ns / second), static_cast<long>(timeout_ns % second)};
        const int ready = ::ppoll(fds, count, timeout_ns < 0 ? nullptr : &limit, nullptr);
        const int failure = errno;
        parked_.store(0, relaxed);
        if (ready < 0)
            return failure == EINTR ? 0 : -failure;
        if (fds[0].revents == 0)
            return ready;
        take();
        return ready - 1;
    }

    // Owner: empties the bell. wait() does it; an event loop that watches descriptor() calls it when that is readable,
    // then prepare_park() again, and looks at its inboxes after that.
    void take() noexcept {
        std::uint64_t tokens;
        while (::read(descriptor_, &tokens, sizeof tokens) < 0 && errno == EINTR) {
        }
    }

    // Any thread, after publishing: wakes the owner if it is parked. True if it took a system call.
    bool ring() noexcept {
        full_fence();
        if (parked_.load(relaxed) == 0 || parked_.exchange(0, relaxed) == 0)
            return false;
        const std::uint64_t token = 1;
        while (::write(descriptor_, &token, sizeof token) < 0 && errno == EINTR) {
        }
        return true;
    }

    // Any thread: true between prepare_park() and the first ring or the owner's waking.
    bool parked() const noexcept { return parked_.load(relaxed) != 0; }

    // Any thread: readable while a ring has not been taken.
    int descriptor() const noexcept { return descriptor_; }

private:
    std::atomic<std::uint32_t> parked_{0};
    int descriptor_ = -1;
};

static_assert(sizeof(Doorbell) == 64);

}  // namespace orderflow
