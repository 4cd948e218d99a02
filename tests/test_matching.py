"""The matching engine against its twin, and what must hold of any matching engine."""
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderflow._core.matching import (
    INSTRUCTION_DTYPE,
    MATCH_REPORT_DTYPE,
    OUTCOME_DTYPE,
    MatchingEngine,
    MatchStatus,
)
from orderflow._core.types import OrderType, Reason, Side, TimeInForce
from tests.reference import matching as reference

BUY, SELL = Side.BUY, Side.SELL
IOC, FOK = TimeInForce.IOC, TimeInForce.FOK
TICK = 12               # 4 * 3: exercises both parts of the exact division


def prices():
    """Near the touch, across several windows of 256 ticks, and anywhere."""
    near = st.integers(980, 1020)
    far = st.one_of(st.integers(1, 5000), st.integers(990, 1010).map(lambda tick: tick * 10**9))
    return st.one_of(near, near, near, far).map(lambda tick: tick * TICK)


ADD = st.fixed_dictionaries({
    "order_id": st.integers(1, 60),
    "side": st.sampled_from([BUY, SELL]),
    "quantity": st.integers(1, 30),
    "price": prices(),
    "time_in_force": st.sampled_from([TimeInForce.GTC] * 6 + [IOC, FOK, TimeInForce.GTD]),
    "post_only": st.sampled_from([False] * 5 + [True]),
    "order_type": st.sampled_from([OrderType.LIMIT] * 8 + [OrderType.MARKET]),
    "owner": st.integers(0, 3),
})
REDUCE = st.tuples(st.integers(1, 60), st.integers(0, 20))
OPERATIONS = st.lists(st.one_of(ADD, ADD, st.integers(1, 60), REDUCE, st.just("drain")), max_size=120)


def fields(trades):
    names = MATCH_REPORT_DTYPE.names[:9]
    return [tuple(int(trade[name]) for name in names) for trade in trades]


def submit_both(engine, twin, order):
    got = engine.submit(**order)
    expected = twin.submit(**order)
    assert (got.reason.name, got.filled, got.resting, got.cancelled, fields(got.trades)) == expected
    assert got.status == (MatchStatus.FINISHED if got.reason == Reason.OK else MatchStatus.REFUSED)
    if got.reason == Reason.OK:
        assert got.filled + got.resting + got.cancelled == order["quantity"]
    return got


def same_book(engine, twin):
    for side in (BUY, SELL):
        depth = [(int(level["price"]), int(level["quantity"])) for level in engine.depth(side, 1000)]
        assert depth == twin.depth(side)
    assert len(engine) == len(twin.live)
    if engine.best_bid is not None and engine.best_ask is not None:
        assert engine.best_bid < engine.best_ask


@settings(max_examples=300)
@given(OPERATIONS, st.sampled_from([5, 1000]))
def test_same_as_twin(operations, capacity):
    engine = MatchingEngine(tick=TICK, capacity=capacity, window=256)
    twin = reference.Matching(tick=TICK, capacity=capacity)
    for operation in operations:
        if operation == "drain":
            changes = [(int(c["price"]), int(c["quantity"]), int(c["side"])) for c in engine.drain_changes()]
            assert changes == twin.drain_changes()
        elif isinstance(operation, int):
            reason, quantity = engine.cancel(operation)
            assert (reason.name, quantity) == twin.cancel(operation)
        elif isinstance(operation, tuple):
            reason, left = engine.reduce(*operation)
            assert (reason.name, left) == twin.reduce(*operation)
        else:
            submit_both(engine, twin, operation)
        same_book(engine, twin)
    for order_id in range(1, 61):
        assert engine.queue_position(order_id) == twin.queue_position(order_id)


def random_instructions(count, seed, spread=400):
    """A walk through many windows: adds around a drifting centre, cancels, crossing orders."""
    random = np.random.default_rng(seed)
    out = np.zeros(count, INSTRUCTION_DTYPE)
    centre = 100_000 + np.cumsum(random.integers(-40, 41, count))
    kind = random.random(count)
    cancels = kind < 0.42
    out["kind"] = np.where(cancels, 2, 1)
    out["order_id"] = np.arange(1, count + 1)
    out["order_id"][cancels] = random.integers(1, np.arange(2, count + 2))[cancels]
    out["side"] = random.integers(1, 3, count)
    away = np.where(kind > 0.92, -5, random.integers(1, spread, count))
    out["price"] = centre + np.where(out["side"] == 1, -away, away)
    out["quantity"] = random.integers(1, 100, count)
    out["order_type"] = OrderType.LIMIT
    out["time_in_force"] = np.where(random.random(count) < 0.03, FOK, TimeInForce.GTC)
    out["owner"] = random.integers(0, 4, count)
    return out


