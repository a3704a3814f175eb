"""Documents that get the tag: which requests ask for one, which answers are one, and what their heads become.

Pure, and one home for both paths. Each rule says no where it is not sure: a page without the widget is whole, a file
with it is broken.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

import structlog

from gateway.types import JobId
from widget.assets import loader

from . import csp, headers
from .coding import CODINGS, PLAIN, coding_of
from .headers import RawHeaders, Visit, fields_of, host_name, values, without
from .inject import script_tag

log = structlog.get_logger()

# RStudio's form targets and both servers' APIs and files, some of them JSON sent as text/html; and our own paths.
_NEVER_UNDER = re.compile(rb"/(?:upload|auth-update-credentials|rpc|files|api|\.gw)(?:/|\Z)")
# How the labels of UTF-16, ISO-2022-JP and `replacement` begin (WHATWG Encoding, section 4.2), and two that are none:
# in these a `<` is not always the byte 0x3C.
_FOREIGN_CHARSET = re.compile(rb"utf-?(?:16|32|7)|ucs-2|(?:cs)?unicode|iso-10646|(?:cs)?iso-?2022|hz-gb|replacement")
_CHARSET = re.compile(rb""";\s*charset\s*=\s*["']?([^\s;"']*)""")


def may_inject_request(method: bytes, target: bytes, headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether this request is a navigation of a top document, as far as a request can tell."""
    return method == b"GET" and may_be_page(target) and asks_for_page(headers)


def may_be_page(target: bytes) -> bool:
    """Whether a document can be at this address."""
    path = target.partition(b"?")[0]
    return not _NEVER_UNDER.match(unquote_to_bytes(path) if b"%" in path else path)


def asks_for_page(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether these lines are those of a navigation.

    Over plain http to a name or an IP browsers send no Sec-Fetch headers (Fetch Metadata, section 2: only to
    trustworthy URLs); there a frame looks the same, and the script itself stays away from frames.
    """
    if destination := values(headers, b"sec-fetch-dest"):
        return destination == [b"document"]
    accepts = b",".join(values(headers, b"accept")).lower()
    return b"text/html" in accepts and not values(headers, b"x-requested-with")


def may_inject_response(status: int, headers: Sequence[tuple[bytes, bytes]]) -> bool:
    """Whether this answer is a document that a browser shows. What its policy says to it: csp.py."""
    shown = 200 <= status < 600 and status not in (204, 205, 206, 304)  # RFC 9110 §15.3.5-7, §15.4.5
    redirects = 300 <= status < 400 and bool(values(headers, b"location"))
    inline = all(_essence(value) == b"inline" for value in values(headers, b"content-disposition"))
    return shown and not redirects and inline and _is_html(headers) and coding_of(headers) in (PLAIN, *CODINGS)


def _essence(value: bytes) -> bytes:
    return value.partition(b";")[0].strip().lower()


def _is_html(headers: Sequence[tuple[bytes, bytes]]) -> bool:
    kinds = values(headers, b"content-type")
    if [_essence(kind) for kind in kinds] != [b"text/html"]:
        return False
    charset = _CHARSET.search(kinds[0].lower())
    return charset is None or not _FOREIGN_CHARSET.match(charset[1])


_TAGS = re.compile(rb'(?:W/)?"([^"]*)"')


def request_edits(headers: Sequence[tuple[bytes, bytes]], version: bytes) -> RawHeaders:
    """The lines that ask the job for a whole, plain document.

    `version` names the form into which we bring it (the script's hash, and which edits of its policy). A validator
    that names this form goes on as the job's own; any other goes, so that a 304 can only mean our form.
    """
    ours = b"gw-%b-" % version
    tags = _TAGS.findall(b",".join(values(headers, b"if-none-match")))
    mapped = [b'"%b"' % tag.removeprefix(ours) for tag in tags if tag.startswith(ours)]
    dropped = (b"accept-encoding", b"if-none-match", b"if-modified-since", b"range", b"if-range")
    out = [*without(headers, *dropped), (b"Accept-Encoding", b"identity")]
    return [*out, (b"If-None-Match", b", ".join(mapped))] if mapped else out


# What describes the job's bytes, not ours; RFC 9110 §8, RFC 9530 §2 and §3, RFC 3230 §4.3.2, RFC 1864.
_ABOUT_BYTES = (
    b"content-length content-encoding accept-ranges last-modified etag content-md5 digest repr-digest content-digest"
).split()


def response_edits(headers: Sequence[tuple[bytes, bytes]], version: bytes) -> RawHeaders:
    """The lines of a document that gets the tag, and of a 304 in answer to what `request_edits` made."""
    out = varies(without(headers, *_ABOUT_BYTES))
    for value in values(headers, b"etag")[:1]:
        if tag := _TAGS.fullmatch(value.strip()):
            out.append((b"ETag", b'W/"gw-%b-%b"' % (version, tag[1])))
    return out


def varies(headers: Sequence[tuple[bytes, bytes]]) -> RawHeaders:
    """The same lines, and that the answer is another one in a frame (RFC 9110 §12.5.5)."""
    named = {one.strip().lower() for value in values(headers, b"vary") for one in value.split(b",")}
    known = named & {b"*", b"sec-fetch-dest"}
    return list(headers) if known else [*headers, (b"Vary", b"Sec-Fetch-Dest")]


class Page(NamedTuple):
    """An answer to a navigation: its lines without framing, and the tag that goes in; b"": it passes as it is."""

    lines: RawHeaders
    tag: bytes = b""
    coded: bool = False
    """Its body must be decoded first."""


class Written(NamedTuple):
    """The same as bytes: the head without framing and its empty line."""

    head: bytes
    tag: bytes
    coded: bool


class Documents:
    """Those of one port."""

    def __init__(self, job: JobId, control_port: int) -> None:
        asset = loader(job, control_port)
        self.form = asset.etag.strip('"').encode()
        """Names what we make of a document: part of its ETag, so that no cache mixes forms up."""
        self.coded = False
        """This job compresses documents although it is asked not to: they need the other path."""
        self._job, self._path, self._control_port = job, asset.path.encode(), control_port

    def asked(self, lines: Sequence[tuple[bytes, bytes]]) -> RawHeaders:
        """A navigation's lines, edited."""
        return request_edits(lines, self.form)

    def answered(self, status: int, came: RawHeaders, visit: Visit, *, body: bool) -> Page:
        """A navigation's answer, edited. `body`: it has one."""
        lines = headers.for_browser(came, visit)
        if status == 304:  # its lines replace the stored ones (RFC 9111 §4.3.4)
            amended = self._amended(lines, visit)
            kept = amended.headers if isinstance(amended, csp.Amended) and not amended.nonce else lines
            return Page(response_edits(kept, self.form))
        if not body or not may_inject_response(status, came):
            return Page(varies(lines))
        amended = self._amended(lines, visit)
        if isinstance(amended, csp.DoNotInject):
            log.debug("not injected", job=self._job, why=amended.why)
            return Page(varies(lines))
        tag = script_tag(self._path, amended.nonce)
        return Page(response_edits(amended.headers, self.form), tag, coding_of(came) != PLAIN)

    def _amended(self, lines: RawHeaders, visit: Visit) -> csp.Amended | csp.DoNotInject:
        origin = f"{visit.scheme}://{visit.host.decode('latin-1')}"
        return csp.amend(
            lines,
            loader_url=origin + self._path.decode(),
            control_origin=f"{visit.scheme}://{host_name(visit.host)}:{self._control_port}",
            app_origin=origin,
            fresh_nonce=secrets.token_urlsafe(16).encode(),
        )

    def written(self, status: int, head: bytes, visit: Visit, *, body: bool) -> Written:
        """`answered` for a head's bytes, which are well-formed and hold no control characters."""
        end = head.index(b"\r\n")
        page = self.answered(status, fields_of(head[end:]), visit, body=body)
        made = b"".join([b"HTTP/1.1", head[8:end], b"\r\n", *(b"%b: %b\r\n" % line for line in page.lines)])
        return Written(made, page.tag, page.coded)
