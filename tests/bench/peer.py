"""What a proxy under test is: how it is started, and where it then listens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .backends import Backends
from .processes import Processes


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that runs. `documents` and `echo`: the base URL of each backend behind it."""

    documents: str
    echo: str
    pid: int | None = None  # of its process tree; None for no proxy at all
    extra: Mapping[str, str] = field(default_factory=dict)  # base URLs of variants, by name

    @staticmethod
    def on(ports: Sequence[int], pid: int) -> Proxy:
        """One that listens on a port for each backend."""
        return Proxy(f"http://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}", pid)


@dataclass(frozen=True, slots=True)
class Room:
    """Where a proxy is started, and what it stands in front of."""

    processes: Processes
    folder: Path  # its own, empty
    backends: Backends
    cores: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Peer:
    """A proxy that can be started. `lack`: what this machine lacks for it, in words, or nothing.

    `only`: the names of the measures it takes part in, None for all.
    """

    name: str
    lack: Callable[[], str]
    start: Callable[[Room], Proxy]
    version: Callable[[], str] = lambda: ""
    only: tuple[str, ...] | None = None