def run(instructions, window=1024, **settings):
    engine = MatchingEngine(window=window, **settings)
    reports = np.zeros(8 * len(instructions), MATCH_REPORT_DTYPE)
    outcomes = np.zeros(len(instructions), OUTCOME_DTYPE)
    taken, written = engine.run(instructions, reports, outcomes)
    assert taken == len(instructions)
    return engine, reports[:written], outcomes


def test_long_walk_same_as_twin_and_changes_rebuild_the_depth():
    instructions = random_instructions(20_000, seed=3)
    engine, reports, outcomes = run(instructions, window=256)
    twin = reference.Matching()
    followed = MatchingEngine(window=256)
    seen = {BUY: {}, SELL: {}}
    trades = []
    for number, line in enumerate(instructions):
        order = {name: int(line[name]) for name in ("order_id", "side", "quantity", "price", "time_in_force", "owner")}
        if line["kind"] == 2:
            twin.cancel(order["order_id"])
            followed.cancel(order["order_id"])
        else:
            trades += twin.submit(**order)[4]
            followed.submit(**order)
        if number % 50 == 0:
            for change in followed.drain_changes():
                seen[change["side"]][int(change["price"])] = int(change["quantity"])
    for change in followed.drain_changes():
        seen[change["side"]][int(change["price"])] = int(change["quantity"])
    assert fields(reports) == trades and len(trades) > 1000
    same_book(engine, twin)
    for side in (BUY, SELL):
        assert {price: quantity for price, quantity in seen[side].items() if quantity} == dict(twin.depth(side))
    assert sum(engine.far_levels) > 0       # the walk did leave the window


def test_quantity_is_conserved_and_trades_obey_price_and_time():
    instructions = random_instructions(20_000, seed=5)
    engine, reports, outcomes = run(instructions)
    new = instructions["kind"] == 1
    accepted = new & (outcomes["status"] == MatchStatus.FINISHED)
    taken = outcomes["filled"][accepted].sum()
    assert taken == reports["quantity"].sum()
    resting = sum(int(level["quantity"]) for side in (BUY, SELL) for level in engine.depth(side, 100_000))
    cancelled = outcomes["cancelled"].sum()
    assert instructions["quantity"][accepted].sum() == 2 * taken + resting + cancelled
    limit = dict(zip(instructions["order_id"][new].tolist(), instructions["price"][new].tolist(), strict=True))
    for taker in np.unique(reports["taker_id"]):
        sweep = reports[reports["taker_id"] == taker]
        direction = 1 if sweep["taker_side"][0] == BUY else -1
        assert (np.diff(sweep["price"] * direction) >= 0).all()
        assert (sweep["price"] * direction <= limit[int(taker)] * direction).all()
        for price in np.unique(sweep["price"]):     # ids were given in time order
            assert (np.diff(sweep["maker_id"][sweep["price"] == price].astype(int)) > 0).all()


def test_replay_is_identical_whatever_the_window():
    instructions = random_instructions(20_000, seed=7)
    _, first, outcomes = run(instructions)
    for window in (256, 1024, 65536):
        _, again, outcomes_again = run(instructions, window=window)
        assert again.tobytes() == first.tobytes()
        assert outcomes_again.tobytes() == outcomes.tobytes()


def test_fill_or_kill_is_all_or_nothing():
    engine = MatchingEngine()
    engine.submit(1, SELL, 5, 100)
    engine.submit(2, SELL, 5, 101)
    assert engine.submit(3, BUY, 11, 101, time_in_force=FOK).reason == Reason.NO_LIQUIDITY
    assert engine.submit(3, BUY, 6, 100, time_in_force=FOK).reason == Reason.NO_LIQUIDITY
    assert engine.quantity_at(SELL, 100) == 5
    done = engine.submit(3, BUY, 10, 101, time_in_force=FOK)
    assert done.filled == 10 and len(engine) == 0 and engine.best_ask is None


def test_post_only_never_takes():
    engine = MatchingEngine()
    engine.submit(1, SELL, 5, 100)
    assert engine.submit(2, BUY, 1, 100, post_only=True).reason == Reason.POST_ONLY_WOULD_TAKE
    assert engine.submit(2, BUY, 1, 99, post_only=True).resting == 1
    assert engine.submit(3, BUY, 1, 99, post_only=True, time_in_force=IOC).reason == Reason.EXCHANGE_RULE


def test_full_pool_refuses_what_would_rest_and_still_trades():
    engine = MatchingEngine(capacity=2)
    engine.submit(1, SELL, 5, 100)
    engine.submit(2, SELL, 5, 101)
    assert engine.submit(3, SELL, 1, 102).reason == Reason.TABLE_FULL
    assert engine.submit(4, BUY, 3, 100).filled == 3
    assert engine.submit(5, BUY, 4, 100)[2:5] == (2, 2, 0)     # filled 2, and the maker's slot holds the other 2
    assert len(engine) == 2


