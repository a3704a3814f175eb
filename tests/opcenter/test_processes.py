"""Gateways' processes, real ones: started detached, found again by their pid file, restarted, ended."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.opcenter.processes import ProxyProcesses, process_state, read_settings, write_settings

from .conftest import World

STUB = (sys.executable, str(Path(__file__).with_name("proxy_stub.py")))


@pytest.fixture
async def world(world: World) -> AsyncIterator[World]:
    """With real processes; none is left behind."""
    processes = ProxyProcesses(STUB, grace=5)
    world.processes = processes  # type: ignore[assignment]
    yield world
    await world.stop()
    for folder in (world.home / "gateways").glob("*"):
        await processes.stop(folder)


def pid_of(folder: Path) -> int:
    return int(json.loads((folder / "pid").read_text())["pid"])


async def settled(world: World, gateway: dict) -> Path:
    """Its process has written its pid file."""
    folder = world.home / "gateways" / str(gateway["id"])
    await world.eventually(lambda: (folder / "pid").exists() and ProxyProcesses(STUB).alive(folder))
    return folder


async def test_a_gateway_survives_the_opcenter_and_is_found_again(world: World) -> None:
    await world.start()
    folder = await settled(world, await world.gateway())
    pid = pid_of(folder)
    assert os.getsid(pid) == pid  # detached: a Ctrl-C in our terminal does not reach it
    await world.stop()
    world.processes = ProxyProcesses(STUB, grace=5)  # type: ignore[assignment]  # a new process knows no children
    await world.start()
    assert (await world.api.get("/gateways"))[0]["status"] == "Starting"
    await world.gateway()  # the loop has been round when this one runs
    await world.eventually(lambda: len(list((world.home / "gateways").glob("*/pid"))) == 2)
    assert ((folder / "starts").read_text(), pid_of(folder)) == ("x", pid)


async def test_a_dead_one_is_started_again(world: World) -> None:
    await world.start()
    folder = await settled(world, await world.gateway())
    os.kill(pid_of(folder), signal.SIGKILL)
    await world.eventually(lambda: (folder / "starts").read_text() == "xx")


async def test_one_that_cannot_live_is_tried_less_and_less(world: World) -> None:
    await world.start()
    folder = await settled(world, await world.gateway())
    (folder / "die").touch()
    began = world.clock()
    os.kill(pid_of(folder), signal.SIGKILL)
    await world.eventually(lambda: len((folder / "starts").read_text()) >= 6)
    assert world.clock() - began >= 100 + 200 + 400 + 800  # ms: doubled each time


async def test_destroy_ends_the_process_deaf_or_not(world: World) -> None:
    world.processes = ProxyProcesses(STUB, grace=0.3)  # type: ignore[assignment]
    await world.start()
    gateway = await world.gateway()
    folder = await settled(world, gateway)
    (folder / "deaf").touch()
    os.kill(pid_of(folder), signal.SIGTERM)
    await world.eventually(lambda: (folder / "starts").read_text() == "xx")
    folder = await settled(world, gateway)
    pid = pid_of(folder)
    await world.api.delete(f"/gateways/{gateway['id']}")
    await world.eventually(lambda: not folder.exists())
    assert process_state(pid) is None


async def test_a_lost_token_is_replaced(world: World) -> None:
    await world.start()
    folder = await settled(world, await world.gateway())
    token = read_settings(folder)["token"]
    await world.stop()
    (folder / "gateway.json").unlink()
    await world.start()
    await world.eventually(lambda: bool(read_settings(folder)))
    assert read_settings(folder)["token"] != token


async def test_finish_ends_every_gateway_and_the_next_start_brings_them_back(world: World) -> None:
    await world.start()
    gateway = await world.gateway()
    folder = await settled(world, gateway)
    pid = pid_of(folder)
    assert world.center is not None
    await world.center.finish()
    assert process_state(pid) is None
    await world.stop()
    await world.start()
    await settled(world, gateway)
    assert (await world.api.get("/gateways"))[0]["portRange"] == gateway["portRange"]


async def test_a_pid_that_was_used_again_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "pid").write_text(json.dumps({"pid": os.getpid(), "started": "1"}))
    processes = ProxyProcesses(STUB)
    assert not processes.alive(tmp_path)
    await processes.stop(tmp_path)  # and we are still here


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}', '{"pid": 999999999, "started": "1"}'])
def test_a_pid_file_that_says_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "pid").write_text(text)
    assert not ProxyProcesses(STUB).alive(tmp_path)


def test_settings_are_written_whole(tmp_path: Path) -> None:
    write_settings(tmp_path / "g", {"token": "a"})
    write_settings(tmp_path / "g", {"token": "b"})
    assert (read_settings(tmp_path / "g"), [one.name for one in (tmp_path / "g").iterdir()]) == (
        {"token": "b"},
        ["gateway.json"],
    )
