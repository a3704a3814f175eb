"""The words that both planes share: ids, states, addresses and the snapshot.

`opcenter/` writes snapshots, `proxy/` and `widget/` read them; they meet here and nowhere else. Everything is a
value: frozen, comparable, and the same after a trip through JSON.
"""

from __future__ import annotations

import enum
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, NewType

JobId = NewType("JobId", str)
GatewayId = NewType("GatewayId", str)
UserId = NewType("UserId", str)

_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
_ID_LENGTH = 21  # nanoid's default length, as in the original's job ids


def _new_id() -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(_ID_LENGTH))


def new_job_id() -> JobId:
    """A fresh job id: 21 lower-case letters and digits."""
    return JobId(_new_id())


def new_gateway_id() -> GatewayId:
    """A fresh gateway id: `g-` and 21 lower-case letters and digits."""
    return GatewayId("g-" + _new_id())


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server answers: an IP and a TCP port."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class JobStatus(enum.StrEnum):
    """The 19 states of a job, the original's names. The legal moves are in opcenter/model.py."""

    SUBMITTED = "Submitted"
    INITIALIZING = "Initializing"
    STARTING = "Starting"
    EXECUTING = "Executing"
    FLOATING = "Floating"
    SUSPENDING = "Suspending"
    SUSPENDED = "Suspended"
    RESUMING = "Resuming"
    CAPTURING = "Capturing"
    COMPLETED = "Completed"
    CANCELLING = "Cancelling"
    CANCELLED = "Cancelled"
    FAIL_TO_EXECUTE = "FailToExecute"
    FAIL_TO_COMPLETE = "FailToComplete"
    CHECKPOINT_FAILED = "CheckpointFailed"
    TIMEDOUT = "Timedout"
    NO_AVAILABLE_HOST = "NoAvailableHost"
    WAITING_FOR_LICENSE = "WaitingForLicense"
    UNKNOWN = "Unknown"


class Step(enum.StrEnum):
    """Where a job is inside of Floating, Suspending or Resuming. Shown by the widget and the API."""

    DRAINING = "draining"
    CHECKPOINTING = "checkpointing"
    TRANSFERRING = "transferring"
    RESTORING = "restoring"
    RECONNECTING = "reconnecting"


class GateState(enum.StrEnum):
    """What a gateway does with the requests of a listener."""

    OPEN = "open"  # forward to `address`
    HELD = "held"  # let them wait: the job moves, starts, or comes back
    SUSPENDED = "suspended"  # as HELD, and a navigation gets the page with Resume
    ENDED = "ended"  # refuse; a navigation gets the page that says why


class WebSocketPolicy(enum.StrEnum):
    """What happens to a job's WebSockets when it moves."""

    JUPYTER = "jupyter"  # kernels, terminals and events go on; others as RECONNECT
    RESUME = "resume"  # every one is dialled again under the living browser socket
    RECONNECT = "reconnect"  # closed with 1012 after the move, so that the client comes back


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a security group: who may connect to which ports of the gateway."""

    port_min: int
    port_max: int
    source: str  # CIDR, IPv4 or IPv6


@dataclass(frozen=True, slots=True)
class Listener:
    """One port of a gateway and the server of the one job behind it.

    `generation` grows with every change of `gate` or `address`; a gateway reports what it did by
    (job, generation), so that a late report of an earlier move is never taken for this one.
    `since` is the time at which `status` began, in milliseconds since the epoch, by the OpCenter's clock.
    """

    port: int
    job: JobId
    name: str
    target_port: int
    gate: GateState
    status: JobStatus
    generation: int
    since: int
    step: Step | None = None
    address: str | None = None
    reason: str = ""  # why it floats or ended, one sentence or a word such as `user`
    typical_seconds: float | None = None  # how long this job's moves took, median; None before the first
    websocket: WebSocketPolicy = WebSocketPolicy.JUPYTER
    access_path: str = "/"  # what a browser opens; may hold a login token: never logged
    replay: str = ""  # key of the snapshot's table that says which requests may be sent twice
    actions: tuple[str, ...] = ()  # of migrate, suspend, resume, cancel: what the status allows now

    @property
    def target(self) -> Address | None:
        """Where the server answers now; None while there is none."""
        return None if self.address is None else Address(self.address, self.target_port)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that a gateway needs to serve, complete, at one version."""

    version: int
    gateway: GatewayId
    name: str
    bind: str  # the IP on which the ports are opened
    public_address: str  # the IP or name that users are told
    port_min: int
    port_max: int
    control_port: int
    now: int  # the OpCenter's clock when this was made, ms since the epoch
    rules: tuple[Rule, ...] = ()
    listeners: tuple[Listener, ...] = ()
    names: tuple[str, ...] = ()  # host names, besides `public_address`, that this gateway answers to
    trusted_proxies: tuple[str, ...] = ()  # CIDRs: whose X-Forwarded-For and X-Forwarded-Proto are believed
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # by key: replay.Table as JSON

    def listener(self, job: JobId) -> Listener | None:
        """The job's listener with the lowest port, or None."""
        mine = [one for one in self.listeners if one.job == job]
        return min(mine, key=lambda one: one.port, default=None)

    def to_json(self) -> dict[str, Any]:
        """A JSON object; `from_json` gives the same snapshot back."""
        return asdict(self)

    @staticmethod
    def from_json(doc: Mapping[str, Any]) -> Snapshot:
        """Build from `to_json`'s object. Raises KeyError, TypeError or ValueError on anything else.

        What is not known here is left out: an OpCenter may be newer than its gateways.
        """
        rules = tuple(Rule(**one) for one in doc["rules"])
        listeners = tuple(listener_from_json(one) for one in doc["listeners"])
        lists = {name: tuple(doc.get(name, ())) for name in ("names", "trusted_proxies")}
        return Snapshot(**{**_known(Snapshot, doc), **lists, "rules": rules, "listeners": listeners})


def _known(of: type[Snapshot | Listener], doc: Mapping[str, Any]) -> dict[str, Any]:
    names = {one.name for one in fields(of)}
    return {name: value for name, value in doc.items() if name in names}


def listener_from_json(doc: Mapping[str, Any]) -> Listener:
    """Build a listener from `dataclasses.asdict`'s object. Raises like `Snapshot.from_json`."""
    step = doc["step"]
    return Listener(
        **{
            **_known(Listener, doc),
            "gate": GateState(doc["gate"]),
            "status": JobStatus(doc["status"]),
            "step": None if step is None else Step(step),
            "websocket": WebSocketPolicy(doc["websocket"]),
            "actions": tuple(doc["actions"]),
        }
    )


@dataclass(frozen=True, slots=True)
class GateReport:
    """What a gateway says of one listener: it has done what `generation` asked for.

    `drained`: nothing of the gateway's is inside the job any more. `reopened`: the server accepted, held
    requests went on and WebSockets were dialled again. Counts are of this generation.
    """

    job: JobId
    port: int
    generation: int
    drained: bool = False
    reopened: bool = False
    waited: int = 0
    websockets: int = 0
    lost_websockets: int = 0


@dataclass(frozen=True, slots=True)
class Activity:
    """What a gateway counts for one listener; `last` is ms since the epoch of the last byte from a browser."""

    job: JobId
    port: int
    last: int
    clients: tuple[str, ...] = ()
    requests: int = 0
    websockets: int = 0
    waiting: int = 0
    extra: Mapping[str, int] = field(default_factory=dict)
