"""How long a hop between two threads takes on this machine: for `orderflow doctor`, the benchmarks and the tests.

Each function is one side, native and without the GIL; start both in threads of their own, pinned as one likes.
Records are 64 bytes: seven words derived from the hop number, summed and checked by the receiver, so that the payload
really moves.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libcpp.atomic cimport atomic, memory_order_acquire, memory_order_release
from posix.stdlib cimport posix_memalign

import numpy as np

from orderflow._core.clock cimport monotonic_ns
from orderflow._core.doorbell cimport Doorbell, NativeDoorbell, pollfd, relax
from orderflow._core.ring cimport Ring, Ring64

cdef enum:
    WORDS = 7                   # of payload in a slot; the eighth is the ring's


cdef struct Outcome:            # of one side of a parking exchange
    uint64_t hops
    uint64_t wrong              # records that were not the expected ones
    uint64_t parks              # waits that reached the kernel
    uint64_t rings              # bells that did
    uint64_t lost               # waits that ended by the time-out with a record in the inbox


cdef nogil:
    inline bint send(Ring64 *outbox, uint64_t number) noexcept:
        cdef uint64_t *words = <uint64_t *>outbox.claim()
        cdef uint64_t i
        if words == NULL:
            return False
        for i in range(WORDS):
            words[i] = number + i
        outbox.publish()
        return True

    inline bint is_right(const void *record, uint64_t number) noexcept:
        cdef uint64_t total = 0
        cdef int i
        for i in range(WORDS):
            total += (<const uint64_t *>record)[i]
        return total == WORDS * number + WORDS * (WORDS - 1) // 2

    inline bint receive_spinning(Ring64 *inbox, uint64_t number) noexcept:
        cdef const void *record = inbox.peek()
        cdef bint right
        while record == NULL:
            relax()                     # as a spinning thread of the engine does (loops.pyx)
            record = inbox.peek()
        right = is_right(record, number)
        inbox.release()
        return right

    inline const void *await_record(Ring64 *inbox, NativeDoorbell *bell, uint64_t spins, int64_t patience_ns,
                                    Outcome *outcome) noexcept:
        """The protocol of doorbell.hpp; NULL when a wake-up was lost or nothing came for patience_ns."""
        cdef pollfd fds[1]
        cdef int64_t parked_at
        cdef const void *record = inbox.peek()
        while record == NULL and spins > 0:
            record = inbox.peek()
            spins -= 1
        while record == NULL:
            bell.prepare_park()
            record = inbox.peek()
            if record != NULL:
                bell.cancel_park()
                break
            parked_at = monotonic_ns()
            bell.wait(fds, 1, patience_ns)
            outcome.parks += 1
            record = inbox.peek()
            if monotonic_ns() - parked_at >= patience_ns:
                outcome.lost += record != NULL
                return NULL
        return record

    inline uint64_t shuffle(uint64_t state) noexcept:       # xorshift64 (Marsaglia 2003)
        state ^= state << 13
        state ^= state >> 7
        return state ^ (state << 17)

    Outcome exchange(Ring64 *inbox, Ring64 *outbox, NativeDoorbell *own, NativeDoorbell *other, uint64_t hops,
                     bint begins, uint32_t most_spins, uint64_t seed, int64_t patience_ns) noexcept:
        cdef Outcome outcome
        cdef const void *record
        cdef uint64_t number
        outcome.hops = outcome.wrong = outcome.parks = outcome.rings = outcome.lost = 0
        for number in range(hops):
            seed = shuffle(seed)
            if begins:
                send(outbox, number)
                outcome.rings += other.ring()
            record = await_record(inbox, own, seed % (most_spins + 1), patience_ns, &outcome)
            if record == NULL:
                break
            outcome.wrong += not is_right(record, number)
            inbox.release()
            outcome.hops += 1
            if not begins:
                send(outbox, number)
                outcome.rings += other.ring()
        return outcome


cdef Ring64 *slots_of_64(Ring ring) except NULL:
    if ring.of64 == NULL:
        raise ValueError("hops are measured over rings of 64-byte slots")
    return ring.of64


def exchange_parking(Ring inbox not None, Ring outbox not None, Doorbell own not None, Doorbell other not None,
                     uint64_t hops, bint begins, uint32_t most_spins=0, uint64_t seed=1,
                     int64_t patience_ns=2_000_000_000):
    """One side of `hops` round trips in which both sides park. Counts of hops, wrong, parks, rings, lost.

    Spins a random 0 .. most_spins times before parking, so that records arrive at every point of the protocol.
    Stops at a lost wake-up: a wait that timed out although a record was there.
    """
    cdef Ring64 *native_inbox = slots_of_64(inbox)
    cdef Ring64 *native_outbox = slots_of_64(outbox)
    cdef Outcome outcome
    with nogil:
        outcome = exchange(native_inbox, native_outbox, own.native, other.native, hops, begins, most_spins,
                           seed | 1, patience_ns)
    return outcome


def answer_spinning(Ring inbox not None, Ring outbox not None, uint64_t hops):
    """The answering side of ask_spinning; the number of wrong records."""
    cdef Ring64 *native_inbox = slots_of_64(inbox)
    cdef Ring64 *native_outbox = slots_of_64(outbox)
    cdef uint64_t number
    cdef uint64_t wrong = 0
    with nogil:
        for number in range(hops):
            wrong += not receive_spinning(native_inbox, number)
            send(native_outbox, number)
    return wrong


def ask_spinning(Ring inbox not None, Ring outbox not None, uint32_t batches, uint32_t batch):
    """batches * batch round trips: nanoseconds of each batch (int64), and the number of wrong records.

    Batches, because reading the clock for every round trip would be a quarter of what is measured.
    """
    cdef Ring64 *native_inbox = slots_of_64(inbox)
    cdef Ring64 *native_outbox = slots_of_64(outbox)
    taken = np.zeros(batches, dtype=np.int64)
    cdef int64_t[::1] taken_view = taken
    cdef uint64_t number = 0
    cdef uint64_t wrong = 0
    cdef int64_t started
    cdef uint32_t i, _j
    with nogil:
        for i in range(batches):
            started = monotonic_ns()
            for _j in range(batch):
                send(native_outbox, number)
                wrong += not receive_spinning(native_inbox, number)
                number += 1
            taken_view[i] = monotonic_ns() - started
    return taken, wrong


cdef class CacheLine:
    """One word on a line of its own: what the processor itself needs to move news from core to core.

    Its sides look again without a pause, which is how that limit is commonly measured.
    """
    cdef atomic[uint64_t] *word

    def __cinit__(self):
        cdef void *memory = NULL
        if posix_memalign(&memory, 128, 128):
            raise MemoryError("no memory for a cache line")
        self.word = <atomic[uint64_t] *>memory
        self.word.store(0)

    def __dealloc__(self):
        free(self.word)

    def answer(self, uint64_t hops):
        """The answering side of ask(); use a fresh CacheLine for each pair."""
        cdef uint64_t number
        with nogil:
            for number in range(hops):
                while self.word.load(memory_order_acquire) != 2 * number + 1:
                    pass
                self.word.store(2 * number + 2, memory_order_release)

    def ask(self, uint32_t batches, uint32_t batch):
        """batches * batch round trips: nanoseconds of each batch (int64)."""
        taken = np.zeros(batches, dtype=np.int64)
        cdef int64_t[::1] taken_view = taken
        cdef uint64_t number = 0
        cdef int64_t started
        cdef uint32_t i, _j
        with nogil:
            for i in range(batches):
                started = monotonic_ns()
                for _j in range(batch):
                    self.word.store(2 * number + 1, memory_order_release)
                    while self.word.load(memory_order_acquire) != 2 * number + 2:
                        pass
                    number += 1
                taken_view[i] = monotonic_ns() - started
        return taken


def produce(Ring outbox not None, uint64_t records):
    """Sends `records` records as fast as they are taken; the moment of the first (monotonic nanoseconds)."""
    cdef Ring64 *native = slots_of_64(outbox)
    cdef uint64_t number
    cdef int64_t started
    with nogil:
        started = monotonic_ns()
        for number in range(records):
            while not send(native, number):
                pass
    return started


def consume(Ring inbox not None, uint64_t records):
    """Takes and checks `records` records: the moment of the last (monotonic nanoseconds), and how many were wrong."""
    cdef Ring64 *native = slots_of_64(inbox)
    cdef uint64_t number
    cdef uint64_t wrong = 0
    with nogil:
        for number in range(records):
            wrong += not receive_spinning(native, number)
    return monotonic_ns(), wrong
