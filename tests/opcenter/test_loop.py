"""The jobs' loop and the races that only luck would show from outside."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from gateway.engines.base import Capabilities, Host, PlacementId, Program, Running, Seen
from gateway.opcenter.book import Book
from gateway.opcenter.events import Bus, JobChanged
from gateway.opcenter.gateways import Gateways
from gateway.opcenter.jobs import JobLoop
from gateway.opcenter.links import Links
from gateway.opcenter.model import Job, Order, Size
from gateway.opcenter.policy import Policy
from gateway.opcenter.programs import Folders
from gateway.opcenter.server import now_ms
from gateway.opcenter.store import Store, sqlite_url
from gateway.types import JobId, JobStatus, new_job_id

from .conftest import TIMES
from .peers import NoProcesses


class Watched:
    """An engine whose looks can be counted; everything runs."""

    name = "watched"

    def __init__(self) -> None:
        self.looked = asyncio.Event()

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def start(self, placement: PlacementId, program: Program) -> Running:
        raise AssertionError("not in these tests")

    async def look(self, placement: PlacementId) -> Seen:
        self.looked.set()
        return Running("127.0.0.1", "here")

    async def stop(self, placement: PlacementId, grace: float) -> None: ...

    async def hosts(self) -> list[Host]:
        return []

    def capabilities(self) -> Capabilities:
        return Capabilities(self.name, False, "")

    def known(self) -> list[PlacementId]:
        return []


async def test_a_cancel_before_the_turns_first_step_does_not_leave_the_job_unattended(tmp_path: Path) -> None:
    store = await Store.open(sqlite_url(tmp_path / "db"))
    bus = Bus(10, 10)
    book, engine, policy = Book(store, bus, now_ms), Watched(), Policy()
    links = Links(store, TIMES, policy, now_ms, bus.publish)
    gateways = Gateways(tmp_path, store, bus, links, NoProcesses(), now_ms, lambda: ("", 1), policy)
    slow = replace(TIMES, look=60.0)  # only kicks count here
    loop = JobLoop(book, gateways, engine, Folders(tmp_path), str, slow, policy)
    job = executing(new_job_id())
    async with store.write() as connection:
        await book.add(connection, job)
    running = asyncio.create_task(loop.run())
    try:
        async with asyncio.timeout(10):
            await engine.looked.wait()
            engine.looked.clear()
            await turn_ended(loop, job.id)
            begun = asyncio.Event()
            begin = loop._begin

            def begin_and_cancel(group: asyncio.TaskGroup, which: JobId) -> None:
                begin(group, which)
                if not begun.is_set():
                    begun.set()
                    loop.heard(JobChanged(replace(job, status=JobStatus.CANCELLING)))

            loop._begin = begin_and_cancel  # type: ignore[method-assign]
            loop.kick(job.id)
            await engine.looked.wait()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await store.close()


async def turn_ended(loop: JobLoop, job: JobId) -> None:
    while job in loop._turns:  # noqa: ASYNC110
        await asyncio.sleep(0)


def executing(job: JobId) -> Job:
    order = Order("one", "admin", 0, ("serve",))
    return replace(
        Job(job, order, Size(1, 1), "t", 1),
        status=JobStatus.EXECUTING,
        placement=PlacementId("p-1"),
        address="127.0.0.1",
        host="here",
    )
