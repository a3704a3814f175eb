"""A gateway of this repository's, served from a saved snapshot: no OpCenter, two jobs, one for each backend."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

from gateway.types import GateState, GatewayId, JobId, JobStatus, Listener, Rule, Snapshot
from tests.ports import free_port

from .peer import Proxy, Room
from .probe import until_ready
from .processes import Command

ROOT = Path(__file__).parent.parent.parent
GATEWAY = GatewayId("g-abcdefghijklmnopqrstu")
TOKEN = "secret"
NOWHERE = "http://127.0.0.1:1"  # an OpCenter that is away: the gateway serves its saved snapshot


@dataclass
class FloatGate:
    """A gateway with one port, and one job, for each target; a worker owns a port."""

    room: Room
    targets: list[int]
    workers: int = 1
    opcenter: str = NOWHERE
    ports: list[int] = field(init=False)
    snapshot: Snapshot = field(init=False)
    proxy: Proxy = field(init=False)

    def __post_init__(self) -> None:
        self.ports = [free_port() for _ in self.targets]
        self.snapshot = _snapshot(self.ports, self.targets)

    def start(self) -> Proxy:
        """Serve from the saved snapshot, and return when every port answers. Raises BenchFailed."""
        home = self.room.folder
        _write(home, self.snapshot, self.workers, self.opcenter)
        command: Command = [sys.executable, "-m", "gateway.proxy", "--home", home]
        environ = {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
        process = self.room.processes.start("floatgate", command, self.room.cores, self.ports, environ)
        urls = [f"http://127.0.0.1:{port}" for port in self.ports]
        for url in urls:
            until_ready(url)  # the parent opens the ports before a worker serves them
        self.proxy = Proxy(urls[0], urls[-1], process.pid)
        return self.proxy


def start_floatgate(room: Room) -> Proxy:
    """One worker."""
    return FloatGate(room, [room.backends.documents, room.backends.echo]).start()


def _write(home: Path, whole: Snapshot, workers: int, opcenter: str) -> None:
    """What the OpCenter leaves in a gateway's folder."""
    identity = {"id": GATEWAY, "token": TOKEN, "opcenter": opcenter, "workers": workers}
    (home / "gateway.json").write_text(json.dumps(identity))
    (home / "snapshot.json").write_text(json.dumps(whole.to_json()))


def _snapshot(ports: list[int], targets: list[int]) -> Snapshot:
    """One open job for each port."""
    now = int(time.time() * 1000)
    control = free_port()
    listeners = tuple(
        Listener(
            port=port, job=JobId(f"abcdefghijklmnopqrs{number:02}"), name=f"probe{number}", target_port=target,
            gate=GateState.OPEN, status=JobStatus.EXECUTING, generation=1, since=now, address="127.0.0.1",
        )
        for number, (port, target) in enumerate(zip(ports, targets, strict=True))
    )  # fmt: skip
    return Snapshot(
        version=1, gateway=GATEWAY, name="bench", bind="127.0.0.1", public_address="127.0.0.1",
        port_min=min(ports), port_max=max(ports), control_port=control, now=now,
        rules=(Rule(1, 65535, "127.0.0.0/8"),), listeners=listeners,
    )  # fmt: skip


def held(whole: Snapshot, version: int) -> Snapshot:
    """The same with every job on the move."""
    return _moved(whole, version, GateState.HELD, JobStatus.FLOATING)


def opened(whole: Snapshot, version: int) -> Snapshot:
    """The same with every job there."""
    return _moved(whole, version, GateState.OPEN, JobStatus.EXECUTING)


def _moved(whole: Snapshot, version: int, gate: GateState, status: JobStatus) -> Snapshot:
    moved = (replace(one, gate=gate, status=status, generation=version) for one in whole.listeners)
    return replace(whole, version=version, listeners=tuple(moved))
