"""An answer on its way to the browser, written as the bytes that it is.

aiohttp is the server, but its responses build their head from a dictionary and add lines of their own; ours come
from the job or from pages.py and go out as they are. To aiohttp a `Reply` is a response that has been sent already.
"""

from __future__ import annotations

import asyncio
import enum
import http
import json
import socket
import struct
from contextlib import suppress
from typing import Any, cast

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from gateway.errors import Outcome

from .headers import RawHeaders, answer_head
from .twins import Copy, Tape

_AT_ONCE = struct.pack("ii", 1, 0)  # socket(7), SO_LINGER: what closes resets


class Form(enum.Enum):
    """How the end of the body is told."""

    NONE = "none"  # there is no body
    DECLARED = "declared"  # the lines have a Content-Length
    OPEN = "open"  # nobody knows: chunked, or until close for a client of HTTP/1.0


class ClientGone(Exception):
    """The browser left, or takes nothing any more."""


class Reply(web.StreamResponse):
    """One answer. `begin`, then `send` as often as there is something, then `finish`."""

    def __init__(self, request: web.BaseRequest, write_idle: float) -> None:
        super().__init__()
        self.begun = False
        self.finished = False
        self.size = 0
        """Bytes of body written."""
        self.tape: Tape | None = None
        """Records what goes out, for others who ask for the same."""
        self._to = request
        self._write_idle = write_idle
        self._chunked = False
        self._until_close = False  # the connection's end is the body's
        self._was_cut = False
        self._set_keep(request.keep_alive)

    def _set_keep(self, keep: bool) -> None:
        self._keep_alive = keep

    def last(self) -> None:
        """No other request is read from this connection."""
        self._set_keep(False)

    def begin(self, status: int, reason: bytes, headers: RawHeaders, form: Form) -> None:
        """Write the head, once: a second one would be bytes of the first one's body. Raises ClientGone."""
        if self.begun:
            raise RuntimeError("an answer has one head")
        self.set_status(status, reason.decode("latin-1"))
        lines = list(headers)
        modern = self._to.version >= (1, 1)
        if form is Form.OPEN and modern:
            self._chunked = True
            lines.append((b"Transfer-Encoding", b"chunked"))
        elif form is Form.OPEN:
            self._until_close = True
            self._set_keep(False)
        if not self._keep_alive:
            lines.append((b"Connection", b"close"))
        elif not modern:
            lines.append((b"Connection", b"keep-alive"))
        self.begun = True
        self._put(answer_head(status, reason, lines))

    def interim(self, status: int, reason: bytes, headers: RawHeaders) -> None:
        """An answer before the answer, such as 103 Early Hints."""
        if self._to.version >= (1, 1):
            self._put(answer_head(status, reason, headers))

    async def send(self, data: bytes) -> None:
        """Write bytes of the body and wait until there is room for more. Raises ClientGone."""
        if not data:
            return
        self.size += len(data)
        self._put(b"%x\r\n%b\r\n" % (len(data), data) if self._chunked else data)
        await self._drain()

    async def finish(self, trailers: RawHeaders | None = None) -> None:
        """The body is complete. `trailers` follow it if its framing allows. Raises ClientGone."""
        if self._chunked:
            self._put(b"0\r\n%b\r\n" % b"".join(b"%b: %b\r\n" % line for line in trailers or ()))
        self.finished = True
        await self._drain()

    @property
    def copy(self) -> Copy | None:
        """What was recorded, if it is whole."""
        data = self.tape.data if self.tape is not None and self.finished and not self._was_cut else None
        return None if data is None else Copy(self.status, data, self.size, bool(self._keep_alive))

    async def repeat(self, copy: Copy) -> None:
        """Answer what another one was answered. Raises ClientGone."""
        self.set_status(copy.status)
        self.begun, self.size = True, copy.size
        if not copy.keep:
            self.last()
        self._put(copy.data)
        self.finished = True
        await self._drain()

    def cut(self) -> None:
        """End here, so that the client sees that something is missing."""
        if self._until_close and not self.finished:
            reset(self._to.transport)  # a quiet end would be the body's
        self.finished = self._was_cut = True
        self._set_keep(False)

    def _put(self, data: bytes) -> None:
        transport = self._to.transport
        if transport is None or transport.is_closing():
            raise ClientGone
        transport.write(data)
        if self.tape is not None:
            self.tape.add(data)

    async def flushed(self) -> None:
        """Wait until all that was written to this client has been sent. Raises ClientGone."""
        transport = self._to.transport
        if transport is not None and not transport.is_closing():
            transport.set_write_buffer_limits(high=0)
            await self._drain()
        if transport is None or transport.is_closing():
            raise ClientGone

    async def _drain(self) -> None:
        transport = self._to.transport
        try:
            async with asyncio.timeout(self._write_idle):
                await self._to.protocol._drain_helper()
        except TimeoutError as error:
            reset(transport)  # to close it would wait until what is buffered is taken
            raise ClientGone from error
        except ConnectionError as error:
            raise ClientGone from error

    # What aiohttp calls after the handler

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Nothing is left to prepare."""
        return None

    async def write_eof(self, data: Any = b"") -> None:
        """Nothing is left to write."""

    @property
    def body_length(self) -> int:
        """Bytes of body written, for logs."""
        return self.size


def reset(transport: asyncio.BaseTransport | None) -> None:
    """End a connection at once with a TCP reset, whatever is still buffered here or in the kernel."""
    if transport is None:
        return
    with suppress(OSError):  # it is closed already
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
    cast(asyncio.Transport, transport).abort()


class HandedOver(Reply):
    """The connection belongs to a relay now: aiohttp must leave it alone."""

    def __init__(self, request: web.BaseRequest) -> None:
        super().__init__(request, 0)
        self.begun = self.finished = True
        self._set_keep(False)


def refusal(outcome: Outcome) -> bytes:
    """A short answer for programs, whole; the connection ends with it. Clients look for a message in JSON."""
    body = json.dumps({"message": outcome.sentence, "reason": outcome.name}).encode()
    lines: RawHeaders = [
        (b"Content-Type", b"application/json"),
        (b"Content-Length", b"%d" % len(body)),
        (b"Cache-Control", b"no-store"),
        (b"X-Floatgate-Outcome", outcome.name.encode()),
        (b"Connection", b"close"),
    ]
    if outcome.retry_after is not None:
        lines.append((b"Retry-After", b"%d" % outcome.retry_after))
    return answer_head(outcome.status, http.HTTPStatus(outcome.status).phrase.encode(), lines) + body


def refusal_without_request(request: web.BaseRequest, outcome: Outcome) -> Reply:
    """The answer to bytes that are no request."""
    reply = Reply(request, 0)
    reply.cut()
    with suppress(ClientGone):
        reply._put(refusal(outcome))
        reply.begun = True
    return reply
