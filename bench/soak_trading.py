"""Ten minutes of an engine with three exchanges and ten instruments each: `bench/soak_trading.py SECONDS`.

The exchanges are simulated, each in a process of its own, over TLS; the engine trades in this one. Its resident memory
is read every second. Exits 1 when it exceeds 200 MiB, or when the last third of the run stands higher than the second
third by more than 1 MiB: then something grows.
"""
import statistics
import sys
import time
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path

from orderflow import Engine, Limits
from orderflow._core.doorbell import Doorbell
from orderflow.credentials import Credentials
from orderflow.exchanges import session_for
from orderflow.exchanges.session import SessionSettings
from orderflow.research.simulation import limits_of
from orderflow.servers.sync import SyncServer
from orderflow.simulator.accounts import AccountSettings
from orderflow.simulator.certificates import Authority
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.launch import ExchangeProcess, SimulatorSettings

GATE_MIB, GROWTH_MIB = 200, 1
ASSETS = [f"C{index:02}" for index in range(10)]
EXCHANGES = {"alpha": "binance_spot", "beta": "binance_spot", "gamma": "kraken_v2"}
KEY, SECRET = "soak", "c29hayBzb2FrIHNvYWsgc29haw=="
LIMITS = Limits(maximum_position="1000", maximum_order_quantity="100", maximum_order_notional="100000000",
                collar="0.05")


def resident_mib(kind="VmRSS"):
    """Resident memory of this process, MiB: all of it, or "RssAnon" its own, "RssFile" mapped files."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{kind}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"/proc/self/status has no {kind}")


def symbol_of(protocol, asset):
    return f"{asset}/USDT" if protocol == "kraken_v2" else f"{asset}USDT"


def exchange(name, protocol, origin_ns):
    """Settings of one simulated exchange with all instruments and a funded account."""
    instruments = tuple(
        SimulatedInstrument(symbol_of(protocol, asset), asset, "USDT", 2, 8, tick=10, minimum_quantity=1_000,
                            rest_symbol=f"{asset}USDT", taker_fee=50_000) for asset in ASSETS)
    account = AccountSettings(KEY, SECRET, balances={**dict.fromkeys(ASSETS, "100000"), "USDT": "1000000000"})
    return SimulatorSettings(name, protocol, seed=7, origin_ns=origin_ns, instruments=instruments, accounts=(account,),
                             prices=dict.fromkeys(ASSETS, 60_000.0))


def session(name, protocol, port):
    stream = f"wss://127.0.0.1:{port}"
    return session_for(protocol, SessionSettings(
        name, rest=f"https://127.0.0.1:{port}", stream=stream,
        orders=f"{stream}/ws-api/v3" if protocol == "binance_spot" else stream,
        symbols=tuple(symbol_of(protocol, asset) for asset in ASSETS), trade=True,
        credentials=Credentials(KEY, SECRET)))


def trade(engine, seconds):
    """One small parent order a second, buying and selling in turn; resident memory of every second, MiB."""
    found = []
    for second in range(seconds):
        instrument = f"{ASSETS[second % len(ASSETS)]}-USDT"
        engine.submit(instrument, "buy" if second // len(ASSETS) % 2 else "sell", Decimal("0.5"), seconds=1.0)
        engine.run(1.0)
        found.append(resident_mib())
    return found


def main(seconds):
    origin_ns = time.time_ns() - 5 * 10**9
    with ExitStack() as stack:
        authority = Authority()
        sessions = [
            session(name, protocol, stack.enter_context(
                ExchangeProcess(exchange(name, protocol, origin_ns), authority)).ports.tls)
            for name, protocol in EXCHANGES.items()]
        engine = Engine(sessions, SyncServer(Doorbell(), print, str(authority.path)), report=print,
                        limits=limits_of({f"{asset}-USDT": LIMITS for asset in ASSETS}))
        stack.callback(engine.stop)
        engine.start()
        found = trade(engine, seconds)
        files = resident_mib("RssFile")
        filled = sum(1 for parent in engine.parents() if parent.filled)
    third = len(found) // 3
    middle, last = statistics.median(found[third:2 * third]), statistics.median(found[2 * third:])
    passed = max(found) <= GATE_MIB and last - middle <= GROWTH_MIB and filled
    print(f"resident: most {max(found):.1f} MiB (gate {GATE_MIB}; of it mapped files {files:.1f}), "
          f"middle third {middle:.1f}, last third {last:.1f} (gate +{GROWTH_MIB}); "
          f"{filled} parent orders filled: {'PASS' if passed else 'MISS'}")
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 600))
