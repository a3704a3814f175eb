"""The gateway's end of the snapshot watch (docs/link.md): dial, take snapshots, send news, dial again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import structlog

from gateway.config import Timeouts
from gateway.types import GatewayId, Snapshot

log = structlog.get_logger()

_LARGEST_SNAPSHOT = 64 << 20  # bytes: 55,000 listeners


@dataclass(frozen=True, slots=True)
class Identity:
    """gateway.json: who this gateway is and where its OpCenter answers."""

    id: GatewayId
    token: str
    opcenter: str
    workers: int

    @staticmethod
    def read(home: Path) -> Identity:
        """Raises OSError, ValueError, KeyError."""
        doc = json.loads((home / "gateway.json").read_text())
        return Identity(GatewayId(doc["id"]), doc["token"], doc["opcenter"].rstrip("/"), int(doc["workers"]))


class Link:
    """Keeps one WebSocket to the OpCenter. Messages sent while it is down are dropped, reports excepted."""

    def __init__(
        self,
        home: Path,
        timeouts: Timeouts,
        on_snapshot: Callable[[Snapshot], None],
        on_link: Callable[[bool], None],
        on_reload: Callable[[], None],
    ) -> None:
        self.reports: dict[int, dict[str, Any]] = {}
        """By port: the newest, sent again after each dial."""
        self._home, self._timeouts = home, timeouts
        self._on_snapshot, self._on_link, self._on_reload = on_snapshot, on_link, on_reload
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._out: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    def send(self, message: dict[str, Any]) -> None:
        """Queue a message; without a connection it is dropped."""
        if self._socket is not None:
            self._out.put_nowait(message)

    def report(self, report: dict[str, Any]) -> None:
        """A gate's report: remembered until the next of the same port, since the OpCenter waits for it."""
        self.reports[report["port"]] = report
        self.send({"type": "report", "reports": [report]})

    def forget(self, port: int) -> None:
        """The port is closed."""
        self.reports.pop(port, None)

    async def run(self) -> None:
        """For ever. The identity is read anew at each dial: the OpCenter may have another address now."""
        pause = self._timeouts.link_retry
        while True:
            try:
                await self._session()
                pause = self._timeouts.link_retry
            except (aiohttp.ClientError, OSError, ValueError, KeyError, TypeError, TimeoutError) as error:
                log.warning("no link to the OpCenter", why=f"{type(error).__name__}: {error}"[:200])
                pause = min(pause * 2, self._timeouts.link_retry_max)
            await asyncio.sleep(pause)

    async def _session(self) -> None:
        identity = Identity.read(self._home)
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
            async with session.ws_connect(
                f"{identity.opcenter}/api/v1/gateways/{identity.id}/watch",
                headers={"Authorization": f"Bearer {identity.token}"},
                heartbeat=self._timeouts.link_ping,
                max_msg_size=_LARGEST_SNAPSHOT,
            ) as socket:
                await self._talk(socket)

    async def _talk(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._out = asyncio.Queue()
        self._socket = socket
        if self.reports:
            self.send({"type": "report", "reports": list(self.reports.values())})
        sender = asyncio.create_task(self._send_queued(socket), name="link sender")
        self._on_link(True)
        try:
            async for message in socket:
                if message.type is aiohttp.WSMsgType.TEXT:
                    self._take(json.loads(message.data))
        finally:
            self._socket = None
            self._on_link(False)
            sender.cancel()
            with suppress(asyncio.CancelledError, ConnectionError):
                await sender

    async def _send_queued(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        while True:
            await socket.send_json(await self._out.get())

    def _take(self, message: dict[str, Any]) -> None:
        match message.get("type"):
            case "snapshot":
                self._on_snapshot(Snapshot.from_json(message["snapshot"]))
            case "reload":
                self._on_reload()
