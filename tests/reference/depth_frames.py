"""Depth frames of a recorded Binance capture, joined to its REST snapshot by the exchange's rule."""
import gzip
from decimal import Decimal

import orjson


def read_depth_frames(path):
    """List of (bids, asks), each a list of [price, quantity] texts; the first pair is the snapshot.

    Binance, "How to manage a local order book correctly": spot drops updates with u < lastUpdateId + 1, the futures
    those with u < lastUpdateId.
    """
    snapshot, updates = None, []
    with gzip.open(path, "rt") as capture:
        for line in capture:
            _, direction, _, payload = line.rstrip("\n").split("\t")
            if direction == "http" and '"lastUpdateId"' in payload:
                snapshot = orjson.loads(payload)
            elif direction == "rx" and '"depthUpdate"' in payload:
                updates.append(orjson.loads(payload)["data"])
    first_kept = snapshot["lastUpdateId"] + ("pu" not in updates[0])
    joined = [(update["b"], update["a"]) for update in updates if update["u"] >= first_kept]
    return [(snapshot["bids"], snapshot["asks"]), *joined]


def scaled(levels, price_decimals, quantity_decimals):
    """[price, quantity] texts as integers, exactly."""
    out = []
    for price, quantity in levels:
        pair = Decimal(price).scaleb(price_decimals), Decimal(quantity).scaleb(quantity_decimals)
        if any(number % 1 for number in pair):
            raise ValueError(f"{price}, {quantity}: finer than {price_decimals}, {quantity_decimals} decimals")
        out.append((int(pair[0]), int(pair[1])))
    return out


def canonical(value, decimals):
    """The scaled integer as the goldens spell it: no exponent, no trailing zeros."""
    text = f"{Decimal(int(value)).scaleb(-decimals):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
