"""The border to the OpCenter: logins, whose job it is, and acts, always with the user's own token there."""

from __future__ import annotations

from typing import Any

from gateway.client import OpCenterClient
from gateway.errors import Code, Refusal

from .denials import Denial, Denied
from .office import Office
from .sessions import Session

ACTS = ("migrate", "suspend", "resume", "cancel")
_UNKNOWN_USER = frozenset({Code.NOT_LOGGED_IN, Code.NOT_FOUND, Code.FORBIDDEN, Code.INVALID_ARGUMENT})


async def log_in(office: Office, username: str, password: str) -> dict[str, Any]:
    """`{token, username, role}` of the OpCenter. Raises Denied, the same for a wrong name and a wrong password."""
    async with OpCenterClient(office.desk.opcenter) as opcenter:
        try:
            return await opcenter.login(username, password)
        except Refusal as refusal:
            why = Denial.WRONG_PASSWORD if refusal.code in _UNKNOWN_USER else Denial.NO_OPCENTER
            raise Denied(why) from refusal


async def log_out(office: Office, session: Session) -> None:
    """The OpCenter's token ends too, if it can be reached; here the session is over already."""
    async with OpCenterClient(office.desk.opcenter, session.opcenter_token) as opcenter:
        try:
            await opcenter.post("/logout")
        except Refusal as refusal:
            office.audit.note("logout not passed on", user=session.user, code=str(int(refusal.code)))


async def job(office: Office, session: Session, job_id: str) -> dict[str, Any]:
    """The job as the OpCenter has it. Raises Denied unless the user owns it or is an admin."""
    async with OpCenterClient(office.desk.opcenter, session.opcenter_token) as opcenter:
        try:
            doc: dict[str, Any] = await opcenter.get(f"/jobs/{job_id}")
        except Refusal as refusal:
            raise _denied(office, session, refusal) from refusal
    if session.role != "admin" and doc.get("user") != session.user:
        raise Denied(Denial.NOT_YOURS)
    return doc


async def act(office: Office, session: Session, job_id: str, verb: str) -> None:
    """Ask the OpCenter to do it. Raises Denied."""
    async with OpCenterClient(office.desk.opcenter, session.opcenter_token) as opcenter:
        try:
            await opcenter.post(f"/jobs/{job_id}/{verb}")
        except Refusal as refusal:
            raise _denied(office, session, refusal) from refusal


def _denied(office: Office, session: Session, refusal: Refusal) -> Denied:
    match refusal.code:
        case Code.NOT_LOGGED_IN:
            office.sessions.end(session.key)
            return Denied(Denial.NOT_LOGGED_IN)
        case Code.NOT_FOUND | Code.FORBIDDEN:
            return Denied(Denial.NOT_YOURS)
        case Code.UNAVAILABLE | Code.INTERNAL:
            return Denied(Denial.NO_OPCENTER)
        case Code.CONFLICT | Code.INVALID_ARGUMENT:
            return Denied(Denial.REFUSED, refusal.sentence)
