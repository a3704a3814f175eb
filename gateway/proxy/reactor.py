"""Reads and writes for all WebSockets of a worker, many of them in one turn of the event loop.

An event loop's transport takes longer over a short message than a relay does. So the sockets of relays are watched by
an epoll of their own, which the loop watches as one file. When it is ready there is a turn: what has come is read,
socket by socket, and goes to its receiver, until nothing more is there; then all that was written meanwhile goes out.
Who gets many messages at once has less to do for each, and so have we.

Laws
 1. What is written to a socket goes out in its order: during a turn by `out`, else at once, and never past what its
    transport still keeps (transport.py).
 2. What a socket has is told once (edge-triggered: the kernel need not look at each again in every turn). A read that
    did not fill its buffer has taken all; after any other, and near the peer's end, the socket is watched anew.
 3. A turn reads a bounded number of times. Then others of the event loop have theirs.
 4. Nothing is open while no socket is watched.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from typing import Protocol
from weakref import WeakKeyDictionary

import structlog

log = structlog.get_logger()

SMALL = 4 << 10
"""Bytes of a read, if the last one did not fill it: most messages are less."""
_SOCKETS = 64  # of one look
_LOOKS = 4  # of one turn, before anything goes out


class Watched(Protocol):
    """A transport, as the reactor sees it: attributes where a method would cost as much as all the rest."""

    recv: Callable[[int], bytes]
    send: Callable[[bytes], int]
    """The socket's own, or what stands for them now."""
    received: Callable[[bytes], None]
    """Takes what was read, also nothing at the end."""

    def ready(self, event: int) -> None:
        """What epoll said, when it is not just that bytes have come."""

    def keep(self, data: bytes) -> None:
        """The socket has not taken this. Calls nobody, like `unsent`: a fault here would send others' bytes twice."""

    def unread(self, error: OSError) -> None:
        """A read has failed."""

    def unsent(self, error: OSError) -> None:
        """`send` has failed."""

    def abort(self) -> None:
        """End it."""


class Reactor:
    """Of one event loop: see `reactor`."""

    __slots__ = ("_epoll", "_watched", "out", "turning")

    def __init__(self) -> None:
        self._epoll: select.epoll | None = None
        self._watched: dict[int, Watched] = {}
        self.out: list[tuple[Watched, bytes]] = []
        """What goes out at the end of the turn."""
        self.turning = False
        """A turn is under way."""

    def watch(self, fd: int, one: Watched, events: int) -> None:
        """Tell it of these events of its descriptor, which is open, and of errors; no events: of nothing any more.

        It is told of what is there already, then of what is new: who leaves something unread has to ask again.
        """
        if not events:
            self.forget(fd)
        elif fd in self._watched:
            self.open().modify(fd, events | select.EPOLLET)
        else:
            self.open().register(fd, events | select.EPOLLET)
            self._watched[fd] = one

    def open(self) -> select.epoll:
        """Be ready to watch. Raises OSError when there are too many files. Idempotent."""
        if self._epoll is None:
            self._epoll = select.epoll()
            asyncio.get_running_loop().add_reader(self._epoll.fileno(), self._turn)
        return self._epoll

    def forget(self, fd: int) -> None:
        """Before the descriptor is closed. Idempotent."""
        if self._watched.pop(fd, None) is None or self._epoll is None:
            return
        self._epoll.unregister(fd)
        if not self._watched:
            asyncio.get_running_loop().remove_reader(self._epoll.fileno())
            self._epoll.close()
            self._epoll = None

    def flush(self) -> None:
        """Send what waits in `out`."""
        for one, data in self.out:
            send = one.send
            try:
                sent = send(data)
            except BlockingIOError:
                sent = 0
            except OSError as error:
                one.unsent(error)
                continue
            if sent != len(data):
                one.keep(data[sent:])
        self.out.clear()

    def _turn(self) -> None:
        self.turning = True
        try:
            for _ in range(_LOOKS):
                ready = self._epoll.poll(0, _SOCKETS) if self._epoll is not None else None
                if not ready:
                    break
                self._read(ready)
        finally:
            self.turning = False
            self.flush()

    def _read(self, ready: list[tuple[int, int]]) -> None:
        watched, plain, small = self._watched.get, select.EPOLLIN, SMALL
        for fd, event in ready:
            one = watched(fd)
            if one is None:
                continue  # ended by one before it
            try:
                if event != plain:
                    one.ready(event)
                    continue
                recv = one.recv  # to look an attribute up and to call it are quicker than to call a method
                try:
                    data = recv(small)
                except OSError as error:
                    one.unread(error)
                    continue
                received = one.received
                received(data)
            except Exception:  # the border: one connection's fault is not another's
                log.exception("a fault of the gateway")
                one.abort()


_reactors: WeakKeyDictionary[asyncio.AbstractEventLoop, Reactor] = WeakKeyDictionary()


def reactor() -> Reactor:
    """The running event loop's, open. Raises OSError when there are too many files."""
    loop = asyncio.get_running_loop()
    found = _reactors.get(loop)
    if found is None:
        found = _reactors[loop] = Reactor()
    found.open()
    return found
