"""What a job is, and the one table of the moves that its life may take.

    Submitted ─► Initializing ─► Starting ─► Executing ─┬─► Floating ───► Executing
                                                        ├─► Suspending ─► Suspended ─► Resuming ─► Executing
                                                        └─► Completed | FailToComplete | Timedout
    before Executing also ─► Completed | FailToExecute | NoAvailableHost     any live one ─► Cancelling ─► Cancelled

Laws. A move that is not in `LEGAL` raises IllegalMove. Nothing leaves an ended status. A job has an address that
gateways may dial exactly while its gate is open; whenever gate or address change, `generation` grows by one.
Capturing, WaitingForLicense and Unknown are reserved: the original has them, users' scripts know them, and nothing
here moves a job into them. An engine that cannot tell changes no status, so Unknown is not one of them.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.engines.base import PlacementId
from gateway.types import GateState, GatewayId, JobId, JobStatus, Step, WebSocketPolicy

S = JobStatus

_OVER = {S.COMPLETED, S.FAIL_TO_COMPLETE}

LEGAL: Mapping[JobStatus, frozenset[JobStatus]] = {
    S.SUBMITTED: frozenset({S.INITIALIZING, S.CANCELLING}),
    S.INITIALIZING: frozenset({S.STARTING, S.COMPLETED, S.FAIL_TO_EXECUTE, S.NO_AVAILABLE_HOST, S.CANCELLING}),
    S.STARTING: frozenset({S.EXECUTING, S.COMPLETED, S.FAIL_TO_EXECUTE, S.CANCELLING}),
    S.EXECUTING: frozenset({S.FLOATING, S.SUSPENDING, S.CANCELLING, S.TIMEDOUT, *_OVER}),
    S.FLOATING: frozenset({S.EXECUTING, S.SUSPENDED, S.CANCELLING, S.CHECKPOINT_FAILED, *_OVER}),
    S.SUSPENDING: frozenset({S.EXECUTING, S.SUSPENDED, S.CANCELLING, S.CHECKPOINT_FAILED, *_OVER}),
    S.SUSPENDED: frozenset({S.RESUMING, S.CANCELLING}),
    S.RESUMING: frozenset({S.EXECUTING, S.SUSPENDED, S.CANCELLING, *_OVER}),
    S.CANCELLING: frozenset({S.CANCELLED}),
    S.COMPLETED: frozenset(),
    S.CANCELLED: frozenset(),
    S.FAIL_TO_EXECUTE: frozenset(),
    S.FAIL_TO_COMPLETE: frozenset(),
    S.CHECKPOINT_FAILED: frozenset(),
    S.TIMEDOUT: frozenset(),
    S.NO_AVAILABLE_HOST: frozenset(),
    S.CAPTURING: frozenset(),
    S.WAITING_FOR_LICENSE: frozenset(),
    S.UNKNOWN: frozenset(),
}
RESERVED = frozenset({S.CAPTURING, S.WAITING_FOR_LICENSE, S.UNKNOWN})
ENDED = frozenset(status for status, after in LEGAL.items() if not after) - RESERVED

FIRST_STEPS: Mapping[JobStatus, frozenset[Step]] = {
    S.FLOATING: frozenset({Step.DRAINING, Step.RESTORING}),  # RESTORING at once when the host was lost
    S.SUSPENDING: frozenset({Step.DRAINING}),
    S.RESUMING: frozenset({Step.RESTORING}),
}
LEGAL_STEPS: Mapping[Step, frozenset[Step]] = {
    Step.DRAINING: frozenset({Step.CHECKPOINTING, Step.RESTORING}),
    Step.CHECKPOINTING: frozenset({Step.TRANSFERRING, Step.RESTORING}),
    Step.TRANSFERRING: frozenset({Step.RESTORING}),
    Step.RESTORING: frozenset({Step.RECONNECTING}),
    Step.RECONNECTING: frozenset({Step.RESTORING}),  # the host was lost again
}

ACTIONS: Mapping[JobStatus, tuple[str, ...]] = {
    S.EXECUTING: ("migrate", "suspend", "cancel"),
    S.SUSPENDED: ("resume", "cancel"),
    **dict.fromkeys((S.SUBMITTED, S.INITIALIZING, S.STARTING, S.FLOATING, S.SUSPENDING, S.RESUMING), ("cancel",)),
}

GATES: Mapping[JobStatus, GateState] = {
    **dict.fromkeys(JobStatus, GateState.HELD),
    S.EXECUTING: GateState.OPEN,
    S.CAPTURING: GateState.OPEN,
    S.SUSPENDED: GateState.SUSPENDED,
    S.CANCELLING: GateState.ENDED,
    **dict.fromkeys(ENDED, GateState.ENDED),
}


class IllegalMove(Exception):
    """A move that is not in the table: a defect of the caller, or a verb that came too late."""

    def __init__(self, before: str, after: str) -> None:
        super().__init__(f"no move from {before} to {after}")


@dataclass(frozen=True, slots=True)
class Size:
    """What is asked of a host: virtual CPUs and GiB of memory."""

    cpu: int
    mem: int

    def __str__(self) -> str:
        return f"{self.cpu}Core{self.mem}GB"


@dataclass(frozen=True, slots=True)
class Order:
    """What the user asked for. Never changes."""

    name: str
    owner: str
    owner_id: int
    command: tuple[str, ...]
    template: str = ""
    image: str = ""
    env: tuple[str, ...] = ()  # K=V
    publish: tuple[str, ...] = ()  # host:container, as the user wrote it
    tags: Mapping[str, str] = field(default_factory=dict)
    time_limit: float | None = None  # seconds of Executing
    websocket: WebSocketPolicy = WebSocketPolicy.JUPYTER
    access_path: str = "/"
    workdir: str | None = None  # absolute; None: a folder of the job's own
    security_groups: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)  # path below the job's folder → text
    input_args: str = ""
    replay: Mapping[str, Any] | None = None  # replay.Table as JSON; None: what is known of all applications

    @property
    def ports(self) -> Mapping[int, int]:
        """Published port → the port on which the program listens."""
        return {int(host): int(inner) for host, _, inner in (one.partition(":") for one in self.publish)}


@dataclass(frozen=True, slots=True)
class Job:
    """One job, complete, as it is saved. Times are ms since the epoch.

    `placement` is where the program runs, or where the act under way puts it: it is saved before the engine is
    asked. `image` is the last complete image, `next_image` the one that a checkpoint under way writes, `litter`
    are images to be deleted. `trouble` is what the last act has failed with, empty when it has not; `tries` counts
    failed restores.
    """

    id: JobId
    order: Order
    size: Size
    token: str
    submitted: int
    status: JobStatus = S.SUBMITTED
    step: Step | None = None
    reason: str = ""
    since: int = 0  # of the status
    step_since: int = 0
    started: int | None = None  # first Executing
    ended: int | None = None
    ran: int = 0  # ms of Executing before the present stay
    rc: int | None = None
    placement: PlacementId | None = None
    placements: int = 0
    address: str | None = None
    host: str | None = None
    generation: int = 1
    image: str | None = None
    image_taken: int | None = None
    next_image: str | None = None
    images: int = 0
    litter: tuple[str, ...] = ()
    trouble: str = ""
    tries: int = 0
    next_size: Size | None = None
    moves: int = 0
    move_seconds: tuple[float, ...] = ()
    clean: bool = False  # ended, and nothing of it is left at the engine
    version: int = 0

    @property
    def gate(self) -> GateState:
        """What gateways do with its requests."""
        return GATES[self.status]

    @property
    def dial(self) -> str | None:
        """The IP that gateways may dial: there is one exactly while the gate is open."""
        return self.address if self.gate is GateState.OPEN else None

    @property
    def actions(self) -> tuple[str, ...]:
        """The verbs that its status allows."""
        return ACTIONS.get(self.status, ())

    @property
    def typical_move(self) -> float | None:
        """Median seconds of its moves; None before the first."""
        return statistics.median(self.move_seconds) if self.move_seconds else None

    def executing(self, now: int) -> float:
        """Seconds of Executing until `now`."""
        stay = now - self.since if self.status is S.EXECUTING else 0
        return (self.ran + stay) / 1000


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One line of a job's history; `time` is ms since the epoch."""

    time: int
    status: JobStatus
    step: Step | None
    reason: str
    host: str | None
    address: str | None


