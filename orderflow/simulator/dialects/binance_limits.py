"""Binance spot's limits: request weight of an address, unfilled orders of an account, bans.

Windows are aligned to the clock. Requests beyond the weight are answered 429 with the time to wait; who goes on all
the same is banned with 418, each time for longer. One simulated exchange sees one address.

Source: Binance's "LIMITS" and "General API information" (spot REST and WebSocket API), exchangeInfo's rateLimits.
"""
from dataclasses import dataclass, field

from orderflow.simulator.exchange import SECOND_NS

MINUTE_NS = 60 * SECOND_NS
WEIGHT_LIMIT = 6000
ORDERS_IN_10_SECONDS = 100
ORDERS_IN_A_DAY = 200_000
PATIENCE = 10                               # refusals of one window before the ban
FIRST_BAN_NS = 2 * MINUTE_NS
LONGEST_BAN_NS = 3 * 24 * 60 * MINUTE_NS
CONNECTING = 2                              # weight of a connection to the WebSocket API

ORDER_WINDOWS = (("SECOND", 10, 10 * SECOND_NS, ORDERS_IN_10_SECONDS),
                 ("DAY", 1, 24 * 60 * MINUTE_NS, ORDERS_IN_A_DAY))
#: REST path or method of the WebSocket API -> weight; what is not here costs 1.
WEIGHTS = {
    "/exchangeInfo": 20, "/trades": 25, "/account": 20, "account.status": 20, "/account/commission": 20,
    "account.commission": 20, "/rateLimit/order": 40, "account.rateLimits.orders": 40, "/allOrders": 20,
    "allOrders": 20, "/userDataStream": 2, "userDataStream.subscribe": 2, "userDataStream.subscribe.signature": 2,
    "userDataStream.unsubscribe": 2, "session.logon": 2, "session.status": 2, "session.logout": 2,
    "order.status": 4, "GET /order": 4, "order.amend.keepPriority": 4, "/order/amend/keepPriority": 4,
}


def weight_of(name: str, method: str, parameters: dict[str, str]) -> int:
    """The weight of a request: `name` is a REST path below the root, or a method of the WebSocket API."""
    if name == "/depth":
        limit = parameters.get("limit", "100")
        depth = int(limit) if limit.isdigit() else 100
        return next(weight for most, weight in ((100, 5), (500, 25), (1000, 50), (10**9, 250)) if depth <= most)
    if name in ("/openOrders", "openOrders.status") and method != "DELETE":
        return 6 if "symbol" in parameters else 80
    if name in ("/myTrades", "myTrades"):
        return 5 if "orderId" in parameters else 20
    if name in ("/order/test", "order.test"):
        return 20 if parameters.get("computeCommissionRates") == "true" else 1
    return WEIGHTS.get(f"{method} {name}", WEIGHTS.get(name, 1))


class Overrun(Exception):
    """A request that is not answered: 429, or 418 for who was banned. `until_ns` says how long."""

    def __init__(self, status: int, until_ns: int):
        super().__init__(status)
        self.status, self.until_ns = status, until_ns


class WeightLimit:
    """Request weight of one address. `limit` 0 = any."""

    def __init__(self, limit: int = WEIGHT_LIMIT):
        self.limit = limit
        self.used = 0
        self.refusals = 0           # of all windows
        self._window = -1
        self._refused = 0
        self._bans = 0
        self._banned_until_ns = 0

    def charge(self, weight: int, now_ns: int) -> None:
        """Count a request; Overrun where it is one too many."""
        self.add(0 if now_ns < self._banned_until_ns else weight, now_ns)
        if now_ns < self._banned_until_ns:
            self.refusals += 1
            raise Overrun(418, self._banned_until_ns)
        if not self.limit or self.used <= self.limit:
            return
        self._refused += 1
        self.refusals += 1
        if self._refused > PATIENCE:
            self._banned_until_ns = now_ns + min(FIRST_BAN_NS << self._bans, LONGEST_BAN_NS)
            self._bans += 1
            raise Overrun(418, self._banned_until_ns)
        raise Overrun(429, (self._window + 1) * MINUTE_NS)

    def add(self, weight: int, now_ns: int) -> None:
        """Count what cannot be refused."""
        window = now_ns // MINUTE_NS
        if window != self._window:
            self._window, self.used, self._refused = window, 0, 0
        self.used += weight

    def row(self) -> dict:
        """As answers of the WebSocket API say it."""
        return {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": self.limit,
                "count": self.used}


@dataclass
class OrderCount:
    """Unfilled orders of one account; the first fill of an order gives its place back."""
    windows: tuple[tuple[str, int, int, int], ...] = ORDER_WINDOWS
    counts: dict[str, tuple[int, int]] = field(default_factory=dict)        # interval -> (window, orders in it)
    refusals: int = 0

    def count(self, interval: str, length_ns: int, now_ns: int) -> int:
        """Orders of the window that is open now."""
        window, count = self.counts.get(interval, (0, 0))
        return count if window == now_ns // length_ns else 0

    def exceeded(self, now_ns: int) -> str:
        """The limit that another order would break, in the exchange's words; "" if none."""
        for interval, number, length_ns, limit in self.windows:
            if self.count(interval, length_ns, now_ns) >= limit:
                self.refusals += 1
                return f"{limit} orders per {number} {interval}"
        return ""

    def add(self, change: int, now_ns: int) -> None:
        """One more order, or with -1 one less."""
        for interval, _, length_ns, _ in self.windows:
            self.counts[interval] = now_ns // length_ns, max(self.count(interval, length_ns, now_ns) + change, 0)

    def rows(self, now_ns: int) -> list[dict]:
        """As answers of the WebSocket API say it."""
        return [{"rateLimitType": "ORDERS", "interval": interval, "intervalNum": number, "limit": limit,
                 "count": self.count(interval, length_ns, now_ns)}
                for interval, number, length_ns, limit in self.windows]
