"""The whole product but for the command line: OpCenter and gateway in processes of their own, the job in capsules."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.client import OpCenterClient
from tests.live.product import environment
from tests.peers import connect, eventually
from tests.ports import free_ports

from . import server, watch

PATIENCE = 120.0  # seconds for a status: a checkpoint on a machine that does other things too
JOB_PORT = 8888


@dataclass
class Product:
    """An OpCenter, one gateway, one job. `hosts` are the addresses that the job has had."""

    home: Path
    api: OpCenterClient
    gateway: str
    job: str
    port: int
    hosts: list[str]

    @property
    def pid(self) -> int:
        """Of the gateway's parent."""
        return _pid(self.home, self.gateway)

    async def migrate(self) -> None:
        """Ask for it; returns when the gate is held."""
        await self.api.post(f"/jobs/{self.job}/migrate", {})
        await self.gate(is_open=False)

    async def moved(self) -> None:
        """The job runs on another host, and the gate is open."""
        doc = await self.until("Executing")
        self.hosts.append(doc["address"])
        await self.gate(is_open=True)

    async def suspend(self) -> None:
        """Off its host: nothing of the gateway's is at the job any more."""
        await self.api.post(f"/jobs/{self.job}/suspend", {})
        await self.until("Suspended")

    async def gate(self, *, is_open: bool) -> None:
        """Until the gateway says that of its gate; it may have to start first."""
        async with asyncio.timeout(PATIENCE):
            while await self._is_open() is not is_open:  # noqa: ASYNC110  # it says so to whoever asks
                await asyncio.sleep(0.05)

    async def _is_open(self) -> bool | None:
        try:
            return bool((await self.ask("/.gw/state"))["open"])
        except OSError:
            return None

    async def until(self, status: str) -> dict[str, Any]:
        """The job, as soon as it has this status."""
        doc: dict[str, Any] = await self.api.get(f"/jobs/{self.job}/wait", status=status, timeout=f"{PATIENCE:.0f}")
        assert doc["status"] == status, doc
        return doc

    async def ask(self, path: str) -> dict[str, Any]:
        """JSON from the job's port."""
        client = await connect("127.0.0.1", self.port)
        try:
            await client.say(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n\r\n".encode())
            doc: dict[str, Any] = json.loads((await client.answer())[1])
            return doc
        finally:
            await client.close()


@asynccontextmanager
async def product(home: Path) -> AsyncIterator[Product]:
    """Running, with the zero-loss server as its job; nothing is left at the end."""
    words = {**environment(home), **watch.environment(home)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.opcenter", "--home", str(home / "state"), "--port", "0"),
        stdout=asyncio.subprocess.PIPE,
        env=words,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE):
            opened = json.loads(await process.stdout.readline())
        async with OpCenterClient(opened["address"]) as api:
            await api.login("admin", opened["first_password"])
            low, *_, high = free_ports(12)
            gateway = await api.post("/gateways", {"portRange": f"{low}:{high}"})
            try:
                yield await _start(home, api, gateway["id"])
            finally:
                await _finish(api, home, gateway["id"])
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(PATIENCE):
            await process.wait()


async def _start(home: Path, api: OpCenterClient, gateway: str) -> Product:
    command = [sys.executable, str(Path(server.__file__)), "0.0.0.0", str(JOB_PORT)]
    order = {"command": command, "publish": [str(JOB_PORT)], "gateway": gateway, "websocket": "jupyter"}
    job = (await api.post("/jobs", {**order, "name": "zero-loss"}))["id"]
    made = Product(home, api, gateway, job, 0, [])
    doc = await made.until("Executing")
    (url,) = doc["gateway"]["accessURLs"]
    made.port = int(url.rpartition(":")[2].partition("/")[0])
    made.hosts.append(doc["address"])
    await made.gate(is_open=True)
    return made


async def _finish(api: OpCenterClient, home: Path, gateway: str) -> None:
    """Cancel whatever runs, and end the gateway."""
    for job in await api.get("/jobs"):
        if "cancel" in job["actions"]:
            await api.post(f"/jobs/{job['id']}/cancel", {})
            await api.get(f"/jobs/{job['id']}/wait", status="Cancelled", timeout=f"{PATIENCE:.0f}")
    await eventually((home / "state/gateways" / gateway / "pid").exists, "the gateway has started", PATIENCE)
    pid = _pid(home, gateway)
    await api.delete(f"/gateways/{gateway}")
    await eventually(lambda: not Path(f"/proc/{pid}").exists(), "the gateway ends", PATIENCE)


def _pid(home: Path, gateway: str) -> int:
    return int(json.loads((home / "state/gateways" / gateway / "pid").read_text())["pid"])
