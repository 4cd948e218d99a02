"""`orderflow run`: real connections from a configuration file, and one line about whatever is wrong with it."""
import json
import time

import pytest

from orderflow.cli import BAD_USAGE, CHECK_FAILED, GOOD, main
from orderflow.config import ConfigError, parse
from orderflow.research.simulation import KEY, VENUES, secret_of, simulator_settings
from orderflow.simulator.launch import start_thread


@pytest.fixture(scope="module")
def configuration(tmp_path_factory):
    """A configuration for two simulated exchanges, of which alpha trades and gamma does not."""
    folder = tmp_path_factory.mktemp("run")
    venues = [venue for venue in VENUES if venue.name != "beta"]
    started = [start_thread(simulator_settings(venue, 3, time.time_ns())) for venue in venues]
    text = f'[engine]\ndirectory = "{folder / "journal"}"\n'
    for venue, exchange in zip(venues, started, strict=True):
        port = exchange.ports.plain
        text += (f'[exchanges.{venue.name}]\nprotocol = "{venue.protocol}"\nsymbols = ["{venue.symbol}"]\n'
                 f'rest = "http://127.0.0.1:{port}"\nstream = "ws://127.0.0.1:{port}"\n'
                 f'orders = "ws://127.0.0.1:{port}/ws-api/v3"\n'
                 f'trade = {"true" if venue.name == "alpha" else "false"}\n')
    text += ('[limits."BTC-USDT"]\nmaximum_position = 1\nmaximum_order_quantity = "0.1"\n'
             'maximum_order_notional = 10000\n')
    path = folder / "engine.toml"
    path.write_text(text)
    yield path
    for exchange in started:
        exchange.stop()


@pytest.fixture
def keys(monkeypatch):
    """Key and secret of alpha's account in the environment."""
    monkeypatch.setenv("ORDERFLOW_ALPHA_KEY", KEY)
    monkeypatch.setenv("ORDERFLOW_ALPHA_SECRET", secret_of(VENUES[0]))


def test_it_keeps_books_and_opens_order_connections(configuration, keys, capsys):
    assert main(["run", str(configuration), "--seconds", "1.5", "--json"]) == GOOD
    found = json.loads(capsys.readouterr().out)
    assert [exchange["name"] for exchange in found["exchanges"]] == ["alpha", "gamma"]
    assert all(exchange["books"] == {"BTC-USDT": "LIVE"} and exchange["frames"] for exchange in found["exchanges"])
    assert found["problems"] == [] and found["orders"]["sent"] == 0
    assert found["latency_ns"]["frame_to_board"]["count"] > 10


def test_in_a_pipe_it_prints_plain_lines(configuration, keys, capsys):
    assert main(["run", str(configuration), "--seconds", "0.5"]) == GOOD
    printed = capsys.readouterr()
    assert "\x1b" not in printed.out and printed.err == ""
    assert "alpha BTCUSDT LIVE" in printed.out and "frame to board" in printed.out


def test_a_missing_key_is_named(configuration, monkeypatch, capsys):
    monkeypatch.delenv("ORDERFLOW_ALPHA_KEY", raising=False)
    assert main(["run", str(configuration)]) == BAD_USAGE
    assert capsys.readouterr().err == "orderflow: exchanges.alpha.trade: the environment has no ORDERFLOW_ALPHA_KEY\n"


def test_an_exchange_that_does_not_answer_is_named(tmp_path, capsys):
    path = tmp_path / "engine.toml"
    path.write_text('[exchanges.nobody]\nprotocol = "kraken_v2"\nsymbols = ["BTC/USD"]\nrest = "http://127.0.0.1:9"\n'
                    'stream = "ws://127.0.0.1:9"\n')
    assert main(["run", str(path), "--seconds", "1"]) == CHECK_FAILED
    error = capsys.readouterr().err
    assert error.startswith("orderflow: exchange nobody: ") and error.count("\n") == 1


EXCHANGE = {"protocol": "binance_spot", "symbols": ["BTCUSDT"]}
LIMITS = {"maximum_position": 1, "maximum_order_quantity": 1, "maximum_order_notional": 1}


@pytest.mark.parametrize(("document", "message"), [
    ({"exchanges": {"a": EXCHANGE | {"trade": True}}, "limits": {"BTC-USDT": LIMITS}}, "engine.directory: name one"),
    ({"exchanges": {"a": EXCHANGE | {"trade": True}}, "engine": {"directory": "x"}}, "limits: a trades"),
    ({"exchanges": {"a": EXCHANGE}, "limits": {"BTC-USDT": LIMITS | {"maximum_position": "many"}}},
     'limits."BTC-USDT".maximum_position: \'many\''),
    ({"exchanges": {"a": EXCHANGE}, "limits": {"BTC-USDT": LIMITS | {"collar": "1.5"}}},
     'limits."BTC-USDT".collar: 1.5 should be positive and below 1'),
    ({"exchanges": {"a": EXCHANGE}, "limits": {"BTC-USDT": LIMITS | {"maximum_position": 0}}}, "should be positive"),
    ({"exchanges": {"a": EXCHANGE}, "limits": {"BTC-USDT": LIMITS | {"color": 1}}}, "color: no such key"),
])
def test_wrong_limits_are_named(document, message):
    with pytest.raises(ConfigError) as caught:
        parse(document)
    assert message in str(caught.value)
