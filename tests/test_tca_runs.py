"""Transaction cost analysis of whole runs: what it says, against the exchanges' own records, the frames as they were
recorded and the mids that were seen while the run went on. Slow, obvious and in fractions."""
import json
import re
import shutil
import struct
from bisect import bisect_left, bisect_right
from collections import defaultdict
from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest

from orderflow._core import client_id
from orderflow._core.journal import RecordKind, read
from orderflow._core.types import LossReason, ParentKind, RecordedKind
from orderflow.cli import main, summary
from orderflow.cli.scenario import Demonstration, Plan
from orderflow.engine import Engine
from orderflow.research import journal as journal_rows
from orderflow.research import replay, simulation
from orderflow.research.simulation import INSTRUMENT
from orderflow.research.tca import analyse, frame
from orderflow.research.tca_fills import HORIZONS_S, SECOND_NS
from orderflow.servers import recorder
from orderflow.simulator.exchange import Close
from tests.recovery_desk import Desk

#: types.Recorded: time, value, epoch, listing, kind, connection.
RECORDED = struct.Struct("<qqIIBB6x")
NAMES = ("filled", "partial", "denied", "unfilled", "made")


class Watched:
    """A run on simulated exchanges in which every mid that there was is written down, beside the recording."""

    def __init__(self, simulation):
        self.engine = simulation.engine
        self.history = []           # (time, mid in force just before it)

    def _look(self):
        self.history.append((self.engine.now_ns, summary.mid(self.engine, INSTRUMENT)))

    def run(self, seconds, until=lambda: False):
        """Let time pass."""
        self.engine.run(seconds, lambda: self._look() or until())

    def wait(self, parent_id):
        """Until a parent order has ended."""
        self.run(30, lambda: (state := self.engine.parent(parent_id)) is not None and state.done)
        return self.engine.parent(parent_id)

    def mid_at(self, time_ns, settled=True):
        """In force at a time: with all that arrived in that nanosecond, or just before it."""
        times = [at for at, _ in self.history]
        place = (bisect_right if settled else bisect_left)(times, time_ns)
        return self.history[place][1] if place < len(times) else None


@pytest.fixture(scope="module")
def traded(tmp_path_factory):
    """(directory, parent order states by what they are, Watched, what the exchanges have on record)."""
    directory = tmp_path_factory.mktemp("run")
    with simulation.Simulation(seed=5, server="direct", directory=directory, record=True) as simulated:
        engine, watched, parents = simulated.engine, Watched(simulated), {}
        book = engine.book("alpha", "BTCUSDT")
        digits = engine.core.listings[0].price_decimals
        bid = Decimal(int(book["bids"][0]["price"])).scaleb(-digits)
        watched.run(1.0123)
        parents["filled"] = watched.wait(engine.submit(INSTRUMENT, "buy", "0.5", seconds=5))
        watched.run(0.5)
        parents["partial"] = watched.wait(engine.submit(INSTRUMENT, "sell", "60", bid - 2, seconds=1.5))
        engine.set_strategy_state("manual", "HALTED")
        watched.run(0.1017)
        parents["denied"] = watched.wait(engine.submit(INSTRUMENT, "buy", "0.5", seconds=1))
        engine.set_strategy_state("manual", "ACTIVE")
        watched.run(0.1017)
        far = engine.submit(INSTRUMENT, "buy", "1", bid - 100, exchanges=["gamma"], algorithm="resting")
        best = Decimal(int(engine.book("beta", "BTCUSDT")["bids"][0]["price"])).scaleb(-digits)
        near = engine.submit(INSTRUMENT, "buy", "3", best, exchanges=["beta"], algorithm="resting")
        watched.run(2.5)
        engine.cancel(far)
        parents["unfilled"], parents["made"] = watched.wait(far), watched.wait(near)
        watched.run(31)
        engine.stop()
        return directory, parents, watched, simulated.truth()


