"""One flag per listing between its exchange thread and the router: a wake-up is on its way and was not looked at yet.

The exchange thread raises it after the board was written and pushes a wake-up only if it was down; the router lowers it
before it reads the board. So wake-ups conflate, none is lost, and a ring with a slot per listing and one more, for the
wake-up that is being served with its flag already down, cannot overflow. Both are atomic exchanges with acquire and
release: whoever lowers the flag sees the board as it was when it was raised.
"""
from libc.stdint cimport uint8_t


cdef extern from *:
    """
    #include <atomic>
    namespace orderflow {
    inline bool raise_flag(std::uint8_t *flag) noexcept {
        return std::atomic_ref<std::uint8_t>(*flag).exchange(1, std::memory_order_acq_rel) != 0;
    }
    inline void lower_flag(std::uint8_t *flag) noexcept {
        std::atomic_ref<std::uint8_t>(*flag).exchange(0, std::memory_order_acq_rel);
    }
    inline bool is_set(const std::uint8_t *flag) noexcept {
        return __atomic_load_n(flag, __ATOMIC_ACQUIRE) != 0;
    }
    inline void set_flag(std::uint8_t *flag) noexcept { __atomic_store_n(flag, std::uint8_t{1}, __ATOMIC_RELEASE); }
    }
    """
    bint raise_flag "orderflow::raise_flag"(uint8_t *flag) noexcept nogil      # exchange thread; was it up already
    void lower_flag "orderflow::lower_flag"(uint8_t *flag) noexcept nogil      # router
    bint is_set "orderflow::is_set"(const uint8_t *flag) noexcept nogil        # any thread
    void set_flag "orderflow::set_flag"(uint8_t *flag) noexcept nogil          # any thread
