"""Who is told what of a port, and when.

A port's owner is told at once. After a reload a port may have several: the present worker, which accepts, and old
ones with WebSockets. Of a move they are told one after the other, since Jupyter keeps a kernel's output for the
session whose WebSocket it saw close last, and gives it to the one that comes first: the oldest worker lets go first
and comes back last. If that takes too long the rest are told at once: the OpCenter does not wait for ever either.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import asdict

from gateway.types import GateState, Listener

from .crew import Crew, Worker
from .ledger import Ledger


class Herald:
    """Tells workers; knows the listening sockets that they get."""

    def __init__(self, crew: Crew, ledger: Ledger, patience: float) -> None:
        """`patience`: seconds from telling a port's first worker of a generation until all are told."""
        self.sockets: dict[int, socket.socket] = {}
        self._crew, self._ledger, self._patience = crew, ledger, patience
        self._wanted: dict[int, Listener] = {}
        self._timers: dict[int, tuple[int, asyncio.TimerHandle]] = {}  # port: generation, when all are told
        self._overdue: dict[int, int] = {}  # port: generation of which all are told

    def wanted(self, port: int) -> Listener | None:
        """What the owners of this port are to know."""
        return self._wanted.get(port)

    def tell(self, listener: Listener) -> None:
        """Something may be new. A port without a present owner gets the worker that has the fewest."""
        port, before = listener.port, self._wanted.get(listener.port)
        if before is not None and before.job != listener.job:
            self._take_away(port)
        self._wanted[port] = listener
        if self._crew.owner(port) is None:
            self._hand_over(min(self._crew.present, key=lambda one: len(one.told)), listener)
        self.advance(port)

    def hand_all(self, successor: Worker, ports: list[int]) -> None:
        """A worker in the place of one that died."""
        for port in ports:
            if (listener := self._wanted.get(port)) is not None:
                self._hand_over(successor, listener)

    def forget(self, port: int) -> None:
        """The port is no listener's any more: its socket is closed everywhere."""
        self._take_away(port)
        self._wanted.pop(port, None)
        self.sockets.pop(port).close()

    def advance(self, port: int) -> None:
        """Tell whose turn it is. Called whenever that may have changed."""
        listener = self._wanted.get(port)
        if listener is None:
            return
        for worker in self._in_turn(listener):
            if worker.told[port] != listener:
                worker.told[port] = listener
                worker.channel.send({"listener": asdict(listener)})
            if not self._is_done(worker, listener):
                self._wait(listener)
                return
        self._stop_timer(port)

    def close(self) -> None:
        """Close every socket here."""
        for port in list(self._timers):
            self._stop_timer(port)
        for sock in self.sockets.values():
            sock.close()

    def _in_turn(self, listener: Listener) -> list[Worker]:
        owners = self._crew.owners(listener.port)
        return owners[::-1] if listener.gate is GateState.OPEN else owners

    def _is_done(self, worker: Worker, listener: Listener) -> bool:
        overdue = self._overdue.get(listener.port) == listener.generation
        return overdue or listener.gate is GateState.ENDED or self._ledger.settled(worker.name, listener)

    def _wait(self, listener: Listener) -> None:
        port, generation = listener.port, listener.generation
        if port in self._timers and self._timers[port][0] == generation:
            return
        self._stop_timer(port)
        loop = asyncio.get_running_loop()
        self._timers[port] = generation, loop.call_later(self._patience, self._late, port, generation)

    def _late(self, port: int, generation: int) -> None:
        self._overdue[port] = generation
        self.advance(port)

    def _stop_timer(self, port: int) -> None:
        _, timer = self._timers.pop(port, (0, None))
        if timer is not None:
            timer.cancel()

    def _hand_over(self, worker: Worker, listener: Listener) -> None:
        worker.told[listener.port] = listener
        worker.channel.send({"listener": asdict(listener)}, (self.sockets[listener.port].fileno(),))

    def _take_away(self, port: int) -> None:
        for worker in self._crew.owners(port):
            worker.channel.send({"close": port})
            del worker.told[port]
        self._ledger.drop(port)
        self._overdue.pop(port, None)
        self._stop_timer(port)
