"""A disk that is full for a while: nothing can be saved and nothing logged, and the OpCenter goes on all the same."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from gateway.errors import Refusal
from gateway.logfile import LogFile
from gateway.opcenter.log import log_to

from .conftest import World, unwritable

FULL = Path("/dev/full")


@pytest.fixture
def full_log() -> Iterator[None]:
    """Every line that is logged meets ENOSPC."""
    log_to(FULL)
    yield
    structlog.reset_defaults()


async def test_a_log_that_cannot_be_written_ends_no_loop(world: World, full_log: None) -> None:
    await world.start()
    assert world.center is not None
    failed = asyncio.create_task(world.center.wait())
    try:
        job = await world.running()
        async with unwritable(world, "jobs"):
            with pytest.raises(Refusal):
                await world.api.post(f"/jobs/{job['id']}/migrate")
        await world.api.post(f"/jobs/{job['id']}/migrate")
        assert (await world.until(job, "Executing"))["moves"] == 1
        assert not failed.done()
    finally:
        failed.cancel()
        await asyncio.gather(failed, return_exceptions=True)


async def test_who_may_look_may_still_look(world: World) -> None:
    """The note of a token's use is a nicety: reads go on without it."""
    await world.start()
    job = await world.running()
    async with unwritable(world, "sessions"):
        world.ahead = 3_600_000
        assert [one["id"] for one in await world.api.get("/jobs")] == [job["id"]]


def test_a_line_that_was_cut_does_not_spoil_the_next_one(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    try:
        os.set_blocking(writing, False)
        file = LogFile(writing)
        file.write("x" * (1 << 20))
        file.write("lost\n")  # EAGAIN: there is no room at all
        assert set(os.read(reading, 1 << 20)) == {ord("x")}
        file.write("next\n")
        assert os.read(reading, 100) == b"\nnext\n"
    finally:
        os.close(reading)
        os.close(writing)
