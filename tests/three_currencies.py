"""Engines over one instrument in three quote currencies, on a virtual clock: dollars, USDT and USDC.

`dollar` trades BTC/USD, `tether` BTCUSDT, `circle` BTCUSDC; `rates` says what a USDT costs in USD, and, the other way
round, what a USD costs in USDC.
"""
import base64
import hashlib

from orderflow.credentials import Credentials
from orderflow.engine import Engine
from orderflow.exchanges import session_for
from orderflow.exchanges.session import SessionSettings
from orderflow.joining import Join
from orderflow.limits import Limits, RiskLimits, TotalLimits
from orderflow.research.simulation import DIRECT_START_NS, FREE, HISTORY_NS
from orderflow.servers.direct import DirectServer
from orderflow.simulator.accounts import AccountSettings
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.launch import SimulatorSettings, build

ITEM = "BTC-USD"
JOINS = {ITEM: Join({"tether": ("BTCUSDT",), "circle": ("BTCUSDC",)}, {"USDT": "USDT-USD", "USDC": "USD-USDC"})}
LIMITS = RiskLimits(
    {ITEM: Limits("500", "100", "20000000", collar="0.02")}, every_strategy=FREE,
    total=TotalLimits(maximum_capital={"USD": "1000000000"}, maximum_loss={"USD": "100000000"},
                      messages_per_10_seconds=0))
BALANCES = {"BTC": "1000", "USD": "100000000", "USDT": "100000000", "USDC": "100000000"}
FEES = {"dollar": ("0.0001", "0.0004"), "tether": ("0.0001", "0.0002"), "circle": ("0", "0.0003"),
        "rates": ("0", "0")}
#: First prices of base assets, such that all three are worth the same.
PRICES = {"dollar": {"BTC": 60_000.0}, "tether": {"BTC": 60_000 / 0.9995}, "circle": {"BTC": 60_000 * 1.0004},
          "rates": {"USDT": 0.9995, "USD": 1.0004}}


def _btc(symbol, quote, taker_fee):
    return SimulatedInstrument(symbol, "BTC", quote, 8, 8, tick=10**8, lot=1_000, minimum_quantity=1_000,
                               minimum_notional=5 * 10**8, taker_fee=taker_fee)


INSTRUMENTS = {
    "dollar": ("kraken_v2", (SimulatedInstrument(
        "BTC/USD", "BTC", "USD", 1, 8, tick=10, minimum_quantity=5_000, minimum_notional=5 * 10**7,
        rest_symbol="XXBTZUSD", taker_fee=40_000),)),
    "tether": ("binance_spot", (_btc("BTCUSDT", "USDT", 20_000),)),
    "circle": ("binance_spot", (_btc("BTCUSDC", "USDC", 30_000),)),
    "rates": ("kraken_v2", (SimulatedInstrument("USDT/USD", "USDT", "USD", 5, 8, rest_symbol="USDTZUSD"),
                            SimulatedInstrument("USD/USDC", "USD", "USDC", 5, 8, rest_symbol="USDUSDC"))),
}


def _secret(name, protocol):
    raw = hashlib.sha256(name.encode())
    return base64.b64encode(raw.digest()).decode() if protocol == "kraken_v2" else raw.hexdigest()


def _exchange(name, seed, **more):
    protocol, instruments = INSTRUMENTS[name]
    account = AccountSettings("key", _secret(name, protocol), balances=BALANCES, tier="pro")
    return build(SimulatorSettings(name, protocol, seed=seed, origin_ns=DIRECT_START_NS - HISTORY_NS,
                                   instruments=instruments, accounts=(account,), prices=PRICES[name], **more))


def _session(name, silence):
    protocol, instruments = INSTRUMENTS[name]
    orders = f"ws://{name}/ws-api/v3" if protocol == "binance_spot" else f"ws://{name}"
    return session_for(protocol, SessionSettings(
        name, rest=f"http://{name}", stream=f"ws://{name}", orders=orders, trade=name != "rates", tier="pro",
        silence_ns=int(silence * 1e9),
        symbols=tuple(one.symbol for one in instruments), credentials=Credentials("key", _secret(name, protocol))))


def engines():
    """For a fixture: a function that starts one, with the options of Engine; all are stopped in the end.

    `settings`: of a simulated exchange, by its name."""
    started = []

    def made(seed=11, settings=None, start_ns=DIRECT_START_NS, silence=60.0, **options):
        exchanges = {name: _exchange(name, seed, **(settings or {}).get(name, {})) for name in INSTRUMENTS}
        sessions = [_session(name, silence) for name in INSTRUMENTS]
        problems = []
        options = {"limits": LIMITS, "fees": FEES, "joins": JOINS} | options
        engine = Engine(sessions, DirectServer(exchanges, start_ns, problems.append), report=problems.append, **options)
        engine.exchanges, engine.told = exchanges, problems
        started.append(engine)
        return engine.start()

    yield made
    for engine in started:
        engine.stop()


