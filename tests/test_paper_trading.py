"""Paper trading with a whole engine: the market data is the exchange's, no order is ever sent to it, and everything
between is what trades. On the direct server mostly, once on the others."""
import json
import os
import shutil
import time
from dataclasses import replace
from decimal import Decimal

import pytest
from rich.console import Console

from orderflow._core import journal
from orderflow._core.doorbell import Doorbell
from orderflow._core.journal import RecordKind
from orderflow._core.types import ExecType, OrderStatus
from orderflow.cli import BAD_USAGE, CHECK_FAILED, GOOD, main
from orderflow.cli.screen import LiveScreen
from orderflow.engine import Engine, EngineError
from orderflow.exchanges import session_for
from orderflow.exchanges.paper import PaperSettings
from orderflow.exchanges.session import SessionSettings
from orderflow.limits import Limits, RiskLimits, TotalLimits
from orderflow.research.replay import replay
from orderflow.research.simulation import (
    DIRECT_START_NS,
    FREE,
    INSTRUMENT,
    LIMITS,
    VENUES,
    session_of,
    simulator_settings,
)
from orderflow.run_start import RunStart
from orderflow.servers.async_ import AsyncServer
from orderflow.servers.direct import DirectServer
from orderflow.servers.sync import SyncServer
from orderflow.simulator.instruments import default_instruments
from orderflow.simulator.launch import SimulatorSettings, build
from orderflow.simulator.server import SimulatedExchange
from orderflow.status import status_of
from tests.virtual import STREAMS

NAMES = ("alpha", "gamma")
NEAR = PaperSettings()
CHOSEN = [venue for venue in VENUES if venue.name in NAMES]
FEES = {venue.name: (venue.maker_fee, venue.taker_fee) for venue in CHOSEN}
#: What a client says that logs in or trades, in either protocol.
PRIVATE = ("apiKey", "signature", "order.", "userDataStream", "token", "add_order", "cancel_order", "executions")


def paper_session(venue, rest, stream, paper=NEAR):
    """Without keys, and without an address for orders."""
    return session_for(venue.protocol, SessionSettings(venue.name, rest=rest, stream=stream, symbols=(venue.symbol,),
                                                       paper=paper))


class Market:
    """Two simulated exchanges that live on while engines come and go; `heard` is everything that they were sent."""

    def __init__(self):
        self.venues = {venue.name: build(simulator_settings(venue, 11, DIRECT_START_NS)) for venue in CHOSEN}
        self.heard, self.problems = [], []
        for venue in self.venues.values():
            listen(venue, self.heard)
        self.now_ns = DIRECT_START_NS
        self.runs = 0
        self.engine = None

    def start(self, directory=None, sessions=None, paper=NEAR, limits=LIMITS, **options):
        """An engine; on paper unless sessions are given."""
        self.end()
        sessions = sessions or [paper_session(venue, f"http://{venue.name}", f"ws://{venue.name}", paper)
                                for venue in CHOSEN]
        server = DirectServer(self.venues, self.now_ns, self.problems.append)
        server._opened = 1000 * self.runs       # connections of before are others
        self.runs += 1
        self.engine = Engine(sessions, server, limits=limits, fees=FEES, directory=directory,
                             report=self.problems.append, **options)
        return self.engine.start()

    def end(self):
        if self.engine is not None:
            self.engine.stop()
            self.now_ns = self.engine.server.now_ns + 1_000_000_000
            self.engine = None

    def trading_sessions(self):
        return [session_of(venue, f"http://{venue.name}", f"ws://{venue.name}") for venue in CHOSEN]


def listen(venue, heard):
    """Keep what an exchange is sent: paths of websockets, texts, REST calls with their headers and bodies."""
    kind = type(venue)

    def opened(number, path, now_ns):
        heard.append(path)
        kind.open(venue, number, path, now_ns)

    def message(number, text, now_ns):
        heard.append(text)
        kind.message(venue, number, text, now_ns)

    def http(method, path, query, headers, body, now_ns):
        heard.append(f"{method} {path} {query} {dict(headers)} {body!r}")
        return kind.http(venue, method, path, query, headers, body, now_ns)

    venue.open, venue.message, venue.http = opened, message, http


