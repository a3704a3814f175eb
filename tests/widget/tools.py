"""What the tests of the widget need besides a Chromium: axe-core, which npm has, and Firefox."""

from __future__ import annotations

import os
import shutil
from functools import cache
from pathlib import Path

import pytest

_ROOT = Path(__file__).parent.parent.parent


@cache
def axe() -> str:
    """The script of axe-core; the test is skipped where npm could not get it (`make test` does it)."""
    homes = [Path(os.environ.get("FLOATGATE_NODE", "/nowhere")), _ROOT / ".venv" / "node"]
    for home in homes:
        found = home / "node_modules" / "axe-core" / "axe.min.js"
        if found.exists():
            return found.read_text("utf-8")
    pytest.skip("axe-core is not here: no npm, or it could not get it")


def firefox() -> str:
    """The program; the test is skipped where there is none."""
    found = shutil.which("firefox-esr") or shutil.which("firefox")
    if found is None:
        pytest.skip("no Firefox")
    return found
