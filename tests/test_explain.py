"""`orderflow explain`: decisions as the router wrote them down, against what its boards showed and its parents got."""
import json
from decimal import Decimal
from fractions import Fraction

import pytest

from orderflow._core.decision_log import DecisionPath, LeftOut
from orderflow._core.segments import segment_paths
from orderflow._core.types import BookState, InputKind, Reason, Side
from orderflow.cli import main
from orderflow.research import simulation
from orderflow.research.explain import document, explain
from orderflow.research.explain_words import story
from orderflow.research.simulation import INSTRUMENT
from tests.deciding import Deciding


@pytest.fixture(scope="module")
def traded(tmp_path_factory):
    """(directory, parent order states by name, boards when each was submitted, listings) of a run without recording."""
    directory = tmp_path_factory.mktemp("run")
    parents, boards = {}, {}
    with simulation.Simulation(seed=5, server="direct", directory=directory) as simulated:
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
        offers = [offer for decision in told[name].decisions for offer in decision.offers
                  if offer.asked and offer.result == Reason.OK]
        assert sum(offer.filled for offer in offers) == parent.filled
        if name != "denied":                # of those that risk refused the engine counts the tries
            assert len(offers) == parent.children
        assert all(sum(offer.asked for offer in decision.offers) == decision.given for decision in told[name].decisions)
        assert told[name].notes == []
    assert sum(decision.sent > 0 for decision in told["twap"].decisions) >= 3
    [denied] = told["denied"].decisions
    assert denied.sent == 0 and {offer.result for offer in denied.offers if offer.asked} == {Reason.STRATEGY_HALTED}


@pytest.mark.parametrize("name", ["large", "small", "limited"])
def test_the_first_decision_saw_what_the_boards_showed(traded, told, name):
    _, parents, boards, listings = traded
    buys = parents[name].side == "BUY"
    decision = told[name].decisions[0]
    assert decision.cause == InputKind.INPUT_PARENT and decision.path in (DecisionPath.GREEDY, DecisionPath.SEARCHED)
    assert [offer.exchange for offer in decision.offers] == ["alpha", "beta", "gamma"]
    for offer in decision.offers:
        index = next(place for place, item in enumerate(listings) if item.exchange == offer.exchange)
        board, item = boards[name][index], listings[index]
        level = board["asks" if buys else "bids"][0]
        assert (offer.state, offer.version, offer.epoch) == ("LIVE", int(board["version"]), int(board["epoch"]))
        assert offer.best == Decimal(int(level["price"])).scaleb(-item.price_decimals)
        assert offer.all_in == Fraction(offer.best) * (1 + (1 if buys else -1) * Fraction(item.taker_fee))
    left_out = [offer.exchange for offer in decision.offers if offer.left_out == LeftOut.NOT_ALLOWED]
    assert left_out == (["beta"] if name == "limited" else [])


def test_nothing_else_was_cheaper(told):
    """The split is the best of all, but for lots, which the sweep need not keep to."""
    seen = 0
    for one in told.values():
        for decision in one.decisions:
            distances = [decision.worse_bps(decision.sweep)] + [
                decision.worse_bps(offer.alone_average) for offer in decision.offers if offer.alone == decision.given]
            for distance in distances:
                if distance is not None:
                    assert distance >= -0.001               # a lot is 1e-5 of a unit
                    seen += distance > 0
    assert seen > 3


def test_what_it_says_of_the_cost_is_what_was_paid(traded, told):
    """No price moved on the way, as the fills say."""
    _, parents, _, _ = traded
    for name in ("large", "small"):
        parent, decisions = parents[name], told[name].decisions
        assert all(offer.filled == offer.asked for decision in decisions for offer in decision.offers)
        by_books = sum(decision.average * Fraction(decision.sent) for decision in decisions if decision.sent)
        # fees in the base currency count at the parent's average price there, and at their fill's here
        assert float(by_books / Fraction(parent.filled)) == pytest.approx(float(parent.all_in_price), rel=1e-7)
        for decision in decisions:
            assert sum((Fraction(offer.asked) * offer.average for offer in decision.offers if offer.asked),
                       Fraction(0)) == Fraction(decision.given) * (decision.average or 0)


def test_an_alternative_by_hand(traded, told):
    """Everything of the small order on one exchange: level by level, from the boards."""
    _, _, boards, listings = traded
    decision = told["small"].decisions[0]
    for board, item, offer in zip(boards["small"], listings, decision.offers, strict=True):
        left, total = Fraction(1, 2), Fraction(0)
        for level in board["bids"][:board["bid_count"]]:
            part = min(left, Fraction(int(level["quantity"]), 10 ** item.quantity_decimals))
            total += part * Fraction(int(level["price"]), 10 ** item.price_decimals) * (1 - Fraction(item.taker_fee))
            left -= part
        assert left == 0 and offer.alone == Decimal("0.5") and offer.alone_average == total * 2
        assert decision.worse_bps(offer.alone_average) == pytest.approx(
            float(-(total * 2 / decision.average - 1) * 10_000))


def test_the_limit_is_kept_to(traded, told):
    _, parents, _, _ = traded
    for decision in told["limited"].decisions:
        for offer in decision.offers:
            assert offer.limit is None or offer.limit <= parents["limited"].limit_price
            assert not offer.asked or offer.shown >= offer.asked
    assert parents["limited"].filled < 40


