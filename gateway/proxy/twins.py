"""Requests that ask for the same while a job is away: the first asks when it is back, the others get its answer.

Pollers of several tabs pile up before a job that moves, and would all come at once. Only requests whose heads for the
job are the same to the last byte; only what reads, has no body and is no page; only answers that are whole, small and
for all who say the same (`may_share`). Who waits for an answer that is none of these goes on by itself, and so does
who waits for one that does not come: it may be a long poll's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from .headers import RawHeaders, values

_PRIVATE = frozenset([b"private", b"no-store"])


def may_share(asked: RawHeaders, answered: RawHeaders) -> bool:
    """Whether an answer may be given to others who say the same. Both lists as the job has them.

    Two persons behind one address, with one kind of browser and no login yet, say the same. So a new session is only
    for who began it, and what a shared cache may not keep (RFC 9111 §5.2.2.5, §5.2.2.7) only for who shows a login,
    as pollers do: who shows the same one is the same person.
    """
    if values(answered, b"set-cookie") or b"*" in _tokens(answered, b"vary"):
        return False
    shows_login = bool(values(asked, b"cookie") or values(asked, b"authorization"))
    return shows_login or not _PRIVATE & _tokens(answered, b"cache-control")


def _tokens(lines: RawHeaders, name: bytes) -> set[bytes]:
    """The members of a list header, without their values."""
    members = b",".join(values(lines, name)).split(b",")
    return {one.partition(b"=")[0].strip().lower() for one in members}


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
    """Records one answer, up to `limit` bytes; `full` is called when it is more."""

    def __init__(self, limit: int, full: Callable[[], None]) -> None:
        self._limit, self._full = limit, full
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, data: bytes) -> None:
        """More of it went out."""
        self._size += len(data)
        if self._size > self._limit:
            self._parts.clear()
            self._full()
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

    def lead(self, key: bytes) -> asyncio.Future[Copy | None]:
        """This one is the first: what the others wait for, to be settled."""
        answer = self._first[key] = asyncio.get_running_loop().create_future()
        return answer

    def settle(self, key: bytes, answer: asyncio.Future[Copy | None], copy: Copy | None) -> None:
        """The first has been answered, or has left, or none of the others may wait any longer. May be said twice."""
        if self._first.get(key) is answer:
            del self._first[key]
        if not answer.done():
            answer.set_result(copy)
