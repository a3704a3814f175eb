"""What floatgate should reach, printed beside what it did reach. Nothing fails when a target is missed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .rounds import Results
from .workers import has_room

OURS = "floatgate"


@dataclass(frozen=True, slots=True)
class Target:
    """`reached` is None when one of its figures is missing; `least`: it should be at least `bound`, else at most."""

    what: str
    reached: Callable[[Results], float | None]
    bound: float
    least: bool = True
    unit: str = ""
    judged: Callable[[], bool] = lambda: True
    by_cpu: Callable[[Results], float | None] = lambda results: None  # what it would be if only CPU time counted

    def verdict(self, results: Results) -> str:
        """`met`, `not met`, `not measured`, or that this machine cannot tell."""
        value = self.reached(results)
        if value is None:
            return "not measured"
        if not self.judged():
            return "not judged: too few cores"
        return "met" if (value >= self.bound if self.least else value <= self.bound) else "not met"

    def row(self, results: Results) -> list[str]:
        """What it is, the bound, the value, the verdict, and the value by CPU time."""
        value = self.reached(results)
        sign = "≥" if self.least else "≤"
        said = "" if value is None else f"{value:,.2f}{self.unit}"
        cpu = self.by_cpu(results)
        bound = f"{sign} {self.bound:g}{self.unit}"
        return [self.what, bound, said, self.verdict(results), "" if cpu is None else f"{cpu:,.2f}"]


def _faster(what: str, measure: str, peer: str, bound: float) -> Target:
    """floatgate's rate by the peer's; CPU time of one request tells the same where the machine is busy."""
    rate, cost = next(pair for pair in _FIGURES if measure in pair[2])[:2]
    inverse = ratio(measure, cost, peer)

    def by_cpu(results: Results) -> float | None:
        value = inverse(results)
        return 1 / value if value else None

    return Target(f"{what}, of {peer}'s", ratio(measure, rate, peer), bound, by_cpu=by_cpu)


# The figures of a rate and of its cost, and the measures that have them.
_FIGURES = [("mb_s", "cpu_ms", ("down", "up")), ("per_second", "cpu_us", ("small", "new", "hundred", "ws64", "ws64k"))]


def ratio(measure: str, figure: str, peer: str) -> Callable[[Results], float | None]:
    """floatgate's figure by the peer's."""
    return lambda results: results.ratio(measure, OURS, peer, figure)


def _own(measure: str, figure: str) -> Callable[[Results], float | None]:
    return lambda results: results.get(measure, OURS, figure)


def _added(figure: str) -> Callable[[Results], float | None]:
    def reached(results: Results) -> float | None:
        ours, direct = results.get("latency", OURS, figure), results.get("latency", "direct", figure)
        return None if ours is None or direct is None else ours - direct

    return reached


def _injection(results: Results) -> float | None:
    plain, tagged = results.get("page", OURS, "plain"), results.get("page", OURS, "tagged")
    return 100 * (1 - tagged / plain) if plain and tagged is not None else None


TARGETS = [
    _faster("1 KiB requests/s", "small", "nginx", 0.5),
    _faster("1 KiB requests/s", "small", "caddy", 2.5),
    _faster("1 KiB requests/s", "small", "configurable-http-proxy", 7),
    _faster("1 KiB requests/s", "small", "jupyter-server-proxy", 30),
    _faster("100 KiB requests/s", "hundred", "nginx", 1),
    _faster("100 MiB down", "down", "nginx", 1),
    _faster("100 MiB up", "up", "nginx", 1),
    _faster("WebSocket echoes of 64 B", "ws64", "nginx", 0.8),
    _faster("WebSocket echoes of 64 KiB", "ws64k", "nginx", 1),
    Target("latency added, median", _added("p50_us"), 100, least=False, unit=" µs"),
    Target("memory of an idle WebSocket", _own("idle", "kib"), 8, least=False, unit=" KiB"),
    Target("requests/s that the script tag costs", _injection, 20, least=False, unit=" %"),
    Target("two workers, of one", _own("workers", "ratio"), 1.7, judged=has_room),
]
