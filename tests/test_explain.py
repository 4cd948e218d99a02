"""`orderflow explain`: decisions against the books that the engine showed, and what else could have been done."""
import json
from decimal import Decimal
from fractions import Fraction

import pytest

from orderflow._core.types import Side
from orderflow.cli import main
from orderflow.research import simulation
from orderflow.research.explain import document, explain
from orderflow.research.simulation import INSTRUMENT


@pytest.fixture(scope="module")
def traded(tmp_path_factory):
    """(directory, parent order states by name, boards when each was submitted)."""
    directory = tmp_path_factory.mktemp("run")
    parents, boards = {}, {}
    with simulation.Simulation(seed=5, server="direct", directory=directory, record=True) as simulated:
        engine = simulated.engine
        for name, side, quantity, more in (
                ("large", "buy", "30", {"seconds": 5}), ("small", "sell", "0.5", {"seconds": 5}),
                ("limited", "buy", "40", {"seconds": 0.5, "exchanges": ["alpha", "gamma"], "limit_price": ...}),
                ("twap", "sell", "3", {"algorithm": "twap", "seconds": 3, "slices": 3})):
            engine.run(0.7)
            boards[name] = [engine.core.board.read(index) for index in range(len(engine.core.listings))]
            if "limit_price" in more:       # a little above the best ask: not all of it can be had
                more["limit_price"] = Decimal(int(boards[name][0]["asks"][0]["price"])).scaleb(
                    -engine.core.listings[0].price_decimals) + 3
            parents[name] = engine.wait(engine.submit(INSTRUMENT, side, quantity, **more))
        engine.set_strategy_state("manual", "HALTED")
        engine.run(0.1)
        parents["denied"] = engine.wait(engine.submit(INSTRUMENT, "buy", "1", seconds=0.2))
        listings = list(engine.core.listings)
        engine.stop()
    return directory, parents, boards, listings


@pytest.fixture(scope="module")
def told(traded):
    directory, parents, _, _ = traded
    return {name: explain(directory, parent.id) for name, parent in parents.items()}


def test_every_order_belongs_to_a_decision(traded, told):
    _, parents, _, _ = traded
    for name, parent in parents.items():
        offers = [offer for decision in told[name].decisions for offer in decision.offers if offer.asked]
        assert sum(offer.filled for offer in offers) == parent.filled
        if name != "denied":                # of those that risk refused the engine counts the tries
            assert len(offers) == parent.children
        assert all(sum(offer.asked for offer in decision.offers) == decision.quantity
                   for decision in told[name].decisions)
        assert told[name].notes == []
    assert len(told["twap"].decisions) >= 3 and told["denied"].decisions == []


@pytest.mark.parametrize("name", ["large", "small", "limited"])
def test_the_first_decision_saw_what_the_boards_showed(traded, told, name):
    _, parents, boards, listings = traded
    buys = parents[name].side == "BUY"
    decision = told[name].decisions[0]
    for offer in decision.offers:
        index = next(place for place, item in enumerate(listings) if item.exchange == offer.exchange)
        board, item = boards[name][index], listings[index]
        level = board["asks" if buys else "bids"][0]
        assert (offer.state, offer.version) == ("LIVE", int(board["version"]))
        assert offer.best == Decimal(int(level["price"])).scaleb(-item.price_decimals)
        assert offer.all_in == Fraction(offer.best) * (1 + (1 if buys else -1) * Fraction(item.taker_fee))
    assert {offer.exchange for offer in decision.offers} == (
        {"alpha", "gamma"} if name == "limited" else {"alpha", "beta", "gamma"})


def test_nothing_else_was_cheaper(told):
    """The split is the best of all, but for lots, which the others need not keep to."""
    seen = 0
    for one in told.values():
        for decision in one.decisions:
            for alternative in decision.alternatives:
                if alternative.worse_bps is not None:
                    assert alternative.worse_bps >= -0.001, alternative     # a lot is 1e-5 of a unit
                    seen += alternative.worse_bps > 0
    assert seen > 3


