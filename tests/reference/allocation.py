"""The split by trying everything: every quantity of every listing, judged by the rules as they are written."""
import itertools
from fractions import Fraction

BUY, SELL = 1, 2


def limit_of(listing, side, price):
    """The price, or the next one on the tick grid beyond it."""
    tick = max(int(listing["tick"]), 1)
    return -(-price // tick) * tick if side == BUY else price // tick * tick


def walk(listing, side, ladder, limit, quantity):
    """(limit price of the order, notional, all-in) of a quantity in listing scale; None if it is not there."""
    fee = int(listing["taker_fee"]) * (1 if side == BUY else -1)
    factor = int(listing["price_factor"])
    notional, worst, left = 0, None, quantity
    for price, available in ladder:
        if not left:
            break
        worst = limit_of(listing, side, price)
        if worst <= 0 or (limit and (worst * factor > limit if side == BUY else worst * factor < limit)):
            return None
        taken = min(left, available)
        notional += price * factor * taken * int(listing["quantity_factor"])
        left -= taken
    return None if left else (worst, notional, notional * (10**8 + fee))


def can_be_sent(listing, side, quantity, worst, cap, funds):
    value = Fraction(worst * quantity, 10 ** (int(listing["price_decimals"]) + int(listing["quantity_decimals"])))
    fee = Fraction(max(int(listing["taker_fee"]), 0), 10**8)
    return (quantity % max(int(listing["lot"]), 1) == 0
            and quantity >= listing["minimum_quantity"]
            and (not listing["maximum_quantity"] or quantity <= listing["maximum_quantity"])
            and value >= Fraction(int(listing["minimum_notional"]), 10**8)
            and (cap is None or quantity <= cap)
            and (side == SELL or funds is None or value * (1 + fee) <= Fraction(funds, 10**8)))


def split(listings, side, quantity, ladders, limit, usable, caps, funds):
    """(quantity, notional, all-in, [(quantity, limit price)]): fills most, then cheapest, then first listings first."""
    choices = []
    for i, (listing, ladder) in enumerate(zip(listings, ladders, strict=True)):
        options = [(0, 0, 0, 0)]
        for part in range(1, sum(available for _, available in ladder) + 1):
            found = walk(listing, side, ladder, limit, part) if usable[i] else None
            if found and can_be_sent(listing, side, part, found[0], caps[i], funds[i]):
                options.append((part, *found))
        choices.append(options)
    factors = [int(listing["quantity_factor"]) for listing in listings]
    best = None
    for parts in itertools.product(*choices):
        total = sum(part[0] * factor for part, factor in zip(parts, factors, strict=True))
        if total <= quantity:
            all_in = sum(part[3] for part in parts)
            rank = (total, -all_in if side == BUY else all_in, [part[0] for part in parts])
            if best is None or rank > best[0]:
                best = rank, parts, all_in
    rank, parts, all_in = best
    return rank[0], sum(part[2] for part in parts), all_in, [part[:2] for part in parts]
