"""What the gateway answers itself on a job's port: the loader, the public state, pages and refusals."""

from __future__ import annotations

import http
import json
import time
from email.utils import formatdate
from typing import TYPE_CHECKING

import structlog
from aiohttp import web

from gateway.errors import Outcome
from widget.assets import loader

from . import cookies, greeting
from .headers import RawHeaders, host_name, values
from .pages import page
from .reply import Form

if TYPE_CHECKING:
    from .exchange import Exchange

log = structlog.get_logger()

_PREFIX = b"/.gw/"
_NO_STORE = [(b"Cache-Control", b"no-store"), (b"X-Content-Type-Options", b"nosniff")]


def is_ours(target: bytes) -> bool:
    """`/.gw/…` never reaches a job."""
    return target.startswith(_PREFIX)


async def answer(exchange: Exchange) -> web.StreamResponse:
    """The loader, the public state, or 404."""
    listener = exchange.gate.listener
    path = exchange.target.partition(b"?")[0].decode("latin-1")
    asset = loader(listener.job, exchange.door.control_port)
    if path == asset.path:
        lines = [
            (b"Content-Type", asset.content_type.encode()),
            (b"Cache-Control", b"public, max-age=31536000, immutable"),
            (b"ETag", asset.etag.encode()),
            (b"Cross-Origin-Resource-Policy", b"same-origin"),
            (b"X-Content-Type-Options", b"nosniff"),
        ]
        return await write(exchange, 200, lines, asset.body)
    if path == "/.gw/state":
        return await write(exchange, 200, _JSON, _state(exchange))
    return await write(exchange, 404, _JSON, b'{"message": "The gateway has nothing at this address."}')


_JSON = [(b"Content-Type", b"application/json"), *_NO_STORE]


def _state(exchange: Exchange) -> bytes:
    """Public: nothing here that a page of the job may not know."""
    listener = exchange.gate.listener
    open_now = exchange.gate.is_open
    doc = {
        "status": listener.status,
        "step": listener.step,
        "since": listener.since,
        "now": int(time.time() * 1000),
        "gate": listener.gate,
        "open": open_now,
        "typical": listener.typical_seconds,
    }
    return json.dumps(doc).encode()


async def forget_worker(exchange: Exchange) -> web.StreamResponse:
    """To a service worker that the last job of this port has left behind, and to the update check for it."""
    log.info("a service worker of another job", job=exchange.gate.listener.job)
    if exchange.method == b"GET" and greeting.is_workers_navigation(exchange.came):  # once more, without the worker
        here = f"{exchange.client.scheme}://".encode() + exchange.host + exchange.target
        return await write(exchange, 307, [(b"Location", here), *_NO_STORE, greeting.CLEAR], b"")
    return await write(exchange, 404, [*_JSON, greeting.CLEAR], b'{"message": "This worker was another job\'s."}')


async def refuse(exchange: Exchange, outcome: Outcome) -> web.StreamResponse:
    """A short answer for programs: JSON, since Jupyter's and RStudio's clients look for a message there."""
    listener = exchange.gate.listener
    exchange.gate.counts["refused"] += 1
    getattr(log, outcome.level)("refused", job=listener.job, outcome=outcome.name, method=exchange.request.method)
    lines: RawHeaders = [*_JSON, (b"X-Floatgate-Outcome", outcome.name.encode())]
    if outcome.retry_after is not None:
        lines.append((b"Retry-After", b"%d" % outcome.retry_after))
    doc = {"message": outcome.sentence, "reason": outcome.name, "status": listener.status}
    return await write(exchange, outcome.status, lines, json.dumps(doc).encode())


async def show_page(exchange: Exchange, outcome: Outcome) -> web.StreamResponse:
    """A page for a person."""
    exchange.gate.counts["refused"] += 1
    name = host_name(exchange.host)
    scheme, control_port = exchange.client.scheme, exchange.door.control_port
    made = page(exchange.gate.listener, outcome, scheme=scheme, host=name, control_port=control_port)
    return await write(exchange, made.status, [*made.headers, *exchange.greeting], made.body)


_CLEAR = {b"cookies=others": False, b"cookies=all": True}
_ROOM = 160 << 10  # bytes of Set-Cookie lines in one answer: Chromium takes heads of 256 KiB


async def show_the_way_out(exchange: Exchange) -> web.StreamResponse:
    """The cookies of this host are more than a request may carry: any page of its other ports can have set them."""
    if is_ours(exchange.target):  # needs none
        return await answer(exchange)
    every = await _asked_to_clear(exchange)
    if every is None:
        if exchange.navigation:
            return await show_page(exchange, Outcome.COOKIES_TOO_LARGE)
        return await refuse(exchange, Outcome.COOKIES_TOO_LARGE)
    here = f"{exchange.client.scheme}://".encode() + exchange.host + exchange.target
    lines: RawHeaders = [(b"Location", here), *_NO_STORE]
    if every:
        lines.append((b"Clear-Site-Data", b'"cookies"'))  # of secure origins only: the lines below for all others
    name = host_name(exchange.host)
    gone = cookies.expiring(b"; ".join(exchange.jars), exchange.target, name, every=every, room=_ROOM)
    return await write(exchange, 303, [*lines, *((b"Set-Cookie", one) for one in gone)], b"")


async def _asked_to_clear(exchange: Exchange) -> bool | None:
    """What the form on the page above asks for: every cookie, or those of no session. None: it is not that form."""
    request = exchange.request
    origin = f"{exchange.client.scheme}://".encode() + exchange.host
    length = values(exchange.came, b"content-length")
    small = len(length) == 1 and length[0].isdigit() and int(length[0]) in {len(one) for one in _CLEAR}
    if exchange.method != b"POST" or not small or values(exchange.came, b"origin") != [origin]:
        return None
    return _CLEAR.get(await request.content.readexactly(int(length[0])))


async def write(exchange: Exchange, status: int, lines: RawHeaders, body: bytes) -> web.StreamResponse:
    """A whole answer of ours. A request whose body nobody read ends its connection."""
    reply = exchange.reply
    if exchange.body.present and not exchange.request.content.at_eof():
        reply.last()
    if not values(lines, b"date"):
        lines = [*lines, (b"Date", formatdate(usegmt=True).encode())]
    head_only = exchange.method == b"HEAD"
    reason = http.HTTPStatus(status).phrase.encode()
    lines = [*lines, (b"Content-Length", b"%d" % len(body))]
    reply.begin(status, reason, lines, Form.NONE if head_only else Form.DECLARED)
    if not head_only:
        await reply.send(body)
    await reply.finish()
    return reply
