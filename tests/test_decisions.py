"""What the router writes of its decisions, against a slow twin; every reason for leaving an exchange out, told once."""
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderflow._core import decision_log
from orderflow._core.decision_log import DecisionPath, LeftOut, exact
from orderflow._core.types import Algorithm, BookState, ExecType, InputKind, Reason, Side, TradingState
from orderflow.research import simulation, tca_journal
from orderflow.research.decisions import UNLIMITED
from orderflow.research.explain import explain
from orderflow.research.explain_words import story
from orderflow.research.simulation import INSTRUMENT
from orderflow.research.tca_market import Market
from orderflow.research.tca_views import View
from tests.deciding import FIRST_EXCHANGE, KILLED, LISTINGS, Deciding, ladders
from tests.reference import allocation
from tests.reference import decisions as reference

BUY, SELL = Side.BUY, Side.SELL
ALPHA, BETA, GAMMA, DELTA, ECHO = range(5)
CHARGES = [listing.charge for listing in LISTINGS]
TENTHS = (1, 10, 1, 1, 1)       # beta's scales are finer
SECOND_NS = 1_000_000_000


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with Deciding(tmp_path_factory.mktemp("shared")) as deciding:
        yield deciding


@pytest.fixture
def make(tmp_path):
    opened = []

    def made(**options):
        opened.append(Deciding(tmp_path, **options).__enter__())
        return opened[-1]

    yield made
    for one in opened:
        one.__exit__()


class Twin:
    """What one parent order of the shared engine should bring about, decision by decision."""

    def __init__(self, deciding, side, quantity, limit, allowed, killed):
        self.deciding, self.side, self.quantity, self.limit = deciding, side, quantity, limit
        self.allowed, self.killed = allowed, killed
        self.under_way, self.spent, self.reasons, self.waits, self.working = {}, {}, None, 0, 0

    def why(self, index):
        board = self.deciding.boards[index]
        if self.allowed and not self.allowed >> index & 1:
            return LeftOut.NOT_ALLOWED
        if board["book_state"] != BookState.LIVE:
            return LeftOut.BOOK_NOT_TRADABLE
        if index == DELTA:
            return LeftOut.HALTED_LISTING
        if index in self.under_way:
            return LeftOut.ORDER_UNDER_WAY
        if self.spent.get(index) == int(board["version"]):
            return LeftOut.BOOK_UNCHANGED
        if index == ECHO:
            return LeftOut.TAKES_NO_ORDERS
        return LeftOut.KILLED_EXCHANGE if self.killed >> index & 1 else LeftOut.NOT_LEFT_OUT

    def mid(self):
        live = [(board, int(row["price_factor"])) for board, row in
                zip(self.deciding.boards, self.deciding.table, strict=True) if board["book_state"] == BookState.LIVE]
        bid = max((int(board["bids"][0]["price"]) * factor for board, factor in live if board["bid_count"]))
        ask = min((int(board["asks"][0]["price"]) * factor for board, factor in live if board["ask_count"]))
        return bid + (ask - bid) // 2

    def least(self):
        """That an exchange takes."""
        return 5 if not self.allowed or self.allowed >> BETA & 1 else 10

    def decide(self):
        """The record of a decision made now, as plain values; None where none is written."""
        wanted = self.quantity - self.working
        if wanted < self.least():
            return None                     # no exchange takes so little
        table, books = self.deciding.table, ladders(self.deciding, self.side)
        left_out = [self.why(index) for index in range(len(LISTINGS))]
        usable = [why == LeftOut.NOT_LEFT_OUT for why in left_out]
        none = [None] * len(LISTINGS)
        def split(wanted):
            return allocation.split(table, self.side, wanted, books, self.limit, usable, none, none, CHARGES)

        given, _, paid, parts = split(wanted)
        left = wanted - given
        while given and 0 < left < wanted and left < self.least():     # what no exchange would take is not left
            left = 2 * left if left < wanted // 2 else wanted
        if given and wanted - left < given:
            less = split(wanted - left) if left < wanted else (0,)
            if less[0]:
                given, _, paid, parts = less
        if not given:
            if self.working or left_out == self.reasons:
                return None
            self.reasons, self.waits = left_out, self.waits + 1
        found = {"wanted": wanted, "split": given, "sent": given, "all_in": paid, "mid": self.mid(),
                 "waits": self.waits, "sweep": reference.sweep(
                     table, self.side, books, self.limit, usable, CHARGES, given), "parts": []}
        for index, (quantity, price) in enumerate(parts):
            alone = (0, 0)
            if given and usable[index]:
                alone = reference.alone(table, self.side, wanted, books, self.limit, CHARGES, index)
            cost = 0
            if quantity:
                notional = allocation.walk(table[index], self.side, books[index], self.limit, quantity)[1]
                cost = allocation.all_in(table[index], self.side, quantity, notional, CHARGES[index])
                self.under_way[index] = quantity
                self.working += quantity * int(table[index]["quantity_factor"])
            shown = reference.within(table[index], self.side, books[index], self.limit)
            board = self.deciding.boards[index]
            found["parts"].append({
                "listing": index, "left_out": left_out[index], "quantity": quantity, "price": price, "all_in": cost,
                "alone_quantity": alone[0], "alone_all_in": alone[1], "shown": sum(size for _, size in shown),
                "best_price": books[index][0][0] if books[index] else 0,
                "best_quantity": books[index][0][1] if books[index] else 0, "result": Reason.OK,
                "most": UNLIMITED, **{name: int(board[name]) for name in (
                    "version", "publication", "epoch", "receive_ns", "book_state")}})
        return found

    def ended(self, index):
        self.spent[index] = int(self.deciding.boards[index]["version"])
        self.working -= self.under_way.pop(index) * int(self.deciding.table[index]["quantity_factor"])


