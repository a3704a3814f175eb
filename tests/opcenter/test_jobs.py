"""Jobs' lives, from the API's side, with the scripted engine: every way a move, a suspend or an end can go."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.client import OpCenterClient
from gateway.engines.base import ImageState, PlacementId, Program, Seen, Unknown
from gateway.engines.fake import Fail, FakeEngine, Hang, Linger, Lost, Succeed
from gateway.errors import Code, Refusal

from .conftest import World
from .peers import DEADLINE

BEGIN = ["Submitted", "Initializing", "Starting", "Executing"]
MOVE = [
    "Floating/draining",
    "Floating/checkpointing",
    "Floating/transferring",
    "Floating/restoring",
    "Floating/reconnecting",
    "Executing",
]


@pytest.fixture(autouse=True)
async def opcenter(api: OpCenterClient) -> None:
    """Every test here has one."""


async def migrate(world: World, job: dict, **body: object) -> dict:
    doc: dict = await world.api.post(f"/jobs/{job['id']}/migrate", body)
    return doc


async def test_a_job_is_submitted_and_executes(world: World) -> None:
    job = await world.running(env=["A=b"], customTags={"class": "101"})
    assert await world.path(job) == BEGIN
    assert job["actions"] == ["migrate", "suspend", "cancel"]
    assert job["workingHost"] == f"{job['address']} (2Core4GB)"
    assert (job["rc"], job["moves"], job["typicalMove"]) == ("", 0, None)


async def test_a_move_takes_every_step_and_the_job_has_a_new_address(world: World) -> None:
    job = await world.running()
    answer = await migrate(world, job, cpu=4, mem=8, reason="policy")
    assert (answer["status"], answer["step"], answer["workingHost"]) == ("Floating", "draining", "")
    moved = await world.until(job, "Executing")
    assert await world.path(job) == BEGIN + MOVE
    assert moved["address"] != job["address"]
    assert (moved["cpu"], moved["mem"], moved["reason"], moved["moves"]) == (4, 8, "policy", 1)
    assert moved["typicalMove"] > 0
    assert world.engine.verbs() == ["open", "start", "sever", "checkpoint", "restore"]


async def test_a_failed_checkpoint_leaves_the_job_where_it_was(world: World) -> None:
    world.engine.script("checkpoint", Fail("The disk is full."))
    job = await world.running()
    await migrate(world, job, cpu=4)
    back = await world.until(job, "Executing")
    assert back["address"] == job["address"]
    assert "runs on where it was: The disk is full." in back["reason"]
    assert (back["cpu"], back["moves"], back["trouble"]) == (job["cpu"], 0, "The disk is full.")
    assert await migrate(world, job)  # and it can be tried again
    moved = await world.until(job, "Executing")
    assert moved["address"] != job["address"] and moved["trouble"] == ""


class Slow(FakeEngine):
    """Its checkpoints do not end with their caller, as the local engine's; meanwhile it cannot tell."""

    saving: asyncio.Task[None] | None = None
    looks = 0

    async def look(self, placement: PlacementId) -> Seen:
        self.looks += 1
        if self.saving is not None and not self.saving.done():
            return Unknown("it is being saved")
        return await super().look(placement)

    async def checkpoint(self, placement: PlacementId, image: Path) -> None:
        self.images[image] = ImageState.PARTIAL
        self.saving = asyncio.create_task(super().checkpoint(placement, image))
        await asyncio.shield(self.saving)


@pytest.mark.parametrize(("then", "moves"), [(Succeed(), 1), (Fail("The disk is full."), 0)])
async def test_a_checkpoint_that_takes_longer_than_anybody_waits(
    world: World, then: Succeed | Fail, moves: int
) -> None:
    """The job stays where it is until the engine is done: its gate is closed, its image is left alone."""
    await world.stop()
    world.times = replace(world.times, checkpoint=0.2)
    world.engine = engine = Slow(behind=world.server.place)
    await world.start()
    hang = Hang(then)
    engine.script("checkpoint", hang)
    job = await world.running()
    await migrate(world, job)
    await hang.reached.wait()

    async def told() -> dict:
        while not (doc := await world.api.get(f"/jobs/{job['id']}"))["trouble"]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        return dict(doc)

    slow = await asyncio.wait_for(told(), DEADLINE)
    assert (slow["status"], slow["step"]) == ("Floating", "checkpointing")
    assert slow["trouble"] == "Saving its state takes longer than 0.2 s."
    looks = engine.looks
    await world.eventually(lambda: engine.looks > looks + 2)
    assert ImageState.PARTIAL in engine.images.values(), "nobody has deleted it"
    assert (await world.api.get(f"/jobs/{job['id']}"))["step"] == "checkpointing"
    hang.release()
    back = await world.until(job, "Executing")
    assert (back["moves"], engine.verbs().count("checkpoint")) == (moves, 1)
    if not moves:
        assert back["reason"].endswith("runs on where it was: Saving its state takes longer than 0.2 s.")


