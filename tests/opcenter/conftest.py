"""An OpCenter on a real socket with SQLite on disk, the scripted engine behind it and a client before it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog

from gateway.client import OpCenterClient
from gateway.config import Config, Timeouts
from gateway.engines.base import Engine
from gateway.engines.fake import FakeEngine
from gateway.opcenter import OpCenter
from gateway.opcenter.policy import Policy
from gateway.opcenter.server import now_ms
from tests.ports import free_port, free_ports

from .peers import DEADLINE, GatewayPeer, NoProcesses, Server

TIMES = replace(Timeouts(), look=0.05, redial_pause=0.01, drain_report=30.0)

QUICK = replace(Policy(), hash_passes=1, hash_memory=64, beat=0.2, follow=0.02, respawn=0.05, close=1.0)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The log goes nowhere: pytest would show it with every failure."""
    structlog.configure(processors=[_drop])
    yield
    structlog.reset_defaults()


def _drop(*_: object) -> Any:
    raise structlog.DropEvent


class World:
    """One home, one engine, and as many OpCenters after each other as a test likes."""

    def __init__(self, home: Path, server: Server, stack: AsyncExitStack) -> None:
        self.home = home
        self.engine = FakeEngine(behind=server.place)
        self.server = server
        self.inner = free_port()  # where the program listens: other tests may run on this machine
        self.processes = NoProcesses()
        self.password = ""
        self.ahead = 0  # ms by which the OpCenter's clock is ahead
        self.times = TIMES
        self.policy = QUICK
        self.center: OpCenter | None = None
        self.client: OpCenterClient | None = None
        self.stack = stack

    def clock(self) -> int:
        return now_ms() + self.ahead

    @property
    def api(self) -> OpCenterClient:
        assert self.client is not None
        return self.client

    async def start(self, engine: Engine | None = None) -> OpCenterClient:
        """A new OpCenter in this home, and its admin's client."""
        self.center = OpCenter(
            self.home,
            port=0,
            engine=engine or self.engine,
            config=Config(self.home, self.times),
            policy=self.policy,
            processes=self.processes,
            clock=self.clock,
        )
        opened = await self.center.open()
        self.password = opened.first_password or self.password
        self.client = await self.user("admin", self.password)
        return self.client

    async def user(self, name: str, password: str) -> OpCenterClient:
        """A client that is logged in."""
        assert self.center is not None and self.center.opened is not None
        client = await self.stack.enter_async_context(OpCenterClient(self.center.opened.address))
        await client.login(name, password)
        return client

    async def stop(self) -> None:
        if self.center is not None:
            await self.center.close()

    async def restart(self) -> OpCenterClient:
        await self.stop()
        return await self.start()

    async def gateway(self, **more: Any) -> dict[str, Any]:
        doc: dict[str, Any] = await self.api.post("/gateways", {"portRange": free_range(), **more})
        return doc

    def peer(self, gateway: dict[str, Any], drains: bool = True) -> GatewayPeer:
        return GatewayPeer(self.home / "gateways" / gateway["id"], drains)

    def peer_address(self, gateway: dict[str, Any]) -> str:
        """Where the gateway's settings say that the OpCenter is."""
        return str(json.loads((self.home / "gateways" / gateway["id"] / "gateway.json").read_text())["opcenter"])

    async def submit(self, **more: Any) -> dict[str, Any]:
        body = {"command": ["serve"], "publish": [f"8888:{self.inner}"], "name": "one", **more}
        doc: dict[str, Any] = await self.api.post("/jobs", body)
        return doc

    async def gateway_until(self, gateway: dict[str, Any], matches: Callable[[dict[str, Any]], bool]) -> None:
        """Until the API shows a gateway that matches."""
        async with asyncio.timeout(DEADLINE):
            while not matches(await self.api.get(f"/gateways/{gateway['id']}")):  # noqa: ASYNC110
                await asyncio.sleep(0.005)

    async def until(self, job: dict[str, Any], status: str) -> dict[str, Any]:
        """The job, as soon as it has this status."""
        async with asyncio.timeout(DEADLINE):
            doc: dict[str, Any] = await self.api.get(f"/jobs/{job['id']}/wait", status=status, timeout="60")
        assert doc["status"] == status, doc["reason"]
        return doc

    async def running(self, **more: Any) -> dict[str, Any]:
        return await self.until(await self.submit(**more), "Executing")

    async def path(self, job: dict[str, Any]) -> list[str]:
        """Statuses and steps of the job so far, without repetitions."""
        entries = await self.api.get(f"/jobs/{job['id']}/history")
        names = [f"{one['status']}/{one['step']}" if one["step"] else one["status"] for one in entries]
        return [name for index, name in enumerate(names) if index == 0 or names[index - 1] != name]

    async def eventually(self, check: Callable[[], bool]) -> None:
        """Until it is true: for what nobody announces."""
        async with asyncio.timeout(DEADLINE):
            while not check():  # noqa: ASYNC110
                await asyncio.sleep(0.005)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Nothing runs yet."""
    async with AsyncExitStack() as stack, Server() as server:
        world = World(tmp_path / "home", server, stack)
        try:
            yield world
        finally:
            await world.stop()
            await world.engine.shut()


@pytest.fixture
async def api(world: World) -> OpCenterClient:
    """An OpCenter runs; its admin's client."""
    return await world.start()


@asynccontextmanager
async def unwritable(world: World, *tables: str) -> AsyncIterator[None]:
    """Nothing can be changed in these tables, as if the disk were full."""
    full = "SELECT RAISE(ABORT, 'database or disk is full')"
    triggers = [(f"full_{table}_{verb}", verb, table) for table in tables for verb in ("INSERT", "UPDATE")]
    made = [f"CREATE TRIGGER {name} BEFORE {verb} ON {table} BEGIN {full}; END" for name, verb, table in triggers]
    await asyncio.to_thread(_execute, world, made)  # not here: the OpCenter may be in the middle of a transaction
    try:
        yield
    finally:
        await asyncio.to_thread(_execute, world, [f"DROP TRIGGER {name}" for name, _, _ in triggers])


def _execute(world: World, statements: Iterable[str]) -> None:
    with closing(sqlite3.connect(world.home / "opcenter.db", timeout=10, isolation_level=None)) as other:
        for one in statements:
            other.execute(one)


def free_range(count: int = 11) -> str:
    """A port range that no test had, as the API writes it."""
    found = free_ports(count)
    return f"{found[0]}:{found[-1]}"
