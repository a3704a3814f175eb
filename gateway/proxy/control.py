"""The control port: the widget's server, an ordinary aiohttp application in the gateway's parent process."""

from __future__ import annotations

import asyncio
from pathlib import Path

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from widget.desk import Desk
from widget.server import build_app

from .guard import Guard
from .metrics import Metrics


class _Connection(RequestHandler):
    """A browser's connection to the control port; the security groups hold here too."""

    __slots__ = ("_guard", "_port")

    def __init__(self, manager: web.Server, loop: asyncio.AbstractEventLoop, guard: Guard, port: int) -> None:
        super().__init__(manager, loop=loop, access_log=None)  # type: ignore[arg-type]  # None switches it off
        self._guard, self._port = guard, port

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        peer = transport.get_extra_info("peername")
        if not self._guard.allows(peer[0] if peer else "", self._port):
            self.force_close()


class ControlPort:
    """Serves on one address; another address closes the first."""

    def __init__(self, desk: Desk, home: Path) -> None:
        self.guard = Guard()
        self.metrics = Metrics()
        self._desk, self._home = desk, home
        self._runner: web.AppRunner | None = None
        self._server: asyncio.Server | None = None
        self._at: tuple[str, int] | None = None

    async def serve(self, bind: str, port: int) -> None:
        """Listen there, unless that is so already. Raises OSError."""
        if self._at == (bind, port):
            return
        await self.close()
        loop = asyncio.get_running_loop()
        app = build_app(self._desk, home=self._home)
        app.router.add_get("/metrics", self.metrics.answer)
        self._runner = runner = web.AppRunner(app, shutdown_timeout=1)
        await runner.setup()
        manager = runner.server
        assert manager is not None
        self._server = await loop.create_server(
            lambda: _Connection(manager, loop, self.guard, port), bind, port, reuse_address=True
        )
        self._at = (bind, port)

    async def close(self) -> None:
        """Stop serving. Idempotent."""
        if self._server is not None:
            self._server.close()
        if self._runner is not None:
            await self._runner.cleanup()
        self._runner, self._server, self._at = None, None, None
