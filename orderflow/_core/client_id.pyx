"""Python face of client_id.pxd, for sessions and tools."""
from libc.stdint cimport uint64_t

MOST_RUNS = (1 << RUN_BITS) - 1
MOST_INSTANCES = 1 << INSTANCE_BITS
COUNTERS = 1 << COUNTER_BITS


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


def prefix_of(instance, run):
    """What the client order ids of a run of an instance have above their counter.

    Parameters
    ----------
    instance : int
        0 to MOST_INSTANCES - 1.
    run : int
        1 to MOST_RUNS.
    """
    if not 0 <= instance < MOST_INSTANCES or not 0 < run <= MOST_RUNS:
        raise ValueError(f"instance {instance}, run {run}: expected 0 to {MOST_INSTANCES - 1} and 1 to {MOST_RUNS}")
    return instance << RUN_BITS | run


def first_of(prefix):
    """The first client order id of a run."""
    return prefix << COUNTER_BITS | 1


def decode(text):
    """Client order id of a text, 0 if orderflow did not write it."""
    cdef bytes raw = text.encode("utf-8", "surrogatepass")
    return read(raw, len(raw))