def nothing_private(heard, venues):
    """No exchange saw a login, an order or a key, and none has an order on record."""
    assert heard, "it was asked for market data"
    assert not [each for each in heard for word in PRIVATE if word.lower() in each.lower()]
    assert not [each for each in heard if "ws-api" in each or "/private/" in each]
    for venue in venues:
        assert venue.desk.orders == {} and venue.desk.truth()["events"] == []


@pytest.fixture
def market():
    made = Market()
    yield made
    made.end()


def reports_of(directory):
    return [record.decode() for record in journal.read(directory) if record.kind == RecordKind.REPORT]


# -- orders -------------------------------------------------------------------------------------------------------


def test_a_parent_is_filled_by_the_model_and_the_exchanges_hear_nothing_of_it(market, tmp_path):
    engine = market.start(tmp_path)
    state = engine.wait(engine.submit(INSTRUMENT, "buy", "20", seconds=20))
    assert (state.status, state.filled, state.in_doubt) == ("PARENT_DONE", 20, 0)
    assert set(state.by_exchange) == set(NAMES), "it is split as any other"
    held = sum(Decimal(int(engine.position(index).net)).scaleb(-listing.quantity_decimals)
               for index, listing in enumerate(engine.core.listings))
    assert held == 20 and engine.orders.audit() == []
    # In kind at Binance, in the quote currency at Kraken, at the taker fee that the engine was given.
    for exchange, asset, rate in (("alpha", "BTC", "0.0003"), ("gamma", "USDT", "0.00025")):
        part = state.by_exchange[exchange]
        amount = part["filled"] * (1 if asset == "BTC" else part["average_price"])
        assert set(part["fees"]) == {asset} and abs(part["fees"][asset] - amount * Decimal(rate)) < Decimal("1e-6")
    nothing_private(market.heard, market.venues.values())
    assert engine.watchdog is None and market.problems == []


@pytest.mark.parametrize("name", NAMES)
def test_an_iceberg_is_one_order_that_is_filled_part_after_part(market, tmp_path, name):
    engine = market.start(tmp_path)
    index, listing = next((index, one) for index, one in enumerate(engine.core.listings) if one.exchange == name)
    best = int(engine.book(name, listing.symbol)["bids"][0]["price"])
    parent = engine.submit(INSTRUMENT, "buy", "2", Decimal(best).scaleb(-listing.price_decimals), display="0.25",
                           exchanges=(name,), algorithm="resting")
    state = engine.wait(parent, 600)
    assert (state.status, state.filled, state.children) == ("PARENT_DONE", 2, 1)
    intent, = [record.decode() for record in journal.read(tmp_path) if record.kind == RecordKind.INTENT]
    assert Decimal(int(intent["terms"])).scaleb(-listing.quantity_decimals) == Decimal("0.25")
    assert int(engine.position(index).net) == listing.quantity(2)


def test_reports_come_after_both_ways_and_the_journal_has_them(market, tmp_path):
    engine = market.start(tmp_path, paper=PaperSettings(30_000_000, 12_000_000))
    engine.wait(engine.submit(INSTRUMENT, "buy", "1", seconds=10, exchanges=["alpha"]))
    told = reports_of(tmp_path)
    sent = next(each for each in told if each["exec_type"] == ExecType.REPORT_SENT)
    filled = next(each for each in told if each["exec_type"] == ExecType.REPORT_FILL)
    assert int(filled["receive_ns"]) - int(sent["receive_ns"]) == 42_000_000
    assert int(filled["exchange_ns"]) - int(sent["receive_ns"]) == 30_000_000
    assert bytes(filled["exchange_order_id"]).rstrip(b"\0") == b"paper-1"
    assert [ExecType(int(each["exec_type"])).name for each in told[:3]] == ["REPORT_SENT", "REPORT_NEW", "REPORT_FILL"]


