"""The control port's API: log in, log out, read a state, ask a question, answer it."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from . import guard, rights, state
from .denials import Denial, Denied
from .office import OFFICE, Office
from .sessions import Session

_CONFIRMED_BY_NAME = frozenset({"cancel"})


async def login(request: web.Request) -> web.Response:
    """`{username, password}` → `{token, user, role}`."""
    guard.unsafe(request)
    if not guard.may_log_in(request):
        raise Denied(Denial.INSECURE)
    username, password = await guard.body(request, "username", "password")
    office, now = request.app[OFFICE], request.app[OFFICE].clock()
    counted = (f"address {request.remote}", f"user {username}")
    if not all(office.failures.allows(one, now) for one in counted):
        raise Denied(Denial.TOO_MANY_TRIES)
    for one in counted:
        office.failures.fail(one, now)  # before anything is awaited: of tries at once no more pass either
    found = await _log_in(office, username, password, counted, now)
    office.failures.forgive(counted[0], now)
    office.failures.clear(counted[1])
    office.audit.note("login", user=found["username"], address=request.remote or "")
    token = office.sessions.open(found["username"], found["role"], found["token"], office.clock())
    return web.json_response({"token": token, "user": found["username"], "role": found["role"]})


async def _log_in(office: Office, username: str, password: str, counted: tuple[str, ...], now: float) -> dict[str, Any]:
    try:
        return await rights.log_in(office, username, password)
    except Denied as denied:
        if denied.why is Denial.WRONG_PASSWORD:
            office.audit.note("login failed", user=username[:64])
        else:
            for one in counted:
                office.failures.forgive(one, now)
        raise


async def logout(request: web.Request) -> web.Response:
    """The token is worth nothing from now on, in every tab."""
    guard.unsafe(request)
    office, session = request.app[OFFICE], guard.session(request)
    office.sessions.end(session.key)
    office.desk.wake()
    office.audit.note("logout", user=session.user)
    await rights.log_out(office, session)
    return web.json_response({})


async def read(request: web.Request) -> web.Response:
    """The job's state; with a token also the private part."""
    guard.own_page(request)
    office, job = request.app[OFFICE], request.match_info["job"]
    listener = office.listener(job)
    doc = state.public(listener, office.desk.now(), office.desk.linked)
    if guard.token(request) is not None:
        doc |= await _private(office, guard.holder(request), job)
    return web.json_response(doc)


async def _private(office: Office, session: Session, job: str) -> dict[str, Any]:
    you = {"you": state.person(session)}
    try:
        return {**you, "job": state.private(office.listener(job), await rights.job(office, session, job))}
    except Denied as denied:
        if denied.why is Denial.NOT_LOGGED_IN:
            raise
        return {**you, **state.denied(denied)}


async def ask(request: web.Request) -> web.Response:
    """`{job, act}` → `{nonce}`: the question that a button asks, to be answered by `/api/act`."""
    guard.unsafe(request)
    office, session = request.app[OFFICE], guard.session(request)
    job, act = await guard.body(request, "job", "act")
    _require(act in rights.ACTS, Denial.BAD_REQUEST)
    _require(act in office.listener(job).actions, Denial.NOT_NOW)
    return web.json_response({"nonce": office.nonces.make(session.key, job, act, office.clock())})


async def act(request: web.Request) -> web.Response:
    """`{job, act, nonce, name}` → 202. `name` is what the user typed, for a cancellation the job's name."""
    guard.unsafe(request)
    office, session = request.app[OFFICE], guard.session(request)
    job, verb, nonce, name = await guard.body(request, "job", "act", "nonce", "name")
    listener = office.listener(job)
    _require(verb in rights.ACTS, Denial.BAD_REQUEST)
    _require(verb not in _CONFIRMED_BY_NAME or name.strip() == listener.name, Denial.WRONG_NAME)
    _require(office.nonces.redeem(nonce, session.key, job, verb, office.clock()), Denial.STALE)
    _require(verb in listener.actions, Denial.NOT_NOW)
    await rights.job(office, session, job)
    if verb == "migrate":
        await _move(office, session, job)
    else:
        await rights.act(office, session, job, verb)
    office.audit.note("act", act=verb, job=job, user=session.user, address=request.remote or "")
    return web.json_response({}, status=202)


async def _move(office: Office, session: Session, job: str) -> None:
    """One in a while; counted before anything is awaited, and not when nothing comes of it. Raises Denied."""
    now = office.clock()
    _require(office.moves.allows(job, now), Denial.TOO_SOON)
    office.moves.fail(job, now)
    try:
        await rights.act(office, session, job, "migrate")
    except Denied:
        office.moves.forgive(job, now)
        raise


def _require(fits: bool, why: Denial) -> None:
    if not fits:
        raise Denied(why)
