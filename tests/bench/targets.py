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

    def verdict(self, results: Results) -> str:
        """`met`, `not met`, `not measured`, or that this machine cannot tell."""
        value = self.reached(results)
        if value is None:
            return "not measured"
        if not self.judged():
            return "not judged: too few cores"
        return "met" if (value >= self.bound if self.least else value <= self.bound) else "not met"

    def row(self, results: Results) -> list[str]:
        """What it is, the bound, the value, the verdict."""
        value = self.reached(results)
        sign = "≥" if self.least else "≤"
        said = "" if value is None else f"{value:,.2f}{self.unit}"
        return [self.what, f"{sign} {self.bound:g}{self.unit}", said, self.verdict(results)]


def ratio(measure: str, figure: str, peer: str) -> Callable[[Results], float | None]:
    """floatgate's figure by the peer's."""

    def reached(results: Results) -> float | None:
        ours, theirs = results.get(measure, OURS, figure), results.get(measure, peer, figure)
        return ours / theirs if ours is not None and theirs else None

    return reached


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


CHP, JSP = "configurable-http-proxy", "jupyter-server-proxy"
TARGETS = [
    Target("1 KiB requests/s, of nginx's", ratio("small", "per_second", "nginx"), 0.5),
    Target("1 KiB requests/s, of Caddy's", ratio("small", "per_second", "caddy"), 2.5),
    Target(f"1 KiB requests/s, of {CHP}'s", ratio("small", "per_second", CHP), 7),
    Target(f"1 KiB requests/s, of {JSP}'s", ratio("small", "per_second", JSP), 30),
    Target("100 KiB requests/s, of nginx's with default buffers", ratio("hundred", "per_second", "nginx"), 1),
    Target("100 MiB down, of nginx's with default buffers", ratio("down", "mb_s", "nginx"), 1),
    Target("100 MiB up, of nginx's with default buffers", ratio("up", "mb_s", "nginx"), 1),
    Target("WebSocket echoes of 64 B, of nginx's", ratio("ws64", "per_second", "nginx"), 0.8),
    Target("WebSocket echoes of 64 KiB, of nginx's", ratio("ws64k", "per_second", "nginx"), 1),
    Target("latency added, median", _added("p50_us"), 100, least=False, unit=" µs"),
    Target("memory of an idle WebSocket", _own("idle", "kib"), 8, least=False, unit=" KiB"),
    Target("requests/s that the script tag costs", _injection, 20, least=False, unit=" %"),
    Target("two workers, of one", _own("workers", "ratio"), 1.7, judged=has_room),
]
