"""An engine on one simulated exchange whose private side can be made to fail: what it says of orders is lost, held
back, repeated or turned round, and its REST calls are answered with something else. On a virtual clock.

`alpha` speaks Binance's protocol, `gamma` Kraken's.
"""
from collections import Counter
from dataclasses import replace
from decimal import Decimal

from orderflow._core.types import OrderStatus, Side
from orderflow.engine import Engine
from orderflow.exchanges import session_for
from orderflow.research.simulation import DIRECT_START_NS, INSTRUMENT, LIMITS, VENUES, session_of, simulator_settings
from orderflow.servers.direct import DirectServer
from orderflow.servers.token_bucket import TokenBucket
from orderflow.simulator.launch import build
from tests import somebody

EXCHANGES = ("alpha", "gamma")
PRIVATE = ("/api/v3/order", "/api/v3/openOrders", "/api/v3/allOrders", "/api/v3/myTrades", "/0/private/OpenOrders",
           "/0/private/ClosedOrders", "/0/private/QueryTrades")
ACCOUNT = ("/api/v3/account", "/0/private/Balance", "/0/private/TradesHistory")


class World:
    """See the module. `account_answer` is there from the beginning; `of_session` replaces settings of the session.

    Attributes
    ----------
    mute : bool
        Nothing of what the order connection says arrives.
    told : callable(list) -> list
        What arrives of what it says at one moment.
    deaf : bool
        No order arrives at the exchange.
    answer : callable(path), optional
        To private REST calls, instead of the true one.
    account_answer : callable(path), optional
        To the calls about the account that no question about an order makes, instead of the true one; None from it =
        the true one.
    temper : Temper, optional
        Of the agents, from the beginning, instead of the demonstration's.
    placed : int
        Orders that were sent.
    cancels, amends : int
        Cancels that were sent, and changes in place.
    """

    def __init__(self, name, instruments=(), clock_offset=0.0, account_answer=None, temper=None, **of_session):
        venue = next(venue for venue in VENUES if venue.name == name)
        self.name = name
        settings = simulator_settings(venue, 11, DIRECT_START_NS)
        account = replace(settings.accounts[0], balances=settings.accounts[0].balances | {"ETH": "10000"})
        self.venue = build(replace(settings, accounts=(account,), instruments=instruments or settings.instruments,
                                   clock_offset=clock_offset, temper=temper or settings.temper))
        self.problems, self.asked = [], Counter()
        self.mute = self.deaf = False
        self.told = list
        self.answer, self.account_answer = None, account_answer
        self._watch()
        session = session_of(venue, f"http://{name}", f"ws://{name}")
        if instruments:
            of_session["symbols"] = tuple(one.symbol for one in instruments)
        of_session.setdefault("reconcile_ns", 0)    # what is tested is mostly what happens between rounds
        if of_session:
            session = session_for(venue.protocol, replace(session.settings, **of_session))
        server = DirectServer({name: self.venue}, DIRECT_START_NS, self.problems.append)
        limits = replace(LIMITS, instruments={f"{one}-USDT": LIMITS.instruments[INSTRUMENT] for one in ("BTC", "ETH")})
        self.engine = Engine([session], server, limits=limits, fees={name: (venue.maker_fee, venue.taker_fee)},
                             report=self.problems.append)
        self.engine.start()
        self.orders = next(index for index, line in enumerate(self.engine.conversations[0].lines)
                           if line.endpoint.name == "orders")
        self.ready = True
        self.asked.clear()                  # by the first round
        for host in server.hosts._hosts.values():
            host.requests = TokenBucket(None)   # and what it took of the calls that the exchange allows

    def _watch(self):
        kind, venue = type(self.venue), self.venue

        def drain():
            number = self.engine.server._numbers.get((self.name, self.orders)) if self.ready else None
            said = list(kind.drain(venue))
            others = [each for each in said if each[0] != number]
            return others + ([] if self.mute else self.told([each for each in said if each[0] == number]))

        def message(number, text, now_ns):
            placing = '"order.place"' in text or '"add_order"' in text
            self.placed += placing
            self.cancels += '"order.cancel"' in text or '"cancel_order"' in text
            self.amends += '"order.amend.keepPriority"' in text or '"amend_order"' in text
            if not (self.deaf and placing):
                kind.message(venue, number, text, now_ns)

        def http(method, path, query, headers, body, now_ns):
            if path in PRIVATE:
                self.asked[path.rpartition("/")[2]] += 1
                if self.answer is not None:
                    return self.answer(path)
            if path in ACCOUNT and self.account_answer is not None:
                answer = self.account_answer(path)
                if answer is not None:
                    return answer
            return kind.http(venue, method, path, query, headers, body, now_ns)

        self.placed, self.cancels, self.sellers, self.ready = 0, 0, 0, False
        self.amends = 0
        venue.drain, venue.message, venue.http = drain, message, http

    @property
    def book(self):
        """The exchange's own."""
        return self.venue.source.books[self.engine.core.listings[0].symbol]

    @property
    def tick(self):
        """Of the exchange, scaled integer."""
        return self.book.instrument.tick

    def price(self, scaled):
        """A price of the exchange's own, as a decimal."""
        return Decimal(int(scaled)).scaleb(-self.book.instrument.price_decimals)

    def rest(self, quantity="2", **more):
        """A buy order that joins the twentieth bid, where nobody comes by himself; (parent id, its price as the
        exchange has it)."""
        price = self.book.levels(Side.BUY, 20)[-1][0]
        parent = self.engine.submit(INSTRUMENT, "buy", quantity, self.price(price), exchanges=(self.name,),
                                    algorithm="resting", **more)
        return parent, price

    def resting(self):
        """The exchange's open orders of ours."""
        return [order for order in self.venue.desk.orders.values() if order.is_open]

    def sell(self, price, quantity):
        """Somebody else sells so much to our order at a price, behind everybody whose turn comes before."""
        self.sellers += 1
        somebody.sells(self.venue, self.engine.core.listings[0].symbol, price, quantity, self.sellers,
                       self.engine.now_ns)

    def submit(self, quantity="2", instrument=INSTRUMENT):
        return self.engine.submit(instrument, "buy", quantity)

    def run(self, seconds, until=lambda: False):
        self.engine.run(seconds, until)

    def statuses(self):
        return Counter(OrderStatus(order.status).name for order in self.engine.orders.orders())

    def wait_doubt(self):
        self.run(10, lambda: self.statuses()["IN_DOUBT"] > 0)
        assert self.statuses()["IN_DOUBT"] == 1

    def held(self):
        """The position that our orders gave, by the exchange's own record."""
        desk = self.venue.desk
        return sum((Decimal(order.filled).scaleb(-order.instrument.quantity_decimals)
                    for order in desk.orders.values()), Decimal(0))

    def position(self):
        listing = self.engine.core.listings[0]
        return Decimal(int(self.engine.position(0).net)).scaleb(-listing.quantity_decimals)

    def agrees(self, parent):
        """The parent is filled, position and exchange agree, and nothing was sent twice."""
        state = self.engine.wait(parent, 60)
        assert (state.status, state.filled, state.in_doubt) == ("PARENT_DONE", Decimal(2), 0)
        assert self.position() == self.held() == 2
        assert self.engine.orders.audit() == []
        names = [order.client_id for order in self.venue.desk.orders.values()]
        assert len(names) == len(set(names))
