"""`orderflow run`: real connections from a configuration file, and one line about whatever is wrong with it."""
import json
import time
from dataclasses import replace
from decimal import Decimal

import pytest
from msgspec import structs

from orderflow._core.journal import JournalFiles
from orderflow._core.secret import reveal
from orderflow.cli import BAD_USAGE, CHECK_FAILED, GOOD, main
from orderflow.cli.record import market_data
from orderflow.cli.run import charges_of, engine_of
from orderflow.cli.sessions import session_of
from orderflow.config import ConfigError, ExchangeSettings, load, parse
from orderflow.credentials import CredentialsError
from orderflow.instrument import Listing, OrderCharges
from orderflow.research.simulation import KEY, VENUES, secret_of, simulator_settings
from orderflow.simulator.launch import start_thread
from tests.serving import allow_many_starts


@pytest.fixture(scope="module")
def configuration(tmp_path_factory):
    """A configuration for two simulated exchanges, of which alpha trades and gamma does not."""
    folder = tmp_path_factory.mktemp("run")
    venues = [venue for venue in VENUES if venue.name != "beta"]
    started = [start_thread(simulator_settings(venue, 3, time.time_ns())) for venue in venues]
    allow_many_starts(started[0])
    text = f'[engine]\ndirectory = "{folder / "journal"}"\n'
    for venue, exchange in zip(venues, started, strict=True):
        port = exchange.ports.plain
        text += (f'[exchanges.{venue.name}]\nprotocol = "{venue.protocol}"\nsymbols = ["{venue.symbol}"]\n'
                 f'rest = "http://127.0.0.1:{port}"\nstream = "ws://127.0.0.1:{port}"\n'
                 f'orders = "ws://127.0.0.1:{port}/ws-api/v3"\n'
                 f'trade = {"true" if venue.name == "alpha" else "false"}\n')
    text += ('[limits."BTC-USDT"]\nmaximum_position = 1\nmaximum_order_quantity = "0.1"\n'
             'maximum_order_notional = 10000\n[total_limits]\nmaximum_capital = { USDT = 100000 }\n'
             'maximum_loss = { USDT = 1000 }\n')
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


def test_books_are_resident_from_the_start_where_the_settings_say_so(configuration, keys, tmp_path):
    settings = load(configuration)
    settings = structs.replace(settings, engine=structs.replace(settings.engine, touch_books=True))
    for run in (engine_of(settings, tmp_path, print), market_data(settings, print, {})):
        with run:
            pass
        found = [loop.book(index).statistics for index, loop in enumerate(run.core.loops.values())]
        assert [one["resident_bytes"] for one in found] == [one["reserved_bytes"] for one in found]


def test_in_a_pipe_it_prints_plain_lines(configuration, keys, capsys):
    assert main(["run", str(configuration), "--seconds", "0.5"]) == GOOD
    printed = capsys.readouterr()
    assert "\x1b" not in printed.out and printed.err == ""
    assert "alpha BTCUSDT LIVE" in printed.out and "frame to board" in printed.out


def test_a_missing_key_is_named(configuration, monkeypatch, capsys):
    monkeypatch.delenv("ORDERFLOW_ALPHA_KEY", raising=False)
    assert main(["run", str(configuration)]) == BAD_USAGE
    assert capsys.readouterr().err == (
        "orderflow: exchanges.alpha.trade: no credentials; set ORDERFLOW_ALPHA_KEY and ORDERFLOW_ALPHA_SECRET, or name "
        "a file in exchanges.alpha.credentials\n")


def test_keys_serve_market_data_too(monkeypatch):
    for part in ("KEY", "SECRET", "PASSPHRASE"):
        monkeypatch.delenv(f"ORDERFLOW_ONE_{part}", raising=False)
    exchange = ExchangeSettings(protocol="coinbase", symbols=("BTC-USD",))
    assert session_of("one", exchange, trade=False).settings.credentials is None
    monkeypatch.setenv("ORDERFLOW_ONE_KEY", "k")
    with pytest.raises(CredentialsError, match=r"^exchanges\.one: the environment has no ORDERFLOW_ONE_SECRET$"):
        session_of("one", exchange, trade=False)
    monkeypatch.setenv("ORDERFLOW_ONE_SECRET", "cw==")
    monkeypatch.setenv("ORDERFLOW_ONE_PASSPHRASE", "p")
    session = session_of("one", exchange, trade=False)
    found = session.settings.credentials
    assert [reveal(part) for part in (found.key, found.secret, found.passphrase)] == ["k", "cw==", "p"]
    assert not session.settings.trade
    assert session.channels[0] == "level2"


