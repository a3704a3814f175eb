"""A browser's connection to one port, and the way from its bytes to exchanges.

aiohttp's own protocol serves the connection; this subclass adds what it lacks: a deadline for a whole request
head however slowly it drips, whom a trusted proxy asks for, and the handing over to a relay.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, cast

import structlog
from aiohttp import StreamReader, web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.http_parser import RawRequestMessage
from aiohttp.web_protocol import RequestHandler

from gateway.errors import Outcome

from .boundary import CHUNKED, UNKNOWN, Boundary
from .reply import refusal, refusal_without_request, reset
from .straight import Straight
from .trailers import Trailers
from .transport import SocketTransport

if TYPE_CHECKING:
    from aiohttp.web_request import BaseRequest

    from .listener import Listener, Seat

log = structlog.get_logger()

_LOOKS = 8  # turns of the loop; two are enough
_ESTABLISHED = 1  # tcp_info.tcpi_state, include/net/tcp_states.h


class BrowserConnection(RequestHandler):
    """A browser's connection to one port."""

    __slots__ = (
        "_ahead",
        "_boundary",
        "_has_jar",
        "_head",
        "_head_size",
        "_head_timer",
        "_listener",
        "_patience",
        "_seat",
        "_slow_timer",
        "_straight",
        "_trailers",
        "allowed",
        "client",
        "peer",
        "scheme",
        "served",
        "trusted",
    )

    def __init__(self, listener: Listener, manager: web.Server, loop: asyncio.AbstractEventLoop) -> None:
        limits, timeouts = listener.limits, listener.timeouts
        super().__init__(
            manager,
            loop=loop,
            keepalive_timeout=timeouts.keep_alive,
            access_log=None,  # type: ignore[arg-type]  # aiohttp's hint forbids what its code handles
            max_line_size=limits.target,
            max_headers=limits.header_count,
            max_field_size=limits.jar,
            auto_decompress=False,
        )
        self._listener = listener
        self._head_timer: asyncio.TimerHandle | None = None
        self._slow_timer: asyncio.TimerHandle | None = None
        self._straight = Straight(self, listener.door, loop)
        self._ahead = b""  # came while a straight exchange was under way
        self._boundary = Boundary(limits.head)  # of what aiohttp's parser has
        self._trailers: list[tuple[StreamReader, Trailers]] = []  # of requests that no exchange has begun yet
        self._head = bytearray()  # a head that is not whole yet, up to the limit for one without a jar
        self._head_size = 0  # its bytes
        self._has_jar = False  # it may be larger: the excess is cookies, and there is room for one of these
        self._patience = 0  # how often to look yet whether aiohttp waits again
        self.served = False  # the handler has answered all that came, and aiohttp is about to wait for more
        self._seat: Seat | None = None  # none: it was not admitted, or a relay has it
        self.peer = ""  # IP of the other end
        self.client, self.scheme = "", "http"  # whom it asks for: of the request, if the peer is a trusted proxy
        self.trusted = False
        self.allowed = True  # by the security groups, which judge each request of a trusted proxy

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        peer = transport.get_extra_info("peername")
        self.peer = self.client = peer[0] if peer else ""
        if peer:
            patience = round(self._listener.timeouts.write_idle * 1000)
            sock = transport.get_extra_info("socket")
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, patience)  # also while it is being closed
        self.trusted = self._listener.guard.trusts(self.peer)
        super().connection_made(transport)
        self._seat = self._listener.admit(self)
        if self._seat is None:
            self.force_close()
            return
        self._expect_head()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._head_came()
        self._no_jar()
        self._taken()
        self._straight.end()
        if self._seat is not None:
            self._listener.gone(self._seat)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._straight.busy or self._patience:
            self._ahead += data
            if self.transport is not None and len(self._ahead) > self._listener.limits.head:
                self.transport.pause_reading()
            return
        listener = self._listener
        listener.heard += 1
        if self._boundary.between and not self._paused and not self._messages and not self.trusted:
            waiter = self._waiter
            if waiter is not None and not waiter.done():  # aiohttp waits for a request
                if not listener.retiring and self._straight.accept(data, listener.door):
                    if self._head_timer is not None:
                        self._head_came()
                    return
            elif self.served and data:  # no data: aiohttp, about what it has kept
                self.served, self._ahead, self._patience = False, data, _LOOKS
                self._look_again()
                return
        self._to_aiohttp(data)

    def _look_again(self) -> None:
        """A quick client asks before aiohttp's task is done with the last answer: this one may go straight yet."""
        self._patience -= 1
        waiting = self._waiter is not None and not self._waiter.done()
        if self._patience and not waiting and self.transport is not None:
            self._loop.call_soon(self._look_again)
            return
        self._patience = 0
        if self.transport is not None:
            self.data_received(self._take_ahead())

    def _to_aiohttp(self, data: bytes) -> None:
        self.served = False
        before = self._request_count
        super().data_received(data)
        heads = self._request_count - before
        trailers = self._boundary.fed(data, heads, self._body_of_last() if heads else 0)
        if trailers is not None:
            self._trailers.append((self._messages[-1][1], trailers))
        partial = self._boundary.in_head and not self._upgraded
        if self._head_grows(data if partial else b""):
            self.write(refusal(Outcome.HEADERS_TOO_LARGE))
            self.force_close()
        elif not partial:
            self._head_came()
        elif self._head_timer is None:
            self._expect_head()

    def _head_grows(self, data: bytes) -> bool:
        """No data: it is whole. Whether it is larger now than may be."""
        limits = self._listener.limits
        if not data:
            if self._head_size:
                self._head_size = 0
                self._head.clear()
                self._no_jar()
            return False
        self._head_size += len(data)
        self._head += data[: limits.head - len(self._head)]
        if self._head_size <= limits.head:
            return False
        if not self._has_jar and b"\r\ncookie:" in self._head.lower():
            self._has_jar = self._listener.take_jar()
        return self._head_size > limits.head + limits.jar * self._has_jar

    def _no_jar(self) -> None:
        if self._has_jar:
            self._has_jar = False
            self._listener.jars -= 1

    def _body_of_last(self) -> int:
        """What the last head that the parser gave says of its body, for the boundary."""
        message = self._messages[-1][0] if self._messages else None
        if not isinstance(message, RawRequestMessage) or message.upgrade:
            return UNKNOWN
        return CHUNKED if message.chunked else int(message.headers.get("Content-Length", "0"))

    def trailers_of(self, body: StreamReader) -> Trailers | None:
        """What follows this chunked body, once it is at its end; None: it is not known. For bodies in their order."""
        while self._trailers:
            whose, trailers = self._trailers.pop(0)
            if whose is body:
                return trailers
        return None

    def believe(self, lines: Sequence[tuple[bytes, bytes]]) -> None:
        """A trusted proxy's request: who asks, and may they? Else nothing changes."""
        if self.trusted:
            guard = self._listener.guard
            origin = guard.proxies.origin(self.peer, lines)
            self.client, self.scheme = origin.client, origin.scheme
            if self._seat is not None:
                self._seat.client = origin.client
            self.allowed = guard.allows(self.client, self._listener.port)

    # What the straight path needs

    def write(self, data: bytes) -> None:
        """To the browser, unless it has left."""
        transport = self.transport
        if transport is not None and not transport.is_closing():
            transport.write(data)

    async def watch_peer(self) -> None:
        """End the connection when the browser has: one that is not read from does not notice by itself."""
        while (transport := self.transport) is not None:
            sock = transport.get_extra_info("socket")
            if sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != _ESTABLISHED:
                transport.abort()
                return
            await asyncio.sleep(self._listener.timeouts.peer_look)

    def take_other_path(self, data: bytes) -> None:
        """The straight path cannot serve this request."""
        if self.transport is not None:
            self._to_aiohttp(data + self._take_ahead())

    def cut(self) -> None:
        """End the connection with a reset: what has come is not whole, and nothing else says so."""
        reset(self.transport)

    def straight_done(self, *, keep: bool) -> None:
        """A straight exchange has ended."""
        if not keep or self._close or self._force_close:
            self.force_close()
            return
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if self._ahead:
            self.data_received(self._take_ahead())

    def _take_ahead(self) -> bytes:
        ahead, self._ahead = self._ahead, b""
        if self.transport is not None and len(ahead) > self._listener.limits.head:
            self.transport.resume_reading()
        return ahead

    def _process_keepalive(self) -> None:
        if self._straight.busy:
            self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        super()._process_keepalive()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._straight.flow(go=False)
        self._slow_timer = self._loop.call_later(self._listener.timeouts.write_idle, self.cut)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._taken()
        self._straight.flow(go=True)

    def _taken(self) -> None:
        if self._slow_timer is not None:
            self._slow_timer.cancel()
            self._slow_timer = None

    def _expect_head(self) -> None:
        self._head_timer = self._loop.call_later(self._listener.timeouts.head, self._head_is_late)

    def _head_came(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._current_request is None:
            self.force_close()

    def handle_error(
        self,
        request: BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What aiohttp's parser refused. It was no request: whatever follows on this connection is not read."""
        outcome = self._outcome_of(exc)
        log.info("not HTTP", client=self.client, port=self._listener.port, why=type(exc).__name__)
        return refusal_without_request(request, outcome)

    def _outcome_of(self, exc: BaseException | None) -> Outcome:
        """aiohttp has one exception for all lines; its limit tells which line it was."""
        if isinstance(exc, LineTooLong):
            of_target = str(self._listener.limits.target) in map(str, exc.args[1:])
            return Outcome.TARGET_TOO_LONG if of_target else Outcome.HEADERS_TOO_LARGE
        too_many = exc is not None and "Too many" in str(exc)
        return Outcome.HEADERS_TOO_LARGE if too_many else Outcome.BAD_REQUEST

    def hand_over(self) -> tuple[SocketTransport, bytes, Callable[[], None]]:
        """The socket, what came behind the handshake, and whom to tell of its end: this object is of no more use.

        All that was written has been sent (Reply.flushed). Raises OSError when there are too many files, and it stays
        as it was.
        """
        assert self._seat is not None
        transport = SocketTransport.take(cast(asyncio.Transport, self.transport), self._listener.limits.high_water)
        rest, self._message_tail = self._message_tail, b""
        if self._keepalive_handle is not None:
            self._keepalive_handle.cancel()
            self._keepalive_handle = None
        self._head_came()
        self._taken()
        self.transport = None
        self._parser = None
        self._straight.end()
        if self._manager is not None:
            self._manager.connection_lost(self, None)
            self._manager = None
        seat, self._seat = self._seat, None
        return transport, rest, partial(self._listener.gone, seat)
