"""What a Python strategy may ask for: the algorithms of Engine.submit, with its checks."""
from decimal import Decimal

import numpy as np
import pytest

from orderflow._core.journal import RecordKind, read
from orderflow.research.simulation import INSTRUMENT
from tests.three_exchanges import engines


@pytest.fixture
def make():
    yield from engines()


class Asks:
    """Submits one parent order, with the first board that it sees."""

    def __init__(self, *arguments, **how):
        self.arguments, self.how = arguments, how
        self.parent_id = None

    def on_signal(self, market, listing, entry):
        if self.parent_id is None:
            self.parent_id = 0
            self.parent_id = market.submit(INSTRUMENT, *self.arguments, **self.how)


HOW = [
    ("twap", {"seconds": 8, "slices": 4, "randomness": 20, "participation": "0.2", "must_complete": True}),
    ("shortfall", {"seconds": 8, "slices": 4, "urgency": 30, "exchanges": ["alpha", "gamma"]}),
    ("vwap", {"seconds": 8, "slices": 4, "minimum_slice": "0.2", "start_seconds": 1}),
    ("price_inline", {"seconds": 8, "participation": "0.3", "reaction_bps": "12.5"}),
    ("resting", {"exchanges": ["gamma"], "post_only": True, "display": "0.5", "seconds": 8})]


@pytest.mark.parametrize(("algorithm", "how"), HOW)
def test_a_strategy_asks_for_what_a_person_may_ask_for(make, algorithm, how):
    """The router gets the same record, but for who asked and when."""
    limit = "50000" if algorithm == "resting" else None
    strategy = Asks("buy", "2", limit, algorithm=algorithm, **how)
    engine = make(strategies=[strategy], volume_curves={INSTRUMENT: np.ones(288)})
    engine.submit(INSTRUMENT, "buy", "2", limit, algorithm=algorithm, **how)
    engine.run(0.5)
    assert engine.failures == []
    records = {int(one["strategy"]): one for one in (each.decode() for each in read(engine.directory)
                                                     if each.kind == RecordKind.PARENT)}
    by_hand, by_strategy = records[0], records[1]
    assert int(by_strategy["parent_id"]) == strategy.parent_id and strategy.parent_id >> 48 == 1
    moved = int(by_strategy["created_ns"]) - int(by_hand["created_ns"])
    for name in by_hand.dtype.names:
        if name.endswith("_ns") and by_hand[name] and name != "cause_receive_ns":
            assert int(by_strategy[name]) - int(by_hand[name]) == moved, name
        elif name not in ("parent_id", "strategy", "ring_stamp", "cause_receive_ns"):
            assert by_strategy[name].tobytes() == by_hand[name].tobytes(), name
    engine.run(11)
    mine = engine.parent(strategy.parent_id)
    assert mine.done and (algorithm == "resting" or mine.filled > 0)


@pytest.mark.parametrize(("how", "told"), [
    ({"algorithm": "vwap", "seconds": 5}, "algorithm vwap: the engine has no volume curve"),
    ({"algorithm": "twap"}, "seconds None: twap"), ({"slices": 3}, "slices 3: the algorithm immediate"),
    ({"half_life": 3}, "half_life 3: the algorithm immediate"), ({"quicker": 1}, "quicker")])
def test_a_strategy_is_told_what_is_wrong(make, how, told):
    strategy = Asks("buy", "2", **how)
    engine = make(strategies=[strategy])
    engine.run(0.5)
    failure, = engine.failures
    assert isinstance(failure, ValueError | TypeError) and told in str(failure)
    assert engine.router.counts["parents"] == 0


def test_a_strategys_plain_order_crosses_at_once(make):
    strategy = Asks("sell", Decimal("1.5"), seconds=3)
    engine = make(strategies=[strategy])
    engine.run(2)
    assert engine.parent(strategy.parent_id).filled == Decimal("1.5") and engine.failures == []
