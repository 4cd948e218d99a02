"""Failure scenario 23: one leg of a trade between exchanges is filled and the other fails. On three simulated
exchanges."""
from decimal import Decimal

import pytest

from orderflow._core.strategies.dislocation import Dislocation
from orderflow._core.types import ParentStatus
from orderflow.research import simulation
from orderflow.research.simulation import INSTRUMENT, Simulation

SECOND_NS = 10**9


@pytest.fixture
def legged(monkeypatch):
    """(simulation, its strategy) at the moment when a leg was bought and the other refused: nobody holds what is to be
    sold."""
    monkeypatch.setattr(simulation, "BALANCES", {"BTC": "0", "USDT": "100000000"})
    made = []

    def strategies(instruments):
        made.append(Dislocation(instruments[INSTRUMENT].index, instruments[INSTRUMENT].quantity("1"), leg_ns=SECOND_NS))
        return made

    with Simulation(4, "direct", strategies) as running:
        running.engine.run(120, lambda: position(running) > 0)
        assert position(running) > 0 and made[0].trades == 1
        yield running, made[0]


def position(running):
    """All exchanges together."""
    listings = running.engine.core.listings
    return sum((Decimal(running.engine.position(index).net).scaleb(-listing.quantity_decimals)
                for index, listing in enumerate(listings)), Decimal(0))


def sold(running):
    """(price, quantity) of each fill of a sale, by the exchanges' own record."""
    return [(Decimal(event["price"]), Decimal(event["quantity"])) for truth in running.truth().values()
            for event in truth["events"] if event["event"] == "filled" and event["side"] == "sell"]


def test_scenario_23_a_leg_whose_other_was_refused_is_closed_within_its_band(legged):
    running, strategy = legged
    missing = next(view for view in running.engine.orders.parents() if view.side.name == "SELL")
    price = Decimal(missing.limit_price).scaleb(-running.engine.instruments[INSTRUMENT].price_decimals)
    running.engine.run(5, lambda: strategy.closings > 0)        # the other leg has ended without a fill
    running.engine.run(30, lambda: position(running) == 0)      # where it was bought: there the fee is not paid in kind
    assert position(running) == 0 and strategy.closings >= 1 and not strategy.halted
    fills = sold(running)
    assert fills and all(at >= price * Decimal("0.998") for at, _ in fills)


def test_scenario_23_a_leg_that_nobody_takes_ends_in_a_halt(legged):
    """Every attempt fails. The strategy is killed with what it holds, and nothing follows."""
    running, strategy = legged
    for exchange in running._exchanges.values():        # not even where it was bought
        for account in exchange.desk.accounts:
            account.free["BTC"] = 0
    held = position(running)
    running.engine.run(60, lambda: strategy.halted)
    running.engine.run(1)
    assert strategy.halted and strategy.closings == 6
    assert running.engine.core.kill.killed == ["strategy dislocation"]
    assert any("killed: strategy dislocation (KILLED_BY_STRATEGY)" in each for each in running.problems)
    sent = sum(running.engine.core.loops[name].sent_orders[0] for name in running.engine.core.loops)
    running.engine.run(30)
    assert position(running) == held and all(view.status == ParentStatus.PARENT_DONE
                                             for view in running.engine.orders.parents())
    assert sent == sum(running.engine.core.loops[name].sent_orders[0] for name in running.engine.core.loops)
