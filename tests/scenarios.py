"""What has cost others money, by number, and which of it has a test: those named test_scenario_NN.

`make scenarios` runs them and writes the table of docs/reliability.md. The numbers are those of a list of what users of
other systems have reported; each test says what is provoked and what must come of it.
"""
import re
from pathlib import Path

NAME = re.compile(r"\bdef (test_scenario_(\d\d)_\w+)")
BEGIN, END = "<!-- scenarios: begin -->", "<!-- scenarios: end -->"
TITLES = {
    1: "An order was taken, its answer never came, and it is sent again",
    2: "In an outage of minutes, orders that were accepted are marked as failed and forgotten",
    3: "Orders survive a disconnect, and the next cycle quotes again",
    4: "The exchange does not find an order that it has just taken",
    5: "A fill crosses a cancel; a fill of nothing",
    6: "Fills before the acknowledgement, a cancel before both",
    7: "A cancel that is told after the order was filled",
    8: "A status word says filled, the quantities do not",
    9: "The same fill is told twice, once as a sum and once as a trade",
    10: "One trade id, several of our own orders",
    11: "Fills are repeated after a reconnect",
    12: "A replace crosses fills, changes ids, and cancels the old order",
    13: "The private stream dies while its connection stays open",
    14: "A public stream stands still while pings go on",
    15: "A subscription was refused or ignored, and the connection looks healthy",
    16: "One update is missing, and the book still looks plausible",
    17: "A snapshot and its updates race; the book is crossed",
    18: "One wrong checksum takes all books away",
    19: "A reconnect that hangs in one of its phases",
    20: "Too many requests, then a ban, then cancels that do not get through",
    21: "The clocks of the exchange and of this machine drift apart",
    22: "Tick, lot or precision change in mid-session",
    23: "One leg of two fills, the other does not",
    24: "The kill switch fails with what it should protect from, or trips on a bad mark",
    25: "New orders during shutdown or after it",
    26: "The exit leaves orders behind, or cancels somebody else's",
    27: "A restart sends what the run before has sent",
    28: "A torn journal, a locked one, a full disk",
    29: "Reconciliation with other ids each time, without end, or from a malformed answer",
    30: "Secrets in a log, a traceback or a URL",
    31: "Messages that are huge, or in endless fragments",
    32: "A process that stands still for seconds, or is held up by Python",
    33: "Our own orders trade with each other",
    34: "Children without end",
    35: "Requests overtake each other and their nonces",
    36: "Somebody in the middle: a wrong certificate, a wrong host, no encryption",
}


def tests_by_number(folder=Path(__file__).parent):
    """{number: [(file, test), ...]} of the source."""
    found = {number: [] for number in TITLES}
    for path in sorted(folder.glob("test_*.py")):
        for name, number in NAME.findall(path.read_text()):
            found[int(number)].append((path.name, name))
    return found


def table(outcomes):
    """Markdown; `outcomes` is {(file, test): "passed", "failed", ...}."""
    rows = ["| | what goes wrong | test | outcome |", "|---|---|---|---|"]
    for number, tests in tests_by_number().items():
        names = "<br>".join(f"`{file}::{test}`" for file, test in tests) or "none yet"
        told = sorted({outcomes.get(test, "not run") for test in tests})
        rows.append(f"| {number} | {TITLES[number]} | {names} | {', '.join(told)} |")
    return "\n".join(rows)


def write(path, outcomes):
    """Put the table between its marks."""
    text = Path(path).read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    Path(path).write_text(f"{before}{BEGIN}\n{table(outcomes)}\n{END}{after}")
