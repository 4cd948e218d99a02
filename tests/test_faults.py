"""Simulated exchanges that go wrong: what they do, and what a user of the books then sees."""
import json
import urllib.request
from collections import Counter
from dataclasses import replace
from decimal import Decimal

import pytest
import websocket

from orderflow.cli import main
from orderflow.simulator.certificates import Authority
from orderflow.simulator.dialects import PROTOCOLS
from orderflow.simulator.exchange import SECOND_NS
from orderflow.simulator.faults import ANSWER_KINDS, FRAME_KINDS, LOSSES, Fault, FaultError, FaultPlan, load
from orderflow.simulator.instruments import MOST_DECIMALS
from orderflow.simulator.launch import ExchangeProcess, SimulatorSettings, build
from orderflow.wiring import wait_until
from tests.faulted import Faulted, two_instruments
from tests.serving import PATIENCE, SERVERS, Clock, Run, check_equal, port_of, session_of, start_exchange

#: As what a lost or misplaced frame of a book shows, where it is not a gap in its numbers.
LOSS_SHOWS_AS = {"kraken_v2": "CHECKSUM"}
#: Protocols that count the frames of the connection: of which book one is missing, nobody can tell.
COUNTED_TOGETHER = ("coinbase_adv", "bitfinex")
#: Protocols whose every frame is the whole book: what is missing is there again with the next one.
WHOLE_BOOKS = ("hyperliquid",)
HARMLESS = ("duplicate", "fragment", "delay", "tick_size")
WITH_REST = ("binance_spot", "binance_usdm", "binance_coinm", "bitstamp", "gate", "gate_futures", "kucoin")


# -- every kind on every protocol, on a virtual clock: each frame is followed by the question whether a book lies

@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_kind_ends_in_true_books(protocol):
    """One after the other, at one of two books: LIVE books are true all the time, and all are LIVE again after it."""
    faulted = Faulted(protocol)
    symbol, other = faulted.symbols
    tick = 4 * faulted.exchange.source.finest[symbol]
    kinds = [kind for kind in FRAME_KINDS if kind != "half_open"
             and not faulted.exchange.impossible(Fault(kind, symbol=symbol, tick=tick))]
    faulted.wait_live()
    for kind in kinds:
        before = [faulted.counters(name)["resyncs"] for name in (symbol, other)]
        told = len(faulted.problems)
        faulted.arm(kind, symbol=symbol, tick=tick)
        faulted.wait(lambda kind=kind: faulted.exchange.counts[kind] == 1, kind)
        if not harmless(protocol, kind):
            faulted.wait(lambda old=before[0]: faulted.counters(symbol)["resyncs"] > old, f"STALE by {kind}")
        faulted.wait_live()
        resyncs = [faulted.counters(name)["resyncs"] - old for name, old in zip((symbol, other), before, strict=True)]
        _check_seen(protocol, kind, symbol, resyncs, faulted.problems[told:])
        faulted.run(11)         # a connection or a snapshot that comes soon after another waits longer and longer
    faulted.becomes_true()
    assert faulted.exchange.counts == Counter(kinds)
    assert faulted.live > 300


def harmless(protocol, kind):
    """Whether a user notices nothing."""
    return kind in HARMLESS or (kind in LOSSES and protocol in WHOLE_BOOKS)


def _check_seen(protocol, kind, symbol, resyncs, problems):
    """What a user sees of one fault: how often the books of `symbol` and of the other were STALE, and what was told."""
    if harmless(protocol, kind):
        assert (resyncs, problems) == ([0, 0], []), kind
    elif kind in (*LOSSES, "freeze", "checksum"):
        fault = {"freeze": "SILENT", "checksum": "CHECKSUM"}.get(kind) or LOSS_SHOWS_AS.get(protocol, "GAP")
        together = protocol in COUNTED_TOGETHER and kind != "checksum"
        if together:
            fault = "GAP"           # frozen frames have numbers too
        assert f"{protocol}: book of {symbol} is STALE ({fault}) and not read until it is in step again" in problems
        assert resyncs[0] >= 1, kind
        assert (resyncs[1] > 0) == together, kind
    else:
        assert resyncs[0] >= 1 and any("STALE" in line for line in problems), (kind, problems)
        if kind in ("cut", "reset", "close", "oversize"):
            assert resyncs == [1, 1] and any("connection lost: PEER_CLOSED" in line for line in problems), kind


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_subscriptions_that_are_never_acknowledged_are_made_again(protocol):
    faulted = Faulted(protocol, FaultPlan(rates={"no_ack": 1.0}))
    faulted.run(1)
    assert faulted.exchange.counts.keys() == {"no_ack"} and "LIVE" not in map(faulted.state, faulted.symbols)
    faulted.becomes_true()


