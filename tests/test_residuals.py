"""What is left below every minimum: kept, netted, taken by who asks for it, and never lost or counted twice."""
import random
from decimal import Decimal

import pytest

from orderflow._core.journal import RecordKind, read
from orderflow._core.residuals import ResidualLedger
from orderflow._core.types import ExecType, ParentStatus, Reason, ResidualKind, Side
from orderflow.cli.status import lines
from orderflow.instrument import Instrument
from orderflow.research.journal import rows
from orderflow.research.replay import replay
from orderflow.research.simulation import INSTRUMENT
from orderflow.research.tree import tree
from orderflow.residuals import Residual, ResidualError, enter, named
from orderflow.status import status_of
from tests.recovery_desk import Desk
from tests.routing_desk import BIDS, RoutingDesk
from tests.routing_storm import Storm
from tests.storm_books import over
from tests.storm_listings import MIDS
from tests.three_exchanges import engines

#: Below every exchange's minimum.
CRUMB = Decimal("0.00000001")


@pytest.fixture
def make():
    yield from engines()


@pytest.fixture
def desk(tmp_path):
    yield from Desk.opened(tmp_path)


@pytest.fixture
def calm(tmp_path):
    """The router between exchanges that do what they are asked."""
    storm = Storm(random.Random(1), tmp_path)
    for exchange in storm.exchanges:
        exchange.calm = True
    yield storm
    storm.close()


def kept(engine):
    return [(one.strategy, one.instrument, one.amount, one.parents) for one in engine.residuals()]


def changes(directory):
    return [(ResidualKind(int(told["kind"])).name, int(told["parent_id"]), int(told["change"]), int(told["quantity"]))
            for record in read(directory) if record.kind == RecordKind.RESIDUAL for told in [record.decode()]]


def test_rests_are_kept_and_net_and_the_next_that_asks_takes_them(make):
    engine = make()
    assert engine.residuals() == []
    for side, quantity in (("buy", 5), ("buy", 2), ("sell", 3)):
        assert engine.wait(engine.submit(INSTRUMENT, side, quantity * CRUMB)).reason == "BELOW_MINIMUM_REMAINS"
    assert kept(engine) == [("manual", INSTRUMENT, 4 * CRUMB, 3)]
    plain = engine.wait(engine.submit(INSTRUMENT, "buy", "1", seconds=10))
    assert (plain.quantity, plain.taken) == (1, 0) and kept(engine) == [("manual", INSTRUMENT, 4 * CRUMB, 3)]
    parent = engine.wait(engine.submit(INSTRUMENT, "buy", "1", seconds=10, with_residual=True))
    assert (parent.quantity, parent.filled, parent.taken) == (1 + 4 * CRUMB, 1 + 4 * CRUMB, 4 * CRUMB)
    assert engine.residuals() == []
    assert changes(engine.directory) == [("RESIDUAL_KEPT", 1, 5, 5), ("RESIDUAL_KEPT", 2, 2, 7),
                                         ("RESIDUAL_KEPT", 3, -3, 4), ("RESIDUAL_TAKEN", 5, -4, 0)]


def test_the_rest_of_a_parent_that_was_filled_in_part_is_kept(make):
    """Alpha trades in lots of 1e-5."""
    engine = make()
    parent = engine.wait(engine.submit(INSTRUMENT, "sell", "1.00000300", exchanges=["alpha"], seconds=10))
    assert (parent.filled, parent.reason) == (1, "BELOW_MINIMUM_REMAINS")
    assert kept(engine) == [("manual", INSTRUMENT, -300 * CRUMB, 1)]


@pytest.mark.parametrize(("asked", "left"), [(3, -2), (5, 0)])
def test_what_is_kept_for_the_other_side_is_taken_off(make, asked, left):
    engine = make()
    engine.wait(engine.submit(INSTRUMENT, "sell", 5 * CRUMB))
    whole = engine.wait(engine.submit(INSTRUMENT, "buy", asked * CRUMB, with_residual=True))
    assert (whole.status, whole.reason, whole.quantity, whole.taken, whole.children) == (
        "PARENT_DONE", "NETTED", 0, -asked * CRUMB, 0)
    assert kept(engine) == ([("manual", INSTRUMENT, left * CRUMB, 1)] if left else [])
    assert engine.router.counts["timers"] == 0
    part = engine.wait(engine.submit(INSTRUMENT, "buy", "1", seconds=10, with_residual=True))
    assert (part.quantity, part.filled, part.taken) == (1 + left * CRUMB, 1 + left * CRUMB, left * CRUMB)
    assert engine.residuals() == []