class Known:
    """What the exchanges have on record of the orders that the journal has intents of, by parent order, and when we
    heard of it."""

    def __init__(self, directory, truth):
        rows = list(journal_rows.rows(directory))
        parent_of = {row.fields["client_order_id"]: row.fields["parent_id"] for row in rows if row.kind == "INTENT"}
        heard = {(row.fields["client_order_id"], row.fields["trade_id"]): row.fields["receive_ns"]
                 for row in reversed(rows) if row.kind == "REPORT" and row.fields["event"] == "FILL"}
        self.fills = defaultdict(list)
        for exchange, record in truth.items():
            for event in record["events"]:
                parent = parent_of.get(event["client_order_id"])
                if event["event"] == "filled":
                    self.fills[parent].append(SimpleNamespace(
                        exchange=exchange, happened_ns=event["time_ns"],
                        at_ns=heard[event["client_order_id"], event["trade_id"]], price=Fraction(event["price"]),
                        quantity=Fraction(event["quantity"]), fee=Fraction(event["fee"]), asset=event["fee_asset"],
                        trade_id=event["trade_id"], maker=event["liquidity"] == "maker",
                        order=event["client_order_id"]))
        for fills in self.fills.values():
            fills.sort(key=lambda fill: fill.at_ns)


@pytest.fixture(scope="module")
def analysed(traded):
    """(row of each parent order by what it is, what the exchanges know of it by what it is, Watched, analysis)."""
    directory, parents, watched, truth = traded
    analysis, known = analyse(directory), Known(directory, truth)
    rows = {row["parent_id"]: row for row in frame(analysis)}
    return ({name: rows[parents[name].id] for name in NAMES}, {name: known.fills[parents[name].id] for name in NAMES},
            watched, analysis)


def test_the_run_has_everything_that_is_to_be_told_apart(analysed):
    rows, fills, _, _ = analysed
    assert {name: rows[name]["status"] for name in NAMES} == {
        "filled": "filled", "partial": "partial", "denied": "no_order", "unfilled": "unfilled", "made": "filled"}
    assert len({fill.exchange for fill in fills["partial"]}) > 1 and len(fills["partial"]) > 5
    assert any(fill.maker for fill in fills["made"]) and not any(fill.maker for fill in fills["filled"])
    assert {fill.asset for fill in fills["filled"]} & {"BTC", "USDT"}


@pytest.mark.parametrize("name", NAMES)
def test_quantities_prices_and_fees_are_the_exchanges_own(analysed, traded, name):
    rows, fills, _, _ = analysed
    row, own, state = rows[name], fills[name], traded[1][name]
    filled, notional = sum(fill.quantity for fill in own), sum(fill.quantity * fill.price for fill in own)
    assert Fraction(row["filled"]) == filled and row["ordered"] == state.quantity
    assert row["average_price"] is None if not own else abs(Fraction(row["average_price"]) - notional / filled) < 1e-15
    fees = defaultdict(Fraction)
    for fill in own:
        fees[fill.asset] += fill.fee
    assert {asset: Fraction(fee) for asset, fee in row["fees_by_asset"].items()} == fees
    assert Fraction(row["fees"]) == sum(fill.fee * (fill.price if fill.asset == "BTC" else 1) for fill in own)
    assert row["fills"] == len(own) and row["orders"] == (0 if name == "denied" else state.children)
    assert [row["first_fill_ns"], row["last_fill_ns"]] == ([own[0].at_ns, own[-1].at_ns] if own else [None, None])
    assert all(0 <= fill.at_ns - fill.happened_ns < SECOND_NS for fill in own)
    assert row["maker_share"] == (float(sum(fill.quantity for fill in own if fill.maker) / filled) if own else None)


@pytest.fixture(scope="module")
def routed(traded):
    """Mids as they were when the router took each parent order and decided each order, by their ids: of a replay, in
    which the boards show what the router saw of them and nothing later."""
    seen, again = {}, []

    def drained(engine):
        again.append((engine.journal.sequence, summary.mid(engine, INSTRUMENT)))
        drain(engine)

    drain = Engine.drain_rings
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Engine, "drain_rings", drained)
        assert replay.replay(traded[0]).equal
    decided = [record for record in read(traded[0]) if record.kind in replay.DECIDED]
    before = base = again[0][0]
    for sequence, mid in again:
        for record in decided[before - base:sequence - base]:
            told = record.decode()
            if record.kind == RecordKind.PARENT and told["kind"] == ParentKind.SUBMIT_PARENT:
                seen[int(told["parent_id"])] = Fraction(mid)
            elif record.kind == RecordKind.INTENT:
                seen[client_id.encode(int(told["client_order_id"]))] = Fraction(mid)
        before = sequence
    return seen


