"""The consolidated book by sorting, with Python's integers."""

BUY, SELL = 1, 2


def merge(listings, side, ladders, usable):
    """(position, price, quantity, all-in) of every level, cheapest first, ties by position."""
    entries = []
    for position, (listing, ladder) in enumerate(zip(listings, ladders, strict=True)):
        if usable[position]:
            fee = int(listing["taker_fee"]) * (1 if side == BUY else -1)
            for rank, (price, quantity) in enumerate(ladder):
                price *= int(listing["price_factor"])
                all_in = price * (10**8 + fee)
                key = (all_in if side == BUY else -all_in, position, rank)
                entries.append((key, (position, price, quantity * int(listing["quantity_factor"]), all_in)))
    return [entry for _, entry in sorted(entries)]


def cost(entries, side, quantity):
    """(quantity, notional, all-in total, worst price)."""
    left, notional, total, prices = quantity, 0, 0, [0]
    for _, price, available, all_in in entries:
        taken = min(left, available)
        if taken:
            notional += price * taken
            total += all_in * taken
            prices.append(price)
            left -= taken
    used = prices[1:] or [0]
    return quantity - left, notional, total, max(used) if side == BUY else min(used)


def quantity_within(entries, side, limit):
    return sum(quantity for _, price, quantity, _ in entries if (price <= limit if side == BUY else price >= limit))
