"""The gateway's parent process: it owns what must outlive a worker.

    OpCenter ──snapshot──► Link ──► Group ──listener + socket──► worker 1 … N ◄── browsers
                             ▲        │                              │
                             └─ news ─┴──────────── news ────────────┘

The listening sockets are opened here and handed to workers, one worker for each port. A worker that dies takes its
connections with it, but no port: browsers that come meanwhile stand in the socket's backlog until its successor
accepts. The widget is served here, on the control port, so that one process knows all of its sessions.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import structlog

from gateway.config import Config
from gateway.types import Activity, GatewayId, Listener, Snapshot
from widget.desk import Desk

from .channel import Channel, Message
from .control import ControlPort
from .link import Identity, Link
from .ports import open_port

log = structlog.get_logger()


@dataclass(slots=True)
class _Worker:
    """One worker and the ports that are its own."""

    number: int
    process: asyncio.subprocess.Process
    channel: Channel
    ports: set[int] = field(default_factory=set)
    acked: int = 0


class Group:
    """Runs until `stop` is called."""

    def __init__(self, home: Path, config: Config) -> None:
        """`home` is the gateway's own folder. Raises what `Identity.read` does."""
        self._home, self._config = home, config
        self._identity = Identity.read(home)
        self._snapshot = _saved(home, self._identity.id)
        self._workers: list[_Worker] = []
        self._sockets: dict[int, socket.socket] = {}
        self._told: dict[int, Listener] = {}  # what the owner of each port knows
        self._acked = 0
        self._link = Link(home, config.timeouts, self._received, self._linked)
        self._desk = Desk(self._identity.opcenter, self._snapshot)
        self._control = ControlPort(self._desk, home)
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    def stop(self) -> None:
        """End in good order."""
        self._stopping.set()

    async def run(self) -> None:
        """Serve what the last snapshot says at once, then what the OpCenter says."""
        self._wake.set()
        for number in range(self._identity.workers):
            self._workers.append(await self._start_worker(number))
        background = [
            asyncio.create_task(self._link.run(), name="link"),
            asyncio.create_task(self._apply_always(), name="apply"),
        ]
        try:
            await self._stopping.wait()
        finally:
            for task in [*background, *self._tasks]:
                task.cancel()
            await asyncio.gather(*background, *self._tasks, return_exceptions=True)
            await self._close()

    # Snapshots

    def _received(self, snapshot: Snapshot) -> None:
        if snapshot.version < self._snapshot.version:
            log.warning("an old snapshot", version=snapshot.version, have=self._snapshot.version)
            return
        self._snapshot = snapshot
        _save(self._home, snapshot)
        self._desk.update(snapshot)
        self._acked = 0
        self._wake.set()

    def _linked(self, linked: bool) -> None:
        self._desk.link(linked)

    async def _apply_always(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._apply(self._snapshot)

    async def _apply(self, snapshot: Snapshot) -> None:
        if not snapshot.version:
            return  # a new gateway that has not heard of the OpCenter yet
        for worker in self._workers:
            worker.channel.send({"config": _config(snapshot)})
        wanted = {one.port: one for one in snapshot.listeners}
        for port in self._sockets.keys() - wanted.keys():
            self._close_port(port)
        for port, listener in wanted.items():
            if port not in self._sockets and not await self._open_port(snapshot.bind, port):
                continue
            self._tell(listener)
        await self._open_control(snapshot)
        self._control.metrics.keep(snapshot.listeners)
        for worker in self._workers:
            worker.channel.send({"commit": snapshot.version})

    async def _open_port(self, bind: str, port: int) -> bool:
        try:
            self._sockets[port] = await open_port(bind, port, self._config.timeouts.worker_exit)
        except OSError as error:
            sentence = f"Port {port} cannot be opened on {bind}: {os.strerror(error.errno or 0)}"
            log.error("port not opened", port=port, bind=bind, why=sentence)
            self._link.send({"type": "trouble", "port": port, "sentence": sentence})
            return False
        return True

    async def _open_control(self, snapshot: Snapshot) -> None:
        self._control.guard.set(snapshot.rules)
        try:
            await self._control.serve(snapshot.bind, snapshot.control_port)
        except OSError as error:
            sentence = f"The control port {snapshot.control_port} cannot be opened: {os.strerror(error.errno or 0)}"
            log.error("control port not opened", why=sentence)
            self._link.send({"type": "trouble", "port": snapshot.control_port, "sentence": sentence})

    def _tell(self, listener: Listener) -> None:
        """Tell the port's worker what is new; a port without one gets the worker that has the fewest."""
        worker = self._owner(listener.port)
        if worker is None:
            worker = min(self._workers, key=lambda one: len(one.ports))
            worker.ports.add(listener.port)
            self._hand_over(worker, listener)
        elif self._told.get(listener.port) != listener:
            worker.channel.send({"listener": asdict(listener)})
        self._told[listener.port] = listener

    def _hand_over(self, worker: _Worker, listener: Listener) -> None:
        fd = self._sockets[listener.port].fileno()
        worker.channel.send({"listener": asdict(listener)}, (fd,))

    def _close_port(self, port: int) -> None:
        owner = self._owner(port)
        if owner is not None:
            owner.channel.send({"close": port})
            owner.ports.discard(port)
        self._sockets.pop(port).close()
        self._told.pop(port, None)
        self._link.forget(port)

    def _owner(self, port: int) -> _Worker | None:
        return next((one for one in self._workers if port in one.ports), None)

    # Workers

    async def _start_worker(self, number: int) -> _Worker:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "gateway.proxy.worker",
                str(theirs.fileno()),
                pass_fds=(theirs.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
            )
        worker = _Worker(number, process, Channel(ours))
        self._spawn(self._listen_to(worker), f"worker {number}")
        return worker

    async def _listen_to(self, worker: _Worker) -> None:
        """What the worker says; when it has gone, a new one gets its ports."""
        while (received := await worker.channel.receive()) is not None:
            self._heard(worker, received[0])
        worker.channel.close()
        code = await worker.process.wait()
        log.error("worker ended", number=worker.number, pid=worker.process.pid, code=code)
        await asyncio.sleep(self._config.timeouts.worker_pause)
        successor = await self._start_worker(worker.number)
        successor.ports = worker.ports
        self._workers[worker.number] = successor
        successor.channel.send({"config": _config(self._snapshot)})
        for port in successor.ports:
            self._hand_over(successor, self._told[port])
        successor.channel.send({"commit": self._snapshot.version})

    def _heard(self, worker: _Worker, message: Message) -> None:
        match message:
            case {"ack": version}:
                worker.acked = version
                self._ack()
            case {"report": report}:
                self._link.report(report)
            case {"lost": lost}:
                self._link.send({"type": "lost", **lost})
            case {"activity": activity}:
                self._control.metrics.take(Activity(**activity))
                self._link.send({"type": "activity", "activity": [activity]})

    def _ack(self) -> None:
        everywhere = min(worker.acked for worker in self._workers)
        if everywhere >= self._snapshot.version > self._acked:
            self._acked = everywhere
            self._link.send({"type": "ack", "version": everywhere})

    def _spawn(self, work, name: str) -> None:  # type: ignore[no-untyped-def]  # a coroutine of nothing
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _close(self) -> None:
        for worker in self._workers:
            worker.channel.send({"stop": True})
        await asyncio.gather(*(self._end(worker) for worker in self._workers))
        await self._control.close()
        for sock in self._sockets.values():
            sock.close()

    async def _end(self, worker: _Worker) -> None:
        try:
            async with asyncio.timeout(self._config.timeouts.worker_exit):
                await worker.process.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                worker.process.kill()
            await worker.process.wait()
        worker.channel.close()


def _config(snapshot: Snapshot) -> Message:
    names = {snapshot.public_address.lower(), socket.gethostname().lower(), socket.getfqdn().lower()}
    return {
        "control_port": snapshot.control_port,
        "names": sorted(names),
        "rules": [asdict(rule) for rule in snapshot.rules],
    }


def _saved(home: Path, gateway: GatewayId) -> Snapshot:
    """The last snapshot, or an empty one of version 0."""
    try:
        return Snapshot.from_json(json.loads((home / "snapshot.json").read_text()))
    except FileNotFoundError:
        pass
    except (ValueError, KeyError, TypeError) as error:
        log.error("the saved snapshot is not readable", why=str(error))
    return Snapshot(0, gateway, "", "127.0.0.1", "127.0.0.1", 0, 0, 0, 0)


def _save(home: Path, snapshot: Snapshot) -> None:
    """Whole or not at all; it holds login tokens, so for the owner only."""
    new = home / "snapshot.json.new"
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "w") as file:
        json.dump(snapshot.to_json(), file)
        file.flush()
        os.fsync(file.fileno())
    new.replace(home / "snapshot.json")
