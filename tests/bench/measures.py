"""What is measured: each is one sample of one proxy; the rounds and medians are taken in rounds.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from .backends import DOCUMENTS
from .machine import cpu_seconds
from .peer import Proxy
from .stage import Stage
from .tools import wrk

CONNECTIONS = 32
Values = dict[str, float]


@dataclass(frozen=True, slots=True)
class Sample:
    """The figures of one sample by name; `bad`: answers that were not what they should be."""

    values: Values
    bad: int = 0


@dataclass(frozen=True, slots=True)
class Measure:
    """`take(stage, proxy, seconds)` gives one sample. `seconds` is its length in a full run."""

    name: str
    title: str
    take: Callable[[Stage, Proxy, float], Sample]
    seconds: float = 3.0


def requests(path: str, headers: Mapping[str, str] | None = None, connections: int = CONNECTIONS):  # type: ignore[no-untyped-def]
    """Requests a second of one document, and the proxy's CPU time for each."""

    def take(stage: Stage, proxy: Proxy, seconds: float) -> Sample:
        return load(stage, proxy, proxy.documents + path, DOCUMENTS[path], seconds, headers or {}, connections)

    return take


def load(
    stage: Stage, proxy: Proxy, url: str, size: int, seconds: float, headers: Mapping[str, str], connections: int
) -> Sample:
    """Run wrk after a short warm-up. An answer shorter than `size` counts as bad."""
    cores = stage.cores.load
    wrk(url, cores, 1, connections, headers)
    before = spent(proxy)
    said = wrk(url, cores, seconds, connections, headers)
    cpu = spent(proxy) - before
    count = max(said["requests"], 1)
    short = count if said["bytes"] < size * count else 0
    values = {"per_second": said["requests"] / said["us"] * 1e6, "cpu_us": cpu / count * 1e6}
    return Sample(values, said["bad"] + said["lost"] + short)


def spent(proxy: Proxy) -> float:
    """CPU seconds of the proxy so far; 0 where there is none."""
    return 0.0 if proxy.pid is None else cpu_seconds(proxy.pid)


MEASURES = [
    Measure("small", "1 KiB, keep-alive, 32 connections", requests("/1k")),
    Measure("hundred", "100 KiB, keep-alive, 32 connections", requests("/100k")),
]