def test_the_same_seed_gives_the_same_run(tmp_path):
    found = []
    for name in ("one", "two"):
        market = Market()
        engine = market.start(tmp_path / name)
        engine.wait(engine.submit(INSTRUMENT, "sell", "15", seconds=20))
        market.end()
        found.append([bytes(record.payload)[:-8] for record in journal.read(tmp_path / name)
                      if record.kind in (RecordKind.INTENT, RecordKind.REPORT)])     # without the ring's own word
    assert found[0] == found[1] and len(found[0]) > 10


def test_a_paper_run_replays_to_the_same_orders(market, tmp_path):
    engine = market.start(tmp_path, record=True)
    engine.wait(engine.submit(INSTRUMENT, "buy", "5", seconds=10))
    market.end()
    found = replay(tmp_path)
    assert found.equal and found.orders >= 2


@pytest.mark.parametrize("protocol", ["bybit_v5", "coinbase", "coinbase_adv", "bitstamp", "gemini"])
def test_exchanges_that_take_no_orders_of_ours_yet_can_be_traded_on_paper(protocol):
    """Of each at the fee, and in the asset, that it takes."""
    venue = build(SimulatorSettings("test", protocol, seed=3, origin_ns=DIRECT_START_NS - 5 * 10**9))
    symbol = default_instruments(protocol)[0].symbol
    session = session_for(protocol, SessionSettings("test", rest="http://test", stream=STREAMS.get(protocol, "ws://test"),
                                                    symbols=(symbol,), paper=NEAR))
    server = DirectServer({"test": venue}, DIRECT_START_NS, print)
    [listing] = session.listings(server.fetch_now("test", session.metadata()))
    wide = Limits(maximum_position="1000", maximum_order_quantity="1000", maximum_order_notional="100000000")
    limits = RiskLimits({listing.instrument: wide}, every_strategy=FREE, total=TotalLimits(
        maximum_capital={listing.quote: "1000000000"}, maximum_loss={listing.quote: "100000000"}))
    with Engine([session], server, limits=limits, fees={"test": ("0.001", "0.002")}) as engine:
        state = engine.wait(engine.submit(listing.instrument, "buy", "0.05", seconds=60))
        assert (state.status, state.filled) == ("PARENT_DONE", Decimal("0.05"))
        asset = listing.base if protocol == "bybit_v5" else listing.quote
        amount = state.filled * (1 if asset == listing.base else state.average_price)
        assert state.fees.keys() == {asset} and abs(state.fees[asset] - amount * Decimal("0.002")) < Decimal("1e-6")


def test_limits_are_those_of_trading(market):
    narrow = replace(LIMITS.instruments[INSTRUMENT], maximum_position="1")
    engine = market.start(limits=replace(LIMITS, instruments={INSTRUMENT: narrow}))
    state = engine.wait(engine.submit(INSTRUMENT, "buy", "2", seconds=5, exchanges=["alpha"]))
    assert state.filled <= 1 and state.refusal.startswith("POSITION_EXCEEDS_MAXIMUM")


def test_a_kill_cancels_orders_that_are_on_their_way(market):
    """They arrive all the same, as they would in life; the cancel is told that they have ended."""
    engine = market.start(paper=PaperSettings(500_000_000, 500_000_000))
    engine.submit(INSTRUMENT, "buy", "2", exchanges=["alpha"])
    engine.run(1, lambda: engine.core.loops["alpha"].open_orders == 1)
    engine.halt()
    engine.run(0.2)
    assert engine.core.kill.progress("alpha")["cancels"] == 1
    sent = engine.core.loops["alpha"].sent_orders[0]
    engine.run(5)
    assert engine.orders.unfinished == [] and engine.core.loops["alpha"].open_orders == 0
    assert {order.status for order in engine.orders.orders()} <= {OrderStatus.FILLED, OrderStatus.EXPIRED}
    assert engine.core.loops["alpha"].sent_orders[0] == sent, "nothing new"
    nothing_private(market.heard, market.venues.values())