@pytest.mark.parametrize("name", NAMES)
def test_the_arrival_price_is_the_routers_own(analysed, traded, routed, name):
    """It knows whole units only: the mid is rounded down there."""
    here = analysed[0][name]["arrival_price"]
    assert Fraction(here) == routed[traded[1][name].id]
    if (there := traded[1][name].arrival_price) is not None:
        assert 0 <= here - there < Decimal("1e-8")


def test_what_strategies_saw_on_a_clock_that_stands_still(tmp_path):
    """From the frame to the last fill all has one time: what the fills left behind must not be what was there before.
    """
    with Demonstration(Plan(server="direct", seconds=6, seed=5, directory=str(tmp_path), record=True)) as shown:
        shown.run()
        known = {parent.id: parent.arrival_price for parent in shown.engine.parents()}
    rows = frame(analyse(tmp_path))
    assert len(rows) > 5 and sum(row["first_fill_ns"] == row["arrival_ns"] for row in rows) > 5
    assert all(0 <= row["arrival_price"] - known[row["parent_id"]] < Decimal("1e-8") for row in rows)
    assert all(row["decision_price"] == row["arrival_price"] for row in rows)
    at_once = [row for row in rows if row["fills"] == row["orders"] == 1 and row["first_fill_ns"] == row["arrival_ns"]]
    assert len(at_once) > 2
    for row in at_once:
        assert row["effective_spread_bps"] == pytest.approx(2 * row["arrival_bps"])


@pytest.mark.parametrize("name", NAMES)
def test_shortfall_from_what_was_seen(analysed, routed, name):
    rows, fills, watched, _ = analysed
    row, own, sign = rows[name], fills[name], 1 if rows[name]["side"] == "BUY" else -1
    ordered, filled = Fraction(row["ordered"]), sum(fill.quantity for fill in own)
    decision = routed[row["parent_id"]]         # decided and taken in one nanosecond here
    end = Fraction(watched.mid_at(row["end_ns"]))
    paper = sign * ordered * (end - decision)
    real = sign * (filled * end - sum(fill.price * fill.quantity for fill in own)) - Fraction(row["fees"])
    assert Fraction(row["shortfall"]) == paper - real
    assert row["shortfall"] == row["delay"] + row["trading"] + row["opportunity"] + row["fees"]
    assert row["shortfall_bps"] == pytest.approx(float((paper - real) / (ordered * decision) * 10_000), rel=1e-12)
    assert row["benchmark"] == "decision" and (row["opportunity"] == 0) == (filled == ordered)


@pytest.mark.parametrize("name", ["filled", "partial", "made"])
def test_what_came_before_and_after_the_fills(analysed, routed, name):
    rows, fills, watched, _ = analysed
    row, own, sign = rows[name], fills[name], 1 if rows[name]["side"] == "BUY" else -1
    filled = sum(fill.quantity for fill in own)

    def before(fill):
        return Fraction(watched.mid_at(fill.at_ns, settled=False)) if fill.maker else routed[fill.order]

    def after(fill, horizon):
        return Fraction(watched.mid_at(fill.at_ns + horizon * SECOND_NS))

    def average(part, whole):
        return pytest.approx(float(sum(fill.quantity * part(fill) / whole(fill) for fill in own) / filled * 10_000),
                             rel=1e-9, abs=1e-12)

    assert row["effective_spread_bps"] == average(lambda fill: 2 * sign * (fill.price - before(fill)), before)
    for horizon in HORIZONS_S:
        assert row[f"markout_{horizon}s_bps"] == average(
            lambda fill, h=horizon: sign * (after(fill, h) - fill.price), lambda fill: fill.price)
        assert row[f"price_impact_{horizon}s_bps"] == average(
            lambda fill, h=horizon: 2 * sign * (after(fill, h) - before(fill)), before)
        assert row[f"realised_spread_{horizon}s_bps"] == pytest.approx(
            row["effective_spread_bps"] - row[f"price_impact_{horizon}s_bps"], abs=1e-9)
    last, later = (Fraction(watched.mid_at(own[-1].at_ns + after_ns)) for after_ns in (0, 30 * SECOND_NS))
    assert row["reversion_bps"] == pytest.approx(float(sign * (later - last) / last * 10_000), rel=1e-9, abs=1e-12)
    assert row["permanent_bps"] + row["temporary_bps"] == pytest.approx(row["arrival_bps"], abs=1e-9)


