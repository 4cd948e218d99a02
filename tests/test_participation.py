"""Participation: the worked number, what no window may exceed, bursts, and that it does not feed on itself."""
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orderflow._core.algos.participation import ParticipationRate

WINDOW = 8
MILLION = 10**6


def test_the_worked_number():
    """A tenth of all volume: 900, 400 and 1200 of others make 100, 44.44 and 133.33; here in hundredths."""
    rate, traded, done, found = ParticipationRate(100_000), 0, 0, []
    for others in (900_00, 400_00, 1200_00):
        traded += others
        due = rate.look(traded, done)
        found.append(due)
        done += due
    assert found == [100_00, 44_44, 133_33]


@given(rate=st.integers(1, MILLION - 1), steps=st.lists(
    st.tuples(st.integers(0, 10**12), st.floats(0, 1)), min_size=1, max_size=40))
def test_in_no_window_is_ours_more_than_its_part(rate, steps):
    """Whatever part of what is due finds liquidity. By the definition, in fractions: what answers a window is sent
    after its first look."""
    pace, traded, done = ParticipationRate(rate), 0, 0
    seen, had = [0], [0]        # by look: traded, done
    for others, found in steps:
        traded += others
        due = pace.look(traded, done)
        seen.append(traded)
        had.append(done)
        began = max(0, len(seen) - 1 - WINDOW)
        part = Fraction(rate, MILLION - rate) * (traded - seen[began])
        assert due == max(0, int(part) - (done - had[min(began + 1, len(had) - 1)]))
        done += int(due * found)


def test_what_was_missed_for_long_is_not_chased():
    """An hour without liquidity of ours; then no more than the part of the window."""
    pace = ParticipationRate(100_000)
    for traded in range(9000, 9000 * 3600, 9000):
        pace.look(traded, 0)
    assert pace.look(9000 * 3600, 0) == 1000 * WINDOW


def test_a_burst_is_followed_and_not_longer_than_the_window():
    pace, traded, done, sent = ParticipationRate(100_000), 0, 0, []
    for interval in range(40):
        traded += 900_000 if interval == 10 else 900
        due = pace.look(traded, done)
        sent.append(min(due, 5_000))            # what the books have in one interval
        done += sent[-1]
    assert sent[9] == 100 and sent[10:18] == [5_000] * WINDOW
    assert sum(sent[10:18]) < 100_000           # the tenth of the burst
    assert max(sent[18:]) <= 100 * WINDOW       # once ours of the burst has left the window: its part of all of it
    assert sum(sent[18:]) <= 100 * 22


@given(delays=st.lists(st.integers(0, 3), min_size=30, max_size=30), rate=st.integers(1, MILLION - 1))
def test_it_does_not_feed_on_itself(delays, rate):
    """Others trade once; then only we do. Ours is what is filled and what is out, so it is known before its print, by
    up to three intervals. Nothing more is due because of it."""
    pace, done, traded = ParticipationRate(rate), 0, 10**9
    prints = [0] * 64
    for interval, delay in enumerate(delays):
        traded += prints[interval]
        done += (due := pace.look(traded - done, done))
        prints[interval + 1 + delay] += due
    assert done == 10**9 * rate // (MILLION - rate)


def test_what_is_too_little_to_be_sent_stays_due():
    pace, traded = ParticipationRate(100_000), 0
    for _ in range(50):
        traded += 9
        due = pace.look(traded, 0)
        pace.keep(due < 45)
        if due >= 45:
            break
    assert (due, traded) == (45, 405)


@pytest.mark.parametrize("rate", [0, MILLION])
def test_a_rate_is_a_part(rate):
    with pytest.raises(ValueError, match=f"rate {rate}: expected 1 to 999999"):
        ParticipationRate(rate)
