"""The command line: exit codes, one line for what a user did wrong, JSON and nothing else in a pipe."""
import errno
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import urllib.request
from decimal import Decimal
from pathlib import Path

import pytest

import orderflow.cli
from orderflow._core.doorbell import Doorbell
from orderflow.cli import CHECK_FAILED, main
from orderflow.cli.application import COMMANDS
from orderflow.cli.examination import CHECKS, Finding
from orderflow.credentials import Credentials
from orderflow.engine import Engine
from orderflow.exchanges import session_for
from orderflow.exchanges.session import SessionSettings
from orderflow.limits import Limits
from orderflow.research.simulation import limits_of
from orderflow.servers.sync import SyncServer
from orderflow.simulator.dialects import PROTOCOLS
from tests.process import COMMAND, ENVIRONMENT

DEPTH = ('{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":2,"s":"BTCUSDT","U":%d,"u":%d,'
         '"b":[["%s","1.00"]],"a":[["11.00","2.00"]]}}')
SNAPSHOT = '{"lastUpdateId":%d,"bids":[["10.00","1.00"]],"asks":[["11.00","1.00"]]}'
URL = "https://api.binance.com/api/v3/depth?symbol=BTCUSDT&limit=5000"


def capture(tmp_path, *lines, name="small.tsv"):
    path = tmp_path / name
    path.write_text("".join(f"{1000 + i}\t{line}\n" for i, line in enumerate(lines)))
    return str(path)


@pytest.fixture
def good(tmp_path):
    return capture(tmp_path, f"http\t{URL}\t{SNAPSHOT % 10}", f"rx\tc\t{DEPTH % (11, 12, '10.50')}")


def run(capsys, *arguments):
    """(exit code, stdout, lines of stderr)."""
    code = main(arguments)
    out, err = capsys.readouterr()
    return code, out, err.splitlines()


def refused(capsys, *arguments):
    """The one line of bad usage."""
    code, out, lines = run(capsys, *arguments)
    assert (code, out) == (2, "") and len(lines) == 1
    return lines[0]


# -- the command itself

def test_help_and_version(capsys):
    code, out, lines = run(capsys, "--version")
    assert code == 0 and out.startswith("orderflow ") and lines == []
    code, out, _ = run(capsys, "--help")
    assert code == 0 and all(command in out for command in ("books", "simulate", "doctor"))
    for command in ("books", "simulate", "doctor"):
        code, out, _ = run(capsys, command, "--help")
        assert code == 0 and "--json" in out


def test_usage_errors_are_one_line(capsys):
    assert "No such command 'trade'" in refused(capsys, "trade")
    assert "--fast" in refused(capsys, "--fast")
    assert "books: No such option: --fast" in refused(capsys, "books", "--fast")
    assert "CAPTURE" in refused(capsys, "books")
    told = refused(capsys, "books", __file__, "--server", "quick")
    assert told.endswith("Invalid value for '--server': 'quick' is not one of 'direct', 'sync', 'async'.")


def test_without_a_command_it_is_the_help(capsys):
    assert run(capsys) == run(capsys, "--help")


def test_commands_are_imported_only_when_asked_for():
    code = ("import sys; from orderflow.cli import main; main(['--version']); "
            "print([name for name in sys.modules if name in ('numpy', 'httpx', 'aiohttp', 'picows')])")
    finished = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60,
                              env=ENVIRONMENT)
    assert finished.stdout.splitlines()[1] == "[]"
    assert set(COMMANDS) >= {"demo", "run", "simulate", "books", "doctor"}


def test_a_defect_of_ours_is_not_hidden(monkeypatch):
    monkeypatch.setattr("orderflow.cli.doctor.output.result", lambda document: document["nothing"])
    with pytest.raises(KeyError):
        main(["doctor", "--json"])


def test_ctrl_c_in_a_command_that_does_not_wait_for_it(monkeypatch):
    def interrupted(document):
        raise KeyboardInterrupt
    monkeypatch.setattr("orderflow.cli.doctor.output.result", interrupted)
    assert main(["doctor", "--json"]) == 130


def test_a_reader_that_leaves_is_no_error(monkeypatch):
    def gone(document):
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")
    monkeypatch.setattr("orderflow.cli.doctor.output.result", gone)
    monkeypatch.setattr(orderflow.cli.sys, "stdout", sys.stdout)
    assert main(["doctor", "--json"]) == 0


# -- books

def test_books_as_json_and_as_text(capsys, good):
    code, out, lines = run(capsys, "books", good, "--json")
    book = json.loads(out)["small"]["BTCUSDT"]
    assert (code, lines) == (0, [])
    assert book["final_bbo"] == ["10.5", "1", "11", "2"] and book["updates_applied"] == 1 and book["gaps"] == 0
    code, out, lines = run(capsys, "books", good)
    assert (code, lines) == (0, []) and out.splitlines()[1].split()[:3] == ["small", "BTCUSDT", "1"]


