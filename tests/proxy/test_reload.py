"""A gateway that becomes a new program under load: whole processes on real sockets, before a scripted OpCenter."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import WSMsgType, web

from gateway.types import GateState, JobStatus, Rule, WebSocketPolicy
from tests.peers import Conversation, connect, eventually
from tests.ports import free_ports
from tests.proxy.test_group import OpCenter, ask, children, group, opcenter, snapshot

PACE = 0.01  # seconds between two requests or frames of one client
REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
SLOW = 60.0  # seconds for what starts several Pythons on a busy machine


@dataclass
class Server:
    """A job's server: answers requests, echoes frames, and remembers what it was told."""

    posted: list[str] = field(default_factory=list)
    frames: list[str] = field(default_factory=list)

    async def get(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def post(self, request: web.Request) -> web.Response:
        self.posted.append(await request.text())
        return web.Response(text="ok")

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                self.frames.append(message.data)
                await socket.send_str(message.data)
        return socket

    @asynccontextmanager
    async def place(self) -> AsyncIterator[int]:
        """One place where it runs; the block gets the port."""
        app = web.Application()
        app.add_routes([web.get("/", self.get), web.post("/", self.post), web.get("/ws", self.socket)])
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        try:
            yield runner.addresses[0][1]
        finally:
            await runner.cleanup()


class Browser:
    """One WebSocket that says numbers, and hears every one of them again, in order."""

    def __init__(self, name: str, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.name, self.socket = name, socket
        self.said = self.heard = 0
        self._leave = self._last = False
        self._task = asyncio.gather(self._say(), self._hear())

    async def _say(self) -> None:
        while not self._last:
            self._last = self._leave
            await self.socket.send_str(f"{self.name} {self.said}")
            self.said += 1
            await asyncio.sleep(PACE)

    async def _hear(self) -> None:
        while not self._last or self.heard < self.said:
            message = await self.socket.receive(SLOW)
            assert message.type is WSMsgType.TEXT, f"{self.name}: {message}"
            assert message.data == f"{self.name} {self.heard}"
            self.heard += 1

    async def leave(self) -> None:
        """Hear the rest, then close."""
        self._leave = True
        async with asyncio.timeout(SLOW):
            await self._task
        await self.socket.close()


class Crowd:
    """Clients that never pause: each request has to be answered, on connections that are kept and on new ones."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.answers = 0
        self.posted: list[str] = []
        self._leave = False
        self._tasks = [asyncio.create_task(one) for one in (self._new(), self._new(), self._kept("a"), self._kept("b"))]

    async def _new(self) -> None:
        while not self._leave:
            assert await ask(self.port) == b"ok"
            self.answers += 1
            await asyncio.sleep(PACE)

    async def _kept(self, name: str) -> None:
        """GETs and POSTs in turn; a connection is given up when an answer says so, never otherwise."""
        client, number = await connect("127.0.0.1", self.port), 0
        while not self._leave:
            body = f"{name} {number}"
            await client.say(REQUEST)
            kept = await self._answer(client)
            if not kept:
                client = await connect("127.0.0.1", self.port)
            await client.say(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n" % len(body))
            await client.say(body.encode())
            kept = await self._answer(client)
            if not kept:
                client = await connect("127.0.0.1", self.port)
            self.posted.append(body)
            number += 1
            await asyncio.sleep(PACE)
        await client.close()

    async def _answer(self, client: Conversation) -> bool:
        head, body = await client.answer()
        assert head.startswith(b"HTTP/1.1 200") and body == b"ok", head
        self.answers += 1
        kept = b"\r\nconnection: close\r\n" not in head.lower()
        if not kept:
            await client.close()
        return kept

    async def leave(self) -> None:
        """Raises what a client has seen go wrong."""
        self._leave = True
        async with asyncio.timeout(SLOW):
            await asyncio.gather(*self._tasks)


def log(home: Path) -> list[dict[str, str]]:
    """The gateway's log without its requests."""
    lines = [json.loads(line) for line in (home / "gateway.log").read_text().splitlines() if line.startswith("{")]
    return [one for one in lines if one["event"] != "request"]


def websockets(home: Path, event: str) -> list[int]:
    """What each worker said of the job, in the order of time."""
    return [int(one["websockets"]) for one in log(home) if one["event"] == event]


async def reload(process: asyncio.subprocess.Process, center: OpCenter, version: int) -> None:
    """SIGHUP; returns when the new program's workers have acknowledged."""
    center.heard.clear()
    process.send_signal(signal.SIGHUP)
    await eventually(lambda: {"type": "ack", "version": version} in center.heard, "acknowledged again", SLOW)


async def move(center: OpCenter, port: int, control: int, runs: dict[str, Any], there: int, websockets: int) -> None:
    """Versions 6 and 7: the job floats, and runs again at another port. None of so many WebSockets is lost."""
    away = {**runs, "gate": GateState.HELD, "target_port": 1, "address": None}
    await center.publish(snapshot(6, [port], control, **away, generation=2))
    await center.reported(2, "drained")
    back = {**runs, "gate": GateState.OPEN, "target_port": there}
    await center.publish(snapshot(7, [port], control, **back, generation=3))
    await center.reported(3, "reopened")
    report = [one for said in center.of("report") for one in said["reports"]][-1]
    assert (report["websockets"], report["lost_websockets"]) == (websockets, 0)


async def test_reloads_and_a_move_under_load_lose_nothing(tmp_path: Path) -> None:
    port, control = free_ports(2)
    server = Server()
    async with (
        server.place() as first, server.place() as second, opcenter() as center,
        group(tmp_path, center.url, workers=1) as process, aiohttp.ClientSession() as session,
    ):  # fmt: skip
        await eventually(lambda: bool(center.sockets), "dialled", SLOW)
        runs = {"status": JobStatus.EXECUTING, "address": "127.0.0.1", "websocket": WebSocketPolicy.RESUME}
        here = {**runs, "gate": GateState.OPEN, "target_port": first}
        await center.publish(snapshot(5, [port], control, **here, generation=1))
        await eventually(lambda: {"type": "ack", "version": 5} in center.heard, "served", SLOW)
        await ask(port)
        browsers: list[Browser] = []

        async def join() -> None:
            url = f"http://127.0.0.1:{port}/ws"
            browsers.append(Browser(f"tab{len(browsers)}", await session.ws_connect(url, max_msg_size=0)))

        crowd, version = Crowd(port), 5
        for tabs in (3, 2, 1, 0, 1):
            for _ in range(tabs):
                await join()
            if not tabs:
                await move(center, port, control, runs, second, len(browsers))
                version = 7
                await join()
                assert websockets(tmp_path, "drained") == [3, 2, 1, 0], "the oldest worker lets go first"
                assert websockets(tmp_path, "reopened")[-4:] == [0, 1, 2, 3], "and comes back last"
            await reload(process, center, version)
        assert process.returncode is None
        heard = [one.heard for one in browsers]
        await eventually(lambda: all(one.heard > before for one, before in zip(browsers, heard, strict=True)), "echoes")
        await crowd.leave()
        assert crowd.answers > 100 and sorted(crowd.posted) == sorted(server.posted)
        assert len(workers(process.pid)) == 6, "the present worker, and five that have WebSockets"
        await join()
        for browser in browsers[:-1]:
            await browser.leave()
        await eventually(lambda: len(workers(process.pid)) == 1, "the old workers have ended", SLOW)
        await browsers[-1].leave()
        assert not [one for one in log(tmp_path) if one["level"] == "error"]
        said = [f"{one.name} {number}" for one in browsers for number in range(one.said)]
        assert sorted(said) == sorted(server.frames)


async def test_a_new_worker_that_is_killed_while_it_takes_over_costs_no_port(tmp_path: Path) -> None:
    port, control = free_ports(2)
    server = Server()
    async with server.place() as first, opcenter() as center, group(tmp_path, center.url) as process:
        await eventually(lambda: bool(center.sockets), "dialled", SLOW)
        runs = {"status": JobStatus.EXECUTING, "address": "127.0.0.1", "gate": GateState.OPEN, "target_port": first}
        await center.publish(snapshot(5, [port], control, **runs))
        await eventually(lambda: {"type": "ack", "version": 5} in center.heard, "served", SLOW)
        old = set(children(process.pid))
        crowd = Crowd(port)
        center.heard.clear()
        process.send_signal(signal.SIGHUP)
        await eventually(lambda: len(workers(process.pid) - old) == 2, "new workers", SLOW)
        killed = workers(process.pid) - old
        for worker in killed:
            os.kill(worker, signal.SIGKILL)
        await eventually(lambda: {"type": "ack", "version": 5} in center.heard, "acknowledged", SLOW)
        await crowd.leave()
        await eventually(lambda: not old & workers(process.pid), "the old ones have gone", SLOW)
        assert len(workers(process.pid) - old - killed) == 2 and await ask(port) == b"ok"


async def test_a_program_that_is_not_ready_does_not_take_over(tmp_path: Path) -> None:
    """And held requests stay in line, also over a reload that succeeds."""
    port, control = free_ports(2)
    server = Server()
    async with server.place() as first, opcenter() as center, group(tmp_path, center.url) as process:
        await eventually(lambda: bool(center.sockets), "dialled", SLOW)
        await center.publish(snapshot(5, [port], control))
        await eventually(lambda: {"type": "ack", "version": 5} in center.heard, "served", SLOW)
        held, old = await connect("127.0.0.1", port), workers(process.pid)
        await held.say(REQUEST)
        settings = (tmp_path / "gateway.json").read_text()
        (tmp_path / "gateway.json").write_text("{}")
        process.send_signal(signal.SIGHUP)
        await eventually(lambda: any("not ready" in one["event"] for one in log(tmp_path)), "it says so", SLOW)
        assert workers(process.pid) == old
        (tmp_path / "gateway.json").write_text(settings)
        await reload(process, center, 5)
        later = await connect("127.0.0.1", port)
        await later.say(REQUEST)
        runs = {"status": JobStatus.EXECUTING, "address": "127.0.0.1", "gate": GateState.OPEN, "target_port": first}
        await center.publish(snapshot(6, [port], control, **runs, generation=2))
        await center.reported(2, "reopened")
        for client in (held, later):
            assert (await client.answer())[1] == b"ok"
            await client.close()
        await eventually(lambda: not old & workers(process.pid), "the old ones have gone", SLOW)


async def test_rules_of_any_number_are_in_force_when_they_are_acknowledged_also_after_a_reload(tmp_path: Path) -> None:
    port, control = free_ports(2)
    server = Server()
    many = tuple(Rule(1, 65535, f"10.{one // 250}.{one % 250}.0/24") for one in range(6_000))  # 400 KB
    async with server.place() as first, opcenter() as center, group(tmp_path, center.url) as process:
        await eventually(lambda: bool(center.sockets), "dialled", SLOW)
        runs = {"status": JobStatus.EXECUTING, "address": "127.0.0.1", "gate": GateState.OPEN, "target_port": first}
        served = snapshot(5, [port], control, **runs)
        await center.publish(replace(served, rules=many + served.rules))
        await center.acked(5)
        old = workers(process.pid)
        assert await ask(port) == b"ok", "the last rule is heard"
        await center.publish(replace(served, version=6, rules=many))
        await center.acked(6)
        assert await is_refused(port)
        await reload(process, center, 6)
        assert await is_refused(port)
        await center.publish(replace(served, version=7, rules=many + served.rules))
        await center.acked(7)
        assert await ask(port) == b"ok"
        await eventually(lambda: not old & workers(process.pid), "the old ones have gone", SLOW)
        assert len(workers(process.pid)) == 2
        assert not [one for one in log(tmp_path) if one["level"] == "error"]


async def is_refused(port: int) -> bool:
    """Whether the rules let nobody from here in."""
    client = await connect("127.0.0.1", port)
    with suppress(ConnectionError):
        await client.say(REQUEST)
        return not await client.rest()
    return True


def workers(pid: int) -> set[int]:
    """Pids of the children that are workers: a new program that is only looked at is none."""
    found = set()
    for one in children(pid):
        with suppress(OSError):
            if b"gateway.proxy.worker" in Path(f"/proc/{one}/cmdline").read_bytes():
                found.add(one)
    return found
