"""Storms: the native router between scripted exchanges, with everything going wrong at random.

The router is the real one, with its order table, its risk and its journal; only exchange threads are replaced, by
ScriptedExchange, which keeps the truth. A storm is a function of its dice: parents of all algorithms come, change,
pause and go, books move and go stale, exchanges reject, fill in part, say things late, twice or never, die and return.
Then it calms down, and everything must have ended, exactly. `tests/test_routing_stateful.py` has some,
`bench/soak_routing.py` a thousand.
"""
from collections import defaultdict

import numpy as np

from orderflow._core.algos.volume_curve import VolumeCurve
from orderflow._core.allocation import Splitter
from orderflow._core.board import BOARD_ENTRY_DTYPE, Board
from orderflow._core.decision_log import DecisionFiles
from orderflow._core.doorbell import Doorbell
from orderflow._core.input_log import InputLogFiles
from orderflow._core.journal import JournalFiles
from orderflow._core.kill import KillSwitch
from orderflow._core.loop_router import RouterLoop
from orderflow._core.orders import Orders
from orderflow._core.residuals import ResidualLedger
from orderflow._core.ring import Ring
from orderflow._core.types import (
    CHILD_ORDER_DTYPE,
    PARENT_ORDER_DTYPE,
    PARENT_REPORT_DTYPE,
    WAKE_DTYPE,
    Algorithm,
    BookState,
    ChildKind,
    OrderFlag,
    ParentKind,
    ParentStatus,
    Side,
    Tactic,
    TimeInForce,
    TradingState,
)
from tests.scripted_exchange import MS, ScriptedExchange
from tests.storm_listings import AMENDS, LISTINGS, MIDS, MOST_PARTS, NAMES, STRATEGIES, listings, risk_book

START_NS = 1_800_000_000 * 1000 * MS
PACED = (Algorithm.TWAP, Algorithm.SHORTFALL, Algorithm.CLOSE, Algorithm.POV, Algorithm.ADAPTIVE_SHORTFALL,
         Algorithm.PRICE_INLINE, Algorithm.MINIMAL_IMPACT, Algorithm.LIQUIDITY_SEEKING, Algorithm.VWAP)
REACTING = (Algorithm.ADAPTIVE_SHORTFALL, Algorithm.PRICE_INLINE)
#: Of those nothing is ever shown.
HIDDEN = (Algorithm.MINIMAL_IMPACT, Algorithm.LIQUIDITY_SEEKING)
#: Rounds at one moment, of a few hundred orders.
MOST_ROUNDS = 10_000
FOLLOWING = (Algorithm.PRIMARY_PEG, Algorithm.MID_PEG, Algorithm.MARKET_PEG, Algorithm.JOIN)
ONCE = (Algorithm.SNIPER, Algorithm.SWEEP)
#: What happens, and how often. In every storm some of it happens much more often than in others (after A. Groce et al.,
#: "Swarm testing", ISSTA 2012): what is rare everywhere meets nothing else that is rare.
ACTIONS = {"submit": 9, "move": 6, "cancel": 1, "replace": 3, "pause": 1, "resume": 2, "trade": 4, "end": 1, "stale": 1,
           "empty": 1, "disconnect": 1, "connect": 3, "limit": 1, "deafen": 1, "hear": 3, "wait": 1}
FAVOURITES, MORE = 2, 12
ENDED = (ParentStatus.PARENT_DONE, ParentStatus.PARENT_DENIED)


