"""What the frame is told of a job: a public part for everybody, and a part for those who may act. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.types import Listener

from .denials import Denied
from .sessions import Session


def public(listener: Listener, now: int, linked: bool) -> dict[str, Any]:
    """Status, step, since and the clock that `since` is of. Nothing that a stranger could not see from outside."""
    return {
        "status": listener.status,
        "step": listener.step,
        "since": listener.since,
        "now": now,
        "linked": linked,
    }


def person(session: Session) -> dict[str, str]:
    """Who is logged in."""
    return {"user": session.user, "role": session.role}


def private(listener: Listener, job: Mapping[str, Any]) -> dict[str, Any]:
    """Name, host and what may be done; `job` is the OpCenter's answer to this user."""
    return {
        "name": listener.name,
        "host": job.get("workingHost") or "",
        "reason": listener.reason,
        "typical": listener.typical_seconds,
        "actions": list(listener.actions),
        "moves": job.get("moves") or 0,
    }


def denied(why: Denied) -> dict[str, Any]:
    """Why there is no private part."""
    return why.to_json()
