"""floatgate with one worker and with two: two ports, each with its own load and its own backend."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from .backends import DOCUMENTS, start_backends
from .floatgate import FloatGate
from .load import CONNECTIONS, Sample, spent
from .machine import Cores, split
from .peer import Peer
from .stage import Stage
from .tools import wrk

PATH = "/1k"
PORTS = 2


def has_room() -> bool:
    """Whether two workers and their load have a core each; else the two share all of them and nothing is judged."""
    return len(split(2).load) == PORTS and split(2).load != split(2).proxy


def scaling(stage: Stage, peer: Peer, seconds: float) -> Sample:
    """Requests a second and CPU time of each, with one worker and with two."""
    values: dict[str, float] = {}
    bad = 0
    for count in (1, PORTS):
        sample = _with(stage, count, seconds)
        values |= {f"{name}_{count}": value for name, value in sample.values.items()}
        bad += sample.bad
    return Sample({**values, "ratio": values[f"per_second_{PORTS}"] / values["per_second_1"]}, bad)


def _with(stage: Stage, count: int, seconds: float) -> Sample:
    cores = split(PORTS)
    load = _of_each(cores)
    with stage.private("floatgate", cores.proxy[:count] if has_room() else cores.proxy) as room:
        behind = [start_backends(room.processes, room.folder / f"behind{n}", load[n]) for n in range(PORTS)]
        gateway = FloatGate(room, [one.documents for one in behind], workers=count)
        gateway.start()
        _both(gateway, load, 1.0)  # a warm-up
        before = spent(gateway.proxy)
        said = _both(gateway, load, seconds)
        cpu = spent(gateway.proxy) - before
    done = sum(one["requests"] for one in said)
    rate = sum(one["requests"] / one["us"] * 1e6 for one in said)
    short = sum(one["requests"] for one in said if one["bytes"] < one["requests"] * DOCUMENTS[PATH])
    return Sample({"per_second": rate, "cpu_us": cpu / max(done, 1) * 1e6}, short + sum(_wrong(one) for one in said))


def _of_each(cores: Cores) -> list[tuple[int, ...]]:
    return [(core,) for core in cores.load] if has_room() else [cores.load] * PORTS


def _wrong(said: dict[str, int]) -> int:
    return said["bad"] + said["lost"]


def _both(gateway: FloatGate, load: list[tuple[int, ...]], seconds: float) -> list[dict[str, int]]:
    urls = [f"http://127.0.0.1:{port}{PATH}" for port in gateway.ports]
    with ThreadPoolExecutor(PORTS) as pool:
        runs = [pool.submit(wrk, url, load[n], seconds, CONNECTIONS, {}) for n, url in enumerate(urls)]
        return [one.result() for one in runs]
