"""Exchanges that live on while engines come, crash and go: what tests of recovery and of what is carried over share."""
import json
import shutil
from collections import Counter
from dataclasses import replace
from decimal import Decimal

from orderflow._core.client_id import decode
from orderflow._core.journal import RecordKind, read
from orderflow._core.types import OrderStatus
from orderflow.engine import Engine
from orderflow.exchanges import session_for
from orderflow.exchanges.facts import UNLIMITED
from orderflow.research.simulation import DIRECT_START_NS, INSTRUMENT, LIMITS, VENUES, session_of, simulator_settings
from orderflow.servers.direct import DirectServer
from orderflow.simulator.launch import build

SECOND_NS = 1_000_000_000


class Desk:
    """Two exchanges that live on while engines come and go."""

    NAMES = ("alpha", "gamma")

    @classmethod
    def opened(cls, tmp_path):
        """For a fixture: one whose engine, if it has one in the end, is stopped."""
        made = cls(tmp_path)
        yield made
        if made.engine is not None:
            made.engine.stop()

    def __init__(self, tmp_path):
        self.path = tmp_path
        made = {venue.name: simulator_settings(venue, 11, DIRECT_START_NS) for venue in VENUES
                if venue.name in self.NAMES}
        self.venues = {name: build(replace(one, accounts=(replace(one.accounts[0], tier="unlimited"),)))
                       for name, one in made.items()}      # engines come and go faster than calls are allowed
        self.now_ns = DIRECT_START_NS
        self.mute = False               # nothing of what the order connections say arrives
        self.placed = []                # client ids of every order that an exchange was sent
        self.engine = None
        self.runs = 0
        self.problems = []
        for name, venue in self.venues.items():
            self._watch(name, venue)

    def _watch(self, name, venue):
        kind = type(venue)

        def drain():
            lines = self.engine.conversations[self.NAMES.index(name)].lines
            numbers = [self.engine.server._numbers.get((name, index)) for index, line in enumerate(lines)
                       if line.endpoint.name == "orders"]
            return [(connection, item) for connection, item in kind.drain(venue)
                    if not (self.mute and connection in numbers)]

        def message(number, text, now_ns):
            request = json.loads(text)
            if request.get("method") in ("order.place", "add_order"):
                self.placed.append(request["params"].get("newClientOrderId") or request["params"]["cl_ord_id"])
            kind.message(venue, number, text, now_ns)

        venue.drain, venue.message = drain, message

    def start(self, directory, settings=None, **options):
        """An engine on a directory, at the time that it is now; `settings` are of every session."""
        sessions = [session_of(venue, f"http://{venue.name}", f"ws://{venue.name}") for venue in VENUES
                    if venue.name in self.NAMES]
        sessions = [session_for(one.protocol, replace(one.settings, limits=UNLIMITED, **settings or {}))
                    for one in sessions]
        server = DirectServer({name: self.venues[name] for name in self.NAMES}, self.now_ns, self.problems.append)
        server._opened = 1000 * self.runs       # connections of before are others
        self.runs += 1
        fees = {venue.name: (venue.maker_fee, venue.taker_fee) for venue in VENUES}
        self.engine = Engine(sessions, server, limits=LIMITS, fees=fees, directory=directory,
                             report=self.problems.append, **options)
        return self.engine.start()

    def crash(self):
        """Everything stops at once. The directory that is left."""
        left = self.path / f"left-{self.runs}"
        shutil.copytree(self.engine.directory, left)
        self.now_ns = self.engine.server.now_ns + SECOND_NS
        for name, venue in self.venues.items():
            for (exchange, number) in list(self.engine.server._lines):
                if exchange == name:
                    venue.closed(number)
        self.engine.server.stop = lambda: None      # it says nothing more
        self.engine.close_files()
        return left

    def clear(self, seconds=90):
        """Let time pass until nothing is in doubt."""
        self.engine.run(seconds, lambda: not self.engine.orders.unfinished)
        assert self.engine.orders.unfinished == []

    def statuses(self):
        return Counter(OrderStatus(order.status).name for order in self.engine.orders.orders())

    def agrees(self):
        """Positions, cash and fees are the exchanges' own; no order was sent twice, none is unknown to the journal."""
        for index, listing in enumerate(self.engine.core.listings):
            desk, position = self.venues[listing.exchange].desk, self.engine.position(index)
            signed = [(1 if order.side == 1 else -1, order) for order in desk.orders.values()]
            held = sum((Decimal(sign * order.filled).scaleb(-order.instrument.quantity_decimals)
                        for sign, order in signed), Decimal(0))
            paid = sum((Decimal(sign * order.notional).scaleb(
                -order.instrument.price_decimals - order.instrument.quantity_decimals) for sign, order in signed),
                Decimal(0))
            assert Decimal(position.net).scaleb(-listing.quantity_decimals) == held
            assert Decimal(position.bought_notional - position.sold_notional).scaleb(
                -listing.quantity_decimals - listing.price_decimals) == paid
        assert len(set(self.placed)) == len(self.placed)
        intents = {int(record.decode()["client_order_id"]) for record in read(self.engine.directory)
                   if record.kind == RecordKind.INTENT}
        assert {decode(name) for name in self.placed} <= intents
        assert self.engine.orders.audit() == []

    def rest(self, name, quantity="2", **more):
        """A buy order far behind the best bid; the parent order."""
        listing = next(one for one in self.engine.core.listings if one.exchange == name)
        bids = self.engine.book(name, listing.symbol)["bids"]
        parent = self.engine.submit(INSTRUMENT, "buy", quantity,
                                    Decimal(int(bids[15]["price"])).scaleb(-listing.price_decimals), exchanges=[name],
                                    algorithm="resting", **more)
        self.engine.run(2, lambda: self.statuses()["NEW"] == 1)
        return parent

    def open_orders(self, name):
        """Of the account, as the exchange has them."""
        return [order for order in self.venues[name].desk.orders.values() if order.is_open]
