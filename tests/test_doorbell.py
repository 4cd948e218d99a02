"""The doorbell: no wake-up is lost between two threads that park."""
import os
import select
import threading

import pytest

from orderflow._core import hop
from orderflow._core.doorbell import Doorbell
from orderflow._core.ring import Ring

#: Ten million by `make soak`; short random spins before parking keep the race window busy.
HOPS = int(os.environ.get("ORDERFLOW_HOPS", "100000"))


def exchange(hops, most_spins):
    """Two threads that answer each other, both parking; returns what each saw."""
    there, back = Ring(8, 64), Ring(8, 64)
    first, second = Doorbell(), Doorbell()
    seen = {}
    sides = [threading.Thread(target=lambda: seen.update(one=hop.exchange_parking(
                 back, there, first, second, hops, True, most_spins, 1))),
             threading.Thread(target=lambda: seen.update(two=hop.exchange_parking(
                 there, back, second, first, hops, False, most_spins, 2)))]
    for side in sides:
        side.start()
    for side in sides:
        side.join()
    return seen


@pytest.mark.parametrize("most_spins", [0, 400])
def test_no_wake_up_is_lost(most_spins):
    hops = HOPS if most_spins else HOPS // 10
    seen = exchange(hops, most_spins)
    for outcome in seen.values():
        assert outcome["lost"] == 0
        assert outcome["wrong"] == 0
        assert outcome["hops"] == hops
    assert sum(outcome["parks"] for outcome in seen.values()) > 0, "nobody ever parked: the test proves nothing"


def test_ring_only_costs_a_system_call_when_parked():
    bell = Doorbell()
    assert not bell.ring()
    bell.prepare_park()
    assert bell.parked
    assert bell.ring()
    assert not bell.ring()
    bell.wait(-1)
    assert not bell.parked


def test_waiting_ends_with_the_time():
    bell = Doorbell()
    bell.prepare_park()
    bell.wait(1_000_000)
    assert not bell.parked


def test_an_event_loop_may_watch_it():
    bell = Doorbell()
    bell.prepare_park()
    assert not select.select([bell], [], [], 0)[0]
    bell.ring()
    assert select.select([bell], [], [], 5)[0]
    bell.take()
    assert not select.select([bell], [], [], 0)[0]
