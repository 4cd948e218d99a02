"""The journal: what was told to be written is there, whoever is killed and whatever is cut or flipped."""
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import orderflow
from orderflow._core import client_id, journal
from orderflow._core.journal import JournalError, JournalFiles, RecordKind
from orderflow._core.journal_scan import SegmentScan
from orderflow._core.segments import OtherVersion, checksum
from orderflow._core.types import (
    CHILD_ORDER_DTYPE,
    COMMAND_DTYPE,
    EXECUTION_REPORT_DTYPE,
    PARENT_ORDER_DTYPE,
    ChildKind,
    Reason,
)
from tests import test_risk

SMALL = 8192
RECORD_BYTES = 168              # of a 128-byte payload


def report(number):
    record = np.zeros(1, EXECUTION_REPORT_DTYPE)
    record["trade_id"] = number
    return record


def write(directory, count, **options):
    """A journal of `count` reports, closed; the epoch of its run."""
    with JournalFiles(directory, segment_bytes=SMALL, **options) as files:
        for i in range(count):
            assert files.append(RecordKind.REPORT, report(i + 1), i)
            if files.sequence % 40 == 0:
                assert files.wait_prepared()
        return files.epoch


def trade_ids(path):
    return [int(record.decode()["trade_id"]) for record in journal.read(path) if record.kind == RecordKind.REPORT]


def only_segment(directory):
    (path,) = Path(directory).glob("journal-*.segment")
    return path


@given(st.binary(max_size=300), st.integers(0, 2**32 - 1), st.integers(0, 300))
def test_checksum_by_table_and_by_instruction_agree(data, seed, cut):
    assert checksum(data, seed) == checksum(data, seed, portable=True)
    assert checksum(data[cut:], checksum(data[:cut], seed)) == checksum(data, seed)


def test_checksum_is_castagnoli():
    """RFC 3720 appendix B.4, and the check value of the catalogue of CRC algorithms."""
    assert checksum(b"123456789") == 0xE3069283
    assert checksum(bytes(32)) == 0x8A9136AA
    assert checksum(bytes(range(32))) == 0x46DD794E


def test_records_come_back_as_they_were_written(tmp_path):
    with JournalFiles(tmp_path, segment_bytes=SMALL) as files:
        first = files.epoch << 40
        assert files.start_run(configuration="abc") == first + 1
        parent, cancel, state = (np.zeros(1, dtype) for dtype in (PARENT_ORDER_DTYPE, CHILD_ORDER_DTYPE, COMMAND_DTYPE))
        parent["quantity"], cancel["kind"], state["value"] = 5, ChildKind.CANCEL_ORDER, 2
        for kind, record in ((RecordKind.PARENT, parent), (RecordKind.CANCEL, cancel), (RecordKind.STATE, state)):
            files.append(kind, record, 77)
        files.end_run(open_orders=0)
    found = list(journal.read(tmp_path))
    assert [record.sequence for record in found] == [first + i for i in range(1, 6)]
    assert [record.kind for record in found] == [RecordKind.RUN_START, RecordKind.PARENT, RecordKind.CANCEL,
                                                 RecordKind.STATE, RecordKind.RUN_END]
    assert found[0].decode() == {"configuration": "abc"} and found[4].decode() == {"open_orders": 0}
    assert found[1].payload == parent.tobytes() and found[1].monotonic_ns == 77
    assert found[3].payload == state.tobytes() and found[3].decode()["value"] == 2
    assert [(each.records, each.fault) for each in journal.verify(tmp_path)] == [(5, "")]


def test_segments_follow_one_another(tmp_path):
    write(tmp_path, 200)
    assert trade_ids(tmp_path) == list(range(1, 201))
    found = journal.verify(tmp_path)
    assert len(found) == 5 and all(each.fault == "" for each in found)
    assert sorted(os.listdir(tmp_path))[0] == "epoch" and len(os.listdir(tmp_path)) == 7     # with the lock


def test_runs_follow_one_another_and_epochs_grow(tmp_path):
    assert [write(tmp_path, 3) for _ in range(3)] == [1, 2, 3]
    found = list(journal.read(tmp_path))
    assert [record.sequence for record in found] == [epoch << 40 | i for epoch in (1, 2, 3) for i in (1, 2, 3)]


def test_client_order_ids_are_never_given_twice(tmp_path):
    seen = []
    for _ in range(3):
        with JournalFiles(tmp_path, segment_bytes=SMALL) as files:
            seen += [files.next_client_order_id() for _ in range(3)]
    assert len(set(seen)) == 9 and seen == sorted(seen) and seen[0] == client_id.first_of(files.prefix - 2)


