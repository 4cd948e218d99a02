"""Predicted against realised cost: the numbers against slow twins, recorded runs against what the engine itself
estimated before they were sent, and what cannot be predicted."""
import json
import math
import re
from decimal import Decimal
from fractions import Fraction
from types import SimpleNamespace
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow.cli import main
from orderflow.estimate import DAY_SECONDS, over_time
from orderflow.impact import AlmgrenChriss
from orderflow.research import tca_formulas as formulas
from orderflow.research import tca_plot
from orderflow.research.explain import explain
from orderflow.research.simulation import INSTRUMENT
from orderflow.research.tca import analyse, frame
from orderflow.research.tca_rollups import document
from tests.three_exchanges import engines

BTC_A_DAY = 1.2e6
CURVE = np.full(288, BTC_A_DAY / 288)
QUANTITY = 5


# -- trajectories that bend


def bent(curvature, closing):
    """(mean of the square of what remains, in closed form; mean of the rate to the power of 1.6, by Gauss's rule)."""
    sinh = math.sinh(curvature)
    square = (math.sinh(2 * curvature) / (2 * curvature) - 1) / (2 * sinh ** 2)
    mean = math.tanh(curvature / 2) / curvature
    places, weights = np.polynomial.legendre.leggauss(60)
    rate = curvature * np.cosh(curvature * (1 + places) / 2) / sinh
    return 1 - 2 * mean + square if closing else square, float(weights @ rate ** 1.6) / 2


@given(curvature=st.floats(0.1, 20), closing=st.booleans(), seconds=st.floats(1, DAY_SECONDS),
       part=st.floats(1e-6, 0.2), volatility=st.floats(0.001, 0.2), wait=st.floats(0, 3600))
def test_a_trajectory_that_bends_is_the_integral(curvature, closing, seconds, part, volatility, wait):
    found = over_time(seconds, part, volatility, 2.0, curvature=curvature, closing=closing, wait_seconds=wait)
    risk, pace = bent(curvature, closing)
    days = seconds / DAY_SECONDS
    cost = 0.314 * volatility * part / 2 + pace * 0.142 * volatility * (part / days) ** 0.6
    assert found.cost_bps == pytest.approx(2 + 1e4 * cost, rel=1e-4)
    assert found.deviation_bps == pytest.approx(
        1e4 * volatility * math.sqrt(wait / DAY_SECONDS + days * risk), rel=1e-4)


def test_its_deviation_is_that_of_almgren_and_chriss():
    """Their trajectory in many steps: kappa * T = 2, a volatility of 3 % a day, over a tenth of a day."""
    model = AlmgrenChriss(1.0, 0.1, 20_000, 0.03, 0.0, 0.0, 1e-3)
    wanted = model.deviation(np.sinh(2 * (1 - np.linspace(0, 1, 20_001))) / math.sinh(2))
    found = over_time(0.1 * DAY_SECONDS, 0.01, 0.03, 0.0, curvature=2.0)
    assert found.deviation_bps == pytest.approx(1e4 * wanted, rel=1e-3)


def test_an_even_one_is_the_published_formula():
    """A hundredth of a day's volume within an hour, at 3 % a day: 2 bps at the touch, 0.471 of permanent impact, 18.094
    of the rate; and a deviation of 300 / sqrt(72)."""
    found = over_time(3600, 0.01, 0.03, 2.0)
    assert (round(found.cost_bps, 3), round(found.deviation_bps, 3)) == (20.565, 35.355)
    assert found.participation == pytest.approx(0.24)
    with pytest.raises(ValueError, match="seconds 0"):
        over_time(0, 0.01, 0.03, 2.0)


# -- many of them


PAIRS = st.lists(st.tuples(st.integers(-50, 50), st.integers(-50, 50), st.none() | st.integers(-3, 3)), min_size=1,
                 max_size=12)


