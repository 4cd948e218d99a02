"""What a simulated exchange can be told to do wrong, by script and by seed: kinds, their settings, the file of them.

docs/faults.md has the format of the file and what each kind does; faulty.py does it.
"""
import tomllib
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from orderflow.simulator.reader import Reader

SECOND_NS = 1_000_000_000

#: Kinds that are done to a frame of a book, or in its place.
FRAME_KINDS = ("drop", "duplicate", "reorder", "delay", "gap", "checksum", "garbage", "bad_utf8", "fragment",
               "oversize", "cut", "reset", "close", "half_open", "freeze", "tick_size")
#: Kinds that are done to a request to subscribe.
REQUEST_KINDS = ("no_ack",)
#: Kinds that are done to the answer to a REST request for a book.
ANSWER_KINDS = ("refusal", "late_snapshot", "old_snapshot")
#: Kinds that are done to a request to place, change or cancel orders, or to its answer.
ORDER_KINDS = ("reject", "unknown", "overload", "ack_lost", "late_ack", "late_cancel")
#: Kinds that are done to a frame that tells of orders or balances.
REPORT_KINDS = ("report_drop", "report_duplicate", "report_reorder", "report_delay", "lying_status", "zero_fill")
#: Kinds that are done to the exchange itself, when their time has come.
TIMED_KINDS = ("clock", "expire_key", "hide_orders")
PRIVATE_KINDS = (*ORDER_KINDS, *REPORT_KINDS, *TIMED_KINDS)
KINDS = (*FRAME_KINDS, *REQUEST_KINDS, *ANSWER_KINDS, *PRIVATE_KINDS)
#: What a request about orders can want.
REQUESTS = ("place", "cancel", "change")
#: What no client can notice where frames carry neither number nor checksum: TCP loses nothing and keeps order.
LOSSES = ("drop", "reorder", "gap")
#: What only happens when a script says so: it needs a setting, or the connection stays useless for long.
SCRIPT_ONLY = ("tick_size", "half_open", *TIMED_KINDS)


class FaultError(ValueError):
    """Faults that cannot be injected; one line that names the key."""


@dataclass(frozen=True)
class Fault:
    """One entry of a script.

    Attributes
    ----------
    kind : str
        One of KINDS.
    exchange, symbol : str
        Where; empty = anywhere. The symbol is spelled as the exchange spells it.
    after_frames : int
        Not before so many frames of that book, or of all books where no symbol is given, were sent.
    after_seconds : float
        Not before so long after the first websocket was opened, or the first order was placed.
    after_orders : int
        Not before so many requests about orders have come.
    request : str
        Of the kinds that are done to such requests: place, cancel or change; empty = any of them.
    error : str
        What `reject`, `unknown` and `overload` say, in the exchange's words; of Binance with the code before it.
    accepted : bool or None
        Whether the exchange does what an `unknown` was asked for; None = perhaps, by the seed.
    times : int
        How often: each time as soon as there is something to do it to.
    seconds : float
        How long a `delay`, `late_snapshot`, `report_delay`, `late_ack` or `late_cancel` lasts (0 = a quarter of one),
        or a `freeze` (0 = until the client subscribes anew), or for how long `hide_orders` hides each new order (0 =
        3); by how much `clock` sets the exchange's clock ahead, or, negative, behind.
    frames : int
        How many frames a `gap` swallows.
    code : int
        Of a `close`.
    status : int
        Of a `refusal`, an `overload`; of a `reject` or `unknown` 503 stands for what is usual (400, 504).
    tick : int
        The new price step of `tick_size`, in units of the last digit of the instrument's prices. A finer one than
        before has to be in the script from which the exchange is made.
    """

    kind: str
    exchange: str = ""
    symbol: str = ""
    after_frames: int = 0
    after_seconds: float = 0.0
    times: int = 1
    seconds: float = 0.0
    frames: int = 5
    code: int = 1012
    status: int = 503
    tick: int = 0
    after_orders: int = 0
    request: str = ""
    error: str = ""
    accepted: bool | None = None


@dataclass(frozen=True)
class FaultPlan:
    """A script, and for each kind the chance with which it happens to whatever it can happen to."""

    script: tuple[Fault, ...] = ()
    rates: dict[str, float] = field(default_factory=dict)
    seed: int = 0

    def __post_init__(self):
        for at, fault in enumerate(self.script):
            _check(f"faults[{at}]", fault)
        for kind, chance in self.rates.items():
            if kind not in KINDS or kind in SCRIPT_ONLY:
                kinds = ", ".join(one for one in KINDS if one not in SCRIPT_ONLY)
                raise FaultError(f"rates.{kind}: is none of {kinds}")
            if not isinstance(chance, int | float) or not 0 <= chance <= 1:
                raise FaultError(f"rates.{kind}: {chance!r} is no chance from 0 to 1")

    def check_exchange(self, exchange) -> None:
        """FaultError for an entry of the script that this simulated exchange cannot do."""
        for at, fault in enumerate(self.script):
            if fault.exchange == exchange.name and (reason := impossible(fault, exchange)):
                raise FaultError(f"faults[{at}].kind: {fault.kind} at exchange {exchange.name}: {reason}")


