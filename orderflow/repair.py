"""A journal in quarantine is made fit to go on, after a person has decided so: what can be trusted stays, the rest is
kept aside. Nothing is deleted, and nothing is written that was not there.

What can be trusted is what every start reads: the records from the beginning to the damage, exactly. Where the damage
is in a run before the last, and all of the last run is whole, it is the runs behind the damage instead: a start takes
over from the last run alone, and whole runs may go from the oldest on.
"""
from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from orderflow._core.journal import lock
from orderflow._core.journal_scan import Verification, verify
from orderflow._core.segments import sync_directory
from orderflow.carried import began

COUNTER = (1 << 40) - 1        # of a sequence; above it is the run
#: What is kept aside ends in this.
ASIDE = ".aside"


@dataclass(frozen=True, slots=True)
class Repair:
    """What is to be done, or was done.

    Attributes
    ----------
    damage : Verification
        The first segment that is damaged, and where.
    keeps_later : bool
        The runs behind the damage are kept, not those before.
    lost_runs : tuple of int
        Runs of which records are kept aside.
    cut : tuple of (Path, int, Path), optional
        Segment, the offset at which it ends from now on, and the file that has what stood behind.
    moved : tuple of (Path, Path)
        Segments, and what they are called from now on.
    """

    damage: Verification
    keeps_later: bool
    lost_runs: tuple[int, ...]
    cut: tuple[Path, int, Path] | None
    moved: tuple[tuple[Path, Path], ...]


def plan(directory: str | os.PathLike[str]) -> Repair | None:
    """What a repair of that journal would do; None where nothing is damaged."""
    found = verify(directory)
    place = next((number for number, each in enumerate(found) if each.damaged), None)
    if place is None:
        return None
    damage = found[place]
    later = next((number for number in range(place + 1, len(found)) if _can_be_taken_over(directory, found[number:])),
                 None)
    if later is not None:
        aside = found[:later]
        return Repair(damage, True, _runs(aside), None, tuple((each.path, _free(each.path)) for each in aside))
    follows = found[place - 1] if place else None
    whole = _stands_alone(damage, follows)
    cut = (damage.path, damage.end, _free(damage.path)) if whole else None
    aside = found[place + 1:] if whole else found[place:]
    return Repair(damage, False, _runs(found[place:]), cut, tuple((each.path, _free(each.path)) for each in aside))


def _can_be_taken_over(directory: str | os.PathLike[str], found: list[Verification]) -> bool:
    """Whether these segments are whole, begin with a run's first record, and hold a run that had begun to trade: then
    nothing before them is needed."""
    first = found[0]
    if any(each.damaged for each in found) or not first.records or first.last_sequence & COUNTER != first.records:
        return False
    return any(began(directory, run) for run in _runs(found))


def _stands_alone(damage: Verification, before: Verification | None) -> bool:
    """Whether the records of a damaged segment up to the damage follow those before it: the damage lies in it, not in
    where it stands."""
    return damage.records > 0 and damage.fault in ("checksum", "sequence", "size out of range", "cut off",
                                                   "bytes that are no record") and (
        before is None or before.epoch < damage.epoch or before.last_sequence + damage.records == damage.last_sequence)


def _runs(found: list[Verification]) -> tuple[int, ...]:
    return tuple(sorted({each.epoch for each in found if each.epoch}))


def _free(path: Path) -> Path:
    """A name for what is kept aside that no file has."""
    candidate, number = path.with_name(path.name + ASIDE), 1
    while candidate.exists():
        number += 1
        candidate = path.with_name(f"{path.name}{ASIDE}-{number}")
    return candidate


def repair(directory: str | os.PathLike[str]) -> Repair | None:
    """Do it; None where nothing is damaged. The journal must not be open.

    Each step leaves a journal that is in quarantine or whole, whatever becomes of the machine in between.

    Raises
    ------
    JournalError
        An engine has it open.
    OSError
        A file cannot be written or renamed.
    """
    held = lock(directory)
    try:
        wanted = plan(directory)
        if wanted is None:
            return None
        for path, aside in reversed(wanted.moved):      # from the newest on: what is left never lacks its middle
            os.rename(path, aside)
        if wanted.cut is not None:
            path, end, aside = wanted.cut
            with open(path, "r+b") as file:
                file.seek(end)
                with open(aside, "xb") as kept:
                    kept.write(file.read())
                    kept.flush()
                    os.fsync(kept.fileno())
                sync_directory(directory)
                file.truncate(end)
                os.fsync(file.fileno())
        sync_directory(directory)
        return wanted
    finally:
        os.close(held)
