"""How fast the line before a job moves after it has come back.

A job that has just been restored is slow, and all that waited for it would come at once. So only so many of them are
under way at a time: the next goes when one is answered. A long poll is not answered for a long while, so nobody counts
for longer than `seconds`. A quick job has its line answered as fast as it can; a slow one is not knocked over.
"""

from __future__ import annotations

import asyncio


class Release:
    """Places for those who waited. `width`: how many; `seconds`: the longest that one counts."""

    def __init__(self, width: int, seconds: float) -> None:
        self.under_way: dict[object, asyncio.TimerHandle] = {}
        """Who has a place, and when that ends."""
        self._width, self._seconds = width, seconds
        self._freed = asyncio.Event()

    async def place(self) -> None:
        """Wait until there is one."""
        while len(self.under_way) >= self._width:
            self._freed.clear()
            await self._freed.wait()

    def take(self, who: object) -> None:
        """It goes on now."""
        loop = asyncio.get_running_loop()
        self.under_way[who] = loop.call_later(self._seconds, self.free, who)

    def free(self, who: object) -> None:
        """It has been answered, has left, or has had its time. May be said twice."""
        timer = self.under_way.pop(who, None)
        if timer is not None:
            timer.cancel()
            self._freed.set()
