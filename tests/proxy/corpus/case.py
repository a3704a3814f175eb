"""The words in which the tables are written."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Reach(enum.Enum):
    """What the job may see of it."""

    NEVER = "never"
    CLEAN = "clean"  # once, as a well-formed request whose target and body are what the case says


SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
"""What an attacker hides behind or inside of a request: the job must never get it."""


@dataclass(frozen=True)
class Case:
    """Bytes of a client, the statuses that are right, and what the job may see.

    `then_smuggled`: a second request follows, which must not be read as one, since nobody knows where this one ended.
    """

    name: str
    raw: bytes
    statuses: frozenset[int]
    reach: Reach = Reach.NEVER
    target: bytes = b"/x"
    body: bytes = b""
    then_smuggled: bool = True

    @property
    def wire(self) -> bytes:
        """All that is sent."""
        return self.raw + SMUGGLED if self.then_smuggled else self.raw


def never(name: str, raw: bytes, *statuses: int, then_smuggled: bool = True) -> Case:
    """A request that is refused; 400 unless said otherwise."""
    return Case(name, raw, frozenset(statuses or (400,)), then_smuggled=then_smuggled)


def clean(name: str, raw: bytes, *, target: bytes = b"/x", body: bytes = b"", also: tuple[int, ...] = ()) -> Case:
    """A request that may pass, and looks like this to the job; `also`: it may be refused with these as well."""
    reach = Reach.CLEAN
    return Case(name, raw, frozenset((200, *also)), reach, target, body, then_smuggled=False)


def head(*lines: bytes) -> bytes:
    """Lines joined as they must be, with the empty one at the end."""
    return b"\r\n".join((*lines, b"", b""))


def get(*lines: bytes) -> bytes:
    """A GET that is right but for these lines."""
    return head(b"GET /x HTTP/1.1", b"Host: 127.0.0.1", *lines)


def post(*lines: bytes, body: bytes = b"") -> bytes:
    """A POST that is right but for these lines and this body."""
    return head(b"POST /x HTTP/1.1", b"Host: 127.0.0.1", *lines) + body


def chunked(body: bytes) -> bytes:
    """A chunked POST with these bytes for a body."""
    return post(b"Transfer-Encoding: chunked", body=body)
