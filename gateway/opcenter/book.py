"""The jobs as they are saved: each change is one transaction with its history entry, and is then told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.errors import Code, Refusal
from gateway.types import JobId

from . import rows
from .events import Bus, JobChanged
from .fields import refuse
from .model import ENDED, Job
from .store import Store
from .users import Who

_ALPHABET = frozenset("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


class Book:
    """Every reader and writer of jobs goes through here. `clock` gives ms since the epoch."""

    def __init__(self, store: Store, bus: Bus, clock: Callable[[], int]) -> None:
        self.store = store
        self.bus = bus
        self.clock = clock

    async def get(self, job: JobId) -> Job:
        """A job that is known to exist."""
        async with self.store.read() as connection:
            found = await rows.get_job(connection, job)
        if found is None:
            raise RuntimeError(f"job {job} is gone")
        return found

    async def find(self, text: str, who: Who) -> Job:
        """The caller's job of this id. Somebody else's is answered like none. Raises Refusal."""
        if len(text) != 21 or not set(text) <= _ALPHABET:
            refuse("job ID", f"{text[:40]!r} is not the id of a job; float list shows them")
        async with self.store.read() as connection:
            job = await rows.get_job(connection, JobId(text))
        if job is None or not (who.admin or job.order.owner == who.name):
            raise Refusal(Code.NOT_FOUND, f"Resource not found: no job {text}; float list shows the jobs there are")
        return job

    async def unfinished(self) -> list[Job]:
        """Every job that the loop has to look at."""
        async with self.store.read() as connection:
            return await rows.unfinished_jobs(connection)

    async def add(self, connection: AsyncConnection, job: Job) -> None:
        """A new job, within the caller's transaction; the caller tells it afterwards."""
        await rows.add_job(connection, job)

    async def change(self, job: JobId, decide: Callable[[Job], Job]) -> Job:
        """Save what `decide` makes of the job as it is now, and tell it. What `decide` raises goes up, unsaved."""
        async with self.store.write() as connection:
            old = await rows.get_job(connection, job)
            if old is None:
                raise RuntimeError(f"job {job} is gone")
            new = decide(old)
            if new == old:
                return old
            new = replace(new, version=old.version + 1)
            await rows.save_job(connection, old, new)
            if new.status in ENDED and old.status not in ENDED:
                await rows.release_job(connection, job, self.clock())
        self.tell(new)
        return new

    def tell(self, job: Job) -> None:
        """Let everybody know that this job is as it is."""
        self.bus.publish(JobChanged(job))
