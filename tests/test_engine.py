"""The engine's own face: what its parts do is asked of it, and says the same there."""
import inspect

import pytest

from orderflow import Engine, EngineError
from orderflow.parent_orders import ParentOrders
from orderflow.servers.direct import DirectServer
from orderflow.supervision import Supervision


@pytest.mark.parametrize(("part", "name"), [
    (ParentOrders, "submit"), (ParentOrders, "estimate"), (ParentOrders, "parents"), (Supervision, "halt")])
def test_what_a_part_does_has_arguments_and_help_of_its_own(part, name):
    own, theirs = getattr(Engine, name), getattr(part, name)
    assert inspect.signature(own) == inspect.signature(theirs) and inspect.getdoc(own) == inspect.getdoc(theirs) != ""


def test_an_engine_that_was_not_started_says_so():
    engine = Engine([], DirectServer({}, 0, print))
    try:
        for asked in (engine.parents, engine.halt, lambda: engine.submit("BTC-USDT", "buy", 1)):
            with pytest.raises(EngineError, match="start it first"):
                asked()
    finally:
        engine.stop()
