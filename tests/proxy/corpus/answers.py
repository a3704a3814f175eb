"""Answers of a job that must not pass on as they are. Whoever runs code behind the gateway can send any of them."""

from __future__ import annotations

from dataclasses import dataclass

from .case import head

OK = b"HTTP/1.1 200 OK"
EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
"""What an attacker hides behind an answer: it must never answer anybody's request."""


@dataclass(frozen=True)
class Bad:
    """An answer that ends as one clean error of ours. `method`: of the request that it answers."""

    name: str
    raw: bytes
    method: bytes = b"GET"


@dataclass(frozen=True)
class Good:
    """An odd answer that passes: with this status and body.

    `cut`: the browser must see that something is missing; None: it may.
    """

    name: str
    raw: bytes
    status: int = 200
    body: bytes = b"ok"
    method: bytes = b"GET"
    cut: bool | None = False
    reusable: bool = False


def _line(name: str, line: bytes) -> Bad:
    return Bad(name, head(line, b"Content-Length: 2") + b"ok")


def _field(name: str, *lines: bytes, body: bytes = b"ok") -> Bad:
    return Bad(name, head(OK, *lines) + body)


def _chunks(body: bytes) -> bytes:
    return head(OK, b"Transfer-Encoding: chunked") + body


BAD = [
    Bad("no HTTP", b"garbage\r\n\r\n"),
    Bad("SSH", b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    Bad("HTTP/0.9", b"<html>hello</html>\r\n\r\n"),
    Bad("a request", head(b"GET / HTTP/1.1", b"Host: x")),
    _line("HTTP/2 in plain", b"HTTP/2 200 OK"),
    _line("version 0.9", b"HTTP/0.9 200 OK"),
    _line("version 1.2", b"HTTP/1.2 200 OK"),
    _line("version of two digits", b"HTTP/1.10 200 OK"),
    _line("version in small letters", b"http/1.1 200 OK"),
    _line("another protocol", b"ICY 200 OK"),
    _line("status of two digits", b"HTTP/1.1 20 OK"),
    _line("status of four digits", b"HTTP/1.1 2000 OK"),
    _line("status of letters", b"HTTP/1.1 abc OK"),
    _line("status zero", b"HTTP/1.1 000 OK"),
    _line("status 99", b"HTTP/1.1 099 OK"),
    _line("status negative", b"HTTP/1.1 -20 OK"),
    _line("no status", b"HTTP/1.1 OK"),
    _line("two spaces before the status", b"HTTP/1.1  200 OK"),
    _line("a tab before the status", b"HTTP/1.1\t200 OK"),
    _line("CR in the reason", b"HTTP/1.1 200 O\rX: y"),
    _line("NUL in the reason", b"HTTP/1.1 200 O\x00K"),
    _line("ESC in the reason", b"HTTP/1.1 200 O\x1bK"),
    _field("NUL in a value", b"A: b\x00c", b"Content-Length: 2"),
    _field("SOH in a value", b"A: b\x01c", b"Content-Length: 2"),
    _field("DEL in a value", b"A: b\x7fc", b"Content-Length: 2"),
    _field("bare CR in a value", b"A: b\rC: d", b"Content-Length: 2"),
    _field("bare LF in a head", b"A: b\nC: d", b"Content-Length: 2"),
    Bad("all lines with a bare LF", b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok\r\n\r\n"),
    Bad("status line with a bare LF", b"HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nok"),
    _field("header folded", b"A: b", b" c", b"Content-Length: 2"),
    _field("header folded, and it is framing", b"Transfer-Encoding:", b" chunked", body=b"2\r\nok\r\n0\r\n\r\n"),
    _field("space before the colon", b"A : b", b"Content-Length: 2"),
    _field("space before CL's colon", b"Content-Length : 2"),
    _field("empty name", b": b", b"Content-Length: 2"),
    _field("no colon", b"AB", b"Content-Length: 2"),
    _field("space in a name", b"A B: c", b"Content-Length: 2"),
    _field("NUL in a name", b"A\x00B: c", b"Content-Length: 2"),
    _field("8-bit byte in a name", b"A\xe9B: c", b"Content-Length: 2"),
    _field("two CL, not equal", b"Content-Length: 2", b"Content-Length: 3"),
    _field("two CL, equal", b"Content-Length: 2", b"Content-Length: 2"),
    _field("CL list", b"Content-Length: 2, 2"),
    _field("CL with a plus", b"Content-Length: +2"),
    _field("CL negative", b"Content-Length: -2"),
    _field("CL with an underscore", b"Content-Length: 0_2"),
    _field("CL in hexadecimal", b"Content-Length: 0x2"),
    _field("CL empty", b"Content-Length: "),
    _field("CL that overflows", b"Content-Length: 18446744073709551618"),
    _field("CL and TE", b"Content-Length: 2", b"Transfer-Encoding: chunked", body=b"2\r\nok\r\n0\r\n\r\n"),
    _field("TE xchunked", b"Transfer-Encoding: xchunked", body=b"2\r\nok\r\n0\r\n\r\n"),
    _field("TE chunked twice", b"Transfer-Encoding: chunked, chunked", body=b"2\r\nok\r\n0\r\n\r\n"),
    _field("TE in two lines", *[b"Transfer-Encoding: chunked"] * 2, body=b"2\r\nok\r\n0\r\n\r\n"),
    _field("TE gzip, chunked", b"Transfer-Encoding: gzip, chunked", body=b"2\r\nok\r\n0\r\n\r\n"),
    _field("TE behind a vertical tab", b"Transfer-Encoding: \x0bchunked", body=b"2\r\nok\r\n0\r\n\r\n"),
    Bad("TE in HTTP/1.0", head(b"HTTP/1.0 200 OK", b"Transfer-Encoding: chunked") + b"2\r\nok\r\n0\r\n\r\n"),
    _field("a head of 70 KiB", b"A: " + b"b" * (70 << 10), b"Content-Length: 2"),
    _field("129 headers", *(b"A%d: b" % number for number in range(129)), b"Content-Length: 2"),
    Bad("a head without an end", OK + b"\r\n" + b"A: b\r\n" * (20 << 10)),
    Bad("a 101 that nobody asked for", head(b"HTTP/1.1 101 X", b"Upgrade: evil", b"Connection: Upgrade") + EVIL),
    Bad("a 101 for a POST", head(b"HTTP/1.1 101 X", b"Upgrade: websocket", b"Connection: Upgrade"), b"POST"),
    Bad("100 and garbage", b"HTTP/1.1 100 Continue\r\n\r\ngarbage\r\n\r\n"),
    Bad(
        "a CL in a 103 that is not one",
        head(b"HTTP/1.1 103 Hints", b"Content-Length: x") + head(OK, b"Content-Length: 0"),
    ),
    Bad("10,000 interim answers", head(b"HTTP/1.1 103 Hints") * 10_000),
]

GOOD = [
    Good("empty reason", head(b"HTTP/1.1 200 ", b"Content-Length: 2") + b"ok", reusable=True),
    Good("no reason at all", head(b"HTTP/1.1 200", b"Content-Length: 2") + b"ok", reusable=True),
    Good("8-bit reason", head(b"HTTP/1.1 200 \xc3\xa9", b"Content-Length: 2") + b"ok", reusable=True),
    Good("status 599", head(b"HTTP/1.1 599 X", b"Content-Length: 2") + b"ok", status=599, reusable=True),
    Good("status 999", head(b"HTTP/1.1 999 X", b"Content-Length: 2") + b"ok", status=999, reusable=True),
    Good(
        "hints first", head(b"HTTP/1.1 103 Hints", b"Link: <x>") + head(OK, b"Content-Length: 2") + b"ok", reusable=True
    ),
    Good("205 with a body", head(b"HTTP/1.1 205 R", b"Content-Length: 2") + b"ok", status=205, reusable=True),
    Good("HTTP/1.0", head(b"HTTP/1.0 200 OK", b"Content-Length: 2") + b"ok"),
    Good("more than its CL", head(OK, b"Content-Length: 2") + b"ok" + EVIL),
    Good("204 with a body", head(b"HTTP/1.1 204 N") + EVIL, status=204, body=b""),
    Good("204 with CL and a body", head(b"HTTP/1.1 204 N", b"Content-Length: 4") + b"evil", status=204, body=b""),
    Good("304 with a body", head(b"HTTP/1.1 304 N", b"Content-Length: 4") + b"evil", status=304, body=b""),
    Good("HEAD with a body", head(OK, b"Content-Length: 4") + b"evil", body=b"", method=b"HEAD"),
    Good("HEAD with chunks", _chunks(b"4\r\nevil\r\n0\r\n\r\n"), body=b"", method=b"HEAD"),
    Good("more after the last chunk", _chunks(b"2\r\nok\r\n0\r\n\r\n") + EVIL, cut=None),
    Good("trailers", _chunks(b"2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n"), reusable=True),
    Good("trailers that would be framing", _chunks(b"2\r\nok\r\n0\r\nContent-Length: 9\r\n\r\n"), cut=None),
    Good("fewer than its CL", head(OK, b"Content-Length: 9") + b"ok", cut=True),
    Good("no last chunk", _chunks(b"2\r\nok\r\n"), cut=True),
    Good("half a chunk", _chunks(b"9\r\nok"), cut=True),
    Good("chunk size that is none", _chunks(b"2\r\nok\r\nzz\r\nevil\r\n0\r\n\r\n"), cut=True),
    Good("chunk size that overflows", _chunks(b"2\r\nok\r\n10000000000000002\r\nxx\r\n0\r\n\r\n"), cut=True),
    Good("chunk size negative", _chunks(b"2\r\nok\r\n-2\r\nxx\r\n0\r\n\r\n"), cut=True),
    Good("chunk extension with a bare LF", _chunks(b"2\r\nok\r\n2;a\nb\r\nxx\r\n0\r\n\r\n"), cut=True),
    Good("chunk size with a bare LF", _chunks(b"2\r\nok\r\n2\nxx\r\n0\r\n\r\n"), cut=True),
    Good("chunk longer than it says", _chunks(b"2\r\nok\r\n1\r\nxx\r\n0\r\n\r\n"), cut=True),
    Good("nothing behind a chunk", _chunks(b"2\r\nok0\r\n\r\n"), cut=True),
]
