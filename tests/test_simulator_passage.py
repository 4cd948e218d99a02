"""Icebergs and self-trade prevention of simulated exchanges, against a twin that does one trade at a time."""
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orderflow._core.types import OrderType, Side, TimeInForce
from orderflow.simulator.accounts import AccountSettings
from orderflow.simulator.agents import Temper
from orderflow.simulator.dialects import dialect
from orderflow.simulator.exchange import SECOND_NS
from orderflow.simulator.instruments import SimulatedInstrument
from orderflow.simulator.market import Market
from orderflow.simulator.order import Order, Rejection, SelfTrade
from tests.reference import passage as reference

START_NS = 1_700_000_000 * SECOND_NS
PAIR = SimulatedInstrument("BTCUSDT", "BTC", "USDT", 0, 0, maker_fee=0, taker_fee=0)
NEVER = 1e-12
QUIET = Temper(near_rate=NEVER, deep_rate=NEVER, noise_rate=NEVER, arbitrage_rate=NEVER)    # nobody else trades
ACCOUNTS = ("one", "two")

PLACE = st.fixed_dictionaries({
    "owner": st.sampled_from(ACCOUNTS), "side": st.sampled_from([Side.BUY, Side.SELL]), "price": st.integers(99, 101),
    "quantity": st.integers(1, 40), "display": st.sampled_from([0, 0, 5, 10]),
    "force": st.sampled_from(["GTC"] * 5 + ["IOC", "FOK"]), "mode": st.sampled_from([mode.value for mode in SelfTrade]),
})


def exchange_of(*names):
    funds = {"USDT": "1000000", "BTC": "10000"}
    accounts = [AccountSettings(name, "secret", balances=funds, name=name) for name in names]
    exchange = dialect("binance_spot")(Market("one", [PAIR], 1, START_NS, QUIET), "one", accounts)
    exchange.advance(START_NS + 1)
    return exchange


def place(exchange, name, owner, side, price, quantity, display=0, force="GTC", mode="NONE", **more):
    account = next(one for one in exchange.desk.accounts if one.settings.name == owner)
    order = Order(0, account, PAIR, side, OrderType.LIMIT, TimeInForce[force], price, quantity, name, display=display,
                  self_trade=SelfTrade(mode), **more)
    return exchange.desk.place(order, START_NS + 2)


def fate(order):
    if order.is_open:
        return "open"
    return order.ending.value or "filled"


@settings(max_examples=300)
@given(st.lists(st.one_of(PLACE, PLACE, PLACE, st.integers(0, 40)), max_size=40))
def test_same_as_twin(steps):
    exchange, twin, orders = exchange_of(*ACCOUNTS), reference.Venue(), {}
    for number, step in enumerate(steps):
        if isinstance(step, int):
            name = f"of-{step % (number + 1)}"
            if name in orders:
                twin.cancel(name)
                if orders[name].is_open:
                    exchange.desk.cancel(orders[name], START_NS + 2)
            continue
        step = step | {"display": step["display"] if step["display"] < step["quantity"] <= 10 * step["display"]
                       and step["force"] == "GTC" else 0}
        orders[f"of-{number}"] = place(exchange, f"of-{number}", **step)
        twin.place(f"of-{number}", **step)
        for name, order in orders.items():
            true = twin.orders[name]
            assert (order.filled, order.prevented, fate(order)) == (true.filled, true.prevented, true.fate), name
        for side in Side.BUY, Side.SELL:
            shown = {}
            for one in twin.orders.values():
                if one.side == side and one.shown:
                    shown[one.price] = shown.get(one.price, 0) + one.shown
            assert dict(exchange.source.books["BTCUSDT"].levels(side, 100)) == shown
        check_money(exchange)
    trades = [(one["client_order_id"], int(one["price"]), int(one["quantity"])) for one in exchange.desk.log
              if one["event"] == "filled" and one["liquidity"] == "maker"]
    assert merged(trades) == merged([(maker, price, quantity) for maker, _, price, quantity in twin.trades])


def merged(trades):
    """Trades of one maker in a row as one: the matching engine may cut them otherwise."""
    found = []
    for maker, price, quantity in trades:
        if found and found[-1][:2] == (maker, price):
            quantity += found.pop()[2]
        found.append((maker, price, quantity))
    return found


