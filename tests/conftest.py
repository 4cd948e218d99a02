"""What several test files share."""
from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture(scope="session")
def feeds():
    """Folder of the recorded exchange feeds, which lie beside the repository where they are present at all."""
    if not (SHARED / "feeds").is_dir():
        pytest.skip("the recorded feeds are not beside this repository")
    return SHARED / "feeds"