@given(PAIRS)
def test_a_calibration_is_what_numpy_says(pairs):
    unknown = [(1.0, None, None), (None, 2.0, None)]
    found = formulas.calibration([*unknown, *((float(a), float(b), c) for a, b, c in pairs)])
    predicted, realised = np.array([(a, b) for a, b, _ in pairs], float).T
    assert found.difference.n == len(pairs)
    assert found.difference.value == pytest.approx((realised - predicted).mean())
    assert found.spread_bps == (pytest.approx((realised - predicted).std(ddof=1)) if len(pairs) > 1 else None)
    scores = [c for _, _, c in pairs if c is not None]
    assert (found.scored, found.within) == (len(scores), (sum(-1 < c < 1 for c in scores) / len(scores)) if scores
                                            else None)
    if len(set(predicted)) > 1:
        slope, intercept = np.polyfit(predicted, realised, 1)
        assert found.slope == pytest.approx(slope, abs=1e-9)
        assert found.intercept_bps == pytest.approx(intercept, abs=1e-6)
    else:
        assert found.slope is found.intercept_bps is None


def test_right_predictions_are_told_as_such():
    """A thousand costs drawn as they were predicted: 68 % within a deviation, on the line, none on average apart. And
    deviations that are half as large as they should be are told."""
    dice = np.random.default_rng(5)
    predicted, deviation = dice.uniform(2, 40, 4000), dice.uniform(5, 60, 4000)
    realised = predicted + deviation * dice.normal(size=4000)
    found = [formulas.calibration(zip(predicted, realised, (realised - predicted) / (deviation / narrow), strict=True))
             for narrow in (1, 2)]
    # three standard errors of each
    assert abs(found[0].difference.value) < 3 * 35 / math.sqrt(4000) and abs(found[0].slope - 1) < 0.15
    assert abs(found[0].within - formulas.WITHIN_ONE) < 0.022 and formulas.WITHIN_ONE == pytest.approx(0.6827, abs=1e-4)
    assert abs(found[1].within - 0.3829) < 0.023


def test_nothing_is_no_calibration():
    assert formulas.calibration([]) is formulas.calibration([(None, 1.0, None)]) is None
    assert formulas.z_score(None, 1.0) is formulas.z_score(1.0, None) is formulas.z_score(1.0, 0.0) is None
    assert formulas.z_score(-3.0, 2.0) == -1.5


# -- recorded runs


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """(directory, by what it is: id of the parent order, and what the engine estimated just before it was sent)."""
    directory, found = tmp_path_factory.mktemp("run"), {}
    engine = next(engines())(directory=directory, record=True, volume_curves={INSTRUMENT: CURVE})
    engine.run(20)

    def send(name, side, quantity=QUANTITY, wait=60, **how):
        estimate = engine.estimate(INSTRUMENT, side, quantity, exchanges=how.get("exchanges", ()))
        book = engine.book("beta", "BTCUSDT").copy()
        number = engine.submit(INSTRUMENT, side, quantity, **how)
        if wait:
            engine.wait(number, wait)
            engine.run(1)
        found[name] = SimpleNamespace(id=number, estimate=estimate, book=book)

    send("at once", "buy", 20)
    send("twap", "sell", algorithm="twap", seconds=10, slices=10)
    send("vwap", "buy", algorithm="vwap", seconds=8, slices=4, start_seconds=2)
    send("shortfall", "sell", algorithm="shortfall", seconds=10, slices=10, half_life=4)
    send("close", "sell", algorithm="close", seconds=10, slices=10, half_life=4)
    send("pov", "buy", algorithm="pov", participation="0.1", seconds=60, slices=60)
    send("too slow", "buy", algorithm="pov", participation="0.01", seconds=5, slices=5)
    send("too large", "buy", 200, seconds=2)
    send("limited", "buy", 20, limit_price=round(engine.estimate(INSTRUMENT, "buy", 1).mid) + 2, seconds=1)
    send("away", "buy", 1, limit_price=10_000, algorithm="twap", seconds=1, slices=1)
    send("elsewhere", "sell", algorithm="twap", seconds=4, slices=4, exchanges=["beta"])
    send("some", "sell", algorithm="pov", participation="0.1", seconds=60, slices=60, exchanges=["beta"])
    send("rests", "buy", 1, limit_price=50_000, algorithm="resting", exchanges=["gamma"], wait=0)
    engine.cancel(found["rests"].id)
    send("replaced", "sell", algorithm="twap", seconds=4, slices=4, wait=0)
    engine.run(1.5)
    engine.replace(found["replaced"].id, quantity=6)
    engine.wait(found["replaced"].id, 20)
    send("cancelled", "sell", algorithm="twap", seconds=4, slices=4, wait=0)
    engine.run(1.5)
    engine.cancel(found["cancelled"].id)
    engine.run(1)
    send("unfinished", "sell", algorithm="twap", seconds=10, slices=10, wait=0)
    engine.run(3)
    engine.stop()
    yield directory, found


