"""Calls about jobs and templates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web

from . import rows
from .center import Center
from .fields import refuse
from .model import Job
from .templates import choose
from .users import Who
from .views import history_doc
from .web import Routes, body


def add(routes: Routes, center: Center) -> None:
    """Add this file's calls."""
    calls = _Calls(center)
    routes.add("GET", "/jobs", calls.jobs)
    routes.add("GET", "/jobPages", calls.pages)
    routes.add("POST", "/jobs", calls.submit, 201)
    routes.add("GET", "/jobs/{id}", calls.job)
    routes.add("DELETE", "/jobs/{id}", calls.cancel, 202)
    routes.add("POST", "/jobs/{id}/cancel", calls.cancel, 202)
    routes.add("POST", "/jobs/{id}/migrate", calls.migrate, 202)
    routes.add("POST", "/jobs/{id}/suspend", calls.suspend, 202)
    routes.add("POST", "/jobs/{id}/resume", calls.resume, 202)
    routes.add("GET", "/jobs/{id}/history", calls.history)
    routes.add("GET", "/templates", calls.templates)
    routes.add("POST", "/templates", calls.create_template, 201)
    routes.add("GET", "/templates/{name}", calls.template)
    routes.add("PATCH", "/templates/{name}", calls.update_template)
    routes.add("DELETE", "/templates/{name}", calls.delete_template)
    routes.add("GET", "/templates/{name}/text", calls.template_text)


class _Calls:
    def __init__(self, center: Center) -> None:
        self._center = center

    async def jobs(self, request: web.Request, who: Who) -> Any:
        wanted = [_filter(one) for one in request.query.getall("filter", [])]
        owner = None if who.admin else who.name
        async with self._center.book.store.read() as connection:
            newest = await rows.list_jobs(connection, owner, self._center.policy.listed)
            live = [one for one in await rows.unfinished_jobs(connection) if owner in (None, one.order.owner)]
        found = {one.id: one for one in (*newest, *live)}
        chosen = [one for one in found.values() if all(matches(one) for matches in wanted)]
        chosen.sort(key=lambda one: (-one.submitted, one.id))
        return await self._center.gateways.job_docs(chosen)

    async def pages(self, request: web.Request, who: Who) -> Any:
        return {"Jobs": await self.jobs(request, who)}

    async def submit(self, request: web.Request, who: Who) -> Any:
        return await self._doc(await self._center.verbs.submit(await body(request), who))

    async def job(self, request: web.Request, who: Who) -> Any:
        return await self._doc(await self._find(request, who))

    async def cancel(self, request: web.Request, who: Who) -> Any:
        return await self._doc(await self._center.verbs.cancel(await self._find(request, who)))

    async def migrate(self, request: web.Request, who: Who) -> Any:
        job = await self._find(request, who)
        return await self._doc(await self._center.verbs.migrate(job, await body(request)))

    async def suspend(self, request: web.Request, who: Who) -> Any:
        job = await self._find(request, who)
        return await self._doc(await self._center.verbs.suspend(job, await body(request)))

    async def resume(self, request: web.Request, who: Who) -> Any:
        job = await self._find(request, who)
        return await self._doc(await self._center.verbs.resume(job, await body(request)))

    async def history(self, request: web.Request, who: Who) -> Any:
        job = await self._find(request, who)
        async with self._center.book.store.read() as connection:
            entries = await rows.job_history(connection, job.id, self._center.policy.history)
        return [history_doc(one) for one in entries]

    async def templates(self, _request: web.Request, _who: Who) -> Any:
        return [one.to_json() for one in self._center.templates.values()]

    async def template(self, request: web.Request, _who: Who) -> Any:
        return choose(request.match_info["name"], self._center.templates).to_json()

    async def create_template(self, request: web.Request, who: Who) -> Any:
        return self._center.templates.create(await body(request), who).to_json()

    async def update_template(self, request: web.Request, who: Who) -> Any:
        return self._center.templates.update(request.match_info["name"], await body(request), who).to_json()

    async def delete_template(self, request: web.Request, who: Who) -> Any:
        return self._center.templates.delete(request.match_info["name"], who).to_json()

    async def template_text(self, request: web.Request, _who: Who) -> Any:
        return web.Response(text=choose(request.match_info["name"], self._center.templates).text)

    async def _find(self, request: web.Request, who: Who) -> Job:
        return await self._center.book.find(request.match_info["id"], who)

    async def _doc(self, job: Job) -> dict[str, Any]:
        return await self._center.gateways.job_doc(job)


def _filter(text: str) -> Callable[[Job], bool]:
    """`key=value`, or several joined by ` or ` (with or without the key again). Raises Refusal."""
    key = text.partition("=")[0].strip()
    if "=" not in text or key not in _KEYS:
        refuse("filter", f"{text[:80]!r} is not one of {', '.join(f'{one}=…' for one in _KEYS)}")
    values = [one.strip().removeprefix(f"{key}=").strip() for one in text.split(" or ")]
    return lambda job: any(_KEYS[key](job, value) for value in values)


_KEYS: dict[str, Callable[[Job, str], bool]] = {
    "user": lambda job, value: job.order.owner == value,
    "status": lambda job, value: job.status.value == value,
    "image": lambda job, value: value in job.order.image,
    "name": lambda job, value: job.order.name == value,
}
