"""The measures that every proxy takes: requests, transfers, latency, echoes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .backends import DOCUMENTS
from .machine import cpu_seconds
from .peer import Peer, Proxy
from .processes import Command
from .stage import Stage
from .tools import compiled, local, run_json, wrk

CONNECTIONS = 32
WARM_UP = 0.3  # seconds before each sample of a new load
Take = Callable[[Stage, Peer, float], "Sample"]


@dataclass(frozen=True, slots=True)
class Sample:
    """The figures of one sample by name; `bad`: answers that were not what they should be."""

    values: Mapping[str, float] = field(default_factory=dict)
    bad: int = 0
    why: str = ""  # the first of the bad ones, where the load program says it


def spent(proxy: Proxy) -> float:
    """CPU seconds of the proxy so far; nan where there is none, and figures that are made of it are left out."""
    return math.nan if proxy.pid is None else cpu_seconds(proxy.pid)


def requests(path: str) -> Take:
    """Requests a second of one document, and the proxy's CPU time for each."""

    def take(stage: Stage, peer: Peer, seconds: float) -> Sample:
        proxy = stage.proxies[peer.name]
        return ask(stage, proxy, proxy.documents + path, DOCUMENTS[path], seconds)

    return take


def ask(
    stage: Stage, proxy: Proxy, url: str, size: int, seconds: float, headers: Mapping[str, str] | None = None
) -> Sample:
    """Run wrk after a warm-up. When the answers are shorter than `size` on the average all count as bad."""
    run_c(stage, proxy, "http", "get", url, CONNECTIONS, size, WARM_UP)
    before = spent(proxy)
    said = wrk(url, stage.cores.load, seconds, CONNECTIONS, headers or {})
    cpu = spent(proxy) - before
    count = said["requests"]
    short = count if said["bytes"] < size * count else 0
    values = {"per_second": said["requests"] / said["us"] * 1e6, "cpu_us": cpu / count * 1e6 if count else math.nan}
    return Sample(values, said["bad"] + said["lost"] + short)


def transfers(verb: str, path: str, size: int, connections: int = 2) -> Take:
    """MB/s (10⁶ bytes) of whole transfers, and the proxy's CPU time for each."""

    def take(stage: Stage, peer: Peer, seconds: float) -> Sample:
        proxy = stage.proxies[peer.name]
        base = proxy.echo if verb == "put" else proxy.documents
        said, cpu = run_c(stage, proxy, "http", verb, base + path, connections, size, seconds)
        done = said["requests"]
        values = {"mb_s": done * size / said["us"], "cpu_ms": cpu / done * 1e3} if done else {}
        return Sample(values, said["bad"], said["why"])

    return take


def latency(path: str) -> Take:
    """The time of one request after the other on one connection, in µs."""

    def take(stage: Stage, peer: Peer, seconds: float) -> Sample:
        proxy = stage.proxies[peer.name]
        said, _ = run_c(stage, proxy, "http", "get", proxy.documents + path, 1, DOCUMENTS[path], seconds)
        return Sample({"p50_us": said["p50"] / 1e3, "p99_us": said["p99"] / 1e3}, said["bad"], said["why"])

    return take


def echoes(size: int, connections: int) -> Take:
    """Echoes a second and their MB/s, one way; the proxy's CPU time for each."""

    def take(stage: Stage, peer: Peer, seconds: float) -> Sample:
        proxy = stage.proxies[peer.name]
        said, cpu = run_c(stage, proxy, "ws", "echo", proxy.echo + "/ws", connections, size, seconds)
        rate, count = said["requests"] / said["us"] * 1e6, said["requests"]
        cost = cpu / count * 1e6 if count else math.nan
        values = {"per_second": rate, "mb_s": rate * size / 1e6, "cpu_us": cost}
        return Sample(values, said["bad"])

    return take


def run_c(
    stage: Stage, proxy: Proxy, program: str, verb: str, url: str, connections: int, size: int, seconds: float
) -> tuple[dict[str, Any], float]:
    """What a C program said, and the CPU seconds that the proxy spent meanwhile."""
    command: Command = [compiled(program), verb, *local(url), str(connections), str(size), str(seconds)]
    before = spent(proxy)
    said = run_json(command, stage.cores.load, seconds)
    return said, spent(proxy) - before
