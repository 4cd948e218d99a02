"""Settings: what is good is taken, and what is wrong is told with the name of its key."""
import os
import re
import tomllib
from pathlib import Path

import pytest
from msgspec import NODEFAULT
from msgspec.structs import fields

from orderflow.config import (
    ConfigError,
    EngineSettings,
    ExchangeLimitSettings,
    ExchangeSettings,
    InstrumentSettings,
    LimitSettings,
    StrategyLimitSettings,
    StrategySettings,
    TotalLimitSettings,
    check,
    check_required_limits,
    load,
    parse,
)
from orderflow.exchanges import SESSIONS

ROOT = Path(__file__).parents[1]

GOOD = """
[engine]
server = "async"
layout = "fused"

[exchanges.one]
protocol = "binance_spot"
symbols = ["BTCUSDT"]
taker_fee = "0.001"
rest = "https://127.0.0.1:8001"
stream = "wss://127.0.0.1:8001"

[exchanges.two]
protocol = "kraken_v2"
symbols = ["BTC/USD"]
depth = 100
"""


def written(tmp_path, text):
    path = tmp_path / "settings.toml"
    path.write_text(text)
    return path


def one(**fields):
    """A document with one exchange and these of its keys."""
    return {"exchanges": {"one": {"protocol": "kraken_v2", "symbols": ["BTC/USD"], **fields}}}


def engine(**fields):
    return one() | {"engine": fields}


def test_a_good_file_is_taken(tmp_path):
    settings = load(written(tmp_path, GOOD))
    assert list(settings.exchanges) == ["one", "two"]
    assert settings.engine.server == "async" and settings.engine.wait == "park"
    assert settings.exchanges["one"].taker_fee == "0.001" and settings.exchanges["two"].depth == 100
    with pytest.raises(AttributeError):
        settings.engine.server = "sync"


@pytest.mark.parametrize("protocol", SESSIONS)
def test_every_protocol_is_known(protocol):
    assert parse(one(protocol=protocol)).exchanges["one"].protocol == protocol


