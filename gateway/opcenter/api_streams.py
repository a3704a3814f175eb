"""Calls whose answer takes its time: events, waiting for a status, logs that are followed."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

from gateway.errors import Code, Refusal
from gateway.types import JobStatus

from . import rows
from .center import Center
from .events import Closing, Event, GatewayChanged, JobChanged, Reader, What
from .fields import refuse
from .model import ENDED, Job
from .store import STORE_ERRORS
from .users import Who
from .web import Routes, is_heard

_log = structlog.get_logger()


def add(routes: Routes, center: Center) -> None:
    """Add this file's calls."""
    calls = _Calls(center)
    routes.add("GET", "/events", calls.events)
    routes.add("GET", "/jobs/{id}/wait", calls.wait)
    routes.add("GET", "/jobs/{id}/log", calls.logs)
    routes.add("GET", "/jobs/{id}/log/{name}", calls.log)


class _Calls:
    def __init__(self, center: Center) -> None:
        self._center = center

    async def events(self, request: web.Request, who: Who) -> Any:
        """Until the reader goes, falls behind, or is logged out: then it comes back and asks for everything."""
        with self._center.book.bus.reader() as reader:
            response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
            await response.prepare(request)
            await _say(response, {"type": "beat"})
            login = _Login(self._center, request)
            while not reader.lost:
                event = await _next(reader, login.due)
                if not await login.holds():
                    break
                doc = {"type": "beat"} if event is None else await self._event(event, who)
                if doc is not None:
                    await _say(response, doc)
        return response

    async def _event(self, event: Event, who: Who) -> dict[str, Any] | None:
        match event:
            case JobChanged(job):
                if not (who.admin or job.order.owner == who.name):
                    return None
                return {"type": "job", "job": await self._center.gateways.job_doc(job)}
            case GatewayChanged(gateway, what=What.GONE):
                return {"type": "gateway", "gateway": {"id": gateway, "status": "Destroyed"}}
            case GatewayChanged(gateway):
                async with self._center.book.store.read() as connection:
                    found = await rows.get_gateway(connection, gateway)
                if found is None:
                    return None
                return {"type": "gateway", "gateway": await self._center.gateways.doc(found, who)}
            case Closing():
                return None

    async def wait(self, request: web.Request, who: Who) -> Any:
        wanted = _statuses(request.query.get("status", ""))
        seconds = _seconds(request.query.get("timeout", ""), self._center.policy.wait)
        with self._center.book.bus.reader() as reader:
            job = await self._center.book.find(request.match_info["id"], who)
            try:
                async with asyncio.timeout(seconds):
                    while job.status not in wanted | ENDED:
                        if isinstance(await reader.next(), Closing):
                            break
                        job = await self._center.book.get(job.id)
            except TimeoutError:
                job = await self._center.book.get(job.id)
        return await self._center.gateways.job_doc(job)

    async def logs(self, request: web.Request, who: Who) -> Any:
        job = await self._center.book.find(request.match_info["id"], who)
        return await asyncio.to_thread(self._center.folders.logs, job.id)

    async def log(self, request: web.Request, who: Who) -> Any:
        job = await self._center.book.find(request.match_info["id"], who)
        name = request.match_info["name"]
        there = await asyncio.to_thread(self._center.folders.logs, job.id)
        if name not in there:
            raise Refusal(
                Code.NOT_FOUND, f"Resource not found: the job has no log {name[:80]}, but {' and '.join(there)}"
            )
        response = web.StreamResponse(headers={"Content-Type": "text/plain; charset=utf-8"})
        await response.prepare(request)
        await self._copy(request, response, job, self._center.folders.log(job.id, name))
        return response

    async def _copy(self, request: web.Request, response: web.StreamResponse, job: Job, path: Path) -> None:
        """Until its end, or for as long as somebody follows it."""
        follow, offset, login = request.query.get("follow") == "1", 0, _Login(self._center, request)
        while is_heard(request):
            last = not follow or self._center.book.bus.closed or (await self._center.book.get(job.id)).clean
            while chunk := await asyncio.to_thread(_read, path, offset, self._center.policy.log_chunk):
                if not await login.holds():
                    return
                await response.write(chunk)
                offset += len(chunk)
            if last or not await login.holds():
                return
            await asyncio.sleep(self._center.policy.follow)


class _Login:
    """Of a call that takes its time: it may be revoked meanwhile, so it is looked at again each `beat` seconds."""

    def __init__(self, center: Center, request: web.Request) -> None:
        self._center = center
        self._header = request.headers.get("Authorization", "")
        self._clock = asyncio.get_running_loop().time
        self.due = self._clock() + center.policy.beat
        """When it is looked at again, by the loop's clock."""

    async def holds(self) -> bool:
        """Ask this before each thing that is told. A database that cannot say revokes nothing."""
        if self._clock() < self.due:
            return True
        try:
            await self._center.users.who(self._header)
        except Refusal:
            return False
        except STORE_ERRORS:
            _log.exception("a login cannot be read")
        self.due = self._clock() + self._center.policy.beat
        return True


async def _next(reader: Reader, due: float) -> Event | None:
    """None: there was none until then."""
    try:
        async with asyncio.timeout_at(due):
            return await reader.next()
    except TimeoutError:
        return None


def _read(path: Path, offset: int, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(most)
    except FileNotFoundError:
        return b""


async def _say(response: web.StreamResponse, doc: dict[str, Any]) -> None:
    await response.write(b"data: " + json.dumps(doc).encode() + b"\n\n")


def _statuses(text: str) -> frozenset[JobStatus]:
    names = [one.strip() for one in text.split(",") if one.strip()]
    for one in names:
        if one not in set(JobStatus):
            refuse("status", f"{one[:40]!r} is none of {', '.join(JobStatus)}")
    return frozenset(JobStatus(one) for one in names)


def _seconds(text: str, most: float) -> float:
    try:
        seconds = float(text or most)
    except ValueError:
        refuse("timeout", f"{text[:40]!r} is not a number of seconds")
    return min(max(seconds, 0.0), most) if seconds == seconds else most
