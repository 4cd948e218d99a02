"""Python face of client_id.pxd, for sessions and tools."""
from libc.stdint cimport uint64_t


def encode(uint64_t client_order_id):
    """Text of a client order id: `of` and 13 characters of Crockford base 32.

    Parameters
    ----------
    client_order_id : int
        0 to 2**64 - 1. Zero has a text, but reads back as "foreign", which is what zero means everywhere.
    """
    cdef char[TEXT_LENGTH] text
    write(client_order_id, text)
    return text[:TEXT_LENGTH].decode("ascii")


def decode(text):
    """Client order id of a text, 0 if orderflow did not write it."""
    cdef bytes raw = text.encode("utf-8", "surrogatepass")
    return read(raw, len(raw))
