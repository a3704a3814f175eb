"""`float up` from its first start to its last: the real engine of this machine, real processes, real signals.

Where it does not matter what the session is, it is a stand-in for RStudio Server that starts at once; JupyterLab in
capsules is in tests/live.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import re
import signal
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.engines.local import criu, machine
from gateway.engines.local.network import tag
from tests.ports import free_ports

from .conftest import DEADLINE, Shell, field

REAL = machine.examine().tools is not None
capsules = pytest.mark.skipif(not REAL, reason="needs root and a working CRIU")
jupyterlab = pytest.mark.skipif(importlib.util.find_spec("jupyterlab") is None, reason="needs JupyterLab")
ENGINES = ["plain", pytest.param("capsules", marks=capsules)]
pytestmark = [pytest.mark.live]
RSERVER = f"""#!{sys.executable}
import sys
from http.server import HTTPServer, SimpleHTTPRequestHandler

options = dict(one[2:].split("=", 1) for one in sys.argv[1:])
HTTPServer((options["www-address"], int(options["www-port"])), SimpleHTTPRequestHandler).serve_forever()
"""


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
        self.low = free_ports(13)[0]
        self.all: list[Up] = []

    async def up(self, options: str = "--template rstudio") -> Up:
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
    rserver = shell.home / "bin" / "rserver"
    rserver.write_text(RSERVER)
    rserver.chmod(0o755)
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


@jupyterlab
async def test_its_session_is_a_jupyterlab(machine_: Machine, shell: Shell) -> None:
    shell.environ["FLOATGATE_ENGINE"] = "plain"
    up = await machine_.up("")
    url = await up.ready()
    assert re.fullmatch(rf"http://127\.0\.0\.1:{machine_.low}/lab\?token=\w+", url)
    assert "jupyter-config-data" in await shell.out(f"curl -sL --cookie-jar ~/jar '{url}'")
    job = (await shell.out("float squeue -F json | grep -m1 '\"id\"'")).split('"')[3]
    await shell.out(f"float migrate -j {job} --sync")
    assert "jupyter-config-data" in await shell.out(f"curl -sL --cookie-jar ~/jar '{url}'")
    await up.end()
    assert machine_.left() == []


@pytest.mark.parametrize("engine", ENGINES)
async def test_its_life(machine_: Machine, shell: Shell, engine: str) -> None:
    shell.environ["FLOATGATE_ENGINE"] = engine
    up = await machine_.up()
    url = await up.ready()
    assert url == f"http://127.0.0.1:{machine_.low}/"
    assert any("admin / " in line and "first start" not in line for line in up.lines)
    assert "Directory listing" in await shell.out(f"curl -s {url}")
    job = (await shell.out("float squeue -F json | grep -m1 '\"id\"'")).split('"')[3]
    await shell.out(f"float migrate -j {job} --sync")
    assert "Executing on" in await up.until(r"Executing on .*, \d+\.\d s")
    last = await up.end()
    assert machine_.left() == []
    assert ("Your session is saved" in last) == (engine == "capsules"), last

    up = await machine_.up()
    again = await up.ready()
    assert any("as shown at the first start" in line for line in up.lines)
    assert (again == url) == (engine == "capsules"), "the port of a job that has ended rests"
    now = (await shell.out("float squeue -F json | grep -m1 '\"id\"'")).split('"')[3]
    assert (now == job) == (engine == "capsules")
    up.process.kill()
    await up.rest()
    assert machine_.left() != []

    up = await machine_.up()
    assert await up.ready() == again
    assert any("Found your session again, it is Executing" in line for line in up.lines)
    await up.end(signal.SIGTERM)
    assert machine_.left() == []


@capsules
async def test_what_the_end_suspended_comes_back_or_says_why_not(machine_: Machine, shell: Shell) -> None:
    """The session cannot be restored: all else goes on, and says why and what to do. Other jobs come back too."""
    shell.environ["FLOATGATE_ENGINE"] = "capsules"
    up = await machine_.up()
    url = await up.ready()
    job = (await shell.out("float squeue -F json | grep -m1 '\"id\"'")).split('"')[3]
    other = field(await shell.out("float submit -n other -f -- sleep 1000"), "id")
    asleep = field(await shell.out("float submit -n asleep -f -- sleep 1000"), "id")
    await shell.out(f"float wait -j {other} && float wait -j {asleep} && float suspend -j {asleep} -f --sync")
    assert "Your session is saved" in await up.end()

    log = shell.home / ".floatgate" / "jobs" / job / "stdout.autosave"
    away = log.rename(log.with_name("away"))
    up = await machine_.up()
    await up.until("rstudio is suspended, and everything else is ready")
    said = "\n".join(up.lines)
    why = r"Why +It could not be brought back, its image is kept: .*\(CRIU: .*stdout\.autosave.*\)\."
    assert re.search(why, said) and f"resume -j {job}" in said and ".;" not in said
    assert "Ending" not in said and "Error" not in said
    await up.until(rf"other \({other}\) was suspended by the last end: Executing on ")
    listed = await shell("float squeue")
    assert f"rstudio ({job}): It could not be brought back" in listed.err
    assert re.search(rf"{job}.* Suspended ", listed.out) and re.search(rf"{asleep}.* Suspended ", listed.out)
    shown = await shell.out(f"float show -j {job}")
    assert "trouble: " in shown and "put it back and try again" in shown
    assert "Restoring FAILED" in await shell.out(f"float log -j {job} cat move.log")
    assert "suspended" in await shell.out(f"curl -s -H 'Accept: text/html' {url}")

    failed = await shell(f"float resume -j {job} --sync")
    assert failed.code == 1 and "It could not be brought back" in failed.err.splitlines()[-1], failed
    await up.until(r"Suspended, \d+\.\d s \(It could not be brought back")
    away.rename(log)
    await shell.out(f"float resume -j {job} --sync")
    await up.until(r"Executing on ")
    assert "Directory listing" in await shell.out(f"curl -s {url}")
    assert "trouble" not in await shell.out(f"float show -j {job}")
    assert "Your session is saved" in await up.end()
    assert machine_.left() == []


@capsules
async def test_a_session_that_cannot_be_saved_runs_on(machine_: Machine, shell: Shell) -> None:
    """Ctrl-C has promised to save it: it is not thrown away when there is no room, and the next Ctrl-C saves it."""
    shell.environ["FLOATGATE_ENGINE"] = "capsules"
    up = await machine_.up()
    url = await up.ready()
    job = (await shell.out("float squeue -F json | grep -m1 '\"id\"'")).split('"')[3]
    images = shell.home / ".floatgate" / "jobs" / job / "images"
    images.rmdir()
    images.touch()  # as on a full disk, no folder can be made in it
    up.process.send_signal(signal.SIGINT)
    code, said, err = await up.rest()
    assert (code, err) == (1, "")
    assert f"rstudio ({job}) is not saved: it goes on, and its gateway too. Nothing is lost." in said
    assert re.search(r"Why +The folder for the job's image cannot be made", said)
    assert f"cancel -j {job}" in said and "Everything has ended" not in said and "is saved" not in said
    assert "Directory listing" in await shell.out(f"curl -s {url}")

    images.unlink()
    images.mkdir(mode=0o700)
    up = await machine_.up()
    assert await up.ready() == url
    assert any("Found your session again, it is Executing" in line for line in up.lines)
    assert "Your session is saved" in await up.end()
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
    await up.until("Starting rstudio")
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


@pytest.mark.skipif(os.geteuid() != 0, reason="a small disk can be mounted by root only")
async def test_a_disk_that_is_full(machine_: Machine, shell: Shell, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    await shell(f"mount -t tmpfs -o size=200k floatgate-test {small}")
    try:
        code, _, err = await (await machine_.up(f"--home {small}")).rest()
    finally:
        await shell(f"umount {small}")
    assert code == 1 and f"The disk of {small} is full" in err and "KiB" in err
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
