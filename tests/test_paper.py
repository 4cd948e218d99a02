"""The paper exchange by hand: what an order meets, what it costs, where it stands in the queue. Against its twin:
test_paper_twin.py; in an engine: test_paper_trading.py."""
import json
from decimal import Decimal

import pytest

from orderflow._core.types import ChildKind, CommandKind, ExecType, TimeInForce
from orderflow.exchanges import session_for
from orderflow.exchanges.paper import PaperSettings, paper_exchange
from orderflow.exchanges.session import SessionError, SessionSettings
from orderflow.instrument import Listing
from tests.feed import depth, rest
from tests.paper_desk import BUY, MILLISECOND_NS, SELL, PaperDesk

IOC, FOK, GTD = TimeInForce.IOC, TimeInForce.FOK, TimeInForce.GTD
BIDS, ASKS = {10000: 5000, 9990: 7000}, {10010: 4000, 10020: 6000, 10030: 9000}


@pytest.fixture
def desk():
    return PaperDesk(BIDS, ASKS)


# -- latency ------------------------------------------------------------------------------------------------------


def test_an_order_travels_is_matched_and_its_reports_travel_back(desk):
    assert desk.order(1, BUY, 1000, 10010, IOC) == []
    assert desk.run(14) == []
    assert desk.run(1) == [(15, "NEW", 1), (15, "FILL", 1, 10010, 1000, "TAKER")]
    assert [int(report["exec_type"]) for report in desk.raw][0] == ExecType.REPORT_SENT
    assert all(int(report["exchange_ns"]) == 10 * MILLISECOND_NS for report in desk.raw[1:]), "when it was matched"


def test_it_meets_the_book_of_its_arrival_not_the_one_that_it_was_decided_on(desk):
    desk.order(1, BUY, 1000, 10010, IOC)
    desk.run(9)
    desk.book({}, {10010: 0})
    assert desk.run(20) == [(15, "NEW", 1), (15, "EXPIRED", 1, "NO_LIQUIDITY")]


def test_a_frame_that_comes_after_its_arrival_is_too_late_for_it(desk):
    desk.order(1, BUY, 1000, 10010, IOC)
    desk.ms = 11                                # the loop did not look in between
    desk.book({}, {10010: 0})
    assert desk.run(20)[-1] == (15, "FILL", 1, 10010, 1000, "TAKER")


def test_a_frame_of_the_very_moment_comes_first(desk):
    desk.order(1, BUY, 1000, 10010, IOC)
    desk.ms = 10
    desk.book({}, {10010: 0})
    assert desk.run(20)[-1] == (15, "EXPIRED", 1, "NO_LIQUIDITY")


def test_a_cancel_races_with_what_happens_on_its_way(desk):
    desk.order(1, SELL, 2000, 10020)
    desk.run(100)
    desk.book({10020: 500}, {10010: 0, 10020: 0})       # others now buy at our price: they would have met us
    desk.cancel(1)
    assert desk.run(5) == [(105, "FILL", 1, 10020, 500, "MAKER")]
    desk.book({10020: 1000}, {})
    assert desk.run(50) == [(110, "FILL", 1, 10020, 500, "MAKER"), (115, "CANCELED", 1)]
    assert int(desk.raw[-1]["cumulative_quantity"]) == 1000


def test_a_cancel_that_comes_too_late_is_refused(desk):
    desk.order(1, BUY, 1000, 10010, IOC)
    desk.cancel(1)
    assert desk.run(20)[-2:] == [(15, "FILL", 1, 10010, 1000, "TAKER"), (15, "CANCEL_REJECTED", 1, "UNKNOWN_ORDER")]


# -- taking -------------------------------------------------------------------------------------------------------


