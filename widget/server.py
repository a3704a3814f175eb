"""The application on the control port: one origin of its own, so that no page of a job reaches into it.

    /w/<job>              the frame            /login /confirm      top-level windows
    /api/login /logout    sessions             /api/state/<job>     once     /api/live/<job>   always
    /api/ask /act         question, answer     /static/…            for ever

No cookie is set or read, no CORS header is sent, no service worker is registered. docs/threat-model.md says why.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from pathlib import Path

from aiohttp import WSCloseCode, web

from . import api, guard, policy, windows
from .assets import tree
from .audit import Audit
from .denials import Denied
from .desk import Desk
from .limits import Limits
from .live import live
from .office import OFFICE, Office

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def build_app(
    desk: Desk,
    *,
    home: Path | None = None,
    allow_insecure_login: bool = False,
    names: Collection[str] = (),
    limits: Limits | None = None,
    clock: Callable[[], float] | None = None,
) -> web.Application:
    """The application.

    Args:
        desk: Where the gateway puts its snapshots.
        home: Folder for the audit file; None keeps none.
        allow_insecure_login: Take passwords over plain http from other machines too.
        names: Host names by which browsers reach the gateway, besides the snapshot's public address.
        limits, clock: For tests.
    """
    office = Office(desk, Audit(home), limits or Limits(), frozenset(name.lower() for name in names))
    office.allow_insecure_login = allow_insecure_login
    if clock is not None:
        office.clock = clock
    app = web.Application(middlewares=[_answer], client_max_size=office.limits.body)
    app[OFFICE] = office
    app.add_routes(_ROUTES)
    app.on_response_prepare.append(_add_headers)
    app.on_shutdown.append(_close_sockets)
    return app


async def _static(request: web.Request) -> web.Response:
    asset = tree().get(request.path)
    if asset is None:
        raise web.HTTPNotFound
    if request.headers.get("If-None-Match") == asset.etag:
        return web.Response(status=304, headers={"ETag": asset.etag, **policy.FOR_EVER})
    headers = {"ETag": asset.etag, "Content-Type": asset.content_type, "Vary": "Accept-Encoding", **policy.FOR_EVER}
    return windows.compressed(request, web.Response(body=asset.body, headers=headers))


@web.middleware
async def _answer(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """The border: a host name that is not ours goes no further, and a Denied becomes its answer."""
    try:
        guard.place(request)
        return await handler(request)
    except Denied as denied:
        return web.json_response(denied.to_json(), status=denied.why.status)


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    for name, value in policy.ALWAYS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Content-Security-Policy", policy.NOTHING)
    response.headers.pop("Server", None)


async def _close_sockets(app: web.Application) -> None:
    for socket in list(app[OFFICE].sockets):
        await socket.close(code=WSCloseCode.GOING_AWAY, message=b"the gateway stops")


_ROUTES = [
    web.get("/w/{job}", windows.frame),
    web.get("/login", windows.login),
    web.get("/confirm", windows.confirm),
    web.post("/api/login", api.login),
    web.post("/api/logout", api.logout),
    web.get("/api/state/{job}", api.read),
    web.post("/api/ask", api.ask),
    web.post("/api/act", api.act),
    web.get("/api/live/{job}", live),
    web.get("/static/{version}/{name}", _static),
]
