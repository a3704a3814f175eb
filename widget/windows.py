"""The pages of the control port: the frame inside of a job's page, the top-level windows for login and consent."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import jinja2
from aiohttp import web

from . import guard, policy, rights
from .assets import LANGUAGES, url, words
from .denials import Denial, Denied
from .office import OFFICE


async def frame(request: web.Request) -> web.Response:
    """`/w/<job>`: only pages of this job may hold it."""
    office, job = request.app[OFFICE], request.match_info["job"]
    office.listener(job)
    place, ports = guard.place(request), office.ports(job)
    data = {
        "job": job,
        "origins": [place.on(port) for port in ports],
        "login": guard.may_log_in(request),
    }
    response = _page(request, "frame.html", data, framed_by=ports)
    response.headers["Cross-Origin-Resource-Policy"] = policy.resource(place)
    response.headers.update(policy.TOP_LEVEL)  # in a frame it says nothing
    return response


async def login(request: web.Request) -> web.Response:
    """`/login?job=`: the only place where a password is typed."""
    return _window(request, "login", act="")


async def confirm(request: web.Request) -> web.Response:
    """`/confirm?job=&act=`: one question about one job. Raises Denied."""
    act = request.query.get("act", "")
    if act not in rights.ACTS:
        raise Denied(Denial.BAD_REQUEST)
    return _window(request, "confirm", act=act)


def _window(request: web.Request, kind: str, act: str) -> web.Response:
    office, job = request.app[OFFICE], request.query.get("job", "")
    office.listener(job)
    place = guard.place(request)
    data = {
        "job": job,
        "kind": kind,
        "act": act,
        "gateway": f"{place.name}:{place.port}",
        "login": guard.may_log_in(request),
    }
    response = _page(request, "window.html", data, framed_by=())
    response.headers.update(policy.TOP_LEVEL)
    return response


def _page(request: web.Request, template: str, data: dict[str, Any], framed_by: Sequence[int]) -> web.Response:
    language = choose_language(request.headers.get("Accept-Language", ""))
    text = (
        _templates()
        .get_template(template)
        .render(data={**data, "language": language, "words": catalogue(language)}, language=language, url=url)
    )
    headers = {
        "Content-Security-Policy": policy.document(guard.place(request), framed_by),
        "Vary": "Accept-Language, Accept-Encoding",
    }
    return compressed(request, web.Response(text=text, content_type="text/html", headers=headers))


def compressed(request: web.Request, response: web.Response) -> web.Response:
    """As gzip for who takes it. Nothing here is secret, so that its length may be seen (no BREACH)."""
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        response.enable_compression(web.ContentCoding.gzip)
    return response


@cache
def catalogue(language: str) -> dict[str, str]:
    """The words of the frame and of the windows: without those of the pages on jobs' ports."""
    return {key: text for key, text in words(language).items() if not key.startswith(("page.", "outcome."))}


def choose_language(accepted: str) -> str:
    """The first language of an Accept-Language header that has a catalogue; browsers send them in order."""
    wanted = (one.split(";")[0].strip().lower()[:2] for one in accepted.split(","))
    return next((one for one in wanted if one in LANGUAGES), "en")


@cache
def _templates() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("widget", "pages"), autoescape=True, undefined=jinja2.StrictUndefined
    )
