"""What the first record of a run says: everything that makes its journal readable, and replayable, by itself.

Orders and reports in a journal are integers: prices scaled by the listing's power of ten, exchanges, listings and fee
assets by their index in that run. RUN_START holds what the integers stand for, so that no other file, and no exchange,
is needed to read them: `orderflow journal`, recovery at start and replay all begin here.
"""
from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import orderflow
from orderflow.exchanges import session_for
from orderflow.exchanges.session import Session, SessionSettings
from orderflow.instrument import Instrument, Listing, instruments_of
from orderflow.wiring import Core, build_core


class RunStartError(Exception):
    """A RUN_START that this orderflow cannot read, or not follow; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class RunExchange:
    """One exchange of the run, in index order.

    Attributes
    ----------
    assets : list of str
        What `fee_asset` of its execution reports stands for, by index; empty where it did not trade.
    depth : int
        Levels a side that were subscribed to; 0 = the session's default.
    trades : bool
        Whether it had an order connection.
    doubled : bool
        Whether it could have a second line.
    """

    name: str
    protocol: str
    assets: list[str]
    depth: int = 0
    trades: bool = False
    doubled: bool = False


@dataclass(frozen=True, slots=True)
class RunStart:
    """The payload of RUN_START.

    Attributes
    ----------
    version : str
        Of the orderflow that wrote it.
    strategies : list of str
        Their names by number; "manual" is 0.
    listings : list of Listing
        In index order, as ChildOrder.listing and ExecutionReport.listing have it.
    limits : dict of str -> dict
        The fields of Limits, by instrument name.
    table_sha256 : str
        Of the native listing table that the engine traded on.
    recorded : bool
        Whether the frames were kept beside the journal.
    instance : int
        Of the journal directory: part of the client order ids (_core/client_id.pxd).
    paper : bool
        Whether its orders were filled by a model (docs/paper.md); a run that does not say traded.
    volume_curves : dict of str -> list of float
        By instrument name, as the engine was given them; none where a run does not say.
    arrivals : dict of str -> (float, int)
        What the router began with, by exchange: part that is gone on arrival, and nanoseconds of a round trip.
    """

    version: str
    policy: str
    exchanges: list[RunExchange]
    listings: list[Listing]
    strategies: list[str]
    limits: dict[str, dict[str, Any]]
    table_sha256: str
    recorded: bool = False
    instance: int = 0
    paper: bool = False
    volume_curves: dict[str, list[float]] = field(default_factory=dict)
    arrivals: dict[str, tuple[float, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, core: Core, sessions: Sequence[Session], *, policy: str, limits: dict[str, Any],
           recorded: bool, strategies: Sequence[str], instance: int,
           volume_curves: dict[str, list[float]], arrivals: dict[str, tuple[float, int]]) -> RunStart:
        """Of an engine that is about to run."""
        exchanges = [
            RunExchange(session.settings.name, session.protocol, list(session.assets), session.settings.depth,
                        session.settings.name in core.orders, session.settings.name in core.twins)
            for session in sessions]
        return cls(orderflow.__version__, policy, exchanges, list(core.listings), list(strategies), limits,
                   hashlib.sha256(core.table.tobytes()).hexdigest(), recorded, instance,
                   any(session.settings.paper is not None for session in sessions), volume_curves, arrivals)

    @classmethod
    def load(cls, fields: dict[str, Any]) -> RunStart:
        """From the JSON of the record.

        Raises
        ------
        RunStartError
            Something is missing, or of another kind; the message names it.
        """
        try:
            return cls(str(fields["version"]), str(fields["policy"]),
                       [RunExchange(**each) for each in fields["exchanges"]],
                       [Listing.load(each) for each in fields["listings"]],
                       [str(each) for each in fields["strategies"]],
                       dict(fields["limits"]), str(fields["table_sha256"]), bool(fields["recorded"]),
                       int(fields.get("instance", 0)),      # ids of older runs had none
                       bool(fields.get("paper", False)),
                       {str(name): [float(one) for one in curve]
                        for name, curve in dict(fields.get("volume_curves", {})).items()},
                       {str(name): (float(missing), int(round_trip_ns))
                        for name, (missing, round_trip_ns) in dict(fields.get("arrivals", {})).items()})
        except KeyError as error:
            raise RunStartError(f"RUN_START has no {error.args[0]!r}: it was written by another version "
                                "of orderflow") from None
        except (TypeError, ValueError, ArithmeticError) as error:
            raise RunStartError(f"RUN_START cannot be read: {error}") from None

    def build(self, tape_records: int = 0) -> tuple[list[Session], Core]:
        """Sessions and native objects as the run had them, without connections: its loops are fed from its recording.

        Parameters
        ----------
        tape_records : int
            Room of each exchange's tape; 0 = no tape.

        Raises
        ------
        RunStartError
            The listings give another table here than they gave the run.
        """
        sessions = [session_for(exchange.protocol, SessionSettings(
            exchange.name, symbols=tuple(item.symbol for item in self.listings if item.exchange == exchange.name),
            depth=exchange.depth, lines=2 if exchange.doubled else 1, renew_after_ns=0))
            for exchange in self.exchanges]
        core = build_core(sessions, self.listings, borrows=False, unix_offset_ns=0, tape_records=tape_records)
        if hashlib.sha256(core.table.tobytes()).hexdigest() != self.table_sha256:
            raise RunStartError("the listings of the run give another table than the run had: it was made by orderflow "
                                f"{self.version}, use that version for it")
        for session, exchange in zip(sessions, self.exchanges, strict=True):
            session.assets = list(exchange.assets)          # as the reports of the run number them
        return sessions, core

    def fields(self) -> dict[str, Any]:
        """What goes into the record; decimals as text."""
        fields = asdict(self)
        fields["listings"] = [listing.document() for listing in self.listings]
        return fields

    @property
    def instruments(self) -> list[Instrument]:
        """In index order, as ParentOrder.instrument has it."""
        return instruments_of(self.listings)

    def assets_of(self, listing: int) -> list[str]:
        """The fee assets of the exchange of a listing, by index."""
        exchange = self.listings[listing].exchange
        return next(each.assets for each in self.exchanges if each.name == exchange)
