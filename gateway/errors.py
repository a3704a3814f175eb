"""The one table of outcomes: which status, which sentence, whose fault, how loud in the log.

Two families. `Outcome` is what a browser or script behind the gateway can get from us instead of the job's own
answer: 503, never 502 or 504, since JupyterLab (services/kernel) takes those for a dead kernel and 503 for a pause.
`Refusal` is what the OpCenter's API says no with; its code is the number that users' scripts know from the
original `float` command.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Fault(enum.StrEnum):
    """Whose fault it is: decides the log level and whether the job's page or ours is to be looked at."""

    OURS = "ours"
    JOB = "job"
    CLIENT = "client"
    NOBODY = "nobody"  # the job moves, sleeps, or has ended: nothing went wrong


@dataclass(frozen=True, slots=True)
class _Row:
    status: int
    sentence: str
    fault: Fault
    level: str
    retry_after: int | None = None  # seconds


class Outcome(enum.Enum):
    """An answer of the gateway's own. `.status`, `.sentence`, `.fault`, `.level`, `.retry_after`."""

    HOLD_TIMEOUT = _Row(503, "The job has been moving for longer than a request may wait.", Fault.JOB, "warning", 5)
    HOLD_FULL = _Row(503, "Too many requests wait for this job to come back.", Fault.CLIENT, "warning", 5)
    GATEWAY_FULL = _Row(503, "Too many requests wait on this gateway for jobs to come back.", Fault.OURS, "warning", 5)
    SUSPENDED = _Row(503, "The job is suspended: resume it to go on.", Fault.NOBODY, "info", 30)
    ENDED = _Row(503, "The job has ended: there is nothing to connect to any more.", Fault.NOBODY, "info")
    MOVING = _Row(503, "The job is moving to another host.", Fault.NOBODY, "info", 2)
    STARTING = _Row(503, "The job is starting.", Fault.NOBODY, "info", 2)
    UNREACHABLE = _Row(503, "The job's server does not accept connections.", Fault.JOB, "warning", 5)
    LOST = _Row(
        503,
        "The job's server was lost while it worked on this request. It was not sent again, because it may already "
        "have been done.",
        Fault.JOB,
        "warning",
    )
    BAD_ANSWER = _Row(503, "The job's server sent an answer that is not valid HTTP.", Fault.JOB, "warning")
    CUT_SHORT = _Row(503, "The job's server ended its answer too early.", Fault.JOB, "warning")
    REFUSED = _Row(403, "This address is not allowed by the gateway's security groups.", Fault.CLIENT, "info")
    WRONG_HOST = _Row(421, "This gateway does not serve that host name.", Fault.CLIENT, "info")
    BAD_REQUEST = _Row(400, "The request is not valid HTTP.", Fault.CLIENT, "info")
    NO_TUNNELS = _Row(501, "CONNECT and TRACE are not offered here.", Fault.CLIENT, "info")
    BAD_CODING = _Row(501, "This transfer coding is not understood.", Fault.CLIENT, "info")
    HEADERS_TOO_LARGE = _Row(431, "The request's headers are too large.", Fault.CLIENT, "info")
    COOKIES_TOO_LARGE = _Row(
        431,
        "Your browser keeps more cookies for this host than a request may carry. All ports of a host share them: "
        "a page of another session here may have set them.",
        Fault.CLIENT,
        "info",
    )
    TARGET_TOO_LONG = _Row(414, "The request's target is too long.", Fault.CLIENT, "info")
    BODY_TIMEOUT = _Row(408, "The request's body did not arrive in time.", Fault.CLIENT, "info")
    UNEXPECTED = _Row(503, "Something went wrong in the gateway; its log says what.", Fault.OURS, "error", 5)

    @property
    def status(self) -> int:
        """HTTP status."""
        return self.value.status

    @property
    def sentence(self) -> str:
        """What the user reads."""
        return self.value.sentence

    @property
    def fault(self) -> Fault:
        """Whose fault."""
        return self.value.fault

    @property
    def level(self) -> str:
        """Level in the log."""
        return self.value.level

    @property
    def retry_after(self) -> int | None:
        """Seconds for Retry-After, None for none."""
        return self.value.retry_after


class Code(enum.IntEnum):
    """The numbers in `Error: … (code: N)`. 1002 and 1003 are the original's, the others ours."""

    NOT_LOGGED_IN = 1001
    NOT_FOUND = 1002
    INVALID_ARGUMENT = 1003
    FORBIDDEN = 1004
    CONFLICT = 1005
    UNAVAILABLE = 1006
    INTERNAL = 1007


HTTP_STATUS = {
    Code.NOT_LOGGED_IN: 401,
    Code.NOT_FOUND: 404,
    Code.INVALID_ARGUMENT: 400,
    Code.FORBIDDEN: 403,
    Code.CONFLICT: 409,
    Code.UNAVAILABLE: 503,
    Code.INTERNAL: 500,
}


class Refusal(Exception):
    """The OpCenter says no: nothing was changed. `sentence` says what is wrong and what to do."""

    def __init__(self, code: Code, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence

    def __str__(self) -> str:
        return f"{self.sentence} (code: {int(self.code)})"
