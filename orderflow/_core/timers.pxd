"""Timers of one loop: a bounded binary heap of (deadline, order of scheduling).

A heap because timers are few (hundreds) and mostly cancelled or moved before they expire: scheduling, cancelling and
expiring cost at most log2(capacity) moves of 24 bytes, looking at the next deadline one load. A timing wheel would
round deadlines, and a replay must expire the same timers at the same input. Equal deadlines expire in the order in
which they were scheduled.

A handle names a node and its generation, so cancelling a timer that has expired is harmless. One thread.
"""
from libc.stdint cimport INT64_MAX, int64_t, uint32_t, uint64_t


cdef struct TimerEntry:         # in heap order
    int64_t deadline_ns         # monotonic
    uint64_t order              # of scheduling; breaks ties
    uint32_t node


cdef struct TimerNode:
    uint64_t key                # the caller's
    uint32_t position           # in the heap; free nodes: the next free node
    uint32_t generation         # even = free, odd = scheduled


cdef struct Timers:
    TimerEntry *heap
    TimerNode *nodes
    uint64_t next_order
    uint32_t count
    uint32_t capacity
    uint32_t first_free         # == capacity: none


cdef nogil:
    inline bint before(const TimerEntry *a, const TimerEntry *b) noexcept:
        return a.deadline_ns < b.deadline_ns or (a.deadline_ns == b.deadline_ns and a.order < b.order)

    inline void put(Timers *self, uint32_t position, const TimerEntry *entry) noexcept:
        self.heap[position] = entry[0]
        self.nodes[entry.node].position = position

    inline void sift_up(Timers *self, uint32_t position, TimerEntry entry) noexcept:
        cdef uint32_t parent
        while position > 0:
            parent = (position - 1) >> 1
            if not before(&entry, &self.heap[parent]):
                break
            put(self, position, &self.heap[parent])
            position = parent
        put(self, position, &entry)

    inline void sift_down(Timers *self, uint32_t position, TimerEntry entry) noexcept:
        cdef uint32_t child
        while True:
            child = 2 * position + 1
            if child >= self.count:
                break
            if child + 1 < self.count and before(&self.heap[child + 1], &self.heap[child]):
                child += 1
            if not before(&self.heap[child], &entry):
                break
            put(self, position, &self.heap[child])
            position = child
        put(self, position, &entry)

    inline void remove_at(Timers *self, uint32_t position) noexcept:
        """Takes an entry out of the heap and frees its node; the last entry fills the hole."""
        cdef uint32_t node = self.heap[position].node
        cdef TimerEntry last
        self.nodes[node].generation += 1
        self.nodes[node].position = self.first_free
        self.first_free = node
        self.count -= 1
        if position != self.count:
            last = self.heap[self.count]
            if position > 0 and before(&last, &self.heap[(position - 1) >> 1]):
                sift_up(self, position, last)
            else:
                sift_down(self, position, last)

    inline uint64_t schedule(Timers *self, int64_t deadline_ns, uint64_t key) noexcept:
        """A handle for cancel(), never 0; 0 when full."""
        cdef uint32_t node = self.first_free
        cdef TimerEntry entry
        if node == self.capacity:
            return 0
        self.first_free = self.nodes[node].position
        self.nodes[node].key = key
        self.nodes[node].generation += 1
        entry.deadline_ns = deadline_ns
        entry.order = self.next_order
        entry.node = node
        self.next_order += 1
        self.count += 1
        sift_up(self, self.count - 1, entry)
        return (<uint64_t>self.nodes[node].generation << 32) | node

    inline uint32_t room(const Timers *self) noexcept:
        """For how many more there is room; with none `schedule` answers 0."""
        return self.capacity - self.count

    inline bint cancel(Timers *self, uint64_t handle) noexcept:
        """False if it has expired or was cancelled already, or if there never was such a timer."""
        cdef uint32_t node = <uint32_t>handle
        cdef uint32_t generation = <uint32_t>(handle >> 32)
        if node >= self.capacity or not generation & 1 or self.nodes[node].generation != generation:
            return False
        remove_at(self, self.nodes[node].position)
        return True

    inline int64_t next_deadline(const Timers *self) noexcept:
        """Monotonic; INT64_MAX when there is none."""
        return self.heap[0].deadline_ns if self.count else INT64_MAX

    inline int64_t park_timeout(const Timers *self, int64_t now_ns) noexcept:
        """For Doorbell.wait: nanoseconds to the next deadline, 0 when it is due, -1 when there is none."""
        if self.count == 0:
            return -1
        return self.heap[0].deadline_ns - now_ns if self.heap[0].deadline_ns > now_ns else 0

    inline bint expire(Timers *self, int64_t now_ns, uint64_t *key) noexcept:
        """Takes the first timer that is due (deadline <= now) and gives its key; call until False."""
        if self.count == 0 or self.heap[0].deadline_ns > now_ns:
            return False
        key[0] = self.nodes[self.heap[0].node].key
        remove_at(self, 0)
        return True


cdef class TimerHeap:
    """Owns the memory of one loop's timers."""
    cdef Timers timers