@pytest.mark.parametrize("server", ["sync", "async"])
def test_books_over_sockets(capsys, good, server):
    over = run(capsys, "books", good, "--server", server, "--plain", "--layout", "fused", "--json")
    assert over == run(capsys, "books", good, "--json")


def test_books_with_a_gap_fail_the_check(capsys, tmp_path):
    path = capture(tmp_path, f"http\t{URL}\t{SNAPSHOT % 10}", f"rx\tc\t{DEPTH % (14, 15, '10.50')}")
    code, out, lines = run(capsys, "books", path, "--json")
    assert code == 1 and json.loads(out)["small"]["BTCUSDT"]["gaps"] == 1
    assert lines == ["orderflow: small: book of BTCUSDT is STALE (GAP) and not read until it is in step again"]


def test_books_with_garbage_fail_the_check(capsys, tmp_path, good):
    path = capture(tmp_path, f"http\t{URL}\t{SNAPSHOT % 10}", f"rx\tc\t{DEPTH % (11, 12, '10.50')}", "rx\tc\t{garbage",
                   name="bad.tsv")
    code, out, lines = run(capsys, "books", path, good, "--json")
    assert code == 1 and list(json.loads(out)) == ["bad", "small"]
    assert any("refused: BAD_JSON" in line for line in lines)


def test_books_bad_usage(capsys, tmp_path, good):
    assert "none.tsv" in refused(capsys, "books", str(tmp_path / "none.tsv"))
    assert "--exchange" in refused(capsys, "books", capture(tmp_path, "rx\tc\t{}", name="x.tsv"))
    assert "protocol 'nasdaq'" in refused(capsys, "books", good, "--exchange", "nasdaq")
    assert "protocol 'phemex'" in refused(capsys, "books", capture(
        tmp_path, "open\tc wss://phemex.com/ws\t", name="o.tsv"))
    assert "line 1: expected 4 fields" in refused(capsys, "books", capture(tmp_path, "rx", name="y.tsv"))
    assert "small is named twice" in refused(capsys, "books", good, good)


def test_books_of_another_protocol(capsys, good):
    """Nothing of Kraken is in it."""
    for server in ("direct", "sync"):
        assert "no frame of kraken_v2" in refused(capsys, "books", good, "--exchange", "kraken_v2", "--server", server)


# -- simulate

