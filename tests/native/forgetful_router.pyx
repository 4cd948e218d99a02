"""A defect on purpose: the order table forgets what its parents have had filled, which the router goes by."""
from orderflow._core.order_table cimport OrderTable


def forget_fills(OrderTable orders):
    """Only while no thread runs the router."""
    cdef unsigned int i
    for i in range(orders.table.parent_capacity):
        orders.table.parents[i].filled = 0
