"""What the widget's server knows of the gateway it belongs to: the last snapshot, and when it changes."""

from __future__ import annotations

import asyncio
import time

from gateway.types import Snapshot


class Desk:
    """The gateway puts snapshots here; the widget's requests read them and wait for the next one."""

    def __init__(self, opcenter: str, snapshot: Snapshot) -> None:
        """`opcenter` is the URL at which logins and actions are asked for."""
        self.opcenter = opcenter
        self.linked = False
        """Whether the gateway is in contact with the OpCenter now."""
        self.serial = 0
        """Grows with every piece of news."""
        self._snapshot = snapshot
        self._ahead = 0  # ms by which the OpCenter's clock is before ours; a snapshot from disk does not tell
        self._news = asyncio.Event()

    @property
    def snapshot(self) -> Snapshot:
        """The newest one."""
        return self._snapshot

    def now(self) -> int:
        """The OpCenter's clock, ms since the epoch: what `since` is to be compared with."""
        return _wall_clock() + self._ahead

    def update(self, snapshot: Snapshot) -> None:
        """A newer snapshot came."""
        self._snapshot = snapshot
        self._ahead = snapshot.now - _wall_clock()
        self.wake()

    def link(self, linked: bool) -> None:
        """Contact with the OpCenter was made or lost."""
        if linked != self.linked:
            self.linked = linked
            self.wake()

    async def change(self, after: int | None = None) -> None:
        """Return at the next news, at once if `serial` is not `after` any more. Give it a deadline."""
        if after is None or after == self.serial:
            await self._news.wait()

    def wake(self) -> None:
        """Let everybody who waits look again."""
        self.serial += 1
        self._news.set()
        self._news = asyncio.Event()


def _wall_clock() -> int:
    return time.time_ns() // 1_000_000
