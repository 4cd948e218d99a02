"""Random rejects, time-outs, partial fills, duplicates, dying and returning exchanges: every parent ends, none
overfills, no unit is lost, and what is kept below the minimums balances.

Storms by seed, and storms whose events hypothesis chooses and shrinks. Longer ones: `make soak`.
"""
import os
import random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.routing_storm import ACTIONS, Storm
from tests.storm_books import IN_MEMORY, conserved, over, weather_of

SEEDS = int(os.environ.get("ORDERFLOW_STORMS", "1000"))     # fewer where a sanitizer looks at each
TOGETHER = 40


@pytest.mark.parametrize("first", range(0, SEEDS, TOGETHER))
def test_every_parent_ends_and_no_unit_is_lost(first):
    orders = icebergs = 0
    for seed in range(first, first + TOGETHER):
        wrong, counts = weather_of(seed)
        assert not wrong, f"seed {seed}: {wrong}"
        orders += counts["orders"]
        icebergs += counts["icebergs"]
    assert orders > 8 * TOGETHER and icebergs


class Weather(RuleBasedStateMachine):
    """What happens is hypothesis' choice, how badly it is told the dice's."""

    @initialize(seed=st.integers(0, 2**32))
    def begin(self, seed):
        self.directory = TemporaryDirectory(prefix="orderflow-storm-", dir=IN_MEMORY)
        self.storm = Storm(random.Random(seed), self.directory.name)

    @rule(action=st.sampled_from(list(ACTIONS)))
    def happens(self, action):
        self.storm.happen(action)

    @rule()
    def comes(self):
        self.storm.happen("submit")

    @invariant()
    def holds(self):
        if hasattr(self, "storm"):
            assert [*self.storm.wrong, *conserved(self.storm)] == []

    def teardown(self):
        if not hasattr(self, "storm"):
            return
        try:
            self.storm.calm()
            assert over(self.storm, self.directory.name) == []
        finally:
            self.storm.close()
            self.directory.cleanup()


TestWeather = Weather.TestCase
TestWeather.settings = settings(max_examples=40, stateful_step_count=40)