def plain(record, names):
    return {name: exact(record[name]) if record.dtype[name].names else int(record[name]) for name in names}


def compare(deciding, expected):
    """The decisions since the last look, against those that the twin made."""
    written = deciding.decisions()
    expected = [one for one in expected if one is not None]
    assert len(written) == len(expected)
    for one, wanted in zip(written, expected, strict=True):
        parts = wanted.pop("parts")
        assert plain(one.head, wanted) == wanted
        assert [plain(part, parts[0]) for part in one.parts] == parts
        assert int(one.head["path"]) == DecisionPath.NOTHING_SENDABLE if not wanted["split"] else (
            DecisionPath.GREEDY if one.head["nodes"] == 1 else DecisionPath.SEARCHED)
        assert (int(one.head["unfilled"]), exact(one.head["gap"])) == (0, 0)


@st.composite
def books(draw, index):
    """(bids, asks, state) around 100, best first."""
    def side(begin, step):
        prices = draw(st.lists(st.integers(0, 3), max_size=3 if index else 2, min_size=index == ALPHA, unique=True))
        return [(max(1, begin + step * place) * TENTHS[index] + (draw(st.integers(0, 9)) if index == BETA else 0),
                 draw(st.integers(1, 9 if index == BETA else 5))) for place in sorted(prices)]

    state = BookState.STALE if index != ALPHA and draw(st.integers(0, 5)) == 0 else BookState.LIVE
    return side(99, -1), side(101, 1), state


