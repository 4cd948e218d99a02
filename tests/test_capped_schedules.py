"""Schedules with a cap on their part of the volume, and orders that must complete, over simulated exchanges."""
from decimal import Decimal

import numpy as np
import pytest

from orderflow.research.simulation import INSTRUMENT
from tests.three_exchanges import engines, prints

RATE = Decimal("0.1")
SECONDS = 40
CURVES = {"twap": {}, "shortfall": {"half_life": 10}, "close": {"half_life": 10}, "vwap": {}}
#: Looks at the volume over which a cap holds (algos/participation.pxd).
WINDOW = 8


@pytest.fixture
def make():
    def with_curve():
        return engine_of(volume_curves={INSTRUMENT: np.ones(288)})
    made = engines()
    engine_of = next(made)
    yield with_curve
    next(made, None)


def by_second(engine, parent_id, traded):
    """(what the order has, what was traded, ours included) by second, to its end; a second begins with a look, and what
    that sends is in it."""
    found = [(Decimal(0), Decimal(0))]
    while len(found) == 1 or not engine.parent(parent_id).done:
        engine.run(1)
        found.append((engine.parent(parent_id).filled, sum((one for _, one in traded), Decimal(0))))
    return found


def assert_capped(seen):
    """Never more than its part of all since it began, nor of any window; what was traded shortly before that may have
    been known in it."""
    part = RATE / (1 - RATE)
    assert all(ours <= RATE * everybody for ours, everybody in seen)
    for last in range(WINDOW + 1, len(seen)):
        began = last - WINDOW
        ours = seen[last][0] - seen[began][0]
        others = (seen[last][1] - seen[last][0]) - (seen[began - 1][1] - seen[began - 1][0])
        assert ours <= part * others


@pytest.mark.parametrize("algorithm", CURVES)
def test_in_no_window_has_a_schedule_more_than_its_cap(make, algorithm):
    engine = make()
    traded = prints(engine)
    parent_id = engine.submit(INSTRUMENT, "buy", "400", algorithm=algorithm, seconds=SECONDS, slices=SECONDS,
                              participation=RATE, **CURVES[algorithm])
    seen = by_second(engine, parent_id, traded)
    assert_capped(seen)
    state = engine.parent(parent_id)
    assert (state.status, state.reason) == ("PARENT_DONE", "END_TIME")
    ours, everybody = seen[-2]                          # what the last second prints nobody looks at
    assert ours > RATE * everybody * Decimal("0.95")
    assert engine.orders.audit() == []


def test_what_the_cap_holds_back_is_due_later(make):
    """In the first slice nothing has been traded yet; afterwards this cap allows all that the schedule releases."""
    engine = make()
    parent_id = engine.submit(INSTRUMENT, "sell", "2", algorithm="twap", seconds=20, slices=10, participation="0.3")
    engine.run(1.9)
    assert engine.parent(parent_id).children == 0
    for index in range(1, 10):
        engine.run(2)
        assert engine.parent(parent_id).filled == Decimal("0.2") * (index + 1)
    assert engine.wait(parent_id, 5).reason == "OK"


@pytest.mark.parametrize("algorithm", [*CURVES, "pov"])
def test_what_must_complete_is_whole_at_its_end(make, algorithm):
    """The cap holds until the last slice, and in that one nothing does but the books."""
    engine = make()
    traded = prints(engine)
    parent_id = engine.submit(INSTRUMENT, "buy", "90", algorithm=algorithm, seconds=SECONDS, slices=SECONDS,
                              participation=RATE, must_complete=True, **CURVES.get(algorithm, {}))
    seen = by_second(engine, parent_id, traded)
    state = engine.parent(parent_id)
    assert (state.status, state.reason, state.filled) == ("PARENT_DONE", "OK", 90)
    assert_capped(seen[:SECONDS - 1])
    assert seen[SECONDS - 2][0] < 70


def test_what_must_complete_keeps_its_limit_price(make):
    engine = make()
    parent_id = engine.submit(INSTRUMENT, "buy", "2", "10000", algorithm="pov", seconds=5, slices=5,
                              participation=RATE, must_complete=True)
    state = engine.wait(parent_id, 10)
    assert (state.status, state.reason, state.children) == ("PARENT_DONE", "END_TIME", 0)


def test_more_of_what_is_about_to_complete_goes_at_once(make):
    engine = make()
    parent_id = engine.submit(INSTRUMENT, "buy", "30", algorithm="twap", seconds=20, slices=20, participation="0.01",
                              must_complete=True)
    engine.run(18.5)
    engine.pause_parent(parent_id)
    engine.run(0.8)                                     # the last slice has begun meanwhile
    before = engine.parent(parent_id).filled
    assert before < 10
    engine.replace(parent_id, quantity="40")
    engine.resume_parent(parent_id)
    engine.run(0.6)
    state = engine.parent(parent_id)
    assert (state.status, state.reason, state.filled) == ("PARENT_DONE", "OK", 40)


def test_slices_too_small_to_be_sent_do_not_make_the_cap_coarser(make):
    """The minimums allow one slice; the volume is looked at as often as slices were asked for."""
    engine = make()
    parent = engine.wait(engine.submit(INSTRUMENT, "buy", "0.00012", algorithm="twap", seconds=20, slices=20,
                                       participation="0.1", exchanges=["alpha"]), 25)
    assert (parent.reason, parent.filled, parent.children) == ("OK", Decimal("0.00012"), 1)


def test_a_cap_leaves_no_crumb_that_no_exchange_takes(make):
    """All but a hundred-millionth would be allowed: what is left then could never be sent, so both wait."""
    engine = make()
    traded = prints(engine)
    parent_id = engine.submit(INSTRUMENT, "buy", "100", algorithm="pov", seconds=60, slices=60, participation=RATE)
    engine.run(9.9)
    allowed = engine.parent(parent_id).filled
    engine.run(1)
    more = engine.parent(parent_id).filled
    assert 0 < allowed < more
    again = make()
    traded = prints(again)
    parent_id = again.submit(INSTRUMENT, "buy", allowed + Decimal("0.00000001"), algorithm="pov", seconds=60,
                             slices=60, participation=RATE)
    again.run(9.9)
    assert again.parent(parent_id).filled < allowed
    parent = again.wait(parent_id, 60)
    assert (parent.reason, parent.filled) == ("OK", allowed + Decimal("0.00000001"))
    assert parent.filled <= RATE * sum(one for _, one in traded)
