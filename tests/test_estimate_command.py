"""`orderflow estimate` against simulated exchanges on sockets."""
import json
import time
from decimal import Decimal

import pytest

from orderflow.cli import BAD_USAGE, CHECK_FAILED, GOOD, main
from orderflow.simulator.launch import SimulatorSettings, start_thread

PROTOCOLS = {"alpha": ("binance_spot", "BTCUSDT", "0.001"), "gamma": ("kraken_v2", "BTC/USDT", "0.0005")}


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """Two exchanges with fees of their own."""
    started = {name: start_thread(SimulatorSettings(name, protocol, seed=3, origin_ns=time.time_ns()))
               for name, (protocol, _, _) in PROTOCOLS.items()}
    text = "".join(
        f'[exchanges.{name}]\nprotocol = "{protocol}"\nsymbols = ["{symbol}"]\ntaker_fee = "{fee}"\n'
        f'rest = "http://127.0.0.1:{started[name].ports.plain}"\n'
        f'stream = "ws://127.0.0.1:{started[name].ports.plain}"\n'
        for name, (protocol, symbol, fee) in PROTOCOLS.items())
    path = tmp_path_factory.mktemp("estimate") / "estimate.toml"
    path.write_text(text)
    yield path
    for exchange in started.values():
        exchange.stop()


def test_at_once_and_over_time(config, capsys):
    assert main(["estimate", str(config), "BTC-USDT", "buy", "1", "--daily-volume", "50000", "--seconds", "2",
                 "--daily-volatility", "0.03", "--json"]) == GOOD
    found = json.loads(capsys.readouterr().out)
    assert (found["instrument"], found["side"], found["quantity"]) == ("BTC-USDT", "BUY", "1")
    assert Decimal(found["available"]) > 1 and found["algorithm"] == "immediate"
    # the fee of the cheaper exchange less half the spread, and no more than that of the dearer one with its depth
    assert 4 < found["now"]["cost_bps"] < 20


def test_too_much_for_the_books(config, capsys):
    assert main(["estimate", str(config), "BTC-USDT", "sell", "5000", "--daily-volume", "50000", "--seconds", "1",
                 "--daily-volatility", "0.03"]) == GOOD
    text = capsys.readouterr().out
    assert "Sell 5000 BTC-USDT: the mid is " in text and "part of the volume" in text
    assert "That suggests twap over " in text and "too little is displayed" in text


@pytest.mark.parametrize(("arguments", "code", "told"), [
    (["X-Y", "buy", "1", "--daily-volume", "1"], BAD_USAGE, "INSTRUMENT X-Y: there are BTC-USDT"),
    (["BTC-USDT", "hold", "1", "--daily-volume", "1", "--daily-volatility", "0.1"], BAD_USAGE, "side 'hold'"),
    (["BTC-USDT", "buy", "none", "--daily-volume", "1", "--daily-volatility", "0.1"], BAD_USAGE, "none"),
    (["BTC-USDT", "buy", "1", "--daily-volume", "0", "--daily-volatility", "0.1"], CHECK_FAILED, "daily_volume 0"),
    (["BTC-USDT", "buy", "1"], BAD_USAGE, "--daily-volume")])
def test_what_is_wrong_is_named(config, capsys, arguments, code, told):
    assert main(["estimate", str(config), *arguments, "--seconds", "0"]) == code
    assert told in capsys.readouterr().err
