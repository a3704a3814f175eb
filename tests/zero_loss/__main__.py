"""`python -m tests.zero_loss [--long] [--moves N] [--real-moves N] [--losses N] [--body BYTES]`: at any length."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import pytest

USUAL = {"moves": 20, "real-moves": 5, "losses": 3, "body": 1_000_000_000}
LONG = {"moves": 100, "real-moves": 20, "losses": 12, "body": 5_000_000_000}


def main() -> int:
    """Pytest's exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.zero_loss", description=__doc__)
    parser.add_argument("--long", action="store_true", help=f"instead of {USUAL}: {LONG}")
    for name in USUAL:
        parser.add_argument(f"--{name}", type=int)
    args = parser.parse_args()
    for name, usual in (LONG if args.long else USUAL).items():
        asked = getattr(args, name.replace("-", "_"))
        os.environ[f"ZERO_LOSS_{name.replace('-', '_').upper()}"] = str(usual if asked is None else asked)
    return pytest.main(["-s", str(Path(__file__).parent)])


if __name__ == "__main__":
    sys.exit(main())