def test_levels_are_walked_as_far_as_the_limit(desk):
    desk.order(1, BUY, 12_000, 10020, IOC)
    desk.run(20)
    assert desk.fills(1) == [(10010, 4000), (10020, 6000)]
    assert desk.told[-1][1:] == ("EXPIRED", 1, "NO_LIQUIDITY") and int(desk.raw[-1]["cumulative_quantity"]) == 10_000
    desk.order(2, SELL, 6000)
    desk.run(20)
    assert desk.fills(2) == [(10000, 5000), (9990, 1000)]


def test_what_was_taken_is_not_there_again_until_others_show_more(desk):
    desk.order(1, BUY, 3000, 10010, IOC)
    desk.order(2, BUY, 3000, 10010, IOC)
    desk.run(20)
    assert (desk.fills(1), desk.fills(2)) == ([(10010, 3000)], [(10010, 1000)])
    desk.book({}, {10010: 3500})                # less of it: what we took is still among it
    desk.order(3, BUY, 5000, 10010, IOC)
    desk.run(20)
    assert desk.fills(3) == []
    desk.book({}, {10010: 5000})                # 1.5 more than the 3.5 that are all taken
    desk.order(4, BUY, 5000, 10010, IOC)
    desk.run(20)
    assert desk.fills(4) == [(10010, 1500)]
    desk.book({}, {10010: 0})
    desk.book({}, {10010: 4000})                # it was away: nothing of it is what we took
    desk.order(5, BUY, 5000, 10010, IOC)
    desk.run(20)
    assert desk.fills(5) == [(10010, 4000)]


def test_a_new_snapshot_of_the_same_book_brings_nothing_back(desk):
    desk.order(1, BUY, 4000, 10010, IOC)
    desk.run(20)
    desk.book(BIDS, ASKS, kind="snapshot")
    desk.order(2, BUY, 1000, 10010, IOC)
    desk.run(20)
    assert desk.fills(2) == []


def test_fill_or_kill_fills_all_or_nothing(desk):
    desk.order(1, BUY, 10_001, 10020, FOK)
    desk.order(2, BUY, 10_000, 10020, FOK)
    desk.order(3, BUY, 1, 10020, FOK)
    desk.run(20)
    assert (desk.fills(1), desk.fills(2), desk.fills(3)) == ([], [(10010, 4000), (10020, 6000)], [])
    assert [each[1] for each in desk.told if each[2] == 1] == ["NEW", "EXPIRED"]


def test_more_levels_than_are_remembered_are_not_taken():
    """256 prices; beyond them nothing is there for us, so that nothing is taken twice."""
    desk = PaperDesk({5000: 1000}, {10000 + step: 1 for step in range(300)}, depth=1000)
    desk.order(1, BUY, 300, 10400, FOK)
    desk.order(2, BUY, 300, 10400, IOC)
    desk.run(20)
    assert desk.fills(1) == [] and len(desk.fills(2)) == 256 and desk.told[-1][1] == "EXPIRED"
    desk.book({}, {10000 + step: 0 for step in range(256)})
    desk.order(3, BUY, 300, 10400, IOC)
    desk.run(20)
    assert desk.fills(3) == [(10256 + step, 1) for step in range(44)]


def test_post_only_never_takes(desk):
    desk.order(1, BUY, 1000, 10010, post_only=True)
    desk.order(2, BUY, 1000, 10005, post_only=True)
    assert desk.run(20) == [(15, "REJECTED", 1, "POST_ONLY_WOULD_TAKE"), (15, "NEW", 2)]


@pytest.mark.parametrize(("order", "reason"), [
    ({"quantity": 0, "price": 10000}, "QUANTITY_NOT_POSITIVE"),
    ({"quantity": 10, "price": -1}, "PRICE_NOT_POSITIVE"),
    ({"quantity": 10, "price": 10000, "time_in_force": IOC, "post_only": True}, "EXCHANGE_RULE"),
    ({"quantity": 10, "price": 10000, "time_in_force": 9}, "EXCHANGE_RULE"),
    ({"quantity": 10, "price": 10000, "time_in_force": GTD, "expire_ms": 10}, "EXCHANGE_RULE"),
])
def test_what_any_exchange_refuses_is_refused(desk, order, reason):
    desk.order(1, BUY, **order)
    assert desk.run(20) == [(15, "REJECTED", 1, reason)]


