"""The live connection of one visible frame: the job's state now, and at every change.

Its first frame says who it is, so that no token stands in an address: `{"token": "…"}` or `{"token": null}`. A
token that ends while the connection is open ends the private part, not the connection. Looking is no use of a token:
an open tab connects by itself, whoever left the desk.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from aiohttp import WSMsgType, web

from . import guard, rights, state
from .denials import Denial, Denied
from .office import OFFICE, Office
from .sessions import Session


async def live(request: web.Request) -> web.WebSocketResponse:
    """`/api/live/<job>`."""
    guard.unsafe(request)
    office, job = request.app[OFFICE], request.match_info["job"]
    office.listener(job)
    if len(office.sockets) >= office.limits.sockets:
        raise Denied(Denial.FULL)
    socket = web.WebSocketResponse(heartbeat=office.limits.beat, max_msg_size=office.limits.body, compress=False)
    await socket.prepare(request)
    office.sockets.add(socket)
    try:
        await _serve(office, job, socket)
    finally:
        office.sockets.discard(socket)
    return socket


async def _serve(office: Office, job: str, socket: web.WebSocketResponse) -> None:
    try:
        token = await _first_frame(office, socket)
    except (TimeoutError, ValueError, TypeError, KeyError):
        await socket.close(code=1008, message=b"say who you are")
        return
    telling = asyncio.create_task(_tell(office, job, token, socket))
    try:
        async for _ in socket:
            pass  # the frame has nothing more to say; reading is what notices that it has left
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)


async def _first_frame(office: Office, socket: web.WebSocketResponse) -> str | None:
    message = await socket.receive(office.limits.first_frame)
    if message.type is not WSMsgType.TEXT:
        raise ValueError("not a text frame")
    token = json.loads(message.data)["token"]
    if token is not None and not isinstance(token, str):
        raise TypeError("not a token")
    return token


async def _tell(office: Office, job: str, token: str | None, socket: web.WebSocketResponse) -> None:
    """Send the state at once and at every change, and a sign of life in between."""
    private = _Private(office, job)
    sent: dict[str, Any] = {}
    while not socket.closed:
        serial = office.desk.serial
        try:
            doc = await _state(office, job, token, private)
        except Denied as denied:
            await socket.close(code=1001, message=denied.why.name.encode())
            return
        try:
            await socket.send_json({"beat": doc["now"]} if {**doc, "now": 0} == {**sent, "now": 0} else doc)
        except ConnectionError:
            return
        sent = doc
        await _next(office, serial)


async def _next(office: Office, serial: int) -> None:
    try:
        async with asyncio.timeout(office.limits.beat):
            await office.desk.change(serial)
    except TimeoutError:
        return


async def _state(office: Office, job: str, token: str | None, private: _Private) -> dict[str, Any]:
    listener = office.listener(job)
    session = None if token is None else office.sessions.find(token, office.clock())
    extra: dict[str, Any] = {}
    if session is not None:
        extra = await private.of(session)
    elif token is not None:
        extra = {"denied": Denial.NOT_LOGGED_IN.name}
    return state.public(listener, office.desk.now(), office.desk.linked) | extra


class _Private:
    """The private part for one connection: the OpCenter is asked again only when the job has changed."""

    def __init__(self, office: Office, job: str) -> None:
        self._office, self._job = office, job
        self._of: tuple[object, ...] = ()
        self._doc: dict[str, Any] = {}

    async def of(self, session: Session) -> dict[str, Any]:
        listener, linked = self._office.listener(self._job), self._office.desk.linked
        of = (session.key, listener.status, listener.generation, listener.actions, linked)
        if of != self._of:
            self._doc = await self._ask(session)
            self._of = of
        you = {"you": state.person(session)}
        if "job" not in self._doc:
            return {**you, **self._doc}
        return {**you, "job": state.private(self._office.listener(self._job), self._doc["job"])}

    async def _ask(self, session: Session) -> dict[str, Any]:
        try:
            return {"job": await rights.job(self._office, session, self._job)}
        except Denied as denied:
            if denied.why is Denial.NO_OPCENTER and "job" in self._doc:
                return self._doc  # what was known; the buttons wait for the link
            return state.denied(denied)
