"""The notebook runs as a newcomer would run it, and what it ends with is right."""
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[1] / "examples" / "first_steps.ipynb"
#: Asked of the kernel when the notebook has run.
QUESTIONS = """
import json
print(json.dumps({
    "filled": str(parent.filled), "quantity": str(parent.quantity), "status": parent.status,
    "exchanges": list(parent.by_exchange), "levels": int(book["ask_count"]), "state": int(book["book_state"]),
    "orders": len(leaner.orders), "reports": len(leaner.reports), "seen": len(leaner.mids),
    "failures": [repr(one) for strategy in engine._strategies for one in strategy.failures],
    "fills": [engine.position(index).fills for index in range(3)],
    "theirs": [sum(event["event"] == "filled" for event in truth[name]["events"]) for name in truth],
    "audit": engine.orders.audit(), "settled": engine.settled,
    "figures": plt.get_fignums()}))
"""


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The notebook with its outputs, and what the kernel answers."""
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "commit it without outputs"
    notebook.cells.append(nbformat.v4.new_code_cell(QUESTIONS))
    client = NotebookClient(notebook, timeout=60, kernel_name="python3",
                            resources={"metadata": {"path": str(NOTEBOOK.parents[1])}})
    client.execute(env={**__import__("os").environ, "MPLBACKEND": "module://matplotlib_inline.backend_inline"})
    return notebook
