"""A recorded run again: the same orders and decisions, byte for byte, or the first difference.

The router is a function of its inputs in the order in which it took them, and of the boards as it saw them. The input
log names both; the frames of each exchange, stepped to the publication that was read, give the boards again; parents
and reports are in the journal. So every order intent must come out as it was written, sequence numbers, times and
versions included; and so must what was written of the decisions, as far as neither run has lost some of it.
"""
from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from orderflow._core import decision_log, input_log, journal
from orderflow._core.decision_log import Decided
from orderflow._core.journal import RecordKind
from orderflow._core.segments import SegmentError
from orderflow._core.types import CHILD_ORDER_DTYPE, InputKind
from orderflow.carried import Carried
from orderflow.engine import Engine
from orderflow.run_start import RunStart
from orderflow.servers.recorder import path_of
from orderflow.servers.recorder import read as read_frames

PUBLICATION_MASK = (1 << 40) - 1
EPOCH_SHIFT = 40                # of a journal sequence
DECIDED = (RecordKind.PARENT, RecordKind.INTENT, RecordKind.REPORT, RecordKind.CANCEL, RecordKind.REPLACE,
           RecordKind.RESIDUAL)


class ReplayError(Exception):
    """A run that cannot be replayed; the message says what is missing or where it differs."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of it.

    Attributes
    ----------
    orders : int
        Intents that the run journalled.
    decisions : int
        Records of decisions that both runs have.
    equal : bool
        Whether the replay gave the same orders and decisions, byte for byte.
    sha256, expected_sha256 : str
        Over the intents, in order.
    difference : str
        The first one, in words; "" when there is none.
    """

    inputs: int
    orders: int
    decisions: int
    equal: bool
    sha256: str
    expected_sha256: str
    difference: str


class _Market:
    """The exchange loops of the run, stepped through their recordings."""

    def __init__(self, directory: Path, engine: Engine):
        self._loops = engine.core.loops
        self._frames: dict[str, Iterator[bytes]] = {name: read_frames(directory, name) for name in self._loops}
        self._exchange_of = [listing.exchange for listing in engine.core.listings]

    def step_to(self, listing: int, publication: int) -> None:
        """Until the board shows this publication of the listing."""
        name = self._exchange_of[listing]
        loop = self._loops[name]
        while loop.publication(listing) < publication:
            record = next(self._frames[name], None)
            if record is None:
                raise ReplayError(f"the frames of {name} end before publication {publication} of listing {listing}")
            loop.replay(record)
        if loop.publication(listing) != publication:
            raise ReplayError(f"listing {listing} is at publication {loop.publication(listing)}, the run saw "
                              f"{publication}: these are not the frames of this run")


def replay(directory) -> Replayed:
    """Replay the run in `directory` (written by an Engine with `record=True`).

    Raises
    ------
    ReplayError
        Something is missing, or the run cannot be followed.
    """
    directory = Path(directory)
    epoch, run, taken, began_ns, original = _recorded_run(directory)
    inputs = input_log.read(directory, "router", epoch)
    if not len(inputs):
        raise ReplayError(f"{directory}: run {epoch} took no input: there is nothing to replay")
    with tempfile.TemporaryDirectory(prefix="orderflow-replay-") as scratch:
        engine = Engine.for_replay(run, epoch, scratch, taken, began_ns)
        try:
            difference = _follow(engine, _Market(directory, engine), original, inputs)
        finally:
            engine.close_files()
        again = [record for record in journal.read(scratch) if record.kind == RecordKind.INTENT]
        decisions, decided = _compare_decisions(_decisions(scratch, epoch), _decisions(directory, epoch))
    expected = [record for record in original if record.kind == RecordKind.INTENT]
    digests = [hashlib.sha256(b"".join(record.payload for record in records)).hexdigest()
               for records in (again, expected)]
    equal = digests[0] == digests[1]
    if not equal and not difference:
        difference = _first_difference(again, expected)
    return Replayed(len(inputs), len(expected), decisions, equal and not decided, digests[0], digests[1],
                    difference or decided)


