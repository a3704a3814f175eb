"""What holds for both of our applications: no page of a job locks them by cookies, and they quote no request."""

from __future__ import annotations

from gateway.config import Limits
from tests.peers import connect

SECRET = b"gw18888-6e4969a960.username=VERYSECRET"
JAR = b"; ".join([SECRET, *(b"bomb%d=%b" % (one, b"x" * 4000) for one in range(179))])
"""All that Chromium keeps for one host: 180 cookies of 4096 bytes."""
_LINE = b"Cookie: " + SECRET + b"; b="
_TOO_LONG = _LINE + b"x" * Limits().jar  # not much more: unread bytes would reset the connection
_START = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
REFUSED = [
    (_START + _TOO_LONG, 431),
    (_START + b"Cookie: " + SECRET + b"\r\n" + b"X: y\r\n" * 500 + b"\r\n", 431),
    (b"GET /?" + SECRET + b"x" * 20_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 414),
    (_START + b"Cookie: " + SECRET + b"\r\n" + SECRET + b"\x01: y\r\n\r\n", 400),
    (b"GET / " + SECRET + b"\r\n\r\n", 400),
]


async def ask(host: str, port: int, request: bytes) -> tuple[bytes, bytes]:
    """Head and body of the answer."""
    peer = await connect(host, port)
    try:
        await peer.say(request)
        return await peer.answer()
    finally:
        await peer.close()


async def check(host: str, port: int, path: str) -> None:
    """A whole jar passes; what does not is answered without a word of it, under the policy."""
    line = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nCookie: ".encode()
    head, _ = await ask(host, port, line + JAR + b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), head
    assert b"\r\nserver:" not in head.lower()
    for request, status in REFUSED:
        head, body = await ask(host, port, request)
        assert head.split(b" ")[1] == b"%d" % status, (head, request[:80])
        assert b"SECRET" not in head + body and b"xxx" not in head + body
        lower = head.lower()
        assert b"\r\nserver:" not in lower
        assert b"\r\nx-content-type-options: nosniff" in lower
        assert b"\r\ncontent-security-policy: default-src 'none'; frame-ancestors 'none'" in lower
        assert b"\r\ncache-control: no-store" in lower
