"""The limits and time-outs of the widget's server: unit, from when until when, and why this default."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds, counts and bytes. What happens at the bound is said at each."""

    session_idle: float = 30 * 60.0
    """From a session's last use until it ends: a person who left the desk (OWASP ASVS 3.3 asks for 30 minutes)."""
    session_life: float = 12 * 3600.0
    """From a login until its session ends whatever is done with it: a working day."""
    sessions: int = 10_000
    """Sessions at once; one more ends the one unused for longest."""
    nonce_rest: float = 0.8
    """From a nonce until it may be used (not for `resume`): a person has read the question."""
    nonce_life: float = 120.0
    """From a nonce until it may no longer be used: a window left open asks again."""
    migrate_pause: float = 60.0
    """Between two moves of one job from here: what a click that was stolen can cost is bounded."""
    login_tries: int = 5
    """Failed logins from one address, or for one user, within `login_window`; then 429."""
    login_window: float = 60.0
    """Over which failed logins are counted."""
    tracked: int = 10_000
    """Addresses and users whose failures are counted at once; one more forgets the oldest."""
    body: int = 4 << 10
    """Bytes of a request's body; more is 413."""
    sockets: int = 1000
    """Live connections at once; one more is answered 503 and polls."""
    first_frame: float = 5.0
    """From a live connection's start until its first frame, which says who it is; else it is closed."""
    beat: float = 20.0
    """Between two signs of life on a live connection: below the 60 s idle time-outs of load balancers."""
    linger: float = 0.25
    """Between two looks at the OpCenter for one live connection: a burst of news is one question."""
