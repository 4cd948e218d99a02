"""What several test files share."""
import json
import os
from pathlib import Path

import pytest

from orderflow.servers.hosts import HOSTS
from tests.leaks import pytest_runtest_makereport, pytest_runtest_setup  # noqa: F401  # hooks

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