def test_an_exchange_that_does_not_answer_is_named(tmp_path, capsys):
    path = tmp_path / "engine.toml"
    path.write_text('[exchanges.nobody]\nprotocol = "kraken_v2"\nsymbols = ["BTC/USD"]\nrest = "http://127.0.0.1:9"\n'
                    'stream = "ws://127.0.0.1:9"\n')
    assert main(["run", str(path), "--seconds", "1"]) == CHECK_FAILED
    error = capsys.readouterr().err
    assert error.startswith("orderflow: exchange nobody: ") and error.count("\n") == 1


BUYER = """
class Buyer:
    def __init__(self, quantity):
        self.quantity, self.asked = quantity, False

    def on_signal(self, market, listing, entry):
        if not self.asked and entry["ask_count"] and market.listings[listing].exchange == "alpha":
            self.asked = True
            market.submit("BTC-USDT", "buy", self.quantity, seconds=2)


class Clumsy:
    def on_signal(self, market, listing, entry):
        raise LookupError("nothing there")


class Patient:
    asked = False

    def on_signal(self, market, listing, entry):
        if not self.asked and entry["ask_count"]:
            self.asked = True
            market.submit("BTC-USDT", "buy", "0.00005")


class Idle:
    pass
"""
DISLOCATION = {"use": "dislocation", "parameters": {"instrument": "BTC-USDT", "maximum_quantity": "0.01"}}


@pytest.fixture
def with_strategies(configuration, tmp_path, monkeypatch):
    """A function: tables of strategies in TOML -> path of a configuration that has them, beside a module of its own."""
    module = f"strategies_{tmp_path.name.replace('-', '_')}"       # Python imports a name only once

    def write(*tables):
        (tmp_path / f"{module}.py").write_text(BUYER)
        text = configuration.read_text().replace(str(configuration.parent / "journal"), str(tmp_path / "journal"))
        path = tmp_path / "engine.toml"
        path.write_text(text + "".join(table.replace("MODULE", module) for table in tables))
        return path

    return write


def test_tickets_and_fee_tiers_of_the_configuration_reach_the_router():
    settings = parse({"exchanges": {"one": {
        "protocol": "kraken_v2", "symbols": ["BTC/USD"], "taker_fee": "0.004", "tickets": {"USD": "0.5"},
        "fee_tiers": {"BTC-USD": [{"quantity": 20, "taker_fee": "0.001"}]}}}})
    charges = charges_of(settings.exchanges["one"])
    assert charges == OrderCharges({"USD": Decimal("0.5")}, {"BTC-USD": ((Decimal(20), Decimal("0.001")),)})
    listing = Listing("one", "BTC/USD", "BTC-USD", "BTC", "USD", 1, 8, Decimal("0.1"), Decimal("1e-8"))
    assert listing.with_charges(charges).charge == (50_000_000, [(20 * 10**8, 100_000)])
    assert replace(listing, instrument="ETH-USD", quote="EUR").with_charges(charges).charge == (0, [])


@pytest.mark.parametrize("fee, told", [
    ("0.0003", []), ("0.001", ["exchange alpha BTCUSDT: charged 3.00 bps, but routing counts with 10.00 to 10.00; set "
                               "maker_fee and taker_fee of exchanges.alpha"])])
