"""`orderflow journal verify|show|export|repair` and `orderflow replay`: what a user reads, and the exit codes."""
import json
import os
import shutil
import sqlite3
import sys
from decimal import Decimal
from fractions import Fraction

import numpy as np
import polars
import pytest

from orderflow._core.journal import JournalFiles, RecordKind, lock, read
from orderflow._core.journal_scan import SegmentScan
from orderflow._core.segments import checksum, seed_for
from orderflow._core.types import CHILD_ORDER_DTYPE
from orderflow.cli import main
from orderflow.cli.scenario import Demonstration, Plan
from orderflow.research.explain import explain

SEGMENT = "journal-00000001.segment"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(directory of a recorded run, the parent order that was submitted in it as the engine saw it)."""
    directory = tmp_path_factory.mktemp("run")
    with Demonstration(Plan(server="direct", seconds=4, seed=5, directory=str(directory), record=True)) as shown:
        return directory, shown.run().parent


@pytest.fixture
def copy(made, tmp_path):
    return shutil.copytree(made[0], tmp_path / "run")


def run(capsys, *arguments):
    """(exit code, stdout, stderr)."""
    code = main([str(argument) for argument in arguments])
    return code, *capsys.readouterr()


def lines_of(capsys, *arguments):
    code, out, err = run(capsys, "journal", "show", *arguments, "--json")
    assert (code, err) == (0, "")
    return [json.loads(line) for line in out.splitlines()]


# -- verify


def test_verify_of_a_whole_journal(made, capsys):
    code, out, err = run(capsys, "journal", "verify", made[0])
    assert (code, err) == (0, "") and "all whole" in out and SEGMENT in out


def test_verify_of_a_torn_tail(copy, capsys):
    path = copy / SEGMENT
    path.write_bytes(path.read_bytes()[:-5])
    code, out, _ = run(capsys, "journal", "verify", copy)
    assert code == 3 and "torn: cut off" in out and "the next start" in out
    assert json.loads(run(capsys, "journal", "verify", copy, "--json")[1])["state"] == "torn"


def damage(path):
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 1
    path.write_bytes(whole)


def test_verify_of_damage_in_the_middle(copy, capsys):
    damage(copy / SEGMENT)
    code, out, _ = run(capsys, "journal", "verify", copy)
    assert code == 1 and "DAMAGED: checksum" in out and "QUARANTINE" in out and f"{copy / SEGMENT} at offset" in out
    found = json.loads(run(capsys, "journal", "verify", copy, "--json")[1])
    assert found["state"] == "quarantine" and found["segments"][0]["damaged"]


def test_verify_of_a_missing_segment(copy, capsys):
    (copy / SEGMENT).rename(copy / "journal-00000003.segment")
    code, out, _ = run(capsys, "journal", "verify", copy)
    assert code == 1 and "renamed" in out


def test_verify_of_another_version(copy, capsys):
    path = copy / SEGMENT
    whole = bytearray(path.read_bytes())
    whole[4] = 9
    whole[60:64] = checksum(bytes(whole[:60])).to_bytes(4, "little")
    path.write_bytes(whole)
    code, out, err = run(capsys, "journal", "verify", copy)
    assert (code, out) == (2, "") and "segment version 9, this orderflow reads 1; read it with" in err


@pytest.mark.parametrize("command", [("verify",), ("show",), ("export", "-o", "x.sqlite")])
def test_what_is_no_journal(tmp_path, capsys, command, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, "journal", *command, tmp_path / "nothing")
    assert (code, out) == (2, "") and "neither a journal directory nor a segment" in err
    assert list(tmp_path.iterdir()) == []               # nothing half made is left behind


def test_a_directory_without_segments(tmp_path, capsys):
    code, _, err = run(capsys, "journal", "verify", tmp_path)
    assert code == 2 and "no journal" in err


# -- show


def test_show_is_a_line_a_record(made, capsys):
    code, out, err = run(capsys, "journal", "show", made[0])
    lines = out.splitlines()
    assert (code, err) == (0, "") and "run_start" in lines[0] and "run_end" in lines[-1]
    assert json.loads(run(capsys, "journal", "verify", made[0], "--json")[1])["records"] == len(lines)
    order = next(line for line in lines if " intent " in line)
    assert " NEW of0000001000001 alpha BTCUSDT BUY parent_id=1 " in order and "time_in_force=IOC" in order


def test_show_filters(made, capsys):
    everything = lines_of(capsys, made[0])
    assert {each["kind"] for each in everything} >= {"RUN_START", "PARENT", "INTENT", "REPORT", "RUN_END"}
    for arguments, wanted in (
            (("--kind", "intent", "--kind", "parent"), lambda one: one["kind"] in ("INTENT", "PARENT")),
            (("--order", "of0000001000002"), lambda one: one.get("client_order_id") == "of0000001000002"),
            (("--parent", "1"), lambda one: one.get("parent_id") == 1),
            (("--run", "1"), lambda one: True),
            (("--run", "2"), lambda one: False)):
        found = lines_of(capsys, made[0], *arguments)
        assert found == [each for each in everything if wanted(each)], arguments
        assert found or arguments == ("--run", "2")
    middle = sorted({each["time"] for each in everything})[1]
    later = lines_of(capsys, made[0], "--since", middle[:-4])       # fromisoformat takes microseconds
    assert 0 < len(later) < len(everything) and all(each["time"] >= middle[:-4] for each in later)


def test_show_what_makes_up_the_parent_order(made, capsys):
    """Quantities, prices and fees of one parent, added up from the lines, are what the engine said."""
    directory, parent = made
    filled, notional, fees, seen = Decimal(0), Decimal(0), {}, set()
    for each in lines_of(capsys, directory, "--kind", "report", "--parent", parent.id):
        key = each["client_order_id"], each["trade_id"]
        if each["event"] != "FILL" or key in seen:
            continue
        seen.add(key)
        filled += Decimal(each["last_quantity"])
        notional += Decimal(each["last_quantity"]) * Decimal(each["last_price"])
        fees[each["fee_asset"]] = fees.get(each["fee_asset"], 0) + Decimal(each["fee"])
    assert (filled, notional / filled, fees) == (parent.filled, parent.average_price, parent.fees)


@pytest.mark.parametrize(("arguments", "message"), [
    (("--kind", "colour"), "--kind colour: expected one of run_start, parent"),
    (("--since", "yesterday"), "--since yesterday: expected a time such as"),
])
def test_show_with_a_wrong_filter(made, capsys, arguments, message):
    code, out, err = run(capsys, "journal", "show", made[0], *arguments)
    assert (code, out) == (2, "") and message in err


def test_show_and_export_say_where_a_damaged_journal_ends(copy, capsys):
    damage(copy / SEGMENT)
    for command in (("show", copy), ("export", copy, "-o", copy / "x.sqlite")):
        code, out, err = run(capsys, "journal", *command)
        assert code == 1 and out and "checksum at offset" in err and f"orderflow journal verify {copy}" in err


# -- export


def sums(rows):
    """Quantity and fees by asset of the fills of one parent, each counted once: rows as dicts."""
    fills = {(row["client_order_id"], row["trade_id"]): row for row in rows if row["event"] == "FILL"}.values()
    fees = {}
    for row in fills:
        fees[row["fee_asset"]] = fees.get(row["fee_asset"], 0) + Decimal(row["fee"])
    return sum(Decimal(row["last_quantity"]) for row in fills), fees


def test_export_to_sqlite(made, tmp_path, capsys):
    directory, parent = made
    path = tmp_path / "run.sqlite"
    code, out, err = run(capsys, "journal", "export", directory, "-o", path, "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    everything = lines_of(capsys, directory)
    with sqlite3.connect(path) as database:
        database.row_factory = sqlite3.Row
        for table, kinds in (("orders", {"INTENT", "CANCEL"}), ("reports", {"REPORT"}), ("parents", {"PARENT"})):
            (count,) = database.execute(f"SELECT COUNT(*) FROM {table}").fetchone()
            assert count == told[table]["rows"] == sum(each["kind"] in kinds for each in everything) > 0
        reports = database.execute("SELECT * FROM reports WHERE parent_id = ?", (parent.id,)).fetchall()
        assert sums(reports) == (parent.filled, parent.fees)
        (order,) = database.execute("SELECT * FROM orders WHERE client_order_id = 'of0000001000001'").fetchall()
        assert (order["exchange"], order["symbol"], order["time_in_force"]) == ("alpha", "BTCUSDT", "IOC")
        check_decisions(database, directory, told)
    database.close()


def check_decisions(database, directory, told):
    """The tables of decisions against what `explain` reads of them."""
    count = 0
    for (parent_id,) in database.execute("SELECT DISTINCT parent_id FROM decisions").fetchall():
        rows = database.execute("SELECT * FROM decisions WHERE parent_id = ? ORDER BY number", (parent_id,)).fetchall()
        decisions = explain(directory, parent_id).decisions
        assert [(row["number"], row["wall_ns"], Decimal(row["given"]), row["path"]) for row in rows] == [
            (one.number, one.at_ns, one.given, one.path.name) for one in decisions]
        for row, one in zip(rows, decisions, strict=True):
            assert one.average is None or Fraction(row["all_in"]) == one.average * Fraction(one.given)
            offers = database.execute("SELECT * FROM offers WHERE number = ? ORDER BY place",
                                      (row["number"],)).fetchall()
            assert [(each["exchange"], each["version"], Decimal(each["quantity"]), each["left_out"] or "NOT_LEFT_OUT")
                    for each in offers] == [(each.exchange, each.version, each.asked, each.left_out.name)
                                            for each in one.offers]
            count += len(offers)
    assert told["offers"]["rows"] == count > told["decisions"]["rows"] > 0


def test_export_to_parquet_says_the_same_as_sqlite(made, tmp_path, capsys):
    directory, parent = made
    assert run(capsys, "journal", "export", directory, "-o", tmp_path / "run.parquet")[0] == 0
    assert run(capsys, "journal", "export", directory, "-o", tmp_path / "run.sqlite")[0] == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "run-decisions.parquet", "run-offers.parquet", "run-orders.parquet", "run-parents.parquet",
        "run-reports.parquet", "run.sqlite"]
    database = sqlite3.connect(tmp_path / "run.sqlite")
    for table in ("orders", "reports", "parents", "decisions", "offers"):
        frame = polars.read_parquet(tmp_path / f"run-{table}.parquet")
        again = database.execute(f"SELECT * FROM {table} ORDER BY rowid").fetchall()
        exact = [isinstance(kind, polars.Decimal) for kind in frame.dtypes]
        assert any(exact)
        assert frame.rows() == [tuple(Decimal(value) if decimal and value is not None else value
                                      for value, decimal in zip(row, exact, strict=True)) for row in again]
    database.close()
    reports = polars.read_parquet(tmp_path / "run-reports.parquet").filter(polars.col("parent_id") == parent.id)
    assert sums(reports.to_dicts()) == (parent.filled, parent.fees)


def test_export_overwrites_nothing(made, tmp_path, capsys):
    (tmp_path / "run-reports.parquet").write_text("mine")
    code, _, err = run(capsys, "journal", "export", made[0], "-o", tmp_path / "run.parquet")
    assert code == 2 and "run-reports.parquet: is there already" in err
    assert run(capsys, "journal", "export", made[0], "-o", tmp_path / "run.txt")[0] == 2


def test_export_to_parquet_without_polars_says_what_to_install(made, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "polars", None)
    code, _, err = run(capsys, "journal", "export", made[0], "-o", tmp_path / "run.parquet")
    assert code == 2 and "pip install 'orderflow[frames]'" in err and ".sqlite" in err
    assert list(tmp_path.iterdir()) == []


# -- repair


def test_repair_of_a_whole_journal_does_nothing(made, capsys):
    before = {path: path.read_bytes() for path in made[0].glob("*.segment")}
    code, out, _ = run(capsys, "journal", "repair", made[0], "--yes")
    assert code == 0 and "nothing is damaged" in out
    assert before == {path: path.read_bytes() for path in made[0].glob("*.segment")}


def test_repair_keeps_the_exact_prefix_and_the_rest_aside(copy, capsys):
    path = copy / SEGMENT
    damage(path)
    whole = path.read_bytes()
    end = json.loads(run(capsys, "journal", "verify", copy, "--json")[1])["segments"][0]["end"]
    code, out, _ = run(capsys, "journal", "repair", copy)
    assert code == 1 and "would be cut off" in out and "add --yes" in out and path.read_bytes() == whole
    code, out, _ = run(capsys, "journal", "repair", copy, "--yes")
    assert code == 0 and f"was cut off at offset {end}" in out and "look at the exchanges" in out
    aside = copy / f"{SEGMENT}.aside"
    assert path.read_bytes() == whole[:end] and aside.read_bytes() == whole[end:]
    assert run(capsys, "journal", "verify", copy)[0] == 0
    assert len(lines_of(capsys, copy)) > 5


def runs_of(copy, count):
    """More runs behind the one that is there, each whole; their segments."""
    made = []
    for _ in range(count):
        files = JournalFiles(copy, segment_bytes=1 << 16)
        made.append(copy / f"journal-{files.epoch:08d}.segment")
        first = next(iter(read(copy))).decode()
        assert files.start_run(**first | {"carried": 0}) and files.end_run()
        files.close()
    return made


def test_repair_keeps_the_runs_behind_the_damage_where_one_can_be_taken_over(copy, capsys):
    later = runs_of(copy, 2)
    damage(copy / SEGMENT)
    whole = (copy / SEGMENT).read_bytes()
    code, out, _ = run(capsys, "journal", "repair", copy, "--yes")
    assert code == 0 and "The runs behind it are whole" in out and "run 1 are aside" in out
    assert sorted(copy.glob("journal-*.segment")) == later
    assert (copy / f"{SEGMENT}.aside").read_bytes() == whole
    assert run(capsys, "journal", "verify", copy)[0] == 0


def test_repair_of_a_missing_segment_moves_what_is_behind_it(copy, capsys):
    first, second = runs_of(copy, 2)
    second.rename(copy / "journal-00000007.segment")
    answer = json.loads(run(capsys, "journal", "repair", copy, "--yes", "--json")[1])
    assert answer["done"] and answer["aside"] == ["journal-00000007.segment.aside"] and answer["runs_aside"] == [3]
    assert run(capsys, "journal", "verify", copy)[0] == 0 and first.exists()


def test_repair_waits_for_the_engine_to_be_stopped(copy, capsys):
    damage(copy / SEGMENT)
    held = lock(copy)
    try:
        code, _, err = run(capsys, "journal", "repair", copy, "--yes")
        assert code == 2 and "another engine has this journal open" in err
    finally:
        os.close(held)


# -- replay


def test_replay_of_a_recorded_run(made, capsys):
    code, out, err = run(capsys, "replay", made[0], "--check")
    assert (code, err) == (0, "") and "the same, byte for byte" in out
    assert json.loads(run(capsys, "replay", made[0], "--json")[1])["equal"]


def test_replay_says_the_first_difference(copy, capsys):
    """The third order was written down with another price, in a record that verifies."""
    path = copy / SEGMENT
    whole, scan = bytearray(path.read_bytes()), SegmentScan(path)
    begins, intents = scan.end, []
    while (record := scan.next_record()) is not None:
        if record[1] == RecordKind.INTENT:
            intents.append((begins, scan.end))
        begins = scan.end
    begin, end = intents[2]
    order = np.frombuffer(memoryview(whole)[begin + 32:begin + 32 + CHILD_ORDER_DTYPE.itemsize], CHILD_ORDER_DTYPE)
    price = int(order["price"][0])
    order["price"] += 7
    seed = seed_for(scan.header.salt, scan.header.number)
    whole[end - 4:end] = checksum(bytes(whole[begin:end - 4]), seed).to_bytes(4, "little")
    path.write_bytes(whole)
    assert run(capsys, "journal", "verify", copy)[0] == 0
    code, out, _ = run(capsys, "replay", copy, "--check")
    assert code == 1 and f"first difference: order 2: price {price} instead of {price + 7}\n" in out
    assert run(capsys, "replay", copy)[0] == 0              # asked to show, not to check


def test_replay_of_a_run_without_frames(tmp_path, capsys):
    with Demonstration(Plan(server="direct", seconds=2, seed=5, directory=str(tmp_path))) as shown:
        shown.run()
    code, out, err = run(capsys, "replay", tmp_path, "--check")
    assert (code, out) == (2, "") and "make one with record = true" in err