@pytest.fixture(scope="module")
def rows(run):
    directory, found = run
    by_id = {row["parent_id"]: row for row in frame(analyse(directory))}
    return {name: by_id[one.id] for name, one in found.items()}


WORKED = {"twap": (10, 0, 0.0, False), "vwap": (8, 2, 0.0, False), "shortfall": (10, 0, 2.5, False),
          "close": (10, 0, 2.5, True), "elsewhere": (4, 0, 0.0, False)}


def test_at_once_it_is_what_the_engine_estimated(run, rows):
    """The parent order was taken in the nanosecond of the estimate, with the books of then."""
    row, estimate = rows["at once"], run[1]["at once"].estimate
    assert row["predicted_bps"] == pytest.approx(estimate.now.cost_bps, rel=1e-12)
    assert row["predicted_deviation_bps"] is row["z_score"] is row["not_predicted"] is None
    paid = (row["average_price"] + row["fees"] / row["filled"]) / row["arrival_price"] - 1
    assert row["realised_bps"] == pytest.approx(float(paid) * 1e4, rel=1e-9)
    assert row["unpredicted_bps"] == row["realised_bps"] - row["predicted_bps"]


@pytest.mark.parametrize("name", [name for name in WORKED if name != "elsewhere"])
def test_over_time_it_is_the_model_with_what_the_engine_knew(run, rows, name):
    seconds, wait, curvature, closing = WORKED[name]
    row, estimate = rows[name], run[1][name].estimate
    risk, pace = bent(curvature, closing) if curvature else (1 / 3, 1.0)
    volatility, part, days = estimate.daily_volatility, QUANTITY / BTC_A_DAY, seconds / DAY_SECONDS
    cost = 0.314 * volatility * part / 2 + pace * 0.142 * volatility * (part / days) ** 0.6
    assert row["predicted_bps"] == pytest.approx(estimate.touch_bps + 1e4 * cost, rel=1e-4)
    assert row["predicted_deviation_bps"] == pytest.approx(
        1e4 * volatility * math.sqrt(wait / DAY_SECONDS + days * risk), rel=1e-4)
    assert row["z_score"] == pytest.approx(
        (row["realised_bps"] - row["predicted_bps"]) / row["predicted_deviation_bps"], rel=1e-12)
    if not curvature:
        assert estimate.over(seconds).cost_bps == pytest.approx(row["predicted_bps"], rel=1e-12)


def test_a_part_of_the_volume_takes_as_long_as_its_part_is_traded(run, rows):
    """A tenth of all is a ninth of what others trade: 45 BTC of 1.2 million a day go by in 3.24 seconds."""
    row, estimate = rows["pov"], run[1]["pov"].estimate
    assert row["predicted_bps"] == pytest.approx(estimate.over(9 * QUANTITY / BTC_A_DAY * DAY_SECONDS).cost_bps)


def test_only_the_exchanges_where_it_may_go_count(run, rows):
    """The best bid of one exchange, its fee and the impact, against the mid of all of them: the arrival price."""
    estimate, book = run[1]["elsewhere"].estimate, run[1]["elsewhere"].book
    best = Fraction(int(book["bids"][0]["price"]), 10 ** 8)
    touch = 1e4 * float(1 - best * Fraction(9998, 10_000) / Fraction(rows["elsewhere"]["arrival_price"]))
    impact = estimate.over(4).cost_bps - estimate.touch_bps
    assert rows["elsewhere"]["predicted_bps"] == pytest.approx(touch + impact, rel=1e-9)
    assert abs(touch - estimate.touch_bps) > 0.01, "its mid is not that of all of them"


@pytest.mark.parametrize(("name", "why"), [
    ("too slow", r"its part of the expected volume takes 36 s, it had 5"),
    ("too large", r"the books displayed [\d.]+ of 200$"), ("limited", r"the books displayed [\d.]+ of 20 within its"),
    ("away", "its limit price was away from the market|no order was sent for it"),
    ("some", "it was kept to some exchanges"), ("rests", "it rests, and the models"),
    ("replaced", "it was replaced while it was worked"), ("cancelled", "it was cancelled before its end"),
    ("unfinished", "it still worked when its run ended")])
