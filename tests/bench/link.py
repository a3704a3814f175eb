"""A scripted OpCenter: it sends snapshots to one gateway and keeps what the gateway says (docs/link.md)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import WSMsgType, web

from gateway.types import Snapshot

from .processes import BenchFailed

DEADLINE = 30.0  # seconds for anything that the gateway should say


@dataclass
class OpCenter:
    """`url` goes into gateway.json."""

    url: str = ""
    heard: list[dict[str, Any]] = field(default_factory=list)
    links: list[web.WebSocketResponse] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def watch(self, request: web.Request) -> web.WebSocketResponse:
        """The handler of a gateway's dial."""
        link = web.WebSocketResponse()
        await link.prepare(request)
        self.links.append(link)
        self.news.set()
        async for message in link:
            if message.type is WSMsgType.TEXT:
                self.heard.append(json.loads(message.data))
                self.news.set()
        return link

    async def publish(self, snapshot: Snapshot) -> None:
        """Send it to every gateway that is linked."""
        for link in self.links:
            if not link.closed:
                await link.send_json({"type": "snapshot", "snapshot": snapshot.to_json()})

    async def until(self, what: str, true: Callable[[], bool]) -> None:
        """Wait until it is true; raises BenchFailed after DEADLINE."""
        try:
            async with asyncio.timeout(DEADLINE):
                while not true():
                    self.news.clear()
                    await self.news.wait()
        except TimeoutError:
            raise BenchFailed(f"the gateway did not say: {what}") from None

    async def acked(self, version: int) -> None:
        """Wait until the snapshot is in force."""
        await self.until(f"version {version} is in force", lambda: {"type": "ack", "version": version} in self.heard)

    async def waiting(self, count: int) -> None:
        """Wait until that many requests are held; gateways say it every five seconds."""
        await self.until(f"{count} requests wait", lambda: self._waiting() >= count)

    def _waiting(self) -> int:
        said = [one for message in self.heard if message["type"] == "activity" for one in message["activity"]]
        return int(said[-1]["waiting"]) if said else 0


@asynccontextmanager
async def opcenter() -> AsyncIterator[OpCenter]:
    """Serve on a free port of loopback."""
    made = OpCenter()
    app = web.Application()
    app.router.add_get("/api/v1/gateways/{id}/watch", made.watch)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield made
    finally:
        for link in made.links:
            await link.close()
        await runner.cleanup()
