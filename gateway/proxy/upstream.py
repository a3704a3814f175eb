"""The only place that dials a job: connections, the pool, and the border where foreign errors become ours.

A `Connection` carries one exchange at a time. Its head is collected here, bounded, and given to llhttp whole;
bodies with a length or without framing are passed on as they come, chunked ones go through llhttp. Nothing is
decoded.
"""

from __future__ import annotations

import asyncio
import enum
import re
import time
from collections import deque
from dataclasses import dataclass
from typing import Protocol, cast

import httptools

from gateway.config import Limits, Timeouts
from gateway.types import Address

RawHeaders = list[tuple[bytes, bytes]]

_END_OF_HEAD = b"\r\n\r\n"
_FORBIDDEN_IN_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")  # RFC 9110 §5.5
_DIGITS = re.compile(rb"[0-9]{1,18}")
_BODILESS = frozenset({204, 304})  # RFC 9112 §6.3, with HEAD and 1xx
_SWITCHING = 101
_CHUNK_COST = 64  # bytes that a queued chunk takes besides its own


class UpstreamError(Exception):
    """The job's side failed. `str()` is for the log."""


class Unreachable(UpstreamError):
    """No connection could be made: nothing was sent."""


class Lost(UpstreamError):
    """The connection ended before the answer did."""


class BadAnswer(UpstreamError):
    """What came is not an HTTP answer that may be passed on."""


class Framing(enum.Enum):
    """How the end of an answer's body is known (RFC 9112 §6.3)."""

    NONE = "none"
    LENGTH = "length"
    CHUNKED = "chunked"
    CLOSE = "close"


@dataclass(frozen=True, slots=True)
class Answer:
    """The head of an answer; header names and values are the job's own bytes, in order."""

    status: int
    reason: bytes
    headers: RawHeaders
    framing: Framing
    length: int | None = None


class Sink(Protocol):
    """Takes over what comes from a connection, byte for byte."""

    def from_job(self, data: bytes) -> None:
        """Bytes came."""

    def job_lost(self, *, clean: bool) -> None:
        """The connection has ended; `clean`: not by a reset."""


class _Phase(enum.Enum):
    IDLE = "idle"  # in the pool: nothing may come
    HEAD = "head"
    BODY = "body"
    DONE = "done"  # the answer is complete
    TAKEN = "taken"  # a relay has the transport