@settings(max_examples=120)
@given(st.data())
def test_what_is_written_is_what_the_slow_twin_finds(shared, data):
    """Through a whole round: books, a parent order, all its orders cancelled one after the other, a book changes."""
    deciding = shared
    deciding.clear()
    killed = data.draw(st.sampled_from([0, 0, 0, 1 << GAMMA, 1 << BETA | 1 << ALPHA]))
    deciding.router.replay_state(KILLED, killed, deciding.tick())
    for index in range(len(LISTINGS)):
        assert deciding.show(index, *data.draw(books(index))) == []
    twin = Twin(deciding, data.draw(st.sampled_from([BUY, SELL])), data.draw(st.integers(20, 120)),
                data.draw(st.sampled_from([0, 0, 1000, 1010, 1020])),
                data.draw(st.sampled_from([0, 0, 0b1011, 0b1101, 0b1000])), killed)
    expected = [twin.decide()]
    orders = deciding.submit(twin.side, twin.quantity, twin.limit, twin.allowed)
    for _ in range(12):
        assert {int(order["listing"]): int(order["quantity"]) for order in orders} == twin.under_way
        if not orders:
            break
        twin.ended(int(orders[0]["listing"]))
        expected.append(twin.decide())
        orders = sorted(orders[1:] + deciding.report(orders[0]), key=lambda order: int(order["listing"]))
    assert not orders
    deciding.show(ALPHA, *data.draw(books(ALPHA)))
    expected.append(twin.decide())
    compare(deciding, expected)


def test_a_record_says_when_and_after_what_it_was_decided(make):
    deciding = make()
    deciding.show(ALPHA, [(99, 5)], [(101, 3)])
    [order] = deciding.submit(BUY, 200)
    deciding.report(order)
    [second] = deciding.show(ALPHA, [(99, 5)], [(101, 3)])
    first, waited, last = deciding.decisions()
    assert [int(one.head["sequence"]) for one in (first, waited, last)] == [1, 2, 3]
    assert [int(one.head["cause"]) for one in (first, waited, last)] == [
        InputKind.INPUT_PARENT, InputKind.INPUT_REPORT, InputKind.INPUT_WAKE]
    assert [int(one.head["input_sequence"]) for one in (first, last)] == [order["sequence"], second["sequence"]]
    assert [int(one.head["decided_ns"]) for one in (first, last)] == [order["decided_ns"], second["decided_ns"]]
    assert int(last.head["cause_receive_ns"]) == second["cause_receive_ns"] == deciding.boards[ALPHA]["receive_ns"]
    assert [int(one.head["sent"]) for one in (first, waited, last)] == [30, 0, 30]


def test_nothing_is_written_before_the_inboxes_are_empty(make):
    """The orders are in their rings by then. What waits is bounded: one too many, and all are written at once."""
    deciding = make()
    for index in (ALPHA, GAMMA):
        deciding.show(index, [(99, 5)], [(101, 3)])
    assert len(deciding.submit(BUY, 50)) == 2
    counts = deciding.router.counts
    assert (counts["decisions"], counts["splits"]) == (0, 1)
    deciding.router.set_state(TradingState.ACTIVE)
    assert deciding.router.run_once(deciding.tick()) > 0 and deciding.router.counts["decisions"] == 0
    assert deciding.router.run_once(deciding.tick()) == 0 and deciding.router.counts["decisions"] == 1
    for waiting in range(17):
        assert deciding.router.counts["decisions"] == 1 + 16 * (waiting > 16)
        deciding.submit(BUY, 50)
    assert deciding.router.counts["decisions"] == 17
    assert [int(one.head["sequence"]) for one in deciding.decisions()] == list(range(1, 19))


def test_a_decision_that_sends_nothing_is_written_once_until_the_reasons_change(make):
    deciding = make()
    for _ in range(3):
        deciding.show(ALPHA, [(99, 5)], [(101, 3)])
    deciding.submit(BUY, 50, 1000)
    for _ in range(5):
        deciding.show(ALPHA, [(99, 5)], [(101, 3)])
    assert len(deciding.decisions()) == 1
    deciding.show(ALPHA, [], [], BookState.STALE)
    deciding.show(BETA, [], [], BookState.STALE)
    deciding.show(ALPHA, [], [], BookState.STALE)
    deciding.show(ALPHA, [(99, 5)], [(101, 3)])
    assert [int(one.head["waits"]) for one in deciding.decisions()] == [2, 3]
    deciding.submit(BUY, 50, 1000)
    assert [int(one.head["waits"]) for one in deciding.decisions()] == [1]         # of another parent order