def test_two_journals_give_different_client_order_ids(tmp_path):
    """Two engines on one account: what they are called differs from the first order on, and stays over restarts."""
    first = []
    for name in ("a", "b", "a", "b"):
        with JournalFiles(tmp_path / name, segment_bytes=SMALL) as files:
            first.append((files.instance, files.next_client_order_id()))
    (a, one), (b, two), (a_again, three), (b_again, four) = first
    assert a != b and (a, b) == (a_again, b_again)      # drawn of a million; one failure in so many runs is the price
    assert len({one, two, three, four}) == 4 and max(one, two, three, four) < 2**63
    assert {one >> 43, three >> 43} == {a} and {two >> 43, four >> 43} == {b}


def test_an_instance_that_is_given_is_taken_and_kept(tmp_path):
    for given_instance in (5, 6):
        with JournalFiles(tmp_path, segment_bytes=SMALL, instance=given_instance) as files:
            assert files.instance == 5 and files.prefix == client_id.prefix_of(5, given_instance - 4)


def test_a_file_of_before_there_were_instances_goes_on(tmp_path):
    write(tmp_path, 1)
    (tmp_path / "epoch").write_text("9\n")
    assert write(tmp_path, 1) == 2


def test_epoch_survives_a_lost_or_stale_file(tmp_path):
    write(tmp_path, 1)
    write(tmp_path, 1)
    (tmp_path / "epoch").unlink()
    assert write(tmp_path, 1) == 3
    (tmp_path / "epoch").write_text("7 1\n")
    assert write(tmp_path, 1) == 4
    (tmp_path / "epoch").write_text("rubbish")
    assert write(tmp_path, 1) == 5


def test_unreadable_epoch_with_nothing_to_restore_it_from(tmp_path):
    (tmp_path / "epoch").write_text("rubbish")
    with pytest.raises(JournalError, match=f"{tmp_path}/epoch: expected two numbers.*begin in a new directory"):
        JournalFiles(tmp_path)
    (tmp_path / "epoch").write_text(f"7 {client_id.MOST_RUNS}")
    with pytest.raises(JournalError, match=f"outside 1 to {client_id.MOST_RUNS}: begin in a new directory"):
        JournalFiles(tmp_path)


def test_second_process_is_told_who_has_it(tmp_path):
    with JournalFiles(tmp_path, segment_bytes=SMALL):
        other = subprocess.run([sys.executable, "-c", "import sys; from orderflow._core.journal import JournalFiles; "
                                "JournalFiles(sys.argv[1])", tmp_path], capture_output=True, text=True)
        assert other.returncode == 1
        assert f"JournalError: {tmp_path}/lock: another engine has this journal open" in other.stderr
    write(tmp_path, 1)


def test_full_journal_fails_for_good_and_says_so(tmp_path):
    files = JournalFiles(tmp_path, segment_bytes=SMALL)
    assert files.wait_prepared()
    hindered = tmp_path / "journal-00000003.segment"
    hindered.touch()                                        # the next but one cannot be made
    sequences = [files.append(RecordKind.REPORT, report(i), i) for i in range(200)]
    told = [sequence for sequence in sequences if sequence]
    assert files.failed and files.lost == 200 - len(told) and sequences[len(told):] == [0] * files.lost
    assert not files.wait_prepared() and str(hindered) in str(files.error)
    files.close()
    hindered.unlink()
    assert [record.sequence for record in journal.read(tmp_path)] == told


def test_an_order_goes_from_risk_to_the_journal_and_carries_both(tmp_path):
    desk = test_risk.Desk()
    with JournalFiles(tmp_path, segment_bytes=SMALL) as files:
        slot = open_child(desk, files, quantity=10_000)
        reason, order = files.send(desk.risk, desk.orders, slot, 5)
        assert reason == Reason.OK and order["journal_sequence"] == files.sequence and order["risk_code"]
        refused = open_child(desk, files, quantity=95_000)
        assert files.send(desk.risk, desk.orders, refused, 5) == (Reason.QUANTITY_EXCEEDS_MAXIMUM, None)
        while files.append(RecordKind.REPORT, report(1), 1):
            pass
        desk.orders.deny(refused, Reason.QUANTITY_EXCEEDS_MAXIMUM)
        late = open_child(desk, files, quantity=10_000)
        assert files.send(desk.risk, desk.orders, late, 5) == (Reason.JOURNAL_FAILED, None)
        assert desk.risk.committed(0) == 10_000 and files.unsealed == 0
    intents = [record for record in journal.read(tmp_path) if record.kind == RecordKind.INTENT]
    assert [record.payload for record in intents] == [order.tobytes()]


