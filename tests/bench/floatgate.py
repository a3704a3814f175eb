"""A gateway of this repository's, served from a saved snapshot: no OpCenter, two jobs, one for each backend."""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

from gateway.types import GateState, GatewayId, JobId, JobStatus, Listener, Rule, Snapshot

from .peer import Proxy, Room
from .processes import free_port

ROOT = Path(__file__).parent.parent.parent
GATEWAY = GatewayId("g-abcdefghijklmnopqrstu")
TOKEN = "secret"
NOWHERE = "http://127.0.0.1:1"  # an OpCenter that is away: the gateway serves its saved snapshot


def start_floatgate(room: Room, workers: int = 1, opcenter: str = NOWHERE) -> Proxy:
    """A gateway with one port for the documents and one for the echo; a worker owns a port."""
    return start_gateway(room, [room.backends.documents, room.backends.echo], workers, opcenter)


def start_gateway(room: Room, targets: list[int], workers: int, opcenter: str) -> Proxy:
    """A gateway with one port for each target. The first two are `documents` and `echo`."""
    ports = [free_port() for _ in targets]
    whole = snapshot(1, ports, targets)
    write(room.folder, whole, workers, opcenter)
    command = [sys.executable, "-m", "gateway.proxy", "--home", room.folder]
    environ = {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    process = room.processes.start("floatgate", command, room.cores, ports, environ)
    return Proxy(*(f"http://127.0.0.1:{port}" for port in ports), process.pid)


def write(home: Path, whole: Snapshot, workers: int, opcenter: str) -> None:
    """What the OpCenter leaves in a gateway's folder."""
    identity = {"id": GATEWAY, "token": TOKEN, "opcenter": opcenter, "workers": workers}
    (home / "gateway.json").write_text(json.dumps(identity))
    (home / "snapshot.json").write_text(json.dumps(whole.to_json()))


def snapshot(version: int, ports: list[int], targets: list[int]) -> Snapshot:
    """One open job for each port."""
    now = int(time.time() * 1000)
    control = free_port()
    listeners = tuple(
        Listener(
            port=port, job=JobId(f"abcdefghijklmnopqrs{number:02}"), name=f"probe{number}", target_port=target,
            gate=GateState.OPEN, status=JobStatus.EXECUTING, generation=version, since=now, address="127.0.0.1",
        )
        for number, (port, target) in enumerate(zip(ports, targets, strict=True))
    )  # fmt: skip
    return Snapshot(
        version=version, gateway=GATEWAY, name="bench", bind="127.0.0.1", public_address="127.0.0.1",
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
