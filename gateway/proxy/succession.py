"""A new program in this very process: what the gateway's parent leaves to the program that it becomes.

execve(2) keeps the process id, the children and every descriptor that is inheritable: the lock on `pid`, the
listening sockets, the channels of workers. What they are for is written into a memory file, whose descriptor is the
new program's argument; nothing of it is ever on a disk. docs/decisions/reload.md says why it is done like this.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import structlog

from gateway.types import listener_from_json

log = structlog.get_logger()

FORMAT = 1  # of an estate; a program that does not know the format refuses, and the old one goes on
OPTION = "--successor"
CHECK = "--check"


@dataclass(slots=True)
class Estate:
    """What is left to the successor. Descriptors are numbers; they are valid after exec."""

    lock: int
    control: int | None = None
    at: tuple[str, int] | None = None
    """Address and port on which `control` listens."""
    sockets: dict[int, int] = field(default_factory=dict)
    """By port."""
    workers: list[dict[str, Any]] = field(default_factory=list)
    """Worker.to_json of each."""
    ledger: dict[str, Any] = field(default_factory=dict)
    reports: dict[int, dict[str, Any]] = field(default_factory=dict)
    """What the OpCenter was told last of each port."""
    sessions: list[dict[str, Any]] = field(default_factory=list)
    """The widget's logins."""

    def descriptors(self) -> list[int]:
        """All that has to be inherited."""
        control = [] if self.control is None else [self.control]
        return [self.lock, *control, *self.sockets.values(), *(one["channel"] for one in self.workers)]

    def to_json(self) -> dict[str, Any]:
        """A JSON object; `from_json` gives the same estate back."""
        return {
            "format": FORMAT,
            "lock": self.lock,
            "control": self.control,
            "at": self.at,
            "sockets": {str(port): fd for port, fd in self.sockets.items()},
            "workers": self.workers,
            "ledger": self.ledger,
            "reports": {str(port): one for port, one in self.reports.items()},
            "sessions": self.sessions,
        }

    @staticmethod
    def from_json(doc: dict[str, Any]) -> Estate:
        """Build from `to_json`'s object. Raises KeyError, TypeError or ValueError on anything else."""
        if doc["format"] != FORMAT:
            raise ValueError(f"format {doc['format']}, not {FORMAT}")
        for worker in doc["workers"]:
            for one in worker["told"].values():
                listener_from_json(one)
        return Estate(
            lock=int(doc["lock"]),
            control=doc["control"],
            at=None if doc["at"] is None else (str(doc["at"][0]), int(doc["at"][1])),
            sockets={int(port): int(fd) for port, fd in doc["sockets"].items()},
            workers=list(doc["workers"]),
            ledger=dict(doc["ledger"]),
            reports={int(port): dict(one) for port, one in doc["reports"].items()},
            sessions=list(doc["sessions"]),
        )


def read(fd: int) -> Estate:
    """The estate in this memory file. Raises OSError, KeyError, TypeError or ValueError."""
    size = os.fstat(fd).st_size
    return Estate.from_json(json.loads(os.pread(fd, size, 0)))


def take(fd: int) -> Estate:
    """As `read`, once: descriptors are ours alone again, and not inherited by the next child."""
    estate = read(fd)
    os.close(fd)
    _inherit(estate.descriptors(), inherited=False)
    return estate


def _write(estate: Estate) -> int:
    fd = os.memfd_create("floatgate")
    with os.fdopen(os.dup(fd), "wb") as file:
        file.write(json.dumps(estate.to_json()).encode())
    return fd


async def is_ready(estate: Estate, home: str, patience: float) -> bool:
    """Start the new program beside us, only to see whether it can read what it would take over."""
    fd = _write(estate)
    try:
        process = await asyncio.create_subprocess_exec(
            *_command(home, fd), CHECK, pass_fds=(fd,), stdin=asyncio.subprocess.DEVNULL
        )
        try:
            async with asyncio.timeout(patience):
                code = await process.wait()
        except TimeoutError:
            process.kill()
            code = await process.wait()
    except OSError as error:
        log.error("the new program does not start", why=str(error))
        return False
    finally:
        os.close(fd)
    if code:
        log.error("the new program is not ready: the old one goes on", code=code)
    return not code


def become(estate: Estate, home: str) -> None:
    """Be the new program. Returns only if that failed: then everything is as before."""
    fd = _write(estate)
    inherited = [fd, *estate.descriptors()]
    _inherit(inherited, inherited=True)
    try:
        os.execv(sys.executable, _command(home, fd))
    except OSError as error:
        log.error("the new program does not start", why=str(error))
    _inherit(estate.descriptors(), inherited=False)
    os.close(fd)


def _command(home: str, fd: int) -> list[str]:
    """This program as it was called, with Python's own options (-X, -W)."""
    options = sys.orig_argv[1 : sys.orig_argv.index("-m")] if "-m" in sys.orig_argv else []
    return [sys.executable, *options, "-m", "gateway.proxy", "--home", home, OPTION, str(fd)]


def _inherit(fds: Iterable[int], *, inherited: bool) -> None:
    for fd in fds:
        os.set_inheritable(fd, inherited)


def listening(fd: int) -> socket.socket:
    """An inherited listening socket."""
    sock = socket.socket(fileno=fd)
    sock.setblocking(False)
    return sock