def test_strategies_of_the_configuration_trade(with_strategies, keys, capsys, fee, told):
    path = with_strategies(
        '[strategies.mine]\nuse = "MODULE:Buyer"\nparameters = {quantity = "0.005"}\n',
        '[strategies.theirs]\nuse = "dislocation"\n'
        'parameters = {instrument = "BTC-USDT", maximum_quantity = "0.01", edge = "0.5"}\n')
    path.write_text(path.read_text().replace("[exchanges.alpha]\n", f'[exchanges.alpha]\nmaker_fee = "{fee}"\n'
                                             f'taker_fee = "{fee}"\n'))
    assert main(["run", str(path), "--seconds", "1.5", "--json"]) == GOOD
    found = json.loads(capsys.readouterr().out)
    assert found["problems"] == told and found["orders"]["sent"] >= 1
    [parent] = found["parents"]
    assert (parent["side"], parent["quantity"], parent["filled"]) == ("BUY", "0.005", "0.005")


def test_what_a_strategy_raises_is_told(with_strategies, keys, capsys):
    path = with_strategies('[strategies.mine]\nuse = "MODULE:Clumsy"\n')
    assert main(["run", str(path), "--seconds", "1", "--json"]) == CHECK_FAILED
    printed = capsys.readouterr()
    [problem] = [one for one in json.loads(printed.out)["problems"] if "LookupError" in one]
    times = int(problem.split("raised ")[1].split(" times")[0])
    assert problem == f"strategies.mine: raised {times} times, first LookupError('nothing there')" and times > 1
    assert printed.err.count("Traceback") == 1, "the first one, not each"


def test_what_was_traded_is_told_in_words(with_strategies, keys, capsys):
    path = with_strategies('[strategies.mine]\nuse = "MODULE:Buyer"\nparameters = {quantity = "0.005"}\n')
    assert main(["run", str(path), "--seconds", "1.5"]) == GOOD
    told = capsys.readouterr().out
    assert "Parents   1, of them 1 ended" in told and "Position  0.005 BTC-USDT" in told
    assert " filled, 0 cancelled, 0 rejected, 0 in doubt" in told and " USDT changed, fees included" in told


def test_what_did_not_end_is_named_and_no_success(with_strategies, keys, capsys, monkeypatch):
    """Less than any exchange takes for its worth waits for ever: nobody asked for an end."""
    monkeypatch.setattr("orderflow.cli.run.SETTLE_S", 0.1)
    path = with_strategies('[strategies.mine]\nuse = "MODULE:Patient"\n')
    assert main(["run", str(path), "--seconds", "1"]) == CHECK_FAILED
    assert "NOT ENDED" in (told := capsys.readouterr().out) and "buy 0.00005 BTC-USDT, filled 0" in told


def test_scenario_28_a_second_engine_on_one_journal_is_refused_in_a_line(configuration, keys, tmp_path, capsys):
    with JournalFiles(configuration.parent / "journal"):
        assert main(["run", str(configuration), "--seconds", "1"]) == CHECK_FAILED
    error = capsys.readouterr().err
    assert "another engine has this journal open" in error and error.count("\n") == 1


