"""What the router should have written of a decision, computed slowly from the books by rules as they are written."""
from tests.reference import allocation

BUY, SELL = allocation.BUY, allocation.SELL


def within(listing, side, ladder, limit):
    """Those levels that an order with a limit no worse than `limit` (instrument scale, 0 = any) reaches."""
    factor = int(listing["price_factor"])
    found = []
    for price, quantity in ladder:
        worst = allocation.limit_of(listing, side, price)
        if worst <= 0 or (limit and (worst * factor > limit if side == BUY else worst * factor < limit)):
            break
        found.append((price, quantity))
    return found


def sweep(listings, side, ladders, limit, usable, charges, quantity, caps=None):
    """All-in cost of a quantity (instrument scale) at the best prices, whatever the fees; None if it is not there."""
    levels = []
    for i, (listing, ladder) in enumerate(zip(listings, ladders, strict=True)):
        for place, (price, size) in enumerate(within(listing, side, ladder, limit) if usable[i] else ()):
            levels.append((price * int(listing["price_factor"]) * (1 if side == BUY else -1), i, place,
                           size * int(listing["quantity_factor"])))
    left, notional, taken = quantity, [0] * len(listings), [0] * len(listings)
    for price, i, _, size in sorted(levels):
        room = size
        if caps and caps[i] is not None:
            room = min(size, caps[i] * int(listings[i]["quantity_factor"]) - taken[i])
        part = min(room, left)
        notional[i] += abs(price) * part
        taken[i] += part
        left -= part
    if left:
        return None
    return sum(allocation.all_in(listing, side, taken[i] // int(listing["quantity_factor"]), notional[i], charges[i])
               for i, listing in enumerate(listings) if taken[i])


def alone(listings, side, quantity, ladders, limit, charges, i):
    """(quantity in instrument scale, all-in) of everything on one listing."""
    one = slice(i, i + 1)
    found = allocation.split(listings[one], side, quantity, ladders[one], limit, [True], [None], [None], charges[one])
    return found[0], found[2]
