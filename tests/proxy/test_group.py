"""A whole gateway as its own processes, before a scripted OpCenter: parent, workers, link."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import WSMsgType, web

from gateway.proxy import cookies
from gateway.types import GateState, GatewayId, JobId, JobStatus, Listener, Rule, Snapshot
from tests.peers import DEADLINE, Conversation, backend, connect, eventually
from tests.ports import free_ports

GATEWAY = GatewayId("g-abcdefghijklmnopqrstu")
START = 30.0  # seconds for what starts several Pythons on a busy machine
JOB = JobId("abcdefghijklmnopqrstu")


async def ok(peer: Conversation) -> None:
    while True:
        await peer.head()
        await peer.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


@dataclass
class OpCenter:
    """Speaks docs/link.md's side of the OpCenter; keeps what it heard."""

    heard: list[dict[str, Any]] = field(default_factory=list)
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    snapshot: Snapshot | None = None
    url: str = ""

    async def watch(self, request: web.Request) -> web.WebSocketResponse:
        assert request.headers["Authorization"] == "Bearer secret" and request.match_info["id"] == GATEWAY
        link = web.WebSocketResponse()
        await link.prepare(request)
        self.sockets.append(link)
        if self.snapshot is not None:
            await self.publish(self.snapshot)
        async for message in link:
            if message.type is WSMsgType.TEXT:
                self.heard.append(json.loads(message.data))
        return link

    async def publish(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        for one in self.sockets:
            if not one.closed:
                await one.send_json({"type": "snapshot", "snapshot": snapshot.to_json()})

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [one for one in self.heard if one["type"] == kind]

    async def acked(self, version: int) -> None:
        acked = {"type": "ack", "version": version}
        await eventually(lambda: acked in self.heard, f"version {version} acknowledged", START)

    async def reported(self, generation: int, what: str) -> None:
        def said() -> bool:
            reports = [report for one in self.of("report") for report in one["reports"]]
            return any(report["generation"] == generation and report[what] for report in reports)

        await eventually(said, f"generation {generation} {what}")


@asynccontextmanager
async def opcenter() -> AsyncIterator[OpCenter]:
    made = OpCenter()
    app = web.Application()
    app.router.add_get("/api/v1/gateways/{id}/watch", made.watch)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield made
    finally:
        for one in made.sockets:
            await one.close()
        await runner.cleanup()


@asynccontextmanager
async def group(home: Path, url: str, workers: int = 2) -> AsyncIterator[asyncio.subprocess.Process]:
    identity = {"id": GATEWAY, "token": "secret", "opcenter": url, "workers": workers}
    (home / "gateway.json").write_text(json.dumps(identity))
    with (home / "gateway.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "gateway.proxy", "--home", str(home), stderr=log, start_new_session=True
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(START):
            await process.wait()
        print((home / "gateway.log").read_text())


def snapshot(version: int, ports: list[int], control: int, **listener: Any) -> Snapshot:
    base = Listener(
        port=0, job=JOB, name="probe", target_port=1, gate=GateState.HELD, status=JobStatus.STARTING,
        generation=1, since=0,
    )  # fmt: skip
    return Snapshot(
        version=version, gateway=GATEWAY, name="test", bind="127.0.0.1", public_address="127.0.0.1",
        port_min=min(ports), port_max=control, control_port=control, now=0, rules=(Rule(1, 65535, "127.0.0.0/8"),),
        listeners=tuple(replace(base, port=port, **listener) for port in ports),
    )  # fmt: skip


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


async def ask(port: int) -> bytes:
    client = await connect("127.0.0.1", port)
    try:
        await client.say(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        return (await client.answer())[1]
    finally:
        await client.close()


async def test_snapshot_ack_hold_open_and_close(tmp_path: Path) -> None:
    *ports, control = free_ports(4)
    async with backend(ok) as (_, host, target), opcenter() as center, group(tmp_path, center.url):
        await eventually(lambda: bool(center.sockets), "dialled")
        await center.publish(snapshot(5, ports, control))
        await center.acked(5)
        held = [asyncio.create_task(ask(port)) for port in ports]
        where = {"gate": GateState.OPEN, "address": host, "target_port": target, "generation": 2}
        await center.publish(snapshot(6, ports, control, status=JobStatus.EXECUTING, **where))
        await center.acked(6)
        await center.reported(2, "reopened")
        assert await asyncio.gather(*held) == [b"ok"] * len(ports)
        await center.publish(snapshot(7, ports[:1], control, status=JobStatus.EXECUTING, **where))
        await center.acked(7)
        with pytest.raises(OSError):
            await connect("127.0.0.1", ports[1])
        assert await ask(ports[0]) == b"ok"
        assert (tmp_path / "snapshot.json").stat().st_mode & 0o77 == 0


async def test_it_serves_and_holds_from_disk_without_an_opcenter(tmp_path: Path) -> None:
    port, floating, control = free_ports(3)
    async with backend(ok) as (_, host, target):
        where = {"gate": GateState.OPEN, "address": host, "target_port": target}
        base = snapshot(5, [port], control, status=JobStatus.EXECUTING, **where)
        held = snapshot(5, [floating], control, status=JobStatus.FLOATING).listeners
        whole = replace(base, listeners=base.listeners + held)
        (tmp_path / "snapshot.json").write_text(json.dumps(whole.to_json()))
        async with group(tmp_path, "http://127.0.0.1:1"):
            await _listening(port, floating)
            assert await ask(port) == b"ok"
            client = await connect("127.0.0.1", floating)
            await client.say(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/html\r\n\r\n")
            assert (await client.head()).startswith(b"HTTP/1.1 503")
            await client.close()


async def _cookie(port: int) -> bytes:
    """The name under which the browser keeps the job's cookie."""
    client = await connect("127.0.0.1", port)
    try:
        await client.say(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        head, _ = await client.answer()
        return head.partition(b"Set-Cookie: ")[2].partition(b"=")[0]
    finally:
        await client.close()


async def _reloaded(process: asyncio.subprocess.Process) -> None:
    before = set(children(process.pid))
    process.send_signal(signal.SIGHUP)
    await eventually(lambda: bool(set(children(process.pid)) - before), "a new worker", START)
    await eventually(lambda: not set(children(process.pid)) & before, "the old one gone", START)


async def test_cookies_keep_their_names_over_restart_and_reload_and_nobody_can_guess_them(tmp_path: Path) -> None:
    async def sets(peer: Conversation) -> None:
        while True:
            await peer.head()
            await peer.say(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; HttpOnly\r\nContent-Length: 0\r\n\r\n")

    port, control = free_ports(2)
    names: set[bytes] = set()
    async with backend(sets) as (_, host, target):
        where = {"gate": GateState.OPEN, "address": host, "target_port": target}
        doc = snapshot(5, [port], control, status=JobStatus.EXECUTING, **where).to_json()
        for home in (tmp_path / "one", tmp_path / "one", tmp_path / "two"):
            home.mkdir(exist_ok=True)
            (home / "snapshot.json").write_text(json.dumps(doc))
            async with group(home, "http://127.0.0.1:1", workers=1) as process:
                await _listening(port)
                names.add(await _cookie(port))
                await _reloaded(process)
                names.add(await _cookie(port))
            assert (home / "cookies.key").stat().st_mode & 0o777 == 0o600
            assert len(names) == (1 if home.name == "one" else 2)
    assert all(name.startswith(b"gw%d-" % port) and name.endswith(b".a") for name in names)
    assert cookies.prefix(port, JOB, b"").encode() + b"a" not in names


async def _listening(*ports: int) -> None:
    async with asyncio.timeout(DEADLINE):
        for port in ports:
            while True:
                try:
                    await (await connect("127.0.0.1", port)).close()
                    break
                except OSError:
                    await asyncio.sleep(0.02)


async def test_a_killed_worker_refuses_nobody(tmp_path: Path) -> None:
    *ports, control = free_ports(3)
    async with backend(ok) as (_, host, target), opcenter() as center, group(tmp_path, center.url) as process:
        await eventually(lambda: bool(center.sockets), "dialled")
        where = {"gate": GateState.OPEN, "address": host, "target_port": target}
        await center.publish(snapshot(5, ports, control, status=JobStatus.EXECUTING, **where))
        await center.acked(5)
        workers = children(process.pid)
        assert len(workers) == 2
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
        assert await asyncio.gather(*(ask(port) for port in ports)) == [b"ok"] * len(ports)
        assert not set(workers) & set(children(process.pid))


async def test_a_killed_parent_leaves_its_ports_to_its_successor(tmp_path: Path) -> None:
    port, control = free_ports(2)
    async with backend(ok) as (_, host, target), opcenter() as center:
        where = {"gate": GateState.OPEN, "address": host, "target_port": target}
        center.snapshot = snapshot(5, [port], control, status=JobStatus.EXECUTING, **where)
        async with group(tmp_path, center.url) as process:
            await center.acked(5)
            process.kill()
            await process.wait()
        center.heard.clear()
        async with group(tmp_path, center.url):
            await center.acked(5)
            assert await ask(port) == b"ok"
            async with group(tmp_path, center.url) as second:
                async with asyncio.timeout(DEADLINE):
                    assert await second.wait() == 2, "a folder is served once"


async def test_metrics_are_on_the_control_port(tmp_path: Path) -> None:
    port, control = free_ports(2)
    async with backend(ok) as (_, host, target), opcenter() as center, group(tmp_path, center.url):
        await eventually(lambda: bool(center.sockets), "dialled")
        where = {"gate": GateState.OPEN, "address": host, "target_port": target}
        await center.publish(snapshot(5, [port], control, status=JobStatus.EXECUTING, **where))
        await center.acked(5)
        assert await ask(port) == b"ok"
        await eventually(lambda: bool(center.of("activity")), "the news of it")
        client = await connect("127.0.0.1", control)
        await client.say(b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        head, body = await client.answer()
        await client.close()
        assert head.startswith(b"HTTP/1.1 200")
        assert b'floatgate_requests_total{job="%b",port="%d"} 1.0' % (JOB.encode(), port) in body
        assert b'floatgate_moves_total{job="%b",port="%d"} 1.0' % (JOB.encode(), port) in body


async def test_security_groups_hold_on_every_port_also_the_widgets(tmp_path: Path) -> None:
    port, control = free_ports(2)
    async with opcenter() as center, group(tmp_path, center.url):
        await eventually(lambda: bool(center.sockets), "dialled")
        only_there = replace(snapshot(5, [port], control), rules=(Rule(port, port, "127.0.0.0/8"),))
        await center.publish(only_there)
        await center.acked(5)
        client = await connect("127.0.0.1", control)
        await client.say(b"GET /login HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await client.head()
        await client.close()
        await center.publish(replace(only_there, version=6, rules=(Rule(1, 65535, "127.0.0.0/8"),)))
        await center.acked(6)
        client = await connect("127.0.0.1", control)
        await client.say(b"GET /login HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert (await client.head()).startswith(b"HTTP/1.1 ")
        await client.close()


async def test_a_port_that_is_taken_is_said_and_the_others_open(tmp_path: Path) -> None:
    free, control = free_ports(2)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        async with opcenter() as center, group(tmp_path, center.url):
            center.snapshot = snapshot(5, [number, free], control)
            await eventually(lambda: bool(center.sockets) or bool(center.of("trouble")), "dialled")
            await center.publish(center.snapshot)
            await _until_trouble(center, number)
            await _listening(free)


async def _until_trouble(center: OpCenter, port: int) -> None:
    await eventually(lambda: bool(center.of("trouble")), "trouble reported", DEADLINE * 2)
    trouble = center.of("trouble")[0]
    assert trouble["port"] == port and "127.0.0.1" in trouble["sentence"]
