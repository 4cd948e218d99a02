"""The split by trying everything: every quantity of every listing, judged by the rules as they are written."""
import itertools
from fractions import Fraction

BUY, SELL = 1, 2


def limit_of(listing, side, price):
    """The price, or the next one on the tick grid beyond it."""
    tick = max(int(listing["tick"]), 1)
    return -(-price // tick) * tick if side == BUY else price // tick * tick


def walk(listing, side, ladder, limit, quantity):
    """(limit price of the order, notional) of a quantity in listing scale; None if it is not there."""
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
    return None if left else (worst, notional)


def money_unit(listing):
    """What 1e-8 of the quote currency is in an all-in total."""
    return 10 ** (int(listing["price_decimals"]) + int(listing["quantity_decimals"])) \
        * int(listing["price_factor"]) * int(listing["quantity_factor"])


def all_in(listing, side, quantity, notional, charge):
    """What an order pays (brings): notional, fee of the tier that its quantity reaches, ticket."""
    ticket, tiers = charge
    fee = ([int(listing["taker_fee"])] + [rate for least, rate in tiers if quantity >= least])[-1]
    if side == BUY:
        return notional * (10**8 + fee) + ticket * money_unit(listing)
    return notional * (10**8 - fee) - ticket * money_unit(listing)


def can_be_sent(listing, side, quantity, worst, cap, funds, ticket=0):
    value = Fraction(worst * quantity, 10 ** (int(listing["price_decimals"]) + int(listing["quantity_decimals"])))
    fee = Fraction(max(int(listing["taker_fee"]), 0), 10**8)
    reserved = value * (1 + fee) + Fraction(ticket, 10**8)
    return (quantity % max(int(listing["lot"]), 1) == 0
            and quantity >= listing["minimum_quantity"]
            and (not listing["maximum_quantity"] or quantity <= listing["maximum_quantity"])
            and value >= Fraction(int(listing["minimum_notional"]), 10**8)
            and (cap is None or quantity <= cap)
            and (side == SELL or funds is None or reserved <= Fraction(funds, 10**8)))


def options(listings, side, ladders, limit, usable, caps, funds, charges=None):
    """Of each listing, by quantity: (quantity, limit price, notional, all-in) of everything that it can be sent."""
    out = []
    for i, (listing, ladder) in enumerate(zip(listings, ladders, strict=True)):
        charge = charges[i] if charges else (0, ())
        own = {0: (0, 0, 0, 0)}
        for part in range(1, sum(available for _, available in ladder) + 1):
            found = walk(listing, side, ladder, limit, part) if usable[i] else None
            if found and can_be_sent(listing, side, part, found[0], caps[i], funds[i], charge[0]):
                own[part] = (part, *found, all_in(listing, side, part, found[1], charge))
        out.append(own)
    return out


def split(listings, side, quantity, *market):
    """(quantity, notional, all-in, [(quantity, limit price)]): fills most, then cheapest, then first listings first.

    `market`: ladders, limit, usable, caps, funds and charges as of `options`.
    """
    factors = [int(listing["quantity_factor"]) for listing in listings]
    best = None
    for parts in itertools.product(*(own.values() for own in options(listings, side, *market))):
        total = sum(part[0] * factor for part, factor in zip(parts, factors, strict=True))
        if total <= quantity:
            paid = sum(part[3] for part in parts)
            rank = (total, -paid if side == BUY else paid, [part[0] for part in parts])
            if best is None or rank > best[0]:
                best = rank, parts, paid
    rank, parts, paid = best
    return rank[0], sum(part[2] for part in parts), paid, [part[:2] for part in parts]