def test_of_an_order_that_was_in_doubt_nothing_is_learned(make):
    deciding = make()
    deciding.show(ALPHA, [(99, 90)], [(101, 90)])
    for doubt in (True, False):
        [order] = deciding.submit(BUY, 20, 0, 0b00001)
        if doubt:
            deciding.out[int(order["client_order_id"])] = order
            deciding.report(order, ExecType.REPORT_IN_DOUBT, Reason.UNKNOWN_OUTCOME)
            deciding.out[int(order["client_order_id"])] = order
        deciding.report(order, ExecType.REPORT_CANCELED)
        deciding.clear()
        missing, round_trip_ns = deciding.router.learned_arrivals(deciding.now_ns)[ALPHA]
        assert (missing, round_trip_ns is None) == ((0.0, True) if doubt else (0.125, False))
        deciding.show(ALPHA, [(99, 90)], [(101, 90)])


def test_the_waits_of_one_parent_order_are_bounded(make):
    deciding = make(listings=LISTINGS[:1])
    deciding.show(ALPHA, [(99, 5)], [(101, 3)])
    deciding.submit(BUY, 5, 100)
    for _ in range(510):
        deciding.show(ALPHA, [], [], BookState.STALE)
        deciding.show(ALPHA, [(99, 5)], [(101, 3)])
    assert [int(one.head["waits"]) for one in deciding.decisions()] == list(range(1, 1001))
    assert len(deciding.show(ALPHA, [(99, 5)], [(100, 5)])) == 1
    assert [int(one.head["sent"]) for one in deciding.decisions()] == [5]       # what is sent is written all the same


def test_what_risk_refuses_is_written_with_its_reason_once(make):
    deciding = make()
    deciding.show(ALPHA, [(99, 5)], [(101, 9)])
    deciding.router.replay_state(0, TradingState.HALTED, deciding.tick())
    assert deciding.submit(BUY, 50) == []
    for _ in range(4):
        assert deciding.show(ALPHA, [(99, 5)], [(101, 9)]) == []
    [refused] = deciding.decisions()
    assert [int(refused.head[name]) for name in ("split", "sent")] == [50, 0]
    assert [int(part["result"]) for part in refused.parts[:1]] == [Reason.TRADING_HALTED]
    deciding.router.replay_state(0, TradingState.ACTIVE, deciding.tick())
    assert len(deciding.show(ALPHA, [(99, 5)], [(101, 9)])) == 1
    assert [int(one.head["sent"]) for one in deciding.decisions()] == [50]


def test_an_order_that_rests_is_a_decision_too(make):
    deciding = make()
    deciding.show(BETA, [(990, 50)], [(1010, 30)])
    [order] = deciding.submit(BUY, 50, 1000, 1 << BETA, Algorithm.RESTING)
    [rested] = deciding.decisions()
    assert plain(rested.head, ("path", "wanted", "sent")) == {"path": DecisionPath.RESTED, "wanted": 50, "sent": 50}
    [part] = rested.parts
    assert plain(part, ("listing", "quantity", "price", "best_price", "shown", "left_out", "result")) == {
        "listing": BETA, "quantity": 50, "price": 1000, "best_price": 1010, "shown": 0, "left_out": 0, "result": 0}
    assert order["price"] == 1000 and exact(part["all_in"]) == 1000 * 50 * 10**8      # no maker fee there
    deciding.show(BETA, [], [], BookState.STALE)
    deciding.submit(BUY, 50, 1000, 1 << BETA, Algorithm.RESTING)
    [waits] = deciding.decisions()
    assert [int(part["left_out"]) for part in waits.parts] == [LeftOut.BOOK_NOT_TRADABLE]


