"""What the clients know of the moves, so that some of them are in the middle of something when one begins."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


def _set() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@dataclass
class Tide:
    """`held`: the gate is held and says so. Nobody waits any more when it is over."""

    over: bool = False
    halfway: int = 0
    """Clients that have sent or read half of something and wait for the next move."""
    _held: asyncio.Event = field(default_factory=asyncio.Event)
    _open: asyncio.Event = field(default_factory=_set)

    def hold(self) -> None:
        """A move has begun: new requests wait at the gate."""
        self._open.clear()
        self._held.set()

    def reopen(self) -> None:
        """The move is over."""
        self._held.clear()
        self._open.set()

    def end(self) -> None:
        """There are no more moves."""
        self.over = True
        self._held.set()
        self._open.set()

    async def open(self) -> None:
        """Until no move is under way."""
        await self._open.wait()

    @asynccontextmanager
    async def middle(self) -> AsyncIterator[None]:
        """For a block that begins in the middle of something, as soon as the next move has begun."""
        self.halfway += 1
        try:
            await self._held.wait()
        finally:
            self.halfway -= 1
        yield
