"""Which fault is next at one exchange: the entries of its script that are due, else chance, in one seeded order."""
import random
from collections import Counter, deque
from dataclasses import dataclass, replace

from orderflow.simulator.exchange import Exchange
from orderflow.simulator.faults import SECOND_NS, TIMED_KINDS, Fault, FaultPlan, impossible

LOGGED = 4096                       # injected faults that are remembered one by one
ANY = ""                            # in place of a symbol


@dataclass
class _Armed:
    """An entry of the script that waits for its time."""
    fault: Fault
    left: int
    seen: int                       # frames that its book had sent when it was armed
    from_ns: int                    # since when its seconds count; 0 = from the beginning
    asked: int = 0                  # requests about its orders that had come


class FaultScript:
    """Script and chances of one exchange, and what was injected.

    Attributes
    ----------
    counts : Counter
        How often each kind was injected.
    log : deque of (int, str, str)
        The last of them: unix nanoseconds, kind, symbol.
    frames, requests : Counter
        Frames of books sent, and requests about orders that came, by symbol; ANY = all of them.
    begun_ns : int
        When the first websocket was opened, or the first order placed; 0 = not yet.
    """

    def __init__(self, exchange: Exchange, plan: FaultPlan):
        plan.check_exchange(exchange)
        self.counts: Counter[str] = Counter()
        self.log: deque[tuple[int, str, str]] = deque(maxlen=LOGGED)
        self.frames: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()
        self.begun_ns = 0
        self.random = random.Random(f"{plan.seed}/{exchange.name}")
        self._exchange = exchange
        self._rates = {kind: chance for kind, chance in plan.rates.items() if not impossible(Fault(kind), exchange)}
        self._armed = [_Armed(fault, fault.times, 0, 0) for fault in plan.script
                       if fault.exchange in ("", exchange.name) and not impossible(fault, exchange)]

    def begin(self, now_ns: int) -> None:
        """From now on seconds count, if they do not yet."""
        self.begun_ns = self.begun_ns or now_ns

    def arm(self, fault: Fault) -> None:
        """One more entry; its frames, requests and seconds count from now on. FaultError where it is impossible."""
        FaultPlan((replace(fault, exchange=self._exchange.name),)).check_exchange(self._exchange)
        self._armed.append(_Armed(fault, fault.times, self.frames[fault.symbol], self._exchange.now_ns,
                                  self.requests[fault.symbol]))

    def heal(self) -> None:
        """Inject nothing more."""
        self._rates, self._armed = {}, []

    def choose(self, kinds: tuple[str, ...], symbol: str = ANY, words: str = "", now_ns: int = 0, request: str = "",
               drawn: bool = True) -> Fault | None:
        """The fault to inject now: of the script what is due, else, where it may be `drawn`, by chance. It is counted.

        `request` is what a request about orders wants; it is counted too.
        """
        if request:
            self.begin(now_ns)
        fault = self._due(kinds, symbol, words, now_ns, request)
        if request:
            for name in {symbol, ANY}:
                self.requests[name] += 1
        if fault is None and drawn and self._rates:
            fault = self._draw(kinds)
        if fault is not None:
            self.counts[fault.kind] += 1
            self.log.append((now_ns, fault.kind, symbol))
        return fault

    def sent(self, symbol: str) -> None:
        """A frame of a book was sent."""
        self.frames[symbol] += 1
        self.frames[ANY] += 1

    def next_ns(self) -> list[int]:
        """When faults are due that wait for nothing but the time."""
        return [(armed.from_ns or self.begun_ns) + int(armed.fault.after_seconds * SECOND_NS)
                for armed in self._armed if armed.fault.kind in TIMED_KINDS and self.begun_ns and self._counted(armed)]

    def _draw(self, kinds: tuple[str, ...]) -> Fault | None:
        left = self.random.random()
        for kind, chance in self._rates.items():
            if kind in kinds:
                left -= chance
                if left < 0:
                    return Fault(kind)
        return None

    def _due(self, kinds: tuple[str, ...], symbol: str, words: str, now_ns: int, request: str) -> Fault | None:
        for armed in self._armed:
            fault = armed.fault
            meant = fault.symbol in (ANY, symbol) or (words and fault.symbol.lower() in words)
            since_ns = armed.from_ns or self.begun_ns or now_ns
            if (fault.kind in kinds and meant and fault.request in ("", request) and self._counted(armed)
                    and now_ns - since_ns >= fault.after_seconds * SECOND_NS):
                armed.left -= 1
                if not armed.left:
                    self._armed.remove(armed)
                return fault
        return None

    def _counted(self, armed: _Armed) -> bool:
        """Whether as many frames and requests were seen as an entry waits for."""
        symbol = armed.fault.symbol
        return (self.frames[symbol] - armed.seen >= armed.fault.after_frames
                and self.requests[symbol] - armed.asked >= armed.fault.after_orders)
