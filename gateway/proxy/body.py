"""A request's body on its way to the job: streamed, and kept while it is small, so that it can be sent again."""

from __future__ import annotations

import asyncio

from aiohttp import web

from gateway.config import Limits, Timeouts

from .upstream import Connection

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class BodyTimeout(Exception):
    """The client sent nothing for too long."""


class Body:
    """What the browser sends, once. `replayable` says whether all of it that was read is still here."""

    def __init__(self, request: web.BaseRequest, timeouts: Timeouts, limits: Limits) -> None:
        self.present = request.body_exists
        self.length = request.content_length if self.present else None
        self.replayable = True
        self._request = request
        self._idle = timeouts.body_idle
        self._room = limits.spool_memory
        self._kept: list[bytes] = []
        self._asked = request.headers.get("Expect", "").lower() != "100-continue"

    @property
    def chunked(self) -> bool:
        """It goes on as chunks, since nobody said how long it is."""
        return self.present and self.length is None

    @property
    def start(self) -> bytes:
        """The first bytes, as far as they were read and kept: rules look at them."""
        return b"".join(self._kept[:4])[:4096]

    async def send(self, connection: Connection) -> None:
        """All of it, from the beginning. Raises UpstreamError, BodyTimeout, or aiohttp's word for a lost client."""
        for chunk in self._kept:
            self._write(connection, chunk)
        while chunk := await self._next():
            self._write(connection, chunk)
            await connection.drain()
        if self.chunked:
            connection.write(b"0\r\n\r\n")

    def _write(self, connection: Connection, chunk: bytes) -> None:
        connection.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if self.chunked else chunk)

    async def _next(self) -> bytes:
        if not self._asked:  # RFC 9110 §10.1.1: now that the job is there, let it come
            self._asked = True
            if self._request.transport is not None:
                self._request.transport.write(_CONTINUE)
        try:
            async with asyncio.timeout(self._idle):
                chunk = await self._request.content.readany()
        except TimeoutError:
            raise BodyTimeout from None
        self._keep(chunk)
        return chunk

    def _keep(self, chunk: bytes) -> None:
        if not self.replayable:
            return
        if len(chunk) > self._room:
            self.replayable = False
            self._kept.clear()
            return
        self._room -= len(chunk)
        if chunk:
            self._kept.append(chunk)
