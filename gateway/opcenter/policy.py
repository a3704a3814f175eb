"""The OpCenter's own limits: unit, from when until when, and why. `gateway/config.py` has the shared ones."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """Seconds, bytes and counts that concern the control plane alone."""

    session_idle: float = 24 * 3600.0
    """From a token's last use until it is void: a laptop shut over night is still logged in."""
    session_life: float = 30 * 24 * 3600.0
    """From login until the token is void whatever its use: Jupyter's own login cookie lives as long."""
    session_touch: float = 60.0
    """Between two notes of a token's use: one write a minute, not one a call."""
    login_tries: int = 10
    """Failed logins of one name within `login_window`; then that name waits."""
    login_window: float = 60.0
    """Seconds in which failed logins of one name are counted: 10 a minute guess nothing worth having."""
    login_names: int = 10_000
    """Names whose failures are remembered; the oldest is forgotten."""
    hash_passes: int = 3
    """argon2id's passes over memory: RFC 9106, section 4, second recommended option."""
    hash_memory: int = 65536
    """argon2id's memory for one hash, KiB: the same."""
    hashing: int = 2
    """Passwords hashed at once: argon2 takes 64 MiB each."""
    hashing_queue: int = 64
    """Logins that wait for their turn to be hashed; one more is refused with 503."""
    body: int = 1 << 20
    """Bytes of a request's body; more is refused."""
    rules_of_group: int = 100
    """Rules of one security group; one more is refused: make two groups of it."""
    rules_of_gateway: int = 1000
    """Rules of all groups of a gateway, each once; one more is refused. Each new connection is compared with all."""
    event_queue: int = 1000
    """Events kept for one slow reader of /events; then its stream ends and it comes back."""
    event_readers: int = 500
    """Readers of /events and waiters of /wait at once; one more is refused with 503."""
    beat: float = 20.0
    """Between two signs of life on /events: below the 60 s idle time-outs of load balancers."""
    wait: float = 60.0
    """The longest answer of /wait: callers ask again."""
    follow: float = 0.25
    """Between two looks at a log that is followed: a person reads it."""
    log_chunk: int = 1 << 16
    """Bytes of a log read at once."""
    listed: int = 1000
    """Jobs in one list, newest first; older ones are shown by their id."""
    history: int = 1000
    """Entries in one answer of /history, the newest ones."""
    look_answer: float = 10.0
    """From a question to the engine until its silence counts as Unknown."""
    restores: int = 3
    """Tries to bring an image to life: a host, another one, and the old one. Then the job is Suspended."""
    moves_kept: int = 21
    """Durations of a job's last moves of which `typicalMove` is the median."""
    respawn: float = 1.0
    """From a gateway's death until its restart, doubled each time up to `respawn_max`."""
    respawn_max: float = 30.0
    """Ceiling of the above: a port that somebody else took may come free."""
    steady: float = 60.0
    """A gateway that lived for this long is restarted at once."""
    link_message: int = 4 << 20
    """Bytes of one message of a gateway; more ends the link."""
    close: float = 5.0
    """From the order to end until open answers are cut."""
