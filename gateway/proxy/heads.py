"""Heads on the straight path: which request may take it, and what an answer's head becomes.

Pure. Every head goes through llhttp before a byte of it is forwarded. What llhttp has let pass is then forwarded as
the bytes that came; a few searches in its lower-cased copy find the lines that policy must see. A head without any
goes out as it is; one with some is edited by headers.py, the one home of that policy.

This runs twice for every request, so it is written for speed: searches for whole needles before regular expressions,
tuples before dataclasses. docs/performance.md has the figures.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import httptools

from gateway.config import Limits

from . import headers
from .documents import asks_for_page
from .greeting import is_trustworthy, is_workers_navigation
from .headers import Visit, fields_of

_END = b"\r\n\r\n"
_KNOWN = 256  # different header blocks remembered
_LONG = 8 << 10  # bytes: longer ones are not
# Methods that may be sent again as long as no answer has come; origin-form as in headers.py, less the gateway's own.
_FIRST = re.compile(rb"(GET|HEAD|OPTIONS) (/(?!\.gw/)[\x21-\x22\x24-\x7e\x80-\xff]*) HTTP/1\.1")

# Lines that make a request the other path's business: a body, an upgrade, an expectation, a stream of events that goes
# on after a move; and those that headers.py removes. Folded lines too: llhttp lets them pass.
_NOT_STRAIGHT = re.compile(
    rb"\r\n(?:[ \t]|content-length|transfer-encoding|upgrade:|expect|te:|trailer|proxy|http2-settings|keep-alive"
    rb"|service-worker:|forwarded|x[-_](?:forwarded|rstudio|real|scheme|original|rewrite)|sec-websocket"
    rb"|accept:[^\r]*text/event-stream|connection:(?! *keep-alive *\r))"
)
# Lines of an answer that tell something: its length, its coding, `connection`, and those that headers.py must see, each
# with its reason there; folded ones are refused. Looking at the first letter before trying them halves the time.
_TELLING = re.compile(
    rb"\r\n(?=[cstkup \t])(?:"
    rb"content-length: *([0-9]{1,18})(?=\r)|(connection: *(?:keep-alive|close) *)(?=\r)"
    rb"|(transfer-encoding: *chunked *)(?=\r)"
    rb"|([ \t]|content-length|connection|transfer-encoding|set-cookie|strict-transport-security|keep-alive|te:|trailer"
    rb"|upgrade:|proxy-))"
)
# Lower case; what RFC 9110 §5.5 forbids in a field's value becomes NUL, line ends stay.
_LOWER = bytes(
    byte if byte in (0x09, 0x0A, 0x0D) else 0 if byte < 0x20 or byte == 0x7F else byte for byte in range(256)
)
_LOWER = _LOWER.lower()


class BadHead(Exception):
    """Not an answer that may be passed on."""


class _Silent:
    """llhttp's callbacks: none."""


_SILENT = _Silent()


class Lines(NamedTuple):
    """The header lines of a request, from the CRLF before the first to the empty line: what is known of them."""

    raw: bytes
    host: bytes
    cookie: tuple[int, int, int] | None
    """In `raw`: where the Cookie line begins, where its value begins and where it ends."""
    asks_for_page: bool
    """They are those of a navigation."""
    trustworthy: bool
    """The browser takes this for an origin where service workers may be."""


StraightRequest = tuple[bytes, bytes, Lines]  # method, target, header lines


def read_request(data: bytes, known: dict[bytes, Lines], limits: Limits) -> StraightRequest | None:
    """What the head says; None if it takes the other path, whatever the reason.

    `known`: lines that were read before. A browser sends the same ones again and again, only the target differs;
    they are checked once, the request line each time.
    """
    end = data.find(b"\r\n")
    first = _FIRST.fullmatch(data, 0, end)
    if first is None or len(data) > limits.head or end > limits.target:
        return None
    raw = data[end:]
    lines = known.get(raw)
    if lines is None:
        lines = _read_lines(data, raw)
        if lines is None or raw.count(b"\n") > limits.header_count + 2:
            return None
        if len(known) >= _KNOWN:
            known.clear()
        if len(raw) <= _LONG:
            known[raw] = lines
    return first[1], first[2], lines


def _read_lines(data: bytes, raw: bytes) -> Lines | None:
    if raw.find(_END) != len(raw) - 4:
        return None
    lower = raw.lower()
    if _NOT_STRAIGHT.search(lower) is not None:
        return None
    host = _only(raw, lower, b"\r\nhost:")
    if host is None:
        return None
    cookie = None
    if b"\r\ncookie:" in lower:
        cookie = _only(raw, lower, b"\r\ncookie:")
        if cookie is None:
            return None
    try:
        httptools.HttpRequestParser(_SILENT).feed_data(data)
    except httptools.HttpParserError:
        return None
    fields = fields_of(raw)
    if is_workers_navigation(fields):
        return None
    return Lines(raw, raw[host[1] : host[2]].strip(b" "), cookie, asks_for_page(fields), is_trustworthy(fields))


def _only(data: bytes, lower: bytes, needle: bytes) -> tuple[int, int, int] | None:
    """The span of the only line of this name: its CRLF, its value, its end. None if there is another, or none."""
    at = lower.find(needle)
    start = at + len(needle)
    if at < 0 or lower.find(needle, start) >= 0:
        return None
    return at, start, data.find(b"\r", start)


