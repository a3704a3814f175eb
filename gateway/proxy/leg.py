"""One side of a relayed WebSocket: a transport, and its flow control."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from .passage import Received
from .transport import SocketTransport


class Ends(Protocol):
    """What a leg tells its relay."""

    def leg_lost(self, leg: Leg) -> None:
        """The connection has ended. Said once."""

    def other(self, leg: Leg, act: Callable[[Leg], None]) -> None:
        """Do this to the other side, if there is one."""


class Leg(asyncio.Protocol):
    """One side's transport. The relay is told what happens; `stop`/`go` are its flow control."""

    __slots__ = ("_deadline", "_held", "_received", "_relay", "_waiter", "gone", "transport")

    def __init__(self, relay: Ends, transport: SocketTransport, received: Received) -> None:
        """Bytes that are not for a passage go to `received`."""
        self._relay = relay
        self._held: tuple[str, ...] = ()
        self._waiter: asyncio.Future[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._received, self.transport = received, transport
        self.gone = False
        """The connection has ended."""

    def attach(self, passage: Received | None) -> None:
        """Begin to read."""
        self.transport.set_protocol(self)
        self.turn(passage)
        if self.transport.is_closing():
            self.connection_lost(None)
        else:
            self.go("attach")

    def turn(self, passage: Received | None) -> None:
        """From now on bytes go there first."""
        self.transport.received = passage or self.transport.read

    def stop(self, why: str) -> None:
        """Do not read until every reason is gone."""
        if why not in self._held:
            self._held += (why,)
        self.transport.pause_reading()

    def go(self, why: str) -> None:
        """This reason is gone."""
        self._held = tuple(one for one in self._held if one != why)
        if not self._held and not self.transport.is_closing():
            self.transport.resume_reading()

    def send(self, data: bytes) -> None:
        """Write, unless it is closing."""
        if not self.transport.is_closing():
            self.transport.write(data)

    def close(self, within: float) -> None:
        """What is written already goes out, in so many seconds at most: a peer that is not there takes nothing."""
        self.transport.close()
        if not self.gone and self._deadline is None:
            self._deadline = asyncio.get_running_loop().call_later(within, self.transport.abort)

    async def lost(self) -> None:
        """Wait until the connection has ended. For one caller at a time."""
        if not self.gone:
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    async def within(self, seconds: float, wanted: asyncio.Future[None]) -> bool:
        """Whether it came, before the time was over or the connection ended."""
        lost = asyncio.create_task(self.lost())
        try:
            await asyncio.wait({wanted, lost}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            lost.cancel()
        return wanted.done()

    def data_received(self, data: bytes) -> None:
        self._received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.gone:
            return
        self.gone = True
        if self._deadline is not None:
            self._deadline.cancel()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        self._relay.leg_lost(self)

    def pause_writing(self) -> None:
        self._relay.other(self, lambda leg: leg.stop("the other side is slow"))

    def resume_writing(self) -> None:
        self._relay.other(self, lambda leg: leg.go("the other side is slow"))
