"""Execution algorithms that follow the clock, over simulated exchanges on a virtual clock: what they send by when."""
import random
from decimal import Decimal

import numpy as np
import pytest

from orderflow._core.algos.schedule import beginnings, cumulative
from orderflow._core.journal import RecordKind, read
from orderflow._core.types import PARENT_ORDER_DTYPE, Algorithm, ParentKind
from orderflow.engine import EngineError
from orderflow.research.journal import rows
from orderflow.research.replay import replay
from orderflow.research.simulation import DIRECT_START_NS, INSTRUMENT
from tests.three_exchanges import engines, prints

SECOND_NS = 1_000_000_000
BUCKET_NS = 300 * SECOND_NS
#: An order is answered within so much: by then a slice that found its liquidity is filled.
ANSWERED = 0.4


@pytest.fixture
def make():
    yield from engines()


def parent_record(engine):
    """What the first parent order asked for, as the journal has it."""
    return next(one for one in read(engine.directory) if one.kind == RecordKind.PARENT).decode()


def intents(engine):
    """(seconds since the parent's start, base quantity) of every order that was decided."""
    start_ns = int(parent_record(engine)["start_ns"])
    found = []
    for row in rows(engine.directory):
        if row.kind == "INTENT":
            found.append(((row.fields["decided_ns"] - start_ns) / 1e9, row.fields["quantity"]))
    return found


