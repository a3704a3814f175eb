"""Everything that is measured, in the order of docs/performance.md. A measure takes one sample of one proxy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import hold, idle, injection, load, workers
from .backends import KIB, MIB
from .load import Sample
from .peer import Peer
from .stage import Stage

OURS = ("floatgate",)
PROXIES = ("floatgate", "nginx", "haproxy", "caddy", "configurable-http-proxy", "jupyter-server-proxy")


@dataclass(frozen=True, slots=True)
class Measure:
    """`take(stage, peer, seconds)` gives one sample, `seconds` long.

    `peers`: whom it is about, None for all; `rounds`: as many at most; `apart`: it starts a proxy of its own.
    """

    name: str
    title: str
    take: Callable[[Stage, Peer, float], Sample]
    seconds: float = 3.0
    peers: tuple[str, ...] | None = None
    rounds: int = 99
    apart: bool = False

    def concerns(self, peer: Peer) -> bool:
        """Whether this proxy takes part."""
        return (self.peers is None or peer.name in self.peers) and (peer.only is None or self.name in peer.only)


MEASURES = [
    Measure("small", "1 KiB, 32 connections, keep-alive", load.requests("/1k")),
    Measure("new", "1 KiB, each answer with a head of its own", load.requests("/new"), 2.0),
    Measure("hundred", "100 KiB, 32 connections, keep-alive", load.requests("/100k"), 2.0),
    Measure("down", "100 MiB down, 2 connections", load.transfers("get", "/100m", 100 * MIB), 2.0),
    Measure("up", "100 MiB up, 2 connections", load.transfers("put", "/up", 100 * MIB), 2.0),
    Measure("latency", "1 KiB, one connection", load.latency("/1k"), 2.0),
    Measure("ws64", "WebSocket echo of 64 B, 16 connections", load.echoes(64, 16), 2.0),
    Measure("ws64k", "WebSocket echo of 64 KiB, 4 connections", load.echoes(64 * KIB, 4), 2.0),
    Measure("idle", "1,000 idle WebSockets", idle.memory(1000), 0.0, PROXIES, rounds=1, apart=True),
    Measure("page", "30 KiB HTML page, plain and with a script tag", injection.pages, 3.0, ("floatgate", "nginx")),
    Measure("release", "1,000 held requests after a move", hold.release(1000), 0.0, OURS, apart=True),
    Measure("workers", "1 KiB on two ports, one and two workers", workers.scaling, 3.0, OURS, apart=True),
]