def impossible(fault: Fault, exchange) -> str:
    """Why a simulated exchange cannot do this; "" if it can."""
    kind, protocol = fault.kind, exchange.protocol
    if (kind in LOSSES or (kind == "freeze" and fault.seconds)) and not exchange.shows_losses:
        return (f"frames of {protocol} carry neither a number nor a checksum, so that no client can tell; "
                "TCP loses no frame inside a connection")
    if kind == "reorder" and not exchange.shows_order:
        return f"checksums of {protocol} may be right in either order; TCP keeps the order"
    if kind == "checksum" and not exchange.checksum_mark:
        return f"frames of {protocol} carry no checksum"
    if kind in ANSWER_KINDS and exchange.reader.snapshot_levels is Reader.snapshot_levels:
        return f"books of {protocol} come in the stream, not over REST"
    if kind in PRIVATE_KINDS and (exchange.order_entry is None or exchange.desk is None):
        return f"no orders are taken of accounts here ({protocol})"
    if kind == "tick_size" and exchange.source.contents is not None:
        return "a capture is played as it is"
    if kind == "tick_size" and fault.tick % exchange.source.finest.get(fault.symbol, fault.tick + 1):
        return f"{fault.symbol} is not traded here, or its orders cannot have such prices from the start of the script"
    return ""


def load(path, seed: int = 0) -> FaultPlan:
    """The faults of a TOML file. FaultError names the file and the key; OSError where it cannot be read."""
    try:
        document = tomllib.loads(Path(path).read_text())
        unknown = document.keys() - {"faults", "rates"}
        if unknown:
            raise FaultError(f"{sorted(unknown)[0]}: unknown key; there are faults and rates")
        entries, rates = document.get("faults", []), document.get("rates", {})
        if not isinstance(entries, list) or not isinstance(rates, dict):
            raise FaultError("faults is written as [[faults]] and rates as [rates]")
        return FaultPlan(tuple(_fault(f"faults[{at}]", entry) for at, entry in enumerate(entries)), rates, seed)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, FaultError) as error:
        raise FaultError(f"{path}: {error}") from None


def _fault(key: str, entry: dict[str, Any]) -> Fault:
    known = {one.name: one for one in fields(Fault)}
    for name, value in entry.items():
        if name not in known:
            raise FaultError(f"{key}.{name}: unknown key; there are {', '.join(known)}")
        wanted = _type_of(known[name])
        if not isinstance(value, (int, float) if wanted is float else wanted) or (
                isinstance(value, bool) and wanted is not bool):
            raise FaultError(f"{key}.{name}: expected {wanted.__name__}, got {value!r}")
    if "kind" not in entry:
        raise FaultError(f"{key}.kind: is missing; there are {', '.join(KINDS)}")
    return Fault(**entry)


def _type_of(one) -> type:
    """What a setting of a fault is."""
    if one.default is MISSING:
        return str
    return bool if one.default is None else type(one.default)


def _check(key: str, fault: Fault) -> None:
    if fault.kind not in KINDS:
        raise FaultError(f"{key}.kind: {fault.kind!r} is none of {', '.join(KINDS)}")
    for name in ("after_frames", "after_seconds", "after_orders", "seconds", "times", "frames"):
        least = 1 if name in ("times", "frames") else -86400 if (name, fault.kind) == ("seconds", "clock") else 0
        if not getattr(fault, name) >= least:
            raise FaultError(f"{key}.{name}: {getattr(fault, name)!r} is less than {least}")
    if not 1000 <= fault.code <= 4999:
        raise FaultError(f"{key}.code: {fault.code} is no close code (1000 to 4999)")
    if not 400 <= fault.status <= 599:
        raise FaultError(f"{key}.status: {fault.status} is no refusal (400 to 599)")
    if fault.request not in ("", *REQUESTS):
        raise FaultError(f"{key}.request: {fault.request!r} is none of {', '.join(REQUESTS)}")
    if fault.kind in TIMED_KINDS and fault.symbol:
        raise FaultError(f"{key}.symbol: {fault.kind} is of a whole exchange")
    if fault.kind == "tick_size" and (fault.tick < 1 or not fault.exchange or not fault.symbol):
        raise FaultError(f"{key}.tick: tick_size needs exchange, symbol and a tick of at least 1")
