"""What orders find when they arrive: learned from their ends, counted in splits, and forgotten in time."""
from decimal import Decimal

import pytest

from orderflow import scores
from orderflow._core.journal import RecordKind, read
from orderflow._core.types import ExecType
from orderflow.engine import Engine
from orderflow.research.explain import explain
from orderflow.research.explain_words import story
from orderflow.research.replay import replay
from orderflow.research.simulation import DIRECT_START_NS, INSTRUMENT, LIMITS, VENUES, session_of, simulator_settings
from orderflow.research.tca import analyse
from orderflow.research.tca_scores import scores_of
from orderflow.servers.direct import DirectServer
from orderflow.simulator.launch import build
from tests.three_exchanges import engines

MILLISECOND_NS = 1_000_000
HALF_LIFE_S = 60


class Distant:
    """A simulated exchange that gets what is sent to it so much later."""

    def __init__(self, exchange, delay_ns):
        self.exchange, self.delay_ns, self.travelling = exchange, delay_ns, []

    def __getattr__(self, name):
        return getattr(self.exchange, name)

    def message(self, number, text, now_ns):
        self.travelling.append((now_ns + self.delay_ns, number, text))

    def next_ns(self):
        return min([self.exchange.next_ns(), *(at_ns for at_ns, *_ in self.travelling)])

    def advance(self, now_ns):
        while self.travelling and self.travelling[0][0] <= now_ns:
            _, number, text = self.travelling.pop(0)
            self.exchange.message(number, text, now_ns)
        self.exchange.advance(now_ns)


@pytest.fixture
def make():
    yield from engines()


@pytest.fixture
def distant(tmp_path):
    """An engine whose exchange beta is 300 ms away."""
    exchanges = {venue.name: build(simulator_settings(venue, 11, DIRECT_START_NS)) for venue in VENUES}
    exchanges["beta"] = Distant(exchanges["beta"], 300 * MILLISECOND_NS)
    sessions = [session_of(venue, f"http://{venue.name}", f"ws://{venue.name}") for venue in VENUES]
    fees = {venue.name: (venue.maker_fee, venue.taker_fee) for venue in VENUES}
    engine = Engine(sessions, DirectServer(exchanges, DIRECT_START_NS, lambda problem: None), limits=LIMITS, fees=fees,
                    directory=tmp_path / "run", record=True).start()
    yield engine
    engine.stop()


def index_of(engine, exchange):
    return next(i for i, one in enumerate(engine.core.listings) if one.exchange == exchange)


def learned(engine, exchange):
    return engine.router.learned_arrivals(engine.now_ns)[index_of(engine, exchange)]