def test_what_cannot_be_predicted_says_why_and_has_no_number(rows, name, why):
    row = rows[name]
    assert re.search(why, row["not_predicted"]), row["not_predicted"]
    assert [row[column] for column in ("predicted_bps", "predicted_deviation_bps", "unpredicted_bps", "z_score")] == [
        None] * 4


def test_what_is_left_counts_at_the_end_price(rows):
    """Realised is the shortfall from the arrival on, whatever was filled; decided and taken are one moment here."""
    row = rows["cancelled"]
    assert row["status"] == "partial" and row["delay"] == 0
    assert row["realised_bps"] == pytest.approx(row["shortfall_bps"], rel=1e-12) != row["arrival_bps"]


def test_without_a_volume_there_is_no_number_for_what_takes_time(tmp_path):
    engine = next(engines())(directory=tmp_path, record=True)
    engine.wait(engine.submit(INSTRUMENT, "buy", 1, algorithm="twap", seconds=2, slices=2))    # no volatility yet
    engine.run(20)
    engine.wait(engine.submit(INSTRUMENT, "buy", 1, algorithm="twap", seconds=2, slices=2))
    engine.wait(engine.submit(INSTRUMENT, "buy", 1))
    engine.stop()
    rows = frame(analyse(tmp_path))
    assert [row["not_predicted"] for row in rows] == [
        "its run had no volume curve, and no daily volume was given"] * 2 + [None]
    given_ = frame(analyse(tmp_path, {INSTRUMENT: BTC_A_DAY}))
    assert [row["not_predicted"] for row in given_] == [
        "no exchange had seen enough returns for a volatility", None, None]
    with pytest.raises(ValueError, match="daily_volumes BTC-USDT: 0"):
        analyse(tmp_path, {INSTRUMENT: 0})


def test_without_a_recording_it_says_so(tmp_path):
    engine = next(engines())(directory=tmp_path)
    engine.wait(engine.submit(INSTRUMENT, "buy", 1))
    engine.stop()
    row, = frame(analyse(tmp_path))
    assert row["not_predicted"] == "no books of its run were recorded"
    assert row["predicted_bps"] is row["realised_bps"] is None


def test_what_an_exchange_paid_and_what_it_displayed(run):
    """Paid: against the mids of the decisions as `explain` tells them, in fractions. Displayed: what took several
    levels in the nanosecond of its decision paid just that, where the book was the newest."""
    directory, found = run
    analysis = analyse(directory)
    parents = {one.parent.id: one for one in analysis.parents}
    costs = parents[found["twap"].id]
    mids = {one.sequence: Fraction(one.mid) for one in explain(directory, found["twap"].id).decisions}
    for leg in costs.legs:
        fills = [(Fraction(fill.price, 10 ** costs.parent.price_decimals), fill.quantity, mids[order.sequence])
                 for order in costs.parent.orders if order.listing.exchange == leg.exchange for fill in order.fills]
        paid = sum(quantity * (mid - price) / mid for price, quantity, mid in fills) / sum(one[1] for one in fills)
        assert leg.paid_bps == pytest.approx(float(paid) * 1e4, rel=1e-9, abs=1e-9)
    at_once = parents[found["at once"].id]
    assert all(len({fill.price for fill in order.fills}) > 1 for order in at_once.parent.orders)
    legs = {leg.exchange: leg for leg in at_once.legs}
    assert all(legs[name].displayed_bps == legs[name].paid_bps for name in ("alpha", "beta"))
    assert legs["gamma"].displayed_bps > legs["gamma"].paid_bps, "its book had changed and was not told yet"
    groups = {group.name: group for group in analysis.rollups["exchange"]}
    assert groups["beta"].calibration.difference.n > 3
    assert groups["beta"].calibration.spread_bps is not None and groups["beta"].calibration.scored == 0


def test_groups_tell_how_right_it_was(run, rows):
    analysis = analyse(run[0])
    groups = {group.name: group for group in analysis.rollups["algorithm"]}
    pairs = [(row["predicted_bps"], row["realised_bps"]) for row in rows.values()
             if row["algorithm"] == "TWAP" and row["predicted_bps"] is not None]
    found = groups["TWAP"].calibration
    assert (found.difference.n, found.scored) == (len(pairs), len(pairs)) == (2, 2)
    assert found.difference.value == pytest.approx(np.mean([b - a for a, b in pairs]))
    assert groups["RESTING"].calibration is None
    assert document(groups["TWAP"])["calibration"]["difference"]["n"] == 2
    assert document(groups["RESTING"])["calibration"] is None
    for by in ("strategy", "hour"):
        assert analysis.rollups[by][0].calibration.difference.n == sum(
            row["unpredicted_bps"] is not None for row in rows.values())


