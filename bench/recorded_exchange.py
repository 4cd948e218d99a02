"""A Binance spot exchange made of one recording, for latency benchmarks: what it answers, and itself in memory.

Metadata and the depth snapshot over REST, subscriptions, the user stream; depth frames as they were recorded. Every
order is filled in full at its own price. The lot is small enough for any displayed level to hold it.
"""
import json
import time
from pathlib import Path

from orderflow.credentials import Credentials
from orderflow.engine import Engine
from orderflow.exchanges import session_for
from orderflow.exchanges.actions import Fetch
from orderflow.exchanges.facts import UNLIMITED
from orderflow.exchanges.session import SessionSettings
from orderflow.limits import Limits
from orderflow.research.captures import read_capture
from orderflow.research.simulation import limits_of
from orderflow.servers.control import Connect

FEEDS = Path(__file__).parents[2] / "shared/feeds"
CAPTURE = FEEDS / "captures/binance_spot_btcusdt_20240808.tsv.gz"
SYMBOL, INSTRUMENT = "BTCUSDT", "BTC-USDT"
QUANTITY = "0.00001"
LIMITS = Limits(maximum_position="1000", maximum_order_quantity="1", maximum_order_notional="1000000", collar="0.05",
                reference_age_seconds=60.0, feed_age_seconds=0, drift_seconds=0)
FILTERS = [
    {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000.00", "tickSize": "0.01"},
    {"filterType": "LOT_SIZE", "minQty": QUANTITY, "maxQty": "9000", "stepSize": QUANTITY},
    {"filterType": "NOTIONAL", "minNotional": "0.1"},
]
EXCHANGE_INFO = json.dumps({"symbols": [{
    "symbol": SYMBOL, "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT", "baseAssetPrecision": 8,
    "quotePrecision": 8, "filters": FILTERS}]}).encode()


def shown():
    """What its clock shows."""
    return {"serverTime": time.time_ns() // 1_000_000}


#: Of its account, which is compared at the start and not while orders are timed: nobody keeps it.
ACCOUNT = {"/account": {"balances": [{"asset": asset, "free": "1000000", "locked": "0"} for asset in ("BTC", "USDT")]},
           "/openOrders": [], "/myTrades": []}


class Recording:
    """Depth frames before and after the snapshot, and the snapshot itself: `early`, `late`, `snapshot`; bytes."""

    def __init__(self, path=CAPTURE):
        self.early, self.late, self.snapshot = [], [], b""
        for record in read_capture(path):
            if record.direction == "http":
                self.snapshot = record.payload.encode()
            elif record.direction == "rx" and '"e":"depthUpdate"' in record.payload:
                (self.late if self.snapshot else self.early).append(record.payload.encode())

    def rest(self, url):
        """Body of a REST answer."""
        if url.endswith("/time"):
            return json.dumps(shown()).encode()
        for path, answer in ACCOUNT.items():
            if path in url:
                return json.dumps(answer).encode()
        return EXCHANGE_INFO if "exchangeInfo" in url else self.snapshot

    def answers(self, text):
        """Frames that follow a request of the session: bytes."""
        request = json.loads(text)
        if request["method"] == "SUBSCRIBE":
            return [json.dumps({"result": None, "id": request["id"]}).encode(), *self.early]
        result = shown() if request["method"] == "time" else {"subscriptionId": 0}
        return [json.dumps({"id": request["id"], "status": 200, "result": result}).encode()]


def session(rest="http://recorded", stream="ws://recorded", orders="ws://recorded/orders"):
    """The session that trades on it: more orders a minute than the real one takes."""
    return session_for("binance_spot", SessionSettings(
        "recorded", rest=rest, stream=stream, orders=orders, symbols=(SYMBOL,), trade=True,
        reconcile_ns=0, limits=UNLIMITED, credentials=Credentials("k" * 64, "s" * 64)))


class MemoryServer:
    """The exchange without sockets: frames through the exchange loop's ring, one thread, the real clock."""

    name = "direct"
    borrows = False

    def __init__(self, recording):
        self.recording = recording

    @property
    def now_ns(self):
        return time.monotonic_ns()

    def fetch_now(self, name, requests):
        return {request.purpose: self.recording.rest(request.url) for request in requests}

    def start(self, conversations, loops):
        self.conversation, self.loops = conversations[0], loops

    def run_until(self, until_ns, stop=lambda: False):
        """Everything that the session and the loops have to say to each other."""
        conversation = self.conversation
        while not stop() and self.now_ns < until_ns:
            for loop in self.loops:
                loop.run_once(self.now_ns)
            self._perform([*conversation.events(self.now_ns, time.time_ns()), *conversation.due(self.now_ns)])
            while (taken := conversation.loop.next_frame_out()) is not None:
                for answer in self.recording.answers(taken[1]):
                    conversation.loop.push_frame(taken[0], conversation.lines[taken[0]].epoch, answer)

    def _perform(self, effects):
        for effect in effects:
            if isinstance(effect, Connect):
                self._perform(self.conversation.connected(effect.line, 0, self.now_ns, time.time_ns()))
            elif isinstance(effect, Fetch):
                self._perform(self.conversation.answered(effect.request, 200, self.recording.rest(effect.request.url),
                                                         self.now_ns, time.time_ns()))

    def stop(self):
        """Nothing is open."""


def engine_for(server, taker, directory, **options):
    """An engine that trades the recording with `taker`."""
    return Engine([session(**options.pop("urls", {}))], server, strategies=[taker],
                  limits=limits_of({INSTRUMENT: LIMITS}), directory=directory, maximum_parents=16384, **options)
