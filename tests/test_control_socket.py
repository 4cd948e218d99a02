"""Reaching a running engine from outside: status, kill and rearm by the command line, and clients that misbehave."""
import json
import socket
import threading

import pytest

from orderflow.cli import BAD_USAGE, CHECK_FAILED, GOOD, main
from orderflow.research.simulation import Simulation
from orderflow.servers.control_requests import CONTROL_SOCKET, KILL_SOCKET, NothingRuns, ask
from orderflow.wiring import wait_until
from tests.trading import PATIENCE


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    with Simulation(seed=3, tls=False, in_process=True, directory=tmp_path_factory.mktemp("engine")) as simulation:
        yield simulation.engine


@pytest.fixture(autouse=True)
def armed(engine):
    engine.rearm()


def told(capsys):
    printed = capsys.readouterr()
    return printed.out, printed.err


def test_status_as_json_and_for_people(engine, capsys):
    engine.wait(engine.submit("BTC-USDT", "buy", "0.1"))
    assert main(["status", str(engine.directory), "--json"]) == GOOD
    found = json.loads(told(capsys)[0])
    assert [one["name"] for one in found["exchanges"]] == ["alpha", "beta", "gamma"]
    assert all(one["trades"] and one["can_trade"] and set(one["books"].values()) == {"LIVE"}
               for one in found["exchanges"])
    assert sum(one["sent"] for one in found["exchanges"]) > 0
    assert found["trading_state"] == "ACTIVE" and found["killed"] == [] and found["epoch"] == engine.journal.epoch
    assert sum(map(float, found["positions"]["BTC-USDT"].values())) == pytest.approx(0.1)
    assert main(["status", str(engine.directory)]) == GOOD
    out, _ = told(capsys)
    assert "ACTIVE" in out and "BTCUSDT LIVE" in out and "Position BTC-USDT: " in out


def test_kill_and_rearm_by_the_command_line(engine, capsys):
    directory = str(engine.directory)
    assert main(["kill", directory]) == GOOD
    out, _ = told(capsys)
    assert out.count("cancels written") == 3 and f"Again by: orderflow rearm {directory}" in out
    wait_until(lambda: engine.risk.state.name == "HALTED", PATIENCE, "the router's halt")
    assert engine.wait(engine.submit("BTC-USDT", "buy", "0.1", seconds=0.3)).filled == 0
    wait_until(lambda: any("killed: everything (KILLED_BY_SOCKET)" in each for each in engine.problems), PATIENCE,
               "word to Python")
    assert main(["status", directory]) == GOOD
    assert "HALTED, KILLED: everything (KILLED_BY_SOCKET)" in told(capsys)[0]
    engine.trade()                                      # no rearming
    assert engine.core.kill.killed == ["everything"]
    assert main(["rearm", directory]) == GOOD
    assert told(capsys)[0] == "Nothing is killed any more; orders leave again.\n"
    assert engine.wait(engine.submit("BTC-USDT", "buy", "0.1", seconds=5)).filled > 0


def test_one_exchange_is_killed_and_the_others_fill(engine, capsys):
    directory = str(engine.directory)
    assert main(["kill", directory, "--exchange", "beta", "--json"]) == GOOD
    found = json.loads(told(capsys)[0])
    assert found["exchanges"] == {"beta": {"answer": "CANCELS_WRITTEN", "cancels": 0, "left": 0}} and found["complete"]
    sent = engine.core.loops["beta"].sent_orders[0]
    parent = engine.wait(engine.submit("BTC-USDT", "buy", "5", seconds=5))
    assert parent.filled == 5 and set(parent.by_exchange) <= {"alpha", "gamma"}
    assert engine.core.loops["beta"].sent_orders[0] == sent
    assert main(["rearm", directory, "--exchange", "beta"]) == GOOD
    assert engine.core.kill.killed == []


def test_wrong_names_and_directories(engine, tmp_path, capsys):
    assert main(["kill", str(engine.directory), "--exchange", "nobody"]) == BAD_USAGE
    assert "exchange 'nobody': the engine in" in told(capsys)[1]
    assert main(["rearm", str(engine.directory), "--exchange", "nobody"]) == BAD_USAGE
    assert "exchange 'nobody': there are alpha, beta, gamma" in told(capsys)[1]
    for command in ("status", "kill", "rearm"):
        assert main([command, str(tmp_path)]) == CHECK_FAILED
        assert told(capsys)[1] == (f"orderflow: {tmp_path}: no engine runs there (`orderflow run` prints its "
                                   "directory)\n")
    assert engine.core.kill.killed == []


def test_files_are_its_users_alone(engine):
    for name in (KILL_SOCKET, CONTROL_SOCKET):
        assert (engine.directory / name).stat().st_mode & 0o777 == 0o600


def raw(engine, data, reads=True):
    """What comes back for these bytes, until the engine closes."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(PATIENCE)
        client.connect(str(engine.directory / CONTROL_SOCKET))
        client.sendall(data)
        answer = b""
        while reads and (piece := client.recv(65536)):
            answer += piece
        return answer


@pytest.mark.parametrize("data", [b"\n", b"[]\n", b"{}\n", b"{", b"\xff\xfe\n", b'{"command": 5}\n',
                                  b"[" * 4000 + b"\n", b"x" * 5000, b'{"command": "rearm", "exchange": ["beta"]}\n'])
def test_what_is_no_request_is_refused(engine, data):
    answer = raw(engine, data)
    assert answer == b"" or "error" in json.loads(answer)
    assert ask(engine.directory, {"command": "status"})["killed"] == []


def test_a_client_that_says_nothing_holds_nobody_up_for_long(engine):
    """Not the status of others, and not a kill at all."""
    slow = [threading.Thread(target=raw, args=(engine, b'{"comm')) for _ in range(3)]
    for each in slow:
        each.start()
    assert main(["kill", str(engine.directory)]) == GOOD
    assert ask(engine.directory, {"command": "status"})["killed"] == ["everything"]
    for each in slow:
        each.join(PATIENCE)
        assert not each.is_alive()


def test_a_second_engine_in_its_place_takes_over_the_sockets(tmp_path):
    for _ in range(2):
        with Simulation(seed=3, tls=False, in_process=True, directory=tmp_path) as simulation:
            assert ask(tmp_path, {"command": "status"})["pid"]
            assert simulation.problems == []
        with pytest.raises(NothingRuns):
            ask(tmp_path, {"command": "status"})
        assert not (tmp_path / KILL_SOCKET).exists()
        (tmp_path / KILL_SOCKET).touch()                # as one that was killed leaves it
