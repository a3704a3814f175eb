"""The gateway's parent process: it owns what must outlive a worker.

    OpCenter ──snapshot──► Link ──► Group ──listener + socket──► worker 1 … N ◄── browsers
                             ▲        │                              │
                             └─ news ─┴──────────── news ────────────┘

The listening sockets are opened here and handed to workers, one worker for each port. A worker that dies takes its
connections with it, but no port: browsers that come meanwhile stand in the socket's backlog until its successor
accepts. The widget is served here, on the control port, so that one process knows all of its sessions.

A reload (SIGHUP) makes this process a new program (succession.py), which starts a new generation of workers and
gives them the ports; the old ones keep what they have until it ends (crew.py).
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from dataclasses import asdict
from pathlib import Path

import structlog

from gateway.config import Config
from gateway.secret import secret_of
from gateway.types import Activity, GateReport, GatewayId, Snapshot
from widget.desk import Desk

from . import succession
from .channel import Message
from .control import ControlPort
from .crew import Crew, Worker
from .herald import Herald
from .ledger import Ledger
from .link import Identity, Link
from .ports import open_port
from .succession import Estate

log = structlog.get_logger()


class Group:
    """Runs until `stop` is called."""

    def __init__(self, home: Path, config: Config, lock: int) -> None:
        """`home` is the gateway's own folder, `lock` the descriptor that is left to a successor. Raises what
        `Identity.read` does, and OSError."""
        timeouts, limits = config.timeouts, config.limits
        self._home, self._config, self._lock = home, config, lock
        self._identity = Identity.read(home)
        self._key = secret_of(home / "cookies.key")
        self._snapshot = _saved(home, self._identity.id)
        self._ledger = Ledger(limits.news_clients)
        self._crew = Crew(self._identity.workers, timeouts, limits, self._heard, self._replaced, self._gone)
        self._herald = Herald(self._crew, self._ledger, timeouts.turn)
        self._acked = 0
        self._link = Link(home, timeouts, self._received, self._linked, self.reload)
        self._desk = Desk(self._identity.opcenter, self._snapshot)
        self._control = ControlPort(self._desk, home)
        self._wake = asyncio.Event()
        self._renew = asyncio.Event()
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """End in good order."""
        self._stopping.set()

    def reload(self) -> None:
        """Be the newest program, with the newest workers."""
        self._renew.set()

    def inherit(self, estate: Estate) -> None:
        """Go on where the program before us was."""
        self._ledger.take_over(estate.ledger)
        self._link.reports.update(estate.reports)
        self._crew.adopt(estate.workers)
        self._herald.sockets = {port: succession.listening(fd) for port, fd in estate.sockets.items()}
        self._control.inherit(estate)

    async def run(self) -> None:
        """Serve what the last snapshot says at once, then what the OpCenter says."""
        self._wake.set()
        await self._crew.start()
        background = [
            asyncio.create_task(self._link.run(), name="link"),
            asyncio.create_task(self._apply_always(), name="apply"),
            asyncio.create_task(self._reload_always(), name="reload"),
        ]
        try:
            await self._stopping.wait()
        finally:
            for task in background:
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            await self._crew.stop()
            await self._control.close()
            self._herald.close()

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
            self._crew.retire()
            return  # a new gateway that has not heard of the OpCenter yet
        for worker in self._crew.everyone:
            self._prepare(worker, snapshot)
        wanted = {one.port: one for one in snapshot.listeners}
        for port in self._herald.sockets.keys() - wanted.keys():
            self._herald.forget(port)
            self._link.forget(port)
        for port, listener in wanted.items():
            if port in self._herald.sockets or await self._open_port(snapshot.bind, port):
                self._herald.tell(listener)
                self._report(port)
        await self._open_control(snapshot)
        self._control.metrics.keep(snapshot.listeners)
        for worker in self._crew.everyone:
            worker.channel.send({"commit": snapshot.version})

    def _prepare(self, worker: Worker, snapshot: Snapshot) -> None:
        """What a worker has to know before its listeners."""
        for key, table in snapshot.tables.items():
            worker.channel.send({"table": [key, table]})
        own = {"workers": self._identity.workers, "key": self._key.hex()}
        worker.channel.send({"config": _config(snapshot) | own})

    async def _open_port(self, bind: str, port: int) -> bool:
        try:
            self._herald.sockets[port] = await open_port(bind, port, self._config.timeouts.worker_exit)
        except OSError as error:
            sentence = f"Port {port} cannot be opened on {bind}: {os.strerror(error.errno or 0)}"
            log.error("port not opened", port=port, bind=bind, why=sentence)
            self._link.send({"type": "trouble", "port": port, "sentence": sentence})
            return False
        return True

    async def _open_control(self, snapshot: Snapshot) -> None:
        self._control.set(snapshot.rules, snapshot.trusted_proxies, _names(snapshot))
        try:
            await self._control.serve(snapshot.bind, snapshot.control_port)
        except OSError as error:
            sentence = f"The control port {snapshot.control_port} cannot be opened: {os.strerror(error.errno or 0)}"
            log.error("control port not opened", why=sentence)
            self._link.send({"type": "trouble", "port": snapshot.control_port, "sentence": sentence})

    # What workers say

    def _heard(self, worker: Worker, message: Message) -> None:
        match message:
            case {"ack": version}:
                worker.acked = version
                self._ack()
            case {"report": report}:
                self._ledger.report(worker.name, GateReport(**report))
                self._herald.advance(report["port"])
                self._report(report["port"])
            case {"lost": lost}:
                self._link.send({"type": "lost", **lost})
            case {"activity": activity}:
                self._ledger.activity(worker.name, Activity(**activity))
                whole = self._ledger.whole_activity(activity["port"])
                self._control.metrics.take(whole)
                self._link.send({"type": "activity", "activity": [asdict(whole)]})

    def _ack(self) -> None:
        """Who accepts no more is not waited for: rules and ports are nothing to it, and gates have their reports."""
        everywhere = min((worker.acked for worker in self._crew.everyone if not worker.retired), default=0)
        if everywhere >= self._snapshot.version > self._acked:
            self._acked = everywhere
            self._link.send({"type": "ack", "version": everywhere})
        if min((worker.acked for worker in self._crew.present), default=0) >= self._snapshot.version:
            self._crew.retire()

    def _report(self, port: int) -> None:
        """Say what all owners of a port have done, once."""
        listener = self._herald.wanted(port)
        if listener is None:
            return
        whole = self._ledger.whole_report(listener, [one.name for one in self._crew.owners(port)])
        if whole is not None and asdict(whole) != self._link.reports.get(port):
            self._link.report(asdict(whole))

    def _replaced(self, dead: Worker, successor: Worker) -> None:
        self._prepare(successor, self._snapshot)
        self._herald.hand_all(successor, list(dead.told))
        successor.channel.send({"commit": self._snapshot.version})

    def _gone(self, worker: Worker) -> None:
        """It is not waited for any more."""
        self._ledger.leave(worker.name)
        if worker not in self._crew.present:
            self._ack()
        for port in worker.told:
            self._herald.advance(port)
            self._report(port)

    # Reload

    async def _reload_always(self) -> None:
        while True:
            await self._renew.wait()
            self._renew.clear()
            if await succession.is_ready(self._estate(), str(self._home), self._config.timeouts.successor):
                await self._become()

    async def _become(self) -> None:
        """Returns only if the new program could not be started."""
        log.info("reload", workers=len(self._crew.everyone))
        await self._flushed()
        await self._control.pause()
        await self._flushed()  # what was said meanwhile
        succession.become(self._estate(), str(self._home))
        self._wake.set()  # opens the control port again

    async def _flushed(self) -> None:
        """Return, without a pause, when the kernel has everything: a queue is not left to the successor."""
        while any(one.channel.waits for one in self._crew.everyone):
            await asyncio.gather(*(one.channel.flushed() for one in self._crew.everyone))

    def _estate(self) -> Estate:
        control = self._control
        return Estate(
            lock=self._lock,
            control=control.fileno(),
            at=control.at,
            sockets={port: sock.fileno() for port, sock in self._herald.sockets.items()},
            workers=self._crew.to_json(),
            ledger=self._ledger.to_json(),
            reports=dict(self._link.reports),
            sessions=control.sessions(),
        )


def _names(snapshot: Snapshot) -> list[str]:
    """The host names that this gateway answers to, IPs and localhost apart."""
    names = {snapshot.public_address, *snapshot.names, socket.gethostname(), socket.getfqdn()}
    return sorted(name.lower() for name in names)


def _config(snapshot: Snapshot) -> Message:
    return {
        "control_port": snapshot.control_port,
        "names": _names(snapshot),
        "rules": [asdict(rule) for rule in snapshot.rules],
        "trusted_proxies": list(snapshot.trusted_proxies),
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
