"""What a user can ask of a job. Each verb saves the intent and returns; the loop does the rest."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from gateway.engines.base import Checkpoints, Engine
from gateway.errors import Code, Refusal
from gateway.types import JobStatus, Step, new_job_id

from .book import Book
from .events import GatewayChanged
from .fields import Fields
from .gateways import Gateways
from .groups import all_groups
from .model import Job, Size, fresh_placement, move
from .orders import read
from .security_groups import pick
from .templates import Template
from .users import Who

_INSTEAD = {
    JobStatus.SUSPENDED: "resume it first with float resume -j {id}",
    JobStatus.EXECUTING: "it runs, there is nothing to resume",
    JobStatus.CANCELLING: "it is on its way out",
}

_PASSIVE: Mapping[str, str] = {
    "migrate": "be migrated",
    "suspend": "be suspended",
    "resume": "be resumed",
    "cancel": "be cancelled",
}


class Verbs:
    """submit, migrate, suspend, resume, cancel."""

    def __init__(self, book: Book, gateways: Gateways, engine: Engine, templates: Mapping[str, Template]) -> None:
        self._book = book
        self._gateways = gateways
        self._engine = engine
        self._templates = templates
        self._closed = False

    def close(self) -> None:
        """Refuse new jobs from now on: the OpCenter ends."""
        self._closed = True

    async def submit(self, doc: object, who: Who) -> Job:
        """A new job, with its ports when a gateway is asked for. Raises Refusal; nothing is kept then."""
        if self._closed:
            raise Refusal(Code.UNAVAILABLE, "The OpCenter is ending: submit the job when it is there again")
        asked = read(doc, who, self._templates, secrets.token_hex(3))
        now = self._book.clock()
        token = secrets.token_hex(24)
        job = Job(new_job_id(), asked.order, asked.size, token, now, since=now, step_since=now)
        async with self._book.store.write() as connection:
            pick(asked.order.security_groups, await all_groups(connection))
            await self._book.add(connection, job)
            if asked.gateway:
                gateway = await self._gateways.choose(connection, asked.gateway, len(asked.targets))
                await self._gateways.lease(connection, gateway, job, asked.targets)
        self._book.tell(job)
        if asked.gateway:
            self._book.bus.publish(GatewayChanged(gateway.id))
        return job

    async def migrate(self, job: Job, doc: object) -> Job:
        """To another host, with another size if one is named. Raises Refusal."""
        fields = Fields(doc, "cpu mem reason")
        size = Size(fields.whole("cpu", job.size.cpu, most=4096), fields.whole("mem", job.size.mem, most=1 << 16))
        changes: dict[str, Any] = {"next_size": size, "reason": fields.text("reason") or "user"}
        return await self._begin(job, "migrate", JobStatus.FLOATING, Step.DRAINING, changes)

    async def suspend(self, job: Job, doc: object) -> Job:
        """Save its state and free the host. Raises Refusal."""
        reason = Fields(doc, "reason").text("reason") or "user"
        return await self._begin(job, "suspend", JobStatus.SUSPENDING, Step.DRAINING, {"reason": reason})

    async def resume(self, job: Job, doc: object) -> Job:
        """Bring a suspended job back. Raises Refusal."""
        Fields(doc, "")
        changes = {"reason": "user", "tries": 0, "trouble": ""}
        return await self._begin(job, "resume", JobStatus.RESUMING, Step.RESTORING, changes)

    async def cancel(self, job: Job, reason: str = "user") -> Job:
        """End it for good. Raises Refusal."""
        return await self._begin(job, "cancel", JobStatus.CANCELLING, None, {"reason": reason})

    async def _begin(
        self, job: Job, verb: str, status: JobStatus, step: Step | None, changes: Mapping[str, Any]
    ) -> Job:
        if verb != "cancel" and not isinstance(self._engine, Checkpoints):
            raise Refusal(Code.CONFLICT, f"The engine {self._engine.name} cannot {verb} jobs: it saves no state")

        def decide(current: Job) -> Job:
            check_action(current, verb)
            draft = move(current, status, self._book.clock(), step=step, **changes)
            return fresh_placement(draft) if status is JobStatus.RESUMING else draft

        return await self._book.change(job.id, decide)


def check_action(job: Job, verb: str) -> None:
    """Raises Refusal when the job's status does not allow the verb."""
    if verb in job.actions:
        return
    allowed = ", ".join(job.actions) or "nothing: it has ended"
    instead = _INSTEAD.get(job.status, f"what it allows now is {allowed}").format(id=job.id)
    raise Refusal(Code.CONFLICT, f"The job is {job.status} and cannot {_PASSIVE[verb]} now: {instead}")