class Connection(asyncio.Protocol):
    """One TCP connection to a job. Errors are kept and raised to whoever waits, at once or later."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._transport: asyncio.Transport | None = None
        self._phase = _Phase.IDLE
        self._head = bytearray()
        self._parser: httptools.HttpResponseParser | None = None
        self._reason = b""
        self._fields: RawHeaders = []
        self.trailers: RawHeaders = []
        """What followed the last chunk of the body that was read."""
        self._trailer_size = 0
        self._method = b""
        self._answer: Answer | None = None
        self._interim: deque[Answer] = deque()
        self._interims = 0
        self._chunks: deque[bytes] = deque()
        self._queued = 0
        self._left = 0
        self._keep = False
        self._error: UpstreamError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._paused = False
        self._stopped = False
        self.sent = 0
        """Bytes written for the current exchange."""
        self.idle_since = 0.0
        """Since when it is in the pool, time.monotonic()."""
        self.sink: Sink | None = None
        """Who gets everything that comes, instead of this class: the straight path."""

    # The exchange's side

    def begin(self, method: bytes) -> None:
        """A new exchange starts."""
        self._phase = _Phase.HEAD
        self._method, self._answer, self._keep, self.sent = method, None, False, 0
        self._interims = self._trailer_size = 0
        self.trailers = []
        self._head.clear()
        self._chunks.clear()
        self._queued = 0

    def write(self, data: bytes) -> None:
        """Queue bytes. Raises Lost if the connection is gone."""
        if self._error is not None:
            raise self._error
        if self._transport is None:
            raise Lost("the connection is closed")
        self._transport.write(data)
        self.sent += len(data)

    async def drain(self) -> None:
        """Wait until the write buffer has room. Raises UpstreamError."""
        while self._paused and self._error is None:
            self._writable = asyncio.get_running_loop().create_future()
            await self._writable
        if self._error is not None:
            raise self._error

    async def head(self) -> Answer:
        """The next head: interim ones (1xx) first, then the final one. Raises UpstreamError."""
        while True:
            if self._interim:
                return self._interim.popleft()
            if self._answer is not None:
                return self._answer
            if self._error is not None:
                raise self._error
            await self._wait()

    async def read(self) -> bytes:
        """The next bytes of the body, empty at its end. Raises UpstreamError when it is cut short."""
        while True:
            if self._chunks:
                chunk = self._chunks.popleft()
                self._queued -= len(chunk) + _CHUNK_COST
                if self._transport is not None and self._queued < self._limits.high_water:
                    self._transport.resume_reading()
                return chunk
            if self._phase is _Phase.DONE:
                return b""
            if self._error is not None:
                raise self._error
            await self._wait()

    @property
    def reusable(self) -> bool:
        """The answer is complete and the connection may carry another exchange."""
        return self._phase is _Phase.DONE and self._keep and self._error is None and self._transport is not None

    @property
    def alive(self) -> bool:
        """Nothing has gone wrong with it yet."""
        return self._error is None and self._transport is not None

    @property
    def answered(self) -> bool:
        """A byte of a final answer has come."""
        return self._answer is not None or bool(self._head)

    def abort(self, why: str = "cut") -> None:
        """End it now. Whoever waits gets Lost."""
        self._fail(Lost(why))
        if self._transport is not None:
            self._transport.abort()

    def take(self) -> tuple[asyncio.Transport, bytes]:
        """After a 101: the transport, and what has come behind the head."""
        transport, self._transport = self._transport, None
        if transport is None:
            raise Lost("the connection is closed")
        rest = b"".join(self._chunks)
        self._phase = _Phase.TAKEN
        return transport, rest

    def rest(self, now: float) -> None:
        """Into the pool. The browser that had it may have been slow: the next one is not."""
        if self._stopped:
            self.flow(True)
        self._phase = _Phase.IDLE
        self.sink = None
        self.idle_since = now

    def flow(self, go: bool) -> None:
        """Read on, or do not."""
        self._stopped = not go
        if self._transport is not None:
            (self._transport.resume_reading if go else self._transport.pause_reading)()

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _fail(self, error: UpstreamError) -> None:
        if self._error is None and self._phase is not _Phase.DONE:
            self._error = error
        self._keep = False
        self._unblock()
        self._wake()

    def _unblock(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)

    # The transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one without being its subclass
        self._transport.set_write_buffer_limits(high=self._limits.high_water)

    def pause_writing(self) -> None:
        self._paused = True

    def resume_writing(self) -> None:
        self._paused = False
        self._unblock()

    def data_received(self, data: bytes) -> None:
        if self.sink is not None:
            self.sink.from_job(data)
            return
        try:
            match self._phase:
                case _Phase.HEAD:
                    self._on_head(data)
                case _Phase.BODY:
                    self._on_body(data)
                case _Phase.TAKEN:
                    self._queue(data)
                case _Phase.IDLE | _Phase.DONE:
                    raise BadAnswer("bytes that nobody asked for")
        except BadAnswer as error:
            self._fail(error)
            if self._transport is not None:
                self._transport.abort()
        self._wake()

    def eof_received(self) -> bool | None:
        if self._phase is _Phase.BODY and self._answer is not None and self._answer.framing is Framing.CLOSE:
            self._phase = _Phase.DONE
            self._wake()
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._paused = False
        if self.sink is not None:
            sink, self.sink = self.sink, None
            self._error = Lost("the job's side closed the connection")
            sink.job_lost(clean=exc is None)
            return
        self._fail(Lost(f"the job's side closed the connection ({type(exc).__name__ if exc else 'end of stream'})"))

    # Parsing

    def _on_head(self, data: bytes) -> None:
        self._head += data
        end = self._head.find(_END_OF_HEAD)
        if end < 0:
            if len(self._head) > self._limits.head:
                raise BadAnswer("a head that is too large")
            return
        end += len(_END_OF_HEAD)
        if end > self._limits.head:
            raise BadAnswer("a head that is too large")
        head, rest = bytes(self._head[:end]), bytes(self._head[end:])
        self._head.clear()
        answer = self._parse(head)
        if 100 <= answer.status < 200 and answer.status != _SWITCHING:
            self._interims += 1
            if self._interims > self._limits.interim:
                raise BadAnswer("too many interim answers")
            self._interim.append(answer)
            if rest:
                self._on_head(rest)
            return
        self._answer = answer
        self._left = answer.length or 0
        self._phase = _Phase.BODY
        if answer.framing is Framing.NONE or (answer.framing is Framing.LENGTH and not self._left):
            self._phase = _Phase.TAKEN if answer.status == _SWITCHING else _Phase.DONE
        if rest:
            self.data_received(rest)

    def _parse(self, head: bytes) -> Answer:
        self._fields, self._reason = [], b""
        self._parser = parser = httptools.HttpResponseParser(self)
        try:
            parser.feed_data(head)
        except httptools.HttpParserUpgrade:
            pass
        except httptools.HttpParserError as error:
            raise BadAnswer(str(error)) from error
        status, version = parser.get_status_code(), parser.get_http_version()
        if status < 100 or version not in ("1.0", "1.1"):
            raise BadAnswer("a status or version that HTTP does not have")
        if version == "1.0" and any(name.lower() == b"transfer-encoding" for name, _ in self._fields):
            raise BadAnswer("a transfer coding in HTTP/1.0")  # RFC 9112 §6.1
        for _, value in self._fields:
            if _FORBIDDEN_IN_VALUE.search(value):
                raise BadAnswer("a control character in a header")
        if _FORBIDDEN_IN_VALUE.search(self._reason):
            raise BadAnswer("a control character in the reason phrase")
        if len(self._fields) > self._limits.header_count:
            raise BadAnswer("too many headers")
        framing, length = self._framing(status)
        self._keep = parser.should_keep_alive() and framing is not Framing.CLOSE
        if framing is not Framing.CHUNKED:
            self._parser = None  # it knows us: a circle, which only the garbage collector would open
        return Answer(status, self._reason, list(self._fields), framing, length)

    def _framing(self, status: int) -> tuple[Framing, int | None]:
        """RFC 9112 §6.3, in its order; stricter where it allows a choice."""
        lengths = {value for name, value in self._fields if name.lower() == b"content-length"}
        codings = [value for name, value in self._fields if name.lower() == b"transfer-encoding"]
        if any(not _DIGITS.fullmatch(value) for value in lengths) or len(lengths) > 1:
            raise BadAnswer("a Content-Length that is not one number")
        if self._method == b"HEAD" or status in _BODILESS or status < 200:
            return Framing.NONE, None
        if codings:
            if len(codings) > 1 or codings[0].strip().lower() != b"chunked" or lengths:
                raise BadAnswer("a Transfer-Encoding other than one `chunked`, or with a Content-Length")
            return Framing.CHUNKED, None
        if lengths:
            return Framing.LENGTH, int(lengths.pop())
        return Framing.CLOSE, None

    def _on_body(self, data: bytes) -> None:
        assert self._answer is not None
        match self._answer.framing:
            case Framing.LENGTH:
                self._queue(data[: self._left])
                extra = len(data) - self._left
                self._left -= min(len(data), self._left)
                if not self._left:
                    self._phase = _Phase.DONE
                if extra > 0:
                    self._keep = False  # what follows is nobody's answer
            case Framing.CHUNKED:
                self._feed_chunked(data)
            case Framing.CLOSE | Framing.NONE:
                self._queue(data)

    def _feed_chunked(self, data: bytes) -> None:
        assert self._parser is not None
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            raise BadAnswer(str(error)) from error

    def _queue(self, data: bytes) -> None:
        if not data:
            return
        self._chunks.append(data)
        self._queued += len(data) + _CHUNK_COST
        if self._queued >= self._limits.high_water and self._transport is not None:
            self._transport.pause_reading()

    # llhttp's callbacks

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._phase is _Phase.HEAD:
            self._fields.append((name, value))
            return
        self._trailer_size += len(name) + len(value) + 4
        if self._trailer_size > self._limits.head or _FORBIDDEN_IN_VALUE.search(value):
            raise BadAnswer("trailers that are too large, or hold control characters")
        self.trailers.append((name, value))

    def on_message_begin(self) -> None:
        if self._phase is _Phase.DONE:
            self._keep = False  # a second answer that nobody asked for

    def on_body(self, data: bytes) -> None:
        if self._phase is _Phase.BODY:
            self._queue(data)

    def on_message_complete(self) -> None:
        if self._phase is _Phase.BODY:
            self._phase = _Phase.DONE
            self._parser = None


async def dial(address: Address, timeouts: Timeouts, limits: Limits) -> Connection:
    """A fresh connection. Raises Unreachable."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeouts.dial):
            _, connection = await loop.create_connection(lambda: Connection(limits), address.host, address.port)
    except (OSError, TimeoutError) as error:
        raise Unreachable(f"{address}: {type(error).__name__}") from error
    return connection


