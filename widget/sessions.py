"""Logins of the widget: who holds which bearer token. Pure: time is an argument.

The token is 256 random bits that mean nothing elsewhere; the OpCenter's own token stays here, in memory. Kept are
hashes only, so that what a dump of this process shows of our tokens cannot be used.
"""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from dataclasses import asdict, dataclass
from typing import Any

from .limits import Limits


@dataclass(slots=True)
class Session:
    """One login. `key` names it in nonces and in the audit; `opcenter_token` is never given to a browser."""

    key: str
    user: str
    role: str
    opcenter_token: str
    began: float
    used: float


class Sessions:
    """All of them, least recently used first."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held: OrderedDict[bytes, Session] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def open(self, user: str, role: str, opcenter_token: str, now: float) -> str:
        """A new session; returns its token, which is kept nowhere here."""
        token = secrets.token_urlsafe(32)
        self._held[_digest(token)] = Session(secrets.token_hex(8), user, role, opcenter_token, now, now)
        while len(self._held) > self._limits.sessions:
            self._held.popitem(last=False)
        return token

    def find(self, token: str, now: float) -> Session | None:
        """The session of a token, or None if there is none, or none any more. Does not count as a use."""
        session = self._held.get(_digest(token))
        if session is not None and self._is_over(session, now):
            self.close(token)
            return None
        return session

    def use(self, token: str, now: float) -> Session | None:
        """As `find`, and the session's idle time begins again."""
        session = self.find(token, now)
        if session is not None:
            session.used = now
            self._held.move_to_end(_digest(token))
        return session

    def close(self, token: str) -> None:
        """The token is worth nothing from now on."""
        self._held.pop(_digest(token), None)

    def end(self, key: str) -> None:
        """As `close`, by the session's key."""
        for digest in [digest for digest, one in self._held.items() if one.key == key]:
            del self._held[digest]

    def to_json(self) -> list[dict[str, Any]]:
        """For `take_over` in this very process: OpCenter tokens are in it, and times are this machine's clock."""
        return [{"digest": digest.hex(), **asdict(one)} for digest, one in self._held.items()]

    def take_over(self, docs: list[dict[str, Any]]) -> None:
        """Go on with the sessions of the program that was this process before."""
        for doc in docs:
            self._held[bytes.fromhex(doc["digest"])] = Session(**{k: v for k, v in doc.items() if k != "digest"})

    def _is_over(self, session: Session, now: float) -> bool:
        idle, life = now - session.used, now - session.began
        return idle >= self._limits.session_idle or life >= self._limits.session_life


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