def test_an_order_id_that_is_in_use_is_refused(desk):
    desk.order(1, BUY, 1000, 9000)
    desk.order(1, BUY, 1000, 9000)
    assert desk.run(20) == [(15, "NEW", 1), (15, "REJECTED", 1, "DUPLICATE_ORDER")]


def test_the_exchanges_own_best_prices_count_while_they_are_newer_than_its_book():
    """Binance sends its best bid and ask ahead of its depth: an order meets what the board shows."""
    desk = PaperDesk(protocol="binance_spot")
    desk.frame(depth(101, 101, {}, {}))
    desk.loop.command(CommandKind.SNAPSHOT_BODY, listing=0, payload=json.dumps(rest(101, BIDS, ASKS)).encode())
    desk.step()
    desk.frame({"stream": "s", "data": {"u": 102, "s": "AB", "b": "100.00", "B": "5.000", "a": "100.20",
                                        "A": "1.000"}})
    desk.order(1, BUY, 3000, 10030, IOC)
    desk.run(20)
    assert desk.fills(1) == [(10020, 1000), (10030, 2000)], "100.10 is gone, of 100.20 there is one"
    desk.frame(depth(102, 103, {}, {10010: 0, 10020: 1000}))
    desk.order(2, BUY, 1000, 10020, IOC)
    desk.run(20)
    assert desk.fills(2) == [], "the depth now shows what we took already"


# -- resting ------------------------------------------------------------------------------------------------------


def resting(**options):
    """A desk with an order of 2.000 to buy at 100.00, behind the 5.000 that are shown there."""
    desk = PaperDesk(BIDS, ASKS, **options)
    desk.order(1, BUY, 2000, 10000)
    desk.run(20)
    assert desk.told == [(15, "NEW", 1)]
    return desk


def test_the_queue_by_hand():
    desk = resting()
    desk.trade(SELL, 10000, 3000)               # 2.000 of those that were there first are left
    desk.book({10000: 2000}, {})
    desk.book({10000: 12_000}, {})              # 10.000 come behind us
    desk.book({10000: 4000}, {})                # 8.000 leave: there are so many behind us
    assert desk.run(10) == []
    desk.trade(SELL, 10000, 2500)               # the 2.000, and 0.500 of ours
    assert desk.run(10) == [(35, "FILL", 1, 10000, 500, "MAKER")]
    desk.trade(SELL, 10000, 10_000)
    assert desk.run(10)[0][3:] == (10000, 1500, "MAKER")


def test_a_decrease_is_ahead_of_us_only_where_it_must_be():
    desk = resting()
    desk.book({10000: 9000}, {})                # 4.000 behind us
    desk.book({10000: 3000}, {})                # 6.000 leave: two of them must have been ahead
    desk.run(2000)
    desk.trade(SELL, 10000, 3000)
    assert desk.run(10) == []
    desk.trade(SELL, 10000, 1)
    assert [each[3:5] for each in desk.run(10)] == [(10000, 1)]


def test_a_decrease_and_the_trade_that_explains_it_count_once():
    desk = resting()
    desk.book({10000: 2000}, {})                # the book tells first
    desk.run(500)
    desk.trade(SELL, 10000, 3000)               # that was it
    desk.trade(SELL, 10000, 2000)
    assert desk.run(10) == []
    desk.trade(SELL, 10000, 1)
    assert len(desk.run(10)) == 1


def test_a_decrease_is_not_explained_by_a_trade_long_after_it():
    desk = resting()
    desk.book({10000: 2000}, {})
    desk.run(1001)
    desk.trade(SELL, 10000, 2001)
    assert [each[3:5] for each in desk.run(10)] == [(10000, 1)]


