"""Names of assets, for fees: a table given when the codec is made, searched from its beginning.

A fee is paid in the base, the quote or one discount asset, so an account meets a handful of names and the frequent ones
are listed first; a hash would cost more than it saves.
"""
from libc.stdint cimport uint16_t, uint32_t
from libc.string cimport memcmp

from orderflow._core.codec cimport NO_ASSET

cdef enum:
    ASSET_SIZE = 24


cdef struct Asset:
    uint32_t size
    char[ASSET_SIZE] name


cdef struct Assets:
    const Asset *names
    uint32_t count


cdef nogil:
    inline uint16_t find(const Assets *assets, const char *name, uint32_t size) noexcept:
        """Index of a name, NO_ASSET if it is not in the table."""
        cdef uint32_t i
        for i in range(assets.count):
            if assets.names[i].size == size and memcmp(assets.names[i].name, name, size) == 0:
                return <uint16_t>i
        return NO_ASSET
