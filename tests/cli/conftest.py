"""The real `float` in a real shell, against a real OpCenter with the scripted engine behind it."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import structlog
from aiohttp import web

from gateway.client import OpCenterClient
from gateway.config import Config, Timeouts
from gateway.engines.fake import FakeEngine
from gateway.opcenter import OpCenter
from gateway.opcenter.policy import Policy
from tests.ports import free_ports

ROOT = Path(__file__).parent.parent.parent
DEADLINE = 60.0
TIMES = replace(Timeouts(), look=0.05, redial_pause=0.01)
QUICK = replace(Policy(), hash_passes=1, hash_memory=64)


@dataclass(frozen=True)
class Said:
    """What a command line said."""

    code: int
    out: str
    err: str


class Shell:
    """`await shell("float squeue | head -1")`: a user's shell, with a home folder of its own."""

    def __init__(self, home: Path, **environ: str) -> None:
        self.home = home
        command = home / "bin" / "float"
        command.parent.mkdir(parents=True)
        command.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m gateway "$@"\n')
        command.chmod(0o755)
        path = f"{command.parent}:{os.environ['PATH']}"
        kept = {key: value for key, value in os.environ.items() if key.startswith(("LANG", "LC_", "SSL_CERT_"))}
        self.environ = {
            **kept,
            "HOME": str(home),
            "PATH": path,
            "PYTHONWARNINGS": "error,ignore::ResourceWarning",
            **environ,
        }

    async def __call__(self, line: str, stdin: str = "") -> Said:
        process = await self.begin(line)
        async with asyncio.timeout(DEADLINE):
            out, err = await process.communicate(stdin.encode())
        assert process.returncode is not None
        assert "Traceback" not in err.decode()
        return Said(process.returncode, out.decode(), err.decode())

    async def begin(self, line: str) -> asyncio.subprocess.Process:
        """Start a command line; its processes are one group."""
        pipe = asyncio.subprocess.PIPE
        return await asyncio.create_subprocess_exec(
            "bash", "-c", line, stdin=pipe, stdout=pipe, stderr=pipe, env=self.environ, start_new_session=True
        )  # fmt: skip

    async def out(self, line: str, stdin: str = "") -> str:
        """The output of a line that succeeds."""
        said = await self(line, stdin)
        assert said.code == 0, said
        return said.out


@dataclass(frozen=True)
class World:
    """An OpCenter, and what is around it. `low` and `high` are ports for a gateway, `target` one for a job."""

    opcenter: OpCenter
    engine: FakeEngine
    address: str
    password: str
    low: int
    high: int
    target: int

    @property
    def ports(self) -> str:
        return f"{self.low}:{self.high}"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path / "user")


@pytest.fixture
async def server() -> AsyncIterator[tuple[str, int]]:
    """What every job is."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", _hello)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][:2]
    await runner.cleanup()


async def _hello(_request: web.Request) -> web.Response:
    return web.Response(text="hello")


@pytest.fixture
async def world(tmp_path: Path, server: tuple[str, int], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    rserver = tmp_path / "programs" / "rserver"  # the scripted engine runs nothing; the template looks for it
    rserver.parent.mkdir()
    rserver.touch(0o755)
    monkeypatch.setenv("PATH", f"{rserver.parent}:{os.environ['PATH']}")
    engine = FakeEngine(behind=server)
    home = tmp_path / "opcenter"
    opcenter = OpCenter(home, port=0, engine=engine, config=Config(home, TIMES), policy=QUICK)
    opened = await opcenter.open()
    assert opened.first_password
    low, *_ = free_ports(21)
    try:
        yield World(
            opcenter, engine, opened.address.removeprefix("http://"), opened.first_password, low, low + 19, low + 20
        )
        async with asyncio.timeout(DEADLINE):
            await opcenter.finish()
    finally:
        await opcenter.close()
        await engine.shut()
        structlog.reset_defaults()


@pytest.fixture
async def user(shell: Shell, world: World) -> Shell:
    """A shell that is logged in as admin."""
    await shell.out(f"float login -a {world.address} -u admin -p {world.password}")
    return shell


@pytest.fixture
async def gateway(user: Shell, world: World) -> str:
    """The id of a gateway that is Ready."""
    made = await user.out(f"float gateway create --portRange {world.ports} --securityGroup sg-default")
    gateway_id = field(made, "id")
    async with asyncio.timeout(DEADLINE), OpCenterClient(f"http://{world.address}") as client:
        client.token = await world.opcenter.admin_token()
        while (await client.get(f"/gateways/{gateway_id}"))["status"] != "Ready":  # noqa: ASYNC110 - nobody says
            await asyncio.sleep(0.02)
    return gateway_id


async def executing(user: Shell, world: World, more: str = "") -> str:
    """A job that runs; its id. It has the name lab, and no gateway unless `more` says so."""
    job = field(await user.out(f"float submit --publish {world.target} -n lab {more} -f -- server"), "id")
    assert await user.out(f"float wait -j {job} --timeout 30") == "Executing\n"
    return job


def field(text: str, name: str) -> str:
    """What scripts do: the first line with `name:`, its second word."""
    return next(line.split()[1] for line in text.splitlines() if f"{name}:" in line)