def market_trades(directory, own):
    """(time, price, quantity) of the trades that the recorded frames tell of, in their own text; not ours."""
    for name in ("alpha", "beta", "gamma"):
        for record in recorder.read(directory, name):
            if record[24] != RecordedKind.RECORDED_FRAME:
                continue
            at_ns, frame_ = int.from_bytes(record[:8], "little"), json.loads(record[32:], parse_float=Decimal)
            if name == "gamma":
                trades = [(one["price"], one["qty"], one["trade_id"]) for one in frame_.get("data", ())
                          if frame_.get("channel") == "trade" and frame_["type"] == "update"]
            else:
                one = frame_.get("data", {})
                trades = [(one["p"], one["q"], one["t"])] if one.get("e") == "trade" else []
            for price, quantity, trade_id in trades:
                if (name, trade_id) not in own:
                    yield at_ns, Fraction(price), Fraction(quantity)


@pytest.mark.parametrize("name", ["partial", "made"])
def test_the_markets_average_prices(analysed, traded, name):
    rows, fills, watched, _ = analysed
    row, own = rows[name], {(fill.exchange, fill.trade_id) for some in fills.values() for fill in some}
    begin_ns, end_ns = row["arrival_ns"], row["last_fill_ns"]
    window = [(price, quantity) for at_ns, price, quantity in market_trades(traded[0], own)
              if begin_ns < at_ns <= end_ns]
    volume = sum(quantity for _, quantity in window)
    vwap = sum(price * quantity for price, quantity in window) / volume
    assert len(window) > 2 and abs(Fraction(row["vwap"]) - vwap) < 1e-15
    filled = Fraction(row["filled"])
    assert row["participation"] == pytest.approx(float(filled / (filled + volume)), rel=1e-12)
    area, at_ns = Fraction(0), begin_ns
    for until_ns, mid in watched.history:
        if until_ns > begin_ns and at_ns < end_ns:
            area += Fraction(mid) * (min(until_ns, end_ns) - at_ns)
            at_ns = min(until_ns, end_ns)
    assert abs(Fraction(row["twap"]) - area / (end_ns - begin_ns)) < 1e-15


def test_without_our_own_trades(analysed, traded):
    """Each of ours is in the recording, so it matters that they are left out."""
    _, fills, _, _ = analysed
    own = {(fill.exchange, fill.trade_id) for some in fills.values() for fill in some}
    assert len(list(market_trades(traded[0], set()))) - len(list(market_trades(traded[0], own))) == len(own)


def test_exchanges_are_told_apart(analysed):
    _, fills, _, analysis = analysed
    groups = {group.name: group for group in analysis.rollups["exchange"]}
    for name, group in groups.items():
        own = [fill for some in fills.values() for fill in some if fill.exchange == name]
        assert group.fills == len(own)
    partial = next(one for one in analysis.parents if one.status == "partial")
    assert {leg.exchange: leg.notional for leg in partial.legs if leg.fills} == {
        name: sum(Decimal(int(fill.quantity * 10**8)) * Decimal(int(fill.price * 10**8)) for fill in fills["partial"]
                  if fill.exchange == name).scaleb(-16)
        for name in {fill.exchange for fill in fills["partial"]}}


