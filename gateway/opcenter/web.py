"""The border to HTTP: who calls, what a body may be, what an error looks like, which headers every answer has."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from aiohttp import web

from gateway.errors import HTTP_STATUS, Code, Outcome, Refusal

from .fields import refuse
from .users import Users, Who

PREFIX = "/api/v1"
Handler = Callable[[web.Request, Who], Awaitable[Any]]
Bare = Callable[[web.Request], Awaitable[web.StreamResponse]]
_log = structlog.get_logger()

POLICY = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Routes:
    """Collects routes; each handler is given the caller and returns JSON, or an answer of its own."""

    def __init__(self, users: Users) -> None:
        self._users = users
        self.table: list[web.RouteDef] = []

    def add(self, method: str, path: str, handler: Handler, status: int = 200) -> None:
        """A call that needs a login."""

        async def call(request: web.Request) -> web.StreamResponse:
            who = await self._users.who(request.headers.get("Authorization", ""))
            return answer(await handler(request, who), status)

        self.table.append(web.route(method, PREFIX + path, call))

    def bare(self, method: str, path: str, handler: Bare) -> None:
        """A call that sees to its own login."""
        self.table.append(web.route(method, PREFIX + path, handler))


def answer(result: Any, status: int = 200) -> web.StreamResponse:
    """JSON of the result, or the result when it is an answer already."""
    if isinstance(result, web.StreamResponse):
        return result
    return web.json_response(result, status=status)


async def body(request: web.Request) -> Any:
    """The JSON of the request; an empty object when there is none. Raises Refusal."""
    raw = await request.read()
    if not raw:
        return {}
    if request.content_type != "application/json":
        refuse("body", "send JSON, with Content-Type: application/json")
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise Refusal(Code.INVALID_ARGUMENT, "Invalid argument, invalid body: it is not valid JSON") from error


def basic(header: str) -> tuple[str, str]:
    """Name and password of `Authorization: Basic` (RFC 7617, UTF-8). Raises Refusal."""
    scheme, _, value = header.partition(" ")
    try:
        if scheme.lower() != "basic":
            raise ValueError("not Basic")
        name, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (ValueError, binascii.Error) as error:
        sentence = "Log in with a username and a password: Authorization: Basic, as RFC 7617 says"
        raise Refusal(Code.NOT_LOGGED_IN, sentence) from error
    if not colon or not name:
        raise Refusal(Code.NOT_LOGGED_IN, "Log in with a username and a password")
    return name, password


class Calls:
    """The calls under way. A client that leaves does not end its call: what was begun is finished, even at the end."""

    def __init__(self, patience: float) -> None:
        """`patience`: seconds for calls without a client when the server ends."""
        self._patience = patience
        self._under_way: set[asyncio.Task[Any]] = set()

    @web.middleware
    async def note(self, request: web.Request, handler: Bare) -> web.StreamResponse:
        """Goes around every call."""
        task = asyncio.current_task()
        assert task is not None
        self._under_way.add(task)
        try:
            return await handler(request)
        finally:
            self._under_way.discard(task)

    async def finish(self, _app: web.Application) -> None:
        """For `on_cleanup`: afterwards no call uses the database any more."""
        if self._under_way:
            _, late = await asyncio.wait(self._under_way, timeout=self._patience)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)


def is_heard(request: web.Request) -> bool:
    """Whether its client is still there, as far as this side knows."""
    return request.transport is not None


@web.middleware
async def errors(request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> Any:
    """Every error of the API is `{"error", "code"}`; what we did not expect goes to the log alone."""
    try:
        return await handler(request)
    except Refusal as refusal:
        return refused(refusal)
    except web.HTTPRequestEntityTooLarge:
        return refused(Refusal(Code.INVALID_ARGUMENT, "Invalid argument, invalid body: it is too large"))
    except web.HTTPException as error:
        if not request.path.startswith(PREFIX) or error.status < 400:
            raise
        return _no_such_call(request, error)
    except ConnectionError:
        return web.Response()  # the client left: nobody gets this, and aiohttp would log a raise as a fault
    except Exception:  # noqa: BLE001  # the border to HTTP
        _log.exception("call failed", method=request.method, path=request.path)
        return refused(Refusal(Code.INTERNAL, "Something went wrong in the OpCenter; its log says what"))


def refused(refusal: Refusal) -> web.Response:
    """The answer that says no."""
    headers = {"WWW-Authenticate": "Bearer"} if refusal.code is Code.NOT_LOGGED_IN else {}  # RFC 9110, 11.6.1
    doc = {"error": refusal.sentence, "code": int(refusal.code)}
    return web.json_response(doc, status=HTTP_STATUS[refusal.code], headers=headers)


def no_request(outcome: Outcome) -> dict[str, Any]:
    """What is said to bytes that are no request."""
    code = Code.INTERNAL if outcome is Outcome.UNEXPECTED else Code.INVALID_ARGUMENT
    return {"error": outcome.sentence, "code": int(code)}


def _no_such_call(request: web.Request, error: web.HTTPException) -> web.Response:
    code = Code.NOT_FOUND if error.status in (404, 405) else Code.INVALID_ARGUMENT
    doc = {"error": f"Resource not found: there is no call {request.method} {request.path[:200]}", "code": int(code)}
    headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    return web.json_response(doc, status=error.status, headers=headers)


async def secure(request: web.Request, response: web.StreamResponse) -> None:
    """For `on_response_prepare`: headers that every answer has unless its handler set others."""
    for name, value in POLICY.items():
        response.headers.setdefault(name, value)
    response.headers.pop("Server", None)