@pytest.mark.parametrize("fault", [None, "cut", "checksum"])
def test_a_channel_whose_number_was_never_told_is_nobodys(fault):
    """Bitfinex, where the acknowledgement of a book is lost, at first, in a new connection or in a resync: its frames
    come under a number of which nothing is known, so the book is not LIVE, until the connection is made anew."""
    faulted = Faulted("bitfinex")
    symbol, venue, lost = faulted.symbols[0], faulted.exchange.exchange, []
    if fault is not None:
        faulted.wait_live()
    drain = venue.drain

    def leaky():
        for number, item in drain():
            if not lost and isinstance(item, str) and all(
                    word in item for word in ('"subscribed"', '"book"', f'"{symbol}"')):
                lost.append(item)
            else:
                yield number, item

    venue.drain = leaky
    if fault is not None:
        faulted.arm(fault, symbol=symbol)
    faulted.wait(lambda: lost, "a lost acknowledgement")
    faulted.run(4)
    assert faulted.state(symbol) != "LIVE"
    faulted.becomes_true()
    assert any("a book comes under a number that was not told" in line for line in faulted.problems)


@pytest.mark.parametrize("kind", ANSWER_KINDS)
@pytest.mark.parametrize("protocol", WITH_REST)
def test_snapshots_that_are_refused_late_or_old(protocol, kind):
    faulted = Faulted(protocol)
    symbol, other = faulted.symbols
    faulted.wait_live()
    faulted.run(1)
    faulted.arm(kind, symbol=symbol, status=429, times=2, seconds=1.5)
    faulted.arm("freeze" if protocol == "bitstamp" else "gap", symbol=symbol)
    faulted.wait(lambda: faulted.state(symbol) == "STALE", "STALE")
    faulted.wait(lambda: faulted.exchange.counts[kind] == 1, kind)
    assert faulted.state(symbol) == "STALE"
    faulted.wait_live()
    assert faulted.counters(symbol)["resyncs"] == 1 and faulted.counters(other)["resyncs"] == 0
    told = f"{protocol}: x refused the call for snapshot with 429; it is asked for nothing for 1.0 s"
    assert faulted.problems.count(told) == (2 if kind == "refusal" else 0)
    faulted.becomes_true()


def test_what_a_protocol_cannot_show_is_not_injected():
    """Neither number nor checksum: TCP loses no frame inside a connection, so nobody is to be judged by it."""
    for protocol in ("bitmex", "bitstamp", "coinbase", "gemini"):
        faulted = Faulted(protocol, FaultPlan(rates=dict.fromkeys((*LOSSES, "checksum", "duplicate"), 0.1)))
        faulted.wait_live()
        faulted.run(5)
        assert faulted.exchange.counts.keys() == {"duplicate"}
        with pytest.raises(FaultError, match=f"drop at exchange {protocol}: .* neither a number nor a checksum"):
            faulted.arm("drop")


@pytest.mark.parametrize("protocol", ["bitmex", "bitstamp", "coinbase", "gemini"])
def test_the_oracle_sees_what_no_client_can(protocol):
    """So that a book which lies would be found: here one does, because its exchange left out a frame."""
    faulted = Faulted(protocol)
    faulted.wait_live()
    faulted.exchange.exchange.shows_losses = True
    faulted.arm("drop", symbol=faulted.symbols[0])
    with pytest.raises(AssertionError, match="is LIVE and was never the true one"):
        faulted.run(30)


def test_the_same_seed_gives_the_same_faults():
    def faults(seed):
        faulted = Faulted("okx", FaultPlan(rates={"drop": 0.01, "duplicate": 0.02}, seed=seed))
        faulted.run(20)
        return list(faulted.exchange.log)

    first = faults(1)
    assert first and faults(1) == first != faults(2)


# -- through sockets

@pytest.fixture(scope="module")
def authority():
    with Authority() as made:
        yield made


#: How long a book may be silent, where it is to become so; elsewhere no pause of a busy machine may look like it.
SILENCE_NS = 2 * SECOND_NS
SILENT = ("freeze", "half_open")


