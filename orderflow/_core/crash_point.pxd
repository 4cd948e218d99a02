"""Places where a test can have the process die, as kill -9 would have it, to see what is left: builds for tests only.

    ORDERFLOW_CRASHPOINT=after-intent:3     at the third time that the process comes by

after-intent: an order is journalled and not yet shown to its exchange thread. mid-record: a record lies in the journal
without its checksum. after-send: an order was handed to the kernel, and nothing was said of that. before-ack-journal:
an acknowledgement was heard and not written down. after-fill-before-apply: a fill was written down and not counted.
in-segment-roll: a segment is full, and the next one has no header yet.

In the release build there is nothing in these places, not even a branch: it would cost next to nothing, but no
variable of the environment should be able to end an engine that trades. Builds that have them are those of setup.py but
the release and the benchmarks' (`segments.CRASH_POINTS` tells).
"""

cdef extern from *:
    """
    #ifdef ORDERFLOW_CRASHPOINTS
    #include <csignal>
    #include <cstdlib>
    #include <cstring>
    #include <unistd.h>
    #define ORDERFLOW_HAS_CRASHPOINTS 1
    namespace orderflow {
    inline void crash_point(const char *name) noexcept {
        static const char *const wanted = std::getenv("ORDERFLOW_CRASHPOINT");
        static long left = wanted && std::strchr(wanted, ':') ? std::atol(std::strchr(wanted, ':') + 1) : 1;
        if (wanted == nullptr || std::strlen(name) != std::strcspn(wanted, ":")
                || std::strncmp(name, wanted, std::strlen(name)) != 0) return;
        if (__atomic_sub_fetch(&left, 1, __ATOMIC_RELAXED) == 0) ::kill(::getpid(), SIGKILL);
    }
    }
    #else
    #define ORDERFLOW_HAS_CRASHPOINTS 0
    namespace orderflow { inline void crash_point(const char *) noexcept {} }
    #endif
    """
    void reached "orderflow::crash_point"(const char *name) noexcept nogil
    bint COMPILED "ORDERFLOW_HAS_CRASHPOINTS"
