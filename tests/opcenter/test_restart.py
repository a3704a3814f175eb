"""The OpCenter goes away at any point; the next one finds jobs and gateways and goes on.

`World.restart` ends the first without writing anything: `test_going_away_writes_nothing` sees to that.
"""

from __future__ import annotations

import pytest

from gateway.client import OpCenterClient
from gateway.engines.base import ImageState, PlacementId
from gateway.engines.fake import Hang, Linger
from gateway.types import GateState, Step

from .conftest import World


@pytest.fixture(autouse=True)
async def opcenter(api: OpCenterClient) -> None:
    """Every test here has one."""


@pytest.mark.parametrize("verb", ["start", "sever", "checkpoint", "restore"])
@pytest.mark.parametrize("kind", [Hang, Linger])
async def test_a_job_goes_on_after_a_crash_in_the_middle_of(world: World, verb: str, kind: type[Hang]) -> None:
    """Hang: the engine had not done it yet. Linger: it had, and nobody heard the answer."""
    hang = kind()
    if verb == "start":
        world.engine.script(verb, hang)
        job = await world.submit()
    else:
        job = await world.running()
        world.engine.script(verb, hang)
        await world.api.post(f"/jobs/{job['id']}/migrate")
    await hang.reached.wait()
    await world.restart()
    done = await world.until(job, "Executing")
    assert done["moves"] == (0 if verb == "start" else 1)
    assert len(world.engine.known()) == 1
    history = await world.path(job)
    assert history.count("Executing") == (1 if verb == "start" else 2)


@pytest.mark.parametrize("verb", ["checkpoint", "restore"])
async def test_a_suspend_and_a_resume_go_on(world: World, verb: str) -> None:
    job = await world.running()
    hang = Linger()
    world.engine.script(verb, hang)
    await world.api.post(f"/jobs/{job['id']}/suspend")
    if verb == "restore":
        await world.until(job, "Suspended")
        await world.api.post(f"/jobs/{job['id']}/resume")
    await hang.reached.wait()
    await world.restart()
    await world.until(job, "Suspended" if verb == "checkpoint" else "Executing")


async def test_a_cancel_goes_on(world: World) -> None:
    job = await world.running()
    hang = Hang()
    world.engine.script("stop", hang)
    await world.api.delete(f"/jobs/{job['id']}")
    await hang.reached.wait()
    await world.restart()
    await world.until(job, "Cancelled")
    assert world.engine.known() == []


async def test_what_ended_meanwhile_is_noticed(world: World) -> None:
    one, two, three = [await world.running() for _ in range(3)]
    await world.stop()
    world.engine.end(PlacementId(f"{one['id']}-1"), 0)
    world.engine.lose(PlacementId(f"{two['id']}-1"))
    await world.start()
    await world.until(one, "Completed")
    await world.until(two, "FailToComplete")
    assert (await world.api.get(f"/jobs/{three['id']}"))["status"] == "Executing"


async def test_a_half_written_image_is_not_restored(world: World) -> None:
    job = await world.running()
    hang = Hang()
    world.engine.script("checkpoint", hang)
    await world.api.post(f"/jobs/{job['id']}/migrate")
    await hang.reached.wait()
    await world.stop()
    image = world.home / "jobs" / job["id"] / "images" / "1"
    world.engine.images[image] = ImageState.PARTIAL
    world.engine.lose(PlacementId(f"{job['id']}-1"))
    await world.start()
    await world.until(job, "CheckpointFailed")
    await world.eventually(lambda: not world.engine.images)


async def test_going_away_writes_nothing(world: World) -> None:
    job = await world.running()
    hang = Hang()
    world.engine.script("checkpoint", hang)
    await world.api.post(f"/jobs/{job['id']}/migrate")
    await hang.reached.wait()
    before = await world.path(job)
    assert world.center is not None
    await world.stop()
    files = {path: path.read_bytes() for path in world.home.glob("opcenter.db")}
    hang = Hang()
    world.engine.script("look", hang)
    await world.start()
    assert await world.path(job) == before
    assert files


async def test_versions_and_generations_grow_over_restarts(world: World) -> None:
    gateway = await world.gateway()
    async with world.peer(gateway) as peer:
        job = await world.running(gateway=gateway["id"])
        before = await peer.listener(job["id"], lambda one: one.gate is GateState.OPEN)
        version = peer.snapshots[-1].version
    await world.restart()
    async with world.peer(gateway) as peer:
        again = await peer.listener(job["id"])
        assert (again.gate, again.address, again.generation) == (before.gate, before.address, before.generation)
        assert peer.snapshots[-1].version > version


async def test_a_gateway_that_drained_before_the_restart_says_so_again(world: World) -> None:
    gateway = await world.gateway()
    async with world.peer(gateway, drains=False) as peer:
        job = await world.running(gateway=gateway["id"])
        await world.api.post(f"/jobs/{job['id']}/migrate")
        held = await peer.listener(job["id"], lambda one: one.step is Step.DRAINING)
    await world.restart()
    async with world.peer(gateway, drains=False) as peer:
        assert (await peer.listener(job["id"])).generation == held.generation
        await peer.report(held, drained=True)
        await world.until(job, "Executing")


async def test_logins_survive(world: World) -> None:
    token = world.api.token
    await world.restart()
    world.api.token = token
    assert (await world.api.get("/session"))["username"] == "admin"


async def test_gateways_are_told_where_the_opcenter_is_now(world: World) -> None:
    gateway = await world.gateway()
    await world.restart()
    await world.eventually(lambda: world.peer_address(gateway) == world.api.address)
