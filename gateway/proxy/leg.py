"""One side of a relayed WebSocket: a transport, and its flow control."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol


class Ends(Protocol):
    """What a leg tells its relay."""

    def received(self, leg: Leg, data: bytes) -> None:
        """Bytes came."""

    def leg_lost(self, leg: Leg) -> None:
        """The connection has ended. Said once."""

    def other(self, leg: Leg, act: Callable[[Leg], None]) -> None:
        """Do this to the other side, if there is one."""


class Leg(asyncio.Protocol):
    """One side's transport. The relay is told what happens; `stop`/`go` are its flow control."""

    def __init__(self, relay: Ends, transport: asyncio.Transport) -> None:
        self._relay = relay
        self.transport = transport
        self.lost = asyncio.Event()
        self._held: set[str] = set()

    def attach(self) -> None:
        """From now on bytes come here."""
        self.transport.set_protocol(self)
        if self.transport.is_closing():
            self.connection_lost(None)
        else:
            self.go("attach")

    def stop(self, why: str) -> None:
        """Do not read until every reason is gone."""
        self._held.add(why)
        self.transport.pause_reading()

    def go(self, why: str) -> None:
        """This reason is gone."""
        self._held.discard(why)
        if not self._held and not self.transport.is_closing():
            self.transport.resume_reading()

    def send(self, data: bytes) -> None:
        """Write, unless it is closing."""
        if not self.transport.is_closing():
            self.transport.write(data)

    def data_received(self, data: bytes) -> None:
        self._relay.received(self, data)

    def eof_received(self) -> bool | None:
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.lost.is_set():
            self.lost.set()
            self._relay.leg_lost(self)

    def pause_writing(self) -> None:
        self._relay.other(self, lambda leg: leg.stop("the other side is slow"))

    def resume_writing(self) -> None:
        self._relay.other(self, lambda leg: leg.go("the other side is slow"))
