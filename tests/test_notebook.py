"""The notebook runs as a newcomer would run it, and what it ends with is right."""
import json
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from orderflow import BookState

NOTEBOOK = Path(__file__).parents[1] / "examples" / "first_steps.ipynb"
#: Asked of the kernel when the notebook has run.
QUESTIONS = """
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


@pytest.fixture(scope="module")
def executed():
    """The notebook with its outputs, and what the kernel answers."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "commit it without outputs"
    notebook.cells.append(nbformat.v4.new_code_cell(QUESTIONS))
    client = NotebookClient(notebook, timeout=60, kernel_name="python3",
                            resources={"metadata": {"path": str(NOTEBOOK.parents[1])}})
    client.execute()
    return notebook


def printed(cell) -> str:
    """What a cell wrote to stdout."""
    return "".join(output["text"] for output in cell["outputs"] if output.get("name") == "stdout")


def test_the_notebook_runs_and_all_is_accounted_for(executed):
    found = json.loads(printed(executed.cells[-1]))
    assert found["failures"] == [] and found["audit"] == []
    assert found["status"] == "PARENT_DONE" and float(found["filled"]) > 0.9 * float(found["quantity"])
    assert len(found["exchanges"]) > 1
    assert found["levels"] > 5 and found["state"] == BookState.LIVE
    assert found["seen"] == 3 and 0 < found["orders"] <= 3 and found["reports"] >= found["orders"]
    assert found["fills"] == found["theirs"] and sum(found["fills"]) > 10 and found["settled"]


def test_the_notebook_shows_two_figures_and_warns_of_nothing(executed):
    outputs = [output for cell in executed.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 2
    assert [output["text"] for output in outputs if output.get("name") == "stderr"] == []
