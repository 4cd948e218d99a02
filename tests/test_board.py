"""The depth board: what was published last is read whole, levels beyond the counts mean nothing."""
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from orderflow._core.board import BOARD_ENTRY_DTYPE, DEPTH, Board
from tests.native_module import built

VERSIONS = 300_000
ROUNDS = 200


def entry(version, bids, asks):
    record = np.zeros(1, BOARD_ENTRY_DTYPE)[0]
    record["version"], record["bid_count"], record["ask_count"] = version, len(bids), len(asks)
    for side, levels in (("bids", bids), ("asks", asks)):
        for place, level in enumerate(levels):
            record[side][place] = level
    return record


def test_the_latest_is_read():
    board = Board(3)
    board.publish(1, entry(1, [(10, 1)], [(11, 2)]))
    board.publish(1, entry(2, [(9, 5), (8, 6)], []))
    read = board.read(1)
    assert (read["version"], read["bid_count"], read["ask_count"]) == (2, 2, 0)
    assert read["bids"][:2].tolist() == [(9, 5), (8, 6)]
    assert board.read(0)["version"] == 0


def test_as_many_levels_as_there_is_room_for():
    board = Board(1)
    levels = [(100 - i, i + 1) for i in range(DEPTH)]
    board.publish(0, entry(1, levels, levels))
    assert board.read(0)["bids"].tolist() == levels
    record = entry(1, levels, [])
    record["bid_count"] = DEPTH + 1
    with pytest.raises(ValueError, match="holds"):
        board.publish(0, record)


def test_listings_beyond_the_board():
    with pytest.raises(IndexError, match="listing 1"):
        Board(1).read(1)
    with pytest.raises(ValueError, match="listings=0"):
        Board(0)


@pytest.fixture(scope="module")
def threads(tmp_path_factory):
    return built("board_threads", tmp_path_factory.mktemp("board"))


def seen_by_two(threads, versions, apart):
    board = Board(2)
    with ThreadPoolExecutor(3) as pool:
        readers = [pool.submit(threads.read, board, versions) for _ in range(2)]
        pool.submit(threads.write, board, versions, apart).result(60)
        return [reader.result(60) for reader in readers]


def test_no_thread_ever_reads_a_new_price_with_an_old_quantity(threads):
    """A writer and two readers, none of which waits for the others; again until both have read under way."""
    for _ in range(ROUNDS):
        found = seen_by_two(threads, VERSIONS, apart=False)
        assert [(torn, older) for _, _, torn, older in found] == [(0, 0)] * 2
        if min(seen for _, seen, _, _ in found) > 10:
            return
    pytest.fail(f"in {ROUNDS} rounds the readers never ran beside the writer")


def test_a_writer_that_published_prices_before_quantities_would_be_noticed(threads):
    """Soon: where the threads share a processor it takes some rounds."""
    assert any(torn for _ in range(ROUNDS) for _, _, torn, _ in seen_by_two(threads, VERSIONS, apart=True))
