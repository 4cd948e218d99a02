"""The table of failure scenarios says what there is: no test more, none less."""
from pathlib import Path

import pytest

from tests import scenarios

pytestmark = pytest.mark.release

DOCUMENT = Path(__file__).parents[1] / "docs" / "reliability.md"


def test_the_document_names_every_scenario_and_its_tests():
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in
            DOCUMENT.read_text().partition(scenarios.BEGIN)[2].partition(scenarios.END)[0].splitlines()
            if line.startswith("| ") and not line.startswith("| |")]
    assert {int(row[0]): row[1] for row in rows} == scenarios.TITLES
    for number, tests in scenarios.tests_by_number().items():
        names = "<br>".join(f"`{file}::{test}`" for file, test in tests)
        assert rows[number - 1][2] == (names or "none yet"), f"run `make scenarios`: {number}"
        assert rows[number - 1][3] in ("passed", "" if not tests else "passed"), rows[number - 1]


def test_outcomes_are_written_between_the_marks(tmp_path):
    path = tmp_path / "page.md"
    path.write_text(f"before\n{scenarios.BEGIN}\noutdated\n{scenarios.END}\nafter\n")
    test = scenarios.tests_by_number()[1][0]
    scenarios.write(path, {test: "failed"})
    text = path.read_text()
    assert text.startswith("before\n") and text.endswith("\nafter\n") and "outdated" not in text
    assert f"| 1 | {scenarios.TITLES[1]} | `{test[0]}::{test[1]}` | failed |" in text
    assert f"| 12 | {scenarios.TITLES[12]} |" in text