def test_buyers_do_not_serve_buyers():
    desk = resting()
    desk.trade(BUY, 10000, 50_000)
    desk.trade(BUY, 9990, 50_000)
    assert desk.run(10) == []


def test_our_own_orders_stand_behind_each_other():
    desk = resting()
    desk.book({10000: 6000}, {})
    desk.order(2, BUY, 1000, 10000)             # 6.000 of others ahead of it, and our 2.000
    desk.run(20)
    desk.trade(SELL, 10000, 5500)
    desk.run(10)
    assert (desk.fills(1), desk.fills(2)) == ([(10000, 500)], [])
    desk.trade(SELL, 10000, 2700)               # the rest of the first, the 1.000 between them, and 0.200
    desk.run(10)
    assert (desk.fills(1), desk.fills(2)) == ([(10000, 500), (10000, 1500)], [(10000, 200)])


def test_a_trade_at_a_worse_price_serves_us_first_up_to_what_it_traded():
    desk = resting()
    desk.trade(SELL, 9990, 1500)
    assert [each[3:] for each in desk.run(10)] == [(10000, 1500, "MAKER")]
    desk.trade(SELL, 9980, 1500)
    assert [each[3:] for each in desk.run(10)] == [(10000, 500, "MAKER")]


def test_who_shows_our_price_on_the_other_side_would_have_met_us():
    desk = resting()
    desk.book({10000: 0}, {10000: 1200})
    assert [each[3:] for each in desk.run(10)] == [(10000, 1200, "MAKER")]
    desk.book({}, {10000: 1100})
    assert desk.run(10) == [], "those are the same"
    desk.book({}, {9990: 5000})
    assert [each[3:] for each in desk.run(10)] == [(10000, 800, "MAKER")], "at our price, which they would have got"


def test_what_remains_of_an_order_that_took_rests(desk):
    desk.order(1, BUY, 6000, 10010)
    desk.run(20)
    assert desk.fills(1) == [(10010, 4000)] and desk.told[-1][1] == "FILL"
    desk.book({}, {10010: 3900})                # what we took is still shown: nobody new
    assert desk.run(10) == []
    desk.book({}, {10010: 4900})
    assert [each[3:] for each in desk.run(10)] == [(10010, 1000, "MAKER")]
    desk.book({}, {10010: 0})
    desk.trade(SELL, 10010, 500)                # nobody is ahead of us there
    assert [each[3:] for each in desk.run(10)] == [(10010, 500, "MAKER")]


def test_trades_that_are_older_than_the_book_that_it_met_were_before_it():
    desk = PaperDesk(BIDS, ASKS)
    desk.run(100)
    desk.book({10000: 5000}, {}, exchange_ms=90)
    desk.order(1, BUY, 2000, 10000)
    desk.run(20)
    desk.trade(SELL, 9990, 1000, exchange_ms=90)
    assert desk.run(10) == []
    desk.trade(SELL, 9990, 1000, exchange_ms=91)
    assert len(desk.run(10)) == 1


def test_where_the_exchange_does_not_tell_of_a_price_the_queue_is_not_known():
    """It tells of its best level only: what others have below that nobody knows."""
    desk = PaperDesk({10000: 5000}, {10010: 4000}, depth=1)
    desk.order(1, BUY, 2000, 9990)
    desk.run(20)
    desk.trade(SELL, 9990, 100)
    assert desk.run(10) == [], "how many were there first?"
    desk.book({10000: 0, 9990: 3000}, {})       # now it is the best: 3.000 may all have been before us
    desk.trade(SELL, 9990, 3001)
    assert [each[3:5] for each in desk.run(10)] == [(9990, 1)]