# -- restart ------------------------------------------------------------------------------------------------------


def test_positions_of_an_earlier_paper_run_are_carried(market, tmp_path):
    engine = market.start(tmp_path)
    engine.wait(engine.submit(INSTRUMENT, "buy", "3", seconds=10, exchanges=["gamma"]))
    index = engine.index("gamma", "BTC/USDT")
    before = engine.position(index)
    engine = market.start(tmp_path)
    assert engine.position(index) == before and before.net > 0
    engine.wait(engine.submit(INSTRUMENT, "sell", "3", seconds=10, exchanges=["gamma"]))
    assert engine.position(index).net == 0
    nothing_private(market.heard, market.venues.values())


def test_orders_that_were_on_their_way_when_it_crashed_have_ended_with_it(market, tmp_path):
    engine = market.start(tmp_path / "run", paper=PaperSettings(1_000_000_000, 1_000_000_000))
    engine.submit(INSTRUMENT, "buy", "2", exchanges=["alpha"])
    engine.run(1, lambda: engine.core.loops["alpha"].open_orders == 1)
    shutil.copytree(tmp_path / "run", tmp_path / "left")        # what a crash leaves
    engine = market.start(tmp_path / "left")
    assert any("the run before left order" in problem for problem in market.problems)
    engine.run(5, lambda: not engine.orders.unfinished)
    [order] = engine.orders.orders()
    assert (order.status, order.cumulative) == (OrderStatus.EXPIRED, 0)
    state = engine.wait(engine.submit(INSTRUMENT, "buy", "2", seconds=10, exchanges=["alpha"]))
    assert state.filled == 2, "its listing takes orders again"


def test_paper_and_trading_never_share_a_journal(market, tmp_path):
    engine = market.start(tmp_path / "paper")
    assert RunStart.load(next(journal.read(tmp_path / "paper")).decode()).paper
    engine.wait(engine.submit(INSTRUMENT, "buy", "1", seconds=10))
    market.end()
    before = {path.name: path.read_bytes() for path in (tmp_path / "paper").iterdir()}
    with pytest.raises(EngineError, match=r"paper: this is a journal of paper trading.*another directory to trade"):
        market.start(tmp_path / "paper", market.trading_sessions())
    assert {path.name: path.read_bytes() for path in (tmp_path / "paper").iterdir()} == before, "nothing was changed"
    market.engine = None
    market.start(tmp_path / "live", market.trading_sessions())
    market.end()
    with pytest.raises(EngineError, match=r"live: this is the journal of an engine that trades.*--directory"):
        market.start(tmp_path / "live")
    market.engine = None


def test_a_journal_that_does_not_say_is_one_that_trades(market, tmp_path, monkeypatch):
    """As versions before paper trading wrote it."""
    whole = RunStart.fields
    monkeypatch.setattr(RunStart, "fields", lambda self: {
        name: value for name, value in whole(self).items() if name != "paper"})
    market.start(tmp_path, market.trading_sessions())
    market.end()
    monkeypatch.undo()
    assert "paper" not in next(journal.read(tmp_path)).decode()
    with pytest.raises(EngineError, match="this is the journal of an engine that trades"):
        market.start(tmp_path)
    market.engine = None
    market.start(tmp_path, market.trading_sessions())


def test_one_engine_does_one_of_the_two(market):
    sessions = [paper_session(CHOSEN[0], "http://alpha", "ws://alpha"), market.trading_sessions()[1]]
    with pytest.raises(EngineError, match="one engine does one of the two"):
        market.start(sessions=sessions)
    market.engine = None


# -- sockets ------------------------------------------------------------------------------------------------------