def open_child(desk, files, **fields):
    record = np.zeros(1, CHILD_ORDER_DTYPE)
    defaults = dict(client_order_id=files.next_client_order_id(), parent_id=test_risk.PARENT + 1, side=1, price=10_000,
                    kind=ChildKind.NEW_ORDER, order_type=1)
    for name, value in {**defaults, **fields}.items():
        record[name] = value
    return desk.orders.open_child(record)


def test_no_intent_but_through_risk(tmp_path):
    with JournalFiles(tmp_path, segment_bytes=SMALL) as files, pytest.raises(TypeError, match="takes no record"):
        files.append(RecordKind.INTENT, np.zeros(1, CHILD_ORDER_DTYPE), 0)


def test_last_record_cut_at_every_byte(tmp_path):
    write(tmp_path, 5)
    path = only_segment(tmp_path)
    whole = path.read_bytes()
    size = len(whole)
    assert trade_ids(path) == [1, 2, 3, 4, 5]
    for cut in range(size - 1, size - RECORD_BYTES - 1, -1):
        for end in (cut, size):             # the file ends there, or was never written from there on
            os.truncate(path, end)
            if path.read_bytes() == whole:  # the salt is random: one checksum in 256 ends in a zero byte
                continue
            assert trade_ids(path) == [1, 2, 3, 4]
            (found,) = journal.verify(path)
            assert not found.damaged and found.end == size - RECORD_BYTES
        os.truncate(path, cut)


def test_every_flipped_bit_is_found(tmp_path):
    write(tmp_path, 2)
    path = only_segment(tmp_path)
    whole = path.read_bytes()
    with open(path, "r+b", buffering=0) as file:
        for byte in range(64, len(whole)):
            for bit in range(8):
                os.pwrite(file.fileno(), bytes([whole[byte] ^ 1 << bit]), byte)
                intact = (byte - 64) // RECORD_BYTES
                assert trade_ids(path) == list(range(1, intact + 1)), (byte, bit)
            os.pwrite(file.fileno(), whole[byte:byte + 1], byte)


def test_damage_in_the_middle_is_told_from_a_torn_tail(tmp_path):
    write(tmp_path, 5)
    path = only_segment(tmp_path)
    whole = bytearray(path.read_bytes())
    whole[64 + 2 * RECORD_BYTES + 50] ^= 1
    path.write_bytes(whole)
    (found,) = journal.verify(path)
    assert (found.records, found.end, found.fault, found.damaged) == (2, 64 + 2 * RECORD_BYTES, "checksum", True)


def test_torn_tail_ends_its_run_and_not_the_next(tmp_path):
    write(tmp_path, 3)
    path = only_segment(tmp_path)
    path.write_bytes(path.read_bytes()[:-1])
    write(tmp_path, 2)
    assert trade_ids(tmp_path) == [1, 2, 1, 2]


def test_a_missing_segment_is_quarantine(tmp_path):
    write(tmp_path, 200)
    (tmp_path / "journal-00000002.segment").unlink()
    assert trade_ids(tmp_path) == list(range(1, 49))        # nothing is read beyond it
    found = journal.verify(tmp_path)[1]
    assert found.damaged and found.fault == "1 segments are missing before it, from 2 on"
    assert_quarantine(tmp_path, "journal-00000003.segment: 1 segments are missing before it")


@pytest.mark.parametrize("first", [1, 3])
def test_the_first_segments_of_a_run_are_missing(tmp_path, first):
    write(tmp_path, 200)
    for number in range(1, first + 1):
        (tmp_path / f"journal-{number:08d}.segment").unlink()
    assert trade_ids(tmp_path) == []
    assert_quarantine(tmp_path, "the segments before it are missing")


def test_the_whole_run_before_may_be_put_away(tmp_path):
    write(tmp_path, 100)
    write(tmp_path, 2)
    for number in (1, 2, 3):
        (tmp_path / f"journal-{number:08d}.segment").unlink()
    assert trade_ids(tmp_path) == [1, 2] and write(tmp_path, 1) == 3


