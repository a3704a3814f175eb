"""Which tests were skipped, by name and reason: `skips.py REPORT.xml [WORD…]`.

With CI=true a skip is a failure (exit 1), unless its reason has one of the words: what this machine was found to
lack although it was tried to get it. Without CI it is told and nothing more.
"""

from __future__ import annotations

import os
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

ALWAYS_EXCUSED = ("rstudio", "slurm")  # servers of others that no test machine is asked to have


def main(report: Path, excuses: list[str]) -> int:
    """Print the summary; returns the exit code."""
    skips = list(read(report))
    if not skips:
        print("No test was skipped.")
        return 0
    print(f"{len(skips)} skipped:")
    for name, reason in skips:
        print(f"  {name}: {reason}")
    if os.environ.get("CI") != "true":
        return 0
    words = [one.lower() for one in (*excuses, *ALWAYS_EXCUSED)]
    bad = [name for name, reason in skips if not any(word in reason.lower() for word in words)]
    if bad:
        print(f"{len(bad)} of them can run on this machine and were not: that is a failure in CI.")
    return 1 if bad else 0


def read(report: Path) -> list[tuple[str, str]]:
    """(test, reason) for each skipped test of a JUnit report; nothing when there is no report."""
    if not report.exists():
        return []
    cases = ET.parse(report).getroot().iter("testcase")
    found = [(case, case.find("skipped")) for case in cases]
    return [
        (f"{case.get('classname')}.{case.get('name')}", skip.get("message") or "no reason")
        for case, skip in found
        if skip is not None and skip.get("type") != "pytest.xfail"
    ]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2:]))