def test_what_was_given_up_by_somebody_is_not_kept(make):
    """Cancelled, out of time, and refused: whoever did that could have gone on."""
    engine = make(maximum_parents=1)
    parent = engine.submit(INSTRUMENT, "buy", "1", "1000")
    engine.run(0.1)
    engine.cancel(parent)
    assert engine.wait(parent).reason == "CANCELLED_BY_USER"
    assert engine.wait(engine.submit(INSTRUMENT, "buy", "1", "1000", seconds=1)).reason == "END_TIME"
    assert engine.residuals() == []


def test_one_that_is_denied_takes_nothing(make):
    engine = make(maximum_parents=1)
    engine.wait(engine.submit(INSTRUMENT, "buy", CRUMB))
    engine.submit(INSTRUMENT, "buy", "1", "1000")
    denied = engine.wait(engine.submit(INSTRUMENT, "buy", "2", with_residual=True), 1)
    assert (denied.status, denied.quantity) == ("PARENT_DENIED", 2)
    assert kept(engine) == [("manual", INSTRUMENT, CRUMB, 1)]


def test_strategies_and_instruments_keep_their_own(calm, tmp_path):
    """And a parent takes what is its own only."""
    for strategy, instrument, quantity, side in ((0, 0, 3, Side.BUY), (1, 0, 5, Side.SELL), (1, 1, 7, Side.BUY)):
        calm.order(strategy=strategy, instrument=instrument, quantity=quantity, side=side)
    calm.settle()
    assert [tuple(row) for row in calm.residuals.rows()] == [(0, 0, 3, 1), (1, 0, -5, 1), (1, 1, 7, 1)]
    taker = calm.order(strategy=1, instrument=0, quantity=4_000, side=Side.SELL, with_residual=1)
    calm.settle()
    assert (calm.told[taker]["quantity"], calm.told[taker]["taken"]) == (4_005, 5)
    assert [tuple(row) for row in calm.residuals.rows()] == [(0, 0, 3, 1), (1, 1, 7, 1)]
    calm.calm()
    assert over(calm, tmp_path) == []


class Crumbs:
    """Buys a crumb, and then what there is to buy."""

    def __init__(self):
        self.left, self.told = [("1", True), (5 * CRUMB, False)], []

    def on_signal(self, market, listing, entry):
        if self.left:
            quantity, takes = self.left.pop()
            market.submit(INSTRUMENT, "buy", quantity, with_residual=takes)

    def on_report(self, market, report):
        self.told.append((ParentStatus(report["status"]).name, int(report["quantity"]), int(report["taken"])))


def test_a_strategy_takes_its_own(make):
    strategy = Crumbs()
    engine = make(strategies=[strategy], strategy_names=["crumbs"])
    engine.wait(engine.submit(INSTRUMENT, "sell", 3 * CRUMB))
    engine.run(5)
    one = 10**engine.instruments[INSTRUMENT].quantity_decimals
    assert engine.failures == [] and strategy.left == []
    assert ("PARENT_DONE", 5, 0) in strategy.told and strategy.told[-1] == ("PARENT_DONE", one + 5, 5)
    assert kept(engine) == [("manual", INSTRUMENT, -3 * CRUMB, 1)]


def test_a_fill_that_comes_after_the_rest_was_kept_is_taken_off_it(tmp_path):
    """The exchange said that the order had ended with 10, and tells of 10 more when the parent is long done."""
    desk = RoutingDesk(random.Random(1), tmp_path)
    desk.book(BIDS, [(MIDS[0] + 1, 100)])
    parent = desk.order(quantity=25, listings=1)
    desk.settle()
    assert desk.news() == [(parent, 20)]
    order = desk.last[0]

    def kept_now():
        return [row.quantity for row in desk.residuals.rows()]

    desk.fill(order, 1, 10)
    desk.answer(order, ExecType.REPORT_EXPIRED, cumulative_quantity=10)
    assert desk.parent(parent).reason == Reason.BELOW_MINIMUM_REMAINS and kept_now() == [15]
    desk.fill(order, 2, 10)
    assert desk.parent(parent).filled == 20 and kept_now() == [5]
    desk.fill(order, 2, 10)                 # told again, which is none
    assert kept_now() == [5]
    desk.close()


# -- from run to run --------------------------------------------------------------------------------------------------


