"""`orderflow simulate`: exchanges on loopback that speak the real protocols."""
from __future__ import annotations

import signal
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from orderflow.cli import GOOD, output
from orderflow.cli.application import BadUsage, CheckFailed

#: Of every asset, in the account that an exchange with order entry opens.
FUNDS = "1000000"
#: Between two looks at the processes.
LOOK_S = 0.2


def command(
    exchanges: Annotated[list[str], typer.Option("--exchange", metavar="NAME=PROTOCOL", help="One exchange; give it "
                                                 "again for more.")],
    captures: Annotated[list[str] | None, typer.Option("--capture", metavar="[NAME=]FILE", help="Play recorded frames "
                                                       "instead of simulating traders.")] = None,
    speed: Annotated[float, typer.Option(min=0.0, help="Of a capture: 1 as recorded, 0 as fast as frames are taken.")]
    = 1.0,
    repeat: Annotated[bool, typer.Option("--repeat", help="When a capture has ended, end its connections and begin it "
                                         "again.")] = False,
    seed: Annotated[int, typer.Option(help="Of the simulated traders.")] = 0,
    port: Annotated[int, typer.Option(min=0, max=65534, help="The first exchange listens here and, with TLS, on the "
                                      "next one; further exchanges on those that follow. 0 = any free ones.")] = 0,
    seconds: Annotated[float | None, typer.Option(min=0.0, help="Leave after so long instead of on Ctrl-C.")] = None,
    faults: Annotated[Path | None, typer.Option(metavar="FILE", help="Go wrong as this file says (docs/faults.md).")]
    = None,
    fault_seed: Annotated[int, typer.Option(help="Of the faults that come by chance.")] = 0,
    truth: Annotated[Path | None, typer.Option(metavar="DIR", help="Write what truly happened to orders into "
                                               "DIR/NAME.jsonl at the end.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object: where each exchange listens. With --faults "
                                          "another one at the end: how often each kind was injected.")] = False,
) -> int:
    """Start simulated exchanges, say where they listen, and run until Ctrl-C.

    Exit code 1: the process of an exchange ended by itself; the others are stopped then.
    """
    from orderflow.simulator.certificates import Authority
    from orderflow.simulator.launch import ExchangeProcess

    wanted = [replace(settings, repeat=repeat) for settings in _settings(exchanges, captures or [], speed, seed, port)]
    if faults is not None:
        wanted = _with_faults(wanted, faults, fault_seed)
    if truth is not None:
        wanted = _with_truth(wanted, truth)
    ended = _on_signal()
    with ExitStack() as stack:
        authority = stack.enter_context(Authority())
        started = []
        for settings in wanted:
            output.progress(f"{settings.name}: starting")
            try:
                started.append(stack.enter_context(ExchangeProcess(settings, authority)))
            except (ValueError, OSError) as error:
                output.end_progress()
                text = (error.strerror if isinstance(error, OSError) else "") or str(error)
                raise BadUsage(f"--exchange {settings.name}: {text}") from None
            except RuntimeError as error:
                raise CheckFailed(str(error)) from None
        output.end_progress()
        document = {"ca_file": str(authority.path), "exchanges": [_where(exchange) for exchange in started]}
        if as_json:
            output.result(document)
        else:
            for line in _lines(document):
                output.text(line)
        _watch(started, ended, seconds)
    if faults is not None:
        _tell_faults(started, as_json)
    return GOOD


def _watch(started: list, ended: threading.Event, seconds: float | None) -> None:
    """Until the time is over or somebody says so; CheckFailed when an exchange ends by itself."""
    last = None if seconds is None else time.monotonic() + seconds
    while not ended.wait(LOOK_S if last is None else max(0.0, min(LOOK_S, last - time.monotonic()))):
        for exchange in started:
            if exchange.ended is not None and not ended.is_set():
                raise CheckFailed(f"exchange {exchange.settings.name}: its process ended with exit code "
                                  f"{exchange.ended}; the others are stopped")
        if last is not None and time.monotonic() >= last:
            return


