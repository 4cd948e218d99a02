"""Scores of exchanges: what a journal says of them, written, read back, and refused where it cannot be right."""
import json
import math
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow._core.types import ExecType, TimeInForce
from orderflow.cli import main
from orderflow.research import tca
from orderflow.research.simulation import INSTRUMENT
from orderflow.research.tca_scores import scores_of
from orderflow.scores import ExchangeScores, Fade, Percentiles, Scores, ScoresError, load, parse, text
from tests.test_tca_journal import Book
from tests.three_exchanges import engines

MILLISECOND_NS = 1_000_000


@pytest.fixture
def book(monkeypatch):
    made = Book(monkeypatch)
    made.begin()
    made.parent()
    return made


def order(book, number, asked, filled, delay_ms, *, end=ExecType.REPORT_EXPIRED, **fields):
    """One that is acknowledged so long after its decision, sent a tenth of a millisecond after that, filled a
    millisecond after the acknowledgement, and then ended."""
    at_ns = number * 10**9
    book.order(number, at_ns=at_ns, quantity=asked, cause_receive_ns=at_ns - 7_000, **fields)
    book.report(ExecType.REPORT_SENT, at_ns + 100_000, number)
    heard_ns = at_ns + int(delay_ms * MILLISECOND_NS)
    book.report(ExecType.REPORT_NEW, heard_ns, number)
    if filled:
        book.fill(heard_ns + MILLISECOND_NS, number, last_quantity=filled, trade_id=number)
    if filled < asked:
        book.report(end, heard_ns + 2 * MILLISECOND_NS, number)


def found(name="alpha"):
    return scores_of(tca.analyse("")).exchanges[name]


def test_orders_that_took_are_counted_once_each(book):
    """However large they are: 1, 0.5 and 0 of what they asked for, after 15, 15 and 150 ms."""
    order(book, 1, 400, 400, 15)
    order(book, 2, 10_000, 5_000, 15)
    order(book, 3, 1, 0, 150)
    scores = found()
    assert (scores.orders, scores.fill_ratio) == (3, 0.5)
    assert scores.fades == (Fade(up_to_ns=20 * MILLISECOND_NS, survives=0.75, orders=2),
                            Fade(up_to_ns=200 * MILLISECOND_NS, survives=0.0, orders=1))
    # where the slope of the likelihood is 0: what lived as long as it did, and what did not
    lived, gone = 1.5 * 0.015, lambda rate: 0.5 * 0.015 / math.expm1(0.015 * rate) + 0.15 / math.expm1(0.15 * rate)
    assert gone(scores.rate) == pytest.approx(lived, rel=1e-9)
    assert scores.survives(15 * MILLISECOND_NS) == pytest.approx(math.exp(-0.015 * scores.rate))


def test_latencies_are_those_of_the_analysis(book):
    for number, delay_ms in enumerate((15, 25, 35, 45), 1):
        order(book, number, 400, 400, delay_ms)
    assert found().send_to_ack_ns == Percentiles(p50=24_900_000, p90=44_900_000, p99=44_900_000, orders=4)
    assert found().signal_to_send_ns == Percentiles(p50=107_000, p90=107_000, p99=107_000, orders=4)
    assert found().ack_to_fill_ns == Percentiles(p50=MILLISECOND_NS, p90=MILLISECOND_NS, p99=MILLISECOND_NS, orders=4)


def test_what_did_not_take_says_nothing_of_fading(book):
    order(book, 1, 400, 0, 15, end=ExecType.REPORT_REJECTED)
    order(book, 2, 400, 100, 15, time_in_force=TimeInForce.GTC)
    book.order(3, at_ns=3 * 10**9)                              # not heard of yet
    scores = found()
    assert (scores.orders, scores.fill_ratio, scores.rate, scores.fades) == (0, None, None, ())
    assert scores.send_to_ack_ns.orders == 2 and scores.survives(1) is None


def test_a_fill_that_came_before_the_acknowledgement_is_the_first_that_was_heard(book):
    book.order(1, at_ns=10**9, quantity=400)
    book.fill(10**9 + 3 * MILLISECOND_NS, 1)
    book.report(ExecType.REPORT_NEW, 10**9 + 30 * MILLISECOND_NS, 1)
    order(book, 2, 400, 400, 20_000, listing=0)                 # and one that took very long
    assert found().fades == (Fade(up_to_ns=5 * MILLISECOND_NS, survives=1.0, orders=1),
                             Fade(up_to_ns=20_000 * MILLISECOND_NS, survives=1.0, orders=1))


PARTS, TIMES = st.floats(0, 1), st.integers(0, 10**12)
COUNTS = st.integers(1, 10**9)


@st.composite
def percentiles(draw):
    low, middle, high = sorted(draw(st.lists(TIMES, min_size=3, max_size=3)))
    return Percentiles(p50=low, p90=middle, p99=high, orders=draw(COUNTS))


