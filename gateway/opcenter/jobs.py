"""The jobs' loop: look, plan, save the intent, act.

Every job has at most one turn under way, a task of its own: jobs do not wait for each other. A turn ends when there is
nothing to do; the next one begins at the next look, or at once when something was heard. A turn that dies with us is
begun again by the next OpCenter from what was saved.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from gateway.config import Timeouts
from gateway.engines.base import Absent, Checkpoints, Engine, EngineError, ImageState, PlacementId, Seen, Unknown
from gateway.types import JobId, JobStatus, Step

from .acts import Acts
from .book import Book
from .events import Event, JobChanged
from .gateways import Gateways
from .model import Job
from .plan import Act, Save, View, Wait, plan
from .policy import Policy
from .programs import Folders
from .store import STORE_ERRORS

_log = structlog.get_logger()


class JobLoop:
    """`run` for ever; `kick` a job to have it looked at now."""

    def __init__(
        self,
        book: Book,
        gateways: Gateways,
        engine: Engine,
        folders: Folders,
        opcenter: Callable[[], str],
        timeouts: Timeouts,
        policy: Policy,
    ) -> None:
        """`opcenter`: host and port at which jobs can call us, known once we listen."""
        self._book = book
        self._gateways = gateways
        self._engine = engine
        self._folders = folders
        self._timeouts = timeouts
        self._policy = policy
        self._acts = Acts(book, gateways, engine, folders, opcenter, timeouts, policy)
        self._opened = book.clock()
        self._turns: dict[JobId, asyncio.Task[None]] = {}
        self._again: set[JobId] = set()
        self._due: set[JobId] = set()
        self._sweeping: set[PlacementId] = set()
        self._work = asyncio.Event()

    def kick(self, job: JobId) -> None:
        """Look at this job now. Never waits."""
        self._due.add(job)
        self._work.set()

    def heard(self, event: Event) -> None:
        """A job was changed: by a user, when it is not the turn that changed it. A cancel interrupts the turn."""
        if not isinstance(event, JobChanged):
            return
        turn = self._turns.get(event.job.id)
        if turn is not None and turn is asyncio.current_task():
            return
        if turn is not None and event.job.status is JobStatus.CANCELLING:
            turn.cancel()
        self.kick(event.job.id)

    async def run(self) -> None:
        """Look at every job each `look` seconds, and at those that were kicked at once."""
        async with asyncio.TaskGroup() as group:
            while True:
                known = self._engine.known()  # before the jobs are read: each was saved before it was begun
                jobs = await self._unfinished()
                for job in jobs or ():
                    if job.status is not JobStatus.SUSPENDED or job.litter:
                        self._begin(group, job.id)
                if jobs is not None:
                    self._sweep(group, set(known) - {job.placement for job in jobs})
                await self._serve_kicks(group)

    async def _unfinished(self) -> list[Job] | None:
        """None: they cannot be read now."""
        try:
            return await self._book.unfinished()
        except STORE_ERRORS:
            _log.exception("jobs cannot be read")
            return None

    def _sweep(self, group: asyncio.TaskGroup, unclaimed: set[PlacementId]) -> None:
        """Stop what runs for nobody: a restore that was given up and could not be stopped then."""
        for one in unclaimed - self._sweeping:
            self._sweeping.add(one)
            stopping = group.create_task(self._acts.sweep(one))
            stopping.add_done_callback(lambda _, one=one: self._sweeping.discard(one))  # type: ignore[misc]

    async def _serve_kicks(self, group: asyncio.TaskGroup) -> None:
        """Until it is time to look at all again."""
        try:
            async with asyncio.timeout(self._timeouts.look):
                while True:
                    await self._work.wait()
                    self._work.clear()
                    due, self._due = self._due, set()
                    for job in due:
                        self._begin(group, job)
        except TimeoutError:
            return

    def _begin(self, group: asyncio.TaskGroup, job: JobId) -> None:
        if job in self._turns:
            self._again.add(job)
            return
        turn = self._turns[job] = group.create_task(self._guarded(job))
        turn.add_done_callback(lambda done: self._ended(job, done))

    def _ended(self, job: JobId, turn: asyncio.Task[None]) -> None:
        """A callback, not a `finally`: a task that is cancelled before its first step never enters its code."""
        del self._turns[job]
        if turn.cancelled() or job in self._again:
            self._again.discard(job)
            self.kick(job)

    async def _guarded(self, job: JobId) -> None:
        try:
            await self._turn(job)
        except Exception:  # noqa: BLE001  # the border of this task: the next look tries again
            _log.exception("job loop", job=job)

    async def _turn(self, job_id: JobId) -> None:
        while True:
            job = await self._book.get(job_id)
            view = await self._view(job)
            match plan(job, view, self._timeouts, self._policy):
                case Save(new):
                    await self._save(job, new)
                case Wait():
                    return
                case Act() as act:
                    if not await self._acts.do(job, act):
                        return

    async def _save(self, old: Job, new: Job) -> None:
        """Unless it was changed meanwhile: then plan again."""
        saved = await self._book.change(old.id, lambda current: new if current == old else current)
        if (old.status, old.step) != (saved.status, saved.step):
            step = None if saved.step is None else saved.step.value
            _log.info("job", job=old.id, status=saved.status.value, step=step, reason=saved.reason)

    async def _view(self, job: Job) -> View:
        seen = await self._look(job)
        owed = await self._gateways.owed(job) if job.step is Step.DRAINING else frozenset()
        return View(
            self._book.clock(), self._opened, seen, self._image(job, job.image), self._image(job, job.next_image), owed
        )

    async def _look(self, job: Job) -> Seen:
        if job.placement is None:
            return Absent()
        try:
            async with asyncio.timeout(self._policy.look_answer):
                return await self._engine.look(job.placement)
        except (EngineError, TimeoutError) as error:
            return Unknown(str(error) or "no answer")

    def _image(self, job: Job, name: str | None) -> ImageState:
        if name is None or not isinstance(self._engine, Checkpoints):
            return ImageState.NONE
        return self._engine.image(self._folders.image(job.id, name))