class Pool:
    """Idle connections to one server, newest first: the newest is the likeliest to live."""

    def __init__(self, timeouts: Timeouts, limits: Limits) -> None:
        self._timeouts, self._limits = timeouts, limits
        self._idle: list[Connection] = []
        self._address: Address | None = None
        self._sweep: asyncio.TimerHandle | None = None

    def aim(self, address: Address | None) -> None:
        """Where to dial from now on; idle connections to elsewhere are closed."""
        if address != self._address:
            self.close()
        self._address = address

    def take(self) -> Connection | None:
        """An idle connection that lives, if there is one."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.alive:
                return connection
        return None

    async def get(self, *, fresh: bool) -> Connection:
        """An idle connection unless `fresh` is asked for, else a new one. Raises Unreachable."""
        idle = None if fresh else self.take()
        if idle is not None:
            return idle
        if self._address is None:
            raise Unreachable("the job has no address")
        return await dial(self._address, self._timeouts, self._limits)

    def put(self, connection: Connection) -> None:
        """Give one back after `head` and `read`; it is closed if it cannot be used again."""
        if connection.reusable:
            self.keep(connection)
        else:
            connection.abort("not kept")

    def keep(self, connection: Connection) -> None:
        """Give one back that is known to be usable."""
        if len(self._idle) >= self._limits.idle_upstream or not connection.alive:
            connection.abort("not kept")
            return
        connection.rest(time.monotonic())
        self._idle.append(connection)
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(self._timeouts.pool_idle, self._drop_old)

    def close(self) -> None:
        """Close what is idle."""
        if self._sweep is not None:
            self._sweep.cancel()
            self._sweep = None
        for connection in self._idle:
            connection.abort("the pool is closed")
        self._idle.clear()

    def _drop_old(self) -> None:
        """One timer for all: a connection is idle for `pool_idle` seconds at least, twice that at most."""
        self._sweep = None
        loop = asyncio.get_running_loop()
        limit = time.monotonic() - self._timeouts.pool_idle
        for connection in [one for one in self._idle if one.idle_since <= limit]:
            self._idle.remove(connection)
            connection.abort("idle for too long")
        if self._idle:
            self._sweep = loop.call_later(self._timeouts.pool_idle, self._drop_old)
