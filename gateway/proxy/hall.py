"""What waits before all jobs of one worker: bounds of the gateway, besides those of each job.

Pure. A port belongs to one worker, so each worker has its share of the gateway's bounds to itself, in one piece.
"""

from __future__ import annotations

from collections.abc import Callable


class Hall:
    """One for each worker; every gate of it takes places and bytes from here too."""

    def __init__(self, most_waiting: int, most_bytes: int) -> None:
        """The gateway's bounds: `share` says how much of them is this worker's."""
        self._gateway = (most_waiting, most_bytes)
        self._most_waiting, self._most_bytes = self._gateway
        self._line: dict[object, Callable[[], None]] = {}  # oldest first
        self._bytes = 0

    @property
    def waiting(self) -> int:
        """How many wait, before whichever job."""
        return len(self._line)

    @property
    def room(self) -> int:
        """Bytes of held bodies for which there is room."""
        return self._most_bytes - self._bytes

    def share(self, workers: int) -> None:
        """So many workers divide the bounds; one place each at least."""
        self._most_waiting, self._most_bytes = (max(1, bound // max(1, workers)) for bound in self._gateway)

    def enter(self, who: object, shed: Callable[[], None]) -> None:
        """Somebody waits. If that is one too many the oldest is shed, who has waited longest already."""
        self._line[who] = shed
        if len(self._line) > self._most_waiting:
            oldest = next(iter(self._line))
            self._line.pop(oldest)()

    def leave(self, who: object) -> None:
        """Called, shed, gone, or out of time. May be said twice."""
        self._line.pop(who, None)

    def take(self, count: int) -> bool:
        """Whether there was room for so many bytes of held bodies; they are taken then."""
        if count > self.room:
            return False
        self._bytes += count
        return True

    def give(self, count: int) -> None:
        """They are free again."""
        self._bytes -= count
