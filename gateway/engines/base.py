"""Where jobs run: the protocol that every engine speaks.

The OpCenter owns the identity of a job; an engine owns *placements*. A placement is one run of a job's
program on one host: a capsule, a process, a Slurm step. Its id is chosen by the caller and saved before the
engine is asked, so that after a crash `look` finds what was begun.

    start ──► Running ──checkpoint──► Absent (the image holds the state) ──restore, new placement──► Running
                 │
                 └──the program ends──► Ended(rc)          stop ──► Absent

Laws: an engine that cannot tell answers `Unknown`, never `Ended` or `Absent`; so it does, too, while a
checkpoint goes on for which nobody waits any more. `stop` and `discard` are
idempotent. A failed `checkpoint` leaves the program running where it was. A failed `restore` leaves the
image as it was and nothing behind.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NewType, Protocol, runtime_checkable

PlacementId = NewType("PlacementId", str)


@dataclass(frozen=True, slots=True)
class Program:
    """What to run.

    Attributes:
        argv: The command; `{address}` in an argument stands for what the program is to listen at: an address that
            the engine gives, or 0.0.0.0 where a move changes the address under the living program (capsules).
        env: The whole environment, nothing is inherited.
        cwd: Working directory; exists before the start, at the same path on every host.
        stdout, stderr: Files that the engine appends the program's output to; nobody else writes them.
        notes: File in which the engine leaves its own log of a move that failed, the last one; None: nowhere.
        ports: TCP ports that the program listens on (at `{address}`, or at 0.0.0.0).
        cpu: Virtual CPUs asked for. mem: Memory asked for, GiB.
    """

    argv: tuple[str, ...]
    env: Mapping[str, str]
    cwd: Path
    stdout: Path
    stderr: Path
    ports: tuple[int, ...] = ()
    cpu: int = 1
    mem: int = 1
    notes: Path | None = None


@dataclass(frozen=True, slots=True)
class Running:
    """The program runs. `address` is an IP at which its ports answer; `host` is a name for people."""

    address: str
    host: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The program is known to have ended. `rc` is its exit status, negative for a signal, None if lost."""

    rc: int | None


@dataclass(frozen=True, slots=True)
class Absent:
    """There is, for certain, no such placement: never started, stopped, or checkpointed away."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """The engine cannot tell. `why` is for the log. Unknown is not ended."""

    why: str


Seen = Running | Ended | Absent | Unknown


class ImageState(enum.Enum):
    """What lies at an image's path."""

    NONE = "none"
    PARTIAL = "partial"  # a checkpoint began and did not finish: nothing can be restored from it
    COMPLETE = "complete"


@dataclass(frozen=True, slots=True)
class Host:
    """One line of `float hosts`."""

    name: str
    address: str
    state: str  # "free" | "busy"
    job: str | None = None
    cpu: int = 0
    mem: int = 0


@dataclass(frozen=True, slots=True)
class Missing:
    """Something that this machine lacks, and how to get it."""

    what: str
    how: str


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an engine can do on this machine. `real` is False when a move is only simulated."""

    engine: str
    real: bool
    summary: str
    found: tuple[str, ...] = ()
    missing: tuple[Missing, ...] = field(default=())


class EngineError(Exception):
    """The engine could not do it. `public` is one sentence for the user; details are in the log."""

    def __init__(self, public: str) -> None:
        super().__init__(public)
        self.public = public


class StartFailed(EngineError):
    """The program could not be started; nothing is left behind."""


class CheckpointFailed(EngineError):
    """No image was made; the program runs on where it was."""


class RestoreFailed(EngineError):
    """The image could not be brought to life; the image is unharmed and nothing is left behind."""


@runtime_checkable
class Engine(Protocol):
    """Start, look, stop. All coroutines may be cancelled; what was begun is found again by `look`."""

    name: str

    async def open(self) -> None:
        """Find what an earlier process of ours left: placements that still run stay running."""

    async def close(self) -> None:
        """Let go of everything in this process. Placements go on running."""

    async def start(self, placement: PlacementId, program: Program) -> Running:
        """Run the program on a host. Raises StartFailed."""

    async def look(self, placement: PlacementId) -> Seen:
        """Say what is known of the placement, without changing anything."""

    async def stop(self, placement: PlacementId, grace: float) -> None:
        """SIGTERM, `grace` seconds, SIGKILL; free the host. Returns when it is gone."""

    async def hosts(self) -> list[Host]:
        """The hosts that this engine knows."""

    def capabilities(self) -> Capabilities:
        """What this engine can do here; known after `open`."""

    def known(self) -> list[PlacementId]:
        """Every placement that is not Absent."""


@runtime_checkable
class Checkpoints(Protocol):
    """The second protocol: engines that can take a job's state to another host."""

    async def sever(self, placement: PlacementId) -> None:
        """Reset what connections from outside are left: they cannot follow to another address."""

    async def checkpoint(self, placement: PlacementId, image: Path) -> None:
        """Write the state to the folder `image` and free the host. Raises CheckpointFailed.

        When the caller is cancelled it goes on or is undone, and `look` is Unknown until that is certain.
        """

    async def restore(self, placement: PlacementId, program: Program, image: Path) -> Running:
        """Bring the image to life as a new placement on another host. Raises RestoreFailed."""

    def image(self, image: Path) -> ImageState:
        """What lies at this path."""

    async def discard(self, image: Path) -> None:
        """Delete the image and whatever it keeps alive. Idempotent. EngineError while a checkpoint writes it."""
