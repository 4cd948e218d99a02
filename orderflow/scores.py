"""What past orders say of each exchange: how much of what it shows is there on arrival, and how fast it is. A file.

`orderflow tca DIR --scores FILE` writes one of the runs in a directory, so that whoever trades next does not begin with
nothing: `survives` is the phi of fading.py, and `send_to_ack_ns` the round trips of its `send_delays_ns`. TOML, so that
a person can read it and correct it:

    version = 1
    [exchanges.alpha]
    orders = 812            # IOC and FOK orders that it took: the observations of the next three
    fill_ratio = 0.9831     # part of what they asked for that was filled; each order counts once
    rate = 0.412            # per second, of fading.survival: shown levels vanish so fast
    fades = [               # the same by the delay from the decision to the acknowledgement, without a model
        {up_to_ns = 20000000, survives = 0.991, orders = 700},
        {up_to_ns = 50000000, survives = 0.934, orders = 112},
    ]
    signal_to_send_ns = {p50 = 5120, p90 = 8200, p99 = 16400, orders = 790}
    send_to_ack_ns = {p50 = 10230000, p90 = 15100000, p99 = 44000000, orders = 812}
    ack_to_fill_ns = {p50 = 61000, p90 = 88000, p99 = 402000, orders = 640}

A key that is missing is not known. It never is 0 for that.
"""
from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any

import msgspec

from orderflow.complaints import complaint, culprit
from orderflow.config import Struct
from orderflow.fading import survival

VERSION = 1
SECOND_NS = 1_000_000_000
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
Part = Annotated[float, msgspec.Meta(ge=0, le=1)]
Nanoseconds = Annotated[int, msgspec.Meta(ge=0)]
Observed = Annotated[int, msgspec.Meta(ge=1)]


class ScoresError(ValueError):
    """A file of scores that cannot be used; one line that names the key."""


class Fade(Struct, frozen=True):
    """Orders with a delay of at most `up_to_ns`, and of more than the one before; `survives`: part that was filled."""

    up_to_ns: Annotated[int, msgspec.Meta(ge=1)]
    survives: Part
    orders: Observed


class Percentiles(Struct, frozen=True):
    """Nanoseconds, over so many orders."""

    p50: Nanoseconds
    p90: Nanoseconds
    p99: Nanoseconds
    orders: Observed


class ExchangeScores(Struct, frozen=True):
    """One exchange; what is not known is None.

    Attributes
    ----------
    orders : int
        IOC and FOK orders that it took.
    fill_ratio : float, optional
        Mean part of what they asked for that was filled.
    rate : float, optional
        Per second, as `fading.survival` takes it.
    fades : tuple of Fade
        By rising delay.
    signal_to_send_ns, send_to_ack_ns, ack_to_fill_ns : Percentiles, optional
        As in docs/tca.md.
    """

    orders: Annotated[int, msgspec.Meta(ge=0)] = 0
    fill_ratio: Part | None = None
    rate: Annotated[float, msgspec.Meta(ge=0)] | None = None
    fades: tuple[Fade, ...] = ()
    signal_to_send_ns: Percentiles | None = None
    send_to_ack_ns: Percentiles | None = None
    ack_to_fill_ns: Percentiles | None = None

    @property
    def arrival(self) -> tuple[float, int]:
        """What a router begins with (_core/arrivals.pxd): the part of what is shown that will be gone, and the round
        trip in nanoseconds, the median; 0 where that is not known."""
        return (0.0 if self.fill_ratio is None else 1.0 - self.fill_ratio,
                0 if self.send_to_ack_ns is None else self.send_to_ack_ns.p50)

    def survives(self, delay_ns: int) -> float | None:
        """Part of what is shown that will be there after so long (phi of fading.py), by the rate; None without one."""
        return None if self.rate is None else survival(delay_ns / SECOND_NS, self.rate)


class Scores(Struct, frozen=True):
    """A file of them."""

    version: int = VERSION
    exchanges: dict[str, ExchangeScores] = {}


def load(path: str | os.PathLike[str]) -> Scores:
    """Of a file; ScoresError names file and key."""
    try:
        document = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ScoresError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ScoresError(f"{path}: not TOML: {error}") from None
    try:
        return parse(document)
    except ScoresError as error:
        raise ScoresError(f"{path}: {error}") from None


def parse(document: dict[str, Any]) -> Scores:
    """Of a parsed document; ScoresError names the key."""
    if document.get("version") != VERSION:
        raise ScoresError(f"version: {document.get('version', 'missing')}, this orderflow reads {VERSION}; write the "
                          "file again with orderflow tca DIR --scores FILE")
    try:
        found = msgspec.convert(document, Scores)
    except msgspec.ValidationError as error:
        name = culprit(document, "exchanges", dict[str, ExchangeScores])
        raise ScoresError(complaint(error, Scores).replace("exchanges.*", f"exchanges.{name}", 1)) from None
    for name, one in found.exchanges.items():
        _check(f"exchanges.{name}", one)
    return found


def _check(key: str, one: ExchangeScores) -> None:
    """What types cannot say."""
    for field in ("fill_ratio", "rate", "fades"):
        if getattr(one, field) not in (None, ()) and not one.orders:
            raise ScoresError(f"{key}.orders: is missing or 0, and there is a {field}: say of how many orders")
    if one.rate is not None and not one.rate < float("inf"):
        raise ScoresError(f"{key}.rate: {one.rate}, expected a number; leave it out where it is not known")
    for place, (before, after) in enumerate(zip(one.fades, one.fades[1:], strict=False), 1):
        if after.up_to_ns <= before.up_to_ns:
            raise ScoresError(f"{key}.fades[{place}].up_to_ns: {after.up_to_ns} should be above {before.up_to_ns}")
    for field in ("signal_to_send_ns", "send_to_ack_ns", "ack_to_fill_ns"):
        found = getattr(one, field)
        for low, high in (("p50", "p90"), ("p90", "p99")):
            if found is not None and getattr(found, high) < getattr(found, low):
                raise ScoresError(f"{key}.{field}.{high}: {getattr(found, high)} should not be below {low}, "
                                  f"{getattr(found, low)}")


def text(scores: Scores) -> str:
    """The file: `load` gives the same again."""
    lines = ["# What past orders say of each exchange: orderflow/scores.py tells what each number is.",
             f"version = {scores.version}"]
    for name, one in scores.exchanges.items():
        lines += ["", f"[exchanges.{name if BARE_KEY.fullmatch(name) else json.dumps(name, ensure_ascii=False)}]"]
        for key, value in msgspec.structs.asdict(one).items():
            if key == "fades" and value:
                lines += ["fades = [", *(f"    {_inline(fade)}," for fade in value), "]"]
            elif value is not None and key != "fades":
                lines.append(f"{key} = {_inline(value) if isinstance(value, Percentiles) else repr(value)}")
    return "\n".join(lines) + "\n"


def _inline(one: Fade | Percentiles) -> str:
    return "{" + ", ".join(f"{key} = {value!r}" for key, value in msgspec.structs.asdict(one).items()) + "}"
