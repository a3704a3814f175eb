"""The one table of what the widget's server says no with: status, and the sentence that a person reads.

The name goes along, so that the frame can say it in the reader's language (`denied.<NAME>` in the catalogue).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class _Row:
    status: int
    sentence: str


class Denial(enum.Enum):
    """Why not."""

    WRONG_HOST = _Row(421, "This gateway does not serve that host name.")
    FOREIGN = _Row(403, "This may only be asked for by the gateway's own pages.")
    NOT_JSON = _Row(415, "The body must be JSON.")
    BAD_REQUEST = _Row(400, "The request is not complete.")
    NO_JOB = _Row(404, "The gateway knows no such job.")
    NOT_LOGGED_IN = _Row(401, "Log in first.")
    WRONG_PASSWORD = _Row(401, "The user name or the password is wrong.")
    INSECURE = _Row(403, "The connection is not encrypted, so passwords are not accepted here.")
    TOO_MANY_TRIES = _Row(429, "Too many failed logins. Wait a minute.")
    NOT_YOURS = _Row(403, "This job belongs to somebody else.")
    STALE = _Row(409, "This question has expired or was answered already. Ask again.")
    NOT_NOW = _Row(409, "The job's state does not allow this now.")
    WRONG_NAME = _Row(400, "That is not the job's name.")
    TOO_SOON = _Row(429, "The job was moved less than a minute ago. Wait a moment.")
    NO_OPCENTER = _Row(503, "The OpCenter does not answer. The session itself goes on.")
    REFUSED = _Row(409, "The OpCenter refuses this.")
    FULL = _Row(503, "Too many pages are connected.")

    @property
    def status(self) -> int:
        """HTTP status."""
        return self.value.status

    @property
    def sentence(self) -> str:
        """In English."""
        return self.value.sentence


class Denied(Exception):
    """Raised anywhere below a handler; nothing was changed. `sentence`: the OpCenter's own, if it gave one."""

    def __init__(self, why: Denial, sentence: str | None = None) -> None:
        super().__init__(why.name)
        self.why = why
        self.own = sentence is not None
        self.sentence = sentence or why.sentence

    def to_json(self) -> dict[str, str]:
        """The answer's body. A sentence of the OpCenter's own has no name: it is shown as it is."""
        return {"error": self.sentence} if self.own else {"error": self.sentence, "denied": self.why.name}
