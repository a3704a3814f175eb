"""The end of everything, for `float up`: jobs are suspended where their state can be saved, else cancelled.

Where an engine saves states a job that cannot be saved just now is not ended: its state is the user's, and the end has
promised to keep it. It runs on, and the next OpCenter finds it. Its gateways have let go of it before the end: nobody
would tell them later.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass

import structlog

from gateway.config import Timeouts
from gateway.engines.base import Checkpoints, Engine
from gateway.errors import Code, Refusal
from gateway.types import JobId, JobStatus

from .book import Book
from .events import Reader
from .gateways import Gateways
from .model import ENDED, Job
from .store import STORE_ERRORS
from .verbs import Verbs

_log = structlog.get_logger()
_UNWRITTEN = "The OpCenter's database cannot be written: its disk may be full."


@dataclass(frozen=True, slots=True)
class Left:
    """A job that is neither saved nor ended, and a sentence that says why."""

    job: Job
    why: str


@dataclass(frozen=True, slots=True)
class Finished:
    """What became of the jobs: those that rest in their images, and those that the next OpCenter goes on with."""

    saved: frozenset[JobId] = frozenset()
    left: tuple[Left, ...] = ()


class Finish:
    """`run` once; the job loop must run meanwhile."""

    def __init__(self, book: Book, gateways: Gateways, verbs: Verbs, engine: Engine, timeouts: Timeouts) -> None:
        self._book = book
        self._gateways = gateways
        self._verbs = verbs
        self._saves = isinstance(engine, Checkpoints) and engine.capabilities().real
        self._look = timeouts.look
        self._patience = timeouts.drain_report
        self._deadline = timeouts.drain_report + timeouts.checkpoint + timeouts.stop_grace
        self._asked: set[JobId] = set()
        self._kept: dict[JobId, str] = {}

    async def run(self, reason: str, looking: asyncio.Task[None]) -> Finished:
        """Until nothing runs but what cannot be saved; until the engine had time enough; or until the job loop ends.

        New jobs are refused from now on. `looking`: the job loop. Raises Refusal when nobody can tell what is left.
        """
        self._verbs.close()
        winding = asyncio.create_task(self._wind_down(reason))
        try:
            done, _ = await asyncio.wait(
                {winding, looking}, timeout=self._deadline, return_when=asyncio.FIRST_COMPLETED
            )
            if winding in done:
                winding.result()
        finally:
            winding.cancel()
            await asyncio.gather(winding, return_exceptions=True)
        finished = await self._finished()
        await self._release(finished.left)
        return finished

    async def _wind_down(self, reason: str) -> None:
        with self._book.bus.reader() as reader:
            while await self._busy(reason):
                await self._news(reader)

    async def _news(self, reader: Reader) -> None:
        """Until something happens; at most for a look, for a database that fails tells nobody when it does no more."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._look):
                await reader.next()

    async def _busy(self, reason: str) -> bool:
        """Whether there is still something to wait for."""
        try:
            jobs = await self._book.unfinished()
        except STORE_ERRORS:
            _log.exception("jobs cannot be read")
            return True
        return any([await self._is_awaited(job, reason) for job in jobs])

    async def _is_awaited(self, job: Job, reason: str) -> bool:
        """Ask for what is needed; whether the job is still on its way."""
        if job.status is JobStatus.SUSPENDED or job.id in self._kept:
            return False
        if job.status in ENDED or "cancel" not in job.actions:
            return True
        try:
            await self._ask(job, reason)
        except Refusal:  # its status changed meanwhile: the next look asks again
            return True
        except STORE_ERRORS:
            _log.exception("the end cannot be saved", job=job.id)
            self._kept[job.id] = _UNWRITTEN
        return job.id not in self._kept

    async def _ask(self, job: Job, reason: str) -> None:
        match job.status:
            case JobStatus.EXECUTING if self._saves and job.id in self._asked and job.trouble:
                self._kept[job.id] = job.trouble
            case JobStatus.EXECUTING if self._saves:
                await self._verbs.suspend(job, {"reason": reason})
                self._asked.add(job.id)
            case JobStatus.EXECUTING | JobStatus.SUBMITTED | JobStatus.INITIALIZING | JobStatus.STARTING:
                await self._verbs.cancel(job, reason)

    async def _release(self, left: tuple[Left, ...]) -> None:
        """Until the gateways of what runs on serve it again; a gateway that says nothing is not waited for for ever."""
        with suppress(TimeoutError), self._book.bus.reader() as reader:
            async with asyncio.timeout(self._patience):
                while not await self._told(left):
                    await self._news(reader)

    async def _told(self, left: tuple[Left, ...]) -> bool:
        try:
            return all([await self._gateways.told(one.job.id) for one in left])
        except STORE_ERRORS:
            _log.exception("gateways cannot be told")
            return True

    async def _finished(self) -> Finished:
        try:
            jobs = await self._book.unfinished()
        except STORE_ERRORS as error:
            sentence = "The OpCenter's database cannot be read: what runs goes on, and is found again at the next start"
            raise Refusal(Code.UNAVAILABLE, sentence) from error
        saved = frozenset(job.id for job in jobs if job.status is JobStatus.SUSPENDED)
        left = tuple(
            Left(job, self._kept.get(job.id, f"It was still {job.status} at the end."))
            for job in jobs
            if job.id not in saved
        )
        if left:
            _log.error("jobs were left running", jobs=[one.job.id for one in left])
        return Finished(saved, left)
