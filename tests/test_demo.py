"""The demonstration: the same twice, cheaper with the router, and accounted for to the last digit on every server."""
import copy
import io
import json
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from rich.console import Console

from orderflow.cli import CHECK_FAILED, GOOD, main, reconcile
from orderflow.cli.demo import document, lines
from orderflow.cli.scenario import Demonstration, Outcome, Plan
from orderflow.cli.screen import HEIGHT, WIDTH, LiveScreen
from orderflow.research.simulation import BALANCES
from tests.process import COMMAND, ENVIRONMENT

SEEDS = range(1, 11)
SECONDS = 8
FIELDS = ["server", "seconds", "exchanges", "parents", "orders", "conservation", "position", "pnl", "latency_ns",
          "orders_sha256"]


def direct(seed: int, policy: str = "best", seconds: float = SECONDS) -> Outcome:
    """One run on the virtual clock."""
    with Demonstration(Plan(seconds, seed, "direct", policy)) as demonstration:
        return demonstration.run()


def timeless(found: dict) -> dict:
    """Without what is measured on a real clock."""
    return {name: value for name, value in found.items() if name != "latency_ns"}


def test_the_same_seed_gives_the_same_run():
    first, second = document(direct(7, seconds=20)), document(direct(7, seconds=20))
    assert timeless(first) == timeless(second)
    assert len(first["orders_sha256"]) == 64
    assert document(direct(8))["orders_sha256"] != first["orders_sha256"]


def test_the_router_is_cheaper_than_one_exchange():
    cheaper = 0
    for seed in SEEDS:
        best, single = direct(seed), direct(seed, "single")
        assert best.differences == single.differences == []
        assert best.parent.filled == best.parent.quantity == single.parent.filled
        assert len(best.parent.by_exchange) > 1 == len(single.parent.by_exchange)
        cheaper += best.parent.all_in_price < single.parent.all_in_price
    assert cheaper >= 8


