"""Channels that an exchange names by a number of the connection: what each stands for, as its acknowledgement said.

There is one place for each kind of channel of each listing, so the table is of fixed size, and a subscription that is
made anew takes the place of the one before: what still comes under an old number is nobody's. A connection carries some
tens of channels, which are looked through one by one, beginning with the one that was found last.
"""
from libc.stdint cimport int32_t, int64_t, uint32_t

cdef enum:
    NOT_SUBSCRIBED = -1


cdef struct Channel:
    int64_t number              # NOT_SUBSCRIBED or more
    int32_t listing
    uint32_t kind               # in the codec's words


cdef struct Channels:
    Channel *places             # listing and kind of each are set when the codec is made
    uint32_t count
    uint32_t last


cdef nogil:
    inline void clear(Channels *channels) noexcept:
        """A new connection: no number stands for anything."""
        cdef uint32_t i
        for i in range(channels.count):
            channels.places[i].number = NOT_SUBSCRIBED
        channels.last = 0

    inline Channel *find(Channels *channels, int64_t number) noexcept:
        """The channel of a number, NULL if it is none of ours."""
        cdef uint32_t i
        if channels.count and channels.places[channels.last].number == number:
            return &channels.places[channels.last]
        for i in range(channels.count):
            if channels.places[i].number == number:
                channels.last = i
                return &channels.places[i]
        return NULL

    inline void forget(Channels *channels, int64_t number) noexcept:
        """The number stands for nothing of ours any more."""
        cdef Channel *channel = find(channels, number)
        if channel is not NULL:
            channel.number = NOT_SUBSCRIBED

    inline void assign(Channels *channels, int64_t number, int32_t listing, uint32_t kind) noexcept:
        """From now on the number stands for this channel, and no other number does."""
        cdef uint32_t i
        forget(channels, number)
        for i in range(channels.count):
            if channels.places[i].listing == listing and channels.places[i].kind == kind:
                channels.places[i].number = number
