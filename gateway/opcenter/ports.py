"""The pool of a gateway's ports: lease, release, quarantine.

    free ──lease──► leased ──release──► quarantine ──lease, when nothing else is free──► leased
                       ▲                     │
                       └──the same job and target come back──┘

Laws. The lowest free port first. A (job, target) has one port and keeps it. The control port is never leased. A
released port may still be known to a browser with a login of the old job: another job gets it only when no other is
free, the one released longest ago first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.types import JobId

from .model import Lease


class Exhausted(Exception):
    """Every port of the range is leased."""


@dataclass(frozen=True, slots=True)
class Pool:
    """A range, both ends inclusive, and what is known of its ports."""

    port_min: int
    port_max: int
    control_port: int
    leases: tuple[Lease, ...] = ()

    @property
    def ports(self) -> list[int]:
        """Every port that can be leased, in order."""
        return [port for port in range(self.port_min, self.port_max + 1) if port != self.control_port]

    def held(self) -> list[Lease]:
        """The leases that are not released."""
        return [one for one in self.leases if one.released is None]

    def room(self) -> int:
        """How many ports can still be leased."""
        return len(self.ports) - len(self.held())

    def choose(self, job: JobId, target: int) -> int:
        """The port for this job's target. Raises Exhausted."""
        mine = [one for one in self.leases if (one.job, one.target) == (job, target)]
        if mine:
            return min(mine, key=lambda one: one.released is not None).port
        known = {one.port for one in self.leases}
        fresh = next((port for port in self.ports if port not in known), None)
        if fresh is not None:
            return fresh
        waiting = [(one.released, one.port) for one in self.leases if one.released is not None]
        if not waiting:
            raise Exhausted
        return min(waiting)[1]

    def after(self, lease: Lease) -> Pool:
        """The pool with this lease in the place of what was at its port."""
        others = tuple(one for one in self.leases if one.port != lease.port)
        return Pool(self.port_min, self.port_max, self.control_port, (*others, lease))


def overlap(one: tuple[int, int], others: Iterable[tuple[int, int]]) -> tuple[int, int] | None:
    """The first range that shares a port with `one`, or None."""
    return next((other for other in others if one[0] <= other[1] and other[0] <= one[1]), None)