@pytest.fixture(scope="module", autouse=True)
def on_sockets():
    """`demo --json` on both servers, at the same time as each other and as the tests on the virtual clock."""
    started = {server: subprocess.Popen(
        [sys.executable, "-m", "orderflow", "demo", "--server", server, "--seconds", "8", "--seed", "3", "--json"],
        cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for server in ("sync", "async")}
    yield started
    for process in started.values():
        if process.poll() is None:
            process.kill()
        process.wait()
        process.stdout.close()              # of one that no test has asked
        process.stderr.close()


@pytest.mark.parametrize("server", ["sync", "async"])
def test_all_is_accounted_for_on_sockets(on_sockets, server):
    out, problems = on_sockets[server].communicate(timeout=90)
    assert (on_sockets[server].returncode, problems) == (GOOD, "")
    found = json.loads(out)
    assert list(found) == FIELDS and found["server"] == server
    assert found["conservation"] is True
    for exchange in found["exchanges"]:
        assert exchange["frames"] > 50 and exchange["books"] == {"BTC-USDT": "LIVE"} and exchange["gaps"] == 0
    large = found["parents"][0]
    assert large["filled"] == large["quantity"] or large["reason"] != "OK"
    assert all(parent["status"] == "PARENT_DONE" for parent in found["parents"])
    orders = found["orders"]
    assert orders["sent"] == orders["filled"] + orders["cancelled"] + orders["rejected"] and orders["in_doubt"] == 0
    assert set(found["latency_ns"]) >= {"frame_to_board", "decided_to_sent"}


def test_money_adds_up():
    found = document(direct(5, seconds=12))
    bought = sum(Decimal(parent["filled"]) * (1 if parent["side"] == "BUY" else -1) for parent in found["parents"])
    assert Decimal(found["position"]["BTC-USDT"]["total"]) == bought
    fees = sum(Decimal(parent["fees"].get("BTC", "0")) for parent in found["parents"])
    assert Decimal(found["pnl"]["BTC"]) == bought - fees
    large = found["parents"][0]
    assert sum(Decimal(part["filled"]) for part in large["by_exchange"].values()) == Decimal(large["filled"])


@pytest.fixture(scope="module")
def outcome():
    """One run that several tests look at."""
    return direct(2, seconds=12)


def planted(truth: dict, event: str, **changes) -> dict:
    """The exchanges' records with one event changed."""
    truth = copy.deepcopy(truth)
    entry = next(entry for record in truth.values() for entry in record["events"] if entry["event"] == event)
    entry.update(changes)
    return truth


@pytest.mark.parametrize(("event", "changes", "what"), [
    ("filled", {"quantity": "0.5"}, "filled is"),
    ("filled", {"price": "1"}, "cash is"),
    ("filled", {"fee": "1"}, "fees is"),
    ("accepted", {"quantity": "99"}, "quantity is"),
    ("accepted", {"client_order_id": "of0000000000zzz"}, "was never journalled"),
    ("accepted", {"client_order_id": "somebody"}, "is not one of ours"),
])
def test_a_planted_difference_is_found(outcome, event, changes, what):
    truth = planted(outcome.truth, event, **changes)
    found = reconcile.differences(outcome.orders, outcome.engine, truth, BALANCES)
    assert any(what in line for line in found), found


def test_an_order_that_the_exchange_never_saw_is_found(outcome):
    truth = copy.deepcopy(outcome.truth)
    gone = truth["alpha"]["events"][0]["client_order_id"]
    truth["alpha"]["events"] = [event for event in truth["alpha"]["events"] if event["client_order_id"] != gone]
    found = reconcile.differences(outcome.orders, outcome.engine, truth, BALANCES)
    assert [line for line in found if "never heard of it" in line]


def test_a_changed_balance_is_found(outcome):
    truth = copy.deepcopy(outcome.truth)
    truth["beta"]["balances"]["main"]["USDT"]["free"] = "1"
    assert "USDT on the account" in reconcile.differences(outcome.orders, outcome.engine, truth, BALANCES)[0]


def test_the_counts_of_the_journal_are_those_of_the_order_table(outcome):
    views = outcome.engine.orders.orders()
    assert len(views) == len(outcome.orders.orders) == outcome.orders.counts()["sent"]
    assert sum(view.status.name == "FILLED" for view in views) == outcome.orders.counts()["filled"]


def test_ended_by_hand_it_tells_what_there_is_to_tell():
    process = subprocess.Popen([*COMMAND, "demo", "--seconds", "600", "--seed", "3"], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    told = []
    for line in process.stdout:
        told.append(line)
        if line.startswith("parent order: 100% filled"):
            process.send_signal(signal.SIGINT)
            break
    rest, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, ""), told
    assert "arrival price" in rest and "agree with the exchanges' own records" in rest


def test_in_a_pipe_it_is_a_few_lines_and_a_summary(capsys):
    assert main(["demo", "--server", "direct", "--seconds", "6", "--router", "single"]) == GOOD
    printed = capsys.readouterr()
    assert printed.err == "" and "\x1b" not in printed.out
    for word in ("Parent order   buy", "slippage", "best single exchange", "Profit, loss", "frame to board",
                 "agree with the exchanges' own records"):
        assert word in printed.out
    assert len(printed.out.splitlines()) < 40


def test_a_failed_check_is_told_and_ends_with_one(monkeypatch, capsys):
    monkeypatch.setattr(reconcile, "differences", lambda *_: ["alpha: a planted difference"])
    assert main(["demo", "--server", "direct", "--seconds", "3", "--json"]) == CHECK_FAILED
    printed = capsys.readouterr()
    assert json.loads(printed.out)["conservation"] is False
    assert "planted difference" in printed.err


def test_a_parent_that_did_not_complete_says_why():
    with Demonstration(Plan(6, 1, "direct", quantity="90")) as demonstration:
        ended = demonstration.run()
    if ended.parent.filled < ended.parent.quantity:
        assert ended.parent.reason in ("END_TIME", "BELOW_MINIMUM_REMAINS")
        assert any("time ran out" in line or "below every" in line for line in lines(ended))
    assert ended.parent.done and ended.differences == []


@pytest.mark.parametrize("width", [80, 100, 140])
def test_the_screen_fits(width):
    seen = []

    def watch(demonstration: Demonstration) -> None:
        out = io.StringIO()
        console = Console(file=out, width=width, height=HEIGHT)
        screen = LiveScreen(demonstration.engine, "demo", console=console)
        console.print(screen.render(demonstration.passed_s, 6, demonstration.parent_id))
        seen.append(out.getvalue())

    with Demonstration(Plan(6, 4, "direct")) as demonstration:
        demonstration.run(watch, step_s=1.0)
    for text in seen:
        rows = text.splitlines()
        assert len(rows) <= HEIGHT and max(map(len, rows)) <= width
    assert "60," in seen[-1] and "LIVE" in seen[-1] and "█" in seen[-1]
    assert width < WIDTH or "alpha" in seen[-1] and "frame to board" in seen[-1]


def test_the_engine_stops_after_a_start_that_failed():
    plan = Plan(3, 1, "direct")
    demonstration = Demonstration(plan)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("orderflow.engine.build_core", lambda *_, **__: (_ for _ in ()).throw(MemoryError("planted")))
        with pytest.raises(MemoryError, match="planted"):
            demonstration.__enter__()
    assert demonstration.engine.stopped and not demonstration.directory.exists()
