"""Owns timers and shows them to Python."""
from libc.stdlib cimport calloc, free


cdef class TimerHeap:
    """TimerHeap(capacity): at most `capacity` timers at a time. One thread."""

    def __cinit__(self, uint32_t capacity):
        cdef uint32_t i
        if capacity == 0 or capacity > 1 << 24:
            raise ValueError(f"capacity={capacity}: give the largest number of timers at a time, 1 to {1 << 24}")
        self.timers.heap = <TimerEntry *>calloc(capacity, sizeof(TimerEntry))
        self.timers.nodes = <TimerNode *>calloc(capacity, sizeof(TimerNode))
        if self.timers.heap == NULL or self.timers.nodes == NULL:
            raise MemoryError(f"no memory for {capacity} timers")
        self.timers.capacity = capacity
        for i in range(capacity):
            self.timers.nodes[i].position = i + 1

    def __dealloc__(self):
        free(self.timers.heap)
        free(self.timers.nodes)

    def __len__(self):
        return self.timers.count

    def schedule(self, int64_t deadline_ns, uint64_t key):
        """A handle for cancel(); OverflowError when `capacity` timers are pending."""
        cdef uint64_t handle = schedule(&self.timers, deadline_ns, key)
        if handle == 0:
            raise OverflowError(f"{self.timers.capacity} timers are pending, which is all this heap holds")
        return handle

    def cancel(self, uint64_t handle):
        """False if the timer has expired or was cancelled."""
        return cancel(&self.timers, handle)

    def next_deadline(self):
        """Monotonic nanoseconds; None when nothing is pending."""
        return next_deadline(&self.timers) if self.timers.count else None

    def park_timeout(self, int64_t now_ns):
        """Nanoseconds to the next deadline, 0 when it is due, -1 when there is none."""
        return park_timeout(&self.timers, now_ns)

    def expire(self, int64_t now_ns):
        """Keys of all timers due at now_ns, in order."""
        cdef uint64_t key = 0
        cdef list keys = []
        while expire(&self.timers, now_ns, &key):
            keys.append(key)
        return keys