class Storm:
    """One storm; `wrong` says in words what should not have been. What must hold in the end: storm_books.py.

    Parameters
    ----------
    dice : random.Random
        Decides everything.
    directory : path
        Of its journal.
    """

    def __init__(self, dice, directory):
        self.dice, self.now_ns, self.wrong = dice, START_NS, []
        self.table = listings()
        self.journal = JournalFiles(directory, segment_bytes=1 << 19, unix_offset_ns=0, instance=0)
        self._log = InputLogFiles(directory, "router", self.journal.epoch, segment_bytes=1 << 18)
        self._decisions = DecisionFiles(directory, self.journal.epoch, segment_bytes=1 << 18)
        self.orders = Orders(self.table, self.journal.prefix, orders=2048, parents=64, fills=8192,
                             listings_per_instrument=3)
        self.residuals = ResidualLedger(STRATEGIES, 2)
        self.board = Board(len(LISTINGS))
        self._parents, self._parent_reports = Ring(64, 128), Ring(4096, 128)
        self._pending = np.zeros(len(LISTINGS), np.uint8)
        self._rings = [{"wakes": Ring(16, 64), "reports": Ring(4096, 128), "orders": Ring(1024, 128)} for _ in NAMES]
        ports = [(name, rings["wakes"], rings["reports"], rings["orders"], Doorbell(), amends)
                 for name, rings, amends in zip(NAMES, self._rings, AMENDS, strict=True)]
        self.router = RouterLoop(
            self.table, ports, self.board, self._pending, np.zeros(len(LISTINGS), np.uint8), self.orders,
            risk_book(self.table), self.residuals, self.journal, self._log, self._decisions,
            Splitter(self.table, depth=20), self._parents,
            self._parent_reports, Ring(16, 64), Doorbell(), Doorbell(), np.zeros(1, np.uint8),
            KillSwitch(list(NAMES)), unix_offset_ns=0, now_ns=self.now_ns,
            curves=[VolumeCurve(np.full(288, 1e6)), None])
        self.exchanges = [ScriptedExchange(dice, {i: row[2] for i, row in enumerate(LISTINGS)}, rings["reports"].push)
                          for rings in self._rings]
        self._stale = [False] * len(LISTINGS)
        self._versions, self._traded = [0] * len(LISTINGS), [0] * len(LISTINGS)
        self._epochs = [1] * len(NAMES)
        favourites = [dice.choice(list(ACTIONS)) for _ in range(FAVOURITES)] * MORE
        self._weighed = [action for action, times in ACTIONS.items() for _ in range(times)] + favourites
        self.asked = {}                 # by parent id: the PARENT_ORDER_DTYPE record
        self.raised = defaultdict(int)  # by parent id: the largest quantity that it was ever replaced by
        self.told = {}                  # by parent id: its last report
        self.icebergs = 0               # that exchanges were given to refill
        self.gone = None                # an exchange that stayed away in the end
        self.children = defaultdict(list)
        self.router.set_state(TradingState.ACTIVE)
        for listing in range(len(LISTINGS)):
            self.publish(listing)

    def close(self):
        """Files; idempotent."""
        self.journal.close()
        self._log.close()
        self._decisions.close()

    # -- what happens -----------------------------------------------------------------------------------------------

    def step(self):
        """Something happens."""
        self.happen(self.dice.choice(self._weighed))

    def happen(self, action):
        """One of ACTIONS; time passes, with everything that follows by then."""
        getattr(self, action)()
        self.move()
        self.settle()
        self.pass_time(self.dice.choice((1, 5, 20, 60, 200, 200, 700, 700)) * MS)

    def submit(self):
        """A parent order of any kind."""
        dice = self.dice
        instrument, side = dice.randint(0, 1), dice.choice((Side.BUY, Side.SELL))
        algorithm = dice.choice((*[Algorithm.IMMEDIATE] * 4, *[Algorithm.RESTING] * 3, *FOLLOWING, *ONCE,
                                 *(PACED if instrument == 0 else PACED[:-1])))      # of the first there is a curve
        away, rests = dice.choice((-40, -2, 0, 0, 3, 30, 30, 30)), algorithm == Algorithm.RESTING
        hides = rests or algorithm in FOLLOWING
        display = 3_000 if algorithm in REACTING else dice.choice((0, 150, 700)) if hides else 0
        ends = algorithm in (*PACED, Algorithm.JOIN) or dice.random() < 0.5
        completes = ends and algorithm not in (Algorithm.IMMEDIATE, *ONCE) and dice.random() < 0.3
        self.order(
            strategy=dice.randint(0, 2), instrument=instrument, side=side, algorithm=algorithm,
            quantity=dice.choice((7, 60, 200, 700, 3_000, 10_000)) + dice.randint(0, 15),
            limit_price=MIDS[instrument] + away * (1 if side == Side.BUY else -1) if away or rests
            or algorithm == Algorithm.SNIPER else 0,
            listings=dice.choice((1, 2, 4) if rests else (0, 0, dice.randint(1, 7))),
            display=display, with_residual=dice.random() < 0.5, offset=dice.choice((0, 0, -1, 2)),
            flags=OrderFlag.MUST_COMPLETE if completes else 0, urgency=dice.choice((0, 10, 50, 100)),
            end_ns=self.now_ns + dice.randint(100, 20_000) * MS if ends else 0,
            slices=dice.randint(1, 8), randomness=dice.choice((0, 30)), curvature=dice.choice((0.5, 3.0)),
            participation=dice.randint(10_000, 600_000),
            tactic=dice.choice(list(Tactic)) if algorithm in PACED and algorithm not in HIDDEN else 0)

    def order(self, **fields):
        """A parent order; its id."""
        record = np.zeros(1, PARENT_ORDER_DTYPE)[0]
        record["parent_id"], record["kind"] = len(self.asked) + 1, ParentKind.SUBMIT_PARENT
        record["created_ns"] = record["start_ns"] = record["start_unix_ns"] = self.now_ns
        for name, value in ({"algorithm": Algorithm.IMMEDIATE, "side": Side.BUY} | fields).items():
            record[name] = value
        self.asked[len(self.asked) + 1] = record
        assert self._parents.push(record)
        return len(self.asked)

    def about(self, kind, **fields):
        """Something about one of the last parent orders; its id, 0 = there is none yet."""
        if not self.asked:
            return 0
        record = np.zeros(1, PARENT_ORDER_DTYPE)[0]
        for name, value in ({"parent_id": self.dice.choice(sorted(self.asked)[-6:]), "kind": kind} | fields).items():
            record[name] = value
        assert self._parents.push(record)
        return int(record["parent_id"])

    def cancel(self):
        self.about(ParentKind.CANCEL_PARENT)

    def pause(self):
        self.about(ParentKind.PAUSE_PARENT)

    def resume(self):
        self.about(ParentKind.RESUME_PARENT)

    def replace(self):
        quantity = self.dice.choice((0, 10, 80, 900, 6_000))
        price = self.dice.choice((0, 0, MIDS[0] + self.dice.randint(-5, 5), MIDS[1]))
        parent = self.about(ParentKind.REPLACE_PARENT, quantity=quantity, limit_price=price)
        if parent:
            self.raised[parent] = max(self.raised[parent], quantity)

    def move(self):
        for _ in range(2):
            self.publish(self.dice.randrange(len(LISTINGS)))

    def stale(self):
        listing = self.dice.randrange(len(LISTINGS))
        self._stale[listing] = True
        self.publish(listing)

    def empty(self):
        self.publish(self.dice.randrange(len(LISTINGS)), levels=0)

    def trade(self):
        """Somebody meets an order of ours that rests."""
        exchange = self.dice.choice(self.exchanges)
        waiting = exchange.open_orders()
        if waiting:
            exchange.trade(self.dice.choice(waiting), self.now_ns, self.dice.choice((0.3, 1)))

    def end(self):
        self.dice.choice(self.exchanges).end_one(self.now_ns)

    def disconnect(self):
        """Everything of an exchange is gone."""
        place = self.dice.randrange(len(NAMES))
        self.exchanges[place].disconnect(self.now_ns)
        for listing in self._of(place):
            self.publish(listing)

    def connect(self):
        """It is back: new connections, books from the beginning."""
        place = self.dice.randrange(len(NAMES))
        if not self.exchanges[place].connected:
            self.exchanges[place].connected = True
            self._epochs[place] += 1
        for listing in self._of(place):
            self._stale[listing] = False
            self.publish(listing)

    def limit(self):
        self.dice.choice(self.exchanges).limited_until_ns = self.now_ns + self.dice.choice((50, 900, 8_000)) * MS

    def deafen(self):
        self.dice.choice(self.exchanges).answers = False

    def hear(self):
        self.dice.choice(self.exchanges).answers = True

    def wait(self):
        self.pass_time(self.dice.choice((6_000, 15_000)) * MS)

    # -- markets ----------------------------------------------------------------------------------------------------

    def _of(self, exchange):
        return [index for index, row in enumerate(LISTINGS) if row[1] == exchange]

    def publish(self, listing, levels=3):
        """Another book of a listing."""
        instrument, _, lot, _, price_factor, _, _ = LISTINGS[listing]
        middle, away = MIDS[instrument] // price_factor, self.dice.randint(1, 4)
        self.show(listing, *([(middle + sign * (away + place), lot * self.dice.choice((1, 30, 400)))
                              for place in range(levels)] for sign in (-1, 1)), self.dice.choice((0, 40, 900)))

    def show(self, listing, bids, asks, traded=0):
        """This book of a listing, LIVE if it can be; so much was traded since the last one."""
        exchange, entry = LISTINGS[listing][1], np.zeros(1, BOARD_ENTRY_DTYPE)[0]
        self._versions[listing] += 1
        self._traded[listing] += traded // LISTINGS[listing][5]
        live = self.exchanges[exchange].connected and not self._stale[listing]
        entry["listing"], entry["epoch"], entry["version"] = listing, self._epochs[exchange], self._versions[listing]
        entry["publication"], entry["receive_ns"] = self._versions[listing], self.now_ns
        entry["book_state"] = BookState.LIVE if live else BookState.STALE
        entry["traded"] = self._traded[listing]
        for side, levels in (("bid", bids), ("ask", asks)):
            entry[f"{side}_count"] = len(levels)
            entry[f"{side}s"][:len(levels)] = levels
        self.board.publish(listing, entry)
        if not self._pending[listing]:
            self._pending[listing] = 1
            wake = np.zeros(1, WAKE_DTYPE)[0]
            wake["listing"], wake["receive_ns"] = listing, self.now_ns
            assert self._rings[exchange]["wakes"].push(wake)

    # -- time -------------------------------------------------------------------------------------------------------

    def pass_time(self, ns):
        """In a few pieces, so that timers and answers come in between."""
        for _ in range(3):
            self.now_ns += ns // 3
            self.settle()

    def settle(self):
        """Everything that is due at this moment, which has an end."""
        for _ in range(MOST_ROUNDS):
            busy = any([exchange.work(self.now_ns) for exchange in self.exchanges])
            busy |= self._run_router()
            if not busy:
                return
        raise AssertionError(f"not settled at {self.now_ns} ns after {MOST_ROUNDS} rounds")

    def _run_router(self):
        unheard = self._pending.copy()      # of what these boards show the router learns in this step
        busy = self.router.run_once(self.now_ns) > 0
        while (report := self._parent_reports.pop(PARENT_REPORT_DTYPE)) is not None:
            self.told[int(report["parent_id"])] = report
        for place, rings in enumerate(self._rings):
            while (message := rings["orders"].pop(CHILD_ORDER_DTYPE)) is not None:
                busy = True
                self._see(message, place, unheard)
                self.exchanges[place].take(message, self.now_ns)
        return busy

    def _see(self, message, place, unheard):
        """What must hold of every order that leaves the router, by the truth."""
        parent, listing = int(message["parent_id"]), int(message["listing"])
        if message["kind"] in (ChildKind.NEW_ORDER, ChildKind.REPLACE_ORDER) and (
                message["time_in_force"] == TimeInForce.GTC):
            self._see_display(message, self.asked[parent], LISTINGS[listing])
        if message["kind"] != ChildKind.NEW_ORDER:
            return
        if self.board.read(listing)["book_state"] != BookState.LIVE and not unheard[listing]:
            self.wrong.append(f"an order to {NAMES[place]}, listing {listing}, whose book is not LIVE")
        out = sum(order.most * LISTINGS[order.listing][5] for order in self.orders_of(parent))
        new = int(message["quantity"]) * LISTINGS[listing][5]
        if out + new > self.allowed(parent):
            self.wrong.append(f"parent {parent}: {out} filled or out and {new} more, of {self.allowed(parent)}")
        self.children[parent].append((place, int(message["client_order_id"])))

    def _see_display(self, message, asked, listing):
        """An order that stays shows no more than its parent's display; a part of itself only where the exchange refills
        it, in as many parts as that takes, none of them below the minimum."""
        quantity, shown = int(message["quantity"]), int(message["terms"]) or int(message["quantity"])
        if asked["display"] and asked["algorithm"] not in REACTING and shown * listing[5] > asked["display"]:
            self.wrong.append(f"parent {asked['parent_id']} shows {shown * listing[5]} of {asked['display']}")
        most = MOST_PARTS[int(message["listing"])]
        if shown < quantity and not (-(-quantity // shown) <= most and shown >= listing[3] and shown % listing[2] == 0
                                     and asked["algorithm"] == Algorithm.RESTING):
            self.wrong.append(f"an iceberg of {quantity} that shows {shown} where {most} parts are taken")
        self.icebergs += shown < quantity

    def allowed(self, parent):
        """The most that a parent was ever to have."""
        return max(int(self.asked[parent]["quantity"]) + int(self.told[parent]["taken"]), self.raised[parent])

    def orders_of(self, parent):
        """As their exchanges have them."""
        return [self.exchanges[place].orders[number] for place, number in self.children[parent]
                if number in self.exchanges[place].orders]

    # -- how it ends ------------------------------------------------------------------------------------------------

    def calm(self):
        """Nothing goes wrong any more, but that one exchange may stay away; until every parent has ended."""
        self.gone = self.dice.choice((None, None, None, 0, 1, 2))
        for place, exchange in enumerate(self.exchanges):
            exchange.calm = exchange.answers = True
            exchange.limited_until_ns = 0
            if place == self.gone and exchange.connected:
                exchange.disconnect(self.now_ns)
            elif place != self.gone and not exchange.connected:
                exchange.connected = True
                self._epochs[place] += 1
        self._stale = [False] * len(LISTINGS)
        for turn in range(200):
            for listing in range(len(LISTINGS)):
                self.publish(listing)
            self.settle()
            self.pass_time(1_500 * MS)
            if turn == 20:
                for number in [each for each in self.asked if self.told[each]["status"] not in ENDED]:
                    self.about(ParentKind.CANCEL_PARENT, parent_id=number)
            if turn > 20 and not self._expected():
                return
        self.wrong.append("not calm after 15 minutes: " + ", ".join(self._expected()))

    def _expected(self):
        """Parents that ought to end yet, in words."""
        found = []
        for view in self.orders.parents():
            unclear = any(place == self.gone for place, _ in self.children[view.parent_id])
            if view.status != ParentStatus.PARENT_DONE and not (
                    unclear and view.status == ParentStatus.PARENT_ENDED_IN_DOUBT):
                found.append(f"parent {view.parent_id} {view.status.name}: {view}")
        return found
