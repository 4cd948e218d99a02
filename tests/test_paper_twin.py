"""The paper exchange against its slow twin: random books, trades, orders and cancels, at random moments."""
from hypothesis import given, settings
from hypothesis import strategies as st

from orderflow._core.types import ExecType, Liquidity, OrderType, Reason, TimeInForce
from tests.paper_desk import BUY, MILLISECOND_NS, SELL, PaperDesk
from tests.reference import paper as reference

#: Prices lie close together, so that orders, levels and trades meet; quantities are small, so that levels are emptied.
PRICES = st.integers(9997, 10003)
QUANTITIES = st.integers(1, 8)
SIDES = st.sampled_from([BUY, SELL])
GAPS = st.sampled_from([0, 0, 1, 3, 7, 40, 1500])
SIDE = st.lists(QUANTITIES, min_size=3, max_size=4) | st.lists(QUANTITIES, max_size=4)
BOOK = st.fixed_dictionaries({"what": st.just("book"), "middle": st.sampled_from([10000] * 4 + [9999, 10001, 9998]),
                              "bids": SIDE, "asks": SIDE, "late": st.integers(0, 2)})
TRADE = st.fixed_dictionaries({"what": st.just("trade"), "taker": SIDES, "price": PRICES, "quantity": QUANTITIES,
                               "late": st.integers(0, 5)})
ORDER = st.fixed_dictionaries({
    "what": st.just("order"), "side": SIDES, "price": PRICES, "quantity": QUANTITIES,
    "order_type": st.sampled_from([OrderType.LIMIT] * 12 + [OrderType.MARKET]),
    "time_in_force": st.sampled_from([TimeInForce.GTC] * 5 + [TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTD]),
    "post_only": st.sampled_from([False] * 4 + [True]), "lives_ms": st.integers(0, 200),
    "display": st.sampled_from([0] * 4 + [1, 2, 3])})
CANCEL = st.fixed_dictionaries({"what": st.just("cancel"), "number": st.integers(1, 12)})
GAP = st.fixed_dictionaries({"what": st.just("gap")})
EVENT = st.integers(0, 29).flatmap(lambda kind: (BOOK, TRADE, ORDER)[kind % 3] if kind < 27 else
                                   (CANCEL, CANCEL, GAP)[kind - 27])
EVENTS = st.lists(st.tuples(GAPS, EVENT), min_size=10, max_size=80)
#: Of an iceberg: eight in threes are three.
MOST_PARTS = 4
FEES = st.integers(-2000, 100_000)