def by_slice(orders, length):
    """Quantity decided in each slice of so many seconds."""
    found = {}
    for at, quantity in orders:
        found[int(at // length)] = found.get(int(at // length), Decimal(0)) + quantity
    return found


def test_twap_sends_each_slice_when_it_begins(make):
    engine = make()
    parent_id = engine.submit(INSTRUMENT, "buy", "2", algorithm="twap", seconds=20, slices=10)
    start_ns = engine.now_ns
    for second in range(1, 20, 2):
        engine.run(second - (engine.now_ns - start_ns) / SECOND_NS)
        # by the middle of each slice it is filled, and no more than that
        assert engine.parent(parent_id).filled == Decimal("0.2") * (second + 1) / 2
    parent = engine.wait(parent_id, 5)
    assert (parent.status, parent.reason, parent.filled) == ("PARENT_DONE", "OK", 2)
    orders = intents(engine)
    assert by_slice(orders, 2) == dict.fromkeys(range(10), Decimal("0.2"))
    assert all(at % 2 < ANSWERED for at, _ in orders)
    assert engine.orders.audit() == []


@pytest.mark.parametrize(("algorithm", "kind"), [("shortfall", Algorithm.SHORTFALL), ("close", Algorithm.CLOSE)])
def test_curves_are_followed(make, algorithm, kind):
    engine = make()
    engine.wait(engine.submit(INSTRUMENT, "sell", "3", algorithm=algorithm, seconds=10, slices=5, half_life=4), 12)
    scaled = engine.instruments[INSTRUMENT].quantity("3")
    expected = cumulative(kind, scaled, 5, lot_of(engine), curvature=10 / 4)
    sent, total = by_slice(intents(engine), 2), Decimal(0)
    for index in range(5):
        total += sent[index]
        assert total == Decimal(int(expected[index])).scaleb(-engine.instruments[INSTRUMENT].quantity_decimals)


def lot_of(engine):
    """The smallest, instrument scale."""
    return min(int(row["lot"]) * int(row["quantity_factor"]) for row in engine.table)


def test_dice_move_slices_and_every_unit_is_sent_once(make):
    engine = make()
    parent_id = engine.submit(INSTRUMENT, "buy", "2", algorithm="twap", seconds=20, slices=10, randomness=50)
    parent = engine.wait(parent_id, 25)
    assert (parent.reason, parent.filled) == ("OK", 2)
    sent = by_slice(intents(engine), 2)
    assert len(set(sent.values())) > 5 and sum(sent.values()) == 2
    start_ns = int(parent_record(engine)["start_ns"])
    planned = beginnings(start_ns, start_ns + 20 * SECOND_NS, 10, parent_id, 50)
    first = {}
    for at, _ in intents(engine):
        first.setdefault(int(at // 2), at)
    for index, at in first.items():
        assert at - (planned[index] - start_ns) / 1e9 == pytest.approx(0, abs=ANSWERED)


def test_what_a_slice_does_not_find_is_caught_up(make):
    """A limit price that nobody offers for a while: then all that was missed goes at once."""
    engine = make()
    parent_id = engine.submit(INSTRUMENT, "buy", "2", "10000", algorithm="twap", seconds=20, slices=10)
    engine.run(11)
    assert (engine.parent(parent_id).filled, engine.parent(parent_id).children) == (0, 0)
    engine.replace(parent_id, limit_price="1000000")
    engine.run(0.5)
    assert engine.parent(parent_id).filled == Decimal("1.2")        # six of ten slices have begun
    assert engine.wait(parent_id, 20).filled == 2


def test_pause_and_resume(make):
    engine = make()
    parent_id = engine.submit(INSTRUMENT, "buy", "2", algorithm="twap", seconds=20, slices=10)
    engine.run(3)
    engine.pause_parent(parent_id)
    engine.run(6)
    assert engine.parent(parent_id).filled == Decimal("0.4")
    engine.resume_parent(parent_id)
    engine.run(0.5)
    assert engine.parent(parent_id).filled == 1
    assert engine.wait(parent_id, 20).filled == 2


def test_one_that_crosses_is_paused_too(make):
    engine = make()
    parent_id = engine.submit(INSTRUMENT, "buy", "1", "10000")
    engine.run(0.1)
    engine.pause_parent(parent_id)
    engine.replace(parent_id, limit_price="1000000")
    engine.run(2)
    assert engine.parent(parent_id).children == 0
    engine.resume_parent(parent_id)
    assert engine.wait(parent_id, 5).filled == 1


def test_cancel_ends_a_schedule(make):
    engine = make()
    parent_id = engine.submit(INSTRUMENT, "buy", "2", algorithm="twap", seconds=20, slices=10)
    engine.run(5)
    engine.cancel(parent_id)
    parent = engine.wait(parent_id, 2)
    assert (parent.reason, parent.filled) == ("CANCELLED_BY_USER", Decimal("0.6"))
    engine.run(10)
    assert len(intents(engine)) == parent.children and engine.router.counts["timers"] == 0


@pytest.mark.parametrize(("quantity", "expected"), [("4", "4"), ("1", "1"), ("0.3", "0.6")])
def test_another_quantity_moves_the_whole_curve(make, quantity, expected):
    """Up: what is released follows at once. Down, below what is filled: it ends with that."""
    engine = make()
    parent_id = engine.submit(INSTRUMENT, "buy", "2", algorithm="twap", seconds=20, slices=10)
    engine.run(5)
    engine.replace(parent_id, quantity=quantity)
    engine.run(0.5)
    due = max(Decimal("0.6"), 3 * Decimal(quantity) / 10)
    assert engine.parent(parent_id).filled == due
    assert engine.wait(parent_id, 20).filled == Decimal(expected)


def test_slices_are_no_smaller_than_can_be_sent(make):
    """Exchange alpha takes 5 USDT and more: about 0.0001 BTC. Of a hundred slices those remain that are so large."""
    engine = make()
    parent = engine.wait(engine.submit(INSTRUMENT, "buy", "0.001", algorithm="twap", seconds=20, slices=100,
                                       exchanges=["alpha"]), 25)
    assert (parent.reason, parent.filled) == ("OK", Decimal("0.001"))
    assert 5 <= parent.children <= 12


def test_a_minimum_slice_is_kept_to(make):
    engine = make()
    parent = engine.wait(engine.submit(INSTRUMENT, "buy", "1", algorithm="twap", seconds=20, slices=100,
                                       minimum_slice="0.3"), 25)
    assert parent.filled == 1
    sent = by_slice(intents(engine), 20 / 3)
    assert len(sent) == 3 and min(sent.values()) >= Decimal("0.3")


def test_a_schedule_that_begins_later(make):
    engine = make()
    parent_id = engine.submit(INSTRUMENT, "buy", "1", algorithm="twap", seconds=4, slices=2, start_seconds=3)
    engine.run(2.9)
    assert engine.parent(parent_id).children == 0
    assert engine.wait(parent_id, 5).filled == 1
    assert min(at for at, _ in intents(engine)) == pytest.approx(0, abs=ANSWERED)


def test_time_ends_what_was_not_found(make):
    engine = make()
    parent = engine.wait(engine.submit(INSTRUMENT, "buy", "1", "10000", algorithm="twap", seconds=3, slices=3), 5)
    assert (parent.status, parent.reason, parent.filled) == ("PARENT_DONE", "END_TIME", 0)


@pytest.mark.parametrize("where", [(), ("alpha", "gamma")])
@pytest.mark.parametrize("rate", ["0.05", "0.3"])
def test_pov_has_its_part_of_what_is_traded_where_it_may_go(make, where, rate):
    engine = make()
    traded = prints(engine)
    parent_id = engine.submit(INSTRUMENT, "buy", "400", algorithm="pov", participation=rate, seconds=60, slices=60,
                              exchanges=where)
    engine.run(59.9)
    state = engine.parent(parent_id)
    part = state.filled / sum(quantity for name, quantity in traded if not where or name in where)
    # one of sixty intervals has not been looked at, and trades since a book's last change have not been shown
    assert Decimal(rate) * Decimal("0.93") < part <= Decimal(rate)
    parent = engine.wait(parent_id, 5)
    assert (parent.reason, set(parent.by_exchange) <= set(where or engine.exchanges)) == ("END_TIME", True)


def five_minutes_curve(engine_start_ns, parts):
    """A curve whose five minutes, from those of a moment on, have these parts."""
    found = np.zeros(288)
    first = engine_start_ns // BUCKET_NS
    for index, part in enumerate(parts):
        found[(first + index) % 288] = part
    return found


def test_vwap_follows_its_curve_where_the_market_does(make):
    """Nothing is traded but by us: what is seen says nothing, and the curve is what is followed."""
    curve = five_minutes_curve(DIRECT_START_NS, [1000, 3000, 1000, 5000])
    engine = make(volume_curves={INSTRUMENT: curve})
    start_seconds = (BUCKET_NS - engine.now_ns % BUCKET_NS) / 1e9       # the next five minutes
    parent_id = engine.submit(INSTRUMENT, "buy", "2", algorithm="vwap", seconds=600, slices=2,
                              start_seconds=start_seconds)
    engine.run(start_seconds + 1)
    # a slice is released when it begins; nothing was seen yet: 3000 of 3000 + 1000
    assert engine.parent(parent_id).filled == Decimal("1.5")
    assert engine.wait(parent_id, 700).filled == 2


def test_vwap_moves_with_what_is_traded(make):
    """Next to nothing of what the curve has is traded in the first half: then nearly all of it is still to come, and
    one of three slices is released. Far more than the curve has: the day is livelier, and four of six slices are."""
    volume = {}
    for level in (1, 10**7):
        engine = make(volume_curves={INSTRUMENT: np.full(288, level)})
        parent_id = engine.submit(INSTRUMENT, "buy", "2", algorithm="vwap", seconds=60, slices=6)
        engine.run(31)
        volume[level] = engine.parent(parent_id).filled
        assert engine.wait(parent_id, 60).filled == 2
    assert volume[10**7] == pytest.approx(Decimal(2) / 3, abs=Decimal("0.01"))      # of what is traded all the same
    assert volume[1] == pytest.approx(Decimal(4) / 3, abs=Decimal("0.3"))           # as evenly as it is traded


def test_vwap_needs_a_curve(make):
    engine = make()
    with pytest.raises(ValueError, match=f"algorithm vwap: the engine has no volume curve of {INSTRUMENT}"):
        engine.submit(INSTRUMENT, "buy", "1", algorithm="vwap", seconds=5)
    record = np.zeros(1, PARENT_ORDER_DTYPE)[0]     # as a strategy would emit it
    for name, value in {"parent_id": 7, "quantity": 10**8, "side": 1, "kind": ParentKind.SUBMIT_PARENT, "slices": 2,
                        "algorithm": Algorithm.VWAP, "end_ns": engine.now_ns + SECOND_NS}.items():
        record[name] = value
    engine.strategizer.submit(record)
    engine.run(0.1)
    assert (engine.parent(7).status, engine.parent(7).reason) == ("PARENT_DENIED", "NO_SCHEDULE")
    with pytest.raises(EngineError, match="volume_curves 'DOGE-USDT': there is no such instrument"):
        make(volume_curves={"DOGE-USDT": np.ones(288)})
    with pytest.raises(EngineError, match="volume_curves: volumes: expected 288"):
        make(volume_curves={INSTRUMENT: [1.0]})


def test_two_of_one_engine_do_not_feed_on_each_other(make):
    """Each takes a fifth of all that others trade and of its own: a quarter of what others trade."""
    engine = make()
    traded = prints(engine)
    ids = [engine.submit(INSTRUMENT, side, "400", algorithm="pov", participation="0.2", seconds=60, slices=60)
           for side in ("buy", "sell")]
    engine.run(59.9)
    filled = [engine.parent(one).filled for one in ids]
    others = sum(quantity for _, quantity in traded) - sum(filled)
    assert all(Decimal("0.93") / 4 < one / others <= Decimal("0.25") for one in filled)


@pytest.mark.parametrize(("arguments", "told"), [
    ({"algorithm": "vwop"}, "algorithm 'vwop': expected one of immediate, resting, twap"),
    ({"algorithm": "twap"}, "seconds None: twap spreads an order over its time"),
    ({"algorithm": "twap", "seconds": 5, "slices": 0}, "slices 0: expected 1 to 10000"),
    ({"algorithm": "twap", "seconds": 5, "randomness": 51}, "randomness 51: expected a percentage"),
    ({"algorithm": "twap", "seconds": 5, "half_life": 3}, "half_life 3: the algorithm twap has no schedule that bends"),
    ({"algorithm": "shortfall", "seconds": 5}, "half_life None: shortfall needs the seconds"),
    ({"algorithm": "close", "seconds": 5, "half_life": 0}, "half_life 0: close needs the seconds, more than 0"),
    ({"algorithm": "twap", "seconds": 5, "start_seconds": -1}, "start_seconds -1: expected 0 or more"),
    ({"slices": 5}, "slices 5: the algorithm immediate is not worked over its time"),
    ({"algorithm": "twap", "seconds": 5, "post_only": True}, "post_only: an order that does not rest takes"),
    ({"algorithm": "pov", "seconds": 5}, "participation None: pov needs its part"),
    ({"algorithm": "pov", "seconds": 5, "participation": 1}, "participation 1: pov needs its part"),
    ({"algorithm": "pov", "seconds": 5, "participation": ".1", "minimum_slice": 1}, "minimum_slice 1: the algorithm"),
    ({"algorithm": "twap", "seconds": 5, "participation": 2}, "participation 2: twap needs its part"),
    ({"algorithm": "twap", "seconds": 5, "slices": 1, "participation": ".1"}, "slices 1: expected 2 to 10000"),
    ({"algorithm": "twap", "seconds": 5, "urgency": 9}, "urgency 9: the algorithm twap has no schedule that bends"),
    ({"algorithm": "close", "seconds": 5, "urgency": 9, "half_life": 3}, "urgency 9: half_life 3 says the same"),
    ({"algorithm": "close", "seconds": 5, "urgency": 101}, "urgency 101: expected 0 to 100"),
    ({"algorithm": "adaptive_shortfall", "seconds": 5}, "half_life None: adaptive_shortfall needs the seconds"),
    ({"algorithm": "pov", "seconds": 5, "participation": ".1", "reaction_bps": 9}, "reaction_bps 9: the algorithm pov"),
    ({"algorithm": "price_inline", "seconds": 5, "participation": ".5"}, "above 0 and at most 0.499999"),
    ({"algorithm": "price_inline", "seconds": 5, "participation": ".1", "reaction_bps": 0}, "reaction_bps 0: expected"),
    ({"algorithm": "minimal_impact", "seconds": 5, "participation": ".11"}, "above 0 and at most 0.1"),
    ({"algorithm": "liquidity_seeking", "seconds": 5, "times_usual": -1}, "times_usual -1: expected how much more"),
    ({"algorithm": "pov", "seconds": 5, "participation": ".1", "times_usual": 3}, "times_usual 3: the algorithm pov"),
    ({"algorithm": "sniper"}, "algorithm sniper: give the limit_price"),
    ({"algorithm": "sweep", "slices": 3}, "slices 3: the algorithm sweep is not worked over its time"),
    ({"participation": "0.1"}, "participation 0.1: the algorithm immediate is not worked over its time"),
    ({"must_complete": True}, "must_complete True: the algorithm immediate is not worked over its time"),
])
def test_arguments_that_do_not_fit_are_named(make, arguments, told):
    engine = make()
    with pytest.raises(ValueError, match=told):
        engine.submit(INSTRUMENT, "buy", "1", **arguments)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_every_parent_ends_and_none_is_overfilled(make, seed):
    """Parents of all algorithms, changed, paused and cancelled at random, while exchanges lose connections."""
    moments = random.Random(seed)
    engine = make(volume_curves={INSTRUMENT: np.ones(288)})
    parents = []
    for _ in range(12):
        algorithm = moments.choice(["immediate", "twap", "shortfall", "close", "pov", "vwap", "adaptive_shortfall",
                                    "price_inline", "minimal_impact", "liquidity_seeking", "sniper", "sweep"])
        more = {}
        if algorithm == "sniper":
            more.update(limit_price=moments.choice(["59990", "60010"]))
        elif algorithm not in ("immediate", "sweep"):
            more.update(slices=moments.randint(2, 9), randomness=moments.randint(0, 50),
                        must_complete=moments.random() < 0.5)
            if algorithm in ("pov", "price_inline") or moments.random() < 0.3:
                more["participation"] = "0.1"
        if algorithm in ("shortfall", "close"):
            more["half_life"] = moments.uniform(0.5, 9)
        if algorithm in ("adaptive_shortfall", "price_inline"):
            more["reaction_bps"] = moments.choice([-1, 1, 20])
        if algorithm == "adaptive_shortfall":
            more["urgency"] = moments.randint(0, 100)
        parents.append(engine.submit(INSTRUMENT, moments.choice(["buy", "sell"]), f"{moments.uniform(0.2, 2):.3f}",
                                     algorithm=algorithm, seconds=moments.uniform(1, 9), **more))
        engine.run(moments.uniform(0, 2))
        parent = moments.choice(parents)
        what = moments.choice(["pause", "resume", "quantity", "limit", "cancel", "lose"])
        if what == "lose":
            conversation = moments.choice(engine.conversations)
            line = moments.randrange(len(conversation.lines))
            conversation.disconnected(line, 1006, conversation.lines[line].epoch)
        elif not engine.parent(parent).done:
            if what in ("pause", "resume"):
                (engine.pause_parent if what == "pause" else engine.resume_parent)(parent)
            elif what == "cancel":
                engine.cancel(parent)
            else:
                engine.replace(parent, **({"quantity": f"{moments.uniform(0.1, 2):.3f}"} if what == "quantity" else
                                          {"limit_price": moments.choice(["10000", "1000000"])}))
    for parent in parents:
        state = engine.wait(parent, 60)
        assert state.status == "PARENT_DONE" and state.filled <= state.quantity and state.working == 0
        assert sum(one["filled"] for one in state.by_exchange.values()) == state.filled
    assert engine.orders.audit() == [] and engine.router.counts["timers"] == 0


def test_a_schedule_is_replayed_to_the_same_orders(make, tmp_path):
    """Slices, dice, pauses and changes: byte for byte."""
    engine = make(directory=tmp_path / "run", record=True, volume_curves={INSTRUMENT: np.arange(288)})
    parents = [engine.submit(INSTRUMENT, "buy", "2", algorithm="twap", seconds=10, slices=10, randomness=30),
               engine.submit(INSTRUMENT, "sell", "1", algorithm="shortfall", seconds=10, slices=5, half_life=3),
               engine.submit(INSTRUMENT, "buy", "3", algorithm="pov", seconds=10, slices=10, participation="0.1"),
               engine.submit(INSTRUMENT, "sell", "3", algorithm="vwap", seconds=10, slices=5),
               engine.submit(INSTRUMENT, "sell", "9", algorithm="close", seconds=10, slices=10, half_life=2,
                             participation="0.1", must_complete=True)]
    engine.run(3)
    engine.pause_parent(parents[0])
    engine.run(2)
    engine.resume_parent(parents[0])
    engine.replace(parents[1], quantity="2")
    for parent in parents:
        assert engine.wait(parent, 15).done
    engine.stop()
    found = replay(tmp_path / "run")
    assert found.equal and found.orders > 10, found.difference
