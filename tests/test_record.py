"""`orderflow record`: every byte that arrived is in the file, whatever becomes of the process; `orderflow watch`."""
import io
import json
import signal
import socket
import subprocess
import time
from collections import deque
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import zstandard
from rich.console import Console

from orderflow._core.types import RECORDED_DTYPE, RecordedKind
from orderflow.cli import BAD_USAGE, CHECK_FAILED, GOOD, main
from orderflow.cli.record import market_data
from orderflow.cli.screen import LiveScreen
from orderflow.config import load
from orderflow.research.books import books
from orderflow.servers.capture_writer import CaptureWriter, line
from orderflow.simulator.launch import SimulatorSettings, start_thread
from orderflow.simulator.recording import read_capture, recognise
from orderflow.wiring import wait_until
from tests.process import COMMAND, ENVIRONMENT

PROTOCOLS = {"alpha": ("binance_spot", "BTCUSDT"), "gamma": ("kraken_v2", "BTC/USDT")}


@pytest.fixture(scope="module")
def exchanges():
    started = {name: start_thread(SimulatorSettings(name, protocol, seed=3, origin_ns=time.time_ns()))
               for name, (protocol, _) in PROTOCOLS.items()}
    yield started
    for exchange in started.values():
        exchange.stop()


def configuration(folder, exchanges, *names, server="sync"):
    text = f'[engine]\nserver = "{server}"\n'
    for name in names:
        protocol, symbol = PROTOCOLS[name]
        port = exchanges[name].ports.plain
        text += (f'[exchanges.{name}]\nprotocol = "{protocol}"\nsymbols = ["{symbol}"]\n'
                 f'rest = "http://127.0.0.1:{port}"\nstream = "ws://127.0.0.1:{port}"\n')
    path = folder / "record.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("server", ["sync", "async"])
def test_what_arrived_is_in_the_files_and_gives_the_books(tmp_path, exchanges, capsys, server):
    config = configuration(tmp_path, exchanges, "alpha", "gamma", server=server)
    assert main(["record", str(config), "-o", str(tmp_path / "x.tsv.zst"), "--seconds", "3", "--json"]) == GOOD
    found = json.loads(capsys.readouterr().out)
    assert found["problems"] == []
    for name, (protocol, symbol) in PROTOCOLS.items():
        path = tmp_path / f"x-{name}.tsv.zst"
        told = found["exchanges"][name]
        records = list(read_capture(path))
        received = [record for record in records if record.direction == "rx"]
        assert told["file"] == str(path) and told["frames"] == len(received) > 10
        assert told["bytes"] == sum(len(record.payload.encode()) for record in received)
        stamps = [record.local_ns for record in records]
        assert stamps == sorted(stamps) and abs(stamps[-1] - time.time_ns()) < 60_000_000_000
        assert [record.direction for record in records[:2]] == ["http", "open"]
        assert any(record.direction == "tx" for record in records)
        played = books(path, protocol)
        assert played.problems == []
        assert played.summaries[symbol]["updates_applied"] > 5 and played.summaries[symbol]["gaps"] == 0


def test_a_snapshot_stands_before_frames_that_were_read_sooner_and_taken_later(tmp_path):
    """An event loop reads a block; before the exchange thread takes its frames it takes a snapshot."""
    def recorded(kind, now_ns, payload):
        header = np.zeros(1, RECORDED_DTYPE)
        header["kind"], header["now_ns"] = kind, now_ns
        return None, header.tobytes() + payload

    frame, snapshot = RecordedKind.RECORDED_FRAME, RecordedKind.RECORDED_SNAPSHOT
    waiting = deque([recorded(frame, 10, b"a"), recorded(snapshot, 30, b"1"), recorded(snapshot, 31, b"2"),
                     recorded(frame, 20, b"b"), recorded(snapshot, 40, b"3"), recorded(frame, 50, b"c")])
    loop = SimpleNamespace(name="x", recording=SimpleNamespace(pop=lambda: waiting.popleft() if waiting else None))
    writer = CaptureWriter(tmp_path / "x.tsv.zst", loop, ["books"], pytest.fail)
    writer.stop()
    records = list(read_capture(tmp_path / "x.tsv.zst"))
    assert [record.payload for record in records] == ["a", "1", "2", "b", "3", "c"]
    assert [record.local_ns - records[0].local_ns for record in records] == [0, 10, 10, 10, 30, 40]


