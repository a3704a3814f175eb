"""Heads on the straight path: which request may take it, and what an answer's head becomes.

Pure. Every head goes through llhttp before a byte of it is forwarded. What llhttp has let pass is then forwarded as
the bytes that came; one regular expression finds the lines that policy must see. A head without any goes out as it
is; one with some is edited by headers.py, the one home of that policy.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import httptools

from . import headers
from .headers import RawHeaders, Visit

_END = b"\r\n\r\n"
_METHODS = frozenset((b"GET", b"HEAD", b"OPTIONS"))  # may be sent again as long as no answer has come
_OWN = b"/.gw/"

# Lines that make a request the other path's business: a body, an upgrade, an expectation, a document that may get the
# tag; and those that headers.py removes. Folded lines too: llhttp lets them pass.
_NOT_STRAIGHT = re.compile(
    rb"\r\n(?:[ \t]|content-length|transfer-encoding|upgrade:|expect|te:|trailer|proxy|http2-settings|keep-alive"
    rb"|forwarded|x[-_](?:forwarded|rstudio|real|scheme|original|rewrite)|sec-websocket|sec-fetch-dest: *document"
    rb"|accept:[^\r]*text/html|connection:(?! *keep-alive *\r))"
)
_HOST = re.compile(rb"\r\nhost: *([^\r]*?) *\r")
_COOKIE = re.compile(rb"\r\n(cookie): *([^\r]*)", re.IGNORECASE)

# Lines of an answer that are framing or need a look.
_TELLING = re.compile(
    rb"\r\n(?:(content-length):[ \t]*([0-9]{1,18})[ \t]*(?=\r)|(connection):[ \t]*(keep-alive|close)[ \t]*(?=\r)"
    rb"|(transfer-encoding):[ \t]*(chunked)[ \t]*(?=\r)|(keep-alive):[^\r]*"
    rb"|(connection|content-length|transfer-encoding|te|trailer|upgrade|proxy-[a-z]+|set-cookie|strict-transport-security)"
    rb":)",
    re.IGNORECASE,
)
_CONTROL = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\n[ \t]")  # or a folded line


class BadHead(Exception):
    """Not an answer that may be passed on."""


class _Silent:
    """llhttp's callbacks: none."""


_SILENT = _Silent()


@dataclass(frozen=True, slots=True)
class StraightRequest:
    """A request that may go straight."""

    method: bytes
    target: bytes
    host: bytes
    cookie: tuple[int, int, int] | None
    """Where the Cookie line begins, where its value begins and where it ends."""


def read_request(data: bytes) -> StraightRequest | None:
    """What the head says; None if it takes the other path, whatever the reason."""
    if not data.endswith(_END) or data.find(_END) != len(data) - len(_END):
        return None
    lower = data.lower()
    if _NOT_STRAIGHT.search(lower) is not None:
        return None
    method, _, rest = data.partition(b" ")
    target = rest.partition(b" HTTP/1.1\r\n")[0]
    if method not in _METHODS or target.startswith(_OWN) or not headers.well_formed_target(target):
        return None
    host = _HOST.search(lower)
    if host is None or lower.count(b"\r\nhost:") != 1 or lower.count(b"\r\ncookie:") > 1:
        return None
    try:
        httptools.HttpRequestParser(_SILENT).feed_data(data)
    except httptools.HttpParserError:
        return None
    jar = _COOKIE.search(data) if b"\r\ncookie:" in lower else None
    cookie = None if jar is None else (jar.start(), jar.start(2), jar.end())
    return StraightRequest(method, target, data[host.start(1) : host.end(1)], cookie)


@dataclass(slots=True)
class StraightAnswer:
    """An answer's head as it goes to the browser, and how its body ends."""

    status: int
    head: bytes
    length: int | None
    """Bytes of body; None when it is chunked or ends with the connection."""
    chunked: bool
    keep: bool
    """The job's connection can be used again after the body."""
    interim: bool


def read_answer(head: bytes, method: bytes, visit: Visit, parser: httptools.HttpResponseParser) -> StraightAnswer:
    """Check and edit a head. `parser` is fresh; a chunked body goes through it as well. Raises BadHead."""
    try:
        parser.feed_data(head)
    except httptools.HttpParserUpgrade:
        pass  # said below
    except httptools.HttpParserError as error:
        raise BadHead(str(error)) from error
    if _CONTROL.search(head) is not None:
        raise BadHead("a control character or a folded line in the head")
    status = parser.get_status_code()
    if status == 101:
        raise BadHead("a 101 that nobody asked for")
    out, lengths, chunked = _edit(head, visit)
    if len(lengths) > 1 or (lengths and chunked > 0) or chunked > 1:
        raise BadHead("framing that contradicts itself")
    bodiless = method == b"HEAD" or status in (204, 304) or status < 200
    length = 0 if bodiless else int(lengths.pop()) if lengths else None
    has_end = length is not None or chunked > 0
    keep = has_end and parser.should_keep_alive()
    return StraightAnswer(status, out, length, bool(chunked) and not bodiless, keep, status < 200)


def _edit(head: bytes, visit: Visit) -> tuple[bytes, set[bytes], int]:
    """The head for the browser, the lengths that it gives, and how often it says chunked."""
    pieces: list[bytes] = []
    at, lengths, chunked = 0, set(), 0
    for line in _TELLING.finditer(head):
        match line.lastindex:
            case 2:
                lengths.add(line[2])
            case 6:
                chunked += 1
            case 4 | 7:
                pieces.append(head[at : line.start()])
                at = line.end()
            case _:
                return _edit_with_care(head, visit)
    if not pieces:
        return head, lengths, chunked
    pieces.append(head[at:])
    return b"".join(pieces), lengths, chunked


def _edit_with_care(head: bytes, visit: Visit) -> tuple[bytes, set[bytes], int]:
    """Line by line, by the policy in headers.py."""
    first, *lines = head[: -len(_END)].split(b"\r\n")
    fields: RawHeaders = []
    for line in lines:
        name, _, value = line.partition(b":")
        fields.append((name, value.strip(b" \t")))
    lengths = set(headers.values(fields, b"content-length"))
    codings = headers.values(fields, b"transfer-encoding")
    if any(not one.isdigit() for one in lengths) or any(one.lower() != b"chunked" for one in codings):
        raise BadHead("a length that is no number, or an unknown transfer coding")
    kept = headers.for_browser(fields, visit)
    kept += [(b"Transfer-Encoding", b"chunked")] * len(codings)
    return first + b"\r\n" + b"".join(b"%b: %b\r\n" % one for one in kept) + b"\r\n", lengths, len(codings)
