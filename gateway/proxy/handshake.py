"""WebSocket handshakes: which requests are one, what a move means for them, and the birth of a relay."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gateway.types import WebSocketPolicy

from .answer import Answer
from .extensions import chosen, offer
from .headers import RawHeaders, answer_head, for_browser, values
from .relay import Relay, Resume
from .reply import HandedOver
from .upstream import Connection

if TYPE_CHECKING:
    from .ask import Ask
    from .exchange import Exchange

# Jupyter's, whatever the base URL. Kernels replay by session id, terminals their last output, events their stream.
_GO_ON = re.compile(rb"/api/(?:kernels/[^/?]+/channels|events/subscribe)(?:\?|$)")
_TERMINAL = re.compile(rb"/terminals/websocket/[^/?]+(?:\?|$)")


def is_websocket(exchange: Ask) -> bool:
    """RFC 6455 §4.1: a GET of HTTP/1.1 that asks for exactly this upgrade."""
    came = exchange.came
    if exchange.request.version < (1, 1):
        return False
    upgrades = b",".join(values(came, b"upgrade")).strip().lower()
    connection = b",".join(values(came, b"connection")).lower()
    asked = b"upgrade" in {token.strip() for token in connection.split(b",")}
    return exchange.method == b"GET" and upgrades == b"websocket" and asked and not exchange.body.present


def resume_for(policy: WebSocketPolicy, target: bytes) -> Resume:
    """What a new connection to the job would mean."""
    if policy is WebSocketPolicy.RESUME:
        return Resume.AS_IT_IS
    if policy is WebSocketPolicy.JUPYTER and _GO_ON.search(target):
        return Resume.AS_IT_IS
    if policy is WebSocketPolicy.JUPYTER and _TERMINAL.search(target):
        return Resume.TERMINAL
    return Resume.COME_BACK


def offered(exchange: Ask) -> RawHeaders:
    """The handshake's lines with the extensions that this protocol may have."""
    resume = resume_for(exchange.gate.listener.websocket, exchange.target)
    if resume is Resume.COME_BACK:
        return exchange.came
    return offer(exchange.came, plain=resume is Resume.TERMINAL)


def open_relay(exchange: Exchange, connection: Connection, answer: Answer) -> HandedOver:
    """The job said 101: say so to the browser, and give both connections to a relay. Raises UpstreamError, OSError."""
    door, client = exchange.door, exchange.client
    lines = [*for_browser(answer.headers, exchange.visit), (b"Connection", b"Upgrade"), (b"Upgrade", b"websocket")]
    done = HandedOver(exchange.request)
    job, from_job = connection.take()
    try:
        browser, from_browser, ended = client.hand_over()
    except OSError:
        job.abort()
        raise
    browser.write(answer_head(101, answer.reason or b"Switching Protocols", lines))
    agreed = chosen(answer.headers)
    resume = resume_for(exchange.gate.listener.websocket, exchange.target)
    relay = Relay(
        exchange.gate,
        path=exchange.target.partition(b"?")[0],
        head=exchange.head,
        address=connection.address,
        chosen=agreed,
        resume=resume if agreed.carries_on else Resume.COME_BACK,
        timeouts=door.config.timeouts,
        limits=door.config.limits,
    )
    relay.start(browser, from_browser, job, from_job, ended)
    return done
