"""The OpCenter as a whole: one per home, its end, and its process under SIGTERM and SIGKILL."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.client import OpCenterClient
from gateway.engines.base import PlacementId
from gateway.engines.fake import Fail
from gateway.errors import Code, Refusal
from gateway.opcenter import OpCenter
from gateway.opcenter.log import log_to
from gateway.types import GateState, JobStatus
from tests.cookieless import check

from .conftest import TIMES, World, unwritable
from .peers import DEADLINE

ROOT = Path(__file__).parents[2]


async def test_one_opcenter_per_home(world: World) -> None:
    await world.start()
    other = OpCenter(world.home, port=0, engine=world.engine)
    with pytest.raises(Refusal) as info:
        await other.open()
    assert info.value.sentence == (
        f"An OpCenter (process {os.getpid()}) uses {world.home} already: "
        "end it with float opcenter stop (or Ctrl-C where float up runs), or use another --home"
    )
    await world.api.get("/status")
    await world.restart()  # the lock goes with the OpCenter that has it


async def test_a_taken_port(world: World, tmp_path: Path) -> None:
    host, port = world.server.place
    with pytest.raises(Refusal) as info:
        await OpCenter(tmp_path / "other", host=host, port=port, engine=world.engine).open()
    assert info.value.sentence == (
        f"The port {port} on {host} is taken: end what uses it, or choose another one with --port"
    )


async def test_a_home_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Refusal) as info:
        await OpCenter(tmp_path / "file" / "home").open()
    assert info.value.code is Code.UNAVAILABLE


async def test_secrets_are_nobodys_business(world: World) -> None:
    await world.start()
    assert stat.S_IMODE(world.home.stat().st_mode) == 0o700
    assert stat.S_IMODE((world.home / "secret").stat().st_mode) == 0o600


@pytest.mark.parametrize("older", [False, True])
async def test_a_home_that_others_may_enter_shows_them_nothing(world: World, older: bool) -> None:
    """Neither new files nor those that an older floatgate has made."""
    world.home.mkdir()
    world.home.chmod(0o755)
    if older:
        await world.start()
        await world.stop()
        for one in (world.home / "opcenter.db", world.home / "opcenter.db-wal", world.home / "opcenter.log"):
            one.touch()
            one.chmod(0o644)
    log_to(world.home / "opcenter.log")
    await world.start()
    await world.running()
    modes = {one.name: stat.S_IMODE(one.stat().st_mode) for one in world.home.iterdir()}
    assert {"opcenter.db", "opcenter.db-wal", "opcenter.db-shm", "opcenter.log", "jobs", "gateways"} <= set(modes)
    assert {name for name, mode in modes.items() if mode & 0o077} <= {"opcenter.lock", "templates"}  # they tell nothing


async def test_the_process_that_runs_it_can_log_in_without_a_password(world: World) -> None:
    await world.start()
    assert world.center is not None
    world.api.token = await world.center.admin_token()
    assert (await world.api.get("/session"))["role"] == "admin"


async def test_cookies_of_jobs_neither_lock_it_nor_get_out(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A browser sends the jar of a host to all of its ports."""
    await world.start()
    assert world.center is not None and world.center.opened is not None
    host, port = world.center.opened.address.removeprefix("http://").split(":")
    with capture_logs() as logs:
        await check(host, int(port), "/")
    assert "not HTTP" in {one["event"] for one in logs}
    assert "SECRET" not in str(logs) + caplog.text


async def test_a_database_that_fails_for_a_while(world: World) -> None:
    """Nothing is lost and nobody has to restart anything."""
    await world.start()
    gateway = await world.gateway()
    async with world.peer(gateway) as peer:
        job = await world.running(gateway=gateway["id"])
        database = world.home / "opcenter.db"
        with closing(sqlite3.connect(database, timeout=10, check_same_thread=False)) as other:

            async def rename(old: str, new: str) -> None:
                """In a thread: the OpCenter in this one may have to end a transaction first."""
                await asyncio.to_thread(other.execute, f"ALTER TABLE {old} RENAME TO {new}")

            await rename("leases", "away")
            await rename("jobs", "jobs_away")
            looks = len(world.engine.calls)
            with pytest.raises(Refusal) as info:
                await world.api.get(f"/jobs/{job['id']}")
            assert info.value.code is Code.INTERNAL
            await rename("jobs_away", "jobs")
            await rename("away", "leases")
        await world.eventually(lambda: len(world.engine.calls) > looks)
        await world.api.post(f"/jobs/{job['id']}/migrate")
        moved = await world.until(job, "Executing")
        await peer.listener(job["id"], lambda one: one.address == moved["address"])