def faulty_and_other(server, protocol, kind, authority=None, plan=None, **settings):
    """(clock, exchange to which a fault can be done, another that must not notice, run with both)."""
    clock, secure = Clock(), authority is not None
    faulty = start_exchange(protocol, clock, authority, faults=plan or FaultPlan())
    other = start_exchange("binance_spot" if protocol == "kraken_v2" else "kraken_v2", clock, authority)
    settings |= {"silence_ns": SILENCE_NS} if kind in SILENT else {}
    sessions = [session_of(protocol, port_of(faulty, secure), secure, **settings),
                session_of(other.exchange.protocol, port_of(other, secure), secure)]
    return clock, faulty, other, Run(server, sessions, authority, watch_silence=True)


#: kind -> (protocol, what a user is told, whether the connection is made anew), with the codes of the sync server
SEEN = {
    "drop": ("binance_spot", "book of BTCUSDT is STALE (GAP)", False),
    "gap": ("binance_spot", "book of BTCUSDT is STALE (GAP)", False),
    "reorder": ("binance_spot", "book of BTCUSDT is STALE (GAP)", False),
    "freeze": ("binance_spot", "book of BTCUSDT is STALE (SILENT)", False),
    "checksum": ("kraken_v2", "book of BTC/USDT is STALE (CHECKSUM)", False),
    "cut": ("binance_spot", "market connection lost: PEER_CLOSED", True),
    "reset": ("binance_spot", "market connection lost: TRANSPORT_FAILED (104)", True),
    "close": ("binance_spot", "market connection lost: PEER_CLOSED (1012)", True),
    "oversize": ("binance_spot", "market connection lost: PROTOCOL_BROKEN (FRAME_TOO_LARGE)", True),
    "bad_utf8": ("binance_spot", "market connection lost: PROTOCOL_BROKEN (INVALID_UTF8)", True),
    "garbage": ("kraken_v2", "is STALE", None),
    "duplicate": ("binance_spot", "", False),
    "fragment": ("kraken_v2", "", False),
    "delay": ("binance_spot", "", False),
}
#: What the async server says in other words.
ASYNC = {"cut": "market connection lost: PEER_CLOSED", "reset": "market connection lost: PEER_CLOSED",
         "oversize": "market connection lost: PEER_CLOSED", "bad_utf8": "is STALE"}


#: What TLS might change: how a connection ends.
ENCRYPTED = [("sync", "cut"), ("sync", "reset"), ("async", "cut"), ("async", "reset")]


@pytest.mark.parametrize("server, kind, encrypted", [
    *((server, kind, False) for server in SERVERS for kind in SEEN),
    *((server, kind, True) for server, kind in ENCRYPTED)])
def test_on_sockets(server, kind, encrypted, authority):
    protocol, told, reconnects = SEEN[kind]
    if server == "async":
        told, reconnects = ASYNC.get(kind, told), None if kind == "bad_utf8" else reconnects
    clock, faulty, other, run = faulty_and_other(server, protocol, kind, authority if encrypted else None)
    symbol = {"binance_spot": "BTCUSDT", "kraken_v2": "BTC/USDT"}[protocol]
    try:
        with run:
            run.wait_live()
            faulty.call(faulty.exchange.arm, Fault(kind, symbol=symbol))
            wait_until(lambda: faulty.faults == {kind: 1}, PATIENCE, kind)
            if told:
                run.wait_told(protocol, told)
                run.wait_told(f"book of {symbol} is LIVE again")
            seen = run.frames(protocol)
            run.wait_live(more=lambda: run.frames(protocol) > seen + 20     # what was delayed has come
                          and (reconnects is None or run.conversations[0].health.connects == 1 + reconnects))
            check_equal(run, [faulty, other], clock)
            _check_others(run, protocol, symbol, touched=reconnects is not False)
            assert bool(run.problems) == bool(told)
    finally:
        faulty.stop()
        other.stop()


def _check_others(run, protocol, symbol, touched):
    """The other exchange noticed nothing; nor did the other book of this one, unless the connection was made anew."""
    assert all(problem.startswith(f"{protocol}: ") for problem in run.problems)
    for index, listing in enumerate(run.core.listings):
        counters = run.core.loops[listing.exchange].counters(index)
        if listing.exchange != protocol or (listing.symbol != symbol and not touched):
            assert (counters["resyncs"], counters["gaps"], counters["checksums_failed"], counters["epoch"]) \
                == (0, 0, 0, 1), listing