@dataclass(frozen=True, slots=True)
class Lease:
    """A port of a gateway and the job that has it. `released` (ms): in quarantine; `shown`: still answered."""

    gateway: GatewayId
    port: int
    job: JobId
    target: int  # the published port
    leased: int
    released: int | None = None
    shown: bool = True


@dataclass(frozen=True, slots=True)
class Gateway:
    """One gateway as it is saved. `token_hash` is SHA-256 of the token that it dials with."""

    id: GatewayId
    name: str
    owner: str
    bind: str
    public_address: str
    public_ip: bool
    port_min: int
    port_max: int
    control_port: int
    size: Size
    security_groups: tuple[str, ...]
    token_hash: str
    created: int
    version: int = 0
    destroying: bool = False
    host_names: tuple[str, ...] = ()  # besides `public_address`
    trusted_proxies: tuple[str, ...] = ()  # CIDRs
    public_scheme: str = "http"  # of the addresses that users are told


def move(job: Job, status: JobStatus, now: int, *, step: Step | None = None, **changes: Any) -> Job:
    """The job after a move, with `since`, `ran`, `started`, `ended` and `generation` kept right.

    `changes` are other fields of Job. Raises IllegalMove.
    """
    _check(job, status, step)
    entered = status is not job.status
    draft = replace(job, status=status, step=step, step_since=now, **changes)
    if entered:
        draft = replace(draft, since=now, ran=int(job.executing(now) * 1000))
    if status is S.EXECUTING and job.started is None:
        draft = replace(draft, started=now)
    if status in ENDED:
        draft = replace(draft, ended=now)
    if (draft.gate, draft.dial) != (job.gate, job.dial):
        draft = replace(draft, generation=job.generation + 1)
    return draft


def fresh_placement(job: Job) -> Job:
    """The job with a placement id that no act has used yet: it is saved before the engine is asked."""
    number = job.placements + 1
    return replace(job, placements=number, placement=PlacementId(f"{job.id}-{number}"))


def fresh_image(job: Job) -> Job:
    """The job with the name of an image that no checkpoint has used yet; an unfinished one becomes litter."""
    litter = job.litter if job.next_image is None else (*job.litter, job.next_image)
    return replace(job, images=job.images + 1, next_image=str(job.images + 1), litter=litter)


def _check(job: Job, status: JobStatus, step: Step | None) -> None:
    if status is job.status:
        legal = step is job.step or (step is not None and job.step is not None and step in LEGAL_STEPS[job.step])
    else:
        first = FIRST_STEPS.get(status, frozenset())
        legal = status in LEGAL[job.status] and (step in first if first else step is None)
    if not legal:
        raise IllegalMove(f"{job.status} {job.step or ''}".strip(), f"{status} {step or ''}".strip())
