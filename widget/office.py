"""What all handlers of the widget's server share."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web

from gateway.types import JobId, Listener

from .audit import Audit
from .denials import Denial, Denied
from .desk import Desk
from .limits import Limits
from .nonces import Nonces
from .sessions import Sessions
from .throttle import Throttle


@dataclass(slots=True)
class Office:
    """One for each application."""

    desk: Desk
    audit: Audit
    limits: Limits = field(default_factory=Limits)
    names: frozenset[str] = frozenset()
    """Host names by which the gateway is reached, besides the snapshot's public address."""
    allow_insecure_login: bool = False
    clock: Callable[[], float] = time.monotonic
    sessions: Sessions = field(init=False)
    nonces: Nonces = field(init=False)
    failures: Throttle = field(init=False)
    moves: Throttle = field(init=False)
    sockets: set[web.WebSocketResponse] = field(default_factory=set)

    def __post_init__(self) -> None:
        limits = self.limits
        self.sessions = Sessions(limits)
        self.nonces = Nonces(limits)
        self.failures = Throttle(limits.login_tries, limits.login_window, limits.tracked)
        self.moves = Throttle(1, limits.migrate_pause, limits.tracked)

    def listener(self, job: str) -> Listener:
        """The job's listener. Raises Denied."""
        found = self.desk.snapshot.listener(JobId(job))
        if found is None:
            raise Denied(Denial.NO_JOB)
        return found

    def ports(self, job: str) -> list[int]:
        """The ports at which this job's pages are."""
        return [one.port for one in self.desk.snapshot.listeners if one.job == job]

    def host_names(self) -> frozenset[str]:
        """Every name that is ours now."""
        return self.names | {self.desk.snapshot.public_address.lower()}


OFFICE = web.AppKey("office", Office)
