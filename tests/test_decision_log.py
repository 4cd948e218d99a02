"""The decision log: records come back as they were written, and a full one costs records, never anything else."""
import os
import shutil

import numpy as np
import pytest

from orderflow._core import decision_log
from orderflow._core.decision_log import DECISION_HEAD_DTYPE, DECISION_PART_DTYPE, DecisionFiles
from orderflow._core.input_log import InputLogFiles
from orderflow._core.segments import SegmentError

SMALL = 4096
PARTS = 2
RECORD = DECISION_HEAD_DTYPE.itemsize + PARTS * DECISION_PART_DTYPE.itemsize
PER_SEGMENT = (SMALL - 64) // RECORD


def decision(number, parts=PARTS):
    head, rest = np.zeros((), DECISION_HEAD_DTYPE), np.zeros(parts, DECISION_PART_DTYPE)
    head["parent_id"], head["all_in"]["high"], head["all_in"]["low"] = number, -1, number
    rest["listing"], rest["price"] = range(parts), number
    return head, rest


def write(directory, count, epoch=1):
    with DecisionFiles(directory, epoch, segment_bytes=SMALL) as log:
        for number in range(1, count + 1):
            assert log.append(*decision(number)) == number
            if number % PER_SEGMENT == 0:
                assert log.wait_prepared()
        assert (log.taken, log.lost) == (count, 0)


def numbers(directory, epoch=1):
    """Sequences of what is read; everything else is checked against what was written."""
    found = []
    for head, parts in decision_log.read(directory, epoch):
        number = int(head["sequence"])
        assert int(head["parent_id"]) == number and int(head["listings"]) == len(parts) == PARTS
        assert decision_log.exact(head["all_in"]) == number - 2**128
        assert parts["price"].tolist() == [number] * PARTS and parts["listing"].tolist() == list(range(PARTS))
        found.append(number)
    return found


def segment(directory, number):
    return directory / f"decisions-{number:08d}.segment"


def test_records_come_back_in_order_over_many_segments(tmp_path):
    write(tmp_path, 100)
    assert numbers(tmp_path) == list(range(1, 101))
    assert segment(tmp_path, 8).is_file()


def test_runs_are_told_apart_by_epoch(tmp_path):
    write(tmp_path, 3, epoch=1)
    write(tmp_path, 5, epoch=2)
    assert (len(numbers(tmp_path, 1)), len(numbers(tmp_path, 2))) == (3, 5)
    with pytest.raises(SegmentError, match="run 3 has no decision log"):
        decision_log.read(tmp_path, 3)


def test_a_run_without_decisions_has_a_log(tmp_path):
    write(tmp_path, 0)
    assert numbers(tmp_path) == []


def test_last_record_cut_or_flipped_anywhere_is_left_out(tmp_path):
    write(tmp_path, 3)
    path = segment(tmp_path, 1)
    whole = path.read_bytes()
    with open(path, "r+b", buffering=0) as file:
        for byte in range(len(whole) - RECORD, len(whole)):
            os.pwrite(file.fileno(), bytes([whole[byte] ^ 1 << byte % 8]), byte)
            assert numbers(tmp_path) == [1, 2]
            os.pwrite(file.fileno(), whole[byte:byte + 1], byte)
    assert numbers(tmp_path) == [1, 2, 3]
    for cut in range(len(whole) - 1, len(whole) - RECORD - 1, -1):
        os.truncate(path, cut)
        assert numbers(tmp_path) == [1, 2]


@pytest.mark.parametrize("damage", ["missing", "flipped", "header"])
def test_what_is_damaged_shows_as_a_gap(tmp_path, damage):
    write(tmp_path, 3 * PER_SEGMENT)
    if damage == "missing":
        segment(tmp_path, 2).unlink()
    else:
        data = bytearray(segment(tmp_path, 2).read_bytes())
        data[70 if damage == "flipped" else 9] ^= 4
        segment(tmp_path, 2).write_bytes(data)
    assert numbers(tmp_path) == [*range(1, PER_SEGMENT + 1), *range(2 * PER_SEGMENT + 1, 3 * PER_SEGMENT + 1)]


def test_bytes_of_another_segment_are_no_records(tmp_path):
    write(tmp_path, 2 * PER_SEGMENT)
    first, second = (segment(tmp_path, number).read_bytes() for number in (1, 2))
    segment(tmp_path, 2).write_bytes(second[:64] + first[64:])
    assert numbers(tmp_path) == list(range(1, PER_SEGMENT + 1))


def test_a_full_log_loses_records_and_goes_on_when_there_is_room(tmp_path):
    """The next segment cannot be prepared in time: what comes meanwhile is counted, and nothing fails for good."""
    with DecisionFiles(tmp_path, 1, segment_bytes=SMALL) as log:
        assert log.wait_prepared()
        written = []
        for number in range(1, 40 * PER_SEGMENT):
            sequence = log.append(*decision(number))
            assert sequence in (0, number)
            written += [number] if sequence else []
        assert log.lost and log.lost == 40 * PER_SEGMENT - 1 - len(written) and not log.failed
        assert log.wait_prepared()
        for number in range(40 * PER_SEGMENT, 41 * PER_SEGMENT):
            written.append(log.append(*decision(number)))
            assert written[-1] == number
            assert log.wait_prepared()
        assert log.taken == 41 * PER_SEGMENT - 1
    assert numbers(tmp_path) == written


def test_a_log_without_space_loses_everything_from_then_on(tmp_path):
    log = DecisionFiles(tmp_path, 1, segment_bytes=SMALL)
    assert log.wait_prepared()
    segment(tmp_path, 3).touch()
    for number in range(1, 3 * PER_SEGMENT + 1):
        log.append(*decision(number))
    assert log.lost >= PER_SEGMENT and not log.failed
    log.close()
    segment(tmp_path, 3).unlink()
    assert numbers(tmp_path) == list(range(1, 3 * PER_SEGMENT + 1 - log.lost))


def test_a_record_that_fits_no_segment_is_lost_alone(tmp_path):
    with DecisionFiles(tmp_path, 1, segment_bytes=SMALL) as log:
        assert log.append(*decision(1, parts=40)) == 0
        assert log.append(*decision(2)) == 2 and log.lost == 1
    assert numbers(tmp_path) == [2]


def test_another_file_is_no_decision_log(tmp_path):
    with InputLogFiles(tmp_path, "router", 1, segment_bytes=SMALL):
        shutil.copy(tmp_path / "router-inputs-00000001.segment", segment(tmp_path, 1))
    with pytest.raises(SegmentError, match="decisions-00000001.segment: not a segment of a decision log"):
        decision_log.read(tmp_path, 1)