class StraightAnswer(NamedTuple):
    """An answer's head as it goes to the browser, and how its body ends."""

    status: int
    head: bytes
    length: int | None
    """Bytes of body; None when it is chunked or ends with the connection."""
    chunked: bool
    keep: bool
    """The job's connection can be used again after the body."""

    @property
    def until_close(self) -> bool:
        """Nothing but the end of the connection ends the body."""
        return self.length is None and not self.chunked


class Whole(NamedTuple):
    """What becomes of an answer with this head, if its body comes with it in one piece."""

    status: int
    size: int
    """Bytes of body, as the job says."""
    head: bytes
    """As it goes to the browser."""
    keep: bool
    """The job's connection can be used again."""
    tag: bytes = b""
    """It goes into the body; `head` counts it."""


def read_whole(head: bytes, limits: Limits) -> Whole | None:
    """The head of an answer with a length and nothing to edit but `Connection`.

    None for any other, also for one that `read_answer` will refuse.
    """
    lower = head.translate(_LOWER)
    found = _TELLING.findall(lower)
    length = b""
    for digits, _, coding, with_care in found:
        if with_care or coding or (digits and length):
            return None
        length = length or digits
    if not length or not lower.startswith(b"http/1.1 ") or b"\0" in lower:
        return None
    if len(head) > limits.head or head.count(b"\n") > limits.header_count + 2:
        return None
    parser = httptools.HttpResponseParser(_SILENT)
    try:
        parser.feed_data(head)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return None
    status = parser.get_status_code()
    if status < 200 or status in (204, 304):
        return None
    out = head if len(found) == 1 else without_connection(head, lower)
    return Whole(status, int(length), out, parser.should_keep_alive())


def read_answer(head: bytes, method: bytes, visit: Visit, parser: httptools.HttpResponseParser) -> StraightAnswer:
    """Check and edit a head. `parser` is fresh; a chunked body goes through it as well. Raises BadHead."""
    try:
        parser.feed_data(head)
    except httptools.HttpParserUpgrade:
        pass  # said below
    except httptools.HttpParserError as error:
        raise BadHead(str(error)) from error
    lower = head.translate(_LOWER)
    if b"\0" in lower:
        raise BadHead("a control character in the head")
    status = parser.get_status_code()
    if status == 101 or status < 100:
        raise BadHead("a 101 that nobody asked for, or a status that HTTP does not have")
    if not lower.startswith(b"http/1.1"):
        head = _as_ours(head, lower)
    length, chunked, connection = None, False, False
    for digits, of_connection, coding, with_care in _TELLING.findall(lower):
        if with_care:
            head, length, chunked = _edit_with_care(head, visit)
            connection = False
            break
        if length is not None or chunked:
            if digits or coding:
                raise BadHead("framing that contradicts itself")  # one of the two, once: RFC 9112 §6.3
        elif digits:
            length = int(digits)
        else:
            chunked = bool(coding)
        connection = connection or bool(of_connection)
    if connection:
        head = without_connection(head, lower)
    if method == b"HEAD" or status in (204, 304) or status < 200:
        length, chunked = 0, False
    keep = (chunked or length is not None) and parser.should_keep_alive()
    return StraightAnswer(status, head, length, chunked, keep)


def _as_ours(head: bytes, lower: bytes) -> bytes:
    """An answer in HTTP/1.0: a proxy says its own version (RFC 9112 §2.3)."""
    if not lower.startswith(b"http/1.0"):
        raise BadHead("a version that HTTP does not have")
    if b"\r\ntransfer-encoding:" in lower:
        raise BadHead("a transfer coding in HTTP/1.0")  # RFC 9112 §6.1
    return b"HTTP/1.1" + head[8:]


def without_connection(head: bytes, lower: bytes) -> bytes:
    """`Connection: keep-alive` or `close` is about one connection only. `lower`: the head itself in lower case."""
    at = lower.rfind(b"\r\nconnection:")  # from the end, so that what is before stays where it is
    while at >= 0:
        head = head[:at] + head[lower.find(b"\r", at + 2) :]
        at = lower.rfind(b"\r\nconnection:", 0, at)
    return head


def _edit_with_care(head: bytes, visit: Visit) -> tuple[bytes, int | None, bool]:
    """Line by line, by the policy in headers.py: the head, Content-Length, and whether it is chunked."""
    first, *lines = head[:-4].split(b"\r\n")
    if any(line[:1] in (b" ", b"\t") for line in lines):
        raise BadHead("a folded line")
    fields = fields_of(head[len(first) :])
    lengths = set(headers.values(fields, b"content-length"))
    codings = headers.values(fields, b"transfer-encoding")
    if any(not one.isdigit() for one in lengths) or any(one.lower() != b"chunked" for one in codings):
        raise BadHead("a length that is no number, or an unknown transfer coding")
    if len(lengths) + len(codings) > 1:
        raise BadHead("framing that contradicts itself")
    kept = headers.for_browser(fields, visit) + [(b"Transfer-Encoding", b"chunked")] * len(codings)
    out = b"".join([first, b"\r\n", *(b"%b: %b\r\n" % one for one in kept), b"\r\n"])
    return out, int(lengths.pop()) if lengths else None, bool(codings)
