"""`orderflow consolidated` against simulated exchanges on sockets: two quote currencies, and the book of their rate."""
import json
import time
from decimal import Decimal
from fractions import Fraction

import pytest

from orderflow.cli import BAD_USAGE, GOOD, main
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.launch import SimulatorSettings, start_thread

KRAKEN = (
    SimulatedInstrument("BTC/USD", "BTC", "USD", 1, 8, tick=10, minimum_quantity=5_000, rest_symbol="XXBTZUSD"),
    SimulatedInstrument("USDT/USD", "USDT", "USD", 5, 8, rest_symbol="USDTZUSD"))


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """The same thing in dollars and in USDT."""
    prices = {"BTC": 60_000.0, "USDT": 0.9995}
    started = {"alpha": ("binance_spot", start_thread(SimulatorSettings(
        "alpha", "binance_spot", seed=3, origin_ns=time.time_ns(), prices=prices)), ["BTCUSDT"], "0.0002"),
        "gamma": ("kraken_v2", start_thread(SimulatorSettings(
            "gamma", "kraken_v2", seed=3, origin_ns=time.time_ns(), instruments=KRAKEN, prices=prices)),
            ["BTC/USD", "USDT/USD"], "0.0004")}
    text = "".join(
        f'[exchanges.{name}]\nprotocol = "{protocol}"\nsymbols = {json.dumps(symbols)}\ntaker_fee = "{fee}"\n'
        f'rest = "http://127.0.0.1:{exchange.ports.plain}"\nstream = "ws://127.0.0.1:{exchange.ports.plain}"\n'
        for name, (protocol, exchange, symbols, fee) in started.items())
    path = tmp_path_factory.mktemp("consolidated") / "joined.toml"
    path.write_text(text + '[instruments."BTC-USD"]\nsymbols = { alpha = ["BTCUSDT"] }\n'
                           'convert = { USDT = "USDT-USD" }\n')
    yield path
    for _, exchange, _, _ in started.values():
        exchange.stop()


def shown(config, capsys, *arguments):
    assert main(["consolidated", str(config), "BTC-USD", *arguments, "--seconds", "2", "--json"]) == GOOD
    return json.loads(capsys.readouterr().out)


def test_levels_in_one_currency_with_fees(config, capsys):
    found = shown(config, capsys, "--quantity", "30", "--price", "60000", "--levels", "40")
    assert found["left_out"] == {} and set(found["rates"]) == {"USDT"}
    buy, sell = (Fraction(rate) for rate in found["rates"]["USDT"])
    assert 0.99 < sell < buy < 1.01
    for side, rate, sign in (("buy", buy, 1), ("sell", sell, -1)):
        levels, total = found[side]["levels"], Fraction(0)
        assert {level["exchange"] for level in levels} == {"alpha", "gamma"}
        costs = [sign * Fraction(level["all_in"]) for level in levels]
        assert costs == sorted(costs)
        for level in levels:
            worth = Fraction(level["own_price"]) * (rate if level["currency"] == "USDT" else 1)
            fee = Fraction("0.0002") if level["exchange"] == "alpha" else Fraction("0.0004")
            assert 0 <= sign * (Fraction(level["price"]) - worth) < Fraction(1, 10**8)
            assert Fraction(level["all_in"]) == Fraction(level["price"]) * (1 + sign * fee)
            assert 0 <= level["age_seconds"] < 30
            total += Fraction(level["quantity"]) * (sign * Fraction(level["price"]) <= sign * 60_000)
        assert len(levels) == 40 or total == Fraction(found[side]["quantity_within"])
        cost, split = found[side]["cost"], found[side]["best_split"]
        assert sum(Decimal(part["quantity"]) for part in split["parts"]) == Decimal(split["quantity"])
        if split["quantity"] == cost["quantity"]:
            assert sign * Decimal(split["all_in"]) >= sign * Decimal(cost["all_in"])


def test_for_people(config, capsys):
    asked = ["--quantity", "1", "--price", "60000", "--seconds", "1"]
    assert main(["consolidated", str(config), "BTC-USD", *asked]) == GOOD
    text = capsys.readouterr().out
    assert "To buy BTC-USD:" in text and "To sell BTC-USD:" in text and "split best: " in text
    assert "1 USDT: " in text and "at that price and better: " in text and "alpha BTCUSDT" in text


@pytest.mark.parametrize(("arguments", "told"), [
    (["BTC-EUR"], "INSTRUMENT BTC-EUR: there are BTC-USD, USDT-USD"),
    (["BTC-USD", "--quantity", "much"], "'much' is not a decimal number"),
    (["BTC-USD", "--price", "dear"], "'dear' is not a decimal number")])
def test_what_is_wrong_is_named(config, capsys, arguments, told):
    assert main(["consolidated", str(config), *arguments, "--seconds", "0"]) == BAD_USAGE
    assert told in capsys.readouterr().err
