"""Shows to Python what a parent with time to spare pays."""
from libc.stdint cimport int64_t
from libc.string cimport memset


def share_at(int urgency, int64_t start_ns, int64_t end_ns, int64_t now_ns):
    """How far a parent order of that urgency (1 to 100) goes from the best all-in price to the dearest that it needs,
    in 1e-6; the times are of one clock.

    Raises ValueError that names the argument that is wrong.
    """
    cdef ParentOrder order
    if not 0 < urgency <= <int>AT_ONCE:
        raise ValueError(f"urgency {urgency}: expected 1 to {<int>AT_ONCE}")
    if end_ns <= start_ns:
        raise ValueError(f"end_ns {end_ns}: it is not after start_ns {start_ns}")
    memset(&order, 0, sizeof(ParentOrder))
    order.urgency = <unsigned char>urgency
    order.start_ns, order.end_ns = start_ns, end_ns
    return share(&order, now_ns)


def looks(int64_t start_ns, int64_t end_ns):
    """When a patient parent looks at the books even if none has changed, a list of nanoseconds of one clock."""
    cdef ParentOrder order
    cdef int64_t at_ns = start_ns
    memset(&order, 0, sizeof(ParentOrder))
    order.start_ns, order.end_ns = start_ns, end_ns
    found = []
    while True:
        at_ns = next_look_ns(&order, at_ns)
        if at_ns == 0:
            return found
        found.append(at_ns)
