"""The workers of a gateway: the present generation, and older ones that end when nothing is left in them.

    start() ──► present ── the next generation has acknowledged ──► retired ── empty, or too old ──► gone
                   │ dies
                   └─────► a successor of the same number gets its ports

A generation is what one reload starts: as many workers as the gateway has. Until the whole next generation has
acknowledged the snapshot the older one goes on accepting, so a new version whose workers fail costs nobody anything.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from typing import Any

import structlog

from gateway.config import Limits, Timeouts
from gateway.types import Listener, listener_from_json

from .channel import Channel, Message
from .child import Child, start

log = structlog.get_logger()

_MODULE = "gateway.proxy.worker"


@dataclass(slots=True, eq=False)
class Worker:
    """One worker; `told` is what it knows of each of its ports, and so says which are its own."""

    number: int
    generation: int
    child: Child
    channel: Channel
    told: dict[int, Listener] = field(default_factory=dict)
    acked: int = 0
    retired: bool = False

    @property
    def name(self) -> int:
        """Its process id: the ledger's name for it."""
        return self.child.pid

    def to_json(self) -> dict[str, Any]:
        """For the parent's successor; the channel's descriptor has to be inherited."""
        told = {str(port): asdict(one) for port, one in self.told.items()}
        return {
            "number": self.number,
            "generation": self.generation,
            "pid": self.child.pid,
            "channel": self.channel.fileno(),
            "told": told,
            "acked": self.acked,
            "retired": self.retired,
        }

    @staticmethod
    def from_json(doc: dict[str, Any]) -> Worker:
        """Take a worker over from the program that was this process before."""
        channel = Channel(socket.socket(fileno=doc["channel"]))
        told = {int(port): listener_from_json(one) for port, one in doc["told"].items()}
        child = Child(doc["pid"])
        return Worker(doc["number"], doc["generation"], child, channel, told, doc["acked"], doc["retired"])


class Crew:
    """Starts workers, listens to them, replaces those that die, and retires the old."""

    def __init__(
        self,
        size: int,
        timeouts: Timeouts,
        limits: Limits,
        heard: Callable[[Worker, Message], None],
        replaced: Callable[[Worker, Worker], None],
        gone: Callable[[Worker], None],
    ) -> None:
        """`replaced(dead, successor)` has to give the successor its ports; `gone` is told of every end."""
        self.present: list[Worker] = []
        self.older: list[Worker] = []
        """Workers of earlier generations, oldest first; some may still accept."""
        self._size, self._timeouts, self._limits = size, timeouts, limits
        self._heard, self._replaced, self._gone = heard, replaced, gone
        self._generation = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def everyone(self) -> list[Worker]:
        """Oldest first."""
        return [*self.older, *self.present]

    def owners(self, port: int) -> list[Worker]:
        """Who has connections of this port, or accepts some; oldest first."""
        return [one for one in self.everyone if port in one.told]

    def owner(self, port: int) -> Worker | None:
        """Whose port it is now."""
        return next((one for one in self.present if port in one.told), None)

    def adopt(self, docs: list[dict[str, Any]]) -> None:
        """Go on with the workers that the program before us had started."""
        for doc in docs:
            worker = Worker.from_json(doc)
            self.older.append(worker)
            self._generation = max(self._generation, worker.generation)
            self._spawn(worker)
        generations = sorted({one.generation for one in self.older})
        for worker in self.older:
            if worker.generation in generations[: -self._limits.generations]:
                worker.channel.send({"stop": True})

    async def start(self) -> None:
        """A new generation."""
        self._generation += 1
        for number in range(self._size):
            self.present.append(await self._begin(number))

    def retire(self) -> None:
        """The present generation serves: the older ones accept no more. Idempotent."""
        for worker in self.older:
            if not worker.retired:
                worker.retired = True
                worker.channel.send({"retire": self._timeouts.handover})

    def to_json(self) -> list[dict[str, Any]]:
        """For `adopt`."""
        return [one.to_json() for one in self.everyone if not one.channel.closed]

    async def stop(self) -> None:
        """End all of them."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for worker in self.everyone:
            worker.channel.send({"stop": True})
        await asyncio.gather(*(self._end(worker) for worker in self.everyone))

    async def _begin(self, number: int) -> Worker:
        """A new worker, as soon as the machine has room for one."""
        while True:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                try:
                    child = start(_MODULE, theirs.fileno())
                except OSError as error:
                    ours.close()
                    log.error("worker not started", number=number, why=str(error))
                    await asyncio.sleep(self._timeouts.worker_pause)
                    continue
            worker = Worker(number, self._generation, child, Channel(ours))
            self._spawn(worker)
            return worker

    def _spawn(self, worker: Worker) -> None:
        name = f"worker {worker.generation}.{worker.number}"
        task = asyncio.create_task(self._listen_to(worker), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _listen_to(self, worker: Worker) -> None:
        """What the worker says; when it has gone, a new one gets the ports of one that was needed."""
        while (received := await worker.channel.receive()) is not None:
            self._heard(worker, received[0])
        worker.channel.close()
        code = await worker.child.wait()
        if worker in self.older:
            self.older.remove(worker)
            log.info("old worker ended", generation=worker.generation, pid=worker.name, code=code)
            self._gone(worker)
            return
        log.error("worker ended", number=worker.number, pid=worker.name, code=code)
        worker.acked = 0
        self._gone(worker)
        await asyncio.sleep(self._timeouts.worker_pause)
        successor = await self._begin(worker.number)
        self.present[worker.number] = successor
        self._replaced(worker, successor)

    async def _end(self, worker: Worker) -> None:
        try:
            async with asyncio.timeout(self._timeouts.worker_exit):
                await worker.child.wait()
        except TimeoutError:
            worker.child.kill()
            with suppress(ProcessLookupError):
                await worker.child.wait()
        worker.channel.close()