def test_what_it_says_of_the_cost_is_what_was_paid(traded, told):
    """No price moved on the way, as the fills say."""
    _, parents, _, _ = traded
    for name in ("large", "small"):
        parent, decisions = parents[name], told[name].decisions
        assert all(offer.filled == offer.asked for decision in decisions for offer in decision.offers)
        by_books = sum(decision.average * Fraction(decision.quantity) for decision in decisions)
        # fees in the base currency count at the parent's average price there, and at their fill's here
        assert float(by_books / Fraction(parent.filled)) == pytest.approx(float(parent.all_in_price), rel=1e-7)


def test_an_alternative_by_hand(traded, told):
    """Equal parts of the small order: level by level, from the boards."""
    _, _, boards, listings = traded
    decision, total = told["small"].decisions[0], Fraction(0)
    for board, item in zip(boards["small"], listings, strict=True):
        left = Fraction(1, 6)
        for level in board["bids"][:board["bid_count"]]:
            part = min(left, Fraction(int(level["quantity"]), 10 ** item.quantity_decimals))
            total += part * Fraction(int(level["price"]), 10 ** item.price_decimals) * (1 - Fraction(item.taker_fee))
            left -= part
        assert left == 0
    equal = next(one for one in decision.alternatives if one.name.startswith("equal parts"))
    assert equal.average == total * 2
    assert equal.worse_bps == pytest.approx(float(-(equal.average / decision.average - 1) * 10_000))


def test_the_limit_is_kept_to(traded, told):
    _, parents, _, _ = traded
    limit = Fraction(parents["limited"].limit_price)
    for decision in told["limited"].decisions:
        assert decision.average is not None and all(
            offer.best is None or not offer.asked or Fraction(offer.best) <= limit for offer in decision.offers)
        single = decision.alternatives[0]
        assert single.average is None or single.average <= limit * Fraction(1001, 1000)     # fees are below 10 bps
    assert parents["limited"].filled < 40


def run(capsys, *arguments):
    code = main(["explain", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_as_a_person_would_tell_it(traded, capsys):
    directory, parents, _, _ = traded
    code, text, _ = run(capsys, directory, parents["large"].id)
    assert code == 0
    for expected in ("Buy 30 BTC-USDT, immediate, for manual: parent order 1 of run 1", "all of it was filled",
                     "Decision 1, 0.000 ms after that", "bps from the mid. Instead:", "equal parts on all exchanges",
                     "In the end 30 of 30 BTC were filled"):
        assert expected in text
    assert "at 6" in run(capsys, directory, parents["limited"].id)[1].splitlines()[0]
    assert "No order was sent for it" in run(capsys, directory, parents["denied"].id)[1]


def test_one_json_object(traded, told, capsys):
    directory, parents, _, _ = traded
    code, text, _ = run(capsys, directory, parents["twap"].id, "--json")
    assert code == 0 and json.loads(text) == json.loads(json.dumps(document(told["twap"])))
    assert [Decimal(one["quantity"]) for one in json.loads(text)["decisions"]] == [
        decision.quantity for decision in told["twap"].decisions]


def test_what_is_not_there_is_named(traded, tmp_path, capsys):
    directory, _, _, _ = traded
    code, _, error = run(capsys, directory, 99)
    assert code == 2 and "no parent order 99: there are 1, 2, 3, 4, 5" in error
    code, _, error = run(capsys, directory, 1, "--run", 7)
    assert code == 2 and "no parent order 1 in run 7: the journal has none" in error
    assert run(capsys, tmp_path, 1)[0] == 2


def test_without_a_recording_the_orders_are_told(tmp_path, capsys):
    with simulation.Simulation(seed=5, server="direct", directory=tmp_path) as simulated:
        simulated.engine.run(0.5)
        parent = simulated.engine.wait(simulated.engine.submit(INSTRUMENT, "buy", "1", seconds=2))
        simulated.engine.stop()
    found = explain(tmp_path, parent.id)
    assert [offer.state for offer in found.decisions[0].offers] == ["unknown"] * 3
    assert sum(offer.filled for decision in found.decisions for offer in decision.offers) == 1
    assert found.parent.side == Side.BUY and found.decisions[0].average is None
    code, text, _ = run(capsys, tmp_path, parent.id)
    assert code == 0 and "Note: the run was not recorded" in text and "In the end 1 of 1 BTC were filled" in text
