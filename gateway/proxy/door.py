"""What every exchange of one port shares."""

from __future__ import annotations

from dataclasses import dataclass, field

from gateway.config import Config
from gateway.replay import Table

from . import cookies, headers
from .accesslog import AccessLog
from .documents import Documents
from .gate import Gate
from .headers import Visit
from .heads import Lines
from .replay import COMMON
from .usual import Usual

_REMEMBERED = 64  # Host headers: a browser uses one, an attacker any number


@dataclass(slots=True)
class Door:
    """One port's gate, and what the gateway's configuration says; replaced whole when that changes."""

    gate: Gate
    config: Config
    control_port: int
    names: frozenset[str]
    """Host names, besides IPs and localhost, that this gateway answers to."""
    access: AccessLog
    key: bytes
    """The gateway's secret: cookies' names are made with it."""
    job: str = field(init=False)
    known: dict[bytes, Lines] = field(init=False, default_factory=dict)
    """Header lines of requests that heads.py has read before."""
    usual: Usual = field(init=False)
    """And heads of answers."""
    documents: Documents = field(init=False)
    marker: bytes = field(init=False)
    """In the Cookie line of a browser that has seen no other job at this port since: see greeting.py."""
    table: Table = COMMON
    """What is known of the job's application: which requests may be sent twice."""
    _prefix: str = field(init=False)
    _hosts: dict[bytes, bool] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        listener = self.gate.listener
        self.job = listener.job
        self.usual = Usual(self.config.limits)
        self.documents = Documents(listener.job, self.control_port)
        self.marker = cookies.marker(listener.port, listener.job, self.key)
        self._prefix = cookies.prefix(listener.port, listener.job, self.key)

    def visit(self, client: str, host: bytes, scheme: str = "http") -> Visit:
        """Who asks, for headers.py. Another scheme than http only a trusted proxy can tell (forwarded.py)."""
        return Visit(client, scheme, host, self._prefix)

    def serves(self, host: bytes) -> bool:
        """Whether this is a Host that we answer to."""
        known = self._hosts.get(host)
        if known is None:
            known = headers.well_formed_host(host) and headers.served_host(host, self.names)
            if known and len(self._hosts) < _REMEMBERED:
                self._hosts[host] = known
        return known