@pytest.fixture
def sockets():
    """(exchanges on loopback, what they were sent)."""
    heard, started = [], {}
    for venue in CHOSEN:
        exchange = build(simulator_settings(venue, 5, time.time_ns()))
        listen(exchange, heard)
        started[venue.name] = SimulatedExchange(exchange)
        started[venue.name].start()
    yield started, heard
    for exchange in started.values():
        exchange.stop()


@pytest.mark.parametrize("server", [SyncServer, AsyncServer])
def test_with_sockets_and_threads(sockets, server, tmp_path, capsys):
    started, heard = sockets
    problems = []
    sessions = [paper_session(venue, f"http://127.0.0.1:{started[venue.name].ports.plain}",
                              f"ws://127.0.0.1:{started[venue.name].ports.plain}") for venue in CHOSEN]
    engine = Engine(sessions, server(Doorbell(), problems.append), limits=LIMITS, fees=FEES, directory=tmp_path,
                    report=problems.append, watchdog=10.0)
    with engine.start():
        state = engine.wait(engine.submit(INSTRUMENT, "buy", "0.5"), 60)
        # Where time is real, the last fill may leave less than any exchange takes as an order.
        assert state.status == "PARENT_DONE" and Decimal("0.499") < state.filled <= Decimal("0.5")
        assert engine.watchdog is None, "nothing of it is out when it is gone"
        found = status_of(engine)
        assert found["paper"] and found["not_ready"] == []
        assert all(one["trades"] and one["can_trade"] for one in found["exchanges"])
        assert main(["status", str(tmp_path)]) == GOOD
        assert capsys.readouterr().out.startswith("PAPER (no order leaves this machine): Engine ")
    nothing_private(heard, [one.exchange for one in started.values()])


# -- the command --------------------------------------------------------------------------------------------------

BUYER = """
class Buyer:
    asked = False

    def on_signal(self, market, listing, entry):
        if not self.asked and entry["ask_count"]:
            self.asked = True
            market.submit("BTC-USDT", "buy", "0.005")
"""


@pytest.fixture
def configuration(sockets, tmp_path, monkeypatch):
    """A configuration whose exchanges trade, for which there are no keys anywhere."""
    for name in NAMES:
        for part in ("KEY", "SECRET"):
            monkeypatch.delenv(f"ORDERFLOW_{name.upper()}_{part}", raising=False)
    module = f"paper_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{module}.py").write_text(BUYER)
    text = f'[engine]\ndirectory = "{tmp_path / "journal"}"\n'
    for venue in CHOSEN:
        port = sockets[0][venue.name].ports.plain
        text += (f'[exchanges.{venue.name}]\nprotocol = "{venue.protocol}"\nsymbols = ["{venue.symbol}"]\n'
                 f'rest = "http://127.0.0.1:{port}"\nstream = "ws://127.0.0.1:{port}"\ntrade = true\n'
                 f'maker_fee = "{venue.maker_fee}"\ntaker_fee = "{venue.taker_fee}"\n')
    text += ('[limits."BTC-USDT"]\nmaximum_position = 1\nmaximum_order_quantity = "0.1"\n'
             'maximum_order_notional = 10000\n[total_limits]\nmaximum_capital = { USDT = 100000 }\n'
             f'maximum_loss = {{ USDT = 1000 }}\n[strategies.mine]\nuse = "{module}:Buyer"\n')
    path = tmp_path / "engine.toml"
    path.write_text(text)
    return path


def test_run_on_paper_from_the_command_line(configuration, sockets, capsys):
    assert main(["run", str(configuration), "--paper", "--seconds", "1.5"]) == GOOD
    told = capsys.readouterr()
    assert told.out.startswith("PAPER TRADING: ") and told.out.count("\nPAPER TRADING: ") == 1, "first and last"
    assert "Position  0.005 BTC-USDT" in told.out and "NOT ENDED" not in told.out
    nothing_private(sockets[1], [one.exchange for one in sockets[0].values()])


