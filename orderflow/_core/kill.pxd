"""The kill switch: one cache line that every send gate reads, and a thread that sees to it that somebody acts on it.

    anybody ── pull ──> KillLine <── read by every gate, for every order
                           │
    kill thread  rings every doorbell, waits for what the exchange threads write, says so to whoever asked
                           │
    exchange threads  cancel from their own tables ──> KillProgress, one line an exchange

Why a line and a counter instead of a message: a message needs room in a ring, a reader that gets to it, and a place in
a queue behind other messages. A word in memory needs none of that and cannot be full. `triggers` is written last, so
whoever sees a new number sees what it is about; a loop that has acted on fewer cancels, once for each number.

The kill thread waits for its own doorbell and for a datagram of the control socket. Nothing on its way allocates, takes
the GIL or waits for user code: a datagram is taken, the line is written and the bells are rung while Python may be
stuck in a regular expression. Requests and replies are structs of a fixed size, and the socket's file is mode 0600: who
may write to it is decided by the kernel. It also looks at the heartbeats of the threads. One that stands still is
killed as an exchange, so that it sends nothing should it come back, and handed to the watchdog process, which cancels
over a connection of its own (orderflow/watchdog.py).

Set again by hand only: nothing here ever lowers what was raised, but `rearm`.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from orderflow._core.doorbell cimport Doorbell, NativeDoorbell

cdef enum:
    MOST_EXCHANGES = 32         # as the router
    MOST_STRATEGIES = 64        # bits of a word; the number is ChildOrder.strategy
    MOST_THREADS = MOST_EXCHANGES + 2
    MOST_WAITING = 16           # requests whose answer is waited for; more are answered at once
    NAME_SIZE = 32
    ADDRESS_SIZE = 112          # sockaddr_un


cpdef enum KillScope:
    KILL_EVERYTHING = 1
    KILL_EXCHANGE = 2
    KILL_STRATEGY = 3


cpdef enum KillCause:
    NOT_KILLED = 0
    KILLED_BY_CALL = 1          # Engine.kill
    KILLED_BY_SOCKET = 2        # `orderflow kill`
    KILLED_BY_STANDSTILL = 3    # a native thread's heartbeat stood still
    KILLED_BY_FAULT = 4         # the router found an invariant broken
    KILLED_BY_STRATEGY = 5      # it asked for it


cpdef enum KillAnswer:          # to a request
    KILL_DONE = 0               # every exchange thread that it concerns has written its cancels, or has no connection
    KILL_UNDER_WAY = 1          # some has not, within a second: see the entries
    KILL_NOT_UNDERSTOOD = 2     # not a KillRequest of this version
    KILL_UNKNOWN_NAME = 3


cpdef enum ExchangeAnswer:      # of one exchange
    NOT_CONCERNED = 0
    CANCELS_WRITTEN = 1
    NO_CONNECTION = 2           # it cancels when its order connection is back
    NOT_ANSWERED = 3            # its thread has not looked


cdef struct KillLine:           # 64 bytes: read by every send gate
    uint64_t triggers           # how often it was pulled; written last
    uint64_t everything         # 0 or 1
    uint64_t exchanges          # bit by exchange index
    uint64_t strategies         # bit by strategy number
    int64_t pulled_ns           # monotonic, the last time
    uint64_t cause              # KillCause, of the last time
    uint64_t reserved[2]


cdef struct KillProgress:       # 64 bytes: written by one exchange thread
    uint64_t seen               # `triggers` that it has acted on; written last
    uint64_t cancels            # frames written for the last of them
    uint64_t left               # orders concerned that could not be cancelled: tried again
    int64_t done_ns             # monotonic, when the last cancel was written
    uint64_t answer             # ExchangeAnswer
    uint64_t open_orders        # in its table; as of the last look
    uint64_t takes_orders
    uint64_t reserved


cdef struct KillRequest:        # 64 bytes: one datagram
    char magic[8]
    uint32_t scope              # KillScope
    uint32_t reserved
    char name[NAME_SIZE]        # of the exchange or strategy; zeros behind it
    uint64_t number             # comes back
    uint64_t reserved_too


cdef struct KillEntry:          # 48 bytes
    char name[NAME_SIZE]
    uint32_t cancels
    uint32_t left
    uint32_t answer             # ExchangeAnswer
    uint32_t reserved


cdef struct KillReply:
    char magic[8]
    uint32_t answer             # KillAnswer
    uint32_t count              # of entries
    uint64_t number             # of the request
    int64_t took_ns             # from the request's arrival to the last cancel written
    KillEntry entries[MOST_EXCHANGES]


cdef struct Requester:
    uint8_t address[ADDRESS_SIZE]
    uint32_t address_size       # 0 = a free place
    uint64_t number
    uint64_t trigger            # which one it waits for
    uint64_t exchanges          # of which it waits
    int64_t came_ns


cdef struct Beat:               # of one native thread
    const int64_t *heartbeat
    int64_t seen                # its last value
    int64_t moved_ns            # when it was last seen to change
    uint64_t exchanges          # bits of those whose loops it runs
    uint8_t reported


cdef struct Switch:
    KillLine *line
    KillProgress *progress
    NativeDoorbell *bell        # of the kill thread
    NativeDoorbell *bells[MOST_THREADS]
    Beat beats[MOST_THREADS]
    Requester waiting[MOST_WAITING]
    char exchange_names[MOST_EXCHANGES][NAME_SIZE]
    char strategy_names[MOST_STRATEGIES][NAME_SIZE]
    uint32_t exchange_count
    uint32_t bell_count
    uint32_t beat_count
    int socket                  # -1 = none
    int watchdog                # a pipe, -1 = none
    int told                    # an eventfd that Python waits for, -1 = none
    uint64_t rung               # triggers whose bells have been rung
    int64_t looked_ns           # at the heartbeats
    int64_t standstill_ns       # how long a heartbeat may stand still; 0 = for ever
    uint64_t refused            # datagrams that were no request
    uint8_t stopping


cdef extern from *:
    """
    #include <atomic>
    #include <cstdint>
    namespace orderflow {
    inline std::uint64_t kill_load(const std::uint64_t *word) noexcept {
        return __atomic_load_n(word, __ATOMIC_ACQUIRE);
    }
    inline void kill_store(std::uint64_t *word, std::uint64_t value) noexcept {
        __atomic_store_n(word, value, __ATOMIC_RELEASE);
    }
    inline void kill_raise(std::uint64_t *word, std::uint64_t bits) noexcept {
        __atomic_fetch_or(word, bits, __ATOMIC_SEQ_CST);
    }
    inline void kill_lower(std::uint64_t *word, std::uint64_t bits) noexcept {
        __atomic_fetch_and(word, ~bits, __ATOMIC_SEQ_CST);
    }
    inline std::uint64_t kill_count(std::uint64_t *word) noexcept {
        return __atomic_add_fetch(word, 1, __ATOMIC_SEQ_CST);
    }
    inline std::int64_t kill_time(const std::int64_t *word) noexcept { return __atomic_load_n(word, __ATOMIC_RELAXED); }
    }
    """
    uint64_t load "orderflow::kill_load"(const uint64_t *word) noexcept nogil                   # any thread
    void store "orderflow::kill_store"(uint64_t *word, uint64_t value) noexcept nogil           # the word's one writer
    void raise_bits "orderflow::kill_raise"(uint64_t *word, uint64_t bits) noexcept nogil       # any thread
    void lower_bits "orderflow::kill_lower"(uint64_t *word, uint64_t bits) noexcept nogil       # rearm
    uint64_t count_up "orderflow::kill_count"(uint64_t *word) noexcept nogil                    # any thread
    int64_t load_time "orderflow::kill_time"(const int64_t *word) noexcept nogil                # any thread


cdef nogil:
    inline uint64_t bit_of(uint32_t number) noexcept:
        return <uint64_t>1 << (number & 63)

    inline bint stops_exchange(const KillLine *line, uint64_t exchange_bit) noexcept:
        """Whether all orders of an exchange are to go. Any thread."""
        return load(&line.everything) != 0 or (load(&line.exchanges) & exchange_bit) != 0

    inline bint stops(const KillLine *line, uint64_t exchange_bit, uint32_t strategy) noexcept:
        """Whether an order of a strategy may not be sent to an exchange. Any thread."""
        return stops_exchange(line, exchange_bit) or (load(&line.strategies) & bit_of(strategy)) != 0

    inline uint64_t pull(KillLine *line, uint32_t scope, uint32_t number, uint32_t cause, int64_t now_ns) noexcept:
        """Raise what is to stop, then count: which trigger this was. Gates refuse from the first store on. Any thread;
        ring the kill thread after it."""
        line.pulled_ns = now_ns
        line.cause = cause
        if scope == KillScope.KILL_EXCHANGE:
            raise_bits(&line.exchanges, bit_of(number))
        elif scope == KillScope.KILL_STRATEGY:
            raise_bits(&line.strategies, bit_of(number))
        else:
            raise_bits(&line.everything, 1)
        return count_up(&line.triggers)


cdef class KillSwitch:
    cdef Switch *switch
    cdef readonly Doorbell bell
    cdef list kept_alive
    cdef readonly tuple exchanges
    cdef tuple strategies

    cdef uint32_t _number(self, uint32_t scope, str name) except? 0xffffffff
    cdef void _watch(self) noexcept nogil
