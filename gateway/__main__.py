"""`float`, and `python -m gateway`."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    try:
        from gateway.cli.app import main as run

        code = run()
    except KeyboardInterrupt:  # while Python was still reading the program
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