# The end of everything.


async def test_finish_suspends_what_runs_and_refuses_new_jobs(world: World) -> None:
    await world.start()
    jobs = [await world.running(), await world.running()]
    starting = await world.submit(publish=[])
    assert world.center is not None
    await world.center.finish()
    for job in jobs:
        doc = await world.api.get(f"/jobs/{job['id']}")
        assert (doc["status"], doc["reason"]) == ("Suspended", "up ended")
    assert (await world.api.get(f"/jobs/{starting['id']}"))["status"] in ("Cancelled", "Suspended")
    assert world.engine.known() == []
    with pytest.raises(Refusal):
        await world.submit()
    await world.restart()
    await world.api.post(f"/jobs/{jobs[0]['id']}/resume")
    await world.until(jobs[0], "Executing")


async def test_finish_cancels_where_nothing_can_be_saved(world: World) -> None:
    world.engine.real = False
    await world.start()
    job = await world.running()
    assert world.center is not None
    await world.center.finish()
    doc = await world.api.get(f"/jobs/{job['id']}")
    assert (doc["status"], doc["reason"], world.engine.known()) == ("Cancelled", "up ended", [])


async def test_finish_leaves_running_what_it_cannot_save(world: World) -> None:
    """Its state is the user's: it runs on with its gateway and its older image, and the next end tries again."""
    world.times = replace(TIMES, drain_report=0.05)  # its gateways' processes are said to run, and never dial
    await world.start()
    one, two, three = await world.gateway(), await world.gateway(), await world.gateway()
    job, other = await world.running(gateway=one["id"]), await world.running(gateway=two["id"])
    await world.api.post(f"/jobs/{job['id']}/migrate")
    moved = await world.until(job, "Executing")
    before = dict(world.engine.images)
    full = Fail("The disk is full.")
    world.engine.script("checkpoint", full)
    await world.api.post(f"/jobs/{job['id']}/migrate")  # that a move has failed is no reason not to try
    assert (await world.until(job, "Executing"))["trouble"] == "The disk is full."
    world.engine.script("checkpoint", full, full)
    await world.eventually(lambda: len(world.processes.running) == 3)
    assert world.center is not None
    finished = await world.center.finish()
    assert {(left.job.id, left.why) for left in finished.left} == {
        (job["id"], "The disk is full."),
        (other["id"], "The disk is full."),
    }
    doc = await world.api.get(f"/jobs/{job['id']}")
    assert (doc["status"], doc["address"]) == ("Executing", moved["address"])
    assert (len(world.engine.known()), finished.saved) == (2, frozenset())
    assert before.items() <= world.engine.images.items()
    assert {folder.name for folder in world.processes.running} == {one["id"], two["id"]} != {three["id"]}

    await world.restart()
    assert (await world.api.get(f"/jobs/{job['id']}"))["status"] == "Executing"
    world.engine.script("checkpoint", full)
    again = await world.center.finish()
    assert len(again.left) == len(again.saved) == 1
    await world.restart()
    last = await world.center.finish()
    assert (last.saved, last.left) == ({job["id"], other["id"]}, ())
    assert (world.engine.known(), world.processes.running) == ([], set())


async def test_finish_has_the_gateways_let_go_of_what_runs_on(world: World) -> None:
    """After the end nobody would tell them: what was held then would be held for ever."""
    await world.start()
    gateway = await world.gateway()
    async with world.peer(gateway) as peer:
        job = await world.running(gateway=gateway["id"])
        world.engine.script("checkpoint", Fail("The disk is full."))
        peer.slow = 0.3
        assert world.center is not None
        finished = await world.center.finish()
        (newest,) = [one for one in peer.snapshots if one.version == peer.acked]
        last = newest.listener(job["id"])
    assert [left.why for left in finished.left] == ["The disk is full."]
    assert last is not None and (last.gate, last.status) == (GateState.OPEN, JobStatus.EXECUTING)
    assert GateState.HELD in [gate for gate, _, _ in peer.seen(job["id"])]


