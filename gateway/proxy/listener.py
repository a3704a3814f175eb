"""One port: accept, rules, limits, and the way from a connection to its exchanges.

aiohttp's own protocol serves the connection; this subclass adds what it lacks: the security groups' rules, a limit
on connections, a deadline for a whole request head however slowly it drips, and the handing over to a relay.
"""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, cast

import structlog
from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler

from gateway.errors import Outcome

from .guard import Guard
from .reply import refusal, refusal_without_request
from .straight import Straight

if TYPE_CHECKING:
    from aiohttp.web_request import BaseRequest

    from .door import Door

log = structlog.get_logger()

_ESTABLISHED = 1  # tcp_info.tcpi_state, include/net/tcp_states.h
_AT_ONCE = 0.01  # seconds: aiohttp takes 0 for `however long it takes`

Handler = Callable[["BaseRequest"], Awaitable[web.StreamResponse]]


class BrowserConnection(RequestHandler):
    """A browser's connection to one port."""

    __slots__ = ("_ahead", "_head_size", "_head_timer", "_listener", "_partial", "_slow_timer", "_straight", "client")

    def __init__(self, listener: Listener, manager: web.Server, loop: asyncio.AbstractEventLoop) -> None:
        limits, timeouts = listener.limits, listener.timeouts
        super().__init__(
            manager,
            loop=loop,
            keepalive_timeout=timeouts.keep_alive,
            access_log=None,  # type: ignore[arg-type]  # aiohttp's hint forbids what its code handles
            max_line_size=limits.target,
            max_headers=limits.header_count,
            max_field_size=limits.head,
            auto_decompress=False,
        )
        self._listener = listener
        self._head_timer: asyncio.TimerHandle | None = None
        self._slow_timer: asyncio.TimerHandle | None = None
        self._straight = Straight(self, listener.door, loop)
        self._ahead = b""  # came while a straight exchange was under way
        self._partial = False  # aiohttp's parser has the beginning of a head
        self._head_size = 0  # bytes of a head that is not whole yet
        self.client = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        peer = transport.get_extra_info("peername")
        self.client = peer[0] if peer else ""
        super().connection_made(transport)
        if not self._listener.admit(self):
            self.force_close()
            return
        self._expect_head()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._head_came()
        self._taken()
        self._straight.client_gone()
        self._listener.gone(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._straight.busy:
            self._ahead += data
            if self.transport is not None and len(self._ahead) > self._listener.limits.head:
                self.transport.pause_reading()
            return
        listener = self._listener
        listener.heard += 1
        waiter = self._waiter  # aiohttp waits for a request, and has no part of one
        idle = waiter is not None and not waiter.done() and not self._partial and not self._messages
        if idle and not listener.retiring and self._straight.accept(data, listener.door):
            if self._head_timer is not None:
                self._head_came()
            return
        self._to_aiohttp(data)

    def _to_aiohttp(self, data: bytes) -> None:
        before, waiter = self._request_count, self._waiter
        idle = not before or (waiter is not None and not waiter.done())  # else these are bytes of a body
        super().data_received(data)
        self._partial = idle and self._request_count == before
        self._head_size = self._head_size + len(data) if self._partial and not self._upgraded else 0
        if self._head_size > self._listener.limits.head:
            self.write(refusal(Outcome.HEADERS_TOO_LARGE))
            self.force_close()
        elif not self._partial:
            self._head_came()
        elif self._head_timer is None and not self._upgraded:
            self._expect_head()

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

    def straight_done(self, *, keep: bool) -> None:
        """A straight exchange has ended."""
        if not keep or self._close or self._force_close:
            self.force_close()
            return
        self._next_keepalive_close_time = self._loop.time() + self._keepalive_timeout
        if self._ahead:
            self._loop.call_soon(self.data_received, self._take_ahead())

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
        self._slow_timer = self._loop.call_later(self._listener.timeouts.write_idle, self.force_close)

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

    def hand_over(self) -> tuple[asyncio.Transport, bytes]:
        """The transport and what came behind the handshake. aiohttp has done with this connection."""
        transport = cast(asyncio.Transport, self.transport)
        rest, self._message_tail = self._message_tail, b""
        if self._keepalive_handle is not None:
            self._keepalive_handle.cancel()
            self._keepalive_handle = None
        self._head_came()
        self.transport = None
        self._parser = None
        if self._manager is not None:
            self._manager.connection_lost(self, None)
            self._manager = None
        return transport, rest

    def left(self) -> None:
        """The relay that had the connection has ended."""
        self._listener.gone(self)


class Listener:
    """A listening socket and the connections that came by it."""

    def __init__(self, door: Door, handler: Handler, guard: Guard) -> None:
        """`handler` serves what does not go straight."""
        self.port = door.gate.listener.port
        self.door = door
        self.timeouts, self.limits = door.config.timeouts, door.config.limits
        self.retiring = False
        """Each answer is its connection's last: a newer worker has the port."""
        self.empty = asyncio.Event()
        """Set while `retiring`, when the last connection has gone."""
        self.heard = 0
        """Times that bytes came from a browser: its growth is activity."""
        self._guard = guard
        self._manager = web.Server(handler, handler_cancellation=True, access_log=None)
        self._server: asyncio.Server | None = None
        self._connections: set[BrowserConnection] = set()
        self._of_client: Counter[str] = Counter()

    @property
    def clients(self) -> set[str]:
        """IPs of the browsers that are connected now."""
        return set(self._of_client)

    async def open(self, sock: socket.socket) -> None:
        """Accept on a socket that listens already."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: BrowserConnection(self, self._manager, loop), sock=sock)

    def retire(self) -> None:
        """Accept no more. Others have the same socket: nobody who stands in its backlog is lost.

        An idle connection is not closed here, since its next request may be on its way: it gets its answer, and with
        it `Connection: close`, or ends by the time-out that it has anyway.
        """
        self.retiring = True
        if self._server is not None:
            self._server.close()
        self._look_empty()

    def _look_empty(self) -> None:
        if self.retiring and not self._connections:
            self.empty.set()

    async def close(self, patience: float) -> None:
        """Accept no more, let answers under way finish for `patience` seconds, then cut them."""
        if self._server is not None:
            self._server.close()
        self._manager.pre_shutdown()  # ends those that wait for a request
        await self._manager.shutdown(max(patience, _AT_ONCE))

    def admit(self, connection: BrowserConnection) -> bool:
        """Whether it may stay."""
        client, limits = connection.client, self.limits
        if len(self._connections) >= limits.connections_per_listener:
            return False
        if self._of_client[client] >= limits.connections_per_client or not self._guard.allows(client, self.port):
            return False
        self._connections.add(connection)
        self._of_client[client] += 1
        return True

    def gone(self, connection: BrowserConnection) -> None:
        """It is closed, or a relay's."""
        if connection in self._connections:
            self._connections.discard(connection)
            self._of_client[connection.client] -= 1
            if not self._of_client[connection.client]:
                del self._of_client[connection.client]
            self._look_empty()
