"""The notebooks run as a newcomer would run them, and what they end with is right."""
import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from orderflow import BookState

EXAMPLES = Path(__file__).parents[1] / "examples"
#: Asked of the kernel when a notebook has run.
FIRST_STEPS = """
import json
print(json.dumps({
    "filled": str(parent.filled), "quantity": str(parent.quantity), "status": parent.status,
    "exchanges": list(parent.by_exchange), "levels": int(book["ask_count"]), "state": int(book["book_state"]),
    "orders": len(leaner.orders), "reports": len(leaner.reports), "seen": len(leaner.mids),
    "failures": [repr(one) for one in engine.failures],
    "fills": [engine.position(index).fills for index in range(3)],
    "theirs": [sum(event["event"] == "filled" for event in truth[name]["events"]) for name in truth],
    "audit": engine.orders.audit(), "settled": engine.settled}))
"""
ROUTING = """
import json
with open_market("again") as market:
    number = market.engine.submit("BTC-USDT", "buy", 30, **ways["shortfall"])
    again = market.engine.wait(number, timeout=100)
    market.engine.run(31)
print(json.dumps({
    "again": [list(map(str, (one.average_price, one.fees, one.children))) for one in (again, parents["shortfall"])],
    "rows": [{name: None if value is None else str(value) for name, value in one.items()} for one in (
        tca.frame(home / "again")[0], costs[list(ways).index("shortfall")])],
    "filled": [str(one.filled) for one in (*parents.values(), *trees.values())],
    "audit": market.engine.orders.audit(), "problems": market.problems,
    "estimated": [estimate.now.cost_bps, estimate.over(40).cost_bps],
    "predicted": [one["predicted_bps"] for one in costs], "realised": [one["realised_bps"] for one in costs],
    "z": [one["z_score"] for one in costs], "why": [one["not_predicted"] for one in costs],
    "missing": sorted({name for one in costs for name, value in one.items() if value is None})}))
"""
#: Runs before anything else: what is not on this machine cannot be reached.
OFFLINE = """
import socket
def refused(*_):
    raise OSError("a notebook that needs no network opened a connection")
socket.socket.connect = socket.create_connection = refused
"""


def execute(name, questions, first=""):
    """A notebook with its outputs; the last cell has what the kernel answers."""
    notebook = nbformat.read(EXAMPLES / name, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "commit it without outputs"
    notebook.cells.insert(0, nbformat.v4.new_code_cell(first))
    notebook.cells.append(nbformat.v4.new_code_cell(questions))
    client = NotebookClient(notebook, timeout=120, kernel_name="python3",
                            resources={"metadata": {"path": str(EXAMPLES.parent)}})
    client.execute()
    return notebook


@pytest.fixture(scope="module")
def first_steps():
    return execute("first_steps.ipynb", FIRST_STEPS)


@pytest.fixture(scope="module")
def routing():
    return execute("routing.ipynb", ROUTING, OFFLINE)


def printed(cell) -> str:
    """What a cell wrote to stdout."""
    return "".join(output["text"] for output in cell["outputs"] if output.get("name") == "stdout")


def answers(notebook):
    return json.loads(printed(notebook.cells[-1]))


def test_the_notebook_runs_and_all_is_accounted_for(first_steps):
    found = answers(first_steps)
    assert found["failures"] == [] and found["audit"] == []
    assert found["status"] == "PARENT_DONE" and float(found["filled"]) > 0.9 * float(found["quantity"])
    assert len(found["exchanges"]) > 1
    assert found["levels"] > 5 and found["state"] == BookState.LIVE
    assert found["seen"] == 3 and 0 < found["orders"] <= 3 and found["reports"] >= found["orders"]
    assert found["fills"] == found["theirs"] and sum(found["fills"]) > 10 and found["settled"]


@pytest.mark.parametrize(("name", "figures"), [("first_steps", 2), ("routing", 3)])
def test_a_notebook_shows_its_figures_and_warns_of_nothing(name, figures, request):
    outputs = [output for cell in request.getfixturevalue(name).cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == figures
    assert [output["text"] for output in outputs if output.get("name") == "stderr"] == []


def test_five_ways_fill_the_order_and_give_the_same_numbers_each_time(routing):
    found = answers(routing)
    assert {float(one) for one in found["filled"]} == {30.0} and len(found["filled"]) == 10
    assert found["audit"] == found["problems"] == []
    assert found["again"][0] == found["again"][1] and found["rows"][0] == found["rows"][1]
    shown = printed(next(cell for cell in routing.cells if cell.source.startswith("trees =")))
    assert shown.count("BUY 30 BTC-USDT") == 5 and shown.count("├─ slice") > 24


def test_what_the_notebook_says_of_costs_is_so(routing):
    """At once: what the books said, to a tenth of a basis point, and what was estimated before. The slow ways: far less
    than predicted. No number is missing but those that cannot be there."""
    found = answers(routing)
    predicted, realised = found["predicted"], found["realised"]
    assert abs(realised[0] - predicted[0]) < 0.1 and found["estimated"] == pytest.approx(predicted[:2], rel=1e-9)
    assert all(real < 0.5 * told for real, told in zip(realised[1:], predicted[1:], strict=True))
    assert found["z"][0] is None and all(one < -1 for one in found["z"][1:]) and found["why"] == [None] * 5
    # at once nothing is traded meanwhile, and an order that was filled before it was acknowledged has no such time
    assert {name for name in found["missing"] if not name.endswith("_ns")} == {
        "vwap", "vwap_bps", "participation", "predicted_deviation_bps", "z_score", "not_predicted"}