@st.composite
def exchanges(draw):
    latencies = {name: draw(st.none() | percentiles()) for name in (
        "signal_to_send_ns", "send_to_ack_ns", "ack_to_fill_ns")}
    if not draw(st.booleans()):
        return ExchangeScores(**latencies)
    ends = sorted(draw(st.sets(st.integers(1, 10**10), max_size=5)))
    return ExchangeScores(orders=draw(COUNTS), fill_ratio=draw(st.none() | PARTS),
                          rate=draw(st.none() | st.floats(0, 1e300)),
                          fades=tuple(Fade(up_to_ns=end, survives=draw(PARTS), orders=draw(COUNTS)) for end in ends),
                          **latencies)


@given(st.dictionaries(st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1), exchanges(),
                       max_size=3))
def test_what_is_written_is_read_back(named):
    scores = Scores(exchanges=named)
    assert parse(tomllib.loads(text(scores))) == scores


WHOLE = {"orders": 5, "fill_ratio": 0.9, "rate": 2.0, "fades": [{"up_to_ns": 5, "survives": 1.0, "orders": 2},
                                                               {"up_to_ns": 9, "survives": 0.5, "orders": 3}],
         "send_to_ack_ns": {"p50": 1, "p90": 2, "p99": 2, "orders": 5}}


@pytest.mark.parametrize(("change", "told"), [
    ({"fill_ratio": 1.5}, "exchanges.alpha.fill_ratio: expected a number <= 1.0"),
    ({"rate": -1.0}, "exchanges.alpha.rate: expected a number >= 0.0"),
    ({"rate": math.inf}, "exchanges.alpha.rate: inf, expected a number"),
    ({"rate": math.nan}, "exchanges.alpha.rate: expected a number >= 0.0"),
    ({"fill_ratio": math.nan}, "exchanges.alpha.fill_ratio: expected a number >= 0.0"),
    ({"rates": 1.0}, "exchanges.alpha.rates: no such key; did you mean rate?"),
    ({"orders": 0}, "exchanges.alpha.orders: is missing or 0, and there is a fill_ratio"),
    ({"orders": "5"}, "exchanges.alpha.orders: expected a whole number, got text"),
    ({"fades": [{"up_to_ns": 5, "survives": 1.0}]}, "exchanges.alpha.fades[0].orders: is missing"),
    ({"fades": [{"up_to_ns": 5, "survives": 1.0, "orders": 1}] * 2},
     "exchanges.alpha.fades[1].up_to_ns: 5 should be above 5"),
    ({"send_to_ack_ns": {"p50": 3, "p90": 2, "p99": 4, "orders": 1}},
     "exchanges.alpha.send_to_ack_ns.p90: 2 should not be below p50, 3"),
    ({"send_to_ack_ns": {"p50": 3, "p90": 4, "orders": 1}}, "exchanges.alpha.send_to_ack_ns.p99: is missing")])
def test_what_is_wrong_is_named_by_its_key(change, told):
    assert parse({"version": 1, "exchanges": {"alpha": WHOLE}}).exchanges["alpha"].rate == 2.0
    with pytest.raises(ScoresError) as error:
        parse({"version": 1, "exchanges": {"beta": WHOLE, "alpha": WHOLE | change}})
    assert str(error.value).startswith(told)


def test_a_file_that_is_none_is_named(tmp_path):
    path = tmp_path / "scores.toml"
    with pytest.raises(ScoresError, match=r"scores.toml: cannot be read: No such file"):
        load(path)
    for content, told in (("version = ", "not TOML"), ("", "version: missing, this orderflow reads 1"),
                          ("version = 2", "version: 2, this orderflow reads 1")):
        path.write_text(content)
        with pytest.raises(ScoresError, match=f"scores.toml: {told}"):
            load(path)


def test_the_example_in_the_docstring_is_one():
    from orderflow import scores

    lines = [line[4:] for line in scores.__doc__.splitlines() if line.startswith("    ")]
    found_ = parse(tomllib.loads("\n".join(lines))).exchanges["alpha"]
    assert found_.survives(50 * MILLISECOND_NS) == pytest.approx(math.exp(-0.412 * 0.05))


def test_the_command_writes_them(tmp_path, capsys):
    engine = next(engines())(directory=tmp_path / "run")        # no recording is needed
    engine.wait(engine.submit(INSTRUMENT, "buy", 20))
    engine.stop()
    path = tmp_path / "scores.toml"
    assert main(["tca", str(tmp_path / "run"), "--scores", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["scores"] == str(path)
    written = load(path)
    assert set(written.exchanges) == {"alpha", "beta", "gamma"}
    assert all(one.orders == 1 and one.fill_ratio == 1.0 for one in written.exchanges.values())
    assert main(["tca", str(tmp_path / "run"), "--scores", str(tmp_path / "nowhere" / "x")]) == 2
    assert "--scores" in capsys.readouterr().err
