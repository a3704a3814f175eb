"""Every limit and every time-out of floatgate, each with its unit, from when until when, and why this default.

docs/timeouts.md is made from this file. A number for a time-out anywhere else in the code is a defect.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

DEFAULT_OPCENTER_PORT = 9180
PORT_MIN, PORT_MAX = 10000, 65535  # both inclusive, as in the original


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. Each line: from when, until when, why."""

    hold: float = 600.0
    """From a request's arrival at a held gate until its 503: longer than the slowest move seen (200 s)."""
    drain: float = 10.0
    """From `held` until requests still inside are cut: an ordinary answer takes less; a long poll is replayed."""
    drain_replayable: float = 0.5
    """The same for requests that may be sent again and have no answer yet, such as long polls: sent again later."""
    barrier: float = 5.0
    """From a WebSocket's barrier ping until its pong: what was sent before the ping was read by then."""
    close: float = 3.0
    """From our Close frame until the peer's: then the connection is reset."""
    dial: float = 5.0
    """From connect() until the socket is open, each try: one SYN retransmission and a little."""
    unreachable: float = 30.0
    """From a refused dial at an open gate until 503: by then the OpCenter has noticed a lost host and holds."""
    confirm: float = 1.0
    """From a browser's frame until a ping asks the job whether it was read: at most one a second and WebSocket."""
    redial: float = 120.0
    """From `open` until a server that does not accept is given up, WebSockets are then closed with 1012."""
    redial_pause: float = 0.05
    """Between two dials of a server that refuses: it has just been restored."""
    head: float = 30.0
    """From a connection's first byte until its whole request head (slowloris), whatever the drip."""
    keep_alive: float = 75.0
    """From an answer until the idle browser connection is closed: nginx's, browsers reuse within it."""
    body_idle: float = 60.0
    """Between two reads of a request's body: a client that sends nothing is gone."""
    write_idle: float = 300.0
    """With bytes to write and none taken by the client: a laptop that sleeps comes back sooner or not at all."""
    pool_idle: float = 15.0
    """An idle connection to a job is closed after this: below the keep-alive of the servers behind."""
    peer_look: float = 1.0
    """Between two looks whether a browser is still there from which nothing is read at the moment."""
    ping: float = 25.0
    """Between pings to a browser whose job is away: below the 60 s idle time-outs of load balancers."""
    link_retry: float = 1.0
    """Between two dials of the OpCenter by a gateway, doubled up to `link_retry_max`."""
    link_retry_max: float = 15.0
    """Ceiling of the above: an OpCenter that comes back finds its gateways within this."""
    link_ping: float = 15.0
    """WebSocket heartbeat between gateway and OpCenter: a lost peer is noticed within twice this."""
    worker_exit: float = 10.0
    """From the order to end until a worker is killed."""
    handover: float = 3600.0
    """From a reload until WebSockets and answers in old workers are cut: most tabs are reloaded within it."""
    successor: float = 30.0
    """From a reload's order until the new program has read what it would take over; else the old one goes on."""
    turn: float = 5.0
    """After a reload, from telling a port's first worker of a move until all are told; well within `drain_report`."""
    worker_pause: float = 0.2
    """From a worker's unexpected end until its successor starts: one that fails at once does not spin."""
    start: float = 300.0
    """From a program's start until its port accepts: JupyterLab with many extensions takes a minute."""
    stop_grace: float = 10.0
    """From SIGTERM to a job until SIGKILL: JupyterLab saves and ends its kernels in about 3 s."""
    drain_report: float = 20.0
    """From `held` until the OpCenter goes on without a report: more than drain + barrier + close."""
    checkpoint: float = 600.0
    """From the dump's start until the user is told that it is slow: 128 GiB at 250 MB/s. The engine ends it."""
    restore: float = 600.0
    """From the restore's start until it counts as failed."""
    look: float = 1.0
    """Between two looks of the OpCenter at every job."""
    release: float = 0.1
    """From a request's release after a move until it no longer counts in `release_width`: it may be a long poll."""
    sharing: float = 5.0
    """From the same until who waits for its answer, having asked for the same, asks by itself."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Counts and bytes. What happens at the bound is said at each."""

    waiting_per_job: int = 1000
    """Held requests of one job; one more sheds the oldest with 503."""
    release_width: int = 32
    """Held requests of one job that are let through at a time after a move; one more waits until one is answered."""
    shared_answer: int = 64 << 10
    """Bytes of an answer that is given to all who asked for the same while a job was away; larger ones are not."""
    held_bytes_per_job: int = 1 << 30
    """Bytes of held request bodies, memory and disk; one more is answered 503."""
    waiting_per_gateway: int = 8000
    """Held requests of all jobs of a gateway, divided among its workers; one more sheds the oldest with 503."""
    held_bytes_per_gateway: int = 8 << 30
    """Bytes of held request bodies of all jobs of a gateway, divided among its workers; then bodies are not read."""
    spool_memory: int = 1 << 20
    """Bytes of one held body kept in memory; the rest goes to a file that is deleted at once."""
    parked_frames: int = 8 << 20
    """Bytes of browser frames kept for one WebSocket while its job is away; then its socket is not read."""
    high_water: int = 256 << 10
    """Bytes in a transport's write buffer; then the other side is not read."""
    head: int = 64 << 10
    """Bytes of a request or response head; more is 431, from the job BAD_ANSWER."""
    jar: int = 1 << 20
    """Bytes of a head that may be cookies, to be answered with a way out: a browser sends at most 180 of 4 KiB."""
    large_heads: int = 64
    """Heads of one port above `head` that are read at a time; one more is 431 at once."""
    header_count: int = 128
    """Header lines of one head; more is 431."""
    interim: int = 32
    """Interim answers (1xx) of a job to one request; one more is BAD_ANSWER."""
    target: int = 16 << 10
    """Bytes of a request target; more is 414."""
    connections_per_listener: int = 4096
    """Browser connections of one port; one more is closed at once."""
    connections_per_client: int = 1024
    """Browser connections of one IP to one port; one more is closed at once. A class may sit behind one address."""
    generations: int = 8
    """Generations of old workers that a gateway keeps after reloads; one more ends the oldest, WebSockets with 1012."""
    idle_upstream: int = 32
    """Idle connections kept to one job."""
    inject_scan: int = 64 << 10
    """Bytes of HTML looked at for the place of the tag; then the page passes without it."""
    event: int = 1 << 20
    """Bytes of one server-sent event that is kept until it is whole; a larger one passes in pieces."""
    replay_terminal: int = 1 << 20
    """Bytes of a terminal's last output kept to cut its replay after a move; a longer frame passes as it comes."""
    news_clients: int = 64
    """Client addresses named in a listener's news."""


@dataclass(frozen=True, slots=True)
class Config:
    """All of it. `home` holds the OpCenter's state, one folder for each gateway and each job."""

    home: Path
    timeouts: Timeouts = field(default_factory=Timeouts)
    limits: Limits = field(default_factory=Limits)


def default_home(environ: Mapping[str, str] = os.environ) -> Path:
    """`$FLOATGATE_HOME`, else `~/.floatgate`."""
    named = environ.get("FLOATGATE_HOME")
    return Path(named) if named else Path.home() / ".floatgate"
