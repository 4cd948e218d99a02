"""Bytes to messages: every frame of recorded Binance captures through the codec, against orjson.loads alone.

orjson leaves strings that somebody still has to turn into numbers, so it does less. What the codec found is checked
before any number counts: as many levels, and the same sum over them, as Decimal makes of the same frames. A frame is
read in the order of the recording; times are CPU time of the thread. Run alone: `python bench/bench_decode.py`.
"""
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import orjson
import pytest

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "bench"), str(ROOT / "bench/native")]

import build  # noqa: E402
from bars import bar  # noqa: E402
from orderflow._core.codec import DecodeOutput  # noqa: E402
from orderflow._core.codecs.binance import BinanceMarketData  # noqa: E402
from orderflow._core.types import LISTING_DTYPE  # noqa: E402
from orderflow.simulator.recording import read_capture  # noqa: E402
from tests.reference.depth_frames import scaled  # noqa: E402

FEEDS = ROOT.parent / "shared/feeds"
ROUNDS, FRAMES = 15, 30_000
CASES = [       # market, capture, decimals; gate and aim against orjson; gate and aim of ns per frame
    ("spot", "binance_spot_btcusdt_20240808", (8, 8), 1.5, 4, 2000, 300),
    ("usdm", "binance_usdm_btcusdt_20240808", (2, 3), 1.5, 4, 2000, 400),
]


def levels_of(event):
    """Prices and quantities that the codec makes levels of; of a best bid or ask without quantity there is none."""
    if event.get("e") == "depthUpdate":
        return event["b"] + event["a"]
    if event.get("e", "bookTicker") == "bookTicker":
        return [level for level in ([event["b"], event["B"]], [event["a"], event["A"]]) if float(level[1])]
    return []


def expected(frames, decimals):
    """(levels, sum over them) as Decimal has them."""
    count = total = 0
    for frame in frames:
        for price, quantity in scaled(levels_of(orjson.loads(frame)["data"]), *decimals):
            count += 1
            total += price ^ quantity
    return count, total % 2**64


@pytest.mark.parametrize(("market", "name", "decimals", "gate", "aim", "slow", "fast"), CASES,
                         ids=[case[0] for case in CASES])
def test_decode(market, name, decimals, gate, aim, slow, fast):
    path = FEEDS / f"captures/{name}.tsv.gz"
    if not path.exists():
        pytest.skip(f"no recorded feeds at {FEEDS}")
    build.build("decode_replay")
    import decode_replay
    frames = [record.payload.encode() for record in read_capture(path) if record.direction == "rx"][:FRAMES]
    listings = np.zeros(1, LISTING_DTYPE)
    listings["price_decimals"], listings["quantity_decimals"] = decimals
    symbol = orjson.loads(frames[0])["data"]["s"]
    codec, out = BinanceMarketData(listings, {symbol: 0}, market=market), DecodeOutput()
    replay = decode_replay.Replay(frames)
    ours, theirs = [], []
    for turn in range(ROUNDS):
        elapsed, count, total = replay.decode(codec, out)
        if turn == 0:
            assert (count, total) == expected(frames, decimals)
        ours.append(elapsed)
        begin = time.thread_time_ns()
        for frame in frames:
            orjson.loads(frame)
        theirs.append(time.thread_time_ns() - begin)
    size = sum(map(len, frames))
    taken = statistics.median(ours)
    print(f"{market}: {taken / len(frames):.0f} ns a frame of {size / len(frames):.0f} bytes, "
          f"{taken / count:.1f} ns a level, {size / taken:.2f} GB/s; "
          f"orjson.loads {statistics.median(theirs) / len(frames):.0f} ns a frame")
    met = [bar(f"decode {market}: orjson.loads alone / ours", statistics.median(theirs) / taken, gate, aim, "higher"),
           bar(f"decode {market}, a frame", taken / len(frames), slow, fast, "lower", "ns")]
    assert all(met)


if __name__ == "__main__":
    for case in CASES:
        test_decode(*case)
