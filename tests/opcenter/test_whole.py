"""OpCenter, a real gateway's processes and a server: what an administrator says is what requests meet."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from gateway.engines.fake import FakeEngine
from gateway.opcenter.processes import ProxyProcesses
from tests.peers import Conversation, backend, connect

from .conftest import World
from .test_processes import pid_of

SLOW = 60.0  # seconds for what starts several Pythons on a busy machine


@pytest.fixture
async def world(world: World) -> AsyncIterator[World]:
    """With real gateways; none is left behind."""
    processes = ProxyProcesses()
    world.processes = processes  # type: ignore[assignment]
    yield world
    await world.stop()
    for folder in (world.home / "gateways").glob("*"):
        await processes.stop(folder)


class Forgetful:
    """A server that does what it is told and drops the connection instead of answering, once for each path."""

    def __init__(self) -> None:
        self.done: Counter[bytes] = Counter()

    async def serve(self, peer: Conversation) -> None:
        while True:
            head = await peer.head()
            method, target, _ = head.split(b" ", 2)
            length = head.lower().partition(b"content-length: ")[2].partition(b"\r")[0]
            await peer.exactly(int(length or 0))
            self.done[method + b" " + target] += 1
            if target != b"/" and self.done[method + b" " + target] == 1:
                return
            await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")


async def ask(url: str, method: bytes, path: bytes) -> bytes:
    place = urlsplit(url)
    client = await connect(place.hostname or "", place.port or 0)
    lines = b"Host: %b\r\nContent-Length: 2\r\n" % place.netloc.encode()
    await client.say(b"%b %b HTTP/1.1\r\n%b\r\n{}" % (method, path, lines))
    head, body = await client.answer()
    await client.close()
    return head.split(b" ", 2)[1] + b" " + body[:4]


async def ready(world: World, gateway: dict[str, object]) -> None:
    async with asyncio.timeout(SLOW):
        while (await world.api.get(f"/gateways/{gateway['id']}"))["status"] != "Ready":  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_a_template_s_table_decides_what_is_sent_twice_and_a_reload_keeps_it(world: World) -> None:
    server = Forgetful()
    rules = [
        {"method": "POST", "path": "/search*", "twice": "harmless"},
        {"method": "PUT", "path": "/append*", "twice": "harmful"},
    ]
    async with backend(server.serve) as (_, host, port):
        engine = FakeEngine(behind=(host, port))
        api = await world.start(engine)
        template = {"name": "own", "program": {"command": ["serve"]}, "replay": {"rules": rules}}
        await api.post("/templates", template)
        gateway = await world.gateway()
        await ready(world, gateway)
        job = await world.running(template="own", gateway=gateway["id"])
        url = job["gateway"]["accessURLs"][0]
        assert await ask(url, b"GET", b"/") == b"200 done"
        folder = world.home / "gateways" / gateway["id"]
        for turn in (b"1", b"2"):
            assert await ask(url, b"POST", b"/search" + turn) == b"200 done"
            assert await ask(url, b"PUT", b"/append" + turn) == b'503 {"me'
            assert await ask(url, b"PUT", b"/file" + turn) == b"200 done"
            assert await ask(url, b"POST", b"/other" + turn) == b'503 {"me'
            done = {name.rstrip(turn): count for name, count in server.done.items() if name.endswith(turn)}
            assert done == {b"POST /search": 2, b"PUT /append": 1, b"PUT /file": 2, b"POST /other": 1}
            if turn == b"1":
                pid, log = pid_of(folder), folder / "gateway.log"
                await api.post(f"/gateways/{gateway['id']}/reload", {})
                async with asyncio.timeout(SLOW):
                    while "old worker ended" not in log.read_text():  # noqa: ASYNC110
                        await asyncio.sleep(0.02)
                await ready(world, gateway)
                assert pid_of(folder) == pid and world.processes.alive(folder)
        await engine.shut()
