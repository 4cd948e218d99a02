"""A capture of one Binance spot book dealt to several exchanges, and an engine that trades on those, clock and all in
memory."""
import json
from contextlib import contextmanager
from decimal import Decimal

import numpy as np

from orderflow._core.types import LEVEL_DTYPE
from orderflow.engine import Engine
from orderflow.research.captures import read_capture
from orderflow.research.simulation import BALANCES, DIRECT_START_NS, KEY, LIMITS, Venue, secret_of, session_of
from orderflow.servers.direct import DirectServer
from orderflow.simulator.accounts import AccountSettings
from orderflow.simulator.launch import SimulatorSettings, build
from tests.routing_books import SHARES, deal

NAMES = ("alpha", "beta", "gamma")
SYMBOL = "BTCUSDT"
DECIMALS = 8
FILTERS = [
    {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.00", "tickSize": "0.01"},
    {"filterType": "LOT_SIZE", "minQty": "0.00001", "maxQty": "9000", "stepSize": "0.00001"},
    {"filterType": "NOTIONAL", "minNotional": "0.0"},
]
METADATA = {"symbols": [{"symbol": SYMBOL, "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT",
                         "filters": FILTERS}]}


def scaled(text):
    """A number as written to the integer at DECIMALS."""
    return int(Decimal(text).scaleb(DECIMALS))


def dealt(levels, lot):
    """Of each exchange, its part of levels [price, quantity] as written; a quantity of 0 is one at each."""
    numbered = np.array([(i, scaled(quantity) // lot * lot) for i, (_, quantity) in enumerate(levels)], LEVEL_DTYPE)
    parts = [[[price, "0"] for price, _ in levels] for _ in SHARES]
    for part, own in zip(parts, deal(numbered, lot), strict=True):
        for i, quantity in own.tolist():
            part[i][1] = f"{Decimal(quantity).scaleb(-DECIMALS):f}"
    return parts


def write(path, folder, lot):
    """Depth of a capture as three captures: what an update says of a level is its whole quantity, so each is dealt by
    itself."""
    files = [(folder / f"{name}.tsv").open("w") for name in NAMES]
    for file in files:
        file.write(f"1\thttp\thttps://api.binance.com/api/v3/exchangeInfo\t{json.dumps(METADATA)}\n")
    for record in read_capture(path):
        body = json.loads(record.payload)
        if record.direction == "http":
            where, sides = body, ("bids", "asks")
        elif "@depth" in body["stream"]:
            where, sides = body["data"], ("b", "a")
        else:
            continue
        parts = {side: dealt(where[side], lot) for side in sides}
        for i, file in enumerate(files):
            for side in sides:
                where[side] = [level for level in parts[side][i] if record.direction != "http" or level[1] != "0"]
            file.write(f"{record.local_ns}\t{record.direction}\t{record.channel}\t{json.dumps(body)}\n")
    for file in files:
        file.close()


@contextmanager
def trading(folder, fees):
    """(engine, exchanges by name) over three captures in a folder, with these taker fees as text; no delays."""
    venues = [Venue(name, "binance_spot", SYMBOL, "0", fee) for name, fee in zip(NAMES, fees, strict=True)]
    exchanges = {venue.name: build(SimulatorSettings(
        venue.name, venue.protocol, capture=str(folder / f"{venue.name}.tsv"),
        accounts=(AccountSettings(KEY, secret_of(venue), balances=BALANCES),))) for venue in venues}
    sessions = [session_of(venue, f"http://{venue.name}", f"ws://{venue.name}") for venue in venues]
    problems: list[str] = []
    engine = Engine(sessions, DirectServer(exchanges, DIRECT_START_NS, problems.append), limits=LIMITS,
                    fees={venue.name: (venue.maker_fee, venue.taker_fee) for venue in venues})
    try:
        engine.start()
        yield engine, exchanges
        assert problems == []
    finally:
        engine.stop()