def twin(directory, listing):
    """(missing, round trip) of a listing, from the journal by hand: an order that took ends when a report says so."""
    orders, filled, ended, state = {}, {}, set(), [0, 0, 0]
    for record in read(directory):
        if record.kind == RecordKind.INTENT:
            child = record.decode()
            orders[int(child["client_order_id"])] = child
        elif record.kind == RecordKind.REPORT:
            report = record.decode()
            order_id, kind = int(report["client_order_id"]), int(report["exec_type"])
            child = orders.get(order_id)
            if child is None or int(child["listing"]) != listing or order_id in ended:
                continue
            if kind == ExecType.REPORT_FILL:
                filled[order_id] = filled.get(order_id, 0) + int(report["last_quantity"])
            asked, got = int(child["quantity"]), filled.get(order_id, 0)
            if got < asked and kind not in (ExecType.REPORT_CANCELED, ExecType.REPORT_EXPIRED):
                continue
            ended.add(order_id)
            now_ns = int(record.monotonic_ns)
            missing = state[0] >> min(62, (now_ns - state[2]) // (HALF_LIFE_S * 10**9)) if state[0] else 0
            took_ns = now_ns - int(child["decided_ns"])
            state = [missing + int((int((asked - got) / asked * 10**6) - missing) / 8),
                     state[1] + int((took_ns - state[1]) / 8) if state[1] else took_ns, now_ns]
    return state


def test_it_is_learned_from_how_orders_end(distant):
    for side in ("buy", "sell") * 4:
        distant.wait(distant.submit(INSTRUMENT, side, "12", seconds=5), 6)
        distant.run(1)
    for exchange in ("alpha", "beta", "gamma"):
        missing, round_trip_ns, learned_ns = twin(distant.directory, index_of(distant, exchange))
        halvings = (distant.now_ns - learned_ns) // (HALF_LIFE_S * 10**9)
        assert learned(distant, exchange) == ((missing >> halvings) / 10**6, round_trip_ns or None)
    assert learned(distant, "beta")[1] > (learned(distant, "alpha")[1] or 0) + 200 * MILLISECOND_NS
    assert learned(distant, "beta")[0] > 0          # in 300 ms something has moved
    distant.stop()
    found = replay(distant.directory)
    assert found.equal and found.orders > 10, found.difference


def shares(engine, exchange, quantity="6"):
    parent = engine.wait(engine.submit(INSTRUMENT, "buy", quantity, seconds=5), 6)
    assert parent.filled == Decimal(quantity)
    return parent.by_exchange.get(exchange, {"filled": Decimal(0)})["filled"]


def test_an_exchange_that_fades_loses_its_share_and_gets_it_back(make):
    usual, wary, long_ago = make(), make(), make()
    wary.router.expect(index_of(wary, "beta"), 1.0, 0, wary.now_ns)
    long_ago.router.expect(index_of(long_ago, "beta"), 1.0, 0, long_ago.now_ns - 20 * HALF_LIFE_S * 10**9)
    normal = shares(usual, "beta")
    assert shares(wary, "beta") < normal == shares(long_ago, "beta")


def decided(engine):
    """(exchange, milliseconds since the first) of each order, in the order of their being decided."""
    intents = [one.decode() for one in read(engine.directory) if one.kind == RecordKind.INTENT]
    return [(engine.core.listings[int(one["listing"])].exchange,
             int(one["decided_ns"] - intents[0]["decided_ns"]) / MILLISECOND_NS) for one in intents]


def test_orders_are_sent_so_that_they_arrive_together_where_fading_costs_more(make):
    """One way is half of the round trip."""
    engine = make()
    for exchange, missing, round_trip in (("alpha", 0.0, 40), ("beta", 0.9, 440), ("gamma", 0.0, 140)):
        engine.router.expect(index_of(engine, exchange), missing, round_trip * MILLISECOND_NS, engine.now_ns)
    parent = engine.wait(engine.submit(INSTRUMENT, "buy", "15", seconds=5), 6)
    told = "\n".join(story(explain(engine.directory, parent.id)))
    assert "alpha was left out: its order is sent later, to arrive with those to slower exchanges" in told
    assert "counted 0.90 bps dearer for what fades there" in told
    assert parent.filled == 15 and set(parent.by_exchange) == {"alpha", "beta", "gamma"}
    first = {}
    for exchange, at in decided(engine):
        first.setdefault(exchange, at)
    assert first["beta"] == 0
    assert 150 <= first["gamma"] <= 200 <= first["alpha"] <= 250        # 150, 200; the virtual clock ticks every 50 ms
    assert engine.orders.audit() == [] and engine.router.counts["timers"] == 0


def test_where_nothing_fades_all_are_sent_at_once(make):
    engine = make()
    for exchange, round_trip in (("alpha", 40), ("beta", 440), ("gamma", 140)):
        engine.router.expect(index_of(engine, exchange), 0.0, round_trip * MILLISECOND_NS, engine.now_ns)
    engine.wait(engine.submit(INSTRUMENT, "buy", "15", seconds=5), 6)
    assert [at for _, at in decided(engine)[:3]] == [0, 0, 0]


def test_a_run_begins_with_the_scores_of_the_one_before(distant, make, tmp_path):
    for side in ("buy", "sell") * 3:
        distant.wait(distant.submit(INSTRUMENT, side, "12", seconds=5), 6)
    distant.stop()
    path = tmp_path / "scores.toml"
    path.write_text(scores.text(scores_of(analyse(distant.directory))))
    told = scores.load(path)
    engine = make(directory=tmp_path / "next", record=True, scores=told)
    assert told.exchanges["beta"].send_to_ack_ns.p50 > 200 * MILLISECOND_NS
    for exchange in ("alpha", "beta", "gamma"):
        missing, round_trip_ns = told.exchanges[exchange].arrival
        assert learned(engine, exchange) == (pytest.approx(missing, abs=1e-6), round_trip_ns or None)
    engine.wait(engine.submit(INSTRUMENT, "buy", "12", seconds=5), 6)
    engine.stop()
    found = replay(engine.directory)
    assert found.equal and found.orders > 1, found.difference


def test_what_cannot_have_been_learned_is_refused(make):
    router = make().router
    for arguments, message in (((9, 0.5, 0, 0), "listing 9"), ((0, 1.5, 0, 0), "missing 1.5"),
                               ((0, 0.5, -1, 0), "round_trip_ns -1")):
        with pytest.raises(ValueError, match=message):
            router.expect(*arguments)
    with pytest.raises(ValueError, match="instrument 7"):
        router.chase(7)
    assert router.chase(0) == 1e-4
