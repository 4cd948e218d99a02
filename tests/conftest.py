"""Fixtures shared by all tests."""
from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture
def feeds():
    """Folder of the recorded feeds."""
    path = SHARED / "feeds"
    if not path.is_dir():
        pytest.skip(f"the recorded feeds are not beside this checkout ({path})")
    return path