async def test_finish_with_a_database_that_cannot_be_written(world: World) -> None:
    world.times = replace(TIMES, drain_report=0.05)
    await world.start()
    gateway = await world.gateway()
    job = await world.running(gateway=gateway["id"])
    await world.eventually(lambda: bool(world.processes.running))
    assert world.center is not None
    async with unwritable(world, "jobs", "sessions"):
        finished = await world.center.finish()
        with pytest.raises(Refusal) as info:
            await world.center.admin_token()
    assert "disk" in info.value.sentence
    assert [(left.job.id, left.why) for left in finished.left] == [
        (job["id"], "The OpCenter's database cannot be written: its disk may be full.")
    ]
    assert world.engine.known() and world.processes.running
    await world.restart()
    assert (await world.center.finish()).saved == {job["id"]}


async def test_finish_with_a_database_that_cannot_be_read(world: World) -> None:
    await world.start()
    job = await world.running()
    assert world.center is not None
    with closing(sqlite3.connect(world.home / "opcenter.db", timeout=10, check_same_thread=False)) as other:
        await asyncio.to_thread(other.execute, "ALTER TABLE jobs RENAME TO away")
        finishing = asyncio.create_task(world.center.finish())
        looks = len(world.engine.calls)
        await asyncio.sleep(0)
        assert not finishing.done()
        await asyncio.to_thread(other.execute, "ALTER TABLE away RENAME TO jobs")
    assert (await finishing).saved == {job["id"]}
    assert len(world.engine.calls) > looks


async def test_finish_does_not_wait_for_a_loop_that_is_dead(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.start()
    job = await world.running()

    def broken() -> list[PlacementId]:
        raise RuntimeError("a defect")

    assert world.center is not None
    with monkeypatch.context() as patch:
        patch.setattr(world.engine, "known", broken)
        with pytest.raises(ExceptionGroup):
            await world.center.wait()
    async with asyncio.timeout(DEADLINE):
        finished = await world.center.finish()
    (left,) = finished.left
    assert (left.job.id, len(world.engine.known())) == (job["id"], 1)
    await world.restart()
    assert (await world.center.finish()).saved == {job["id"]}


async def test_finish_lets_a_move_end_first(world: World) -> None:
    await world.start()
    job = await world.running()
    await world.api.post(f"/jobs/{job['id']}/migrate")
    assert world.center is not None
    await world.center.finish()
    assert (await world.api.get(f"/jobs/{job['id']}"))["status"] == "Suspended"
    assert PlacementId(f"{job['id']}-2") not in world.engine.known()


# The process.


@asynccontextmanager
async def process(home: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, dict[str, Any]]]:
    """`python -m gateway.opcenter` with plain processes for jobs; ended with the block if it has not."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "gateway.opcenter", "--home", str(home), "--port", "0"),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "FLOATGATE_ENGINE": "plain"},
    )
    assert child.stdout is not None
    try:
        async with asyncio.timeout(60):
            line = await child.stdout.readline()
        yield child, json.loads(line)
    finally:
        if child.returncode is None:
            child.kill()
        await child.wait()
        child.stdout._transport.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_jobs_outlive_the_opcenters_process(tmp_path: Path, how: signal.Signals) -> None:
    home = tmp_path / "home"
    async with process(home) as (child, opened):
        password = opened["first_password"]
        async with OpCenterClient(opened["address"]) as api:
            await api.login("admin", password)
            command = ["/bin/sh", "-c", "echo $$; exec sleep 1000"]
            job = await api.post("/jobs", {"command": command, "name": "one"})
            job = await api.get(f"/jobs/{job['id']}/wait", status="Executing", timeout="30")
            assert job["status"] == "Executing", job
            pid = int((home / "jobs" / job["id"] / "stdout.autosave").read_text())
        child.send_signal(how)
        assert await child.wait() == (0 if how is signal.SIGTERM else -how)
    os.kill(pid, 0)  # it runs
    async with process(home) as (child, opened):
        assert opened["first_password"] is None
        async with OpCenterClient(opened["address"]) as api:
            await api.login("admin", password)
            assert (await api.get(f"/jobs/{job['id']}"))["status"] == "Executing"
            await api.delete(f"/jobs/{job['id']}")
            done = await api.get(f"/jobs/{job['id']}/wait", status="Cancelled", timeout="30")
            assert done["status"] == "Cancelled"
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_start_that_is_refused_is_one_sentence(tmp_path: Path) -> None:
    home = tmp_path / "home"
    async with process(home) as (_, opened):
        port = opened["address"].rpartition(":")[2]
        child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "gateway.opcenter", "--home", str(tmp_path / "two"), "--port", port),
            stderr=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        _, said = await child.communicate()
    assert child.returncode == 1
    assert said.decode() == (
        f"Error: The port {port} on 127.0.0.1 is taken: end what uses it, or choose another one with --port "
        "(code: 1005)\n"
    )
