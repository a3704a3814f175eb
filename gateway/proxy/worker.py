"""One worker process: the listeners that its parent gave it, each with its gate.

Run as `python -m gateway.proxy.worker FD`, where FD is its end of the channel. When the parent is gone it accepts
no more, finishes what is under way, and ends: the parent's successor opens the ports again.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import structlog
import uvloop
from aiohttp import web

from gateway.config import Config
from gateway.replay import Table
from gateway.types import Activity, GateReport, Rule, listener_from_json
from gateway.types import Listener as ListenerDoc

from .accesslog import AccessLog
from .channel import Channel, Message
from .door import Door
from .exchange import Exchange
from .gate import Gate
from .guard import Guard
from .hall import Hall
from .listener import Listener
from .logs import set_up_logs
from .replay import COMMON

log = structlog.get_logger()

_NEWS_INTERVAL = 5.0  # seconds, docs/link.md


@dataclass(slots=True)
class _Port:
    """One listening port and what is counted for it."""

    listener: Listener
    gate: Gate
    heard: int = 0
    last: int = 0
    told: Activity | None = field(default=None)


class Worker:
    """Does what the parent says; see `_HANDLERS`."""

    def __init__(self, channel: Channel, config: Config) -> None:
        self._channel, self._config = channel, config
        self._guard = Guard()
        self._ports: dict[int, _Port] = {}
        self._control_port = 0
        self._key = b""
        self._names: frozenset[str] = frozenset()
        self._hall = Hall(config.limits.waiting_per_gateway, config.limits.held_bytes_per_gateway)
        self._tables: dict[str, Table] = {}
        self._access = AccessLog()
        self._retiring: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Until told to stop, or the parent is gone."""
        news = asyncio.create_task(self._send_news(), name="news")
        try:
            while (received := await self._channel.receive()) is not None:
                message, fds = received
                if "stop" in message:
                    break
                await self._obey(message, fds)
        finally:
            news.cancel()
            with suppress(asyncio.CancelledError):
                await news
            await self._stop()

    async def _obey(self, message: Message, fds: list[int]) -> None:
        match message:
            case {"config": config}:
                self._control_port = config["control_port"]
                self._key = bytes.fromhex(config.get("key", ""))  # a parent older than this program has none
                self._names = frozenset(config["names"])
                self._hall.share(config["workers"])
                self._guard.set([Rule(**one) for one in config["rules"]], config["trusted_proxies"])
                for port in self._ports.values():
                    port.listener.door = self._door(port.gate)
            case {"table": [key, doc]}:
                self._learn(key, doc)
            case {"listener": doc}:
                await self._listen(listener_from_json(doc), fds)
            case {"close": port}:
                await self._close(port)
            case {"retire": seconds}:
                self._retire(seconds)
            case {"commit": version}:
                self._channel.send({"ack": version})

    def _learn(self, key: str, doc: dict[str, Any]) -> None:
        """A job's table. Without it requests are judged by what is known of all applications."""
        try:
            self._tables[key] = Table.from_json(doc)
        except (KeyError, TypeError, ValueError) as error:
            log.error("a table that cannot be read", key=key, why=str(error))

    async def _listen(self, doc: ListenerDoc, fds: list[int]) -> None:
        port = self._ports.get(doc.port)
        if port is not None and (fds or port.gate.listener.job != doc.job):
            await self._close(doc.port)  # the port belongs to another job now
            port = None
        if port is not None:
            port.gate.follow(doc)
            return
        if not fds:
            log.error("a listener without its socket", port=doc.port)
            return
        gate = Gate(doc, self._config.timeouts, self._config.limits, self, self._hall)
        gate.follow(doc)
        listener = Listener(self._door(gate), partial(self._handle, doc.port), self._guard)
        self._ports[doc.port] = _Port(listener, gate)
        await listener.open(socket.socket(fileno=fds[0]))

    async def _close(self, port: int) -> None:
        closed = self._ports.pop(port, None)
        if closed is not None:
            await closed.gate.close()
            await closed.listener.close(0)

    def _retire(self, seconds: float) -> None:
        """Newer workers have the ports: accept no more, and end with the last connection that is here."""
        for port in self._ports.values():
            port.listener.retire()
        self._retiring = asyncio.create_task(self._until_empty(seconds), name="retire")

    async def _until_empty(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                for port in list(self._ports.values()):
                    await port.listener.empty.wait()
        self._tell_news()
        self._channel.close()

    async def _stop(self) -> None:
        for port in list(self._ports):
            await self._close(port)
        self._access.flush()
        self._channel.close()

    def _door(self, gate: Gate) -> Door:
        table = self._tables.get(gate.listener.replay, COMMON)
        return Door(gate, self._config, self._control_port, self._names, self._access, self._key, table)

    async def _handle(self, number: int, request: web.BaseRequest) -> web.StreamResponse:
        started = time.monotonic()
        listener = self._ports[number].listener
        exchange = Exchange(request, listener.door)
        if listener.retiring:
            exchange.reply.last()  # the client's next connection is a newer worker's
        try:
            return await exchange.run()
        finally:
            exchange.log(time.monotonic() - started)

    # What gates report

    def report(self, report: GateReport) -> None:
        """See gate.Reporter."""
        self._channel.send({"report": asdict(report)})

    def lost(self, listener: ListenerDoc) -> None:
        """See gate.Reporter."""
        self._channel.send({"lost": {"job": listener.job, "port": listener.port, "address": listener.address}})

    async def _send_news(self) -> None:
        while True:
            await asyncio.sleep(_NEWS_INTERVAL)
            self._tell_news()

    def _tell_news(self) -> None:
        news = [self._activity(number, port) for number, port in self._ports.items()]
        changed = [one for one in news if one != self._ports[one.port].told]
        for one in changed:
            self._ports[one.port].told = one
            self._channel.send({"activity": asdict(one)})

    def _activity(self, number: int, port: _Port) -> Activity:
        """`last` is as exact as the news are frequent."""
        heard = port.listener.heard + sum(relay.heard for relay in port.gate.relays)
        if heard != port.heard:
            port.last, port.heard = _now_ms(), heard
        return Activity(
            job=port.gate.listener.job,
            port=number,
            last=port.last,
            clients=tuple(sorted(port.listener.clients)[: self._config.limits.news_clients]),
            requests=port.listener.heard,
            websockets=len(port.gate.relays),
            waiting=port.gate.waiting,
            extra=dict(port.gate.counts),
        )


def _now_ms() -> int:
    return int(time.time() * 1000)


async def _main(fd: int) -> None:
    loop = asyncio.get_running_loop()
    channel = Channel(socket.socket(fileno=fd))
    worker = asyncio.create_task(Worker(channel, Config(home=Path())).run())
    loop.add_signal_handler(signal.SIGTERM, channel.close)
    loop.add_signal_handler(signal.SIGINT, lambda: None)  # Ctrl-C goes to the whole group; the parent decides
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # the parent's business too
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)  # requests leave no cycles behind; looking for some less often saves 3 %
    await worker


if __name__ == "__main__":
    set_up_logs()
    uvloop.run(_main(int(sys.argv[1])))