def test_every_reason_for_leaving_an_exchange_out_is_told(make, tmp_path):
    deciding = make()
    told = {}

    def submit(side=BUY, allowed=0):
        deciding.submit(side, 20, 0, allowed)
        why = {part: LeftOut(int(decided)) for part, decided in enumerate(deciding.decisions()[-1].parts["left_out"])}
        for index, one in why.items():
            told.setdefault(one, (deciding.parents, index))
        return why

    for index in range(len(LISTINGS)):
        factor = TENTHS[index]
        deciding.show(index, [(99 * factor, 90)], [(101 * factor, 90)],
                      BookState.STALE if index == BETA else BookState.LIVE)
    assert submit(allowed=0b11110) == {ALPHA: LeftOut.NOT_ALLOWED, BETA: LeftOut.BOOK_NOT_TRADABLE, GAMMA: 0,
                                       DELTA: LeftOut.HALTED_LISTING, ECHO: LeftOut.TAKES_NO_ORDERS}
    assert submit(allowed=0b00100)[GAMMA] == LeftOut.ORDER_UNDER_WAY
    deciding.router.replay_state(KILLED, 1 << ALPHA, deciding.tick())
    assert submit(allowed=0b00001)[ALPHA] == LeftOut.KILLED_EXCHANGE
    deciding.router.replay_state(KILLED, 0, deciding.tick())
    deciding.router.replay_state(FIRST_EXCHANGE + ALPHA, TradingState.REDUCING, deciding.tick())
    assert submit(allowed=0b00001)[ALPHA] == LeftOut.ONLY_REDUCES
    deciding.router.replay_state(FIRST_EXCHANGE + ALPHA, TradingState.ACTIVE, deciding.tick())
    [order] = deciding.show(ALPHA, [(99, 90)], [(101, 2)])
    assert int(order["listing"]) == ALPHA
    deciding.report(order)
    assert submit(allowed=0b00001)[ALPHA] == LeftOut.BOOK_UNCHANGED
    [order] = [one for one in deciding.show(ALPHA, [(99, 90)], [(101, 2)]) if one["listing"] == ALPHA]
    until = deciding.now_ns + SECOND_NS
    deciding.report(order, ExecType.REPORT_NOT_SENT, Reason.RATE_LIMITED, last_price=1, last_quantity=2,
                    exchange_ns=until)
    deciding.show(ALPHA, [(99, 90)], [(101, 90)])
    assert submit(allowed=0b00001)[ALPHA] == LeftOut.NO_ROOM
    deciding.clear()
    deciding.now_ns = until
    assert len(deciding.submit(BUY, 20, 950, 0b00001, Algorithm.RESTING)) == 1
    assert submit(allowed=0b00001)[ALPHA] == LeftOut.ONE_AT_A_TIME
    [order] = deciding.show(GAMMA, [(99, 90)], [(101, 90)])[:1] or deciding.submit(BUY, 21, 0, 0b00100)
    deciding.report(order, ExecType.REPORT_REJECTED, Reason.INSUFFICIENT_FUNDS)
    deciding.show(GAMMA, [(99, 90)], [(101, 90)])
    assert submit(allowed=0b00100)[GAMMA] == LeftOut.NO_FUNDS
    others = {LeftOut.OTHER_CHOSEN, LeftOut.WAITS_FOR_BETTER, LeftOut.SENT_LATER, LeftOut.NO_RATE,       # elsewhere
              LeftOut.CONDITION_NOT_MET}
    assert set(told) == set(LeftOut) - others
    words = {}
    for why, (parent, index) in told.items():
        line = next(line for line in story(explain(tmp_path, parent))
                    if line.strip().startswith(LISTINGS[index].exchange))
        words.setdefault(line.split(":", 1)[1].split("(")[0], []).append(why)
    assert len(words) == len(told), words


def test_the_exchanges_that_were_not_chosen_are_told(make):
    deciding = make(policy="single")
    for index in (ALPHA, GAMMA):
        deciding.show(index, [(99, 9)], [(101, 9)])
    [order] = deciding.submit(BUY, 50)
    [one] = deciding.decisions()
    chosen = int(order["listing"])
    assert [int(why) for why in one.parts["left_out"][[ALPHA, GAMMA]]].count(LeftOut.OTHER_CHOSEN) == 1
    assert int(one.parts["left_out"][chosen]) == 0
    assert [int(part["alone_quantity"]) for part in one.parts[[ALPHA, GAMMA]]] == [50, 50]
    assert exact(one.parts[chosen]["alone_all_in"]) == min(
        exact(part["alone_all_in"]) for part in one.parts[[ALPHA, GAMMA]])