def run(capsys, *arguments):
    code = main(["explain", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_as_a_person_would_tell_it(traded, told, capsys):
    directory, parents, _, _ = traded
    code, text, _ = run(capsys, directory, parents["large"].id)
    assert code == 0
    for expected in ("Buy 30 BTC-USDT, immediate, for manual: parent order 1 of run 1", "all of it was filled",
                     "Decision 1, 0.000 ms after that, as it came: 30 of 30 BTC were sent, at 60,0", "bps from the mid",
                     "All of it on gamma: only ", "The best prices first, without a look at fees: 0.0",
                     "In the end 30 of 30 BTC were filled, with 3 orders."):
        assert expected in text
    limited = run(capsys, directory, parents["limited"].id)[1]
    assert "or better" in limited.splitlines()[0]
    assert "beta was left out: the parent order may not go there." in limited
    assert "was left out: its book had not changed since our last order there ended." in limited
    denied = run(capsys, directory, parents["denied"].id)[1]
    assert "No order was sent for it" in denied and "risk refused it (STRATEGY_HALTED)" in denied
    assert "when a slice began" in run(capsys, directory, parents["twap"].id)[1]
    small = run(capsys, directory, parents["small"].id)[1]
    alone = next(offer for offer in told["small"].decisions[0].offers if not offer.asked)
    worse = told["small"].decisions[0].worse_bps(alone.alone_average)
    assert f"All of it on {alone.exchange}: {worse:.2f} bps worse, " in small
    assert f"{alone.exchange} was left out: the others were cheaper; best " in small


def test_a_book_that_was_not_live_is_told_with_its_state_and_fault(tmp_path):
    with Deciding(tmp_path) as deciding:
        deciding.show(0, [(99, 5)], [(101, 5)])
        deciding.show(1, [], [], BookState.STALE)
        deciding.boards[1]["fault"] = 6
        deciding.show(1, [], [], BookState.STALE)
        deciding.submit(Side.BUY, 30)
    text = "\n".join(story(explain(tmp_path, 1)))
    assert "beta was left out: its book was STALE (SILENT), last heard of 1.000 ms before." in text
    assert "gamma was left out: its book was EMPTY." in text
    assert "alpha: 3 BTC, limit 101, 101.1010 with fees: it is open. It showed: best 101, " in text


def test_a_search_that_was_cut_short_says_how_far_it_may_be_from_the_best(tmp_path):
    with Deciding(tmp_path) as deciding:
        deciding.show(0, [(99, 5)], [(101, 5)])
        deciding.submit(Side.BUY, 30)
    told = explain(tmp_path, 1)
    [decision] = told.decisions
    object.__setattr__(decision, "path", DecisionPath.CUT_SHORT)
    object.__setattr__(decision, "gap", Fraction(5, 4))
    object.__setattr__(decision, "unfilled", Decimal("0.5"))
    assert ("  The search for the best split was cut short after 1 tries: as much may cost up to 1.2500 USDT less, and "
            "up to 0.5 BTC more may be possible.") in story(told)


def test_one_json_object(traded, told, capsys):
    directory, parents, _, _ = traded
    code, text, _ = run(capsys, directory, parents["twap"].id, "--json")
    assert code == 0 and json.loads(text) == json.loads(json.dumps(document(told["twap"])))
    decisions = json.loads(text)["decisions"]
    assert [Decimal(one["given"]) for one in decisions] == [decision.given for decision in told["twap"].decisions]
    first = decisions[0]
    assert (first["path"], first["offers"][0]["left_out"], first["offers"][0]["state"]) == (
        told["twap"].decisions[0].path.name, told["twap"].decisions[0].offers[0].left_out.name, "LIVE")
    assert any(offer["alone_worse_bps"] for offer in first["offers"])


def test_what_is_not_there_is_named(traded, tmp_path, capsys):
    directory, _, _, _ = traded
    code, _, error = run(capsys, directory, 99)
    assert code == 2 and "no parent order 99: there are 1, 2, 3, 4, 5" in error
    code, _, error = run(capsys, directory, 1, "--run", 7)
    assert code == 2 and "no parent order 1 in run 7: the journal has none" in error
    assert run(capsys, tmp_path, 1)[0] == 2


def test_a_run_without_a_decision_log_and_one_with_gaps_say_so(tmp_path, capsys):
    with simulation.Simulation(seed=5, server="direct", directory=tmp_path) as simulated:
        simulated.engine.run(0.5)
        parent = simulated.engine.wait(simulated.engine.submit(INSTRUMENT, "buy", "30", seconds=2))
        simulated.engine.wait(simulated.engine.submit(INSTRUMENT, "sell", "30", seconds=2))
        simulated.engine.stop()
    [path] = segment_paths(tmp_path, "decisions")
    data = bytearray(path.read_bytes())
    data[64 + 8] ^= 1                       # the first record ends what can be read of its segment
    path.write_bytes(data)
    text = run(capsys, tmp_path, parent.id)[1]
    assert "In the end 30 of 30 BTC were filled, with" in text and "Decision 1" not in text
    assert f"Note: of {parent.children} of its orders the decision was not written, or is damaged." in text
    path.unlink()
    text = run(capsys, tmp_path, parent.id)[1]
    assert f"Note: {tmp_path}: run 1 has no decision log, so nobody knows why its orders went where they went." in text
    assert "In the end 30 of 30 BTC were filled" in text