class Simulation:
    """`orderflow simulate ARGUMENTS --json` in a process of its own, for `with`."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen([*COMMAND, "simulate", *arguments, "--json"], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
        text = ""
        while not text.endswith("\n}\n"):
            line = self.process.stdout.readline()
            assert line, self.process.stderr.read()
            text += line
        self.document = json.loads(text)

    def __enter__(self):
        return self

    def end(self, number):
        """(exit code, what else it printed)."""
        self.process.send_signal(number)
        return self.process.wait(20), self.process.stdout.read() + self.process.stderr.read()

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()


def test_simulated_exchanges_answer_until_ctrl_c():
    with Simulation("--exchange", "one=binance_spot", "--exchange", "two=kraken_v2", "--seed", "3") as simulation:
        entries = simulation.document["exchanges"]
        assert [(entry["name"], entry["protocol"]) for entry in entries] == [
            ("one", "binance_spot"), ("two", "kraken_v2")]
        trust = ssl.create_default_context(cafile=simulation.document["ca_file"])
        for entry, path in zip(entries, ("/api/v3/exchangeInfo", "/0/public/AssetPairs"), strict=True):
            for base, context in ((entry["rest"], trust), (entry["plain_rest"], None)):
                with urllib.request.urlopen(base + path, timeout=10, context=context) as answer:
                    assert "USDT" in answer.read().decode()
        assert simulation.end(signal.SIGINT) == (0, "")
        assert not os.path.exists(simulation.document["ca_file"])


def test_an_exchange_whose_process_ends_by_itself_is_told():
    with Simulation("--exchange", "one=binance_spot", "--exchange", "two=kraken_v2") as simulation:
        pid = simulation.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        exchanges = [child for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]
        os.kill(int(exchanges[-1]), signal.SIGKILL)
        assert simulation.process.wait(20) == CHECK_FAILED
        assert simulation.process.stderr.read() == (
            "orderflow: exchange two: its process ended with exit code -9; the others are stopped\n")


def test_simulated_exchanges_take_orders_with_the_key_that_they_say(tmp_path):
    with Simulation("--exchange", "one=binance_spot", "--exchange", "two=kraken_v2", "--exchange", "three=binance_usdm",
                    "--seed", "3", "--truth", str(tmp_path / "truth")) as simulation:
        one, two, three = simulation.document["exchanges"]
        assert three["key"] is None and three["secret"] is None
        sessions = [session_for(entry["protocol"], SessionSettings(
            entry["name"], rest=entry["plain_rest"], stream=entry["plain_stream"], orders=entry["plain_stream"] + path,
            symbols=(symbol,), trade=True, credentials=Credentials(entry["key"], entry["secret"])))
            for entry, path, symbol in ((one, "/ws-api/v3", "BTCUSDT"), (two, "", "BTC/USDT"))]
        limits = limits_of({"BTC-USDT": Limits(maximum_position="10", maximum_order_quantity="1",
                                               maximum_order_notional="1000000")})
        with Engine(sessions, SyncServer(Doorbell(), print), limits=limits) as engine:
            for name in ("one", "two"):
                parent = engine.wait(engine.submit("BTC-USDT", "buy", "0.01", seconds=10, exchanges=[name]))
                assert parent.filled == Decimal("0.01"), parent
                assert set(parent.by_exchange) == {name}
        assert simulation.end(signal.SIGINT) == (0, "")
    for name in ("one", "two"):
        events = [json.loads(line) for line in (tmp_path / "truth" / f"{name}.jsonl").read_text().splitlines()]
        filled = [Decimal(event["quantity"]) for event in events if event["event"] == "filled"]
        assert sum(filled) == Decimal("0.01") and events[-1]["event"] == "balances"
    assert not (tmp_path / "truth" / "three.jsonl").exists(), "no orders are taken there"


def test_a_simulated_exchange_plays_a_capture(good):
    with Simulation("--exchange", "one=binance_spot", "--capture", f"one={good}", "--speed", "0") as simulation:
        entry = simulation.document["exchanges"][0]
        assert entry["capture"] == good
        with urllib.request.urlopen(f"{entry['plain_rest']}/api/v3/depth?symbol=BTCUSDT", timeout=10) as answer:
            assert json.loads(answer.read())["lastUpdateId"] == 10
        assert simulation.end(signal.SIGTERM) == (0, "")


def test_simulate_bad_usage(capsys, good, tmp_path):
    assert "--exchange" in refused(capsys, "simulate")
    assert "expected NAME=PROTOCOL" in refused(capsys, "simulate", "--exchange", "binance_spot")
    line = refused(capsys, "simulate", "--exchange", "one=nasdaq")
    assert all(protocol in line for protocol in PROTOCOLS)
    assert "named twice" in refused(capsys, "simulate", "--exchange", "a=kraken_v2", "--exchange", "a=kraken_v2")
    assert "is not a file" in refused(capsys, "simulate", "--exchange", "a=kraken_v2", "--capture", "none.tsv")
    assert "no frame of kraken_v2" in refused(capsys, "simulate", "--exchange", "a=kraken_v2", "--capture", good)
    assert "--speed" in refused(capsys, "simulate", "--exchange", "a=kraken_v2", "--speed", "-1")
    assert "65535" in refused(capsys, "simulate", "--exchange", "a=kraken_v2", "--exchange", "b=kraken_v2",
                              "--port", "65534")


def test_a_port_in_use_is_named(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        line = refused(capsys, "simulate", "--exchange", "one=kraken_v2", "--port", str(port))
    assert f"127.0.0.1:{port}" in line and "port" in line


# -- doctor

def test_doctor(capsys):
    code, out, lines = run(capsys, "doctor", "--json")
    document = json.loads(out)
    assert (code, lines, document["good"]) == (0, [], True)
    assert set(document["checks"]) == {"python", "native code", "tls", "signing", "processors", "clock", "limits",
                                       "dependencies"}
    assert "without the GIL" in document["checks"]["tls"]["detail"]
    code, out, lines = run(capsys, "doctor")
    assert (code, lines) == (0, []) and len(out.splitlines()) >= len(CHECKS)


def test_doctor_says_what_is_bad(capsys, monkeypatch):
    def _broken():
        raise OSError("no such thing")
    checks = (_broken, lambda: Finding("lamp", "warning", "dim", "change the bulb"))
    monkeypatch.setattr("orderflow.cli.examination.CHECKS", checks)
    code, out, _ = run(capsys, "doctor")
    assert code == 1 and "BAD" in out and "OSError: no such thing" in out and "change the bulb" in out
    code, out, _ = run(capsys, "doctor", "--json")
    assert code == 1 and json.loads(out)["good"] is False


def test_doctor_tells_when_connections_cannot_be_borrowed(capsys, monkeypatch):
    from orderflow._core import transport

    borrowed = transport.BorrowedTransport
    monkeypatch.setattr(transport, "BorrowedTransport", lambda connection: borrowed(connection, native=False))
    code, out, _ = run(capsys, "doctor", "--json")
    assert code == 0 and json.loads(out)["checks"]["tls"]["state"] == "warning"
    assert "need the GIL (asked for)" in json.loads(out)["checks"]["tls"]["detail"]