def _with_faults(wanted: list, path: Path, seed: int) -> list:
    from orderflow.simulator.faults import FaultError, load

    try:
        plan = load(path, seed)
    except FaultError as error:
        raise BadUsage(f"--faults {error}") from None
    except OSError as error:
        raise BadUsage(f"--faults {path}: cannot be read: {error.strerror}") from None
    names = [settings.name for settings in wanted]
    for at, fault in enumerate(plan.script):
        if fault.exchange and fault.exchange not in names:
            raise BadUsage(f"--faults {path}: faults[{at}].exchange: {fault.exchange!r} is none of {', '.join(names)}")
    return [replace(settings, faults=plan) for settings in wanted]


def _with_truth(wanted: list, folder: Path) -> list:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadUsage(f"--truth {folder}: cannot be made: {error.strerror}") from None
    return [replace(settings, truth=str(folder / f"{settings.name}.jsonl")) for settings in wanted]


def _tell_faults(stopped: list, as_json: bool) -> None:
    """What was injected, of exchanges that have stopped."""
    counts = {exchange.settings.name: exchange.faults for exchange in stopped}
    if as_json:
        output.result({"faults": counts})
        return
    for name, injected in counts.items():
        told = ", ".join(f"{kind} {count}" for kind, count in sorted(injected.items()))
        output.text(f"faults of {name}: {told or 'none'}")


def _settings(exchanges: list[str], captures: list[str], speed: float, seed: int, port: int) -> list:
    from orderflow.simulator.accounts import practice_account
    from orderflow.simulator.dialects import PROTOCOLS, dialect
    from orderflow.simulator.launch import SimulatorSettings

    protocols: dict[str, str] = {}
    for item in exchanges:
        name, given, protocol = item.partition("=")
        if not given or not name:
            raise BadUsage(f"--exchange {item!r}: expected NAME=PROTOCOL")
        if protocol not in PROTOCOLS:
            raise BadUsage(f"--exchange {item!r}: protocol {protocol!r} is none of {', '.join(PROTOCOLS)}")
        if name in protocols:
            raise BadUsage(f"--exchange {item!r}: {name} is named twice")
        protocols[name] = protocol
    if port and port + 2 * len(protocols) - 1 > 65535:
        raise BadUsage(f"--port {port}: {len(protocols)} exchanges need {2 * len(protocols)} ports, up to 65535")
    files = _captures(captures, list(protocols))
    origin_ns = time.time_ns()              # the same for all: they share the hidden price
    return [SimulatorSettings(name, protocol, port=port and port + 2 * i, tls_port=port and port + 2 * i + 1,
                              capture=files.get(name, ""), speed=speed, seed=seed, origin_ns=origin_ns,
                              accounts=(practice_account(name),) if dialect(protocol).takes_orders else (), funds=FUNDS)
            for i, (name, protocol) in enumerate(protocols.items())]


def _captures(captures: list[str], names: list[str]) -> dict[str, str]:
    """File by exchange; without a name it is meant for all of them."""
    files: dict[str, str] = {}
    for item in captures:
        name, given, file = item.partition("=")
        meant = [name] if given and name in names else names
        file = file if given and name in names else item
        if not Path(file).is_file():
            raise BadUsage(f"--capture {item!r}: {file} is not a file")
        for one in meant:
            if one in files:
                raise BadUsage(f"--capture {item!r}: exchange {one} has one already")
            files[one] = file
    return files


def _on_signal() -> threading.Event:
    """Set by Ctrl-C and by a polite kill."""
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    return ended


def _where(exchange) -> dict:
    ports, settings = exchange.ports, exchange.settings
    account = settings.accounts[0] if settings.accounts else None
    return {
        "name": settings.name, "protocol": settings.protocol, "capture": settings.capture or None,
        "rest": f"https://127.0.0.1:{ports.tls}", "stream": f"wss://127.0.0.1:{ports.tls}",
        "key": account.api_key if account else None, "secret": account.secret if account else None,
        "plain_rest": f"http://127.0.0.1:{ports.plain}", "plain_stream": f"ws://127.0.0.1:{ports.plain}",
    }


def _lines(document: dict) -> list[str]:
    rows = [("exchange", "protocol", "REST", "websocket")]
    for entry in document["exchanges"]:
        rows.append((entry["name"], entry["protocol"], entry["rest"], entry["stream"]))
        rows.append(("", "", entry["plain_rest"], entry["plain_stream"]))
        if entry["key"]:
            rows.append(("", "", f"key: {entry['key']}", f"secret: {entry['secret']}"))
    return [*output.columns(rows), f"trust: {document['ca_file']}", "Ctrl-C ends them."]
