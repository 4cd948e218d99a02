"""What accounts hold bounds what is sent to each exchange: by what was told, what was filled since, and what is out."""
from decimal import Decimal

import pytest

from orderflow._core.decision_log import LeftOut
from orderflow._core.types import ExecType, Side
from orderflow.instrument import from_scaled
from orderflow.research.simulation import INSTRUMENT
from orderflow.simulator.accounts import AMOUNT_DECIMALS
from tests.deciding import ASSETS, Deciding, listing
from tests.three_exchanges import engines

ALPHA, BETA = 0, 1
UNIT = 10**18
#: Fees of 1 and 2 per cent; alpha is cheaper for buyers and better for sellers.
LISTINGS = (listing("alpha", 0, 0, taker_fee="0.01"), listing("beta", 0, 0, taker_fee="0.02"))


@pytest.fixture
def desk(tmp_path):
    with Deciding(tmp_path, LISTINGS) as made:
        books(made)
        yield made


def books(desk):
    found = []
    for index, (bid, ask) in ((BETA, (98, 102)), (ALPHA, (99, 100))):
        found += desk.show(index, [(bid, 10**6)], [(ask, 10**6)])
    return found


def held(desk, index, asset, amount):
    """The exchange thread tells what the account holds; None = it is not known any more."""
    desk.tell(index, ExecType.REPORT_HELD, fee=(amount or 0) * 10**8, fee_decimals=8, fee_asset=ASSETS.index(asset),
              last_quantity=-1 if amount is None else 0)


def sent(orders):
    return {int(one["listing"]): int(one["quantity"]) for one in orders}


def free(desk, index, side):
    found = desk.engine.risk.free_funds(index, side)
    return None if found is None else Decimal(found) / UNIT


def test_nobody_is_held_back_before_anything_is_known(desk):
    assert free(desk, ALPHA, Side.BUY) is free(desk, ALPHA, Side.SELL) is None
    assert sent(desk.submit(Side.BUY, 1000)) == {ALPHA: 1000}


def test_a_buyer_spends_what_he_has_fees_included_and_the_rest_elsewhere(desk):
    held(desk, ALPHA, "USDT", 10_100)
    assert free(desk, ALPHA, Side.BUY) == 10_100
    assert sent(desk.submit(Side.BUY, 300)) == {ALPHA: 100, BETA: 200}     # 100 at 100 and 1 per cent
    assert free(desk, ALPHA, Side.BUY) == 0


def test_a_seller_sells_what_he_has(desk):
    held(desk, ALPHA, "BTC", 70)
    held(desk, BETA, "BTC", 50)
    assert sent(desk.submit(Side.SELL, 200)) == {ALPHA: 70, BETA: 50}
    assert [free(desk, index, Side.SELL) for index in (ALPHA, BETA)] == [0, 0]


def test_who_has_nothing_is_left_out_and_it_is_told_why(desk):
    held(desk, ALPHA, "USDT", 0)
    assert sent(desk.submit(Side.BUY, 30)) == {BETA: 30}
    assert desk.decisions()[-1].parts["left_out"][ALPHA] == LeftOut.NO_FUNDS


def test_what_is_out_is_tied_up_until_it_ends_and_fills_change_what_is_held(desk):
    held(desk, ALPHA, "USDT", 20_200)
    held(desk, ALPHA, "BTC", 5)
    order, = desk.submit(Side.BUY, 150)
    assert free(desk, ALPHA, Side.BUY) == 20_200 - 15_150
    fee = 40 * 100 * 1                                                      # 1 per cent, in 1e-2
    desk.report(order, ExecType.REPORT_FILL, trade_id=1, last_price=100, last_quantity=40, cumulative_quantity=40,
                fee=fee, fee_decimals=2, fee_asset=ASSETS.index("USDT"))
    assert free(desk, ALPHA, Side.BUY) == 20_200 - 4_040 - 11_110
    assert free(desk, ALPHA, Side.SELL) == 45
    desk.report(order, ExecType.REPORT_CANCELED)
    held(desk, ALPHA, "USDT", 16_160)                                       # as we knew already
    desk.cancel()
    for one in list(desk.out.values()):
        desk.report(one, ExecType.REPORT_CANCELED)
    assert free(desk, ALPHA, Side.BUY) == 16_160


def test_what_is_not_known_any_more_holds_nobody_back(desk):
    held(desk, ALPHA, "USDT", 0)
    held(desk, ALPHA, "USDT", None)
    assert sent(desk.submit(Side.BUY, 30)) == {ALPHA: 30} and free(desk, ALPHA, Side.BUY) is None


def test_on_simulated_exchanges_the_router_knows_what_each_account_can_spend():
    """By the exchanges' own accounts, after trades in both directions."""
    made = engines()
    engine = next(made)()
    engine.run(30)
    for side, quantity in (("buy", "3"), ("sell", "5"), ("buy", "1")):
        engine.wait(engine.submit(INSTRUMENT, side, quantity, seconds=5))
    engine.run(60)
    for index, one in enumerate(engine.core.listings):
        exchange = engine.exchanges[one.exchange]
        account = exchange.desk.accounts[0]
        for side, asset in ((Side.BUY, one.quote), (Side.SELL, one.base)):
            found = engine.risk.free_funds(index, side)
            assert found is not None
            assert Decimal(found) / UNIT == pytest.approx(from_scaled(account.free[asset], AMOUNT_DECIMALS),
                                                          rel=Decimal("1e-12"))
    list(made)
