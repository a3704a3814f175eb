"""The control port: the widget's server, an ordinary aiohttp application in the gateway's parent process."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from widget.desk import Desk
from widget.server import build_app


class ControlPort:
    """Serves on one address; another address closes the first."""

    def __init__(self, desk: Desk, home: Path) -> None:
        self._desk, self._home = desk, home
        self._runner: web.AppRunner | None = None
        self._at: tuple[str, int] | None = None

    async def serve(self, bind: str, port: int) -> None:
        """Listen there, unless that is so already. Raises OSError."""
        if self._at == (bind, port):
            return
        await self.close()
        runner = web.AppRunner(build_app(self._desk, home=self._home), access_log=None, shutdown_timeout=1)
        await runner.setup()
        self._runner = runner
        await web.TCPSite(runner, bind, port).start()
        self._at = (bind, port)

    async def close(self) -> None:
        """Stop serving. Idempotent."""
        if self._runner is not None:
            await self._runner.cleanup()
        self._runner, self._at = None, None
