"""What a request must be before a handler looks at it. Cookies are never read: whatever a browser adds by itself,
other ports of the same host can make it add too.
"""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from . import hosts
from .denials import Denial, Denied
from .hosts import Place
from .office import OFFICE
from .sessions import Session

_SCHEME = "Bearer "


def place(request: web.Request) -> Place:
    """Where the browser believes to be. Raises Denied for a host name that is not ours."""
    named = request.headers.getall("Host", [])
    found = hosts.parse(request.scheme, named[0]) if len(named) == 1 else None
    if found is None or not hosts.is_ours(found, request.app[OFFICE].host_names()):
        raise Denied(Denial.WRONG_HOST)
    return found


def own_page(request: web.Request) -> None:
    """Raises Denied unless a page of this very origin asks.

    Browsers send no Sec-Fetch-Site over plain http to a name that is not loopback, hence `absent` passes; an
    Origin, which they send with everything unsafe and with WebSockets, has to be ours where it is there.
    """
    if request.headers.get("Sec-Fetch-Site", "same-origin") != "same-origin":
        raise Denied(Denial.FOREIGN)
    if request.headers.get("Origin", place(request).origin) != place(request).origin:
        raise Denied(Denial.FOREIGN)


def unsafe(request: web.Request) -> None:
    """As `own_page`, and the Origin must be there. Raises Denied."""
    own_page(request)
    if "Origin" not in request.headers:
        raise Denied(Denial.FOREIGN)


async def body(request: web.Request, *names: str) -> list[str]:
    """The text fields `names` of a JSON object. Raises Denied.

    application/json from another origin needs a preflight, which nobody answers here (Fetch, 3.2).
    """
    if request.content_type != "application/json":
        raise Denied(Denial.NOT_JSON)
    try:
        doc: Any = json.loads(await request.text())
        values = [doc[name] for name in names]
    except (ValueError, KeyError, TypeError) as error:
        raise Denied(Denial.BAD_REQUEST) from error
    if not all(isinstance(one, str) for one in values):
        raise Denied(Denial.BAD_REQUEST)
    return values


def token(request: web.Request) -> str | None:
    """The bearer token, if there is one."""
    value = request.headers.get("Authorization", "")
    return value[len(_SCHEME) :] if value.startswith(_SCHEME) else None


def session(request: web.Request) -> Session:
    """Whose request it is; counts as a use: for what only a person asks for. Raises Denied."""
    request.app[OFFICE].sessions.use(token(request) or "", request.app[OFFICE].clock())
    return holder(request)


def holder(request: web.Request) -> Session:
    """As `session`, and does not count: for what an open tab asks for by itself. Raises Denied."""
    office, bearer = request.app[OFFICE], token(request)
    found = None if bearer is None else office.sessions.find(bearer, office.clock())
    if found is None:
        raise Denied(Denial.NOT_LOGGED_IN)
    return found


def may_log_in(request: web.Request) -> bool:
    """Whether a password that is typed here stays unread on its way."""
    office = request.app[OFFICE]
    return office.allow_insecure_login or hosts.is_private(place(request), request.remote)
