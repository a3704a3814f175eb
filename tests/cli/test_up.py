"""`float up` from its first start to its last: the real engine of this machine, a real JupyterLab, real signals."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import re
import signal
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.engines.local import criu, machine
from gateway.engines.local.network import tag

from .conftest import DEADLINE, Shell, free_ports

REAL = machine.examine().tools is not None
ENGINES = [
    "plain",
    pytest.param("capsules", marks=pytest.mark.skipif(not REAL, reason="needs root and a working CRIU")),
]
pytestmark = [
    pytest.mark.live,
    pytest.mark.skipif(importlib.util.find_spec("jupyterlab") is None, reason="needs JupyterLab"),
]


class Up:
    """One `float up`, read line by line."""

    def __init__(self, shell: Shell, process: asyncio.subprocess.Process) -> None:
        self.shell = shell
        self.process = process
        self.lines: list[str] = []

    async def until(self, pattern: str) -> str:
        """The first line that matches, and everything before it is kept."""
        assert self.process.stdout is not None
        async with asyncio.timeout(DEADLINE):
            while raw := await self.process.stdout.readline():
                self.lines.append(raw.decode().rstrip())
                if re.search(pattern, self.lines[-1]):
                    return self.lines[-1]
        raise AssertionError(f"no {pattern!r} in {self.lines} {await self.rest()}")

    async def ready(self) -> str:
        """The Access URL, when the block stands there whole."""
        url = (await self.until("Access URL")).split()[-1]
        await self.until("Ctrl-C")
        return url

    async def rest(self) -> tuple[int, str, str]:
        """Its exit code and last words."""
        async with asyncio.timeout(DEADLINE):
            out, err = await self.process.communicate()
        assert self.process.returncode is not None
        return self.process.returncode, out.decode(), err.decode()

    async def end(self, number: signal.Signals = signal.SIGINT) -> str:
        """End it by one signal, as Ctrl-C does; its last line."""
        self.process.send_signal(number)
        code, out, err = await self.rest()
        assert (code, err) == (0, ""), (out, err)
        return out.splitlines()[-1]


class Machine:
    """Starts `float up` again and again on the same ports and the same home."""

    def __init__(self, shell: Shell) -> None:
        self.shell = shell
        self.low = free_ports(13)
        self.all: list[Up] = []

    async def up(self, options: str = "") -> Up:
        line = f"exec float up --ports {self.low}:{self.low + 10} --opcenter-port {self.low + 11} {options}"
        one = Up(self.shell, await self.shell.begin(line))
        self.all.append(one)
        return one

    def left(self) -> list[str]:
        """Command lines of processes, and network devices and namespaces, that belong to this home."""
        mark = f"fg{tag(self.shell.home / '.floatgate' / 'engine')}"
        places = [Path("/sys/class/net"), Path("/run/netns")]
        found = [one.name for place in places if place.exists() for one in place.iterdir() if mark in one.name]
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                words = (folder / "cmdline").read_bytes().decode("utf-8", "replace").replace("\0", " ")
                if str(self.shell.home / ".floatgate") in words:
                    found.append(words)
        return found


@pytest.fixture
async def machine_(shell: Shell) -> AsyncIterator[Machine]:
    shell.environ |= {"FLOATGATE_CRIU": str(criu.default_prefix())}
    one = Machine(shell)
    yield one
    for up in one.all:
        if up.process.returncode is None:
            up.process.terminate()
            await up.rest()
    if one.left():  # a test that failed: the next start finds everything and ends it
        await (up := await one.up()).until("Starting the gateway")
        up.process.terminate()
        await up.rest()


@pytest.mark.parametrize("engine", ENGINES)
async def test_its_life(machine_: Machine, shell: Shell, engine: str) -> None:
    shell.environ["FLOATGATE_ENGINE"] = engine
    up = await machine_.up()
    url = await up.ready()
    assert re.fullmatch(rf"http://127\.0\.0\.1:{machine_.low}/lab\?token=\w+", url)
    assert any("admin / " in line and "first start" not in line for line in up.lines)
    assert "jupyter-config-data" in await shell.out(f"curl -sL --cookie-jar ~/jar '{url}'")
    job = (await shell.out("float squeue -F json | grep -m1 '\"id\"'")).split('"')[3]
    await shell.out(f"float migrate -j {job} --sync")
    assert "Executing on" in await up.until(r"Executing on .*, \d+\.\d s")
    last = await up.end()
    assert machine_.left() == []
    assert ("Your session is saved" in last) == (engine == "capsules"), last

    up = await machine_.up()
    again = await up.ready()
    assert any("as shown at the first start" in line for line in up.lines)
    assert (again == url) == (engine == "capsules")
    up.process.kill()
    await up.rest()
    assert machine_.left() != []

    up = await machine_.up()
    assert await up.ready() == again
    assert any("Found your session again, it is Executing" in line for line in up.lines)
    await up.end(signal.SIGTERM)
    assert machine_.left() == []


async def test_a_second_ctrl_c_hurries(machine_: Machine, shell: Shell) -> None:
    shell.environ["FLOATGATE_ENGINE"] = "plain"
    up = await machine_.up()
    await up.ready()
    up.process.send_signal(signal.SIGINT)
    await up.until("Ending")
    last = await up.end()
    assert "Left in a hurry" in last or last == "Everything has ended."
    up = await machine_.up()
    await up.ready()
    await up.end()
    assert machine_.left() == []


async def test_ctrl_c_before_it_is_ready(machine_: Machine, shell: Shell) -> None:
    shell.environ["FLOATGATE_ENGINE"] = "plain"
    up = await machine_.up()
    await up.until("Starting jupyter")
    await up.end()
    assert machine_.left() == []


async def test_ports_that_are_taken(machine_: Machine, shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", machine_.low + 11)):
        code, _, err = await (await machine_.up()).rest()
    assert code == 1 and f"Port {machine_.low + 11} is in use" in err and "--opcenter-port" in err
    with socket.create_server(("127.0.0.1", machine_.low)):
        code, _, err = await (await machine_.up()).rest()
    assert code == 1 and str(machine_.low) in err and "float up --ports" in err and err.count("\n") == 1
    assert machine_.left() == []


async def test_a_template_that_cannot_start(machine_: Machine, shell: Shell) -> None:
    code, _, err = await (await machine_.up("--template nonsense")).rest()
    assert code == 1 and "(code: 1002)" in err
    assert machine_.left() == []


async def test_a_second_one_says_what_to_do(machine_: Machine, shell: Shell) -> None:
    shell.environ["FLOATGATE_ENGINE"] = "plain"
    up = await machine_.up()
    await up.until("Starting the gateway")
    code, _, err = await (await machine_.up()).rest()
    assert code == 1 and "runs at" in err and "already" in err
    said = await shell(f"float up --opcenter-port {machine_.low + 12}")
    assert said.code == 1 and "already" in said.err
    await up.end()
