"""The end of everything, for `float up`: jobs are suspended where their state can be saved, else cancelled."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import structlog

from gateway.config import Timeouts
from gateway.engines.base import Checkpoints, Engine
from gateway.errors import Refusal
from gateway.types import JobId, JobStatus

from .book import Book
from .model import ENDED, Job
from .verbs import Verbs

_log = structlog.get_logger()


class Finish:
    """`run` once; the job loop must run meanwhile."""

    def __init__(self, book: Book, verbs: Verbs, engine: Engine, timeouts: Timeouts) -> None:
        self._book = book
        self._verbs = verbs
        self._saves = isinstance(engine, Checkpoints) and engine.capabilities().real
        self._deadline = timeouts.drain_report + timeouts.checkpoint + timeouts.stop_grace
        self._asked: set[JobId] = set()

    async def run(self, reason: str) -> None:
        """Until no job runs. New ones are refused from now on. Gives up, loudly, when the engine does not answer."""
        self._verbs.close()
        try:
            async with asyncio.timeout(self._deadline):
                with self._book.bus.reader() as reader:
                    while [job for job in await self._book.unfinished() if await self._wind_down(job, reason)]:
                        await reader.next()
        except TimeoutError:
            left = [job.id for job in await self._book.unfinished() if job.status is not JobStatus.SUSPENDED]
            _log.error("jobs could not be ended", jobs=left)

    async def _wind_down(self, job: Job, reason: str) -> bool:
        """Ask for what is needed; whether there is still something to wait for."""
        if job.status is JobStatus.SUSPENDED:
            return False
        if job.status in ENDED or "cancel" not in job.actions:
            return True
        with suppress(Refusal):  # its status changed meanwhile: the next look asks again
            if job.status is JobStatus.EXECUTING and self._saves and job.id not in self._asked:
                self._asked.add(job.id)
                await self._verbs.suspend(job, {"reason": reason})
            elif job.status is JobStatus.EXECUTING:
                why = f"{reason}; {job.reason}" if job.id in self._asked else reason
                await self._verbs.cancel(job, why)
            elif job.status in (JobStatus.SUBMITTED, JobStatus.INITIALIZING, JobStatus.STARTING):
                await self._verbs.cancel(job, reason)
        return True
