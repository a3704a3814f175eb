"""A connection to a job, and the border where foreign errors become ours.

A `Connection` carries one exchange at a time. Its head is collected here, bounded, and read whole (answer.py); bodies
with a length or without framing are passed on as they come, chunked ones are read. Nothing is decoded.
"""

from __future__ import annotations

import asyncio
import enum
from collections import deque
from typing import Protocol, cast

from gateway.config import Limits
from gateway.types import Address

from .answer import Answer, BadAnswer, Framing, Reading, UpstreamError
from .headers import RawHeaders
from .transport import SocketTransport

_END_OF_HEAD = b"\r\n\r\n"
_SWITCHING = 101
_CHUNK_COST = 64  # bytes that a queued chunk takes besides its own


class Unreachable(UpstreamError):
    """No connection could be made: nothing was sent."""


class Lost(UpstreamError):
    """The connection ended before the answer did."""


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
        self._reading: Reading | None = None
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
        self.address: Address | None = None
        """Where it leads, as the pool that dialled it says."""
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
        self._interims = 0
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
    def trailers(self) -> RawHeaders:
        """What followed the body that was read."""
        return self._reading.trailers if self._reading is not None else []

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

    def take(self) -> tuple[SocketTransport, bytes]:
        """After a 101: the socket, and what has come behind the head. Raises UpstreamError."""
        transport = self._transport
        if transport is None or transport.is_closing():
            raise self._error or Lost("the connection is closed")
        if transport.get_write_buffer_size():
            raise BadAnswer("a 101 to a request that was not read yet")
        try:
            taken = SocketTransport.take(transport, self._limits.high_water)
        except OSError as error:
            raise Lost("too many files are open") from error
        self._transport, self._phase = None, _Phase.TAKEN
        return taken, b"".join(self._chunks)

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
        self._reading = Reading(self._method, self._limits)
        answer = self._reading.head(head)
        self._keep = self._reading.keep
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
                self._on_chunks(data)
            case Framing.CLOSE | Framing.NONE:
                self._queue(data)

    def _on_chunks(self, data: bytes) -> None:
        assert self._reading is not None
        for piece in self._reading.chunks(data):
            self._queue(piece)
        if self._reading.complete:
            self._phase, self._keep = _Phase.DONE, self._reading.keep

    def _queue(self, data: bytes) -> None:
        if not data:
            return
        self._chunks.append(data)
        self._queued += len(data) + _CHUNK_COST
        if self._queued >= self._limits.high_water and self._transport is not None:
            self._transport.pause_reading()
