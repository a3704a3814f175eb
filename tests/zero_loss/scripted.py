"""A real gateway in processes of its own before a scripted OpCenter: hosts are addresses, a move is a word."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from gateway.types import GateState, JobStatus, Step, WebSocketPolicy
from tests.peers import eventually
from tests.ports import free_ports
from tests.proxy.test_group import OpCenter, group, opcenter, snapshot

from . import watch
from .server import Memory, Server

DRAINED = 30.0  # seconds for a report: the drain's own deadline, and a machine that does other things too
PORTS = 2  # one for each worker


@dataclass
class Stage:
    """The gateway, its OpCenter, and the job wherever it is."""

    center: OpCenter
    pid: int
    home: Path
    ports: list[int]
    control: int
    memory: Memory = field(default_factory=Memory)
    server: Server | None = None
    host: int = 0
    target: int = 0
    version: int = 4
    generation: int = 0

    async def publish(self, gate: GateState, status: JobStatus, **more: Any) -> None:
        """A new snapshot, in force when this returns."""
        self.version += 1
        self.generation += 1
        address = {"address": self.address, "target_port": self.target} if gate is GateState.OPEN else {}
        words = {"gate": gate, "status": status, "generation": self.generation, **address, **more}
        policy = {"websocket": WebSocketPolicy.JUPYTER}
        await self.center.publish(snapshot(self.version, self.ports, self.control, **words, **policy))
        await self.center.acked(self.version)

    @property
    def address(self) -> str:
        """Where the job is: each host has an address of its own."""
        return f"127.0.{self.host // 200}.{self.host % 200 + 2}"

    async def reported(self, what: str) -> list[dict[str, Any]]:
        """Every port's report of this generation."""

        def found() -> list[dict[str, Any]]:
            reports = [one for message in self.center.of("report") for one in message["reports"]]
            mine = [one for one in reports if one["generation"] == self.generation and one[what]]
            return list({one["port"]: one for one in mine}.values())

        await eventually(lambda: len(found()) == len(self.ports), f"generation {self.generation} {what}", DRAINED)
        return found()

    async def hold(self) -> None:
        """The job floats; new requests wait."""
        await self.publish(GateState.HELD, JobStatus.FLOATING, step=Step.DRAINING)

    async def drained(self) -> None:
        """Nothing of the gateway's is inside the job."""
        await self.reported("drained")
        if self.server is not None:
            server = self.server
            await eventually(lambda: not server.connections, "no connection of the gateway's is left at the job")

    async def go(self) -> list[dict[str, Any]]:
        """Up on another host, with the memory that it had."""
        if self.server is not None:
            self.memory.frozen = True
            await self.server.stop()
            self.host += 1
        self.memory.frozen = False
        self.server = Server(self.memory)
        self.target = await self.server.start(self.address, self.target)
        await self.publish(GateState.OPEN, JobStatus.EXECUTING)
        return await self.reported("reopened")

    async def die(self) -> None:
        """The host is gone, in the middle of everything; the job's memory is what it was at that moment."""
        assert self.server is not None
        server, self.server = self.server, None
        await server.stop(reset=True)
        self.host += 1

    async def heard_of_it(self, times: int) -> None:
        """The gateway has told the OpCenter that the server is lost, by every port, this often."""

        def heard() -> int:
            return min(sum(one["port"] == port for one in self.center.of("lost")) for port in self.ports)

        await eventually(lambda: heard() >= times, "the gateway says that the server is lost")

    async def held(self) -> list[watch.Held]:
        """What the gateway's processes hold."""
        return [await watch.at_rest(pid, self.home) for pid in watch.family(self.pid)]

    async def quiet(self, before: list[watch.Held], growth: int) -> list[watch.Held]:
        """No descriptor and no task more than before, and memory near what it was."""
        pids = watch.family(self.pid)
        assert len(pids) == len(before), "the gateway's processes are the same ones"
        return [await watch.quiet(pid, self.home, then, growth) for pid, then in zip(pids, before, strict=True)]


@asynccontextmanager
async def stage(home: Path, patch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    """A gateway that holds two ports for a job that is not up yet."""
    for name, value in watch.environment(home).items():
        patch.setenv(name, value)
    *ports, control = free_ports(PORTS + 1)
    async with opcenter() as center, group(home, center.url) as process:
        await eventually(lambda: bool(center.sockets), "the gateway has dialled")
        made = Stage(center, process.pid, home, ports, control)
        try:
            await made.publish(GateState.HELD, JobStatus.STARTING)
            await made.reported("drained")
            yield made
        finally:
            if made.server is not None:
                await made.server.stop()
    log = (home / "gateway.log").read_text()
    for word in ("Traceback", "never awaited", "was destroyed", '"level": "error"', "a fault of the gateway"):
        assert word not in log, f"the gateway's log has: {log[max(0, log.find(word) - 500) : log.find(word) + 1500]}"
