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

from . import succession
from . import worker as worker  # a new version whose workers cannot be imported is not ready
from .group import Group
from .link import Identity
from .logs import set_up_logs
from .succession import Estate


def main() -> int:
    """Run until SIGTERM; SIGHUP makes this process the newest program, with what it has.

    Exit code 1 when the folder is not a gateway's, or what is to be taken over cannot be read, 2 when it is served
    already.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # until there is somebody to reload
    parser = argparse.ArgumentParser(prog="python -m gateway.proxy")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument(succession.OPTION, type=int, dest="estate", help=argparse.SUPPRESS)
    parser.add_argument(succession.CHECK, action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    set_up_logs()
    try:
        return _check(args.home, args.estate) if args.check else _take_up(args.home, args.estate)
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"{args.home} does not hold a gateway that can be started: {error}", file=sys.stderr)
        return 1


def _check(home: Path, fd: int) -> int:
    """Everything is imported: what is left to be seen is whether the estate and the folder can be read."""
    succession.read(fd)
    Identity.read(home)
    return 0


def _take_up(home: Path, fd: int | None) -> int:
    estate = None if fd is None else succession.take(fd)
    lock = _lock(home) if estate is None else os.fdopen(estate.lock, "a+")
    if lock is None:
        print(f"Another process serves the gateway in {home} already.", file=sys.stderr)
        return 2
    with lock:
        uvloop.run(_run(home, lock.fileno(), estate))
    return 0


async def _run(home: Path, lock: int, estate: Estate | None) -> None:
    group = Group(home, Config(home=home), lock)
    if estate is not None:
        group.inherit(estate)
    loop = asyncio.get_running_loop()
    for one in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(one, group.stop)
    loop.add_signal_handler(signal.SIGHUP, group.reload)
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
