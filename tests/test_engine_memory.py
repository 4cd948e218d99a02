"""An engine holds tens of megabytes of books, tables and segments. They go when its user lets go of it, not when
Python's collector, which sees a few small objects, thinks that it is worth its while: a notebook makes one engine after
another.
"""
import gc
import weakref

import pytest

import orderflow


@pytest.mark.parametrize("server", ["direct", "sync", "async"])
def test_a_stopped_engine_goes_with_the_last_reference_to_it(server):
    gc.collect()
    gc.disable()
    try:
        with orderflow.simulate(seed=7, server=server) as simulation:
            alive = {"engine": weakref.ref(simulation.engine), "server": weakref.ref(simulation.engine.server)}
            for conversation in simulation.engine.conversations:
                alive[conversation.name] = weakref.ref(conversation)
            simulation.engine.run(0.1)
            del conversation
        del simulation
        assert [name for name, one in alive.items() if one() is not None] == []
    finally:
        gc.enable()
