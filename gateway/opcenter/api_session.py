"""Calls about this OpCenter: version, login, users, status, hosts."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from aiohttp import web

import gateway
from gateway.errors import Code, Refusal

from . import rows
from .center import Center
from .fields import Fields
from .users import Who
from .web import Routes, basic, body


def add(routes: Routes, center: Center) -> None:
    """Add this file's calls."""
    calls = _Calls(center)
    routes.bare("GET", "/version", calls.version)
    routes.bare("GET", "/login", calls.login)
    routes.add("POST", "/logout", calls.logout)
    routes.add("GET", "/session", calls.session)
    routes.add("GET", "/users", calls.users)
    routes.add("POST", "/users", calls.add_user, 201)
    routes.add("DELETE", "/users/{name}", calls.remove_user)
    routes.add("POST", "/users/{name}/password", calls.password)
    routes.add("GET", "/status", calls.status)
    routes.add("GET", "/hosts", calls.hosts)


class _Calls:
    def __init__(self, center: Center) -> None:
        self._center = center

    async def version(self, _request: web.Request) -> web.StreamResponse:
        return web.json_response({"version": gateway.__version__, "address": self._center.url()})

    async def login(self, request: web.Request) -> web.StreamResponse:
        name, password = basic(request.headers.get("Authorization", ""))
        token, who = await self._center.users.login(name, password)
        doc = {"token": token, "username": who.name, "role": who.role}
        return web.json_response(doc, headers={"authorization": token})

    async def logout(self, _request: web.Request, who: Who) -> Any:
        await self._center.users.logout(who)
        return {}

    async def session(self, _request: web.Request, who: Who) -> Any:
        return {"address": self._center.url(), "username": who.name, "role": who.role}

    async def users(self, _request: web.Request, who: Who) -> Any:
        _admin(who)
        return await self._center.users.list()

    async def add_user(self, request: web.Request, who: Who) -> Any:
        _admin(who)
        fields = Fields(await body(request), "username password role")
        name, role = fields.need("username"), fields.text("role") or "user"
        await self._center.users.add(name, fields.need("password", longest=1024), role)
        return {"username": name, "role": role}

    async def remove_user(self, request: web.Request, who: Who) -> Any:
        _admin(who)
        await self._center.users.remove(request.match_info["name"])
        return {}

    async def password(self, request: web.Request, who: Who) -> Any:
        fields = Fields(await body(request), "password old")
        new, old = fields.need("password", longest=1024), fields.optional("old", longest=1024)
        await self._center.users.set_password(who, request.match_info["name"], new, old)
        return {}

    async def status(self, _request: web.Request, _who: Who) -> Any:
        center, can = self._center, self._center.engine.capabilities()
        async with center.book.store.read() as connection:
            jobs, gateways = await rows.count_jobs(connection), await rows.list_gateways(connection)
        return {
            "version": gateway.__version__,
            "uptime": (center.book.clock() - center.opened) // 1000,
            "engine": {
                "name": can.engine,
                "real": can.real,
                "summary": can.summary,
                "found": list(can.found),
                "missing": [asdict(one) for one in can.missing],
            },
            "jobs": jobs,
            "gateways": len(gateways),
        }

    async def hosts(self, _request: web.Request, who: Who) -> Any:
        """A host's job is shown to those who may see the job."""
        async with self._center.book.store.read() as connection:
            jobs = await rows.unfinished_jobs(connection)
        seen = {one.placement: one.id for one in jobs if who.admin or one.order.owner == who.name}
        shown = {str(placement): job for placement, job in seen.items()} | {job: job for job in seen.values()}
        return [{**asdict(one), "job": shown.get(one.job or "")} for one in await self._center.engine.hosts()]


def _admin(who: Who) -> None:
    if not who.admin:
        raise Refusal(Code.FORBIDDEN, "Only an admin may do this: log in as one, or ask one")
