"""Calls about gateways and security groups, and the gateways' own watch."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from gateway.errors import Code, Refusal
from gateway.types import GatewayId, JobId

from . import rows
from .center import Center
from .fields import Fields
from .links import check_token
from .model import Gateway
from .users import Who
from .web import Routes, body


def add(routes: Routes, center: Center) -> None:
    """Add this file's calls."""
    calls = _Calls(center)
    routes.add("GET", "/gateways", calls.gateways)
    routes.add("POST", "/gateways", calls.create, 201)
    routes.add("GET", "/gateways/{id}", calls.gateway)
    routes.add("PATCH", "/gateways/{id}", calls.modify)
    routes.add("DELETE", "/gateways/{id}", calls.destroy, 202)
    routes.add("POST", "/gateways/{id}/connect", calls.connect)
    routes.add("POST", "/gateways/{id}/disconnect", calls.disconnect)
    routes.add("POST", "/gateways/{id}/reload", calls.reload, 202)
    routes.bare("GET", "/gateways/{id}/watch", calls.watch)
    routes.add("GET", "/securityGroups", calls.groups)
    routes.add("POST", "/securityGroups", calls.create_group, 201)
    routes.add("DELETE", "/securityGroups/{id}", calls.delete_group)


class _Calls:
    def __init__(self, center: Center) -> None:
        self._center = center

    async def gateways(self, _request: web.Request, who: Who) -> Any:
        return [await self._doc(one, who) for one in await self._center.gateways.all()]

    async def create(self, request: web.Request, who: Who) -> Any:
        return await self._doc(await self._center.gateways.create(await body(request), who), who)

    async def gateway(self, request: web.Request, who: Who) -> Any:
        return await self._doc(await self._center.gateways.find(request.match_info["id"]), who)

    async def modify(self, request: web.Request, who: Who) -> Any:
        doc = await body(request)
        return await self._doc(await self._center.gateways.modify(request.match_info["id"], doc, who), who)

    async def destroy(self, request: web.Request, who: Who) -> Any:
        return await self._doc(await self._center.gateways.destroy(request.match_info["id"], who), who)

    async def connect(self, request: web.Request, who: Who) -> Any:
        fields = Fields(await body(request), "job targetPorts")
        job = await self._center.book.find(fields.need("job"), who)
        gateway = await self._center.gateways.connect(request.match_info["id"], job, fields.ports("targetPorts"))
        await self._tell(job.id)
        return await self._doc(gateway, who)

    async def disconnect(self, request: web.Request, who: Who) -> Any:
        fields = Fields(await body(request), "job port")
        job = await self._center.book.find(fields.need("job"), who)
        gateway = await self._center.gateways.disconnect(request.match_info["id"], job, fields.port("port"))
        await self._tell(job.id)
        return await self._doc(gateway, who)

    async def reload(self, request: web.Request, who: Who) -> Any:
        Fields(await body(request), "")
        return await self._doc(await self._center.gateways.reload(request.match_info["id"], who), who)

    async def watch(self, request: web.Request) -> web.StreamResponse:
        async with self._center.book.store.read() as connection:
            found = await rows.get_gateway(connection, GatewayId(request.match_info["id"]))
        gateway = check_token(found, request.headers.get("Authorization", ""))
        if request.headers.get("Upgrade", "").lower() != "websocket":
            raise Refusal(Code.INVALID_ARGUMENT, "Invalid argument, invalid request: this is a WebSocket")
        return await self._center.links.serve(request, gateway)

    async def groups(self, _request: web.Request, _who: Who) -> Any:
        return [one.to_json() for one in await self._center.groups.list()]

    async def create_group(self, request: web.Request, who: Who) -> Any:
        return (await self._center.groups.create(await body(request), who)).to_json()

    async def delete_group(self, request: web.Request, who: Who) -> Any:
        return (await self._center.groups.delete(request.match_info["id"], who)).to_json()

    async def _tell(self, job: JobId) -> None:
        self._center.book.tell(await self._center.book.get(job))

    async def _doc(self, gateway: Gateway, who: Who) -> dict[str, Any]:
        return await self._center.gateways.doc(gateway, who)
