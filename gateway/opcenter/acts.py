"""Doing what the plan says: the only place that asks the engine to change something."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import structlog

from gateway.config import Timeouts
from gateway.engines.base import Checkpoints, Ended, Engine, EngineError, PlacementId, RestoreFailed, Running
from gateway.types import JobId

from . import rows
from .book import Book
from .gateways import Gateways
from .model import Job
from .outcomes import accepted, checkpoint_failed, checkpoint_slow, cleaned, restore_failed, start_failed
from .plan import Act
from .policy import Policy
from .programs import Folders
from .store import STORE_ERRORS

_log = structlog.get_logger()


class Acts:
    """`do` one act. Its intent is saved already; its outcome is saved here, or seen by the next look."""

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
        self._book = book
        self._gateways = gateways
        self._engine = engine
        self._folders = folders
        self._opcenter = opcenter
        self._timeouts = timeouts
        self._policy = policy

    async def do(self, job: Job, act: Act) -> bool:
        """Whether to plan again at once; False: at the next look."""
        match act:
            case Act.START:
                return await self._start(job, _placement(job))
            case Act.CHECKPOINT:
                return await self._checkpoint(job, _placement(job))
            case Act.RESTORE:
                return await self._restore(job, _placement(job))
            case Act.PROBE:
                return await self._probe(job)
            case Act.TIDY:
                return await self._tidy(job)
            case Act.CLEAN:
                return await self._clean(job)

    async def _start(self, job: Job, placement: PlacementId) -> bool:
        try:
            await asyncio.to_thread(self._folders.make, job)
            async with asyncio.timeout(self._timeouts.start):
                await self._engine.start(placement, self._folders.program(job, self._opcenter()))
        except (EngineError, TimeoutError, OSError) as error:
            why, room = _public(error, "Starting it"), await self._room()
            _log.warning("start failed", job=job.id, error=repr(error))
            await self._outcome(job, lambda now: start_failed(job, why, room, now))
        return True

    async def _room(self) -> bool:
        try:
            hosts = await self._engine.hosts()
        except EngineError:
            return True
        return not hosts or any(host.state == "free" for host in hosts)

    async def _checkpoint(self, job: Job, placement: PlacementId) -> bool:
        """Our time-out ends our waiting, not the engine's work: `look` says Unknown until that has ended."""
        engine = self._checkpoints()
        try:
            async with asyncio.timeout(self._timeouts.checkpoint):
                await self._sever(job, placement)
                await engine.checkpoint(placement, self._folders.image(job.id, job.next_image or ""))
        except TimeoutError:
            _log.warning("checkpoint is slow", job=job.id, seconds=self._timeouts.checkpoint)
            await self._outcome(job, lambda _: checkpoint_slow(job, self._timeouts.checkpoint))
        except (EngineError, OSError) as error:
            why = _public(error, "Saving it")
            _log.warning("checkpoint failed", job=job.id, error=repr(error))
            await self._outcome(job, lambda _: checkpoint_failed(job, why))
        return True

    async def _sever(self, job: Job, placement: PlacementId) -> None:
        """What connections are left: when this fails the checkpoint says whether it mattered."""
        try:
            await self._checkpoints().sever(placement)
        except EngineError as error:
            _log.warning("sever failed", job=job.id, error=repr(error))

    async def _restore(self, job: Job, placement: PlacementId) -> bool:
        engine, image = self._checkpoints(), self._folders.image(job.id, job.image or "")
        try:
            async with asyncio.timeout(self._timeouts.restore):
                await engine.restore(placement, self._folders.program(job, self._opcenter()), image)
        except (EngineError, TimeoutError, OSError) as error:
            why = _public(error, "Bringing it back")
            _log.warning("restore failed", job=job.id, attempt=job.tries + 1, error=repr(error))
            if not isinstance(error, RestoreFailed):  # then something may be left behind
                with suppress(EngineError):
                    await self._engine.stop(placement, 0)
            await self._outcome(job, lambda now: restore_failed(job, why, self._policy.restores, now))
        return True

    async def _probe(self, job: Job) -> bool:
        """Try the ports for `look` seconds; then the plan looks whether the program still runs."""
        ports = await self._ports(job)
        try:
            async with asyncio.timeout(self._timeouts.look):
                while not await self._accept(job.address or "", ports):  # noqa: ASYNC110  # a server tells nobody
                    await asyncio.sleep(self._timeouts.redial_pause)
        except TimeoutError:
            return True
        kept = self._policy.moves_kept
        await self._outcome(job, lambda now: accepted(job, now, kept))
        return True

    async def _ports(self, job: Job) -> list[int]:
        """Those that gateways dial; all published ones when no gateway does."""
        leases = [lease.target for lease, _ in await self._gateways.of_job(job.id) if lease.released is None]
        published = job.order.ports
        return [published[one] for one in leases if one in published] or list(published.values())

    async def _accept(self, host: str, ports: list[int]) -> bool:
        for port in ports:
            try:
                async with asyncio.timeout(self._timeouts.dial):
                    _, writer = await asyncio.open_connection(host, port)
            except (OSError, TimeoutError):
                return False
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
        return True

    async def _tidy(self, job: Job) -> bool:
        if not await self._discard(job.id, job.litter):
            return False
        await self._outcome(job, lambda _: replace(job, litter=()))
        return True

    async def _clean(self, job: Job) -> bool:
        images = (*job.litter, *filter(None, (job.image, job.next_image)))
        try:
            if job.placement is not None:
                await self._engine.stop(job.placement, self._timeouts.stop_grace)
        except EngineError as error:
            _log.warning("stop failed", job=job.id, error=repr(error))
            return False
        if not await self._discard(job.id, images):
            return False
        await asyncio.to_thread(shutil.rmtree, self._folders.images(job.id), ignore_errors=True)
        await self._outcome(job, lambda now: cleaned(job, now))
        return True

    async def sweep(self, placement: PlacementId) -> None:
        """Stop a placement that no job claims, if it was one of ours; the next look tries again."""
        job = JobId(placement.rpartition("-")[0])
        try:
            async with self._book.store.read() as connection:
                ours = (await rows.get_jobs(connection, [job])).get(job)
            if ours is None or ours.placement == placement:
                return
            if isinstance(await self._engine.look(placement), Running | Ended):  # still, and for certain
                _log.warning("stopping what runs for nobody", placement=placement)
                await self._engine.stop(placement, self._timeouts.stop_grace)
        except (EngineError, *STORE_ERRORS) as error:
            _log.warning("sweep failed", placement=placement, error=repr(error))

    async def _discard(self, job: JobId, images: tuple[str, ...]) -> bool:
        if not isinstance(self._engine, Checkpoints):
            return True
        try:
            for one in images:
                await self._engine.discard(self._folders.image(job, one))
        except EngineError as error:
            _log.warning("discard failed", job=job, error=repr(error))
            return False
        return True

    def _checkpoints(self) -> Checkpoints:
        if not isinstance(self._engine, Checkpoints):
            raise EngineError(f"The engine {self._engine.name} saves no state.")
        return self._engine

    async def _outcome(self, job: Job, decide: Callable[[int], Job]) -> None:
        """Save it, unless the job was changed meanwhile: then the plan decides anew."""
        new = decide(self._book.clock())
        await self._book.change(job.id, lambda current: new if current == job else current)


def _placement(job: Job) -> PlacementId:
    assert job.placement is not None, "the plan saves a placement before it asks for an act"
    return job.placement


def _public(error: Exception, what: str) -> str:
    """The engine's own sentence; of everything else only that it went wrong."""
    if isinstance(error, EngineError):
        return error.public
    if isinstance(error, TimeoutError):
        return f"{what} took too long."
    return f"{what} failed on this machine: the OpCenter's log says why."