def test_a_segment_that_was_exchanged_for_another_is_quarantine(tmp_path):
    """The same sequences, records that verify, and yet not the ones that were written."""
    for name in ("a", "b"):
        write(tmp_path / name, 200)
    shutil.copy(tmp_path / "b" / "journal-00000002.segment", tmp_path / "a")
    assert_quarantine(tmp_path / "a", "does not go on from the last record of the segment before")
    shutil.move(tmp_path / "b" / "journal-00000005.segment", tmp_path / "b" / "journal-00000006.segment")
    assert_quarantine(tmp_path / "b", "it was renamed")


def test_damage_at_the_end_of_a_segment_that_another_follows_is_quarantine(tmp_path):
    write(tmp_path, 200)
    path = tmp_path / "journal-00000002.segment"
    path.write_bytes(path.read_bytes()[:64 + 47 * RECORD_BYTES + 20])
    assert trade_ids(tmp_path) == list(range(1, 96))
    assert_quarantine(tmp_path, "journal-00000002.segment: cut off")


def test_another_version_says_so(tmp_path):
    write(tmp_path, 3)
    path = only_segment(tmp_path)
    whole = bytearray(path.read_bytes())
    whole[4] = 2
    whole[60:64] = checksum(bytes(whole[:60])).to_bytes(4, "little")
    path.write_bytes(whole)
    with pytest.raises(OtherVersion, match="version 2, this orderflow reads 1"):
        JournalFiles(tmp_path)
    with pytest.raises(OtherVersion, match="version 2, this orderflow reads 1"):
        journal.verify(tmp_path)


def assert_quarantine(directory, message):
    """No engine starts on this journal, nothing in it is touched, and the message says where to look."""
    before = {path.name: path.read_bytes() for path in Path(directory).glob("journal-*")}
    with pytest.raises(JournalError, match=f"{re.escape(message)}.*quarantine.*orderflow journal verify {directory}"):
        JournalFiles(directory, segment_bytes=SMALL)
    assert {path.name: path.read_bytes() for path in Path(directory).glob("journal-*")} == before


def test_a_run_takes_over_more_than_a_segment_holds(tmp_path):
    with JournalFiles(tmp_path, segment_bytes=SMALL) as files:
        assert files.start_run(carried=500)
        assert all(files.carry(held={"number": number}) for number in range(500))
    taken = [record.decode()["held"] for record in journal.read(tmp_path) if record.kind == RecordKind.CARRIED]
    assert taken == [{"number": number} for number in range(500)]
    assert len(list(tmp_path.glob("journal-*.segment"))) > 3


LAST = 20