def test_a_full_report_buffer_loses_nothing():
    makers = 300
    whole = MatchingEngine()
    pieces = MatchingEngine()
    for engine in (whole, pieces):
        for i in range(makers):
            engine.submit(i + 1, SELL, 2, 100 + i // 3, owner=i)
    expected = whole.submit(999, BUY, 2 * makers - 1, 500, owner=7).trades
    order = np.zeros(1, INSTRUCTION_DTYPE)
    for name, value in (("order_id", 999), ("kind", 1), ("side", BUY), ("price", 500), ("quantity", 2 * makers - 1),
                        ("order_type", 1), ("time_in_force", 1), ("owner", 7)):
        order[name] = value
    room = np.zeros(7, MATCH_REPORT_DTYPE)
    outcomes = np.zeros(1, OUTCOME_DTYPE)
    taken, written = pieces.run(order, room, outcomes)
    got = [room[:written].copy()]
    assert (taken, written) == (1, 7) and outcomes["status"][0] == MatchStatus.UNFINISHED
    assert pieces.submit(1000, BUY, 1, 1).status == MatchStatus.BUSY
    assert pieces.cancel(300) == (Reason.OK, 0)
    status = MatchStatus.UNFINISHED
    while status == MatchStatus.UNFINISHED:
        status, written = pieces.resume(room)
        got.append(room[:written].copy())
    assert np.concatenate(got).tobytes() == expected.tobytes()
    assert pieces.resume(room) == (MatchStatus.REFUSED, 0)
    assert pieces.queue_position(300) == (0, 0)


def test_changes_beyond_the_list_say_so():
    engine = MatchingEngine(changes=8)
    for i in range(9):
        engine.submit(i + 1, BUY, 1, 100 + i)
    assert engine.drain_changes() is None
    engine.submit(20, BUY, 3, 50)
    assert engine.drain_changes().tolist()[0][:3] == (50, 3, BUY)
    assert MatchingEngine(changes=0).drain_changes().size == 0


def test_market_orders_never_rest():
    engine = MatchingEngine()
    assert engine.submit(1, BUY, 5, order_type=OrderType.MARKET)[2:5] == (0, 0, 5)
    engine.submit(2, SELL, 3, 10**15)
    assert engine.submit(3, BUY, 5, order_type=OrderType.MARKET)[2:5] == (3, 0, 2)
    assert len(engine) == 0


@pytest.mark.parametrize("tick", [1, 2, 3, 5, 10, 64, 1000, 100_000_000, 2**40, 3**30])
def test_prices_off_the_tick_are_refused(tick):
    engine = MatchingEngine(tick=tick)
    assert engine.submit(1, BUY, 1, 7 * tick).resting == 1
    assert engine.best_bid == 7 * tick
    for price in (0, -tick, -(2**63)):
        assert engine.submit(2, BUY, 1, price).reason == Reason.PRICE_NOT_POSITIVE
    for price in {tick + 1, 2 * tick - 1, tick // 2} - {0, tick, 2 * tick, 1 if tick == 1 else 0}:
        if price % tick:
            assert engine.submit(2, BUY, 1, price).reason == Reason.PRICE_OFF_TICK
            assert engine.quantity_at(BUY, price) == 0
    if tick == 1:
        assert engine.submit(2, BUY, 1, 2**62).reason == Reason.PRICE_OUTSIDE_COLLAR


def test_a_level_cannot_overflow():
    engine = MatchingEngine()
    engine.submit(1, BUY, 2**62, 100)
    assert engine.submit(2, BUY, 2**62, 100).reason == Reason.QUANTITY_EXCEEDS_MAXIMUM
    assert engine.submit(2, BUY, 2**62 - 1, 100).resting == 2**62 - 1
    assert engine.submit(3, SELL, 2**63 - 1, 100, time_in_force=FOK).filled == 2**63 - 1


def test_colliding_ids_survive_deletion_in_any_order():
    engine = MatchingEngine(capacity=64)
    random = np.random.default_rng(1)
    live = set()
    for step in range(20_000):
        order_id = int(random.integers(1, 100)) << 40      # few distinct upper bits: long probe sequences
        if order_id in live:
            assert engine.cancel(order_id)[0] == Reason.OK
            live.remove(order_id)
        elif engine.submit(order_id, BUY, 1, 1 + step % 50).reason == Reason.OK:
            live.add(order_id)
        else:
            assert len(live) == 64
        assert len(engine) == len(live)
    assert all(engine.queue_position(order_id) is not None for order_id in live)


def test_bad_parameters_say_what_is_wrong():
    for wrong in ({"tick": 0}, {"capacity": 0}, {"window": 2**25}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            MatchingEngine(**wrong)
    engine = MatchingEngine()
    with pytest.raises(ValueError, match="outcomes"):
        engine.run(np.zeros(2, INSTRUCTION_DTYPE), np.zeros(2, MATCH_REPORT_DTYPE), np.zeros(1, OUTCOME_DTYPE))
