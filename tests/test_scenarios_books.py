"""Failure scenarios of books, each against a simulated exchange on a virtual clock. Every kind of fault on every
protocol: tests/test_faults.py; by chance and together: tests/test_faults_fuzzed.py.
"""
import pytest

from orderflow._core.types import BookFault
from tests.faulted import Faulted

#: One that joins a REST snapshot, one whose snapshots come in the stream.
PROTOCOLS = ("binance_spot", "kraken_v2")


def struck(protocol, kind, **options):
    """A world in which one fault was done to one of two books, and what each book had been through before."""
    world = Faulted(protocol)
    world.wait_live()
    before = [world.counters(symbol) for symbol in world.symbols]
    world.arm(kind, symbol=world.symbols[0], **options)
    world.wait(lambda: world.exchange.counts[kind] == 1, kind)
    return world, before


def only_the_first_was_resynced(world, before):
    assert world.counters(world.symbols[0])["resyncs"] > before[0]["resyncs"]
    assert world.counters(world.symbols[1])["resyncs"] == before[1]["resyncs"]
    assert world.conversation.health.connects == len(world.conversation.session.endpoints())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_scenario_14_a_stream_that_stands_still_is_stale_whatever_else_goes_on(protocol):
    """Its budget is five seconds here; the other book and the connection go on."""
    world, before = struck(protocol, "freeze")
    began_ns = world.server.now_ns
    told = f"book of {world.symbols[0]} is STALE (SILENT)"
    world.wait(lambda: any(told in problem for problem in world.problems), "STALE")
    assert world.server.now_ns - began_ns < 7 * 10**9 and world.state(world.symbols[1]) == "LIVE"
    world.becomes_true()
    only_the_first_was_resynced(world, before)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_scenario_15_a_subscription_that_nobody_heard_is_asked_for_again_and_told(protocol):
    world = Faulted(protocol)
    world.arm("no_ack", symbol=world.symbols[0])
    world.wait_live()
    assert world.exchange.counts["no_ack"] == 1
    assert any("no answer in phase 'subscribe'" in problem and world.symbols[0] in problem
               for problem in world.problems)
    world.becomes_true()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_scenario_16_a_missing_update_is_noticed_before_the_next_read(protocol):
    """The oracle looks at the board after every single frame: a book that said LIVE and was not the true one would end
    the test."""
    world, before = struck(protocol, "drop")
    world.wait(lambda: world.counters(world.symbols[0])["resyncs"] > before[0]["resyncs"], "a resync")
    seen = {"binance_spot": BookFault.GAP, "kraken_v2": BookFault.CHECKSUM}[protocol].name
    assert any(f"book of {world.symbols[0]} is STALE ({seen})" in problem for problem in world.problems)
    world.becomes_true()
    only_the_first_was_resynced(world, before)


@pytest.mark.parametrize("kind", ("late_snapshot", "old_snapshot"))
def test_scenario_17_a_snapshot_that_comes_late_or_is_old_loses_no_update(kind):
    """What comes meanwhile is kept and joined; one that leaves a hole is refused and asked for again."""
    world = Faulted("binance_spot")
    world.wait_live()
    for fault in (kind, "gap"):
        world.arm(fault, symbol=world.symbols[0])
    world.wait(lambda: world.exchange.counts[kind] == 1, kind)
    world.becomes_true()
    assert world.counters(world.symbols[1])["resyncs"] == 0


def test_scenario_18_a_wrong_checksum_concerns_its_book_alone():
    world, before = struck("kraken_v2", "checksum")
    world.wait(lambda: world.counters(world.symbols[0])["checksums_failed"] == 1, "a failed checksum")
    assert world.state(world.symbols[1]) == "LIVE"
    world.becomes_true()
    only_the_first_was_resynced(world, before)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_scenario_22_a_price_step_that_becomes_finer_keeps_every_level(protocol):
    world = Faulted(protocol)
    tick = 4 * world.exchange.source.finest[world.symbols[0]]
    world.wait_live()
    world.arm("tick_size", symbol=world.symbols[0], tick=tick)
    world.wait(lambda: world.exchange.counts["tick_size"] == 1, "tick_size")
    world.run(5)
    world.becomes_true()
    assert world.problems == [] and world.counters(world.symbols[0])["resyncs"] == 0


@pytest.mark.parametrize("kind", ("oversize", "fragment"))
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_scenario_31_a_frame_that_is_huge_or_comes_in_pieces_costs_a_connection_at_most(protocol, kind):
    world, _ = struck(protocol, kind)
    world.becomes_true()
    lost = kind == "oversize"
    assert world.conversation.health.connects == len(world.conversation.session.endpoints()) + lost
    assert bool(world.problems) == lost
