"""One port of a gateway, for real but in this process: listener, gate and exchanges, without parent and link."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from aiohttp import web

from gateway.config import Config, Limits, Timeouts
from gateway.proxy.accesslog import AccessLog
from gateway.proxy.door import Door
from gateway.proxy.exchange import Exchange
from gateway.proxy.gate import Gate
from gateway.proxy.guard import Guard
from gateway.proxy.hall import Hall
from gateway.proxy.listener import Listener
from gateway.types import GateReport, GateState, JobId, JobStatus, Rule, WebSocketPolicy
from gateway.types import Listener as Doc
from tests.peers import Conversation, connect, eventually

JOB = JobId("abcdefghijklmnopqrstu")
CONTROL_PORT = 10100
KEY = bytes(range(32))


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
NAVIGATION = "Accept: text/html"


async def keep_answering(peer: Conversation) -> None:
    """`ok` to every request without a body."""
    while True:
        await peer.head()
        await peer.say(OK)


def values_of(head: bytes, name: bytes) -> list[bytes]:
    """The values of a header, or none."""
    lines = head.split(b"\r\n")[1:]
    return [line.partition(b":")[2].strip() for line in lines if line.lower().startswith(name.lower() + b":")]


@dataclass
class Port:
    """A listening port and its gate; `reports` and `losses` are what it said to the control plane."""

    gate: Gate
    number: int
    reports: list[GateReport] = field(default_factory=list)
    losses: list[Doc] = field(default_factory=list)
    clients: list[Conversation] = field(default_factory=list)

    def report(self, report: GateReport) -> None:
        self.reports.append(report)

    def lost(self, listener: Doc) -> None:
        self.losses.append(listener)

    async def client(self) -> Conversation:
        """A new browser connection; the block closes it if the test does not."""
        self.clients.append(await connect("127.0.0.1", self.number))
        return self.clients[-1]

    async def ask(self, request: bytes) -> tuple[bytes, bytes]:
        """One request on a connection of its own; head and body of the answer."""
        client = await self.client()
        await client.say(request)
        try:
            return await client.answer()
        finally:
            await client.close()

    def get(self, path: str = "/", *lines: str) -> bytes:
        """The bytes of a GET."""
        extra = "".join(f"{line}\r\n" for line in lines)
        return f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.number}\r\n{extra}\r\n".encode()

    def follow(self, **changes: object) -> Doc:
        """The control plane says something new: the generation grows."""
        doc = replace(self.gate.listener, generation=self.gate.listener.generation + 1, **changes)  # type: ignore[arg-type]
        self.gate.follow(doc)
        return doc

    async def hold(self) -> None:
        """Float, and wait until the gate has drained."""
        doc = self.follow(gate=GateState.HELD, status=JobStatus.FLOATING)
        await eventually(
            lambda: any(one.drained and one.generation == doc.generation for one in self.reports), "drained"
        )

    async def open(self, host: str, port: int) -> None:
        """Execute at this address, and wait until the gate has reopened."""
        doc = self.follow(gate=GateState.OPEN, status=JobStatus.EXECUTING, address=host, target_port=port)
        await eventually(
            lambda: any(one.reopened and one.generation == doc.generation for one in self.reports), "reopened"
        )


def _doc(number: int, host: str | None, port: int, policy: WebSocketPolicy) -> Doc:
    return Doc(
        port=number,
        job=JOB,
        name="probe",
        target_port=port or 1,
        gate=GateState.OPEN if host else GateState.HELD,
        status=JobStatus.EXECUTING if host else JobStatus.STARTING,
        generation=1,
        since=0,
        address=host,
        websocket=policy,
    )


@asynccontextmanager
async def gateway(
    host: str | None = None,
    port: int = 0,
    *,
    timeouts: Timeouts | None = None,
    limits: Limits | None = None,
    policy: WebSocketPolicy = WebSocketPolicy.JUPYTER,
    rules: tuple[Rule, ...] = (Rule(1, 65535, "127.0.0.0/8"),),
    trusted: tuple[str, ...] = (),
    hall: Hall | None = None,
    control_port: int = CONTROL_PORT,
    number: int = 0,
    job: JobId = JOB,
) -> AsyncIterator[Port]:
    """A port in front of `host:port`; without a host it is held. `number`: its own; 0 takes a free one."""
    config = Config(Path(), timeouts or Timeouts(), limits or Limits())
    sock = socket.create_server(("127.0.0.1", number))
    number = sock.getsockname()[1]
    doc = replace(_doc(number, host, port, policy), job=job)
    made = Port(None, number)  # type: ignore[arg-type]
    made.gate = Gate(doc, config.timeouts, config.limits, made, hall)
    door = Door(made.gate, config, control_port, frozenset(), AccessLog(), KEY)

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        return await Exchange(request, door).run()

    guard = Guard()
    guard.set(rules, trusted)
    listener = Listener(door, handle, guard)
    await listener.open(sock)
    made.gate.follow(doc)
    if host:
        await eventually(lambda: made.gate.is_open, "open")
    before = asyncio.all_tasks()
    try:
        yield made
    finally:
        await made.gate.close()
        door.access.flush()
        await listener.close(0)
        for client in made.clients:
            await client.close()
        left = {task for task in asyncio.all_tasks() - before if not task.done() and task is not asyncio.current_task()}
        for task in left:
            await asyncio.wait({task}, timeout=1)
        assert not [task for task in left if not task.done()], "tasks were left behind"
