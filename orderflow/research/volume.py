"""Volume curves out of tapes and recorded runs: what is traded at which time of day, for the algorithm `vwap`."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from orderflow._core.algos.volume_curve import BUCKETS
from orderflow._core.types import TapeKind
from orderflow.research import tca_journal
from orderflow.research.tape import Tape
from orderflow.research.tca_market import Market, Moment, has_frames

#: Of the BUCKETS of a day (UTC).
BUCKET_NS = 86_400 * 10**9 // BUCKETS


def volume_curve(tapes: Sequence[Tape], symbol: str) -> np.ndarray:
    """Volume to be expected in each five minutes of a day, base currency, float64 array (288,), midnight UTC first.

    The mean of what the tapes saw, each bucket by the time that they cover of it; a bucket that none covers has the
    mean of the others. Tapes of one exchange: where an instrument trades on several, their curves are added.

    Parameters
    ----------
    tapes : sequence of Tape
        Of any days; their trades have the exchange's time.
    symbol : str
        As the exchange names it.

    Raises
    ------
    ValueError
        A tape does not have the symbol, or none has a trade of it.
    """
    volume, covered = np.zeros(BUCKETS), np.zeros(BUCKETS)
    for number, tape in enumerate(tapes):
        index = next((at for at, listing in enumerate(tape.listings) if listing.symbol == symbol), None)
        if index is None:
            raise ValueError(f"symbol {symbol!r}: tape {number} has "
                             f"{', '.join(listing.symbol for listing in tape.listings) or 'none'}")
        plain = tape.view(np.ndarray)
        own = plain[(plain["listing"] == index) & (plain["exchange_ns"] > 0)]
        if not len(own):
            continue
        trades = own[own["kind"] == TapeKind.TAPE_TRADE]
        places = trades["exchange_ns"] // BUCKET_NS % BUCKETS
        scale = 10.0 ** tape.listings[index].quantity_decimals
        volume += np.bincount(places, trades["quantity"] / scale, minlength=BUCKETS)
        covered += _covered(int(own["exchange_ns"].min()), int(own["exchange_ns"].max()))
    if not volume.any():
        raise ValueError(f"symbol {symbol!r}: the tapes have no trade of it that has the exchange's time")
    return _rates(volume, covered)


def volume_curves(directory) -> dict[str, np.ndarray]:
    """The curves of a recorded run, by instrument, as Engine takes them: all exchanges together, our own trades apart.

    Parameters
    ----------
    directory : path
        Of a run that was made with record = true; the last one in it counts. Its trades have the time when we heard of
        them.

    Raises
    ------
    SegmentError, RunStartError
        The journal cannot be read, or its recording is of another version of orderflow.
    ValueError
        No run was recorded there, or nothing was traded.
    """
    directory = Path(directory)
    found = tca_journal.read(directory)
    run = next((run for run in reversed(found.runs.values()) if run.start.recorded), None)
    if run is None or not has_frames(directory, run):
        raise ValueError(f"{directory}: no run was recorded there; record = true keeps what the exchanges send")
    market = Market(directory, run)
    begin_ns, end_ns = market.span()
    ends = [*range((begin_ns // BUCKET_NS + 1) * BUCKET_NS, end_ns, BUCKET_NS), end_ns]
    items = run.start.instruments
    samples = market.sample((Moment(at, True, item.index) for at in ends for item in items),
                            tca_journal.own_trades(found, run))
    places, covered = [(at - 1) // BUCKET_NS % BUCKETS for at in ends], _covered(begin_ns, end_ns)
    curves = {}
    for item in items:
        sums = [samples[Moment(at, True, item.index)].volume / 10 ** item.quantity_decimals for at in ends]
        volume = np.bincount(places, np.diff(sums, prepend=0.0), minlength=BUCKETS)
        if volume.any():
            curves[item.name] = _rates(volume, covered)
    if not curves:
        raise ValueError(f"{directory}: nothing was traded while run {run.epoch} was recorded")
    return curves


def _rates(volume: np.ndarray, covered: np.ndarray) -> np.ndarray:
    """Of each bucket, by how often it was covered; the mean of the others where it never was."""
    rate = np.divide(volume, covered, out=np.full(BUCKETS, np.nan), where=covered > 0)
    rate[np.isnan(rate)] = np.nanmean(rate)
    return rate


def _covered(begin_ns: int, end_ns: int) -> np.ndarray:
    """How often each bucket of the day lies between two moments, (288,); parts of a bucket count as such."""
    first, last = begin_ns // BUCKET_NS, end_ns // BUCKET_NS
    found = np.bincount(np.arange(first, last + 1) % BUCKETS, minlength=BUCKETS).astype(float)
    found[first % BUCKETS] -= (begin_ns - first * BUCKET_NS) / BUCKET_NS
    found[last % BUCKETS] -= ((last + 1) * BUCKET_NS - end_ns) / BUCKET_NS
    return np.maximum(found, 0.0)