def test_run_on_paper_as_json_with_a_journal_of_its_own(configuration, capsys, tmp_path):
    arguments = ["run", str(configuration), "--paper", "--seconds", "1.5", "--json", "--directory", str(tmp_path / "p")]
    assert main(arguments) == GOOD
    found = json.loads(capsys.readouterr().out)
    assert found["paper"] and found["problems"] == [] and found["orders"]["filled"] >= 1
    assert not (tmp_path / "journal").exists() and (tmp_path / "p/epoch").exists()
    assert main(arguments) == GOOD
    assert json.loads(capsys.readouterr().out)["position"]["BTC-USDT"]["total"] == "0.01", "carried, and once more"


def test_the_journal_of_the_other_kind_is_refused_in_a_line(configuration, capsys, monkeypatch, tmp_path):
    assert main(["run", str(configuration), "--paper", "--seconds", "0.5"]) == GOOD
    capsys.readouterr()
    for name in NAMES:
        monkeypatch.setenv(f"ORDERFLOW_{name.upper()}_KEY", "key")
        monkeypatch.setenv(f"ORDERFLOW_{name.upper()}_SECRET", "c2VjcmV0")
    assert main(["run", str(configuration), "--seconds", "0.5"]) == CHECK_FAILED
    error = capsys.readouterr().err
    assert error.startswith(f"orderflow: {tmp_path / 'journal'}: this is a journal of paper trading")
    assert error.count("\n") == 1


def test_credentials_are_not_even_looked_for(configuration, monkeypatch, tmp_path):
    """Half a pair in the environment is an error where it is looked at."""
    monkeypatch.setenv("ORDERFLOW_ALPHA_KEY", "half")
    path = tmp_path / "named.toml"
    path.write_text(configuration.read_text().replace("[engine]\n", '[engine]\ncredentials = "/nowhere/keys.toml"\n'))
    assert main(["run", str(path), "--paper", "--seconds", "0.3", "--json"]) in (GOOD, CHECK_FAILED)
    assert main(["run", str(path), "--seconds", "0.3", "--json"]) == BAD_USAGE


def test_paper_without_an_exchange_that_trades_is_bad_usage(configuration, capsys, tmp_path):
    path = tmp_path / "watching.toml"
    path.write_text(configuration.read_text().replace("trade = true\n", "").partition("[strategies")[0])
    assert main(["run", str(path), "--paper", "--seconds", "0.3"]) == BAD_USAGE
    assert capsys.readouterr().err.startswith("orderflow: --paper: no exchange of")


def test_paper_needs_the_limits_of_trading(configuration, capsys, tmp_path):
    path = tmp_path / "unlimited.toml"
    path.write_text(configuration.read_text().replace("maximum_loss = { USDT = 1000 }\n", ""))
    assert main(["run", str(path), "--paper", "--seconds", "0.3"]) == BAD_USAGE
    assert "total_limits.maximum_loss.USDT: missing" in capsys.readouterr().err


@pytest.mark.parametrize("value", ["-1", "2.5"])
def test_how_far_away_an_exchange_is_has_bounds(configuration, capsys, tmp_path, value):
    path = tmp_path / "far.toml"
    text = configuration.read_text().replace("trade = true", f"trade = true\npaper_order_seconds = {value}", 1)
    path.write_text(text)
    assert main(["run", str(path), "--paper"]) == BAD_USAGE
    assert "exchanges.alpha.paper_order_seconds" in capsys.readouterr().err


def test_the_screen_says_that_it_is_paper(market):
    with open(os.devnull, "w") as nowhere:
        for sessions, words in ((None, "PAPER TRADING  orderflow run"), (market.trading_sessions(), "orderflow run")):
            console = Console(width=100, height=30, record=True, file=nowhere)
            console.print(LiveScreen(market.start(sessions=sessions), "orderflow run", console=console).render(1, None))
            assert console.export_text().split("\n")[0].strip().startswith(words)
