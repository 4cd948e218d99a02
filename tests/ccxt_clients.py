"""ccxt as its users have it, pointed at simulated exchanges: nothing is changed but the hosts of its addresses."""
import re
from decimal import Decimal

from orderflow.simulator.accounts import AccountSettings, practice_account
from orderflow.simulator.launch import SimulatorSettings, build
from orderflow.simulator.server import SimulatedExchange
from tests.loopback import HOST

NAMES = {"binance_spot": "binance", "kraken_v2": "kraken"}
#: What their users say to trade spot alone.
OPTIONS = {"binance_spot": {"options": {"fetchMarkets": {"types": ["spot"]}}},
           "kraken_v2": {"enableRateLimit": False}}         # it would wait a second between any two calls


def start_venue(protocol, funds="1000", seed=3, faults=None):
    """A simulated exchange behind real sockets, with one account that has `funds` of everything (BTC: a thousandth)."""
    account = practice_account(protocol)
    settings = SimulatorSettings(protocol, protocol, seed=seed, accounts=(account,), funds=funds, faults=faults)
    exchange = SimulatedExchange(build(settings))
    exchange.start()
    return exchange, account


def client_of(module, protocol, exchange, account: AccountSettings):
    """A client of ccxt (`module` ccxt or ccxt.pro) that talks to a simulated exchange."""
    client = getattr(module, NAMES[protocol])(
        {"apiKey": account.api_key, "secret": account.secret, "timeout": 10_000} | OPTIONS[protocol])
    client.urls["api"] = _moved(client.urls["api"], exchange.ports.plain)
    return client


def _moved(urls, port):
    if isinstance(urls, dict):
        return {name: _moved(url, port) for name, url in urls.items()}
    secure = re.match(r"(http|ws)s://[^/]+", urls)
    return urls if secure is None else f"{secure[1]}://{HOST}:{port}{urls[secure.end():]}"


def number(value):
    """What ccxt gives as a float, as the decimal it was written as."""
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(str(value))


def events(exchange, order_id, event):
    """What truly happened to an order: the events of one kind."""
    truth = exchange.call(exchange.exchange.desk.truth)["events"]
    return [one for one in truth if one["order_id"] == order_id and one["event"] == event]


def fills(exchange, order_id):
    """[(price, quantity, fee, fee asset, maker)] of an order's trades."""
    return [(Decimal(one["price"]), Decimal(one["quantity"]), Decimal(one["fee"]), one["fee_asset"],
             one["liquidity"] == "maker") for one in events(exchange, order_id, "filled")]


def balances(exchange):
    """asset -> (free, locked) of the account."""
    (held,) = exchange.call(exchange.exchange.desk.truth)["balances"].values()
    return {asset: (Decimal(one["free"]), Decimal(one["locked"])) for asset, one in held.items()}


def far_below(exchange, symbol):
    """A price, on the grid, that nobody will trade at, as a float."""
    def look():
        book = exchange.exchange.source.books[symbol]
        instrument = book.instrument
        price = book.look()[0] * 9 // 10 // instrument.tick * instrument.tick
        return book.price_text(price)
    return float(exchange.call(look))


def check_equal(order, exchange):
    """A closed order as ccxt has it, against its true fills."""
    true = fills(exchange, order["id"])
    assert true, "nothing was filled"
    assert number(order["filled"]) == sum(quantity for _, quantity, *_ in true)
    cost = sum(price * quantity for price, quantity, *_ in true)
    assert abs(number(order["cost"]) - cost) <= abs(cost) * Decimal("1e-9")


def check_trades(trades, exchange, order_id):
    """Trades as ccxt has them, against the true ones: prices, quantities, fees and who was the maker."""
    mine = sorted((number(one["price"]), number(one["amount"]), number(one["fee"]["cost"]), one["fee"]["currency"],
                   one["takerOrMaker"] == "maker") for one in trades if one["order"] == order_id)
    assert mine == sorted(fills(exchange, order_id))


def check_balances(balance, exchange, assets=None, tolerance=Decimal("1e-8")):
    """Balances as ccxt has them, against the true ones; streams tell of the `assets` that have changed alone."""
    for asset, (free, locked) in balances(exchange).items():
        if assets is not None and asset not in assets:
            continue
        assert abs(number(balance[asset]["total"]) - free - locked) <= tolerance, asset
        if balance[asset]["free"] is not None:
            assert abs(number(balance[asset]["free"]) - free) <= tolerance, asset
            assert abs(number(balance[asset]["used"]) - locked) <= tolerance, asset