def check_money(exchange):
    """Nothing was made or lost, and what is locked is what open orders need."""
    desk, digits = exchange.desk, 10**24
    for asset, total in ("USDT", 2_000_000), ("BTC", 20_000):
        assert sum(account.total(asset) for account in desk.accounts) == total * digits
    for account in desk.accounts:
        needed = {"USDT": 0, "BTC": 0}
        for order in desk.open_orders(account):
            needed["USDT" if order.side == Side.BUY else "BTC"] += order.leaves * (
                order.price if order.side == Side.BUY else 1)
        assert {asset: account.locked.get(asset, 0) for asset in needed} == {
            asset: amount * digits for asset, amount in needed.items()}


def test_an_iceberg_goes_to_the_end_of_the_queue_with_each_part():
    exchange = exchange_of(*ACCOUNTS)
    iceberg = place(exchange, "iceberg", "one", Side.SELL, 100, 20, display=5)
    behind = place(exchange, "behind", "one", Side.SELL, 100, 5)
    place(exchange, "taker", "two", Side.BUY, 100, 7)
    assert (iceberg.filled, behind.filled) == (5, 2)
    place(exchange, "more", "two", Side.BUY, 100, 100)
    assert (iceberg.filled, behind.filled) == (20, 5)


def test_no_quote_ever_shows_more_of_an_iceberg_than_its_display(monkeypatch):
    """From the moment at which it comes, and when some of it took first."""
    exchange, quoted = exchange_of(*ACCOUNTS), []
    monkeypatch.setattr(exchange, "publish_touch", lambda book, at_ns: quoted.append(book.touch[3]))
    place(exchange, "bid", "two", Side.BUY, 100, 3)
    place(exchange, "iceberg", "one", Side.SELL, 100, 20, display=5)
    place(exchange, "taker", "two", Side.BUY, 100, 12)
    assert max(quoted) == 5 and quoted[-1] == 3         # of the last part two are taken


@pytest.mark.parametrize("quantity, price, ahead", [(6, 100, 0), (12, 100, 5), (10, 99, 0)])
def test_an_amendment_keeps_the_turn_only_where_the_quantity_falls(quantity, price, ahead):
    exchange = exchange_of(*ACCOUNTS)
    order = place(exchange, "first", "one", Side.BUY, 100, 10)
    place(exchange, "second", "two", Side.BUY, 100, 5)
    exchange.desk.amend(order, START_NS + 3, quantity=quantity, price=price)
    engine = exchange.source.books["BTCUSDT"].engine
    assert engine.queue_position(order.order_id)[0] == ahead
    assert engine.resting_order(order.order_id)[1:3] == (price, quantity)
    check_money(exchange)


@pytest.mark.parametrize("mode, own, taker", [
    ("EXPIRE_TAKER", "open", "self_trade"), ("EXPIRE_MAKER", "self_trade", "open"),
    ("EXPIRE_BOTH", "self_trade", "self_trade"), ("DECREMENT", "self_trade", "self_trade"),
    ("NONE", "filled", "filled")])
def test_what_stands_before_its_own_order_is_traded_with_first(mode, own, taker):
    exchange = exchange_of(*ACCOUNTS)
    orders = {name: place(exchange, name, owner, Side.SELL, 100, 5)
              for name, owner in (("other", "two"), ("own", "one"))}
    orders["taker"] = place(exchange, "taker", "one", Side.BUY, 100, 10, mode=mode)
    assert (orders["other"].filled, fate(orders["own"]), fate(orders["taker"])) == (5, own, taker)


def test_an_amendment_to_what_is_filled_ends_the_order():
    """FIX D11: a replace to 7000 crosses a fill of 7000."""
    exchange = exchange_of(*ACCOUNTS)
    order = place(exchange, "first", "one", Side.BUY, 100, 10)
    place(exchange, "taker", "two", Side.SELL, 100, 7)
    exchange.desk.amend(order, START_NS + 3, quantity=7)
    assert (fate(order), order.filled, order.quantity) == ("filled", 7, 7)
    assert exchange.source.books["BTCUSDT"].engine.best_bid is None
    check_money(exchange)


def test_an_amendment_that_is_refused_leaves_the_order_as_it_was():
    exchange = exchange_of(*ACCOUNTS)
    order = place(exchange, "first", "one", Side.BUY, 100, 10, post_only=True)
    place(exchange, "other", "two", Side.SELL, 101, 10)
    for wanted in {"price": 101}, {"quantity": 10**7}, {"quantity": 0}:
        with pytest.raises(Rejection):
            exchange.desk.amend(order, START_NS + 3, **wanted)
        assert (order.price, order.quantity, order.leaves) == (100, 10, 10)
        check_money(exchange)
