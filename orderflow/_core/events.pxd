"""What the exchange thread tells the control thread: one Event with its payload. Exchange thread only."""
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcpy, memset

from orderflow._core.byte_ring cimport ByteRingStatus
from orderflow._core.exchange_state cimport CONNECTIONS, ExchangeState
from orderflow._core.types cimport Event


cdef enum:
    EXCERPT = 256               # bytes of a refused frame shown to the user


cdef nogil:
    inline bint tell(ExchangeState *self, uint8_t kind, uint32_t connection, uint32_t listing, int64_t value,
                     int64_t detail, const char *payload, size_t size, int64_t now_ns) noexcept:
        """False when the control thread is too far behind; the event is counted as lost."""
        cdef char *out
        cdef Event *event
        if self.events.reserve(sizeof(Event) + size, &out) != ByteRingStatus.BYTE_RING_OK:
            self.events_lost += 1
            return False
        event = <Event *>out
        memset(event, 0, sizeof(Event))
        event.now_ns = now_ns
        event.value = value
        event.detail = detail
        event.listing = listing
        event.epoch = self.connections[connection].epoch if connection < CONNECTIONS else 0
        event.exchange = self.exchange
        event.kind = kind
        event.connection = <uint8_t>connection
        if size:
            memcpy(out + sizeof(Event), payload, size)
        self.events.commit(sizeof(Event) + size, kind)
        self.control_bell.ring()
        return True