def test_nothing_is_missing_and_nothing_to_be_said(analysed):
    rows, _, _, analysis = analysed
    assert analysis.notes == [] and analysis.recorded_run == 1
    unknown = {column for name in ("partial", "made") for column, value in rows[name].items() if value is None}
    assert unknown <= {"signal_to_send_p50_ns", "signal_to_send_p90_ns", "signal_to_send_p99_ns", "predicted_bps",
                       "predicted_deviation_bps", "unpredicted_bps", "z_score"}
    assert all(rows[name]["not_predicted"] for name in ("partial", "made"))
    assert rows["filled"]["twap"] == rows["filled"]["arrival_price"], "all of it in one nanosecond"
    assert rows["unfilled"]["send_to_ack_p50_ns"] == 0, "its cancel was sent later, and is not what is meant"
    assert (rows["unfilled"]["cancels_asked"], rows["unfilled"]["cancelled"]) == (1, 1)


# -- what is not there


def test_a_run_without_a_recording(tmp_path):
    with simulation.Simulation(seed=5, server="direct", directory=tmp_path) as simulated:
        state = simulated.engine.wait(simulated.engine.submit(INSTRUMENT, "buy", "0.5", seconds=5))
    analysis = analyse(tmp_path)
    row, = frame(analysis)
    assert analysis.recorded_run is None and "no market data was recorded" in analysis.notes[0]
    assert row["filled"] == state.filled == row["ordered"] and row["average_price"] == state.average_price
    assert {asset: Fraction(fee) for asset, fee in row["fees_by_asset"].items()} == {
        asset: Fraction(fee) for asset, fee in state.fees.items()}
    for name in ("decision_price", "arrival_price", "delay", "trading", "shortfall", "shortfall_bps", "fees_bps",
                 "arrival_bps", "vwap_bps", "twap_bps", "participation", "spread_capture", "effective_spread_bps",
                 "markout_1s_bps", "reversion_bps", "permanent_bps", "temporary_bps", "benchmark"):
        assert row[name] is None, name
    assert row["fees"] > 0 and row["fee_rate_bps"] > 0 and row["maker_share"] == 0 and row["opportunity"] == 0


def test_a_book_that_was_stale_on_arrival_is_not_in_the_price(tmp_path):
    with simulation.Simulation(seed=5, server="direct", directory=tmp_path, record=True) as simulated:
        engine, gamma = simulated.engine, simulated._exchanges["gamma"]
        drain, index = gamma.drain, engine.index("gamma", "BTC/USDT")
        engine.run(1)
        ends = [(number, Close(1001, "")) for name, number in engine.server._lines if name == "gamma"]
        gamma.drain = lambda: [ends.pop()] if ends else drain()
        engine.run(0.5, lambda: engine.book_state(index) == "STALE")
        state = engine.wait(engine.submit(INSTRUMENT, "buy", "0.5", seconds=0.05))
        assert engine.book_state(index) == "STALE" and state.filled
    row, = frame(analyse(tmp_path))
    assert 0 <= row["arrival_price"] - state.arrival_price < Decimal("1e-8") and row["spread_capture"] is not None


def test_a_run_in_real_time_that_ends_before_the_last_horizon(tmp_path):
    with simulation.simulate(seed=5, directory=tmp_path, record=True) as simulated:
        engine = simulated.engine
        state = engine.wait(engine.submit(INSTRUMENT, "buy", "0.5", seconds=5))
        engine.run(1.5)
    row, = frame(analyse(tmp_path))
    assert row["filled"] == state.filled > 0 and row["fees"] > 0
    assert row["decision_ns"] <= row["arrival_ns"] < row["first_fill_ns"] <= row["last_fill_ns"]
    assert row["arrival_price"] == pytest.approx(state.arrival_price, rel=Decimal("0.001"))
    assert row["markout_1s_bps"] is not None and row["price_impact_1s_bps"] is not None
    for column in ("markout_5s_bps", "realised_spread_30s_bps", "reversion_bps", "permanent_bps", "temporary_bps"):
        assert row[column] is None, column
    assert row["send_to_ack_p50_ns"] > 0 and row["twap"] is not None