class Pair:
    """A desk and its twin that are told the same."""

    def __init__(self, order_ms, report_ms, maker_fee, taker_fee, restless):
        self.desk = PaperDesk(order_ms=order_ms, report_ms=report_ms, maker_fee=f"{maker_fee}e-8",
                              taker_fee=f"{taker_fee}e-8", most_parts=MOST_PARTS)
        self.twin = reference.Paper(order_ms * MILLISECOND_NS, report_ms * MILLISECOND_NS, maker_fee, taker_fee,
                                    most_parts=MOST_PARTS)
        self.restless = restless                # whether the loop looks whenever something is due, or at frames only
        self.shown = {BUY: {}, SELL: {}}
        self.numbers = 0
        self.live = False

    @property
    def now_ns(self):
        return self.desk.ms * MILLISECOND_NS

    def wait(self, milliseconds):
        if self.restless:
            self.desk.run(milliseconds)
            self.twin.advance(self.now_ns + 1)
        else:
            self.desk.ms += milliseconds

    def tell(self, event):
        """An event, and one look of the loop, which ends with what is due by then."""
        getattr(self, event.pop("what"))(**event)
        self.desk.step()
        self.twin.advance(self.now_ns + 1)

    def book(self, middle, bids, asks, late):
        """The levels around a price, which is nobody's; a snapshot where the book was not LIVE."""
        after = {BUY: {middle - 1 - place: quantity for place, quantity in enumerate(bids)},
                 SELL: {middle + 1 + place: quantity for place, quantity in enumerate(asks)}}
        exchange_ms = max(0, self.desk.ms - late)
        if self.live:
            changes = [{price: after[side].get(price, 0) for price in {*self.shown[side], *after[side]}
                        if after[side].get(price) != self.shown[side].get(price)} for side in (BUY, SELL)]
            self.desk.book(*changes, exchange_ms=exchange_ms)
        else:
            self.desk.book(after[BUY], after[SELL], kind="snapshot", exchange_ms=exchange_ms)
        self.live, self.shown = True, after
        self.twin.on_book({side: dict(after[side]) for side in after}, exchange_ms * MILLISECOND_NS, self.now_ns)

    def trade(self, taker, price, quantity, late):
        exchange_ms = max(1, self.desk.ms - late)
        self.desk.trade(taker, price, quantity, exchange_ms)
        self.twin.on_trade(taker, price, quantity, exchange_ms * MILLISECOND_NS, self.now_ns)

    def order(self, side, price, quantity, order_type, time_in_force, post_only, lives_ms, display):
        self.numbers += 1
        expire_ms = self.desk.ms + lives_ms
        price = price if order_type == OrderType.LIMIT else 0
        display = display if time_in_force == TimeInForce.GTC else 0
        self.desk.order(self.numbers, side, quantity, price, time_in_force, post_only, expire_ms, display)
        self.twin.send(reference.Order(self.numbers, side, price, quantity, order_type, time_in_force, post_only,
                                       expire_ms * MILLISECOND_NS, display), self.now_ns)

    def cancel(self, number):
        if number <= self.numbers:
            self.desk.cancel(number)
            self.twin.send(number, self.now_ns)

    def gap(self):
        """An update is missing."""
        self.desk.book({}, {}, skip=1)
        self.live = False
        self.twin.on_book(None, 0, self.now_ns)

    def agree(self):
        self.desk.run(10_000)
        self.twin.advance(self.now_ns + 1)
        told = [_fields(report) for report in self.desk.raw
                if report["exec_type"] not in (ExecType.REPORT_SENT, ExecType.REPORT_NOT_SENT)]
        assert told == [report[1:] for report in self.twin.reports]
        if self.restless:                       # then each came at the moment it was due
            assert [int(report["receive_ns"]) for report in self.desk.raw if report["exec_type"] not in (
                ExecType.REPORT_SENT, ExecType.REPORT_NOT_SENT)] == [report[0] for report in self.twin.reports]
        assert self.desk.loop.open_orders == len(self.twin.orders)


def _fields(report):
    """As the twin has them, without when it came."""
    liquidity = int(report["liquidity"])
    return (int(report["exchange_ns"]), int(report["client_order_id"]),
            ExecType(int(report["exec_type"])).name.removeprefix("REPORT_"), Reason(int(report["reason"])).name,
            int(report["cumulative_quantity"]), int(report["last_price"]), int(report["last_quantity"]),
            int(report["fee"]), Liquidity(liquidity).name if liquidity else "")


@settings(max_examples=400)
@given(EVENTS, st.sampled_from([0, 1, 10]), st.sampled_from([0, 2, 25]), FEES, FEES, st.booleans())
def test_same_as_twin(events, order_ms, report_ms, maker_fee, taker_fee, restless):
    pair = Pair(order_ms, report_ms, maker_fee, taker_fee, restless)
    pair.desk.ms = 1000
    pair.book(10000, [5, 5, 5], [5, 5, 5], 0)
    for gap, event in events:
        pair.wait(gap)
        pair.tell(dict(event))
    pair.agree()


#: Near the touch, windows away from it, and off the grid of five: a book keeps these three apart (ladder.pxd).
FAR = st.one_of(st.integers(1, 400), st.integers(1, 400).map(lambda price: 5 * price), st.integers(1, 60_000))


@settings(max_examples=150)
@given(st.dictionaries(FAR, QUANTITIES, min_size=1, max_size=60), SIDES, st.data())
def test_a_walk_meets_every_level_once_best_first(levels, side, data):
    """Of books whose levels lie near the touch, far from it and off today's grid."""
    asks = {100_000 + price: quantity for price, quantity in levels.items()}
    bids = {100_000 - price: quantity for price, quantity in levels.items()}
    desk = PaperDesk(bids, asks, tick="0.05")
    book = asks if side == BUY else bids
    wanted = data.draw(st.integers(1, sum(book.values()) + 1))
    desk.order(1, side, wanted)
    desk.run(20)
    expected = []
    for price in sorted(book, reverse=side == SELL):
        part = min(book[price], wanted - sum(quantity for _, quantity in expected))
        expected += [(price, part)] if part else []
    assert desk.fills(1) == expected