# -- a recorded run -------------------------------------------------------------------------------------------------


def alone(row, side, ladder, limit, wanted, charge):
    """Of one listing, where no minimum is in the way: whole lots of what is displayed, and their all-in."""
    factor, lot = int(row["quantity_factor"]), int(row["lot"])
    quantity = min(wanted // factor, sum(size for _, size in reference.within(row, side, ladder, limit)))
    quantity -= quantity % lot
    if not quantity:
        return 0, 0
    _, notional = allocation.walk(row, side, ladder, limit, quantity)
    return quantity * factor, allocation.all_in(row, side, quantity, notional, charge)


def test_the_captures_of_a_run_give_the_same_alternatives_to_the_unit(tmp_path):
    with simulation.Simulation(seed=5, server="direct", directory=tmp_path, record=True) as simulated:
        engine = simulated.engine
        for side, quantity, more in (
                ("buy", "30", {}), ("sell", "12", {}), ("buy", "40", {"limit_price": Decimal("60030")}),
                ("sell", "3", {"algorithm": "twap", "slices": 3})):
            engine.run(0.7)
            engine.wait(engine.submit(INSTRUMENT, side, quantity, seconds=2, **more))
        engine.stop()
    found = tca_journal.read(tmp_path)
    [run] = found.runs.values()
    written = list(decision_log.read(tmp_path, run.epoch))
    market = Market(tmp_path, run)
    market.sample([View(0, tuple((int(part["listing"]), int(part["publication"])) for part in one.parts))
                   for one in written], ())
    table = market._core.table
    spread = 0
    for one in written:
        side, limit, wanted = (int(one.head[name]) for name in ("side", "limit_price", "wanted"))
        boards = [market.boards[int(part["listing"]), int(part["publication"])] for part in one.parts]
        name, count = ("asks", "ask_count") if side == BUY else ("bids", "bid_count")
        books = [[(int(level["price"]), int(level["quantity"])) for level in board[name][:int(board[count])]]
                 for board in boards]
        charges = [(0, ())] * len(boards)
        usable = [int(part["left_out"]) == 0 for part in one.parts]
        for index, part in enumerate(one.parts):
            assert plain(part, ("version", "epoch", "receive_ns", "book_state")) == {
                key: int(boards[index][key]) for key in ("version", "epoch", "receive_ns", "book_state")}
            expected = (0, 0)
            if usable[index] and int(one.head["split"]):
                expected = alone(table[index], side, books[index], limit, wanted, charges[index])
            assert (int(part["alone_quantity"]), exact(part["alone_all_in"])) == expected
        given = int(one.head["split"])
        assert exact(one.head["all_in"]) == sum(exact(part["all_in"]) for part in one.parts)
        assert exact(one.head["sweep"]) == reference.sweep(table, side, books, limit, usable, charges, given)
        spread += np.count_nonzero(one.parts["quantity"]) > 1
    assert spread >= 3 and len(written) >= 8


def test_a_sniper_keeps_to_no_exchange_before_it_has_sent_something(make):
    """Policy "single": the exchange is chosen with the first order."""
    deciding = make(policy="single")
    for index in (ALPHA, GAMMA):
        deciding.show(index, [(99 * TENTHS[index], 9)], [(101 * TENTHS[index], 1)])
    assert deciding.submit(BUY, 100, 1100, 0b00101, Algorithm.SNIPER) == []
    orders = deciding.show(GAMMA, [(99 * TENTHS[GAMMA], 9)], [(101 * TENTHS[GAMMA], 90)])
    assert [int(order["listing"]) for order in orders] == [GAMMA]
