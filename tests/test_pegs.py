"""Pegs, and parents that must complete: what the exchange sees, on simulated exchanges where nobody else moves."""
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orderflow._core.algos.peg import price_of
from orderflow._core.types import Algorithm, Side
from orderflow.research.replay import replay
from orderflow.research.simulation import INSTRUMENT
from tests.deciding import Deciding, listing
from tests.doubtful import EXCHANGES
from tests.quiet import Quiet, quiet_worlds
from tests.three_exchanges import engines

#: Messages of a move: in place on Kraken, a cancel and a new order on Binance.
MOVE = {"alpha": 2, "gamma": 1}


@pytest.fixture
def make():
    yield from quiet_worlds()


# --- the price -----------------------------------------------------------------------------------------------------


def twin(kind, side, bids, asks, tick, offset, cap, post_only):
    """The definition, in fractions: sellers are buyers of negative prices."""
    sign = 1 if side == Side.BUY else -1
    own, other = (bids, asks) if side == Side.BUY else (asks, bids)
    follows = {Algorithm.MID_PEG: (own[0], other[0]), Algorithm.MARKET_PEG: (other[0], other[0])}.get(
        kind, (own[0], own[0]))
    if not all(follows):
        return 0
    price = Fraction(sum(follows), 2) + offset * tick
    ticks = floor(price / tick) if sign > 0 else ceil(price / tick)
    if post_only and other[1]:
        while sign * ticks * tick >= sign * other[1]:
            ticks -= sign
    if cap:
        ticks = sign * min(sign * ticks, sign * cap // tick)
    return max(ticks * tick, 0)


@given(kind=st.sampled_from([Algorithm.PRIMARY_PEG, Algorithm.MID_PEG, Algorithm.MARKET_PEG]),
       side=st.sampled_from(Side), bids=st.tuples(st.integers(0, 60), st.integers(0, 60)),
       asks=st.tuples(st.integers(0, 60), st.integers(0, 60)), tick=st.integers(1, 4), offset=st.integers(-20, 20),
       cap=st.integers(0, 20), post_only=st.booleans())
def test_the_price_is_the_definition(kind, side, bids, asks, tick, offset, cap, post_only):
    if side == Side.NO_SIDE:
        side = Side.BUY
    found = price_of(kind, side, bids, asks, tick, offset, cap * tick, post_only)
    assert found == twin(kind, side, bids, asks, tick, offset, cap * tick, post_only)


# --- what it follows -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXCHANGES)
def test_a_primary_peg_follows_its_side_up_and_down(make, name):
    """And never are two of its orders at the exchange."""
    world = make(name)
    low, _ = world.stand()
    parent = world.peg("2")
    world.run(1)
    assert world.only.price == low
    number, high = world.bid(-3)
    world.run(1)
    assert world.only.price == high
    world.leave(number)
    world.run(2)
    assert world.only.price == low and world.leaves() == 2
    assert world.messages == 1 + 2 * MOVE[name] and world.amends == (2 if name == "gamma" else 0)
    world.sell(low, "3")
    state = world.engine.wait(parent, 5)
    assert (state.reason, state.filled) == ("OK", 2) and world.position() == world.held() == 2


@pytest.mark.parametrize("name", EXCHANGES)
@pytest.mark.parametrize(("peg", "offset", "expected"), [
    ("primary", 0, -5), ("primary", -2, -7), ("mid", 0, 0), ("mid", 1, 1), ("market", -3, 3), ("market", 0, 5)])
def test_where_a_peg_stands(make, name, peg, offset, expected):
    """Others bid five ticks below the middle and ask six above: the mid is a half tick up, which a buyer does not pay.
    At the other side's best it takes."""
    world = make(name)
    world.stand()
    parent = world.peg("0.5", peg=peg, offset=offset)
    world.run(1)
    if (peg, offset) == ("market", 0):
        state = world.engine.parent(parent)
        assert state.filled == Decimal("0.5") and state.average_price == world.price(world.middle + 6 * world.tick)
    else:
        assert world.only.price == world.middle + expected * world.tick


@pytest.mark.parametrize("name", EXCHANGES)
def test_a_seller_stands_mirrored(make, name):
    world = make(name)
    _, best = world.stand()
    world.peg("1", side="sell")
    world.run(1)
    assert world.only.price == best and world.only.side == Side.SELL
    number, better = world.ask(4)
    world.run(1)
    assert world.only.price == better
    world.leave(number)
    world.run(2)
    assert world.only.price == best


@pytest.mark.parametrize("name", EXCHANGES)
def test_pegs_do_not_follow_themselves_or_each_other(make, name):
    """A tick above the best of others is no tick above our own: it would climb to the cap."""
    world = make(name)
    best, _ = world.stand()
    world.peg("1", offset=1)
    world.run(1)
    world.peg("2", offset=1)
    world.run(10)
    assert [order.price for order in world.resting()] == [best + world.tick] * 2
    assert world.messages == 2


@pytest.mark.parametrize("name", EXCHANGES)
def test_what_others_have_at_our_price_is_followed(make, name):
    """Somebody joins our order a tick above the rest, and leaves again."""
    world = make(name)
    best, _ = world.stand()
    world.peg("1", offset=1)
    world.run(1)
    number, _ = world.bid(-4)
    world.run(1)
    assert world.only.price == best + 2 * world.tick
    world.leave(number)
    world.run(2)
    assert world.only.price == best + world.tick


@pytest.mark.parametrize("name", EXCHANGES)
def test_never_worse_than_its_cap(make, name):
    world = make(name)
    world.stand()
    cap = world.middle - 4 * world.tick
    parent = world.peg("1", limit_price=world.price(cap))
    world.run(1)
    world.bid(-2)
    world.run(2)
    assert world.only.price == cap
    world.engine.replace(parent, limit_price=world.price(cap + 5 * world.tick), quantity="3")
    world.run(3)
    assert world.only.price == world.middle - 2 * world.tick and world.leaves() == 3
    assert world.engine.parent(parent).limit_price == world.price(cap + 5 * world.tick)


@pytest.mark.parametrize("name", EXCHANGES)
@pytest.mark.parametrize("peg", ["primary", "mid", "market"])
def test_post_only_stays_a_tick_away_whatever_its_offset(make, name, peg):
    world = make(name)
    _, ask = world.stand()
    parent = world.peg("1", peg=peg, offset=30, post_only=True)
    world.run(1)
    assert world.only.price == ask - world.tick and world.only.post_only
    _, ask = world.ask(7, "2")
    world.run(1)
    _, lower = world.ask(3)             # meets it: that is a fill, and no taking
    world.run(3)
    state = world.engine.parent(parent)
    assert state.filled == 1 and state.average_price == world.price(world.middle + 5 * world.tick)


@pytest.mark.parametrize("name", EXCHANGES)
def test_post_only_that_came_too_late_is_placed_again(make, name):
    """The market comes down while the order is on its way: the exchange refuses it, and it follows."""
    world = make(name)
    world.stand()
    parent = world.peg("1", peg="market", offset=-1, post_only=True)
    _, ask = world.ask(2)               # behind the board that the router has read
    world.run(4)
    assert world.only.price == ask - world.tick and world.engine.parent(parent).filled == 0


@pytest.mark.parametrize("name", EXCHANGES)
def test_a_market_that_flickers_costs_a_move_a_second(make, name):
    """Four moves are saved, and one a second is earned; in the end it stands where it should."""
    world = make(name)
    low, _ = world.stand()
    world.peg("1")
    world.run(5)
    before = world.messages
    for _ in range(100):
        number, _ = world.bid(-3)
        world.run(0.05)
        world.leave(number)
        world.run(0.05)
    moves = (world.messages - before) / MOVE[name]
    assert 8 <= moves <= 4 + 10 + 1
    world.run(3)
    assert world.only.price == low


@pytest.mark.parametrize("name", EXCHANGES)
def test_without_a_book_it_is_cancelled_and_comes_back(make, name):
    world = make(name)
    best, _ = world.stand()
    parent = world.peg("1")
    world.run(1)
    conversation = world.engine.conversations[0]
    index, line = next((i, line) for i, line in enumerate(conversation.lines) if i != world.orders)
    conversation.disconnected(index, 1006, line.epoch)
    world.run(5, lambda: world.resting() == [])
    assert world.resting() == [] and world.cancels == 1
    assert world.engine.parent(parent).status == "PARENT_WORKING"
    world.run(60, lambda: len(world.resting()) == 1)
    assert world.only.price == best


@pytest.mark.parametrize("name", EXCHANGES)
def test_paused_it_stays_and_resumed_it_follows(make, name):
    world = make(name)
    low, _ = world.stand()
    parent = world.peg("1")
    world.run(1)
    world.engine.pause_parent(parent)
    world.run(0.1)
    _, high = world.bid(-3)
    world.run(3)
    assert world.only.price == low
    world.engine.resume_parent(parent)
    world.run(2)
    assert world.only.price == high
    world.engine.cancel(parent)
    assert world.engine.wait(parent, 5).reason == "CANCELLED_BY_USER" and world.resting() == []


@pytest.mark.parametrize("name", EXCHANGES)
def test_a_peg_may_be_an_iceberg(make, name):
    world = make(name)
    best, _ = world.stand(quantity="0.5")
    parent = world.peg("1", display="0.4")
    world.run(1)
    for size in ("0.4", "0.4", "0.2"):
        assert world.leaves() == Decimal(size) and world.only.price == best
        world.sell(best, size)
        world.bid(-5, "0.5")
        world.run(2)
    assert world.engine.parent(parent).filled == 1


def test_it_goes_where_what_it_follows_is_best():
    made = engines()
    engine = next(made)()
    best = [int(engine.book(listing.exchange, listing.symbol)["bids"][0]["price"]) * int(row["price_factor"])
            for listing, row in zip(engine.core.listings, engine.table, strict=True)]
    parent = engine.submit(INSTRUMENT, "buy", "1", algorithm="peg", peg="primary", seconds=5)
    engine.run(0.1, lambda: len(engine.orders.orders()) > 0)
    order, = [one for one in engine.orders.orders() if one.parent_id == parent]
    assert order.price * int(engine.table[order.listing]["price_factor"]) == max(best) > min(best)
    list(made)


# --- must complete -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXCHANGES)
def test_what_is_left_of_a_peg_crosses_before_its_end(make, name):
    world = make(name)
    best, _ = world.stand(quantity="5")
    parent = world.peg("2", seconds=20, must_complete=True)
    world.run(1)
    world.sell(best, "0.5")
    world.bid(-5)                       # another one comes at once, so that it stays where it is
    world.run(13.8)
    assert world.engine.parent(parent).filled == Decimal("0.5") and world.cancels == 0
    world.run(2)
    state = world.engine.parent(parent)
    assert (state.status, state.reason, state.filled) == ("PARENT_DONE", "OK", 2)
    assert world.resting() == [] and world.cancels == 1 and world.position() == world.held() == 2


@pytest.mark.parametrize("name", EXCHANGES)
def test_one_that_is_paused_does_not_cross_before_it_resumes(make, name):
    world = make(name)
    low, _ = world.stand(quantity="5")
    parent = world.peg("2", seconds=20, must_complete=True)
    world.run(1)
    world.engine.pause_parent(parent)
    world.run(16)
    assert world.only.price == low and world.cancels == 0
    world.engine.resume_parent(parent)
    world.run(2)
    assert world.engine.parent(parent).filled == 2 and world.resting() == []


@pytest.mark.parametrize("name", EXCHANGES)
def test_one_that_is_paused_beyond_its_time_to_cross_without_a_book_holds_nothing_up(make, name):
    """It was looked at again and again for what lay behind, and the router did nothing else."""
    world = make(name)
    world.stand(quantity="5")
    parent = world.peg("2", seconds=40, must_complete=True)
    world.run(1)
    world.engine.pause_parent(parent)
    world.run(35)
    conversation = world.engine.conversations[0]
    index, line = next((i, line) for i, line in enumerate(conversation.lines) if i != world.orders)
    conversation.disconnected(index, 1006, line.epoch)
    world.run(1)
    assert world.engine.parent(parent).status == "PARENT_WORKING" and world.resting() == []
    world.engine.resume_parent(parent)
    world.run(60, lambda: world.engine.parent(parent).done)
    assert world.engine.parent(parent).done


@pytest.mark.parametrize("name", EXCHANGES)
def test_a_peg_completes_within_its_cap_and_a_resting_order_within_the_collar(make, name):
    world = make(name)
    best, _ = world.stand(quantity="5")
    peg = world.peg("1", seconds=8, must_complete=True, limit_price=world.price(world.middle))
    rests = world.engine.submit(INSTRUMENT, "buy", "2", world.price(best), exchanges=(name,), algorithm="resting",
                                seconds=8, must_complete=True, post_only=True)
    world.run(12)
    assert (world.engine.parent(peg).filled, world.engine.parent(peg).reason) == (0, "END_TIME")
    assert (world.engine.parent(rests).filled, world.engine.parent(rests).reason) == (2, "OK")
    assert world.resting() == [] and world.position() == world.held() == 2


@pytest.mark.parametrize("name", EXCHANGES)
def test_it_completes_although_its_cancel_was_lost(make, name):
    """The cancel is sent again; until it is answered nothing crosses that may still be filled."""
    world = make(name)
    world.stand(quantity="5")
    parent = world.peg("2", seconds=40, must_complete=True)
    world.run(34.5)
    world.mute = True
    world.run(1)
    assert world.cancels == 1
    world.mute = False
    world.run(10)
    state = world.engine.parent(parent)
    assert state.filled + state.in_doubt <= 2 and world.held() <= 2 and world.resting() == []
    assert world.position() == world.held()


STEPS = st.lists(st.tuples(st.sampled_from(["bid", "ask", "leave", "sell", "cap", "quantity", "pause", "resume",
                                            "cancel", "mute", "heard"]), st.integers(-6, 6), st.floats(0.01, 0.6)),
                 max_size=14)


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(name=st.sampled_from(EXCHANGES), peg=st.sampled_from(["primary", "mid", "market"]), offset=st.integers(-2, 2),
       post_only=st.booleans(), must_complete=st.booleans(), steps=STEPS)
def test_whatever_happens_no_more_is_filled_than_asked_for(name, peg, offset, post_only, must_complete, steps):
    """Races of fills with moves, changes, silence and the end; the exchange never holds more than the parent asks."""
    world = Quiet(name)
    try:
        numbers, most = [], Decimal(2)
        parent = world.peg("2", peg=peg, offset=offset, post_only=post_only, must_complete=must_complete, seconds=6)
        world.run(0.01, lambda: world.engine.parent(parent) is not None)
        for what, where, seconds in steps:
            if world.engine.parent(parent).done:
                break
            if what == "bid" and where < 0:
                numbers.append(world.bid(where, "0.7")[0])
            elif what == "ask" and where > 0:
                numbers.append(world.ask(where, "0.7")[0])
            elif what == "leave" and numbers:
                world.leave(numbers.pop())
            elif what == "sell" and world.resting():
                world.sell(world.resting()[0].price, "0.3")
            elif what == "cap":
                world.engine.replace(parent, limit_price=world.price(world.middle + where * world.tick))
            elif what == "quantity":
                world.engine.replace(parent, quantity=str(1 + abs(where) / 4))
                most = max(most, Decimal(1 + abs(where) / 4))
            elif what in ("pause", "resume", "cancel"):
                {"pause": world.engine.pause_parent, "resume": world.engine.resume_parent,
                 "cancel": world.engine.cancel}[what](parent)
            elif what in ("mute", "heard"):
                world.mute = what == "mute"
            world.run(seconds)
            assert world.held() + world.leaves() <= most
        world.comes_clear(parent, most)
    finally:
        world.engine.stop()


# --- asked for wrongly ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("arguments", "complaint"), [
    ({"algorithm": "peg"}, "peg None: a peg follows one of primary, mid, market"),
    ({"algorithm": "twap", "peg": "mid"}, "peg 'mid': the algorithm twap is no peg"),
    ({"algorithm": "primary_peg"}, "algorithm 'primary_peg': expected one of"),
    ({"offset": 2}, "offset 2: the algorithm immediate is no peg"),
    ({"algorithm": "peg", "peg": "mid", "offset": 2**31}, "offset 2147483648: expected ticks"),
    ({"algorithm": "peg", "peg": "mid", "must_complete": True}, "must_complete True: say by when"),
    ({"must_complete": True, "seconds": 5}, "must_complete True: the algorithm immediate is not worked over its time")])