@pytest.mark.parametrize("document, told", [
    ({}, "exchanges: name at least one"),
    ({"exchange": {}}, "exchange: no such key; did you mean exchanges?"),
    (one(lot=1), "exchanges.one.lot: no such key; there are protocol, symbols, rest, "),
    (one(symbol="A"), "exchanges.one.symbol: no such key; did you mean symbols?"),
    (engine(speed=1), "engine.speed: no such key; there are server, layout, "),
    ({"exchanges": {"one": {"symbols": ["A"]}}}, "exchanges.one.protocol: is missing"),
    ({"exchanges": {"one": {"protocol": "kraken_v2"}}}, "exchanges.one.symbols: is missing"),
    ({"exchanges": {"One!": {"protocol": "kraken_v2", "symbols": ["A"]}}},
     "exchanges.One!: a name is lower-case letters, digits and _, "),
    (one(protocol="nasdaq"), "exchanges.one.protocol: 'nasdaq' is not one of binance_spot"),
    (one(protocol=7), "exchanges.one.protocol: expected text, got a whole number"),
    (one(symbols=[]), "exchanges.one.symbols: name at least one"),
    (one(symbols="BTC/USD"), "exchanges.one.symbols: expected a list, got text"),
    (one(symbols=["A", "A"]), "exchanges.one.symbols: a symbol is named twice"),
    (one(maker_fee=0.001),
     'exchanges.one.maker_fee: expected an exact number: text, "0.001", or a whole number, got a float'),
    (one(maker_fee="a lot"), "exchanges.one.maker_fee"),
    (one(taker_fee="NaN"), "exchanges.one.taker_fee"),
    (one(taker_fee="1.5"), "exchanges.one.taker_fee: 1.5 is a fraction"),
    (one(tickets={"USD": 0.5}), "exchanges.one.tickets.*: expected an exact number"),
    (one(tickets={"USD": "-1"}), "exchanges.one.tickets.USD: -1 should be 0 or more"),
    (one(fee_tiers={"A-B": [{"quantity": "1"}]}), "exchanges.one.fee_tiers.*taker_fee: is missing"),
    (one(taker_fee="0.001", fee_tiers={"A-B": [{"quantity": "0", "taker_fee": "0"}]}),
     r'exchanges.one.fee_tiers."A-B"\[0\].quantity: 0 should be above 0'),
    (one(taker_fee="0.001", fee_tiers={"A-B": [{"quantity": 1, "taker_fee": "0.001"}]}),
     r'exchanges.one.fee_tiers."A-B"\[0\].taker_fee: 0.001 should be below 0.001'),
    (one(taker_fee="0.001", fee_tiers={"A-B": [{"quantity": 2, "taker_fee": 0}, {"quantity": "many", "taker_fee": 0}]}),
     r'exchanges.one.fee_tiers."A-B"\[1\].quantity: \'many\''),
    (one(taker_fee="0.001", fee_tiers={"A-B": [{"quantity": i, "taker_fee": -i} for i in range(5)]}),
     'exchanges.one.fee_tiers."A-B": 5 tiers, at most 4'),
    (one(depth=-1), "exchanges.one.depth: expected a whole number >= 0"),
    (one(depth="10"), "exchanges.one.depth: expected a whole number, got text"),
    (one(trade="yes"), "exchanges.one.trade: expected true or false, got text"),
    (one(lines=3), "exchanges.one.lines: expected a whole number <= 2"),
    (one(lines=0), "exchanges.one.lines: expected a whole number >= 1"),
    (one(reconnect_after_seconds=5), "exchanges.one.reconnect_after_seconds: 5 is too often; at least 60, or 0 for"),
    (one(reconnect_after_seconds=-1), "exchanges.one.reconnect_after_seconds: expected a number >= 0"),
    (one(dead_man_seconds=4), "exchanges.one.dead_man_seconds: 4 is too short .*; at least 5, or 0 for none"),
    (one(dead_man_seconds=90_000), "exchanges.one.dead_man_seconds: expected a whole number <= 86400"),
    (one(account_is_exclusive="yes"), "exchanges.one.account_is_exclusive: expected true or false, got text"),
    (one(ca_file="/nowhere/ca.pem"), "exchanges.one.ca_file: /nowhere/ca.pem is not a file"),
    (one(rest="api.kraken.com"), "exchanges.one.rest: 'api.kraken.com' should begin with https://"),
    (one(rest="wss://api.kraken.com"), "exchanges.one.rest: .* should begin with https://"),
    (one(stream="https://ws.kraken.com"), "exchanges.one.stream: .* should begin with wss://"),
    (one(stream="wss://"), "exchanges.one.stream"),
    (one(stream="ws://ws.kraken.com"), "exchanges.one.stream: ws:// is not encrypted"),
    (one(rest="http://127.0.0.1.example.com"), "exchanges.one.rest: http:// is not encrypted"),
    (one(orders="http://localhost"), "exchanges.one.orders: .* should begin with wss://"),
    (engine(server="threads"), "engine.server: 'threads' is none of sync, async"),
    (engine(layout="spilt"), "engine.layout: 'spilt' is none of split, fused"),
    (engine(wait=1), "engine.wait"),
    (engine(connect_timeout=0), "engine.connect_timeout: expected a number > 0"),
    (engine(connect_timeout="soon"), "engine.connect_timeout: expected a number"),
    *((engine(**{f"{phase}_timeout": 0}), f"engine.{phase}_timeout: expected a number > 0")
      for phase in ("tls", "upgrade", "rest")),
    (one(login_seconds=0), "exchanges.one.login_seconds: expected a number > 0"),
    (one(subscribe_seconds=-1), "exchanges.one.subscribe_seconds: expected a number > 0"),
    (engine(cpus={"nobody": 0}), "engine.cpus.nobody: no such thread; there are one, router, strategizer"),
    (engine(cpus={"fused": 0}), "engine.cpus.fused: no such thread"),
    (engine(cpus={"one": 4095}), "engine.cpus.one: processor 4095 is not one of"),
    (engine(cpus={"one": -1}), "engine.cpus.*: expected a whole number >= 0"),
    (one() | {"limits": {"BTC-USD": {"maximum_positon": 1}}},
     'limits."BTC-USD".maximum_positon: no such key; did you mean maximum_position'),
])
def test_what_is_wrong_is_named(document, told):
    with pytest.raises(ConfigError, match=told.replace("|", r"\|").replace("(", r"\(").replace("?", r"\?")) as caught:
        parse(document)
    assert "\n" not in str(caught.value)


def test_lines_and_their_renewal():
    chosen = parse(one(lines=2, reconnect_after_seconds=3600)).exchanges["one"]
    assert (chosen.lines, chosen.reconnect_after_seconds) == (2, 3600.0)
    assert parse(one(reconnect_after_seconds=0)).exchanges["one"].reconnect_after_seconds == 0
    assert parse(one()).exchanges["one"].reconnect_after_seconds is None


