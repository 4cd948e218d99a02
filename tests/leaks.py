"""A plugin of pytest: the whole suite runs with every library logging at DEBUG (`log_level` in pyproject.toml), and a
test whose credentials stand in what it logged or printed fails, whatever else it was about.
"""
import pytest

from orderflow import credentials
from orderflow._core.secret import reveal
from tests.canaries import hits

#: Shorter ones are words that tests use for anything.
SHORTEST = 16
MADE = set()


def _noted(text):
    secret = _taken(text)
    if len(reveal(secret)) >= SHORTEST:
        MADE.add(reveal(secret))
    return secret


_taken, credentials._taken = credentials._taken, _noted


def pytest_runtest_setup(item):
    MADE.clear()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "teardown" and MADE:
        outputs = {name: text.encode(errors="replace") for name, text in report.sections}
        found = hits({text: text for text in MADE}, outputs)
        if found:
            report.outcome = "failed"
            report.longrepr = f"credentials of this test stand in its output: {found}"
    return report