async def test_a_failed_restore_is_tried_on_another_host(world: World) -> None:
    world.engine.script("restore", Fail("No memory."))
    job = await world.running()
    await migrate(world, job)
    assert (await world.until(job, "Executing"))["moves"] == 1
    assert world.engine.verbs().count("restore") == 2


async def test_after_three_failed_restores_the_image_is_kept_and_resume_works(world: World) -> None:
    world.engine.script("restore", *[Fail("No memory.")] * 3)
    job = await world.running()
    await migrate(world, job)
    kept = await world.until(job, "Suspended")
    assert "its image is kept: resume it to try again. No memory." in kept["reason"]
    assert (kept["actions"], kept["trouble"]) == (["resume", "cancel"], "No memory.")
    await world.api.post(f"/jobs/{job['id']}/resume")
    back = await world.until(job, "Executing")
    assert (back["reason"], back["trouble"]) == ("user", "")


@pytest.mark.parametrize("rc", [1, -9, None])
@pytest.mark.parametrize("verb", ["migrate", "resume"])
async def test_a_program_that_dies_before_it_serves_again_does_not_take_its_image_along(
    world: World, verb: str, rc: int | None
) -> None:
    """Out of memory, a crash: each time that it comes back. What was saved stays saved."""
    job = await world.running()
    if verb == "resume":
        await world.api.post(f"/jobs/{job['id']}/suspend")
        await world.until(job, "Suspended")
    serves, world.engine.behind = world.engine.behind, None  # its ports do not accept yet
    await world.api.post(f"/jobs/{job['id']}/{verb}")
    for number in (2, 3, 4):
        placement = PlacementId(f"{job['id']}-{number}")
        await world.eventually(lambda one=placement: one in world.engine.known())  # type: ignore[misc]
        world.engine.end(placement, rc)
    kept = await world.until(job, "Suspended")
    how = "and its exit status was lost" if rc is None else "by signal 9" if rc < 0 else "with exit status 1"
    assert kept["reason"] == (
        f"It could not be brought back, its image is kept: resume it to try again. The program ended {how}."
    )
    assert list(world.engine.images.values()) == [ImageState.COMPLETE]
    await world.eventually(lambda: not world.engine.known())
    world.engine.behind = serves
    await world.api.post(f"/jobs/{job['id']}/resume")
    await world.until(job, "Executing")


async def test_a_program_that_ends_well_before_it_serves_again_is_done(world: World) -> None:
    job = await world.running()
    world.engine.behind = None
    await migrate(world, job)
    placement = PlacementId(f"{job['id']}-2")
    await world.eventually(lambda: placement in world.engine.known())
    world.engine.end(placement, 0)
    await world.until(job, "Completed")
    await world.eventually(lambda: not world.engine.images)


async def test_suspend_frees_the_host_and_resume_brings_the_job_back(world: World) -> None:
    job = await world.running()
    assert (await world.api.post(f"/jobs/{job['id']}/suspend"))["status"] == "Suspending"
    asleep = await world.until(job, "Suspended")
    assert (asleep["workingHost"], world.engine.known()) == ("", [])
    assert (await world.api.post(f"/jobs/{job['id']}/resume"))["status"] == "Resuming"
    back = await world.until(job, "Executing")
    assert back["address"] != job["address"]
    assert back["moves"] == 0  # not a move: typicalMove is about Floating


async def test_a_failed_checkpoint_of_a_suspend_leaves_the_job_running(world: World) -> None:
    world.engine.script("checkpoint", Fail("The disk is full."))
    job = await world.running()
    await world.api.post(f"/jobs/{job['id']}/suspend")
    back = await world.until(job, "Executing")
    assert back["reason"] == "It could not be suspended, and runs on where it was: The disk is full."


