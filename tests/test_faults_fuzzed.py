"""Fuzzed and fault-injected frames of every protocol: whenever a book says LIVE it is a true one (tests/faulted.py).

ORDERFLOW_FUZZ_FRAMES sets how many frames each protocol gets (20000); `make soak` gives a million.
"""
import os

import pytest

from orderflow.simulator.dialects import PROTOCOLS
from orderflow.simulator.faults import Fault, FaultPlan
from tests.faulted import RATES, Faulted

FRAMES = int(os.environ.get("ORDERFLOW_FUZZ_FRAMES", "20000"))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_live_book_is_a_true_one(protocol):
    faulted = Faulted(protocol, FaultPlan(rates=RATES, seed=1))
    faulted.run_frames(FRAMES)
    assert faulted.live > FRAMES // 4, "hardly a book was LIVE"
    frequent = [kind for kind, chance in RATES.items() if chance * FRAMES > 10
                and kind not in ("no_ack", "refusal", "late_snapshot", "old_snapshot")
                and not faulted.exchange.impossible(Fault(kind))]
    assert set(frequent) <= faulted.exchange.counts.keys()
    faulted.becomes_true()
