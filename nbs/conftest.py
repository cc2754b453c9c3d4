"The notebooks are tests: `pytest nbs` runs them through tests/nbcheck.py."

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from nbcheck import pytest_collect_file, pytest_configure, pytest_sessionfinish, pytest_terminal_summary  # noqa: E402, F401
