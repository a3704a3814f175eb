"""The control port: the widget's server, an ordinary aiohttp application in the gateway's parent process."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from gateway.config import Limits
from gateway.cookieless import CookielessConnection
from gateway.errors import Outcome
from gateway.types import Rule
from widget import policy
from widget.desk import Desk
from widget.office import OFFICE
from widget.server import build_app

from . import succession
from .guard import Guard
from .metrics import Metrics
from .ports import open_port

_POLICY = {**policy.ALWAYS, "Content-Security-Policy": policy.NOTHING}


class _Connection(CookielessConnection):
    """A browser's connection to the control port; the security groups hold here too."""

    __slots__ = ("_guard", "_port")

    def __init__(self, manager: web.Server, loop: asyncio.AbstractEventLoop, guard: Guard, port: int) -> None:
        super().__init__(manager, loop, Limits(), _POLICY, _says)
        self._guard, self._port = guard, port

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        address = peer[0] if peer else ""
        if not self._guard.trusts(address) and not self._guard.allows(address, self._port):
            self.force_close()


def _says(outcome: Outcome) -> dict[str, str]:
    return {"message": outcome.sentence}


def _believing(guard: Guard, port: int) -> Middleware:
    """A trusted proxy's requests are taken for those of whom it names, if these may come here."""

    @web.middleware
    async def believe(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.remote is None or not guard.trusts(request.remote):
            return await handler(request)
        origin = guard.proxies.origin(request.remote, request.raw_headers)
        if not guard.allows(origin.client, port):
            return web.json_response({"message": Outcome.REFUSED.sentence}, status=Outcome.REFUSED.status)
        return await handler(request.clone(scheme=origin.scheme, remote=origin.client))

    return believe


class ControlPort:
    """Serves on one address; another address closes the first."""

    def __init__(self, desk: Desk, home: Path) -> None:
        self._guard = Guard()
        self._names: frozenset[str] = frozenset()
        self.metrics = Metrics()
        self._desk, self._home = desk, home
        self.at: tuple[str, int] | None = None
        """Where it listens."""
        self._socket: socket.socket | None = None
        self._runner: web.AppRunner | None = None
        self._server: asyncio.Server | None = None
        self._sessions: list[dict[str, Any]] = []

    def set(self, rules: Iterable[Rule], trusted: Iterable[str], names: Iterable[str]) -> None:
        """Who may connect, whose word is taken for it, and our host names. Raises ValueError."""
        self._guard.set(rules, trusted)
        self._names = frozenset(names)
        if self._runner is not None:
            self._runner.app[OFFICE].names = self._names

    def inherit(self, estate: succession.Estate) -> None:
        """Go on where the program before us was: browsers stand in the socket's backlog meanwhile."""
        self._sessions = estate.sessions
        if estate.control is not None:
            self._socket, self.at = succession.listening(estate.control), estate.at

    def fileno(self) -> int | None:
        """The listening socket, for a successor."""
        return None if self._socket is None else self._socket.fileno()

    def sessions(self) -> list[dict[str, Any]]:
        """The logins, for a successor."""
        return self._sessions if self._runner is None else self._runner.app[OFFICE].sessions.to_json()

    async def serve(self, bind: str, port: int) -> None:
        """Listen there, unless that is so already. Raises OSError."""
        if self._server is not None and self.at == (bind, port):
            return
        if self.at != (bind, port):
            await self.close()
            self._socket, self.at = await open_port(bind, port, 0), (bind, port)
        assert self._socket is not None
        loop = asyncio.get_running_loop()
        app = build_app(self._desk, home=self._home, names=self._names)
        app.middlewares.insert(0, _believing(self._guard, port))
        app[OFFICE].sessions.take_over(self._sessions)
        app.router.add_get("/metrics", self.metrics.answer)
        self._runner = runner = web.AppRunner(app, shutdown_timeout=1)
        await runner.setup()
        manager = runner.server
        assert manager is not None
        self._server = await loop.create_server(
            lambda: _Connection(manager, loop, self._guard, port), sock=self._socket.dup()
        )

    async def pause(self) -> None:
        """Stop serving, but not listening. `serve` goes on."""
        self._sessions = self.sessions()
        if self._server is not None:
            self._server.close()
        if self._runner is not None:
            await self._runner.cleanup()
        self._runner, self._server = None, None

    async def close(self) -> None:
        """Stop serving and listening. Idempotent."""
        await self.pause()
        if self._socket is not None:
            self._socket.close()
        self._socket, self.at = None, None