def test_good_till_date_ends_by_itself(desk):
    desk.order(1, BUY, 2000, 10000, GTD, expire_ms=70)
    desk.order(2, BUY, 2000, 10000, GTD, expire_ms=60)
    assert desk.run(100) == [(15, "NEW", 1), (15, "NEW", 2), (65, "EXPIRED", 2, "END_TIME"),
                             (75, "EXPIRED", 1, "END_TIME")]


# -- a book that is not LIVE --------------------------------------------------------------------------------------


def test_nothing_fills_while_the_book_is_not_live():
    desk = resting()
    desk.order(2, BUY, 1000, 10010, IOC)
    desk.order(3, BUY, 1000, 10010)
    desk.order(4, BUY, 1000, 10020, post_only=True)
    desk.book({}, {}, skip=1)                   # an update is missing: STALE, with three orders on their way
    desk.trade(SELL, 9000, 50_000)
    assert desk.run(30) == [(35, "NEW", 2), (35, "EXPIRED", 2, "BOOK_NOT_LIVE"), (35, "NEW", 3), (35, "NEW", 4)]
    desk.order(5, BUY, 1000, 10010, IOC)        # the gate lets none go there
    assert desk.told[-1][1:] == ("NOT_SENT", 5, "BOOK_NOT_LIVE")
    desk.book({10000: 9000}, {10010: 600, 10015: 5000}, kind="snapshot")
    assert desk.run(10) == [(55, "EXPIRED", 4, "POST_ONLY_WOULD_TAKE"), (55, "FILL", 3, 10010, 600, "TAKER")]
    desk.trade(SELL, 10000, 5401)               # 5.000 are ahead of the first as before: none proved to be gone
    assert desk.fills(1) == [] and [each[2:5] for each in desk.run(10)] == [(3, 10010, 400), (1, 10000, 1)]


# -- cancels, questions, kill -------------------------------------------------------------------------------------


def test_a_question_is_answered(desk):
    desk.order(1, BUY, 6000, 10010)
    desk.run(20)
    desk.again(1, ChildKind.ASK_ORDER)
    assert desk.run(20) == [(35, "STATUS", 1), (35, "ASKED", 1)]
    assert int(desk.raw[-2]["cumulative_quantity"]) == 4000 and desk.raw[-2]["reconciliation"] == 1


def test_an_order_of_an_earlier_run_has_ended_with_it(desk):
    desk.order(7, BUY, 1000, 9000, kind=ChildKind.ADOPT_ORDER)
    assert desk.loop.open_orders == 1
    desk.again(7, ChildKind.ASK_ORDER)
    assert desk.run(20) == [(15, "EXPIRED", 7, "RESTARTED"), (15, "ASKED", 7)]
    assert desk.loop.open_orders == 0


def test_a_kill_cancels_what_rests_and_nothing_more_leaves(desk):
    for number in range(1, 41):
        desk.order(number, BUY, 1000, 9000 + number)
    desk.run(20)
    desk.core.kill.pull(None, None)
    desk.step()
    assert desk.core.kill.progress("test")["cancels"] == 40
    desk.order(41, BUY, 1000, 9000)
    assert desk.told[-1][1:] == ("NOT_SENT", 41, "TRADING_HALTED")
    told = desk.run(30)
    assert {each[1] for each in told} == {"CANCELED"} and {each[2] for each in told} == set(range(1, 41))
    assert desk.loop.open_orders == 0
    desk.run(70_000)                            # and no cancel is repeated for what has ended
    assert len(desk.told) == 40 + 1 + 40


# -- fees ---------------------------------------------------------------------------------------------------------