def test_a_run_behind_the_one_that_was_recorded(tmp_path):
    """The second one's times lie within the first one's recording: both virtual clocks begin at one time."""
    for record in (True, False):
        with simulation.Simulation(seed=5, server="direct", directory=tmp_path, record=record) as simulated:
            simulated.engine.run(0.2)
            simulated.engine.wait(simulated.engine.submit(INSTRUMENT, "buy", "0.5", seconds=5))
            ended_ns = simulated.engine.now_ns
            simulated.engine.run(10 if record else 0)
    analysis = analyse(tmp_path)
    first, second = frame(analysis)
    assert second["arrival_ns"] < first["arrival_ns"] + 10 * SECOND_NS and ended_ns > second["arrival_ns"]
    assert [(row["run"], row["arrival_price"] is None) for row in (first, second)] == [(1, False), (2, True)]
    assert analysis.recorded_run == 1 and "1 parent orders of other runs have no market data" in analysis.notes[0]


def write_frames(directory, name, records):
    """Another recording of an exchange."""
    with open(recorder.path_of(directory, name), "wb") as raw, \
            recorder.zstandard.ZstdCompressor().stream_writer(raw) as file:
        for record in records:
            file.write(recorder.LENGTH.pack(len(record)) + record)


@pytest.mark.parametrize("lost", [("alpha", "beta", "gamma"), ("gamma",)])
def test_while_no_book_is_live_there_are_no_prices(traded, analysed, tmp_path, lost):
    """Connections are lost two seconds after the last fill, and a minute later there still is a recording of them;
    those of the other exchanges end there and then, with books that were LIVE."""
    copy = shutil.copytree(traded[0], tmp_path / "run")
    whole = analysed[0]["partial"]
    lost_ns = whole["last_fill_ns"] + 2 * SECOND_NS
    for name in ("alpha", "beta", "gamma"):
        records = [record for record in recorder.read(copy, name) if int.from_bytes(record[:8], "little") < lost_ns]
        records += [RECORDED.pack(at_ns, LossReason.PEER_CLOSED, 1, 0, RecordedKind.RECORDED_LOST, records[-1][25])
                    for at_ns in (lost_ns, lost_ns + 60 * SECOND_NS) if name in lost]
        write_frames(copy, name, records)
    rows = {row["parent_id"]: row for row in frame(analyse(copy))}
    row, later = rows[whole["parent_id"]], rows[analysed[0]["unfilled"]["parent_id"]]
    for column in ("shortfall", "twap", "vwap", "markout_1s_bps", "effective_spread_bps"):
        assert row[column] == whole[column], column
    for column in ("markout_5s_bps", "price_impact_30s_bps", "reversion_bps", "permanent_bps", "temporary_bps"):
        assert row[column] is None and whole[column] is not None, column
    assert later["arrival_ns"] < lost_ns < later["end_ns"] and later["arrival_price"] is not None
    assert later["end_price"] is later["opportunity"] is later["shortfall"] is None


