"""Whatever private requests say, a simulated exchange answers them, and its accounts stay right."""
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.test_simulator_binance_trading import QuietTrader as Binance
from tests.test_simulator_kraken_trading import QuietTrader as Kraken

JSON = st.recursive(st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False),
                              st.text(max_size=8), st.sampled_from(["0.1", "50000", "of-1", "-1", "1e9", "NaN"])),
                    lambda inner: st.one_of(st.lists(inner, max_size=3),
                                            st.dictionaries(st.text(max_size=5), inner, max_size=3)), max_leaves=4)
KRAKEN = {
    "add_order": {"order_type": "limit", "side": "buy", "order_qty": 0.1, "symbol": "BTC/USD", "limit_price": 50000},
    "amend_order": {"cl_ord_id": "of-1", "order_qty": 0.2}, "cancel_order": {"cl_ord_id": ["of-1"]},
    "edit_order": {"order_id": "O", "symbol": "BTC/USD", "order_qty": 0.2, "triggers": {}},
    "batch_add": {"symbol": "BTC/USD", "orders": [{}, {}]}, "batch_cancel": {"orders": ["a", 1]},
    "cancel_all_orders_after": {"timeout": 60}, "subscribe": {"channel": "balances"},
}
BINANCE = {
    "order.place": {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "price": "50000.00",
                    "quantity": "0.1"},
    "order.cancel": {"symbol": "BTCUSDT", "origClientOrderId": "of-1"}, "order.status": {"symbol": "BTCUSDT"},
    "order.cancelReplace": {"symbol": "BTCUSDT", "cancelReplaceMode": "ALLOW_FAILURE", "cancelOrderId": "1"},
    "order.amend.keepPriority": {"symbol": "BTCUSDT", "orderId": "1", "newQty": "0.01"},
    "allOrders": {"symbol": "BTCUSDT", "limit": "5"}, "myTrades": {"symbol": "BTCUSDT", "fromId": "1"},
    "openOrders.status": {}, "account.status": {}, "userDataStream.subscribe.signature": {},
}


@st.composite
def requests(draw, known):
    method = draw(st.sampled_from(sorted(known)))
    parameters = dict(known[method])
    for name in draw(st.lists(st.sampled_from(sorted(set().union(*known.values()))), max_size=3)):
        parameters[name] = draw(JSON)
    return method, parameters


@pytest.mark.parametrize("maker, known", [(Kraken, KRAKEN), (Binance, BINANCE)])
def test_every_request_is_answered(maker, known):
    @settings(max_examples=200)
    @given(st.lists(requests(known), min_size=1, max_size=6))
    def ask(asked):
        trader = maker()
        for number, (method, parameters) in enumerate(asked):
            if maker is Kraken:
                request = {"method": method, "params": {"token": trader.token} | parameters, "req_id": number}
            else:
                texts = {name: value if isinstance(value, str) else json.dumps(value, separators=(",", ":"),
                                                                                ensure_ascii=False)
                         for name, value in parameters.items()}
                request = {"id": number, "method": method, "params": trader.signed(texts)}
            trader.exchange.message(1, json.dumps(request), trader.now_ns)
            frames = [json.loads(frame) for _, frame in trader.exchange.drain() if isinstance(frame, str)]
            assert any(frame.get("req_id", frame.get("id")) == number for frame in frames), request
        for account in trader.exchange.desk.accounts:
            assert all(amount >= 0 for held in (account.free, account.locked) for amount in held.values())

    ask()