def test_fees_of_the_listing_in_what_is_received_rounded_up():
    desk = PaperDesk(BIDS, ASKS, maker_fee="-0.0001", taker_fee="0.00075")
    desk.order(1, BUY, 4001, 10020, IOC)
    desk.order(2, SELL, 1000, 10000, IOC)
    desk.order(3, SELL, 1000, 10030)
    desk.run(20)
    desk.trade(BUY, 10040, 1000)
    desk.run(20)
    fills = [report for report in desk.raw if report["exec_type"] == ExecType.REPORT_FILL]
    assert {int(report["fee_decimals"]) for report in fills} == {8}
    charged = [(desk.session.assets[int(report["fee_asset"])], Decimal(int(report["fee"])).scaleb(-8))
               for report in fills]
    assert charged == [("A", Decimal("0.003")), ("A", Decimal("0.00000075")), ("B", Decimal("0.075")),
                       ("B", Decimal("-0.01003"))]


def test_what_is_not_known_of_an_exchange_is_not_traded_on_paper():
    perpetual = Listing("test", "AB", "A-B-PERPETUAL", "A", "B", 2, 3, Decimal("0.01"), Decimal("0.001"))
    for protocol, told in (("okx", "what OKX charges its fees in is not known here.*set trade = false"),
                           ("bybit_v5", "AB is no spot listing")):
        session = session_for(protocol, SessionSettings("test", symbols=("AB",), paper=PaperSettings()))
        with pytest.raises(SessionError, match=told):
            paper_exchange(session, [perpetual])


@pytest.mark.parametrize("protocol", ["binance_spot", "kraken_v2", "coinbase", "bitstamp", "gemini", "bybit_v5"])
def test_a_purchase_pays_in_what_the_exchange_takes(protocol):
    listing = Listing("test", "AB", "A-B", "A", "B", 2, 3, Decimal("0.01"), Decimal("0.001"))
    session = session_for(protocol, SessionSettings("test", symbols=("AB",), paper=PaperSettings()))
    paper_exchange(session, [listing])
    assert session.assets == ["A", "B"]
    assert session.facts.fees_in == ("received" if protocol in ("binance_spot", "bybit_v5") else "quote")


# -- icebergs ---------------------------------------------------------------------------------------------------------


def test_what_an_iceberg_shows_next_joins_at_the_end_of_the_queue():
    """Three of others stand before it, and before each of its parts."""
    desk = PaperDesk({10000: 3}, {10002: 5}, most_parts=3)
    desk.order(1, BUY, 6, 10000, display=2)
    desk.run(20)
    filled = []
    for quantity in (5, 2, 3, 4, 1):
        desk.trade(SELL, 10000, quantity)
        desk.run(20)
        filled.append(sum(size for _, size in desk.fills(1)))
    assert filled == [2, 2, 4, 5, 6]
    assert desk.told[-1][1] == "FILL" and {price for price, _ in desk.fills(1)} == {10000}


def test_what_meets_an_iceberg_from_the_other_side_or_trades_through_it_meets_all_of_it():
    desk = PaperDesk({10000: 3}, {10002: 5}, most_parts=3)
    desk.order(1, BUY, 6, 10000, display=2)
    desk.order(2, SELL, 6, 10002, display=2)
    desk.run(20)
    desk.trade(SELL, 9999, 5)
    desk.book({10000: 0, 10002: 4}, {10002: 0, 10003: 5})
    desk.run(20)
    assert sum(size for _, size in desk.fills(1)) == 5 and sum(size for _, size in desk.fills(2)) == 4


@pytest.mark.parametrize(("more", "reason"), [
    ({"quantity": 7}, "EXCHANGE_RULE"), ({"display": 6}, "EXCHANGE_RULE"), ({"display": -1}, "EXCHANGE_RULE"),
    ({"price": 0}, "EXCHANGE_RULE"), ({}, None)])
def test_an_iceberg_that_its_exchange_would_not_take_is_rejected(more, reason):
    desk = PaperDesk({10000: 3}, {10002: 5}, most_parts=3)
    desk.order(1, BUY, **{"quantity": 6, "price": 10000, "display": 2} | more)
    desk.run(20)
    assert [each[3:] for each in desk.told if each[1] == "REJECTED"] == ([(reason,)] if reason else [])
