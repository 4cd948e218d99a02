"""A recorded run gives the same orders again, byte for byte, from its frames and its input log."""
import shutil

import pytest

from orderflow.cli.scenario import Demonstration, Plan
from orderflow.research.replay import ReplayError, replay
from orderflow.servers import recorder


@pytest.fixture(scope="module", params=["direct", "sync"])
def run(request, tmp_path_factory):
    directory = tmp_path_factory.mktemp(request.param)
    with Demonstration(Plan(server=request.param, seconds=6, seed=5, directory=str(directory), record=True)) as shown:
        outcome = shown.run()
        smallest = min(listing.minimum_quantity for listing in shown.engine.core.listings)
    left = outcome.parent.quantity - outcome.parent.filled
    # Where time is real, the last fill may leave less than any exchange takes as an order.
    assert left == 0 or (request.param == "sync" and 0 < left < smallest)
    return directory


def test_the_same_orders_byte_for_byte(run):
    replayed = replay(run)
    assert replayed.difference == ""
    assert replayed.equal
    assert replayed.orders >= 3
    assert replayed.inputs > 100


def test_a_directory_that_holds_an_earlier_run(tmp_path):
    for seed in (3, 4):
        plan = Plan(server="direct", seconds=3, seed=seed, directory=str(tmp_path), record=True)
        with Demonstration(plan) as shown:
            shown.run()
    assert replay(tmp_path).equal


def test_other_frames_are_noticed(run, tmp_path):
    """One exchange's frames lose every tenth record: the run cannot be followed, or its orders differ."""
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    records = list(recorder.read(run, "alpha"))
    with open(recorder.path_of(copy, "alpha"), "wb") as raw, \
            recorder.zstandard.ZstdCompressor().stream_writer(raw) as file:
        for number, record in enumerate(records):
            if number % 10 != 9:
                file.write(recorder.LENGTH.pack(len(record)) + record)
    try:
        replayed = replay(copy)
    except ReplayError as error:
        assert "alpha" in str(error) or "listing" in str(error)
    else:
        assert not replayed.equal
        assert replayed.difference


def test_a_run_that_was_not_recorded(tmp_path):
    with pytest.raises(ReplayError, match=r"run\.json: missing"):
        replay(tmp_path)
