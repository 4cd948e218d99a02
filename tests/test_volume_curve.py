"""Volume curves: what is expected between two moments, the worked number, and days that are not as expected."""
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import orderflow
from orderflow._core.algos.volume_curve import VolumeCurve, VolumeFollower
from orderflow.research import tca_journal
from orderflow.research.simulation import INSTRUMENT
from tests.test_tca_runs import market_trades
from tests.three_exchanges import engines

BUCKETS, BUCKET_NS = 288, 300 * 10**9
DAY_NS = BUCKETS * BUCKET_NS
#: A midnight UTC.
MIDNIGHT_NS = 20_000 * DAY_NS


def slow(volumes, from_ns, to_ns):
    """By the definition: bucket after bucket, in fractions."""
    total = Fraction(0)
    for bucket in range(from_ns // BUCKET_NS, to_ns // BUCKET_NS + 1):
        begin, end = max(from_ns, bucket * BUCKET_NS), min(to_ns, (bucket + 1) * BUCKET_NS)
        if end > begin:
            total += Fraction(volumes[bucket % BUCKETS]) * (end - begin) / BUCKET_NS
    return total


def day(**volumes):
    """A day's buckets: 1 each, but for those named by their hour, as h9=5."""
    found = np.ones(BUCKETS)
    for name, volume in volumes.items():
        hour = int(name[1:])
        found[hour * 12:hour * 12 + 12] = volume
    return found


@given(volumes=st.lists(st.integers(0, 1000), min_size=BUCKETS, max_size=BUCKETS).filter(any),
       begin=st.integers(0, 2 * DAY_NS), length=st.integers(0, 2 * DAY_NS))
def test_what_is_expected_is_the_definition(volumes, begin, length):
    begin += MIDNIGHT_NS
    found = VolumeCurve(volumes).expected(begin, begin + length)
    # running sums of up to three days, 10**6 at most, are exact to 1e-10
    assert found == pytest.approx(float(slow(volumes, begin, begin + length)), rel=1e-12, abs=1e-9)


def test_the_worked_number():
    """A profile of 18, 12, 9, 8, 10, 15 and 28 % in lots of ten: as long as the day is as expected."""
    profile, volumes = (18, 12, 9, 8, 10, 15, 28), np.zeros(BUCKETS)
    volumes[:7] = profile
    follower, seen, found = VolumeFollower(VolumeCurve(volumes), MIDNIGHT_NS, MIDNIGHT_NS + 7 * BUCKET_NS), 0, []
    for index, part in enumerate(profile):
        follower.look(seen, MIDNIGHT_NS + index * BUCKET_NS, MIDNIGHT_NS + (index + 1) * BUCKET_NS)
        found.append(follower.released(1000, 10))
        seen += part
    assert np.diff(found, prepend=0).tolist() == [180, 120, 90, 80, 100, 150, 280]


def shares(curve, volumes, first, last):
    """What a parent from bucket `first` to `last` is released in each bucket of a day that was so."""
    begin_ns, end_ns = MIDNIGHT_NS + first * BUCKET_NS, MIDNIGHT_NS + last * BUCKET_NS
    follower, found = VolumeFollower(VolumeCurve(curve), begin_ns, end_ns), []
    for bucket in range(first, last):
        at = MIDNIGHT_NS + bucket * BUCKET_NS
        found.append(follower.look(float(volumes[first:bucket].sum()), at, at + BUCKET_NS))
    return np.diff(found, prepend=0)


@given(level=st.floats(0.1, 10), shift=st.integers(-40, 40))
def test_it_is_between_the_two_ways_to_see_a_day(level, shift):
    """That the day is so lively all along, and that what is left is what the curve has."""
    curve = day(h9=5, h14=9)
    volumes = np.roll(curve, shift) * level
    found = np.cumsum(shares(curve, volumes, 100, 200))[:-1]
    seen = np.concatenate(([0.0], np.cumsum(volumes[100:199])))[:-1]
    had = np.concatenate(([0.0], np.cumsum(curve[100:199])))[:-1]
    rest, soon = curve[101:200][::-1].cumsum()[::-1], curve[100:199]
    lively = np.divide(seen, had, out=np.ones_like(seen), where=had > 0)
    both = [(seen + ratio * soon) / (seen + ratio * (soon + rest)) for ratio in (lively, np.ones_like(seen))]
    low, high = np.maximum.accumulate(np.minimum(*both)), np.maximum.accumulate(np.maximum(*both))
    assert (found >= low - 1e-9).all() and (found <= high + 1e-9).all()     # sums of floats


def miss(parts, volumes, prices):
    """How far its average price is from the market's, both by their volumes."""
    return abs(((parts - volumes / volumes.sum()) * prices).sum())


@pytest.mark.parametrize(("hours", "better"), [(-2, True), (-1, True), (1, True), (2, True), (0, False)])
def test_it_beats_the_static_curve_on_days_that_are_shifted(hours, better):
    """Days whose volume comes earlier or later than on the curve, and which are more or less lively. Where it comes as
    on the curve, noise that is taken for news costs next to nothing."""
    at = np.arange(BUCKETS) / 12
    curve = 1 + 4 * np.exp(-((at - 14) / 2) ** 2)
    first, last, dice = 10 * 12, 18 * 12, np.random.default_rng(7)
    static = curve[first:last] / curve[first:last].sum()
    fixed, live = [], []
    for _ in range(1000):
        volumes = np.roll(curve, hours * 12) * np.exp(dice.normal(0, 0.5, BUCKETS)) * dice.uniform(0.7, 1.4)
        own = volumes[first:last]
        prices = np.cumsum(dice.normal(0, np.sqrt(own)))
        fixed.append(miss(static, own, prices))
        live.append(miss(shares(curve, volumes, first, last), own, prices))
    ratio = np.mean(live) / np.mean(fixed)
    print(f"shifted by {hours} h: misses VWAP by {ratio:.3f} of what the static curve does")
    assert ratio < 0.98 if better else ratio < 1.03     # of a thousand days a mean is known to 2 %


@given(volumes=st.lists(st.floats(0, 1e9), min_size=24, max_size=24), slices=st.integers(1, 60),
       quantity=st.integers(1, 10**12), lot=st.integers(1, 10**6))
def test_whatever_the_day_it_never_takes_back_and_ends_whole(volumes, slices, quantity, lot):
    begin_ns, end_ns = MIDNIGHT_NS + 11, MIDNIGHT_NS + 11 + 3600 * 10**9
    follower, length = VolumeFollower(VolumeCurve(day()), begin_ns, end_ns), 3600 * 10**9 // slices
    before, seen = 0, 0.0
    for index in range(slices):
        until = end_ns if index == slices - 1 else begin_ns + (index + 1) * length
        share = follower.look(seen, begin_ns + index * length, until)
        found = follower.released(quantity, lot)
        assert 0 <= share <= 1 and found >= before and (found % lot == 0 or found == quantity)
        before, seen = found, seen + volumes[index % 24]
    assert before == quantity


def test_where_nothing_is_expected_it_waits_for_the_end():
    volumes = np.zeros(BUCKETS)
    volumes[0] = 1.0
    follower = VolumeFollower(VolumeCurve(volumes), MIDNIGHT_NS + 2 * BUCKET_NS, MIDNIGHT_NS + 6 * BUCKET_NS)
    found = [follower.look(0.0, MIDNIGHT_NS + at * BUCKET_NS, MIDNIGHT_NS + (at + 1) * BUCKET_NS)
             for at in range(2, 6)]
    assert found == [0, 0, 0, 1]


@pytest.mark.parametrize(("volumes", "told"), [
    ([1.0] * 24, "expected 288"), ([0.0] * BUCKETS, "not all may be zero"),
    ([-1.0] + [1.0] * 287, "none may be negative"), ([math.nan] + [1.0] * 287, "none may be negative or infinite")])
def test_what_is_no_curve_is_named(volumes, told):
    with pytest.raises(ValueError, match=told):
        VolumeCurve(volumes)


@pytest.fixture
def make():
    yield from engines()


def test_a_recorded_run_teaches_what_others_traded(make, tmp_path):
    """Over the end of five minutes, against the trades as they stand in the recorded frames; not our own."""
    engine = make(directory=tmp_path, record=True)
    begin_ns = engine.now_ns
    engine.run(95)
    state = engine.wait(engine.submit(INSTRUMENT, "buy", 20))
    engine.run(20)
    end_ns = engine.now_ns
    engine.stop()
    own = {(order.listing.exchange, fill.trade_id) for parent in tca_journal.read(tmp_path).parents
           for order in parent.orders for fill in order.fills}
    cut_ns = (begin_ns // BUCKET_NS + 1) * BUCKET_NS
    volumes = [0, 0]
    for at_ns, _, quantity in market_trades(tmp_path, own):
        volumes[at_ns > cut_ns] += quantity
    assert state.filled == 20 and min(volumes) > 50
    (name, curve), = orderflow.volume_curves(tmp_path).items()
    first = begin_ns // BUCKET_NS % BUCKETS
    # what came before the engine was ready, a tenth of a second, is recorded too
    found = [curve[first] * (cut_ns - begin_ns) / BUCKET_NS, curve[first + 1] * (end_ns - cut_ns) / BUCKET_NS]
    assert name == INSTRUMENT and found == pytest.approx([float(one) for one in volumes], rel=0.01)
    others = [rate for place, rate in enumerate(curve) if place not in (first, first + 1)]
    assert others == pytest.approx([curve[first:first + 2].mean()] * (BUCKETS - 2))
    make(volume_curves={name: curve})                   # as an engine takes it


def test_what_was_not_recorded_teaches_nothing(make, tmp_path):
    make(directory=tmp_path).stop()
    with pytest.raises(ValueError, match="no run was recorded there"):
        orderflow.volume_curves(tmp_path)
