"""A defect on purpose: the order table forgets what its parents have out and have had filled (the router reads that)."""
from orderflow._core.order_table cimport OrderTable


def forget_children(OrderTable orders):
    """Every parent looks as if nothing had been done for it. Only while no thread runs the router."""
    cdef unsigned int i
    for i in range(orders.table.parent_capacity):
        orders.table.parents[i].working = orders.table.parents[i].in_doubt = orders.table.parents[i].filled = 0
