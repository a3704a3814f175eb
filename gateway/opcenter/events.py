"""What changed, told inside this process: the loops listen to it, and so does everybody who reads /events."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from gateway.errors import Code, Refusal
from gateway.types import GatewayId

from .model import Job


@dataclass(frozen=True, slots=True)
class JobChanged:
    """The job as it is now."""

    job: Job


class What(enum.Enum):
    """What became of a gateway."""

    ORDERS = "orders"  # what it should be or serve
    NEWS = "news"  # what it says of itself
    GONE = "gone"  # destroyed


@dataclass(frozen=True, slots=True)
class GatewayChanged:
    """Something about the gateway changed."""

    gateway: GatewayId
    what: What = What.ORDERS


@dataclass(frozen=True, slots=True)
class Closing:
    """The OpCenter ends: the last event that a reader gets."""


Event = JobChanged | GatewayChanged | Closing


class Reader:
    """One subscriber. `next` waits; when it fell behind it is `lost` and gets nothing more."""

    def __init__(self, room: int) -> None:
        self._queue: asyncio.Queue[Event] = asyncio.Queue(room)
        self.lost = False

    async def next(self) -> Event:
        """The next event. Give it a deadline with `asyncio.timeout`."""
        return await self._queue.get()

    def put(self, event: Event) -> None:
        """Never waits."""
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            self.lost = True

    def end(self) -> None:
        """Nothing but Closing from now on."""
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(Closing())
        self.lost = True


class Bus:
    """Events go to `listeners` at once, in the order given, and to each reader's queue."""

    def __init__(self, room: int, readers: int) -> None:
        """`room`: events kept for a slow reader. `readers`: how many at once."""
        self._room = room
        self._most = readers
        self._readers: set[Reader] = set()
        self.closed = False
        """The OpCenter ends."""
        self.listeners: list[Callable[[Event], None]] = []

    def publish(self, event: Event) -> None:
        """Tell everybody."""
        for listener in self.listeners:
            listener(event)
        for reader in list(self._readers):
            reader.put(event)
            if reader.lost:
                self._readers.discard(reader)

    def close(self) -> None:
        """Let every reader end."""
        self.closed = True
        for reader in list(self._readers):
            reader.end()

    @contextmanager
    def reader(self) -> Iterator[Reader]:
        """Everything from now on. Raises Refusal when there are too many."""
        if len(self._readers) >= self._most:
            raise Refusal(Code.UNAVAILABLE, "Too many readers of events: close some and try again")
        reader = Reader(self._room)
        self._readers.add(reader)
        try:
            yield reader
        finally:
            self._readers.discard(reader)
