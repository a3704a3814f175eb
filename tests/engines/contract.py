"""The one contract that every engine keeps; each engine's test file subclasses it and gives a `bench`."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from gateway.engines.base import (
    Absent,
    CheckpointFailed,
    Checkpoints,
    Ended,
    Engine,
    ImageState,
    RestoreFailed,
    Running,
    StartFailed,
)
from tests.engines.bench import Bench, absent, opcenter, until, until_seen


class Contract:
    """Start, look, stop, and moves."""

    async def test_speaks_both_protocols(self, bench: Bench) -> None:
        engine = await bench.engine()
        assert isinstance(engine, Engine)
        assert isinstance(engine, Checkpoints)
        assert engine.capabilities().summary

    async def test_start_look_stop(self, bench: Bench) -> None:
        engine, one = await bench.engine(), bench.placement()
        assert await engine.look(one) == Absent()
        running = await engine.start(one, bench.program())
        assert await bench.ask(running) == "1"
        assert await engine.look(one) == running
        assert engine.known() == [one]
        busy = [host for host in await engine.hosts() if host.state == "busy"]
        assert [(host.name, host.address, host.job) for host in busy] == [(running.host, running.address, one)]
        await engine.stop(one, 5)
        assert await engine.look(one) == Absent()
        assert engine.known() == []
        await engine.stop(one, 5)  # idempotent

    async def test_stop_of_what_never_was(self, bench: Bench) -> None:
        await (await bench.engine()).stop(bench.placement(), 5)

    async def test_a_program_that_is_not_there(self, bench: Bench) -> None:
        engine, one = await bench.engine(), bench.placement()
        with pytest.raises(StartFailed) as failed:
            await engine.start(one, bench.program("/no/such/program"))
        assert "/no/such/program" in failed.value.public
        assert await engine.look(one) == Absent()

    async def test_the_exit_status(self, bench: Bench) -> None:
        engine = await bench.engine()
        for request, rc in (("/exit?3", 3), ("/exit?0", 0), ("/kill", -9)):
            one = bench.placement()
            await bench.ask(await engine.start(one, bench.program()), request)
            assert await until_seen(engine, one, Ended) == Ended(rc)
            assert one in engine.known()
            await engine.stop(one, 0)
            assert await engine.look(one) == Absent()

    async def test_a_move_keeps_memory_and_changes_the_address(self, bench: Bench) -> None:
        engine, old, new, image = await bench.engine(), bench.placement(), bench.placement(), bench.image()
        before = await engine.start(old, bench.program())
        assert [await bench.ask(before) for _ in range(3)] == ["1", "2", "3"]
        await engine.sever(old)
        await engine.checkpoint(old, image)
        assert await engine.look(old) == Absent()
        assert engine.image(image) is ImageState.COMPLETE
        after = await engine.restore(new, bench.program(), image)
        assert after.address != before.address
        assert await bench.ask(after) == "4"
        assert await engine.look(new) == after
        await engine.discard(image)
        assert engine.image(image) is ImageState.NONE
        assert await bench.ask(after) == "5"  # discarding the image of a job that runs again does not end it

    async def test_the_log_goes_on(self, bench: Bench) -> None:
        engine, image = await bench.engine(), bench.image()
        one, two = bench.placement(), bench.placement()
        await bench.ask(await engine.start(one, bench.program()))
        await engine.checkpoint(one, image)
        await bench.ask(await engine.restore(two, bench.program(), image))
        assert (bench.folder / "out").read_text() == "count 1\ncount 2\n"

    async def test_many_moves_with_a_connection_open(self, bench: Bench) -> None:
        engine, one = await bench.engine(), bench.placement()
        running = await engine.start(one, bench.program())
        addresses = [running.address]
        for turn in range(3):
            assert await bench.ask(running) == str(turn + 1)
            _, writer = await asyncio.open_connection(running.address, bench.port)
            image, two = bench.image(), bench.placement()
            await engine.checkpoint(one, image)
            writer.close()
            running, one = await engine.restore(two, bench.program(), image), two
            addresses.append(running.address)
            await engine.discard(image)
        assert len(set(addresses)) == 4

    async def test_a_failed_checkpoint_leaves_it_running(self, bench: Bench) -> None:
        engine, one, image = await bench.engine(), bench.placement(), bench.image()
        running = await engine.start(one, bench.program())
        assert await bench.ask(running) == "1"
        async with bench.break_checkpoint(engine, running, image):
            with pytest.raises(CheckpointFailed) as failed:
                await engine.checkpoint(one, image)
        assert "\n" not in failed.value.public
        assert failed.value.public.endswith(".")
        assert await engine.look(one) == running
        assert await bench.ask(running) == "2"
        assert engine.image(image) is not ImageState.COMPLETE
        await engine.checkpoint(one, bench.image())  # and the next one can succeed

    async def test_a_failed_restore_leaves_nothing_and_the_image(self, bench: Bench) -> None:
        engine, image = await bench.engine(), bench.image()
        one, two, three = (bench.placement() for _ in range(3))
        assert await bench.ask(await engine.start(one, bench.program())) == "1"
        await engine.checkpoint(one, image)
        async with bench.break_restore(engine, bench.program()) as program:
            with pytest.raises(RestoreFailed) as failed:
                await engine.restore(two, program, image)
        assert "\n" not in failed.value.public
        assert await engine.look(two) == Absent()
        assert engine.known() == []
        assert engine.image(image) is ImageState.COMPLETE
        assert await bench.ask(await engine.restore(three, bench.program(), image)) == "2"

    async def test_restore_without_an_image(self, bench: Bench) -> None:
        engine, one = await bench.engine(), bench.placement()
        with pytest.raises(RestoreFailed):
            await engine.restore(one, bench.program(), bench.image())
        assert await engine.look(one) == Absent()

    async def test_a_checkpoint_of_nothing(self, bench: Bench) -> None:
        engine, image = await bench.engine(), bench.image()
        with pytest.raises(CheckpointFailed):
            await engine.checkpoint(bench.placement(), image)
        assert engine.image(image) is ImageState.NONE

    async def test_discard_of_a_suspended_job_is_its_end(self, bench: Bench) -> None:
        engine, one, image = await bench.engine(), bench.placement(), bench.image()
        await bench.ask(await engine.start(one, bench.program()))
        await engine.checkpoint(one, image)
        await engine.discard(image)
        await engine.discard(image)  # idempotent
        assert engine.image(image) is ImageState.NONE
        with pytest.raises(RestoreFailed):
            await engine.restore(bench.placement(), bench.program(), image)

    async def test_a_new_opcenter_finds_everything(self, bench: Bench) -> None:
        """The first engine object is dropped as by SIGKILL: no close."""
        engine, image = await bench.engine(), bench.image()
        stays, sleeps, woken = (bench.placement() for _ in range(3))
        running = await engine.start(stays, bench.program())
        assert await bench.ask(running) == "1"
        second = await bench.engine()
        assert second.known() == [stays]
        assert await second.look(stays) == running
        assert await bench.ask(running) == "2"
        await second.checkpoint(stays, image)
        third = await bench.engine()
        assert third.image(image) is ImageState.COMPLETE
        assert await absent(third, stays)
        assert await absent(third, sleeps)
        running = await third.restore(woken, bench.program(), image)
        assert await bench.ask(running) == "3"
        fourth = await bench.engine()
        assert isinstance(await fourth.look(woken), Running)
        await fourth.stop(woken, 5)
        assert await absent(fourth, woken)

    async def test_a_caller_that_gives_up(self, bench: Bench) -> None:
        """Cancelled in the middle, a start is removed by stop, whatever it has come to."""
        engine = await bench.engine()
        for turns in (1, 5, 50, 500):
            one = bench.placement()
            task = asyncio.create_task(engine.start(one, bench.program()))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await engine.stop(one, 5)
            assert await engine.look(one) == Absent()

    @pytest.mark.parametrize(
        "seen", ["placements/*.json", "runs/*/start.json", "runs/*/keeper.json", "runs/*/pid.json"]
    )
    async def test_the_opcenter_is_killed_while_it_starts(self, bench: Bench, seen: str) -> None:
        """SIGKILL at several points of a start: the next OpCenter finds it running or not at all, and can end it."""
        one, program = bench.placement(), bench.program()
        state = bench.folder / "state"
        call = f"start({one!r}, {program!r})".replace("PosixPath", "Path")

        async def begun() -> bool:
            return any(state.glob(seen))

        with opcenter(bench.maker, state, call):
            await until(begun)
        engine = await bench.engine()

        async def known() -> bool:
            return isinstance(await engine.look(one), Running | Absent)

        await until(known)
        if isinstance(running := await engine.look(one), Running):
            assert await bench.ask(running) == "1"
        await engine.stop(one, 5)
        assert await engine.look(one) == Absent()