async def test_cancel_ends_the_program_and_deletes_its_images(world: World) -> None:
    job = await world.running()
    await migrate(world, job)
    await world.until(job, "Executing")
    assert ImageState.COMPLETE in world.engine.images.values()
    await world.api.delete(f"/jobs/{job['id']}")
    ended = await world.until(job, "Cancelled")
    assert (ended["actions"], ended["reason"], world.engine.images, world.engine.known()) == ([], "user", {}, [])
    assert not (world.home / "jobs" / job["id"] / "images").exists()


@pytest.mark.parametrize("verb", ["start", "checkpoint", "restore"])
async def test_cancel_interrupts_an_act_that_hangs(world: World, verb: str) -> None:
    hang = Hang()
    world.engine.script(verb, hang)
    job = await (world.submit() if verb == "start" else world.running())
    if verb != "start":
        await migrate(world, job)
    await hang.reached.wait()
    await world.api.delete(f"/jobs/{job['id']}")
    await world.until(job, "Cancelled")
    assert (world.engine.known(), world.engine.images) == ([], {})


async def test_jobs_do_not_wait_for_each_other(world: World) -> None:
    hang = Hang()
    one = await world.running()
    world.engine.script("checkpoint", hang)
    await migrate(world, one)
    await hang.reached.wait()
    two = await world.running()
    await migrate(world, two)
    assert (await world.until(two, "Executing"))["moves"] == 1
    assert (await world.api.get(f"/jobs/{one['id']}"))["step"] == "checkpointing"
    hang.release()
    await world.until(one, "Executing")


@pytest.mark.parametrize(
    ("rc", "status"), [(0, "Completed"), (3, "FailToComplete"), (-9, "FailToComplete"), (None, "FailToComplete")]
)
async def test_a_program_that_ends_by_itself(world: World, rc: int | None, status: str) -> None:
    job = await world.running()
    world.engine.end(PlacementId(f"{job['id']}-1"), rc)
    ended = await world.until(job, status)
    assert ended["rc"] == ("" if rc is None else str(rc))
    await world.eventually(lambda: not world.engine.known())


async def test_a_program_that_ends_before_it_listens(world: World) -> None:
    world.engine.behind = None  # nothing listens
    job = await world.until(await world.submit(), "Starting")
    world.engine.end(PlacementId(f"{job['id']}-1"), 1)
    ended = await world.until(job, "FailToExecute")
    assert ended["reason"] == "The program ended before its ports accepted connections with exit status 1."


async def test_a_program_without_ports_executes_at_once(world: World) -> None:
    world.engine.behind = None
    await world.running(publish=[])


async def test_a_job_that_cannot_be_started_says_why(world: World) -> None:
    world.engine.script("start", Fail("There is no such program."))
    ended = await world.until(await world.submit(), "FailToExecute")
    assert ended["reason"] == "There is no such program."


async def test_a_job_for_which_no_host_is_free(world: World) -> None:
    world.engine._host_count = 1
    await world.running()
    assert (await world.until(await world.submit(), "NoAvailableHost"))["reason"] == "Every host is busy."


async def test_unknown_changes_nothing(world: World) -> None:
    job = await world.running()
    looks = len(world.engine.calls)
    world.engine.silence("the host does not answer")
    await world.eventually(lambda: len(world.engine.calls) > looks + 5)
    assert (await world.api.get(f"/jobs/{job['id']}"))["status"] == "Executing"
    world.engine.speak()
    await migrate(world, job)
    await world.until(job, "Executing")


async def test_a_lost_host_without_an_image_ends_the_job(world: World) -> None:
    job = await world.running()
    world.engine.lose(PlacementId(f"{job['id']}-1"))
    ended = await world.until(job, "FailToComplete")
    assert ended["reason"] == "Its host was lost, and there was no image to go on from."


async def test_a_lost_host_with_an_image_floats_and_comes_back(world: World) -> None:
    job = await world.running()
    await migrate(world, job)
    await world.until(job, "Executing")
    world.engine.lose(PlacementId(f"{job['id']}-2"))
    await world.eventually(lambda: world.engine.verbs().count("restore") == 2)
    back = await world.until(job, "Executing")
    assert back["reason"].startswith("host lost: went on from the image of ")
    assert (await world.path(job))[-3:] == ["Floating/restoring", "Floating/reconnecting", "Executing"]