def test_columns_tell_what_is_missing(run, rows):
    columns = frame(analyse(run[0])).columns()
    names = {one.id: name for name, one in run[1].items()}
    for number, predicted, why in zip(columns["parent_id"], columns["predicted_bps"], columns["not_predicted"],
                                      strict=True):
        assert math.isnan(predicted) == bool(why) == bool(rows[names[int(number)]]["not_predicted"])


def command(capsys, *arguments):
    code = main(["tca", *map(str, arguments)])
    return code, *capsys.readouterr()


def test_the_command_and_the_report(run, rows, tmp_path, capsys):
    directory, found = run
    code, out, _ = command(capsys, directory, "--html", tmp_path / "report.html")
    assert code == 0 and "Predicted and realised cost, bps" in out
    line = next(line for line in out.splitlines() if line.startswith("Not predicted") and "rests" in line)
    assert f"1:{found['rests'].id}: it rests" in line
    text = (tmp_path / "report.html").read_text()
    known = [row for row in rows.values() if row["unpredicted_bps"] is not None]
    dots = re.findall(r"<title>\d+:\d+ \w+: predicted ([+\-.\de]+), realised ([+\-.\de]+) bps</title>", text)
    assert sorted(dots) == sorted((f"{row['predicted_bps']:+.4g}", f"{row['realised_bps']:+.4g}") for row in known)
    assert "it was replaced while it was worked" in text
    document_ = json.loads(command(capsys, directory, "--json")[1])
    by_id = {one["parent_id"]: one for one in document_["parents"]}
    assert by_id[found["twap"].id]["z_score"] == rows["twap"]["z_score"]


def test_a_scatter_is_of_one_scale_both_ways():
    """What was predicted right lies on the line, what cost more above it; whiskers are as long as they say."""
    drawn = ElementTree.fromstring(tca_plot.scatter(
        [("a", [(-3.0, tca_plot.Point(-3.0), "low"), (9.0, tca_plot.Point(9.0), "high")]),
         ("b", [(2.0, tca_plot.Point(7.0, 4.0), "dear"), (1.0, tca_plot.Point(None), "none")])], "x", "y", "bps"))
    dots = {one[0].text: (float(one.get("cx")), float(one.get("cy"))) for one in drawn.iter("circle")}
    (line,) = [one for one in drawn.iter("line") if one.get("class") == "curve"]
    (x, y), (far_x, far_y) = ((float(line.get(f"x{end}")), float(line.get(f"y{end}"))) for end in "12")

    def on_line(at):
        return y + (far_y - y) * (at - x) / (far_x - x)

    assert set(dots) == {"low", "high", "dear"}
    assert all(dots[name][1] == pytest.approx(on_line(dots[name][0]), abs=0.2) for name in ("low", "high"))
    bps = (dots["low"][1] - dots["high"][1]) / 12
    assert on_line(dots["dear"][0]) - dots["dear"][1] == pytest.approx(5 * bps, abs=0.2)
    (whisker,) = [one for one in drawn.iter("line") if one.get("class") == "whisker"]
    assert abs(float(whisker.get("y1")) - float(whisker.get("y2"))) == pytest.approx(8 * bps, abs=0.2)


def test_a_daily_volume_on_the_command_line(run, capsys):
    assert command(capsys, run[0], "--daily-volume", "BTC-USDT=5")[0] == 0
    for wrong, told in (("BTC-USDT", "expected INSTRUMENT=BASE"), ("BTC-USDT=-1", "-1.0, expected a positive number")):
        code, _, error = command(capsys, run[0], "--daily-volume", wrong)
        assert code == 2 and told in error


def test_an_estimate_over_a_time_is_of_its_frontier(run):
    estimate = run[1]["too large"].estimate
    assert estimate.now is None and estimate.frontier
    for point in estimate.frontier:
        assert estimate.over(point.seconds) == point
    assert Decimal(200) == estimate.quantity