@pytest.fixture
def twenty(tmp_path):
    """(directory, its only segment, its bytes, where its last 20 records begin); in memory where there is such a place:
    ten thousand files are made durable."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as directory:
        write(directory, LAST + 5)
        path = only_segment(directory)
        yield Path(directory), path, path.read_bytes(), 64 + 5 * RECORD_BYTES


@pytest.mark.parametrize("filled", [False, True], ids=["file ends", "zeros follow"])
def test_last_records_cut_at_every_byte_leave_the_exact_prefix(twenty, filled):
    directory, path, whole, begin = twenty
    for cut in range(begin, len(whole)):
        left = whole[:cut] + bytes(SMALL - cut if filled else 0)
        path.write_bytes(left)
        told = journal.recover(directory)
        end = 64 + (cut - 64) // RECORD_BYTES * RECORD_BYTES
        if left.startswith(whole[:end + RECORD_BYTES]):     # zeros were cut off, and zeros follow: nothing is lost
            end += RECORD_BYTES
        torn = whole[end:cut].rstrip(b"\0")
        assert path.read_bytes() == whole[:end]             # a later run begins in a segment of its own
        assert len(told) == bool(torn)
        if torn:
            aside = path.with_name(f"{path.name}.torn-{end}")
            assert aside.read_bytes() == torn and aside.name in told[0] and f"offset {end}" in told[0]
            aside.unlink()
    assert journal.recover(directory) == ()


def test_every_flipped_bit_of_the_last_records_is_quarantine_or_the_exact_prefix(twenty):
    directory, path, whole, begin = twenty
    last = len(whole) - RECORD_BYTES
    for byte in range(begin, len(whole)):
        for bit in range(8):
            flipped = bytearray(whole)
            flipped[byte] ^= 1 << bit
            scan = SegmentScan(path, bytes(flipped))
            end = 64 + (byte - 64) // RECORD_BYTES * RECORD_BYTES
            assert scan.finish() and scan.end == end, (byte, bit)
            assert scan.damaged == (end < last), (byte, bit)
        path.write_bytes(flipped)                           # one bit of each byte also as an engine would meet it
        if end < last:
            with pytest.raises(JournalError, match=f"at offset {end}.*quarantine"):
                journal.recover(directory)
            assert path.read_bytes() == flipped
        else:
            (told,) = journal.recover(directory)
            assert path.read_bytes() == whole[:last] and f"offset {last}" in told


def test_flipped_bits_behind_the_end_cost_nothing(twenty):
    directory, path, whole, _ = twenty
    for byte in (len(whole), len(whole) + 3, len(whole) + 4, len(whole) + 100, SMALL - 1):
        path.write_bytes(whole + bytes(byte - len(whole)) + b"\x10" + bytes(SMALL - byte - 1))
        (told,) = journal.recover(directory)
        assert path.read_bytes() == whole and path.name in told


def test_every_flipped_bit_of_a_header_is_quarantine(twenty):
    directory, path, whole, _ = twenty
    for byte in range(64):
        for bit in range(8):
            flipped = bytearray(whole)
            flipped[byte] ^= 1 << bit
            path.write_bytes(flipped)
            with pytest.raises(JournalError, match="quarantine"):
                journal.recover(directory)


def test_a_segment_that_was_being_made_is_no_damage(tmp_path):
    """Killed after creating it, while zeroing it, after its header, and in the middle of completing that."""
    write(tmp_path, 3)
    prepared = tmp_path / "journal-00000002.segment"
    header = bytearray(only_segment(tmp_path).read_bytes()[:64])
    for data in (b"", bytes(100), bytes(SMALL), header[:40] + bytes(SMALL - 40), header[:59] + bytes(SMALL - 59)):
        prepared.write_bytes(data)
        assert journal.recover(tmp_path) == ()
        assert not prepared.exists() and trade_ids(tmp_path) == [1, 2, 3]
    prepared.write_bytes(b"")
    with JournalFiles(tmp_path, segment_bytes=SMALL) as files:
        assert files.recovered == () and files.epoch == 2
    assert [each.fault for each in journal.verify(tmp_path)] == ["", ""]


def test_bytes_of_another_segment_never_pass(tmp_path):
    """The same records under another salt: what a recycled disk block would show."""
    write(tmp_path / "a", 3)
    write(tmp_path / "b", 3)
    a, b = only_segment(tmp_path / "a"), only_segment(tmp_path / "b")
    a.write_bytes(a.read_bytes()[:64] + b.read_bytes()[64:])
    assert trade_ids(a) == []


def test_damaged_header_is_no_journal(tmp_path):
    write(tmp_path, 3)
    path = only_segment(tmp_path)
    whole = bytearray(path.read_bytes())
    whole[10] ^= 1
    path.write_bytes(whole)
    assert trade_ids(tmp_path) == [] and "header is damaged" in journal.verify(tmp_path)[0].fault


@pytest.mark.parametrize("segment_bytes", [0, 100, 5000])
def test_segment_size_that_cannot_be(tmp_path, segment_bytes):
    with pytest.raises(ValueError, match=f"segment_bytes: {segment_bytes}"):
        JournalFiles(tmp_path, segment_bytes=segment_bytes)
    write(tmp_path, 1)                                      # the lock was given back


def test_no_space_is_told_with_the_file(tmp_path):
    limit = 1 << 20
    script = ("import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
              f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}));"
              "from orderflow._core.journal import JournalFiles; JournalFiles(sys.argv[1])")
    other = subprocess.run([sys.executable, "-c", script, tmp_path], capture_output=True, text=True)
    assert "SegmentError" in other.stderr and f"{tmp_path}/journal-00000001.segment: File too large" in other.stderr


def test_kill_at_any_moment_loses_nothing_that_was_told(tmp_path):
    """Twenty writers, each killed at a random moment; each told through a pipe what it had appended before."""
    told = subprocess.run([sys.executable, Path(__file__).with_name("journal_victims.py"), tmp_path, "20"],
                          stdout=subprocess.PIPE, check=True, timeout=60,
                          env={**os.environ, "PYTHONPATH": str(Path(orderflow.__file__).parents[1])}).stdout
    assert len(told) == 20 * 8
    for i, (last,) in enumerate(struct.iter_unpack("<Q", told)):
        found = [record.sequence for record in journal.read(tmp_path / str(i))]
        assert found == [1 << 40 | number for number in range(1, len(found) + 1)]
        assert last <= found[-1] <= last + 1
        with JournalFiles(tmp_path / str(i), segment_bytes=SMALL) as files:
            assert files.epoch == 2