def test_loopback_needs_no_encryption():
    for host in ("127.0.0.1:8080", "localhost:8080", "[::1]:8080"):
        assert parse(one(rest=f"http://{host}", stream=f"ws://{host}")).exchanges["one"].rest == f"http://{host}"


def test_more_spinning_threads_than_processors(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    with pytest.raises(ConfigError, match="engine.wait: 3 spinning threads on 2 processors"):
        parse(engine(wait="spin"))
    assert parse(engine(wait="spin", layout="fused")).engine.wait == "spin"


@pytest.mark.parametrize("text, told", [
    ("[engine", "not TOML"),
    ("a = 1\na = 2", "not TOML"),
    ("[engine]\nserver = 'x'", "settings.toml: engine.server: 'x' is none of sync, async"),
])
def test_the_file_is_named(tmp_path, text, told):
    with pytest.raises(ConfigError, match=told):
        load(written(tmp_path, text))


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(ConfigError, match="none.toml: cannot be read"):
        load(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="binary.toml: cannot be read"):
        load(tmp_path / "binary.toml")


def test_settings_are_checked_however_they_were_made():
    good = parse(one())
    assert check(good) is good


# -- what must be limited before anything trades -------------------------------------------------------------------

LIMITS = {"maximum_position": 1, "maximum_order_quantity": 1, "maximum_order_notional": 1}
TOTAL = {"maximum_capital": {"USDT": 1000}, "maximum_loss": {"USDT": "10.5"}}


def trading(**tables):
    exchange = {"protocol": "binance_spot", "symbols": ["BTCUSDT"], "trade": True}
    return {"engine": {"directory": "x"}, "exchanges": {"a": exchange}, "limits": {"BTC-USDT": LIMITS}} | tables


@pytest.mark.parametrize(("tables", "message"), [
    ({}, "total_limits.maximum_capital.USDT: missing; BTC-USDT trades, say how much may be used in total"),
    ({"total_limits": {"maximum_capital": {"USDT": 1}}}, "total_limits.maximum_loss.USDT: missing; BTC-USDT trades"),
    ({"total_limits": TOTAL, "limits": {"BTC-USDT": LIMITS, "BTC-EUR": LIMITS}},
     "total_limits.maximum_capital.EUR: missing; BTC-EUR trades"),
])
def test_live_trading_needs_what_nobody_can_decide_for_you(tables, message):
    settings = parse(trading(**tables))
    with pytest.raises(ConfigError) as caught:
        check_required_limits(settings)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("field", LIMITS)
def test_an_instrument_needs_its_limits(field):
    with pytest.raises(ConfigError, match=f'limits."BTC-USDT".{field}: is missing'):
        parse(trading(limits={"BTC-USDT": {key: 1 for key in LIMITS if key != field}}))


def test_with_them_it_may_trade_and_without_trading_they_are_not_needed():
    check_required_limits(parse(trading(total_limits=TOTAL)))
    check_required_limits(parse(one()))


@pytest.mark.parametrize(("tables", "message"), [
    ({"exchange_limits": {"b": {}}}, "exchange_limits.b: there is no such exchange; there are a"),
    ({"strategy_limits": {"b": {}}}, "strategy_limits.b: there is no such strategy; there are none"),
    ({"total_limits": {"maximum_capital": {"USDT": 0}}}, "total_limits.maximum_capital.USDT: 0 should be positive"),
    ({"total_limits": {"maximum_loss": {"USDT": "much"}}}, "total_limits.maximum_loss.USDT: 'much' is not a decimal"),
    ({"exchange_limits": {"a": {"maximum_capital": {"EUR": "-1"}}}}, "exchange_limits.a.maximum_capital.EUR: -1"),
    ({"exchange_limits": {"a": {"maximum_loss": {}}}}, "exchange_limits.a.maximum_loss: no such key"),
    ({"total_limits": {"messages_per_10_seconds": -1}}, "total_limits.messages_per_10_seconds: expected"),
    ({"limits": {"BTC-USDT": LIMITS | {"drift_collar": 1}}}, 'limits."BTC-USDT".drift_collar: 1 should be'),
])
def test_limits_that_mean_nothing_are_named(tables, message):
    with pytest.raises(ConfigError) as caught:
        parse(trading(**tables))
    assert message in str(caught.value)


# -- instruments that are joined ------------------------------------------------------------------------------------


def joined(**tables):
    return one(symbols=["BTC/USD", "BTC/USDT", "USDT/USD"]) | {"instruments": tables}


def test_an_instrument_under_other_names():
    settings = parse(joined(**{"BTC-USD": {"symbols": {"one": ["BTC/USDT"]}, "convert": {"USDT": "USD-USDT"}}}))
    assert settings.instruments == {"BTC-USD": InstrumentSettings(symbols={"one": ("BTC/USDT",)},
                                                                  convert={"USDT": "USD-USDT"})}


@pytest.mark.parametrize(("tables", "message"), [
    ({"BTC": {}}, 'instruments."BTC": the name says in which currency its prices are, as BTC-USD does'),
    ({"BTC-USD": {"symbols": {"two": ["X"]}}}, 'instruments."BTC-USD".symbols.two: there is no such exchange; there '
                                                 "are one"),
    ({"BTC-USD": {"symbols": {"one": ["X"]}}}, "symbols.one: 'X' is not traded there; add it to exchanges.one.symbols"),
    ({"BTC-USD": {"symbols": {"one": ["BTC/USDT"]}}, "XBT-USD": {"symbols": {"one": ["BTC/USDT"]}}},
     "instruments.\"XBT-USD\".symbols.one: 'BTC/USDT' is part of instruments.\"BTC-USD\" already"),
    ({"USDT-USD": {"convert": {"USDT": "USDT-USD"}}}, "convert.USDT: an instrument gives itself no rate"),
    ({"BTC-USD": {"convert": {"USDT": "USDT-EUR"}}}, "convert.USDT: 'USDT-EUR' says nothing of USDT in USD; name "
                                                      "USDT-USD, or the other way round"),
    ({"BTC-USD": {"convert": "USDT-USD"}}, 'instruments."BTC-USD".convert'),
    ({"BTC-USD": {"converted": {}}}, 'instruments."BTC-USD"'),
])
def test_joins_that_mean_nothing_are_named(tables, message):
    with pytest.raises(ConfigError) as caught:
        parse(joined(**tables))
    assert message in str(caught.value)


def test_dislocation_is_not_for_joined_currencies():
    document = trading(strategies={"arb": {"use": "dislocation", "parameters": {
        "instrument": "BTC-USD", "maximum_quantity": "1"}}}, instruments={"BTC-USD": {"convert": {"USDT": "USDT-USD"}}})
    with pytest.raises(ConfigError, match=r"strategies\.arb\.parameters\.instrument: BTC-USD is joined over quote"):
        parse(document)


# -- what users read ---------------------------------------------------------------------------------------------


def documented(section):
    """key -> default, as the tables of docs/configuration.md have them; "" where there is none."""
    text = (ROOT / "docs/configuration.md").read_text()
    rows = re.findall(r"^\| (`[^|]*`) \|([^|]*)\|", text.split(f"## `{section}`")[1].split("\n## ")[0], re.MULTILINE)
    return {key.strip("` "): default.strip("` ") for keys, default in rows for key in keys.split(",")}


@pytest.mark.parametrize(("section", "struct"), [
    ("[engine]", EngineSettings), ("[exchanges.NAME]", ExchangeSettings),
    ('[instruments."INSTRUMENT"]', InstrumentSettings), ('[limits."INSTRUMENT"]', LimitSettings),
    ("[strategies.NAME]", StrategySettings), ("[exchange_limits.NAME]", ExchangeLimitSettings),
    ("[strategy_limits.NAME]", StrategyLimitSettings), ("[total_limits]", TotalLimitSettings)])
def test_every_key_is_documented_with_its_default(section, struct):
    told = documented(section)
    if section.startswith("[strategies"):
        told = {key: told[key] for key in ("use", "parameters")}
    assert set(told) == {field.name for field in fields(struct)}
    for field in fields(struct):
        default = field.default if field.default_factory is NODEFAULT else field.default_factory()
        if field.required or default is None:
            assert not told[field.name] or default is None, field.name
        else:
            assert tomllib.loads(f"it = {told[field.name]}")["it"] == default, field.name


def test_the_example_can_be_used(tmp_path):
    settings = load(ROOT / "examples/engine.toml")
    assert {name: one.protocol for name, one in settings.exchanges.items()} == {
        "alpha": "binance_spot", "gamma": "kraken_v2"}
    assert "BTC-USDT" in settings.limits
