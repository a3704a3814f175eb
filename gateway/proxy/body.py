"""A request's body on its way to the job: streamed, and kept where it may have to be sent again.

While the job is away the body is read all the same, so that an upload goes on; once the job's budget for that is
used up it is not: the client's connection is full then, and nothing is lost.
"""

from __future__ import annotations

import asyncio
from typing import NoReturn, Protocol

from aiohttp import web

from gateway.config import Limits, Timeouts

from .headers import request_trailers
from .spool import Spool
from .trailers import Trailers
from .upstream import Connection

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_START = 4096  # bytes that rules look at
_READ = 1 << 20  # bytes reserved for one read; aiohttp gives less


class Budget(Protocol):
    """Bytes that all held bodies of one job may take."""

    def take(self, count: int) -> bool:
        """Whether there was room for so many; they are taken then."""

    def give(self, count: int) -> None:
        """They are free again."""


class BodyTimeout(Exception):
    """The client sent nothing for too long."""


class WrongLength(Exception):
    """What would go out is not as long as was declared. A fault of ours: the parser keeps to the length."""


class TrailersTooLarge(Exception):
    """What the client sent behind the body."""


class Body:
    """What the browser sends, once. `replayable`: all of it that was read is still here."""

    def __init__(
        self, request: web.BaseRequest, budget: Budget, timeouts: Timeouts, limits: Limits, *, keep: bool
    ) -> None:
        """`keep`: this request may be sent again, so what is read is kept as long as the budget allows."""
        self.present = request.body_exists
        self.length = request.content_length if self.present else None
        self.replayable = True
        self.complete = not self.present
        """The job may have all of it."""
        self.trailers: Trailers | None = None
        """What follows its chunks, where that is known."""
        self._to_send = self.length or 0
        self._keep = keep
        self._request, self._budget = request, budget
        self._idle = timeouts.body_idle
        self._spool = Spool(limits.spool_memory)
        self._carried: list[bytes] = []  # read, and not in the spool
        self._asked = request.headers.get("Expect", "").lower() != "100-continue"

    @property
    def chunked(self) -> bool:
        """It goes on as chunks, since nobody said how long it is."""
        return self.present and self.length is None

    @property
    def start(self) -> bytes:
        """The first bytes, as far as they were kept."""
        return self._spool.start(_START)

    async def read_ahead(self) -> None:
        """Take in what comes while the job is away. Raises BodyTimeout, or aiohttp's word for a lost client."""
        while not self._carried and self._budget.take(_READ):  # what is carried is the last that was read
            chunk = b""
            try:
                chunk = await self._next()
            finally:
                self._budget.give(_READ - len(chunk))
            if not chunk or not self._append(chunk):
                return

    async def send(self, connection: Connection) -> None:
        """All of it, from the beginning.

        Raises UpstreamError, BodyTimeout, TrailersTooLarge, or aiohttp's word for a lost client; OSError or
        WrongLength if it was not kept well.
        """
        self._to_send = self.length or 0
        for chunk in self._spool.chunks():
            await self._write(connection, chunk)
        for chunk in self._carried:
            await self._write(connection, chunk)
        self._carried.clear()
        if not (self._keep and self.replayable):
            self._forget()
        while chunk := await self._next():
            if self.replayable and not (self._budget.take(len(chunk)) and self._append(chunk)):
                self._forget()
                self._carried.clear()  # it goes out now
            await self._write(connection, chunk)
        if self._to_send:
            _end(connection)
        if self.trailers is not None and self.trailers.too_large:
            raise TrailersTooLarge
        self.complete = True
        if self.chunked:
            connection.write(b"0\r\n%b\r\n" % (request_trailers(self.trailers.lines) if self.trailers else b""))

    def close(self) -> None:
        """The exchange has ended. Idempotent."""
        self._budget.give(self._spool.size)
        self._spool.close()

    def _append(self, chunk: bytes) -> bool:
        """Keep a chunk. When the disk is full it is carried in memory: to be sent once, not again."""
        try:
            self._spool.append(chunk)
        except OSError:
            self._budget.give(len(chunk))
            self._carried.append(chunk)
            self.replayable = False
            return False
        return True

    def _forget(self) -> None:
        if self.present:
            self.replayable = False
        self.close()

    async def _write(self, connection: Connection, chunk: bytes) -> None:
        if self.length is not None:
            if len(chunk) > self._to_send:  # the job would read it as a request of its own
                _end(connection)
            self._to_send -= len(chunk)
            self.complete = self.complete or self._to_send <= 0
        connection.write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if self.chunked else chunk)
        await connection.drain()

    async def _next(self) -> bytes:
        if not self._asked:  # RFC 9110 §10.1.1
            self._asked = True
            if self._request.transport is not None:
                self._request.transport.write(_CONTINUE)
        try:
            async with asyncio.timeout(self._idle):
                return await self._request.content.readany()
        except TimeoutError:
            raise BodyTimeout from None


def _end(connection: Connection) -> NoReturn:
    connection.abort("the body is not as long as was declared")
    raise WrongLength
