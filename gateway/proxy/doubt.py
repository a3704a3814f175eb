"""Which frames a job has read for certain: it is asked by a ping, once in a while, and its pong is the answer.

A job that is lost without a word may not have read what was sent last. Who knows that it has can carry on with
another connection; who does not must tell the browser to come back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_MARK = b"floatgate read "


class Doubt:
    """About what was sent on one connection. `ask(payload)` sends a ping; False if that is not possible now."""

    __slots__ = ("_after", "_ask", "_read", "sent", "timer")

    def __init__(self, after: float, ask: Callable[[bytes], bool]) -> None:
        """`after`: seconds from a frame until the ping."""
        self._after, self._ask = after, ask
        self._read = 0
        self.sent = 0
        """Times that bytes of frames were sent."""
        self.timer: asyncio.TimerHandle | None = None
        """Until the ping; None: nothing has been sent since the last, and `arm` comes with what is sent next."""

    @property
    def exists(self) -> bool:
        """Something was sent of which nobody knows whether it was read."""
        return self.sent > self._read

    def count(self) -> None:
        """Bytes of frames have been sent."""
        self.sent += 1
        if self.timer is None:
            self.arm()

    def arm(self) -> None:
        """Ask after a while."""
        self.timer = asyncio.get_running_loop().call_later(self._after, self._due)

    def settles(self, pong: bytes) -> bool:
        """Whether this pong is an answer of ours; what it says is noted."""
        if not pong.startswith(_MARK):
            return False
        self._read = max(self._read, int(pong.removeprefix(_MARK)))
        return True

    def stop(self) -> None:
        """Ask no more."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def _due(self) -> None:
        self.timer = None
        if self.exists and not self._ask(_MARK + b"%d" % self.sent):
            self.arm()