async def test_a_state_that_is_lost_while_it_is_saved(world: World) -> None:
    world.engine.script("checkpoint", Lost("The host went away."))
    job = await world.running()
    await migrate(world, job)
    ended = await world.until(job, "CheckpointFailed")
    assert ended["reason"] == "Its state was lost while it was being saved: The host went away."


async def test_a_program_that_ends_while_it_drains(world: World) -> None:
    gateway = await world.gateway()
    async with world.peer(gateway, drains=False) as peer:
        job = await world.running(gateway=gateway["id"])
        await peer.listener(job["id"])
        await migrate(world, job)
        world.engine.end(PlacementId(f"{job['id']}-1"), 0)
        await world.until(job, "Completed")


async def test_the_time_limit_counts_executing(world: World) -> None:
    job = await world.running(timeLimit=3600)
    world.ahead = 3_601_000
    ended = await world.until(job, "Timedout")
    assert ended["reason"] == "It has run for its time limit of 3600 s."
    await world.eventually(lambda: not world.engine.known())


async def test_images_that_nobody_needs_are_deleted(world: World) -> None:
    job = await world.running()
    for _ in range(3):
        await migrate(world, job)
        await world.until(job, "Executing")
    await world.eventually(lambda: len(world.engine.images) == 1)


async def test_an_answer_that_comes_too_late_does_not_count_twice(world: World) -> None:
    linger = Linger()
    world.engine.script("restore", linger)
    job = await world.running()
    await migrate(world, job)
    await linger.reached.wait()
    linger.release()
    await world.until(job, "Executing")
    assert world.engine.verbs().count("restore") == 1


async def test_a_restore_that_takes_too_long_is_stopped_and_tried_again(world: World) -> None:
    world.times = replace(world.times, restore=0.2)
    await world.restart()
    world.engine.script("restore", Hang())
    job = await world.running()
    await migrate(world, job)
    assert (await world.until(job, "Executing"))["moves"] == 1
    assert world.engine.verbs()[-4:] == ["checkpoint", "restore", "stop", "restore"]


@pytest.mark.parametrize(("verb", "begin"), [("migrate", "suspend"), ("suspend", "suspend"), ("resume", None)])
async def test_a_verb_that_the_status_does_not_allow_changes_nothing(
    world: World, verb: str, begin: str | None
) -> None:
    job = await world.running()
    if begin:
        await world.api.post(f"/jobs/{job['id']}/{begin}")
        await world.until(job, "Suspended")
    before = await world.path(job)
    with pytest.raises(Refusal) as refused:
        await world.api.post(f"/jobs/{job['id']}/{verb}")
    assert refused.value.code is Code.CONFLICT
    assert refused.value.sentence.startswith(f"The job is {'Suspended' if begin else 'Executing'} and cannot be ")
    assert await world.path(job) == before


async def test_two_verbs_at_once_one_wins(world: World) -> None:
    job = await world.running()
    results = await asyncio.gather(
        migrate(world, job), world.api.post(f"/jobs/{job['id']}/suspend"), return_exceptions=True
    )
    assert len([one for one in results if isinstance(one, Refusal)]) == 1


async def test_what_runs_for_nobody_is_stopped(world: World) -> None:
    """A restore that was given up, came to life all the same, and could not be stopped at once."""
    world.times = replace(world.times, restore=0.2)
    await world.restart()
    world.engine.script("restore", Linger())
    world.engine.script("stop", Fail("The host does not answer."))
    job = await world.running()
    await migrate(world, job)
    assert (await world.until(job, "Executing"))["moves"] == 1
    await world.eventually(lambda: world.engine.known() == [PlacementId(f"{job['id']}-3")])


async def test_what_is_not_ours_is_left_alone(world: World, tmp_path: Path) -> None:
    files = {"stdout": tmp_path / "out", "stderr": tmp_path / "err"}
    await world.engine.start(PlacementId("somebody-1"), Program(("x",), {}, tmp_path, **files))
    job = await world.running()
    await migrate(world, job)
    await world.until(job, "Executing")
    assert PlacementId("somebody-1") in world.engine.known()