def test_frames_that_end_in_the_middle_frames_that_are_wrong_and_frames_that_are_gone(traded, tmp_path):
    copy = shutil.copytree(traded[0], tmp_path / "run")
    path, first = recorder.path_of(copy, "alpha"), traded[1]["filled"].id

    def known():
        return {row["parent_id"]: row for row in frame(analyse(copy))}[first]["arrival_bps"] is not None

    whole = path.read_bytes()
    path.write_bytes(whole[:len(whole) // 2])
    assert known(), "the router saw it before that"
    path.write_bytes(whole[:len(whole) // 2] + b"garbage" * 1000)
    assert known() and any("ends in the middle" in note and str(path) in note for note in analyse(copy).notes)
    write_frames(copy, "alpha", list(recorder.read(traded[0], "alpha"))[:20])
    assert not known(), "what the router saw of it is not there"
    path.write_bytes(whole)
    log = next(copy.glob("router-inputs-*.segment"))
    told = log.read_bytes()
    log.unlink()
    assert not known() and any("arrival prices" in note for note in analyse(copy).notes)
    log.write_bytes(told)
    path.unlink()
    assert not known()
    analysis = analyse(copy)
    assert analysis.recorded_run is None and "the recording of run 1 is not whole" in analysis.notes[0]


def test_a_fill_that_the_next_run_is_told_of_belongs_to_the_order_of_before(tmp_path):
    desk = Desk(tmp_path)
    try:
        engine = desk.start(tmp_path / "run")
        desk.mute = True
        parent = engine.submit(INSTRUMENT, "buy", "2", exchanges=["alpha"])
        engine.run(0.5, lambda: len(desk.placed) == 1)
        sent_ns = engine.now_ns
        left = desk.crash()
        desk.mute = False
        desk.start(left)
        desk.clear()
        desk.engine.stop()
        row, = frame(analyse(left))
        assert (row["run"], row["parent_id"], row["filled"], row["status"]) == (1, parent, 2, "filled")
        assert row["last_fill_ns"] <= sent_ns, "when it happened, not when it was found"
        assert row["in_doubt"] == 0 and row["fees"] > 0
    finally:
        if desk.engine is not None:
            desk.engine.stop()


# -- the command


def command(capsys, *arguments):
    """(exit code, stdout, stderr)."""
    code = main(["tca", *map(str, arguments)])
    return code, *capsys.readouterr()


def test_the_table_names_every_parent_order_and_exchange(traded, capsys):
    code, out, err = command(capsys, traded[0])
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert sum(INSTRUMENT in line for line in lines) == len(NAMES)
    for word in ("no_order", "partial", "unfilled", "alpha", "beta", "gamma"):
        assert any(word in line for line in lines), word


def test_one_json_object_with_exact_decimals(traded, analysed, capsys):
    code, out, _ = command(capsys, traded[0], "--json")
    found = json.loads(out)
    rows = {row["parent_id"]: row for row in found["parents"]}
    wanted = analysed[0]["partial"]
    assert code == 0 and Decimal(rows[wanted["parent_id"]]["shortfall"]) == wanted["shortfall"]
    assert rows[wanted["parent_id"]]["markout_5s_bps"] == wanted["markout_5s_bps"]
    assert {one["name"] for one in found["rollups"]["exchange"]} == {"alpha", "beta", "gamma"}


def test_the_report_opens_without_a_network(traded, tmp_path, capsys):
    code, out, _ = command(capsys, traded[0], "--html", tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert code == 0 and "report.html" in out
    plots = re.findall(r"<svg .*?</svg>", text, re.DOTALL)
    assert len(plots) == 4
    for drawn in map(ElementTree.fromstring, plots):
        assert {each.tag for each in drawn.iter()} >= {"svg", "line", "text"}
        wide, high = (float(size) for size in drawn.get("viewBox").split()[2:])
        for each in drawn.iter():
            for name in ("x", "x1", "x2", "cx"):
                assert 0 <= float(each.get(name, 0)) <= wide
            for name in ("y", "y1", "y2", "cy"):
                assert 0 <= float(each.get(name, 0)) <= high
    for reference in ("http", "src=", "href", "url(", "@import", "<script", "<link", "<iframe"):
        assert reference not in text, reference
    for word in ("alpha", "beta", "gamma", "no_order", "manual", "IMMEDIATE", "RESTING"):
        assert word in text, word


def test_a_name_is_no_markup(traded, tmp_path, monkeypatch):
    from orderflow.research import tca_report

    analysis = analyse(traded[0])
    for costs in analysis.parents:
        costs.parent.strategy = "<script>alert(1)</script>"
    text = tca_report.html(analysis)
    assert "<script" not in text and "&lt;script&gt;alert(1)" in text


def test_bad_usage_says_what_is_wrong(traded, tmp_path, capsys):
    code, out, err = command(capsys, tmp_path)
    assert (code, out) == (2, "") and str(tmp_path) in err and len(err.splitlines()) == 1
    code, out, err = command(capsys, traded[0], "--html", tmp_path / "nowhere" / "report.html")
    assert (code, out) == (2, "") and "--html" in err and "nowhere" in err


def test_a_damaged_journal_is_told(traded, tmp_path, capsys):
    copy = shutil.copytree(traded[0], tmp_path / "run")
    last = [record for record in read(copy) if record.kind == RecordKind.REPORT][-1]
    path = next(copy.glob("journal-*.segment"))
    whole = bytearray(path.read_bytes())
    whole[whole.index(last.payload)] ^= 1
    path.write_bytes(whole)
    code, out, err = command(capsys, copy)
    assert code == 1 and "nothing behind it was read" in err and INSTRUMENT in out
