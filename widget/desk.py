"""What the widget's server knows of the gateway it belongs to: the last snapshot, and when it changes."""

from __future__ import annotations

import asyncio

from gateway.types import Snapshot


class Desk:
    """The gateway puts snapshots here; the widget's requests read them and wait for the next one."""

    def __init__(self, opcenter: str, snapshot: Snapshot) -> None:
        """`opcenter` is the URL at which logins and actions are asked for."""
        self.opcenter = opcenter
        self.linked = False
        """Whether the gateway is in contact with the OpCenter now."""
        self._snapshot = snapshot
        self._news = asyncio.Event()

    @property
    def snapshot(self) -> Snapshot:
        """The newest one."""
        return self._snapshot

    def update(self, snapshot: Snapshot) -> None:
        """A newer snapshot came."""
        self._snapshot = snapshot
        self._wake()

    def link(self, linked: bool) -> None:
        """Contact with the OpCenter was made or lost."""
        if linked != self.linked:
            self.linked = linked
            self._wake()

    async def change(self) -> None:
        """Return at the next `update` or `link`. Give it a deadline with `asyncio.timeout`."""
        await self._news.wait()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
