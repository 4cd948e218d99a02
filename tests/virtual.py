"""A simulated exchange and its session on a clock that only the test moves: what is said is seen, nothing waits."""
import json

from orderflow.exchanges import session_for
from orderflow.exchanges.session import SessionSettings
from orderflow.servers.direct import DirectServer
from orderflow.simulator.instruments import default_instruments
from orderflow.simulator.launch import SimulatorSettings, build
from orderflow.wiring import build_core, conversations

SECOND_NS = 1_000_000_000
START_NS = 1_800_000_000 * SECOND_NS
#: Base URLs where the session's own do not fit a simulated exchange.
STREAMS = {"bybit_v5": "ws://127.0.0.1/v5/public/spot"}


class Virtual:
    """One exchange, named `test`. `hide` says of a frame that goes out, as JSON, whether it is lost."""

    def __init__(self, protocol, symbols=(), exchange=None, hide=lambda message: False, **settings):
        self.venue = exchange or build(SimulatorSettings("test", protocol, seed=3, origin_ns=START_NS))
        self.heard, self.opened, self.calls, self.problems = [], [], [], []
        self._watch(hide)
        self.symbols = tuple(symbols) or tuple(one.symbol for one in default_instruments(protocol))
        stream = STREAMS.get(protocol, "ws://127.0.0.1")
        self.session = session_for(protocol, SessionSettings(
            "test", rest="http://127.0.0.1", stream=stream, symbols=self.symbols,
            **{"orders": f"{stream}/ws-api/v3"} | settings))
        self.server = DirectServer({"test": self.venue}, START_NS, self.problems.append)
        listings = self.session.listings(self.server.fetch_now("test", self.session.metadata()))
        self.core = build_core([self.session], listings, borrows=False, unix_offset_ns=0, watch_silence=True,
                               trade=self.session.settings.trade)
        [self.conversation] = conversations(self.core, [self.session], self.problems.append, self.server.hosts)
        self.server.start([self.conversation], list(self.core.loops.values()))

    def _watch(self, hide):
        venue, kind = self.venue, type(self.venue)

        def send(connection, frame):
            if not isinstance(frame, str) or not frame.startswith(("{", "[")) or not hide(json.loads(frame)):
                kind.send(venue, connection, frame)

        def message(number, text, now_ns):
            self.heard.append((now_ns, text))
            kind.message(venue, number, text, now_ns)

        def open_one(number, path, now_ns):
            self.opened.append(now_ns)
            kind.open(venue, number, path, now_ns)

        def http(method, path, query, headers, body, now_ns):
            self.calls.append((now_ns, path))
            return self.answer(method, path, query, headers, body, now_ns)

        venue.send, venue.message, venue.open, venue.http = send, message, open_one, http
        self.answer = lambda *asked: kind.http(venue, *asked)

    def run(self, seconds, until=lambda: False):
        """Let time pass."""
        self.server.run_until(self.server.now_ns + int(seconds * SECOND_NS), until)

    @property
    def states(self):
        return {listing.symbol: self.conversation.health.books.get(index)
                for index, listing in enumerate(self.core.listings)}

    @property
    def live(self):
        return all(state == "LIVE" for state in self.states.values())
