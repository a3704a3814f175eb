"""The gateway's own pages, for navigations: waiting, suspended, ended, does not answer, refused.

A page is made from what the listener says and the outcome, and nothing else: bytes in, bytes out. Its script and
style stand inside of it and are allowed by their hashes, so that it needs no other host. Requests that are no
navigations never get these: RStudio's sign-in page polls `/`, and takes what it gets for a login.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import jinja2
from markupsafe import Markup

from gateway.errors import Fault, Outcome
from gateway.types import JobStatus, Listener, Step
from widget.assets import LANGUAGES, Inline, inline, loader, tag, words

Kind = Literal["wait", "suspended", "ended", "error", "refused"]

_KINDS: dict[Outcome, Kind] = {
    Outcome.MOVING: "wait",
    Outcome.STARTING: "wait",
    Outcome.HOLD_TIMEOUT: "wait",
    Outcome.SUSPENDED: "suspended",
    Outcome.ENDED: "ended",
    Outcome.HOLD_FULL: "error",
    Outcome.UNREACHABLE: "error",
    Outcome.LOST: "error",
    Outcome.BAD_ANSWER: "error",
    Outcome.CUT_SHORT: "error",
    Outcome.UNEXPECTED: "error",
}  # all others are refusals of the browser's own request: such a page says nothing of the job

_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}\Z|\[[0-9A-Fa-f:.]{2,45}\]\Z")
_BEGINNING = (JobStatus.SUBMITTED, JobStatus.INITIALIZING)


@dataclass(frozen=True, slots=True)
class Page:
    """A whole answer; the caller adds Content-Length and Date."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def page(
    listener: Listener, outcome: Outcome, *, scheme: str, host: str, control_port: int, nonce: str | None = None
) -> Page:
    """The page that says `outcome` of this listener's job.

    Args:
        scheme: `http` or `https`, as the browser used it.
        host: The name or address that the browser used, without a port, an IPv6 address in brackets. Anything
            else gets a page without links.
        nonce: For the policy instead of hashes, where an amendment of the caller's needs one.
    """
    kind = _KINDS.get(outcome, "refused")
    if not _HOST.match(host):
        kind, host = "refused", ""
    control = "" if kind == "refused" else f"{scheme}://{host}:{control_port}"
    body = _render(kind, listener, outcome, control, control_port, nonce)
    headers = [
        (b"Content-Type", b"text/html; charset=utf-8"),
        (b"Cache-Control", b"no-store"),
        (b"Content-Security-Policy", _policy(scheme, host, control_port, control, nonce, outcome).encode("ascii")),
        (b"X-Content-Type-Options", b"nosniff"),
        (b"Referrer-Policy", b"same-origin" if _has_form(outcome) else b"no-referrer"),  # else Origin is null
        (b"Vary", b"Sec-Fetch-Dest"),
    ]
    if outcome.retry_after is not None:
        headers.append((b"Retry-After", str(outcome.retry_after).encode()))
    return Page(outcome.status, headers, body)


def _has_form(outcome: Outcome) -> bool:
    return outcome is Outcome.COOKIES_TOO_LARGE


def _policy(scheme: str, host: str, control_port: int, control: str, nonce: str | None, outcome: Outcome) -> str:
    """One policy for all of them. A host-source has no form for IPv6 (CSP3, 2.3.1): any host at that port then."""
    frame = f"{scheme}://*:{control_port}" if host.startswith("[") else control or "'none'"
    script, style = (f"'nonce-{nonce}'",) * 2 if nonce else (_script().source, _style().source)
    forms = "'self'" if _has_form(outcome) else "'none'"
    return (
        f"default-src 'none'; script-src 'self' {script}; style-src {style}; connect-src 'self'; img-src data:; "
        f"frame-src {frame}; base-uri 'none'; form-action {forms}; frame-ancestors 'self'; "
        "require-trusted-types-for 'script'"
    )


def _render(
    kind: Kind, listener: Listener, outcome: Outcome, control: str, control_port: int, nonce: str | None
) -> bytes:
    named = kind != "refused"
    values: dict[str, Any] = {
        "kind": kind,
        "listener": listener if named else None,
        "name": listener.name if named else "",
        "key": _keys(kind, listener, outcome),
        "sentence": outcome.sentence,
        "forms": _has_form(outcome),
        "reason": _reason(listener) if kind == "ended" else None,
        "dot": _dot(kind),
        "steps": [step.value for step in Step],
        "words": words("en"),
        "resume": f"{control}/confirm?job={listener.job}&act=resume" if kind == "suspended" else None,
        "data": _data(kind, listener if named else None, outcome),
        "loader": Markup(tag(loader(listener.job, control_port)).decode()) if named else "",
        "script": Markup(_script().text),
        "style": Markup(_style().text),
        "nonce": nonce,
    }
    return _template().render(values).encode()


def _keys(kind: Kind, listener: Listener, outcome: Outcome) -> dict[str, str]:
    """Which words of the catalogue: title and text."""
    match kind:
        case "wait":
            status = JobStatus.STARTING if listener.status in _BEGINNING else listener.status
            known = status if f"page.wait.{status}.title" in words("en") else "other"
            return {"title": f"page.wait.{known}.title", "text": f"page.wait.{known}.text"}
        case "suspended":
            return {"title": "page.suspended.title", "text": "page.suspended.text"}
        case "ended":
            known = listener.status if f"page.ended.{listener.status}.title" in words("en") else "other"
            return {"title": f"page.ended.{known}.title", "text": "page.ended.text"}
        case "error":
            ours = ".ours" if outcome.fault is Fault.OURS else ""
            return {"title": f"page.error{ours}.title", "text": f"outcome.{outcome.name}"}
        case "refused":
            return {"title": "page.refused.title", "text": f"outcome.{outcome.name}"}


def _reason(listener: Listener) -> dict[str, str] | None:
    """The reason's own key if the catalogue has it, else the sentence itself."""
    if not listener.reason:
        return None
    key = f"reason.{listener.reason}"
    return {"key": key if key in words("en") else "", "text": words("en").get(key, listener.reason)}


def _dot(kind: Kind) -> str:
    return {"wait": "warn", "suspended": "sleep", "ended": "over", "error": "bad", "refused": "bad"}[kind]


def _data(kind: Kind, listener: Listener | None, outcome: Outcome) -> Markup:
    """What page.js needs, as JSON that cannot end its element."""
    doc: dict[str, Any] = {"kind": kind, "name": "", "status": "", "step": None, "since": 0, "typical": None}
    if listener is not None:
        doc |= {"name": listener.name, "status": listener.status, "step": listener.step, "since": listener.since}
        doc |= {"typical": listener.typical_seconds if listener.status is JobStatus.FLOATING else None}
    doc |= {"retry": outcome.retry_after, "words": {one: _page_words(one) for one in LANGUAGES}}
    return Markup(json.dumps(doc, ensure_ascii=True).replace("<", "\\u003c").replace("&", "\\u0026"))


@cache
def _page_words(language: str) -> dict[str, str]:
    return {key: text for key, text in words(language).items() if not key.startswith(("widget.", "window.", "denied."))}


@cache
def _script() -> Inline:
    return inline("page.js")


@cache
def _style() -> Inline:
    return inline("tokens.css", "page.css")


@cache
def _template() -> jinja2.Template:
    home = jinja2.Environment(
        loader=jinja2.PackageLoader("gateway.proxy", "pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return home.get_template("page.html")
