"""One run's stage: a temporary folder, the backends and the proxies that stand before them."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from .backends import Backends, start_backends
from .machine import Cores
from .peer import Peer, Proxy, Room
from .probe import until_ready, verify
from .processes import Processes


@dataclass
class Stage:
    """What the measures need."""

    cores: Cores
    processes: Processes
    backends: Backends
    proxies: dict[str, Proxy] = field(default_factory=dict)
    rooms: int = 0

    @property
    def direct(self) -> Proxy:
        """The backends themselves."""
        return Proxy(f"http://127.0.0.1:{self.backends.documents}", f"http://127.0.0.1:{self.backends.echo}")

    def room(self, name: str, cores: tuple[int, ...] | None = None) -> Room:
        """A folder and cores for one more proxy."""
        self.rooms += 1
        folder = self.processes.folder / f"{self.rooms}-{name}"
        folder.mkdir()
        return Room(self.processes, folder, self.backends, cores or self.cores.proxy)

    def start(self, peer: Peer) -> Proxy:
        """Start it for the whole run. Raises BenchFailed."""
        proxy = peer.start(self.room(peer.name))
        until_ready(proxy.documents)
        verify(self.direct, proxy)
        self.proxies[peer.name] = proxy
        return proxy

    @contextmanager
    def private(self, name: str, cores: tuple[int, ...] | None = None) -> Iterator[Room]:
        """A room for one measure; what is started in it is ended after it."""
        before = len(self.processes.started)
        try:
            yield self.room(name, cores)
        finally:
            for process in reversed(self.processes.started[before:]):
                self.processes.end(process)

    @contextmanager
    def fresh(self, peer: Peer) -> Iterator[Proxy]:
        """Another one, for one measure. Raises BenchFailed."""
        with self.private(peer.name) as room:
            proxy = peer.start(room)
            until_ready(proxy.documents)
            yield proxy


@contextmanager
def stage(cores: Cores) -> Iterator[Stage]:
    """Start the backends; at the end everything that was started is ended and the folder removed."""
    folder = Path(tempfile.mkdtemp(prefix="floatgate-bench-"))
    folder.chmod(0o755)  # nginx's workers are another user when it is started by root
    processes = Processes(folder)
    try:
        yield Stage(cores, processes, start_backends(processes, folder / "behind", cores.load))
    finally:
        processes.close()
        shutil.rmtree(folder, ignore_errors=True)
