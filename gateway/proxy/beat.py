"""Something done again and again, until it is stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Beat:
    """`act` every so many seconds."""

    __slots__ = ("_act", "_seconds", "_timer")

    def __init__(self, seconds: float, act: Callable[[], None]) -> None:
        self._seconds, self._act = seconds, act
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """From now on."""
        self.stop()
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self._due)

    def stop(self) -> None:
        """No more. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _due(self) -> None:
        self.start()
        self._act()
