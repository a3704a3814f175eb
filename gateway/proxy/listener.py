"""One port: accept, rules, limits, and the end of it."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from aiohttp import web

from .browser import BrowserConnection
from .guard import Guard

if TYPE_CHECKING:
    from aiohttp.web_request import BaseRequest

    from .door import Door

_AT_ONCE = 0.01  # seconds: aiohttp takes 0 for `however long it takes`

Handler = Callable[["BaseRequest"], Awaitable[web.StreamResponse]]


@dataclass(slots=True, eq=False)
class Seat:
    """A connection as the port counts it, whoever has it now: a few bytes for as long as a WebSocket lasts."""

    peer: str
    """IP of the other end."""
    client: str
    """IP that it asks for: another one if the peer is a trusted proxy."""


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
        self.jars = 0
        """Heads larger than others may be that are being read: their excess is cookies."""
        self.guard = guard
        self._handler = handler
        self._manager = web.Server(self._serve, handler_cancellation=True, access_log=None)
        self._server: asyncio.Server | None = None
        self._seats: set[Seat] = set()
        self._of_client: Counter[str] = Counter()

    @property
    def clients(self) -> set[str]:
        """IPs of the browsers that are connected now."""
        return {one.client for one in self._seats}

    async def _serve(self, request: BaseRequest) -> web.StreamResponse:
        connection = cast(BrowserConnection, request.protocol)
        connection.served = False
        connection.believe(request.raw_headers)
        answer = await self._handler(request)
        connection.served = not request.body_exists
        return answer

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
        if self.retiring and not self._seats:
            self.empty.set()

    async def close(self, patience: float) -> None:
        """Accept no more, let answers under way finish for `patience` seconds, then cut them."""
        if self._server is not None:
            self._server.close()
        self._manager.pre_shutdown()  # ends those that wait for a request
        await self._manager.shutdown(max(patience, _AT_ONCE))

    def admit(self, connection: BrowserConnection) -> Seat | None:
        """Its seat, if it may stay."""
        peer, limits = connection.peer, self.limits
        if len(self._seats) >= limits.connections_per_listener:
            return None
        if not connection.trusted and not self._admits_client(peer):
            return None
        seat = Seat(peer, peer)
        self._seats.add(seat)
        self._of_client[peer] += 1
        return seat

    def take_jar(self) -> bool:
        """Whether there is room for one more of `jars`; then it counts."""
        room = self.jars < self.limits.large_heads
        self.jars += room
        return room

    def _admits_client(self, client: str) -> bool:
        few = self._of_client[client] < self.limits.connections_per_client
        return few and self.guard.allows(client, self.port)

    def gone(self, seat: Seat) -> None:
        """The connection has ended."""
        self._seats.discard(seat)
        self._of_client[seat.peer] -= 1
        if not self._of_client[seat.peer]:
            del self._of_client[seat.peer]
        self._look_empty()
