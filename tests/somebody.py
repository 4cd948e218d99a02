"""What others do on a simulated exchange that a test steps: they trade with our orders, or on our account by hand."""
from decimal import Decimal

from orderflow._core.types import OrderType, Side, TimeInForce
from orderflow.simulator.agents import Action
from orderflow.simulator.order import Order

#: Numbers of their orders: beyond those of the market's own agents.
STRANGERS = 1 << 50


def shown(book, order):
    """What the book has of an open order, which may be an iceberg."""
    resting = book.engine.resting_order(order.order_id)
    return 0 if resting is None else resting[2]


def sells(venue, symbol, price, quantity, number, now_ns):
    """Somebody sells so much to our orders at a price (as the exchange has it), behind everybody whose turn comes
    before; `number` is new each time."""
    book = venue.source.books[symbol]
    ours = sum(shown(book, order) for order in venue.desk.orders.values() if order.is_open and order.price == price
               and order.instrument is book.instrument)
    ahead = sum(size for at, size in book.levels(Side.BUY, 500) if at >= price) - ours
    taken = int(Decimal(quantity).scaleb(book.instrument.quantity_decimals))
    action = Action(0, STRANGERS + number, Side.SELL, price, ahead + taken, TimeInForce.IOC, False)
    venue.source._act(venue, book, action, now_ns)


def quotes(venue, symbol, side, price, quantity, number, now_ns):
    """Somebody's limit order at a price (as the exchange has it); quantity 0 withdraws the one of that number."""
    book = venue.source.books[symbol]
    scaled = int(Decimal(quantity).scaleb(book.instrument.quantity_decimals))
    venue.source._act(venue, book, Action(0, STRANGERS + number, side, price, scaled, TimeInForce.GTC, False), now_ns)


def offers(venue, side, price, quantity, number, now_ns):
    """Somebody wants so much of the one instrument at a price, and it rests; both as the exchange has them. `number` is
    new each time."""
    book, = venue.source.books.values()
    venue.source.catch_up(venue, now_ns)
    venue.source._act(venue, book, Action(0, STRANGERS + number, side, price, quantity, TimeInForce.GTC, False), now_ns)


def places(venue, symbol, side, price, quantity, name, now_ns, post_only=False):
    """An order on our account that is not ours."""
    instrument = venue.source.books[symbol].instrument
    return venue.desk.place(Order(0, venue.desk.accounts[0], instrument, side, OrderType.LIMIT, TimeInForce.GTC, price,
                                  quantity, name, post_only=post_only), now_ns)


def trades(venue, symbol, side, quantity, name, now_ns):
    """The same, that is filled at once: the market is asked for its price first."""
    venue.source.catch_up(venue, now_ns)
    opposite = Side.SELL if side == Side.BUY else Side.BUY
    price = venue.source.books[symbol].levels(opposite, 10)[-1][0]
    order = places(venue, symbol, side, price, quantity, name, now_ns)
    assert order.filled == quantity
    return order