def test_a_restart_keeps_it_and_so_does_the_one_after(desk):
    engine = desk.start(desk.path / "run")
    engine.wait(engine.submit(INSTRUMENT, "buy", 5 * CRUMB))
    engine.wait(engine.submit(INSTRUMENT, "sell", 9 * CRUMB))
    for _ in range(2):
        engine = desk.start(desk.crash())
        assert kept(engine) == [("manual", INSTRUMENT, -4 * CRUMB, 2)]
    engine.wait(engine.submit(INSTRUMENT, "sell", "1", seconds=10, with_residual=True))
    engine = desk.start(desk.crash())
    assert engine.residuals() == []
    desk.clear()
    desk.agrees()


def test_a_run_that_took_some_is_replayed_to_the_same_orders(make, tmp_path):
    engine = make(directory=tmp_path / "run", record=True)
    engine.wait(engine.submit(INSTRUMENT, "buy", 5 * CRUMB))
    engine.wait(engine.submit(INSTRUMENT, "buy", "2", seconds=10, with_residual=True))
    engine.wait(engine.submit(INSTRUMENT, "sell", "1", seconds=10))
    engine.stop()
    found = replay(tmp_path / "run")
    assert found.equal and found.orders > 1, found.difference


def test_what_has_no_place_in_the_next_run_waits_for_one_that_has():
    one, other = (Instrument(name, 0, 2, 3, (0,)) for name in ("BTC-USD", "ETH-USD"))
    waiting = [Residual("a", "BTC-USD", -7, 3, 2), Residual("b", "BTC-USD", 1, 3, 1), Residual("a", "ETH-USD", 1, 3, 1)]
    ledger = ResidualLedger(1, 1)
    assert enter(ledger, waiting, ["a"], [one]) == waiting[1:]
    assert named(ledger, ["a"], [one]) == waiting[:1]
    ledger = ResidualLedger(2, 1)
    assert enter(ledger, (Residual(**each.document()) for each in waiting), ["b", "a"], [other]) == waiting[:2]
    assert named(ledger, ["b", "a"], [other]) == waiting[2:]


def test_another_scale_is_exact_or_refused():
    finer, coarser = (Instrument("BTC-USD", 0, 2, decimals, (0,)) for decimals in (5, 2))
    ledger = ResidualLedger(1, 1)
    assert enter(ledger, [Residual("a", "BTC-USD", -70, 3, 2)], ["a"], [finer]) == []
    assert named(ledger, ["a"], [finer]) == [Residual("a", "BTC-USD", -7_000, 5, 2)]
    enter(ledger, [Residual("a", "BTC-USD", -70, 3, 2)], ["a"], [coarser])
    assert named(ledger, ["a"], [coarser]) == [Residual("a", "BTC-USD", -7, 2, 2)]
    with pytest.raises(ResidualError, match="0.071 BTC-USD .* strategy a .* 2 decimals"):
        enter(ledger, [Residual("a", "BTC-USD", 71, 3, 1)], ["a"], [coarser])


def test_a_place_that_there_is_not():
    with pytest.raises(IndexError, match="strategy 1, instrument 0: there are 1 and 2"):
        ResidualLedger(1, 2).set(1, 0, 5, 1)


# -- where it is told -------------------------------------------------------------------------------------------------


def test_status_journal_and_tree_tell_of_it(make, tmp_path):
    engine = make(directory=tmp_path / "run")
    engine.wait(engine.submit(INSTRUMENT, "buy", 5 * CRUMB))
    engine.wait(engine.submit(INSTRUMENT, "sell", "1", seconds=10, with_residual=True))
    engine.wait(engine.submit(INSTRUMENT, "sell", 2 * CRUMB))
    assert status_of(engine)["residuals"] == [
        {"strategy": "manual", "instrument": INSTRUMENT, "quantity": "-0.00000002", "parents": 1}]
    assert f"Kept below the minimums for manual: -0.00000002 {INSTRUMENT}" in lines(status_of(engine))
    engine.stop()
    told = [row.fields for row in rows(tmp_path / "run") if row.kind == "RESIDUAL"]
    assert [(one["action"], one["parent_id"], one["change"], one["quantity"]) for one in told] == [
        ("KEPT", 1, 5 * CRUMB, 5 * CRUMB), ("TAKEN", 2, -5 * CRUMB, 0), ("KEPT", 3, -2 * CRUMB, -2 * CRUMB)]
    assert tree(tmp_path / "run", 2).quantity == 1 - 5 * CRUMB
    assert engine.parent(3).status == ParentStatus.PARENT_DONE.name
