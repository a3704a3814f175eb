"""`python -m gateway.opcenter --home <folder> [--host <ip>] [--port <port>]`: one OpCenter in the foreground.

SIGTERM and SIGINT end it; jobs and gateways go on. Prints one JSON line when it answers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from pathlib import Path

from gateway.config import DEFAULT_OPCENTER_PORT, default_home
from gateway.errors import Refusal

from .log import log_to
from .server import OpCenter


def main() -> int:
    """Returns the exit status: 0 ended by a signal, 1 could not start or a loop failed."""
    args = _arguments()
    args.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    log_to(args.home / "opcenter.log")
    try:
        asyncio.run(_run(args))
    except Refusal as refusal:
        print(f"Error: {refusal}", file=sys.stderr)
        return 1
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m gateway.opcenter", description=__doc__)
    parser.add_argument("--home", type=Path, default=default_home(), help="where everything is kept")
    parser.add_argument("--host", default="127.0.0.1", help="the IP to listen on")
    parser.add_argument("--port", type=int, default=DEFAULT_OPCENTER_PORT, help="the port to listen on")
    return parser.parse_args()


async def _run(args: argparse.Namespace) -> None:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    opcenter = OpCenter(
        args.home, host=args.host, port=args.port, database_url=os.environ.get("FLOATGATE_DATABASE_URL")
    )
    opened = await opcenter.open()
    try:
        doc = {"address": opened.address, "first_password": opened.first_password}
        print(json.dumps(doc), flush=True)
        failing, ending = asyncio.create_task(opcenter.wait()), asyncio.create_task(ended.wait())
        done, _ = await asyncio.wait({failing, ending}, return_when=asyncio.FIRST_COMPLETED)
        for task in {failing, ending} - done:
            task.cancel()
        for task in done:
            await task
    finally:
        await opcenter.close()


if __name__ == "__main__":
    sys.exit(main())