@pytest.mark.parametrize("server", SERVERS)
def test_half_open_is_stale_and_then_connected_anew(server):
    """The connection stays, but nobody answers the new subscriptions. How one that does not even answer pings is given
    up after thirty seconds: tests/test_half_open.py."""
    clock, faulty, other, run = faulty_and_other(server, "binance_spot", "half_open", subscribe_ns=SECOND_NS // 4)
    try:
        with run:
            run.wait_live()
            faulty.call(faulty.exchange.arm, Fault("half_open", symbol="ETHUSDT"))
            for symbol in ("BTCUSDT", "ETHUSDT"):
                run.wait_told(f"binance_spot: book of {symbol} is STALE (SILENT)")
            run.wait_told("binance_spot: market connection is opened again", "never acknowledged (phase 'subscribe')")
            run.wait_live(more=lambda: run.conversations[0].health.connects == 2)
            check_equal(run, [faulty, other], clock)
            assert faulty.faults == {"half_open": 1} and run.conversations[1].health.connects == 1
            assert all(problem.startswith("binance_spot: ") for problem in run.problems)
    finally:
        faulty.stop()
        other.stop()


@pytest.mark.parametrize("kind", ANSWER_KINDS)
@pytest.mark.parametrize("server", SERVERS)
def test_snapshots_that_are_refused_late_or_old_on_sockets(server, kind):
    clock, faulty, other, run = faulty_and_other(server, "binance_spot", kind)
    try:
        with run:
            run.wait_live()
            for fault in (Fault(kind, status=500 if server == "sync" else 429), Fault("gap")):
                faulty.call(faulty.exchange.arm, replace(fault, symbol="BTCUSDT"))
            run.wait_told("binance_spot: book of BTCUSDT is STALE (GAP)")
            run.wait_told("binance_spot: book of BTCUSDT is LIVE again")
            run.wait_live()
            check_equal(run, [faulty, other], clock)
            assert faulty.faults == {kind: 1, "gap": 1}
            _check_others(run, "binance_spot", "BTCUSDT", touched=False)
    finally:
        faulty.stop()
        other.stop()


@pytest.mark.parametrize("protocol", ["binance_spot", "kraken_v2"])
@pytest.mark.parametrize("server", SERVERS)
def test_subscriptions_that_are_never_acknowledged_are_made_again_on_sockets(server, protocol):
    clock, faulty, other, run = faulty_and_other(server, protocol, "no_ack", plan=FaultPlan(rates={"no_ack": 1.0}),
                                                 subscribe_ns=SECOND_NS // 4)
    try:
        with run:
            run.wait_told(f"{protocol}: market connection", "no answer in phase 'subscribe'")
            run.wait_live(other.exchange.name)
            faulty.call(faulty.exchange.heal)
            run.wait_live()
            check_equal(run, [faulty, other], clock)
            _check_others(run, protocol, "", touched=True)
    finally:
        faulty.stop()
        other.stop()


@pytest.mark.parametrize("server", SERVERS)
def test_a_tick_size_that_changes_on_sockets(server):
    clock, faulty, other, run = faulty_and_other(server, "binance_spot", "tick_size", plan=FaultPlan((
        Fault("tick_size", "binance_spot", "BTCUSDT", after_seconds=1, tick=10**6),)))
    try:
        with run:
            run.wait_live()
            wait_until(lambda: faulty.faults == {"tick_size": 1}, PATIENCE, "tick_size")
            run.wait_live(more=lambda: any(price % 1 for price in run.shown("binance_spot")["BTCUSDT"]))
            check_equal(run, [faulty, other], clock)
            assert run.problems == []
    finally:
        faulty.stop()
        other.stop()


def test_a_tick_size_that_becomes_finer_keeps_every_level():
    """Books hold levels off the step that the metadata told of, old ones and new."""
    plan = FaultPlan((Fault("tick_size", "binance_spot", "BTCUSDT", tick=10**6),))
    faulted = Faulted("binance_spot", plan)
    faulted.wait_live()
    faulted.wait(lambda: faulted.exchange.counts["tick_size"] == 1, "tick_size")
    faulted.run(5)
    prices = faulted.loop.book(0).levels(1)["price"]
    assert (prices % 10**6 == 0).all() and (prices % 10**8 != 0).any()
    faulted.becomes_true()
    assert faulted.problems == [] and faulted.counters("BTCUSDT")["resyncs"] == 0


def with_finer_prices(protocol, digits):
    """(exchange whose price step became so many digits finer after its metadata were fetched, its listing, the former
    step in that listing's scale)."""
    one, other = two_instruments(protocol)
    finer = replace(one, price_decimals=one.price_decimals + digits, tick=10**digits * one.tick)
    faulted = Faulted(protocol, FaultPlan((
        Fault("tick_size", protocol, one.symbol, after_seconds=20, tick=one.tick),)), instruments=(finer, other))
    faulted.wait_live()
    assert not faulted.exchange.counts["tick_size"]
    faulted.wait(lambda: faulted.exchange.counts["tick_size"] == 1, "tick_size")
    faulted.run(40)
    assert faulted.state(other.symbol) == "LIVE" and faulted.counters(other.symbol)["resyncs"] == 0
    assert faulted.conversation.health.connects == len(faulted.conversation.session.endpoints())
    listing = faulted.core.listings[0]
    return faulted, listing, Decimal(finer.tick).scaleb(listing.price_decimals - finer.price_decimals)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_prices_may_become_finer_than_the_metadata_told_of(protocol):
    """There is room for it in the scale."""
    faulted, listing, former = with_finer_prices(protocol, 1)
    assert faulted.state(listing.symbol) == "LIVE" and faulted.problems == []
    assert faulted.counters(listing.symbol)["resyncs"] == 0
    assert any(int(price) % former for price in faulted.loop.book(0).levels(1)["price"])


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_prices_finer_than_the_scale_are_never_rounded(protocol):
    """Where there is no room the book is STALE, the user is told what to do, and it is asked for less and less often.
    """
    most = {"hyperliquid": 3}.get(protocol, MOST_DECIMALS)      # a finer price would be a coarser size there
    digits = min(7, most - two_instruments(protocol)[0].price_decimals)
    faulted, listing, former = with_finer_prices(protocol, digits)
    if former >= 10**digits:
        assert faulted.state(listing.symbol) == "LIVE" and faulted.problems == []
        return
    assert faulted.state(listing.symbol) == "STALE" and faulted.counters(listing.symbol)["resyncs"] < 20
    told = [problem for problem in faulted.problems
            if problem.startswith(f"{protocol}: book of {listing.symbol} is STALE")]
    assert all("(INEXACT)" in problem and "restart to take up" in problem for problem in told) and told


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_connection_that_hears_nothing_more_is_opened_again(protocol):
    """Not even a ping is there to tell: what is subscribed anew and not answered does."""
    faulted = Faulted(protocol)
    faulted.wait_live()
    faulted.arm("half_open", symbol=faulted.symbols[0])
    faulted.wait(lambda: faulted.exchange.counts["half_open"] == 1, "half_open")
    faulted.wait(lambda: not faulted.all_live, "STALE")
    faulted.wait_live()
    assert any("market connection is opened again" in problem for problem in faulted.problems)
    faulted.becomes_true()


# -- the script

def test_a_script_file(tmp_path):
    path = tmp_path / "faults.toml"
    path.write_text('[[faults]]\nkind = "close"\nexchange = "a"\nsymbol = "X"\nafter_frames = 3\nafter_seconds = 1\n'
                    'times = 2\ncode = 4001\n[[faults]]\nkind = "freeze"\nseconds = 0.5\n[rates]\ndrop = 0.5\n')
    plan = load(path, seed=9)
    assert plan == FaultPlan((Fault("close", "a", "X", 3, 1.0, 2, code=4001), Fault("freeze", seconds=0.5)),
                             {"drop": 0.5}, 9)


@pytest.mark.parametrize("text, message", [
    ("[[faults]]\nkind = 'dorp'", "faults[0].kind: 'dorp' is none of drop, "),
    ("[[faults]]\nsymbol = 'X'", "faults[0].kind: is missing"),
    ("[[faults]]\nkind = 'drop'\nafter = 3", "faults[0].after: unknown key; there are kind, "),
    ("[[faults]]\nkind = 'drop'\n[[faults]]\nkind = 'drop'\ntimes = 'x'", "faults[1].times: expected int, got 'x'"),
    ("[[faults]]\nkind = 'drop'\ntimes = 0", "faults[0].times: 0 is less than 1"),
    ("[[faults]]\nkind = 'drop'\nafter_seconds = -1", "faults[0].after_seconds: -1 is less than 0"),
    ("[[faults]]\nkind = 'close'\ncode = 17", "faults[0].code: 17 is no close code"),
    ("[[faults]]\nkind = 'refusal'\nstatus = 200", "faults[0].status: 200 is no refusal"),
    ("[[faults]]\nkind = 'tick_size'\nexchange = 'a'", "faults[0].tick: tick_size needs"),
    ("[rates]\nlose = 0.1", "rates.lose: is none of drop, "),
    ("[rates]\nhalf_open = 0.1", "rates.half_open: is none of drop, "),
    ("[rates]\ndrop = 2", "rates.drop: 2 is no chance from 0 to 1"),
    ("[fault]\nkind = 'drop'", "fault: unknown key"),
    ("faults = 3", "faults is written as [[faults]]"),
    ("[[faults]\n", "Expected"),
])
def test_a_script_that_is_wrong_names_the_key(tmp_path, text, message):
    path = tmp_path / "faults.toml"
    path.write_text(text)
    with pytest.raises(FaultError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ") and message in str(caught.value)


@pytest.mark.parametrize("protocol, fault, message", [
    ("kraken_v2", Fault("old_snapshot", "x"), "books of kraken_v2 come in the stream"),
    ("deribit", Fault("checksum", "x"), "frames of deribit carry no checksum"),
    ("kraken_v2", Fault("reorder", "x"), "checksums of kraken_v2 may be right in either order"),
    ("gemini", Fault("gap", "x"), "TCP loses no frame inside a connection"),
    ("gemini", Fault("freeze", "x", seconds=1), "TCP loses no frame inside a connection"),
    ("okx", Fault("tick_size", "x", "NO-SUCH", tick=1), "NO-SUCH is not traded here"),
])
def test_a_fault_that_an_exchange_cannot_do_is_refused(protocol, fault, message):
    with pytest.raises(FaultError, match=rf"faults\[0\].kind: {fault.kind} at exchange x: .*{message}"):
        build(SimulatorSettings("x", protocol, origin_ns=1, faults=FaultPlan((fault,))))


def test_counts_of_a_process(tmp_path):
    plan = FaultPlan((Fault("duplicate", after_frames=2), Fault("close", after_frames=4, code=4321)))
    with ExchangeProcess(SimulatorSettings("one", "binance_spot", faults=plan)) as exchange:
        client = websocket.create_connection(f"ws://127.0.0.1:{exchange.ports.plain}/ws/btcusdt@depth@100ms",
                                             timeout=PATIENCE)
        frames = [json.loads(client.recv())["u"] for _ in range(5)]
        assert frames == sorted(frames) and [frames.count(number) for number in dict.fromkeys(frames)] == [1, 1, 2, 1]
        assert client.recv_data()[1][:2] == (4321).to_bytes(2)
        client.shutdown()
        with urllib.request.urlopen(f"http://127.0.0.1:{exchange.ports.plain}/simulator/status") as answer:
            assert json.load(answer)["faults"] == {"duplicate": 1, "close": 1}
    assert exchange.faults == {"duplicate": 1, "close": 1}


def test_on_the_command_line(tmp_path, capsys):
    path = tmp_path / "faults.toml"
    path.write_text("[[faults]]\nkind = 'drop'\n")
    arguments = ["simulate", "--exchange", "one=binance_spot", "--faults", str(path), "--seconds", "0"]
    assert main([*arguments, "--json"]) == 0
    listening, told = capsys.readouterr().out.split("\n}\n{\n")
    assert "faults" not in listening and json.loads("{" + told) == {"faults": {"one": {}}}
    assert main(arguments) == 0 and capsys.readouterr().out.endswith("faults of one: none\n")
    for text, message in (("[[faults]]\nkind = 'drop'\nexchange = 'two'\n", "faults[0].exchange: 'two' is none of one"),
                          ("[[faults]]\nkind = 'dorp'\n", "faults[0].kind: 'dorp' is none of"),
                          ("[[faults]]\nkind = 'checksum'\nexchange = 'one'\n", "frames of binance_spot carry no")):
        path.write_text(text)
        assert main(arguments) == 2
        assert message in capsys.readouterr().err
    assert main(["simulate", "--exchange", "one=gemini", "--faults", str(tmp_path / "none.toml")]) == 2
    assert "none.toml" in capsys.readouterr().err