def test_a_directory_that_cannot_be_made_is_named(configuration, keys, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    path = tmp_path / "engine.toml"
    path.write_text(configuration.read_text().replace(str(configuration.parent / "journal"),
                                                      str(tmp_path / "file/journal")))
    assert main(["run", str(path), "--seconds", "1"]) == BAD_USAGE
    error = capsys.readouterr().err
    assert error.startswith(f"orderflow: engine.directory: {tmp_path / 'file/journal'} cannot be made: ")
    assert error.count("\n") == 1


def test_an_exchange_that_cannot_be_reached_leaves_the_others_running(configuration, keys, tmp_path, capsys):
    path = tmp_path / "engine.toml"
    path.write_text(configuration.read_text() + '[exchanges.nobody]\nprotocol = "kraken_v2"\nsymbols = ["BTC/USD"]\n'
                    'rest = "http://127.0.0.1:9"\nstream = "ws://127.0.0.1:9"\n')
    assert main(["run", str(path), "--seconds", "1", "--json"]) == CHECK_FAILED
    found = json.loads(capsys.readouterr().out)
    assert {one["name"]: one["books"] for one in found["exchanges"]} == {
        "alpha": {"BTC-USDT": "LIVE"}, "gamma": {"BTC-USDT": "LIVE"}}
    assert [one for one in found["problems"] if one.startswith("exchange nobody: ") and "left out" in one]


def test_wrong_keys_are_told_with_the_exchanges_own_words(configuration, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("ORDERFLOW_ALPHA_KEY", KEY)
    monkeypatch.setenv("ORDERFLOW_ALPHA_SECRET", "wrong")
    path = tmp_path / "engine.toml"
    path.write_text(configuration.read_text().replace("[engine]\n", "[engine]\nstart_timeout = 2\n"))
    assert main(["run", str(path), "--seconds", "0.5", "--json"]) == CHECK_FAILED
    found = json.loads(capsys.readouterr().out)
    assert found["not_ready"] == ["alpha"]
    assert any("user stream was refused" in one for one in found["problems"])
    assert any(one.startswith("not ready within 2 s: alpha") and "the others go on" in one for one in found["problems"])


@pytest.mark.parametrize(("table", "told"), [
    ('use = "MODULE:Seller"', "strategies.mine.use: "),
    ('use = "no_such_module_here:Buyer"', "strategies.mine.use: no_such_module_here:Buyer cannot be imported: "),
    ('use = "MODULE:Idle"', "has none of on_signal, on_report, on_timer"),
    ('use = "MODULE:BUYER"', "strategies.mine.use: "),
    ('use = "MODULE:Buyer"', "strategies.mine.parameters: "),
    ('use = "MODULE:Buyer"\nparameters = {speed = 1}', "strategies.mine.parameters: "),
    ('use = "dislocation"\nparameters = {instrument = "BTC-USDT", maximum_quantity = "0.0000000000001"}',
     "strategies.mine.parameters: quantity of BTC-USDT: 0.0000000000001 has more than 8 decimals"),
])
def test_a_strategy_that_cannot_be_used_is_named(with_strategies, keys, capsys, table, told):
    assert main(["run", str(with_strategies(f"[strategies.mine]\n{table}\n")), "--seconds", "1"]) == BAD_USAGE
    error = capsys.readouterr().err
    assert error.startswith("orderflow: ") and told in error and error.count("\n") == 1


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


TRADING = {"exchanges": {"a": EXCHANGE | {"trade": True}}, "limits": {"BTC-USDT": LIMITS},
           "engine": {"directory": "x"}}


def changed(**parameters):
    return TRADING | {"strategies": {"s": DISLOCATION | {"parameters": DISLOCATION["parameters"] | parameters}}}


@pytest.mark.parametrize(("document", "message"), [
    ({"exchanges": {"a": EXCHANGE}, "strategies": {"s": DISLOCATION}}, "strategies.s: no exchange trades"),
    (TRADING | {"strategies": {"s": {}}}, "strategies.s.use: is missing"),
    (TRADING | {"strategies": {"S!": DISLOCATION}}, "strategies.S!"),
    (TRADING | {"strategies": {"s": {"use": "magic"}}}, "strategies.s.use: 'magic' is neither dislocation nor"),
    (TRADING | {"strategies": {"s": {"use": "a b:C"}}}, "strategies.s.use: 'a b:C' is neither"),
    (TRADING | {"strategies": {f"s{number}": DISLOCATION for number in range(16)}}, "strategies: 16, at most 15"),
    (changed(instrument="ETH-USDT"), "s.parameters.instrument: 'ETH-USDT' has no limits; there are BTC-USDT"),
    (changed(maximum_quantity=0), "strategies.s.parameters.maximum_quantity: 0 should be positive"),
    (changed(maximum_quantity=0.5), "strategies.s.parameters.maximum_quantity: expected an exact number"),
    (changed(edge="1"), "strategies.s.parameters.edge: 1 should be 0 or more and below 1"),
    (changed(leg_seconds=0), "strategies.s.parameters.leg_seconds: expected a number > 0"),
    (changed(size=1), "strategies.s.parameters.size: no such key"),
])
def test_wrong_strategies_are_named(document, message):
    with pytest.raises(ConfigError) as caught:
        parse(document)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_right_strategies_are_taken():
    parse(changed(edge="0.001", leg_seconds=2))
