"""The input log: records come back as they were taken, and a run with a gap is not called a run."""
import os

import pytest

from orderflow._core import input_log
from orderflow._core.input_log import InputLogFiles
from orderflow._core.journal import JournalFiles
from orderflow._core.segments import SegmentError
from orderflow._core.types import INPUT_RECORD_DTYPE, InputKind

SMALL = 4096
PER_SEGMENT = (SMALL - 64) // 32


def write(directory, inputs, epoch=1):
    """Inputs from two inboxes, each followed by a board read; returns what the log must hold."""
    expected = []
    with InputLogFiles(directory, "router", epoch, segment_bytes=SMALL) as log:
        for i in range(1, inputs + 1):
            kind = InputKind.INPUT_WAKE if i % 2 else InputKind.INPUT_REPORT
            assert log.take(kind, i % 2, 100 + i, 10 * i) == i
            log.board_read(7, 3, 1000 + i)
            expected += [(i, 10 * i, 100 + i, i % 2, kind), (i, 10 * i, 3 << 40 | 1000 + i, 7, InputKind.BOARD_READ)]
            if i % 50 == 0:
                assert log.wait_prepared()
        assert log.lost == 0
    return expected


def rows(records):
    return [tuple(row) for row in records[["sequence", "event_ns", "number", "source", "kind"]].tolist()]


def segment(directory, number):
    return directory / f"router-inputs-{number:08d}.segment"


def test_records_come_back_in_order(tmp_path):
    expected = write(tmp_path, 300)
    records = input_log.read(tmp_path, "router")
    assert records.dtype == INPUT_RECORD_DTYPE and rows(records) == expected
    epochs, versions = input_log.board_version(records)
    assert set(epochs.tolist()) == {3} and versions.tolist() == list(range(1001, 1301))


def test_runs_are_told_apart_by_epoch(tmp_path):
    first, second = write(tmp_path, 3, epoch=1), write(tmp_path, 5, epoch=2)
    assert rows(input_log.read(tmp_path, "router")) == second
    assert rows(input_log.read(tmp_path, "router", epoch=1)) == first
    with pytest.raises(SegmentError, match="no input log 'router' of epoch 3"):
        input_log.read(tmp_path, "router", epoch=3)
    with pytest.raises(SegmentError, match="no input log 'strategizer'"):
        input_log.read(tmp_path, "strategizer")


def test_last_record_cut_or_flipped_anywhere_is_left_out(tmp_path):
    expected = write(tmp_path, 3)
    path = segment(tmp_path, 1)
    whole = path.read_bytes()
    with open(path, "r+b", buffering=0) as file:
        for byte in range(len(whole) - 32, len(whole)):
            for bit in range(8):
                os.pwrite(file.fileno(), bytes([whole[byte] ^ 1 << bit]), byte)
                assert rows(input_log.read(tmp_path, "router")) == expected[:-1]
            os.pwrite(file.fileno(), whole[byte:byte + 1], byte)
    for cut in range(len(whole) - 1, len(whole) - 33, -1):
        os.truncate(path, cut)
        assert rows(input_log.read(tmp_path, "router")) == expected[:-1]


def test_a_log_that_is_open_can_be_read(tmp_path):
    with InputLogFiles(tmp_path, "router", 1, segment_bytes=SMALL) as log:
        assert len(input_log.read(tmp_path, "router")) == 0
        log.take(InputKind.INPUT_TIMER, 0, 1, 5)
        assert rows(input_log.read(tmp_path, "router")) == [(1, 5, 1, 0, InputKind.INPUT_TIMER)]


@pytest.mark.parametrize("damage", ["missing", "flipped", "header"])
def test_a_run_with_a_gap_is_refused(tmp_path, damage):
    write(tmp_path, 300)
    if damage == "missing":
        segment(tmp_path, 2).unlink()
    else:
        data = bytearray(segment(tmp_path, 2).read_bytes())
        data[70 if damage == "flipped" else 9] ^= 4
        segment(tmp_path, 2).write_bytes(data)
    with pytest.raises(SegmentError, match="damaged|gap before record"):
        input_log.read(tmp_path, "router")


def test_a_full_log_counts_what_it_lost(tmp_path):
    log = InputLogFiles(tmp_path, "router", 1, segment_bytes=SMALL)
    assert log.wait_prepared()
    segment(tmp_path, 3).touch()
    for i in range(3 * PER_SEGMENT):
        log.take(InputKind.INPUT_WAKE, 0, i, i)
    assert log.failed and log.lost == PER_SEGMENT
    log.close()
    segment(tmp_path, 3).unlink()
    assert len(input_log.read(tmp_path, "router")) == 2 * PER_SEGMENT


def test_another_file_is_no_input_log(tmp_path):
    with JournalFiles(tmp_path, segment_bytes=SMALL):
        with pytest.raises(SegmentError, match="journal-00000001.segment: not a segment of an input log"):
            input_log.read_segment(tmp_path / "journal-00000001.segment")
        with pytest.raises(SegmentError, match=r"epoch: \d+ bytes are no segment header"):
            input_log.read_segment(tmp_path / "epoch")
