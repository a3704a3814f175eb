"""`python -m gateway.proxy --home FOLDER`: one gateway, started by the OpCenter (docs/link.md)."""

from __future__ import annotations

import argparse
import asyncio
import fcntl
import json
import os
import signal
import sys
from pathlib import Path
from typing import TextIO

import uvloop

from gateway.config import Config

from .group import Group
from .logs import set_up_logs


def main() -> int:
    """Run until SIGTERM. Exit code 1 when the folder is not a gateway's, 2 when it is served already."""
    parser = argparse.ArgumentParser(prog="python -m gateway.proxy")
    parser.add_argument("--home", type=Path, required=True)
    home: Path = parser.parse_args().home
    set_up_logs()
    lock = _lock(home)
    if lock is None:
        print(f"Another process serves the gateway in {home} already.", file=sys.stderr)
        return 2
    with lock:
        return _serve(home)


def _serve(home: Path) -> int:
    try:
        uvloop.run(_run(home))
    except (OSError, ValueError, KeyError) as error:
        print(f"{home} does not hold a gateway that can be started: {error}", file=sys.stderr)
        return 1
    return 0


async def _run(home: Path) -> None:
    group = Group(home, Config(home=home))
    loop = asyncio.get_running_loop()
    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, group.stop)
    await group.run()


def _lock(home: Path) -> TextIO | None:
    """Hold `pid`, with our process id and start time in it; None when another process holds it."""
    file = (home / "pid").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    file.truncate(0)
    json.dump({"pid": os.getpid(), "started": _start_time()}, file)
    file.flush()
    return file


def _start_time() -> int:
    """Field 22 of /proc/self/stat, clock ticks since boot: with the pid it names a process for good (proc(5))."""
    after_name = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    return int(after_name[19])


if __name__ == "__main__":
    sys.exit(main())
