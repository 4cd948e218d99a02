"""What several test files share."""
import gc
import json
import os
from pathlib import Path

import pytest
from hypothesis import settings

from orderflow.servers.hosts import HOSTS
from tests import scenarios
from tests.leaks import pytest_runtest_makereport, pytest_runtest_setup  # noqa: F401  # hooks

settings.register_profile("untimed", deadline=None)     # how long an example takes says nothing
settings.load_profile("untimed")
SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session")
def feeds():
    """Folder of the recorded exchange feeds, which lie beside the repository where they are present at all.

    In CI they must be: there a test that did not run would look like one that passed.
    """
    if not (SHARED / "feeds").is_dir():
        message = f"no recorded feeds at {SHARED / 'feeds'}"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    return SHARED / "feeds"


@pytest.fixture(autouse=True)
def hosts_of_its_own(monkeypatch):
    """What a host allowed, refused or counted in one test is nothing to the next one."""
    monkeypatch.setattr(HOSTS, "_hosts", {})


@pytest.fixture(autouse=True, scope="module")
def memory_of_its_own():
    """Doubles of engines and exchanges that know each other are collected before the next file's begin."""
    yield
    gc.collect()


def pytest_addoption(parser):
    parser.addoption("--scenario-table", metavar="FILE", help="write which failure scenarios have passed into FILE")


class ScenarioTable:
    """What came of the tests that are named after a failure scenario."""

    def __init__(self, path):
        self.path, self.outcomes = path, {}

    def pytest_runtest_logreport(self, report):
        file, _, name = report.nodeid.partition("::")
        test = Path(file).name, name.partition("[")[0]
        if self.outcomes.get(test) != "failed" and (report.when == "call" or report.outcome != "passed"):
            self.outcomes[test] = report.outcome

    def pytest_sessionfinish(self):
        scenarios.write(self.path, self.outcomes)


def pytest_configure(config):
    path = config.getoption("--scenario-table")
    if path and not hasattr(config, "workerinput"):
        config.pluginmanager.register(ScenarioTable(path))


def pytest_collection_modifyitems(items):
    """Building a wheel takes minutes: it goes first, so that other workers have the rest done by then."""
    items.sort(key=lambda item: item.get_closest_marker("wheel") is None)


def goldens_of(feeds, protocol):
    """Golden books of captures of a protocol, in the order of their names."""
    found = [json.loads(path.read_text()) for path in sorted((feeds / "golden").glob("*.json"))]
    return [golden for golden in found if golden.get("venue") == protocol]


def captures_of(feeds, protocol):
    """Paths of the captures of a protocol that have a golden book."""
    return [feeds / golden["capture"] for golden in goldens_of(feeds, protocol)]