def _recorded_run(directory: Path) -> tuple[int, RunStart, Carried, int, list]:
    """(epoch, start, what it took over, when it began, what was decided) of the last run in a directory whose frames
    were kept: a new recording takes the place of the one before."""
    epoch, run, taken, began_ns = 0, None, Carried(), 0
    records: list[journal.Record] = []
    for record in journal.read(directory):
        if record.kind == RecordKind.RUN_START and record.decode().get("recorded"):
            epoch, run, records = record.sequence >> EPOCH_SHIFT, RunStart.load(record.decode()), []
            taken, began_ns = Carried(), record.decode()["began_ns"]
        elif record.sequence >> EPOCH_SHIFT == epoch and record.kind == RecordKind.CARRIED:
            taken.take(record.decode())
        elif record.sequence >> EPOCH_SHIFT == epoch and record.kind in DECIDED:
            records.append(record)
    if run is None:
        raise ReplayError(f"{directory}: no run whose frames were kept; make one with record = true")
    for exchange in run.exchanges:
        if not path_of(directory, exchange.name).is_file():
            raise ReplayError(f"{path_of(directory, exchange.name)}: missing; nothing can be replayed without the "
                              "frames of every exchange")
    return epoch, run, taken, began_ns, records


def _follow(engine: Engine, market: _Market, original: list, inputs: np.ndarray) -> str:
    """Feed the inputs in the order of the log; returns the first difference in words, "" if there is none."""
    router, base = engine.router, engine.journal.sequence
    reads = _board_reads(inputs)
    for row in inputs:
        kind, source, number, now_ns = (int(row[name]) for name in ("kind", "source", "number", "event_ns"))
        if kind == InputKind.BOARD_READ:
            continue
        place = engine.journal.sequence - base
        if kind == InputKind.INPUT_WAKE:
            seen = reads.get(int(row["sequence"]))
            if seen is not None:
                market.step_to(*seen)
            router.replay_wake(source, number, now_ns)
        elif kind in (InputKind.INPUT_REPORT, InputKind.INPUT_PARENT):
            wanted = RecordKind.REPORT if kind == InputKind.INPUT_REPORT else RecordKind.PARENT
            if place >= len(original) or original[place].kind != wanted:
                return f"input {row['sequence']}: the journal has no {wanted.name} in place {place}"
            payload = original[place].payload
            if kind == InputKind.INPUT_REPORT:
                router.replay_report(source, payload, now_ns)
            else:
                router.replay_parent(payload, now_ns)
        elif kind == InputKind.INPUT_COMMAND:
            router.replay_state(source, number, now_ns)
        elif kind == InputKind.INPUT_TIMER:
            router.replay_timer(number, now_ns)
        engine.drain_rings()
    return ""


def _board_reads(inputs: np.ndarray) -> dict[int, tuple[int, int]]:
    """(listing, publication) that was read while each input was served."""
    reads = inputs[inputs["kind"] == InputKind.BOARD_READ]
    return {int(row["sequence"]): (int(row["source"]), int(row["number"]) & PUBLICATION_MASK) for row in reads}


def _decisions(directory, epoch: int) -> dict[int, Decided]:
    """By sequence; none of a run that wrote none."""
    try:
        return {int(one.head["sequence"]): one for one in decision_log.read(directory, epoch)}
    except SegmentError:
        return {}


def _compare_decisions(again: dict[int, Decided], expected: dict[int, Decided]) -> tuple[int, str]:
    """How many both have, and the first difference in words."""
    both = sorted(again.keys() & expected.keys())
    for sequence in both:
        fields = [f"{name} {ours[name]} instead of {theirs[name]}"
                  for ours, theirs in zip(_structs(again[sequence]), _structs(expected[sequence]), strict=False)
                  for name in ours.dtype.names if name != "check" and ours[name] != theirs[name]]
        if fields:
            return len(both), f"decision {sequence}: {', '.join(fields)}"
    return len(both), ""


def _structs(decided: Decided) -> list[np.void]:
    return [decided.head, *decided.parts]


def _first_difference(again: list, expected: list) -> str:
    for place, (one, other) in enumerate(zip(again, expected, strict=False)):
        if one.payload == other.payload:
            continue
        ours, theirs = (np.frombuffer(record.payload, CHILD_ORDER_DTYPE)[0] for record in (one, other))
        fields = [f"{name} {ours[name]} instead of {theirs[name]}" for name in CHILD_ORDER_DTYPE.names
                  if not np.array_equal(ours[name], theirs[name])]
        return f"order {place}: {', '.join(fields)}"
    return f"{len(again)} orders instead of {len(expected)}"
