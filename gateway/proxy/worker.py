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
from pathlib import Path

import structlog
import uvloop
from aiohttp import web

from gateway.config import Config
from gateway.types import Activity, GateReport, Rule, listener_from_json
from gateway.types import Listener as ListenerDoc

from .channel import Channel, Message
from .exchange import Door, Exchange
from .gate import Gate
from .listener import Guard, Listener
from .logs import set_up_logs

log = structlog.get_logger()

_NEWS_INTERVAL = 5.0  # seconds, docs/link.md


@dataclass(slots=True)
class _Port:
    """One listening port and what is counted for it."""

    listener: Listener
    gate: Gate
    requests: int = 0
    last: int = 0
    told: Activity | None = field(default=None)


class Worker:
    """Does what the parent says; see `_HANDLERS`."""

    def __init__(self, channel: Channel, config: Config) -> None:
        self._channel, self._config = channel, config
        self._guard = Guard()
        self._ports: dict[int, _Port] = {}
        self._control_port = 0
        self._names: frozenset[str] = frozenset()

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
                self._names = frozenset(config["names"])
                self._guard.set(tuple(Rule(**one) for one in config["rules"]))
            case {"listener": doc}:
                await self._listen(listener_from_json(doc), fds)
            case {"close": port}:
                await self._close(port)
            case {"commit": version}:
                self._channel.send({"ack": version})

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
        gate = Gate(doc, self._config.timeouts, self._config.limits, self)
        gate.follow(doc)
        listener = Listener(
            doc.port, self._handler(doc.port), self._guard, self._config.timeouts, self._config.limits
        )
        self._ports[doc.port] = _Port(listener, gate)
        await listener.open(socket.socket(fileno=fds[0]))

    async def _close(self, port: int) -> None:
        closed = self._ports.pop(port, None)
        if closed is not None:
            await closed.gate.close()
            await closed.listener.close(0)

    async def _stop(self) -> None:
        for port in list(self._ports):
            await self._close(port)
        self._channel.close()

    def _handler(self, number: int):  # type: ignore[no-untyped-def]  # aiohttp's handler type is private
        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            port = self._ports[number]
            port.requests += 1
            port.last = _now_ms()
            started = time.monotonic()
            exchange = Exchange(request, Door(port.gate, self._config, self._control_port, self._names))
            try:
                return await exchange.run()
            finally:
                _access_log(exchange, time.monotonic() - started)

        return handle

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
            news = [self._activity(number, port) for number, port in self._ports.items()]
            changed = [one for one in news if one != self._ports[one.port].told]
            for one in changed:
                self._ports[one.port].told = one
                self._channel.send({"activity": asdict(one)})

    def _activity(self, number: int, port: _Port) -> Activity:
        busy = max((relay.active_at for relay in port.gate.relays), default=0)
        return Activity(
            job=port.gate.listener.job,
            port=number,
            last=max(port.last, busy),
            clients=tuple(sorted(port.listener.clients)[: self._config.limits.news_clients]),
            requests=port.requests,
            websockets=len(port.gate.relays),
            waiting=port.gate.waiting,
        )


def _now_ms() -> int:
    return int(time.time() * 1000)


def _access_log(exchange: Exchange, seconds: float) -> None:
    """Without the query, which may hold a login token."""
    log.info(
        "request",
        job=exchange.gate.listener.job,
        client=exchange.client.client if exchange.request.protocol else "",
        method=exchange.request.method,
        path=exchange.target.partition(b"?")[0].decode("latin-1"),
        status=exchange.reply.status if exchange.reply.begun else 0,
        bytes=exchange.reply.size,
        ms=round(seconds * 1000, 1),
    )


async def _main(fd: int) -> None:
    loop = asyncio.get_running_loop()
    channel = Channel(socket.socket(fileno=fd))
    worker = asyncio.create_task(Worker(channel, Config(home=Path())).run())
    loop.add_signal_handler(signal.SIGTERM, channel.close)
    loop.add_signal_handler(signal.SIGINT, lambda: None)  # Ctrl-C goes to the whole group; the parent decides
    gc.freeze()
    await worker


if __name__ == "__main__":
    set_up_logs()
    uvloop.run(_main(int(sys.argv[1])))