def test_what_makes_no_sense_is_refused(make, arguments, complaint):
    world = make("gamma")
    with pytest.raises(ValueError, match=complaint):
        world.engine.submit(INSTRUMENT, "buy", "1", **arguments)


def test_pegs_are_replayed_to_the_same_orders(tmp_path):
    """On three exchanges in motion: every move, byte for byte."""
    made = engines()
    engine = next(made)(directory=tmp_path / "run", record=True)
    parents = [engine.submit(INSTRUMENT, side, "1", algorithm="peg", peg=peg, offset=offset, seconds=15,
                             must_complete=True, post_only=True)
               for side, peg, offset in (("buy", "primary", -9), ("sell", "mid", 30), ("buy", "market", -50))]
    for parent in parents:
        state = engine.wait(parent, 20)
        assert state.done and state.filled == 1
    list(made)
    found = replay(tmp_path / "run")
    assert found.equal and found.orders > 10, found.difference


ICEBERGS = (replace(listing("alpha", 0, 0), most_parts=10),)


def test_others_at_the_price_of_an_iceberg_of_ours_are_followed(tmp_path):
    """Of ours the book shows a tenth; so what is more is somebody else's."""
    with Deciding(tmp_path, ICEBERGS) as desk:
        desk.show(0, [(10_000, 50), (9_999, 50)], [(10_010, 10**6)])
        iceberg, = desk.submit(Side.BUY, 1000, limit=10_000, algorithm=Algorithm.RESTING, display=100)
        assert (int(iceberg["quantity"]), int(iceberg["terms"])) == (1000, 100)
        desk.now_ns += 10**9
        desk.show(0, [(10_000, 150), (9_999, 50)], [(10_010, 10**6)])
        peg, = desk.submit(Side.BUY, 10, algorithm=Algorithm.PRIMARY_PEG)
        assert int(peg["price"]) == 10_000
        desk.now_ns += 10**9
        desk.show(0, [(10_000, 110), (9_999, 50)], [(10_010, 10**6)])
        peg, = desk.submit(Side.BUY, 10, algorithm=Algorithm.PRIMARY_PEG)
        assert int(peg["price"]) == 9_999           # that one is all ours
