"""The other side of the OpCenter's conversations, scripted: a gateway, its process, and the server behind a job."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp

from gateway.types import GateState, JobId, Listener, Snapshot

DEADLINE = 15.0  # seconds that a test waits for something that takes milliseconds


class NoProcesses:
    """Instead of gateways' processes: remembers what it was asked for; `running` says what lives."""

    def __init__(self) -> None:
        self.running: set[Path] = set()
        self.spawned: list[Path] = []
        self._dead = False

    def die(self) -> None:
        """All end, and no new one lives."""
        self.running.clear()
        self._dead = True

    async def spawn(self, folder: Path) -> None:
        self.spawned.append(folder)
        if not self._dead:
            self.running.add(folder)

    def alive(self, folder: Path) -> bool:
        return folder in self.running

    async def stop(self, folder: Path) -> None:
        self.running.discard(folder)


class GatewayPeer:
    """A gateway that dials, acknowledges every snapshot and reports every drain, unless told not to."""

    def __init__(self, folder: Path, drains: bool = True) -> None:
        self.settings = json.loads((folder / "gateway.json").read_text())
        self.drains = drains
        self.slow = 0.0  # seconds that a snapshot takes to be in force
        self.acked = 0
        self.reloads = 0
        self.snapshots: list[Snapshot] = []
        self._news = asyncio.Condition()
        self._session: aiohttp.ClientSession | None = None
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> GatewayPeer:
        await self.dial()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.hang_up()
        await self.close()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def dial(self, address: str | None = None) -> None:
        self._session = self._session or aiohttp.ClientSession()
        base, mine = address or self.settings["opcenter"], self.settings["id"]
        headers = {"Authorization": f"Bearer {self.settings['token']}"}
        self._socket = await self._session.ws_connect(f"{base}/api/v1/gateways/{mine}/watch", headers=headers)
        self._reader = asyncio.create_task(self._read(self._socket))

    async def hang_up(self) -> None:
        if self._socket is not None:
            await self._socket.close()
        if self._reader is not None:
            await self._reader

    async def say(self, **message: Any) -> None:
        assert self._socket is not None
        await self._socket.send_json(message)

    async def report(self, listener: Listener, **what: Any) -> None:
        one = {"job": listener.job, "port": listener.port, "generation": listener.generation, **what}
        await self.say(type="report", reports=[one])

    async def until(self, matches: Callable[[Snapshot], bool]) -> Snapshot:
        """The newest snapshot, as soon as it matches."""
        async with asyncio.timeout(DEADLINE), self._news:
            await self._news.wait_for(lambda: bool(self.snapshots) and matches(self.snapshots[-1]))
            return self.snapshots[-1]

    async def listener(self, job: str, matches: Callable[[Listener], bool] = lambda _: True) -> Listener:
        """The job's listener in the newest snapshot, as soon as it matches."""

        def has(snapshot: Snapshot) -> bool:
            found = snapshot.listener(JobId(job))
            return found is not None and matches(found)

        found = (await self.until(has)).listener(JobId(job))
        assert found is not None
        return found

    def seen(self, job: str) -> list[tuple[GateState, str | None, int]]:
        """(gate, address, generation) of the job's listener through all snapshots, without repetitions."""
        found = [one for snapshot in self.snapshots if (one := snapshot.listener(JobId(job))) is not None]
        return list(dict.fromkeys((one.gate, one.address, one.generation) for one in found))

    async def closed(self) -> int | None:
        """The close code with which the OpCenter ended the connection."""
        assert self._reader is not None and self._socket is not None
        async with asyncio.timeout(DEADLINE):
            await self._reader
        return self._socket.close_code

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        async for message in socket:
            said = json.loads(message.data)
            if said["type"] == "reload":
                self.reloads += 1
                continue
            snapshot = Snapshot.from_json(said["snapshot"])
            async with self._news:
                self.snapshots.append(snapshot)
                self._news.notify_all()
            try:
                await self._react(snapshot)
            except ConnectionError:
                return

    async def _react(self, snapshot: Snapshot) -> None:
        await asyncio.sleep(self.slow)
        await self.say(type="ack", version=snapshot.version)
        self.acked = snapshot.version
        held = [one for one in snapshot.listeners if one.gate is GateState.HELD]
        for one in held if self.drains else ():
            await self.report(one, drained=True)


class Server:
    """What the program behind a job would be: accepts connections and drops them."""

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None
        self.place = ("127.0.0.1", 0)

    async def __aenter__(self) -> Server:
        self._server = await asyncio.start_server(self._serve, *self.place)
        host, port = self._server.sockets[0].getsockname()[:2]
        self.place = (host, port)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
