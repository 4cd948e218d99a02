"""What the exchange thread keeps of its input so that a run can be replayed. Exchange thread only."""
from libc.stdint cimport int64_t, uint8_t, uint32_t
from libc.string cimport memcpy, memset

from orderflow._core cimport pending
from orderflow._core.byte_ring cimport ByteRingStatus
from orderflow._core.doorbell cimport relax
from orderflow._core.exchange_state cimport CONNECTIONS, ExchangeState
from orderflow._core.types cimport Recorded


cdef nogil:
    inline void record(ExchangeState *self, uint8_t kind, uint32_t connection, uint32_t listing, int64_t value,
                       const char *payload, size_t size, int64_t now_ns) noexcept:
        """Keep what decides this exchange's boards, in the order in which it was taken. Nothing is dropped: when the
        recorder is behind the thread waits for it, as it does for the tape."""
        cdef char *out
        cdef Recorded *header
        if self.recording is NULL or pending.is_set(self.recording_closed):
            return
        while self.recording.reserve(sizeof(Recorded) + size, &out) != ByteRingStatus.BYTE_RING_OK:
            if pending.is_set(self.recording_closed):
                return
            relax()
        header = <Recorded *>out
        memset(header, 0, sizeof(Recorded))
        header.now_ns = now_ns
        header.value = value
        header.epoch = self.connections[connection].epoch if connection < CONNECTIONS else 0
        header.listing = listing
        header.kind = kind
        header.connection = <uint8_t>connection
        if size:
            memcpy(out + sizeof(Recorded), payload, size)
        self.recording.commit(sizeof(Recorded) + size, kind)
