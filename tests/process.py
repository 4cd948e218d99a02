"""The command line of the very package that is under test, in a process of its own."""
import os
import sys
from pathlib import Path

import orderflow

PACKAGE_PARENT = str(Path(orderflow.__file__).parents[1])
#: -P: whatever lies in the working directory is not imported.
COMMAND = [sys.executable, "-P", "-m", "orderflow"]
ENVIRONMENT = os.environ | {"PYTHONPATH": PACKAGE_PARENT}
