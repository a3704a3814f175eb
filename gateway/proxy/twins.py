"""Requests that ask for the same while a job is away: the first asks when it is back, the others get its answer.

Pollers of several tabs pile up before a job that moves, and would all come at once. Only requests whose heads for the
job are the same to the last byte, so those of one client with one login; only what reads and has no body; only
answers that are whole and small.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Copy:
    """An answer as it went to the first."""

    status: int
    data: bytes
    size: int
    """Bytes of body."""
    keep: bool
    """The connection can be used again."""


class Tape:
    """Records one answer, up to `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, data: bytes) -> None:
        """More of it went out."""
        self._size += len(data)
        if self._size > self._limit:
            self._parts.clear()
        else:
            self._parts.append(data)

    @property
    def data(self) -> bytes | None:
        """All of it; None if that is too much."""
        return b"".join(self._parts) if 0 < self._size <= self._limit else None


class Twins:
    """Who waits before one gate for what another has asked for. A key is all that a request says."""

    def __init__(self) -> None:
        self._first: dict[bytes, asyncio.Future[Copy | None]] = {}

    def elder(self, key: bytes) -> asyncio.Future[Copy | None] | None:
        """The answer that the first of this key will get; its result is None if it cannot be shared."""
        return self._first.get(key)

    def lead(self, key: bytes) -> None:
        """This one is the first."""
        self._first.setdefault(key, asyncio.get_running_loop().create_future())

    def settle(self, key: bytes, copy: Copy | None) -> None:
        """The first has been answered, or has left."""
        answer = self._first.pop(key)
        if not answer.done():
            answer.set_result(copy)