def test_a_capture_holds_one_line(tmp_path, exchanges, capsys):
    config = configuration(tmp_path, exchanges, "alpha")
    config.write_text(config.read_text() + "lines = 2\n")
    assert main(["record", str(config), "-o", str(tmp_path / "x.tsv.zst"), "--seconds", "1"]) == BAD_USAGE
    assert "exchanges.alpha.lines: a capture holds one line; set lines = 1" in capsys.readouterr().err
    assert main(["watch", str(config), "--seconds", "3", "--json"]) == GOOD
    assert json.loads(capsys.readouterr().out)["problems"] == []


def test_a_killed_process_loses_its_last_second_and_not_the_file(tmp_path, exchanges):
    path = tmp_path / "killed.tsv.zst"
    config = configuration(tmp_path, exchanges, "gamma")
    with subprocess.Popen([*COMMAND, "record", str(config), "-o", str(path)], env=ENVIRONMENT,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        def frames():
            return path.exists() and len([record for record in read_capture(path) if record.direction == "rx"])
        wait_until(lambda: frames() > 20, 30, "frames in the file")
        killed_ns = time.time_ns()
        process.send_signal(signal.SIGKILL)
        process.communicate()
    records = list(read_capture(path))
    assert records[-1].local_ns > killed_ns - 3_000_000_000      # a second, and what a busy machine adds to it
    assert books(path, "kraken_v2").problems == []


def test_a_file_cut_anywhere_gives_whole_lines(tmp_path):
    lines = [line(number, "rx", "c", b'{"n":%d}' % number) for number in range(2000)]
    compressor = zstandard.ZstdCompressor()
    whole = b"".join(compressor.compress(b"".join(lines[at:at + 100])) for at in range(0, 2000, 100))
    path = tmp_path / "cut.tsv.zst"
    for size in range(len(whole) // 2, len(whole), 97):
        path.write_bytes(whole[:size])
        records = list(read_capture(path))
        assert [record.local_ns for record in records] == list(range(len(records))) and len(records) >= 900


@pytest.mark.parametrize("payload", [b'{"a":1}', b"a\tb", b"a\nb", b"\xff\xfe", "\u00e9\u2028".encode(), b"", b"a\rb"])
def test_a_payload_comes_back_as_it_was(tmp_path, payload):
    path = tmp_path / "one.tsv.zst"
    path.write_bytes(zstandard.compress(line(1, "rx", "c", payload)))
    (record,) = read_capture(path)
    assert (record.payload if record.direction == "rxb" else record.payload.encode()) == payload


def test_bad_usage_is_named(tmp_path, exchanges, capsys):
    config = configuration(tmp_path, exchanges, "gamma")
    assert main(["record", str(config), "-o", str(tmp_path / "x.csv")]) == BAD_USAGE
    assert "ends in .tsv.zst" in capsys.readouterr().err
    taken = tmp_path / "taken.tsv.zst"
    taken.write_bytes(b"")
    assert main(["record", str(config), "-o", str(taken)]) == BAD_USAGE
    assert "taken.tsv.zst exists; a capture is never written over" in capsys.readouterr().err
    (tmp_path / "two-gamma.tsv.zst").touch()
    both = configuration(tmp_path, exchanges, "alpha", "gamma")
    assert main(["record", str(both), "-o", str(tmp_path / "two.tsv.zst")]) == BAD_USAGE
    assert "two-gamma.tsv.zst exists" in capsys.readouterr().err
    assert not (tmp_path / "two-alpha.tsv.zst").exists()
    assert main(["record", str(config), "-o", str(tmp_path / "no" / "x.tsv.zst")]) == BAD_USAGE
    assert "No such file" in capsys.readouterr().err


@pytest.fixture
def nowhere():
    """An address at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    return f"127.0.0.1:{port}"


@pytest.mark.parametrize("command", ["watch", "record"])
def test_an_exchange_that_cannot_be_reached_is_left_out_and_told(tmp_path, exchanges, nowhere, capsys, command):
    config = configuration(tmp_path, exchanges, "alpha")
    away = (f'[exchanges.away]\nprotocol = "kraken_v2"\nsymbols = ["BTC/USDT"]\nrest = "http://{nowhere}"\n'
            f'stream = "ws://{nowhere}"\n')
    config.write_text(config.read_text() + away)
    options = ["-o", str(tmp_path / "x.tsv.zst")] if command == "record" else []
    assert main([command, str(config), *options, "--seconds", "1.5", "--json"]) == CHECK_FAILED
    printed = capsys.readouterr()
    assert f"exchange away: GET http://{nowhere}/0/public/AssetPairs: {nowhere}: refused; nothing" in printed.err
    found = json.loads(printed.out)
    assert [name if command == "record" else name["name"] for name in found["exchanges"]] == ["alpha"]
    config.write_text(away + away.replace("away", "gone"))
    assert main([command, str(config), *options, "--seconds", "1"]) == CHECK_FAILED
    printed = capsys.readouterr()
    assert "exchange away: " in printed.err and "; exchange gone: " in printed.err and printed.out == ""


def test_a_recording_without_frames_is_no_success(tmp_path, exchanges, nowhere, capsys):
    config = configuration(tmp_path, exchanges, "alpha")
    port = exchanges["alpha"].ports.plain
    config.write_text(config.read_text().replace(f"ws://127.0.0.1:{port}", f"ws://{nowhere}"))
    assert main(["record", str(config), "-o", str(tmp_path / "x.tsv.zst"), "--seconds", "0.5"]) == CHECK_FAILED
    assert "exchange alpha: no frame arrived; " in capsys.readouterr().err


def test_the_protocol_of_a_recording_is_known_by_its_urls(tmp_path):
    path = Path(tmp_path / "x.tsv.zst")
    path.write_bytes(zstandard.compress(b"1\topen\tk.market.1 wss://ws.kraken.com/v2\t\n"))
    assert recognise(path) == "kraken_v2"


# -- watch

def test_watch_shows_every_book(tmp_path, exchanges, capsys):
    config = configuration(tmp_path, exchanges, "alpha", "gamma")
    seconds = ("--seconds", "3")            # sanitized and beside other tests it takes more than one until all are LIVE
    assert main(["watch", str(config), *seconds, "--json"]) == GOOD
    found = json.loads(capsys.readouterr().out)
    assert [one["books"] for one in found["exchanges"]] == [{"BTC-USDT": "LIVE"}] * 2 and found["problems"] == []
    assert main(["watch", str(config), *seconds]) == GOOD
    assert "gamma BTC/USDT LIVE" in capsys.readouterr().out
    assert main(["watch", str(config), "--instrument", "XRP-USD"]) == BAD_USAGE
    assert "there are BTC-USDT" in capsys.readouterr().err


def test_watch_draws_ladder_and_books_of_what_does_not_trade(tmp_path, exchanges):
    settings = load(configuration(tmp_path, exchanges, "alpha", "gamma"))
    with market_data(settings, lambda problem: None, {}) as data:
        wait_until(lambda: all(data.book_state(i) == "LIVE" for i in range(2)), 10, "LIVE books")
        console = Console(width=100, height=30, file=io.StringIO(), record=True)
        screen = LiveScreen(data, "watch", console=console)
        console.print(screen.render(1.0, None))
        shown = console.export_text()
    assert "BTC-USDT" in shown and "alpha BTCUSDT" in shown and "gamma BTC/USDT" in shown
    assert "spread" in shown or "crossed" in shown
